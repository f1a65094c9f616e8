package bag

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"sync"
)

// hashedAtOnce is how many octets are gathered until they are hashed: many small files, or a piece of a large one.
const hashedAtOnce = 256 << 10

// hashes makes the checksums of files that are written one after the other, beside their writing: two digests take longer than all
// else. It is for use by one goroutine.
type hashes struct {
	gathered, hashed batch
	running          *sync.WaitGroup // has what is hashed, and the digests, until it is done
	sha512, sha256   hash.Hash       // of the file in whose midst they are
}

// batch is what is written of files, without gaps.
type batch struct {
	data []byte
	ends []fileEnd
}

// fileEnd is where in a batch a file ends.
type fileEnd struct {
	at   int
	file *File // gets the checksums
}

func newHashes() hashes {
	return hashes{running: &sync.WaitGroup{}, sha512: sha512.New(), sha256: sha256.New()}
}

// write takes more of the file.
func (h *hashes) write(p []byte) {
	for len(p) > 0 {
		n := min(len(p), hashedAtOnce-len(h.gathered.data))
		h.gathered.data = append(h.gathered.data, p[:n]...)
		if p = p[n:]; len(h.gathered.data) == hashedAtOnce {
			h.start()
		}
	}
}

// end is where the file is complete: its checksums are there after wait, and what is written next is of another one.
func (h *hashes) end(f *File) {
	h.gathered.ends = append(h.gathered.ends, fileEnd{len(h.gathered.data), f})
}

// wait returns when the checksums of all files that are complete are there.
func (h *hashes) wait() {
	h.start()
	h.running.Wait()
}

// start has what is gathered hashed, once that before it is.
func (h *hashes) start() {
	h.running.Wait()
	h.gathered, h.hashed = batch{h.hashed.data[:0], h.hashed.ends[:0]}, h.gathered
	work := h.hashed
	h.running.Go(func() { h.hash(work) })
}

func (h *hashes) hash(work batch) {
	done := 0
	take := func(to int) {
		_, _ = h.sha512.Write(work.data[done:to]) // hashes do not fail
		_, _ = h.sha256.Write(work.data[done:to])
		done = to
	}
	for _, end := range work.ends {
		take(end.at)
		h.sha512.Sum(end.file.SHA512[:0])
		h.sha256.Sum(end.file.SHA256[:0])
		h.sha512.Reset()
		h.sha256.Reset()
	}
	take(len(work.data))
}
