package cms

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms/ber"
)

// sampleInDER returns one of the samples in DER.
func sampleInDER(t testing.TB, name string) []byte {
	t.Helper()
	der, err := ber.ToDER(sampleMessages(t)[name], ber.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// pieceAt returns an element of a message in DER by its path: the index of the member at each level.
func pieceAt(t testing.TB, der []byte, path ...int) piece {
	t.Helper()
	list := pieces(t, der)
	current := list[0]
	for level, index := range path {
		for _, p := range list {
			if len(p.parents) != level+1 || p.parents[level].start != current.start {
				continue
			}
			if index--; index < 0 {
				current = p
				break
			}
		}
		if index >= 0 {
			t.Fatalf("no element at %v", path)
		}
	}
	return current
}

// nestedDER is a SEQUENCE in a SEQUENCE, so many times, with lengths that are right.
func nestedDER(depth int) []byte {
	var reversed []byte
	size := int64(0)
	for range depth {
		h := ber.AppendHeader(nil, ber.Header{Constructed: true, Number: ber.TagSequence, Length: size})
		size += int64(len(h))
		slices.Reverse(h)
		reversed = append(reversed, h...)
	}
	slices.Reverse(reversed)
	return reversed
}

// TestHostileLarge reads what is as large as anybody may send, at the limits that hold where nobody states any.
func TestHostileLarge(t *testing.T) {
	oneProcessor(t)
	const million = 1_000_000
	var (
		signed     = sampleInDER(t, "signed by two, a bag")
		single     = sampleInDER(t, "signed, stamped")
		enveloped  = sampleInDER(t, "enveloped, every recipient")
		authentic  = sampleInDER(t, "authEnveloped, attributes")
		encrypted  = sampleInDER(t, "encrypted, attributes")
		compressed = sampleInDER(t, "compressed")
		digested   = sampleInDER(t, "digested")
	)
	levels := bytes.Repeat([]byte{0x30, 0x80}, 2*million)
	segmentLevels := bytes.Repeat([]byte{0x24, 0x80}, 2*million)
	claimed := bytes.Repeat([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, 2*million)
	definite := nestedDER(2 * million)
	closed := slices.Concat(bytes.Repeat([]byte{0x30, 0x80}, 48_750), bytes.Repeat([]byte{0, 0}, 48_750)) // 195 KB
	inside := func(tag byte, content []byte) []byte { return element(tag, []byte{6, 1, 42}, content) }    // where only re-encoding looks
	many := func(tag byte, member []byte) []byte { return element(tag, bytes.Repeat(member, million)) }
	attribute := element(0x30, []byte{6, 1, 42}, element(0x31))
	integer := element(0x02, bytes.Repeat([]byte{1}, 3*million))
	oid := element(0x06, bytes.Repeat([]byte{1}, 3*million))
	endless := func(class byte) []byte { return append([]byte{class | 0x1f}, bytes.Repeat([]byte{0x81}, million)...) }

	// Which recipient is which, in the sample that has them all.
	const kek, agreement, password = 0, 1, 2
	type hostileCase struct {
		name  string
		der   []byte
		path  []int
		with  []byte
		want  error // nil: none
		bound uint64
	}
	const kib, mib = 1 << 10, 1 << 20
	tests := []hostileCase{
		{"nested message", signed, nil, levels, ErrTooDeep, 64 * kib},
		{"nested message, closed", signed, nil, closed, ErrTooDeep, 64 * kib},
		{"nested message, claimed", signed, nil, claimed, ErrMalformed, 64 * kib},
		{"nested message, definite", signed, nil, definite, ErrTooLarge, 64 * kib},
		{"nested content type", signed, []int{0}, levels, ErrTooDeep, 64 * kib},
		{"nested content type, definite", signed, []int{0}, definite, ErrTooLarge, 64 * kib},
		{"nested SignedData", signed, []int{1, 0}, levels, ErrTooDeep, 64 * kib},
		{"nested digest algorithm", signed, []int{1, 0, 1, 0}, inside(0x30, closed), ErrTooDeep, 2 * mib},
		{"nested certificate", signed, []int{1, 0, 3, 0}, levels, ErrTooDeep, 128 * kib},
		{"nested certificate, definite", signed, []int{1, 0, 3, 0}, definite, ErrTooLarge, 128 * kib},
		{"nested certificate, not looked into", signed, []int{1, 0, 3, 0}, element(0x30, closed), nil, 2 * mib},
		{"nested certificate of another kind", signed, []int{1, 0, 3, 0}, append([]byte{0xa1, 0x80}, levels...), ErrTooDeep, 128 * kib},
		{"nested list, closed", signed, []int{1, 0, 4, 0}, closed, ErrTooDeep, 128 * kib},
		{"nested OCSP response, not looked into", signed, []int{1, 0, 4, 0}, inside(0xa1, closed), nil, 2 * mib},
		{"nested segments", signed, []int{1, 0, 2, 1, 0}, segmentLevels, ErrTooDeep, 128 * kib},
		{"nested signer", single, []int{1, 0, 4, 0}, levels, ErrTooDeep, 128 * kib},
		{"nested identifier of the signer", single, []int{1, 0, 4, 0, 1}, element(0x30, closed), ErrTooDeep, 2 * mib},
		{"nested parameters", single, []int{1, 0, 4, 0, 2}, levels, ErrTooDeep, 128 * kib},
		{"nested parameters of the signature", single, []int{1, 0, 4, 0, 4}, inside(0x30, closed), ErrTooDeep, 2 * mib},
		{"nested attribute", single, []int{1, 0, 4, 0, 3, 0}, levels, ErrTooDeep, 16 * mib},
		{"nested attribute, closed", single, []int{1, 0, 4, 0, 3, 0}, element(0x30, closed), ErrTooDeep, 2 * mib},
		{"nested attribute, definite", single, []int{1, 0, 4, 0, 3, 0}, nestedDER(100_000), ErrTooDeep, 4 * mib},
		{"nested unsigned attribute", single, []int{1, 0, 4, 0, 6, 0}, levels, ErrTooDeep, 16 * mib},
		{"nested unsigned attribute, closed", single, []int{1, 0, 4, 0, 6, 0}, element(0x30, closed), ErrTooDeep, 2 * mib},
		{"nested recipient", enveloped, []int{1, 0, 2, kek}, append([]byte{0xa4, 0x80}, levels...), ErrTooDeep, 128 * kib},
		{"nested recipient, closed", enveloped, []int{1, 0, 2, kek}, inside(0xa4, closed), ErrTooDeep, 2 * mib},
		{"nested originator", enveloped, []int{1, 0, 1}, append([]byte{0xa0, 0x80}, levels...), ErrMalformed, 128 * kib},
		{"nested certificate of the originator", enveloped, []int{1, 0, 1, 0, 0}, levels, ErrTooDeep, 128 * kib},
		{"nested key agreement", enveloped, []int{1, 0, 2, agreement, 3}, inside(0x30, closed), ErrTooDeep, 2 * mib},
		{"nested key derivation", enveloped, []int{1, 0, 2, password, 1}, inside(0xa0, closed), ErrTooDeep, 2 * mib},
		{"nested cipher", enveloped, []int{1, 0, 3, 1}, inside(0x30, closed), ErrTooDeep, 2 * mib},
		{"nested ciphertext", enveloped, []int{1, 0, 3, 2}, append([]byte{0xa0, 0x80}, segmentLevels...), ErrTooDeep, 256 * kib},
		{"nested unprotected attribute", enveloped, []int{1, 0, 4, 0}, element(0x30, closed), ErrTooDeep, 2 * mib},
		{"nested authenticated attribute", authentic, []int{1, 0, 3, 0}, levels, ErrTooDeep, 24 * mib},
		{"nested authenticated attribute, closed", authentic, []int{1, 0, 3, 0}, element(0x30, closed), ErrTooDeep, 2 * mib},
		{"nested tag", authentic, []int{1, 0, 4}, segmentLevels, ErrTooDeep, 256 * kib},
		{"nested attribute of EncryptedData", encrypted, []int{1, 0, 2, 0}, element(0x30, closed), ErrTooDeep, 2 * mib},
		{"nested compression", compressed, []int{1, 0, 1}, inside(0x30, closed), ErrTooDeep, 2 * mib},
		{"nested compressed content", compressed, []int{1, 0, 2, 1, 0}, segmentLevels, ErrTooDeep, 256 * kib},
		{"nested digest", digested, []int{1, 0, 3}, segmentLevels, ErrTooDeep, 128 * kib},

		{"many certificates", signed, []int{1, 0, 3}, many(0xa0, element(0x30)), ErrTooMany, 128 * kib},
		{"many certificates of another kind", signed, []int{1, 0, 3}, many(0xa0, element(0xa1)), ErrTooMany, 128 * kib},
		{"many revocation lists", signed, []int{1, 0, 4}, many(0xa1, element(0x30)), ErrTooMany, 128 * kib},
		{"many OCSP responses", signed, []int{1, 0, 4}, many(0xa1, inside(0xa1, nil)), ErrTooMany, 128 * kib},
		{"many digest algorithms", signed, []int{1, 0, 1}, many(0x31, element(0x30, []byte{6, 1, 1})), ErrTooMany, 128 * kib},
		{"many signers", single, []int{1, 0, 4}, element(0x31, bytes.Repeat(single[pieceAt(t, single, 1, 0, 4).content:pieceAt(t, single, 1, 0, 4).end], 1000)), ErrTooMany, mib},
		{"many signers that are none", single, []int{1, 0, 4}, many(0x31, element(0x30)), ErrMalformed, 128 * kib},
		{"many attributes", single, []int{1, 0, 4, 0, 3}, element(0xa0, bytes.Repeat(attribute, million/2)), ErrTooMany, 16 * mib},
		{"many unsigned attributes", single, []int{1, 0, 4, 0, 6}, element(0xa1, bytes.Repeat(attribute, million/2)), ErrTooMany, 16 * mib},
		{"many unprotected attributes", enveloped, []int{1, 0, 4}, element(0xa1, bytes.Repeat(attribute, million/2)), ErrTooMany, 16 * mib},
		{"many authenticated attributes", authentic, []int{1, 0, 3}, element(0xa1, bytes.Repeat(attribute, million/2)), ErrTooMany, 24 * mib},
		{"many unauthenticated attributes", authentic, []int{1, 0, 5}, element(0xa2, bytes.Repeat(attribute, million/2)), ErrTooMany, 16 * mib},
		{"many attributes of EncryptedData", encrypted, []int{1, 0, 2}, element(0xa1, bytes.Repeat(attribute, million/2)), ErrTooMany, 16 * mib},
		{"many values", single, []int{1, 0, 4, 0, 3, 0}, inside(0x30, many(0x31, derNull)), ErrTooLarge, 16 * mib},
		{"many values, unsorted", single, []int{1, 0, 4, 0, 3, 0}, inside(0x30, many(0x31, []byte{5, 0, 4, 0})), ErrTooLarge, 24 * mib},
		{"many values of an unsigned attribute", single, []int{1, 0, 4, 0, 6, 0}, inside(0x30, many(0x31, derNull)), ErrTooLarge, 16 * mib},
		{"many recipients", enveloped, []int{1, 0, 2}, many(0x31, element(0xa4)), ErrTooMany, 2 * mib},
		{"many recipients, agreed", enveloped, []int{1, 0, 2, agreement, 4}, many(0x30, element(0x30, element(0xa0, element(0x04, []byte{1})), element(0x04))), ErrTooMany, 2 * mib},
		{"many keys of a recipient", enveloped, []int{1, 0, 2, agreement, 4, 0, 0}, element(0xa0, element(0x04, []byte{1}), bytes.Repeat(derNull, million)), nil, 16 * mib},
		{"many certificates of the originator", enveloped, []int{1, 0, 1, 0}, many(0xa0, element(0x30)), ErrTooMany, 128 * kib},
		{"many revocation lists of the originator", enveloped, []int{1, 0, 1, 1}, many(0xa1, element(0x30)), ErrTooMany, 128 * kib},

		{"content in segments", signed, []int{1, 0, 2, 1, 0}, many(0x24, []byte{4, 1, 'x'}), nil, 256 * kib},
		{"content in empty segments", signed, []int{1, 0, 2, 1, 0}, many(0x24, []byte{4, 0}), nil, 256 * kib},
		{"ciphertext in segments", enveloped, []int{1, 0, 3, 2}, many(0xa0, []byte{4, 1, 'x'}), ErrDecrypt, mib},
		{"ciphertext in empty segments", enveloped, []int{1, 0, 3, 2}, many(0xa0, []byte{4, 0}), ErrDecrypt, mib},
		{"ciphertext of GCM in segments", authentic, []int{1, 0, 2, 2}, many(0xa0, []byte{4, 1, 'x'}), ErrDecrypt, mib},
		{"ciphertext of GCM in empty segments", authentic, []int{1, 0, 2, 2}, many(0xa0, []byte{4, 0}), ErrDecrypt, mib},
		{"ciphertext of EncryptedData in segments", encrypted, []int{1, 0, 1, 2}, many(0xa0, []byte{4, 1, 'x'}), ErrDecrypt, mib},
		{"compressed content in empty segments", compressed, []int{1, 0, 2, 1, 0}, many(0x24, []byte{4, 0}), ErrMalformed, mib},
		{"digested content in segments", digested, []int{1, 0, 2, 1, 0}, many(0x24, []byte{4, 1, 'x'}), ErrMessageDigest, 256 * kib},
		{"signature in segments", single, []int{1, 0, 4, 0, 5}, many(0x24, []byte{4, 1, 'x'}), nil, 8 * mib},
		{"signature in empty segments", single, []int{1, 0, 4, 0, 5}, many(0x24, []byte{4, 0}), nil, 256 * kib},
		{"key identifier in segments", enveloped, []int{1, 0, 2, kek, 1}, element(0x30, many(0x24, []byte{4, 1, 'x'})), ErrTooLarge, 16 * mib},
		{"keying material in segments", enveloped, []int{1, 0, 2, agreement, 2}, element(0xa1, many(0x24, []byte{4, 1, 'x'})), ErrTooLarge, 16 * mib},
		{"tag in segments", authentic, []int{1, 0, 4}, many(0x24, []byte{4, 1, 'x'}), ErrDecrypt, 8 * mib},
		{"digest in segments", digested, []int{1, 0, 3}, many(0x24, []byte{4, 1, 'x'}), ErrMessageDigest, 8 * mib},
		{"content type of an attribute in segments", single, []int{1, 0, 4, 0, 3, 0, 1, 0}, many(0x24, []byte{4, 1, 'x'}), ErrTooLarge, 24 * mib},

		{"huge certificate", signed, []int{1, 0, 3, 0}, append([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, make([]byte, 5<<20)...), ErrTooLarge, 256 * kib},
		{"huge certificate, cut", signed, []int{1, 0, 3, 0}, []byte{0x30, 0x83, 0x3e, 0, 0}, ErrMalformed, 256 * kib}, // Structure is more
		{"huge content type", signed, []int{0}, oid, errUnsupported, 12 * mib},
		{"huge arc", signed, []int{0}, element(0x06, bytes.Repeat([]byte{0xff}, 3*million), []byte{1}), errUnsupported, 12 * mib},
		{"huge type of the content", signed, []int{1, 0, 2, 0}, oid, nil, 12 * mib},
		{"huge digest algorithm", signed, []int{1, 0, 1, 0}, element(0x30, oid), nil, 12 * mib},
		{"huge type of an attribute", single, []int{1, 0, 4, 0, 3, 0, 0}, oid, ErrTooLarge, 24 * mib},
		{"huge cipher", enveloped, []int{1, 0, 3, 1}, element(0x30, oid), errUnsupported, 12 * mib},
		{"huge kind of recipient", enveloped, []int{1, 0, 2, 3, 0}, oid, nil, 24 * mib},
		{"huge version", signed, []int{1, 0, 0}, integer, ErrMalformed, 12 * mib},
		{"huge version of a signer", single, []int{1, 0, 4, 0, 0}, integer, ErrMalformed, 12 * mib},
		{"huge version of EnvelopedData", enveloped, []int{1, 0, 0}, integer, ErrMalformed, 12 * mib},
		{"huge version of a recipient", enveloped, []int{1, 0, 2, kek, 0}, integer, ErrMalformed, 24 * mib},
		{"huge version of AuthEnvelopedData", authentic, []int{1, 0, 0}, integer, ErrMalformed, 12 * mib},
		{"huge version of EncryptedData", encrypted, []int{1, 0, 0}, integer, ErrMalformed, 12 * mib},
		{"huge version of CompressedData", compressed, []int{1, 0, 0}, integer, ErrMalformed, 12 * mib},
		{"huge version of DigestedData", digested, []int{1, 0, 0}, integer, ErrMalformed, 12 * mib},
		{"huge serial number", single, []int{1, 0, 4, 0, 1, 1}, integer, ErrMalformed, 24 * mib},
		{"huge serial number of a certificate", single, []int{1, 0, 3, 0, 0, 1}, integer, nil, 12 * mib},
		{"huge iteration count", enveloped, []int{1, 0, 2, password, 1, 1, 1}, integer, nil, 24 * mib},
		{"huge salt", enveloped, []int{1, 0, 2, password, 1, 1, 0}, element(0x04, make([]byte, 3*million)), nil, 24 * mib},
		{"huge initialization vector", enveloped, []int{1, 0, 3, 1, 1}, element(0x04, make([]byte, 3*million)), ErrMalformed, 24 * mib},
		{"huge nonce", authentic, []int{1, 0, 2, 1, 1, 0}, element(0x04, make([]byte, 3*million)), ErrDecrypt, 24 * mib},
		{"huge tag length", authentic, []int{1, 0, 2, 1, 1, 1}, integer, ErrMalformed, 24 * mib},
		{"huge signature", single, []int{1, 0, 4, 0, 5}, element(0x04, make([]byte, 5<<20)), ErrTooLarge, 24 * mib},
		{"huge wrapped key", enveloped, []int{1, 0, 2, kek, 3}, element(0x04, make([]byte, 5<<20)), ErrTooLarge, 24 * mib},
		{"huge keying material", enveloped, []int{1, 0, 2, agreement, 2}, element(0xa1, element(0x04, make([]byte, 3*million))), ErrTooLarge, 24 * mib},
	}
	// What is claimed is believed nowhere: not of the message, nor of any part of it.
	for name, length := range longLengths {
		for part, tt := range map[string]hostileCase{
			"a message":        {der: signed},
			"a SignedData":     {der: signed, path: []int{1, 0}},
			"a content":        {der: signed, path: []int{1, 0, 2, 1, 0}},
			"a certificate":    {der: signed, path: []int{1, 0, 3, 0}},
			"an attribute":     {der: single, path: []int{1, 0, 4, 0, 3, 0}},
			"a signature":      {der: single, path: []int{1, 0, 4, 0, 5}},
			"a recipient":      {der: enveloped, path: []int{1, 0, 2, agreement}},
			"a ciphertext":     {der: enveloped, path: []int{1, 0, 3, 2}},
			"a tag":            {der: authentic, path: []int{1, 0, 4}},
			"an EncryptedData": {der: encrypted, path: []int{1, 0}},
			"a ZLIB stream":    {der: compressed, path: []int{1, 0, 2, 1, 0}},
			"a digest":         {der: digested, path: []int{1, 0, 3}},
		} {
			p := pieceAt(t, tt.der, tt.path...)
			tt.name, tt.bound = part+" of a length of "+name, mib
			tt.with = slices.Concat(tt.der[p.start:p.start+1], length, tt.der[p.content:p.end])
			tt.want = errRefused
			tests = append(tests, tt)
		}
	}
	for name, tt := range map[string]hostileCase{
		"of a message":     {der: signed, with: endless(0x20)},
		"of a type":        {der: signed, path: []int{0}, with: endless(0)},
		"of a certificate": {der: signed, path: []int{1, 0, 3, 0}, with: endless(0xa0)},
		"of a segment":     {der: signed, path: []int{1, 0, 2, 1, 0}, with: append([]byte{0x24, 0x80}, endless(0x80)...)},
		"of an attribute":  {der: single, path: []int{1, 0, 4, 0, 3, 0}, with: endless(0x60)},
		"of a recipient":   {der: enveloped, path: []int{1, 0, 2, kek}, with: endless(0xa0)},
		"of a ciphertext":  {der: authentic, path: []int{1, 0, 2, 2}, with: endless(0x80)},
	} {
		tt.name, tt.want, tt.bound = "tag without end "+name, ErrMalformed, 4*mib
		tests = append(tests, tt)
	}

	// In DER what is there can be counted before it is re-encoded, and nothing is longer than what is around it.
	inDER := map[string]error{
		"many values": ErrTooMany, "many values, unsorted": ErrTooMany, "many values of an unsigned attribute": ErrTooMany,
		"huge certificate": ErrMalformed,
	}
	slices.SortFunc(tests, func(a, b hostileCase) int { return strings.Compare(a.name, b.name) })
	for i, tt := range tests {
		if peertest.RaceEnabled && i%8 != 0 {
			continue
		}
		if tt.bound > memoryFor(Limits{}) {
			t.Errorf("%s: a bound of %d", tt.name, tt.bound)
		}
		where := pieceAt(t, tt.der, tt.path...)
		for _, indefinite := range []bool{true, false} {
			message := where.replace(tt.der, tt.with, indefinite)
			var err error
			took := taken(func() {
				var all everything
				if all, err = readEverythingTo(t.Context(), io.Discard, bytes.NewReader(message), Limits{}); err == nil {
					err = all.err
					all.ask()
				}
			})
			want := tt.want
			if other, ok := inDER[tt.name]; ok && !indefinite {
				want = other
			}
			kind := kindOfError(err)
			if kind != want && (want != errRefused || kind != ErrMalformed && kind != ErrTooLarge) {
				t.Errorf("%s, indefinite %v: %v", tt.name, indefinite, err)
			}
			if took > tt.bound {
				t.Errorf("%s, indefinite %v: %d octets of memory", tt.name, indefinite, took)
			}
		}
	}
}

// errRefused stands for any error about the form or the size of a message.
var errRefused = errors.New("refused")
