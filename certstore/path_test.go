package certstore_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/certpath"
)

func extension(critical bool, value []byte, arcs ...int) pkix.Extension {
	return pkix.Extension{Id: arcs, Critical: critical, Value: value}
}

func mustMarshal(t testing.TB, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestPath builds root, intermediate and leaf, each with one thing changed, and asks for the word that says so.
func TestPath(t *testing.T) {
	timeStamping := extension(true, mustMarshal(t, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}), 2, 5, 29, 37)
	past := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now().AddDate(-2, 0, 0), now().AddDate(0, -6, 0) }
	tests := []struct {
		name               string
		root, middle, leaf func(*x509.Certificate) // beyond the usual
		use                certstore.Use
		noAnchor, noMiddle bool
		at                 time.Time
		want               certstore.PathCode
		wantBroken         string // common name of the certificate that is named as the cause
	}{
		{name: "signing", use: certstore.SignMail},
		{name: "encryption", use: certstore.EncryptMail},
		{name: "no time", use: certstore.SignMail, at: time.Time{}.Add(-1), want: certstore.ChainInvalid},
		{name: "unknown root", use: certstore.SignMail, noAnchor: true, want: certstore.NoAnchor, wantBroken: "root"},
		{name: "missing intermediate", use: certstore.SignMail, noMiddle: true, want: certstore.NoAnchor, wantBroken: "leaf"},

		{name: "leaf expired", use: certstore.SignMail, leaf: past, want: certstore.Expired, wantBroken: "leaf"},
		{name: "intermediate expired", use: certstore.SignMail, middle: past, want: certstore.Expired, wantBroken: "middle"},
		{name: "all expired", use: certstore.SignMail, at: now().AddDate(2, 0, 0), want: certstore.Expired, wantBroken: "leaf"},
		{name: "at a time when it was valid", use: certstore.SignMail, at: now().AddDate(0, -9, 0), leaf: past},
		{name: "expired and unknown", use: certstore.SignMail, leaf: past, noAnchor: true, want: certstore.NoAnchor},
		{name: "not yet valid", use: certstore.SignMail, at: now().AddDate(-2, 0, 0), want: certstore.NotYetValid, wantBroken: "leaf"},
		{name: "intermediate not yet valid", use: certstore.SignMail, want: certstore.NotYetValid, wantBroken: "middle",
			middle: func(c *x509.Certificate) { c.NotBefore = now().AddDate(0, 6, 0) }},
		{name: "validities never overlap", use: certstore.SignMail, leaf: past, want: certstore.Expired,
			middle: func(c *x509.Certificate) { c.NotBefore = now().AddDate(0, -1, 0) }},

		{name: "not for signing", use: certstore.SignMail, want: certstore.KeyUsage, wantBroken: "leaf",
			leaf: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }},
		{name: "nonRepudiation is for signing", use: certstore.SignMail,
			leaf: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment }},
		{name: "not for encryption", use: certstore.EncryptMail, want: certstore.KeyUsage, wantBroken: "leaf",
			leaf: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }},
		{name: "keyEncipherment is nothing to an EC key", use: certstore.EncryptMail, want: certstore.KeyUsage,
			leaf: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }},
		{name: "no key usage at all", use: certstore.EncryptMail, leaf: func(c *x509.Certificate) { c.KeyUsage = 0 }},
		{name: "a breach outranks expiry", use: certstore.SignMail, want: certstore.KeyUsage,
			leaf: func(c *x509.Certificate) { past(c); c.KeyUsage = x509.KeyUsageKeyAgreement }},

		{name: "no extended key usage", use: certstore.SignMail, leaf: func(c *x509.Certificate) { c.ExtKeyUsage = nil }},
		{name: "any extended key usage", use: certstore.SignMail,
			leaf: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }},
		{name: "a server's certificate", use: certstore.SignMail, want: certstore.ExtendedKeyUsage,
			leaf: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }},
		{name: "a server's certificate, expired", use: certstore.SignMail, want: certstore.ExtendedKeyUsage,
			leaf: func(c *x509.Certificate) { past(c); c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }},
		{name: "an intermediate for servers", use: certstore.SignMail, want: certstore.ExtendedKeyUsage,
			middle: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }},

		{name: "intermediate is no authority", use: certstore.SignMail, want: certstore.NotACA,
			middle: func(c *x509.Certificate) { c.IsCA = false }},
		{name: "intermediate may not sign certificates", use: certstore.SignMail, want: certstore.NotACA,
			middle: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }},
		{name: "too long", use: certstore.SignMail, want: certstore.PathLength,
			root: func(c *x509.Certificate) { c.MaxPathLenZero = true }},
		{name: "unknown critical extension", use: certstore.SignMail, want: certstore.CriticalExtension,
			leaf: func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{extension(true, []byte{5, 0}, 1, 2, 3, 4)}
			}},
		{name: "unknown extension", use: certstore.SignMail,
			leaf: func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{extension(false, []byte{5, 0}, 1, 2, 3, 4)}
			}},

		{name: "names permitted", use: certstore.SignMail,
			middle: func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"example.org"} }},
		{name: "other names permitted", use: certstore.SignMail, want: certstore.NameConstraints,
			middle: func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"example.com"} }},
		{name: "names excluded", use: certstore.SignMail, want: certstore.NameConstraints,
			middle: func(c *x509.Certificate) { c.ExcludedEmailAddresses = []string{"example.org"} }},
		{name: "directory names", use: certstore.SignMail, want: certstore.NameConstraints, wantBroken: "leaf",
			middle: func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{extension(false, excludedName(t, "LEAF"), 2, 5, 29, 30)}
			}},
		{name: "a policy that nobody has is asked for", use: certstore.SignMail, want: certstore.ChainInvalid,
			middle: func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{extension(true, []byte{0x30, 3, 0x80, 1, 0}, 2, 5, 29, 36)}
			}},
		{name: "name in the subject only", use: certstore.SignMail, want: certstore.NameConstraints,
			middle: func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{".example.com"} },
			leaf: func(c *x509.Certificate) {
				c.EmailAddresses = nil
				c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "alice@example.org"}}
			}},

		{name: "time stamping", use: certstore.TimeStamp, leaf: func(c *x509.Certificate) {
			c.ExtKeyUsage, c.ExtraExtensions = nil, []pkix.Extension{timeStamping}
		}},
		{name: "time stamping, not critical", use: certstore.TimeStamp, want: certstore.ExtendedKeyUsage,
			leaf: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping} }},
		{name: "time stamping by a mail certificate", use: certstore.TimeStamp, want: certstore.ExtendedKeyUsage},
		{name: "time stamping without extended key usage", use: certstore.TimeStamp, want: certstore.ExtendedKeyUsage,
			leaf: func(c *x509.Certificate) { c.ExtKeyUsage = nil }},
		{name: "server", use: certstore.ServeTLS,
			leaf: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }},
		{name: "server by a mail certificate", use: certstore.ServeTLS, want: certstore.ExtendedKeyUsage},
	}
	rootKey, middleKey, leafKey := newKey(t), newKey(t), newKey(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := issue(t, nil, "root", rootKey, asCA(test.root))
			middle := issue(t, root, "middle", middleKey, asCA(test.middle))
			leaf := issue(t, middle, "leaf", leafKey, forMail("alice@example.org", test.leaf))
			v := certstore.Validator{Intermediates: certs(root)}
			if !test.noAnchor {
				v.Anchors = certs(root)
			}
			bag := certs(leaf)
			if !test.noMiddle {
				bag = certs(leaf, middle)
			}
			at := test.at
			switch {
			case at.IsZero():
				at = now()
			case at.Before(time.Time{}):
				at = time.Time{}
			}
			chain, err := v.Path(leaf.cert, bag, test.use, at)
			wantCode(t, err, test.want, test.wantBroken)
			if test.want == "" && !slices.EqualFunc(chain, certs(leaf, middle, root), (*x509.Certificate).Equal) {
				t.Errorf("the path has %d certificates", len(chain))
			}
			if test.want != "" && chain != nil {
				t.Error("a path is returned with an error")
			}
		})
	}
}

