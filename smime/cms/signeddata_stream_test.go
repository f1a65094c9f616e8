package cms_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

func TestWriterStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w, err := cms.NewSignedDataWriter(ctx, io.Discard, options(testP256()))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := w.Write([]byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Write: %v", err)
	}
	if err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v", err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("Write after Close succeeded")
	}

	full := errors.New("disk full")
	if w, err = cms.NewSignedDataWriter(t.Context(), failingWriter{full}, options(testP256())); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(make([]byte, 1<<20))
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("Close with a full disk: %v", err)
	}
	if _, err := cms.Sign(ctx, nil, options(testP256())); !errors.Is(err, context.Canceled) {
		t.Errorf("Sign: %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// emptySegments are segments of an octet string without content, 64 MiB of them. On the way it cancels a context.
type emptySegments struct {
	read, cancelAt int
	cancel         context.CancelFunc
}

func (e *emptySegments) Read(p []byte) (int, error) {
	if e.read > 64<<20 {
		return 0, io.EOF
	}
	p = p[:len(p)&^1]
	for i := range p {
		p[i] = []byte{4, 0}[i%2]
	}
	if e.read += len(p); e.read >= e.cancelAt {
		e.cancel()
	}
	return len(p), nil
}

func TestReadStops(t *testing.T) {
	message := stream(t, make([]byte, 100_000), options(testP256()))
	open := func(l cms.Limits) *cms.SignedData {
		info, err := cms.Read(bytes.NewReader(message), l)
		if err != nil {
			t.Fatal(err)
		}
		return info.(*cms.SignedData)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(cms.Limits{}).ReadContent(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	// Segments without end, and nothing in them.
	ctx, cancel = context.WithCancel(t.Context())
	head := message[:bytes.Index(message, []byte{0x24, 0x80})+2]
	info, err := cms.Read(io.MultiReader(bytes.NewReader(head), &emptySegments{cancelAt: 1 << 20, cancel: cancel}), cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := info.(*cms.SignedData).ReadContent(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled among empty segments: %v", err)
	}
	full := errors.New("disk full")
	if _, err := open(cms.Limits{}).ReadContent(t.Context(), failingWriter{full}); !errors.Is(err, full) {
		t.Errorf("full disk: %v", err)
	}
	if _, err := open(cms.Limits{Content: 99_999}).ReadContent(t.Context(), nil); !errors.Is(err, cms.ErrTooLarge) {
		t.Errorf("limit on content: %v", err)
	}
	s := open(cms.Limits{Content: 100_000})
	if _, err := s.ReadContent(t.Context(), nil); err != nil {
		t.Errorf("content just at the limit: %v", err)
	}
	if _, err := s.ReadContent(t.Context(), nil); err == nil {
		t.Error("content was read twice")
	}
}

// zeros is a content of some length that takes no memory.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	clear(p[:n])
	z.left -= int64(n)
	return n, nil
}

func TestConstantMemory(t *testing.T) {
	const size = 64 << 20
	r, w := io.Pipe()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	go func() {
		sw, err := cms.NewSignedDataWriter(t.Context(), w, options(testP256()))
		if err == nil {
			_, err = io.Copy(sw, &zeros{size})
		}
		if err == nil {
			err = sw.Close()
		}
		w.CloseWithError(err)
	}()
	info, err := cms.Read(r, cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s := info.(*cms.SignedData)
	digest, err := s.ReadContent(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SignerInfos[0].Verify(testP256().cert, digest, cms.VerifyOptions{ContentType: cms.OIDData}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if digest.Size() != size {
		t.Errorf("%d octets of content", digest.Size())
	}
	if total := after.TotalAlloc - before.TotalAlloc; total > 4<<20 {
		t.Errorf("signing and reading %d octets allocated %d", size, total)
	}

	// The same where the content is beside the signature.
	o := options(testP256())
	o.Detached = true
	signature := stream(t, nil, o)
	runtime.ReadMemStats(&before)
	if info, err = cms.Read(bytes.NewReader(signature), cms.Limits{}); err != nil {
		t.Fatal(err)
	}
	if digest, err = info.(*cms.SignedData).ReadDetached(t.Context(), &zeros{size}); err != nil || digest.Size() != size {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if total := after.TotalAlloc - before.TotalAlloc; total > 1<<20 {
		t.Errorf("reading %d octets beside a signature allocated %d", size, total)
	}
}
