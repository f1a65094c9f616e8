//go:build unix

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime"
)

const (
	peerSubject = "Offer for Nördlingen" // what no server may see
	peerText    = "The turbine costs as much as last year,\nsays Jörg = our man in Nördlingen.\n"
	peerTable   = "item,quantity\nturbine of the second kind,4\n"
)

// mailCase is one pair of correspondents.
type mailCase struct {
	alice, bob     string // kinds of keys
	cipher         string
	management     string // of bob's key, as send says it
	algorithm      string // the same, as read says it
	signature      string
	starttls, huge bool // huge: one attachment is; and the vaults have a passphrase
}

// TestMailServers has alice and bob correspond over a real Dovecot and Postfix, by the command line alone.
func TestMailServers(t *testing.T) {
	servers := peertest.MailServers(t)
	peertest.Command(t, "openssl")
	h := newPeerHouse(t)
	h.serveTSA(t)
	for name, c := range map[string]mailCase{
		"p256 gcm": {alice: "p256", bob: "p256", cipher: "aes-256-gcm", management: "ecdh-sha256kdf", algorithm: "ecdh-p256", signature: "ecdsa-p256", huge: true},
		"rsa gcm":  {alice: "rsa2048", bob: "rsa3072", cipher: "aes-256-gcm", management: "rsa-pkcs1v15", algorithm: "rsa-pkcs1v15", signature: "rsa-pkcs1v15", starttls: true},
		"p256 cbc": {alice: "p256", bob: foreign + "p256", cipher: "aes-256-cbc", management: "ecdh-sha256kdf", algorithm: "ecdh-p256", signature: "ecdsa-p256", starttls: true},
		"rsa cbc":  {alice: "rsa3072", bob: foreign + "rsa2048", cipher: "aes-256-cbc", management: "rsa-pkcs1v15", algorithm: "rsa-pkcs1v15", signature: "rsa-pkcs1v15"},
	} {
		t.Run(name, func(t *testing.T) { h.correspond(t, servers, strings.ReplaceAll(name, " ", "-"), c) })
	}
	t.Run("full mailbox", func(t *testing.T) { h.fullMailbox(t, servers) })
	t.Run("refused", func(t *testing.T) { h.refusedByServers(t, servers) })
	h.stopTSA(t)
	t.Run("no authority", func(t *testing.T) {
		servers.Empty(t, peerBob)
		o := h.sealmail(t, "alice-p256-gcm", "send", "--to", peerBob, "--subject", "x", "--body", "letter.txt")
		o.mustBe(t, exitFailed).mustSay(t, "timestamp: "+strings.TrimPrefix(h.url, "http://"), "--no-timestamp")
		if o := h.sealmail(t, "alice-p256-gcm", "outbox", "list", "--json"); o.out != "" {
			t.Errorf("in the outbox: %s", o.out)
		}
		servers.Settle(t)
		if n := len(maildirMessages(t, servers, peerBob, "INBOX")); n != 0 {
			t.Errorf("%d messages were sent", n)
		}
	})
}

// account sets up an account of a person in a home, and returns the command's outcome.
func (h *peerHouse) account(t *testing.T, s peertest.Servers, home, person, kind string, starttls bool, more ...string) outcome {
	t.Helper()
	imap, smtp := "imaps://"+s.IMAPS, "submissions://"+s.Submissions
	if starttls {
		imap, smtp = "imap://"+s.IMAP, "submission://"+s.Submission
	}
	h.write(t, "server-password", "secret\n")
	return h.sealmail(t, home, append([]string{"init", person + "@example.test", "--imap", imap, "--smtp", smtp, "--server-ca", s.CAFile, "--password-file", h.file("server-password"),
		"--p12", h.key(t, person, kind) + ".p12", "--p12-password-file", h.file("password"), "--trust", h.root(), "--tsa", h.url, "--tsa-trust", h.root()}, more...)...)
}

