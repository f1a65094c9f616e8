package nssroots

import (
	"bytes"
	"crypto/ed25519"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"debug/elf"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testCertificate makes a root, the same each time.
func testCertificate(t testing.TB, serial int64) *x509.Certificate {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(serial)}, ed25519.SeedSize))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: fmt.Sprintf("Root %d", serial)},
		NotAfter:     time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func derSerial(t testing.TB, c *x509.Certificate) []byte {
	t.Helper()
	der, err := asn1.Marshal(c.SerialNumber)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// certificateObject is c as a CKO_CERTIFICATE object, with more attributes.
func certificateObject(t testing.TB, c *x509.Certificate, more ...attribute) []attribute {
	t.Helper()
	return append([]attribute{
		{ckaClass, ckoCertificate}, {ckaLabel, c.Subject.CommonName + "\x00"}, {ckaCertificateType, ckcX509},
		{ckaSubject, c.RawSubject}, {ckaIssuer, c.RawIssuer}, {ckaSerialNumber, derSerial(t, c)}, {ckaValue, c.Raw},
	}, more...)
}

// nssTrust is the trust in c in NSS's own form.
func nssTrust(t testing.TB, c *x509.Certificate, email, server int) []attribute {
	t.Helper()
	sha1Sum, md5Sum := sha1.Sum(c.Raw), md5.Sum(c.Raw)
	return []attribute{
		{ckaClass, ckoNSSTrust}, {ckaLabel, c.Subject.CommonName + "\x00"},
		{ckaIssuer, c.RawIssuer}, {ckaSerialNumber, derSerial(t, c)},
		{ckaNSSCertSHA1Hash, sha1Sum[:]}, {ckaNSSCertMD5Hash, md5Sum[:]},
		{ckaNSSTrustEmailProtection, email}, {ckaNSSTrustServerAuth, server},
	}
}

// pkcsTrust is the trust in c in the form of PKCS #11 3.2.
func pkcsTrust(t testing.TB, c *x509.Certificate, email, server int) []attribute {
	t.Helper()
	sum := sha256.Sum256(c.Raw)
	return []attribute{
		{ckaClass, ckoTrust}, {ckaLabel, c.Subject.CommonName + "\x00"},
		{ckaIssuer, c.RawIssuer}, {ckaSerialNumber, derSerial(t, c)},
		{ckaNameHashAlgorithm, ckmSHA256}, {ckaHashOfCertificate, sum[:]},
		{ckaTrustEmailProtection, email}, {ckaTrustServerAuth, server},
	}
}

// with returns an object with the value of an attribute replaced, or added; without, with an attribute taken out.
func with(object []attribute, kind uint64, value any) []attribute {
	return append(without(object, kind), attribute{kind, value})
}

func without(object []attribute, kind uint64) (rest []attribute) {
	for _, a := range object {
		if a.kind != kind {
			rest = append(rest, a)
		}
	}
	return rest
}

// plain is a module with one root for e-mail and one for servers.
func plain(t testing.TB) module {
	t.Helper()
	one, two := testCertificate(t, 1), testCertificate(t, 2)
	return module{elf.EM_X86_64, true, binary.LittleEndian, elf.DT_RELA, "libnssckbi.so", [][]attribute{
		certificateObject(t, one), nssTrust(t, one, cktNSSTrustedDelegator, cktNSSMustVerifyTrust),
		certificateObject(t, two), nssTrust(t, two, cktNSSMustVerifyTrust, cktNSSTrustedDelegator),
	}}
}

func read(data []byte) ([]Root, error) { return Read(bytes.NewReader(data), int64(len(data))) }

// TestRead reads all kinds of objects, on all kinds of machines.
func TestRead(t *testing.T) {
	var c [8]*x509.Certificate
	for i := range c {
		c[i] = testCertificate(t, int64(i))
	}
	const rootList = 0xce534354
	objects := [][]attribute{
		{{ckaClass, rootList}, {ckaLabel, "Mozilla Builtin Roots\x00"}},
		certificateObject(t, c[0], attribute{ckaNSSMozillaCAPolicy, "\x01"}, attribute{ckaNSSEmailDistrustAfter, "\x00"}),
		nssTrust(t, c[0], cktNSSTrustedDelegator, cktNSSTrustedDelegator),
		certificateObject(t, c[1], attribute{ckaNSSMozillaCAPolicy, "\x00"}, attribute{ckaNSSEmailDistrustAfter, "220831000000Z"}),
		nssTrust(t, c[1], cktNSSTrustedDelegator, cktNSSMustVerifyTrust),
		certificateObject(t, c[2], attribute{ckaNSSEmailDistrustAfter, "500102030405Z"}),
		pkcsTrust(t, c[2], cktMustVerifyTrust, cktTrustAnchor),
		certificateObject(t, c[3]),
		pkcsTrust(t, c[3], cktTrustAnchor, cktNotTrusted),
		certificateObject(t, c[4]),
		without(without(nssTrust(t, c[4], cktNSSNotTrusted, cktNSSNotTrusted), ckaNSSCertSHA1Hash), ckaNSSCertMD5Hash),
		certificateObject(t, c[5]),
		nssTrust(t, c[5], cktNSSTrusted, cktNSSValidDelegator),
		pkcsTrust(t, c[5], cktTrusted, cktTrustUnknown),
		nssTrust(t, c[6], cktNSSNotTrusted, cktNSSNotTrusted), // whose certificate is not there
		certificateObject(t, c[7]),
		without(with(pkcsTrust(t, c[7], cktTrustAnchor, cktTrustAnchor), ckaTrustServerAuth, cktTrustAnchor), ckaTrustEmailProtection),
	}
	root := func(i int, r Root) Root {
		r.Issuer, r.Serial, r.Label = c[i].RawIssuer, derSerial(t, c[i]), c[i].Subject.CommonName
		if i != 6 {
			r.DER = c[i].Raw
		}
		return r
	}
	want := []Root{
		root(0, Root{EmailTrusted: true, ServerTrusted: true, MozillaPolicy: true}),
		root(1, Root{EmailTrusted: true, EmailDistrustAfter: time.Date(2022, 8, 31, 0, 0, 0, 0, time.UTC)}),
		root(2, Root{ServerTrusted: true, EmailDistrustAfter: time.Date(1950, 1, 2, 3, 4, 5, 0, time.UTC)}),
		root(3, Root{EmailTrusted: true}),
		root(4, Root{DistrustedEmail: true}),
		root(5, Root{}),
		root(7, Root{ServerTrusted: true}),
		root(6, Root{DistrustedEmail: true}),
	}
	for _, m := range []module{
		{elf.EM_X86_64, true, binary.LittleEndian, elf.DT_RELA, "libnssckbi.so", objects},
		{elf.EM_X86_64, true, binary.LittleEndian, dtRELR, "libnssckbi.so", objects},
		{elf.EM_AARCH64, true, binary.LittleEndian, dtRELR, "", objects},
		{elf.EM_RISCV, true, binary.LittleEndian, elf.DT_RELA, "libnssckbi.so", objects},
		{elf.EM_PPC64, true, binary.LittleEndian, elf.DT_RELA, "libnssckbi.so", objects},
		{elf.EM_LOONGARCH, true, binary.LittleEndian, elf.DT_RELA, "libnssckbi.so", objects},
		{elf.EM_S390, true, binary.BigEndian, elf.DT_RELA, "libnssckbi.so", objects},
		{elf.EM_386, false, binary.LittleEndian, elf.DT_REL, "libnssckbi.so", objects},
		{elf.EM_ARM, false, binary.LittleEndian, elf.DT_REL, "libnssckbi.so", objects},
		{elf.EM_ARM, false, binary.LittleEndian, dtRELR, "libnssckbi.so", objects},
	} {
		t.Run(fmt.Sprint(m.machine, m.form), func(t *testing.T) {
			got, err := read(m.build(t).data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error("want -, got +:\n", diff)
			}
		})
	}
}

// TestInconsistent refuses modules whose objects do not fit together.
func TestInconsistent(t *testing.T) {
	one, two := testCertificate(t, 1), testCertificate(t, 2)
	sound := plain(t).objects
	trust := nssTrust(t, one, cktNSSTrustedDelegator, cktNSSMustVerifyTrust)
	newer := pkcsTrust(t, one, cktTrustAnchor, cktMustVerifyTrust)
	other := sha1.Sum([]byte("another certificate"))
	sha384, sha512Sum := sha512.Sum384(one.Raw), sha512.Sum512(one.Raw)
	tests := map[string]struct {
		certificate, trust []attribute // instead of those of the first root
		more               [][]attribute
		err                error
		text               string
	}{
		"both forms of trust, which agree":    {more: [][]attribute{newer}},
		"both forms of trust, which disagree": {more: [][]attribute{pkcsTrust(t, one, cktTrustAnchor, cktTrustAnchor)}, err: ErrMalformed, text: "two trust objects"},
		"two trust objects":                   {more: [][]attribute{trust}, err: ErrMalformed, text: "two trust objects"},
		"two certificates":                    {more: [][]attribute{certificateObject(t, one)}, err: ErrMalformed, text: "two certificates"},
		"a certificate without trust":         {more: [][]attribute{certificateObject(t, testCertificate(t, 3))}, err: ErrMalformed, text: "no trust object"},
		"trust without a certificate":         {more: [][]attribute{nssTrust(t, testCertificate(t, 3), cktNSSTrustedDelegator, cktNSSMustVerifyTrust)}, err: ErrMalformed, text: "trusted without"},
		"server trust without a certificate":  {more: [][]attribute{nssTrust(t, testCertificate(t, 3), cktNSSMustVerifyTrust, cktNSSTrustedDelegator)}, err: ErrMalformed, text: "trusted without"},
		"trust in nothing":                    {more: [][]attribute{with(nssTrust(t, testCertificate(t, 3), cktNSSNotTrusted, cktNSSNotTrusted), ckaSerialNumber, "")}, err: ErrMalformed, text: "names no certificate"},
		"trust in nobody":                     {more: [][]attribute{with(nssTrust(t, testCertificate(t, 3), cktNSSNotTrusted, cktNSSNotTrusted), ckaIssuer, "")}, err: ErrMalformed, text: "names no certificate"},
		"SHA-1 of another":                    {trust: with(trust, ckaNSSCertSHA1Hash, other[:]), err: ErrMalformed, text: "hash of another"},
		"SHA-1 of a wrong size":               {trust: with(trust, ckaNSSCertSHA1Hash, other[:19]), err: ErrMalformed, text: "hash of another"},
		"MD5 of another":                      {trust: with(trust, ckaNSSCertMD5Hash, other[:16]), err: ErrMalformed, text: "hash of another"},
		"MD5 alone":                           {trust: without(trust, ckaNSSCertSHA1Hash), err: ErrMalformed, text: "without its hash"},
		"SHA-1 alone":                         {trust: without(trust, ckaNSSCertMD5Hash)},
		"SHA-256 of another":                  {trust: with(newer, ckaHashOfCertificate, bytes.Repeat(other[:16], 2)), err: ErrMalformed, text: "hash of another"},
		"unknown hash":                        {trust: with(newer, ckaNameHashAlgorithm, 0x7777), err: ErrMalformed, text: "0x7777"},
		"SHA-384":                             {trust: with(with(newer, ckaNameHashAlgorithm, ckmSHA384), ckaHashOfCertificate, sha384[:])},
		"SHA-512":                             {trust: with(with(newer, ckaNameHashAlgorithm, ckmSHA512), ckaHashOfCertificate, sha512Sum[:])},
		"PKCS #11 3.2 without a hash":         {trust: without(newer, ckaHashOfCertificate), err: ErrMalformed, text: "without its hash"},
		"SHA-1 by default":                    {trust: without(with(newer, ckaHashOfCertificate, trust[4].value), ckaNameHashAlgorithm)},
		"distrust with the hash of another":   {trust: with(nssTrust(t, one, cktNSSNotTrusted, cktNSSNotTrusted), ckaNSSCertSHA1Hash, other[:]), err: ErrMalformed, text: "hash of another"},
		"unknown trust":                       {trust: with(trust, ckaNSSTrustEmailProtection, 0xce534399), err: ErrMalformed, text: "0xce534399"},
		"trust of the other form":             {trust: with(trust, ckaNSSTrustEmailProtection, cktTrustAnchor), err: ErrMalformed, text: "unknown value 0x2"},
		"NSS's trust in PKCS #11 3.2":         {trust: with(newer, ckaTrustEmailProtection, cktNSSTrustedDelegator), err: ErrMalformed, text: "0xce534352"},
		"trust of a wrong size":               {trust: with(trust, ckaNSSTrustEmailProtection, "\x02"), err: ErrMalformed, text: "wrong size"},
		"no root for e-mail":                  {trust: nssTrust(t, one, cktNSSMustVerifyTrust, cktNSSTrustedDelegator), err: ErrNoEmailRoots},
		"an issuer that is another":           {certificate: with(certificateObject(t, one), ckaIssuer, two.RawIssuer), err: ErrMalformed, text: "other names"},
		"a subject that is another":           {certificate: with(certificateObject(t, one), ckaSubject, two.RawSubject), err: ErrMalformed, text: "other names"},
		"a serial number that is another":     {certificate: with(certificateObject(t, one), ckaSerialNumber, derSerial(t, two)), err: ErrMalformed, text: "serial number"},
		"octets behind the certificate":       {certificate: with(certificateObject(t, one), ckaValue, string(one.Raw)+"\x00"), err: ErrMalformed, text: "cannot be parsed"},
		"no certificate in it":                {certificate: without(certificateObject(t, one), ckaValue), err: ErrMalformed, text: "cannot be parsed"},
		"a certificate of another kind":       {certificate: with(certificateObject(t, one), ckaCertificateType, 1), err: ErrMalformed, text: "no X.509"},
		"an attribute twice":                  {certificate: certificateObject(t, one, attribute{ckaIssuer, one.RawIssuer}), err: ErrMalformed, text: "twice"},
		"no time":                             {certificate: certificateObject(t, one, attribute{ckaNSSEmailDistrustAfter, "221331000000Z"}), err: ErrMalformed, text: "is no time"},
		"true for a time":                     {certificate: certificateObject(t, one, attribute{ckaNSSEmailDistrustAfter, "\x01"}), err: ErrMalformed, text: "is no time"},
		"no boolean":                          {certificate: certificateObject(t, one, attribute{ckaNSSMozillaCAPolicy, "\x02"}), err: ErrMalformed, text: "is no boolean"},
		"values without end":                  {more: shared(t), err: ErrMalformed, text: "in all"},
	}
	for about, test := range tests {
		t.Run(about, func(t *testing.T) {
			m := plain(t)
			m.objects = append([][]attribute{sound[0], sound[1], sound[2], sound[3]}, test.more...)
			if test.certificate != nil {
				m.objects[0] = test.certificate
			}
			if test.trust != nil {
				m.objects[1] = test.trust
			}
			roots, err := read(m.build(t).data)
			if !errors.Is(err, test.err) || (err != nil) != (test.err != nil) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err == nil && (len(roots) != 2 || !roots[0].EmailTrusted) {
				t.Errorf("roots %+v", roots)
			}
			if err != nil && (roots != nil || !strings.Contains(err.Error(), test.text)) {
				t.Errorf("%d roots with error %q, want none and %q", len(roots), err, test.text)
			}
		})
	}
}

// shared are objects with more octets in their values than are taken.
func shared(t testing.TB) (objects [][]attribute) {
	t.Helper()
	for i := range int64(5) {
		o := certificateObject(t, testCertificate(t, 10+i))
		objects = append(objects, append(o, attribute{0x7777, make([]byte, 4<<20)}))
	}
	return objects
}

// TestP11Kit tells a replacement by the name that it gives itself.
func TestP11Kit(t *testing.T) {
	m := plain(t)
	m.soname = "p11-kit-trust.so"
	if roots, err := read(m.build(t).data); !errors.Is(err, ErrP11Kit) || roots != nil {
		t.Errorf("%d roots, error %v", len(roots), err)
	}
}
