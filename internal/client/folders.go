package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
)

// FolderLine is one folder in `folders`; its JSON is a contract.
type FolderLine struct {
	Account     string  `json:"account"`
	Folder      string  `json:"folder"`
	SpecialUse  *string `json:"special_use"` // sent, drafts, trash, archive, junk and the like
	Messages    *uint32 `json:"messages"`
	Unseen      *uint32 `json:"unseen"`
	UIDValidity *uint32 `json:"uid_validity"`
	Error       *string `json:"error"`
}

// specialUse is what a folder may be for.
type specialUse struct {
	word      string // on the command line and in JSON
	attribute string // of RFC 6154 section 2
	usual     string // the name, where nobody says another
	named     func(config.Folders) string
}

// specialUses are those that a folder is looked for by.
var specialUses = [...]specialUse{
	{"sent", `\Sent`, sentFolder, func(f config.Folders) string { return f.Sent }},
	{"drafts", `\Drafts`, "Drafts", func(f config.Folders) string { return f.Drafts }},
	{"trash", `\Trash`, "Trash", func(f config.Folders) string { return f.Trash }},
	{"archive", `\Archive`, "Archive", func(f config.Folders) string { return f.Archive }},
	{"junk", `\Junk`, "Junk", func(config.Folders) string { return "" }},
}

// folderNamed is the folder that a person means, and whether it is there: the one of this name, else, for a word of specialUses,
// that of folderFor.
func folderNamed(folders []mailbox.Folder, a config.Account, name string) (found string, ok bool) {
	name = orInbox(name)
	if isFolder(folders, name) {
		return name, true
	}
	if found, ok = folderFor(folders, a, name); found != "" {
		return found, ok
	}
	return name, false
}

// folderFor is the folder for a special use, and whether it is there: the one that the account names for it, that the server
// marks for it, or else one of the usual name. For a word that is none of specialUses it is none.
func folderFor(folders []mailbox.Folder, a config.Account, word string) (found string, ok bool) {
	use, ok := useNamed(word)
	if !ok {
		return "", false
	}
	if named := use.named(a.Folders); named != "" {
		return orInbox(named), isFolder(folders, named)
	}
	if marked, ok := mailbox.SpecialFolder(folders, use.attribute); ok {
		return marked, true
	}
	return use.usual, isFolder(folders, use.usual)
}

// useNamed is the one of specialUses that a word means, in any case.
func useNamed(word string) (specialUse, bool) {
	i := slices.IndexFunc(specialUses[:], func(use specialUse) bool { return strings.EqualFold(use.word, word) })
	if i < 0 {
		return specialUse{}, false
	}
	return specialUses[i], true
}

// serverFolders asks the server for its folders, and has the index remember them; x may be nil.
func serverFolders(ctx context.Context, store mailbox.Store, x *index.Index) ([]mailbox.Folder, error) {
	folders, err := store.Folders(ctx)
	if err != nil {
		return nil, explainServer(err)
	}
	if x != nil {
		if err := x.SetServerFolders(ctx, folders); err != nil {
			return nil, explainIndex(err)
		}
	}
	return folders, nil
}

// folderAt is the folder that a person means, by folderNamed. The server is asked where the name alone does not say it.
func folderAt(ctx context.Context, store mailbox.Store, x *index.Index, a config.Account, name string) (string, error) {
	if _, ok := useNamed(name); !ok {
		return orInbox(name), nil
	}
	folders, err := serverFolders(ctx, store, x)
	if err != nil {
		return "", err
	}
	found, _ := folderNamed(folders, a, name)
	return found, nil
}

// folderHere is folderAt that asks nobody: the index knows what the server said last, and the account may name folders. Where
// neither says what a word means, known is false; found is the folder of the usual name then, if that was fetched, or else the word.
func folderHere(ctx context.Context, x *index.Index, a config.Account, name string) (found string, known bool, err error) {
	use, ok := useNamed(name)
	if !ok {
		return orInbox(name), true, nil
	}
	folders, err := x.ServerFolders(ctx)
	if err != nil {
		return "", false, explainIndex(err)
	}
	known = len(folders) > 0 || use.named(a.Folders) != ""
	fetched, err := x.Folders(ctx)
	if err != nil {
		return "", false, explainIndex(err)
	}
	for _, f := range fetched {
		if !isFolder(folders, f.Name) {
			folders = append(folders, mailbox.Folder{Name: f.Name})
		}
	}
	if found, ok = folderNamed(folders, a, name); !known && !ok {
		found = name
	}
	return found, known, nil
}

