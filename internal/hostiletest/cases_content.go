package hostiletest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// contentCases are about what a signature stands over.
func contentCases() []Case {
	failed := func(code string) Expectation {
		return Expectation{Verdict: "failed", Codes: []string{code}, NotScreen: []string{"PASSED"}}
	}
	return []Case{
		{"101-control-detached", `
			Nothing is wrong with this one: Alice signs a plain text as multipart/signed (RFC 8551 section 3.5.3). The others are
			this message with one thing changed. It must pass, or the tests of the others prove nothing.`,
			Expectation{Verdict: "passed", From: "alice@example.test", Text: []string{"10 euros"}, Screen: []string{"signed by Alice Adams <alice@example.test>"}},
			func(l *Lab) string { return l.mail(l.sign(text(offer), l.Alice)) }},
		{"102-control-opaque-rsa", `
			Nothing is wrong with this one either: Alice signs with RSA, and the content is inside the SignedData (RFC 8551
			section 3.5.2). It must pass, and the text must be shown.`,
			Expectation{Verdict: "passed", From: "alice@example.test", Text: []string{"10 euros"}},
			func(l *Lab) string { return l.mail(l.opaque(text(offer), l.AliceRSA)) }},
		{"103-other-content-detached", `
			Alice signed an offer, and somebody on the way put another text in its place. A reader that looks at the signature
			value and the certificate alone shows the forged text as hers. The message-digest attribute is not that of the content
			(RFC 5652 section 5.6), so the signature is wrong.`,
			failed("digest-mismatch"),
			func(l *Lab) string { return l.mail(replace(l.sign(text(offer), l.Alice), crlf(offer), crlf(lie))) }},
		{"104-other-content-opaque-rsa", `
			The same with the content inside the SignedData: eContent was exchanged, and the signed attributes were left as they
			were. A reader that verifies the attributes and forgets to compare the digest shows a text that Alice never saw (RFC 5652
			section 5.6).`,
			failed("digest-mismatch"),
			func(l *Lab) string {
				d := signerDraft{id: l.AliceRSA, attributes: func(_ []byte, d signerDraft) [][]byte { return usualAttributes([]byte(text(offer)), d) }}
				return l.mail(opaqueOf(text(lie), d))
			}},
		{"105-signature-of-another-message", `
			The signature was taken from another mail of Alice, where it is good, and put beside a new text. Who shows "signed by
			Alice" because a valid signature of Alice is there is fooled. It is about other octets (RFC 5652 section 5.6).`,
			failed("digest-mismatch"),
			func(l *Lab) string {
				other := signedDraft{content: []byte(text("Yes, I agree.\n")), detached: true, signers: []signerDraft{{id: l.Alice}}}
				return l.mail(multipartSigned(text(lie), p7s(other.der())))
			}},
		{"106-altered-part-header", `
			One word in the header of the signed part was changed: text/plain became text/html, so that what was written as text
			would be read as markup. The header of the part is signed with its body (RFC 1847 section 2.1, RFC 8551 section 3.1.1). A
			reader that hashes the body alone does not notice.`,
			failed("digest-mismatch"),
			func(l *Lab) string {
				signed := l.sign(text("Dear Bob,\n\nwrite <b>10</b><!-- 000 --> euros.\n"), l.Alice)
				return l.mail(replace(signed, "text/plain", "text/html"))
			}},
		{"107-altered-body-rsa", `
			One digit of a text that was signed with RSA was changed. Nothing else is wrong with the message. The signature fails
			(RFC 5652 section 5.6).`,
			failed("digest-mismatch"),
			func(l *Lab) string { return l.mail(replace(l.sign(text(offer), l.AliceRSA), "10 euros", "90 euros")) }},
		{"108-added-line", `
			A line was added at the end of the signed part, just before the boundary. The line end before a boundary belongs to the
			boundary, and everything before it to the part (RFC 2046 section 5.1.1), so that what was signed ends earlier. A reader
			that hashes as much as fits the signature, and shows all of the part, is fooled.`,
			failed("digest-mismatch"),
			func(l *Lab) string {
				return l.mail(replace(l.sign(text(offer), l.Alice), "\r\n\r\nAlice\r\n", "\r\n\r\nAlice\r\n\r\nP.S. The account is now 666.\r\n"))
			}},
		{"109-altered-boundary", `
			The boundary parameter was changed into another one, by which the message has other parts: a forged text first, and the
			old signature second; the part that was signed lies between boundaries that no longer count. Who splits by one
			boundary and verifies by another shows the forged text as signed. Only the parts of the boundary that is named count (RFC
			2046 section 5.1.1).`,
			failed("digest-mismatch"),
			func(l *Lab) string {
				signed := l.sign(text(offer), l.Alice)
				head, rest, _ := strings.Cut(signed, "\r\n\r\n")
				_, old, _ := strings.Cut(head, `boundary="`)
				old = strings.TrimSuffix(old, `"`)
				_, signature, _ := strings.Cut(rest, "\r\n--"+old+"\r\nContent-Type: application/pkcs7-signature")
				signature, _, _ = strings.Cut("Content-Type: application/pkcs7-signature"+signature, "\r\n--"+old)
				return l.mail(strings.Replace(head, old, "forged", 1) + "\r\n\r\n" + rest + between("forged", text(lie), signature))
			}},
		{"110-content-inside-and-beside", `
			A multipart/signed whose signature carries a content of its own, the same as the part beside it. There are two contents
			to choose from, and a reader may verify the one and show the other; here they happen to be the same. A detached
			signature has no eContent (RFC 8551 section 3.5.3), and one that has is treated as forged.`,
			failed("two-contents"),
			func(l *Lab) string {
				return l.mail(multipartSigned(text(offer), p7s(signedDraft{content: []byte(text(offer)), signers: []signerDraft{{id: l.Alice}}}.der())))
			}},
		{"111-other-content-beside", `
			eContent confusion: the signature of a multipart/signed is an opaque message of Alice, complete with its content,
			and the part beside it is somebody else's. Programs were found that verify the content inside and show the part
			beside. RFC 8551 section 3.5.3 has the signature detached, so it is a forgery.`,
			failed("two-contents"),
			func(l *Lab) string {
				return l.mail(multipartSigned(text(lie), p7s(body(l.opaque(text(offer), l.AliceRSA)))))
			}},
		{"112-detached-without-content", `
			An application/pkcs7-mime with smime-type=signed-data that has no content in it, as if the content was elsewhere. There
			is nothing to verify and nothing to show. A reader that takes the missing content for an empty one, or for what it showed
			last, is fooled (RFC 5652 section 5.2: an absent eContent is an external signature).`,
			failed("no-content"),
			func(l *Lab) string {
				return l.mail(p7m(signedDraft{content: []byte(text(offer)), detached: true, signers: []signerDraft{{id: l.Alice}}}.der(), "signed-data"))
			}},
		{"113-attributes-as-content", `
			Signed attributes presented as content: the signature of Alice over the attributes of another message is shown without
			signed attributes, and the DER of the attributes is the content. The octets that were signed are the same in both cases,
			so that the signature value is right, and many libraries accept it. The published remedy is to
			refuse content that is a set of signed attributes where none are sent.`,
			failed("attributes-as-content"),
			func(l *Lab) string {
				attributes := der(tagSet, setOf(usualAttributes([]byte(text(offer)), signerDraft{id: l.Alice}.completed())))
				return l.mail(p7m(signedDraft{content: attributes, signers: []signerDraft{{id: l.Alice, sent: []byte{}}}}.der(), "signed-data"))
			}},
		{"114-attributes-as-content-detached-rsa", `
			The same with RSA and multipart/signed: the first part is the octets of signed attributes, as binary. A fooled
			reader says that Alice signed a file. The same rule refuses it.`,
			failed("attributes-as-content"),
			func(l *Lab) string {
				attributes := der(tagSet, setOf(usualAttributes([]byte(text(offer)), signerDraft{id: l.AliceRSA}.completed())))
				signature := signedDraft{content: attributes, detached: true, signers: []signerDraft{{id: l.AliceRSA, sent: []byte{}}}}
				return l.mail(multipartSigned(string(attributes), p7s(signature.der())))
			}},
		{"115-without-signed-attributes", `
			Alice's signature stands over the content itself, without signed attributes, which RFC 5652 section 5.3 allows for
			id-data and RFC 8551 section 2.5 asks receivers to handle. There is no claimed time then. Nothing is wrong with it, and
			it passes.`,
			Expectation{Verdict: "passed", Text: []string{"10 euros"}},
			func(l *Lab) string { return l.mail(opaqueOf(text(offer), signerDraft{id: l.AliceRSA, sent: []byte{}})) }},
		{"116-content-type-attribute", `
			Content-type confusion: the signed content-type attribute says TSTInfo, and eContentType says data. What Alice signed
			was meant as something other than a mail. Both must be the same (RFC 5652 sections 5.3 and 11.1).`,
			failed("content-type"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(offer), signerDraft{id: l.Alice, attributes: typed(cms.OIDTSTInfo)}))
			}},
		{"117-content-is-tstinfo", `
			A SignedData whose content is of type TSTInfo, consistently, presented as a mail; its octets happen to read as a MIME
			entity. A timestamp authority signs such structures for everybody who asks. S/MIME signs MIME entities as id-data (RFC
			8551 section 2.4.2), and anything else is no signed mail.`,
			failed("content-type"),
			func(l *Lab) string { return l.mail(typedMessage(l.Alice, cms.OIDTSTInfo, []byte(text(offer)))) }},
		{"118-content-is-auth-enveloped", `
			A SignedData whose eContentType is id-ct-authEnvelopedData, with an encrypted message inside and no MIME between. What
			is inside is not opened under such a signature, and nothing of it is shown as signed. RFC 8551 section 3.6 puts a MIME
			entity between any two layers.`,
			Expectation{Verdict: "failed", Codes: []string{"content-type"}, NotText: []string{"4711"}, NotScreen: []string{"PASSED", "4711"}},
			func(l *Lab) string {
				return l.mail(typedMessage(l.Alice, cms.OIDAuthEnvelopedData, body(l.sealed(text(secret)))))
			}},
		{"119-content-is-signed-data", `
			A SignedData in a SignedData without MIME between: Mallory's is outside with eContentType id-signedData, Alice's is
			inside. A reader that walks down to the innermost content and reports one of the signers has two to choose from.
			RFC 8551 section 2.4.2 wants id-data, so the outer signature fails, and the inner one is not a layer.`,
			failed("content-type"),
			func(l *Lab) string {
				return l.mail(typedMessage(l.Mallory, cms.OIDSignedData, body(l.opaque(text(offer), l.Alice))), malloryFrom)
			}},
		{"120-white-space-added", `
			An empty line was added at the end of the signed part. Nothing that a person sees has changed, and yet these are not the
			octets that Alice signed. RFC 8551 section 3.1.1 signs the canonical form of the entity, in which trailing line ends
			count.`,
			failed("digest-mismatch"),
			func(l *Lab) string {
				return l.mail(replace(l.sign(text(offer), l.Alice), "\r\n\r\nAlice\r\n", "\r\n\r\nAlice\r\n\r\n"))
			}},
		{"121-signature-of-zeros", `
			The signature value is the ECDSA signature r = 0, s = 0, which implementations without the range check of FIPS 186 took
			for valid over anything and under any key. The content is Mallory's. It is no signature.`,
			failed("signature-invalid"),
			func(l *Lab) string {
				return l.mail(opaqueOf(text(lie), signerDraft{id: l.Alice, value: der(tagSequence, integer(0), integer(0))}))
			}},
		{"122-low-exponent", `
			Alice has an RSA key with the exponent 3, and the signature was made without the private key: a cube root of a block that
			begins as PKCS #1 v1.5 padding does, with garbage behind the digest (Bleichenbacher 2006). Programs that parse the
			padding from the left accept it. The whole block must be compared (RFC 8017 section 8.2.2).`,
			failed("signature-invalid"),
			func(l *Lab) string {
				key := &rsa.PublicKey{N: l.AliceRSA.Key.Public().(*rsa.PublicKey).N, E: 3}
				id := l.issue(l.Issuing, publicOnly{l.AliceRSA.Key, key}, "alice", named("Alice Adams"))
				d := signerDraft{id: id, signature: algorithm(oidRSA, null)}
				over := der(tagSet, setOf(usualAttributes([]byte(text(lie)), d.completed())))
				d.value = cubeRoot(over, key)
				return l.mail(opaqueOf(text(lie), d))
			}},
		{"123-cut-in-the-middle", `
			The second half of the SignedData is missing. What there is of the content is readable, and nothing was verified. It may
			be shown under a verdict that says failed, and never as signed (RFC 5652 section 5.1: the signers stand at the end).`,
			failed("malformed"),
			func(l *Lab) string {
				der := body(l.opaque(text(offer+strings.Repeat("All is well.\n", 40)), l.Alice))
				return l.mail(p7m(der[:len(der)/3], "signed-data"))
			}},
		{"124-more-behind-the-end", `
			Behind the end of the SignedData of a detached signature a second one follows, whose signer is another. A reader that
			parses the first and reports the last, or the other way round, is fooled. There is one ContentInfo (RFC 5652 section
			3), and data behind it makes the signature malformed.`,
			failed("malformed"),
			func(l *Lab) string {
				first := signedDraft{content: []byte(text(offer)), detached: true, signers: []signerDraft{{id: l.Mallory}}}
				second := signedDraft{content: []byte(text(offer)), detached: true, signers: []signerDraft{{id: l.Alice}}}
				return l.mail(multipartSigned(text(offer), p7s(append(first.der(), second.der()...))), malloryFrom)
			}},
		{"125-signature-is-encrypted-data", `
			The second part of a multipart/signed is a CMS message of another type: an EnvelopedData. A reader that decrypts it
			where it expected a signature becomes an oracle, and has no signature in the end. RFC 8551 section 3.5.3.1 wants a
			SignedData.`,
			failed("structure"),
			func(l *Lab) string { return l.mail(multipartSigned(text(offer), p7s(body(l.sealed(text(secret)))))) }},
		{"126-line-ends-of-the-machine", `
			A good message that was stored with bare line feeds, as many mail stores do. The signature is over the canonical form
			with CRLF (RFC 8551 section 3.1.1), and a verifier must bring it back. It passes, and what is verified is what is
			shown.`,
			Expectation{Verdict: "passed", Text: []string{"10 euros"}},
			func(l *Lab) string { return strings.ReplaceAll(l.mail(l.sign(text(offer), l.Alice)), "\r\n", "\n") }},
		{"127-compressed-and-signed", `
			Alice signs, and then the message is compressed (RFC 8551 section 3.6 allows it), and somebody compressed another text
			and put the old signature beside. Compression is no protection. The verdict comes from the signature inside, which is
			wrong.`,
			failed("digest-mismatch"),
			func(l *Lab) string {
				return l.mail(compressed(replace(l.sign(text(offer), l.Alice), crlf(offer), crlf(lie))))
			}},
		{"128-token-of-another-signature", `
			The signature is good, and the timestamp beside it is for another signature: an unsigned attribute can be put there by
			anybody. A reader that shows the time in the token as proven is fooled about when Alice signed. A bad timestamp proves
			nothing, and does not lower the verdict (RFC 3161 section 2.2 and appendix A).`,
			Expectation{Verdict: "passed", Codes: []string{"time-token-mismatch"}, Screen: []string{"as the signer claims"}, NotScreen: []string{"proven by"}},
			func(l *Lab) string {
				o := smime.SignOptions{SigningTime: signingTime, Form: smime.Opaque, Timestamp: l.anotherToken}
				return l.mail(l.signAs(text(offer), l.Alice, o))
			}},
	}
}

