package smime_test

import (
	"bytes"
	"context"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/spool"
)

func TestOpenTriesEveryKey(t *testing.T) {
	for _, cipher := range []cms.Cipher{cms.AES256CBC, cms.AES256GCM} {
		sealed := encrypt(t, plainEntity, cipher, alice(), bob(), bobRSA())
		var keys []smime.Decrypter
		for range 5 {
			keys = append(keys, wrongKey{decrypter{bob()}}, wrongKey{decrypter{bobRSA()}})
		}
		keys = append(keys[:3], decrypter{bobRSA()})
		m := open(t, []byte(sealed), smime.OpenOptions{Decrypters: keys})
		if m.Encryption() != smime.StatusDecrypted || content(t, m) != plainEntity || !m.Layers[0].Encrypted.Key.Equal(bobRSA().cert) {
			t.Errorf("%v: %s", cipher, describe(m))
		}
	}
}

// lockedKey is a key that cannot be had now.
type lockedKey struct{ decrypter }

var errLocked = errors.New("store is locked")

func (lockedKey) Unwrap(context.Context, cms.RecipientInfo) ([]byte, error) { return nil, errLocked }

func TestOpenWithLockedKey(t *testing.T) {
	sealed := encrypt(t, plainEntity, cms.AES256GCM, bob())
	m := open(t, []byte(sealed), smime.OpenOptions{Decrypters: []smime.Decrypter{lockedKey{decrypter{bob()}}}})
	l := m.Layers[0].Encrypted
	if l.Status != smime.StatusUndecryptable || !errors.Is(l.Err, errLocked) || !l.Recipients[0].Mine || !errors.Is(l.Recipients[0].Err, errLocked) {
		t.Errorf("%+v", l)
	}
}

// failingKey is the right key for a recipient, and fails all the same.
type failingKey struct {
	decrypter
	err error
}

func (k failingKey) Unwrap(_ context.Context, r cms.RecipientInfo) ([]byte, error) {
	if !r.Recipient().Matches(k.cert) {
		return nil, smime.ErrNotRecipient
	}
	return nil, k.err
}

// TestOpenDamagedKey holds a damaged key of either form for damage, and not for somebody else's key: unless there is one
// out of reach that may open the message.
func TestOpenDamagedKey(t *testing.T) {
	sealed := encrypt(t, plainEntity, cms.AES256GCM, bob(), bobRSA())
	damaged, locked := failingKey{decrypter{bob()}, cms.ErrDecrypt}, failingKey{decrypter{bobRSA()}, errLocked}
	for _, c := range []struct {
		keys []smime.Decrypter
		want smime.Status
	}{
		{[]smime.Decrypter{damaged}, smime.StatusFailed},
		{[]smime.Decrypter{damaged, decrypter{bobRSA()}}, smime.StatusDecrypted},
		{[]smime.Decrypter{damaged, wrongKey{decrypter{bobRSA()}}}, smime.StatusFailed},
		{[]smime.Decrypter{damaged, locked}, smime.StatusUndecryptable},
		{[]smime.Decrypter{locked, damaged}, smime.StatusUndecryptable},
	} {
		m := open(t, []byte(sealed), smime.OpenOptions{Decrypters: c.keys})
		if m.Encryption() != c.want {
			t.Errorf("%T: %s, want %s", c.keys, m.Encryption(), c.want)
		}
	}
}

