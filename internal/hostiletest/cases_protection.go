package hostiletest

import (
	"strings"
)

// protectionCases are about header protection (RFC 9788).
func protectionCases() []Case {
	// clear is signed by Alice with these fields inside and these outside.
	clear := func(entity string, inside []string, outside ...string) func(*Lab) string {
		return func(l *Lab) string {
			return l.mail(l.sign(protected("clear", entity, append(inside, l.idField())...), l.Alice), outside...)
		}
	}
	const (
		aliceField = "From: Alice Adams <alice@example.test>"
		bobField   = "To: bob@example.test"
		dateField  = "Date: Sat, 21 Nov 2026 10:00:00 +0000"
	)
	return []Case{
		{"501-control-protected", `
			Nothing is wrong with this one: Alice signs with a protected header (RFC 9788, hp="clear"), and inside and outside are
			the same. It passes, and no field is marked as not protected.`,
			Expectation{Verdict: "passed", From: "alice@example.test", NotCodes: []string{"header-differs", "from-differs"}, NotScreen: []string{"(not protected)"}},
			func(l *Lab) string {
				return l.mail(l.sign(protected("clear", text(offer), l.usualProtected()...), l.Alice))
			}},
		{"502-control-hidden-subject", `
			Nothing is wrong here either: signed and encrypted with hp="cipher", the subject outside is "[...]", and HP-Outer says so
			(RFC 9788 section 3.2.1). The subject inside is shown, and no difference is told of.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", NotCodes: []string{"header-differs"}, Screen: []string{"Subject: The price"}, NotScreen: []string{"[...]"}},
			func(l *Lab) string {
				inner := protected("cipher", text(offer), aliceField, bobField, dateField, "Subject: The price", "Message-ID: <"+l.messageID+"@example.test>",
					"HP-Outer: "+aliceField, "HP-Outer: "+bobField, "HP-Outer: "+dateField, "HP-Outer: Subject: [...]", "HP-Outer: "+l.idField())
				return l.mail(l.sealed(l.sign(inner, l.Alice)), "Subject: [...]")
			}},
		{"503-from-differs", `
			The protected From is Alice, who signed, and outside From is Mallory, so that lists and filters show another sender. The
			signature is bound to the protected address, which is displayed (RFC 9788 section 4.4.3). That it differs is said, and how.`,
			Expectation{Verdict: "passed", From: "alice@example.test", Codes: []string{"from-differs"}, Screen: []string{"mallory@example.test"}},
			func(l *Lab) string {
				return l.mail(l.sign(protected("clear", text(offer), l.usualProtected()...), l.Alice), malloryFrom)
			}},
		{"504-from-inside-is-somebody-else", `
			Mallory signed, wrote Alice into the protected From and herself outside. A reader that shows protected fields whatever the
			signature says shows Alice. The signature does not speak for the protected From; RFC 9788 section 4.4.3 has the outer one
			shown, which is not protected.`,
			Expectation{Verdict: "failed", Codes: []string{"address-mismatch", "from-mismatch"}, From: "mallory@example.test", Screen: []string{"mallory@example.test   (not protected)"},
				NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail(l.sign(protected("clear", text(lie), l.usualProtected()...), l.Mallory), malloryFrom)
			}},
		{"505-from-inside-is-somebody-else-unsigned", `
			The same, encrypted and not signed: anybody can encrypt to Bob with any From inside. Without a signature that is bound, the
			outer From is shown, with a warning like one of phishing (RFC 9788 section 4.4.2).`,
			Expectation{Verdict: "unsigned", Encryption: "decrypted", Codes: []string{"from-mismatch"}, From: "mallory@example.test"},
			func(l *Lab) string {
				return l.mail(l.sealed(protected("cipher", text(lie), l.usualProtected()...)), malloryFrom)
			}},
		{"506-subject-differs", `
			The subject outside was changed on the way: "Yes", and inside it is "No". The protected one is displayed, and that it
			differs is said, with what stands outside (RFC 9788 section 4.5.1 and 4.6).`,
			Expectation{Verdict: "passed", Codes: []string{"header-differs"}, Screen: []string{"Subject: No", "Yes"}, NotScreen: []string{"Subject: Yes"}},
			clear(text(offer), []string{aliceField, bobField, dateField, "Subject: No"}, "Subject: Yes")},
		{"507-two-protected-from", `
			There are two protected From, Alice's and Mallory's, and the signature is Alice's. RFC 5322 section 3.6 allows one, inside as
			well. Which is shown depends on the reader: failed.`,
			Expectation{Verdict: "failed", Codes: []string{"several-from"}, NotScreen: []string{"PASSED"}},
			clear(text(offer), []string{aliceField, malloryFrom, bobField, dateField, "Subject: s"}, "Subject: s")},
		{"508-two-protected-subjects", `
			There are two protected Subject fields, and one outside. Alice signed both; the first is displayed, as everywhere where a
			field is there twice. It differs from outside, and is there twice, which is said.`,
			Expectation{Verdict: "passed", Codes: []string{"header-differs", "repeated-field"}, Screen: []string{"Subject: first"}},
			clear(text(offer), []string{aliceField, bobField, dateField, "Subject: first", "Subject: second"}, "Subject: second")},
		{"509-hp-outer-lies", `
			HP-Outer says that the subject outside is "[...]", and outside it is "Urgent: pay now", which somebody put there. The field
			differs from what its composer says (RFC 9788 section 4.2), and is told of. What is displayed is the protected one.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", Codes: []string{"header-differs"}, Screen: []string{"Subject: The price", "Urgent"}},
			func(l *Lab) string {
				inner := protected("cipher", text(offer), aliceField, bobField, dateField, l.idField(), "Subject: The price", "HP-Outer: Subject: [...]")
				return l.mail(l.sealed(l.sign(inner, l.Alice)), "Subject: Urgent: pay now")
			}},
		{"510-hp-outer-in-a-signed-mail", `
			hp="clear" with HP-Outer fields that excuse a difference: "HP-Outer: Subject: Yes". RFC 9788 section 2.2: they count under
			hp="cipher" in encrypted messages alone. The difference is told of.`,
			Expectation{Verdict: "passed", Codes: []string{"header-differs"}, Screen: []string{"Subject: No"}},
			clear(text(offer), []string{aliceField, bobField, dateField, "Subject: No", "HP-Outer: Subject: Yes"}, "Subject: Yes")},
		{"511-hp-outer-outside", `
			HP-Outer fields stand outside, put there by somebody on the way to excuse the subject. They count inside alone (RFC 9788
			section 2.2).`,
			Expectation{Verdict: "passed", Encryption: "decrypted", Codes: []string{"header-differs"}, Screen: []string{"Subject: No"}},
			func(l *Lab) string {
				inner := protected("cipher", text(offer), aliceField, bobField, dateField, l.idField(), "Subject: No")
				return l.mail(l.sealed(l.sign(inner, l.Alice)), "Subject: Yes", "HP-Outer: Subject: Yes")
			}},
		{"512-hp-in-a-subpart", `
			The parameter hp stands in a part of a signed multipart/mixed, with Mallory as From. RFC 9788 section 4.1: it counts at the
			root of what is protected and nowhere else. The header outside is displayed, as not protected.`,
			Expectation{Verdict: "passed", From: "alice@example.test", Screen: []string{"(not protected)"}, NotScreen: []string{"From:    mallory"}},
			func(l *Lab) string {
				return l.mail(l.sign(multipart("mixed", protected("clear", text(offer), malloryFrom, "Subject: from a part")), l.Alice))
			}},
		{"513-hp-without-protection", `
			A message that nobody signed or encrypted has hp="clear" at its root, and a second header in it. There is no protection,
			and so no protected header: what the message says of itself is worth nothing.`,
			Expectation{Verdict: "unsigned", From: "mallory@example.test", NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail(strings.Replace(text(lie), "utf-8", `utf-8; hp="clear"`, 1), malloryFrom)
			}},
		{"514-hp-cipher-and-not-encrypted", `
			hp="cipher" in a message that is signed and not encrypted: either its encryption was taken off on the way, or it never had
			any. The fields are protected by the signature all the same, and nothing is confidential; HP-Outer is ignored (RFC 9788
			section 2.2).`,
			Expectation{Verdict: "passed", From: "alice@example.test", Codes: []string{"header-differs", "encryption-missing"}, Screen: []string{"Subject: The price"}},
			func(l *Lab) string {
				inner := protected("cipher", text(offer), aliceField, bobField, dateField, l.idField(), "Subject: The price", "HP-Outer: Subject: [...]")
				return l.mail(l.sign(inner, l.Alice), "Subject: [...]")
			}},
		{"515-hp-of-another-value", `
			hp="none" at the root, which is no value that RFC 9788 section 2.1.1 knows. The fields inside are not protected ones, and
			the header outside is displayed as not protected.`,
			Expectation{Verdict: "passed", From: "alice@example.test", Screen: []string{"(not protected)", "Subject: outside"}},
			func(l *Lab) string {
				return l.mail(l.sign(protected("none", text(offer), aliceField, "Subject: inside"), l.Alice), "Subject: outside")
			}},
		{"516-hp-twice", `
			The parameter hp is there twice, "clear" and then "cipher". One reader takes the first, another the last. The first counts
			here, as of any parameter, so that HP-Outer excuses nothing.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", Codes: []string{"header-differs"}},
			func(l *Lab) string {
				inner := strings.Replace(protected("clear", text(offer), aliceField, bobField, dateField, l.idField(), "Subject: No", "HP-Outer: Subject: Yes"), `hp="clear"`, `hp="clear"; hp="cipher"`, 1)
				return l.mail(l.sealed(l.sign(inner, l.Alice)), "Subject: Yes")
			}},
		{"517-added-outside", `
			Somebody on the way added Cc and Reply-To outside, so that an answer to all goes to Mallory. The protected header has
			neither. Fields that are outside alone are not displayed as the message's, and are told of (RFC 9788 section 4.6).`,
			Expectation{Verdict: "passed", Codes: []string{"header-differs"}, NotScreen: []string{"Cc:  "}},
			func(l *Lab) string {
				return l.mail(l.sign(protected("clear", text(offer), l.usualProtected()...), l.Alice), "Cc: mallory@example.test", "Reply-To: mallory@example.test")
			}},
		{"518-taken-away-outside", `
			The protected Cc names Carol, and outside there is no Cc: somebody took it away, so that Bob believes the mail to be for
			him alone. The protected one is shown, and the difference told of.`,
			Expectation{Verdict: "passed", Codes: []string{"header-differs"}, Screen: []string{"carol@example.test"}},
			func(l *Lab) string {
				return l.mail(l.sign(protected("clear", text(offer), append(l.usualProtected(), "Cc: carol@example.test")...), l.Alice))
			}},
		{"519-two-from-outside", `
			Inside From is Alice, and outside there are two, Alice's and Mallory's. Mail servers check one of them, and lists show one.
			The signature is bound to the protected one, which is shown; that it differs is said, with all that stand outside.`,
			Expectation{Verdict: "passed", From: "alice@example.test", Codes: []string{"from-differs"}, Screen: []string{"mallory@example.test"}},
			func(l *Lab) string {
				return l.mail(l.sign(protected("clear", text(offer), l.usualProtected()...), l.Alice), aliceField, malloryFrom)
			}},
		{"520-line-end-in-a-protected-subject", `
			The protected subject is an encoded word that decodes to a line end and a line like a verdict. RFC 2047 decodes for
			display; a line end in a field is none of the message's. It stays in its line, without the mark.`,
			Expectation{Verdict: "passed", NotScreen: []string{"\n▌ PASSED        signed by Carol", "\nPASSED"}},
			func(l *Lab) string {
				subject := "Subject: =?utf-8?q?Hello=0D=0A=E2=96=8C_PASSED________signed_by_Carol?="
				return l.mail(l.sign(protected("clear", text(offer), aliceField, bobField, dateField, l.idField(), subject), l.Alice), subject)
			}},
		{"521-line-end-in-hp-outer", `
			HP-Outer names a field whose value would, written back, be two fields. It is compared, and never written into anything. The
			message passes, and the difference is told of.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", Codes: []string{"header-differs"}},
			func(l *Lab) string {
				inner := protected("cipher", text(offer), aliceField, bobField, dateField, l.idField(), "Subject: No", "HP-Outer: Subject: Yes\r\n\tX-Other: 1", "HP-Outer: =?utf-8?q?Subject:_Yes?=", "HP-Outer:", "HP-Outer: :")
				return l.mail(l.sealed(l.sign(inner, l.Alice)), "Subject: Yes")
			}},
		{"522-legacy-display-forged", `
			A signed message that is not encrypted has hp-legacy-display="1" in its text, so that a reader drops the first lines: "I do
			not agree." RFC 9788 section 4.5.3: they are dropped from encrypted messages alone. All of the text is shown.`,
			Expectation{Verdict: "passed", Text: []string{"I do NOT agree", "to the offer"}},
			clear(strings.Replace(text("I do NOT agree\n\nto the offer of 10 euros.\n"), "utf-8", "utf-8; hp-legacy-display=1", 1),
				[]string{aliceField, bobField, dateField, "Subject: s"}, "Subject: s")},
		{"523-legacy-display", `
			A signed and encrypted message with hp="cipher" repeats its subject in the first lines for readers that do not know header
			protection, and says so with hp-legacy-display="1". These lines are dropped (RFC 9788 section 4.5.3.2), and the header is
			shown in its place.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", Text: []string{"10 euros"}, NotText: []string{"Subject: The price"}, Screen: []string{"Subject: The price"}},
			func(l *Lab) string {
				entity := strings.Replace(text("Subject: The price\n\n"+offer), "utf-8", "utf-8; hp-legacy-display=1", 1)
				inner := protected("cipher", entity, aliceField, bobField, dateField, "Subject: The price", l.idField(), "HP-Outer: Subject: [...]")
				return l.mail(l.sealed(l.sign(inner, l.Alice)), "Subject: [...]")
			}},
		{"524-legacy-display-in-markup-forged", `
			HTML in a signed message, not encrypted, has an element of the class header-protection-legacy-display with what matters in it.
			A reader that drops such elements everywhere hides it (RFC 9788 section 4.5.3.3 is for encrypted messages). It is shown.`,
			Expectation{Verdict: "passed", Text: []string{"do NOT agree"}},
			clear(strings.Replace(html(`<div class="header-protection-legacy-display"><p>I do NOT agree</p></div><p>to the offer.</p>`), "utf-8", "utf-8; hp-legacy-display=1", 1),
				[]string{aliceField, bobField, dateField, "Subject: s"}, "Subject: s")},
		{"525-not-addressed-to-you", `
			The protected To is Carol, and outside it is Bob: the mail was signed for Carol and sent on. The signature is good. Whom it
			was addressed to is protected, and Bob is told that it was not him.`,
			Expectation{Verdict: "passed", Codes: []string{"not-addressed-to-you", "header-differs"}, Screen: []string{"To:      carol@example.test"}},
			clear(text(offer), []string{aliceField, "To: carol@example.test", dateField, "Subject: s"}, "Subject: s")},
		{"526-protected-from-missing", `
			The protected header has no From, and outside From is Alice, who signed. RFC 9788 section 4.4.1.1 compares both. A sender
			that is outside alone is not protected: nothing was signed about it.`,
			Expectation{Verdict: "failed", Codes: []string{"no-from", "from-mismatch"}, NotScreen: []string{"PASSED"}},
			clear(text(offer), []string{bobField, dateField, "Subject: s"}, "Subject: s")},
		{"527-structural-fields-inside", `
			The protected header has a second Content-Type and a Content-Transfer-Encoding between the fields of the message. They
			belong to the entity (RFC 9787 section 1.1.1). The first Content-Type counts, which is text, and the second would make it HTML.`,
			Expectation{Verdict: "passed", Codes: []string{"several-content-types"}, Text: []string{"<b>10</b>"}},
			clear(strings.Replace(text("please transfer <b>10</b> euros\n"), "\r\n\r\n", "\r\nContent-Type: text/html\r\n\r\n", 1), []string{aliceField, bobField, dateField, "Subject: s"}, "Subject: s")},
		{"528-date-differs", `
			Outside, Date is a year later than inside, so that an old mail is sorted among the new ones. The protected date is shown,
			and the difference told of.`,
			Expectation{Verdict: "passed", Codes: []string{"header-differs"}, Screen: []string{"2026-11-21 10:00:00 UTC"}, NotScreen: []string{"Date:    2027"}},
			clear(text(offer), []string{aliceField, bobField, dateField, "Subject: s"}, "Subject: s", "Date: Sun, 21 Nov 2027 10:00:00 +0000")},
		{"529-many-differences", `
			Outside there are two thousand fields that differ, as many as fit. Each is worth a warning, and together they would bury the
			one that matters. The number of warnings is bounded, and the first of each kind is kept.`,
			Expectation{Verdict: "passed", Codes: []string{"from-differs", "header-differs", "more-warnings"}, From: "alice@example.test"},
			func(l *Lab) string {
				inside := l.usualProtected()
				for i := range 2000 {
					inside = append(inside, "X-"+strings.Repeat("a", 1+i%40)+string(rune('a'+i/40%26))+string(rune('a'+i/1040))+": 1")
				}
				return l.mail(l.sign(protected("clear", text(offer), inside...), l.Alice), malloryFrom)
			}},
		{"530-control-wrapped", `
			Nothing is wrong with this one: Alice signs a whole message, as RFC 8551 section 3.1 has it, with the word that it is not a
			forwarded one. Its header is the message's, and is protected; outside, the subject is a placeholder of older programs.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", From: "alice@example.test", Screen: []string{"Subject: The price"}, NotCodes: []string{"header-differs"}, NotScreen: []string{"(not protected)"}},
			func(l *Lab) string {
				inner := wrapper("; forwarded=no", text(offer), aliceField, bobField, dateField, l.idField(), "Subject: The price")
				return l.mail(l.sealed(l.sign(inner, l.Alice)), "Subject: ...")
			}},
		{"531-forward-taken-for-a-wrapper", `
			Mallory signs a message that holds nothing but an attached one, in which Alice asks for money. A reader that takes every
			message/rfc822 for a wrapper shows Alice's header and text under a good signature. Without the word that it is not
			forwarded it is an attachment, and Mallory's.`,
			Expectation{Verdict: "passed", From: "mallory@example.test", NotText: []string{"9000"}, Screen: []string{"enclosed 1: a message", "signed by Mallory Moor"}, NotScreen: []string{"From:    alice"}},
			func(l *Lab) string {
				return l.mail(l.sign(wrapper("", text(lie), l.usualProtected()...), l.Mallory), malloryFrom)
			}},
		{"532-wrapped-from-is-somebody-else", `
			Mallory signs a wrapped message whose From is Alice. Outside From is Mallory, whom the certificate speaks for. Who checks the
			outer field and shows the inner one says that Alice signed. The inner one is what the signature must speak for.`,
			Expectation{Verdict: "failed", Codes: []string{"address-mismatch", "from-mismatch"}, From: "mallory@example.test", NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail(l.sign(wrapper("; forwarded=no", text(lie), l.usualProtected()...), l.Mallory), malloryFrom)
			}},
		{"533-wrapper-beside-text", `
			The wrapper is not the whole of what was signed: it stands in a multipart, behind a text. It is an attached message then,
			whatever its parameters say, and its header protects nothing.`,
			Expectation{Verdict: "passed", From: "mallory@example.test", Text: []string{"as you asked"}, NotText: []string{"9000"}, NotScreen: []string{"From:    alice"}},
			func(l *Lab) string {
				return l.mail(l.sign(multipart("mixed", text("as you asked\n"), wrapper("; forwarded=no", text(lie), l.usualProtected()...)), l.Mallory), malloryFrom)
			}},
		{"534-wrapper-in-a-wrapper", `
			A wrapped message whose body is a wrapper again, with another header. One header protects: the outer one. What is inside it
			is an attached message.`,
			Expectation{Verdict: "passed", From: "alice@example.test", Screen: []string{"Subject: Outer"}, NotScreen: []string{"Subject: Inner"}, NotText: []string{"9000"}},
			func(l *Lab) string {
				inner := wrapper("; forwarded=no", text(lie), aliceField, bobField, dateField, l.idField(), "Subject: Inner")
				return l.mail(l.sign(wrapper("; forwarded=no", inner, aliceField, bobField, dateField, l.idField(), "Subject: Outer"), l.Alice), "Subject: Outer")
			}},
		{"535-wrapped-and-not-protected", `
			A wrapper in a message that nobody signed or encrypted. There is nothing that could protect a header: what is in it is an
			attached message.`,
			Expectation{Verdict: "unsigned", From: "mallory@example.test", NotText: []string{"9000"}, NotScreen: []string{"From:    alice"}},
			func(l *Lab) string {
				return l.mail(wrapper("; forwarded=no", text(lie), l.usualProtected()...), malloryFrom)
			}},
		{"536-control-older-scheme", `
			Nothing is wrong with this one: the header is protected as programs did before RFC 9788 (protected-headers="v1"). What is
			not inside, such as Cc, stands outside, and is marked as not protected.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", From: "alice@example.test", Screen: []string{"Subject: The price\n", "Cc:      carol@example.test   (not protected)"}},
			func(l *Lab) string {
				inner := protectedV1(text(offer), aliceField, bobField, dateField, l.idField(), "Subject: The price")
				return l.mail(l.sealed(l.sign(inner, l.Alice)), "Subject: ...", "Cc: carol@example.test")
			}},
		{"537-older-scheme-from-differs", `
			The older scheme protects a From that is Alice's, and Mallory signed and stands outside. As with RFC 9788, the signature must
			speak for the protected one.`,
			Expectation{Verdict: "failed", Codes: []string{"address-mismatch", "from-mismatch"}, From: "mallory@example.test", NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail(l.sign(protectedV1(text(lie), l.usualProtected()...), l.Mallory), malloryFrom)
			}},
		{"538-older-scheme-answers-elsewhere", `
			The older scheme protects From and Subject, and somebody on the way has put a Sender and a Reply-To outside. Fields that are not
			inside may count outside in this scheme; those that would change what the protected From means never do.`,
			Expectation{Verdict: "passed", From: "alice@example.test", NotScreen: []string{"Sender:  mallory@example.test", "Reply-To: mallory@example.test"}},
			func(l *Lab) string {
				return l.mail(l.sign(protectedV1(text(offer), l.usualProtected()...), l.Alice), "Sender: mallory@example.test", "Reply-To: mallory@example.test")
			}},
		{"539-older-scheme-hides-text", `
			A first part that repeats header fields for old readers belongs to the older scheme, and is left out. Here it says in
			addition what the text turns around. Text that other readers show must not vanish: what is more than a header is shown.`,
			Expectation{Verdict: "passed", Text: []string{"I do NOT agree", "to the offer"}},
			func(l *Lab) string {
				first := part(`text/plain; charset=utf-8; protected-headers="v1"`, "Content-Disposition: inline", "I do NOT agree\n")
				return l.mail(l.sign(protectedV1(multipart("mixed", first, text("to the offer.\n")), l.usualProtected()...), l.Alice))
			}},
		{"540-legacy-display-that-is-text", `
			Signed and encrypted, and the text is marked as one that begins with a Legacy Display Element. What stands there is "I do NOT
			agree", and no header. RFC 9788 section 4.5.3.2 has these lines dropped; readers that do not know it show them, and Alice
			could say later what she never let Bob see. What does not repeat the header is shown.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", Text: []string{"I do NOT agree", "to the offer"}},
			func(l *Lab) string {
				entity := strings.Replace(text("I do NOT agree\n\nto the offer of 10 euros.\n"), "utf-8", "utf-8; hp-legacy-display=1", 1)
				return l.mail(l.sealed(l.sign(protected("cipher", entity, l.usualProtected()...), l.Alice)))
			}},
		{"541-legacy-display-in-markup-that-is-text", `
			The same in HTML, in an element of the class header-protection-legacy-display, which RFC 9788 section 4.5.3.3 has dropped. It
			says something that the header does not, and is shown.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", Text: []string{"I do NOT agree", "to the offer"}},
			func(l *Lab) string {
				entity := strings.Replace(html(`<p>Bob,</p><div class="header-protection-legacy-display"><p>I do NOT agree</p></div><p>to the offer.</p>`), "utf-8", "utf-8; hp-legacy-display=1", 1)
				return l.mail(l.sealed(l.sign(protected("cipher", entity, l.usualProtected()...), l.Alice)))
			}},
		{"542-copy-of-a-header-that-nobody-shows", `
			Signed and encrypted, with protected-headers="v1". Its first part repeats a field of the protected header for readers that do
			not know it, so that it is left out. The field is one that no reader shows, X-Note, and says "I do NOT agree". The part is
			shown: it may stand for fields that are displayed, and for no others.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", Text: []string{"I do NOT agree", "10 euros"}},
			func(l *Lab) string {
				const note = "X-Note: I do NOT agree to what is below"
				inner := strings.Join(append(l.usualProtected(), note), "\r\n") + "\r\n" +
					multipart(`mixed; protected-headers="v1"`, part(`text/plain; protected-headers="v1"`, "Content-Disposition: inline", note+"\n"), text(offer))
				return l.mail(l.sealed(l.sign(inner, l.Alice)))
			}},
		{"543-blanks-behind-a-subject", `
			Alice signed without header protection, and on the way the subject became "pay 9000 euros" and three thousand blanks. On the screen,
			whatever stands behind them, such as that the subject is not protected, is out of sight. Of many blanks one is shown.`,
			Expectation{Verdict: "passed", Screen: []string{"Subject: pay 9000 euros now   (not protected)\n"}},
			func(l *Lab) string {
				return l.mail(l.sign(text(offer), l.Alice), "Subject: pay 9000 euros"+strings.Repeat(" ", 1500)+"=?utf-8?q?=C2=A0?="+strings.Repeat(" ", 1500)+"now"+strings.Repeat(" =?utf-8?q?=E3=80=80?=", 40))
			}},
		{"544-another-from-outside-that-is-announced", `
			Signed and encrypted with Alice as the protected From; HP-Outer says that Mallory stands outside, and she does. RFC 9788 section
			3.1.1 lets no composer change that address, and section 4.4.1.1 compares it whatever HP-Outer says. That it differs is said, and
			who stands outside.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", From: "alice@example.test", Codes: []string{"from-differs"}, Screen: []string{"mallory@example.test"}},
			func(l *Lab) string {
				inner := protected("cipher", text(offer), append(l.usualProtected(), "HP-Outer: "+malloryFrom, "HP-Outer: "+bobField, "HP-Outer: "+dateField,
					"HP-Outer: Subject: "+l.messageID, "HP-Outer: "+l.idField())...)
				return l.mail(l.sealed(l.sign(inner, l.Alice)), malloryFrom)
			}},
	}
}
