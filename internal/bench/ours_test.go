//go:build unix

package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/verdict"
)

// opening is what sealmail needs to open and judge messages, made once.
type opening struct {
	options   smime.OpenOptions
	parsed    *certstore.ParseCache
	validator certstore.Validator
	policy    verdict.Policy
}

func (h house) opening() (*opening, error) {
	pair, err := h.pair(reader)
	if err != nil {
		return nil, err
	}
	root, err := h.root()
	if err != nil {
		return nil, err
	}
	parsed := new(certstore.ParseCache)
	return &opening{
		options:   smime.OpenOptions{Decrypters: []smime.Decrypter{pair.Decrypter()}, ParseCertificate: parsed.Parse},
		parsed:    parsed,
		validator: certstore.Validator{Anchors: []*x509.Certificate{root}, Cache: new(certstore.PathCache)},
		policy:    verdict.Policy{Now: time.Now(), Own: []string{address(reader)}},
	}, nil
}

// open decrypts and verifies a message, checks the signer's chain and address, judges, and reads the content.
func (o *opening) open(message []byte, content *bytes.Buffer) error {
	m, err := smime.Open(context.Background(), bytes.NewReader(message), o.options)
	if err != nil {
		return err
	}
	defer m.Close()
	var evidence [][]verdict.Evidence
	for _, layer := range m.Layers {
		var list []verdict.Evidence
		if layer.Signed != nil {
			for _, s := range layer.Signed.Signatures {
				list = append(list, o.evidence(m, s))
			}
		}
		evidence = append(evidence, list)
	}
	if v := verdict.Judge(verdict.SubjectOf(m), evidence, o.policy); v.Status != verdict.Passed {
		return fmt.Errorf("the verdict is %s", v.Status)
	}
	content.Reset()
	_, err = content.ReadFrom(m.Content)
	return err
}

func (o *opening) evidence(m *smime.Message, s smime.Signature) verdict.Evidence {
	e := verdict.Evidence{Time: verdict.TimeEvidence{Code: verdict.TimeNoToken}}
	e.Address = verdict.AddressEvidenceOf(m)
	from := e.Address.From
	e.Address.NoMessage = len(from) == 0 && !e.Address.Unreadable // as letters are, before they are sent
	if s.Signer == nil {
		e.Address.NoCertificate, e.Chain.Code = true, verdict.ChainNoAnchor
		return e
	}
	e.Address.FromMatches = len(from) == 1 && certstore.MatchAddress(s.Signer, from[0])
	path, err := o.validator.Path(s.Signer, s.Bag, certstore.SignMail, o.policy.Now)
	var broken *certstore.PathError
	if errors.As(err, &broken) {
		e.Chain.Code = verdict.ChainCode(broken.Code)
		return e
	}
	e.Chain.Certificates = make([]string, 0, len(path))
	for _, cert := range path {
		e.Chain.Certificates = append(e.Chain.Certificates, o.parsed.Fingerprint(cert))
	}
	return e
}

// openAll opens the messages of the house on all CPUs.
func openAll(h house) (func() error, error) {
	messages, err := h.messages()
	if err != nil {
		return nil, err
	}
	o, err := h.opening()
	if err != nil {
		return nil, err
	}
	return func() error {
		contents := make([]bytes.Buffer, runtime.GOMAXPROCS(0))
		return inParallel(len(messages), func(worker, i int) error { return o.open(messages[i], &contents[worker]) })
	}, nil
}

// Letters of a house without messages.
const (
	letters    = 2000
	letterSize = 8 << 10
)

// sealing is what it takes to sign and encrypt letters of a house.
type sealing struct {
	letters [][]byte
	signers []smime.Signer
	to      cms.Recipient
}

func (h house) sealing() (*sealing, error) {
	s := &sealing{}
	var err error
	if s.to, err = h.recipient(); err != nil {
		return nil, err
	}
	for i := range senders {
		signer, err := h.signing(sender(i))
		if err != nil {
			return nil, err
		}
		s.signers = append(s.signers, signer)
	}
	for i := range letters {
		s.letters = append(s.letters, letter(i, letterSize))
	}
	return s, nil
}

// seal signs and encrypts a letter.
func (s *sealing) seal(i int, signed, sealed *bytes.Buffer) error {
	signed.Reset()
	sealed.Reset()
	err := smime.Sign(context.Background(), signed, bytes.NewReader(s.letters[i]), s.signers[i%senders], smime.SignOptions{SigningTime: time.Now()})
	if err != nil {
		return err
	}
	return smime.Encrypt(context.Background(), sealed, signed, []cms.Recipient{s.to}, smime.EncryptOptions{Cipher: cms.AES256CBC})
}

// sealAll signs and encrypts letters on all CPUs.
func sealAll(h house) (func() error, error) {
	s, err := h.sealing()
	if err != nil {
		return nil, err
	}
	return func() error {
		buffers := make([]struct{ signed, sealed bytes.Buffer }, runtime.GOMAXPROCS(0))
		return inParallel(letters, func(worker, i int) error { return s.seal(i, &buffers[worker].signed, &buffers[worker].sealed) })
	}, nil
}

// keysAlone does, for each message of the house, what only the keys can do to open it: one operation of the reader's
// private key, and one verification with a sender's public one. It is what no program can go below.
func keysAlone(h house) (func() error, error) {
	messages, err := h.messages()
	if err != nil {
		return nil, err
	}
	pair, err := h.pair(reader)
	if err != nil {
		return nil, err
	}
	signer, err := h.signing(sender(0))
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte("signed attributes"))
	signature, err := signer.Key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var decrypt func() error
	switch key := pair.Key.(type) {
	case *rsa.PrivateKey:
		wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, make([]byte, 32), nil)
		if err != nil {
			return nil, err
		}
		decrypt = func() error { // the padding costs nothing beside the key
			_, err := rsa.DecryptOAEP(sha256.New(), nil, key, wrapped, nil)
			return err
		}
	case *ecdsa.PrivateKey:
		agreement, err := key.ECDH()
		if err != nil {
			return nil, err
		}
		ephemeral, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		public, err := ephemeral.PublicKey.ECDH()
		if err != nil {
			return nil, err
		}
		encoded := public.Bytes()
		decrypt = func() error {
			public, err := ecdh.P256().NewPublicKey(encoded)
			if err == nil {
				_, err = agreement.ECDH(public)
			}
			return err
		}
	default:
		return nil, fmt.Errorf("keys of type %T", pair.Key)
	}
	verify := func() error {
		switch public := signer.Key.Public().(type) {
		case *rsa.PublicKey:
			return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature)
		case *ecdsa.PublicKey:
			if ecdsa.VerifyASN1(public, digest[:], signature) {
				return nil
			}
		}
		return errors.New("the signature does not hold")
	}
	return func() error {
		return inParallel(len(messages), func(_, _ int) error { return errors.Join(decrypt(), verify()) })
	}, nil
}
