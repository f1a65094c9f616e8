package localserver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// imapSession is one IMAP connection. Commands come one at a time; only Close may come while IDLE runs.
type imapSession struct {
	server *Server
	conn   *imapserver.Conn

	account *account // nil before login

	mu   sync.Mutex
	view *view // nil unless a folder is selected
}

var (
	_ imapserver.SessionIMAP4rev2   = (*imapSession)(nil)
	_ imapserver.SessionAppendLimit = (*imapSession)(nil)
)

// imapCaps are the extensions beyond RFC 3501 that the session implements and the library does not add by itself.
func imapCaps() imap.CapSet {
	return imap.CapSet{
		imap.CapIMAP4rev1: {}, imap.CapNamespace: {}, imap.CapUIDPlus: {}, imap.CapESearch: {}, imap.CapListExtended: {},
		imap.CapListStatus: {}, imap.CapMove: {}, imap.CapStatusSize: {}, imap.CapBinary: {}, imap.CapChildren: {},
		imap.CapSpecialUse: {}, imap.CapCreateSpecialUse: {},
	}
}

func no(code imap.ResponseCode, text string) error {
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: code, Text: text}
}

// hook runs the caller's hook. An error that is not an answer of its own cuts the line.
func (s *imapSession) hook(event string) error {
	err := s.server.hook(event)
	var answer *imap.Error
	if err != nil && !errors.As(err, &answer) {
		_ = s.conn.NetConn().Close()
	}
	return err
}

// answer turns the store's errors into what the client is told.
func answer(err error) error {
	switch {
	case errors.Is(err, errNoFolder):
		return no(imap.ResponseCodeNonExistent, "No such mailbox")
	case errors.Is(err, errExists):
		return no(imap.ResponseCodeAlreadyExists, "Mailbox already exists")
	case errors.Is(err, errFull):
		return no(imap.ResponseCodeOverQuota, "Mailbox is full")
	}
	return err
}

// answerTarget is answer for commands that put messages into a folder: a missing one may be made
// (RFC 3501 section 6.3.11).
func answerTarget(err error) error {
	if errors.Is(err, errNoFolder) {
		return no(imap.ResponseCodeTryCreate, "No such mailbox")
	}
	return answer(err)
}

func (s *imapSession) Close() error {
	s.setView(nil)
	s.server.sessions.Done()
	return nil
}

func (s *imapSession) setView(v *view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view = v
}

func (s *imapSession) selected() *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view
}

func (s *imapSession) Login(username, password string) error {
	if err := s.hook("imap.login"); err != nil {
		return err
	}
	a, ok := s.server.authenticate(username, password)
	if !ok {
		return imapserver.ErrAuthFailed
	}
	s.account = a
	return nil
}

func (s *imapSession) AppendLimit() uint32 {
	return uint32(min(s.server.maxMessage, 1<<32-1))
}

func (s *imapSession) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: delimiter}}}, nil
}

func (s *imapSession) Select(name string, o *imap.SelectOptions) (*imap.SelectData, error) {
	if err := s.hook("imap.select"); err != nil {
		return nil, err
	}
	f, err := s.account.folder(name)
	if err != nil {
		return nil, answer(err)
	}
	v, now, err := newView(f, o.ReadOnly)
	if err != nil {
		return nil, answer(err)
	}
	s.setView(v)
	data := &imap.SelectData{
		Flags:       systemFlags(),
		NumMessages: uint32(len(now.messages)),
		UIDNext:     now.UIDNext,
		UIDValidity: now.UIDValidity,
	}
	for i, m := range now.messages {
		for _, flag := range m.Flags {
			if !hasFlag(data.Flags, flag) {
				data.Flags = append(data.Flags, flag)
			}
		}
		if data.FirstUnseenSeqNum == 0 && !hasFlag(m.Flags, imap.FlagSeen) {
			data.FirstUnseenSeqNum = uint32(i + 1)
		}
	}
	if !o.ReadOnly {
		data.PermanentFlags = append(slices.Clone(data.Flags), imap.FlagWildcard)
	}
	return data, nil
}

func (s *imapSession) Unselect() error {
	s.setView(nil)
	return nil
}

func (s *imapSession) Create(name string, o *imap.CreateOptions) error {
	// A trailing delimiter says that folders below will follow; it is not part of the name (RFC 3501 section 6.3.3).
	name = strings.TrimSuffix(name, string(delimiter))
	if !validFolder(canonicalFolder(name)) {
		return no(imap.ResponseCodeCannot, "This name cannot be used")
	}
	var use imap.MailboxAttr
	if len(o.SpecialUse) > 1 {
		return no("USEATTR", "One special use at most") // RFC 6154 section 3
	} else if len(o.SpecialUse) == 1 {
		use = o.SpecialUse[0]
	}
	return answer(s.account.create(name, use, false))
}

