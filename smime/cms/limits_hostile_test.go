package cms

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// memoryFor returns what reading a message may take from the heap, all in all and not only at once, as the comment of
// Limits says. What small content needs is a part of the MiB.
func memoryFor(l Limits) uint64 { return 256<<10 + 12*uint64(l.withDefaults().Structure) }

// taken returns how many octets f takes from the heap, whether they are given back or not.
func taken(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// piece is an element of a message in DER, and where it stands.
type piece struct {
	start, content, end int
	parents             []piece // from the outside in
}

// pieces lists every element of a message in DER.
func pieces(t testing.TB, der []byte) []piece {
	t.Helper()
	var list []piece
	var open []piece
	for at := 0; at < len(der); {
		for len(open) > 0 && open[len(open)-1].end == at {
			open = open[:len(open)-1]
		}
		h, n, err := ber.ParseHeader(der[at:])
		if err != nil || n == 0 || h.Length == ber.Indefinite {
			t.Fatalf("sample is no DER at %d: %v", at, err)
		}
		p := piece{at, at + n, at + n + int(h.Length), slices.Clone(open)}
		list = append(list, p)
		if h.Constructed {
			open = append(open, p)
			at = p.content
		} else {
			at = p.end
		}
	}
	return list
}

// replace puts something else in the place of an element. The elements around it are of indefinite length, or of the
// right definite one.
func (p piece) replace(der, with []byte, indefinite bool) []byte {
	out := slices.Concat(with)
	start, end := p.start, p.end
	for _, around := range slices.Backward(p.parents) {
		inside := slices.Concat(der[around.content:start], out, der[end:around.end])
		h, _, _ := ber.ParseHeader(der[around.start:]) // parsed before
		h.Length = int64(len(inside))
		if indefinite {
			h.Length = ber.Indefinite
			inside = append(inside, 0, 0)
		}
		out = append(ber.AppendHeader(nil, h), inside...)
		start, end = around.start, around.end
	}
	return out
}

// hostile returns what is put in the place of an element, by name: each is some size octets long.
func hostile(der []byte, p piece, size int) map[string][]byte {
	h, _, _ := ber.ParseHeader(der[p.start:]) // parsed before
	whole, content := der[p.start:p.end], der[p.content:p.end]
	under := func(constructed bool, content []byte) []byte {
		return ber.AppendElement(nil, h.Class, constructed, h.Number, content)
	}
	claim := func(length int64, constructed bool) []byte {
		return ber.AppendHeader(nil, ber.Header{Class: h.Class, Constructed: constructed, Number: h.Number, Length: length})
	}
	forms := map[string][]byte{
		"nested":          bytes.Repeat(claim(ber.Indefinite, true), size/2),
		"nested, closed":  slices.Concat(bytes.Repeat(claim(ber.Indefinite, true), size/4), bytes.Repeat([]byte{0, 0}, size/4)),
		"length of a lot": claim(1<<55, h.Constructed),
		"length of 4 GiB": append(claim(4<<30, false), content...),
		"zeros":           under(false, make([]byte, size)),
		"ones":            under(false, bytes.Repeat([]byte{0xff}, size)),
		"arcs":            under(false, bytes.Repeat([]byte{1}, size)),
		"one arc":         under(false, append(bytes.Repeat([]byte{0x81}, size), 1)),
		"positive":        under(false, append([]byte{1}, make([]byte, size)...)),
		"nulls":           under(true, bytes.Repeat([]byte{5, 0}, size/2)),
		"unsorted nulls":  under(true, append(bytes.Repeat([]byte{5, 0}, size/2), 4, 0)),
		"empty segments":  under(true, bytes.Repeat([]byte{4, 0}, size/2)),
		"segments":        under(true, bytes.Repeat([]byte{4, 1, 'x'}, size/3)),
		"repeated":        bytes.Repeat(whole, size/len(whole)),
	}
	if h.Constructed && len(content) > 0 {
		if first, n, err := ber.ParseHeader(content); err == nil {
			member := content[:n+int(first.Length)]
			forms["first member, repeated"] = under(true, bytes.Repeat(member, size/len(member)))
			forms["members, repeated"] = under(true, bytes.Repeat(content, size/len(content)))
		}
	}
	return forms
}

// TestHostileMemory puts what is hostile in every place of every sample: what it takes is bounded by the limits.
func TestHostileMemory(t *testing.T) {
	limits := Limits{Structure: 16 << 10, Content: 64 << 10}
	bound := memoryFor(limits)
	var most uint64
	count := 0
	samples := sampleMessages(t)
	// These have every element that is in one of the samples.
	for _, name := range []string{
		"signed by two, a bag", "enveloped, every recipient", "authEnveloped, attributes", "encrypted, attributes", "compressed", "digested",
	} {
		sample := samples[name]
		der, err := ber.ToDER(sample, ber.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range pieces(t, der) {
			if len(p.parents) > 8 {
				continue // inside a certificate, or a value that is not looked at
			}
			for form, with := range hostile(der, p, 12<<10) {
				for _, indefinite := range []bool{true, false} {
					message := p.replace(der, with, indefinite)
					count++
					var all everything
					var err error
					took := taken(func() {
						if all, err = readEverythingTo(t.Context(), io.Discard, bytes.NewReader(message), limits); err == nil {
							all.ask()
						}
					})
					if err := errors.Join(err, all.err); err != nil && len(err.Error()) > 500 {
						t.Errorf("%s, element %d at %d, %s: an error of %d octets", name, i, p.start, form, len(err.Error()))
					}
					most = max(most, took)
					if took > bound {
						t.Errorf("%s, element %d at %d, %s, indefinite %v: %d octets of memory", name, i, p.start, form, indefinite, took)
					}
				}
			}
		}
	}
	t.Logf("%d messages, at most %d octets of memory", count, most)
}

// TestHostileLarge reads what is as large as anybody may send, at the limits that hold where nobody states any.
func TestHostileLarge(t *testing.T) {
	samples := sampleMessages(t)
	der := func(name string) []byte {
		der, err := ber.ToDER(samples[name], ber.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	signed, single, enveloped := der("signed by two, a bag"), der("signed, stamped"), der("enveloped, every recipient")
	// at is the path to an element: the index of the member at each level.
	at := func(der []byte, path ...int) piece {
		var around []piece
		list := pieces(t, der)
		current := list[0]
		for _, index := range path {
			around = append(around, current)
			members := slices.DeleteFunc(slices.Clone(list), func(p piece) bool {
				return len(p.parents) != len(around) || p.parents[len(around)-1].start != current.start
			})
			current = members[index]
		}
		return current
	}
	nested := bytes.Repeat([]byte{0x30, 0x80}, 2_000_000)
	closed := slices.Concat(bytes.Repeat([]byte{0x30, 0x80}, 48_750), bytes.Repeat([]byte{0, 0}, 48_750)) // 195 KB
	many := func(tag byte, member []byte) []byte { return element(tag, bytes.Repeat(member, 1_000_000)) }
	in := func(path ...int) piece { return at(signed, append([]int{1, 0}, path...)...) }             // the SignedData
	inSigner := func(path ...int) piece { return at(single, append([]int{1, 0, 4, 0}, path...)...) } // its SignerInfo
	recipients := func(path ...int) piece { return at(enveloped, append([]int{1, 0, 2}, path...)...) }
	attribute := inSigner(3, 0)
	oneMiB := uint64(1 << 20)
	for name, tt := range map[string]struct {
		der   []byte
		where piece
		with  []byte
		want  error // nil: none
		bound uint64
	}{
		"nested message":          {signed, at(signed), nested, ErrTooDeep, oneMiB / 16},
		"nested message, closed":  {signed, at(signed), closed, ErrTooDeep, oneMiB / 16},
		"nested content type":     {signed, at(signed, 0), nested, ErrTooDeep, oneMiB / 16},
		"nested certificate":      {signed, in(3, 0), nested, ErrTooDeep, oneMiB / 8},
		"nested list, closed":     {signed, in(4, 0), closed, ErrTooDeep, oneMiB / 8},
		"nested segments":         {signed, in(2, 1, 0), bytes.Repeat([]byte{0x24, 0x80}, 2_000_000), ErrTooDeep, oneMiB / 8},
		"nested parameters":       {single, inSigner(2), nested, ErrTooDeep, oneMiB / 8},
		"nested attribute":        {single, attribute, nested, ErrTooDeep, oneMiB / 8},
		"nested attribute, DER":   {single, attribute, nestedDER(100_000), ErrTooDeep, 12 * oneMiB},
		"nested recipient":        {enveloped, recipients(0), append([]byte{0xa4, 0x80}, nested...), ErrTooDeep, oneMiB / 8},
		"many certificates":       {signed, in(3), many(0xa0, element(0x30)), ErrTooMany, oneMiB / 8},
		"many odd certificates":   {signed, in(3), many(0xa0, element(0xa1)), ErrTooMany, oneMiB / 8},
		"many revocation lists":   {signed, in(4), many(0xa1, element(0x30)), ErrTooMany, oneMiB / 8},
		"many digest algorithms":  {signed, in(1), many(0x31, element(0x30, []byte{6, 1, 1})), ErrTooMany, oneMiB / 8},
		"many signers":            {single, at(single, 1, 0, 4), element(0x31, bytes.Repeat(single[inSigner().start:inSigner().end], 1000)), ErrTooMany, oneMiB},
		"many attributes":         {single, inSigner(3), element(0xa0, bytes.Repeat(element(0x30, []byte{6, 1, 1}, element(0x31)), 500_000)), ErrTooMany, 12 * oneMiB},
		"many values":             {single, attribute, element(0x30, []byte{6, 1, 1}, many(0x31, derNull)), ErrTooMany, 12 * oneMiB},
		"many values, unsorted":   {single, attribute, element(0x30, []byte{6, 1, 1}, many(0x31, []byte{5, 0, 4, 0})), ErrTooMany, 24 * oneMiB},
		"many segments":           {signed, in(2, 1, 0), many(0x24, []byte{4, 1, 'x'}), nil, oneMiB / 4},
		"many empty segments":     {signed, in(2, 1, 0), many(0x24, []byte{4, 0}), nil, oneMiB / 4},
		"signature of segments":   {single, inSigner(5), many(0x24, []byte{4, 1, 'x'}), nil, 6 * oneMiB},
		"many recipients":         {enveloped, at(enveloped, 1, 0, 2), many(0x31, element(0xa4)), ErrTooMany, 2 * oneMiB},
		"many recipients, agreed": {enveloped, recipients(1, 4), many(0x30, element(0x30, element(0xa0, element(0x04, []byte{1})), element(0x04))), ErrTooMany, 2 * oneMiB},
		"huge length":             {signed, at(signed), []byte{0x30, 0x87, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, ErrMalformed, oneMiB / 16},
		"huge certificate":        {signed, in(3, 0), append([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, make([]byte, 5<<20)...), ErrTooLarge, oneMiB / 4},
		"huge certificate, cut":   {signed, in(3, 0), []byte{0x30, 0x83, 0x3f, 0xff, 0xff}, ErrTooLarge, oneMiB / 4},
		"huge content type":       {signed, at(signed, 0), element(0x06, bytes.Repeat([]byte{1}, 3<<20)), errUnsupported, 12 * oneMiB},
		"huge arc":                {signed, at(signed, 0), element(0x06, bytes.Repeat([]byte{0xff}, 3<<20), []byte{1}), errUnsupported, 12 * oneMiB},
		"huge version":            {signed, in(0), element(0x02, bytes.Repeat([]byte{1}, 3<<20)), ErrMalformed, 12 * oneMiB},
		"huge serial number":      {single, inSigner(1, 1), element(0x02, bytes.Repeat([]byte{1}, 3<<20)), ErrMalformed, 20 * oneMiB},
		"huge signature":          {single, inSigner(5), element(0x04, make([]byte, 5<<20)), ErrTooLarge, 24 * oneMiB},
		"huge wrapped key":        {enveloped, recipients(0, 3), element(0x04, make([]byte, 5<<20)), ErrTooLarge, 24 * oneMiB},
	} {
		message := tt.where.replace(tt.der, tt.with, !strings.HasPrefix(name, "many values")) // which are to be DER
		var err error
		took := taken(func() {
			var all everything
			all, err = readEverythingTo(t.Context(), io.Discard, bytes.NewReader(message), Limits{})
			err = errors.Join(err, all.err)
		})
		var unsupported *UnsupportedError
		if tt.want == errUnsupported && !errors.As(err, &unsupported) || tt.want != errUnsupported && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if took > tt.bound {
			t.Errorf("%s: %d octets of memory", name, took)
		}
		if bound := memoryFor(Limits{}); tt.bound > bound {
			t.Errorf("%s: bound of %d is more than %d", name, tt.bound, bound)
		}
	}
}

// TestHostileTime: a signing time that is none is not repeated in the error.
func TestHostileTime(t *testing.T) {
	for _, tag := range []byte{0x17, 0x18, 0x04} {
		_, err := parseSigningTime(element(tag, bytes.Repeat([]byte{'1', 0x1b}, 1<<20)))
		if !errors.Is(err, ErrAttributes) || len(err.Error()) > 100 {
			t.Errorf("tag %#x: an error of %d octets", tag, len(err.Error()))
		}
	}
}

// TestContentMemory reads much content of each kind, in segments of several lengths: memory does not grow with it.
func TestContentMemory(t *testing.T) {
	size, lengths := 4<<20, []int{8 << 20, 16 << 10, 1000, 1}
	if raceEnabled {
		size, lengths = 2<<20, []int{8 << 20, 16 << 10, 40}
	}
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	segmented := func(octets []byte, length int) []byte {
		var out []byte
		for part := range slices.Chunk(octets, length) {
			out = ber.AppendElement(out, ber.Universal, false, ber.TagOctetString, part)
		}
		return out
	}
	digest := digestOf(crypto.SHA256, content)
	stream := deflated(t, content)
	cbc, gcm := cbcEnvelope(t, pad(slices.Clone(content), 16)), gcmEnvelope(t, content, 16, nil)
	for _, length := range lengths {
		compressed := compressionOf(t, nil)
		compressed.content = element(0xa0, element(0x24, segmented(stream, length)))
		e, g := cbc, gcm
		e.contentRaw, e.content = element(0xa0, segmented(cbc.content, length)), nil
		g.contentRaw, g.content = element(0xa0, segmented(gcm.content, length)), nil
		signed := element(0x30, element(0x02, []byte{1}), element(0x31, element(0x30, oidElement(t, oidSHA256))),
			element(0x30, oidElement(t, OIDData), element(0xa0, element(0x24, segmented(content, length)))), element(0x31))
		for name, message := range map[string][]byte{
			"signed":     element(0x30, oidElement(t, OIDSignedData), element(0xa0, signed)),
			"digested":   digested(t, oidSHA256, element(0xa0, element(0x24, segmented(content, length))), digest),
			"compressed": compressed.marshal(t),
			"CBC":        e.marshal(t),
			"encrypted":  e.encryptedData(t),
			"GCM":        g.marshal(t),
		} {
			var all everything
			var err error
			took := taken(func() { all, err = readEverythingTo(t.Context(), io.Discard, bytes.NewReader(message), Limits{}) })
			if err := errors.Join(err, all.err); err != nil {
				t.Errorf("%s by %d: %v", name, length, err)
			}
			if took > 1<<20 {
				t.Errorf("%s by %d: %d octets of memory", name, length, took)
			}
		}
	}
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

// TestHostileTruncated cuts every sample short at each octet.
func TestHostileTruncated(t *testing.T) {
	limits := Limits{Structure: 32 << 10}
	for name, message := range sampleMessages(t) {
		for n := range message {
			var err error
			took := taken(func() {
				var all everything
				all, err = readEverythingTo(t.Context(), io.Discard, bytes.NewReader(message[:n]), limits)
				if err == nil {
					all.ask()
				}
				err = errors.Join(err, all.err)
			})
			if !errors.Is(err, ErrMalformed) || took > memoryFor(limits) {
				t.Errorf("%s, cut at %d: %v, %d octets of memory", name, n, err, took)
			}
		}
	}
}