// excludedName is name constraints that exclude one common name.
func excludedName(t testing.TB, name string) []byte {
	t.Helper()
	base := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: mustMarshal(t, pkix.Name{CommonName: name}.ToRDNSequence())}
	list := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: mustMarshal(t, []asn1.RawValue{base})}
	return mustMarshal(t, []asn1.RawValue{list})
}

func wantCode(t *testing.T, err error, want certstore.PathCode, broken string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Fatalf("%v", err)
		}
		return
	}
	var pathErr *certstore.PathError
	if !errors.As(err, &pathErr) {
		t.Fatalf("error is %T (%v), want a PathError", err, err)
	}
	if pathErr.Code != want {
		t.Fatalf("code %s (%s), want %s", pathErr.Code, pathErr.Reason, want)
	}
	if pathErr.Reason == "" {
		t.Error("no reason")
	}
	if broken != "" && (pathErr.Certificate == nil || pathErr.Certificate.Subject.CommonName != broken) {
		t.Errorf("%q does not name %s", pathErr.Reason, broken)
	}
}

func TestPathBadSignature(t *testing.T) {
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	impostor := issue(t, nil, "root", newKey(t), asCA(func(c *x509.Certificate) { c.SubjectKeyId = root.cert.SubjectKeyId }))
	leaf := issue(t, impostor, "leaf", newKey(t), forMail("alice@example.org", nil))
	_, err := certstore.Validator{Anchors: certs(root)}.Path(leaf.cert, nil, certstore.SignMail, now())
	wantCode(t, err, certstore.BadSignature, "leaf")
	// The real issuer beside the impostor of the same name is found.
	if _, err := (certstore.Validator{Anchors: certs(root, impostor)}).Path(leaf.cert, nil, certstore.SignMail, now()); err != nil {
		t.Error(err)
	}
	if _, err := (certstore.Validator{Anchors: certs(impostor)}).Path(leaf.cert, certs(root), certstore.SignMail, now()); err != nil {
		t.Error(err)
	}
}

