package interop

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

func TestMain(m *testing.M) { peertest.Main(m) }

var update = flag.Bool("update", false, "write docs/interop.md from what is found, to be read before it is committed")

// content needs no canonicalisation, is longer than a segment of any stream, and is no whole number of cipher blocks.
var content = []byte("Content-Type: text/plain\r\n\r\n" + strings.Repeat("All work and no play makes Jack a dull boy.\r\n", 500))

// peer is another implementation. Its methods may be called from several goroutines.
//
// An error of type limit says in the peer's own words what it cannot do; a failure of the harness ends the test.
type peer interface {
	// write makes a message of this form, of content.
	write(t testing.TB, f form) ([]byte, error)
	// read verifies, decrypts or opens a message of this form, and returns its content. detached is the content of a
	// detached signature.
	read(t testing.TB, f form, message, detached []byte) ([]byte, error)
}

// limit is what a peer cannot do, in its words.
type limit string

var (
	octetsInWords = regexp.MustCompile(`\b[0-9A-Fa-f]{16,}\b`) // which differ from run to run
	wordsCap      = 120
)

// Error returns the words, shortened to a line that is the same in each run.
func (l limit) Error() string {
	words := strings.Join(strings.Fields(octetsInWords.ReplaceAllString(string(l), "…")), " ")
	if len(words) > wordsCap {
		words = words[:strings.LastIndex(words[:wordsCap], " ")] + " …"
	}
	return words
}

// noOption is what the manual of a peer says by silence.
const noOption = limit("has no option for it")

// voice is a peer before it is set up.
type voice struct {
	name  string // in the table's head
	needs func(t testing.TB)
	start func(t testing.TB, p *pki) (made peer, version string)
	how   string // how its cells are made
}

// note is what is to be said of a cell in which all has passed.
func (v voice) note(f form) string {
	parts := f.kind == digestedData
	for _, r := range f.recipients {
		parts = parts || r.static || byParts(r)
	}
	if parts && v.name == "Bouncy Castle" {
		return ", by its parts"
	}
	return ""
}

// voices are the peers, in the order of the table's columns.
var voices = []voice{
	{"OpenSSL", programs("openssl"), startOpenSSL, openSSLHow},
	{"GnuPG", programs("gpgsm", "gpgconf"), startGPGSM, gpgsmHow},
	{"NSS", programs("certutil", "pk12util", "cmsutil"), startNSS, nssHow},
	{"Bouncy Castle", needsBouncyCastle, startBouncyCastle, bouncyCastleHow},
	{"pkcs7", programs(), startPKCS7, pkcs7How},
}

func programs(names ...string) func(testing.TB) {
	return func(t testing.TB) {
		for _, name := range names {
			peertest.Command(t, name)
		}
	}
}

// started is a peer that is there.
type started struct {
	voice
	peer
	version string
	made    sync.Map // form, printed, to a function that returns what write makes of it, once
}

// make is write, once for each form: several cells look at the same message.
func (s *started) make(t testing.TB, f form) ([]byte, error) {
	t.Helper()
	once := sync.OnceValues(func() ([]byte, error) { return s.write(t, f) })
	made, _ := s.made.LoadOrStore(fmt.Sprintf("%+v", f), once)
	return made.(func() ([]byte, error))()
}

func (s *started) String() string { return s.name }

// direction is one half of the table.
type direction int

const (
	weWrite direction = iota
	weRead
)

// cell is the place of one result.
type cell struct {
	direction     direction
	section, form string
	peer          string
}

func (c cell) String() string {
	if c.direction == weWrite {
		return fmt.Sprintf("%s, %s: sealmail writes, %s reads", c.section, c.form, c.peer)
	}
	return fmt.Sprintf("%s, %s: %s writes, sealmail reads", c.section, c.form, c.peer)
}

// results are the cells as they are found.
type results struct {
	sync.Mutex
	cells map[cell]string
}

func (r *results) note(c cell, text string) {
	r.Lock()
	defer r.Unlock()
	r.cells[c] = text
}

// yes stands in a cell where all has passed.
const yes = "yes"

// TestTable exchanges every form with every peer, both ways, and compares what comes out with docs/interop.md. What a
// peer cannot do stands there in its words; what it can do with everybody's messages but ours is our failure.
func TestTable(t *testing.T) {
	p, err := newPKI()
	if err != nil {
		t.Fatal(err)
	}
	var peers []*started
	for _, v := range voices {
		if there(t, v.needs) {
			made, version := v.start(t, p)
			peers = append(peers, &started{voice: v, peer: made, version: version})
		}
	}
	x := exchange{us: sealmail{p}, peers: peers}
	found := &results{cells: map[cell]string{}}
	all := rows()
	t.Run("cells", func(t *testing.T) {
		for _, s := range peers {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				for _, r := range all {
					c := cell{section: r.section, form: r.name, peer: s.name}
					if !r.readOnly {
						t.Run(r.name+", ours", func(t *testing.T) {
							found.note(c, join(r, func(f form) string { return x.weWrite(t, s, f) }))
						})
					}
					c.direction = weRead
					t.Run(r.name+", theirs", func(t *testing.T) {
						found.note(c, join(r, func(f form) string { return x.weRead(t, s, f) }))
					})
				}
			})
		}
	})
	if t.Failed() {
		t.Fatal("because of the failures the table is not compared")
	}
	compare(t, page{all, peers, found.cells})
}

