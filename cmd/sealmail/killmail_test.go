//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

// localMail is killWorld.mail of the embedded server, but for one flag.
func localMail(t testing.TB, server *localserver.Server, person, folder, but string) []string {
	t.Helper()
	all, err := server.Messages(person, folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var lines []string
	for _, m := range all {
		content, err := os.ReadFile(m.Path)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%d %v %v %x", m.UID, flagged(m.Flags, nil, []string{but}), m.Date.UTC(), sha256.Sum256(content)))
	}
	return lines
}

// mailOfAll is the mail of everybody, inboxes and copies, once nothing more can come.
func (w *killWorld) mailOfAll(t testing.TB) map[string][]string {
	t.Helper()
	w.settle(t)
	all := map[string][]string{}
	for _, person := range killPeople() {
		for _, folder := range []string{"INBOX", "Sent"} {
			all[person+" "+folder] = w.mail(t, person, folder)
		}
	}
	return all
}

// directOptions are killWorld.direct of a server with the anchors in a file.
func directOptions(t testing.TB, address, anchors string) mailbox.Options {
	t.Helper()
	text, err := os.ReadFile(anchors)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	endpoint, err := mailbox.ParseEndpoint(string(mailbox.SchemeIMAPS) + "://" + address)
	if err != nil {
		t.Fatal(err)
	}
	return mailbox.Options{Endpoint: endpoint, TLSRoots: roots, Timeout: time.Minute}
}

// store is a person's mail as another program of theirs has it.
func (w *killWorld) store(t testing.TB, person string) mailbox.Store {
	t.Helper()
	o := w.direct
	o.Credentials = mailbox.Credentials{User: person, Password: killPassword}
	s, err := mailbox.DialIMAP(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// heldMessage is a message at the server.
type heldMessage struct {
	UID   mailbox.UID
	Flags []string // sorted
	Text  string
}

// held is what is in a folder, once nothing more can happen to it.
func (w *killWorld) held(t testing.TB, person, folder string) (all []heldMessage) {
	t.Helper()
	w.settle(t)
	store := w.store(t, person)
	defer store.Close()
	list, err := store.List(t.Context(), folder, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		var text bytes.Buffer
		if err := store.Fetch(t.Context(), folder, m.UID, &text); err != nil {
			t.Fatal(err)
		}
		all = append(all, heldMessage{m.UID, slices.Sorted(slices.Values(m.Flags)), text.String()})
	}
	return all
}
