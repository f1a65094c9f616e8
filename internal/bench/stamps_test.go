//go:build unix

package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/server"
)

func rsa3072() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 3072) }

// stampAuthority is whose key and certificates a house of time stamps has, beside root.pem: the authority's, and that of
// the one that certified it. The file count says how many tokens a turn is.
const stampAuthority = "tsa"

// stamped is what tokens are asked for.
var stamped = []byte("the value of a signature")

func newStampHouse(t testing.TB, k kind, count int) house {
	t.Helper()
	h := house{t.TempDir()}
	var keys []crypto.Signer
	for range 3 {
		key, err := k()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	root := h.certify(t, "root", keys[0], nil, nil)
	issuing := h.certify(t, "issuing", keys[1], root, keys[0])
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}) // id-kp-timeStamping
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "TSA", Organization: []string{"Example GmbH"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}, issuing, keys[2].Public(), keys[1])
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(keys[2])
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, "root.pem", certstore.EncodeCertificates(root))
	h.write(t, stampAuthority+".pem", certstore.EncodeCertificates(cert, issuing))
	h.write(t, stampAuthority+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	h.write(t, "count", []byte(strconv.Itoa(count)))
	return h
}

// stamping is what works with time stamps have.
type stamping struct {
	count int
	key   crypto.Signer
	chain []*x509.Certificate
	query []byte
}

func (h house) stamping() (s stamping, err error) {
	text, err := os.ReadFile(h.in("count"))
	if err != nil {
		return s, err
	}
	if s.count, err = strconv.Atoi(string(text)); err != nil {
		return s, err
	}
	pair, err := h.pair(stampAuthority)
	if err != nil {
		return s, err
	}
	var ok bool
	if s.key, ok = pair.Key.(crypto.Signer); !ok {
		return s, errors.New("the key cannot sign")
	}
	s.chain = pair.Chain
	digest := sha256.Sum256(stamped)
	imprint, err := tsa.NewMessageImprint(crypto.SHA256, digest[:])
	if err != nil {
		return s, err
	}
	s.query, err = (&tsa.Request{Imprint: imprint, Nonce: new(big.Int).SetUint64(1<<63 + 1), CertReq: true}).Marshal()
	return s, err
}

// authority starts an authority as `tsa serve` does.
func (h house) authority(s stamping) (*server.Authority, error) {
	state, err := os.MkdirTemp(h.dir, "state")
	if err != nil {
		return nil, err
	}
	return server.New(server.Options{
		Signer: s.key, Chain: s.chain, Policies: []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 32473, 1}}, Clock: time.Now, Accuracy: time.Second, State: state,
	})
}

// stampAll has the authority answer requests, on all CPUs.
func stampAll(h house) (func() error, error) {
	s, err := h.stamping()
	if err != nil {
		return nil, err
	}
	a, err := h.authority(s)
	if err != nil {
		return nil, err
	}
	return func() error {
		return inParallel(s.count, func(int, int) error {
			_, err := a.Respond(context.Background(), s.query)
			return err
		})
	}, nil
}

// stampOverHTTP is stampAll over HTTP, with two connections for each CPU that stay; the clients are in this process, too.
func stampOverHTTP(h house) (func() error, error) {
	s, err := h.stamping()
	if err != nil {
		return nil, err
	}
	a, err := h.authority(s)
	if err != nil {
		return nil, err
	}
	web := httptest.NewServer(a)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * runtime.GOMAXPROCS(0)}}
	ask := func() error {
		resp, err := client.Post(web.URL, tsa.QueryType, bytes.NewReader(s.query))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return func() error {
		// Two at a time on each CPU: while one waits for its answer the other is worked on.
		return inParallel(s.count/2, func(int, int) error {
			other := make(chan error, 1)
			go func() { other <- ask() }()
			return errors.Join(ask(), <-other)
		})
	}, nil
}

