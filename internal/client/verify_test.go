package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// manyMessages writes signed, sealed, altered and unsigned messages in turn, and some names of none.
func manyMessages(t *testing.T, w *world, n int) (files []string, bob client.KeyFiles) {
	t.Helper()
	alice, bob := w.issue("alice", "p256"), w.issue("bob", "p256")
	c := w.client()
	for i := range n {
		name := fmt.Sprintf("%03d.eml", i)
		files = append(files, w.in(name))
		message := w.write("message", mailHeader+fmt.Sprintf("Content-Type: text/plain\r\n\r\nmessage %d\r\n", i))
		encrypt := client.EncryptParams{To: []string{w.in("bob.pem")}, Sign: &client.SignParams{Keys: alice, Opaque: i%2 == 0}}
		var err error
		switch i % 5 {
		case 0, 1:
			err = c.Encrypt(t.Context(), encrypt, message, client.Output{Name: w.in(name)})
		case 2, 3:
			if err = c.Sign(t.Context(), client.SignParams{Keys: alice}, message, client.Output{Name: w.in(name)}); err == nil && i%5 == 3 {
				w.write(name, strings.Replace(w.read(name), "message", "massage", 1))
			}
		case 4:
			if i%10 == 4 { // the others are not there
				w.write(name, w.read("message"))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return files, bob
}

// said is what Verify says of files, in a form that can be compared.
func said(t *testing.T, c *client.Client, p client.VerifyParams, files []string) []string {
	t.Helper()
	var list []string
	for report, err := range c.Verify(t.Context(), p, files) {
		line, jsonErr := json.Marshal(report)
		if jsonErr != nil {
			t.Fatal(jsonErr)
		}
		list = append(list, fmt.Sprintf("%s %v", line, err))
	}
	return list
}

// TestVerifyMany judges many files at once, and says of each what it says of it alone.
func TestVerifyMany(t *testing.T) {
	w := newWorld(t)
	files, bob := manyMessages(t, w, 60)
	p := client.VerifyParams{Keys: bob, Trust: []string{w.in("ca/root.pem")}, Revocation: "soft"}
	c := w.client()
	var want []string
	for _, file := range files {
		want = append(want, said(t, c, p, []string{file})...)
	}
	verdicts := map[string]bool{}
	for i, line := range want {
		_, verdict, _ := strings.Cut(line, `"verdict":`)
		verdict, _, _ = strings.Cut(verdict, ",")
		verdicts[verdict] = true
		if !strings.Contains(line, files[i]) {
			t.Fatalf("%s is not said of %s", line, files[i])
		}
	}
	if len(verdicts) != 4 { // one is that of files that are not there
		t.Errorf("the verdicts are %v", verdicts)
	}
	for _, cpus := range []int{1, 2, 7} {
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cpus))
			got := said(t, c, p, files)
			if len(got) != len(want) {
				t.Fatalf("%d CPUs: %d results of %d", cpus, len(got), len(want))
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%d CPUs:\n got %s\nwant %s", cpus, got[i], want[i])
				}
			}
		}()
	}
}

// TestVerifyManyLocked: that the vault stays locked is said once, at the first message that needs it, and ends it.
func TestVerifyManyLocked(t *testing.T) {
	w := newWorld(t)
	files, bob := manyMessages(t, w, 60)
	if _, err := w.client().CertImport(t.Context(), client.CertImportParams{Files: bob.Key[:1]}); err != nil {
		t.Fatal(err)
	}
	asked := 0
	o := w.options()
	o.Passphrase = func(context.Context, bool) ([]byte, error) {
		asked++
		return nil, errors.New("nobody answers")
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var reports, locked int
	for report, err := range c.Verify(t.Context(), client.VerifyParams{Trust: []string{w.in("ca/root.pem")}, Revocation: "soft"}, append(files[2:4], files...)) {
		switch {
		case err == nil && report != nil && locked == 0:
			reports++
		case err != nil && strings.Contains(err.Error(), "nobody answers"):
			locked++
		default:
			t.Errorf("%v, %v", report, err)
		}
	}
	if reports != 2 || locked != 1 || asked != 1 {
		t.Errorf("%d reports, %d times locked, %d times asked", reports, locked, asked)
	}
}

// TestVerifyManyEnds stops listening, and cancels.
func TestVerifyManyEnds(t *testing.T) {
	w := newWorld(t)
	files, bob := manyMessages(t, w, 40)
	p := client.VerifyParams{Keys: bob, Trust: []string{w.in("ca/root.pem")}, Revocation: "soft"}
	c := w.client()
	before := runtime.NumGoroutine()
	n := 0
	for range c.Verify(t.Context(), p, files) {
		if n++; n == 3 {
			break
		}
	}
	mustEnd(t, before)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n = 0
	var last error
	for _, err := range c.Verify(ctx, p, files) {
		if n++; n == 3 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("after %d of %d files it ends with %v", n, len(files), last)
	}
	mustEnd(t, before)
}

// mustEnd waits until there are no more goroutines than before.
func mustEnd(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines go on", runtime.NumGoroutine()-before)
		}
	}
}

// TestVerifyStdinOnce: whoever is named first reads stdin, and the second finds nothing there.
func TestVerifyStdinOnce(t *testing.T) {
	w := newWorld(t)
	files, bob := manyMessages(t, w, 3)
	o := w.options()
	signed, err := os.Open(files[2])
	if err != nil {
		t.Fatal(err)
	}
	defer signed.Close()
	o.Stdin = signed
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []string
	for report, err := range c.Verify(t.Context(), client.VerifyParams{Keys: bob, Trust: []string{w.in("ca/root.pem")}, Revocation: "soft"}, []string{files[0], "-", "-", files[1]}) {
		if err != nil {
			t.Fatal(err)
		}
		verdicts = append(verdicts, report.Verdict)
	}
	if got := strings.Join(verdicts, " "); got != "passed passed unsigned passed" {
		t.Error(got)
	}
}
