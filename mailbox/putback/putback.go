package putback

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

// Message is a message to be put into a folder.
type Message struct {
	Number    int64  // by which the journal knows it, 1 or above
	Folder    string // made if it is missing
	Flags     []string
	Date      time.Time // of arrival; zero leaves it to the store
	Size      int64     // of the octets, exactly
	SHA256    [sha256.Size]byte
	MessageID string // with or without angle brackets; empty: it has none
	// Open gives the octets. It is called for what is not there already.
	Open func(context.Context) (io.ReadCloser, error)
}

// Result is what became of a message.
type Result struct {
	UID   mailbox.UID // in its folder; 0: the store did not tell, or Err says why it is not there
	There bool        // it was there already
	Err   error       // of this message alone: of Open, or a refusal of the store
}

// Putter puts messages into a store. It is for use by one goroutine.
type Putter struct {
	store   mailbox.Store
	journal *Journal
	folders map[string]*folder
}

// New returns a Putter. What others put into the store meanwhile it need not see.
func New(store mailbox.Store, journal *Journal) *Putter {
	return &Putter{store: store, journal: journal, folders: map[string]*folder{}}
}

// folder is what is known of a folder of the store.
type folder struct {
	err    error // why nothing can be put there
	name   string
	status mailbox.Status
	before bool // there were messages in it

	uids   map[mailbox.UID]bool
	bySize map[int64][]mailbox.UID
	looked map[mailbox.UID]bool // whose octets were looked at
	known  map[[sha256.Size]byte]mailbox.UID
}

// Put puts messages into their folders, and tells what became of each, in their order. A few at a time take far less than each alone.
//
// An error, of each or of the line to the store or of the journal, ends it: then messages that nobody was told of may be there or
// not, and putting them again tells.
func (p *Putter) Put(ctx context.Context, messages []Message, each func(i int, r Result) error) (err error) {
	there := make([]Result, len(messages))
	var begun []line
	for i, m := range messages {
		if there[i], err = p.look(ctx, m); err != nil {
			return err
		}
		if there[i].There || there[i].Err != nil {
			continue
		}
		f := p.folders[m.Folder]
		begun = append(begun, line{Number: m.Number, Folder: m.Folder, UIDValidity: f.status.UIDValidity, UIDNext: f.status.UIDNext})
	}
	if err := p.journal.write(begun, true); err != nil {
		return err
	}
	var done []line
	defer func() {
		// Without these nothing goes wrong: the octets are looked at then.
		err = errors.Join(err, p.journal.write(done, false))
	}()
	for i, m := range messages {
		r := there[i]
		if !r.There && r.Err == nil {
			if r, err = p.put(ctx, m); err != nil {
				return err
			}
		}
		if r.Err == nil {
			l := line{Number: m.Number, Folder: m.Folder, UIDValidity: p.folders[m.Folder].status.UIDValidity, UID: r.UID, Done: true}
			if noted, isNoted := p.journal.entries[l.place()]; !isNoted || noted != l.entry() {
				done = append(done, l)
			}
		}
		if err := each(i, r); err != nil {
			return err
		}
	}
	return nil
}

// put puts one message that was not found into its folder.
func (p *Putter) put(ctx context.Context, m Message) (r Result, err error) {
	f := p.folders[m.Folder]
	if uid, found := f.known[m.SHA256]; found { // of the same octets, a moment ago
		return Result{UID: uid, There: true}, nil
	}
	octets, err := m.Open(ctx)
	if err != nil {
		return Result{Err: err}, ctx.Err()
	}
	uid, err := p.store.Append(ctx, m.Folder, mailbox.NewMessage{Flags: m.Flags, Date: m.Date, Size: m.Size, Body: octets})
	closed := octets.Close()
	switch {
	case err != nil && endsAll(ctx, err):
		return Result{}, errors.Join(err, closed)
	case err != nil:
		return Result{Err: err}, closed
	}
	f.add(uid, m.Size)
	f.known[m.SHA256] = uid
	f.looked[uid] = true
	return Result{UID: uid}, closed
}

