package cms

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
)

// watchedSource fails the test if it is read when nobody may read it any more.
type watchedSource struct {
	t      *testing.T
	src    io.Reader
	closed bool
}

func (s *watchedSource) Read(p []byte) (int, error) {
	if s.closed {
		s.t.Error("read after readAhead had returned")
	}
	return s.src.Read(p)
}

// TestReadAhead reads sources of all lengths that matter. In a bubble of synctest, a goroutine that is left behind fails
// the test.
func TestReadAhead(t *testing.T) {
	whole := make([]byte, firstChunk+secondChunk+3*largeChunk)
	for i := range whole {
		whole[i] = byte(i * 7 >> 3)
	}
	for _, size := range []int{0, 1, 16, firstChunk - 1, firstChunk, firstChunk + 1, firstChunk + secondChunk, firstChunk + secondChunk + 1,
		firstChunk + secondChunk + largeChunk, firstChunk + secondChunk + 2*largeChunk + 5, len(whole)} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "halves": iotest.HalfReader, "data with error": iotest.DataErrReader,
		} {
			synctest.Test(t, func(t *testing.T) {
				src := &watchedSource{t: t, src: wrap(bytes.NewReader(whole[:size]))}
				var got []byte
				ends := 0
				err := readAhead(t.Context(), src, 16, func(buf []byte, end bool) error {
					if ends > 0 || len(buf) < 16 || !end && (len(buf)-16)%firstChunk != 0 {
						t.Errorf("%d octets %s: chunk of %d behind %d ends", size, name, len(buf), ends)
					}
					if end {
						ends++
					}
					got = append(got, buf[16:]...)
					clear(buf) // which is use's for as long as it runs
					return nil
				})
				src.closed = true
				if err != nil || ends != 1 || !bytes.Equal(got, whole[:size]) {
					t.Errorf("%d octets %s: %d came, %d ends, %v", size, name, len(got), ends, err)
				}
			})
		}
	}
}

// TestReadAheadStops breaks off at every chunk, in each way in which that can happen.
func TestReadAheadStops(t *testing.T) {
	broken := errors.New("broken")
	const size = firstChunk + secondChunk + 4*largeChunk
	for at := range 6 {
		synctest.Test(t, func(t *testing.T) {
			src := &watchedSource{t: t, src: &zeroReader{size}}
			count := 0
			err := readAhead(t.Context(), src, 0, func([]byte, bool) error {
				if count++; count > at {
					return broken
				}
				return nil
			})
			src.closed = true
			if !errors.Is(err, broken) || count != at+1 {
				t.Errorf("use fails at %d: %d calls, %v", at, count, err)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			left := []int64{100, firstChunk, firstChunk + secondChunk, firstChunk + secondChunk + 5, firstChunk + secondChunk + largeChunk, size - 1}[at]
			src := &watchedSource{t: t, src: io.MultiReader(&zeroReader{left}, iotest.ErrReader(broken))}
			err := readAhead(t.Context(), src, 0, func(_ []byte, end bool) error {
				if end {
					t.Error("an error is taken for the end")
				}
				return nil
			})
			src.closed = true
			if !errors.Is(err, broken) {
				t.Errorf("source fails behind %d octets: %v", left, err)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			src := &watchedSource{t: t, src: &zeroReader{size}}
			count := 0
			err := readAhead(ctx, src, 0, func([]byte, bool) error {
				if count++; count > at {
					cancel()
				}
				return nil
			})
			src.closed = true
			cancel()
			// Two chunks may have been read ahead, and may be used; so may the end.
			if !errors.Is(err, context.Canceled) && (at < 4 || err != nil) || count > at+3 {
				t.Errorf("cancelled at %d: %d calls, %v", at, count, err)
			}
		})
	}
}

// TestReadAheadSlowSource cancels while the source makes its reader wait: the call returns when the read does, and leaves
// nothing behind.
func TestReadAheadSlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		go func() {
			_, _ = w.Write(make([]byte, firstChunk+secondChunk+largeChunk))
			synctest.Wait() // the reader waits for more
			cancel()
			_, _ = w.Write([]byte{1})
			_ = w.CloseWithError(errors.New("nobody reads so far"))
		}()
		src := &watchedSource{t: t, src: r}
		err := readAhead(ctx, src, 0, func([]byte, bool) error { return nil })
		src.closed = true
		_ = r.Close()
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
