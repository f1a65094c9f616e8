package mailbox_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
)

// harms are what becomes of a command.
var harms = []peertest.Harm{peertest.HarmNO, peertest.HarmBYE, peertest.HarmLost, peertest.HarmAnswer}

// dialVia returns a store on Dovecot whose line leads through the meddler.
func dialVia(t testing.TB, servers peertest.Servers, user peertest.User, m *peertest.Meddler) mailbox.Store {
	t.Helper()
	o := peerOptions(t, servers, user, mailbox.SchemeIMAP)
	o.Endpoint, o.InsecureLoopback = endpoint(t, mailbox.SchemeIMAP, peertest.StartProxy(t, servers.IMAP, m.Tamper())), true
	s := dialIMAP(t, o)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// held returns the messages of a folder by text, with their flags, and none if there is no such folder.
func held(t testing.TB, s mailbox.Store, folder string) map[string]mailbox.Info {
	t.Helper()
	list, err := s.List(t.Context(), folder, 1)
	if err != nil && !errors.Is(err, mailbox.ErrNoFolder) {
		t.Fatal(err)
	}
	texts := make(map[string]mailbox.Info)
	for _, m := range list {
		var b bytes.Buffer
		if err := s.Fetch(t.Context(), folder, m.UID, &b); err != nil {
			t.Fatal(err)
		}
		texts[b.String()] = m
	}
	return texts
}

// TestFaultsOnDovecot harms each command of each call: what is said of it is true, nothing is lost, nothing is changed that
// was not to be, and the next call works.
func TestFaultsOnDovecot(t *testing.T) {
	servers := peertest.MailServers(t)
	user := servers.User(t, "carol")
	text := func(n int) string { return fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", n, strings.Repeat("x", n*100)) }
	mine := []int{1, 3} // of five messages, those that the call is about
	old := []string{"MOVE", "UIDPLUS", "CONDSTORE", "QRESYNC", "ESEARCH", "LITERAL\\+", "IDLE"}
	for _, c := range []struct {
		name  string
		hide  []string
		call  func(ctx context.Context, s mailbox.Store, folder string, uids []mailbox.UID) error
		moved bool // messages may be in the other folder in place of this one, or in both
		gone  bool // messages may be gone
		flags bool // flags may have changed
	}{
		{name: "UIDs", call: func(ctx context.Context, s mailbox.Store, folder string, _ []mailbox.UID) error {
			uids, err := s.UIDs(ctx, folder)
			if err == nil && len(uids) != 5 {
				t.Errorf("UIDs: %v and no error", uids)
			}
			return err
		}},
		{name: "Flags", call: func(ctx context.Context, s mailbox.Store, folder string, _ []mailbox.UID) error {
			infos, err := s.Flags(ctx, folder, 1)
			if err == nil && len(infos) != 5 {
				t.Errorf("Flags: %v and no error", infos)
			}
			return err
		}},
		{name: "FetchAll", call: func(ctx context.Context, s mailbox.Store, folder string, uids []mailbox.UID) error {
			var got texts
			err := s.FetchAll(ctx, folder, []mailbox.Info{{UID: uids[0], Size: 100}, {UID: uids[1], Size: 300}}, &got)
			want := []string{fmt.Sprintf("%d=%s", uids[0], text(mine[0])), fmt.Sprintf("%d=%s", uids[1], text(mine[1]))}
			if err == nil && !slices.Equal(got.done, want) {
				t.Errorf("FetchAll: %q and no error", got.done)
			}
			return err
		}},
		{name: "Wait", call: func(ctx context.Context, s mailbox.Store, folder string, _ []mailbox.UID) error {
			return s.Wait(ctx, folder, 10*time.Millisecond)
		}},
		{name: "SetFlags", flags: true, call: func(ctx context.Context, s mailbox.Store, folder string, uids []mailbox.UID) error {
			return s.SetFlags(ctx, folder, uids, mailbox.FlagChange{Add: []string{`\Flagged`}})
		}},
		{name: "Move", moved: true, call: move},
		{name: "Move on an old server", hide: old, moved: true, flags: true, call: move},
		{name: "Move without MOVE", hide: old[:1], moved: true, flags: true, call: move},
		{name: "Delete", gone: true, flags: true, call: remove},
		{name: "Delete on an old server", hide: old, gone: true, flags: true, call: remove},
	} {
		for _, harm := range harms {
			t.Run(c.name+"/"+string(harm), func(t *testing.T) {
				t.Parallel()
				direct := dialIMAP(t, peerOptions(t, servers, user, mailbox.SchemeIMAPS))
				defer direct.Close()
				m := &peertest.Meddler{Hide: c.hide, Harm: harm}
				s := dialVia(t, servers, user, m)
				nth := 1
				for ; ; nth++ {
					folder := "faults-" + rand.Text()
					if err := direct.CreateFolder(t.Context(), folder+"-to"); err != nil {
						t.Fatal(err)
					}
					var uids []mailbox.UID
					for n := range 5 {
						uid, err := appendTo(t, direct, folder, text(n))
						if err != nil {
							t.Fatal(err)
						}
						if slices.Contains(mine, n) {
							uids = append(uids, uid)
						}
					}
					if _, err := s.Status(t.Context(), "INBOX"); err != nil { // there is a connection, and the folder is not open
						t.Fatal(err)
					}
					m.Arm(nth)
					err := within(t, func() error { return c.call(t.Context(), s, folder, uids) })
					over := m.Seen() < nth
					m.Arm(0)
					if over && err != nil {
						t.Fatalf("unharmed: %v", err)
					}
					if err != nil {
						oneLine(t, err)
					}
					here, there := held(t, direct, folder), held(t, direct, folder+"-to")
					for n := range 5 {
						info, isHere := here[text(n)]
						_, isThere := there[text(n)]
						asked := slices.Contains(mine, n)
						switch {
						case !asked && (!isHere || isThere || len(info.Flags) > 0):
							t.Errorf("command %d: message %d, which nobody asked for: here %t, there %t, flags %v", nth, n, isHere, isThere, info.Flags)
						case asked && !isHere && !isThere && !c.gone:
							t.Errorf("command %d: message %d is lost, after %v", nth, n, err)
						case asked && isThere && !c.moved:
							t.Errorf("command %d: message %d was moved", nth, n)
						case asked && err == nil && (c.moved && (isHere || !isThere) || c.gone && isHere):
							t.Errorf("command %d: message %d: here %t, there %t, and no error", nth, n, isHere, isThere)
						case asked && isHere && len(info.Flags) > 0 && !c.flags:
							t.Errorf("command %d: message %d has the flags %v", nth, n, info.Flags)
						}
					}
					if over {
						break
					}
					if _, err := s.Status(t.Context(), folder); err != nil {
						t.Errorf("command %d: afterwards: %v", nth, err)
					}
				}
				if nth < 2 {
					t.Error("nothing was harmed")
				}
			})
		}
	}
}

func move(ctx context.Context, s mailbox.Store, folder string, uids []mailbox.UID) error {
	_, err := s.Move(ctx, folder, uids, folder+"-to")
	return err
}

func remove(ctx context.Context, s mailbox.Store, folder string, uids []mailbox.UID) error {
	return s.Delete(ctx, folder, uids)
}

// TestRenumberedOnDovecot has a folder that gets another numbering while nobody looks: no call touches its messages.
func TestRenumberedOnDovecot(t *testing.T) {
	servers := peertest.MailServers(t)
	user := servers.User(t, "carol")
	validity := regexp.MustCompile(`UIDVALIDITY (\d+)`)
	for name, call := range map[string]func(s mailbox.Store, folder string, uids []mailbox.UID) error{
		"FetchAll": func(s mailbox.Store, folder string, uids []mailbox.UID) error {
			return s.FetchAll(t.Context(), folder, []mailbox.Info{{UID: uids[0], Size: 1}}, discard{})
		},
		"Flags": func(s mailbox.Store, folder string, _ []mailbox.UID) error {
			_, err := s.Flags(t.Context(), folder, 0)
			return err
		},
		"UIDs": func(s mailbox.Store, folder string, _ []mailbox.UID) error {
			_, err := s.UIDs(t.Context(), folder)
			return err
		},
		"Move": func(s mailbox.Store, folder string, uids []mailbox.UID) error {
			return move(t.Context(), s, folder, uids)
		},
		"Delete": func(s mailbox.Store, folder string, uids []mailbox.UID) error {
			return remove(t.Context(), s, folder, uids)
		},
		"Wait": func(s mailbox.Store, folder string, _ []mailbox.UID) error {
			return s.Wait(t.Context(), folder, time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var (
				mu      sync.Mutex
				changed bool
			)
			o := peerOptions(t, servers, user, mailbox.SchemeIMAP)
			o.InsecureLoopback = true
			o.Endpoint = endpoint(t, mailbox.SchemeIMAP, peertest.StartProxy(t, servers.IMAP, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
				mu.Lock()
				defer mu.Unlock()
				if changed {
					line = validity.ReplaceAllString(line, "UIDVALIDITY 1234")
				}
				return line, peertest.Pass
			}}))
			s := dialIMAP(t, o)
			defer s.Close()
			folder := "renumbered-" + rand.Text()
			uid, err := appendTo(t, s, folder, note)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Status(t.Context(), folder); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			changed = true
			mu.Unlock()
			if err := call(s, folder, []mailbox.UID{uid}); !errors.Is(err, mailbox.ErrRenumbered) {
				t.Errorf("got error %v, want ErrRenumbered", err)
			}
			mu.Lock()
			changed = false
			mu.Unlock()
			list, err := s.List(t.Context(), folder, 1)
			if err != nil || len(list) != 1 || len(list[0].Flags) > 0 {
				t.Errorf("afterwards: %v, %v", list, err)
			}
		})
	}
}

