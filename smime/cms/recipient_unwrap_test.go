package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
)

func TestRecipientForms(t *testing.T) {
	e := cbcEnvelope(t, padAES(nil))
	password := element(0xa3, element(0x02, []byte{0}), element(0xa0, oidElement(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12})),
		element(0x30, oidElement(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 9})), element(0x04))
	kem := element(0xa4, oidElement(t, oidKEMRecipient), element(0x30))
	unknown := element(0xa9, []byte{0xff, 0xff})
	e.recipients = [][]byte{kekRecipient(t), password, kem, keyAgreementRecipient(t, 2), element(0xa4), element(0xa9, element(0x04))}
	info, err := Read(bytes.NewReader(e.marshal(t)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	recipients := info.(*EnvelopedData).Recipients
	want := []struct {
		kind RecipientType
		name string
	}{
		{KeyEncryptionKey, "aes-128-wrap"}, {Password, "pwri-kek"}, {KeyEncapsulation, oidKEMRecipient.String()},
		{KeyAgreement, "ecdh-p256"}, {KeyAgreement, "ecdh-p256"}, {OtherRecipient, "unknown"}, {OtherRecipient, "unknown"},
	}
	if len(recipients) != len(want) {
		t.Fatalf("%d recipients, want %d", len(recipients), len(want))
	}
	for i, ri := range recipients {
		if ri.Type() != want[i].kind || ri.AlgorithmName() != want[i].name || ri.CEKSize() != 16 {
			t.Errorf("recipient %d: %s %s %d, want %v", i, ri.Type(), ri.AlgorithmName(), ri.CEKSize(), want[i])
		}
	}
	for i, id := range []byte{1, 2} {
		ri := recipients[3+i].(*KeyAgreeRecipientInfo)
		if !bytes.Equal(ri.Recipient().SubjectKeyID, []byte{id}) || string(ri.UKM) != "ukm" {
			t.Errorf("recipient %d: %x, %q", 3+i, ri.Recipient().SubjectKeyID, ri.UKM)
		}
	}
	e.recipients = [][]byte{unknown}
	if _, err := Read(bytes.NewReader(e.marshal(t)), Limits{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("recipient that is not BER: %v", err)
	}
}

func TestUnwrapUnsupported(t *testing.T) {
	rsaID, ecID := envIdentityNamed(t, "rsa"), envIdentityNamed(t, "p256")
	rsaKey := rsaID.key.(crypto.Decrypter)
	tests := []struct {
		name string
		ri   RecipientInfo
		want string
	}{
		{"content", &KeyTransRecipientInfo{recipient: recipient{key: contentKey{unusable: &UnsupportedError{What: "content"}}}}, "content"},
		{"content, agreement", &KeyAgreeRecipientInfo{recipient: recipient{key: contentKey{unusable: &UnsupportedError{What: "content"}}}}, "content"},
		{"key transport algorithm", &KeyTransRecipientInfo{recipient: recipient{key: contentKey{size: 16}}}, "key transport algorithm"},
		{"key agreement algorithm", &KeyAgreeRecipientInfo{recipient: recipient{key: contentKey{size: 16}}}, "key agreement algorithm"},
		{"OAEP hash", &KeyTransRecipientInfo{recipient: recipient{key: contentKey{size: 16}, algorithm: AlgorithmIdentifier{oidRSAESOAEP, element(0x30, element(0xa0, element(0x30, oidElement(t, oidMD5))))}}}, "hash of RSA-OAEP"},
		{"key wrap", keyAgreeWith(t, oidRSAEncryption, Originator{}), "key wrap algorithm"},
		{"originator", keyAgreeWith(t, oidAES128Wrap, Originator{Certificate: CertificateIdentifier{SubjectKeyID: []byte{1}}}), "originator whose certificate is missing"},
		{"originator's algorithm", keyAgreeWith(t, oidAES128Wrap, Originator{PublicKey: []byte{4}}), "key of the originator"},
	}
	for _, test := range tests {
		id := rsaID
		if test.ri.Type() == KeyAgreement {
			id = ecID
		}
		_, err := id.unwrap(t, test.ri)
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	// A point that is not on the curve is refused before anything is computed with the key.
	point := append([]byte{4}, make([]byte, 64)...)
	off := keyAgreeWith(t, oidAES128Wrap, Originator{PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidECPublicKey}, PublicKey: point})
	if _, err := ecID.unwrap(t, off); err != ErrDecrypt {
		t.Errorf("point off the curve: %v", err)
	}
	ri := &KeyTransRecipientInfo{recipient: recipient{key: contentKey{size: 16}, algorithm: AlgorithmIdentifier{Algorithm: oidRSAEncryption}}, EncryptedKey: make([]byte, 256)}
	small := otherDecrypter{rsaKey, &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 511), E: 3}}
	if _, err := ri.Unwrap(small); err == nil || err.Error() != "unsupported RSA key of 512 bits" {
		t.Errorf("small key: %v", err)
	}
	if _, err := ri.Unwrap(otherDecrypter{rsaKey, ecID.key.Public()}); err == nil || !strings.Contains(err.Error(), "*ecdsa.PublicKey") {
		t.Errorf("EC key: %v", err)
	}
}

func keyAgreeWith(t testing.TB, wrap asn1.ObjectIdentifier, o Originator) *KeyAgreeRecipientInfo {
	t.Helper()
	algorithm := AlgorithmIdentifier{oidStdDHSHA256KDF, element(0x30, oidElement(t, wrap))}
	return &KeyAgreeRecipientInfo{recipient: recipient{key: contentKey{size: 16}, algorithm: algorithm}, Originator: o, EncryptedKey: make([]byte, 24)}
}

// otherDecrypter is a key that is not Go's own, such as one in hardware.
type otherDecrypter struct {
	crypto.Decrypter
	public crypto.PublicKey
}

func (d otherDecrypter) Public() crypto.PublicKey { return d.public }

type brokenDecrypter struct {
	public crypto.PublicKey
	cek    []byte
	err    error
}

func (d brokenDecrypter) Public() crypto.PublicKey { return d.public }

func (d brokenDecrypter) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return d.cek, d.err
}

// TestUnwrapHidesPadding checks that a Decrypter that tells about the padding is not passed on.
func TestUnwrapHidesPadding(t *testing.T) {
	public := envIdentityNamed(t, "rsa").key.Public()
	ri := &KeyTransRecipientInfo{recipient: recipient{key: contentKey{size: 32}, algorithm: AlgorithmIdentifier{Algorithm: oidRSAEncryption}}}
	for _, key := range []brokenDecrypter{{public, nil, errors.New("padding")}, {public, make([]byte, 31), nil}, {public, nil, nil}} {
		cek, err := ri.Unwrap(key)
		if err != nil || len(cek) != 32 || bytes.Equal(cek, make([]byte, 32)) {
			t.Errorf("%x, %v", cek, err)
		}
	}
	ri.algorithm = oaepWith(t, crypto.SHA256, crypto.SHA256, nil)
	if cek, err := ri.Unwrap(brokenDecrypter{public, nil, errors.New("padding")}); cek != nil || err != ErrDecrypt {
		t.Errorf("OAEP: %x, %v", cek, err)
	}
}