// TestPathSaysWhichRule: the cause of an error is what path validation said, with its section.
func TestPathSaysWhichRule(t *testing.T) {
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	middle := issue(t, root, "middle", newKey(t), asCA(func(c *x509.Certificate) { c.IsCA = false }))
	leaf := issue(t, middle, "leaf", newKey(t), forMail("alice@example.org", nil))
	_, err := certstore.Validator{Anchors: certs(root)}.Path(leaf.cert, certs(leaf, middle), certstore.SignMail, now())
	var rule *certpath.Error
	if !errors.As(err, &rule) || rule.Section != "6.1.4 (k)" || rule.Index != 0 {
		t.Errorf("the cause is %#v", rule)
	}
	var pathErr *certstore.PathError
	if !errors.As(err, &pathErr) || pathErr.Certificate != middle.cert {
		t.Error("the certificate is not the one that was given")
	}
}

// TestPathOfNamesThatAreAlike: names chain by what they say, whatever the case and the type of string (RFC 5280 section 7.1).
func TestPathOfNamesThatAreAlike(t *testing.T) {
	root := issue(t, nil, "The Root", newKey(t), asCA(nil))
	alike := *root.cert
	alike.RawSubject, alike.Subject = nil, pkix.Name{CommonName: "the  ROOT"}
	leaf := issue(t, &node{&alike, root.key}, "leaf", newKey(t), forMail("alice@example.org", nil))
	chain, err := certstore.Validator{Anchors: certs(root)}.Path(leaf.cert, nil, certstore.SignMail, now())
	if err != nil || len(chain) != 2 || chain[1] != root.cert {
		t.Errorf("%d certificates, %v", len(chain), err)
	}
}

// TestPathOfAChangedKey trusts an authority's old key, and not yet the new one that the certificate names.
func TestPathOfAChangedKey(t *testing.T) {
	old := issue(t, nil, "root", newKey(t), asCA(nil))
	renewed := issue(t, nil, "root", newKey(t), asCA(nil))
	leaf := issue(t, renewed, "leaf", newKey(t), forMail("alice@example.org", nil))
	_, err := certstore.Validator{Anchors: certs(old)}.Path(leaf.cert, nil, certstore.SignMail, now())
	wantCode(t, err, certstore.NoAnchor, "leaf")
}

// TestPathChoosesAmongIssuers has two certificates of one authority, of which one expired.
func TestPathChoosesAmongIssuers(t *testing.T) {
	root, middleKey := issue(t, nil, "root", newKey(t), asCA(nil)), newKey(t)
	expired := issue(t, root, "middle", middleKey, asCA(func(c *x509.Certificate) { c.NotAfter = now().AddDate(0, -1, 0) }))
	renewed := issue(t, root, "middle", middleKey, asCA(nil))
	leaf := issue(t, renewed, "leaf", newKey(t), forMail("alice@example.org", nil))
	v := certstore.Validator{Anchors: certs(root), Intermediates: certs(expired, renewed)}
	chain, err := v.Path(leaf.cert, nil, certstore.SignMail, now())
	if err != nil || !chain[1].Equal(renewed.cert) {
		t.Fatalf("%d certificates, %v", len(chain), err)
	}
	v.Intermediates = certs(expired)
	_, err = v.Path(leaf.cert, nil, certstore.SignMail, now())
	wantCode(t, err, certstore.Expired, "middle")
}

