package mailbox_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

// TestQuota has servers tell how much space there is, or nothing that can be used.
func TestQuota(t *testing.T) {
	const caps = "IMAP4rev1 AUTH=PLAIN SASL-IR QUOTA"
	for _, test := range []struct {
		name, caps string
		lines      []string
		want       *mailbox.Quota
		fails      bool
	}{
		{"no such thing", "IMAP4rev1 AUTH=PLAIN", nil, nil, false},
		{"space", caps, []string{`* QUOTAROOT INBOX ""`, `* QUOTA "" (STORAGE 10 512)`}, &mailbox.Quota{Used: 10 << 10, Limit: 512 << 10}, false},
		{"several", caps, []string{`* QUOTAROOT INBOX a b`, `* QUOTA a (STORAGE 10 512)`, `* QUOTA b (MESSAGE 5 6 STORAGE 450 500)`}, &mailbox.Quota{Used: 450 << 10, Limit: 500 << 10}, false},
		{"numbers of messages only", caps, []string{`* QUOTAROOT INBOX a`, `* QUOTA a (MESSAGE 5 6)`}, nil, false},
		{"no bound", caps, []string{`* QUOTAROOT INBOX`}, nil, false},
		{"beyond all measure", caps, []string{`* QUOTAROOT INBOX a`, `* QUOTA a (STORAGE 10 9223372036854775807)`}, nil, false},
		{"refused", caps, []string{"NO"}, nil, true},
	} {
		f := &fakeIMAP{capabilities: test.caps, commands: map[string]func(*peer, string, string) bool{
			"GETQUOTAROOT": func(p *peer, tag, _ string) bool {
				if test.fails {
					p.say(tag + " NO no")
				} else {
					p.say(append(test.lines, tag+" OK done")...)
				}
				return true
			},
		}}
		store, _ := f.dial(t)
		got, err := store.(*mailbox.IMAP).Quota(t.Context(), "inbox")
		if diff := cmp.Diff(test.want, got); diff != "" || (err != nil) != test.fails {
			t.Errorf("%s: %v, %s", test.name, err, diff)
		}
	}
}

// TestUnseen counts in a folder that is open and in one that is not.
func TestUnseen(t *testing.T) {
	server := startLocal(t, localserver.Options{})
	store := dialIMAP(t, server.options(t, alice, "imaps")).(*mailbox.IMAP)
	defer store.Close()
	for _, flags := range [][]string{{`\Seen`}, nil, {`\Flagged`}} {
		const text = "Subject: x\r\n\r\nx\r\n"
		if _, err := store.Append(t.Context(), "INBOX", mailbox.NewMessage{Flags: flags, Size: int64(len(text)), Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := store.Unseen(t.Context(), "inbox"); n != 2 || err != nil {
		t.Errorf("closed: %d, %v", n, err)
	}
	if _, err := store.UIDs(t.Context(), "INBOX"); err != nil {
		t.Fatal(err)
	}
	if n, err := store.Unseen(t.Context(), "INBOX"); n != 2 || err != nil {
		t.Errorf("open: %d, %v", n, err)
	}
	if _, err := store.Unseen(t.Context(), "Nowhere"); !errors.Is(err, mailbox.ErrNoFolder) {
		t.Errorf("a folder that is not there: %v", err)
	}
	silent, _ := (&fakeIMAP{capabilities: "IMAP4rev1 AUTH=PLAIN", commands: map[string]func(*peer, string, string) bool{
		"STATUS": func(p *peer, tag, _ string) bool {
			p.say(`* STATUS "INBOX" (MESSAGES 1)`, tag+" OK done")
			return true
		},
	}}).dial(t)
	var nonsense *mailbox.ConnectError
	if _, err := silent.(*mailbox.IMAP).Unseen(t.Context(), "INBOX"); !errors.As(err, &nonsense) {
		t.Errorf("a server that does not tell: %v", err)
	}
}

func TestSupports(t *testing.T) {
	server := startLocal(t, localserver.Options{})
	store := dialIMAP(t, server.options(t, alice, "imaps")).(*mailbox.IMAP)
	defer store.Close()
	for capability, want := range map[string]bool{"IDLE": true, "X-NO-SUCH-THING": false} {
		if got, err := store.Supports(t.Context(), capability); got != want || err != nil {
			t.Errorf("%s: %v, %v", capability, got, err)
		}
	}
	plain, _ := (&fakeIMAP{capabilities: "IMAP4rev2 AUTH=PLAIN"}).dial(t)
	if got, err := plain.(*mailbox.IMAP).Supports(t.Context(), "UIDPLUS"); !got || err != nil {
		t.Errorf("UIDPLUS is a part of IMAP4rev2: %v, %v", got, err)
	}
}

func TestSizeLimit(t *testing.T) {
	for extension, want := range map[string]int64{"SIZE 1000": 1000, "SIZE": 0, "SIZE x": 0, "SIZE -1": 0, "DSN": 0} {
		submitter, _ := (&fakeSMTP{extensions: []string{extension}}).dial(t)
		if got, err := submitter.(*mailbox.SMTP).SizeLimit(t.Context()); got != want || err != nil {
			t.Errorf("%s: %d, %v", extension, got, err)
		}
	}
}
