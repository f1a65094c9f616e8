package cms

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"testing"
)

// voices is what two implementations say of a signed message with its content in it.
type voices struct {
	message      []byte
	all          everything
	ours, theirs error // nil: all signatures verify
	theirContent []byte
}

func (v voices) agree() bool { return (v.ours == nil) == (v.theirs == nil) }

// disagreement is a reason why one of two accepts a signature that the other refuses.
type disagreement struct {
	name string
	// ours says that it is this package that accepts.
	ours bool
	// explains reports whether this is the reason.
	explains func(testing.TB, voices) bool
	// example returns a message for which it is.
	example func(testing.TB) []byte
}

// explain returns the first reason in the table for which two implementations disagree.
func explain(t testing.TB, table []disagreement, v voices) (reason string, ok bool) {
	t.Helper()
	for _, d := range table {
		if d.ours == (v.ours == nil) && d.explains(t, v) {
			return d.name, true
		}
	}
	return "", false
}

// checkTable checks that each reason is one, and the one that is found.
func checkTable(t *testing.T, table []disagreement, listen func(testing.TB, []byte) voices) {
	t.Helper()
	for _, d := range table {
		v := listen(t, d.example(t))
		if v.agree() || d.ours != (v.ours == nil) {
			t.Errorf("%s: %v, %v", d.name, v.ours, v.theirs)
		} else if reason, _ := explain(t, table, v); reason != d.name {
			t.Errorf("%s: explained by %q", d.name, reason)
		}
	}
}

// refusedFor is an explanation: this package refuses with one of these errors, on purpose.
func refusedFor(errs ...error) func(testing.TB, voices) bool {
	return func(_ testing.TB, v voices) bool {
		return slices.ContainsFunc(errs, func(err error) bool { return errors.Is(v.ours, err) })
	}
}

// malformedFor is an explanation: this package says that the message is malformed, in these words.
func malformedFor(words ...string) func(testing.TB, voices) bool {
	return func(_ testing.TB, v voices) bool {
		return errors.Is(v.ours, ErrMalformed) && slices.ContainsFunc(words, func(w string) bool { return strings.Contains(v.ours.Error(), w) })
	}
}

// ownSignature is a SignedData that is put together by hand.
type ownSignature struct {
	version      int
	content      []byte
	contentRaw   []byte                // nil: content as one octet string
	announced    asn1.ObjectIdentifier // digest algorithm of the SignedData
	others       []byte                // other digest algorithms of it
	digest       asn1.ObjectIdentifier // of the SignerInfo
	algorithm    asn1.ObjectIdentifier // of the signature
	parameters   []byte                // of that algorithm; nil: absent
	eContentType asn1.ObjectIdentifier
	attributes   Attributes // nil: none
	unsigned     Attributes
	surplus      []byte // behind the SignerInfos
	sid          CertificateIdentifier
	certificates []byte
	signature    []byte // nil: made
	signer       envIdentity
}

// ownSigned returns a message with content-type and message-digest, changed.
func ownSigned(t testing.TB, change func(*ownSignature)) *ownSignature {
	t.Helper()
	signer, err := sampleSigner()
	if err != nil {
		t.Fatal(err)
	}
	content := []byte(sampleText)
	sid := CertificateIdentifier{Issuer: signer.cert.RawIssuer, Serial: signer.cert.SerialNumber}
	o := &ownSignature{sid: sid, algorithm: oidECDSAWithSHA256, version: 1, content: content, announced: oidSHA256, digest: oidSHA256, eContentType: OIDData, certificates: signer.cert.Raw, signer: signer, attributes: Attributes{
		{Type: OIDAttributeContentType, Values: [][]byte{oidElement(t, OIDData)}},
		{Type: OIDAttributeMessageDigest, Values: [][]byte{element(0x04, digestOf(crypto.SHA256, content))}},
	}}
	change(o)
	if o.signature == nil {
		input := o.content
		if o.attributes != nil {
			input = o.attributesDER(t)
		}
		if o.signature, err = o.signer.key.Sign(nil, digestOf(crypto.SHA256, input), crypto.SHA256); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// attributesDER is what is signed.
func (o *ownSignature) attributesDER(t testing.TB) []byte {
	t.Helper()
	var e encoder
	members := splitElements(t, e.attributes(0x31, o.attributes))
	if e.failed {
		t.Fatal("attributes cannot be written")
	}
	slices.SortFunc(members, bytes.Compare)
	return element(0x31, members...)
}

func (o *ownSignature) marshal(t testing.TB) []byte {
	t.Helper()
	var e encoder
	var signed, unsigned []byte
	if o.attributes != nil {
		signed = o.attributesDER(t)
		signed[0] = 0xa0
	}
	if o.unsigned != nil {
		unsigned = e.attributes(0xa1, o.unsigned)
	}
	signerInfo := element(0x30, e.integer(1), e.identifier(o.sid),
		element(0x30, e.oid(o.digest)), signed, element(0x30, e.oid(o.algorithm), o.parameters), element(0x04, o.signature), unsigned)
	content := o.contentRaw
	if content == nil {
		content = element(0x04, o.content)
	}
	info := element(0x30, e.oid(o.eContentType), element(0xa0, content))
	body := element(0x30, e.integer(o.version), element(0x31, element(0x30, e.oid(o.announced)), o.others), info, element(0xa0, o.certificates), element(0x31, signerInfo), o.surplus)
	return element(0x30, e.oid(OIDSignedData), element(0xa0, body))
}
