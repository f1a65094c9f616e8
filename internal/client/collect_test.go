package client_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// post is an account that others write to.
type post struct {
	*world
	folder  *folder
	options client.Options
}

func newPost(t *testing.T) *post {
	w := newWorld(t)
	p := &post{world: w, folder: &folder{validity: 1}}
	p.options = w.account("bob", p.folder)
	w.trusted()
	return p
}

// sign puts a message signed with the key in a file of issue into the folder.
func (p *post) sign(name, fields string, o smime.SignOptions) {
	p.t.Helper()
	pair := p.pair(name)
	var message bytes.Buffer
	message.WriteString("MIME-Version: 1.0\r\nFrom: alice@example.org\r\nTo: bob@example.org\r\nSubject: s\r\n" + fields)
	err := smime.Sign(p.t.Context(), &message, strings.NewReader(alteredEntity), smime.Signer{Key: pair.Key.(crypto.Signer), Chain: pair.Chain}, o)
	if err != nil {
		p.t.Fatal(err)
	}
	p.folder.messages = append(p.folder.messages, message.String())
}

// run runs one command.
func (p *post) run(command func(c *client.Client) error) {
	p.t.Helper()
	c, err := client.New(p.options)
	if err == nil {
		err = command(c)
		c.Close()
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *post) fetch() {
	p.t.Helper()
	p.run(func(c *client.Client) error {
		return c.Fetch(p.t.Context(), client.FetchParams{}, func(client.ListLine) error { return nil })
	})
}

// contact reads a message, and returns the verdict on it and what is said of its signer.
func (p *post) contact(id string, allowWeak bool) string {
	p.t.Helper()
	var said string
	p.run(func(c *client.Client) error {
		return c.Read(p.t.Context(), client.ReadParams{ID: id, Folder: "INBOX", AllowWeak: allowWeak}, func(r *client.Report) error {
			said = r.Verdict
			if contact := r.Signatures[0].Signer.Contact; contact != nil {
				said += " " + *contact
			}
			return nil
		})
	})
	return said
}

// known are the correspondents that the store has.
func (p *post) known() []certstore.Correspondent {
	p.t.Helper()
	list, problems, err := certstore.New(p.options.Home.Certificates(), safeio.Disk{}, nil).Correspondents()
	if err != nil || len(problems) > 0 {
		p.t.Fatal(err, problems)
	}
	return list
}

// TestChangeIsTold: that a key is another is said until somebody has read it, and goes on to be said with what they read,
// whatever Message-ID it has.
func TestChangeIsTold(t *testing.T) {
	p := newPost(t)
	p.issue("alice", "p256")
	p.sign("alice", "Message-ID: <1@example.org>\r\n", smime.SignOptions{})
	p.fetch()
	if got := p.contact("1", false); got != "passed first" {
		t.Fatal(got)
	}
	if err := os.Remove(p.in("alice.pem")); err != nil {
		t.Fatal(err)
	}
	p.issue("alice", "p384")
	p.options.Now = func() time.Time { return now().AddDate(0, 0, 1) }
	p.sign("alice", "Message-ID: <2@example.org>\r\n", smime.SignOptions{}) // which nobody reads
	p.sign("alice", "", smime.SignOptions{SigningTime: now()})
	p.sign("alice", "", smime.SignOptions{SigningTime: now().Add(time.Minute)})
	p.fetch()
	for _, test := range []struct{ id, want string }{
		{"1", "passed first"}, {"3", "passed changed"}, {"3", "passed changed"}, {"4", "passed known"}, {"2", "passed known"}, {"3", "passed changed"},
	} {
		if got := p.contact(test.id, false); got != test.want {
			t.Errorf("message %s: %q, want %q", test.id, got, test.want)
		}
	}
}

// TestDateToCome: a clock that was wrong once does not outrule all that is announced later.
func TestDateToCome(t *testing.T) {
	p := newPost(t)
	p.issue("alice", "p256")
	alice := p.pair("alice").Chain
	weak, strong := cms.Capabilities{{ID: cms.AES128CBC.OID()}}, cms.Capabilities{{ID: cms.AES256GCM.OID()}}
	p.sign("alice", "", smime.SignOptions{SigningTime: now().AddDate(50, 0, 0), Capabilities: weak, EncryptTo: []*x509.Certificate{alice[0]}})
	p.fetch()
	p.options.Now = func() time.Time { return now().AddDate(0, 1, 0) }
	p.sign("alice", "", smime.SignOptions{SigningTime: p.options.Now(), Capabilities: strong, EncryptTo: []*x509.Certificate{alice[0]}})
	p.fetch()
	known := p.known()
	if len(known) != 1 || !known[0].Capabilities.Supports(cms.AES256GCM) || !known[0].PreferredAt.Equal(p.options.Now()) {
		t.Errorf("%+v", known)
	}
}

// TestWeakIsNotKept: what was allowed for one reading is not believed afterwards.
func TestWeakIsNotKept(t *testing.T) {
	p := newPost(t)
	p.issue("alice", "rsa2048")
	signed := peertest.Run(t, "openssl", "cms", "-sign", "-md", "sha1", "-signer", p.in("alice.pem"), "-certfile", p.in("ca/issuing.pem"), "-in", p.write("entity", alteredEntity))
	p.folder.messages = append(p.folder.messages, "From: alice@example.org\r\nTo: bob@example.org\r\n"+strings.ReplaceAll(strings.ReplaceAll(string(signed), "\r\n", "\n"), "\n", "\r\n"))
	if got := p.contact("1", true); got != "passed first" {
		t.Fatal(got)
	}
	if known := p.known(); len(known) != 0 {
		t.Errorf("%+v", known)
	}
	p.sign("alice", "", smime.SignOptions{})
	if got := p.contact("2", true); got != "passed first" || !slices.ContainsFunc(p.known(), func(c certstore.Correspondent) bool { return c.Capabilities == nil }) {
		t.Errorf("%s, %+v", got, p.known())
	}
}
