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
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// hostile is one way to break a rule. All fields but the name, the rule and the code may be nil.
type hostile struct {
	name    string
	section string                             // which says so, where that is not what sectionOf has
	cert    func(*x509.Certificate)            // changes the authority's certificate before it is issued
	token   func(*tsatest.Token, *environment) // changes the token before it is encoded
	raw     func([]byte) []byte                // changes the encoding
	options func(*tsa.VerifyOptions, *environment)
	digest  bool // the digest of the message is known, and not the message
	rule    error
	code    tsa.Code
}

// environment is what the changes work with.
type environment struct {
	t     *testing.T
	pki   *tsatest.PKI
	key   crypto.Signer
	cert  *x509.Certificate // the authority's
	other *x509.Certificate // another authority's of the same root, with the same key
}

func newEnvironment(t *testing.T, change func(*x509.Certificate)) *environment {
	e := &environment{t: t, pki: tsatest.NewPKI(t), key: tsatest.ECKey(t)}
	e.cert = e.pki.Issue(t, e.key.Public(), change)
	e.other = e.pki.Issue(t, e.key.Public(), nil)
	return e
}

func (e *environment) token() *tsatest.Token { return e.pki.Token(e.t, message, e.cert, e.key) }

func eku(critical bool, usages ...asn1.ObjectIdentifier) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical}}
		c.ExtraExtensions[0].Value, _ = asn1.Marshal(usages)
	}
}

func attributes(make func(e *environment) []tsatest.Attribute) func(*tsatest.Token, *environment) {
	return func(k *tsatest.Token, e *environment) { k.Signers[0].Attributes = make(e) }
}

