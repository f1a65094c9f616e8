package revocation

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
)

// opensslCA is an authority whose keys and certificates are ours, and whose lists and responses OpenSSL makes.
type opensslCA struct {
	dir             string
	root, ca        holder
	good, bad, odd  holder // odd is in no index
	delegate, wrong holder // wrong is no responder
	stranger        holder // a responder of the root
}

// present is the time of the computer, which is what OpenSSL works with.
func present(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().AddDate(-1, 0, 0), time.Now().AddDate(1, 0, 0)
}

func newOpensslCA(t testing.TB) *opensslCA {
	o := &opensslCA{dir: t.TempDir()}
	o.root = issue(t, nil, "Root", authority, present)
	o.ca = issue(t, &o.root, "CA", authority, present)
	o.good = issue(t, &o.ca, "Good", present, withAddresses)
	o.bad = issue(t, &o.ca, "Bad", present, withAddresses)
	o.odd = issue(t, &o.ca, "Odd", present, withAddresses)
	o.delegate = issue(t, &o.ca, "Responder", present, responder)
	o.wrong = issue(t, &o.ca, "Wrong", present)
	o.stranger = issue(t, &o.root, "Stranger", present, responder)
	for name, h := range map[string]holder{"root": o.root, "ca": o.ca, "good": o.good, "delegate": o.delegate, "wrong": o.wrong, "stranger": o.stranger} {
		key, err := x509.MarshalPKCS8PrivateKey(h.key)
		if err != nil {
			t.Fatal(err)
		}
		o.write(t, name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Raw}))
		o.write(t, name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	}
	o.index(t, "keyCompromise")
	return o
}

func (o *opensslCA) path(name string) string { return filepath.Join(o.dir, name) }

