package cms

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// far returns an element of indefinite length.
func far(tag byte, parts ...[]byte) []byte {
	return slices.Concat([]byte{tag, 0x80}, slices.Concat(parts...), []byte{0, 0})
}

// TestHostileReencoded reads what takes the most memory of all: values of very small elements that have to be brought into
// DER, as many as fit.
func TestHostileReencoded(t *testing.T) {
	oneProcessor(t)
	signed, single := sampleInDER(t, "signed by two, a bag"), sampleInDER(t, "signed, stamped")
	enveloped := sampleInDER(t, "enveloped, every recipient")
	var limits Limits
	structure := limits.withDefaults().Structure
	if peertest.RaceEnabled {
		structure = 512 << 10
		limits.Structure = structure
	}
	nulls := bytes.Repeat(derNull, structure/64-500) // nearly as many elements as may be re-encoded
	typed := func(tag byte) []byte { return far(tag, []byte{6, 1, 42}, far(0x30, nulls)) }
	signer := pieceAt(t, single, 1, 0, 4, 0)
	si := single[signer.start:signer.end]
	attributes := func(values int) []byte {
		few := bytes.Repeat(derNull, structure/64/values-100)
		return far(0xa0, far(0x30, []byte{6, 1, 42}, far(0x31, far(0x30, few), []byte{4, 0})))
	}
	var most uint64
	for name, tt := range map[string]struct {
		message func(values int) []byte
		beyond  error // where there are more elements than that
	}{
		"digest algorithms": {func(n int) []byte {
			return pieceAt(t, signed, 1, 0, 1).replace(signed, far(0x31, bytes.Repeat(typed(0x30), n)), true)
		}, ErrTooLarge},
		"OCSP responses": {func(n int) []byte {
			return pieceAt(t, signed, 1, 0, 4).replace(signed, far(0xa1, bytes.Repeat(typed(0xa1), n)), true)
		}, nil}, // those that cannot be read are left out
		"recipients": {func(n int) []byte {
			return pieceAt(t, enveloped, 1, 0, 2).replace(enveloped, far(0x31, bytes.Repeat(typed(0xa4), n)), true)
		}, ErrTooLarge},
		"signed attributes": {func(n int) []byte {
			signers := bytes.Repeat(pieceAt(t, si, 3).replace(si, attributes(max(2, min(n, 8))), true), n)
			return pieceAt(t, single, 1, 0, 4).replace(single, far(0x31, signers), true)
		}, ErrTooLarge},
	} {
		for _, values := range []int{1, 31} {
			message := tt.message(values)
			var all everything
			var err error
			took := taken(func() { all, err = readEverythingTo(t.Context(), io.Discard, bytes.NewReader(message), limits) })
			want := tt.beyond
			if values == 1 {
				want = nil
			}
			if err := errors.Join(err, all.err); !errors.Is(err, want) {
				t.Errorf("%s, %d: %v", name, values, err)
			}
			if took > memoryFor(limits) {
				t.Errorf("%s, %d: %d octets of memory for %d", name, values, took, len(message))
			}
			most = max(most, took)
		}
	}
	t.Logf("at most %d octets of memory, %d times Structure", most, most/uint64(structure))
}

