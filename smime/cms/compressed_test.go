package cms

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
)

// deflated returns text as a ZLIB stream.
func deflated(t testing.TB, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// compression is a CompressedData in its parts, for building ones that no writer writes.
type compression struct {
	version, algorithm []byte
	eContentType       asn1.ObjectIdentifier
	content            []byte // members of the EncapsulatedContentInfo behind its type
	surplus, trailing  []byte
}

func compressionOf(t testing.TB, stream []byte) compression {
	t.Helper()
	return compression{
		version: element(0x02, []byte{0}), algorithm: element(0x30, oidElement(t, oidZlibCompress)), eContentType: OIDData,
		content: element(0xa0, element(0x04, stream)),
	}
}

func (c compression) marshal(t testing.TB) []byte {
	t.Helper()
	info := element(0x30, oidElement(t, c.eContentType), c.content)
	body := element(0x30, c.version, c.algorithm, info, c.surplus)
	return append(element(0x30, oidElement(t, OIDCompressedData), element(0xa0, body)), c.trailing...)
}

// compress returns text as a CompressedData.
func compress(t testing.TB, text []byte) []byte {
	return compressionOf(t, deflated(t, text)).marshal(t)
}

func decompress(ctx context.Context, src io.Reader, l Limits) (*CompressedData, []byte, error) {
	info, err := Read(src, l)
	if err != nil {
		return nil, nil, err
	}
	c, ok := info.(*CompressedData)
	if !ok {
		return nil, nil, errors.New("not CompressedData")
	}
	var out bytes.Buffer
	err = c.Decompress(ctx, &out)
	return c, out.Bytes(), err
}

// TestDecompressVectors reads what others compressed.
func TestDecompressVectors(t *testing.T) {
	for name, tt := range map[string]struct{ hex, want string }{
		"Bouncy Castle 1.72, CMSCompressedDataGenerator": {"3080060b2a864886f70d0109100109a0803080020100300d060b2a864886f70d0109100308308006092a864886" +
			"f70d010701a0800441789c73cecf2b49cd2bd10da92c48b5522849ad28d12fc849cccce3e5e2e572cecf2d284a2d2e4e4d5148aa5470ca2fcd4bae54704e2c2ec949" +
			"e5e5020043b6136e00000000000000000000", "Compressed by Bouncy Castle"},
		"Bouncy Castle 1.72, CMSCompressedDataStreamGenerator": {"3080060b2a864886f70d0109100109a0803080020100300d060b2a864886f70d010910030830800609" +
			"2a864886f70d010701a08024800441789c73cecf2b49cd2bd10da92c48b5522849ad28d12fc849cccce3e5e2e572cecf2d284a2d2e4e4d5148aa5470ca2fcd4bae54" +
			"704e2c2ec949e5e5020043b6136e000000000000000000000000", "Compressed by Bouncy Castle"},
		"by hand, zlib 1.2.13 at level 9": {"305d060b2a864886f70d0109100109a04e304c020100300d060b2a864886f70d0109100308303806092a864886f70d010701a02b042978" +
			"da73cecf2b49cd2bd10da92c48b5522849ad28d12fc849cccce3e5e2e54a4c4ae6e50200c81d0a78", "abc"},
	} {
		message, err := hex.DecodeString(tt.hex)
		if err != nil {
			t.Fatal(err)
		}
		c, got, err := decompress(t.Context(), bytes.NewReader(message), Limits{})
		if err != nil || string(got) != "Content-Type: text/plain\r\n\r\n"+tt.want+"\r\n" || !c.EContentType.Equal(OIDData) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestDecompress(t *testing.T) {
	text := bytes.Repeat([]byte("some text to compress "), 5000)
	stream := deflated(t, text)
	with := func(change func(*compression)) []byte {
		c := compressionOf(t, stream)
		change(&c)
		return c.marshal(t)
	}
	var stored bytes.Buffer
	w, err := zlib.NewWriterLevel(&stored, zlib.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string][]byte{
		"ordinary":        with(func(*compression) {}),
		"parameters NULL": with(func(c *compression) { c.algorithm = element(0x30, oidElement(t, oidZlibCompress), derNull) }),
		"segments": with(func(c *compression) {
			c.content = element(0xa0, element(0x24, element(0x04, stream[:1]), element(0x04), element(0x04, stream[1:50]), element(0x04, stream[50:])))
		}),
		"indefinite": with(func(c *compression) {
			c.content = append([]byte{0xa0, 0x80, 0x24, 0x80}, append(element(0x04, stream), 0, 0, 0, 0)...)
		}),
		"stored":          compressionOf(t, stored.Bytes()).marshal(t),
		"line end behind": with(func(c *compression) { c.trailing = []byte("\r\n") }),
		"another type":    with(func(c *compression) { c.eContentType = OIDSignedData }),
		"version 3":       with(func(c *compression) { c.version = element(0x02, []byte{3}) }),
	} {
		for _, src := range []io.Reader{bytes.NewReader(message), iotest.OneByteReader(bytes.NewReader(message)), iotest.DataErrReader(bytes.NewReader(message))} {
			c, got, err := decompress(t.Context(), src, Limits{})
			if err != nil || !bytes.Equal(got, text) {
				t.Fatalf("%s: %d octets, %v", name, len(got), err)
			}
			if !c.ContentType().Equal(OIDCompressedData) || c.Supported() != nil {
				t.Errorf("%s: %v, %v", name, c.ContentType(), c.Supported())
			}
			if err := c.Decompress(t.Context(), io.Discard); err == nil {
				t.Errorf("%s: decompressed twice", name)
			}
		}
	}
	if _, got, err := decompress(t.Context(), bytes.NewReader(compress(t, nil)), Limits{}); err != nil || len(got) != 0 {
		t.Errorf("nothing: %q, %v", got, err)
	}
}

func TestDecompressRefuses(t *testing.T) {
	stream := deflated(t, []byte("text"))
	changed := func(at int, xor byte) []byte {
		s := bytes.Clone(stream)
		s[(at+len(s))%len(s)] ^= xor
		return s
	}
	octets := func(stream []byte) func(*compression) {
		return func(c *compression) { c.content = element(0xa0, element(0x04, stream)) }
	}
	dictionary := []byte{0x78, 0xbb, 1, 2, 3, 4}
	for name, tt := range map[string]struct {
		change func(*compression)
		want   error // nil: an UnsupportedError
	}{
		"algorithm":      {func(c *compression) { c.algorithm = element(0x30, oidElement(t, OIDData)) }, nil},
		"parameters":     {func(c *compression) { c.algorithm = element(0x30, oidElement(t, oidZlibCompress), element(0x04)) }, nil},
		"no content":     {func(c *compression) { c.content = nil }, nil},
		"empty content":  {func(c *compression) { c.content = element(0xa0) }, ErrMalformed},
		"PKCS #7":        {func(c *compression) { c.content = element(0xa0, element(0x30)) }, nil},
		"no stream":      {octets(nil), ErrMalformed},
		"header":         {octets(changed(0, 1)), ErrMalformed},
		"block":          {octets(changed(2, 7)), ErrMalformed},
		"checksum":       {octets(changed(-1, 1)), ErrMalformed},
		"cut":            {octets(stream[:len(stream)-1]), ErrMalformed},
		"cut early":      {octets(stream[:3]), ErrMalformed},
		"dictionary":     {octets(dictionary), ErrMalformed},
		"octet behind":   {octets(append(bytes.Clone(stream), 0)), ErrMalformed},
		"stream behind":  {octets(append(bytes.Clone(stream), stream...)), ErrMalformed},
		"second content": {func(c *compression) { c.content = append(c.content, element(0x04)...) }, ErrMalformed},
		"surplus":        {func(c *compression) { c.surplus = element(0xa1) }, ErrMalformed},
		"data behind":    {func(c *compression) { c.trailing = []byte("x") }, ErrTrailing},
		"version":        {func(c *compression) { c.version = element(0x02, []byte{0xff}) }, ErrMalformed},
	} {
		c := compressionOf(t, stream)
		tt.change(&c)
		_, _, err := decompress(t.Context(), bytes.NewReader(c.marshal(t)), Limits{})
		var unsupported *UnsupportedError
		if tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && !errors.As(err, &unsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	message := compressionOf(t, stream).marshal(t)
	for n := range message {
		if _, _, err := decompress(t.Context(), bytes.NewReader(message[:n]), Limits{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// deflatedZeros returns so many MiB of zeros as a ZLIB stream, in time that does not grow with them.
func deflatedZeros(t testing.TB, mebibytes int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	next := func() []byte { // the octets for one MiB more
		out.Reset()
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(out.Bytes())
	}
	first, further := next(), next()
	stream := append(first, bytes.Repeat(further, mebibytes-1)...)
	stream = append(stream, 1, 0, 0, 0xff, 0xff) // RFC 1951 section 3.2.4: a last block, of nothing
	// RFC 1950 section 8: of the two sums of Adler-32, the one over zeros stays 1, and the other counts them.
	return binary.BigEndian.AppendUint32(stream, uint32(mebibytes<<20%65521)<<16|1)
}

// TestDecompressBomb stops what swells, before it did.
func TestDecompressBomb(t *testing.T) {
	const ratio = 1000 // that deflate comes close to
	zeros := func(n int) []byte { return compress(t, make([]byte, n)) }
	many := func(mebibytes int) []byte { return compressionOf(t, deflatedZeros(t, mebibytes)).marshal(t) }
	for name, tt := range map[string]struct {
		message []byte
		limits  Limits
		want    error
		most    int64 // octets that come out
	}{
		"small":                   {zeros(freeContent), Limits{}, nil, freeContent},
		"ratio":                   {many(256), Limits{Ratio: 40}, ErrTooLarge, 11 << 20},
		"ratio of 2":              {many(8), Limits{Ratio: 2}, ErrTooLarge, 2 << 20},
		"ratio below none":        {many(64), Limits{Ratio: -1}, ErrTooLarge, 14 << 20},
		"ratio that is enough":    {many(8), Limits{Ratio: 2 * ratio}, nil, 8 << 20},
		"content":                 {many(8), Limits{Ratio: 2 * ratio, Content: 1 << 20}, ErrTooLarge, 1 << 20},
		"content, smaller":        {zeros(1000), Limits{Content: 999}, ErrTooLarge, 999},
		"content that is enough":  {zeros(1000), Limits{Content: 1000}, nil, 1000},
		"content over what is so": {many(8), Limits{Content: 1 << 40}, ErrTooLarge, 3 << 20},
	} {
		info, err := Read(bytes.NewReader(tt.message), tt.limits)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		var out countingWriter
		runtime.ReadMemStats(&before)
		err = info.(*CompressedData).Decompress(t.Context(), &out)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, tt.want) || int64(out) > tt.most {
			t.Errorf("%s: %d octets of %d, %v", name, int64(out), len(tt.message), err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 256<<10 {
			t.Errorf("%s: takes %d octets of memory", name, took)
		}
	}
	// Exactly what the ratio allows, and one octet less of it.
	text := append(make([]byte, 2<<20), bytes.Repeat([]byte("0123456789"), 100)...)
	stream := deflated(t, text)
	exact := (len(text) + len(stream) - 1) / len(stream)
	for ratio, want := range map[int]error{exact: nil, exact - 1: ErrTooLarge} {
		if _, got, err := decompress(t.Context(), bytes.NewReader(compressionOf(t, stream).marshal(t)), Limits{Ratio: ratio}); !errors.Is(err, want) {
			t.Errorf("ratio %d: %d octets, %v", ratio, len(got), err)
		}
	}
}

func TestDecompressErrorsOfOthers(t *testing.T) {
	message := compress(t, make([]byte, 10_000))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := decompress(ctx, bytes.NewReader(message), Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	broken := errors.New("broken")
	for n := 1; n < len(message); n++ {
		src := io.MultiReader(bytes.NewReader(message[:n]), iotest.ErrReader(broken))
		if _, _, err := decompress(t.Context(), src, Limits{}); !errors.Is(err, broken) || errors.Is(err, ErrMalformed) {
			t.Errorf("source that breaks at %d: %v", n, err)
		}
	}
	info, err := Read(bytes.NewReader(message), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := info.(*CompressedData).Decompress(t.Context(), failingWriter{broken}); !errors.Is(err, broken) || errors.Is(err, ErrMalformed) {
		t.Errorf("quarantine that breaks: %v", err)
	}
}
