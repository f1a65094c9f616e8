package smime_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

const plainEntity = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
	"Hello J=C3=BCrgen,\r\n\r\nall is well.\r\n"

func sign(t testing.TB, e string, id identity, o smime.SignOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := smime.Sign(t.Context(), &out, strings.NewReader(e), id.signer(), o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func encrypt(t testing.TB, e string, c cms.Cipher, to ...identity) string {
	t.Helper()
	var list []cms.Recipient
	for _, id := range to {
		list = append(list, id.recipient(t))
	}
	var out bytes.Buffer
	if err := smime.Encrypt(t.Context(), &out, strings.NewReader(e), list, smime.EncryptOptions{Cipher: c}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const outerHeader = "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"

func content(t testing.TB, m *smime.Message) string {
	t.Helper()
	if m.Content == nil {
		return ""
	}
	b, err := io.ReadAll(m.Content)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// describe sums up the layers of a message.
func describe(m *smime.Message) string {
	var b strings.Builder
	for _, l := range m.Layers {
		if l.Encrypted != nil {
			fmt.Fprintf(&b, "%s %s %s;", l.Encrypted.Form, l.Encrypted.Cipher, l.Encrypted.Status)
			continue
		}
		if l.Compressed != nil {
			b.WriteString("compressed;")
			continue
		}
		fmt.Fprintf(&b, "%v", l.Signed.Form)
		for _, s := range l.Signed.Signatures {
			fmt.Fprintf(&b, " %s/%s:%v", s.Digest, s.Algorithm, s.Err)
		}
		if l.Signed.Err != nil && len(l.Signed.Signatures) == 0 {
			fmt.Fprintf(&b, " !%v", l.Signed.Err)
		}
		b.WriteByte(';')
	}
	return b.String()
}

func TestSignOpen(t *testing.T) {
	for name, id := range map[string]identity{"p256": alice(), "p384": alice384(), "rsa": aliceRSA()} {
		for _, form := range []smime.Form{smime.Detached, smime.Opaque} {
			t.Run(name+" "+form.String(), func(t *testing.T) {
				var stamped []byte
				signed := sign(t, plainEntity, id, smime.SignOptions{
					Form: form, SigningTime: testTime, Capabilities: cms.OwnCapabilities(),
					Timestamp: func(_ context.Context, signature []byte) ([]byte, error) {
						stamped = bytes.Clone(signature)
						return []byte{0x30, 0}, nil
					},
				})
				m := open(t, []byte(outerHeader+signed), smime.OpenOptions{})
				if got := content(t, m); got != plainEntity {
					t.Errorf("content %q", got)
				}
				if len(m.Layers) != 1 || m.Layers[0].Signed == nil || len(m.Layers[0].Signed.Signatures) != 1 {
					t.Fatalf("layers: %s", describe(m))
				}
				s := m.Layers[0].Signed.Signatures[0]
				if s.Err != nil || !s.Signer.Equal(id.cert) || !s.SigningTime.Equal(testTime) || m.Layers[0].Signed.Form != form {
					t.Errorf("%v, signer %v, at %v", s.Err, s.Signer.Subject, s.SigningTime)
				}
				if !bytes.Equal(s.Value, stamped) || len(s.Tokens) != 1 || string(s.Tokens[0]) != "0\x00" {
					t.Errorf("tokens %x over %x", s.Tokens, s.Value)
				}
				if len(s.Bag) != 1 {
					t.Errorf("%d certificates sent along, the root must not be", len(s.Bag))
				}
				if len(m.Notes) > 0 {
					t.Errorf("notes %v", m.Notes)
				}
			})
		}
	}
}

func TestSignCanonicalizes(t *testing.T) {
	signed := sign(t, strings.ReplaceAll(plainEntity, "\r", ""), alice(), smime.SignOptions{})
	if strings.Contains(strings.ReplaceAll(signed, "\r\n", ""), "\n") {
		t.Error("bare line feed in the output")
	}
	for line := range strings.Lines(signed) {
		if len(line) > 78 {
			t.Errorf("line of %d characters: %q", len(line), line)
		}
	}
	m := open(t, []byte(signed), smime.OpenOptions{})
	if got := content(t, m); got != plainEntity {
		t.Errorf("content %q", got)
	}
	// Stored with the line ends of the machine, it must still verify, and what is shown is what was signed.
	m = open(t, []byte(strings.ReplaceAll(signed, "\r", "")), smime.OpenOptions{})
	if got := content(t, m); got != plainEntity || !m.Layers[0].Signed.Canonical || m.Layers[0].Signed.Signatures[0].Err != nil {
		t.Errorf("%s: %q", describe(m), got)
	}
}

func TestSignRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		entity string
		signer smime.Signer
		want   error
	}{
		"carriage return": {"Content-Type: text/plain\r\n\r\na\rb", alice().signer(), entity.ErrBareCR},
		"no certificate":  {plainEntity, smime.Signer{Key: alice().key}, nil},
		"another key":     {plainEntity, smime.Signer{Key: bob().key, Chain: alice().signer().Chain}, nil},
	} {
		for _, form := range []smime.Form{smime.Detached, smime.Opaque, 7} {
			err := smime.Sign(t.Context(), io.Discard, strings.NewReader(test.entity), test.signer, smime.SignOptions{Form: form})
			if err == nil || test.want != nil && form < 2 && !errors.Is(err, test.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	refused := errors.New("refused")
	err := smime.Sign(t.Context(), io.Discard, strings.NewReader(plainEntity), alice().signer(), smime.SignOptions{
		Timestamp: func(context.Context, []byte) ([]byte, error) { return nil, refused },
	})
	if !errors.Is(err, refused) {
		t.Errorf("time stamp: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := smime.Sign(ctx, io.Discard, strings.NewReader(plainEntity), alice().signer(), smime.SignOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("context: %v", err)
	}
}

func TestEncryptOpen(t *testing.T) {
	for _, cipher := range []cms.Cipher{cms.AES128CBC, cms.AES256CBC, cms.AES128GCM, cms.AES256GCM} {
		for name, me := range map[string]identity{"p256": bob(), "rsa": bobRSA()} {
			t.Run(cipher.String()+" "+name, func(t *testing.T) {
				sealed := encrypt(t, plainEntity, cipher, alice(), aliceRSA(), me)
				if cipher.Authenticated() != strings.Contains(sealed, "smime-type=authEnveloped-data") {
					t.Error("wrong smime-type")
				}
				m := open(t, []byte(outerHeader+sealed), smime.OpenOptions{Decrypters: append(mallory().decrypters(), me.decrypters()...)})
				if got := content(t, m); got != plainEntity {
					t.Errorf("content %q", got)
				}
				if m.Encryption() != smime.StatusDecrypted || len(m.Layers) != 1 {
					t.Fatalf("layers: %s", describe(m))
				}
				l := m.Layers[0].Encrypted
				if l.Cipher != cipher.String() || l.Authenticated != cipher.Authenticated() || !l.Key.Equal(me.cert) || l.Err != nil {
					t.Errorf("%+v", l)
				}
				if len(l.Recipients) != 3 || l.Recipients[0].Mine || l.Recipients[1].Mine || !l.Recipients[2].Mine {
					t.Errorf("recipients %+v", l.Recipients)
				}
				m = open(t, []byte(outerHeader+sealed), smime.OpenOptions{Decrypters: mallory().decrypters()})
				if m.Encryption() != smime.StatusUndecryptable || m.Content != nil || len(m.Parts) > 0 || !errors.Is(m.Layers[0].Encrypted.Err, smime.ErrNoKey) {
					t.Errorf("without a key: %s", describe(m))
				}
			})
		}
	}
}

func TestEncryptRefuses(t *testing.T) {
	to := []cms.Recipient{bob().recipient(t)}
	if err := smime.Encrypt(t.Context(), io.Discard, strings.NewReader(plainEntity), to, smime.EncryptOptions{}); err == nil {
		t.Error("no cipher was stated")
	}
	var out bytes.Buffer
	if err := smime.Encrypt(t.Context(), &out, strings.NewReader(plainEntity), nil, smime.EncryptOptions{Cipher: cms.AES256GCM}); err == nil || out.Len() > 0 {
		t.Errorf("no recipient: %v, %d octets written", err, out.Len())
	}
}

func TestNestedLayers(t *testing.T) {
	inner := sign(t, plainEntity, alice(), smime.SignOptions{})
	sealed := encrypt(t, inner, cms.AES256GCM, bob())
	triple := sign(t, sealed, aliceRSA(), smime.SignOptions{Form: smime.Opaque})
	o := smime.OpenOptions{Decrypters: bob().decrypters()}
	m := open(t, []byte(outerHeader+triple), o)
	if got := content(t, m); got != plainEntity || len(m.Layers) != 3 {
		t.Fatalf("%s: %q", describe(m), got)
	}
	want := "opaque sha256/rsa-pkcs1v15:<nil>;auth-enveloped-data aes-256-gcm decrypted;detached sha256/ecdsa-p256:<nil>;"
	if got := describe(m); got != want {
		t.Error(got)
	}
	for _, p := range m.Parts {
		if !p.Signed || !p.Encrypted || p.Enclosed {
			t.Errorf("%+v", p)
		}
	}
	deep := plainEntity
	for range 9 {
		deep = sign(t, deep, alice(), smime.SignOptions{Form: smime.Opaque})
	}
	if _, err := smime.Open(t.Context(), strings.NewReader(deep), o); !errors.Is(err, smime.ErrTooManyLayers) {
		t.Errorf("nine layers: %v", err)
	}
	if _, err := smime.Open(t.Context(), strings.NewReader(deep), smime.OpenOptions{Limits: smime.Limits{Layers: 9}}); err != nil {
		t.Errorf("nine layers allowed: %v", err)
	}
}

func TestProtectHeaders(t *testing.T) {
	var fields entity.Header
	for _, f := range [][2]string{
		{"From", "Alice <alice@example.org>"}, {"To", "bob@example.org"}, {"Bcc", "carol@example.org"}, {"Subject", "the secret plan"},
		{"Comments", "secret too"}, {"Keywords", "secret"}, {"Date", "Sat, 21 Nov 2026 10:02:11 +0000"}, {"Message-ID", "<1@example.org>"},
		{"Content-Type", "text/evil"},
	} {
		field, err := entity.NewField(f[0], f[1])
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, field)
	}
	compose := func(t *testing.T, scheme smime.HPScheme, tamper func(string) string) *smime.Message {
		t.Helper()
		payload, outer, err := smime.ProtectHeaders(strings.NewReader(plainEntity), fields, scheme)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(payload)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "Bcc") || strings.Contains(string(raw), "evil") {
			t.Errorf("payload %s", raw)
		}
		var out bytes.Buffer
		if err := smime.WriteOuterHeader(&out, outer); err != nil {
			t.Fatal(err)
		}
		head := out.String()
		if strings.Contains(head, "Bcc") || strings.Contains(head, "evil") || (scheme == smime.HPCipher) == strings.Contains(head, "secret") {
			t.Errorf("outer header %s", head)
		}
		body := sign(t, string(raw), alice(), smime.SignOptions{})
		if scheme == smime.HPCipher {
			body = encrypt(t, body, cms.AES256GCM, bob())
		}
		return open(t, []byte(tamper(head)+body), smime.OpenOptions{Decrypters: bob().decrypters()})
	}
	unchanged := func(s string) string { return s }

	t.Run("cipher", func(t *testing.T) {
		m := compose(t, smime.HPCipher, unchanged)
		p := m.Protection
		if p.Scheme != smime.HPCipher || p.FromMismatch || m.Field("subject") != "the secret plan" || m.Field("Comments") != "secret too" {
			t.Errorf("%+v", p)
		}
		names := ""
		for _, d := range p.Differences {
			names += d.Name + " "
			if !d.Explained {
				t.Errorf("not explained: %+v", d)
			}
		}
		if names != "Subject Comments Keywords " {
			t.Errorf("differences: %s", names)
		}
		if len(p.Fields) != 7 || len(p.Outer) != 5 {
			t.Errorf("%d fields, %d outside", len(p.Fields), len(p.Outer))
		}
		for name, want := range map[string]bool{"Subject": true, "Comments": true, "From": false, "Date": false} {
			f, _ := p.Fields.Get(name)
			if got := p.Confidential(f); got != want {
				t.Errorf("%s confidential: %v", name, got)
			}
		}
		if text, err := m.Text(0); err != nil || text.Body != "Hello Jürgen,\n\nall is well.\n" {
			t.Errorf("%q, %v", text.Body, err)
		}
	})
	t.Run("clear", func(t *testing.T) {
		m := compose(t, smime.HPClear, unchanged)
		if p := m.Protection; p.Scheme != smime.HPClear || len(p.Differences) > 0 || p.FromMismatch || p.Outer != nil {
			t.Errorf("%+v", p)
		}
	})
	t.Run("refolded and decorated on the way", func(t *testing.T) {
		m := compose(t, smime.HPCipher, func(s string) string {
			return "Received: from somewhere\r\nList-Id: x\r\n" + strings.Replace(s, "Alice <", "Alice\r\n  <", 1)
		})
		if p := m.Protection; len(p.Differences) != 3 || p.FromMismatch {
			t.Errorf("%+v", p.Differences)
		}
	})
	t.Run("altered on the way", func(t *testing.T) {
		m := compose(t, smime.HPCipher, func(s string) string {
			s = strings.Replace(s, "Subject: [...]", "Subject: pay now", 1)
			s = strings.Replace(s, "Alice <alice@", "Alice <mallory@", 1)
			return "Reply-To: mallory@example.org\r\n" + s
		})
		unexplained := map[string]string{}
		for _, d := range m.Protection.Differences {
			if !d.Explained {
				unexplained[d.Name] = strings.Join(d.Outer, ",")
			}
		}
		if len(unexplained) != 3 || unexplained["Subject"] != "pay now" || unexplained["Reply-To"] != "mallory@example.org" || unexplained["From"] == "" {
			t.Errorf("%v", unexplained)
		}
		if !m.Protection.FromMismatch || m.From(true)[0].Value() != "Alice <alice@example.org>" || m.From(false)[0].Value() != "Alice <mallory@example.org>" {
			t.Error("From is not as RFC 9788 asks")
		}
		if fields, protected := m.Fields("Reply-To"); len(fields) > 0 || !protected {
			t.Error("a field from outside is displayed as protected")
		}
	})
	t.Run("signed first, encrypted by another hand", func(t *testing.T) {
		payload, outer, err := smime.ProtectHeaders(strings.NewReader(plainEntity), fields, smime.HPClear)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(payload)
		if err != nil {
			t.Fatal(err)
		}
		signed := sign(t, string(raw), alice(), smime.SignOptions{})
		var head bytes.Buffer
		if err := smime.WriteOuterHeader(&head, outer); err != nil {
			t.Fatal(err)
		}
		for subject, explained := range map[string]bool{"[...]": true, "pay now": false} {
			hidden := strings.Replace(head.String(), "the secret plan", subject, 1)
			encrypted := open(t, []byte(hidden+encrypt(t, signed, cms.AES256GCM, bob())), smime.OpenOptions{Decrypters: bob().decrypters()})
			if d := encrypted.Protection.Differences; len(d) != 1 || d[0].Explained != explained {
				t.Errorf("%q outside an encrypted message: %+v", subject, d)
			}
			clear := open(t, []byte(hidden+signed), smime.OpenOptions{})
			if d := clear.Protection.Differences; len(d) != 1 || d[0].Explained {
				t.Errorf("%q outside a signed message: %+v", subject, d)
			}
		}
	})
	t.Run("hp twice", func(t *testing.T) {
		payload, _, err := smime.ProtectHeaders(strings.NewReader(plainEntity), fields, smime.HPClear)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := smime.ProtectHeaders(payload, fields, smime.HPClear); !errors.Is(err, smime.ErrProtected) {
			t.Error(err)
		}
	})
	t.Run("no content type", func(t *testing.T) {
		payload, _, err := smime.ProtectHeaders(strings.NewReader("\r\ntext"), nil, smime.HPClear)
		if err != nil {
			t.Fatal(err)
		}
		if raw, _ := io.ReadAll(payload); string(raw) != "Content-Type: text/plain; charset=us-ascii; hp=\"clear\"\r\n\r\ntext" {
			t.Errorf("%q", raw)
		}
	})
}

func TestHPCountsAtThePayloadOnly(t *testing.T) {
	hp := "Content-Type: text/plain; hp=\"cipher\"\r\nSubject: inner\r\nHP-Outer: Subject: hello\r\n\r\nx\r\n"
	mixed := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + hp + "\r\n--b--\r\n"
	for name, in := range map[string]string{
		"without protection": outerHeader + hp,
		"deeper inside":      outerHeader + sign(t, mixed, alice(), smime.SignOptions{}),
	} {
		if m := open(t, []byte(in), smime.OpenOptions{}); m.Protection.Scheme != smime.HPNone || m.Field("Subject") != "hello" {
			t.Errorf("%s: %+v", name, m.Protection)
		}
	}
	// HP-Outer counts under encryption only.
	m := open(t, []byte(outerHeader+sign(t, hp, alice(), smime.SignOptions{})), smime.OpenOptions{})
	if m.Protection.Outer != nil || m.Field("Subject") != "inner" || len(m.Protection.Differences) == 0 || m.Protection.Differences[0].Explained {
		t.Errorf("%+v", m.Protection)
	}
}
