package cms

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// opensslReads says whether OpenSSL can parse a message. Nothing is decrypted or verified.
func opensslReads(t testing.TB, message []byte) error {
	t.Helper()
	_, stderr, err := peertest.RunErr(t, message, "openssl", "cms", "-cmsout", "-noout", "-inform", "DER")
	if err == nil {
		return nil
	}
	if !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return errors.New(errorStack(stderr))
}

// opensslVerifies says whether OpenSSL finds the signatures of a message right, whoever signed.
func opensslVerifies(t testing.TB, message []byte) error {
	t.Helper()
	_, stderr, err := peertest.RunErr(t, message, "openssl", "cms", "-verify", "-noverify", "-no-CAfile", "-no-CApath", "-no-CAstore", "-binary", "-inform", "DER", "-out", os.DevNull)
	if err == nil {
		return nil
	}
	if !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return errors.New(errorStack(stderr))
}

// errorStack returns the errors that OpenSSL has noted, the first one first, as "reason" or "reason in FIELD of TYPE".
func errorStack(stderr []byte) string {
	var stack []string
	for line := range strings.Lines(string(stderr)) {
		_, what, found := strings.Cut(line, ":error:")
		parts := strings.Split(strings.TrimSpace(what), ":") // code, library, function, reason, file, line, and perhaps data
		if !found || len(parts) < 6 {
			continue
		}
		reason := parts[3]
		if where := strings.Join(parts[6:], ":"); where != "" {
			field, kind, _ := strings.Cut(strings.TrimPrefix(where, "Field="), ", Type=")
			reason += " in " + field + " of " + kind
		}
		stack = append(stack, reason)
	}
	return strings.Join(stack, "; ")
}

// listenReading is what OpenSSL and this package say of the structure of a message. What needs a key, or an algorithm
// that is not implemented, is no objection.
func listenReading(t testing.TB, message []byte) voices {
	t.Helper()
	v := voices{message: message}
	v.all, v.ours = readEverything(t.Context(), bytes.NewReader(message), Limits{})
	if v.ours == nil {
		v.ours = v.all.err
	}
	switch kindOfError(v.ours) {
	case ErrDecrypt, ErrMessageDigest, ErrBrokenDigest:
		v.ours = nil
	case errUnsupported:
		v.ours = nil
		return v // not read to its end, and so not compared
	}
	v.theirs = opensslReads(t, message)
	return v
}

// listenVerifying is what both say of the signatures.
func listenVerifying(t testing.TB, message []byte) voices {
	t.Helper()
	v := voices{message: message}
	v.all, v.ours = readEverything(t.Context(), bytes.NewReader(message), Limits{})
	if v.ours == nil {
		v.ours = v.all.err
	}
	if v.ours == nil {
		_, v.ours = v.all.verify()
	}
	v.theirs = opensslVerifies(t, message)
	return v
}

// opensslInputs returns what OpenSSL is asked about: the samples and the corpora, messages with some octets changed, always
// the same ones, and, where SEALMAIL_FUZZED is set, what fuzzing has found in the cache of this machine.
func opensslInputs(t testing.TB, keep func(ContentInfo) bool) [][]byte {
	t.Helper()
	seeds := corpusMessages(t)
	for _, sample := range sampleMessages(t) {
		seeds = append(seeds, sample)
	}
	slices.SortFunc(seeds, bytes.Compare)
	random, changes := rand.New(rand.NewPCG(1, 2)), 8
	if peertest.RaceEnabled {
		changes = 2
	}
	var list [][]byte
	for _, seed := range seeds {
		info, err := Read(bytes.NewReader(seed), Limits{})
		if err != nil || !keep(info) {
			continue
		}
		list = append(list, seed)
		for range changes {
			list = append(list, mutated(random, seed))
		}
	}
	return append(list, fuzzed(t, 500)...)
}

// mutated changes one octet, or the length of something.
func mutated(random *rand.Rand, message []byte) []byte {
	out := bytes.Clone(message)
	at := random.IntN(len(out))
	switch random.IntN(4) {
	case 0:
		out[at] ^= 1 << random.IntN(8)
	case 1:
		out[at] = byte(random.IntN(256))
	case 2:
		out = slices.Delete(out, at, at+1)
	default:
		out = slices.Insert(out, at, byte(random.IntN(256)))
	}
	return out
}

// fuzzed returns some of the messages that fuzz targets of this package found interesting, if there are any.
func fuzzed(t testing.TB, most int) [][]byte {
	t.Helper()
	if os.Getenv("SEALMAIL_FUZZED") == "" {
		return nil // a test of the tree says the same on every machine
	}
	cache := os.Getenv("GOCACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil
		}
		cache = filepath.Join(dir, "go-build")
	}
	files, err := filepath.Glob(filepath.Join(cache, "fuzz", "github.com/sealmail/sealmail/smime/cms", "Fuzz*Data", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for i, name := range files {
		if i%max(1, len(files)/most) != 0 {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(string(data), "[]byte(")
		if message, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(line), ")")); err == nil {
			list = append(list, []byte(message))
		}
	}
	return list
}

// compare asks both about every message, and fails where they disagree and nobody knows why.
func compare(t *testing.T, messages [][]byte, table []disagreement, listen func(testing.TB, []byte) voices) {
	t.Helper()
	checkTable(t, table, listen)
	counts := map[string]int{}
	var mutex sync.Mutex
	var workers sync.WaitGroup
	work := make(chan []byte)
	for range 2 {
		workers.Go(func() {
			for message := range work {
				v := listen(t, message)
				reason, ok := "agreed", true
				if !v.agree() {
					reason, ok = explain(t, table, v)
				}
				mutex.Lock()
				counts[reason]++
				if !ok {
					t.Errorf("unexplained: this package says %v, OpenSSL %v\n%x", v.ours, v.theirs, message)
				}
				mutex.Unlock()
			}
		})
	}
	for _, message := range messages {
		work <- message
	}
	close(work)
	workers.Wait()
	for reason, n := range counts {
		t.Logf("%5d %s", n, reason)
	}
}

// needOpenSSL30 skips a test with another OpenSSL than the one whose reasons are in the tables, which is Debian 12's.
func needOpenSSL30(t *testing.T) {
	t.Helper()
	if version := peertest.Run(t, "openssl", "version"); !bytes.HasPrefix(version, []byte("OpenSSL 3.0.")) {
		t.Skipf("the reasons are those of OpenSSL 3.0, and this is %s", version)
	}
}

// TestOpenSSLReads compares with OpenSSL what is well formed.
func TestOpenSSLReads(t *testing.T) {
	needOpenSSL30(t)
	compare(t, opensslInputs(t, func(ContentInfo) bool { return true }), opensslReading, listenReading)
}

// TestOpenSSLVerifies compares with OpenSSL which signatures hold.
func TestOpenSSLVerifies(t *testing.T) {
	needOpenSSL30(t)
	inputs := opensslInputs(t, func(info ContentInfo) bool {
		s, ok := info.(*SignedData)
		return ok && !s.Detached()
	})
	compare(t, inputs, opensslVerifying, listenVerifying)
}
