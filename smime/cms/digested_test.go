package cms

import (
	"bytes"
	"context"
	"crypto"
	"encoding/asn1"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// digested returns a DigestedData with what stands behind the type in its EncapsulatedContentInfo.
func digested(t testing.TB, algorithm asn1.ObjectIdentifier, content, digest []byte) []byte {
	t.Helper()
	info := element(0x30, oidElement(t, OIDData), content)
	body := element(0x30, element(0x02, []byte{0}), element(0x30, oidElement(t, algorithm)), info, element(0x04, digest))
	return element(0x30, oidElement(t, OIDDigestedData), element(0xa0, body))
}

func readDigested(ctx context.Context, src io.Reader, l Limits) (*DigestedData, []byte, error) {
	info, err := Read(src, l)
	if err != nil {
		return nil, nil, err
	}
	d, ok := info.(*DigestedData)
	if !ok {
		return nil, nil, errors.New("not DigestedData")
	}
	var out bytes.Buffer
	err = d.ReadContent(ctx, &out)
	return d, out.Bytes(), err
}

func TestDigestedData(t *testing.T) {
	text := bytes.Repeat([]byte("a text of some length "), 3000)
	content := element(0xa0, element(0x04, text))
	single := element(0xa0, element(0x24, bytes.Repeat([]byte{4, 1, 'x'}, 5000)))
	for name, tt := range map[string]struct {
		message []byte
		limits  Limits
		want    error // an UnsupportedError where errUnsupported
	}{
		"sha256":               {digested(t, oidSHA256, content, digestOf(crypto.SHA256, text)), Limits{}, nil},
		"sha512":               {digested(t, oidSHA512, content, digestOf(crypto.SHA512, text)), Limits{}, nil},
		"sha1":                 {digested(t, oidSHA1, content, digestOf(crypto.SHA1, text)), Limits{}, nil},
		"single octets":        {digested(t, oidSHA256, single, digestOf(crypto.SHA256, bytes.Repeat([]byte{'x'}, 5000))), Limits{}, nil},
		"enough":               {digested(t, oidSHA256, content, digestOf(crypto.SHA256, text)), Limits{Content: int64(len(text))}, nil},
		"too large":            {digested(t, oidSHA256, content, digestOf(crypto.SHA256, text)), Limits{Content: int64(len(text)) - 1}, ErrTooLarge},
		"another digest":       {digested(t, oidSHA256, content, digestOf(crypto.SHA256, text[1:])), Limits{}, ErrMessageDigest},
		"part of a digest":     {digested(t, oidSHA256, content, digestOf(crypto.SHA256, text)[:31]), Limits{}, ErrMessageDigest},
		"no digest":            {digested(t, oidSHA256, content, nil), Limits{}, ErrMessageDigest},
		"md5":                  {digested(t, oidMD5, content, make([]byte, 16)), Limits{}, ErrBrokenDigest},
		"no digest algorithm":  {digested(t, OIDData, content, nil), Limits{}, errUnsupported},
		"detached":             {digested(t, oidSHA256, nil, digestOf(crypto.SHA256, nil)), Limits{}, errUnsupported},
		"PKCS #7":              {digested(t, oidSHA256, element(0xa0, element(0x30)), nil), Limits{}, errUnsupported},
		"octets behind":        {append(digested(t, oidSHA256, content, digestOf(crypto.SHA256, text)), 'x'), Limits{}, ErrTrailing},
		"content that is none": {digested(t, oidSHA256, element(0xa0), digestOf(crypto.SHA256, nil)), Limits{}, ErrMalformed},
	} {
		d, got, err := readDigested(t.Context(), bytes.NewReader(tt.message), tt.limits)
		var unsupported *UnsupportedError
		switch {
		case tt.want == errUnsupported && !errors.As(err, &unsupported), tt.want != errUnsupported && !errors.Is(err, tt.want):
			t.Errorf("%s: %v", name, err)
		case err == nil && name != "single octets" && (!bytes.Equal(got, text) || len(d.Digest) == 0 || !d.ContentType().Equal(OIDDigestedData)):
			t.Errorf("%s: %d octets", name, len(got))
		case err == nil && d.ReadContent(t.Context(), nil) == nil:
			t.Errorf("%s: read twice", name)
		}
		if tt.want != nil {
			continue
		}
		if _, again, err := readDigested(t.Context(), iotest.OneByteReader(bytes.NewReader(tt.message)), tt.limits); err != nil || !bytes.Equal(got, again) {
			t.Errorf("%s, by octets: %d octets, %v", name, len(again), err)
		}
	}
	message := digested(t, oidSHA256, element(0xa0, element(0x04, []byte("text"))), digestOf(crypto.SHA256, []byte("text")))
	for n := range message {
		if _, _, err := readDigested(t.Context(), bytes.NewReader(message[:n]), Limits{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	info, err := Read(bytes.NewReader(message), Limits{})
	if err != nil || info.(*DigestedData).ReadContent(t.Context(), nil) != nil {
		t.Errorf("without quarantine: %v", err)
	}
}

var errUnsupported = errors.New("an UnsupportedError")