// correspond sends one message and looks at it from all sides.
func (h *peerHouse) correspond(t *testing.T, s peertest.Servers, name string, c mailCase) {
	alice, bob := "alice-"+name, "bob-"+name
	for _, person := range []string{peerAlice, peerBob} {
		s.Empty(t, person)
	}
	var vault []string
	if !c.huge {
		vault = []string{"--unprotected"}
	}
	h.account(t, s, alice, "alice", c.alice, c.starttls, vault...).mustBe(t, exitGood)
	h.account(t, s, bob, "bob", c.bob, c.starttls, vault...).mustBe(t, exitGood)
	h.sealmail(t, bob, "cert", "export", peerBob, "-o", "bob.pem", "--yes").mustBe(t, exitGood)
	h.sealmail(t, alice, "cert", "import", "bob.pem").mustBe(t, exitGood)

	size := 1000
	if c.huge {
		size = 20 << 20
	}
	data := make([]byte, size)
	_, _ = rand.Read(data)
	h.write(t, "photo.jpg", string(data))
	h.write(t, "plan.csv", peerTable)
	h.write(t, "letter.txt", peerText)
	begun := time.Now().Truncate(time.Second)
	sent := h.sealmail(t, alice, "send", "--to", peerBob, "--subject", peerSubject, "--body", "letter.txt", "--attach", "plan.csv", "--attach", "photo.jpg", "--json").mustBe(t, exitGood).report(t)
	bobs := h.certificate(t, "bob-"+c.bob)
	mustHave(t, sent, map[string]any{
		"state": "sent", "recipients.0.address": peerBob, "recipients.0.certificate": certstore.Fingerprint(bobs), "recipients.0.cipher": c.cipher,
		"recipients.0.key_management": c.management, "recipients.0.error": nil,
	})
	s.Settle(t)
	want := expectedReport{house: h, c: c, sent: sent, begun: begun, size: size, account: peerBob, folder: "INBOX"}

	fetched := h.sealmail(t, bob, "fetch", "--json").mustBe(t, exitGood).report(t)
	raw := maildirMessages(t, s, peerBob, "INBOX")
	if len(raw) != 1 {
		t.Fatalf("%d messages arrived", len(raw))
	}
	want.line(t, fetched, len(raw[0]))
	want.report(t, h.sealmail(t, bob, "read", "last", "--json").mustBe(t, exitGood).report(t))
	if got := h.sealmail(t, bob, "read", "last", "--raw").mustBe(t, exitGood); !bytes.Equal(wholeLines([]byte(got.out)), wholeLines(raw[0])) {
		t.Error("read --raw is not what lies on the server")
	}

	want.account, want.folder = peerAlice, "Sent"
	want.report(t, h.sealmail(t, alice, "read", "last", "--folder", "Sent", "--json").mustBe(t, exitGood).report(t))

	nothingInClear(t, s, data)
	h.opensslReadsSent(t, bob, raw[0], c, data)
	if !c.huge { // they would copy it once more each
		h.answered(t, s, alice, bob, c)
	}
}

