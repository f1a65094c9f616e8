package cms

import (
	"bytes"
	"context"
	"encoding/asn1"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestEnvelopedForms decrypts what is unusual and right.
func TestEnvelopedForms(t *testing.T) {
	text := []byte("some text to decrypt")
	contentType := attributeDER(t, OIDAttributeContentType, oidElement(t, OIDData))
	other := attributeDER(t, OIDAttributeSigningTime, element(0x17, []byte("261121101234Z")))

	segmented := cbcEnvelope(t, padAES(bytes.Clone(text)))
	c := segmented.content
	segmented.content = nil
	segmented.contentRaw = element(0xa0, element(0x04, c[:5]), element(0x24, element(0x04, c[5:17]), element(0x04)), element(0x04, c[17:]))
	indefinite := segmented
	indefinite.contentRaw = slices.Concat([]byte{0xa0, 0x80}, element(0x04, c), []byte{0, 0})
	originator := cbcEnvelope(t, padAES(bytes.Clone(text)))
	originator.originator = element(0xa0, element(0xa0, element(0x30)))
	unprotected := cbcEnvelope(t, padAES(bytes.Clone(text)))
	unprotected.unauthed = element(0xa1, other)
	unauthed := gcmEnvelope(t, text, 16, contentType)
	unauthed.unauthed = element(0xa2, other)
	standardTag := gcmEnvelope(t, text, 12, nil)
	standardTag.cipher.Parameters = element(0x30, element(0x04, testIV[:12]))
	trailing := gcmEnvelope(t, text, 16, nil)
	trailing.trailing = []byte("\r\n\x00\x00")

	tests := map[string]envelope{
		"CBC": cbcEnvelope(t, padAES(bytes.Clone(text))), "segments": segmented, "indefinite": indefinite,
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
		e := cbcEnvelope(t, padAES([]byte("text")))
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
		{"3DES with an IV of AES", cbc(func(e *envelope) { e.cipher.Algorithm = oidTripleDESCBC }), ErrMalformed, "initialization vector of 3des-cbc"},
		{"RC2 with an IV alone", cbc(func(e *envelope) { e.cipher = AlgorithmIdentifier{oidRC2CBC, element(0x04, testIV[:8])} }), nil, "RC2 with 32 effective bits"},
		{"RC2 of 256 bits", cbc(func(e *envelope) { e.cipher = rc2Identifier(256, testIV[:8]) }), nil, "RC2 of parameter version 256"},
		{"RC2 with an IV of AES", cbc(func(e *envelope) { e.cipher = rc2Identifier(58, testIV) }), ErrMalformed, "initialization vector of rc2-cbc"},
		{"RC2 without parameters", cbc(func(e *envelope) { e.cipher = AlgorithmIdentifier{oidRC2CBC, derNull} }), ErrMalformed, "initialization vector of rc2-cbc"},
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
	for _, e := range []envelope{cbcEnvelope(t, padAES([]byte("text"))), gcmEnvelope(t, []byte("text"), 16, nil)} {
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
	nonce := e.content.parameters.iv
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
	many := cbcEnvelope(t, padAES(nil))
	agreement := keyAgreementRecipient(t, 5)
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

func TestDecryptOnce(t *testing.T) {
	e, _, err := decryptWith(t, gcmEnvelope(t, []byte("text"), 16, nil).marshal(t), testCEK, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Decrypt(t.Context(), io.Discard, testCEK, DecryptOptions{}); err == nil || err == ErrDecrypt {
		t.Fatalf("second time: %v", err)
	}
}

func TestDecryptErrorsOfOthers(t *testing.T) {
	for _, envelope := range []envelope{cbcEnvelope(t, padAES(make([]byte, 100))), gcmEnvelope(t, make([]byte, 100), 16, nil)} {
		e := readMessage(t, envelope.marshal(t))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.Decrypt(ctx, io.Discard, testCEK, DecryptOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, cancelled: %v", e.Cipher, err)
		}
		full := errors.New("no space left")
		e = readMessage(t, envelope.marshal(t))
		if err := e.Decrypt(t.Context(), failingWriter{full}, testCEK, DecryptOptions{}); !errors.Is(err, full) || errors.Is(err, ErrDecrypt) {
			t.Errorf("%v, full quarantine: %v", e.Cipher, err)
		}
	}
}
