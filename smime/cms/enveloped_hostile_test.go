package cms

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// envelope is a message in its parts, for building ones that no writer writes. Parts that are nil are left out.
type envelope struct {
	contentType   asn1.ObjectIdentifier
	version       []byte
	originator    []byte
	recipients    [][]byte
	eContentType  asn1.ObjectIdentifier
	cipher        AlgorithmIdentifier
	content       []byte // as one octet string
	contentRaw    []byte // or so
	authenticated []byte
	mac           []byte
	unauthed      []byte
	trailing      []byte
}

var (
	testCEK = bytes.Repeat([]byte{0x42}, 16)
	testIV  = bytes.Repeat([]byte{0x17}, 16)
)

func element(tag byte, parts ...[]byte) []byte {
	content := slices.Concat(parts...)
	h := ber.Header{Class: ber.Class(tag >> 6), Constructed: tag&0x20 != 0, Number: uint32(tag & 0x1f), Length: int64(len(content))}
	return append(ber.AppendHeader(nil, h), content...)
}

func oidElement(t testing.TB, oid asn1.ObjectIdentifier) []byte {
	t.Helper()
	der, err := asn1.Marshal(oid)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (e envelope) marshal(t testing.TB) []byte {
	t.Helper()
	var b cryptobyte.Builder
	e.cipher.add(&b, cbasn1.SEQUENCE)
	cipher, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	content := e.contentRaw
	if e.content != nil {
		content = element(0x80, e.content)
	}
	info := element(0x30, oidElement(t, e.eContentType), cipher, content)
	body := element(0x30, e.version, e.originator, element(0x31, e.recipients...), info, e.authenticated, e.mac, e.unauthed)
	return append(element(0x30, oidElement(t, e.contentType), element(0xa0, body)), e.trailing...)
}

// kekRecipient is the smallest RecipientInfo that is well formed.
func kekRecipient(t testing.TB) []byte {
	t.Helper()
	wrap := element(0x30, oidElement(t, oidAES128Wrap))
	return element(0xa2, element(0x02, []byte{4}), element(0x30, element(0x04, []byte("id"))), wrap, element(0x04, make([]byte, 24)))
}

func cbcEnvelope(t testing.TB, padded []byte) envelope {
	t.Helper()
	return envelope{
		contentType: OIDEnvelopedData, version: element(0x02, []byte{2}), recipients: [][]byte{kekRecipient(t)}, eContentType: OIDData,
		cipher: AlgorithmIdentifier{oidAES128CBC, element(0x04, testIV)}, content: encryptCBC(t, testCEK, testIV, padded),
	}
}

// gcmEnvelope authenticates the attributes, which are the content of a SET OF.
func gcmEnvelope(t testing.TB, text []byte, tagSize int, attributes []byte) envelope {
	t.Helper()
	g, err := newGCM(testCEK, testIV[:12])
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Clone(text)
	if err := g.encrypt(content); err != nil {
		t.Fatal(err)
	}
	var additional, sent []byte
	if attributes != nil {
		sorted, err := ber.SortSetOf(attributes)
		if err != nil {
			t.Fatal(err)
		}
		additional, sent = element(0x31, sorted), element(0xa1, attributes)
	}
	tag := g.tag(additional)
	return envelope{
		contentType: OIDAuthEnvelopedData, version: element(0x02, []byte{0}), recipients: [][]byte{kekRecipient(t)}, eContentType: OIDData,
		cipher:  AlgorithmIdentifier{oidAES128GCM, element(0x30, element(0x04, testIV[:12]), element(0x02, []byte{byte(tagSize)}))},
		content: content, authenticated: sent, mac: element(0x04, tag[:tagSize]),
	}
}

func attributeDER(t testing.TB, oid asn1.ObjectIdentifier, values ...[]byte) []byte {
	t.Helper()
	return element(0x30, oidElement(t, oid), element(0x31, values...))
}

// decryptWith opens a message whose key is known.
func decryptWith(t testing.TB, message []byte, cek []byte, l Limits) (*EnvelopedData, []byte, error) {
	t.Helper()
	info, err := Read(bytes.NewReader(message), l)
	if err != nil {
		return nil, nil, err
	}
	e, ok := info.(*EnvelopedData)
	if !ok {
		return nil, nil, errors.New("not EnvelopedData")
	}
	var out bytes.Buffer
	err = e.Decrypt(t.Context(), &out, cek)
	return e, out.Bytes(), err
}

// TestEnvelopedForms decrypts what is unusual and right.
func TestEnvelopedForms(t *testing.T) {
	text := []byte("some text to decrypt")
	contentType := attributeDER(t, OIDAttributeContentType, oidElement(t, OIDData))
	other := attributeDER(t, OIDAttributeSigningTime, element(0x17, []byte("261121101234Z")))

	segmented := cbcEnvelope(t, pad(bytes.Clone(text)))
	c := segmented.content
	segmented.content = nil
	segmented.contentRaw = element(0xa0, element(0x04, c[:5]), element(0x24, element(0x04, c[5:17]), element(0x04)), element(0x04, c[17:]))
	indefinite := segmented
	indefinite.contentRaw = slices.Concat([]byte{0xa0, 0x80}, element(0x04, c), []byte{0, 0})
	originator := cbcEnvelope(t, pad(bytes.Clone(text)))
	originator.originator = element(0xa0, element(0xa0, element(0x30)))
	unprotected := cbcEnvelope(t, pad(bytes.Clone(text)))
	unprotected.unauthed = element(0xa1, other)
	unauthed := gcmEnvelope(t, text, 16, contentType)
	unauthed.unauthed = element(0xa2, other)
	standardTag := gcmEnvelope(t, text, 12, nil)
	standardTag.cipher.Parameters = element(0x30, element(0x04, testIV[:12]))
	trailing := gcmEnvelope(t, text, 16, nil)
	trailing.trailing = []byte("\r\n\x00\x00")

	tests := map[string]envelope{
		"CBC": cbcEnvelope(t, pad(bytes.Clone(text))), "segments": segmented, "indefinite": indefinite,
		"originator info": originator, "unprotected attributes": unprotected, "unauthenticated attributes": unauthed,
		"tag of 12 by default": standardTag, "line end behind": trailing,
		"attributes":          gcmEnvelope(t, text, 16, slices.Concat(contentType, other)),
		"attributes unsorted": gcmEnvelope(t, text, 16, slices.Concat(other, contentType)),
		"tag of 12":           gcmEnvelope(t, text, 12, nil), "tag of 13": gcmEnvelope(t, text, 13, nil),
		"tag of 14": gcmEnvelope(t, text, 14, contentType), "tag of 15": gcmEnvelope(t, text, 15, nil),
	}
	for name, envelope := range tests {
		t.Run(name, func(t *testing.T) {
			e, got, err := decryptWith(t, envelope.marshal(t), testCEK, Limits{})
			if err != nil || !bytes.Equal(got, text) {
				t.Fatalf("%q, %v", got, err)
			}
			if has := envelope.unauthed != nil; has != (len(e.UnauthenticatedAttributes) == 1) {
				t.Errorf("unauthenticated attributes %v", e.UnauthenticatedAttributes)
			}
			if has := envelope.authenticated != nil; has != (len(e.AuthenticatedAttributes) > 0) {
				t.Errorf("authenticated attributes %v", e.AuthenticatedAttributes)
			}
		})
	}
}

// TestEnvelopedRefuses decrypts what is wrong. A name in want is part of the error's text.
func TestEnvelopedRefuses(t *testing.T) {
	cbc := func(change func(*envelope)) envelope {
		e := cbcEnvelope(t, pad([]byte("text")))
		change(&e)
		return e
	}
	gcm := func(attributes []byte, change func(*envelope)) envelope {
		e := gcmEnvelope(t, []byte("text"), 16, attributes)
		change(&e)
		return e
	}
	contentType := attributeDER(t, OIDAttributeContentType, oidElement(t, OIDData))
	tests := []struct {
		name string
		e    envelope
		is   error
		want string
	}{
		{"wrong padding", cbcEnvelope(t, bytes.Repeat([]byte{17}, 32)), ErrDecrypt, ""},
		{"ragged", cbc(func(e *envelope) { e.content = e.content[:15] }), ErrDecrypt, ""},
		{"empty ciphertext", cbc(func(e *envelope) { e.content = []byte{} }), ErrDecrypt, ""},
		{"IV of 15", cbc(func(e *envelope) { e.cipher.Parameters = element(0x04, testIV[:15]) }), ErrMalformed, "initialization vector"},
		{"no IV", cbc(func(e *envelope) { e.cipher.Parameters = nil }), ErrMalformed, "initialization vector"},
		{"surplus behind the content", cbc(func(e *envelope) { e.mac = element(0x04, []byte{1}) }), ErrMalformed, ""},
		{"data behind the message", cbc(func(e *envelope) { e.trailing = []byte("x") }), ErrTrailing, ""},
		// Structure is judged before padding, so that the padding makes no difference.
		{"data behind the message, wrong padding", func() envelope {
			e := cbcEnvelope(t, bytes.Repeat([]byte{17}, 32))
			e.trailing = []byte("x")
			return e
		}(), ErrTrailing, ""},
		{"no recipient", cbc(func(e *envelope) { e.recipients = nil }), ErrMalformed, "no recipient"},
		{"recipient that is none", cbc(func(e *envelope) { e.recipients = [][]byte{element(0x04)} }), ErrMalformed, "recipient with tag"},
		{"version", cbc(func(e *envelope) { e.version = element(0x02, []byte{0xff}) }), ErrMalformed, "version"},
		{"unprotected attributes", cbc(func(e *envelope) { e.unauthed = element(0xa1, element(0x04)) }), ErrMalformed, "attribute"},

		{"no content", cbc(func(e *envelope) { e.content = nil }), nil, "without its encrypted content"},
		{"3DES", cbc(func(e *envelope) { e.cipher.Algorithm = unsupportedNames[0].oid }), nil, "3des-cbc"},
		{"unknown cipher", cbc(func(e *envelope) { e.cipher.Algorithm = asn1.ObjectIdentifier{1, 2, 3} }), nil, "content encryption algorithm 1.2.3"},
		{"GCM in EnvelopedData", cbc(func(e *envelope) { e.cipher.Algorithm = oidAES128GCM }), nil, "aes-128-gcm in EnvelopedData"},
		{"CBC in AuthEnvelopedData", gcm(nil, func(e *envelope) { e.cipher.Algorithm = oidAES128CBC }), nil, "aes-128-cbc in AuthEnvelopedData"},

		{"nonce", gcm(nil, func(e *envelope) { e.cipher.Parameters[5]++ }), ErrDecrypt, ""},
		{"text", gcm(nil, func(e *envelope) { e.content[0]++ }), ErrDecrypt, ""},
		{"tag", gcm(nil, func(e *envelope) { e.mac[9]++ }), ErrDecrypt, ""},
		{"tag too short", gcm(nil, func(e *envelope) { e.mac = element(0x04, e.mac[2:14]) }), ErrDecrypt, ""},
		{"tag empty", gcm(nil, func(e *envelope) { e.mac = element(0x04) }), ErrDecrypt, ""},
		{"tag too long", gcm(nil, func(e *envelope) { e.mac = element(0x04, e.mac[2:], []byte{0}) }), ErrDecrypt, ""},
		{"no tag", gcm(nil, func(e *envelope) { e.mac = nil }), ErrMalformed, ""},
		{"attributes gone", gcm(contentType, func(e *envelope) { e.authenticated = nil }), ErrDecrypt, ""},
		{"attributes added", gcm(nil, func(e *envelope) { e.authenticated = element(0xa1, contentType) }), ErrDecrypt, ""},
		{"attributes unreadable", gcm(contentType, func(e *envelope) { e.authenticated = element(0xa1, []byte{0x30, 0x7f}) }), ErrDecrypt, ""},
		{"empty nonce", gcm(nil, func(e *envelope) { e.cipher.Parameters = element(0x30, element(0x04)) }), ErrMalformed, "parameters of AES-GCM"},
		{"tag of 11", gcm(nil, func(e *envelope) { e.cipher.Parameters[len(e.cipher.Parameters)-1] = 11 }), ErrMalformed, "parameters of AES-GCM"},
		{"tag of 17", gcm(nil, func(e *envelope) { e.cipher.Parameters[len(e.cipher.Parameters)-1] = 17 }), ErrMalformed, "parameters of AES-GCM"},
		{"no parameters", gcm(nil, func(e *envelope) { e.cipher.Parameters = derNull }), ErrMalformed, "parameters of AES-GCM"},
		{"other content type without attributes", gcm(nil, func(e *envelope) { e.eContentType = OIDSignedData }), ErrMalformed, "not authenticated"},
		{"other content type", gcm(contentType, func(e *envelope) { e.eContentType = OIDSignedData }), ErrMalformed, "not the authenticated one"},
		{"two content types", gcm(slices.Concat(contentType, contentType), func(*envelope) {}), ErrMalformed, ""},
		{"content type twice in one", gcm(attributeDER(t, OIDAttributeContentType, oidElement(t, OIDData), oidElement(t, OIDData)), func(*envelope) {}), ErrMalformed, ""},
		{"content type that is none", gcm(attributeDER(t, OIDAttributeContentType, derNull), func(*envelope) {}), ErrMalformed, "not the authenticated one"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := decryptWith(t, test.e.marshal(t), testCEK, Limits{})
			if err == nil {
				t.Fatal("no error")
			}
			var unsupported *UnsupportedError
			switch {
			case test.is == ErrDecrypt && err != ErrDecrypt:
				t.Fatalf("error %v, want ErrDecrypt and nothing more", err)
			case test.is != nil && !errors.Is(err, test.is):
				t.Fatalf("error %v, want %v", err, test.is)
			case test.is == nil && !errors.As(err, &unsupported):
				t.Fatalf("error %v, want an UnsupportedError", err)
			case !strings.Contains(err.Error(), test.want):
				t.Fatalf("error %v, want %s in it", err, test.want)
			}
		})
	}
}

