package client_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime/entity"
)

// TestSignAndEncryptFails has either side fail, or the input, or the disk: the error is that one, nothing is written, and
// nothing goes on.
func TestSignAndEncryptFails(t *testing.T) {
	w := newWorld(t)
	alice := w.issue("alice", "p256")
	w.issue("bob", "p256")
	const head = "Content-Type: text/plain\r\n\r\n"
	broken := errors.New("broken")
	large := strings.Repeat("a line of text\r\n", 1<<16)
	for name, test := range map[string]struct {
		in     io.Reader
		before func(op, path string) error
		params client.SignParams
		want   error
		words  string
	}{
		"a bare carriage return": {in: strings.NewReader(head + large + "a\rb\r\n" + large), want: entity.ErrBareCR},
		"input":                  {in: io.MultiReader(strings.NewReader(head+large), iotest.ErrReader(broken)), want: broken},
		"timestamp": {in: strings.NewReader(head + large), params: client.SignParams{TSA: []string{"http://127.0.0.1:1"}},
			words: "timestamp"},
		"disk": {in: strings.NewReader(head + large), want: broken,
			before: func(op, _ string) error {
				if op == safeio.OpWrite {
					return broken
				}
				return nil
			}},
		"disk in the end": {in: strings.NewReader(head + large), want: broken,
			before: func(op, _ string) error {
				if op == safeio.OpSync {
					return broken
				}
				return nil
			}},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.options()
			o.Stdin, o.Disk = test.in, safeio.Disk{Before: test.before}
			c, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			test.params.Keys = alice
			before := runtime.NumGoroutine()
			err = c.Encrypt(t.Context(), client.EncryptParams{To: []string{w.in("bob.pem")}, Sign: &test.params}, "-", client.Output{Name: w.in("sealed")})
			if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.words) {
				t.Errorf("the error is %v, want %v", err, test.want)
			}
			if _, err := os.Stat(w.in("sealed")); err == nil {
				t.Error("there is an output")
			}
			if left, _ := filepath.Glob(w.in(".sealmail-*")); len(left) > 0 {
				t.Errorf("%v is left behind", left)
			}
			mustEnd(t, before)
		})
	}
}

// TestFiltersStream: an entity and a message from stdin are signed and encrypted as they come. What was not yet read is
// not needed for what is written.
func TestFiltersStream(t *testing.T) {
	w := newWorld(t)
	alice := w.issue("alice", "p256")
	w.issue("bob", "p256")
	for _, head := range []string{"", mailHeader} {
		in, feed := io.Pipe()
		o := w.options()
		o.Stdin = in
		c, err := client.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		written, out := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			p := client.EncryptParams{To: []string{w.in("bob.pem")}, Sign: &client.SignParams{Keys: alice}}
			err := c.Encrypt(t.Context(), p, "-", client.Output{Name: "-", Stdout: out})
			out.CloseWithError(err)
			ended <- err
		}()
		// Feed until something comes out, at most 64 MiB; then end the input.
		first := make(chan error, 1)
		go func() {
			_, err := io.CopyN(io.Discard, written, 1<<20)
			first <- err
			_, _ = io.Copy(io.Discard, written)
		}()
		_, err = io.WriteString(feed, head+"Content-Type: text/plain\r\n\r\n")
		lines := strings.Repeat("a line of text\r\n", 1<<12)
		fed := 0
	feeding:
		for ; err == nil && fed < 64<<20; fed += len(lines) {
			select {
			case err = <-first:
				break feeding
			default:
				_, err = io.WriteString(feed, lines)
			}
		}
		if err != nil || fed >= 64<<20 {
			t.Errorf("after %d octets nothing is written: %v", fed, err)
		}
		feed.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
