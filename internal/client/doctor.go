package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/config"
)

// Doctor looks at everything an account needs, one thing after the other.
func (c *Client) Doctor(ctx context.Context) iter.Seq[Finding] {
	return func(yield func(Finding) bool) {
		d := doctor{client: c, yield: yield, now: c.o.Now()}
		d.examine(ctx)
	}
}

type doctor struct {
	client  *Client
	yield   func(Finding) bool
	now     time.Time
	stopped bool
}

func (d *doctor) say(check string, status FindingStatus, detail, hint string) {
	if !d.stopped {
		d.stopped = !d.yield(Finding{Check: check, Status: status, Detail: detail, Hint: orNull(hint)})
	}
}

// bad reports an error, with the hint that it brings along.
func (d *doctor) bad(check string, err error, hint string) {
	var known *Error
	if errors.As(err, &known) && known.Hint != "" {
		hint = known.Hint
	}
	d.say(check, FindingBad, err.Error(), hint)
}

func (d *doctor) examine(ctx context.Context) {
	c := d.client
	a, err := c.account()
	if err != nil {
		d.bad("configuration", err, "set up an account with `sealmail init ADDRESS`")
		return
	}
	detail := fmt.Sprintf("account %s in %s", a.Name, c.config.Path)
	if len(a.Addresses) > 1 {
		detail += ", for " + strings.Join(a.Addresses, ", ")
	}
	if _, err := c.config.Account(""); err != nil {
		d.say("configuration", FindingWarning, detail+"; there are other accounts, and none is the default one",
			"`sealmail init` with the account's words and --default makes it that, or write `default = true` into its table")
	} else {
		d.say("configuration", FindingGood, detail, "")
	}
	d.files()
	d.vault(ctx)
	d.anchors()
	d.identities(ctx, a)
	d.outbox()
	d.archives(ctx)
	d.servers(ctx, a)
	d.authorities(ctx, a)
}

// files checks that the folders of the home are there for their owner alone, and that there is room.
func (d *doctor) files() {
	home := d.client.o.Home
	var said bool
	dirs := []string{home.Data, home.State, home.Cache}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) { // with --home they are one
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // it is made at first need
		case err != nil:
			d.bad("files", err, "see that "+dir+" belongs to you")
			said = true
		case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
			d.say("files", FindingWarning, fmt.Sprintf("%s is open to other users (mode %04o)", dir, info.Mode().Perm()), "`chmod go= "+dir+"` closes it to them")
			said = true
		}
	}
	free, known := freeSpace(home.Data)
	switch {
	case known && free < littleSpace:
		d.say("files", FindingBad, fmt.Sprintf("%d MiB are free in %s: soon nothing can be stored", free>>20, home.Data), "make room on this disk, or name another home with --home")
	case said:
	case known:
		d.say("files", FindingGood, fmt.Sprintf("%s is yours alone, with %d MiB free", home.Data, free>>20), "")
	default:
		d.say("files", FindingGood, home.Data+" is yours alone", "")
	}
}

// littleSpace is less than what an account should have on its disk.
const littleSpace = 100 << 20

func (d *doctor) vault(ctx context.Context) {
	v, err := d.client.openVault(ctx, false)
	if err != nil {
		d.bad("vault", err, "")
		return
	}
	if !v.Protected() {
		d.say("vault", FindingWarning, "it has no passphrase: who reads the disk reads the keys", "`sealmail vault passwd` gives it one")
		return
	}
	detail := "it opens"
	if status, err := d.client.vaultStatus(ctx, v); err != nil {
		d.bad("vault", err, "")
		return
	} else if status.Agent != nil {
		detail += ", by the agent until " + status.Agent.Until.Format(time.RFC3339)
	} else if status.Keyring {
		detail += ", by the keyring"
	} else {
		detail += " with the passphrase"
	}
	d.say("vault", FindingGood, detail, "")
}

func (d *doctor) outbox() {
	box, err := d.client.outbox()
	if err != nil {
		d.bad("outbox", err, "")
		return
	}
	entries, err := box.List()
	switch {
	case err != nil:
		d.bad("outbox", err, "`sealmail outbox drop ID` gives up what cannot be read")
	case len(entries) == 0:
		d.say("outbox", FindingGood, "empty", "")
	}
	count := map[string]int{}
	for _, e := range entries {
		count[string(e.State())]++
	}
	for _, of := range []struct{ state, words, hint string }{
		{"queued", "%d message(s) wait", "`sealmail outbox list` says why, `sealmail outbox flush` tries again"},
		{"uncertain", "of %d message(s) it is not known whether they were sent",
			"ask the recipients, then `sealmail outbox flush --resend-uncertain`, or `sealmail outbox drop ID`"},
		{"refused", "%d message(s) were refused for good", refusedHint("ID")},
		{"sent", "of %d message(s) the copy for the folder of sent mail waits", "`sealmail outbox flush` tries again"},
	} {
		if n := count[of.state]; n > 0 {
			d.say("outbox", FindingWarning, fmt.Sprintf(of.words, n), of.hint)
		}
	}
}

// authorities asks each timestamp authority for a token, and checks it.
func (d *doctor) authorities(ctx context.Context, a config.Account) {
	if a.Timestamp == config.TimestampOff {
		d.say("timestamp", FindingWarning, "mail is sent without a trusted timestamp", "name an authority in the account: tsa = [\"https://…\"], timestamp = \"required\"")
		return
	}
	trust, err := d.client.onlineStampTrust(nil)
	if err != nil {
		d.bad("timestamp", err, "")
		return
	}
	for _, u := range a.TSA {
		s, err := d.client.newStamper([]string{u}, trust)
		if err != nil {
			d.bad("timestamp", err, "")
			continue
		}
		s.say, s.required = func(string) {}, true // what it says is found here, and there is no going on without
		token, err := s.stampBytes(ctx, []byte("sealmail doctor"))
		if err != nil {
			d.bad("timestamp", err, "")
			continue
		}
		if token.clockOff != 0 {
			d.say("timestamp", FindingWarning, token.clockWords(), "set the clock")
			continue
		}
		d.say("timestamp", FindingGood, certstore.Name(token.result.Authority)+" answers, and the clocks agree", "")
	}
}
