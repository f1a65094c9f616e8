package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms/ber"
)

// memoryFor returns what reading a message may take from the heap, all in all and not only at once, as the comment of
// Limits says. What small content needs is a part of the MiB.
func memoryFor(l Limits) uint64 { return 256<<10 + 12*uint64(l.withDefaults().Structure) }

// verifyMemoryFor is the same for verifying, where certificates are parsed.
func verifyMemoryFor(Limits) uint64 { return 64 << 20 }

// unwrapMemoryFor is the same for unwrapping the key of one recipient.
func unwrapMemoryFor(l Limits) uint64 { return 256<<10 + 2*uint64(l.withDefaults().Structure) }

// oneProcessor keeps a test to one processor: to ask how much memory was taken stops all of them, which may take long where
// others use them.
func oneProcessor(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

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
	var before, behind [][]byte // from the inside out
	size := len(with)
	start, end := p.start, p.end
	for _, around := range slices.Backward(p.parents) {
		before, behind = append(before, der[around.content:start]), append(behind, der[end:around.end])
		size += start - around.content + around.end - end
		h, _, _ := ber.ParseHeader(der[around.start:]) // parsed before
		h.Length = int64(size)
		if indefinite {
			h.Length = ber.Indefinite
			behind = append(behind, []byte{0, 0})
			size += 2
		}
		header := ber.AppendHeader(nil, h)
		before = append(before, header)
		size += len(header)
		start, end = around.start, around.end
	}
	slices.Reverse(before)
	return slices.Concat(slices.Concat(before...), with, slices.Concat(behind...))
}

