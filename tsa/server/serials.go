package server

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"

	"github.com/sealmail/sealmail/internal/safeio"
)

// Errors about the directory in which an authority keeps its state.
var (
	// ErrStateInUse says that another authority is using the directory.
	ErrStateInUse = errors.New("state of the time-stamp authority is in use")
	// ErrState says that the state cannot be read or is used up. Going on without it could repeat a serial number.
	ErrState = errors.New("state of the time-stamp authority is not usable")
)

const (
	stateFile = "serials.json"
	lockFile  = "lock"

	// blockSize is how many serial numbers are reserved at a time: one fsync for as many tokens, and as many numbers
	// lost in a kill.
	blockSize = 1024

	// maxState bounds the state file, in octets.
	maxState = 1 << 10
)

// state is what the state file holds.
type state struct {
	Version  int    `json:"version"`
	Prefix   uint64 `json:"prefix"`   // random, chosen once: the upper half of every serial number
	Reserved uint64 `json:"reserved"` // the first counter that may not have been used

	// Until is the latest time that an ordered token may have, in microseconds since 1970.
	Until int64 `json:"until,omitempty"`
}

// stateVersion is the one version of the state file that there is.
const stateVersion = 1

// serials hands out numbers that were never handed out before and never will be again, whatever happens to the
// process (RFC 3161 section 2.4.2: "even after a possible interruption"). Numbers are a random prefix and a counter.
// The counter is reserved in blocks, on the disk before the first of a block is used; should the whole state be lost,
// the new prefix keeps the numbers apart from the old ones.
type serials struct {
	disk safeio.Disk
	path string
	lock *flock.Flock

	mu     sync.Mutex
	state  state  // what is on the disk
	next   uint64 // below state.Reserved: reserved and not used
	last   int64  // the time of the last ordered token, in microseconds; up to state.Until
	closed bool
}

func openSerials(disk safeio.Disk, dir string) (*serials, error) {
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !locked {
		return nil, fmt.Errorf("%w: %s", ErrStateInUse, dir)
	}
	s := &serials{disk: disk, path: filepath.Join(dir, stateFile), lock: lock}
	if err := s.load(dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

func (s *serials) load(dir string) error {
	if err := safeio.RemoveStale(dir); err != nil {
		return err
	}
	var err error
	s.state, err = readState(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		s.state, err = newState()
	}
	if err != nil {
		return err
	}
	// What was reserved by whoever came before counts as used.
	s.next, s.last = s.state.Reserved, s.state.Until
	st, err := s.state.more()
	if err != nil {
		return err
	}
	return s.keep(st)
}

func newState() (state, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return state{}, fmt.Errorf("prefix of serial numbers: %w", err)
	}
	// 62 random bits below a 1, so that all numbers are positive and of one length.
	prefix := binary.BigEndian.Uint64(b[:])>>1 | 1<<62
	return state{Version: stateVersion, Prefix: prefix}, nil
}

func readState(path string) (state, error) {
	f, err := os.Open(path)
	if err != nil {
		return state{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return state{}, err
	}
	var st state
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&st); err != nil {
		return state{}, fmt.Errorf("%w: %s: %w", ErrState, path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return state{}, fmt.Errorf("%w: %s: something follows", ErrState, path)
	}
	if st.Version != stateVersion {
		return state{}, fmt.Errorf("%w: %s has version %d", ErrState, path, st.Version)
	}
	if st.Prefix>>62 != 1 {
		return state{}, fmt.Errorf("%w: %s has no prefix", ErrState, path)
	}
	return st, nil
}

// more returns the state with one more block.
func (st state) more() (state, error) {
	if st.Reserved > math.MaxUint64-blockSize {
		return st, fmt.Errorf("%w: serial numbers are used up", ErrState)
	}
	st.Reserved += blockSize
	return st, nil
}

// keep brings the state to the disk.
func (s *serials) keep(st state) error {
	data, err := json.Marshal(st)
	if err != nil {
		return err
	}
	if err := s.disk.WriteFile(s.path, append(data, '\n'), 0o600); err != nil {
		return err
	}
	s.state = st
	return nil
}

// take returns a serial number of 127 bits.
func (s *serials) take() (*big.Int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeNext(s.state)
}

// takeNext is take within a state that may be ahead of the disk's; it is brought there before the number is used.
func (s *serials) takeNext(st state) (*big.Int, error) {
	if s.closed {
		return nil, fmt.Errorf("%w: closed", ErrState)
	}
	if s.next == st.Reserved {
		var err error
		if st, err = st.more(); err != nil {
			return nil, err
		}
	}
	if st != s.state {
		if err := s.keep(st); err != nil {
			return nil, err
		}
	}
	n := new(big.Int).SetUint64(s.state.Prefix)
	n.Lsh(n, 64)
	n.Or(n, new(big.Int).SetUint64(s.next))
	s.next++
	return n, nil
}

func (s *serials) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(s.settle(), s.lock.Close())
}
