package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/spool"
)

// Fields inside of a draft for what a message says nobody.
const (
	draftBcc     = ownFieldPrefix + "Bcc"
	draftOptions = ownFieldPrefix + "Options"
)

// Words of draftOptions.
const (
	optionNoEncrypt   = "no-encrypt"
	optionNoSign      = "no-sign"
	optionNoTimestamp = "no-timestamp"
	optionHeaders     = "header-confidentiality=" // with the policy's name behind it
	optionAnswer      = "answer"                  // what the message that is answered hid stays hidden
	optionSealed      = "sealed"                  // that message was encrypted
)

// DraftResult is what `draft` says; its JSON is a contract.
type DraftResult struct {
	Account   string  `json:"account"`
	Folder    string  `json:"folder"`
	UID       *uint32 `json:"uid"` // null where the server does not tell
	MessageID string  `json:"message_id"`
	Replaced  bool    `json:"replaced"` // the draft that it goes on with was removed
}

// Draft puts a letter into the account's folder of drafts: encrypted to oneself, and signed, so that one's own drafts can be told
// from others that somebody puts there. What was edited and could not be stored is kept on this machine.
func (c *Client) Draft(ctx context.Context, p SendParams) (*DraftResult, error) {
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	w := &writing{client: c, account: a, options: p.SendOptions, edit: p.Edit}
	defer w.close()
	if err := w.options.check(); err != nil {
		return nil, err
	}
	from, err := c.begin(ctx, w, p)
	if err != nil {
		return nil, err
	}
	if w.edit != nil {
		if changed, err := w.editLetter(ctx); err != nil && changed {
			return nil, w.keepAfter(ctx, err)
		} else if err != nil {
			return nil, err
		}
	}
	d, err := w.draft()
	if err != nil {
		return nil, w.keepIfEdited(ctx, err)
	}
	if len(w.letter.template()) == len(Letter{}.template()) {
		return nil, usage("draft", errors.New("there is nothing in it"), "give at least --to, --subject or --body")
	}
	result, err := w.store(ctx, d)
	if err != nil {
		return nil, w.keepAfter(ctx, err)
	}
	if from != nil {
		if err := c.removeDraft(ctx, *from); err != nil {
			c.o.Say(fmt.Sprintf("warning: %s is still there: %v", from.name(), err))
			return result, nil
		}
		result.Replaced = true
	}
	return result, nil
}

// keepIfEdited keeps the letter of somebody who has written it, and returns the error.
func (w *writing) keepIfEdited(ctx context.Context, err error) error {
	if w.edit == nil {
		return err
	}
	return w.keepAfter(ctx, err)
}

// begin takes the letter out of a draft, where there is one to go on with, with what flags and template add; from is where it is.
func (c *Client) begin(ctx context.Context, w *writing, p SendParams) (from *begun, err error) {
	var l Letter
	if p.Draft.ID != "" {
		if l, from, err = c.openDraft(ctx, w, p); err != nil {
			return nil, err
		}
	}
	w.from = from
	w.letter, err = p.letter(l)
	return from, err
}

// sendDraft sends a draft, and removes it once it was accepted.
func (c *Client) sendDraft(ctx context.Context, w *writing, p SendParams) (*SendResult, error) {
	from, err := c.begin(ctx, w, p)
	if err != nil {
		return nil, err
	}
	if !w.options.DryRun {
		if err := c.notSentYet(ctx, w.account, from, p); err != nil {
			return nil, err
		}
	}
	result, err := w.send(ctx)
	if result == nil || result.State == nil || w.options.DryRun {
		return result, err
	}
	if removeErr := c.removeDraft(ctx, *from); removeErr != nil {
		c.o.Say(fmt.Sprintf("warning: the draft, %s, is still there: %v", from.name(), removeErr))
	}
	return result, err
}

// canKeep is an error where the letter could be neither sent nor kept.
func (w *writing) canKeep(ctx context.Context) error {
	from, err := ownSender(w.account, w.letter.From)
	if err != nil {
		return err
	}
	by, err := w.client.selector(w.client.o.Now(), false)
	if err != nil {
		return err
	}
	_, err = w.toSelf(ctx, from.Address, by)
	return err
}

// toSelf is the audience of a draft.
func (w *writing) toSelf(ctx context.Context, from string, by selector) (audience, error) {
	self, err := w.client.chooseRecipient(ctx, from, by.Selector)
	if err != nil {
		return audience{}, err
	}
	if self.Chosen == nil {
		return audience{}, w.client.refused("draft", []certstore.Selection{self}, "a draft is encrypted to yourself")
	}
	p := &plan{}
	if err := w.client.planAudience(ctx, p, self, nil, by.Selector); err != nil {
		return audience{}, err
	}
	return p.audiences[0], nil
}

