package hostiletest

import (
	"strings"
)

// structureCases are about signatures that cover a part of a message, or none of it.
func structureCases() []Case {
	// partly is a message of which a part is signed, around which unsigned words stand.
	partly := Expectation{Verdict: "indeterminate", Codes: []string{"partly-signed"}, NotText: []string{"10 euros"}, NotScreen: []string{"PASSED"}}
	broken := Expectation{Verdict: "failed", Codes: []string{"structure"}, NotScreen: []string{"PASSED"}}
	unsigned := Expectation{Verdict: "unsigned", NotScreen: []string{"PASSED"}}
	const unsignedWords = "P.S. My account is 666 now.\n"
	return []Case{
		{"201-words-before-a-signed-part", `
			Mallory wrote a text, and attached a signed part of Alice behind it in a multipart/mixed. A reader that shows both texts
			one below the other with one mark "signed by Alice" is fooled. The signature covers a part only, and the text of that
			part is not mixed with the words around it (the published class of partial signing).`,
			partly,
			func(l *Lab) string {
				return l.mail(multipart("mixed", text(unsignedWords), l.sign(text(offer), l.Alice)))
			}},
		{"202-words-behind-a-signed-part", `
			The same with the unsigned text behind the signed part, as mailing lists add their footers. What is displayed as the
			text of the message is the unsigned one; the signed part is a part.`,
			partly,
			func(l *Lab) string {
				return l.mail(multipart("mixed", l.sign(text(offer), l.Alice), text(unsignedWords)))
			}},
		{"203-alternative-signed-first", `
			A multipart/alternative of a signed part of Alice and unsigned HTML. A reader that shows the last alternative it
			understands (RFC 2046 section 5.1.4) and the verdict of the first shows Mallory's HTML as signed by Alice.`,
			partly,
			func(l *Lab) string {
				return l.mail(multipart("alternative", l.sign(text(offer), l.Alice), html("<p>Dear Bob, pay to account 666.</p>")))
			}},
		{"204-alternative-signed-last", `
			The same in the other order: unsigned text first, and the signed part last. A reader that prefers plain text shows
			Mallory's words under the verdict of the signed alternative.`,
			partly,
			func(l *Lab) string {
				return l.mail(multipart("alternative", text(unsignedWords), l.sign(text(offer), l.Alice)))
			}},
		{"205-related-root-unsigned", `
			A multipart/related whose root is unsigned HTML, and whose second part is a signed text of Alice. The root is what is
			displayed (RFC 2387 section 3.2), and nobody signed it.`,
			partly,
			func(l *Lab) string {
				return l.mail(multipart(`related; type="text/html"`, html("<p>Dear Bob, pay to account 666.</p>"), l.sign(text(offer), l.Alice)))
			}},
		{"206-signed-part-by-reference", `
			Unsigned HTML refers to the signed part by cid: in an image and a frame, hides it, and so makes a reader verify it while
			the HTML is what is seen (RFC 2387, RFC 2392). One signature somewhere in the tree does not speak for the page
			that refers to it.`,
			partly,
			func(l *Lab) string {
				page := html(`<p>Dear Bob, pay to account 666.</p><iframe src="cid:signed@example.test" style="display:none"></iframe>`)
				return l.mail(multipart(`related; type="text/html"`, page, "Content-ID: <signed@example.test>\r\n"+l.sign(text(offer), l.Alice)))
			}},
		{"207-signed-message-attached", `
			Mallory forwards a signed message of Alice as message/rfc822 in a mail that bears Alice's From. The signature is in the
			attached message and is good there. It leaves its carrier unsigned (RFC 8551 section 3.1 puts protection around a message,
			and never into it).`,
			unsigned,
			func(l *Lab) string {
				return l.mail(multipart("mixed", text(unsignedWords), forwarded(l.mail(l.sign(text(offer), l.Alice)))))
			}},
		{"208-signed-message-in-a-digest", `
			A multipart/digest, whose parts are messages where no type is given (RFC 2046 section 5.1.5). The signed message of Alice is
			one of them. The digest around it is unsigned.`,
			unsigned,
			func(l *Lab) string {
				first := "\r\n" + l.mail(text("Hello\n"), malloryFrom)
				return l.mail(multipart("digest", first, "\r\n"+l.mail(l.sign(text(offer), l.Alice))))
			}},
		{"209-no-part", `
			A multipart/signed in which the boundary never occurs. There is nothing signed and no signature, and the type says
			signed. A reader that goes by the type shows a seal. RFC 1847 section 2.1 wants exactly two parts.`,
			broken,
			func(l *Lab) string {
				return l.mail("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=none\r\n\r\n" + crlf(lie))
			}},
		{"210-one-part", `
			A multipart/signed with the content and without a signature. RFC 1847 section 2.1 wants exactly two parts. It claims to
			be signed, and is not: failed.`,
			broken,
			func(l *Lab) string { return l.mail(multipartSigned(text(lie))) }},
		{"211-three-parts", `
			A multipart/signed with a third part behind content and signature. A reader that verifies the first two and shows all
			three shows unsigned text as signed. RFC 1847 section 2.1 wants exactly two parts.`,
			broken,
			func(l *Lab) string {
				d := signedDraft{content: []byte(text(offer)), detached: true, signers: []signerDraft{{id: l.Alice}}}
				return l.mail(multipartSigned(text(offer), p7s(d.der()), text(unsignedWords)))
			}},
		{"212-three-parts-signature-last", `
			The unsigned part stands between the content and the signature. A reader that takes the first part for the content and the
			last for the signature verifies well and shows three.`,
			broken,
			func(l *Lab) string {
				d := signedDraft{content: []byte(text(offer)), detached: true, signers: []signerDraft{{id: l.Alice}}}
				return l.mail(multipartSigned(text(offer), text(unsignedWords), p7s(d.der())))
			}},
		{"213-parts-exchanged", `
			The signature stands first, and the content second. Whoever looks for the signature by its type verifies it. RFC 1847
			section 2.1 says which is which.`,
			broken,
			func(l *Lab) string {
				d := signedDraft{content: []byte(text(offer)), detached: true, signers: []signerDraft{{id: l.Alice}}}
				return l.mail(multipartSigned(p7s(d.der()), text(offer)))
			}},
		{"214-preamble-and-epilogue", `
			A good multipart/signed with text before the first boundary and behind the last. It is no part, is not signed, and must
			not be displayed (RFC 2046 section 5.1.1). What is displayed passes.`,
			Expectation{Verdict: "passed", Text: []string{"10 euros"}, NotText: []string{"666"}, NotScreen: []string{"666"}},
			func(l *Lab) string {
				signed := l.sign(text(offer), l.Alice)
				return l.mail(strings.Replace(signed, "\r\n\r\n", "\r\n\r\nDear Bob, pay to account 666.\r\n", 1) + "Pay to account 666.\r\n")
			}},
		{"215-signed-twice", `
			Alice signed, and Mallory signed around it, as a mailing list does. The innermost signature that covers the whole message
			as displayed is judged, and it is Alice's; of the outer one integrity and chain are asked. Both are good: passed, as
			Alice. A verdict that begins with "signed by Mallory" is about the wrong one.`,
			Expectation{Verdict: "passed", From: "alice@example.test", Text: []string{"10 euros"}, Screen: []string{"PASSED        signed by Alice Adams"}},
			func(l *Lab) string { return l.mail(l.sign(l.sign(text(offer), l.Alice), l.Mallory)) }},
		{"216-signed-twice-outer-broken", `
			Alice's signature inside is good, and the one around it is over other octets. Somebody altered what the second signer
			saw. Layers outside the judged one must be in order, and so it failed.`,
			Expectation{Verdict: "failed", Codes: []string{"digest-mismatch"}, NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				inner := l.sign(text(offer), l.Alice)
				d := signedDraft{content: []byte(l.sign(text(offer), l.Alice)), detached: true, signers: []signerDraft{{id: l.Mallory}}}
				return l.mail(multipartSigned(inner, p7s(d.der())))
			}},
		{"217-inside-markup", `
			Two unsigned HTML parts around a signed one: the first opens a frame and a style that hides what follows, the last closes
			them. A reader that puts all parts into one page shows the first part alone, under the verdict of the second. Each part
			stands for itself.`,
			partly,
			func(l *Lab) string {
				return l.mail(multipart("mixed", html(`<p>Pay to account 666.</p><div style="display:none"><iframe srcdoc="`), l.sign(text(offer), l.Alice), html(`"></iframe></div>`)))
			}},
		{"218-signature-attached", `
			A text, and beside it a good signature of Alice as an attachment: a smime.p7s in a multipart/mixed. It may be over that
			text or over anything. A seal by the attachment's name is false: a mixed is not signed (RFC 8551 section 3.5.3).`,
			unsigned,
			func(l *Lab) string {
				d := signedDraft{content: []byte(text(lie)), detached: true, signers: []signerDraft{{id: l.Alice}}}
				return l.mail(multipart("mixed", text(lie), p7s(d.der())))
			}},
		{"219-signed-message-as-file", `
			A text, and beside it an opaque signed part of Alice as an attachment smime.p7m. It covers itself and nothing else.`,
			partly,
			func(l *Lab) string {
				return l.mail(multipart("mixed", text(unsignedWords), l.opaque(text(offer), l.Alice)))
			}},
		{"220-alone-in-mixed", `
			A multipart/mixed whose only part is a good multipart/signed. Nothing unsigned is there today; a relay that adds a
			part would not break anything. Only layers from the outside in protect a message, so that it is indeterminate.`,
			partly,
			func(l *Lab) string { return l.mail(multipart("mixed", l.sign(text(offer), l.Alice))) }},
		{"221-two-signed-parts", `
			A multipart/mixed of two signed parts: one of Alice, and one of Mallory, whose certificate does not speak for From. A
			reader that reports the first signer it finds is fooled. The worst of the parts decides: failed.`,
			Expectation{Verdict: "failed", Codes: []string{"address-mismatch"}, NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail(multipart("mixed", l.sign(text(offer), l.Alice), l.sign(text(lie), l.Mallory)))
			}},
		{"222-another-protocol", `
			A multipart/signed whose protocol parameter names another signature format than its second part is. RFC 1847 section 2.1:
			they MUST be the same. A reader that goes by the one and verifies the other is led astray. It is not an S/MIME message,
			and unsigned.`,
			unsigned,
			func(l *Lab) string {
				return l.mail(replace(l.sign(text(offer), l.Alice), `"application/pkcs7-signature"`, `"application/pgp-signature"`))
			}},
		{"223-no-protocol", `
			A good message whose Content-Type has lost its parameter protocol, as some gateways do it. The second part says what it
			is. RFC 1847 wants the parameter; nothing false follows from reading it all the same.`,
			Expectation{Verdict: "passed", Text: []string{"10 euros"}},
			func(l *Lab) string {
				return l.mail(replace(l.sign(text(offer), l.Alice), ` protocol="application/pkcs7-signature";`, ""))
			}},
		{"224-forged-content-signed-forward", `
			Alice forwards a message of Mallory as an attachment, and signs her mail. What Mallory wrote in there is not Alice's
			word, though her signature covers it. It passes as Alice's forward, and the attached text is not shown as hers.`,
			Expectation{Verdict: "passed", From: "alice@example.test", Text: []string{"Look at this"}, NotText: []string{"666"}},
			func(l *Lab) string {
				attached := forwarded(l.mail(text("Pay to account 666.\n"), malloryFrom))
				return l.mail(l.sign(multipart("mixed", text("Look at this!\n"), attached), l.Alice))
			}},
		{"225-html-after-signed-text-in-signed", `
			Alice's signature covers a multipart/alternative of a text and HTML that say different things. All of it is signed, and she is answerable
			for both; the text is what is displayed here. It passes.`,
			Expectation{Verdict: "passed", Text: []string{"10 euros"}, NotText: []string{"9000"}},
			func(l *Lab) string {
				return l.mail(l.sign(multipart("alternative", text(offer), html("<p>please transfer 9000 euros</p>")), l.Alice))
			}},
		{"226-boundary-that-begins-alike", `
			Inside a signed part stands a line that begins with the boundary and goes on. RFC 2046 section 5.1.1: a boundary line has
			nothing behind it but white space, so that this line is text. A reader that compares the beginning alone sees another
			structure, where Mallory's words are the signed part.`,
			Expectation{Verdict: "passed", Text: []string{"10 euros", "666"}},
			func(l *Lab) string {
				content := text(offer + "\n--edgeX\nPay to account 666.\n")
				d := signedDraft{content: []byte(content), detached: true, signers: []signerDraft{{id: l.Alice}}}
				return l.mail("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=edge\r\n\r\n" + between("edge", content, p7s(d.der())))
			}},
		{"227-inner-boundary-is-the-outer", `
			A signed multipart/mixed has the same boundary as the multipart/signed around it. Which boundary line belongs to whom
			cannot be told: an outer one always ends the inner parts (RFC 2046 section 5.1.2). By that rule there are more than two
			parts outside.`,
			broken,
			func(l *Lab) string {
				inner := "Content-Type: multipart/mixed; boundary=edge\r\n\r\n" + between("edge", text(offer), text(unsignedWords))
				d := signedDraft{content: []byte(inner), detached: true, signers: []signerDraft{{id: l.Alice}}}
				return l.mail("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=edge\r\n\r\n" + between("edge", inner, p7s(d.der())))
			}},
		{"228-signed-as-attachment-named-p7m", `
			The displayed text is unsigned, and a part named "smime.p7m" of type text/plain follows, which is no CMS at all. A reader that shows a seal
			because of a file name is fooled. It is an attachment like any other.`,
			unsigned,
			func(l *Lab) string {
				return l.mail(multipart("mixed", text(lie), part("text/plain; name=smime.p7m", `Content-Disposition: attachment; filename="smime.p7m"`, "signed by Alice\n")))
			}},
	}
}