// longLengths are lengths that nothing has, in octets of their own, by name.
var longLengths = map[string][]byte{
	"2^31": {0x84, 0x80, 0, 0, 0}, "2^32-1": {0x84, 0xff, 0xff, 0xff, 0xff}, "2^56-1": {0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	"2^56": {0x88, 1, 0, 0, 0, 0, 0, 0, 0}, "2^63-1": {0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	"2^64-1": {0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "127 octets": append([]byte{0xfe}, bytes.Repeat([]byte{1}, 126)...),
}

// hostile returns what is put in the place of an element, by name: each is some size octets long, or claims to be longer.
// nested is a SEQUENCE in a SEQUENCE, and so on.
func hostile(der []byte, p piece, size int, nested []byte) map[string][]byte {
	h, _, _ := ber.ParseHeader(der[p.start:]) // parsed before
	whole, content := der[p.start:p.end], der[p.content:p.end]
	under := func(constructed bool, content []byte) []byte {
		return ber.AppendElement(nil, h.Class, constructed, h.Number, content)
	}
	claim := func(length int64) []byte {
		return ber.AppendHeader(nil, ber.Header{Class: h.Class, Constructed: true, Number: h.Number, Length: length})
	}
	ends := bytes.Repeat([]byte{0, 0}, size/4)
	forms := map[string][]byte{
		"nested":           bytes.Repeat(claim(ber.Indefinite), size/2),
		"nested, closed":   slices.Concat(bytes.Repeat(claim(ber.Indefinite), size/4), ends),
		"nested, inside":   under(true, slices.Concat(bytes.Repeat([]byte{0x30, 0x80}, size/4), ends)),
		"nested, definite": under(true, nested),
		"nested, claimed":  bytes.Repeat(claim(1<<31-1), size/6),
		"tag without end":  append([]byte{der[p.start] | 0x1f}, bytes.Repeat([]byte{0x81}, size)...),
		"zeros":            under(false, make([]byte, size)),
		"ones":             under(false, bytes.Repeat([]byte{0xff}, size)),
		"arcs":             under(false, bytes.Repeat([]byte{1}, size)),
		"one arc":          under(false, append(bytes.Repeat([]byte{0x81}, size), 1)),
		"positive":         under(false, append([]byte{1}, make([]byte, size)...)),
		"nulls":            under(true, bytes.Repeat([]byte{5, 0}, size/2)),
		"unsorted nulls":   under(true, append(bytes.Repeat([]byte{5, 0}, size/2), 4, 0)),
		"empty segments":   under(true, bytes.Repeat([]byte{4, 0}, size/2)),
		"segments":         under(true, bytes.Repeat([]byte{4, 1, 'x'}, size/3)),
		"repeated":         bytes.Repeat(whole, size/len(whole)),
	}
	for name, length := range longLengths {
		forms["length of "+name] = slices.Concat(der[p.start:p.start+1], length, content)
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

// hostileSample is a message in DER, and the path to that part of it that no sample before has.
type hostileSample struct {
	name string
	der  []byte
	path []int // nil: all of it
}

// hostileSamples returns messages that have, all together, every element that this package reads.
func hostileSamples(t testing.TB) []hostileSample {
	t.Helper()
	var list []hostileSample
	for _, name := range []string{
		"signed by two, a bag", "signed, stamped", "enveloped, every recipient", "authEnveloped, attributes", "encrypted, attributes",
		"enveloped, RC2", "compressed", "digested",
	} {
		part := map[string][]int{"signed, stamped": {1, 0, 4, 0, 6}, "enveloped, RC2": {1, 0, 2, 1}}[name]
		list = append(list, hostileSample{name, sampleInDER(t, name), part})
	}
	id := envIdentityNamed(t, "rsa")
	signer := Signer{Certificate: id.cert, Key: id.key, Scheme: RSASSAPSS, Digest: crypto.SHA256}
	signed, err := Sign(t.Context(), []byte(sampleText), SignedDataOptions{Signers: []Signer{signer}, Certificates: []*x509.Certificate{id.cert}})
	if err != nil {
		t.Fatal(err)
	}
	algorithm, err := oaepWith(t, crypto.SHA256, crypto.SHA1, []byte("label")).marshal()
	if err != nil {
		t.Fatal(err)
	}
	name := element(0x30, id.cert.RawIssuer, element(0x02, []byte{1}))
	e := cbcEnvelope(t, pad([]byte(sampleText), 16))
	e.recipients = [][]byte{element(0x30, element(0x02, []byte{0}), name, algorithm, element(0x04, make([]byte, 256)))}
	return append(list, hostileSample{"signed with PSS", signed, []int{1, 0, 4, 0, 4}}, hostileSample{"key transport", e.marshal(t), []int{1, 0, 1}})
}

// TestHostileMemory puts what is hostile in every place of every sample: what it takes to read it, to verify it and to unwrap
// its keys is bounded by the limits.
func TestHostileMemory(t *testing.T) {
	oneProcessor(t)
	limits := Limits{Structure: 16 << 10, Content: 64 << 10}
	const size = 12 << 10
	nested := nestedDER(size / 4)
	count, every := 0, 1
	if peertest.RaceEnabled {
		every = 11 // which divides neither the number of forms nor that of those for what has members
	}
	var most [3]uint64
	for _, sample := range hostileSamples(t) {
		within := pieceAt(t, sample.der, sample.path...)
		for i, p := range pieces(t, sample.der) {
			if p.start < within.start || p.start >= within.end || len(p.parents) > 8 { // inside values that are not looked at
				continue
			}
			forms := hostile(sample.der, p, size, nested)
			for _, form := range slices.Sorted(maps.Keys(forms)) {
				for _, indefinite := range []bool{true, false} {
					if count++; count%every != 0 {
						continue
					}
					took, err := hostileMemory(t, p.replace(sample.der, forms[form], indefinite), limits)
					if err != nil {
						t.Errorf("%s, element %d at %d, %s, indefinite %v: %v", sample.name, i, p.start, form, indefinite, err)
					}
					for stage := range most {
						most[stage] = max(most[stage], took[stage])
					}
				}
			}
		}
	}
	t.Logf("%d messages, at most %d octets of memory to read, to verify, to unwrap", count/every, most)
}

// hostileMemory reads a message, verifies it and unwraps its keys. It returns the octets of memory that each took, and an
// error where that is too much, or where an error is long.
func hostileMemory(t *testing.T, message []byte, limits Limits) (took [3]uint64, err error) {
	var all everything
	var failed error
	took[0] = taken(func() {
		if all, failed = readEverythingTo(t.Context(), io.Discard, bytes.NewReader(message), limits); failed == nil {
			all.ask()
		}
	})
	unwraps := 0
	if failed == nil {
		if s, ok := all.info.(*SignedData); ok && all.err == nil && len(s.SignerInfos) > 0 {
			took[1] = taken(func() { _, failed = all.verify() })
		}
		if e, ok := all.info.(*EnvelopedData); ok {
			took[2] = taken(func() { all.unwrap(t) })
			unwraps = 2 * len(e.Recipients) // for there are two keys to try
		}
	}
	bounds := [3]uint64{memoryFor(limits), verifyMemoryFor(limits), unwrapMemoryFor(limits) * uint64(unwraps)}
	for i, stage := range []string{"read", "verify", "unwrap"} {
		if took[i] > bounds[i] {
			err = errors.Join(err, fmt.Errorf("%d octets of memory to %s", took[i], stage))
		}
	}
	if failed = errors.Join(failed, all.err); failed != nil && len(failed.Error()) > 500 {
		err = errors.Join(err, fmt.Errorf("an error of %d octets", len(failed.Error())))
	}
	return took, err
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
	oneProcessor(t)
	size, lengths := 4<<20, []int{8 << 20, 16 << 10, 1000, 1}
	if peertest.RaceEnabled {
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