// there tells whether needs finds what a peer consists of. What is absent does not end t, unless peers are required.
func there(t *testing.T, needs func(testing.TB)) bool {
	found := make(chan bool)
	go func() {
		all := false
		defer func() { found <- all }()
		needs(attempt{t})
		all = true
	}()
	return <-found
}

// attempt is a test that may be skipped or fail without being at its end: it ends the goroutine alone.
type attempt struct{ testing.TB }

func (a attempt) Skip(args ...any) {
	a.Log(args...)
	runtime.Goexit()
}

func (a attempt) Fatalf(format string, args ...any) {
	a.Errorf(format, args...)
	runtime.Goexit()
}

// join makes one cell of the forms in a row.
func join(r row, try func(form) string) string {
	var said []string
	for _, f := range r.forms {
		if s := try(f); !slices.Contains(said, s) {
			said = append(said, s)
		}
	}
	return strings.Join(said, "; ")
}

// exchange tries forms on peers.
type exchange struct {
	us    sealmail
	peers []*started
}

// weWrite has the peer read what is written here.
func (x exchange) weWrite(t *testing.T, s *started, f form) string {
	message, err := x.us.write(t, f)
	if err != nil {
		t.Errorf("we do not write it: %v", err)
		return "failed"
	}
	if err := reads(t, x.us, f, message); err != nil {
		t.Errorf("we do not read our own: %v", err)
		return "failed"
	}
	if err = reads(t, s, f, message); err == nil {
		return yes + s.note(f)
	}
	// Ours is at fault where the peer reads what somebody else made of the same form.
	for _, other := range x.peers {
		theirs, writeErr := other.make(t, f)
		if writeErr != nil || reads(t, x.us, f, theirs) != nil {
			continue
		}
		if reads(t, s, f, theirs) == nil {
			t.Errorf("%s does not read ours, but %s's: %v", s.name, other.name, err)
			return "failed"
		}
		break
	}
	return limited(t, err)
}

// weRead reads what the peer writes.
func (x exchange) weRead(t *testing.T, s *started, f form) string {
	message, err := s.make(t, f)
	if err != nil {
		return limited(t, err)
	}
	if f.ber && message[1] != 0x80 {
		t.Errorf("%s wrote it in DER", s.name)
	}
	ourErr := reads(t, x.us, f, message)
	if ourErr == nil {
		return yes + s.note(f)
	}
	// Theirs is at fault where it is not what the peer itself reads, nor anybody else.
	if err = reads(t, s, f, message); err == nil {
		t.Errorf("%s wrote what we do not read: %v", s.name, ourErr)
		return "failed"
	}
	for _, other := range x.peers {
		if reads(t, other, f, message) == nil {
			t.Errorf("%s wrote what %s reads, and we do not: %v", s.name, other.name, ourErr)
			return "failed"
		}
	}
	return "writes what it does not read: " + limited(t, err)
}

// reads checks that r reads exactly the content and, where that is protected, refuses it with one octet changed.
func reads(t testing.TB, r peer, f form, message []byte) error {
	got, err := r.read(t, f, message, content)
	if err != nil {
		return err
	}
	if f.kind != certsOnly && !bytes.Equal(got, content) {
		t.Errorf("%v: %d octets of content are not the %d written", r, len(got), len(content))
	}
	changed, detached := bytes.Clone(message), bytes.Clone(content)
	switch {
	case f.kind == envelopedData && strings.HasSuffix(f.cipher, "-gcm"):
		changed[len(changed)/2] ^= 1 // there is nothing but content
	case f.kind != signedData && f.kind != digestedData:
		return nil // nothing tells
	case f.detached:
		detached[len(detached)/2] ^= 1
	default:
		// Within the first segment, whatever its size.
		at := bytes.Index(changed, content[:20])
		if at < 0 {
			t.Fatal("the content is not in the message")
		}
		changed[at+10] ^= 1
	}
	if _, err := r.read(t, f, changed, detached); err == nil {
		t.Errorf("%v accepts a changed octet", r)
	}
	return nil
}

// limited returns the words of a peer that cannot do something; other errors are ours.
func limited(t testing.TB, err error) string {
	t.Helper()
	var l limit
	if !errors.As(err, &l) {
		t.Errorf("not the limit of a peer: %v", err)
	}
	return err.Error()
}
