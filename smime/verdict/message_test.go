package verdict_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/verdict"
)

func newSigner(t *testing.T) smime.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Alice"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return smime.Signer{Key: key, Chain: []*x509.Certificate{cert}}
}

// TestMessages judges messages that were really signed and opened.
func TestMessages(t *testing.T) {
	var fields entity.Header
	for _, f := range [][2]string{{"From", "Alice <alice@example.org>"}, {"To", "bob@example.org"}, {"Cc", "carol@example.org"}, {"Subject", "Q3"}} {
		field, err := entity.NewField(f[0], f[1])
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, field)
	}
	payload, outer, err := smime.ProtectHeaders(strings.NewReader("Content-Type: text/plain\r\n\r\nhello\r\n"), fields, smime.HPClear)
	if err != nil {
		t.Fatal(err)
	}
	var head, body bytes.Buffer
	if err := smime.WriteOuterHeader(&head, outer); err != nil {
		t.Fatal(err)
	}
	if err := smime.Sign(t.Context(), &body, payload, newSigner(t), smime.SignOptions{SigningTime: proven}); err != nil {
		t.Fatal(err)
	}
	whole := head.String() + body.String()
	part := head.String() + "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n" + body.String() + "\r\n--m--\r\n"
	attached := head.String() + "Content-Type: message/rfc822\r\n\r\n" + whole

	// Older schemes: To is inside with the second one alone, so that only there it is known whom the message is for.
	older := func(inside string) string {
		var signed bytes.Buffer
		payload := strings.NewReader(inside + "Content-Type: text/plain; protected-headers=v1\r\n\r\nhello\r\n")
		if err := smime.Sign(t.Context(), &signed, payload, newSigner(t), smime.SignOptions{SigningTime: proven}); err != nil {
			t.Fatal(err)
		}
		return signed.String()
	}
	toDave := "From: alice@example.org\r\nTo: dave@example.org\r\nCc: carol@example.org\r\n" + older("Cc: carol@example.org\r\n")

	tests := map[string]struct {
		in       string
		own      []string
		want     verdict.Status
		warnings []string
	}{
		"as sent":             {whole, []string{"bob@example.org"}, verdict.Passed, nil},
		"for the copy":        {whole, []string{"carol@example.org"}, verdict.Passed, nil},
		"sent on":             {whole, []string{"dave@example.org"}, verdict.Passed, []string{"not-addressed-to-you"}},
		"sent on, To added":   {toDave, []string{"dave@example.org"}, verdict.Passed, []string{"not-addressed-to-you"}},
		"only Cc protected":   {toDave, []string{"carol@example.org"}, verdict.Passed, nil},
		"altered":             {strings.Replace(whole, "\r\n\r\nhello", "\r\n\r\nhullo", 1), nil, verdict.Failed, nil},
		"protected altered":   {whole[:len(head.String())] + strings.Replace(body.String(), "Subject: Q3", "Subject: Q4", 1), nil, verdict.Failed, []string{"header-differs"}},
		"outer altered":       {strings.Replace(head.String(), "Q3", "Q4", 1) + body.String(), nil, verdict.Passed, []string{"header-differs"}},
		"outer From altered":  {strings.Replace(head.String(), "alice@", "mallory@", 1) + body.String(), nil, verdict.Passed, []string{"from-differs"}},
		"a part":              {part, nil, verdict.Indeterminate, []string{"partly-signed"}},
		"an attached message": {attached, nil, verdict.Unsigned, nil},
		"subject protected":   {head.String() + older("Subject: Q3\r\n"), []string{"dave@example.org"}, verdict.Passed, nil},
		"To protected":        {head.String() + older("To: bob@example.org\r\n"), []string{"dave@example.org"}, verdict.Passed, []string{"not-addressed-to-you"}},
		"not signed":          {head.String() + "\r\nhello", nil, verdict.Unsigned, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := smime.Open(t.Context(), strings.NewReader(test.in), smime.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			s := verdict.SubjectOf(m)
			var evidence [][]verdict.Evidence
			for _, l := range s.Layers {
				var list []verdict.Evidence
				if l.Signed != nil {
					for range l.Signed.Signatures {
						list = append(list, good())
					}
				}
				evidence = append(evidence, list)
			}
			v := verdict.Judge(s, evidence, verdict.Policy{Now: now, Own: test.own})
			if v.Status != test.want {
				t.Errorf("%s: %+v", v.Status, v.Signatures)
			}
			if diff := cmp.Diff(test.warnings, codes(v)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