// signAlone makes as many bare signatures.
func signAlone(h house) (func() error, error) {
	s, err := h.stamping()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(stamped)
	return func() error {
		return inParallel(s.count, func(int, int) error {
			_, err := s.key.Sign(rand.Reader, digest[:], crypto.SHA256)
			return err
		})
	}, nil
}

// verifyStamps reads and verifies tokens, with a path to the anchor; cached says whether paths are remembered.
func verifyStamps(cached bool) func(house) (func() error, error) {
	return func(h house) (func() error, error) {
		s, err := h.stamping()
		if err != nil {
			return nil, err
		}
		root, err := h.root()
		if err != nil {
			return nil, err
		}
		tokens, err := h.tokens(s)
		if err != nil {
			return nil, err
		}
		v := certstore.Validator{Anchors: []*x509.Certificate{root}}
		if cached {
			v.Cache = new(certstore.PathCache)
		}
		path := func(cert *x509.Certificate, bag []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
			return v.Path(cert, bag, certstore.TimeStamp, at)
		}
		digest := sha256.Sum256(stamped)
		return func() error {
			return inParallel(len(tokens), func(_, i int) error {
				token, err := tsa.ParseToken(tokens[i])
				if err != nil {
					return err
				}
				_, err = token.VerifyDigest(crypto.SHA256, digest[:], tsa.VerifyOptions{Path: path})
				return err
			})
		}, nil
	}
}

// tokens are as many as a turn is.
func (h house) tokens(s stamping) ([][]byte, error) {
	a, err := h.authority(s)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	list := make([][]byte, s.count)
	return list, inParallel(s.count, func(_, i int) error {
		reply, err := a.Respond(context.Background(), s.query)
		if err != nil {
			return err
		}
		response, err := tsa.ParseResponse(reply)
		if err != nil {
			return err
		}
		list[i] = response.Token
		return response.Err()
	})
}

// verifyAlone makes as many bare verifications.
func verifyAlone(h house) (func() error, error) {
	s, err := h.stamping()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(stamped)
	signature, err := s.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return func() error {
		return inParallel(s.count, func(int, int) error {
			switch key := s.key.Public().(type) {
			case *ecdsa.PublicKey:
				if !ecdsa.VerifyASN1(key, digest[:], signature) {
					return errors.New("the signature is wrong")
				}
				return nil
			case *rsa.PublicKey:
				return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
			}
			return errors.New("unknown key")
		})
	}, nil
}

// stampKinds are the keys of authorities, and how many tokens a turn is.
var stampKinds = []struct {
	name  string
	make  kind
	count int
	bar   string
}{
	{"P-256", p256, 4000, "≥ 0.5"},
	{"RSA-2048", rsa2048, 400, "≥ 0.9"},
	{"RSA-3072", rsa3072, 200, "≥ 0.9"},
}

// BenchmarkStamp is the time-stamp authority beside its signature alone.
func BenchmarkStamp(b *testing.B) {
	for _, k := range stampKinds {
		b.Run(k.name, func(b *testing.B) {
			h := newStampHouse(b, k.make, k.count)
			ours, web := playing(b, "authority", h.work(b, "stamp", 0)), playing(b, "http", h.work(b, "stamp-http", 0))
			keys := playing(b, "signatures", h.work(b, "sign", 0))
			alone, aloneKeys := playing(b, "one-CPU", h.work(b, "stamp", 1)), playing(b, "signatures-one-CPU", h.work(b, "sign", 1))
			for b.Loop() {
				takeTurns(b, 9, ours, keys, web, alone, aloneKeys)
			}
			report(b, k.count, ours, web, keys, alone, aloneKeys)
			b.ReportMetric(ratio(keys, ours), "of-signatures")
			measured.add(row{
				work: "time-stamp authority, " + k.name + ", tokens", ours: ours.rate(k.count), theirs: "its signatures: " + keys.rate(k.count),
				ratio: fmt.Sprintf("%.2f", ratio(keys, ours)), bar: k.bar,
			})
			measured.add(row{work: "the same over HTTP, with the clients", ours: web.rate(k.count), theirs: "as above", ratio: fmt.Sprintf("%.2f", ratio(keys, web)), bar: "—"})
			measured.add(row{
				work: "the first on one CPU", ours: alone.rate(k.count), theirs: "its signatures: " + aloneKeys.rate(k.count),
				ratio: fmt.Sprintf("%.2f", ratio(aloneKeys, alone)), bar: "—",
			})
		})
	}
}