// TestFetchAllVanishing has messages that somebody deletes while they are fetched.
func TestFetchAllVanishing(t *testing.T) {
	servers := peertest.MailServers(t)
	user := servers.User(t, "carol")
	direct := dialIMAP(t, peerOptions(t, servers, user, mailbox.SchemeIMAPS))
	defer direct.Close()
	folder := "vanishing-" + rand.Text()
	var infos []mailbox.Info
	for n := range 10 {
		text := fmt.Sprintf("Subject: %d\r\n\r\n", n)
		uid, err := appendTo(t, direct, folder, text)
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, mailbox.Info{UID: uid, Size: int64(len(text))})
	}
	m := &peertest.Meddler{Before: func() { // the command after EXAMINE
		if err := direct.Delete(context.Background(), folder, []mailbox.UID{infos[3].UID, infos[7].UID}); err != nil {
			t.Error(err)
		}
	}}
	s := dialVia(t, servers, user, m)
	m.Arm(2)
	r := &outcome{errs: make(map[mailbox.UID]error)}
	if err := s.FetchAll(t.Context(), folder, infos, r); err != nil || len(r.errs) != len(infos) {
		t.Errorf("%d messages, %v", len(r.errs), err)
	}
	for i, info := range infos {
		if err := r.errs[info.UID]; (err != nil) != (i == 3 || i == 7) || err != nil && !errors.Is(err, mailbox.ErrNotFound) {
			t.Errorf("message %d: %v", i, err)
		}
	}
}