// seal writes the letter as a draft. What it will hide of its header as a message, it hides as a draft.
func (w *writing) seal(ctx context.Context, d *draft) (*spool.Spool, error) {
	by, err := w.client.selector(d.Date, false)
	if err != nil {
		return nil, err
	}
	a, err := w.toSelf(ctx, d.From.Address, by)
	if err != nil {
		return nil, err
	}
	confidentiality, err := headerConfidentiality(w.options.HeaderConfidentiality, w.account)
	if err != nil {
		return nil, err
	}
	policy := headerPolicies[confidentiality]
	if d.policy != nil {
		policy = d.policy(policy)
	}
	shut := *d
	shut.further = slices.Clone(d.further)
	for _, f := range []struct{ name, value string }{{draftBcc, joinAddresses(d.Bcc)}, {draftOptions, w.optionWords()}} {
		if f.value == "" {
			continue
		}
		field, err := entity.NewField(f.name, f.value)
		if err != nil {
			return nil, err
		}
		shut.further = append(shut.further, field)
	}
	s := &sealing{client: w.client, account: w.account, draft: &shut, plan: &plan{audiences: []audience{a}}, protector: smime.HeaderProtector{
		Scheme: smime.HPCipher,
		Policy: func(name, value string) (string, bool) {
			if len(name) >= len(ownFieldPrefix) && strings.EqualFold(name[:len(ownFieldPrefix)], ownFieldPrefix) {
				return "", false
			}
			return policy(name, value)
		},
	}}
	signer, err := w.client.certificates().SigningIdentity(ctx, d.From.Address, by.Selector)
	if err != nil {
		return nil, storeError(err)
	}
	if signer.Chosen != nil {
		s.identity = signer.Chosen.Identity
	}
	outer, payload, err := s.payload(ctx)
	if err != nil {
		return nil, err
	}
	defer payload.Close()
	sealed := spool.New(w.client.spoolOptions())
	w.spools = append(w.spools, sealed)
	return sealed, s.writeMessage(ctx, sealed, a, outer, payload)
}

// optionWords are the options of a letter, for when it is gone on with.
func (w *writing) optionWords() string {
	var words []string
	for _, option := range []struct {
		set  bool
		word string
	}{
		{w.options.NoEncrypt, optionNoEncrypt}, {w.options.NoSign, optionNoSign}, {w.options.NoTimestamp, optionNoTimestamp},
		{w.options.HeaderConfidentiality != "", optionHeaders + w.options.HeaderConfidentiality}, {w.policy != nil, optionAnswer}, {w.sealed, optionSealed},
	} {
		if option.set {
			words = append(words, option.word)
		}
	}
	return strings.Join(words, " ")
}

// setOptions takes the options of a draft; what flags say is there already.
func (w *writing) setOptions(words string, m *smime.Message) {
	for _, word := range strings.Fields(words) {
		switch word {
		case optionNoEncrypt:
			w.options.NoEncrypt = true
		case optionNoSign:
			w.options.NoSign = true
		case optionNoTimestamp:
			w.options.NoTimestamp = true
		case optionSealed:
			w.sealed = true
		case optionAnswer:
			w.policy = func(chosen smime.HCP) smime.HCP {
				return m.ResponseHCP(func(h entity.Header) entity.Header { return h }, chosen)
			}
		}
		if policy, ok := strings.CutPrefix(word, optionHeaders); ok && w.options.HeaderConfidentiality == "" {
			w.options.HeaderConfidentiality = policy
		}
	}
}

// store puts the letter into the folder of drafts.
func (w *writing) store(ctx context.Context, d *draft) (*DraftResult, error) {
	sealed, err := w.seal(ctx, d)
	if err != nil {
		return nil, err
	}
	store, err := w.client.dialStore(ctx, w.account)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	folder, err := folderOfDrafts(ctx, store, w.account)
	if err != nil {
		return nil, err
	}
	uid, err := store.Append(ctx, folder, mailbox.NewMessage{Flags: []string{`\Draft`, `\Seen`}, Date: d.Date, Size: sealed.Size(), Body: sealed.Section()})
	if err != nil {
		return nil, explainServer(err)
	}
	return &DraftResult{Account: w.account.Name, Folder: folder, UID: orNull(uint32(uid)), MessageID: d.MessageID}, nil
}

// folderOfDrafts is the one that the account names, the one that the server has for that (RFC 6154), or else one of the usual name.
func folderOfDrafts(ctx context.Context, store mailbox.Store, a config.Account) (string, error) {
	if a.Folders.Drafts != "" {
		return a.Folders.Drafts, nil
	}
	folders, err := store.Folders(ctx)
	if err != nil {
		return "", explainServer(err)
	}
	name, _ := folderFor(folders, a, "drafts")
	return name, nil
}

// keepHere keeps the letter on this machine, sealed as a draft, and returns the file. Where its header cannot be understood, all
// of it becomes text.
func (w *writing) keepHere(ctx context.Context) (string, error) {
	d, err := w.draft()
	if err != nil {
		w.letter = Letter{Body: w.letter.template(), kept: w.letter.kept}
		d, err = w.draft()
	}
	if err != nil {
		return "", err
	}
	sealed, err := w.seal(ctx, d)
	if err != nil {
		return "", err
	}
	c := w.client
	if err := c.o.Disk.MkdirAll(c.o.Home.Drafts(), 0o700); err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(d.MessageID, "@")
	path := filepath.Join(c.o.Home.Drafts(), name+".eml")
	f, err := c.o.Disk.Create(path, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(f, sealed.Section()); err != nil {
		return "", err
	}
	return path, f.Commit()
}
