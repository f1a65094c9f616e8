package cms

import (
	"bytes"
	"errors"
	"testing"
)

func readEncrypted(t testing.TB, message []byte, l Limits) (*EncryptedData, error) {
	t.Helper()
	info, err := Read(bytes.NewReader(message), l)
	if err != nil {
		return nil, err
	}
	e, ok := info.(*EncryptedData)
	if !ok {
		t.Fatalf("message is a %T", info)
	}
	return e, nil
}

func TestEncryptedData(t *testing.T) {
	text := []byte("some text to decrypt")
	good := func(change func(*envelope)) []byte {
		e := cbcEnvelope(t, padAES(bytes.Clone(text)))
		if change != nil {
			change(&e)
		}
		return e.encryptedData(t)
	}
	tests := []struct {
		name    string
		message []byte
		key     []byte
		want    error // nil where is is empty: the text
		is      string
	}{
		{"right", good(nil), testCEK, nil, ""},
		{"attributes", good(func(e *envelope) { e.unauthed = element(0xa1, attributeDER(t, OIDAttributeSigningTime, derNull)) }), testCEK, nil, ""},
		{"wrong key", good(nil), make([]byte, 16), ErrDecrypt, ""},
		{"key of another length", good(nil), make([]byte, 32), ErrDecrypt, ""},
		{"no key", good(nil), nil, ErrDecrypt, ""},
		{"ragged", good(func(e *envelope) { e.content = e.content[1:] }), testCEK, ErrDecrypt, ""},
		{"data behind it", good(func(e *envelope) { e.trailing = []byte("x") }), testCEK, ErrTrailing, ""},
		{"attributes that are none", good(func(e *envelope) { e.unauthed = element(0xa1, derNull) }), testCEK, ErrMalformed, ""},
		{"surplus", good(func(e *envelope) { e.unauthed = element(0xa2, derNull) }), testCEK, ErrMalformed, ""},
		{"GCM", good(func(e *envelope) { e.cipher = AlgorithmIdentifier{oidAES128GCM, element(0x30, element(0x04, testIV))} }), testCEK, nil, "aes-128-gcm in EncryptedData"},
		{"no content", good(func(e *envelope) { e.content = nil }), testCEK, nil, "without its encrypted content"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e, err := readEncrypted(t, test.message, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err = e.Decrypt(t.Context(), &out, test.key, DecryptOptions{})
			var unsupported *UnsupportedError
			switch {
			case test.is != "":
				if !errors.As(err, &unsupported) || !errors.Is(e.Check(DecryptOptions{}), err) && e.Check(DecryptOptions{}).Error() != err.Error() {
					t.Fatalf("error %v, want %s", err, test.is)
				}
			case test.want != nil:
				if !errors.Is(err, test.want) || test.want == ErrDecrypt && err != ErrDecrypt {
					t.Fatalf("error %v, want %v", err, test.want)
				}
			case err != nil || !bytes.Equal(out.Bytes(), text):
				t.Fatalf("%q, %v", &out, err)
			}
		})
	}
	message := good(nil)
	for size := range message {
		e, err := readEncrypted(t, message[:size], Limits{})
		if err == nil {
			err = e.Decrypt(t.Context(), &bytes.Buffer{}, testCEK, DecryptOptions{})
		}
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("cut to %d of %d octets: %v", size, len(message), err)
		}
	}
	e, err := readEncrypted(t, message, Limits{Content: 31})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Decrypt(t.Context(), &bytes.Buffer{}, testCEK, DecryptOptions{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("limit of content: %v", err)
	}
}
