package hostiletest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"

	"github.com/sealmail/sealmail/smime/cms"
)

// signerInfoCases are about the form of SignerInfos, and how many there are.
func signerInfoCases() []Case {
	failed := func(code string) Expectation {
		return Expectation{Verdict: "failed", Codes: []string{code}, NotScreen: []string{"PASSED"}}
	}
	passed := Expectation{Verdict: "passed", From: "alice@example.test", Text: []string{"10 euros"}}
	return []Case{
		{"141-digest-twice", `
			There are two message-digest attributes: the first is that of the forged content, the second that of what Alice once
			agreed to. Which one counts depends on who reads. RFC 5652 section 11.2 allows one, so the signature fails.`,
			failed("signed-attributes"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(lie), signerDraft{id: l.Alice, attributes: with(attribute(cms.OIDAttributeMessageDigest, der(tagOctets, sum(crypto.SHA256, []byte("x")))))}))
			}},
		{"142-digest-with-two-values", `
			The message-digest attribute has two values, of which one is right. A reader that looks for any that fits is
			fooled. RFC 5652 section 11.2: it MUST have a single value.`,
			failed("signed-attributes"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(lie), signerDraft{id: l.Alice, attributes: func(content []byte, d signerDraft) [][]byte {
					a := usualAttributes(content, d)
					a[1] = attribute(cms.OIDAttributeMessageDigest, der(tagOctets, make([]byte, 32)), der(tagOctets, sum(d.hash, content)))
					return a
				}}))
			}},
		{"143-without-digest", `
			The signed attributes have no message-digest, so that they say nothing of the content: it can be exchanged at will, and
			the signature value over the attributes stays right. RFC 5652 section 5.3 wants message-digest and content-type where
			there are attributes at all.`,
			failed("signed-attributes"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(lie), signerDraft{id: l.AliceRSA, attributes: func(content []byte, d signerDraft) [][]byte {
					return usualAttributes(content, d)[:1]
				}}))
			}},
		{"144-without-content-type", `
			The content-type attribute is missing, and the rest is right. RFC 5652 section 11.1 wants it where there are signed
			attributes. Without it content of one type could be passed off as another, and so the signature fails.`,
			failed("signed-attributes"),
			func(l *Lab) string {
				return l.mail(detachedOf(text(offer), signerDraft{id: l.Alice, attributes: func(content []byte, d signerDraft) [][]byte {
					return usualAttributes(content, d)[1:]
				}}))
			}},
		{"145-attributes-empty", `
			The signed attributes are there, and there are none in them; the signature is over an empty set. A reader that finds
			nothing to compare with, and so nothing wrong, is fooled. RFC 5652 section 5.3: SignedAttributes has at least one member,
			and among them message-digest.`,
			Expectation{Verdict: "failed", NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail(opaqueOf(text(lie), signerDraft{id: l.Alice, attributes: func([]byte, signerDraft) [][]byte { return nil }}))
			}},
		{"146-attributes-not-der", `
			The signed attributes are sent in BER, with a length in five octets where one would do, and the signature is over their
			DER. RFC 5652 section 5.4 says just that: a separate DER encoding is what is signed, whatever is sent. It is odd and
			right, and passes.`,
			passed,
			func(l *Lab) string {
				attributes := setOf(usualAttributes([]byte(text(offer)), signerDraft{id: l.Alice}.completed()))
				sent := append([]byte{explicit0, 0x84, 0, 0, byte(len(attributes) >> 8), byte(len(attributes))}, attributes...)
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.Alice, sent: sent}))
			}},
		{"147-attributes-unsorted", `
			The members of the signed attributes are sent in an order that is not that of DER, and the signature is over the right
			order (RFC 5652 section 5.4). A verifier that hashes what was sent would refuse a good message. It passes.`,
			passed,
			func(l *Lab) string {
				a := usualAttributes([]byte(text(offer)), signerDraft{id: l.Alice}.completed())
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.Alice, sent: der(explicit0, a[2], a[1], a[0])}))
			}},
		{"148-signing-time-twice", `
			There are two signing-time attributes, of different days. A reader shows the one or the other, and whoever made it can
			argue with either. RFC 5652 section 11.3 allows one, so the signature fails.`,
			failed("signed-attributes"),
			func(l *Lab) string {
				later := must(asn1.MarshalWithParams(signingTime.AddDate(0, 1, 0), "utc"))
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.Alice, attributes: with(attribute(cms.OIDAttributeSigningTime, later))}))
			}},
		{"149-another-certificate-named", `
			The signing-certificate-v2 attribute names another certificate than the one that is sent along. Somebody put in a
			certificate of the same key with other names or rights. RFC 5035 section 5 ties the signature to the one that is named.`,
			failed("signing-certificate"),
			func(l *Lab) string {
				hash := der(tagOctets, sum(crypto.SHA256, l.AliceRSA.Certificate().Raw))
				named := attribute(oidSigningCertificateV2, der(tagSequence, der(tagSequence, der(tagSequence, hash))))
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.Alice, attributes: with(named)}))
			}},
		{"150-algorithm-protection", `
			CMSAlgorithmProtection says SHA-1 with RSA, and the SignerInfo uses SHA-256 with ECDSA: the algorithms were exchanged
			after the signer chose them. The attribute is there to show just that (RFC 6211 section 3). The signature fails.`,
			Expectation{Verdict: "failed", NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				value := der(tagSequence, algorithm(oidSHA1), der(explicit1, oid(oidRSA), null))
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.Alice, attributes: with(attribute(cms.OIDAttributeAlgorithmProtection, value))}))
			}},
		{"151-good-and-bad", `
			Two SignerInfos: one of Alice that is good, and one of Alice's other key that is wrong. A reader that is content with one
			good signature can be given a bad one that other readers look at. Each SignerInfo counts, and the worst decides
			(the verdict's rule; RFC 5652 section 5.1 lets the application say what several signers mean).`,
			failed("signature-invalid"),
			func(l *Lab) string {
				return l.mail(detachedOf(text(offer), signerDraft{id: l.Alice}, signerDraft{id: l.AliceRSA, value: make([]byte, 256)}))
			}},
		{"152-good-and-nobody", `
			Beside Alice's good signature there is one whose certificate is not in the message and not known. Who that is and whether
			it holds cannot be said. The worst signature decides, and so the message is indeterminate.`,
			Expectation{Verdict: "indeterminate", Codes: []string{"no-certificate"}, Text: []string{"10 euros"}},
			func(l *Lab) string {
				unknown := l.odd("nobody", nil)
				s := signedDraft{content: []byte(text(offer)), certificates: l.Alice.Chain, bag: true, signers: []signerDraft{{id: l.Alice}, {id: unknown}}}
				return l.mail(p7m(s.der(), "signed-data"))
			}},
		{"153-good-and-stranger", `
			Beside Alice's good signature there is one under a certificate in Alice's name and address from an authority that Bob
			does not trust. If the one that is trusted decided, the other would be shown along with it as if it was as good. The worst decides.`,
			Expectation{Verdict: "indeterminate", Codes: []string{"no-anchor"}, Text: []string{"10 euros"}},
			func(l *Lab) string {
				stranger := l.issue(l.Stranger, keyOf("stranger's alice"), "alice", named("Alice Adams"))
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.Alice}, signerDraft{id: stranger}))
			}},
		{"154-two-people", `
			Alice and Mallory both signed the same content, each with a good signature under a trusted certificate, and From is
			Alice. Mallory's certificate does not speak for that address (RFC 8550 section 3). Every signature of the layer counts,
			so that nobody can be added quietly: failed.`,
			failed("address-mismatch"),
			func(l *Lab) string {
				return l.mail(detachedOf(text(offer), signerDraft{id: l.Alice}, signerDraft{id: l.Mallory}))
			}},
		{"155-two-keys-of-one", `
			Alice signed with both of her keys, RSA and ECDSA, as somebody does who moves from the one to the other (RFC 5652 section
			5.1: collectively signed by any number of signers). Both are good and for her address. It passes, and both are told.`,
			passed,
			func(l *Lab) string {
				return l.mail(detachedOf(text(offer), signerDraft{id: l.Alice}, signerDraft{id: l.AliceRSA}))
			}},
		{"156-same-signer-twice", `
			The same SignerInfo is there twice. It is odd, and nothing false follows from it: two signatures, both good, both
			Alice's. The rule that the worst decides gives passed.`,
			passed,
			func(l *Lab) string {
				d := signerDraft{id: l.AliceRSA}
				return l.mail(opaqueOf(text(offer), d, d))
			}},
		{"157-nobody-signed", `
			A SignedData with a content, Alice's certificate and no SignerInfo at all. A reader that checks every signature that is
			there finds none wrong, and shows the certificate as that of the signer. RFC 5652 section 5.1 calls this the degenerate
			case for certificates; with content it is a message that nobody signed, and a signed message without a signer has
			failed.`,
			Expectation{Verdict: "failed", Codes: []string{"no-signer"}, NotScreen: []string{"PASSED", "Alice Adams <"}},
			func(l *Lab) string {
				return l.mail(p7m(signedDraft{content: []byte(text(lie)), certificates: l.Alice.Chain}.der(), "signed-data"))
			}},
		{"158-nobody-signed-detached", `
			The second part of a multipart/signed is a SignedData with Alice's certificate and no SignerInfo, as certificates are
			passed around (RFC 8551 section 3.8). Nobody signed the text. It failed.`,
			Expectation{Verdict: "failed", Codes: []string{"no-signer"}, NotScreen: []string{"PASSED", "Alice Adams <"}},
			func(l *Lab) string {
				return l.mail(multipartSigned(text(lie), p7s(signedDraft{detached: true, certificates: l.Alice.Chain}.der())))
			}},
		{"159-certificates-shown-as-signed", `
			A bag of certificates without content and without signers, sent with smime-type=signed-data. It signs nothing and so
			protects nothing (RFC 8551 section 3.8): the message is unsigned, and the bag is an attachment.`,
			Expectation{Verdict: "unsigned", NotScreen: []string{"PASSED", "Alice Adams <"}},
			func(l *Lab) string {
				return l.mail(p7m(signedDraft{detached: true, certificates: l.Alice.Chain}.der(), "signed-data"))
			}},
		{"160-wrong-key-for-the-certificate", `
			Mallory signed with her own key, and the SignerInfo names Alice's certificate, which is sent along. A reader that
			verifies with whatever key fits, and shows the certificate that is named, is fooled. The key is the one of the
			certificate that is named (RFC 5652 section 5.6).`,
			failed("signature-invalid"),
			func(l *Lab) string {
				s := signedDraft{content: []byte(text(lie)), certificates: l.Alice.Chain, signers: []signerDraft{{id: l.Mallory, named: l.Alice.Certificate()}}}
				return l.mail(p7m(s.der(), "signed-data"))
			}},
		{"161-two-certificates-of-one-number", `
			The bag has two certificates of the same issuer and serial number: Alice's, and one that Mallory made up with her own key
			and the issuer's name. The signature fits Mallory's key. A reader that verifies with the one and builds the path for the
			other is fooled. The certificate that the signature verifies with is the one whose path is asked for, and its issuer
			never signed it (RFC 5280 section 6.1.3).`,
			failed("bad-signature"),
			func(l *Lab) string {
				own := l.twin(l.Alice)
				s := signedDraft{content: []byte(text(lie)), certificates: append(own.Chain, l.Alice.Chain...), bag: true, signers: []signerDraft{{id: own}}}
				return l.mail(p7m(s.der(), "signed-data"))
			}},
		{"162-two-certificates-of-one-key-identifier", `
			The SignerInfo names its certificate by subjectKeyIdentifier, and two in the bag bear it: Alice's, and one of Mallory
			under a trusted authority, into which she had Alice's identifier put. Key identifiers are not unique and prove nothing.
			The signature verifies with Mallory's, and her certificate does not speak for Alice's address.`,
			failed("address-mismatch"),
			func(l *Lab) string {
				own := l.odd("mallory", func(c *x509.Certificate) { c.SubjectKeyId = l.aliceWithID().SubjectKeyId })
				s := signedDraft{content: []byte(text(lie)), certificates: []*x509.Certificate{l.aliceWithID()}, signers: []signerDraft{{id: own, keyID: true}}}
				return l.mail(p7m(s.der(), "signed-data"))
			}},
		{"163-md5", `
			The digest algorithm is MD5, for which two contents of one digest are made in seconds. RFC 8551 appendix B calls it
			historic. What it covers is not known to be what was signed: failed, not merely weak.`,
			failed("broken-digest"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.AliceRSA, hash: crypto.MD5}))
			}},
		{"164-sha1", `
			The digest algorithm is SHA-1, for which collisions with chosen beginnings have been made. What matches may have been
			made to match by somebody else. It is indeterminate, unless weak algorithms are allowed (RFC 8551 appendix B.1).`,
			Expectation{Verdict: "indeterminate", Codes: []string{"weak-algorithm"}, Text: []string{"10 euros"}},
			func(l *Lab) string {
				return l.mail(detachedOf(text(offer), signerDraft{id: l.AliceRSA, hash: crypto.SHA1}))
			}},
		{"165-rsa-1024", `
			Alice has a certificate over an RSA key of 1024 bits, from a trusted authority. RFC 8551 section 4.2 wants 2048 at
			least. The signature holds, and is too weak to rely on: indeterminate.`,
			Expectation{Verdict: "indeterminate", Codes: []string{"weak-algorithm"}, Text: []string{"10 euros"}},
			func(l *Lab) string {
				id := l.issue(l.Issuing, must(rsa.GenerateKey(rand.Reader, 1024)), "alice", named("Alice Adams"))
				return l.mail(opaqueOf(text(offer), signerDraft{id: id}))
			}},
		{"166-pss-mixed-hashes", `
			RSASSA-PSS with SHA-256 for the content and SHA-1 for the mask generation function. RFC 4056 section 3 recommends one
			hash for both, and other combinations are how weaker algorithms come in by the back door. It is not implemented, and
			so nothing is said of the signature: indeterminate.`,
			Expectation{Verdict: "indeterminate", Codes: []string{"unsupported-algorithm"}},
			func(l *Lab) string {
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.AliceRSA, salt: 32, signature: pss(oidSHA256, oidSHA1, 32, 1)}))
			}},
		{"167-pss-other-trailer", `
			RSASSA-PSS whose parameters name the trailer field 2, which is not defined. RFC 4055 section 3.1 says that it MUST be 1.
			A reader that ignores the field verifies something else than what was said. The signature fails.`,
			Expectation{Verdict: "failed", NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.AliceRSA, salt: 32, signature: pss(oidSHA256, oidSHA256, 32, 2)}))
			}},
		{"168-pss-other-salt", `
			RSASSA-PSS whose parameters say that the salt has 20 octets, and it has 32. The parameters are part of what is verified
			(RFC 8017 section 9.1.2), so the signature is wrong.`,
			failed("signature-invalid"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.AliceRSA, salt: 32, signature: pss(oidSHA256, oidSHA256, 20, 1)}))
			}},
		{"169-algorithm-of-another-key", `
			The SignerInfo says ECDSA, and the certificate has an RSA key. The signature value was made with RSA and is right as
			such. What algorithm is used is for the key to say (RFC 5652 section 5.6), so the signature fails.`,
			Expectation{Verdict: "failed", NotScreen: []string{"PASSED"}},
			func(l *Lab) string {
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.AliceRSA, signature: algorithm(oidECDSASHA256)}))
			}},
		{"170-unknown-algorithm", `
			The signature algorithm is one that nobody knows. A reader that takes what it cannot check for good is fooled; one that
			calls it forged does an honest signer wrong. It cannot be decided: indeterminate.`,
			Expectation{Verdict: "indeterminate", Codes: []string{"unsupported-algorithm"}, Text: []string{"10 euros"}},
			func(l *Lab) string {
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.Alice, signature: algorithm(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 9})}))
			}},
	}
}