// outcome is a Receiver that keeps what became of each message.
type outcome struct{ errs map[mailbox.UID]error }

func (*outcome) Message(mailbox.Info) (io.Writer, error) { return io.Discard, nil }
func (o *outcome) Done(m mailbox.Info, err error) error  { o.errs[m.UID] = err; return nil }

// TestSTARTTLSOnRealServers: who takes STARTTLS away, or puts something behind it, gets no password.
func TestSTARTTLSOnRealServers(t *testing.T) {
	servers := peertest.MailServers(t)
	for _, c := range []struct {
		name   string
		scheme mailbox.Scheme
		server string
		tamper peertest.Tamper
	}{
		{"taken away", mailbox.SchemeSubmission, servers.Submission, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
			return strings.Replace(line, "STARTTLS", "X-NOTHING", 1), peertest.Pass
		}}},
		{"refused", mailbox.SchemeIMAP, servers.IMAP, peertest.Tamper{Client: func(line string) (string, peertest.Fate) {
			if tag, ok := strings.CutSuffix(line, " STARTTLS"); ok {
				return tag + " NO not here", peertest.Pass
			}
			return "", peertest.Pass
		}}},
		{"something behind", mailbox.SchemeIMAP, servers.IMAP, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
			if strings.HasPrefix(line, "a OK") {
				return line + "\n* CAPABILITY IMAP4rev1 AUTH=PLAIN", peertest.Blind
			}
			return line, peertest.Pass
		}}},
		{"something behind", mailbox.SchemeSubmission, servers.Submission, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
			if strings.HasPrefix(line, "220 2.0.0") {
				return line + "\n250 AUTH PLAIN", peertest.Blind
			}
			return line, peertest.Pass
		}}},
	} {
		t.Run(string(c.scheme)+"/"+c.name, func(t *testing.T) {
			said := new(transcript)
			see := c.tamper.Client
			c.tamper.Client = func(line string) (answer string, fate peertest.Fate) {
				said.Lock()
				said.b.WriteString(line + "\n")
				said.Unlock()
				if see != nil {
					return see(line)
				}
				return "", peertest.Pass
			}
			o := peerOptions(t, servers, servers.User(t, "alice"), c.scheme)
			o.Endpoint = endpoint(t, c.scheme, peertest.StartProxy(t, c.server, c.tamper))
			reason(t, connect(t, t.Context(), o), mailbox.ReasonNoSTARTTLS)
			nothingSecret(t, said)
		})
	}
}