func isFolder(folders []mailbox.Folder, name string) bool {
	return slices.ContainsFunc(folders, func(f mailbox.Folder) bool { return orInbox(f.Name) == orInbox(name) })
}

// useOf is what a folder is for, in a word; "": nothing that is said.
func useOf(f mailbox.Folder, a config.Account) string {
	for _, use := range specialUses {
		if use.named(a.Folders) == f.Name {
			return use.word
		}
	}
	for _, use := range specialUses {
		if use.named(a.Folders) == "" && slices.ContainsFunc(f.Attributes, func(has string) bool { return strings.EqualFold(has, use.attribute) }) {
			return use.word
		}
	}
	// Of RFC 6154 and RFC 8457; what else a server says of a folder is not what it is for.
	for _, word := range []string{"all", "flagged", "important"} {
		if slices.ContainsFunc(f.Attributes, func(has string) bool { return strings.EqualFold(has, `\`+word) }) {
			return word
		}
	}
	return ""
}

// Folders tells the folders of the account, the inbox first. One that cannot be looked into has its error in its line.
func (c *Client) Folders(ctx context.Context, each func(FolderLine) error) error {
	return c.eachFolder(ctx, func(mailbox.Store, config.Account) (string, error) { return "", nil }, each)
}

// CreateFolder makes a folder and subscribes to it, and tells it. One that is there already is only told.
func (c *Client) CreateFolder(ctx context.Context, name string, each func(FolderLine) error) error {
	return c.eachFolder(ctx, func(store mailbox.Store, a config.Account) (string, error) {
		folders, err := store.Folders(ctx)
		if err != nil {
			return "", explainServer(err)
		}
		name, ok := folderNamed(folders, a, name)
		if ok {
			return name, nil
		}
		return name, explainMessage("", name, store.CreateFolder(ctx, name))
	}, each)
}

// eachFolder tells the folders, or the one that first names.
func (c *Client) eachFolder(ctx context.Context, first func(mailbox.Store, config.Account) (string, error), each func(FolderLine) error) error {
	a, err := c.account()
	if err != nil {
		return err
	}
	store, err := c.dialStore(ctx, a)
	if err != nil {
		return err
	}
	defer store.Close()
	only, err := first(store, a)
	if err != nil {
		return err
	}
	folders, err := store.Folders(ctx)
	if err != nil {
		return explainServer(err)
	}
	slices.SortFunc(folders, func(a, b mailbox.Folder) int { return compareFolders(orInbox(a.Name), orInbox(b.Name)) })
	broken := 0
	for _, f := range folders {
		f.Name = orInbox(f.Name)
		if only != "" && f.Name != only {
			continue
		}
		line := FolderLine{Account: a.Name, Folder: f.Name, SpecialUse: orNull(useOf(f, a))}
		if err := line.count(ctx, store); err != nil {
			var lost *mailbox.ConnectError
			if ctx.Err() != nil || errors.As(err, &lost) {
				return cmp.Or(ctx.Err(), explainServer(err))
			}
			broken++
			line.Error = orNull(err.Error())
		}
		if err := each(line); err != nil {
			return err
		}
	}
	if broken > 0 {
		return failed("", fmt.Errorf("%d folder(s) could not be looked into", broken), "their lines say why")
	}
	return nil
}

// compareFolders has the inbox before all others.
func compareFolders(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "INBOX":
		return -1
	case b == "INBOX":
		return 1
	}
	return strings.Compare(a, b)
}

// count asks what is in a folder.
func (l *FolderLine) count(ctx context.Context, store mailbox.Store) error {
	status, err := store.Status(ctx, l.Folder)
	if err != nil {
		return err
	}
	unseen, err := countUnseen(ctx, store, l.Folder)
	if err != nil {
		return err
	}
	l.Messages, l.Unseen, l.UIDValidity = &status.Messages, &unseen, &status.UIDValidity
	return nil
}

// countUnseen asks the store, or counts where it does not.
func countUnseen(ctx context.Context, store mailbox.Store, folder string) (n uint32, err error) {
	if s, ok := store.(interface {
		Unseen(ctx context.Context, folder string) (uint32, error)
	}); ok {
		return s.Unseen(ctx, folder)
	}
	infos, err := store.Flags(ctx, folder, 0)
	for _, i := range infos {
		if !slices.ContainsFunc(i.Flags, func(f string) bool { return strings.EqualFold(f, `\Seen`) }) {
			n++
		}
	}
	return n, err
}
