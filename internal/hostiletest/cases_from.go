package hostiletest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
)

// fromCases are about who is named as the sender. Mallory signs all of them with her own good certificate, unless they say
// otherwise.
func fromCases() []Case {
	failed := func(codes ...string) Expectation {
		return Expectation{Verdict: "failed", Codes: codes, NotScreen: []string{"PASSED"}}
	}
	// signed is a text of Mallory with these fields in place of From.
	signed := func(fields ...string) func(*Lab) string {
		return func(l *Lab) string {
			return l.mail(l.sign(text(lie), l.Mallory), append([]string{"-From"}, fields...)...)
		}
	}
	asMallory := Expectation{Verdict: "passed", From: "mallory@example.test", Screen: []string{"mallory@example.test"}}
	// alsoNamed has another address beside the sender's, which is said.
	alsoNamed := asMallory
	alsoNamed.Codes = []string{"from-name"}
	return []Case{
		{"301-two-from-fields", `
			There are two From fields, Mallory's first and Alice's second, and Mallory's signature. A reader that verifies with the
			first and shows the last shows Alice. RFC 5322 section 3.6 allows one From, so the sender is not known.`,
			failed("several-from"), signed(malloryFrom, from("Alice Adams <alice@example.test>"))},
		{"302-two-from-fields-turned", `
			The same in the other order: a reader that shows the first and verifies with the last is fooled. There is more than one
			From, so the sender is not known (RFC 5322 section 3.6).`,
			failed("several-from"), signed(from("Alice Adams <alice@example.test>"), malloryFrom)},
		{"303-two-mailboxes", `
			One From with two mailboxes, Alice and Mallory (RFC 5322 section 3.6.2 allows that, with a Sender). The signature
			speaks for one of them, and a reader that shows the first shows the other. There must be exactly one.`,
			failed("several-from"), signed(from("Alice Adams <alice@example.test>, Mallory <mallory@example.test>"))},
		{"304-group-named-like-an-address", `
			From is a group (RFC 6854) whose name is Alice's address, and whose member is Mallory. A reader that shows what stands
			before the colon shows Alice. A From that everybody reads in one way is one mailbox and no group.`,
			Expectation{Verdict: "failed", NotScreen: []string{"PASSED"}}, signed(from(`"alice@example.test": mallory@example.test;`))},
		{"305-group-empty", `
			From is an empty group: "alice@example.test:;" in quotes. There is no mailbox, so that the signature speaks for nobody
			that is named. A reader that shows the group's name shows Alice.`,
			failed(), signed(from(`"alice@example.test":;`))},
		{"306-from-empty", `
			From is there and empty; Sender is Mallory. RFC 5322 section 3.6.2 wants a mailbox. A reader that falls back to Sender,
			or to a name in the certificate, shows somebody who is not named as the author.`,
			failed(), signed("From:", "Sender: mallory@example.test")},
		{"307-from-missing", `
			There is no From at all, and a Sender that the certificate speaks for. The author is missing (RFC 5322 section 3.6), and
			Sender does not stand in for it.`,
			failed("no-from"), signed("Sender: mallory@example.test")},
		{"308-on-behalf", `
			From is Alice, Sender is Mallory, and the signature is Mallory's: sent on behalf (RFC 5322 section 3.6.2). RFC 8550
			section 3 has a receiver compare both. It is said who signed on whose behalf, and is indeterminate, because whether Alice
			asked for it cannot be known.`,
			Expectation{Verdict: "indeterminate", Codes: []string{"on-behalf"}, From: "alice@example.test", Screen: []string{"mallory@example.test on behalf of alice@example.test"}},
			signed(from("Alice Adams <alice@example.test>"), "Sender: mallory@example.test")},
		{"309-address-as-name", `
			The display name is Alice's address, in quotes, and the address is Mallory's. A reader that shows the name alone
			shows Alice. It is Mallory's mail, and what is shown as the sender is her address; that another one is there is said.`,
			alsoNamed, signed(from(`"alice@example.test" <mallory@example.test>`))},
		{"310-address-as-name-with-brackets", `
			The display name is "Alice Adams <alice@example.test>" in quotes, brackets and all, with Mallory's address behind. A
			reader that looks for the first pair of angle brackets finds Alice. The quotes make it a name (RFC 5322 section 3.2.4).`,
			alsoNamed, signed(from(`"Alice Adams <alice@example.test>" <mallory@example.test>`))},
		{"311-encoded-word-with-an-address", `
			The display name is an encoded word that holds "Alice <alice@example.test>,". Decoded before it is parsed, it makes
			another list of addresses. RFC 2047 section 5: what encoded words hold is no syntax, so they are decoded last.`,
			alsoNamed, signed(from("=?utf-8?q?Alice_=3Calice=40example=2Etest=3E=2C?= <mallory@example.test>"))},
		{"312-encoded-word-as-address", `
			All of From is an encoded word that holds Alice's address. RFC 2047 section 5 forbids encoded words in an addr-spec; a
			reader that decodes first sees a sender, and others see none. It cannot be read, and Alice's address is not shown as the
			sender.`,
			Expectation{Verdict: "failed", NotScreen: []string{"PASSED", "From:    alice@example.test"}}, signed(from("=?utf-8?q?alice=40example=2Etest?="))},
		{"313-comment-with-an-address", `
			From is Mallory's bare address with Alice's in a comment behind it, in the old form for names. A reader that shows the
			comment as the name, or parses without knowing comments, shows Alice. RFC 5322 section 3.2.2: a comment is no address.`,
			alsoNamed,
			signed(from("mallory@example.test (alice@example.test)"))},
		{"314-comment-before-the-address", `
			A comment with an angle bracket and Alice's address stands before Mallory's. Readers without comments take the first
			bracket. RFC 5322 section 3.2.2: a comment is no address. It is Mallory's mail, and that another address is there is said.`,
			alsoNamed,
			signed(from("(<alice@example.test>) <mallory@example.test>"))},
		{"315-quoted-local-part", `
			The local part is "alice@example.test" in quotes, before @mallory.test. A reader that cuts at the first @ sees Alice's
			domain. The certificate speaks for another address (RFC 5321 section 4.1.2). It is shown with its quotes, without which it
			reads as Alice's.`,
			Expectation{Verdict: "failed", Codes: []string{"address-mismatch"}, Screen: []string{`"alice@example.test"@mallory.test`}}, signed(from(`<"alice@example.test"@mallory.test>`))},
		{"316-route", `
			From has a source route: <@alice.example.test,@example.test:mallory@example.test>. RFC 5322 section 4.4 has it as obsolete
			syntax. A reader that takes what is before the colon shows something else.`,
			failed("from-unreadable"), signed(from("<@alice.example.test,@example.test:mallory@example.test>"))},
		{"317-folded", `
			From is folded: the first line holds nothing but Alice's address, and the second Mallory's in brackets. A reader that
			looks at one line sees Alice. Unfolded it is no mailbox, for a name without quotes has no @ (RFC 5322 section 2.2.3 and
			3.2.3).`,
			failed("from-unreadable"), signed(from("alice@example.test\r\n <mallory@example.test>"))},
		{"318-folded-in-the-right-way", `
			From is folded between name and address, as RFC 5322 section 2.2.3 allows it. Nothing is wrong, and it passes as Mallory.`,
			asMallory, signed(from("Mallory\r\n Moor\r\n\t<mallory@example.test>"))},
		{"319-space-before-the-colon", `
			Beside Mallory's From stands "From : alice@example.test" with a space before the colon, the obsolete syntax of RFC 5322
			section 4.5. Some readers see one field, others the other. Both are From.`,
			failed(), signed(malloryFrom, "From : Alice Adams <alice@example.test>")},
		{"320-other-case", `
			Two fields "from" and "FROM" that differ in nothing but case, and name two people. Field names have no case (RFC 5322
			section 1.2.2), so that there are two From.`,
			failed("several-from"), signed("from: Mallory <mallory@example.test>", "FROM: Alice Adams <alice@example.test>")},
		{"321-nul", `
			From holds a NUL: alice@example.test, then NUL, then Mallory's address in brackets. A program that handles strings as
			C does sees Alice. RFC 5322 section 4 takes NUL out of the syntax: it cannot be read.`,
			failed("from-unreadable"), signed(from("alice@example.test\x00 <mallory@example.test>"))},
		{"322-line-end-in-an-encoded-word", `
			The display name decodes to a name with a line end and a second header field in it, "From: alice@example.test". Shown or
			written on without cleaning it makes another header. It stays in one line. Encoded words hold no control characters (RFC 2047
			section 5 (3) and RFC 5322 section 2.2), so that the sender cannot be read.`,
			Expectation{Verdict: "failed", Codes: []string{"from-unreadable"}, NotScreen: []string{"PASSED", "\nFrom: alice"}},
			signed(from("=?utf-8?q?Mallory=0D=0AFrom:_alice=40example=2Etest?= <mallory@example.test>"))},
		{"323-homograph", `
			Mallory owns a domain that looks like example.test with a Cyrillic letter in it, and has a good certificate for alice at
			that domain. From has the domain in Unicode, where nobody sees the difference. Host names with mixed scripts are shown in
			punycode, and that they can be taken for others is said.`,
			Expectation{Verdict: "passed", From: "alice@xn--exmple-4nf.test", Codes: []string{"mixed-scripts"}, NotScreen: []string{"From:    alice@ex\u0430mple.test"}},
			func(l *Lab) string {
				id := l.odd("alice", func(c *x509.Certificate) {
					c.EmailAddresses = []string{"alice@xn--exmple-4nf.test"}
				})
				return l.mail(l.sign(text(lie), id), from("Alice Adams <alice@ex\u0430mple.test>"))
			}},
		{"324-homograph-in-punycode", `
			The same, with the domain in punycode in From and in the certificate. It is shown as it is, because turned into Unicode
			nobody would see the difference.`,
			Expectation{Verdict: "passed", NotScreen: []string{"ex\u0430mple.test"}, Screen: []string{"alice@xn--exmple-4nf.test"}},
			func(l *Lab) string {
				id := l.odd("alice", func(c *x509.Certificate) { c.EmailAddresses = []string{"alice@xn--exmple-4nf.test"} })
				return l.mail(l.sign(text(lie), id), from("Alice Adams <alice@xn--exmple-4nf.test>"))
			}},
		{"325-homograph-of-the-local-part", `
			The local part is "alice" with a Cyrillic first letter, and the certificate is Alice's own, whose signature was taken
			from elsewhere and is good. Local parts are compared octet for octet but for the case of ASCII (RFC 9598 section 5): it is
			another address.`,
			failed("address-mismatch"),
			func(l *Lab) string {
				return l.mail(l.sign(text(offer), l.Alice), from("Alice Adams <\u0430lice@example.test>"))
			}},
		{"326-kelvin-sign", `
			From is that of somebody whose name begins with the Kelvin sign, which lower-cases to the ASCII letter k. A reader that
			folds the case of all of Unicode matches it with a certificate for karl. Only ASCII letters have their case ignored.`,
			failed("address-mismatch"),
			func(l *Lab) string {
				return l.mail(l.sign(text(offer), l.odd("karl", nil)), from("Karl <\u212aarl@example.test>"))
			}},
		{"327-utf8-local-part", `
			An internationalized address (RFC 6532), with a certificate that has it as SmtpUTF8Mailbox (RFC 9598). Nothing is wrong
			with it: it passes, and the address is shown as it is.`,
			Expectation{Verdict: "passed", From: "älice@example.test", Screen: []string{"älice@example.test"}},
			func(l *Lab) string {
				id := l.odd("alice", func(c *x509.Certificate) {
					c.EmailAddresses = nil
					c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: utf8SAN("älice@example.test")}}
				})
				return l.mail(l.sign(text(offer), id), from("Älice <älice@example.test>"))
			}},
		{"328-percent-hack", `
			The local part is "alice%example.test" at Mallory's domain. Old relays took that for alice at example.test, and an eye
			does, too. It is an address of its own that the certificate does not have.`,
			failed("address-mismatch"), signed(from("alice%example.test@mallory.test"))},
		{"329-full-width-at", `
			The display name is Alice's address with a full-width commercial at, which looks like the real one and can stand in a name
			without quotes. It is a name; the address behind it is Mallory's.`,
			alsoNamed, signed(from("alice\uff20example.test <mallory@example.test>"))},
		{"330-full-width-at-alone", `
			From is alice, a full-width commercial at, and example.test, and nothing else. It looks like an address and is none,
			because U+FF20 is no @ (RFC 5322 section 3.4.1).`,
			failed(), signed(from("alice\uff20example.test"))},
		{"331-name-turned-around", `
			The display name has a right-to-left override, by which "<tset.elpmaxe@ecila>" reads as Alice's address, and hides where
			the real one begins. Nothing on the screen is turned around, and the sender is Mallory.`,
			alsoNamed, signed(from("\"\u202e>tset.elpmaxe@ecila< smadA ecilA\u202c\" <mallory@example.test>"))},
		{"332-very-long-name", `
			The display name has nine hundred characters, the first of them Alice's name and address, so that the real address would be pushed
			out of sight. What is shown as the sender is the address.`,
			alsoNamed, signed(from(`"Alice Adams <alice@example.test>` + strings.Repeat(" ", 860) + `" <mallory@example.test>`))},
		{"333-resent-from", `
			Resent-From and Resent-Sender name Alice, and From and the signature are Mallory's. Resent fields are for information
			only (RFC 5322 section 3.6.6), and name no author.`,
			asMallory, signed(malloryFrom, "Resent-From: alice@example.test", "Resent-Sender: alice@example.test", "Resent-Date: Sat, 21 Nov 2026 11:00:00 +0000")},
		{"334-reply-to-elsewhere", `
			Alice's own good message, to which somebody on the way added a Reply-To of Mallory's. The header is not protected, so
			that an answer goes to Mallory unless the reader looks. The signature passes; that the header is not protected is said.`,
			Expectation{Verdict: "passed", From: "alice@example.test", Screen: []string{"(not protected)"}},
			func(l *Lab) string {
				return l.mail(l.sign(text(offer), l.Alice), "Reply-To: Alice Adams <mallory@example.test>")
			}},
		{"335-two-addresses-without-a-comma", `
			From is Mallory's address and then Alice's, with a blank between them. It is no list (RFC 5322 section 3.4), and readers
			that take the first or the last word see different people.`,
			failed("from-unreadable"), signed(from("mallory@example.test alice@example.test"))},
		{"336-semicolons", `
			The addresses in From are parted by a semicolon, as one widely used program writes and reads them. By RFC 5322 section
			3.4 it is no list. It cannot be read, rather than be read as one of the two.`,
			failed(), signed(from("mallory@example.test; alice@example.test"))},
		{"337-two-pairs-of-brackets", `
			From has two pairs of angle brackets: Alice's first and Mallory's second. Readers take the first or the last. By RFC 5322
			section 3.4 it is no mailbox.`,
			failed("from-unreadable"), signed(from("Alice Adams <alice@example.test> <mallory@example.test>"))},
		{"338-case-of-the-domain", `
			Alice's address is written with other case: Alice@EXAMPLE.TEST. Domains have no case, and the local part is compared
			without regard to the case of ASCII letters (RFC 9788 section 4.4.5). Nothing is wrong: passed.`,
			Expectation{Verdict: "passed", Text: []string{"10 euros"}},
			func(l *Lab) string {
				return l.mail(l.sign(text(offer), l.Alice), from("Alice Adams <Alice@EXAMPLE.TEST>"))
			}},
		{"339-subdomain", `
			From is alice@mail.example.test, and the certificate is for alice@example.test. The addresses differ, and nobody knows
			that they are of the same person.`,
			failed("address-mismatch"),
			func(l *Lab) string {
				return l.mail(l.sign(text(offer), l.Alice), from("Alice Adams <alice@mail.example.test>"))
			}},
		{"340-header-line-that-is-none", `
			Between the fields stands a line without a colon, and behind it a From of Alice, before Mallory's. Some readers end the
			header at the line that is no field and see no From or another one. All fields count that are in the header section, so
			that there are two.`,
			failed("several-from"), signed("X-Mailer: x", "this line is no field", from("Alice Adams <alice@example.test>"), malloryFrom)},
		{"341-from-in-the-signed-part", `
			The header of the signed part names Alice as From, without hp (RFC 9788 section 4.1), and the message is from Mallory. Fields in a part mean
			nothing there. It is Mallory's mail.`,
			asMallory,
			func(l *Lab) string {
				return l.mail(l.sign("From: Alice Adams <alice@example.test>\r\nSubject: from Alice\r\n"+text(lie), l.Mallory), malloryFrom)
			}},
		{"342-trailing-dot", `
			From has a dot at the end of the domain: mallory@example.test. and then nothing. In the domain name system it would be
			the same host, in mail it is no address (RFC 5321 section 4.1.2). It cannot be matched.`,
			failed(), signed(from("Mallory <mallory@example.test.>"))},
	}
}