func (s *imapSession) Delete(name string) error {
	if canonicalFolder(name) == inbox {
		return no(imap.ResponseCodeCannot, "INBOX stays")
	}
	return answer(s.account.delete(name))
}

func (s *imapSession) Rename(from, to string, _ *imap.RenameOptions) error {
	to = strings.TrimSuffix(to, string(delimiter))
	if !validFolder(canonicalFolder(to)) {
		return no(imap.ResponseCodeCannot, "This name cannot be used")
	}
	return answer(s.account.rename(from, to))
}

func (s *imapSession) Subscribe(name string) error   { return s.subscribe(name, true) }
func (s *imapSession) Unsubscribe(name string) error { return s.subscribe(name, false) }

func (s *imapSession) subscribe(name string, on bool) error {
	f, err := s.account.folder(name)
	if err != nil {
		return answer(err)
	}
	return f.subscribe(on)
}

func (s *imapSession) List(w *imapserver.ListWriter, ref string, patterns []string, o *imap.ListOptions) error {
	if len(patterns) == 0 { // RFC 3501 section 6.3.8: asks for the delimiter
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: delimiter})
	}
	all := s.account.list()
	var names []string
	for _, f := range all {
		names = append(names, f.snapshot().name)
	}
	for i, f := range all {
		name, state := names[i], f.snapshot().folderState
		if !slices.ContainsFunc(patterns, func(p string) bool { return matchFolder(canonicalFolder(ref+p), name) }) {
			continue
		}
		if o.SelectSubscribed && !state.Subscribed || o.SelectSpecialUse && state.SpecialUse == "" {
			continue
		}
		data := &imap.ListData{Mailbox: name, Delim: delimiter}
		if state.Subscribed && (o.SelectSubscribed || o.ReturnSubscribed) {
			data.Attrs = append(data.Attrs, imap.MailboxAttrSubscribed)
		}
		// RFC 6154 section 2: a server may tell special uses without being asked, and clients rely on it.
		if state.SpecialUse != "" {
			data.Attrs = append(data.Attrs, imap.MailboxAttr(state.SpecialUse))
		}
		children := imap.MailboxAttrHasNoChildren
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, name+string(delimiter)) }) {
			children = imap.MailboxAttrHasChildren
		}
		data.Attrs = append(data.Attrs, children)
		if o.ReturnStatus != nil {
			data.Status = f.status(o.ReturnStatus, s.AppendLimit())
		}
		if err := w.WriteList(data); err != nil {
			return err
		}
	}
	return nil
}

func (s *imapSession) Status(name string, o *imap.StatusOptions) (*imap.StatusData, error) {
	f, err := s.account.folder(name)
	if err != nil {
		return nil, answer(err)
	}
	return f.status(o, s.AppendLimit()), nil
}

// status answers STATUS (RFC 9051 section 6.3.11).
func (f *folder) status(o *imap.StatusOptions, appendLimit uint32) *imap.StatusData {
	now := f.snapshot()
	var unseen, deleted, recent uint32
	var size, deletedSize int64
	for _, m := range now.messages {
		size += m.size
		if !hasFlag(m.Flags, imap.FlagSeen) {
			unseen++
		}
		if hasFlag(m.Flags, imap.FlagDeleted) {
			deleted++
			deletedSize += m.size
		}
	}
	count := uint32(len(now.messages))
	return &imap.StatusData{
		Mailbox: now.name, NumMessages: &count, NumRecent: &recent, UIDNext: now.UIDNext,
		UIDValidity: now.UIDValidity, NumUnseen: &unseen, NumDeleted: &deleted, Size: &size,
		AppendLimit: &appendLimit, DeletedStorage: &deletedSize,
	}
}

func (f *folder) subscribe(on bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return answer(errNoFolder)
	}
	f.state.Subscribed = on
	return f.saveState()
}

func (s *imapSession) Poll(w *imapserver.UpdateWriter, allowExpunge bool) error {
	v := s.selected()
	if v == nil {
		return nil
	}
	return v.tell(w, allowExpunge)
}

func (s *imapSession) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	v := s.selected()
	if v == nil {
		<-stop
		return nil
	}
	for {
		// Taken before the client is told, so that no change falls between the two.
		v.folder.mu.Lock()
		news := v.folder.news
		v.folder.mu.Unlock()
		if err := v.tell(w, true); err != nil {
			return fmt.Errorf("telling an idle client: %w", err)
		}
		select {
		case <-news:
		case <-stop:
			return nil
		}
	}
}
