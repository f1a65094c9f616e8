package certpath

import (
	"crypto"
	"crypto/x509"
	"errors"
	"testing"
	"time"
)

// TestBuild asks which path is found among several, and what is told where there is none.
func TestBuild(t *testing.T) {
	keys := testKeys()
	type change = func(*x509.Certificate)
	root := newRoot(t, "root", keys[2], nil)
	middle := func(c change) *x509.Certificate {
		return newCertificate(t, "middle", true, root, keys[1], keys[2], c)
	}
	good := middle(nil)
	expired := middle(func(c *x509.Certificate) { c.NotAfter = testTime().Add(-time.Hour) })
	constrained := middle(func(c *x509.Certificate) { c.ExcludedEmailAddresses = []string{"example.org"} })
	servers := middle(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	impostor := func(key crypto.Signer, identifier []byte) *x509.Certificate {
		return newCertificate(t, "middle", true, root, key, keys[2], func(c *x509.Certificate) { c.SubjectKeyId = identifier })
	}
	mail := func(c *x509.Certificate) { c.EmailAddresses = []string{"alice@example.org"} }
	leaf := newCertificate(t, "leaf", false, good, keys[0], keys[1], mail)
	unnamed := handmade{key: keys[0], issuer: good.RawSubject}.sign(t, keys[1]) // which names no key of its issuer
	list := func(certificates ...*x509.Certificate) (parsed []*Certificate) {
		for _, c := range certificates {
			parsed = append(parsed, mustParse(t, c.Raw))
		}
		return parsed
	}
	tests := []struct {
		what    string
		leaf    []byte
		issuers []*x509.Certificate
		anchors []*x509.Certificate
		want    Code
		through *x509.Certificate // the issuer of the leaf in the path
		cause   string            // subject of the certificate that the error is about
	}{
		{"one path", leaf.Raw, certs(good), certs(root), "", good, ""},
		{"no anchor", leaf.Raw, certs(good), nil, NoAnchor, nil, "CN=middle"},
		{"no issuer", leaf.Raw, nil, certs(root), NoAnchor, nil, "CN=leaf"},
		{"the issuer is an anchor", leaf.Raw, certs(good), certs(good), "", good, ""},
		{"the leaf is an anchor", leaf.Raw, nil, certs(leaf), "", nil, ""},
		{"the good one of several", leaf.Raw, certs(expired, constrained, servers, impostor(keys[3], good.SubjectKeyId), good), certs(root), "", good, ""},
		{"the nearest to valid of several", leaf.Raw, certs(constrained, servers, expired), certs(root), Expired, nil, "CN=middle"},
		{"a purpose before a constraint", leaf.Raw, certs(constrained, servers), certs(root), ExtendedKeyUsage, nil, "CN=middle"},
		{"an impostor with the issuer's key identifier", leaf.Raw, certs(impostor(keys[3], good.SubjectKeyId)), certs(root), BadSignature, nil, "CN=leaf"},
		{"another key of the issuer's", leaf.Raw, certs(impostor(keys[3], []byte{9})), certs(root), NoAnchor, nil, "CN=leaf"},
		{"no key identifier", unnamed, certs(impostor(keys[3], []byte{9})), certs(root), BadSignature, nil, "CN=subject"},
		{"the issuer twice", leaf.Raw, certs(good, good), certs(root, root), "", good, ""},
		{"nil among them", leaf.Raw, certs(nil, good), certs(nil, root), "", good, ""},
	}
	for _, test := range tests {
		parse := func(certificates []*x509.Certificate) (parsed []*Certificate) {
			for _, c := range certificates {
				if c == nil {
					parsed = append(parsed, nil)
					continue
				}
				parsed = append(parsed, list(c)...)
			}
			return parsed
		}
		b := Builder{Anchors: NewSet(parse(test.anchors)), Issuers: []*Set{nil, NewSet(parse(test.issuers))}}
		path, err := b.Build(mustParse(t, test.leaf), Parameters{Time: testTime(), KeyPurpose: OIDEmailProtection})
		wantCode(t, err, test.want)
		var e *Error
		if errors.As(err, &e) && (e.Certificate == nil || e.Certificate.Subject.String() != test.cause) {
			t.Errorf("%s: the error is about another certificate than %s: %v", test.what, test.cause, err)
		}
		if err != nil || test.through == nil {
			continue
		}
		issuer := path.Anchor
		if n := len(path.Certificates); n > 1 {
			issuer = path.Certificates[n-2]
		}
		if string(issuer.Raw) != string(test.through.Raw) {
			t.Errorf("%s: the path leads over another certificate", test.what)
		}
	}
	_, err := Builder{Anchors: NewSet(list(leaf))}.Build(list(leaf)[0], Parameters{})
	wantCode(t, err, ChainInvalid)
	_, err = Builder{Anchors: NewSet(list(leaf))}.Build(list(leaf)[0], Parameters{Time: testTime().AddDate(2, 0, 0)})
	wantCode(t, err, Expired)
}

func certs(list ...*x509.Certificate) []*x509.Certificate { return list }
