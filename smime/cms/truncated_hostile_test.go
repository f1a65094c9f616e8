package cms

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms/ber"
)

// farFromDER returns a message in DER in the form that is furthest from it: whatever is constructed, down to the values that
// are kept as they are, has an indefinite length, and octet strings are in segments.
func farFromDER(t testing.TB, der []byte) []byte {
	t.Helper()
	var out []byte
	var ends []int
	for _, p := range pieces(t, der) {
		for len(ends) > 0 && ends[len(ends)-1] <= p.start {
			out = append(out, 0, 0)
			ends = ends[:len(ends)-1]
		}
		h, _, err := ber.ParseHeader(der[p.start:])
		if err != nil {
			t.Fatal(err)
		}
		// The only other strings in a CMS message are under an implicit tag [0]: ciphertext and key identifiers.
		isString := h.Is(ber.Universal, ber.TagOctetString) || h.Is(ber.ContextSpecific, 0)
		switch {
		case h.Constructed:
			h.Length = ber.Indefinite
			out = ber.AppendHeader(out, h)
			ends = append(ends, p.end)
		case isString:
			h.Constructed, h.Length = true, ber.Indefinite
			out = ber.AppendHeader(out, h)
			for segment := range slices.Chunk(der[p.content:p.end], max(1, min(10_000, (p.end-p.content+1)/2))) {
				out = append(out, 0x24, 0x80) // a segment may hold segments
				out = ber.AppendElement(out, ber.Universal, false, ber.TagOctetString, segment)
				out = append(out, 0, 0)
			}
			out = append(out, 0, 0)
		default:
			out = append(out, der[p.start:p.end]...)
		}
	}
	return append(out, bytes.Repeat([]byte{0, 0}, len(ends))...)
}

// checkCut reads the first n octets of a message and checks that this is an error that says so, and that no signature holds.
func checkCut(t *testing.T, name string, message []byte, n int) {
	t.Helper()
	all, err := readEverythingTo(t.Context(), io.Discard, bytes.NewReader(message[:n]), Limits{})
	if err = errors.Join(err, all.err); !errors.Is(err, ErrMalformed) {
		t.Errorf("%s, cut to %d of %d octets: %v", name, n, len(message), err)
	}
	if s, ok := all.info.(*SignedData); ok {
		digest, err := NewContentDigest(crypto.SHA256, crypto.SHA512)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = digest.Write([]byte(sampleText)) // never fails
		if v, err := s.Verify(digest, VerifyOptions{ContentType: s.EContentType, AllowWeak: true}); err == nil || len(v) > 0 {
			t.Errorf("%s, cut to %d of %d octets: %d signatures were looked at, %v", name, n, len(message), len(v), err)
		}
	}
}

// TestHostileTruncated cuts every sample short at each octet: as it was written, which for some is DER and for some is not,
// and in the form that is furthest from it.
func TestHostileTruncated(t *testing.T) {
	every := 1
	if peertest.RaceEnabled {
		every = 7
	}
	for name, message := range sampleMessages(t) {
		der, err := ber.ToDER(message, ber.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := readEverything(t.Context(), bytes.NewReader(message), Limits{})
		if err = errors.Join(err, whole.err); err != nil && !errors.Is(err, ErrDecrypt) { // some are under a key that is not there
			t.Fatalf("%s, whole: %v", name, err)
		}
		far := farFromDER(t, der)
		all, errFar := readEverything(t.Context(), bytes.NewReader(far), Limits{})
		if errFar = errors.Join(errFar, all.err); kindOfError(errFar) != kindOfError(err) || !bytes.Equal(all.content, whole.content) {
			t.Fatalf("%s, far from DER: %q, %v", name, all.content, errFar)
		}
		for form, message := range map[string][]byte{"": message, ", far from DER": far} {
			for n := 0; n < len(message); n += every {
				checkCut(t, name+form, message, n)
			}
		}
	}
}

// TestHostileTruncatedLong cuts messages with a long content short: at the ends of every element and header, and in the
// content, which is read ahead, at and about the ends of the chunks.
func TestHostileTruncatedLong(t *testing.T) {
	content := make([]byte, firstChunk+secondChunk+2*largeChunk+10_000)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	id, err := sampleSigner()
	if err != nil {
		t.Fatal(err)
	}
	scheme, hash, err := DefaultSignature(id.cert)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := Sign(t.Context(), content, SignedDataOptions{Signers: []Signer{{Certificate: id.cert, Key: id.key, Scheme: scheme, Digest: hash}}})
	if err != nil {
		t.Fatal(err)
	}
	contentType := attributeDER(t, OIDAttributeContentType, oidElement(t, OIDData))
	cbc, gcm := cbcEnvelope(t, pad(slices.Clone(content), 16)), gcmEnvelope(t, content, 16, contentType)
	cbc.unauthed, gcm.unauthed = element(0xa1, contentType), element(0xa2, contentType)
	for name, der := range map[string][]byte{
		"signed":     signed,
		"CBC":        cbc.marshal(t),
		"GCM":        gcm.marshal(t),
		"encrypted":  cbc.encryptedData(t),
		"compressed": compress(t, content),
		"digested":   digested(t, oidSHA256, element(0xa0, element(0x04, content)), digestOf(crypto.SHA256, content)),
	} {
		for form, message := range map[string][]byte{"DER": der, "far from DER": farFromDER(t, der)} {
			all, err := readEverythingTo(t.Context(), io.Discard, bytes.NewReader(message), Limits{})
			if err := errors.Join(err, all.err); err != nil {
				t.Fatalf("%s, %s, whole: %v", name, form, err)
			}
			for i, n := range cuts(t, message) {
				if peertest.RaceEnabled && i%5 != 0 {
					continue
				}
				checkCut(t, name+", "+form, message, n)
			}
		}
	}
}

// cuts returns where to cut a message with a long content.
func cuts(t testing.TB, message []byte) []int {
	t.Helper()
	var list []int
	about := func(at int) {
		for _, n := range []int{at - 1, at, at + 1} {
			if n >= 0 && n < len(message) {
				list = append(list, n)
			}
		}
	}
	for at, count := 0, 0; at < len(message); count++ {
		h, n, err := ber.ParseHeader(message[at:])
		if err != nil || n == 0 {
			t.Fatalf("no header at %d: %v", at, err)
		}
		// Between its ends, a content may have many segments: some of them will do.
		if at < 2000 || len(message)-at < 2000 || count%20 == 0 {
			about(at)
			about(at + n)
		}
		at += n
		if h.Constructed {
			continue
		}
		for _, chunks := range []int{firstChunk, firstChunk + secondChunk, firstChunk + secondChunk + largeChunk} {
			if h.Length > int64(chunks) {
				about(at + chunks)
			}
		}
		at += int(h.Length)
	}
	return slices.Compact(list)
}