// typed are the usual attributes under another content type.
func typed(contentType asn1.ObjectIdentifier) func([]byte, signerDraft) [][]byte {
	return func(content []byte, d signerDraft) [][]byte {
		return append(usualAttributes(content, d)[1:], attribute(cms.OIDAttributeContentType, oid(contentType)))
	}
}

// typedMessage is an opaque message of a type, consistently.
func typedMessage(who Identity, contentType asn1.ObjectIdentifier, content []byte) string {
	d := signedDraft{eContentType: contentType, content: content, signers: []signerDraft{{id: who, attributes: typed(contentType)}}}
	return p7m(d.der(), "signed-data")
}

// publicOnly is a key of which the private half is not known: certificates can be made for it, and no signatures.
type publicOnly struct {
	crypto.Signer
	public crypto.PublicKey
}

// Public returns the public half.
func (k publicOnly) Public() crypto.PublicKey { return k.public }

// anotherToken is a time-stamp token over another signature, as anybody can get one (RFC 3161 section 2.4.2).
func (l *Lab) anotherToken(context.Context, []byte) ([]byte, error) {
	authority := l.odd("tsa", func(c *x509.Certificate) {
		c.KeyUsage, c.ExtKeyUsage, c.EmailAddresses = x509.KeyUsageDigitalSignature, nil, nil
		usage := must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}))
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}
	})
	imprint := der(tagSequence, algorithm(oidSHA256), der(tagOctets, sum(crypto.SHA256, []byte("another signature"))))
	time := must(asn1.MarshalWithParams(signingTime.AddDate(0, -6, 0), "generalized"))
	content := der(tagSequence, integer(1), oid(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 1}), imprint, integer(1), time)
	hash := der(tagOctets, sum(crypto.SHA256, authority.Certificate().Raw))
	named := attribute(oidSigningCertificateV2, der(tagSequence, der(tagSequence, der(tagSequence, hash))))
	d := signerDraft{id: authority, attributes: func(content []byte, d signerDraft) [][]byte {
		return append(typed(cms.OIDTSTInfo)(content, d), named)
	}}
	return signedDraft{eContentType: cms.OIDTSTInfo, content: content, signers: []signerDraft{d}}.der(), nil
}

// cubeRoot is a number whose cube begins as the padded digest of a text does.
func cubeRoot(text []byte, key *rsa.PublicKey) []byte {
	size := key.Size()
	block := bytes.Join([][]byte{{0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, der(tagSequence, algorithm(oidSHA256, null), der(tagOctets, sum(crypto.SHA256, text)))}, nil)
	block = append(block, bytes.Repeat([]byte{0xff}, size-len(block))...)
	root, low := new(big.Int), new(big.Int)
	high := new(big.Int).Lsh(big.NewInt(1), uint(size*8/3+2))
	target := new(big.Int).SetBytes(block)
	for low.Cmp(high) < 0 { // the largest number whose cube is not larger
		root.Add(low, high).Add(root, big.NewInt(1)).Rsh(root, 1)
		if cube := new(big.Int).Exp(root, big.NewInt(3), nil); cube.Cmp(target) <= 0 {
			low.Set(root)
		} else {
			high.Sub(root, big.NewInt(1))
		}
	}
	return low.FillBytes(make([]byte, size))
}