var hostileTokens = []hostile{
	{name: "other content info", rule: tsa.ErrContentType, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.ContentInfoType = tsatest.Data() }},
	{name: "other content type", rule: tsa.ErrContentType, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.EContentType = tsatest.Data() }},
	{name: "no content", rule: tsa.ErrContentType, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.NoContent = true }},
	{name: "content is not a TSTInfo", rule: tsa.ErrMalformed, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.Content = []byte("time") }},
	{name: "version 2 of TSTInfo", rule: tsa.ErrVersion, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, e *environment) {
			content, err := k.Info.Marshal()
			if err != nil {
				e.t.Fatal(err)
			}
			k.Content = bytes.Replace(content, []byte{2, 1, 1}, []byte{2, 1, 2}, 1)
		}},
	{name: "empty", rule: tsa.ErrMalformed, code: tsa.CodeBroken,
		raw: func([]byte) []byte { return nil }},
	{name: "truncated", rule: tsa.ErrMalformed, code: tsa.CodeBroken,
		raw: func(der []byte) []byte { return der[:len(der)-1] }},
	{name: "octets behind the end", rule: tsa.ErrMalformed, code: tsa.CodeBroken,
		raw: func(der []byte) []byte { return append(der, 0) }},
	{name: "too large", rule: tsa.ErrTooLarge, code: tsa.CodeBroken,
		raw: func(der []byte) []byte { return append(der, make([]byte, tsa.MaxSize)...) }},
	{name: "nested too deeply", rule: tsa.ErrTooLarge, code: tsa.CodeBroken,
		raw: func([]byte) []byte {
			// ContentInfo, SignedData and its version, and then a set that is opened over and over.
			head := []byte{0x30, 0x80, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 7, 2, 0xa0, 0x80, 0x30, 0x80, 2, 1, 3, 0x31, 0x80}
			return append(head, bytes.Repeat([]byte{0x30, 0x80}, 20000)...)
		}},

	{name: "too many certificates", rule: tsa.ErrTooLarge, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) {
			small := &x509.Certificate{Raw: tsatest.Sequence(tsatest.OctetString([]byte{1}))}
			k.Certificates = append(k.Certificates, slices.Repeat([]*x509.Certificate{small}, 64)...)
		}},
	{name: "too many signers", rule: tsa.ErrTooLarge, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.Signers = slices.Repeat(k.Signers, 9) }},

	{name: "no signer", rule: tsa.ErrSigners, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.Signers = nil }},
	{name: "two signers", rule: tsa.ErrSigners, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.Signers = append(k.Signers, k.Signers[0]) }},

	{name: "no signed attributes", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.Signers[0].NoAttributes = true }},
	{name: "no signing-certificate attribute", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(*environment) []tsatest.Attribute { return nil })},
	{name: "signing-certificate attribute is unsigned", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) {
			k.Signers[0].Unsigned, k.Signers[0].Attributes = k.Signers[0].Attributes, nil
		}},
	{name: "ESSCertID of another certificate", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificate(e.other, nil)}
		})},
	{name: "ESSCertIDv2 of another certificate", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificateV2(e.other, nil)}
		})},
	{name: "ESSCertIDv2 of another certificate, which is there", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, e *environment) {
			k.Signers[0].Attributes = []tsatest.Attribute{tsatest.SigningCertificateV2(e.other, nil)}
			k.Certificates = append(k.Certificates, e.other)
		}},
	{name: "ESSCertID with another serial number", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificate(e.cert, e.other)}
		})},
	{name: "ESSCertIDv2 with another serial number", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificateV2(e.cert, e.other)}
		})},
	{name: "ESSCertIDv2 right and ESSCertID wrong", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificateV2(e.cert, nil), tsatest.SigningCertificate(e.other, nil)}
		})},
	{name: "ESSCertIDv2 wrong and ESSCertID right", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificateV2(e.other, nil), tsatest.SigningCertificate(e.cert, nil)}
		})},
	{name: "ESSCertIDv2 of the certificate is there, and not the first", section: "RFC 5035 section 3", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificatesV2(e.other, e.cert)}
		})},
	{name: "ESSCertIDv2 with another issuer", section: "RFC 5035 section 5", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(e *environment) []tsatest.Attribute {
			named := &x509.Certificate{SerialNumber: e.cert.SerialNumber, RawIssuer: e.cert.RawSubject}
			return []tsatest.Attribute{tsatest.SigningCertificateV2(e.cert, named)}
		})},
	{name: "two signing-certificate attributes of one kind", section: "RFC 5035 section 3", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(e *environment) []tsatest.Attribute {
			return []tsatest.Attribute{tsatest.SigningCertificateV2(e.cert, nil), tsatest.SigningCertificateV2(e.other, nil)}
		})},
	{name: "signer is named as another than the ESSCertIDv2", section: "RFC 5652 section 5.3", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, e *environment) { k.Signers[0].Certificate = e.other }},
	{name: "signing-certificate attribute with two values", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(e *environment) []tsatest.Attribute {
			a, b := tsatest.SigningCertificateV2(e.cert, nil), tsatest.SigningCertificateV2(e.other, nil)
			a.Values = append(a.Values, b.Values...)
			return []tsatest.Attribute{a}
		})},
	{name: "signing-certificate attribute is malformed", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: attributes(func(e *environment) []tsatest.Attribute {
			a := tsatest.SigningCertificateV2(e.cert, nil)
			a.Values = [][]byte{tsatest.Sequence()}
			return []tsatest.Attribute{a}
		})},
	{name: "only a lookalike of the certificate is there", rule: tsa.ErrSigningCertificate, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, e *environment) { k.Certificates = []*x509.Certificate{lookalike(e)} }},

	{name: "signature altered", rule: tsa.ErrSignature, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.Signers[0].SpoilSignature = true }},
	{name: "signature of another key", rule: tsa.ErrSignature, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, e *environment) { k.Signers[0].Key = tsatest.ECKey(e.t) }},
	{name: "time altered", rule: tsa.ErrSignature, code: tsa.CodeBroken,
		token: alterTime},
	{name: "time altered, and the certificate is elsewhere", rule: tsa.ErrSignature, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, e *environment) {
			alterTime(k, e)
			k.Certificates = nil
		},
		options: func(o *tsa.VerifyOptions, e *environment) { o.Extra = []*x509.Certificate{e.cert} }},
	{name: "signed as another content type", section: "RFC 5652 section 11.1", rule: tsa.ErrSignature, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.Signers[0].SignedContentType = tsatest.Data() }},
	{name: "message-digest attribute there twice", section: "RFC 5652 section 11.2", rule: tsa.ErrSignature, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) {
			digest := sha256.Sum256(message)
			k.Signers[0].Attributes = append(k.Signers[0].Attributes, tsatest.Attribute{
				Type:   tsatest.MessageDigest(),
				Values: [][]byte{tsatest.OctetString(digest[:])},
			})
		}},

	{name: "no content-type attribute", section: "RFC 5652 section 5.3", rule: tsa.ErrSignature, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.Signers[0].NoContentType = true }},
	{name: "no message-digest attribute", section: "RFC 5652 section 5.3", rule: tsa.ErrSignature, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.Signers[0].NoMessageDigest = true }},
	{name: "content-type attribute there twice", section: "RFC 5652 section 11.1", rule: tsa.ErrSignature, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) {
			k.Signers[0].Attributes = append(k.Signers[0].Attributes, tsatest.Attribute{
				Type: tsatest.ContentType(), Values: [][]byte{tsatest.OID(tsatest.TSTInfo())},
			})
		}},

	{name: "unknown critical extension", rule: tsa.ErrExtension, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) {
			k.Info.Extensions = []tsa.Extension{{ID: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}},
	{name: "field tsa names another authority", rule: tsa.ErrAuthorityName, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, e *environment) { k.Info.TSA = directoryName(e.pki.Root.RawSubject) }},
	{name: "field tsa has another kind of name", rule: tsa.ErrAuthorityName, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) { k.Info.TSA = append([]byte{0x82, 11}, "tsa.example"...) }},

	{name: "for another message", rule: tsa.ErrImprint, code: tsa.CodeMismatch,
		token: func(k *tsatest.Token, _ *environment) {
			digest := sha256.Sum256([]byte("another signature"))
			k.Info.Imprint.HashedMessage = digest[:]
		}},
	{name: "digest of the wrong length", rule: tsa.ErrMalformed, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) {
			k.Info.Imprint.HashedMessage = k.Info.Imprint.HashedMessage[:31]
		}},
	{name: "digest of a longer hash", rule: tsa.ErrMalformed, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) {
			digest := sha512.Sum512(message)
			k.Info.Imprint.HashedMessage = digest[:]
		}},
	{name: "imprint by another hash than the digest at hand", digest: true, rule: tsa.ErrImprint, code: tsa.CodeMismatch,
		token: func(k *tsatest.Token, _ *environment) {
			digest := sha512.Sum512(message)
			k.Info.Imprint, _ = tsa.NewMessageImprint(crypto.SHA512, digest[:])
		}},
	{name: "nonce missing", rule: tsa.ErrNonce, code: tsa.CodeMismatch,
		options: func(o *tsa.VerifyOptions, _ *environment) { o.Nonce = big.NewInt(42) }},
	{name: "nonce differs", rule: tsa.ErrNonce, code: tsa.CodeMismatch,
		token:   func(k *tsatest.Token, _ *environment) { k.Info.Nonce = big.NewInt(41) },
		options: func(o *tsa.VerifyOptions, _ *environment) { o.Nonce = big.NewInt(42) }},
	{name: "other policy", rule: tsa.ErrPolicy, code: tsa.CodeMismatch,
		options: func(o *tsa.VerifyOptions, _ *environment) { o.Policies = []asn1.ObjectIdentifier{{1, 2, 3}} }},

	{name: "imprint with SHA-1", rule: tsa.ErrDigest, code: tsa.CodeUntrusted,
		token: func(k *tsatest.Token, _ *environment) {
			k.Info.Imprint.HashAlgorithm.Algorithm = tsatest.SHA1()
			k.Info.Imprint.HashedMessage = make([]byte, 20)
		}},
	{name: "imprint with an unknown hash", rule: tsa.ErrDigest, code: tsa.CodeUntrusted,
		token: func(k *tsatest.Token, _ *environment) {
			k.Info.Imprint.HashAlgorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 3}
		}},
	{name: "imprint with parameters", section: "RFC 5754 section 2", rule: tsa.ErrDigest, code: tsa.CodeUntrusted,
		token: func(k *tsatest.Token, _ *environment) { k.Info.Imprint.HashAlgorithm.Parameters = []byte{2, 1, 1} }},
	{name: "signature with SHA-1", rule: tsa.ErrAlgorithm, code: tsa.CodeUntrusted,
		token: func(k *tsatest.Token, _ *environment) { k.Signers[0].Hash = crypto.SHA1 }},
	{name: "signature with an RSA key of 1024 bits", rule: tsa.ErrAlgorithm, code: tsa.CodeUntrusted,
		token: func(k *tsatest.Token, e *environment) {
			key := tsatest.RSAKey(e.t, 1024)
			*k = *e.pki.Token(e.t, message, e.pki.Issue(e.t, key.Public(), nil), key)
		}},
	{name: "ESSCertIDv2 with an unknown hash", rule: tsa.ErrAlgorithm, code: tsa.CodeUntrusted,
		token: attributes(func(e *environment) []tsatest.Attribute {
			a := tsatest.SigningCertificateV2(e.cert, nil)
			id := tsatest.Sequence(tsatest.Sequence(tsatest.OID(asn1.ObjectIdentifier{1, 2, 3})), tsatest.OctetString(make([]byte, 32)))
			a.Values = [][]byte{tsatest.Sequence(tsatest.Sequence(id))}
			return []tsatest.Attribute{a}
		})},
	{name: "certificate cannot be read", rule: tsa.ErrNoCertificate, code: tsa.CodeUntrusted,
		token: func(k *tsatest.Token, e *environment) {
			odd := &x509.Certificate{Raw: tsatest.Sequence(tsatest.OID(asn1.ObjectIdentifier{1, 2, 3}))}
			k.Certificates = []*x509.Certificate{odd}
			k.Signers[0].Attributes = []tsatest.Attribute{tsatest.SigningCertificateV2(odd, nil)}
		}},
	{name: "certificate not found", rule: tsa.ErrNoCertificate, code: tsa.CodeUntrusted,
		token: func(k *tsatest.Token, _ *environment) { k.Certificates = nil }},
	{name: "time altered, and no certificate", rule: tsa.ErrNoCertificate, code: tsa.CodeUntrusted,
		token: func(k *tsatest.Token, e *environment) {
			alterTime(k, e)
			k.Certificates = nil
		}},

	{name: "no extended key usage", rule: tsa.ErrPurpose, code: tsa.CodeUntrusted,
		cert: func(c *x509.Certificate) { c.ExtraExtensions = nil }},
	{name: "extended key usage not critical", rule: tsa.ErrPurpose, code: tsa.CodeUntrusted,
		cert: eku(false, tsatest.TimeStamping())},
	{name: "extended key usage is a TLS server's", rule: tsa.ErrPurpose, code: tsa.CodeUntrusted,
		cert: eku(true, tsatest.ServerAuth())},
	{name: "extended key usage has a second purpose", rule: tsa.ErrPurpose, code: tsa.CodeUntrusted,
		cert: eku(true, tsatest.TimeStamping(), tsatest.ServerAuth())},
	{name: "extended key usage names the purpose twice", rule: tsa.ErrPurpose, code: tsa.CodeUntrusted,
		cert: eku(true, tsatest.TimeStamping(), tsatest.TimeStamping())},
	{name: "extended key usage is for any purpose", rule: tsa.ErrPurpose, code: tsa.CodeUntrusted,
		cert: eku(true, asn1.ObjectIdentifier{2, 5, 29, 37, 0})},
	{name: "key usage is for encryption", section: "RFC 5280 section 4.2.1.12", rule: tsa.ErrPurpose, code: tsa.CodeUntrusted,
		cert: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }},
	{name: "key usage is for encryption as well", section: "RFC 5280 section 4.2.1.12", rule: tsa.ErrPurpose, code: tsa.CodeUntrusted,
		cert: func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }},

	{name: "authority of another root", rule: tsa.ErrPath, code: tsa.CodeUntrusted,
		options: func(o *tsa.VerifyOptions, e *environment) { o.Path = tsatest.NewPKI(e.t).Path() }},
	{name: "authority expired at the time stated", section: "RFC 5280 section 6.1.3", rule: tsa.ErrPath, code: tsa.CodeUntrusted,
		token: func(k *tsatest.Token, e *environment) { k.Info.GenTime = e.cert.NotAfter.Add(time.Second) }},
	{name: "authority not yet valid at the time stated", section: "RFC 5280 section 6.1.3", rule: tsa.ErrPath, code: tsa.CodeUntrusted,
		token: func(k *tsatest.Token, e *environment) { k.Info.GenTime = e.cert.NotBefore.Add(-time.Second) }},
	{name: "nothing to judge the authority by", rule: tsa.ErrPath, code: tsa.CodeUntrusted,
		options: func(o *tsa.VerifyOptions, _ *environment) { o.Path = nil }},
	{name: "path of another certificate", rule: tsa.ErrPath, code: tsa.CodeUntrusted,
		options: func(o *tsa.VerifyOptions, e *environment) {
			o.Path = func(*x509.Certificate, []*x509.Certificate, time.Time) ([]*x509.Certificate, error) {
				return []*x509.Certificate{e.other, e.pki.Root}, nil
			}
		}},
	{name: "empty path", rule: tsa.ErrPath, code: tsa.CodeUntrusted,
		options: func(o *tsa.VerifyOptions, _ *environment) {
			o.Path = func(*x509.Certificate, []*x509.Certificate, time.Time) ([]*x509.Certificate, error) { return nil, nil }
		}},

	{name: "authority superseded before the time stated", rule: tsa.ErrRevoked, code: tsa.CodeUntrusted,
		options: revoked(tsa.Revocation{At: tsatest.Now().Add(-time.Hour), Reason: "superseded"})},
	{name: "authority revoked later, its key stolen", rule: tsa.ErrRevoked, code: tsa.CodeUntrusted,
		options: revoked(tsa.Revocation{At: tsatest.Now().Add(time.Hour), Reason: "keyCompromise"})},
	{name: "authority revoked later, without a reason", rule: tsa.ErrRevoked, code: tsa.CodeUntrusted,
		options: revoked(tsa.Revocation{At: tsatest.Now().Add(time.Hour)})},
	{name: "revocation has to be known, and is not", rule: tsa.ErrRevocation, code: tsa.CodeUntrusted,
		options: func(o *tsa.VerifyOptions, _ *environment) {
			o.Revocation = func([]*x509.Certificate, cms.RevocationValues, time.Time) ([]tsa.Revocation, error) {
				return nil, errors.New("the responder does not answer")
			}
		}},
	{name: "authority expired when the token still had to hold", rule: tsa.ErrOutdated, code: tsa.CodeUntrusted,
		options: func(o *tsa.VerifyOptions, e *environment) { o.Until = e.cert.NotAfter.Add(time.Second) }},

	// Of several broken rules the gravest is told.
	{name: "for another message, of another root, altered", rule: tsa.ErrSignature, code: tsa.CodeBroken,
		token: func(k *tsatest.Token, _ *environment) {
			k.Info.Imprint.HashedMessage = make([]byte, 32)
			k.Signers[0].SpoilSignature = true
		},
		options: func(o *tsa.VerifyOptions, e *environment) { o.Path = tsatest.NewPKI(e.t).Path() }},
	{name: "for another message, of another root", rule: tsa.ErrImprint, code: tsa.CodeMismatch,
		cert:    eku(true, tsatest.ServerAuth()),
		token:   func(k *tsatest.Token, _ *environment) { k.Info.Imprint.HashedMessage = make([]byte, 32) },
		options: func(o *tsa.VerifyOptions, e *environment) { o.Path = tsatest.NewPKI(e.t).Path() }},
}

