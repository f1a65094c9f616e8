package revocation

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// epoch is the present of the tests.
func epoch() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

func mustParse(t testing.TB, der []byte) *certpath.Certificate {
	t.Helper()
	c, err := certpath.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parseOID(t testing.TB, text string) certpath.OID {
	t.Helper()
	var arcs asn1.ObjectIdentifier
	for part := range strings.SplitSeq(text, ".") {
		arc, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(err)
		}
		arcs = append(arcs, arc)
	}
	return certpath.NewOID(arcs)
}

// holder is a certificate with its key.
type holder struct {
	*certpath.Certificate
	x509 *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newRoot returns an authority that issued itself.
func newRoot(t testing.TB, name string) holder { return issue(t, nil, name, authority) }

func authority(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
}

func responder(c *x509.Certificate) {
	c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
}

// issue returns a certificate by issuer, or by itself, valid from a year before epoch to a year after it.
func issue(t testing.TB, issuer *holder, name string, change ...func(*x509.Certificate)) holder {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: epoch().AddDate(-1, 0, 0), NotAfter: epoch().AddDate(1, 0, 0),
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256(point)
	template.SubjectKeyId = id[:20]
	for _, f := range change {
		f(template)
	}
	h := holder{key: key}
	by, signer := template, key
	if issuer != nil {
		by, signer = issuer.x509, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if h.x509, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	h.Certificate = mustParse(t, der)
	return h
}

// pathOf returns the path of certificates, leaf first.
func pathOf(holders ...holder) []*certpath.Certificate {
	var path []*certpath.Certificate
	for _, h := range holders {
		path = append(path, h.Certificate)
	}
	return path
}

func build(t testing.TB, f cryptobyte.BuilderContinuation) []byte {
	t.Helper()
	var b cryptobyte.Builder
	f(&b)
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func addOID(b *cryptobyte.Builder, id certpath.OID) {
	b.AddASN1(cbasn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(id)) })
}

func addSequence(b *cryptobyte.Builder, f cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, f)
}

func addTime(b *cryptobyte.Builder, t time.Time) {
	b.AddASN1GeneralizedTime(t.UTC())
}

type extension struct {
	id       certpath.OID
	critical bool
	value    []byte
}

func addExtensions(b *cryptobyte.Builder, list []extension) {
	addSequence(b, func(b *cryptobyte.Builder) {
		for _, e := range list {
			addSequence(b, func(b *cryptobyte.Builder) {
				addOID(b, e.id)
				if e.critical {
					b.AddASN1Boolean(true)
				}
				b.AddASN1OctetString(e.value)
			})
		}
	})
}

const oidECDSAWithSHA256 certpath.OID = "\x2a\x86\x48\xce\x3d\x04\x03\x02"

func addAlgorithm(b *cryptobyte.Builder) {
	addSequence(b, func(b *cryptobyte.Builder) { addOID(b, oidECDSAWithSHA256) })
}

// signed returns SEQUENCE { signed, algorithm, signature, more }.
func signed(t testing.TB, by holder, tbs []byte, more cryptobyte.BuilderContinuation) []byte {
	t.Helper()
	digest := sha256.Sum256(tbs)
	signature, err := ecdsa.SignASN1(rand.Reader, by.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return build(t, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			b.AddBytes(tbs)
			addAlgorithm(b)
			b.AddASN1BitString(signature)
			if more != nil {
				more(b)
			}
		})
	})
}

// entry is one of a list.
type entry struct {
	serial     *big.Int
	date       time.Time
	extensions []extension
}

func reasonCode(r Reason) extension {
	return extension{id: oidReasonCode, value: []byte{0x0a, 1, byte(r)}}
}

func number(id certpath.OID, n int64) extension {
	return extension{id: id, critical: id == oidDeltaCRLIndicator, value: []byte{2, 1, byte(n)}}
}

// list is a revocation list that is to be made.
type list struct {
	by         holder
	issuer     []byte // "" is the name of by
	v1         bool
	this, next time.Time // of this none at all is epoch less an hour, of next a day after that; one second: absent
	entries    []entry
	extensions []extension
}

// absent is a time that is not written.
var absent = time.Unix(1, 0)

func (l list) der(t testing.TB) []byte {
	t.Helper()
	if l.this.IsZero() {
		l.this = epoch().Add(-time.Hour)
	}
	if l.next.IsZero() {
		l.next = l.this.AddDate(0, 0, 1)
	}
	if l.issuer == nil {
		l.issuer = l.by.Subject.Raw
	}
	tbs := build(t, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			if !l.v1 {
				b.AddASN1Int64(1)
			}
			addAlgorithm(b)
			b.AddBytes(l.issuer)
			addTime(b, l.this)
			if l.next != absent {
				addTime(b, l.next)
			}
			if len(l.entries) > 0 {
				addSequence(b, func(b *cryptobyte.Builder) {
					for _, e := range l.entries {
						addSequence(b, func(b *cryptobyte.Builder) {
							b.AddASN1BigInt(e.serial)
							addTime(b, e.date)
							if len(e.extensions) > 0 {
								addExtensions(b, e.extensions)
							}
						})
					}
				})
			}
			if len(l.extensions) > 0 {
				b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { addExtensions(b, l.extensions) })
			}
		})
	})
	return signed(t, l.by, tbs, nil)
}