// BenchmarkStampOpenSSL is `openssl ts -reply`, which is a process for each token: the program has no other way.
func BenchmarkStampOpenSSL(b *testing.B) {
	peertest.Command(b, "openssl")
	h := newStampHouse(b, p256, 100)
	s, err := h.stamping()
	if err != nil {
		b.Fatal(err)
	}
	h.write(b, "query", s.query)
	h.write(b, "ts.cnf", []byte(strings.ReplaceAll(`[tsa]
default_tsa = authority
[authority]
serial = DIR/serial
signer_digest = sha256
default_policy = 1.3.6.1.4.1.32473.1
digests = sha256
accuracy = secs:1
`, "DIR", h.dir)))
	ours := playing(b, "authority", h.work(b, "stamp", 0))
	theirs := processes("openssl", run, func() []*exec.Cmd {
		return []*exec.Cmd{exec.Command("openssl", "ts", "-reply", "-config", h.in("ts.cnf"), "-queryfile", h.in("query"),
			"-signer", h.in("tsa.pem"), "-inkey", h.in("tsa.key"), "-chain", h.in("tsa.pem"), "-out", h.in("reply"))}
	})
	for b.Loop() {
		takeTurns(b, 50, ours, theirs)
	}
	report(b, 1, theirs)
	measured.add(row{
		work: "time-stamp authority, P-256, beside a process for each token", ours: ours.rate(100), theirs: "openssl ts -reply: " + theirs.rate(1),
		ratio: fmt.Sprintf("%.0f ×", 100*ratio(theirs, ours)), bar: "—",
	})
}

// BenchmarkVerifyStamp verifies tokens, with and without what is remembered of paths, beside the verification of as many
// signatures.
func BenchmarkVerifyStamp(b *testing.B) {
	for _, k := range stampKinds[:2] {
		b.Run(k.name, func(b *testing.B) {
			count := 2000
			h := newStampHouse(b, k.make, count)
			ours, anew := playing(b, "cached", h.work(b, "stamp-verify", 0)), playing(b, "anew", h.work(b, "stamp-verify-anew", 0))
			keys := playing(b, "signatures", h.work(b, "verify", 0))
			for b.Loop() {
				takeTurns(b, 9, ours, keys, anew)
			}
			report(b, count, ours, anew, keys)
			measured.add(row{
				work: "verifying time stamps, " + k.name, ours: ours.rate(count), theirs: "as many signatures: " + keys.rate(count),
				ratio: fmt.Sprintf("%.2f", ratio(keys, ours)), bar: "—",
			})
			measured.add(row{
				work: "the same with each path built anew (two more signatures)", ours: anew.rate(count), theirs: "as above", ratio: fmt.Sprintf("%.2f", ratio(keys, anew)), bar: "—",
			})
		})
	}
}

// TestStampContenders: what is compared makes tokens that verify.
func TestStampContenders(t *testing.T) {
	for _, k := range stampKinds[:2] {
		h := newStampHouse(t, k.make, 4)
		for _, name := range []string{"stamp", "stamp-http", "stamp-verify", "stamp-verify-anew", "sign", "verify"} {
			p, err := start(h.work(t, name, 0))
			if err == nil {
				_, err = p.play()
			}
			if err == nil {
				_, err = p.end()
			}
			if err != nil {
				t.Errorf("%s, %s: %v", k.name, name, err)
			}
		}
	}
}
