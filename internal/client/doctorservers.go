package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
)

// servers connects to both servers, and looks at what they can do.
func (d *doctor) servers(ctx context.Context, a config.Account) {
	defer func() { d.client.online.Store(false) }() // for who looks only, nothing is to be sent
	if a.IMAP.Scheme.IsFiles() {
		d.mailFiles(ctx, a)
	} else if words, ok := d.handshake(ctx, "imap", a, a.IMAP); ok {
		if store, err := d.client.dialStore(ctx, a); err != nil {
			d.bad("imap", err, "")
		} else {
			d.say("imap", words.status, a.IMAP.String()+" answers and takes the "+secretWord(a)+"; "+words.detail, words.hint)
			d.features(ctx, store)
			d.folders(ctx, a, store)
			d.quota(ctx, store)
			if err := store.Close(); err != nil {
				d.bad("imap", err, "")
			}
		}
	}
	if words, ok := d.handshake(ctx, "smtp", a, a.SMTP); ok {
		if submitter, err := d.client.dialSubmitter(ctx, a); err != nil {
			d.bad("smtp", err, "")
		} else {
			d.say("smtp", words.status, a.SMTP.String()+" answers and takes the "+secretWord(a)+"; "+words.detail+sizeWords(ctx, submitter), words.hint)
			if err := submitter.Close(); err != nil {
				d.bad("smtp", err, "")
			}
		}
	}
}

// mailFiles looks into mail that is in files.
func (d *doctor) mailFiles(ctx context.Context, a config.Account) {
	store, err := d.client.dialStore(ctx, a)
	if err != nil {
		d.bad("store", err, "")
		return
	}
	if status, err := store.Status(ctx, "INBOX"); err != nil {
		d.bad("store", explainServer(err), "")
	} else {
		d.say("store", FindingGood, fmt.Sprintf("%s is there; INBOX has %d messages", a.IMAP, status.Messages), "")
	}
	d.folders(ctx, a, store)
	if err := store.Close(); err != nil {
		d.bad("store", err, "")
	}
}

// secretWord is what an account logs in with.
func secretWord(a config.Account) string {
	if a.OAuthTokenCommand != "" {
		return "token"
	}
	return "password"
}

// tlsWords are what is to be said of a connection.
type tlsWords struct {
	status       FindingStatus
	detail, hint string
}

// certificateWarning is how long before the end of a server's certificate it is worth a word. Those that are renewed by
// themselves are so a month before.
const certificateWarning = 14 * 24 * time.Hour

// handshake connects without logging in. What fails is said.
func (d *doctor) handshake(ctx context.Context, check string, a config.Account, e mailbox.Endpoint) (tlsWords, bool) {
	roots, err := d.client.serverRoots()
	if err != nil {
		d.bad(check, err, "")
		return tlsWords{}, false
	}
	state, err := mailbox.Probe(ctx, d.client.mailboxOptions(e, a, mailbox.Credentials{}, roots))
	if err != nil {
		d.bad(check, explainServer(err), "")
		return tlsWords{}, false
	}
	if len(state.PeerCertificates) == 0 {
		return tlsWords{FindingWarning, "in clear text to this machine", "it is there for tests: leave out insecure_loopback in the account"}, true
	}
	end := state.PeerCertificates[0].NotAfter
	words := tlsWords{FindingGood, fmt.Sprintf("%s, certificate valid to %s", tls.VersionName(state.Version), end.UTC().Format(time.DateOnly)), ""}
	if end.Sub(d.now) < certificateWarning {
		words = tlsWords{FindingWarning, fmt.Sprintf("%s, and the server's certificate %s", tls.VersionName(state.Version), expiresSoon(end, d.now)),
			"tell who runs the server; without a new one it cannot be used any more"}
	}
	return words, true
}