func (o *opensslCA) write(t testing.TB, name string, octets []byte) {
	t.Helper()
	if err := os.WriteFile(o.path(name), octets, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (o *opensslCA) revokedAt() time.Time { return o.bad.NotBefore.AddDate(0, 1, 0) }

// index writes the database: bad is revoked for a reason, as "openssl ca" writes it.
func (o *opensslCA) index(t testing.TB, reason string) {
	const layout = "060102150405Z"
	line := func(h holder, state, revoked string) string {
		return fmt.Sprintf("%s\t%s\t%s\t%X\tunknown\t/CN=%s\n", state, h.NotAfter.UTC().Format(layout), revoked, h.SerialNumber.Bytes(), h.x509.Subject.CommonName)
	}
	o.write(t, "index.txt", []byte(line(o.good, "V", "")+line(o.bad, "R", o.revokedAt().UTC().Format(layout)+","+reason)))
}

// responder has OpenSSL answer requests, as the holder of this certificate.
func (o *opensslCA) responder(t testing.TB, signer string, options ...string) *network {
	return &network{answer: map[string]func(context.Context, Request) ([]byte, error){responderURL: func(_ context.Context, r Request) ([]byte, error) {
		o.write(t, "request.der", r.Body)
		args := append([]string{"ocsp", "-index", o.path("index.txt"), "-CA", o.path("ca.pem"), "-rsigner", o.path(signer + ".pem"), "-rkey", o.path(signer + ".key"),
			"-reqin", o.path("request.der"), "-respout", o.path("response.der")}, options...)
		peertest.Run(t, "openssl", args...)
		return os.ReadFile(o.path("response.der"))
	}}}
}

// TestOpensslResponder has OpenSSL read requests of ours and us its responses.
func TestOpensslResponder(t *testing.T) {
	peertest.Command(t, "openssl")
	o := newOpensslCA(t)
	tests := []struct {
		name    string
		c       holder
		signer  string
		options []string
		later   time.Duration
		status  Status
		why     string
	}{
		{"good, by the issuer", o.good, "ca", []string{"-ndays", "1"}, 0, Good, "said on"},
		{"good, by a delegate", o.good, "delegate", []string{"-ndays", "1"}, 0, Good, "said on"},
		{"good, by a delegate named by key", o.good, "delegate", []string{"-ndays", "1", "-resp_key_id"}, 0, Good, "said on"},
		{"good, without nextUpdate", o.good, "delegate", nil, 0, Good, "said on"},
		{"good, by a delegate without its certificate", o.good, "delegate", []string{"-ndays", "1", "-resp_no_certs"}, 0, Unknown, "neither by the issuer"},
		{"revoked", o.bad, "delegate", []string{"-ndays", "1"}, 0, Revoked, "keyCompromise"},
		{"not known", o.odd, "delegate", []string{"-ndays", "1"}, 0, Unknown, "does not know the certificate"},
		{"by a certificate for no OCSP", o.good, "wrong", []string{"-ndays", "1"}, 0, Unknown, "not for OCSP signing"},
		{"by a responder of the root", o.good, "stranger", []string{"-ndays", "1"}, 0, Unknown, "neither by the issuer"},
		{"out of date", o.good, "delegate", []string{"-nmin", "10"}, 20 * time.Minute, Unknown, "out of date"},
		{"with SHA-1", o.good, "delegate", []string{"-ndays", "1", "-rmd", "sha1"}, 0, Unknown, "SHA-1 is too weak"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := o.responder(t, test.signer, test.options...)
			now := time.Now().Add(test.later)
			answers, err := (&Checker{Fetcher: n}).Check(t.Context(), pathOf(test.c, o.ca, o.root), Evidence{}, now, now)
			if err != nil {
				t.Fatal(err)
			}
			a := answers[0]
			if a.Status != test.status || !strings.Contains(a.Why, test.why) {
				t.Errorf("%s", describe(a))
			}
			if a.Status == Revoked && (!a.At.Equal(o.revokedAt().Truncate(time.Second)) || !a.KeyCompromise) {
				t.Errorf("revoked at %v, want %v", a.At, o.revokedAt())
			}
			octets, err := os.ReadFile(o.path("response.der"))
			if err != nil {
				t.Fatal(err)
			}
			if response, err := ParseResponse(octets); err != nil || len(response.Nonce) != NonceSize {
				t.Errorf("the nonce was not echoed: %v %v", response, err)
			}
		})
	}
}

// TestOpensslReads has OpenSSL judge responses as these tests make them.
func TestOpensslReads(t *testing.T) {
	peertest.Command(t, "openssl")
	o := newOpensslCA(t)
	hour := time.Now().Add(-time.Hour)
	for _, test := range []struct {
		name     string
		response response
		accepted bool
	}{
		{"by the issuer", response{by: o.ca}, true},
		{"by a delegate", response{by: o.delegate, byKey: true, attached: []holder{o.delegate}}, true},
		{"by a certificate for no OCSP", response{by: o.wrong, attached: []holder{o.wrong}}, false},
	} {
		test.response.produced = hour
		test.response.singles = []single{{c: o.good, issuer: o.ca, status: Good, this: hour}}
		der := test.response.der(t)
		o.write(t, "ours.der", der)
		stdout, stderr, err := peertest.RunErr(t, nil, "openssl", "ocsp", "-respin", o.path("ours.der"), "-issuer", o.path("ca.pem"), "-cert", o.path("good.pem"),
			"-CAfile", o.path("root.pem"), "-verify_other", o.path("ca.pem"), "-no_nonce")
		accepted := err == nil && strings.Contains(string(stderr), "Response verify OK") && strings.Contains(string(stdout), "good.pem: good")
		a := check(t, pathOf(o.good, o.ca, o.root), Evidence{OCSPResponses: [][]byte{der}}, time.Now(), time.Now())
		if accepted != test.accepted || (a.Status == Good) != test.accepted {
			t.Errorf("%s: OpenSSL: %v %s %s; we: %s", test.name, err, stdout, stderr, describe(a))
		}
	}
}

// TestOpensslLists has OpenSSL make lists: complete and delta, with reasons and dates, for some certificates only.
func TestOpensslLists(t *testing.T) {
	peertest.Command(t, "openssl")
	o := newOpensslCA(t)
	generate := func(t *testing.T, extensions string, number string, days string) []byte {
		t.Helper()
		o.write(t, "crlnumber", []byte(number+"\n"))
		o.write(t, "ca.cnf", []byte(`[ca]
default_ca = d
[d]
database = `+o.path("index.txt")+`
crlnumber = `+o.path("crlnumber")+`
default_md = sha256
default_crl_days = `+days+`
crl_extensions = x
[x]
authorityKeyIdentifier = keyid:always
`+extensions))
		peertest.Run(t, "openssl", "ca", "-gencrl", "-config", o.path("ca.cnf"), "-cert", o.path("ca.pem"), "-keyfile", o.path("ca.key"), "-out", o.path("list.pem"))
		octets, err := os.ReadFile(o.path("list.pem"))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(octets)
		if block == nil {
			t.Fatal("no PEM")
		}
		return block.Bytes
	}
	const scoped = "issuingDistributionPoint = critical,@p\n[p]\n"
	delta := "2.5.29.27 = critical,DER:020105\n"
	tests := []struct {
		name       string
		reason     string
		extensions string
		status     Status // of bad; good is never revoked
		want       string // reason
		goodToo    Status
	}{
		{"plain", "superseded", "", Revoked, "superseded", Good},
		{"with a date", "keyTime,20200102030405Z", "", Revoked, "keyCompromise", Good},
		{"the key of the authority, with a date", "CAkeyTime,20200102030405Z", "", Revoked, "cACompromise", Good},
		{"on hold", "holdInstruction,holdInstructionReject", "", Revoked, "certificateHold", Good},
		{"for users only", "superseded", scoped + "onlyuser = TRUE", Revoked, "superseded", Good},
		{"for authorities only", "superseded", scoped + "onlyCA = TRUE", Unknown, "", Unknown},
		{"for attributes only", "superseded", scoped + "onlyAA = TRUE", Unknown, "", Unknown},
		{"for its point", "superseded", scoped + "fullname = URI:" + listURL, Revoked, "superseded", Good},
		{"for another point", "superseded", scoped + "fullname = URI:http://example.org/other", Unknown, "", Unknown},
		{"for some reasons", "keyCompromise", scoped + "onlysomereasons = keyCompromise, CACompromise", Revoked, "keyCompromise", Unknown},
		{"indirect, about its own", "superseded", scoped + "indirectCRL = TRUE", Revoked, "superseded", Good},
		{"delta without a base", "superseded", delta, Unknown, "", Unknown},
		{"critical and unknown", "superseded", "1.2.3.4 = critical,DER:0500", Unknown, "", Unknown},
	}
	ask := func(t *testing.T, c holder, lists [][]byte, now time.Time) Answer {
		return check(t, pathOf(c, o.ca, o.root), Evidence{CRLs: lists}, now, now)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o.index(t, test.reason)
			der := generate(t, test.extensions, "06", "1")
			now := time.Now()
			a := ask(t, o.bad, [][]byte{der}, now)
			if a.Status != test.status || a.Reason != test.want {
				t.Errorf("%s", describe(a))
			}
			if date := strings.Contains(test.reason, "Time"); !a.Invalidity.IsZero() != date || date && !a.Invalidity.Equal(time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)) {
				t.Errorf("invalidity %v", a.Invalidity)
			}
			if a := ask(t, o.good, [][]byte{der}, now); a.Status != test.goodToo {
				t.Errorf("the other: %s", describe(a))
			}
			if a := ask(t, o.good, [][]byte{der}, now.AddDate(0, 0, 2)); a.Status != Unknown {
				t.Errorf("two days later: %s", describe(a))
			}
		})
	}
	t.Run("delta", func(t *testing.T) {
		o.write(t, "index.txt", nil)
		base := generate(t, "", "05", "1")
		o.index(t, "superseded")
		update := generate(t, delta, "06", "1")
		if a := ask(t, o.bad, [][]byte{base}, time.Now()); a.Status != Good {
			t.Errorf("before: %s", describe(a))
		}
		if a := ask(t, o.bad, [][]byte{base, update}, time.Now()); a.Status != Revoked {
			t.Errorf("after: %s", describe(a))
		}
	})
}

