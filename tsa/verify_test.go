package tsa_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

var message = []byte("the value of a signature")

// accepted is a token that breaks no rule, however odd it may look.
type accepted struct {
	name    string
	cert    func(*x509.Certificate)
	token   func(*tsatest.Token, *environment)
	options func(*tsa.VerifyOptions, *environment)
	raw     func([]byte) []byte // changes the encoding; nil: not
	odd     bool                // the content is another than that of the other ones
}

var acceptedTokens = []accepted{
	{name: "as it comes"},
	{name: "by key identifier", token: func(k *tsatest.Token, _ *environment) { k.Signers[0].ByKeyID = true }},
	{name: "ESSCertID",
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificate(e.cert, e.cert)}
		})},
	{name: "ESSCertID without issuer and serial number",
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificate(e.cert, nil)}
		})},
	{name: "ESSCertID and ESSCertIDv2",
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificate(e.cert, e.cert), tsatest.SigningCertificateV2(e.cert, nil)}
		})},
	{name: "digest algorithm not announced",
		token: func(k *tsatest.Token, _ *environment) { k.DigestAlgorithms = nil }},
	{name: "certificate not the first",
		token: func(k *tsatest.Token, e *environment) {
			k.Certificates = []*x509.Certificate{e.pki.Root, e.other, e.cert}
		}},
	{name: "certificates injected",
		token: func(k *tsatest.Token, e *environment) {
			odd := &x509.Certificate{Raw: tsatest.Sequence(tsatest.OID(asn1.ObjectIdentifier{1, 2, 3}))}
			k.Certificates = append([]*x509.Certificate{lookalike(e), odd, e.other}, k.Certificates...)
		}},
	{name: "certificate among the extra ones",
		token: func(k *tsatest.Token, _ *environment) { k.Certificates = nil },
		options: func(o *tsa.VerifyOptions, e *environment) {
			o.Extra = []*x509.Certificate{lookalike(e), e.other, e.cert}
		}},
	{name: "nonce and policy as asked for",
		token: func(k *tsatest.Token, _ *environment) { k.Info.Nonce = big.NewInt(42) },
		options: func(o *tsa.VerifyOptions, _ *environment) {
			o.Nonce = big.NewInt(42)
			o.Policies = []asn1.ObjectIdentifier{{1, 2, 3}, tsatest.Policy()}
		}},
	{name: "nonce not asked for",
		token: func(k *tsatest.Token, _ *environment) { k.Info.Nonce = big.NewInt(42) }},
	{name: "unknown extension that is not critical",
		token: func(k *tsatest.Token, _ *environment) {
			k.Info.Extensions = []tsa.Extension{{ID: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}
		}},
	{name: "NULL parameters of the imprint",
		token: func(k *tsatest.Token, _ *environment) { k.Info.Imprint.HashAlgorithm.Parameters = []byte{5, 0} }},
	{name: "named by its subject",
		token: func(k *tsatest.Token, e *environment) { k.Info.TSA = directoryName(e.cert.RawSubject) }},
	{name: "named by its subject in other string types and spaces",
		cert: func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "Example TSA, Größe 1"} },
		token: func(k *tsatest.Token, _ *environment) {
			// BMPString is what old authorities write.
			name := pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "example  TSA, größe 1"}}}
			der, _ := asn1.Marshal(name)
			k.Info.TSA = directoryName(der)
		}},
	{name: "named by an alternative name",
		cert:  func(c *x509.Certificate) { c.DNSNames = []string{"tsa.example"} },
		token: func(k *tsatest.Token, _ *environment) { k.Info.TSA = append([]byte{0x82, 11}, "tsa.example"...) }},
	{name: "key usage is nonRepudiation",
		cert: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment }},
	{name: "no key usage", cert: func(c *x509.Certificate) { c.KeyUsage = 0 }},
	{name: "SHA-1 allowed",
		token: func(k *tsatest.Token, _ *environment) {
			k.Signers[0].Hash = crypto.SHA1
		},
		options: func(o *tsa.VerifyOptions, _ *environment) { o.AllowWeak = true }},
}

func TestVerify(t *testing.T) {
	for _, tt := range slices.Concat(acceptedTokens, acceptedContents) {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnvironment(t, tt.cert)
			k := e.token()
			if !tt.odd {
				k.Info.Accuracy = 1500 * time.Millisecond
				k.Info.Ordering = true
			}
			if tt.token != nil {
				tt.token(k, e)
			}
			o := tsa.VerifyOptions{Path: e.pki.Path()}
			if tt.options != nil {
				tt.options(&o, e)
			}
			der := k.DER(t)
			if tt.raw != nil {
				der = tt.raw(der)
			}
			token, err := tsa.ParseToken(der)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // verifying leaves no trace
				r, err := token.Verify(bytes.NewReader(message), o)
				if err != nil {
					t.Fatal(err)
				}
				if !tt.odd && (!r.Time.Equal(tsatest.Now()) || r.Accuracy != 1500*time.Millisecond || !r.Ordering ||
					r.Serial.Int64() != 4711 || !r.Policy.Equal(tsatest.Policy())) {
					t.Errorf("result %+v", r)
				}
				if !r.Authority.Equal(e.cert) || len(r.Chain) != 2 || !r.Chain[1].Equal(e.pki.Root) {
					t.Error("wrong authority or chain")
				}
			}
		})
	}
}