// features says which capabilities are missing, and what is done without.
func (d *doctor) features(ctx context.Context, store mailbox.Store) {
	known, ok := store.(interface {
		Supports(ctx context.Context, capability string) (bool, error)
	})
	if !ok {
		return
	}
	var missing []string
	status, hint := FindingGood, ""
	for _, feature := range []struct{ name, without string }{
		{"UIDPLUS", "a message cannot be removed for good without others that are marked so"},
		{"MOVE", "moving is copying and removing"},
		{"IDLE", "news is asked for, again and again"},
		{"CONDSTORE", "which flags changed is found by looking at all"},
		{"SPECIAL-USE", "which folders are for sent mail, drafts and trash is not said"},
	} {
		has, err := known.Supports(ctx, feature.name)
		if err != nil {
			d.bad("imap features", explainServer(err), "")
			return
		}
		if has {
			continue
		}
		missing = append(missing, feature.name+" ("+feature.without+")")
		if feature.name == "UIDPLUS" {
			status, hint = FindingWarning, "ask who runs the server for a newer one; what cannot be done safely is refused"
		}
	}
	if len(missing) == 0 {
		d.say("imap features", FindingGood, "all that matter", "")
		return
	}
	d.say("imap features", status, "missing: "+strings.Join(missing, ", "), hint)
}

// folders says which folders serve for what, and which are yet to be made.
func (d *doctor) folders(ctx context.Context, a config.Account, store mailbox.Store) {
	list, err := store.Folders(ctx)
	if err != nil {
		d.bad("folders", explainServer(err), "")
		return
	}
	var found, absent []string
	for _, use := range specialUses {
		name, there := folderFor(list, a, use.word)
		switch {
		case there:
			found = append(found, fmt.Sprintf("%s is %q", use.word, name))
		case use.named(a.Folders) != "":
			d.say("folders", FindingWarning, fmt.Sprintf("%q, which the account names for %s, is not there", name, use.word),
				"mend `"+use.word+"` in the account; else the folder is made at first need")
		default:
			absent = append(absent, use.word)
		}
	}
	detail := strings.Join(found, ", ")
	if len(absent) > 0 {
		detail = strings.TrimPrefix(detail+"; made at first need: "+strings.Join(absent, ", "), "; ")
	}
	d.say("folders", FindingGood, detail, "")
}

// fullPercent is from where on a full mailbox is worth a word.
const fullPercent = 90

// quota says how full the mailbox is, where the server tells.
func (d *doctor) quota(ctx context.Context, store mailbox.Store) {
	known, ok := store.(interface {
		Quota(ctx context.Context, folder string) (*mailbox.Quota, error)
	})
	if !ok {
		return
	}
	switch q, err := known.Quota(ctx, "INBOX"); {
	case err != nil:
		d.bad("quota", explainServer(err), "")
	case q == nil:
	case q.Used >= q.Limit:
		d.say("quota", FindingBad, fmt.Sprintf("the mailbox is full: %d of %d MiB; mail to you is refused", q.Used>>20, q.Limit>>20), "delete mail at the server, or ask for more space")
	case q.Used > q.Limit/100*fullPercent:
		d.say("quota", FindingWarning, fmt.Sprintf("the mailbox is nearly full: %d of %d MiB", q.Used>>20, q.Limit>>20), "delete mail at the server, or ask for more space")
	default:
		d.say("quota", FindingGood, fmt.Sprintf("%d of %d MiB", q.Used>>20, q.Limit>>20), "")
	}
}

// sizeWords say how large a message may be, where the server tells.
func sizeWords(ctx context.Context, submitter mailbox.Submitter) string {
	known, ok := submitter.(interface {
		SizeLimit(ctx context.Context) (int64, error)
	})
	if !ok {
		return ""
	}
	limit, err := known.SizeLimit(ctx)
	if err != nil || limit == 0 {
		return ""
	}
	return fmt.Sprintf("; messages of up to %.1f MiB", float64(limit)/(1<<20))
}
