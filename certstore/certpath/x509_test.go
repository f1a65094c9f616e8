package certpath

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"github.com/sealmail/sealmail/internal/peertest"
)

// TestAgreesWithX509 asks ours and the standard library about thousands of chains that break in all kinds of places.
func TestAgreesWithX509(t *testing.T) {
	source := rand.New(rand.NewPCG(5280, 9618))
	valid, invalid := 0, 0
	for range 2000 {
		data := make([]byte, 20+source.IntN(180))
		for i := range data {
			data[i] = byte(source.Uint32())
		}
		g := generate(t, &choices{data})
		j := judged{certs: g.parsed(t), theirs: verifyX509(g.certs)}
		_, j.ours = buildOurs(j.certs)
		if _, ok := j.explained(); !ok {
			t.Errorf("ours: %v\nx509: %v", j.ours, j.theirs)
		}
		if j.ours == nil {
			valid++
		} else {
			invalid++
		}
	}
	if valid < 300 || invalid < 300 {
		t.Errorf("%d valid and %d invalid chains", valid, invalid)
	}
}

// TestAgreesWithX509OnPKITS does the same with the cases of the suite that have no inputs beside the path.
func TestAgreesWithX509OnPKITS(t *testing.T) {
	suite := peertest.LoadPKITS(t)
	anchorDER := suite.Anchor(t)
	roots := x509.NewCertPool()
	root, err := x509.ParseCertificate(anchorDER)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(root)
	same := 0
	for _, test := range suite.Cases {
		if p := test.Params; len(p.UserInitialPolicySet) > 0 || p.InitialAnyPolicyInhibit || p.InitialExplicitPolicy || p.InitialPolicyMappingInhibit {
			continue
		}
		j := judged{certs: []*Certificate{mustParse(t, suite.Certificate(t, test.Leaf))}}
		leaf, err := x509.ParseCertificate(j.certs[0].Raw)
		j.theirs = err
		intermediates := x509.NewCertPool()
		for _, name := range test.Other {
			der := suite.Certificate(t, name)
			j.certs = append(j.certs, mustParse(t, der))
			if c, err := x509.ParseCertificate(der); err == nil {
				intermediates.AddCert(c)
			} else {
				j.theirs = err
			}
		}
		if j.theirs == nil {
			_, j.theirs = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: pkitsTime(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		}
		anchor := mustParse(t, anchorDER)
		path, err := Builder{Anchors: NewSet([]*Certificate{anchor}), Issuers: []*Set{NewSet(j.certs[1:])}}.Build(j.certs[0], Parameters{Time: pkitsTime()})
		j.ours = err
		if err == nil {
			j.certs = nil
			for _, c := range slices.Backward(path.Certificates) {
				j.certs = append(j.certs, c)
			}
		}
		j.certs = append(j.certs, anchor)
		if (j.ours == nil) == (j.theirs == nil) {
			same++
			continue
		}
		if _, ok := j.explained(); ok {
			continue
		}
		if _, ok := unread(j.certs); ok {
			continue
		}
		t.Errorf("%s %s: ours: %v\nx509: %v", test.ID, test.Name, j.ours, j.theirs)
	}
	if same < 150 {
		t.Errorf("%d cases alike", same)
	}
}

// unread returns why the standard library does not read one of these certificates at all, which is read here. ok is false
// where it reads them all, or the reason is not known.
func unread(certs []*Certificate) (why string, ok bool) {
	for _, c := range certs {
		if _, err := x509.ParseCertificate(c.Raw); err == nil {
			continue
		}
		for _, r := range []struct {
			why  string
			here bool
		}{
			{"negative serial number", c.SerialNumber.Sign() < 0},
			{"a key that cannot be used", c.PublicKey == nil},
			{"an object identifier with an arc of more than 31 bits", slices.ContainsFunc(identifiers(c), func(id OID) bool {
				in := cryptobyte.String(tlv(6, []byte(id)))
				return !in.ReadASN1ObjectIdentifier(new(asn1.ObjectIdentifier))
			})},
			{"a number that no int may hold", c.BasicConstraints != nil && c.BasicConstraints.PathLength == maxCount || c.InhibitAnyPolicy == maxCount ||
				c.PolicyConstraints != nil && max(c.PolicyConstraints.RequireExplicitPolicy, c.PolicyConstraints.InhibitPolicyMapping) == maxCount},
			{"text that is not of its type", oddText(c.Issuer) || oddText(c.Subject)},
			{"distribution point relative to a name", slices.ContainsFunc(c.CRLDistributionPoints, func(p DistributionPoint) bool { return p.Name.RelativeToName != nil })},
			{"a key identifier or address that is critical", slices.ContainsFunc(c.Extensions, func(e Extension) bool {
				return e.Critical && (e.ID == OIDSubjectKeyIdentifier || e.ID == OIDAuthorityKeyIdentifier || e.ID == OIDAuthorityInfoAccess)
			})},
			{"URI", slices.ContainsFunc(c.SubjectAltNames, func(n GeneralName) bool {
				u, err := url.Parse(n.Text)
				_, ok := uriHost(n.Text)
				return n.Kind == URI && (err != nil || u.Host != "" && !ok)
			})},
		} {
			if r.here {
				return r.why, true
			}
		}
	}
	return "", false
}

// TestUnread makes certificates that are as RFC 5280 has them, and that the standard library does not read.
func TestUnread(t *testing.T) {
	keys := testKeys()
	for why, extension := range map[string][]byte{
		"an object identifier with an arc of more than 31 bits": handExtension(OIDExtendedKeyUsage, false, tlv(0x30, tlv(6, []byte("\x2a\x90\x80\x80\x80\x00")))),
		"a number that no int may hold": handExtension(OIDBasicConstraints, true,
			tlv(0x30, tlv(1, []byte{0xff}), tlv(2, bytes.Repeat([]byte{1}, 9)))),
	} {
		c := mustParse(t, handmade{key: keys[0], extensions: [][]byte{extension}}.sign(t, keys[1]))
		if got, _ := unread([]*Certificate{c}); got != why || len(c.Problems) > 0 {
			t.Errorf("%s: %q, with the problems %v", why, got, c.Problems)
		}
	}
}

// identifiers returns the object identifiers of the certificate that the standard library takes apart.
func identifiers(c *Certificate) []OID {
	list := slices.Clone(c.ExtendedKeyUsage)
	for _, e := range c.Extensions {
		list = append(list, e.ID)
	}
	for _, a := range c.AuthorityInfoAccess {
		list = append(list, a.Method)
	}
	for _, rdn := range slices.Concat(c.Issuer.RDNs, c.Subject.RDNs) {
		for _, a := range rdn {
			list = append(list, a.Type)
		}
	}
	return list
}

// oddText reports whether a value of the name has characters that its type does not have.
func oddText(n Name) bool {
	for _, rdn := range n.RDNs {
		for _, a := range rdn {
			text, ok := a.text()
			printable := strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?*&") == ""
			if !ok || a.Tag == 19 && !printable || a.Tag == 22 && !isASCII(text) || a.Tag != 12 && a.Tag != 19 && a.Tag != 22 {
				return true
			}
		}
	}
	return false
}

// corpusCertificates returns the DER of every certificate in the corpora that has a file to itself.
func corpusCertificates(t testing.TB) map[string][]byte {
	t.Helper()
	root := peertest.Corpora(t)
	found := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".crt", ".pem", ".der", ".cer":
		default:
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if data[0] == 0x30 {
			found[name] = data
		}
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "CERTIFICATE" {
				found[name] = block.Bytes
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestParseAgreesWithX509 reads every certificate of the corpora with both.
func TestParseAgreesWithX509(t *testing.T) {
	read := 0
	for name, der := range corpusCertificates(t) {
		theirs, err := x509.ParseCertificate(der)
		ours, ourErr := Parse(der)
		if err == nil && ourErr != nil {
			t.Errorf("%s: %v", name, ourErr)
		}
		if err == nil && ourErr == nil {
			read++
			sameFields(t, name, ours, theirs)
		}
	}
	if read < 400 {
		t.Errorf("%d certificates", read)
	}
}

// sameFields compares what both know. What is wrong by our measure alone is a problem, and is not compared.
func sameFields(t testing.TB, name string, c *Certificate, x *x509.Certificate) {
	t.Helper()
	wrong := func(what string, ours, theirs any) { t.Errorf("%s: %s: ours %v, x509 %v", name, what, ours, theirs) }
	if c.SerialNumber.Cmp(x.SerialNumber) != 0 || c.Version != x.Version {
		wrong("serial number", c.SerialNumber, x.SerialNumber)
	}
	if !c.NotBefore.Equal(x.NotBefore) || !c.NotAfter.Equal(x.NotAfter) {
		if !c.hasProblem("") {
			wrong("validity", c.NotBefore, x.NotBefore)
		}
	}
	for _, pair := range [][2][]byte{{c.RawTBS, x.RawTBSCertificate}, {c.Issuer.Raw, x.RawIssuer}, {c.Subject.Raw, x.RawSubject},
		{c.RawSubjectPublicKeyInfo, x.RawSubjectPublicKeyInfo}, {c.Signature, x.Signature}} {
		if !bytes.Equal(pair[0], pair[1]) {
			wrong("octets", pair[0], pair[1])
		}
	}
	if x.Version < 3 {
		return
	}
	if len(c.Extensions) != min(len(x.Extensions), maxExtensions) {
		wrong("extensions", len(c.Extensions), len(x.Extensions))
	}
	if len(x.Extensions) > maxExtensions { // which is a problem, and the others were not read
		return
	}
	if !c.hasProblem(OIDKeyUsage) && c.KeyUsage&0x1ff != KeyUsage(x.KeyUsage) {
		wrong("key usage", c.KeyUsage, x.KeyUsage)
	}
	if b := c.BasicConstraints; b != nil && (b.CA != x.IsCA || b.PathLength != min(x.MaxPathLen, maxCount)) || (b != nil) != x.BasicConstraintsValid && !c.hasProblem(OIDBasicConstraints) {
		wrong("basic constraints", b, x.IsCA)
	}
	if !c.hasProblem(OIDExtendedKeyUsage) && len(c.ExtendedKeyUsage) != len(x.ExtKeyUsage)+len(x.UnknownExtKeyUsage) {
		wrong("extended key usage", c.ExtendedKeyUsage, x.ExtKeyUsage)
	}
	if !c.hasProblem(OIDSubjectKeyIdentifier) && !bytes.Equal(c.SubjectKeyID, x.SubjectKeyId) {
		wrong("subject key identifier", c.SubjectKeyID, x.SubjectKeyId)
	}
	if !c.hasProblem(OIDAuthorityKeyIdentifier) && c.AuthorityKeyID != nil && !bytes.Equal(c.AuthorityKeyID.KeyID, x.AuthorityKeyId) {
		wrong("authority key identifier", c.AuthorityKeyID, x.AuthorityKeyId)
	}
	if !c.hasProblem(OIDSubjectAltName) {
		mail, hosts, addresses, uris := byKind(c.SubjectAltNames)
		if !slices.Equal(mail, x.EmailAddresses) || !slices.Equal(hosts, x.DNSNames) || len(uris) != len(x.URIs) ||
			!slices.EqualFunc(addresses, x.IPAddresses, func(a []byte, b net.IP) bool { return bytes.Equal(a, b) }) {
			wrong("alternative names", c.SubjectAltNames, x.EmailAddresses)
		}
	}
	if n := c.NameConstraints; n != nil && !c.hasProblem(OIDNameConstraints) {
		same := func(names []GeneralName, theirMail, theirHosts, theirURIs []string, theirNetworks []*net.IPNet) bool {
			mail, hosts, networks, uris := byKind(names)
			return slices.Equal(mail, theirMail) && slices.Equal(hosts, theirHosts) && slices.Equal(uris, theirURIs) &&
				slices.EqualFunc(networks, theirNetworks, func(a []byte, b *net.IPNet) bool { return bytes.Equal(a, append(bytes.Clone(b.IP), b.Mask...)) })
		}
		if !same(n.Permitted, x.PermittedEmailAddresses, x.PermittedDNSDomains, x.PermittedURIDomains, x.PermittedIPRanges) ||
			!same(n.Excluded, x.ExcludedEmailAddresses, x.ExcludedDNSDomains, x.ExcludedURIDomains, x.ExcludedIPRanges) {
			wrong("name constraints", n, x.PermittedEmailAddresses)
		}
	}
	// Their zero is also what is absent.
	count := func(ours, theirs int, zero bool) bool {
		return ours == min(theirs, maxCount) && (theirs > 0 || zero) || ours < 0 && theirs == 0 && !zero
	}
	if !c.hasProblem(OIDInhibitAnyPolicy) && !count(c.InhibitAnyPolicy, x.InhibitAnyPolicy, x.InhibitAnyPolicyZero) {
		wrong("inhibitAnyPolicy", c.InhibitAnyPolicy, x.InhibitAnyPolicy)
	}
	if k := c.PolicyConstraints; k != nil && !c.hasProblem(OIDPolicyConstraints) &&
		(!count(k.RequireExplicitPolicy, x.RequireExplicitPolicy, x.RequireExplicitPolicyZero) ||
			!count(k.InhibitPolicyMapping, x.InhibitPolicyMapping, x.InhibitPolicyMappingZero)) {
		wrong("policy constraints", k, x.RequireExplicitPolicy)
	}
	if !c.hasProblem(OIDPolicyMappings) && !slices.EqualFunc(c.PolicyMappings, x.PolicyMappings, func(m PolicyMapping, theirs x509.PolicyMapping) bool {
		return m.IssuerDomain.String() == theirs.IssuerDomainPolicy.String() && m.SubjectDomain.String() == theirs.SubjectDomainPolicy.String()
	}) {
		wrong("policy mappings", c.PolicyMappings, x.PolicyMappings)
	}
	if !c.hasProblem(OIDCertificatePolicies) && !slices.EqualFunc(c.Policies, x.Policies, func(p PolicyInformation, id x509.OID) bool {
		der, err := id.MarshalBinary()
		return err == nil && p.Policy == OID(der)
	}) {
		wrong("policies", c.Policies, x.Policies)
	}
}

// byKind returns the names of the kinds that crypto/x509 knows, of addresses the octets.
func byKind(names []GeneralName) (mail, hosts []string, addresses [][]byte, uris []string) {
	for _, n := range names {
		switch n.Kind {
		case RFC822Name:
			mail = append(mail, n.Text)
		case DNSName:
			hosts = append(hosts, n.Text)
		case IPAddress:
			addresses = append(addresses, n.Raw)
		case URI:
			uris = append(uris, n.Text)
		}
	}
	return mail, hosts, addresses, uris
}

func (c *Certificate) hasProblem(extension OID) bool {
	return slices.ContainsFunc(c.Problems, func(p Problem) bool { return p.Extension == extension })
}