// single is one answer of a response.
type single struct {
	c, issuer  holder
	status     Status
	at         time.Time // of a revocation
	reason     Reason
	this, next time.Time // as in list
	extensions []extension
	tail       []byte
}

// response is an OCSP response that is to be made.
type response struct {
	by         holder
	byKey      bool
	produced   time.Time // none is epoch less a minute
	singles    []single
	extensions []extension
	attached   []holder
	kind       certpath.OID // "" is id-pkix-ocsp-basic
	head, tail []byte       // of what is signed
}

func (r response) der(t testing.TB) []byte {
	t.Helper()
	if r.produced.IsZero() {
		r.produced = epoch().Add(-time.Minute)
	}
	if r.kind == "" {
		r.kind = oidBasic
	}
	tbs := build(t, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			b.AddBytes(r.head)
			if r.byKey {
				b.AddASN1(tagExplicit2, func(b *cryptobyte.Builder) {
					key := sha1.Sum(publicKeyBits(r.by.Certificate))
					b.AddASN1OctetString(key[:])
				})
			} else {
				b.AddASN1(tagExplicit1, func(b *cryptobyte.Builder) { b.AddBytes(r.by.Subject.Raw) })
			}
			addTime(b, r.produced)
			addSequence(b, func(b *cryptobyte.Builder) {
				for _, s := range r.singles {
					s.add(b)
				}
			})
			if len(r.extensions) > 0 {
				b.AddASN1(tagExplicit1, func(b *cryptobyte.Builder) { addExtensions(b, r.extensions) })
			}
			b.AddBytes(r.tail)
		})
	})
	basic := signed(t, r.by, tbs, func(b *cryptobyte.Builder) {
		if len(r.attached) > 0 {
			b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) {
				addSequence(b, func(b *cryptobyte.Builder) {
					for _, h := range r.attached {
						b.AddBytes(h.Raw)
					}
				})
			})
		}
	})
	return wrapResponse(t, 0, r.kind, basic)
}

// wrapResponse returns OCSPResponse; without octets it has no responseBytes.
func wrapResponse(t testing.TB, status byte, kind certpath.OID, octets []byte) []byte {
	t.Helper()
	return build(t, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			b.AddBytes([]byte{0x0a, 1, status})
			if octets == nil {
				return
			}
			b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) {
				addSequence(b, func(b *cryptobyte.Builder) {
					addOID(b, kind)
					b.AddASN1OctetString(octets)
				})
			})
		})
	})
}

func (s single) add(b *cryptobyte.Builder) {
	if s.this.IsZero() {
		s.this = epoch().Add(-time.Hour)
	}
	if s.next.IsZero() {
		s.next = s.this.AddDate(0, 0, 1)
	}
	id := NewCertID(s.c.Certificate, s.issuer.Certificate)
	addSequence(b, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			addSequence(b, func(b *cryptobyte.Builder) {
				addOID(b, id.HashAlgorithm)
				b.AddASN1NULL()
			})
			b.AddASN1OctetString(id.IssuerNameHash)
			b.AddASN1OctetString(id.IssuerKeyHash)
			b.AddASN1BigInt(id.SerialNumber)
		})
		switch s.status {
		case Good:
			b.AddBytes([]byte{0x80, 0})
		case Revoked:
			b.AddASN1(tagExplicit1, func(b *cryptobyte.Builder) {
				addTime(b, s.at)
				b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { b.AddBytes([]byte{0x0a, 1, byte(s.reason)}) })
			})
		default:
			b.AddBytes([]byte{0x82, 0})
		}
		addTime(b, s.this)
		if s.next != absent {
			b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) { addTime(b, s.next) })
		}
		if len(s.extensions) > 0 {
			b.AddASN1(tagExplicit1, func(b *cryptobyte.Builder) { addExtensions(b, s.extensions) })
		}
		b.AddBytes(s.tail)
	})
}

// check asks a Checker that has nothing but what is given about the leaf of a path.
func check(t testing.TB, path []*certpath.Certificate, given Evidence, at, now time.Time) Answer {
	t.Helper()
	answers, err := new(Checker).Check(t.Context(), path, given, at, now)
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(path)-1 {
		t.Fatalf("%d answers", len(answers))
	}
	return answers[0]
}

func describe(a Answer) string { return fmt.Sprintf("%v %s %s", a.Status, a.Source, a.Why) }

// certificateExtension adds an extension that crypto/x509 has no field for.
func certificateExtension(t testing.TB, id string, value []byte) func(*x509.Certificate) {
	t.Helper()
	parsed, err := x509.ParseOID(id)
	if err != nil {
		t.Fatal(err)
	}
	var arcs asn1.ObjectIdentifier
	for part := range strings.SplitSeq(parsed.String(), ".") {
		arc, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(err)
		}
		arcs = append(arcs, arc)
	}
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: arcs, Value: value})
	}
}
