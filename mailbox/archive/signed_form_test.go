package archive

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
)

func selfSigned(t *testing.T, key crypto.Signer) Signer {
	t.Helper()
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	template := &x509.Certificate{SerialNumber: big.NewInt(200), Subject: pkix.Name{CommonName: "Archive"}, NotBefore: at, NotAfter: at.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Signer{Key: key, Chain: []*x509.Certificate{c}}
}

// parts is a SignedData that can be taken apart.
type parts struct {
	Type asn1.ObjectIdentifier
	Data struct {
		Version int
		Digests []asn1.RawValue `asn1:"set"`
		Content asn1.RawValue
		Certs   asn1.RawValue `asn1:"tag:0"`
		Signers []signerParts `asn1:"set"`
	} `asn1:"explicit,tag:0"`
}

type signerParts struct {
	Version    int
	Issuer     asn1.RawValue
	Digest     asn1.RawValue
	Attributes asn1.RawValue
	Scheme     asn1.RawValue
	Signature  []byte
	Unsigned   asn1.RawValue `asn1:"optional"`
}

// TestOneForm writes the same SignedData in other ways, in which it verifies just as well: only the one form is accepted.
func TestOneForm(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	h := &Head{Archive: newIdentifier(), Sequence: 1, Time: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
	for _, key := range []crypto.Signer{ec, ed, r} {
		signer, other := selfSigned(t, key), selfSigned(t, ec)
		raw, err := signer.sign(t.Context(), h.marshal(), false, h.Time)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := openHead(t.Context(), raw); err != nil {
			t.Errorf("%T: %v", key, err)
		}
		verifies := 0
		for name, change := range map[string]func(p *parts){
			"version": func(p *parts) { p.Data.Version = 3 },
			"another digest": func(p *parts) {
				p.Data.Digests = append(p.Data.Digests, asn1.RawValue{FullBytes: der(0x30, mustOID(t, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}))})
			},
			"a digest twice":     func(p *parts) { p.Data.Digests = append(p.Data.Digests, p.Data.Digests[0]) },
			"no digest":          func(p *parts) { p.Data.Digests = nil },
			"NULL for a digest":  func(p *parts) { p.Data.Digests[0] = withNull(t, p.Data.Digests[0]) },
			"NULL for a digest,": func(p *parts) { p.Data.Signers[0].Digest = withNull(t, p.Data.Signers[0].Digest) },
			"both NULL": func(p *parts) {
				p.Data.Digests[0] = withNull(t, p.Data.Digests[0])
				p.Data.Signers[0].Digest = p.Data.Digests[0]
			},
			"NULL for a signature": func(p *parts) { p.Data.Signers[0].Scheme = withNull(t, p.Data.Signers[0].Scheme) },
			"signer's version":     func(p *parts) { p.Data.Signers[0].Version = 3 },
			"unsigned attribute": func(p *parts) {
				p.Data.Signers[0].Unsigned = asn1.RawValue{FullBytes: der(0xa1, der(0x30, mustOID(t, asn1.ObjectIdentifier{1, 2, 3}), der(0x31, []byte{5, 0})))}
			},
			"order of attributes": func(p *parts) {
				var list []asn1.RawValue
				rest := p.Data.Signers[0].Attributes.Bytes
				for len(rest) > 0 {
					var one asn1.RawValue
					rest, _ = asn1.Unmarshal(rest, &one)
					list = append([]asn1.RawValue{one}, list...)
				}
				var all [][]byte
				for _, one := range list {
					all = append(all, one.FullBytes)
				}
				p.Data.Signers[0].Attributes = asn1.RawValue{FullBytes: der(0xa0, all...)}
			},
			"certificate twice": func(p *parts) {
				p.Data.Certs = asn1.RawValue{FullBytes: der(0xa0, p.Data.Certs.Bytes, p.Data.Certs.Bytes)}
			},
			"no certificate": func(p *parts) { p.Data.Certs = asn1.RawValue{FullBytes: der(0xa0)} },
		} {
			var p parts
			if rest, err := asn1.Unmarshal(raw, &p); err != nil || len(rest) > 0 {
				t.Fatal(err)
			}
			change(&p)
			altered, err := asn1.Marshal(p)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if bytes.Equal(altered, raw) {
				continue // it is so already
			}
			if _, err := openSigned(t.Context(), altered, nil); err == nil {
				verifies++
			}
			if _, _, err := openHead(t.Context(), altered); !errors.Is(err, ErrSignature) && !errors.Is(err, errForm) {
				t.Errorf("%T: %s: %v", key, name, err)
			}
		}
		if verifies < 4 {
			t.Errorf("%T: only %d of the other forms verify", key, verifies)
		}
		// In BER, what is before the content has a length that is not known.
		if _, _, err := openHead(t.Context(), append(append([]byte{0x30, 0x80}, raw[4:]...), 0, 0)); !errors.Is(err, errForm) {
			t.Errorf("%T: BER: %v", key, err)
		}
		if _, _, err := openHead(t.Context(), append(bytes.Clone(raw), 0)); err == nil {
			t.Errorf("%T: there is more behind it", key)
		}
		// A certificate more is in the one form, and found by who asks for the path.
		more, err := cms.Sign(t.Context(), h.marshal(), cms.SignedDataOptions{Certificates: append(signer.Chain, other.Chain...), Signers: signersOf(t, signer)})
		if err != nil {
			t.Fatal(err)
		}
		v := &verification{a: &Archive{description: &description{}}}
		if _, v.signed, err = openHead(t.Context(), more); err != nil {
			t.Fatal(err)
		}
		if f := v.judge(t.Context(), headName, 0, v.signed, h.Time); f == nil || f.Code != CertificateExtra {
			t.Errorf("%T: another certificate: %+v", key, f)
		}
	}
}

func signersOf(t *testing.T, s Signer) []cms.Signer {
	t.Helper()
	scheme, digest, err := cms.DefaultSignature(s.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return []cms.Signer{{Certificate: s.Chain[0], Key: s.Key, Scheme: scheme, Digest: digest}}
}

func mustOID(t *testing.T, oid asn1.ObjectIdentifier) []byte {
	t.Helper()
	encoded, err := asn1.Marshal(oid)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// withNull returns an AlgorithmIdentifier with NULL for parameters that are absent.
func withNull(t *testing.T, a asn1.RawValue) asn1.RawValue {
	t.Helper()
	var fields []asn1.RawValue
	if _, err := asn1.Unmarshal(a.FullBytes, &fields); err != nil {
		t.Fatal(err)
	}
	if len(fields) > 1 {
		return a
	}
	return asn1.RawValue{FullBytes: der(0x30, fields[0].FullBytes, []byte{5, 0})}
}
