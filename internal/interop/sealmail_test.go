package interop

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

// sealmail is what is tested, in the place of a peer. Its errors are failures.
type sealmail struct{ *pki }

func (sealmail) String() string { return "sealmail" }

func (s sealmail) write(t testing.TB, f form) ([]byte, error) {
	t.Helper()
	var out bytes.Buffer
	switch f.kind {
	case certsOnly:
		var crls [][]byte
		if f.crl {
			crls = append(crls, s.crl)
		}
		return cms.MarshalCertsOnly(s.certificates(f), crls)
	case signedData:
		o := s.signedOptions(t, f)
		if !f.ber {
			return cms.Sign(t.Context(), content, o)
		}
		w, err := cms.NewSignedDataWriter(t.Context(), &out, o)
		return finish(&out, w, err)
	case envelopedData:
		w, err := cms.NewEnvelopedDataWriter(t.Context(), &out, s.envelopedOptions(f))
		return finish(&out, w, err)
	}
	return nil, errors.New("it is only read")
}

// finish writes the content to w, in pieces.
func finish(out *bytes.Buffer, w interface {
	Write([]byte) (int, error)
	Close() error
}, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	for piece := range slices.Chunk(content, 1000) {
		if _, err := w.Write(piece); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return out.Bytes(), err
}

func identifierForm(keyID bool) cms.IdentifierForm {
	if keyID {
		return cms.SubjectKeyIdentifier
	}
	return cms.IssuerAndSerialNumber
}

func (s sealmail) signedOptions(t testing.TB, f form) cms.SignedDataOptions {
	o := cms.SignedDataOptions{Detached: f.detached, Certificates: s.certificates(f)}
	if f.crl {
		o.CRLs = [][]byte{s.crl}
	}
	if f.ocsp {
		o.OCSPResponses = [][]byte{s.ocsp}
	}
	for _, sg := range f.signers {
		id := s.ids[sg.who]
		o.Signers = append(o.Signers, cms.Signer{
			Certificate: id.cert, Key: id.signer(t), Scheme: sg.scheme(), Digest: sg.hash, SID: identifierForm(sg.keyID),
			SigningTime: notBefore, Capabilities: cms.OwnCapabilities(),
		})
		if f.values {
			o.Signers[len(o.Signers)-1].RevocationValues = cms.RevocationValues{CRLs: [][]byte{s.crl}, OCSPResponses: [][]byte{s.ocsp}}
		}
	}
	return o
}

// keyManagements are the ways that are written here.
var keyManagements = map[way]map[crypto.Hash]cms.KeyManagement{
	rsaPKCS1v15: {0: cms.RSAPKCS1v15},
	rsaOAEP:     {crypto.SHA256: cms.RSAOAEPSHA256, crypto.SHA384: cms.RSAOAEPSHA384, crypto.SHA512: cms.RSAOAEPSHA512},
	agreeX963:   {crypto.SHA256: cms.ECDHStdSHA256, crypto.SHA384: cms.ECDHStdSHA384, crypto.SHA512: cms.ECDHStdSHA512},
	agreeHKDF:   {crypto.SHA256: cms.ECDHHKDFSHA256, crypto.SHA384: cms.ECDHHKDFSHA384, crypto.SHA512: cms.ECDHHKDFSHA512},
	sharedKEK:   {0: cms.AESKeyWrap},
}

func (s sealmail) envelopedOptions(f form) (o cms.EnvelopedDataOptions) {
	o.Cipher, _ = cms.CipherByOID(cipherOIDs[f.cipher])
	for _, r := range f.recipients {
		to := cms.Recipient{KeyManagement: keyManagements[r.way][r.hash]}
		if r.way == sharedKEK {
			to.KeyIdentifier, to.KeyEncryptionKey = s.kekID, s.kek[:r.wrap/8]
		} else {
			to.Certificate, to.ID = s.ids[r.who].cert, identifierForm(r.keyID)
		}
		o.Recipients = append(o.Recipients, to)
	}
	return o
}

func (s sealmail) read(t testing.TB, f form, message, detached []byte) ([]byte, error) {
	t.Helper()
	info, err := cms.Read(bytes.NewReader(message), cms.Limits{})
	if err != nil {
		return nil, err
	}
	switch m := info.(type) {
	case *cms.SignedData:
		return s.readSigned(t, f, m, detached)
	case *cms.EnvelopedData:
		return s.readEnveloped(t, f, m)
	case *cms.EncryptedData:
		return s.readEncrypted(t, f, m, s.contentKey(f, message))
	case *cms.CompressedData:
		var got bytes.Buffer
		err := m.Decompress(t.Context(), &got)
		return got.Bytes(), err
	case *cms.DigestedData:
		var got bytes.Buffer
		err := m.ReadContent(t.Context(), &got)
		return got.Bytes(), err
	}
	return nil, fmt.Errorf("a %T", info)
}

func (s sealmail) readSigned(t testing.TB, f form, m *cms.SignedData, detached []byte) ([]byte, error) {
	if f.detached != m.Detached() && f.kind != certsOnly {
		return nil, fmt.Errorf("detached: %v", m.Detached())
	}
	var got bytes.Buffer
	var digest *cms.ContentDigest
	var err error
	if f.detached {
		got.Write(detached)
		digest, err = m.ReadDetached(t.Context(), bytes.NewReader(detached))
	} else {
		digest, err = m.ReadContent(t.Context(), &got)
	}
	if err != nil {
		return nil, err
	}
	if f.kind == certsOnly != m.CertsOnly() {
		return nil, fmt.Errorf("certificates only: %v", m.CertsOnly())
	}
	for _, cert := range s.certificates(f) {
		if !slices.ContainsFunc(m.Certificates, func(c cms.RawCertificate) bool { return bytes.Equal(c, cert.Raw) }) {
			return nil, fmt.Errorf("the certificate of %s is not in the message", cert.Subject)
		}
	}
	if f.crl && !(len(m.CRLs) == 1 && bytes.Equal(m.CRLs[0], s.crl)) {
		return nil, fmt.Errorf("%d revocation lists", len(m.CRLs))
	}
	if f.ocsp && !(len(m.OCSPResponses) == 1 && bytes.Equal(m.OCSPResponses[0], s.ocsp)) {
		return nil, fmt.Errorf("%d OCSP responses", len(m.OCSPResponses))
	}
	if len(m.SignerInfos) != len(f.signers) {
		return nil, fmt.Errorf("%d signers", len(m.SignerInfos))
	}
	// A SET OF in DER is sorted: the signers come in any order.
	for _, want := range f.signers {
		cert := s.ids[want.who].cert
		i := slices.IndexFunc(m.SignerInfos, func(si *cms.SignerInfo) bool { return si.SID.Matches(cert) })
		if i < 0 {
			return nil, fmt.Errorf("no signature of %s", want.who)
		}
		si := m.SignerInfos[i]
		if err := signerIs(si, cert, f, want); err != nil {
			return nil, err
		}
		if v, err := si.RevocationValues(); err != nil || f.values && !reflect.DeepEqual(v, cms.RevocationValues{CRLs: [][]byte{s.crl}, OCSPResponses: [][]byte{s.ocsp}}) {
			return nil, fmt.Errorf("%d lists and %d responses among the revocation values, %w", len(v.CRLs), len(v.OCSPResponses), err)
		}
		o := cms.VerifyOptions{ContentType: m.EContentType, Content: bytes.NewReader(got.Bytes())}
		err := si.Verify(cert, digest, o)
		if weak := (*cms.WeakError)(nil); f.weak && errors.As(err, &weak) {
			o.AllowWeak = true
			err = si.Verify(cert, digest, o)
		} else if f.weak && err == nil {
			err = errors.New("a weak algorithm is not called weak")
		}
		if err != nil {
			return nil, err
		}
	}
	return got.Bytes(), nil
}

// signerIs checks that the signature is what the form says, so that a cell says what was tested.
func signerIs(si *cms.SignerInfo, cert *x509.Certificate, f form, want signer) error {
	h, err := si.Digest()
	if err != nil {
		return err
	}
	name := map[string]string{"rsa": "rsa-pkcs1v15", "ed25519": "ed25519"}[want.who]
	if name == "" {
		name = "ecdsa-" + want.who
	} else if want.pss {
		name = "rsa-pss"
	}
	if got := cms.SignatureName(si, cert); got != name || h != want.hash {
		return fmt.Errorf("signed with %s and %v", got, h)
	}
	if keyID, bare := si.SID.SubjectKeyID != nil, si.SignedAttributes == nil; keyID != want.keyID || bare != f.bare {
		return fmt.Errorf("by key identifier: %v, without attributes: %v", keyID, bare)
	}
	return nil
}
