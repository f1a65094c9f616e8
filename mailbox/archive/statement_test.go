package archive_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
	"github.com/sealmail/sealmail/smime/cms"
)

// provenTime is what stamps prove: that the first segment is ten years old, and each other one a year younger than the one before.
func provenTime(segment int) time.Time { return now().AddDate(segment-11, 0, 0) }

// proving are options with which times can be proven.
func (w *world) proving() archive.Options {
	o := w.options()
	o.Proven = func(_ context.Context, s archive.Stamps) (time.Time, error) {
		if want := fmt.Sprintf("token over %x", sha512.Sum512(s.Signature)); string(s.Token) != want || !bytes.HasPrefix(s.Evidence, fmt.Appendf(nil, "%x", sha512.Sum512(s.Signature))) {
			return time.Time{}, fmt.Errorf("segment %d: token %q, record %q", s.Segment, s.Token, s.Evidence)
		}
		return provenTime(s.Segment), nil
	}
	return o
}

// change opens the archive on a disk and does something to it as a writer.
func (w *world) change(ctx context.Context, disk safeio.Disk, f func(*archive.Writer) error) (err error) {
	a, err := archive.Open(ctx, w.storage(disk), w.proving())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	writer, err := a.Write(ctx, w.write)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, writer.Close()) }()
	return f(writer)
}

// do is change on a disk that works, and what must work.
func (w *world) do(f func(*archive.Writer) error) {
	w.t.Helper()
	if err := w.change(w.t.Context(), safeio.Disk{}, f); err != nil {
		w.t.Fatal(err)
	}
}

// say makes a statement.
func (w *world) say(s archive.Statement) {
	w.t.Helper()
	w.do(func(writer *archive.Writer) error { return writer.State(w.t.Context(), &s) })
}

// fill makes the archive, with messages in it.
func (w *world) fill(messages int) {
	w.t.Helper()
	w.create()
	if _, err := w.add(w.t.Context(), safeio.Disk{}, 1, messages); err != nil {
		w.t.Fatal(err)
	}
}

func hold(name string, numbers ...archive.Number) archive.Statement {
	return archive.Statement{Kind: archive.StatementHold, Name: name, Reason: "ordered by a court", Scope: archive.Scope{Messages: archive.Numbers(numbers...)}}
}

// statements reads all, up to the first error.
func statements(ctx context.Context, a *archive.Archive) (list []*archive.Statement, err error) {
	for s, err := range a.Statements(ctx) {
		if err != nil {
			return list, err
		}
		list = append(list, s)
	}
	return list, nil
}

func TestState(t *testing.T) {
	w := newWorld(t)
	w.fill(4)
	w.say(hold("a", 1, 2))
	w.say(archive.Statement{Kind: archive.StatementRetain, By: "records", Period: archive.Period{Years: 10}, Scope: archive.Scope{All: true}})
	w.do(func(writer *archive.Writer) error { // several by one writer
		for _, s := range []archive.Statement{{Kind: archive.StatementRelease, Name: "a"}, hold("a", 3)} {
			if err := writer.State(t.Context(), &s); err != nil {
				return err
			}
			if s.Number == 0 || s.Time != now() || s.Signer == nil {
				t.Errorf("what was given is not filled in: %+v", s)
			}
		}
		return nil
	})
	a := w.open()
	list, err := statements(t.Context(), a)
	if err != nil || len(list) != 4 {
		t.Fatalf("%d statements: %v", len(list), err)
	}
	for i, s := range list {
		if s.Number != i+1 || !s.Signer.Equal(w.signer.Chain[0]) || !s.Time.Equal(now()) {
			t.Errorf("statement %d: %+v", i+1, s)
		}
	}
	if list[0].Reason != "ordered by a court" || list[0].Scope.Messages.String() != "1-2" || list[1].Period.String() != "10y" || !list[1].Scope.All || list[3].Name != "a" {
		t.Errorf("%+v", list)
	}
	if h, _ := a.Head(); h.Statements != 4 || h.Sequence != 7 { // made, two segments, and these
		t.Errorf("head: %+v", h)
	}
	if w.check() != 4 {
		t.Error("messages")
	}
	if len(w.kept.(memory)) != 3 { // of two segments, and of the statements
		t.Errorf("keys: %d", len(w.kept.(memory)))
	}
}

