package client

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/mailbox/outbox"
)

// Completion is a word that a command line may go on with, and what it stands for.
type Completion struct{ Word, About string }

// maxCompletions bounds what is offered: of messages the newest, of all else the first.
const maxCompletions = 1000

// Completions offers words for command lines. None of its methods asks anybody or anything: they know what is on the disk,
// and where the vault is locked, that is less.
type Completions struct{ c *Client }

// NewCompletions returns the completions for a home. Whatever o has to ask or to connect with is not used.
func NewCompletions(o Options) (*Completions, error) {
	o.Passphrase = func(context.Context, bool) ([]byte, error) { return nil, errNotAsked }
	o.PassphraseGiven = true // nor is the keyring, which might ask somebody
	o.Keyring, o.AgentCommand, o.Dial, o.DialStore, o.DialSubmitter = nil, nil, nil, nil, nil
	o.Say = func(string) {}
	c, err := New(o)
	if err != nil {
		return nil, err
	}
	return &Completions{c}, nil
}

var errNotAsked = failed("vault is locked", os.ErrPermission, "")

// Close forgets the keys.
func (c *Completions) Close() { c.c.Close() }

// Accounts are the names of the accounts.
func (c *Completions) Accounts() (list []Completion) {
	for _, a := range c.c.config.Accounts {
		list = append(list, Completion{a.Name, a.Address})
	}
	return list
}

// Archives are the folders of the archives that the home knows.
func (c *Completions) Archives() (list []Completion) {
	memories, _ := c.c.memories() // one that cannot be read is for other commands to complain of
	for _, m := range memories {
		if word := (Completion{Word: m.Path}); !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	return list
}

// Messages are the UIDs of a folder's messages in the index, the newest first, and before them "last".
func (c *Completions) Messages(ctx context.Context, folder string) (list []Completion) {
	about := func(l ListLine) string {
		var words []string
		for _, word := range []*string{l.From, l.Subject} {
			if word != nil {
				words = append(words, *word)
			}
		}
		return strings.Join(words, ": ")
	}
	err := c.c.List(ctx, ListParams{Folder: folder, Limit: maxCompletions}, func(l ListLine) error {
		list = append(list, Completion{strconv.FormatUint(uint64(l.UID), 10), about(l)})
		return ctx.Err()
	})
	if err != nil || len(list) == 0 {
		return nil
	}
	slices.Reverse(list)
	return append([]Completion{{"last", list[0].About}}, list...)
}

// Folders are the folders that the index knows.
func (c *Completions) Folders(ctx context.Context) (list []Completion) {
	a, err := c.c.account()
	if err != nil {
		return nil
	}
	x, err := c.c.openIndex(ctx, a)
	if err != nil {
		return nil
	}
	defer x.Close()
	folders, err := x.Folders(ctx)
	if err != nil {
		return nil
	}
	for _, f := range folders {
		list = append(list, Completion{Word: f.Name})
	}
	return list
}

// Addresses are those of correspondents, and one's own, each with the name in its certificate.
func (c *Completions) Addresses() (list []Completion) {
	seen := make(map[string]bool)
	for _, line := range c.certificates() {
		for _, address := range line.Addresses {
			if folded := strings.ToLower(address); !seen[folded] {
				seen[folded] = true
				list = append(list, Completion{address, line.Subject})
			}
		}
	}
	return list
}

// Certificates are the fingerprints of all certificates in the store, each with whose it is.
func (c *Completions) Certificates() (list []Completion) {
	for _, line := range c.certificates() {
		about := line.Kind + ": " + line.Subject
		if len(line.Addresses) > 0 {
			about += " <" + line.Addresses[0] + ">"
		}
		list = append(list, Completion{line.Fingerprint, about})
	}
	return list
}

func (c *Completions) certificates() (lines []CertificateLine) {
	store := c.c.certificates()
	identities, _, _ := store.Identities() // what cannot be read is not offered
	for _, i := range identities {
		lines = append(lines, certificateLine("identity", "", i.Certificate()))
	}
	correspondents, _, _ := store.Correspondents()
	for _, correspondent := range correspondents {
		if len(lines) < maxCompletions {
			lines = append(lines, certificateLine("correspondent", "", correspondent.Certificate()))
		}
	}
	for _, purpose := range []certstore.Purpose{certstore.Mail, certstore.TimeStamping, certstore.Server} {
		anchors, _, _ := store.Anchors(purpose, "")
		for _, anchor := range anchors {
			lines = append(lines, certificateLine("anchor", string(purpose), anchor.Certificate))
		}
	}
	return lines
}

// Outbox are the entries of the outbox.
func (c *Completions) Outbox() (list []Completion) {
	if _, err := os.Stat(c.c.o.Home.Outbox()); err != nil {
		return nil // and none is made
	}
	box, err := outbox.Open(c.c.o.Disk, c.c.o.Home.Outbox())
	if err != nil {
		return nil
	}
	entries, _ := box.List()
	for _, e := range entries {
		list = append(list, Completion{e.ID, string(e.State()) + " to " + strings.Join(outboxLine(e).To, ", ")})
	}
	return list
}
