package archive

import (
	"bytes"
	"context"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"
)

// StatementKind is what a statement does. Later versions may know more kinds.
type StatementKind string

// The kinds of statements.
const (
	StatementHold    StatementKind = "hold"    // nothing in its scope may be destroyed until it is released by its name
	StatementRelease StatementKind = "release" // ends a hold
	StatementRetain  StatementKind = "retain"  // nothing in its scope may be destroyed before a period is over

	StatementShredded            StatementKind = "shredded"              // the keys of these messages were
	StatementContentKeysShredded StatementKind = "content-keys-shredded" // kept content keys of these messages were
)

// Statement is something that was said about messages in an archive, and signed with the archiving certificate. Statements are
// numbered from 1, and each names the one before by its digest. Nothing that was said is ever taken back but by another one.
type Statement struct {
	Kind   StatementKind
	Name   string // of the hold; may be empty for what is no hold and no release
	Reason string // for people
	By     string // who says it, for people
	Period Period // of StatementRetain
	Scope  Scope  // of all but StatementRelease

	// These are given when the statement is made.
	Number int
	Time   time.Time           // as the archiver's clock had it; seconds are kept
	Signer *x509.Certificate   // whether that one may sign is for the caller to say, as with the head
	Bag    []*x509.Certificate // what came with it
}

// Scope is a set of messages. The zero value is none.
type Scope struct {
	All      bool // whatever is in the archive, and will be; nothing else is then said
	Messages NumberSet
	Folders  []FolderName // what was in them when it was archived, and will be
}

// FolderName names a folder of an account, as [Origin] does.
type FolderName struct {
	Account, Folder string
}

// has reports whether folder is among those of the scope.
func (s Scope) has(folder FolderName) bool {
	for _, f := range s.Folders {
		if f == folder {
			return true
		}
	}
	return false
}

// logKeyName is what the Keeper knows the key of statements by. It wraps the content-encryption key of each of them, and nothing
// else: statements are kept for as long as the archive, and are not shredded one by one.
func logKeyName(archive string) string { return "archive:" + archive + ":log" }

// Statements returns the statements in their order, each verified: it is the object that the head speaks of, opens, is signed,
// and names the one before. The first error is the last that is returned; it names the object. It wraps ErrMissing, ErrAltered,
// ErrSealed, ErrNoKey, ErrSignature or ErrStatement where there is something wrong with that.
func (a *Archive) Statements(ctx context.Context) iter.Seq2[*Statement, error] {
	return func(yield func(*Statement, error) bool) {
		for n := 1; n <= a.head.Statements; n++ {
			if s, err := a.statement(ctx, n); !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// statement reads a statement.
func (a *Archive) statement(ctx context.Context, number int) (*Statement, error) {
	name := statementName(number)
	raw, err := a.read(ctx, name)
	if err != nil {
		return nil, err
	}
	var der bytes.Buffer
	if err := a.openKeys(ctx, raw, logKeyName(a.description.ID), &der); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	signed, err := openSigned(ctx, der.Bytes(), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t, err := parseStatement(signed.content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if t.archive != a.description.ID || t.Number != number || t.previous != a.previousStatement(a.head, number) {
		return nil, fmt.Errorf("%s: it belongs to another place: %w", name, ErrStatement)
	}
	t.Signer, t.Bag = signed.signer, signed.bag
	return &t.Statement, nil
}

// previousStatement returns the digest of the statement before this one, and zeros before the first.
func (a *Archive) previousStatement(h *Head, number int) (sum [sha512.Size]byte) {
	if number > 1 {
		sum, _ = h.Sum(statementName(number - 1))
	}
	return sum
}

// State makes a statement: a hold, a release or a retention, with Name, Reason, By, Period and Scope. It is made once State has
// returned, and the rest is filled in; after an interruption the next Writer may make it still. The error wraps ErrStatement where it says nothing, or what cannot be said, ErrHoldExists
// where there is a hold of the name already, and ErrNoHold where there is none to be released.
func (w *Writer) State(ctx context.Context, s *Statement) error {
	switch s.Kind {
	case StatementHold, StatementRelease, StatementRetain:
	default:
		return fmt.Errorf("%.40q: %w", s.Kind, ErrStatement)
	}
	if s.Scope.Messages.last() > w.a.Messages() {
		return fmt.Errorf("message %d: %w", s.Scope.Messages.last(), ErrMissing)
	}
	if err := w.a.mayState(ctx, s); err != nil {
		return err
	}
	return w.change(ctx, func(h *Head) error { return w.say(ctx, h, s) })
}

// mayState looks whether holds and their releases are about one another.
func (a *Archive) mayState(ctx context.Context, s *Statement) error {
	if s.Kind != StatementHold && s.Kind != StatementRelease {
		return nil
	}
	held := false
	for before, err := range a.Statements(ctx) {
		if err != nil {
			return err
		}
		if before.Name == s.Name && (before.Kind == StatementHold || before.Kind == StatementRelease) {
			held = before.Kind == StatementHold
		}
	}
	switch {
	case s.Kind == StatementHold && held:
		return fmt.Errorf("%q: %w", s.Name, ErrHoldExists)
	case s.Kind == StatementRelease && !held:
		return fmt.Errorf("%q: %w", s.Name, ErrNoHold)
	}
	return nil
}

// say makes a statement, and has the head speak of it.
func (w *Writer) say(ctx context.Context, h *Head, s *Statement) error {
	a := w.a
	if h.Statements == maxSegment {
		return errors.New("the archive has as many statements as it can")
	}
	t := statementText{Statement: *s, archive: a.description.ID}
	t.Number, t.Time = h.Statements+1, a.o.Now().UTC().Truncate(time.Second)
	t.previous = a.previousStatement(h, t.Number)
	text, err := t.marshal()
	if err != nil {
		return err
	}
	signed, err := w.o.Signer.sign(ctx, text, false, t.Time)
	if err != nil {
		return err
	}
	if err := w.sealStatement(ctx, h, t.Number, signed); err != nil {
		return err
	}
	t.Signer, t.Bag = w.o.Signer.Chain[0], w.o.Signer.Chain
	*s = t.Statement
	return nil
}

// sealStatement makes the object of a statement, and has the head speak of it.
func (w *Writer) sealStatement(ctx context.Context, h *Head, number int, signed []byte) error {
	k, err := w.logKey(ctx)
	if err != nil {
		return err
	}
	defer clear(k)
	name := logKeyName(w.a.description.ID)
	var sealed bytes.Buffer
	z, err := newSealer(ctx, &sealed, k, name, w.a.description.recovery)
	if err != nil {
		return err
	}
	if _, err := z.Write(signed); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	h.Statements = number
	return w.make(ctx, h, statementName(number), sealed.Bytes())
}

// logKey returns the key of statements, which is made with the first. Where the Keeper lost it, there is a new one, and the
// statements so far are for the owners of recovery certificates.
func (w *Writer) logKey(ctx context.Context) (key, error) {
	name := logKeyName(w.a.description.ID)
	k, err := w.a.o.Keeper.Key(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k = newKey()
		return k, w.a.o.Keeper.Keep(ctx, name, k)
	case err != nil:
		return nil, err
	case len(k) != keySize:
		return nil, fmt.Errorf("key of statements: %w", ErrSealed)
	}
	return k, nil
}