func TestStateRefused(t *testing.T) {
	w := newWorld(t)
	w.fill(2)
	w.say(hold("a", 1))
	for name, test := range map[string]struct {
		s    archive.Statement
		want error
	}{
		"twice":            {hold("a", 2), archive.ErrHoldExists},
		"no such":          {archive.Statement{Kind: archive.StatementRelease, Name: "b"}, archive.ErrNoHold},
		"not yet archived": {hold("c", 3), archive.ErrMissing},
		"nothing":          {hold("c"), archive.ErrStatement},
		"two lines":        {hold("c\nd", 1), archive.ErrStatement},
		"shredded":         {archive.Statement{Kind: archive.StatementShredded, Scope: archive.Scope{Messages: archive.Numbers(1)}}, archive.ErrStatement},
		"unknown":          {archive.Statement{Kind: "embargo", Scope: archive.Scope{All: true}}, archive.ErrStatement},
	} {
		err := w.change(t.Context(), safeio.Disk{}, func(writer *archive.Writer) error { return writer.State(t.Context(), &test.s) })
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.say(archive.Statement{Kind: archive.StatementRelease, Name: "a"})
	err := w.change(t.Context(), safeio.Disk{}, func(writer *archive.Writer) error {
		return writer.State(t.Context(), &archive.Statement{Kind: archive.StatementRelease, Name: "a"})
	})
	if !errors.Is(err, archive.ErrNoHold) {
		t.Errorf("released twice: %v", err)
	}
	if list, err := statements(t.Context(), w.open()); err != nil || len(list) != 2 {
		t.Errorf("%d statements: %v", len(list), err)
	}
}

// TestStatementAltered has statements that are not what the head speaks of, and heads that speak of what is none: each time the
// object is named.
func TestStatementAltered(t *testing.T) {
	two := filepath.Join("log", "000002.p7m")
	other := newWorld(t)
	other.create()
	otherID := other.open().ID()
	forged := func(archiveID string, number int, previous []byte, s archive.Statement) func(*world) {
		return func(w *world) {
			w.do(func(writer *archive.Writer) error {
				if archiveID == "" {
					archiveID = w.open().ID()
				}
				return writer.SayForged(t.Context(), s, archiveID, number, previous)
			})
		}
	}
	sealed := func(signed func(w *world) []byte) func(*world) {
		return func(w *world) {
			w.do(func(writer *archive.Writer) error { return writer.SaySealed(t.Context(), signed(w)) })
		}
	}
	at := hold("b", 1)
	at.Time = now()
	wrong := sha512.Sum512([]byte("another"))
	for name, test := range map[string]struct {
		alter func(*world)
		want  error
	}{
		"good":            {forged("", 2, nil, at), nil},
		"of another":      {forged(otherID, 2, nil, at), archive.ErrStatement},
		"another number":  {forged("", 3, nil, at), archive.ErrStatement},
		"another chain":   {forged("", 2, wrong[:], at), archive.ErrStatement},
		"says nothing":    {forged("", 2, nil, archive.Statement{Kind: archive.StatementHold, Name: "b", Time: now()}), archive.ErrStatement},
		"not signed":      {sealed(func(*world) []byte { return []byte("Kind: hold\n") }), archive.ErrSignature},
		"signed garbage":  {sealed(func(w *world) []byte { return sign(t, w.signer, "Kind: hold\n", "") }), archive.ErrStatement},
		"wrong signature": {sealed(func(w *world) []byte { return sign(t, w.signer, "sealmail archive", "realmail archive") }), archive.ErrSignature},
		"missing": {func(w *world) {
			w.say(hold("b", 1))
			if err := os.Remove(filepath.Join(w.dir, two)); err != nil {
				t.Fatal(err)
			}
		}, archive.ErrMissing},
		"another object": {func(w *world) {
			w.say(hold("b", 1))
			one, err := os.ReadFile(filepath.Join(w.dir, "log", "000001.p7m"))
			if err == nil {
				err = os.Remove(filepath.Join(w.dir, two))
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(w.dir, two), one, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, archive.ErrAltered},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.fill(1)
			w.say(hold("a", 1))
			test.alter(w)
			list, err := statements(t.Context(), w.open())
			if !errors.Is(err, test.want) || (test.want != nil) != (len(list) == 1) {
				t.Fatalf("%d statements: %v", len(list), err)
			}
			if err != nil && !strings.Contains(err.Error(), "log/000002.p7m") {
				t.Errorf("the object is not named: %v", err)
			}
		})
	}
}

// sign returns a SignedData over a text, in which some of it was exchanged afterwards.
func sign(t *testing.T, s archive.Signer, text, exchanged string) []byte {
	t.Helper()
	scheme, digest, err := cms.DefaultSignature(s.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	signed, err := cms.Sign(t.Context(), []byte(text), cms.SignedDataOptions{
		Certificates: s.Chain, Signers: []cms.Signer{{Certificate: s.Chain[0], Key: s.Key, Scheme: scheme, Digest: digest}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if exchanged == "" {
		return signed
	}
	return bytes.Replace(signed, []byte(text), []byte(exchanged), 1)
}

// TestKillState ends a writer at each step of a statement: it was made whole, or not at all, and the next one can be made.
func TestKillState(t *testing.T) {
	killed := errors.New("killed")
	for step, done := 0, false; !done; step++ {
		w := newWorld(t)
		w.fill(1)
		w.say(hold("a", 1))
		n := 0
		disk := safeio.Disk{Before: func(string, string) error {
			if n++; n > step {
				return killed
			}
			return nil
		}}
		s := hold("b", 1)
		err := w.change(t.Context(), disk, func(writer *archive.Writer) error {
			err := writer.State(t.Context(), &s)
			if err != nil {
				n = 0 // the disk works again, and it goes no further all the same
				if again := writer.State(t.Context(), &s); !errors.Is(again, archive.ErrUnfinished) {
					t.Errorf("step %d: after an error: %v", step, again)
				}
				n = step
			}
			return err
		})
		if done = err == nil; !done && !errors.Is(err, killed) {
			t.Fatalf("step %d: %v", step, err)
		}
		before, err := statements(t.Context(), w.open())
		if err != nil || len(before) < 1 || len(before) > 2 || done && len(before) != 2 {
			t.Fatalf("step %d: %d statements: %v", step, len(before), err)
		}
		w.say(hold("c", 1))
		// What was complete, but for the head, was taken in.
		after, err := statements(t.Context(), w.open())
		if err != nil || len(after) <= len(before) || len(after) > 3 || after[0].Name != "a" || after[len(after)-1].Name != "c" || len(after) == 3 && after[1].Name != "b" {
			t.Errorf("step %d: %d statements afterwards: %v", step, len(after), err)
		}
	}
}

// TestStatementByHand reads a statement as its recipient would with OpenSSL, once it is decrypted.
func TestStatementByHand(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("SEALMAIL_REQUIRE_PEERS") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	w := newWorld(t)
	w.fill(1)
	w.say(hold("a", 1))
	key := w.kept.(memory)["archive:"+w.open().ID()+":log"]
	id := "archive:" + w.open().ID() + ":log"
	decrypt := exec.CommandContext(t.Context(), "openssl", "cms", "-decrypt", "-inform", "DER", "-in", filepath.Join(w.dir, "log", "000001.p7m"),
		"-secretkey", hexOf(key), "-secretkeyid", hexOf([]byte(id)))
	signed, err := decrypt.Output()
	if err != nil {
		t.Fatal(err)
	}
	verify := exec.CommandContext(t.Context(), "openssl", "cms", "-verify", "-inform", "DER", "-noverify")
	verify.Stdin = bytes.NewReader(signed)
	text, err := verify.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "Kind: hold\nName: a\nReason: ordered by a court\nMessages: 1\n"; !strings.HasSuffix(string(text), want) {
		t.Errorf("%s", text)
	}
}

func hexOf(octets []byte) string { return hex.EncodeToString(octets) }

// recoverer has the key of a recovery certificate.
type recoverer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Unwrap opens what is for the certificate.
func (r recoverer) Unwrap(_ context.Context, info cms.RecipientInfo) ([]byte, error) {
	agreed, ok := info.(*cms.KeyAgreeRecipientInfo)
	if !ok || !info.Recipient().Matches(r.certificate) {
		return nil, cms.ErrNotRecipient
	}
	key, err := r.key.ECDH()
	if err != nil {
		return nil, err
	}
	return agreed.Unwrap(key)
}

// TestStatementRecovery loses the key of the statements: who has that of a recovery certificate still reads them, and goes on.
func TestStatementRecovery(t *testing.T) {
	w := newWorld(t)
	recovery := certificate(t, "Recovery")
	if err := archive.Create(t.Context(), w.storage(safeio.Disk{}), w.options(), w.signer, recovery.Chain); err != nil {
		t.Fatal(err)
	}
	if _, err := w.add(t.Context(), safeio.Disk{}, 1, 1); err != nil {
		t.Fatal(err)
	}
	w.say(hold("a", 1))
	clear(w.kept.(memory))
	if _, err := statements(t.Context(), w.open()); !errors.Is(err, archive.ErrNoKey) {
		t.Errorf("without any key: %v", err)
	}
	o := w.options()
	o.Recovery = []archive.Unwrapper{recoverer{certificate(t, "Other").Chain[0], recovery.Key.(*ecdsa.PrivateKey)}, recoverer{recovery.Chain[0], recovery.Key.(*ecdsa.PrivateKey)}}
	a, err := archive.Open(t.Context(), w.storage(safeio.Disk{}), o)
	if err != nil {
		t.Fatal(err)
	}
	writer, err := a.Write(t.Context(), w.write)
	if err != nil {
		t.Fatal(err)
	}
	b := hold("b", 1)
	if err := writer.State(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if list, err := statements(t.Context(), a); err != nil || len(list) != 2 {
		t.Errorf("%d statements: %v", len(list), err)
	}
	if _, err := statements(t.Context(), w.open()); !errors.Is(err, archive.ErrSealed) { // the new key is there, and not the old one
		t.Errorf("with the new key alone: %v", err)
	}
}
