package interop

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

func (s sealmail) readEnveloped(t testing.TB, f form, m *cms.EnvelopedData) ([]byte, error) {
	t.Helper()
	if err := cipherIs(m.Cipher, m.ContentEncryption, f); err != nil {
		return nil, err
	}
	if len(m.Recipients) != len(f.recipients) {
		return nil, fmt.Errorf("%d recipients", len(m.Recipients))
	}
	if f.originators && !(len(m.OriginatorCertificates) == 1 && bytes.Equal(m.OriginatorCertificates[0], s.ids["originator"].cert.Raw)) {
		return nil, fmt.Errorf("%d certificates of the originator", len(m.OriginatorCertificates))
	}
	if err := weakIsChecked(f, m.Check); err != nil {
		return nil, err
	}
	var cek []byte
	for i, want := range f.recipients {
		key, err := s.unwrap(m, want)
		if err != nil {
			return nil, fmt.Errorf("recipient %d: %w", i, err)
		}
		if cek != nil && !bytes.Equal(key, cek) {
			return nil, errors.New("two keys")
		}
		cek = key
	}
	var got bytes.Buffer
	if err := m.Decrypt(t.Context(), &got, cek, cms.DecryptOptions{AllowWeak: f.weak}); err != nil {
		return nil, err
	}
	if f.attributes && len(m.AuthenticatedAttributes)+len(m.UnauthenticatedAttributes) != 1 {
		return nil, fmt.Errorf("attributes %v and %v", m.AuthenticatedAttributes, m.UnauthenticatedAttributes)
	}
	return got.Bytes(), nil
}

func (s sealmail) readEncrypted(t testing.TB, f form, m *cms.EncryptedData, key []byte) ([]byte, error) {
	t.Helper()
	if err := cipherIs(m.Cipher, m.ContentEncryption, f); err != nil {
		return nil, err
	}
	if err := weakIsChecked(f, m.Check); err != nil {
		return nil, err
	}
	var got bytes.Buffer
	err := m.Decrypt(t.Context(), &got, key, cms.DecryptOptions{AllowWeak: f.weak})
	return got.Bytes(), err
}

// weakIsChecked checks that a weak cipher passes only where it is allowed.
func weakIsChecked(f form, check func(cms.DecryptOptions) error) error {
	err := check(cms.DecryptOptions{})
	if weak := (*cms.WeakError)(nil); errors.As(err, &weak) != f.weak {
		return fmt.Errorf("without weak algorithms: %v", err)
	}
	return check(cms.DecryptOptions{AllowWeak: f.weak})
}

// rc2Versions say the effective bits of RC2 (RFC 2268 section 6).
var rc2Versions = map[int]string{160: "rc2-40-cbc", 120: "rc2-64-cbc", 58: "rc2-128-cbc"}

// cipherIs checks that the content is encrypted as the form says.
func cipherIs(c cms.Cipher, a cms.AlgorithmIdentifier, f form) error {
	name := c.String()
	if c == cms.RC2CBC {
		var parameters struct {
			Version int
			IV      []byte
		}
		if _, err := asn1.Unmarshal(a.Parameters, &parameters); err != nil {
			return err
		}
		name = rc2Versions[parameters.Version]
	}
	if name != f.cipher {
		return fmt.Errorf("encrypted with %s", name)
	}
	return nil
}

// unwrap finds a recipient, checks that it is what the form says, and returns the content-encryption key.
func (s sealmail) unwrap(m *cms.EnvelopedData, want recipient) ([]byte, error) {
	id := s.ids[want.who]
	for _, ri := range m.Recipients {
		byCertificate := id.cert != nil && ri.Recipient().Matches(id.cert)
		if byCertificate && (ri.Recipient().SubjectKeyID != nil) != want.keyID {
			return nil, fmt.Errorf("recipient is named by key identifier: %v", !want.keyID)
		}
		switch ri := ri.(type) {
		case *cms.KeyTransRecipientInfo:
			if byCertificate {
				key, ok := id.key.(crypto.Decrypter)
				if !ok {
					return nil, fmt.Errorf("%s does not decrypt", id.name)
				}
				return unwrapped(ri.Unwrap(key))(keyTransIs(ri, want, s.label))
			}
		case *cms.KeyAgreeRecipientInfo:
			if byCertificate {
				key, err := agreementKey(id)
				if err != nil {
					return nil, err
				}
				return unwrapped(ri.Unwrap(key, s.ids["originator"].cert))(agreementIs(ri, want))
			}
		case *cms.KEKRecipientInfo:
			if want.way == sharedKEK && bytes.Equal(ri.KeyIdentifier, s.kekID) {
				return unwrapped(ri.Unwrap(s.kek[:want.wrap/8]))(oidIs(ri.KeyEncryption().Algorithm, want.wrapOID()))
			}
		case *cms.PasswordRecipientInfo:
			if want.way == password {
				return unwrapped(ri.Unwrap(s.password))(passwordIs(ri, want))
			}
		}
	}
	return nil, errors.New("no such recipient")
}

