package cms

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/ocsp"
)

// sampleSigner signs the samples. Its key is the same in every run, and signs only what is here: whatever else verifies
// under its certificate is a forgery.
var sampleSigner = sync.OnceValues(func() (envIdentity, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), append(make([]byte, 31), 11))
	if err != nil {
		return envIdentity{}, err
	}
	return newEnvIdentity(key, 11)
})

// sampleEd25519 is another one, in whose certificate nothing is random.
var sampleEd25519 = sync.OnceValues(func() (envIdentity, error) {
	return newEnvIdentity(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{12}, ed25519.SeedSize)), 12)
})

// sampleCRL is a revocation list in DER.
func sampleCRL(t testing.TB, issuer envIdentity) []byte {
	t.Helper()
	template := &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Unix(1.7e9, 0), NextUpdate: time.Unix(1.8e9, 0),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(7), RevocationTime: time.Unix(1.7e9, 0)}},
	}
	ca := *issuer.cert
	ca.KeyUsage |= x509.KeyUsageCRLSign
	der, err := x509.CreateRevocationList(rand.Reader, template, &ca, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// sampleOCSP is an OCSP response in DER.
func sampleOCSP(t testing.TB, issuer envIdentity) []byte {
	t.Helper()
	der, err := ocsp.CreateResponse(issuer.cert, issuer.cert, ocsp.Response{
		Status: ocsp.Good, SerialNumber: big.NewInt(7), ThisUpdate: time.Unix(1.7e9, 0), NextUpdate: time.Unix(1.8e9, 0),
	}, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// sampleText is the content of the samples.
const sampleText = "Content-Type: text/plain\r\n\r\nHello\r\n"

var samplePassword = []byte("password")

// sampleMessages returns one small message of each kind and form that there is.
func sampleMessages(t testing.TB) map[string][]byte {
	t.Helper()
	text := []byte(sampleText)
	samples := signedSamples(t)
	maps.Copy(samples, envelopedSamples(t))
	samples["compressed"] = compress(t, text)
	samples["digested"] = digested(t, oidSHA256, element(0xa0, element(0x04, text)), digestOf(crypto.SHA256, text))
	samples["digested, segments"] = digested(t, oidSHA1, element(0xa0, element(0x24, element(0x04, text[:7]), element(0x04, text[7:]))), digestOf(crypto.SHA1, text))
	return samples
}

func signedSamples(t testing.TB) map[string][]byte {
	t.Helper()
	ec, err := sampleSigner()
	if err != nil {
		t.Fatal(err)
	}
	ed, err := sampleEd25519()
	if err != nil {
		t.Fatal(err)
	}
	signer := func(id envIdentity, form IdentifierForm) Signer {
		scheme, hash, err := DefaultSignature(id.cert)
		if err != nil {
			t.Fatal(err)
		}
		return Signer{
			Certificate: id.cert, Key: id.key, Scheme: scheme, Digest: hash, SID: form,
			SigningTime: time.Unix(1.79e9, 0), Capabilities: OwnCapabilities(),
		}
	}
	stamped := signer(ec, IssuerAndSerialNumber)
	stamped.UnsignedAttributes = func(context.Context, []byte) ([]Attribute, error) {
		return []Attribute{{Type: OIDAttributeTimeStampToken, Values: [][]byte{element(0x30), element(0x30, derNull)}}}, nil
	}
	bag := []*x509.Certificate{ec.cert, ed.cert}
	ocsp := element(0x30, element(0x0a, []byte{0}))
	vouched := stamped
	vouched.RevocationValues = RevocationValues{CRLs: [][]byte{sampleCRL(t, ec), sampleCRL(t, ed)}, OCSPResponses: [][]byte{sampleOCSP(t, ec), sampleOCSP(t, ec)}}
	samples := map[string][]byte{}
	for name, o := range map[string]SignedDataOptions{
		"signed":               {Signers: []Signer{signer(ec, IssuerAndSerialNumber)}, Certificates: bag[:1]},
		"signed, Ed25519":      {Signers: []Signer{signer(ed, SubjectKeyIdentifier)}, Certificates: bag[1:]},
		"signed, detached":     {Signers: []Signer{signer(ec, SubjectKeyIdentifier)}, Certificates: bag, Detached: true},
		"signed, stamped":      {Signers: []Signer{stamped}, Certificates: bag},
		"signed, vouched for":  {Signers: []Signer{vouched}, Certificates: bag},
		"signed by two, a bag": {Signers: []Signer{signer(ec, IssuerAndSerialNumber), signer(ed, SubjectKeyIdentifier)}, Certificates: bag, CRLs: [][]byte{sampleCRL(t, ec)}, OCSPResponses: [][]byte{ocsp}},
		"signed, another type": {Signers: []Signer{signer(ec, IssuerAndSerialNumber)}, Certificates: bag[:1], ContentType: OIDTSTInfo},
	} {
		der, err := Sign(t.Context(), []byte(sampleText), o)
		if err != nil {
			t.Fatal(err)
		}
		samples[name] = der
		var stream bytes.Buffer
		w, err := NewSignedDataWriter(t.Context(), &stream, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, sampleText); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		samples[name+", stream"] = stream.Bytes()
	}
	if samples["certs-only"], err = MarshalCertsOnly(bag, [][]byte{sampleCRL(t, ec)}); err != nil {
		t.Fatal(err)
	}
	return samples
}

func envelopedSamples(t testing.TB) map[string][]byte {
	t.Helper()
	samples := map[string][]byte{}
	recipients := []Recipient{
		envIdentityNamed(t, "p256").recipient(t, SubjectKeyIdentifier), envIdentityNamed(t, "rsa").recipient(t, IssuerAndSerialNumber),
		{KeyIdentifier: []byte("id"), KeyEncryptionKey: testCEK, KeyManagement: AESKeyWrap},
	}
	oaep := recipients[1]
	oaep.KeyManagement = RSAOAEPSHA384
	for name, o := range map[string]EnvelopedDataOptions{
		"enveloped":                   {Cipher: AES128CBC, Recipients: recipients},
		"authEnveloped":               {Cipher: AES256GCM, Recipients: append(recipients, oaep)},
		"authEnveloped, another type": {Cipher: AES128GCM, Recipients: recipients[2:], ContentType: OIDSignedData},
	} {
		samples[name] = encryptMessage(t, []byte(sampleText), o)
	}
	// What our writer does not write.
	text := pad([]byte(sampleText), 16)
	contentType := attributeDER(t, OIDAttributeContentType, oidElement(t, OIDData))
	other := attributeDER(t, OIDAttributeSigningTime, element(0x17, []byte("261121101234Z")))
	e := cbcEnvelope(t, text)
	e.recipients = append(e.recipients, keyAgreementRecipient(t, 3), samplePasswordRecipient(t), element(0xa4, oidElement(t, oidKEMRecipient), element(0x30)))
	originator, err := sampleSigner()
	if err != nil {
		t.Fatal(err)
	}
	e.originator = element(0xa0, element(0xa0, originator.cert.Raw), element(0xa1, sampleCRL(t, originator)))
	e.unauthed = element(0xa1, other)
	samples["enveloped, every recipient"] = e.marshal(t)
	g := gcmEnvelope(t, []byte(sampleText), 12, slices.Concat(contentType, other))
	g.unauthed = element(0xa2, other)
	samples["authEnveloped, attributes"] = g.marshal(t)
	for name, c := range map[string]AlgorithmIdentifier{
		"enveloped, 3DES": {oidTripleDESCBC, element(0x04, testIV[:8])},
		"enveloped, RC2":  {oidRC2CBC, element(0x30, element(0x02, []byte{58}), element(0x04, testIV[:8]))},
	} {
		e := cbcEnvelope(t, text)
		e.cipher = c
		samples[name] = e.marshal(t)
	}
	plain := cbcEnvelope(t, text)
	samples["encrypted"] = plain.encryptedData(t)
	plain.unauthed = element(0xa1, other)
	samples["encrypted, attributes"] = plain.encryptedData(t)
	return samples
}

// samplePasswordRecipient is a PasswordRecipientInfo.
func samplePasswordRecipient(t testing.TB) []byte {
	t.Helper()
	prf := element(0x30, oidElement(t, oidHMACWithSHA256), derNull)
	kdf := element(0xa0, oidElement(t, oidPBKDF2), element(0x30, element(0x04, []byte("salt")), element(0x02, []byte{10}), element(0x02, []byte{16}), prf))
	wrap := element(0x30, oidElement(t, oidPWRIKEK), element(0x30, oidElement(t, oidAES128CBC), element(0x04, testIV)))
	return element(0xa3, element(0x02, []byte{0}), kdf, wrap, element(0x04, make([]byte, 32)))
}

// everything is what can be read of a message.
type everything struct {
	info    ContentInfo
	content []byte
	digest  *ContentDigest
	err     error // of the content, where the head could be read
}

// readEverything reads a message to its end, and decrypts it under the key of the samples.
func readEverything(ctx context.Context, src io.Reader, l Limits) (everything, error) {
	var content bytes.Buffer
	all, err := readEverythingTo(ctx, &content, src, l)
	all.content = content.Bytes()
	return all, err
}

func readEverythingTo(ctx context.Context, content io.Writer, src io.Reader, l Limits) (everything, error) {
	info, err := Read(src, l)
	if err != nil {
		return everything{}, err
	}
	all := everything{info: info}
	weak := DecryptOptions{AllowWeak: true}
	switch info := info.(type) {
	case *SignedData:
		all.digest, all.err = info.ReadContent(ctx, content)
	case *EnvelopedData:
		all.err = info.Decrypt(ctx, content, sampleKey(info.content), weak)
	case *EncryptedData:
		all.err = info.Decrypt(ctx, content, sampleKey(info.content), weak)
	case *CompressedData:
		all.err = info.Decompress(ctx, content)
	case *DigestedData:
		all.err = info.ReadContent(ctx, content)
	default:
		return all, fmt.Errorf("message is a %T", info)
	}
	return all, nil
}

// sampleKey is testCEK, as long as the cipher wants it.
func sampleKey(c *encryptedContent) []byte { return bytes.Repeat(testCEK[:1], c.parameters.keySize) }

// ask has a message that was read say all that it knows, as far as that costs little.
func (all everything) ask() {
	switch info := all.info.(type) {
	case *SignedData:
		for _, si := range info.SignerInfos {
			si.SigningTime()
			si.SMIMECapabilities()
			si.EncryptionKeyPreference()
			si.TimeStampTokens()
			_, _ = si.RevocationValues()
			_, _ = si.Digest()
			_, _ = si.SigningCertificates()
			info.Certificate(si.SID)
			info.CertificatesFor(si.SID)
			SignatureName(si, nil)
		}
		info.CertsOnly()
	case *EnvelopedData:
		for _, ri := range info.Recipients {
			ri.AlgorithmName()
			ri.Type()
			ri.CEKSize()
		}
	}
}

// verify verifies the signatures of a message that was read; what is detached is taken for one over the text of the
// samples.
func (all everything) verify() ([]Verification, error) {
	s, ok := all.info.(*SignedData)
	if !ok || all.err != nil {
		return nil, errors.New("no SignedData")
	}
	digest := all.digest
	if digest == nil {
		var err error
		if digest, err = NewContentDigest(crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512); err != nil {
			return nil, err
		}
		_, _ = digest.Write([]byte(sampleText)) // never fails
	}
	return s.Verify(digest, VerifyOptions{ContentType: s.EContentType, AllowWeak: true})
}

// unwrap tries keys of all kinds on every recipient, and returns how often one fitted.
func (all everything) unwrap(t testing.TB) (fitted int) {
	e, ok := all.info.(*EnvelopedData)
	if !ok {
		return 0
	}
	key, err := ecdh.P256().NewPrivateKey(append(make([]byte, 31), 7))
	if err != nil {
		t.Fatal(err)
	}
	x25519, err := ecdh.X25519().NewPrivateKey(append(make([]byte, 31), 7))
	if err != nil {
		t.Fatal(err)
	}
	try := func(ri RecipientInfo, cek []byte, err error) {
		if err != nil {
			return
		}
		fitted++
		if len(cek) != ri.CEKSize() {
			t.Errorf("%T: unwrapped %d octets, want %d", ri, len(cek), ri.CEKSize())
		}
	}
	for _, ri := range e.Recipients {
		switch ri := ri.(type) {
		case *KeyTransRecipientInfo:
			cek, err := ri.Unwrap(envIdentityNamed(t, "rsa").key.(crypto.Decrypter))
			try(ri, cek, err)
		case *KeyAgreeRecipientInfo:
			for _, key := range []ECDH{key, x25519} {
				cek, err := ri.Unwrap(key)
				try(ri, cek, err)
			}
		case *KEKRecipientInfo:
			cek, err := ri.Unwrap(testCEK)
			try(ri, cek, err)
		case *PasswordRecipientInfo:
			if ri.derivation.iterations < 1000 {
				cek, err := ri.Unwrap(samplePassword)
				try(ri, cek, err)
			}
		}
	}
	return fitted
}

// TestSamples: what the other tests start from is right.
func TestSamples(t *testing.T) {
	for name, message := range sampleMessages(t) {
		all, err := readEverything(t.Context(), bytes.NewReader(message), Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		all.ask()
		if _, err := all.verify(); err != nil && strings.HasPrefix(name, "signed") {
			t.Errorf("%s: %v", name, err)
		}
		if fitted := all.unwrap(t); fitted == 0 && strings.Contains(name, "nveloped") && !strings.Contains(name, "recipient") && !strings.Contains(name, "attributes") && !strings.Contains(name, ", ") {
			t.Errorf("%s: no key fits", name)
		}
		_, enveloped := all.info.(*EnvelopedData)
		switch {
		case errors.Is(all.err, ErrDecrypt) && enveloped && !strings.Contains(name, "recipient") && !strings.Contains(name, "attributes"):
			// Under another key than that of the samples, for the most part.
		case all.err != nil:
			t.Errorf("%s: %v", name, all.err)
		case string(all.content) != sampleText && name != "certs-only" && !strings.Contains(name, "detached"):
			t.Errorf("%s: content %q", name, all.content)
		}
		// Whoever wants no content gets the same answer.
		discarded, err := readEverythingTo(t.Context(), nil, bytes.NewReader(message), Limits{})
		if err != nil || !errors.Is(discarded.err, kindOfError(all.err)) {
			t.Errorf("%s, discarded: %v, %v", name, err, discarded.err)
		}
		der, err := ber.ToDER(message, ber.Limits{})
		if err != nil || len(der) > len(message) {
			t.Errorf("%s: %d octets of DER, %v", name, len(der), err)
		}
	}
}