func TestEnvelopedWrongKey(t *testing.T) {
	for _, e := range []envelope{cbcEnvelope(t, pad([]byte("text"))), gcmEnvelope(t, []byte("text"), 16, nil)} {
		for _, size := range []int{0, 15, 24, 32} {
			if _, _, err := decryptWith(t, e.marshal(t), make([]byte, size), Limits{}); err != ErrDecrypt {
				t.Errorf("key of %d octets: %v", size, err)
			}
		}
		if _, got, err := decryptWith(t, e.marshal(t), make([]byte, 16), Limits{}); err == nil && string(got) == "text" {
			t.Error("another key opens the message")
		}
	}
}

// TestEnvelopedDamage changes every octet of a message, in several ways. What is authenticated gives [ErrDecrypt];
// nothing, wherever it is, gives another text.
func TestEnvelopedDamage(t *testing.T) {
	id := envIdentityNamed(t, "p256")
	text := []byte("a text that is longer than two blocks of AES")
	message := encryptMessage(t, text, EnvelopedDataOptions{
		Cipher: AES256GCM, ContentType: OIDSignedData, Recipients: []Recipient{id.recipient(t, IssuerAndSerialNumber)},
	})
	e, _, err := openMessage(t, bytes.NewReader(message), id, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	attributes, err := e.AuthenticatedAttributes.marshal()
	if err != nil {
		t.Fatal(err)
	}
	nonce, _, err := gcmParameters(e.ContentEncryption)
	if err != nil {
		t.Fatal(err)
	}
	authenticated := make([]bool, len(message))
	mark := func(what string, at, size int) {
		if at < 0 {
			t.Fatalf("%s not found", what)
		}
		for i := range size {
			authenticated[at+i] = true
		}
	}
	attributesAt := bytes.Index(message, attributes[2:])
	mark("nonce", bytes.Index(message, nonce), len(nonce))
	mark("attributes", attributesAt, len(attributes)-2)
	mark("ciphertext", attributesAt-2-4-len(text), len(text)) // header of the attributes, two end-of-contents before
	mark("tag", len(message)-6-gcmTagSize, gcmTagSize)        // three end-of-contents behind

	for at := range message {
		for _, change := range []byte{0x01, 0x02, 0x10, 0x80, 0xff} {
			changed := bytes.Clone(message)
			changed[at] ^= change
			_, got, err := openMessage(t, bytes.NewReader(changed), id, Limits{})
			if authenticated[at] && err != ErrDecrypt {
				t.Errorf("octet %d of %d xor %#02x: error %v, want ErrDecrypt", at, len(message), change, err)
			}
			if err == nil && !bytes.Equal(got, text) {
				t.Errorf("octet %d of %d xor %#02x: another text is released", at, len(message), change)
			}
		}
	}
}

// TestEnvelopedTruncated cuts messages short at every octet.
func TestEnvelopedTruncated(t *testing.T) {
	id := envIdentityNamed(t, "p256")
	for _, c := range []Cipher{AES128CBC, AES128GCM} {
		message := encryptMessage(t, make([]byte, 40), EnvelopedDataOptions{Cipher: c, Recipients: []Recipient{id.recipient(t, IssuerAndSerialNumber)}})
		for size := range message {
			if _, _, err := openMessage(t, bytes.NewReader(message[:size]), id, Limits{}); !errors.Is(err, ErrMalformed) {
				t.Errorf("%v cut to %d of %d octets: %v", c, size, len(message), err)
			}
		}
	}
}

func TestEnvelopedLimits(t *testing.T) {
	id := envIdentityNamed(t, "p256")
	r := id.recipient(t, IssuerAndSerialNumber)
	message := encryptMessage(t, make([]byte, 1000), EnvelopedDataOptions{Cipher: AES256GCM, Recipients: []Recipient{r, r, r}})
	many := cbcEnvelope(t, pad(nil))
	agreement := keyAgreement(t, 5)
	many.recipients = [][]byte{kekRecipient(t), agreement}
	tests := []struct {
		name    string
		message []byte
		l       Limits
		want    error
	}{
		{"enough", message, Limits{Recipients: 3, Structure: 2000, Content: 1000, Depth: 8}, nil},
		{"recipients", message, Limits{Recipients: 2}, ErrTooMany},
		{"recipients of one key agreement", many.marshal(t), Limits{Recipients: 5}, ErrTooMany},
		{"structure", message, Limits{Structure: 500}, ErrTooLarge},
		{"content", message, Limits{Content: 999}, ErrTooLarge},
		{"depth", message, Limits{Depth: 2}, ErrTooDeep},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := openMessage(t, bytes.NewReader(test.message), id, test.l); !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
		})
	}
}

