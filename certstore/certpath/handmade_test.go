package certpath

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// handmade is a certificate that no library would write: the fields are DER.
type handmade struct {
	serial     []byte // content of the INTEGER; default 1
	issuer     []byte // default: a name
	subject    []byte // default: another
	validity   []byte // content; default: around testTime
	key        crypto.Signer
	extensions [][]byte // of Extension
	behind     []byte   // the extensions
}

// handExtension writes one Extension.
func handExtension(id OID, critical bool, value []byte) []byte {
	flag := []byte(nil)
	if critical {
		flag = tlv(1, []byte{0xff})
	}
	return tlv(0x30, tlv(6, []byte(id)), flag, tlv(4, value))
}

func (h handmade) sign(t testing.TB, by crypto.Signer) []byte {
	t.Helper()
	or := func(field, otherwise []byte) []byte {
		if field == nil {
			return otherwise
		}
		return field
	}
	spki, err := x509.MarshalPKIXPublicKey(h.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	algorithm := tlv(0x30, tlv(6, []byte("\x2a\x86\x48\xce\x3d\x04\x03\x02")))
	tbs := [][]byte{tlv(0xa0, tlv(2, []byte{2})), tlv(2, or(h.serial, []byte{1})), algorithm,
		or(h.issuer, nameOf(t, pkix.Name{CommonName: "issuer"})),
		tlv(0x30, or(h.validity, append(tlv(23, []byte("260101000000Z")), tlv(23, []byte("270101000000Z"))...))),
		or(h.subject, nameOf(t, pkix.Name{CommonName: "subject"})), spki}
	if h.extensions != nil {
		tbs = append(tbs, tlv(0xa3, tlv(0x30, h.extensions...)))
	}
	return signAgain(t, tlv(0x30, append(tbs, h.behind)...), by)
}

// newRoot makes an anchor with this subject.
func newRoot(t testing.TB, name string, key crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	return newCertificate(t, name, true, nil, key, key, change)
}

// newCertificate makes a certificate under parent, or under itself where that is nil.
func newCertificate(t testing.TB, name string, authority bool, parent *x509.Certificate, key, parentKey crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, MaxPathLen: -1,
		NotBefore: testTime().AddDate(-1, 0, 0), NotAfter: testTime().AddDate(1, 0, 0), IsCA: authority, BasicConstraintsValid: authority}
	if change != nil {
		change(c)
	}
	if parent == nil {
		parent = c
	}
	return sign(t, c, parent, key, parentKey)
}

// generalNames writes GeneralNames of one kind that is a string.
func generalNames(kind GeneralNameKind, names ...string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, n := range names {
			b.AddASN1(cbasn1.Tag(kind).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(n)) })
		}
	})
	der, _ := b.Bytes()
	return der
}
