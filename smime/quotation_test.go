package smime_test

import (
	"errors"
	"testing"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// TestQuotation asks of messages that somebody may send in order to get an answer what the answer may quote.
func TestQuotation(t *testing.T) {
	const plain, secret = "Content-Type: text/plain\r\n\r\nthe text", "Content-Type: text/plain\r\n\r\nthe secret"
	seal := func(entity string) string { return encrypt(t, entity, cms.AES256GCM, bob()) }
	signed := func(entity string) string { return sign(t, entity, alice(), smime.SignOptions{}) }
	attached := "Content-Type: message/rfc822\r\n\r\nFrom: carol@example.org\r\n"
	for about, test := range map[string]struct {
		in              string
		unbound, bound  string // what is quoted
		refused, sealed bool   // without a good signature, and with one
	}{
		"clear":                             {in: plain, unbound: "the text", bound: "the text"},
		"signed":                            {in: signed(plain), unbound: "the text", bound: "the text"},
		"encrypted":                         {in: seal(plain), refused: true, bound: "the text"},
		"encrypted with CBC":                {in: encrypt(t, plain, cms.AES256CBC, bob()), refused: true, bound: "the text"},
		"signed and encrypted":              {in: seal(signed(plain)), refused: true, bound: "the text"},
		"encrypted and signed":              {in: signed(seal(plain)), refused: true, bound: "the text"},
		"encrypted twice":                   {in: seal(seal(plain)), refused: true, bound: "the text"},
		"to somebody else":                  {in: encrypt(t, plain, cms.AES256GCM, alice()), refused: true, sealed: true},
		"encrypted for others inside":       {in: seal(encrypt(t, plain, cms.AES256GCM, alice())), refused: true, sealed: true},
		"clear, with an encrypted part":     {in: multipartMixed(plain, seal(secret)), unbound: "the text", bound: "the text"},
		"signed, with an encrypted part":    {in: signed(multipartMixed(plain, seal(secret))), unbound: "the text", bound: "the text"},
		"encrypted, with an encrypted part": {in: seal(signed(multipartMixed(plain, seal(secret)))), refused: true, bound: "the text"},
		"an encrypted message attached":     {in: multipartMixed(plain, attached+seal(secret)), unbound: "the text", bound: "the text"},
		"a clear message attached":          {in: multipartMixed(plain, attached+secret), unbound: "the text", bound: "the text"},
		"a signed part":                     {in: multipartMixed(plain, signed(secret)), unbound: "the text", bound: "the text"},
		"an attachment":                     {in: multipartMixed(plain, "Content-Disposition: attachment\r\n"+secret), unbound: "the text", bound: "the text"},
		"hidden text":                       {in: seal("Content-Type: text/html\r\n\r\n<p>the text</p><p style='display:none'>the secret"), refused: true, bound: "the text"},
		"no text":                           {in: seal("Content-Type: image/png\r\n\r\nx"), refused: true},
	} {
		m := open(t, []byte("From: alice@example.org\r\n"+test.in), smime.OpenOptions{Decrypters: bob().decrypters()})
		for _, bound := range []bool{false, true} {
			want, refused := test.unbound, test.refused
			if bound {
				want, refused = test.bound, test.sealed
			}
			if got, err := m.Quotation(bound, 0); got != want || errors.Is(err, smime.ErrNotQuotable) != refused || !refused && err != nil {
				t.Errorf("%s, bound %v: %q, %v", about, bound, got, err)
			}
		}
	}
}