// pss is the AlgorithmIdentifier of RSASSA-PSS (RFC 4055 section 3.1).
func pss(hash, maskHash asn1.ObjectIdentifier, salt, trailer int64) []byte {
	return algorithm(oidPSS, der(tagSequence, der(explicit0, algorithm(hash, null)), der(explicit1, algorithm(oidMGF1, algorithm(maskHash, null))),
		der(explicit2, integer(salt)), der(explicit3, integer(trailer))))
}

// twin is a certificate with the issuer's name, serial number and names of another, over another key, which its issuer did
// not sign.
func (l *Lab) twin(id Identity) Identity {
	original := id.Certificate()
	impostor := l.certify(Identity{}, keyOf("impostor"), &x509.Certificate{
		SerialNumber: big.NewInt(1), RawSubject: original.RawIssuer, Subject: original.Issuer, NotBefore: notBefore, NotAfter: notAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		SubjectKeyId: original.AuthorityKeyId,
	})
	key := keyOf("twin")
	return Identity{Key: key, Chain: l.certify(impostor, key, &x509.Certificate{
		SerialNumber: original.SerialNumber, Subject: original.Subject, EmailAddresses: original.EmailAddresses,
		NotBefore: notBefore, NotAfter: notAfter, KeyUsage: original.KeyUsage, ExtKeyUsage: original.ExtKeyUsage,
	}).Chain[:1]}
}

