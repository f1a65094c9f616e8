package hostiletest

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// formatCases are about messages that are written in odd ways, most of which honest programs have been seen to use.
func formatCases() []Case {
	passed := Expectation{Verdict: "passed", From: "alice@example.test", Text: []string{"10 euros"}}
	opened := Expectation{Verdict: "unsigned", Encryption: "decrypted", Text: []string{"4711"}}
	// opaqueAs is Alice's opaque message with the header of its body replaced.
	opaqueAs := func(head string) func(*Lab) string {
		return func(l *Lab) string {
			return l.mail(crlf(head) + "\r\n\r\n" + lines(body(l.opaque(text(offer), l.Alice))))
		}
	}
	// signedAs is Alice's multipart/signed with something in it replaced.
	signedAs := func(old, new string) func(*Lab) string {
		return func(l *Lab) string { return l.mail(replace(l.sign(text(offer), l.Alice), old, new)) }
	}
	const base64Field = "\nContent-Transfer-Encoding: base64"
	return []Case{
		{"701-opaque-from-a-stranger", `
			An opaque signed message under an authority that Bob does not know. Programs were found that show an empty window then, because
			the content is inside what they refuse. The content is shown, under a verdict that says indeterminate (RFC 8551 section 3.5.1).`,
			Expectation{Verdict: "indeterminate", Codes: []string{"no-anchor"}, Text: []string{"10 euros"}},
			func(l *Lab) string {
				return l.mail(l.opaque(text(offer), l.issue(l.Stranger, keyOf("opaque"), "alice", named("Alice Adams"))))
			}},
		{"702-octet-stream-p7m", `
			An opaque signed message whose type was changed to application/octet-stream by a gateway, with the name smime.p7m. RFC 8551
			section 3.2.1 has the file name for this case. It is what it is, and passes.`,
			passed, opaqueAs("Content-Type: application/octet-stream; name=smime.p7m" + base64Field)},
		{"703-octet-stream-P7M-in-the-disposition", `
			The same with the name in Content-Disposition alone, in capital letters. RFC 8551 section 3.2.1 has both places.`,
			passed, opaqueAs("Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"SMIME.P7M\"" + base64Field)},
		{"704-x-pkcs7-mime", `
			The type is application/x-pkcs7-mime, as it was before there was a standard. RFC 8551 section 3.9 has receivers take both.`,
			passed, opaqueAs("Content-Type: application/x-pkcs7-mime; smime-type=signed-data; name=smime.p7m" + base64Field)},
		{"705-x-pkcs7-signature", `
			The signature of a multipart/signed has the type application/x-pkcs7-signature, in the parameter and in the part. It is the
			old name of the same (RFC 8551 section 3.9), and passes.`,
			passed,
			func(l *Lab) string {
				return l.mail(strings.ReplaceAll(l.sign(text(offer), l.Alice), "application/pkcs7-signature", "application/x-pkcs7-signature"))
			}},
		{"706-octet-stream-p7s", `
			The signature of a multipart/signed has become application/octet-stream on the way, with the name smime.p7s. The parameter protocol
			and the name say what it is. It passes.`,
			passed, signedAs("Content-Type: application/pkcs7-signature;", "Content-Type: application/octet-stream;")},
		{"707-list-footer", `
			A mailing list added its footer behind the base64 of an opaque message. Base64 has an end, and what stands behind is no part
			of it. The footer is not displayed as part of the message; that it is there is noted.`,
			Expectation{Verdict: "passed", Codes: []string{"text-after-base64"}, Text: []string{"10 euros"}, NotText: []string{"unsubscribe"}},
			func(l *Lab) string {
				return l.mail(l.opaque(text(offer), l.AliceRSA)) + "_______________________________________________\r\nTo unsubscribe, pay to account 666.\r\n"
			}},
		{"708-list-footer-that-is-base64", `
			The footer behind the base64 is made of letters that are base64, too. Taken for more of the message, it is data behind the
			end of the CMS structure, where there may be zero octets and nothing else. Whoever wrote it cannot be told from somebody who
			wants to add something: malformed.`,
			Expectation{Verdict: "failed", Codes: []string{"malformed"}, NotScreen: []string{"PASSED", "subscribe"}},
			func(l *Lab) string {
				return l.mail(rebody(l.opaque(text(offer), l.AliceRSA), padded(body(l.opaque(text(offer), l.AliceRSA))))) + "Unsubscribe\r\n"
			}},
		{"709-eight-bit-body", `
			The CMS message stands in the body as it is, with Content-Transfer-Encoding: binary and no line ends in it. RFC 8551 section
			3.1.3 allows that on ways that carry it. It passes.`,
			passed,
			func(l *Lab) string {
				return l.mail("Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\nContent-Transfer-Encoding: binary\r\n\r\n" + string(body(l.opaque(text(offer), l.Alice))))
			}},
		{"710-quoted-printable-around-cms", `
			The CMS message is in quoted-printable, as one gateway did it to everything. Transfer encodings are undone whatever they are (RFC
			2045 section 6). It passes.`,
			passed,
			func(l *Lab) string {
				var b strings.Builder
				for i, c := range body(l.opaque(text(offer), l.Alice)) {
					fmt.Fprintf(&b, "=%02X", c)
					if i%24 == 23 {
						b.WriteString("=\r\n")
					}
				}
				return l.mail("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + b.String() + "\r\n")
			}},
		{"711-bare-line-feeds", `
			An encrypted message that was stored with bare line feeds, header and base64 alike. Line ends do not matter to base64. It opens.`,
			opened,
			func(l *Lab) string { return strings.ReplaceAll(l.mail(l.sealed(text(secret))), "\r\n", "\n") }},
		{"712-long-lines", `
			The signed text has one line of five thousand characters, and the base64 of the signature is a single line. RFC 5322 section
			2.1.1 has 998 at most; mail is read all the same, octet for octet as it was signed.`,
			passed,
			func(l *Lab) string {
				content := text(offer + strings.Repeat("long ", 1000) + "\n")
				der := signedDraft{content: []byte(content), detached: true, signers: []signerDraft{{id: l.Alice}}}.der()
				return l.mail(multipartSigned(content, part("application/pkcs7-signature", "Content-Transfer-Encoding: base64", base64.StdEncoding.EncodeToString(der)+"\n")))
			}},
		{"713-mbox-line", `
			A separator line of a mailbox file stands before the header: "From mallory@example.test Sat Nov 21". It is no field, and the sender is the
			one of From. It is taken off, as where a mailbox is read (RFC 4155).`,
			Expectation{Verdict: "passed", From: "alice@example.test", Text: []string{"10 euros"}},
			func(l *Lab) string {
				return "From mallory@example.test Sat Nov 21 10:00:00 2026\r\n" + l.mail(l.sign(text(offer), l.Alice))
			}},
		{"714-missing-final-boundary", `
			The last boundary of a multipart/signed is missing, cut off with the last line. Both parts are there, and the signature ends
			where its base64 does. It passes, and is noted (RFC 2046 section 5.1.2 on parts that end early).`,
			Expectation{Verdict: "passed", Codes: []string{"missing-final-boundary"}, Text: []string{"10 euros"}},
			func(l *Lab) string {
				message := l.mail(l.sign(text(offer), l.Alice))
				return message[:strings.LastIndex(message, "\r\n--")+2]
			}},
		{"715-no-smime-type", `
			The parameter smime-type is missing. RFC 8551 section 3.2.2 says that it is an optional hint. The message itself says what it
			is, and opens.`,
			opened,
			func(l *Lab) string {
				return l.mail(replace(l.sealed(text(secret)), "smime-type=authEnveloped-data;\r\n ", ""))
			}},
		{"716-smime-type-says-encrypted", `
			smime-type says enveloped-data, and the message is signed. A reader that believes it shows "encrypted". It was readable for
			everybody, and that is said.`,
			Expectation{Verdict: "passed", Text: []string{"10 euros"}, Screen: []string{"not encrypted"}},
			func(l *Lab) string { return l.mail(p7m(body(l.opaque(text(offer), l.Alice)), "enveloped-data")) }},
		{"717-indefinite-lengths", `
			The SignedData is in BER with indefinite lengths, and its content in pieces, as programs write that sign while they read. RFC 5652
			section 2 has BER for that. The pieces are one content, and it passes.`,
			passed,
			func(l *Lab) string {
				long := text(offer + strings.Repeat("All is well.\n", 400))
				return l.mail(l.opaque(long, l.AliceRSA))
			}},
		{"718-pem-inside", `
			The body is PEM, with its BEGIN and END lines, in place of bare base64. One program writes that. The lines are no base64, and a
			reader that drops what is no base64 reads letters of "BEGIN PKCS7" as data. Where the CMS cannot be read it has failed, and is not shown as anything else.`,
			Expectation{Verdict: "failed", Codes: []string{"malformed"}, NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				block := pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: body(l.opaque(text(offer), l.Alice))})
				return l.mail("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n" + crlf(string(block)))
			}},
		{"719-capitals", `
			Types, parameters and encodings are in capital letters, and field names in small ones. RFC 2045 section 5.1: they have no case.
			It passes.`,
			passed,
			func(l *Lab) string {
				signed := l.sign(text(offer), l.Alice)
				signed = replace(signed, "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"", "content-type: MULTIPART/SIGNED; PROTOCOL=\"APPLICATION/PKCS7-SIGNATURE\"")
				return l.mail(strings.Replace(signed, "Content-Transfer-Encoding: base64", "CONTENT-TRANSFER-ENCODING: BASE64", 1))
			}},
		{"720-comments-in-the-type", `
			Content-Type is full of comments and folded into five lines, with parameters in an odd order and one that nobody knows. RFC 2045 section
			5.1 and RFC 5322 section 3.2.2 allow all of that. It passes.`,
			passed,
			func(l *Lab) string {
				signed := l.sign(text(offer), l.Alice)
				head, rest, _ := strings.Cut(signed, "\r\n\r\n")
				_, boundary, _ := strings.Cut(head, "boundary=")
				return l.mail("Content-Type: (a (nested) comment)\r\n\tmultipart/signed (; boundary=wrong) ;\r\n x-odd=\"a\\\"b;c\" ;\r\n boundary=" + boundary +
					" (\\) still a comment);\r\n\tprotocol = \"application/pkcs7-signature\"\r\n\r\n" + rest)
			}},
		{"721-two-content-types", `
			There are two Content-Type: text/plain first, and multipart/signed second. One reader shows the text with its boundaries, another
			a signed message. The first counts here, so it is unsigned, and that there are two is noted (RFC 5322 section 3.6 and RFC 2045
			section 3 have one).`,
			Expectation{Verdict: "unsigned", Codes: []string{"several-content-types"}, NotScreen: []string{"PASSED"}},
			func(l *Lab) string { return l.mail("Content-Type: text/plain\r\n" + l.sign(text(offer), l.Alice)) }},
		{"722-two-content-types-turned", `
			The same in the other order: multipart/signed first, and text/html second. The first counts; what was signed is displayed. A
			reader that takes the second shows all of the body, preamble and all, as HTML.`,
			Expectation{Verdict: "passed", Codes: []string{"several-content-types"}, Text: []string{"10 euros"}, NotText: []string{"666"}},
			func(l *Lab) string {
				signed := strings.Replace(l.sign(text(offer), l.Alice), "\r\n\r\n", "\r\nContent-Type: text/html\r\n\r\n<p>Pay to account 666.</p>\r\n", 1)
				return l.mail(signed)
			}},
		{"723-two-boundaries", `
			Content-Type has the parameter boundary twice, and the body has parts by either. By the first it is a good message of Alice, and
			by the last a forged one. Of a parameter that is there twice the first counts, for splitting and for verifying alike.`,
			Expectation{Verdict: "passed", Text: []string{"10 euros"}, NotText: []string{"666"}},
			func(l *Lab) string {
				signed := l.sign(text(offer), l.Alice)
				head, rest, _ := strings.Cut(signed, "\r\n\r\n")
				d := signedDraft{content: []byte(text(offer)), detached: true, signers: []signerDraft{{id: l.Alice}}}
				return l.mail(head + "; boundary=\"last\"\r\n\r\n" + rest + between("last", text(lie), p7s(d.der())))
			}},
		{"724-nested-a-hundred-deep", `
			A hundred multiparts, one in the other, and a text at the bottom. A reader that calls itself for each runs out of stack at
			some depth. There is a limit, beyond which nothing is read, and that is noted; the message is not refused.`,
			Expectation{Verdict: "unsigned", Codes: []string{"too-deep"}},
			func(l *Lab) string {
				entity := text("the bottom\n")
				for range 100 {
					entity = multipart("mixed", entity)
				}
				return l.mail(entity, malloryFrom)
			}},
		{"725-a-thousand-parts", `
			A multipart/mixed of fifteen hundred parts. Each costs memory and a line on the screen. There is a limit, the others are not
			read, and that is noted.`,
			Expectation{Verdict: "unsigned", Codes: []string{"too-many-parts"}},
			func(l *Lab) string {
				return l.mail("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 1500) + "--b--\r\n")
			}},
		{"726-header-of-a-megabyte", `
			A message that is compressed (RFC 3274) to twenty thousand octets has a header of more than a megabyte inside. Headers are held
			in memory, and so there is a limit, beyond which a message is not read.`,
			Expectation{Fails: "header is too large"},
			func(l *Lab) string {
				var padding strings.Builder
				for range 1300 {
					fmt.Fprintf(&padding, "X-Padding: %x%s\r\n", randomKey(8), strings.Repeat("x", 900))
				}
				return l.mail(compressed(padding.String() + text(offer)))
			}},
		{"727-no-body", `
			A message that ends with its header, without the empty line. Nothing follows, and nothing is wrong but that.`,
			Expectation{Verdict: "unsigned", From: "mallory@example.test"},
			func(l *Lab) string { return strings.TrimSuffix(l.mail("", malloryFrom), "\r\n") }},
		{"728-attachment-before-the-text", `
			An attachment of type text/plain with the disposition attachment stands before the text, and says something else. What is
			displayed is the text; an attachment is none (RFC 2183 section 2.2).`,
			Expectation{Verdict: "passed", Text: []string{"10 euros"}, NotText: []string{"666"}},
			func(l *Lab) string {
				attached := part("text/plain", `Content-Disposition: attachment; filename="note.txt"`, "Pay to account 666.\n")
				return l.mail(l.sign(multipart("mixed", attached, text(offer)), l.Alice))
			}},
		{"729-trailing-blanks-at-the-boundary", `
			The boundary lines have blanks and tabs behind them, as some gateways add them. RFC 2046 section 5.1.1 has them as padding of the
			transport, to be ignored. What was signed is between the lines, and passes.`,
			passed,
			func(l *Lab) string {
				signed := l.sign(text(offer), l.Alice)
				_, boundary, _ := strings.Cut(signed, `boundary="`)
				boundary, _, _ = strings.Cut(boundary, `"`)
				return l.mail(strings.ReplaceAll(strings.ReplaceAll(signed, "--"+boundary+"\r\n", "--"+boundary+" \t \r\n"), "--"+boundary+"--\r\n", "--"+boundary+"-- \r\n"))
			}},
		{"730-certificate-elsewhere", `
			Alice's message carries no certificate at all, as some programs are set up to save room (RFC 8551 section 2.3 asks senders to
			send it). Whom the signature is of cannot be known here: indeterminate, and neither good nor forged.`,
			Expectation{Verdict: "indeterminate", Codes: []string{"no-certificate"}, Text: []string{"10 euros"}},
			func(l *Lab) string {
				return l.mail(p7m(signedDraft{content: []byte(text(offer)), bag: true, signers: []signerDraft{{id: l.Alice}}}.der(), "signed-data"))
			}},
		{"731-many-certificates", `
			Alice's message brings along a hundred and fifty certificates of others, all of the same subject as its issuer and none of them the
			right one. Each may have to be tried for a path. It costs what the bounds allow, and passes.`,
			passed,
			func(l *Lab) string {
				s := signedDraft{content: []byte(text(offer)), signers: []signerDraft{{id: l.Alice}}}
				for range 150 {
					id := l.issue(l.Stranger, keyOf("one of many"), "x", func(c *x509.Certificate) { asAuthority(c, "Hostile Test Issuing CA") })
					s.certificates = append(s.certificates, id.Certificate())
				}
				return l.mail(p7m(s.der(), "signed-data"))
			}},
		{"732-unknown-encoding", `
			The transfer encoding of a text is one that does not exist. RFC 2045 section 6.4: it is to be treated as application/octet-stream.
			The text is not decoded by any guess.`,
			Expectation{Verdict: "unsigned", NotText: []string{"Dear Bob"}},
			func(l *Lab) string {
				return l.mail(part("text/plain", "Content-Transfer-Encoding: X-ROT13", "Qrne Obo\n"), malloryFrom)
			}},
		{"733-base64-with-noise", `
			The base64 of an encrypted message has exclamation marks and hash signs between its letters. RFC 2045 section 6.8: what
			is not base64 is ignored. It opens, and that is noted.`,
			Expectation{Verdict: "unsigned", Encryption: "decrypted", Codes: []string{"illegal-base64"}, Text: []string{"4711"}},
			func(l *Lab) string {
				sealed := l.sealed(text(secret))
				head, rest, _ := strings.Cut(sealed, "\r\n\r\n")
				return l.mail(head + "\r\n\r\n" + strings.ReplaceAll(rest, "\r\n", "#\r\n!"))
			}},
		{"734-resigned-by-a-list", `
			A mailing list took Alice's opaque message, changed the subject outside to "[list] …", added fields of its own and a Sender. The
			signature covers none of that. It passes as Alice, and the header is marked as not protected.`,
			Expectation{Verdict: "passed", From: "alice@example.test", Screen: []string{"(not protected)", "list@example.test"}},
			func(l *Lab) string {
				return l.mail(l.signAs(text(offer), l.Alice, smime.SignOptions{Form: smime.Opaque, SigningTime: signingTime}),
					"Sender: list@example.test", "Subject: [list] Offer", "List-Id: <list.example.test>", "Precedence: bulk")
			}},
		{"735-two-encodings-of-one-part", `
			Content-Transfer-Encoding is there twice: 7bit first, and base64 second, around a signed opaque message. By the first the body is
			text, by the second CMS. Whatever is made of it, it is not shown as signed with another content than what was verified.`,
			Expectation{Verdict: "failed", NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines(body(l.opaque(text(offer), l.Alice))))
			}},
		{"736-encrypted-as-octet-stream", `
			An encrypted message whose type was changed to application/octet-stream, with the name smime.p7m. RFC 8551 section 3.2.1 has the
			file name for this case. It opens.`,
			opened,
			func(l *Lab) string {
				return l.mail("Content-Type: application/octet-stream; name=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines(body(l.encrypt(text(secret), cms.AES256GCM, l.BobRSA))))
			}},
	}
}

// padded is a CMS message with zero octets behind it, as many as make its base64 end without padding.
func padded(der []byte) []byte {
	for len(der)%3 != 0 {
		der = append(der, 0)
	}
	return der
}
