package filestore

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

// Bounds on the file of the numbers.
const (
	maxNumbersFile = 256 << 20
	maxLine        = 64 << 10
	// spare is how many lines for messages that are gone may stand in it, beyond those of as many that are there.
	spare = 1000
)

// magic begins the file of the numbers; the version is that of its form.
const magic = "sealmail-uids 1"

// errDamaged says that a file of numbers is none.
var errDamaged = errors.New("not a list of UIDs")

// Number is what is remembered of a message beside what its file says.
type Number struct {
	UID mailbox.UID
	// Flags are those that the message's own place has no letter for.
	Flags []string
	// Marked: Flags were set, be it to none.
	Marked bool
}

// Numbers gives out the UIDs of a folder, and remembers them in a file beside the messages. A message is known by a key, which
// stays the same as long as it is the same message. What is called needs the folder's lock.
//
// The file has a line "sealmail-uids 1 UIDVALIDITY UIDNEXT" and below it, each in a line, what happened since: "UID key" for a
// new message, "-UID" for one that is gone, "=UID flag…" for flags. Lines are added at the end; a last one without line end was
// not finished, and counts for nothing. Where too many speak of what is gone, the file is replaced. A file that is lost or
// damaged is begun anew, with another UIDVALIDITY.
type Numbers struct {
	disk safeio.Disk
	path string

	info  fs.FileInfo // of the file that was read; nil: there is none
	read  int64       // how many of its octets count
	torn  bool        // more stand behind them
	state numbers
	lines bytes.Buffer // not written yet
}

// numbers is what the file says.
type numbers struct {
	validity uint32
	next     mailbox.UID // 0: all are used up
	keys     map[string]*Number
	names    map[mailbox.UID]string
	dead     int
}

// OpenNumbers names the file; it is read by Load.
func OpenNumbers(disk safeio.Disk, path string) *Numbers { return &Numbers{disk: disk, path: path} }

// Validity returns the UIDVALIDITY.
func (n *Numbers) Validity() uint32 { return n.state.validity }

// Next returns the UID that the next message gets; 0 when all were given out.
func (n *Numbers) Next() mailbox.UID { return n.state.next }

// Get returns what is remembered of a message.
func (n *Numbers) Get(key string) (Number, bool) {
	number, ok := n.state.keys[key]
	if !ok {
		return Number{}, false
	}
	return *number, true
}

// Keys returns the keys of all messages that have a number.
func (n *Numbers) Keys() []string {
	keys := make([]string, 0, len(n.state.keys))
	for key := range n.state.keys {
		keys = append(keys, key)
	}
	return keys
}

// Load reads what is in the file now.
func (n *Numbers) Load() error {
	n.lines.Reset()
	file, info, err := OpenRegular(n.path)
	if errors.Is(err, fs.ErrNotExist) {
		n.begin()
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if info.Size() > maxNumbersFile {
		return fmt.Errorf("%s: %w: %d octets are too many", n.path, mailbox.ErrTooMany, info.Size())
	}
	if n.info == nil || !os.SameFile(n.info, info) || info.Size() < n.read {
		n.read, n.state = 0, numbers{}
	}
	if _, err := file.Seek(n.read, io.SeekStart); err != nil {
		return err
	}
	used, err := n.state.parse(bufio.NewReaderSize(file, maxLine))
	if errors.Is(err, errDamaged) {
		n.begin()
		return nil
	}
	if err != nil {
		return err
	}
	n.info, n.read = info, n.read+used
	n.torn = n.read < info.Size()
	return nil
}

// begin forgets all numbers.
func (n *Numbers) begin() {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	// A time, as RFC 9051 section 2.3.1.1 proposes, is the same for two beginnings in one second.
	n.state = numbers{validity: max(binary.BigEndian.Uint32(random[:]), 1), next: 1,
		keys: make(map[string]*Number), names: make(map[mailbox.UID]string)}
	n.info, n.read = nil, 0
}

// parse reads lines and returns how many octets the whole ones among them have. The first line is expected where there is no
// UIDVALIDITY yet.
func (s *numbers) parse(r *bufio.Reader) (used int64, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			if s.validity == 0 {
				return 0, errDamaged
			}
			return used, nil
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			return used, errDamaged
		}
		if err != nil {
			return used, err
		}
		used += int64(len(line))
		if !s.line(string(line[:len(line)-1])) {
			return used, errDamaged
		}
	}
}

// line takes in one line, and reports whether it makes sense.
func (s *numbers) line(line string) bool {
	if s.validity == 0 {
		rest, ok := strings.CutPrefix(line, magic+" ")
		validity, next, two := strings.Cut(rest, " ")
		v, isUID := uidOf(validity)
		if !ok || !two || !isUID {
			return false
		}
		if next != "0" {
			if s.next, ok = uidOf(next); !ok {
				return false
			}
		}
		s.validity, s.keys, s.names = uint32(v), make(map[string]*Number), make(map[mailbox.UID]string)
		return true
	}
	if rest, ok := strings.CutPrefix(line, "-"); ok {
		uid, ok := uidOf(rest)
		if ok {
			_, ok = s.names[uid]
		}
		if ok {
			s.drop(uid)
		}
		return ok
	}
	if rest, ok := strings.CutPrefix(line, "="); ok {
		words := strings.Split(rest, " ")
		uid, ok := uidOf(words[0])
		name, known := s.names[uid]
		if !ok || !known || mailbox.CheckFlags(words[1:]) != nil {
			return false
		}
		s.keys[name].Flags, s.keys[name].Marked = words[1:], true
		return true
	}
	number, written, ok := strings.Cut(line, " ")
	uid, isUID := uidOf(number)
	key, isKey := readKey(written)
	if !ok || !isUID || !isKey || s.keys[key] != nil || len(s.keys) >= mailbox.DefaultMaxMessages {
		return false
	}
	// Below the first line's UIDNEXT stand those that were there when it was written; above, those that came since.
	if _, twice := s.names[uid]; twice {
		return false
	}
	s.add(uid, key)
	return true
}

