package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
	"github.com/sealmail/sealmail/smime/verdict"
)

// indexEvidence is what the index keeps of a message beside its line: what the verdict was decided by.
type indexEvidence struct {
	Evidence [][]verdict.Evidence `json:"evidence,omitempty"`
	Proof    proofRecord          `json:"proof,omitzero"`
}

// some reports whether there is anything to keep: of mail that is not signed there is not.
func (e indexEvidence) some() bool {
	p := e.Proof
	return len(p.Certificates)+len(p.CRLs)+len(p.OCSPResponses) > 0 ||
		slices.ContainsFunc(e.Evidence, func(layer []verdict.Evidence) bool { return len(layer) > 0 })
}

// openIndex opens the index of an account. The caller closes it.
func (c *Client) openIndex(ctx context.Context, a config.Account) (*index.Index, error) {
	x, anew, err := c.openIndexAt(ctx, c.o.Home.Index(a.Name), "index:"+url.PathEscape(a.Name))
	if anew {
		c.o.Say("note: the local index has a new form: `sealmail fetch` fills it anew")
	}
	return x, err
}

// openIndexAt opens an index, whose key is in the vault. One that is damaged is only a cache, and is made anew; anew reports that
// it was of an earlier form. The caller closes it.
func (c *Client) openIndexAt(ctx context.Context, dir, keyName string) (x *index.Index, anew bool, err error) {
	v, err := c.openVault(ctx, false)
	if err != nil {
		return nil, false, err
	}
	key, err := v.Key(ctx, keyName)
	if err != nil {
		return nil, false, failed("vault", err, "make room on the disk, and see that this home can be written")
	}
	x, anew, err = index.Open(ctx, c.o.Disk, dir, [32]byte(key))
	if errors.Is(err, index.ErrDamaged) {
		c.o.Say("warning: the local index is damaged, and is made anew")
		if err := index.Destroy(c.o.Disk, dir); err != nil {
			return nil, false, failed("index", err, "")
		}
		x, anew, err = index.Open(ctx, c.o.Disk, dir, [32]byte(key))
	}
	return x, anew, explainIndex(err)
}

// explainIndex says what to do about an error of the index.
func explainIndex(err error) error {
	var known *Error
	hint := ""
	switch {
	case err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, index.ErrDamaged):
		hint = "the next `sealmail fetch` makes it anew; nothing on the server was changed"
	case errors.Is(err, index.ErrNewer):
		hint = "use the later version, or remove the folder cache/index: it is only a cache"
	case errors.Is(err, index.ErrBusy):
		hint = "try again when the other one is done"
	case errors.Is(err, index.ErrReplaced), errors.Is(err, index.ErrRenumbered):
		hint = "run `sealmail fetch` again; nothing on the server was changed"
	default:
		hint = "see that the disk has room, and that the folder cache/index can be written; nothing on the server was changed"
	}
	return failed("index", err, hint)
}

// lineOf is the line that the index keeps, with the flags as they are known now.
func lineOf(l index.Line) (ListLine, error) {
	var line ListLine
	if err := json.Unmarshal(l.Data, &line); err != nil {
		return line, explainIndex(errors.Join(index.ErrDamaged, err))
	}
	line.Folder, line.UID, line.Flags = l.Folder, uint32(l.UID), orNone(l.Flags)
	return line, nil
}

// orNone is an empty list for none, which is what JSON has.
func orNone(flags []string) []string {
	if flags == nil {
		return []string{}
	}
	return flags
}

// indexed is what the index is told of a message beside its octets and its text.
func indexed(info mailbox.Info, line ListLine, header MessageReport) (index.Message, error) {
	data, err := json.Marshal(line)
	m := index.Message{
		UID: info.UID, Flags: info.Flags, ModSeq: info.ModSeq, Size: info.Size, MessageID: orEmpty(line.MessageID), From: orEmpty(line.From),
		Subject: orEmpty(line.Subject), To: header.To, Cc: header.Cc, Verdict: orEmpty(line.Verdict), Encryption: orEmpty(line.Encryption), Line: data,
	}
	if line.Date != nil {
		m.Date = *line.Date
	}
	return m, err
}