// unwrapped joins a key with what else is to be checked.
func unwrapped(cek []byte, err error) func(error) ([]byte, error) {
	return func(wrong error) ([]byte, error) { return cek, errors.Join(err, wrong) }
}

func agreementKey(id identity) (*ecdh.PrivateKey, error) {
	switch key := id.key.(type) {
	case *ecdsa.PrivateKey:
		return key.ECDH()
	case *ecdh.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("%s does not agree on keys", id.name)
}

func oidIs(got, want asn1.ObjectIdentifier) error {
	if !got.Equal(want) {
		return fmt.Errorf("algorithm %v instead of %v", got, want)
	}
	return nil
}

// keyTransIs checks the parameters of OAEP (RFC 8017 appendix A.2.1) with their defaults.
func keyTransIs(ri *cms.KeyTransRecipientInfo, want recipient, label []byte) error {
	if want.way == rsaPKCS1v15 {
		return oidIs(ri.KeyEncryption().Algorithm, oidRSAEncryption)
	}
	var p struct {
		Hash  pkix.AlgorithmIdentifier `asn1:"explicit,tag:0,optional"`
		MGF   pkix.AlgorithmIdentifier `asn1:"explicit,tag:1,optional"`
		Label pkix.AlgorithmIdentifier `asn1:"explicit,tag:2,optional"`
	}
	if _, err := asn1.Unmarshal(ri.KeyEncryption().Parameters, &p); err != nil {
		return err
	}
	hash, mgf := hashOIDs[crypto.SHA1], hashOIDs[crypto.SHA1]
	if p.Hash.Algorithm != nil {
		hash = p.Hash.Algorithm
	}
	if p.MGF.Algorithm != nil {
		var inner pkix.AlgorithmIdentifier
		if _, err := asn1.Unmarshal(p.MGF.Parameters.FullBytes, &inner); err != nil {
			return err
		}
		mgf = inner.Algorithm
	}
	var gotLabel []byte
	if p.Label.Algorithm != nil {
		gotLabel = p.Label.Parameters.Bytes
	}
	wantLabel := []byte(nil)
	if want.label {
		wantLabel = label
	}
	if !bytes.Equal(gotLabel, wantLabel) {
		return fmt.Errorf("label %q", gotLabel)
	}
	return errors.Join(oidIs(ri.KeyEncryption().Algorithm, oidRSAESOAEP), oidIs(hash, hashOIDs[want.hash]), oidIs(mgf, hashOIDs[want.mgfHash()]))
}

func agreementIs(ri *cms.KeyAgreeRecipientInfo, want recipient) error {
	var wrap pkix.AlgorithmIdentifier
	if _, err := asn1.Unmarshal(ri.KeyEncryption().Parameters, &wrap); err != nil {
		return err
	}
	if named := ri.Originator.PublicKey == nil; named != want.static || (ri.UKM != nil) != want.ukm {
		return fmt.Errorf("originator named: %v, keying material %x", named, ri.UKM)
	}
	return errors.Join(oidIs(ri.KeyEncryption().Algorithm, schemeOIDs[want.way][want.hash]), oidIs(wrap.Algorithm, want.wrapOID()))
}

// passwordIs checks the parameters of PBKDF2 (RFC 8018 appendix A.2) and PWRI-KEK (RFC 3211).
func passwordIs(ri *cms.PasswordRecipientInfo, want recipient) error {
	var kdf struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(ri.KeyDerivation.Parameters, &kdf); err != nil {
		return err
	}
	prf := hmacOIDs[crypto.SHA1]
	if kdf.PRF.Algorithm != nil {
		prf = kdf.PRF.Algorithm
	}
	var cipher pkix.AlgorithmIdentifier
	if _, err := asn1.Unmarshal(ri.KeyEncryption().Parameters, &cipher); err != nil {
		return err
	}
	return errors.Join(oidIs(ri.KeyEncryption().Algorithm, oidPWRIKEK), oidIs(prf, hmacOIDs[want.hash]), oidIs(cipher.Algorithm, cipherOIDs[want.passwordCipher()]))
}