// opensslDiffers are the cases in which OpenSSL 3.0 judges otherwise, and why.
var opensslDiffers = map[string]string{
	"without nextUpdate":                                    "it takes a list without an end for one that never ends",
	"within the skew":                                       "it allows clocks no difference",
	"version 1 with extensions":                             "it does not look at the version",
	"version 1 with extensions of an entry":                 "it does not look at the version",
	"a malformed number":                                    "it passes over what it does not need",
	"a negative number":                                     "it has no bounds for numbers",
	"a malformed delta indicator makes no complete list":    "it passes over what it cannot read",
	"a malformed scope":                                     "it takes any octet for TRUE",
	"a malformed key identifier":                            "it passes over what it does not need",
	"indirect, a point without a name, a list with another": "it compares no names where the point has none",
	"delta in the future":                                   "it does not look at the times of a delta list",
	"of two deltas the newest, in the other order":          "it takes the first",
	"delta of another key":                                  "a delta list that does not hold has it refuse the complete one as well",
	"delta that cannot be used":                             "a delta list that does not hold has it refuse the complete one as well",
	"indirect, listed for its issuer":                       "it prefers the list of the issuer itself, which does not have it",
	"indirect, the issuer of the entry before":              "it prefers the list of the issuer itself, which does not have it",
	"indirect, a malformed issuer":                          "it passes over what it cannot read",
}

// TestOpensslJudgesLists has OpenSSL judge the cases of TestLists: it accepts a path where we find its leaf good, but for what is
// known and explained.
func TestOpensslJudgesLists(t *testing.T) {
	peertest.Command(t, "openssl")
	tests, stranger := listCases(t)
	dir := t.TempDir()
	write := func(name, kind string, list ...[]byte) string {
		var octets []byte
		for _, der := range list {
			octets = append(octets, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, octets, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range tests {
		var lists [][]byte
		for _, l := range test.lists {
			lists = append(lists, l.der(t))
		}
		args := []string{"verify", "-crl_check", "-extended_crl", "-use_deltas", "-attime", fmt.Sprint(epoch().Unix()),
			"-CAfile", write("root.pem", "CERTIFICATE", test.path[1].Raw), "-untrusted", write("stranger.pem", "CERTIFICATE", stranger.Raw)}
		if len(lists) > 0 {
			args = append(args, "-CRLfile", write("lists.pem", "X509 CRL", lists...))
		}
		_, stderr, err := peertest.RunErr(t, nil, "openssl", append(args, write("leaf.pem", "CERTIFICATE", test.path[0].Raw))...)
		if _, known := opensslDiffers[test.name]; !known && (err == nil) != (test.status == Good) {
			t.Errorf("%s: we: %v; OpenSSL: %v %s", test.name, test.status, err, stderr)
		}
	}
}
