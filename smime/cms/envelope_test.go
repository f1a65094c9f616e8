package cms

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"slices"
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
	e.cipher.AddTo(&b, cbasn1.SEQUENCE)
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

// encryptedData is the same content as an EncryptedData.
func (e envelope) encryptedData(t testing.TB) []byte {
	t.Helper()
	var b cryptobyte.Builder
	e.cipher.AddTo(&b, cbasn1.SEQUENCE)
	cipher, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	content := e.contentRaw
	if e.content != nil {
		content = element(0x80, e.content)
	}
	version := []byte{0}
	if e.unauthed != nil {
		version = []byte{2}
	}
	body := element(0x30, element(0x02, version), element(0x30, oidElement(t, e.eContentType), cipher, content), e.unauthed)
	return append(element(0x30, oidElement(t, OIDEncryptedData), element(0xa0, body)), e.trailing...)
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
	err = e.Decrypt(t.Context(), &out, cek, DecryptOptions{})
	return e, out.Bytes(), err
}

// keyAgreementRecipient is a KeyAgreeRecipientInfo for n recipients by key identifier, with UKM, date and other attributes.
func keyAgreementRecipient(t testing.TB, n int) []byte {
	t.Helper()
	originator := element(0xa0, element(0xa1, element(0x30, oidElement(t, oidECPublicKey), derNull), element(0x03, make([]byte, 66))))
	algorithm := element(0x30, oidElement(t, oidStdDHSHA256KDF), element(0x30, oidElement(t, oidAES128Wrap)))
	var keys []byte
	for i := range n {
		rid := element(0xa0, element(0x04, []byte{byte(i + 1)}), element(0x18, []byte("20261121101234Z")), element(0x30, oidElement(t, OIDData)))
		keys = append(keys, element(0x30, rid, element(0x04, make([]byte, 24)))...)
	}
	return element(0xa1, element(0x02, []byte{3}), originator, element(0xa1, element(0x04, []byte("ukm"))), algorithm, element(0x30, keys))
}