// revoked has the authority's certificate revoked.
func revoked(r tsa.Revocation) func(*tsa.VerifyOptions, *environment) {
	return func(o *tsa.VerifyOptions, _ *environment) {
		o.Revocation = func(chain []*x509.Certificate, _ cms.RevocationValues, _ time.Time) ([]tsa.Revocation, error) {
			r.Certificate = chain[0]
			return []tsa.Revocation{r}, nil
		}
	}
}

// alterTime moves the time by a year after signing.
func alterTime(k *tsatest.Token, e *environment) {
	signed, err := k.Info.Marshal()
	if err != nil {
		e.t.Fatal(err)
	}
	k.Signers[0].SignedContent = signed
	k.Info.GenTime = k.Info.GenTime.AddDate(-1, 0, 0)
}

// lookalike makes a certificate with the issuer, serial number and key identifier of the authority's, and another key.
func lookalike(e *environment) *x509.Certificate {
	forger := tsatest.NewPKI(e.t)
	return forger.Issue(e.t, tsatest.ECKey(e.t).Public(), func(c *x509.Certificate) {
		c.SerialNumber = e.cert.SerialNumber
		c.SubjectKeyId = e.cert.SubjectKeyId
	})
}

func directoryName(name []byte) []byte {
	der, _ := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name})
	return der
}

