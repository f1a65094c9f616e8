package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/safeio"
)

// duringRead does something when it is read, and ends.
type duringRead func()

func (f duringRead) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

// duringWrite does something when it is written to.
type duringWrite func()

func (f duringWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// TestFileChanges changes a file while it is read, in the middle of each use case that reads one. Nothing is written and
// nothing said of such a file. Who puts another file in its place disturbs nobody.
func TestFileChanges(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.issue("alice", "p256"), w.issue("bob", "p256")
	c := w.client()
	plain := w.write("plain", mailHeader+"Content-Type: text/plain\r\n\r\n"+strings.Repeat("a line of text\r\n", 1000))
	for _, err := range []error{
		c.Sign(t.Context(), client.SignParams{Keys: alice}, plain, client.Output{Name: w.in("signed")}),
		c.Encrypt(t.Context(), client.EncryptParams{To: []string{w.in("bob.pem")}, Sign: &client.SignParams{Keys: alice}}, plain, client.Output{Name: w.in("sealed")}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.CertImport(t.Context(), client.CertImportParams{Files: bob.Key[:1]}); err != nil {
		t.Fatal(err)
	}
	trusted := client.VerifyParams{Trust: []string{w.in("ca/root.pem")}, Revocation: "soft"}
	beside := client.VerifyParams{Content: "-", Revocation: "soft"} // stdin is read between opening and verifying
	fromStdin := client.DecryptParams{Keys: client.KeyFiles{Key: []string{"-"}}}
	none := func(error) error { return nil }

	type useCase struct {
		about, file string
		run         func(o client.Options, in string, out client.Output, change func()) error
		writes      bool              // the output is a file
		otherwise   func(error) error // what the error is where nothing changes; nil: there is none
	}
	with := func(o client.Options, use func(*client.Client) error) error {
		c, err := client.New(o)
		if err != nil {
			return err
		}
		defer c.Close()
		return use(c)
	}
	beforeCreate := func(change func()) safeio.Disk {
		return safeio.Disk{Before: func(op, _ string) error {
			if op == safeio.OpCreate {
				change()
			}
			return nil
		}}
	}
	cases := []useCase{
		{about: "verify", file: "signed", run: func(o client.Options, in string, _ client.Output, change func()) error {
			o.Stdin = duringRead(change)
			return with(o, func(c *client.Client) error {
				for _, err := range c.Verify(t.Context(), beside, []string{in}) {
					return err
				}
				return nil
			})
		}},
		{about: "verify -o", file: "signed", writes: true, otherwise: none, run: func(o client.Options, in string, out client.Output, change func()) error {
			o.Stdin = duringRead(change)
			return with(o, func(c *client.Client) error { _, err := c.VerifyTo(t.Context(), beside, in, out); return err })
		}},
		{about: "verify -o, while it writes", file: "signed", writes: true, run: func(o client.Options, in string, out client.Output, change func()) error {
			o.Disk = beforeCreate(change)
			return with(o, func(c *client.Client) error { _, err := c.VerifyTo(t.Context(), trusted, in, out); return err })
		}},
		{about: "read", file: "sealed", run: func(o client.Options, in string, _ client.Output, change func()) error {
			o.Passphrase = func(context.Context, bool) ([]byte, error) {
				change()
				return []byte("secret"), nil
			}
			return with(o, func(c *client.Client) error {
				return c.Read(t.Context(), client.ReadParams{ID: in}, func(*client.Report) error { return nil })
			})
		}},
		{about: "read --raw", file: "sealed", run: func(o client.Options, in string, _ client.Output, change func()) error {
			return with(o, func(c *client.Client) error {
				return c.ReadRaw(t.Context(), client.ReadParams{ID: in}, duringWrite(change))
			})
		}},
		{about: "decrypt", file: "sealed", writes: true, run: func(o client.Options, in string, out client.Output, change func()) error {
			o.Stdin = io.MultiReader(duringRead(change), strings.NewReader(w.read("bob.pem")))
			return with(o, func(c *client.Client) error { return c.Decrypt(t.Context(), fromStdin, in, out) })
		}},
		{about: "decrypt to stdout", file: "sealed", writes: true, run: func(o client.Options, in string, out client.Output, change func()) error {
			o.Stdin = io.MultiReader(duringRead(change), strings.NewReader(w.read("bob.pem")))
			f, err := os.Create(out.Name)
			if err != nil {
				return err
			}
			err = with(o, func(c *client.Client) error {
				return c.Decrypt(t.Context(), fromStdin, in, client.Output{Name: "-", Stdout: f})
			})
			if info, statErr := f.Stat(); statErr == nil && info.Size() == 0 {
				return errors.Join(err, f.Close(), os.Remove(out.Name))
			}
			return errors.Join(err, f.Close())
		}},
		{about: "sign", file: "plain", writes: true, run: func(o client.Options, in string, out client.Output, change func()) error {
			o.Disk = beforeCreate(change)
			return with(o, func(c *client.Client) error { return c.Sign(t.Context(), client.SignParams{Keys: alice}, in, out) })
		}},
		{about: "encrypt", file: "plain", writes: true, run: func(o client.Options, in string, out client.Output, change func()) error {
			o.Disk = beforeCreate(change)
			return with(o, func(c *client.Client) error {
				return c.Encrypt(t.Context(), client.EncryptParams{To: []string{w.in("bob.pem")}}, in, out)
			})
		}},
		{about: "tsa stamp", file: "plain", writes: true, otherwise: none, run: func(o client.Options, in string, out client.Output, change func()) error {
			authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				change()
				http.NotFound(w, r)
			}))
			defer authority.Close()
			return with(o, func(c *client.Client) error {
				_, err := c.Stamp(t.Context(), client.StampParams{TSA: []string{authority.URL}, Hash: "sha256"}, in, out)
				return err
			})
		}},
	}
	changes := map[string]struct {
		change func(name string) error
		fails  bool
	}{
		"grows": {fails: true, change: func(name string) error {
			f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("more")
			return errors.Join(err, f.Close())
		}},
		"shrinks": {fails: true, change: func(name string) error { return os.Truncate(name, 100) }},
		"keeps its size": {fails: true, change: func(name string) error {
			f, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("Other")
			return errors.Join(err, f.Close())
		}},
		"is replaced": {change: func(name string) error {
			return errors.Join(os.WriteFile(name+".new", []byte("another"), 0o600), os.Rename(name+".new", name))
		}},
		"stays": {change: func(string) error { return nil }},
	}
	for _, c := range cases {
		for about, change := range changes {
			t.Run(c.about+" "+about, func(t *testing.T) {
				in, out := w.write("in.eml", w.read(c.file)), client.Output{Name: w.in("out")}
				defer os.Remove(out.Name)
				// The clock of files may be too coarse for two changes at once.
				if err := os.Chtimes(in, time.Time{}, now().AddDate(-1, 0, 0)); err != nil {
					t.Fatal(err)
				}
				changed := false
				err := c.run(w.options(), in, out, func() {
					if !changed {
						changed = true
						if err := change.change(in); err != nil {
							t.Error(err)
						}
					}
				})
				if !changed {
					t.Fatal("nothing was changed")
				}
				_, statErr := os.Stat(out.Name)
				if !change.fails {
					if c.otherwise != nil {
						err = c.otherwise(err)
					} else if c.writes && statErr != nil {
						t.Error("nothing was written")
					}
					if err != nil {
						t.Errorf("the error is %v", err)
					}
					return
				}
				if !errors.Is(err, client.ErrChanged) || client.KindOf(err) != client.Failed || !strings.Contains(err.Error(), in) {
					t.Errorf("the error is %v", err)
				}
				if statErr == nil {
					t.Error("there is an output")
				}
			})
		}
	}
}