// TestHostileCertificates verifies with certificates that crypto/x509 makes the most of.
func TestHostileCertificates(t *testing.T) {
	oneProcessor(t)
	var limits Limits
	const size = 125 << 10
	id, err := sampleSigner()
	if err != nil {
		t.Fatal(err)
	}
	signed := sampleInDER(t, "signed, stamped")
	list := pieces(t, signed)
	at := bytes.Index(signed, id.cert.Raw)
	where := list[slices.IndexFunc(list, func(p piece) bool { return p.start == at })]
	cert := id.cert.Raw
	// The members of a TBSCertificate that are replaced.
	subject, extensions := pieceAt(t, cert, 0, 5), pieceAt(t, cert, 0, 7)
	extension := func(number byte, value []byte) []byte {
		return element(0xa3, element(0x30, element(0x30, []byte{6, 3, 0x55, 0x1d, number}, element(0x04, element(0x30, value)))))
	}
	names := func(name ...byte) []byte { return extension(17, bytes.Repeat(name, size/len(name))) }
	var kinds []byte
	for i := 0; len(kinds) < size; i++ {
		oid := element(0x06, []byte{42, 0x81 + byte(i>>14), 0x80 | byte(i>>7), byte(i) & 0x7f})
		kinds = append(kinds, element(0x30, oid, []byte{4, 0})...)
	}
	attribute := element(0x30, []byte{6, 3, 0x55, 4, 10, 12, 0})
	var most uint64
	for name, hostile := range map[string][]byte{
		"URIs":                  extensions.replace(cert, names(0x86, 0), false),
		"mail addresses":        extensions.replace(cert, names(0x81, 1, 'a'), false),
		"DNS names":             extensions.replace(cert, names(0x82, 0), false),
		"purposes":              extensions.replace(cert, extension(37, bytes.Repeat([]byte{6, 1, 42}, size/3)), false),
		"constraints":           extensions.replace(cert, extension(30, element(0xa0, bytes.Repeat(element(0x30, []byte{0x82, 1, 'a'}), size/5))), false),
		"extensions":            extensions.replace(cert, element(0xa3, element(0x30, kinds)), false),
		"names in one set":      subject.replace(cert, element(0x30, element(0x31, bytes.Repeat(attribute, size/len(attribute)))), false),
		"names in many sets":    subject.replace(cert, element(0x30, bytes.Repeat(element(0x31, attribute), size/(2+len(attribute)))), false),
		"the same, many times":  bytes.Repeat(cert, 250),
		"too large":             extensions.replace(cert, extension(17, bytes.Repeat([]byte{0x86, 0}, maxCertificate/2)), false),
		"a name that is no DER": subject.replace(cert, element(0x30, make([]byte, size)), false),
	} {
		if name != "the same, many times" {
			hostile = bytes.Repeat(hostile, 6)
		}
		message := where.replace(signed, hostile, false)
		var all everything
		var err error
		took := taken(func() { all, err = readEverythingTo(t.Context(), io.Discard, bytes.NewReader(message), limits) })
		if err := errors.Join(err, all.err); err != nil || took > memoryFor(limits) {
			t.Errorf("%s: %v, %d octets of memory to read", name, err, took)
			continue
		}
		took = taken(func() { _, err = all.verify() })
		want := ErrSigningCertificate // which says that the certificate was parsed, and is another one
		switch name {
		case "the same, many times":
			want = nil
		case "a name that is no DER", "too large":
			want = errUnsupported
		}
		if kindOfVerification(err) != want {
			t.Errorf("%s: %v", name, err)
		}
		if took > verifyMemoryFor(limits) {
			t.Errorf("%s: %d octets of memory to verify", name, took)
		}
		most = max(most, took)
	}
	t.Logf("at most %d octets of memory to verify", most)
}

// kindOfVerification is kindOfError for what verifying says here.
func kindOfVerification(err error) error {
	if errors.Is(err, ErrSigningCertificate) {
		return ErrSigningCertificate
	}
	return kindOfError(err)
}

// TestHostileKeyingMaterial unwraps a key that is agreed upon with as much user keying material as can be sent: it stands in
// what the key is derived from.
func TestHostileKeyingMaterial(t *testing.T) {
	oneProcessor(t)
	limits := Limits{Structure: 64 << 10}
	id := envIdentityNamed(t, "p256")
	message := encryptMessage(t, []byte(sampleText), EnvelopedDataOptions{Cipher: AES128CBC, Recipients: []Recipient{id.recipient(t, IssuerAndSerialNumber)}})
	info := readMessage(t, message)
	ri := info.Recipients[0].(*KeyAgreeRecipientInfo)
	key := id.agreementKey(t)
	for _, scheme := range keyAgreements {
		hostile := *ri
		hostile.algorithm.Algorithm, hostile.UKM = scheme.oid, make([]byte, maxUKM)
		var err error
		took := taken(func() { _, err = hostile.Unwrap(key) })
		if err != ErrDecrypt {
			t.Errorf("%v: %v", scheme.oid, err)
		}
		if took > unwrapMemoryFor(limits) {
			t.Errorf("%v: %d octets of memory", scheme.oid, took)
		}
	}
}

