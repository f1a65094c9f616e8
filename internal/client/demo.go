package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

// DemoServers are the addresses of a demo's servers.
type DemoServers struct {
	IMAP string `json:"imap"`
	SMTP string `json:"smtp"`
	TSA  string `json:"tsa"`
}

// demoPorts are kept with a demo, so that its servers come back at the same addresses.
type demoPorts struct {
	IMAP, SMTP, TSA string // host:port
}

const (
	demoDomain    = "example.test"
	demoStateFile = "demo.json"
	demoTSAPolicy = "1.3.6.1.4.1.32473.1" // under the arc for documentation (RFC 5612)
)

var demoUsers = []struct{ user, name string }{{"alice", "Alice Adams"}, {"bob", "Bob Brown"}}

// DemoCreate makes all that a demo needs in a folder: an authority, certificates for two people, an archive, a mail server
// and a timestamp authority, passwords, and something to send. The folder must be empty, or not be there.
func DemoCreate(ctx context.Context, o Options, dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return usage("demo", fmt.Errorf("%s is not empty", dir), "name a new folder with --keep, or start the servers of this one with `sealmail demo serve`")
	}
	if err := o.Disk.MkdirAll(dir, 0o700); err != nil {
		return failed("demo", err, "name another folder with --keep")
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	secret, err := demoSecret()
	if err != nil {
		return err
	}
	passphrase, err := demoSecret()
	if err != nil {
		return err
	}
	files := map[string]string{
		"password": secret + "\n", "passphrase": passphrase + "\n",
		"letter.txt": "Dear Bob,\n\nplease find our offer for the northern site attached. It holds until the\nend of the month.\n\nAlice\n",
		"plan.csv":   "item,quantity,price\nturbine,4,1200000\nfoundation,4,310000\n",
		"answer.txt": "Dear Alice,\n\nwe take it.\n\nBob\n",
	}
	for name, text := range files {
		if err := o.Disk.WriteFile(in(name), []byte(text), 0o600); err != nil {
			return failed("demo", err, "")
		}
	}
	if err := demoCertificates(ctx, o, in, secret); err != nil {
		return err
	}
	var ports demoPorts
	for _, address := range []*string{&ports.IMAP, &ports.SMTP, &ports.TSA} {
		if *address, err = freeAddress(ctx); err != nil {
			return failed("demo", err, "")
		}
	}
	state, err := json.Marshal(ports)
	if err != nil {
		return err
	}
	// Last: a folder with this file is complete.
	return o.Disk.WriteFile(in(demoStateFile), append(state, '\n'), 0o600)
}

func demoSecret() (string, error) {
	var b [16]byte
	_, err := rand.Read(b[:])
	return hex.EncodeToString(b[:]), err
}

// demoCertificates makes an authority and what it issues.
func demoCertificates(ctx context.Context, o Options, in func(string) string, password string) error {
	authority, err := ca.Init(ctx, ca.InitOptions{Dir: in("ca"), Name: "Example", Organization: "Example GmbH", Key: ca.P256,
		Protection: vault.Protection{Unprotected: true}, Disk: o.Disk, Now: o.Now()})
	if err != nil {
		return failed("demo", err, "")
	}
	profiles := map[string]ca.Profile{
		"tsa":     {Purpose: ca.TSA, Name: "Example TSA"},
		"archive": {Purpose: ca.Archive, Name: "Example Archive", Organization: "Example GmbH"},
		"server":  {Purpose: ca.TLS, Name: "localhost", DNS: []string{"localhost", "127.0.0.1"}},
	}
	for _, u := range demoUsers {
		profiles[u.user] = ca.Profile{Purpose: ca.Mail, Name: u.name, Organization: "Example GmbH", Emails: []string{u.user + "@" + demoDomain}}
	}
	for name, profile := range profiles {
		profile.Key, profile.Now = ca.P256, o.Now()
		issued, err := authority.Issue(ctx, profile)
		if err != nil {
			return failed("demo", err, "")
		}
		p12, err := certstore.EncodePKCS12(issued.KeyPair(), password)
		if err != nil {
			return failed("demo", err, "")
		}
		if err := o.Disk.WriteFile(in(name+".p12"), p12, 0o600); err != nil {
			return failed("demo", err, "")
		}
		if err := o.Disk.WriteFile(in(name+".pem"), certstore.EncodeCertificates(issued.Chain[:2]...), 0o600); err != nil {
			return failed("demo", err, "")
		}
	}
	return nil
}

// freeAddress finds a port of the loopback address that is free now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// DemoServe runs the servers of a demo until the context ends. ready is told their addresses.
func DemoServe(ctx context.Context, o Options, dir string, ready func(DemoServers) error) error {
	in := func(name string) string { return filepath.Join(dir, name) }
	var ports demoPorts
	state, err := os.ReadFile(in(demoStateFile))
	if err == nil {
		err = json.Unmarshal(state, &ports)
	}
	if err != nil {
		return usage("demo serve", fmt.Errorf("%s holds no demo: %w", dir, err), "make one with `sealmail demo --keep "+dir+"`")
	}
	password, err := os.ReadFile(in("password"))
	if err != nil {
		return failed("demo serve", err, "")
	}
	secret := string(password[:max(len(password)-1, 0)])
	pair, err := o.readPKCS12File(in("server.p12"), secret)
	if err != nil {
		return err
	}
	certificate := tls.Certificate{PrivateKey: pair.Key}
	for _, c := range pair.Chain {
		certificate.Certificate = append(certificate.Certificate, c.Raw)
	}
	users := map[string]mailbox.Password{}
	for _, u := range demoUsers {
		users[u.user+"@"+demoDomain] = mailbox.Password(secret)
	}
	mail, err := localserver.Open(ctx, localserver.Options{
		Dir: in("mail"), TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}, Users: users,
		IMAPS: ports.IMAP, Submissions: ports.SMTP, Disk: o.Disk, Clock: o.Now,
		Logf: func(format string, args ...any) { o.Say("demo: " + fmt.Sprintf(format, args...)) },
	})
	if err != nil {
		return failed("demo serve", err, "is it running already? Its addresses are "+ports.IMAP+" and "+ports.SMTP)
	}
	ctx, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- mail.Serve(ctx) }()
	addresses := mail.Addresses()
	err = TSAServe(ctx, o, TSAServeParams{Listen: ports.TSA, P12: in("tsa.p12"), P12Password: []byte(secret), Policy: []string{demoTSAPolicy}, State: in("tsa"), Accuracy: time.Second},
		func(url string) error {
			return ready(DemoServers{IMAP: "imaps://" + addresses.IMAPS, SMTP: "submissions://" + addresses.Submissions, TSA: url})
		})
	stop()
	return errors.Join(err, mail.Close(), <-served)
}

// readPKCS12File reads the one key in a PKCS#12 file.
func (o Options) readPKCS12File(name, password string) (certstore.KeyPair, error) {
	data, err := o.readSmall(name)
	if err != nil {
		return certstore.KeyPair{}, err
	}
	pairs, err := decodePKCS12(name, data, []byte(password))
	if err != nil {
		return certstore.KeyPair{}, err
	}
	return pairs[0], nil
}