// maildirMessages are the messages in a folder as the server keeps them.
func maildirMessages(t *testing.T, s peertest.Servers, user, folder string) (messages [][]byte) {
	t.Helper()
	for _, sub := range []string{"new", "cur"} {
		files, err := filepath.Glob(filepath.Join(s.MailDir(user, folder), sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			messages = append(messages, data)
		}
	}
	return messages
}

// nothingInClear looks through all files of the mailboxes, with the server's indexes, for what nobody but alice and bob
// may see, also in the forms that mail gives it.
func nothingInClear(t *testing.T, s peertest.Servers, attachment []byte) {
	t.Helper()
	forms := map[string][]byte{}
	for name, mark := range map[string]string{"text": "The turbine costs", "subject": "Nördlingen", "table": "second kind", "attachment": string(attachment[:40])} {
		forms[name] = []byte(mark)
		for lead := range 3 { // where in a group of three octets it begins
			text := base64.StdEncoding.EncodeToString([]byte("\x00\x00"[:lead] + mark))
			text = strings.TrimRight(text, "=")
			forms[name+", base64, "+strconv.Itoa(lead)] = []byte(text[(lead*8+5)/6 : len(text)-1]) // less what its neighbours share
		}
	}
	forms["subject, quoted-printable"] = []byte("=C3=B6rdlingen")
	searched := 0
	for _, user := range []string{peerAlice, peerBob} {
		err := filepath.WalkDir(s.MailDir(user, "INBOX"), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			searched++
			joined := slices.DeleteFunc(content, func(c byte) bool { return c == '\r' || c == '\n' })
			for name, form := range forms {
				if bytes.Contains(joined, form) {
					t.Errorf("%s shows %s", path, name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if searched < 2 {
		t.Errorf("only %d files", searched)
	}
}

// opensslReadsSent has openssl open what arrived with the key that bob exports, and verify it with its timestamp; and
// gpgsm, where it can.
func (h *peerHouse) opensslReadsSent(t *testing.T, bob string, raw []byte, c mailCase, attachment []byte) {
	t.Helper()
	h.write(t, "raw.eml", string(raw))
	h.sealmail(t, bob, "cert", "export", peerBob, "--key", "-o", "exported.p12", "--yes", "--p12-password-file", h.file("password")).mustBe(t, exitGood)
	peertest.Run(t, "openssl", "pkcs12", "-in", h.file("exported.p12"), "-passin", "file:"+h.file("password"), "-nodes", "-nocerts", "-out", h.file("exported.key"))
	peertest.Run(t, "openssl", "pkcs12", "-in", h.file("exported.p12"), "-passin", "file:"+h.file("password"), "-nokeys", "-clcerts", "-out", h.file("exported.pem"))
	peertest.Run(t, "openssl", "cms", "-decrypt", "-in", h.file("raw.eml"), "-recip", h.file("exported.pem"), "-inkey", h.file("exported.key"), "-out", h.file("signed.eml"))
	h.opensslVerifies(t, "signed.eml", func(content []byte) {
		m, err := smime.Open(t.Context(), bytes.NewReader(content), smime.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		hasParts(t, m, attachment)
	})
	h.opensslVerifiesToken(t, "signed.eml")
	h.sealmail(t, bob, "decrypt", "raw.eml", "-o", "clear.eml").mustBe(t, exitGood)
	if !bytes.Equal(h.read(t, "clear.eml"), h.read(t, "signed.eml")) {
		t.Error("openssl and decrypt do not open the same")
	}
	if c.bob == foreign+"rsa2048" {
		t.Run("gpgsm", func(t *testing.T) {
			g := newGPGSM(t, h, "bob-"+c.bob)
			signed := g.decrypts(t, h.write(t, "raw.p7m", string(cmsBody(t, raw))))
			m, err := smime.Open(t.Context(), bytes.NewReader(signed), smime.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			content, err := io.ReadAll(m.Layers[0].Signed.Content)
			if err != nil {
				t.Fatal(err)
			}
			_, signature, _ := bytes.Cut(signed, []byte("Content-Type: application/pkcs7-signature"))
			signature, _, _ = bytes.Cut(signature, []byte("\r\n--"))
			g.verifies(t, h.write(t, "raw.p7s", string(cmsBody(t, signature))), h.write(t, "raw.content", string(content)))
		})
	}
}

// hasParts checks that text and attachments arrived as they were sent. The subject, which is hidden outside, stands before the
// text for readers that do not know header protection, as what opens the encryption alone is one.
func hasParts(t *testing.T, m *smime.Message, attachment []byte) {
	t.Helper()
	want := []string{"Subject: " + peerSubject + "\r\n\r\n" + strings.ReplaceAll(peerText, "\n", "\r\n"), peerTable, string(attachment)}
	if len(m.Parts) != len(want) {
		t.Fatalf("%d parts", len(m.Parts))
	}
	for i := range m.Parts {
		got, err := io.ReadAll(m.Parts[i].Open())
		if err != nil || sha256.Sum256(got) != sha256.Sum256([]byte(want[i])) {
			t.Errorf("part %d: %d octets, %v", i, len(got), err)
		}
	}
}

// fullMailbox sends from a mailbox in which there is no room for a copy.
func (h *peerHouse) fullMailbox(t *testing.T, s peertest.Servers) {
	s.Empty(t, peerBob)
	h.account(t, s, "full", "full", "p256", false).mustBe(t, exitGood)
	h.sealmail(t, "full", "cert", "import", "bob-p256.pem").mustBe(t, exitGood)
	o := h.sealmail(t, "full", "send", "--to", peerBob, "--subject", "Full", "--body", "letter.txt", "--json").mustBe(t, exitFailed)
	o.mustSay(t, "the message was sent, and there is no copy in Sent", "delete mail at the server, or ask for more space")
	mustHave(t, o.report(t), map[string]any{"state": "sent"})
	s.Settle(t)
	mustHave(t, h.sealmail(t, "bob-p256-gcm", "read", "last", "--json").mustBe(t, exitGood).report(t), map[string]any{"verdict": "passed", "message.subject": "Full"})
	mustHave(t, h.sealmail(t, "full", "outbox", "list", "--json").mustBe(t, exitGood).report(t), map[string]any{"state": "sent"})
	h.sealmail(t, "full", "outbox", "flush").mustBe(t, exitFailed)
	if s.Settle(t); len(maildirMessages(t, s, peerBob, "INBOX")) != 1 {
		t.Error("the message was sent twice")
	}
}

// refusedByServers sets up accounts with something wrong, of which nothing remains.
func (h *peerHouse) refusedByServers(t *testing.T, s peertest.Servers) {
	h.write(t, "wrong", "wrong\n")
	h.write(t, "server-password", "secret\n")
	for name, c := range map[string]struct {
		args       []string
		what, hint string
	}{
		"IMAP password":                  {[]string{"--imap", "imaps://" + s.IMAPS, "--smtp", "submissions://" + s.Submissions, "--server-ca", s.CAFile, "--password-file", h.file("wrong")}, s.IMAPS, "check user and password"},
		"IMAP password, STARTTLS":        {[]string{"--imap", "imap://" + s.IMAP, "--smtp", "submission://" + s.Submission, "--server-ca", s.CAFile, "--password-file", h.file("wrong")}, s.IMAP, "check user and password"},
		"untrusted server":               {[]string{"--imap", "imaps://" + s.IMAPS, "--smtp", "submissions://" + s.Submissions, "--password-file", h.file("server-password")}, s.IMAPS, "--for server"},
		"untrusted server, STARTTLS":     {[]string{"--imap", "imap://" + s.IMAP, "--smtp", "submission://" + s.Submission, "--password-file", h.file("server-password")}, s.IMAP, "--for server"},
		"certificate of another name":    {[]string{"--imap", "imaps://" + strings.Replace(s.IMAPS, "127.0.0.1", "127.0.0.2", 1), "--smtp", "submissions://" + s.Submissions, "--server-ca", s.CAFile, "--password-file", h.file("server-password")}, "127.0.0.2", ""},
		"another port":                   {[]string{"--imap", "imaps://" + s.IMAP, "--smtp", "submissions://" + s.Submissions, "--server-ca", s.CAFile, "--password-file", h.file("server-password")}, s.IMAP, "check the port"},
		"submission where no login goes": {[]string{"--imap", "imaps://" + s.IMAPS, "--smtp", "submission://" + s.SMTP, "--server-ca", s.CAFile, "--password-file", h.file("server-password")}, s.SMTP, ""},
	} {
		t.Run(name, func(t *testing.T) {
			home := "refused-" + strings.ReplaceAll(name, " ", "-")
			args := append([]string{"init", peerAlice, "--p12", "alice-p256.p12", "--p12-password-file", h.file("password"), "--trust", h.root()}, c.args...)
			h.sealmail(t, home, args...).mustBe(t, exitFailed).mustSay(t, c.what, c.hint)
			if entries, err := os.ReadDir(h.file("home-" + home)); err == nil && len(entries) > 0 {
				t.Errorf("it left %v", entries)
			}
		})
	}
}
