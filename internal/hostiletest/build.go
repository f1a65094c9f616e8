package hostiletest

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// signingTime is claimed by all signatures that claim one.
var signingTime = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// What honest people write.
const (
	offer  = "Dear Bob,\n\nplease transfer 10 euros to the account that you know.\n\nAlice\n"
	lie    = "Dear Bob,\n\nplease transfer 9000 euros to account 666.\n\nAlice\n"
	secret = "Dear Bob,\n\nthe safe opens with 4711.\n\nAlice\n"
)

// mail puts a header of a message before an entity. A field that is given replaces the usual one of its name; "-Name" takes
// that away.
func (l *Lab) mail(entity string, fields ...string) string {
	usual := []string{
		"From: Alice Adams <alice@example.test>", "To: bob@example.test", "Subject: " + l.messageID,
		"Date: Sat, 21 Nov 2026 10:00:00 +0000", l.idField(), "MIME-Version: 1.0",
	}
	var own []string
	for _, f := range fields {
		name := fieldName(f)
		usual = slices.DeleteFunc(usual, func(have string) bool { return fieldName(have) == name })
		if !strings.HasPrefix(f, "-") {
			own = append(own, f)
		}
	}
	return strings.Join(append(own, usual...), "\r\n") + "\r\n" + entity
}

func fieldName(field string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(field, "-"), ":")
	return strings.ToLower(strings.TrimSpace(name))
}

// from replaces the usual sender.
func from(value string) string { return "From: " + value }

const malloryFrom = "From: Mallory Moor <mallory@example.test>"

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// text is an entity with a plain text.
func text(s string) string {
	encoding := "7bit"
	if strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e }) {
		encoding = "8bit"
	}
	return part("text/plain; charset=utf-8", "Content-Transfer-Encoding: "+encoding, s)
}

func html(s string) string {
	return part("text/html; charset=utf-8", "Content-Transfer-Encoding: 8bit", s)
}

// part is an entity of a type, with further fields between blanks, and a body.
func part(contentType, fields, body string) string {
	head := "Content-Type: " + contentType + "\r\n"
	if fields != "" {
		head += crlf(fields) + "\r\n"
	}
	return head + "\r\n" + crlf(body)
}

// attachment is an entity with a file name as it is given, in quotes.
func attachment(disposition, body string) string {
	return part("application/octet-stream", "Content-Disposition: "+disposition, body)
}

// multipart puts parts together.
func multipart(kind string, parts ...string) string {
	boundary := boundaryOf(parts...)
	return "Content-Type: multipart/" + kind + "; boundary=\"" + boundary + "\"\r\n\r\n" + between(boundary, parts...)
}

func boundaryOf(parts ...string) string {
	return fmt.Sprintf("=_%x", sha256.Sum256([]byte(strings.Join(parts, "\x00"))))[:14]
}

// between is the body of a multipart.
func between(boundary string, parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--" + boundary + "\r\n" + p + "\r\n")
	}
	return b.String() + "--" + boundary + "--\r\n"
}

// multipartSigned is a multipart/signed of these parts, which need not be two.
func multipartSigned(parts ...string) string {
	return multipart(`signed; protocol="application/pkcs7-signature"; micalg=sha-256`, parts...)
}

// forwarded is an attached message.
func forwarded(message string) string { return part("message/rfc822", "", message) }

// p7s is an entity with a detached signature.
func p7s(der []byte) string {
	return part(`application/pkcs7-signature; name="smime.p7s"`,
		"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"smime.p7s\"", lines(der))
}

// p7m is an entity with a CMS message.
func p7m(der []byte, smimeType string) string {
	return part("application/pkcs7-mime; smime-type="+smimeType+`; name="smime.p7m"`,
		"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"smime.p7m\"", lines(der))
}

// lines is base64 in lines.
func lines(der []byte) string {
	var b strings.Builder
	for chunk := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(der)), 76) {
		b.Write(chunk)
		b.WriteString("\r\n")
	}
	return b.String()
}