// signedWithSHA1 signs a certificate of an RSA issuer anew with SHA-1, which the standard library does not do.
func signedWithSHA1(t *testing.T, c *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	sha256WithRSA := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b}
	sha1WithRSA := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x05}
	var parts struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(bytes.ReplaceAll(c.Raw, sha256WithRSA, sha1WithRSA), &parts); err != nil {
		t.Fatal(err)
	}
	digest := sha1.Sum(parts.TBS.FullBytes)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	parts.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	weak, err := x509.ParseCertificate(mustMarshal(t, parts))
	if err != nil {
		t.Fatal(err)
	}
	return weak
}

func TestPathWeakSignature(t *testing.T) {
	root := issue(t, nil, "root", newRSAKey(t), asCA(nil))
	leaf := issue(t, root, "leaf", newKey(t), forMail("alice@example.org", nil))
	v := certstore.Validator{Anchors: certs(root)}
	_, err := v.Path(signedWithSHA1(t, leaf.cert, root.key), nil, certstore.SignMail, now())
	wantCode(t, err, certstore.UnsupportedCertificate, "leaf")
	var weak *certpath.WeakError
	if !errors.As(err, &weak) {
		t.Errorf("the cause is %v", err)
	}
}

func TestPathOfAnAnchor(t *testing.T) {
	alone := issue(t, nil, "alone", newKey(t), forMail("alice@example.org", nil))
	if chain, err := (certstore.Validator{Anchors: certs(alone)}).Path(alone.cert, nil, certstore.SignMail, now()); err != nil || len(chain) != 1 {
		t.Errorf("a certificate that is trusted itself: %v", err)
	}
	_, err := certstore.Validator{}.Path(alone.cert, certs(alone), certstore.SignMail, now())
	wantCode(t, err, certstore.NoAnchor, "alone")
}

// TestPathBounded gives an attacker's bag: many authorities of one name that all certify one another.
func TestPathBounded(t *testing.T) {
	key := newKey(t)
	self := issue(t, nil, "loop", key, asCA(nil))
	var bag []*x509.Certificate
	for i := range 60 {
		c := issue(t, self, "loop", key, asCA(func(c *x509.Certificate) { c.NotBefore = c.NotBefore.Add(time.Duration(i) * time.Minute) }))
		bag = append(bag, c.cert)
	}
	leaf := issue(t, self, "leaf", newKey(t), forMail("alice@example.org", nil))
	_, err := certstore.Validator{}.Path(leaf.cert, append(bag, nil), certstore.SignMail, now())
	var pathErr *certstore.PathError
	if !errors.As(err, &pathErr) {
		t.Fatalf("%v", err)
	}
}

// smtpUTF8SAN is a subjectAltName with one SmtpUTF8Mailbox.
func smtpUTF8SAN(t testing.TB, mailbox string, critical bool) pkix.Extension {
	t.Helper()
	explicit0 := cryptobyteasn1.Tag(0).ContextSpecific().Constructed()
	var b cryptobyte.Builder
	b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(explicit0, func(b *cryptobyte.Builder) { // otherName
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9})
			b.AddASN1(explicit0, func(b *cryptobyte.Builder) {
				b.AddASN1(cryptobyteasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(mailbox)) })
			})
		})
	})
	return extension(critical, b.BytesOrPanic(), 2, 5, 29, 17)
}

func TestPathInternationalAddress(t *testing.T) {
	const address = "jörg@example.org"
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	leaf := issue(t, root, "leaf", newKey(t), forMail("", func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{smtpUTF8SAN(t, address, true)}
	}))
	if len(leaf.cert.UnhandledCriticalExtensions) == 0 {
		t.Fatal("the standard library understands the extension: the test tests nothing")
	}
	chain, err := certstore.Validator{Anchors: certs(root)}.Path(leaf.cert, nil, certstore.SignMail, now())
	if err != nil || chain[0] != leaf.cert {
		t.Fatalf("%v", err)
	}
	if !certstore.MatchAddress(chain[0], address) {
		t.Error("does not match its own address")
	}
	constrained := issue(t, nil, "root", newKey(t), asCA(func(c *x509.Certificate) { c.ExcludedEmailAddresses = []string{"example.org"} }))
	leaf = issue(t, constrained, "leaf", newKey(t), forMail("", func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{smtpUTF8SAN(t, address, false)}
	}))
	_, err = certstore.Validator{Anchors: certs(constrained)}.Path(leaf.cert, nil, certstore.SignMail, now())
	wantCode(t, err, certstore.NameConstraints, "leaf")
}
