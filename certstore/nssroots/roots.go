package nssroots

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
)

var (
	// ErrNotModule says that a file is not the root module of NSS, or one in a form that is not known.
	ErrNotModule = errors.New("not the root module of NSS")
	// ErrP11Kit says that a file is p11-kit's replacement of the module, which has no roots of its own: it gives
	// those of the folders of the system.
	ErrP11Kit = errors.New("p11-kit's replacement of the root module of NSS, which has no roots in itself")
	// ErrMalformed says that what is in the module does not fit together.
	ErrMalformed = errors.New("malformed root module of NSS")
	// ErrNoEmailRoots says that the module has no root that is trusted for e-mail.
	ErrNoEmailRoots = errors.New("the root module of NSS has no root for e-mail")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Root is a certificate of the module with what it is trusted for; or, with DER empty, a distrust of a certificate that
// the module names and does not hold.
type Root struct {
	DER    []byte // the certificate
	Issuer []byte // its issuer, a DER Name
	Serial []byte // its serial number, a DER INTEGER with tag and length
	Label  string // what NSS calls it; text from outside, to be cleaned before it is displayed

	EmailTrusted    bool // an anchor for e-mail protection
	ServerTrusted   bool // an anchor for servers
	DistrustedEmail bool // not to be believed for e-mail, whoever else vouches for it
	// EmailDistrustAfter is the time after which certificates for e-mail below this root must not have been issued
	// (their notBefore) to be believed; zero where there is none.
	EmailDistrustAfter time.Time
	MozillaPolicy      bool // included by Mozilla, under its policy
}

// Read returns all roots of the module in r, which has size octets, in the module's order, with the distrust of
// certificates that it does not hold at the end. The errors are [ErrNotModule], [ErrP11Kit], [ErrMalformed],
// [ErrNoEmailRoots], and those of reading; with an error there are no roots.
func Read(r io.ReaderAt, size int64) ([]Root, error) {
	im, err := loadImage(r, size)
	if err != nil {
		return nil, err
	}
	if strings.Contains(im.soname(), "p11-kit") {
		return nil, ErrP11Kit
	}
	objects, err := im.objects()
	if err != nil {
		return nil, err
	}
	roots, err := im.roots(objects)
	if err != nil {
		return nil, err
	}
	for _, root := range roots {
		if root.EmailTrusted {
			return roots, nil
		}
	}
	return nil, ErrNoEmailRoots
}

// name is how a trust object names its certificate.
type name struct{ issuer, serial string }

// roots brings certificates and trust objects together.
func (im *image) roots(objects []object) ([]Root, error) {
	var roots []Root
	index := map[name]int{}
	for _, o := range objects {
		if o.class != ckoCertificate {
			continue
		}
		root, err := im.certificate(o)
		if err != nil {
			return nil, err
		}
		n := name{string(root.Issuer), string(root.Serial)}
		if _, twice := index[n]; twice {
			return nil, malformed("two certificates have the issuer and serial number of %q", root.Label)
		}
		index[n] = len(roots)
		roots = append(roots, root)
	}
	held := len(roots)
	trusts := map[name]trust{}
	for _, o := range objects {
		if o.class == ckoCertificate {
			continue
		}
		n := name{string(o.attributes[ckaIssuer]), string(o.attributes[ckaSerialNumber])}
		if n.issuer == "" || n.serial == "" {
			return nil, malformed("the trust object %q names no certificate", text(o))
		}
		i, there := index[n]
		if !there {
			i = len(roots)
			index[n] = i
			roots = append(roots, Root{Issuer: []byte(n.issuer), Serial: []byte(n.serial), Label: text(o)})
		}
		t, err := im.trust(o, roots[i])
		if err != nil {
			return nil, err
		}
		if other, twice := trusts[n]; twice && (other.class == t.class || other.email != t.email || other.server != t.server) {
			return nil, malformed("two trust objects are about %q", roots[i].Label)
		}
		trusts[n] = t
		roots[i].EmailTrusted = t.email == anchor
		roots[i].ServerTrusted = t.server == anchor
		roots[i].DistrustedEmail = t.email == distrusted
	}
	for _, root := range roots[:held] {
		if _, there := trusts[name{string(root.Issuer), string(root.Serial)}]; !there {
			return nil, malformed("no trust object is about %q", root.Label)
		}
	}
	return roots, nil
}

// certificate returns a certificate without its trust. What the object says of it must be what it says itself.
func (im *image) certificate(o object) (Root, error) {
	root := Root{
		DER:    bytes.Clone(o.attributes[ckaValue]),
		Issuer: bytes.Clone(o.attributes[ckaIssuer]),
		Serial: bytes.Clone(o.attributes[ckaSerialNumber]),
		Label:  text(o),
	}
	if kind, ok := im.ulong(o, ckaCertificateType); !ok || kind != ckcX509 {
		return root, malformed("%q is no X.509 certificate", root.Label)
	}
	// RFC 5280, section 4.1, as far as it is needed. To parse all of it is for those who use it.
	var c struct {
		TBS struct {
			Version      int `asn1:"optional,explicit,default:0,tag:0"`
			SerialNumber asn1.RawValue
			Signature    asn1.RawValue
			Issuer       asn1.RawValue
			Validity     asn1.RawValue
			Subject      asn1.RawValue
		}
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if rest, err := asn1.Unmarshal(root.DER, &c); err != nil || len(rest) > 0 {
		return root, malformed("the certificate of %q cannot be parsed", root.Label)
	}
	if !bytes.Equal(c.TBS.Issuer.FullBytes, root.Issuer) || !bytes.Equal(c.TBS.SerialNumber.FullBytes, root.Serial) ||
		!bytes.Equal(c.TBS.Subject.FullBytes, o.attributes[ckaSubject]) {
		return root, malformed("the certificate of %q has other names or another serial number than it is listed with", root.Label)
	}
	switch b := o.attributes[ckaNSSMozillaCAPolicy]; {
	case len(b) == 1 && b[0] <= 1:
		root.MozillaPolicy = b[0] == 1
	case b != nil:
		return root, malformed("CKA_NSS_MOZILLA_CA_POLICY of %q is no boolean", root.Label)
	}
	switch b := o.attributes[ckaNSSEmailDistrustAfter]; {
	case b == nil || len(b) == 1 && b[0] == 0: // CK_FALSE stands for no time
	default:
		// It has the form of a UTCTime, whose years end at 2049 (RFC 5280, section 4.1.2.5.1).
		t, err := time.Parse("060102150405Z", string(b))
		if err != nil {
			return root, malformed("CKA_NSS_EMAIL_DISTRUST_AFTER of %q is no time", root.Label)
		}
		if t.Year() >= 2050 {
			t = t.AddDate(-100, 0, 0)
		}
		root.EmailDistrustAfter = t
	}
	return root, nil
}

// text returns the label of an object, which NSS ends with a zero.
func text(o object) string {
	return string(bytes.TrimSuffix(o.attributes[ckaLabel], []byte{0}))
}

// level is what a trust object says for one purpose.
type level int

const (
	neutral level = iota
	anchor
	distrusted
)

// trust is what a trust object says.
type trust struct {
	class         uint64
	email, server level
}

// trust reads a trust object that is about root.
func (im *image) trust(o object, root Root) (trust, error) {
	t := trust{class: o.class}
	email, server := uint64(ckaTrustEmailProtection), uint64(ckaTrustServerAuth)
	if o.class == ckoNSSTrust {
		email, server = ckaNSSTrustEmailProtection, ckaNSSTrustServerAuth
	}
	for _, purpose := range []struct {
		kind uint64
		to   *level
	}{{email, &t.email}, {server, &t.server}} {
		if _, there := o.attributes[purpose.kind]; !there {
			continue // PKCS #11 3.2, trust objects: what is absent is CKT_TRUST_UNKNOWN.
		}
		value, ok := im.ulong(o, purpose.kind)
		if !ok {
			return t, malformed("the trust in %q has a wrong size", root.Label)
		}
		if *purpose.to, ok = levelOf(o.class, value); !ok {
			return t, malformed("the trust in %q has the unknown value %#x", root.Label, value)
		}
	}
	hashed, err := im.matches(o, root)
	if err != nil {
		return t, err
	}
	// A distrust may do without a certificate and its hash: the more it meets, the better.
	if (t.email == anchor || t.server == anchor) && !hashed {
		return t, malformed("%q is trusted without a certificate, or without its hash", root.Label)
	}
	return t, nil
}

// levelOf returns what the value of a CK_TRUST means in a class of trust objects. To be trusted itself, and not as an
// authority for others, makes no root.
func levelOf(class, value uint64) (l level, known bool) {
	if class == ckoNSSTrust {
		switch value {
		case cktNSSTrustedDelegator:
			return anchor, true
		case cktNSSNotTrusted:
			return distrusted, true
		case cktNSSTrusted, cktNSSMustVerifyTrust, cktNSSTrustUnknown, cktNSSValidDelegator:
			return neutral, true
		}
		return neutral, false
	}
	switch value {
	case cktTrustAnchor:
		return anchor, true
	case cktNotTrusted:
		return distrusted, true
	case cktTrusted, cktMustVerifyTrust, cktTrustUnknown:
		return neutral, true
	}
	return neutral, false
}

// hashes is what CKA_NAME_HASH_ALGORITHM may name.
var hashes = map[uint64]func() hash.Hash{ckmSHA1: sha1.New, ckmSHA256: sha256.New, ckmSHA384: sha512.New384, ckmSHA512: sha512.New}

// matches says whether the trust object has a hash of the certificate, other than MD5 alone. Each that it has must be right.
func (im *image) matches(o object, root Root) (bool, error) {
	if root.DER == nil {
		return false, nil
	}
	algorithm := uint64(ckmSHA1) // the default of PKCS #11 3.2
	if _, there := o.attributes[ckaNameHashAlgorithm]; there {
		algorithm, _ = im.ulong(o, ckaNameHashAlgorithm)
	}
	hashed := false
	for _, h := range []struct {
		value  []byte
		hash   func() hash.Hash
		strong bool
	}{
		{o.attributes[ckaNSSCertMD5Hash], md5.New, false},
		{o.attributes[ckaNSSCertSHA1Hash], sha1.New, true},
		{o.attributes[ckaHashOfCertificate], hashes[algorithm], true},
	} {
		if len(h.value) == 0 {
			continue
		}
		if h.hash == nil {
			return false, malformed("the trust in %q has a hash by the unknown function %#x", root.Label, algorithm)
		}
		sum := h.hash()
		sum.Write(root.DER)
		if !bytes.Equal(sum.Sum(nil), h.value) {
			return false, malformed("the trust in %q has the hash of another certificate", root.Label)
		}
		hashed = hashed || h.strong
	}
	return hashed, nil
}
