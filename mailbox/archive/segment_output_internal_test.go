package archive

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"testing"
)

// keptObject is an ObjectWriter that keeps what it gets, until it has enough.
type keptObject struct {
	bytes.Buffer
	enough    int
	committed bool
}

var errEnough = errors.New("enough")

func (o *keptObject) Write(p []byte) (int, error) {
	if o.Len()+len(p) > o.enough {
		return 0, errEnough
	}
	return o.Buffer.Write(p)
}

func (o *keptObject) Commit() error {
	o.committed = true
	return nil
}

func (o *keptObject) Abort() error { return nil }

// TestSegmentOutput: what arrives is what was written, and so is its digest, however it comes.
func TestSegmentOutput(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789a"), 3*writtenAtOnce/11)
	for _, piece := range []int{1000, writtenAtOnce, writtenAtOnce + 1, len(data)} {
		object := &keptObject{enough: len(data)}
		o := newSegmentOutput(object)
		for rest := data; len(rest) > 0; {
			n := min(piece, len(rest))
			given := bytes.Clone(rest[:n])
			if _, err := o.Write(given); err != nil {
				t.Fatal(err)
			}
			clear(given)
			rest = rest[n:]
		}
		if err := o.commit(); err != nil || !object.committed {
			t.Fatal(err)
		}
		if want := sha512.Sum512(data); !bytes.Equal(object.Bytes(), data) || o.size != int64(len(data)) || !bytes.Equal(o.sum.Sum(nil), want[:]) {
			t.Errorf("pieces of %d: something else was written, or hashed", piece)
		}
	}
}

// TestSegmentOutputFails: an object that was not written whole is not made.
func TestSegmentOutputFails(t *testing.T) {
	for _, enough := range []int{0, writtenAtOnce, 2 * writtenAtOnce} {
		object := &keptObject{enough: enough}
		o := newSegmentOutput(object)
		n, err := o.Write(make([]byte, 2*writtenAtOnce+1))
		if err == nil {
			err = o.commit()
		} else if n > enough+writtenAtOnce {
			t.Errorf("%d octets were taken, and there is room for %d", n, enough)
		}
		if !errors.Is(err, errEnough) || object.committed {
			t.Errorf("%d octets: %v, made %t", enough, err, object.committed)
		}
	}
}