func (s *numbers) add(uid mailbox.UID, key string) {
	s.keys[key], s.names[uid] = &Number{UID: uid}, key
	switch {
	case s.next == 0:
	case uid == math.MaxUint32:
		s.next = 0
	default:
		s.next = max(s.next, uid+1)
	}
}

func (s *numbers) drop(uid mailbox.UID) {
	delete(s.keys, s.names[uid])
	delete(s.names, uid)
	s.dead++
}

// uidOf reads a UID in the one form that it is written in.
func uidOf(text string) (mailbox.UID, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return mailbox.UID(n), err == nil && n > 0 && text == strconv.FormatUint(n, 10)
}

// writeKey puts a key, which is any octets, on a line.
func writeKey(key string) string {
	plain := key != "" && key[0] != '"' && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
	if plain {
		return key
	}
	return strconv.QuoteToASCII(key)
}

// readKey undoes writeKey.
func readKey(text string) (string, bool) {
	key := text
	if strings.HasPrefix(text, `"`) {
		var err error
		if key, err = strconv.Unquote(text); err != nil {
			return "", false
		}
	}
	return key, writeKey(key) == text
}

// Add gives a message its number. It counts once Save returned.
func (n *Numbers) Add(key string) (mailbox.UID, error) {
	uid := n.state.next
	switch {
	case uid == 0:
		return 0, errors.New("all UIDs of the folder were given out")
	case len(n.state.keys) >= mailbox.DefaultMaxMessages:
		return 0, fmt.Errorf("%w: %d messages in a folder, the limit is %d", mailbox.ErrTooMany, len(n.state.keys), mailbox.DefaultMaxMessages)
	case len(key) > maxLine/8:
		return 0, fmt.Errorf("a name of %d octets is too long", len(key))
	}
	n.state.add(uid, key)
	fmt.Fprintf(&n.lines, "%d %s\n", uid, writeKey(key))
	return uid, nil
}

// Drop forgets a message that is gone. It is not essential that it is saved: the next one to look sees the same.
func (n *Numbers) Drop(key string) {
	number := n.state.keys[key]
	if number == nil {
		return
	}
	n.state.drop(number.UID)
	fmt.Fprintf(&n.lines, "-%d\n", number.UID)
}

// Mark sets the flags that are remembered of a message.
func (n *Numbers) Mark(key string, flags []string) {
	number := n.state.keys[key]
	if number == nil || number.Marked && slices.Equal(number.Flags, flags) {
		return
	}
	number.Flags, number.Marked = flags, true
	n.lines.WriteString(flagLine(number))
}

func flagLine(number *Number) string {
	return strings.Join(append([]string{fmt.Sprintf("=%d", number.UID)}, number.Flags...), " ") + "\n"
}

// Save makes durable what was added, dropped and marked since the last Load or Save.
func (n *Numbers) Save() error {
	if n.info == nil || n.torn || n.state.dead > len(n.state.keys)+spare {
		return n.replace()
	}
	if n.lines.Len() == 0 {
		return nil
	}
	if err := n.extend(n.lines.Bytes()); err != nil {
		n.torn = true // and what is in memory may be more than what is in the file
		n.info = nil
		return err
	}
	n.read += int64(n.lines.Len())
	n.lines.Reset()
	return nil
}

// extend writes lines at the end of the file.
func (n *Numbers) extend(lines []byte) error {
	file, err := os.OpenFile(n.path, os.O_WRONLY|os.O_APPEND|openFlags, 0)
	if err != nil {
		return err
	}
	err = n.disk.Step(safeio.OpWrite, n.path)
	if err == nil {
		_, err = file.Write(lines)
	}
	if err == nil {
		err = n.disk.Step(safeio.OpSync, n.path)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// replace writes the file anew.
func (n *Numbers) replace() error {
	var b bytes.Buffer
	n.state.write(&b)
	if err := n.disk.WriteFile(n.path, b.Bytes(), 0o600); err != nil {
		return err
	}
	file, info, err := OpenRegular(n.path)
	if err != nil {
		return err
	}
	n.info, n.read, n.torn, n.state.dead = info, info.Size(), false, 0
	n.lines.Reset()
	return file.Close()
}

// write writes all that is known, in the order of the UIDs.
func (s *numbers) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "%s %d %d\n", magic, s.validity, s.next)
	type line struct {
		key string
		*Number
	}
	all := make([]line, 0, len(s.keys))
	for key, number := range s.keys {
		all = append(all, line{key, number})
	}
	slices.SortFunc(all, func(a, b line) int { return cmp.Compare(a.UID, b.UID) })
	for _, l := range all {
		fmt.Fprintf(b, "%d %s\n", l.UID, writeKey(l.key))
		if l.Marked {
			b.WriteString(flagLine(l.Number))
		}
	}
}
