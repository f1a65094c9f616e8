package client_test

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/mailbox"
)

// clocks are those of this machine that stand wrong by so much, and what is said of it: one minute is beyond what the token's
// accuracy of ten seconds leaves open.
var clocks = map[string]struct {
	off  time.Duration
	said string
}{
	"right":       {0, ""},
	"ahead":       {70 * time.Second, ""},
	"far ahead":   {71 * time.Second, "warning: the clock of this machine is 1m11s ahead of that of Clock: set the clock"},
	"behind":      {-70 * time.Second, ""},
	"far behind":  {-4 * time.Minute, "warning: the clock of this machine is 4m0s behind that of Clock: set the clock"},
	"a year on":   {365 * 24 * time.Hour, "warning: the clock of this machine is 8760h0m0s ahead of that of Clock: set the clock"},
	"an eyeblink": {time.Second, ""},
}

// claimed holds a signature against the clock of the authority: it never claims to be made after its timestamp.
func (w *world) claimed(o client.Options, in string) *client.Report {
	w.t.Helper()
	c, err := client.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	var report *client.Report
	err = c.Read(w.t.Context(), client.ReadParams{ID: in}, func(r *client.Report) error {
		report = r
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	times := report.Signatures[0].SigningTime
	if times.Proven == nil || times.Claimed == nil {
		w.t.Fatalf("%+v", times)
	}
	if times.Claimed.After(*times.Proven) {
		w.t.Errorf("claimed is %s, and proven %s", times.Claimed, times.Proven)
	}
	return report
}

func (w *world) warnedOfClock() string {
	i := slices.IndexFunc(w.said, func(s string) bool { return strings.Contains(s, "clock") })
	if i < 0 {
		return ""
	}
	return w.said[i]
}

func TestSignWithWrongClock(t *testing.T) {
	for name, clock := range clocks {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			url := w.stamps(now)
			keys := w.issue("alice", "p256")
			c := w.trusted()
			anchors, err := c.CertAnchors(w.in("ca/root.pem"))
			if err == nil {
				_, err = c.CertTrust(anchors, "tsa")
			}
			if err != nil {
				t.Fatal(err)
			}
			o := w.options()
			o.Now = func() time.Time { return now().Add(clock.off) }
			signer, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer signer.Close()
			in := w.write("plain", "From: alice@example.org\r\nContent-Type: text/plain\r\n\r\nhello\r\n")
			err = signer.Sign(t.Context(), client.SignParams{Keys: keys, TSA: []string{url}}, in, client.Output{Name: w.in("signed.eml")})
			if err != nil {
				t.Fatal(err)
			}
			if got := w.warnedOfClock(); got != clock.said {
				t.Errorf("said %q, want %q", got, clock.said)
			}
			w.claimed(w.options(), w.in("signed.eml"))
		})
	}
}

// sent is a submitter, and a store, that keep what goes out.
type sent struct {
	*folder
	messages  []string
	envelopes []mailbox.Envelope
}

func (s *sent) Submit(_ context.Context, e mailbox.Envelope, _ int64, message io.Reader, commit func() error) error {
	text, err := io.ReadAll(message)
	if err != nil {
		return err
	}
	s.messages, s.envelopes = append(s.messages, string(text)), append(s.envelopes, e)
	return commit()
}

func (s *sent) Folders(context.Context) ([]mailbox.Folder, error) { return nil, nil }

func (s *sent) Append(_ context.Context, _ string, m mailbox.NewMessage) (mailbox.UID, error) {
	_, err := io.Copy(io.Discard, m.Body)
	return 1, err
}