// utf8SAN is the value of a subjectAltName with an SmtpUTF8Mailbox (RFC 9598 section 3).
func utf8SAN(address string) []byte {
	name := der(explicit0, oid(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9}), der(explicit0, der(12, []byte(address))))
	return der(tagSequence, name)
}

// nameCases are about the names in a good signer's certificate, which stand in sealmail's own lines.
func nameCases() []Case {
	// malloryAs is a good mail of Mallory, whose certificate has these names.
	malloryAs := func(change func(*x509.Certificate)) func(*Lab) string {
		return func(l *Lab) string { return l.mail(l.sign(text(lie), l.odd("mallory", change)), malloryFrom) }
	}
	return []Case{
		{"361-name-with-an-address", `
			Mallory's certificate has the common name "Alice Adams <alice@example.test>", and her own address as the one that it is for.
			A line "signed by", with the name before the address, reads as if Alice signed. Names out of certificates must be set apart from
			addresses; who signed is Mallory.`,
			Expectation{Verdict: "passed", From: "mallory@example.test", Screen: []string{"<mallory@example.test>"},
				NotScreen: []string{"signed by Alice Adams <alice@example.test>"}},
			malloryAs(named("Alice Adams <alice@example.test>"))},
		{"362-name-with-facts", `
			The name of an unknown authority says what sealmail would say of a good one: valid to, not revoked, and when
			that was found out. It is printed where sealmail prints these facts. What is quoted from a certificate must be told from what
			sealmail itself says.`,
			Expectation{Verdict: "indeterminate", Codes: []string{"no-anchor"}, NotScreen: []string{"certificate from Example CA, valid to 2099-01-01, not revoked (OCSP 2026-11-30 10:00)"}},
			func(l *Lab) string {
				issuer := l.issue(Identity{}, keyOf("facts"), "ca", func(c *x509.Certificate) {
					asAuthority(c, "Example CA, valid to 2099-01-01, not revoked (OCSP 2026-11-30 10:00)")
				})
				return l.mail(l.sign(text(offer), l.issue(issuer, keyOf("facts leaf"), "alice", named("Alice Adams"))))
			}},
		{"363-name-turned-around", `
			The common name holds a right-to-left override and zero-width characters, as does the organization. They must be visible,
			and nothing that follows may be turned around.`,
			Expectation{Verdict: "passed", From: "mallory@example.test", Screen: []string{"<U+202E>"}, NotScreen: []string{"\u202e", "\u200b"}},
			malloryAs(func(c *x509.Certificate) {
				c.Subject = pkix.Name{CommonName: "\u202esmadA ecilA", Organization: []string{"Ex\u200bample\u2066 GmbH"}}
			})},
		{"364-organization-with-a-level", `
			The organization in a certificate of a private authority says "Bank AG (organization-validated)". Levels of validation are
			shown under public anchors alone, because any private authority can write anything; an organization is labelled as claimed.`,
			Expectation{Verdict: "passed", From: "mallory@example.test", Screen: []string{"as claimed by a private authority"}, NotScreen: []string{", Bank AG (organization-validated)"}},
			malloryAs(func(c *x509.Certificate) {
				c.Subject = pkix.Name{CommonName: "Mallory", Organization: []string{"Bank AG (organization-validated)"}}
			})},
		{"365-policy-of-a-public-authority", `
			The certificate has the policy identifier 2.23.140.1.5.2.3 of the CA/Browser Forum (organization-validated), and comes from a
			private authority. The identifier means something under anchors alone whose owners are audited for it.`,
			Expectation{Verdict: "passed", From: "mallory@example.test", NotScreen: []string{"organization-validated"}},
			malloryAs(func(c *x509.Certificate) {
				c.Subject = pkix.Name{CommonName: "Mallory", Organization: []string{"Bank AG"}}
				c.Policies = []x509.OID{must(x509.OIDFromInts([]uint64{2, 23, 140, 1, 5, 2, 3}))}
			})},
		{"366-very-long-name", `
			The common name has ten thousand characters. RFC 5280 appendix A.1 allows 64. It must not push what matters off the
			screen: the address of the signer is to be seen.`,
			Expectation{Verdict: "passed", From: "mallory@example.test", Screen: []string{"<mallory@example.test>"}, NotScreen: []string{strings.Repeat("and others ", 50)}},
			malloryAs(named("Alice Adams " + strings.Repeat("and others ", 900)))},
		{"367-no-name", `
			The certificate has no subject at all, only an address (RFC 5280 section 4.1.2.6 allows that). Nothing is invented for
			the name.`,
			Expectation{Verdict: "passed", From: "mallory@example.test", Screen: []string{"<mallory@example.test>"}},
			malloryAs(func(c *x509.Certificate) { c.Subject = pkix.Name{} })},
		{"368-several-addresses", `
			The certificate is for twenty addresses, of which the sender's is the last. It speaks for each of them (RFC 8550 section
			3). Shown as the signer's must be the one that the message is from, and not the first of the list, which is somebody else's.`,
			Expectation{Verdict: "passed", From: "mallory@example.test", NotScreen: []string{"<a@example.test>"}},
			malloryAs(func(c *x509.Certificate) {
				c.EmailAddresses = nil
				for letter := 'a'; letter <= 's'; letter++ {
					c.EmailAddresses = append(c.EmailAddresses, string(letter)+"@example.test")
				}
				c.EmailAddresses = append(c.EmailAddresses, "mallory@example.test")
			})},
		{"369-address-in-other-letters", `
			The certificate speaks for an address at a domain with Cyrillic letters, which looks like Alice's, and the message is from there.
			Both are right, and Mallory's. Where the signer is named, the domain is shown as in the DNS, as it is for the sender.`,
			Expectation{Verdict: "passed", From: "alice@xn--exmple-4nf.test", Codes: []string{"mixed-scripts"}, Screen: []string{"<alice@xn--exmple-4nf.test>"}, NotScreen: []string{"<alice@ex\u0430mple.test>"}},
			func(l *Lab) string {
				const address = "alice@ex\u0430mple.test"
				mallory := l.odd("mallory", func(c *x509.Certificate) {
					c.EmailAddresses = nil
					c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: utf8SAN(address)}}
				})
				return l.mail(l.sign(text(offer), mallory), from("<"+address+">"))
			}},
	}
}