// keyAgreement is a KeyAgreeRecipientInfo for n recipients by key identifier, with UKM, date and other attributes.
func keyAgreement(t testing.TB, n int) []byte {
	t.Helper()
	originator := element(0xa0, element(0xa1, element(0x30, oidElement(t, oidECPublicKey), derNull), element(0x03, make([]byte, 66))))
	algorithm := element(0x30, oidElement(t, oidStdDHSHA256KDF), element(0x30, oidElement(t, oidAES128Wrap)))
	var keys []byte
	for i := range n {
		rid := element(0xa0, element(0x04, []byte{byte(i + 1)}), element(0x18, []byte("20261121101234Z")), element(0x30))
		keys = append(keys, element(0x30, rid, element(0x04, make([]byte, 24)))...)
	}
	return element(0xa1, element(0x02, []byte{3}), originator, element(0xa1, element(0x04, []byte("ukm"))), algorithm, element(0x30, keys))
}

func TestRecipientForms(t *testing.T) {
	e := cbcEnvelope(t, pad(nil))
	password := element(0xa3, element(0x02, []byte{0}), element(0xa0, oidElement(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12})),
		element(0x30, oidElement(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 9})), element(0x04))
	kem := element(0xa4, oidElement(t, oidKEMRecipient), element(0x30))
	unknown := element(0xa9, []byte{0xff, 0xff})
	e.recipients = [][]byte{kekRecipient(t), password, kem, keyAgreement(t, 2), element(0xa4), element(0xa9, element(0x04))}
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
		{"content", &KeyTransRecipientInfo{recipient: recipient{unsupported: &UnsupportedError{What: "content"}}}, "content"},
		{"content, agreement", &KeyAgreeRecipientInfo{recipient: recipient{unsupported: &UnsupportedError{What: "content"}}}, "content"},
		{"key transport algorithm", &KeyTransRecipientInfo{recipient: recipient{cekSize: 16}}, "key transport algorithm"},
		{"key agreement algorithm", &KeyAgreeRecipientInfo{recipient: recipient{cekSize: 16}}, "key agreement algorithm"},
		{"OAEP hash", &KeyTransRecipientInfo{recipient: recipient{cekSize: 16, algorithm: AlgorithmIdentifier{oidRSAESOAEP, element(0x30, element(0xa0, element(0x30, oidElement(t, oidMD5))))}}}, "hash of RSA-OAEP"},
		{"key wrap", keyAgreeWith(t, oidRSAEncryption, Originator{}), "key wrap algorithm"},
		{"originator", keyAgreeWith(t, oidAES128Wrap, Originator{Certificate: CertificateIdentifier{SubjectKeyID: []byte{1}}}), "originator named by certificate"},
		{"originator's algorithm", keyAgreeWith(t, oidAES128Wrap, Originator{PublicKey: []byte{4}}), "key of the originator"},
		{"compressed", keyAgreeWith(t, oidAES128Wrap, Originator{PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidECPublicKey}, PublicKey: append([]byte{2}, make([]byte, 32)...)}), "compressed point"},
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
	ri := &KeyTransRecipientInfo{recipient: recipient{cekSize: 16, algorithm: AlgorithmIdentifier{Algorithm: oidRSAEncryption}}, EncryptedKey: make([]byte, 256)}
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
	return &KeyAgreeRecipientInfo{recipient: recipient{cekSize: 16, algorithm: algorithm}, Originator: o, EncryptedKey: make([]byte, 24)}
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
	ri := &KeyTransRecipientInfo{recipient: recipient{cekSize: 32, algorithm: AlgorithmIdentifier{Algorithm: oidRSAEncryption}}}
	for _, key := range []brokenDecrypter{{public, nil, errors.New("padding")}, {public, make([]byte, 31), nil}, {public, nil, nil}} {
		cek, err := ri.Unwrap(key)
		if err != nil || len(cek) != 32 || bytes.Equal(cek, make([]byte, 32)) {
			t.Errorf("%x, %v", cek, err)
		}
	}
	ri.algorithm = oaepIdentifier(t, crypto.SHA256, crypto.SHA256, nil)
	if cek, err := ri.Unwrap(brokenDecrypter{public, nil, errors.New("padding")}); cek != nil || err != ErrDecrypt {
		t.Errorf("OAEP: %x, %v", cek, err)
	}
}

func TestDecryptOnce(t *testing.T) {
	e, _, err := decryptWith(t, gcmEnvelope(t, []byte("text"), 16, nil).marshal(t), testCEK, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Decrypt(t.Context(), io.Discard, testCEK); err == nil || err == ErrDecrypt {
		t.Fatalf("second time: %v", err)
	}
}

func TestDecryptErrorsOfOthers(t *testing.T) {
	for _, envelope := range []envelope{cbcEnvelope(t, pad(make([]byte, 100))), gcmEnvelope(t, make([]byte, 100), 16, nil)} {
		e := readMessage(t, envelope.marshal(t))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.Decrypt(ctx, io.Discard, testCEK); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, cancelled: %v", e.Cipher, err)
		}
		full := errors.New("no space left")
		e = readMessage(t, envelope.marshal(t))
		if err := e.Decrypt(t.Context(), failingWriter{full}, testCEK); !errors.Is(err, full) || errors.Is(err, ErrDecrypt) {
			t.Errorf("%v, full quarantine: %v", e.Cipher, err)
		}
	}
}