// The path is asked for at the time that the token states, whatever the time is.
func TestVerifyJudgesAtGenTime(t *testing.T) {
	e := newEnvironment(t, nil)
	k := e.token()
	k.Info.GenTime = e.cert.NotBefore.Add(time.Hour)
	var asked time.Time
	_, err := k.Parse(t).Verify(bytes.NewReader(message), tsa.VerifyOptions{
		Path: func(c *x509.Certificate, bag []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
			asked = at
			return e.pki.Path()(c, bag, at)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !asked.Equal(k.Info.GenTime) {
		t.Errorf("judged at %v, want %v", asked, k.Info.GenTime)
	}
}

func TestVerifyIntermediateInToken(t *testing.T) {
	pki, key := tsatest.NewPKI(t), tsatest.ECKey(t)
	between, cert := pki.Intermediate(t, key.Public())
	k := pki.Token(t, message, cert, key)
	k.Certificates = []*x509.Certificate{between, cert}
	r, err := k.Parse(t).Verify(bytes.NewReader(message), tsa.VerifyOptions{Path: pki.Path()})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Chain) != 3 {
		t.Errorf("chain of %d certificates", len(r.Chain))
	}
	k.Certificates = []*x509.Certificate{cert}
	_, err = k.Parse(t).Verify(bytes.NewReader(message), tsa.VerifyOptions{Path: pki.Path(), Extra: []*x509.Certificate{between}})
	if err != nil {
		t.Errorf("intermediate among the extra ones: %v", err)
	}
}

func TestVerifyDigest(t *testing.T) {
	e := newEnvironment(t, nil)
	token := e.token().Parse(t)
	o := tsa.VerifyOptions{Path: e.pki.Path()}
	digest := sha256.Sum256(message)
	if _, err := token.VerifyDigest(crypto.SHA256, digest[:], o); err != nil {
		t.Error(err)
	}
	if _, err := token.VerifyDigest(crypto.SHA256, digest[:31], o); !errors.Is(err, tsa.ErrImprint) {
		t.Errorf("short digest: %v", err)
	}
	// A hash of the same length is another hash.
	if _, err := token.VerifyDigest(crypto.SHA512_256, digest[:], o); !errors.Is(err, tsa.ErrImprint) {
		t.Errorf("other hash: %v", err)
	}
	long := sha512.Sum512(message)
	if _, err := token.VerifyDigest(crypto.SHA512, long[:], o); !errors.Is(err, tsa.ErrImprint) {
		t.Errorf("other hash: %v", err)
	}
}

func TestVerifyReaderFails(t *testing.T) {
	e := newEnvironment(t, nil)
	k := e.token()
	k.Signers[0].SpoilSignature = true
	failure := errors.New("disk is on fire")
	_, err := k.Parse(t).Verify(iotest.ErrReader(failure), tsa.VerifyOptions{Path: e.pki.Path()})
	if _, token := errors.AsType[*tsa.TokenError](err); token || !errors.Is(err, failure) {
		t.Errorf("%T: %v", err, err)
	}
}

// Each single octet of a token is covered by a rule: altering it is either noticed or changes nothing that is told.
func TestEveryOctetCounts(t *testing.T) {
	e := newEnvironment(t, nil)
	der := e.token().DER(t)
	o := tsa.VerifyOptions{Path: e.pki.Path()}
	for i := range der {
		altered := bytes.Clone(der)
		altered[i] ^= 0x10
		token, err := tsa.ParseToken(altered)
		if err != nil {
			continue
		}
		r, err := token.Verify(bytes.NewReader(message), o)
		if err == nil && (!r.Time.Equal(tsatest.Now()) || !r.Authority.Equal(e.cert)) {
			t.Errorf("octet %d altered, and the token says %v by %v", i, r.Time, r.Authority.Subject)
		}
	}
}

// A token in BER, as some authorities send it, says the same.
func TestParseTokenBER(t *testing.T) {
	e := newEnvironment(t, nil)
	der := e.token().DER(t)
	var outer struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		t.Fatal(err)
	}
	raw := append([]byte{0x30, 0x80}, tsatest.OID(outer.Type)...)
	raw = append(raw, 0xa0, 0x80)
	raw = append(raw, outer.Content.Bytes...)
	raw = append(raw, 0, 0, 0, 0)
	token, err := tsa.ParseToken(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.Verify(bytes.NewReader(message), tsa.VerifyOptions{Path: e.pki.Path()}); err != nil {
		t.Error(err)
	}
}

func FuzzParseToken(f *testing.F) {
	pki, key := tsatest.NewPKI(f), tsatest.ECKey(f)
	cert := pki.Issue(f, key.Public(), nil)
	good := pki.Token(f, message, cert, key)
	f.Add(good.DER(f))
	good.Certificates = nil
	good.Info.TSA = directoryName(cert.RawSubject)
	f.Add(good.DER(f))
	f.Add([]byte{0x30, 0x80, 0, 0})
	o := tsa.VerifyOptions{Path: pki.Path(), Extra: []*x509.Certificate{cert}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		token, err := tsa.ParseToken(raw)
		if err != nil {
			if _, ok := errors.AsType[*tsa.TokenError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		// What is read of a token is also what is signed: it survives being written and read again.
		der, err := token.Info.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tsa.ParseTSTInfo(der); err != nil {
			t.Fatal(err)
		}
		// Nobody but the authority makes a token that verifies, and it made one time only.
		r, err := token.Verify(bytes.NewReader(message), o)
		if err == nil && !r.Time.Equal(tsatest.Now()) {
			t.Fatalf("accepted with time %v", r.Time)
		}
	})
}