// sender is the account of alice, who sends with timestamps of this authority.
func (w *world) sender(url string, off time.Duration) (client.Options, *sent) {
	w.t.Helper()
	w.issue("alice", "p256")
	s := &sent{folder: &folder{validity: 1}}
	o := w.options()
	o.Unprotected = true
	o.Now = func() time.Time { return now().Add(off) }
	o.DialStore = func(context.Context, mailbox.Options) (mailbox.Store, error) { return s, nil }
	o.DialSubmitter = func(context.Context, mailbox.Options) (mailbox.Submitter, error) { return s, nil }
	c, err := client.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Init(w.t.Context(), client.InitParams{
		Name: "alice", Address: "alice@example.org", NoCheck: true, Password: []byte("x"), IMAP: "imaps://imap.example.org", SMTP: "submissions://smtp.example.org",
		TSA: []string{url}, TSATrust: []string{w.in("ca/root.pem")}, Trust: []string{w.in("ca/root.pem")},
	})
	if err == nil {
		_, err = c.CertImport(w.t.Context(), client.CertImportParams{Files: []string{w.in("alice.pem")}})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return o, s
}

// TestSendWithWrongClock sends mail that is dated as it is signed, and not after its timestamp.
func TestSendWithWrongClock(t *testing.T) {
	for name, clock := range clocks {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			o, out := w.sender(w.stamps(now), clock.off)
			c, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			result, err := c.Send(t.Context(), client.SendParams{Letter: client.Letter{To: []string{"bob@example.org"}, Subject: "s", Body: []byte("hello\n")}, SendOptions: client.SendOptions{NoEncrypt: true}})
			if err != nil {
				t.Fatal(err)
			}
			if got := w.warnedOfClock(); got != clock.said {
				t.Errorf("said %q, want %q", got, clock.said)
			}
			r := w.claimed(w.options(), w.write("sent.eml", out.messages[0]))
			times := r.Signatures[0].SigningTime
			if !r.Message.Date.Equal(*times.Claimed) || !result.Timestamp.Equal(*times.Proven) {
				t.Errorf("dated %s, signed %s, stamped %s, told %s", r.Message.Date, times.Claimed, times.Proven, result.Timestamp)
			}
		})
	}
}

// TestSendWithClocksThatDiffer has an authority whose clock goes backwards: no date would do.
func TestSendWithClocksThatDiffer(t *testing.T) {
	w := newWorld(t)
	asked := 0
	o, out := w.sender(w.stamps(func() time.Time {
		asked++
		return now().Add(-time.Duration(asked) * time.Minute)
	}), 0)
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Send(t.Context(), client.SendParams{Letter: client.Letter{To: []string{"bob@example.org"}, Subject: "s", Body: []byte("hello\n")}, SendOptions: client.SendOptions{NoEncrypt: true}})
	if err == nil || !strings.Contains(err.Error(), "dated later than its timestamp") || len(out.messages) > 0 {
		t.Errorf("%v, and %d were sent", err, len(out.messages))
	}
}

// TestPreferredWithClocksThatDiffer goes on without a timestamp, as with an authority that is out of reach.
func TestPreferredWithClocksThatDiffer(t *testing.T) {
	w := newWorld(t)
	asked := 0
	o, out := w.sender(w.stamps(func() time.Time {
		asked++
		return now().Add(-time.Duration(asked) * time.Minute)
	}), 0)
	path := w.in("home/config.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	preferred := strings.Replace(string(text), "timestamp = 'required'", "timestamp = 'preferred'", 1)
	if err := os.WriteFile(path, []byte(preferred), 0o600); err != nil || preferred == string(text) {
		t.Fatalf("%v, %s", err, text)
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	said := func() bool {
		return slices.ContainsFunc(w.said, func(s string) bool {
			return strings.Contains(s, " later than ") && strings.HasSuffix(s, "without a timestamp")
		})
	}
	result, err := c.Send(t.Context(), client.SendParams{Letter: client.Letter{To: []string{"bob@example.org"}, Subject: "s", Body: []byte("hello\n")}, SendOptions: client.SendOptions{NoEncrypt: true}})
	if err != nil || len(out.messages) != 1 || result.Timestamp != nil || !said() {
		t.Errorf("sent: %v, %+v, said %q", err, result, w.said)
	}
	w.said = nil
	in := w.write("plain", "From: alice@example.org\r\nContent-Type: text/plain\r\n\r\nhello\r\n")
	if err := c.Sign(t.Context(), client.SignParams{}, in, client.Output{Name: w.in("signed.eml")}); err != nil || !said() {
		t.Errorf("signed: %v, said %q", err, w.said)
	}
}