// refusal makes the token and returns why it is refused.
func (h hostile) refusal(t *testing.T) *tsa.TokenError {
	t.Helper()
	e := newEnvironment(t, h.cert)
	k := e.token()
	if h.token != nil {
		h.token(k, e)
	}
	der := k.DER(t)
	if h.raw != nil {
		der = h.raw(der)
	}
	o := tsa.VerifyOptions{Path: e.pki.Path()}
	if h.options != nil {
		h.options(&o, e)
	}
	token, err := tsa.ParseToken(der)
	switch {
	case err != nil:
	case h.digest:
		digest := sha256.Sum256(message)
		_, err = token.VerifyDigest(crypto.SHA256, digest[:], o)
	default:
		_, err = token.Verify(bytes.NewReader(message), o)
	}
	if err == nil {
		t.Fatal("accepted")
	}
	failed, ok := errors.AsType[*tsa.TokenError](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	return failed
}

func TestHostileTokens(t *testing.T) {
	for _, tt := range slices.Concat(hostileTokens, hostileContents) {
		t.Run(tt.name, func(t *testing.T) {
			failed := tt.refusal(t)
			if failed.Rule != tt.rule || !errors.Is(failed, tt.rule) {
				t.Errorf("rule %q, want %q: %v", failed.Rule, tt.rule, failed)
			}
			if strings.Count(failed.Error(), tt.rule.Error()) != 1 {
				t.Errorf("error does not name its rule once: %v", failed)
			}
			if failed.Code != tt.code {
				t.Errorf("code %q, want %q: %v", failed.Code, tt.code, failed)
			}
		})
	}
}