// sign signs an entity as multipart/signed, as honest programs do.
func (l *Lab) sign(entity string, who Identity) string {
	return l.signAs(entity, who, smime.SignOptions{SigningTime: signingTime})
}

// opaque signs an entity as application/pkcs7-mime.
func (l *Lab) opaque(entity string, who Identity) string {
	return l.signAs(entity, who, smime.SignOptions{SigningTime: signingTime, Form: smime.Opaque})
}

func (l *Lab) signAs(entity string, who Identity, o smime.SignOptions) string {
	var out bytes.Buffer
	check(smime.Sign(context.Background(), &out, strings.NewReader(entity), smime.Signer{Key: who.Key, Chain: who.Chain}, o))
	return out.String()
}

// encrypt encrypts an entity, as honest programs do.
func (l *Lab) encrypt(entity string, cipher cms.Cipher, to ...Identity) string {
	var recipients []cms.Recipient
	for _, id := range to {
		recipients = append(recipients, cms.Recipient{Certificate: id.Certificate(), KeyManagement: must(cms.DefaultKeyManagement(id.Certificate()))})
	}
	var out bytes.Buffer
	check(smime.Encrypt(context.Background(), &out, strings.NewReader(entity), recipients, smime.EncryptOptions{Cipher: cipher}))
	return out.String()
}

// sealed is encrypted to Bob with the cipher that notices alterations.
func (l *Lab) sealed(entity string) string { return l.encrypt(entity, cms.AES256GCM, l.Bob) }

// compressed is an entity as CompressedData (RFC 3274).
func compressed(entity string) string {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_ = must(z.Write([]byte(entity)))
	check(z.Close())
	content := der(tagSequence, oid(cms.OIDData), der(explicit0, der(tagOctets, out.Bytes())))
	zlibCompress := algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8})
	return p7m(contentInfo(cms.OIDCompressedData, der(tagSequence, integer(0), zlibCompress, content)), "compressed-data")
}

// body returns what an entity that was made here carries in base64.
func body(entity string) []byte {
	_, text, _ := strings.Cut(entity, "\r\n\r\n")
	return must(base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\r\n", "")))
}

// rebody is an entity with another body in base64.
func rebody(entity string, der []byte) string {
	head, _, _ := strings.Cut(entity, "\r\n\r\n")
	return head + "\r\n\r\n" + lines(der)
}

// replace replaces what must be there once.
func replace(s, old, new string) string {
	if strings.Count(s, old) != 1 {
		panic(fmt.Sprintf("%q is there %d times", old, strings.Count(s, old)))
	}
	return strings.Replace(s, old, new, 1)
}

// protected is an entity with fields of a message in its header, and the parameter hp (RFC 9788).
func protected(scheme, entity string, fields ...string) string {
	head, rest, _ := strings.Cut(entity, "\r\n")
	return strings.Join(append(fields, head+`; hp="`+scheme+`"`), "\r\n") + "\r\n" + rest
}

// protectedV1 is an entity with fields of a message in its header, and the parameter protected-headers of programs older
// than RFC 9788.
func protectedV1(entity string, fields ...string) string {
	head, rest, _ := strings.Cut(entity, "\r\n")
	return strings.Join(append(fields, head+`; protected-headers="v1"`), "\r\n") + "\r\n" + rest
}

// wrapper is a message within an entity, with parameters of its type (RFC 8551 section 3.1).
func wrapper(parameters, entity string, fields ...string) string {
	return "Content-Type: message/rfc822" + parameters + "\r\n\r\n" + strings.Join(fields, "\r\n") + "\r\n" + entity
}

// usualProtected are the fields of an honest message from Alice to Bob.
func (l *Lab) usualProtected() []string {
	return []string{"From: Alice Adams <alice@example.test>", "To: bob@example.test", "Subject: " + l.messageID,
		"Date: Sat, 21 Nov 2026 10:00:00 +0000", l.idField()}
}

func (l *Lab) idField() string { return "Message-ID: <" + l.messageID + "@example.test>" }