func TestOpenStopsAtLimits(t *testing.T) {
	o := smime.OpenOptions{Decrypters: bob().decrypters(), Spool: spool.Options{Limit: 10}}
	for name, in := range map[string]string{
		"encrypted": encrypt(t, plainEntity, cms.AES256GCM, bob()),
		"opaque":    sign(t, plainEntity, alice(), smime.SignOptions{Form: smime.Opaque}),
	} {
		if _, err := smime.Open(t.Context(), strings.NewReader(in), o); !errors.Is(err, spool.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	header := "X: " + strings.Repeat("x", 2<<20) + "\r\n\r\n"
	if _, err := smime.Open(t.Context(), strings.NewReader(header), smime.OpenOptions{}); !errors.Is(err, entity.ErrHeaderTooLarge) {
		t.Errorf("header: %v", err)
	}
	inside := encrypt(t, header, cms.AES256CBC, bob())
	m := tryOpen(t, []byte(inside), smime.OpenOptions{Decrypters: bob().decrypters()})
	if m == nil || m.Encryption() != smime.StatusFailed || m.Content != nil {
		t.Error("a header without end inside CBC is not what a MIME entity looks like")
	}
}

func TestOpenEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, in := range map[string]string{
		"encrypted": encrypt(t, plainEntity, cms.AES256GCM, bob()),
		"opaque":    sign(t, plainEntity, alice(), smime.SignOptions{Form: smime.Opaque}),
		"detached":  sign(t, plainEntity, alice(), smime.SignOptions{}),
	} {
		if _, err := smime.Open(ctx, strings.NewReader(in), smime.OpenOptions{Decrypters: bob().decrypters()}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// failing is a source that breaks behind its first octets.
type failing struct {
	*strings.Reader
	good int64
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.good {
		p = p[:max(0, min(int64(len(p)), f.good-off))]
		n, _ := f.Reader.ReadAt(p, off)
		return n, io.ErrClosedPipe
	}
	return f.Reader.ReadAt(p, off)
}

func TestOpenReportsTheSource(t *testing.T) {
	for name, in := range map[string]string{
		"encrypted": encrypt(t, strings.Repeat(plainEntity, 2000), cms.AES256GCM, bob()),
		"opaque":    sign(t, strings.Repeat(plainEntity, 2000), alice(), smime.SignOptions{Form: smime.Opaque}),
		"detached":  sign(t, strings.Repeat(plainEntity, 2000), alice(), smime.SignOptions{}),
	} {
		src := failing{strings.NewReader(in), 100_000}
		if _, err := smime.Open(t.Context(), src, smime.OpenOptions{Decrypters: bob().decrypters()}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDamagedCMS(t *testing.T) {
	signed := signedData(t, plainEntity, cms.SignedDataOptions{}, alice())
	_, body, _ := strings.Cut(encrypt(t, plainEntity, cms.AES256GCM, bob()), "\r\n\r\n")
	sealed, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	wrap := func(der []byte) string { return p7m(der, "enveloped-data") }
	for name, test := range map[string]struct {
		in   string
		want string
	}{
		"encrypted, cut at the head": {wrap(sealed[:40]), "failed"},
		"encrypted, cut later":       {wrap(sealed[:len(sealed)-20]), "failed"},
		"bare, cut":                  {string(sealed[:len(sealed)-20]), "failed"},
		"signed, cut at the head":    {wrap(signed[:20]), "opaque !"},
		"signed, cut later":          {wrap(signed[:len(signed)-20]), "opaque !"},
		"bare signed, cut":           {string(signed[:len(signed)-20]), "opaque !"},
		"garbage":                    {wrap([]byte("garbage")), "failed"},
		"nothing":                    {wrap(nil), "failed"},
	} {
		m := open(t, []byte(test.in), smime.OpenOptions{Decrypters: bob().decrypters()})
		if got := describe(m); !strings.Contains(got, test.want) {
			t.Errorf("%s: %s", name, got)
		}
		if m.Encryption() == smime.StatusFailed && (m.Content != nil || m.Layers[0].Encrypted.Err == nil) {
			t.Errorf("%s: %+v", name, m.Layers[0].Encrypted)
		}
	}
	// By its name only, and no CMS: an attachment like any other.
	in := "Content-Type: application/octet-stream; name=x.p7m\r\n\r\nwords"
	if m := open(t, []byte(in), smime.OpenOptions{}); len(m.Layers) > 0 || len(m.Parts) != 1 {
		t.Error(describe(m))
	}
	in = "Content-Type: application/octet-stream; name=smime.P7M\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(signed)
	if m := open(t, []byte(in), smime.OpenOptions{}); describe(m) != "opaque sha256/ecdsa-p256:<nil>;" {
		t.Error(describe(m))
	}
}

func TestUnsupportedCMS(t *testing.T) {
	for name, tt := range map[string]struct {
		contentType asn1.ObjectIdentifier
		content     []byte
	}{
		// smime/cms does not know it.
		"EncryptedKeyPackage": {asn1.ObjectIdentifier{2, 16, 840, 1, 101, 2, 1, 2, 78, 2}, []byte{5, 0}},
		// smime/cms reads it, and S/MIME has no use for it.
		"DigestedData": {cms.OIDDigestedData, []byte("\x30\x1c\x02\x01\x00\x30\x07\x06\x05\x2b\x0e\x03\x02\x1a\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\x04\x01\x00")},
	} {
		der, err := asn1.Marshal(struct {
			Type    asn1.ObjectIdentifier
			Content asn1.RawValue
		}{tt.contentType, asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: tt.content}})
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, []byte(outerHeader+p7m(der, "enveloped-data")), smime.OpenOptions{})
		if len(m.Layers) > 0 || len(m.Notes) != 1 || m.Notes[0].Code != "unsupported-cms" || len(m.Parts) != 1 {
			t.Errorf("%s: %s %v %v", name, describe(m), m.Notes, m.Parts)
		}
	}
}

func TestDigestNotAnnounced(t *testing.T) {
	der := signedData(t, plainEntity, cms.SignedDataOptions{}, alice())
	sha256 := []byte{0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01}
	at := bytes.Index(der, sha256)
	der[at+len(sha256)-1] = 3 // SHA-512 among digestAlgorithms, which nothing protects
	m := open(t, der, smime.OpenOptions{})
	if describe(m) != "opaque sha256/ecdsa-p256:<nil>;" || content(t, m) != plainEntity {
		t.Error(describe(m))
	}
}

// TestFooters is about text that lists and gateways put behind base64.
func TestFooters(t *testing.T) {
	const footer = "\r\n_______________________________________________\r\nthe list\r\nlist@example.org\r\n"
	for name, in := range map[string]string{
		"encrypted": encrypt(t, plainEntity, cms.AES256GCM, bob()),
		"opaque":    sign(t, plainEntity, alice(), smime.SignOptions{Form: smime.Opaque}),
	} {
		m := open(t, []byte(outerHeader+in+footer), smime.OpenOptions{Decrypters: bob().decrypters()})
		if got := content(t, m); got != plainEntity {
			t.Errorf("%s: %s %q", name, describe(m), got)
		}
		if len(m.Notes) != 1 || m.Notes[0] != entity.NoteTextAfterBase64 {
			t.Errorf("%s: %v", name, m.Notes)
		}
	}
	// Around multipart/signed it belongs to nothing.
	in := "From someone Mon Nov 21\r\n" + outerHeader + sign(t, plainEntity, alice(), smime.SignOptions{}) + footer
	if m := open(t, []byte(in), smime.OpenOptions{}); content(t, m) != plainEntity || m.Layers[0].Signed.Signatures[0].Err != nil || m.Field("Subject") != "hello" {
		t.Error(describe(m))
	}
}

func TestBareEncodings(t *testing.T) {
	der := signedData(t, plainEntity, cms.SignedDataOptions{}, alice())
	text := base64.StdEncoding.EncodeToString(der)
	for name, in := range map[string]string{
		"DER":                 string(der),
		"DER and a line feed": string(der) + "\n",
		"base64":              text,
		"base64 indented":     "\r\n  " + text,
		"PEM":                 string(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der})),
	} {
		if m := open(t, []byte(in), smime.OpenOptions{}); content(t, m) != plainEntity || len(m.Header) > 0 {
			t.Errorf("%s: %s", name, describe(m))
		}
	}
	for name, in := range map[string]string{
		"text that begins so": "MIME is not base64", "empty": "", "armor only": "-----BEGIN PKCS7-----", "a SEQUENCE": "0\x82\x01\x00\x02\x01\x01",
	} {
		if m := open(t, []byte(in), smime.OpenOptions{}); len(m.Layers) > 0 {
			t.Errorf("%s: %s", name, describe(m))
		}
	}
}

// TestProtectionAroundMessage opens layers that stand around a whole message: its header is the one inside, unless there
// is one outside.
func TestProtectionAroundMessage(t *testing.T) {
	inside := "From: alice@example.org\r\nSubject: inside\r\n" + plainEntity
	der := string(signedData(t, inside, cms.SignedDataOptions{}, alice()))
	signed := sign(t, inside, alice(), smime.SignOptions{})
	for name, c := range map[string]struct{ in, want string }{
		"bare CMS":                       {der, "inside"},
		"entity":                         {signed, "inside"},
		"entity that is encrypted":       {encrypt(t, signed, cms.AES256GCM, bob()), "inside"},
		"message":                        {outerHeader + signed, "hello"},
		"message that is encrypted":      {encrypt(t, outerHeader+signed, cms.AES256GCM, bob()), "hello"},
		"header without From or Subject": {"To: bob@example.org\r\n" + signed, ""},
	} {
		m := open(t, []byte(c.in), smime.OpenOptions{Decrypters: bob().decrypters()})
		if content(t, m) != inside || m.Field("Subject") != c.want {
			t.Errorf("%s: subject %q; %s", name, m.Field("Subject"), describe(m))
		}
	}
}

func TestWeakAlgorithm(t *testing.T) {
	peertest.Command(t, "openssl")
	dir := aliceRSA().writeFiles(t)
	in := filepath.Join(dir, "in")
	writeFile(t, in, []byte(plainEntity))
	out := peertest.Run(t, "openssl", "cms", "-sign", "-md", "sha1", "-in", in, "-signer", filepath.Join(dir, "cert.pem"), "-inkey", filepath.Join(dir, "key.pem"))
	var weak *cms.WeakError
	if s := open(t, out, smime.OpenOptions{}).Layers[0].Signed.Signatures[0]; !errors.As(s.Err, &weak) || s.Weak != nil {
		t.Errorf("%v, %v", s.Err, s.Weak)
	}
	if s := open(t, out, smime.OpenOptions{AllowWeak: true}).Layers[0].Signed.Signatures[0]; s.Err != nil || !errors.As(s.Weak, &weak) {
		t.Errorf("%v, %v", s.Err, s.Weak)
	}
	altered := bytes.Replace(out, []byte("all is well"), []byte("all is lost"), 1)
	if s := open(t, altered, smime.OpenOptions{AllowWeak: true}).Layers[0].Signed.Signatures[0]; !errors.Is(s.Err, cms.ErrMessageDigest) {
		t.Errorf("%v, %v", s.Err, s.Weak)
	}
}

func TestCloseTakesTheTextAway(t *testing.T) {
	sealed := encrypt(t, plainEntity, cms.AES256GCM, bob())
	m, err := smime.Open(t.Context(), strings.NewReader(sealed), smime.OpenOptions{Decrypters: bob().decrypters()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadAll(m.Content); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