// TestHostileParameters reads parameters that ask for what nobody can do. The numbers are bounded before they cost anything.
func TestHostileParameters(t *testing.T) {
	oneProcessor(t)
	const size = 1 << 20
	numbers := map[string][]byte{
		"of a MiB": element(0x02, bytes.Repeat([]byte{1}, size)), "of zeros": element(0x02, make([]byte, size)), "negative": {2, 1, 0x80}, "zero": {2, 1, 0}, "none": {2, 0},
		"2^31-1": {2, 4, 0x7f, 0xff, 0xff, 0xff}, "2^63-1": {2, 8, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "2^63": {2, 9, 0, 0x80, 0, 0, 0, 0, 0, 0, 0},
	}
	octets, oid := element(0x04, make([]byte, size)), element(0x06, bytes.Repeat([]byte{1}, size))
	hash := element(0x30, oid)
	mgf := element(0x30, oidElement(t, oidMGF1), hash)
	iv := element(0x04, testIV[:8])
	salt := element(0x04, []byte("salt"))
	pss := func(der []byte) error { _, err := parsePSSParameters(der); return err }
	oaep := func(der []byte) error { _, err := oaepOptions(der); return err }
	content := func(c Cipher) func([]byte) error {
		return func(der []byte) error { _, err := readContentParameters(c, der); return err }
	}
	pbkdf2 := func(der []byte) error {
		ri := &PasswordRecipientInfo{}
		ri.derivation, ri.broken = readPasswordDerivation(AlgorithmIdentifier{oidPBKDF2, der})
		if left := ri.charge(maxPasswordIterations); ri.broken == nil && (left < 0 || left == maxPasswordIterations) {
			t.Errorf("%d iterations leave %d", ri.derivation.iterations, left)
		}
		return ri.broken
	}
	type parameters struct {
		name string
		read func([]byte) error
		der  []byte
	}
	tests := []parameters{
		{"PSS hash", pss, element(0x30, element(0xa0, hash))},
		{"PSS mask", pss, element(0x30, element(0xa1, mgf))},
		{"OAEP hash", oaep, element(0x30, element(0xa0, hash))},
		{"OAEP mask", oaep, element(0x30, element(0xa1, mgf))},
		{"OAEP source of the label", oaep, element(0x30, element(0xa2, hash))},
		{"IV", content(AES128CBC), octets},
		{"IV of RC2", content(RC2CBC), element(0x30, element(0x02, []byte{58}), octets)},
		{"PBKDF2 pseudorandom function", pbkdf2, element(0x30, salt, element(0x02, []byte{10}), hash)},
		{"PBKDF2 salt of a kind", pbkdf2, element(0x30, hash, element(0x02, []byte{10}))},
		{"PBKDF2 one iteration too many", pbkdf2, element(0x30, salt, element(0x02, []byte{0, 0x98, 0x96, 0x81}))},
	}
	for name, number := range numbers {
		tests = append(tests,
			parameters{"PSS salt " + name, pss, element(0x30, element(0xa2, number))},
			parameters{"PSS trailer " + name, pss, element(0x30, element(0xa3, number))},
			parameters{"RC2 version " + name, content(RC2CBC), element(0x30, number, iv)},
			parameters{"GCM tag " + name, content(AES128GCM), element(0x30, element(0x04, testIV[:12]), number)},
			parameters{"PBKDF2 iterations " + name, pbkdf2, element(0x30, salt, number)},
		)
		if name != "2^31-1" && name != "2^63-1" { // Unwrap compares it with the cipher's
			tests = append(tests, parameters{"PBKDF2 key length " + name, pbkdf2, element(0x30, salt, element(0x02, []byte{10}), number)})
		}
	}
	for _, tt := range tests {
		var err error
		took := taken(func() { err = tt.read(tt.der) })
		if kind := kindOfError(err); kind != ErrMalformed && kind != errUnsupported && kind != ErrTooLarge {
			t.Errorf("%s: %v", tt.name, err)
		}
		if took > 64<<10 || err != nil && len(err.Error()) > 200 {
			t.Errorf("%s: %d octets of memory, %.200v", tt.name, took, err)
		}
	}
}
