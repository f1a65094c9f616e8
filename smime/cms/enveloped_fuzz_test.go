package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// FuzzReadEnveloped reads anything, with a key that the seeds are encrypted under. Nothing panics or outgrows its
// limits; how the input is cut makes no difference; and no authenticated message opens but with the text of a seed.
func FuzzReadEnveloped(f *testing.F) {
	texts := [][]byte{{}, []byte("a text"), bytes.Repeat([]byte("longer "), 20)}
	attributes := attributeDER(f, OIDAttributeContentType, oidElement(f, OIDData))
	agreement := keyAgreementRecipient(f, 2)
	for _, text := range texts {
		cbc := cbcEnvelope(f, padAES(bytes.Clone(text)))
		f.Add(cbc.marshal(f))
		cbc.recipients = append(cbc.recipients, agreement)
		cbc.originator = element(0xa0, element(0xa0, element(0x30)))
		cbc.unauthed = element(0xa1, attributes)
		f.Add(cbc.marshal(f))
		f.Add(gcmEnvelope(f, text, 16, nil).marshal(f))
		f.Add(gcmEnvelope(f, text, 12, attributes).marshal(f))
	}
	// Streamed, to several recipients: its key is not the one used here.
	f.Add(encryptMessage(f, texts[2], EnvelopedDataOptions{Cipher: AES128GCM, Recipients: []Recipient{
		envIdentityNamed(f, "p256").recipient(f, SubjectKeyIdentifier), envIdentityNamed(f, "rsa").recipient(f, IssuerAndSerialNumber),
	}}))
	// Other kinds of recipients, and of messages.
	kinds := cbcEnvelope(f, padAES(texts[1]))
	kinds.recipients = append(kinds.recipients, newPasswordRecipient(f, crypto.SHA256, element(0x30, oidElement(f, oidHMACWithSHA256)), 2).marshal(), element(0xa4, oidElement(f, oidKEMRecipient), element(0x30)))
	kinds.originator = element(0xa0, element(0xa0, envIdentityNamed(f, "p256").cert.Raw), element(0xa1, element(0x30)))
	f.Add(kinds.marshal(f))
	f.Add(kinds.encryptedData(f))
	for _, weak := range weakEnvelopes(f, texts[1]) {
		f.Add(weak.envelope.marshal(f))
		f.Add(weak.envelope.encryptedData(f))
	}
	key, err := ecdh.P256().NewPrivateKey(append(make([]byte, 31), 7))
	if err != nil {
		f.Fatal(err)
	}
	limits := Limits{Depth: 16, Structure: 64 << 10, Recipients: 8, Content: 1 << 20}

	f.Fuzz(func(t *testing.T, message []byte) {
		open := func(src io.Reader) (e *EnvelopedData, text []byte, err error) {
			info, err := Read(src, limits)
			if err != nil {
				return nil, nil, err
			}
			var out bytes.Buffer
			switch e := info.(type) {
			case *EnvelopedData:
				err = e.Decrypt(t.Context(), &out, testCEK, DecryptOptions{AllowWeak: true})
				return e, out.Bytes(), err
			case *EncryptedData:
				err = e.Decrypt(t.Context(), &out, testCEK, DecryptOptions{AllowWeak: true})
				return nil, out.Bytes(), err
			}
			return nil, nil, errors.New("not encrypted")
		}
		e, text, err := open(bytes.NewReader(message))
		if _, again, errAgain := open(iotest.OneByteReader(bytes.NewReader(message))); (err == nil) != (errAgain == nil) || err == nil && !bytes.Equal(text, again) {
			t.Fatalf("in one piece %x, %v; by octets %x, %v", text, err, again, errAgain)
		}
		if e == nil {
			return
		}
		if len(e.Recipients) == 0 || len(e.Recipients) > limits.Recipients {
			t.Fatalf("%d recipients", len(e.Recipients))
		}
		for _, ri := range e.Recipients {
			if ri.AlgorithmName() == "" || ri.Type() == "" {
				t.Fatalf("%T without a name", ri)
			}
			var cek []byte
			err := ErrDecrypt
			switch ri := ri.(type) {
			case *KeyAgreeRecipientInfo:
				cek, err = ri.Unwrap(key)
			case *KEKRecipientInfo:
				cek, err = ri.Unwrap(testCEK)
			case *PasswordRecipientInfo:
				if ri.derivation.iterations < 1000 {
					cek, err = ri.Unwrap([]byte("abc"))
				}
			}
			if err == nil && len(cek) != ri.CEKSize() {
				t.Fatalf("unwrapped %d octets, want %d", len(cek), ri.CEKSize())
			}
		}
		if err != nil || !e.Authenticated {
			return
		}
		for _, known := range texts {
			if bytes.Equal(text, known) {
				return
			}
		}
		t.Fatalf("an authenticated text that nobody wrote: %x", text)
	})
}