// endsAll reports whether after this error there is no use in the next message.
func endsAll(ctx context.Context, err error) bool {
	var (
		uncertain *mailbox.UncertainError
		connect   *mailbox.ConnectError
		auth      *mailbox.AuthError
	)
	return ctx.Err() != nil || errors.As(err, &uncertain) || errors.As(err, &connect) || errors.As(err, &auth) ||
		errors.Is(err, mailbox.ErrRenumbered) || errors.Is(err, mailbox.ErrClosed)
}

// look looks whether a message is in its folder.
func (p *Putter) look(ctx context.Context, m Message) (Result, error) {
	f, err := p.folder(ctx, m.Folder)
	if err != nil {
		return Result{}, err
	}
	if f.err != nil {
		return Result{Err: f.err}, nil
	}
	noted, isNoted := p.journal.entries[place{m.Number, m.Folder}]
	isNoted = isNoted && noted.validity == f.status.UIDValidity
	if isNoted && !noted.begun && noted.uid != 0 && f.uids[noted.uid] {
		return Result{UID: noted.uid, There: true}, nil
	}
	if isNoted && noted.begun { // a server may have been at it still when the folder was looked at
		infos, err := p.store.List(ctx, f.name, max(noted.next, 1))
		if err != nil {
			return Result{}, err
		}
		f.take(infos)
	}
	uid, found, err := p.among(ctx, f, m, f.bySize[m.Size])
	if err != nil || found {
		return Result{UID: uid, There: found}, err
	}
	// Where the store is wrong about sizes: by name. The folder that was empty has what was put there, and the journal knows it.
	if m.MessageID == "" || !f.before && !(isNoted && noted.begun) {
		return Result{}, nil
	}
	named, err := p.store.Find(ctx, f.name, m.MessageID)
	if err != nil {
		return Result{}, err
	}
	uid, found, err = p.among(ctx, f, m, named)
	return Result{UID: uid, There: found}, err
}

// among looks for the octets of a message among these in its folder.
func (p *Putter) among(ctx context.Context, f *folder, m Message, uids []mailbox.UID) (mailbox.UID, bool, error) {
	for _, uid := range uids {
		if !f.looked[uid] {
			hash := sha256.New()
			err := p.store.Fetch(ctx, f.name, uid, hash)
			if err != nil && !errors.Is(err, mailbox.ErrNotFound) {
				return 0, false, err
			}
			f.looked[uid] = true
			if err == nil {
				f.known[[sha256.Size]byte(hash.Sum(nil))] = uid
			}
		}
	}
	uid, found := f.known[m.SHA256]
	return uid, found, nil
}

// folder looks at a folder, once, and makes it if it is missing.
func (p *Putter) folder(ctx context.Context, name string) (*folder, error) {
	if f := p.folders[name]; f != nil {
		return f, nil
	}
	f := &folder{name: name, uids: map[mailbox.UID]bool{}, bySize: map[int64][]mailbox.UID{}, looked: map[mailbox.UID]bool{},
		known: map[[sha256.Size]byte]mailbox.UID{}}
	if f.err = f.open(ctx, p.store); f.err != nil && endsAll(ctx, f.err) {
		return nil, f.err
	}
	p.folders[name] = f
	return f, nil
}

// open looks at what is in a folder.
func (f *folder) open(ctx context.Context, store mailbox.Store) (err error) {
	f.status, err = store.Status(ctx, f.name)
	if errors.Is(err, mailbox.ErrNoFolder) {
		if err := store.CreateFolder(ctx, f.name); err != nil {
			return err
		}
		f.status, err = store.Status(ctx, f.name)
	}
	if err != nil {
		return err
	}
	infos, err := store.List(ctx, f.name, 1)
	f.take(infos)
	f.before = len(infos) > 0
	return err
}

// take notes what is in the folder.
func (f *folder) take(infos []mailbox.Info) {
	for _, i := range infos {
		f.add(i.UID, i.Size)
	}
}

// add notes that a message is in the folder; UID 0 is one that is not known.
func (f *folder) add(uid mailbox.UID, size int64) {
	if uid == 0 {
		return
	}
	f.uids[uid] = true
	if same := f.bySize[size]; !slices.Contains(same, uid) {
		f.bySize[size] = append(same, uid)
	}
	if f.status.UIDNext <= uid {
		f.status.UIDNext = uid + 1
	}
}
