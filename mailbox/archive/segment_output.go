package archive

import (
	"crypto/sha512"
	"hash"
	"sync"
)

// writtenAtOnce is how many octets of a ZIP file go to the storage together.
const writtenAtOnce = 256 << 10

// segmentOutput brings a ZIP file into the storage and makes its digest beside that, which has a CPU of its own if there is one.
type segmentOutput struct {
	object          ObjectWriter
	size            int64
	sum             hash.Hash // of all, once it is committed
	filling, hashed []byte
	hashing         sync.WaitGroup // has the digest, and what is hashed
}

func newSegmentOutput(object ObjectWriter) *segmentOutput {
	return &segmentOutput{object: object, sum: sha512.New()}
}

// Write takes octets, which may lie in memory until the next ones come.
func (o *segmentOutput) Write(p []byte) (n int, err error) {
	for n < len(p) {
		take := min(len(p)-n, writtenAtOnce-len(o.filling))
		o.filling = append(o.filling, p[n:n+take]...)
		n += take
		o.size += int64(take)
		if len(o.filling) == writtenAtOnce {
			if err := o.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush writes what lies in memory.
func (o *segmentOutput) flush() error {
	o.hashing.Wait()
	o.filling, o.hashed = o.hashed[:0], o.filling
	data := o.hashed
	o.hashing.Go(func() { o.sum.Write(data) }) // hashes do not fail
	_, err := o.object.Write(data)
	return err
}

// commit makes the object.
func (o *segmentOutput) commit() error {
	if err := o.flush(); err != nil {
		return err
	}
	o.hashing.Wait()
	return o.object.Commit()
}
