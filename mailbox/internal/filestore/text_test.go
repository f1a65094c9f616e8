package filestore

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

// TestText stores messages with all kinds of line ends, and reads them back.
func TestText(t *testing.T) {
	long := strings.Repeat("a line\r\n", 1<<18)
	for _, test := range []struct {
		message, stored string
	}{
		{"A: b\r\n\r\nc\r\n", "A: b\n\nc\n"},
		{"A: b\r\n\r\nc", "A: b\n\nc"},
		{"A: b", "A: b"},
		{"A: b\r\n\r\nbare\nLF\r\n", "A: b\r\n\r\nbare\nLF\r\n"},
		{"A: b\r\n\r\nbare\rCR\r\n", "A: b\r\n\r\nbare\rCR\r\n"},
		{"A: b\r\n\r\ntwo\r\r\n", "A: b\r\n\r\ntwo\r\r\n"},
		{"A: b\r\n\r\nlast\r", "A: b\r\n\r\nlast\r"},
		{"A: b\rc", "A: b\rc"},
		{"\r\nA", "\nA"},
		{"\r\r\n\n", "\r\r\n\n"},
		{long, strings.ReplaceAll(long, "\r", "")},
		{long + "\n", long + "\n"},
	} {
		text, err := Spool(t.Context(), t.TempDir(), iotest.HalfReader(strings.NewReader(test.message)), int64(len(test.message)))
		if err != nil {
			t.Errorf("%.40q: %v", test.message, err)
			continue
		}
		stored, err := io.ReadAll(text.Stored())
		if err != nil || string(stored) != test.stored || text.StoredSize() != int64(len(stored)) {
			t.Errorf("%.40q: stored as %.40q (%d octets, said %d), %v", test.message, stored, len(stored), text.StoredSize(), err)
		}
		for name, r := range map[string]io.Reader{"whole": bytes.NewReader(stored), "by octets": iotest.OneByteReader(bytes.NewReader(stored[:min(len(stored), 1000)]))} {
			want := test.message
			if name != "whole" && len(stored) > 1000 {
				continue
			}
			if got, err := io.ReadAll(Canonical(r)); err != nil || string(got) != want {
				t.Errorf("%.40q, %s: got %.40q, %v", test.message, name, got, err)
			}
		}
		if err := text.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, refused := range []string{"A: b\n\nc\n", "A: b\nB: c\r\n", "\n"} {
		if _, err := Spool(t.Context(), t.TempDir(), strings.NewReader(refused), int64(len(refused))); !errors.Is(err, mailbox.ErrNotCanonical) {
			t.Errorf("%q: %v", refused, err)
		}
	}
	// Of others' files that have both, as Dovecot reads them.
	if got, err := io.ReadAll(Canonical(strings.NewReader("A: b\n\nc\r\nd\n"))); err != nil || string(got) != "A: b\r\n\r\nc\r\nd\r\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := io.ReadAll(Canonical(iotest.ErrReader(io.ErrClosedPipe))); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a broken reader: %v", err)
	}
}

func TestHasMessageID(t *testing.T) {
	for text, want := range map[string]bool{
		"Message-ID: <a@b>\n\n":                                       true,
		"A: b\r\nmessage-id:\r\n <a@b>\r\n\r\n":                       true,
		"Message-Id : <a@b>\n":                                        true,
		"References: <a@b>\n\n":                                       false,
		"A: b\n\nMessage-ID: <a@b>\n":                                 false,
		"Message-ID: <xa@b>\n\n":                                      false,
		"Message-ID: <c@d>\nX: y\n <a@b>\n\n":                         false,
		"X: " + strings.Repeat("x", 5000) + "\nMessage-ID: <a@b>\n\n": true,
		"": false,
	} {
		if got, err := hasMessageID(strings.NewReader(text), "a@b"); err != nil || got != want {
			t.Errorf("%.60q: %v, %v", text, got, err)
		}
	}
}

// TestSpoolWhileTidying: who removes what a kill left behind keeps nobody from storing a message.
func TestSpoolWhileTidying(t *testing.T) {
	dir := t.TempDir()
	ended := make(chan struct{})
	var tidying sync.WaitGroup
	for range 2 {
		tidying.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
					if err := safeio.RemoveStale(dir); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	text := strings.Repeat("line\r\n", memory/6+1)
	for range 60 {
		spooled, err := Spool(t.Context(), dir, strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Error(err)
			break
		}
		if err := spooled.Close(); err != nil {
			t.Error(err)
		}
	}
	close(ended)
	tidying.Wait()
}