// aliceWithID is a certificate of Alice that has a key identifier.
func (l *Lab) aliceWithID() *x509.Certificate {
	return l.issue(l.Issuing, keyOf("alice with identifier"), "alice", func(c *x509.Certificate) {
		c.Subject.CommonName, c.SubjectKeyId = "Alice Adams", []byte("identifier")
	}).Certificate()
}

// signerCases are about the certificate of the signer.
func signerCases() []Case {
	failed := func(code string) Expectation {
		return Expectation{Verdict: "failed", Codes: []string{code}, NotScreen: []string{"PASSED"}}
	}
	open := func(code string) Expectation {
		return Expectation{Verdict: "indeterminate", Codes: []string{code}, Text: []string{"10 euros"}, NotScreen: []string{"PASSED"}}
	}
	// odd signs with a certificate of the trusted authority that is changed.
	odd := func(change func(*x509.Certificate)) func(*Lab) string {
		return func(l *Lab) string {
			return l.mail(opaqueOf(text(offer), signerDraft{id: l.odd("alice", func(c *x509.Certificate) {
				c.Subject.CommonName = "Alice Adams"
				change(c)
			})}))
		}
	}
	return []Case{
		{"181-not-for-mail", `
			The certificate has Alice's address, and its extended key usage is that of a web server alone. Whoever runs the
			server has the key. RFC 8550 section 4.4.4 wants emailProtection or anyExtendedKeyUsage where the extension is there.`,
			failed("extended-key-usage"),
			odd(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })},
		{"182-not-for-signing", `
			The certificate is for encryption alone: its key usage is keyAgreement. Such keys are kept in escrow, where others
			can use them. RFC 8550 section 4.4.2 wants digitalSignature or nonRepudiation.`,
			failed("key-usage"),
			odd(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })},
		{"183-authority-as-signer", `
			The signer is an authority with Alice's address in its certificate, whose key usage is that of an authority. Its key
			signs certificates, and no mail (RFC 5280 section 4.2.1.3). The path breaks a rule: failed.`,
			failed("key-usage"),
			odd(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign })},
		{"184-expired", `
			The certificate ended in June 2026; the message claims to be of November, and no timestamp proves when it was signed.
			Authorities say nothing about revocation of certificates that have ended. It is indeterminate: an old mail that was good
			once looks just so (RFC 5280 section 6.1.3).`,
			open("expired"),
			odd(func(c *x509.Certificate) { c.NotAfter = notBefore.AddDate(0, 5, 0) })},
		{"185-not-yet-valid", `
			The certificate begins in 2030. Nobody can have signed with it in a valid way, whatever the message claims (RFC 5280
			section 6.1.3). It failed.`,
			failed("not-yet-valid"),
			odd(func(c *x509.Certificate) { c.NotBefore = notBefore.AddDate(4, 0, 0) })},
		{"186-self-signed", `
			Mallory made a certificate by herself, with Alice's name and address. A reader that shows the name in the certificate
			is fooled. No anchor is reached, so that it is indeterminate: it may be a colleague whose authority Bob does not know
			yet, and it may be anybody.`,
			open("no-anchor"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.issue(Identity{}, keyOf("self-signed"), "alice", named("Alice Adams"))}))
			}},
		{"187-unknown-authority", `
			The certificate has Alice's name and address, and comes from an authority that Bob does not trust, whose root is sent
			along. What is sent along helps to build a path, and is never an anchor. It is indeterminate, and the text is shown.`,
			open("no-anchor"),
			func(l *Lab) string {
				id := l.issue(l.Stranger, keyOf("unknown"), "alice", named("Alice Adams"))
				s := signedDraft{content: []byte(text(offer)), certificates: l.Stranger.Chain, signers: []signerDraft{{id: id}}}
				return l.mail(p7m(s.der(), "signed-data"))
			}},
		{"188-end-entity-as-authority", `
			Mallory has an ordinary certificate, and made one for Alice with it. The path leads to a trusted root, and each signature
			in it is right. Mallory is no authority (RFC 5280 section 6.1.4 (k): basicConstraints), and this was once missed by
			widely used programs.`,
			failed("not-a-ca"),
			func(l *Lab) string {
				id := l.issue(l.Mallory, keyOf("made by mallory"), "alice", named("Alice Adams"))
				id.Chain = append(id.Chain[:1], l.Mallory.Chain...)
				return l.mail(opaqueOf(text(offer), signerDraft{id: id}))
			}},
		{"189-name-constraints", `
			The authority between the root and Alice may certify addresses of other.test alone, and certified
			alice@example.test. A reader that ignores name constraints lets every small authority speak for everybody (RFC 5280
			section 4.2.1.10).`,
			failed("name-constraints"),
			func(l *Lab) string {
				small := l.authority("Small CA", func(c *x509.Certificate) {
					c.PermittedEmailAddresses, c.PermittedDNSDomainsCritical = []string{"other.test"}, true
				})
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.issue(small, keyOf("constrained"), "alice", named("Alice Adams"))}))
			}},
		{"190-authority-not-for-mail", `
			The authority between the root and Alice is for web servers alone, by its extended key usage. What an authority may not
			do, it cannot pass on. Each certificate above the leaf must allow the purpose (the rule of trust.md, and of the
			CA/Browser Forum's baseline requirements for S/MIME).`,
			failed("extended-key-usage"),
			func(l *Lab) string {
				web := l.authority("Web CA", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.issue(web, keyOf("web"), "alice", named("Alice Adams"))}))
			}},
		{"191-path-too-long", `
			The authority may have no authority below it, by its path length, and there is one that issued Alice's certificate. RFC
			5280 section 4.2.1.9 forbids the path.`,
			failed("path-length"),
			func(l *Lab) string {
				last := l.authority("Last CA", func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
				below := l.issue(last, keyOf("below"), "below", func(c *x509.Certificate) { asAuthority(c, "CA below") })
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.issue(below, keyOf("too deep"), "alice", named("Alice Adams"))}))
			}},
		{"192-unknown-critical-extension", `
			Alice's certificate has an extension that is critical and that nobody knows. It may say "only for test", or anything
			else. RFC 5280 section 4.2 refuses what cannot be understood and is critical.`,
			failed("critical-extension"),
			odd(func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 5}, Critical: true, Value: null}}
			})},
		{"193-address-in-common-name", `
			The common name of the certificate is alice@example.test, and the address that it is for is Mallory's. A reader that
			matches the sender with any name in the certificate is fooled. Only subjectAltName counts where there is one
			(RFC 8550 section 3).`,
			failed("address-mismatch"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(lie), signerDraft{id: l.odd("mallory", named("alice@example.test"))}))
			}},
		{"194-address-in-subject", `
			The subject has emailAddress alice@example.test, and subjectAltName says mallory@example.test. RFC 5280 section 4.2.1.6
			and RFC 8550 section 3: the subject's address is for certificates without subjectAltName alone.`,
			failed("address-mismatch"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(lie), signerDraft{id: l.odd("mallory", func(c *x509.Certificate) {
					c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "alice@example.test"}}
				})}))
			}},
		{"195-nul-in-the-certificate", `
			The address in the certificate is alice@example.test, then a NUL, then ".mallory.test". A reader that treats it as a
			string of C sees Alice's address, as happened with web browsers in 2009. It names nobody.`,
			failed("address-mismatch"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(lie), signerDraft{id: l.odd("mallory", func(c *x509.Certificate) {
					c.EmailAddresses = []string{"alice@example.test\x00.mallory.test"}
				})}))
			}},
		{"196-wildcard-in-the-certificate", `
			The address in the certificate is *@example.test. Mail has no wildcards (RFC 8550 section 3 compares addresses), and so
			it does not speak for Alice.`,
			failed("address-mismatch"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(lie), signerDraft{id: l.odd("mallory", func(c *x509.Certificate) { c.EmailAddresses = []string{"*@example.test"} })}))
			}},
		{"197-host-in-the-certificate", `
			The certificate names the host example.test and no address, with the usage for mail. A host is not everybody who has mail there
			(RFC 5280 section 4.2.1.6). It does not speak for alice@example.test.`,
			failed("address-mismatch"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(lie), signerDraft{id: l.odd("example", func(c *x509.Certificate) {
					c.EmailAddresses, c.DNSNames = nil, []string{"example.test"}
				})}))
			}},
		{"198-name-that-looks-like-a-verdict", `
			The common name of a certificate from an unknown authority holds a line end and, behind it, a line that looks like one of
			the reader's own: that the signature is valid and verified. Printed as it is, it would stand below the real verdict as
			if it were part of it. What comes out of a certificate stays in its line, and cannot have the mark.`,
			Expectation{Verdict: "indeterminate", Codes: []string{"no-anchor"}, NotScreen: []string{"\n▌ PASSED", "▌ PASSED", "\nPASSED"}},
			func(l *Lab) string {
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.issue(l.Stranger, keyOf("liar"), "alice", func(c *x509.Certificate) {
					c.Subject.CommonName = "Alice Adams\n▌ PASSED        signed by Alice Adams\x1b[1A"
					c.Subject.Organization = []string{"Example\r\n▌ certificate from \u202eKnown CA"}
				})}))
			}},
		{"199-issuer-that-looks-like-a-verdict", `
			Likewise with the name of the issuer, which is printed in the second line of the verdict: a line end, the mark, and
			"not revoked". The same rule holds for it.`,
			Expectation{Verdict: "indeterminate", Codes: []string{"no-anchor"}, NotScreen: []string{"\n▌ PASSED", "▌ PASSED", ", not revoked\n"}},
			func(l *Lab) string {
				issuer := l.issue(Identity{}, keyOf("lying issuer"), "ca", func(c *x509.Certificate) {
					asAuthority(c, "Example CA, valid to 2099-01-01, not revoked\n▌ PASSED        all is well")
				})
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.issue(issuer, keyOf("liar's customer"), "alice", named("Alice Adams"))}))
			}},
	}
}

func asAuthority(c *x509.Certificate, name string) {
	c.Subject = pkix.Name{CommonName: name}
	c.EmailAddresses, c.ExtKeyUsage, c.IsCA, c.KeyUsage = nil, nil, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
}

// authority is one below the root, which is not as it should be.
func (l *Lab) authority(name string, change func(*x509.Certificate)) Identity {
	return l.issue(l.Root, keyOf(name), name, func(c *x509.Certificate) {
		asAuthority(c, name)
		change(c)
	})
}
