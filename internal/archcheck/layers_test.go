package archcheck

import (
	"fmt"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// room is a folder with the packages in and below it, up to the next room below. Its packages may import one another,
// the standard library but for what is never in it, and what is listed; test files what is in testExtra besides.
type room struct {
	dir     string
	project []string // folders of the project, each with all below it
	modules []string // import path prefixes of other modules
	never   []string // packages of the standard library
	why     string
}

var (
	crypto   = "golang.org/x/crypto"
	files    = []string{"os", "os/exec", "path/filepath", "syscall"}
	networks = []string{"net", "net/http", "net/smtp", "net/rpc"}
)

// rooms is the plan of the house. The most specific room counts.
var rooms = []room{
	{dir: "cmd", project: []string{"internal/client", "internal/config", "internal/term", "internal/safeio"},
		modules: []string{"github.com/spf13", "golang.org/x/term"},
		why:     "a command turns flags into a use case and its answer into output; only wire.go joins concrete parts"},
	{dir: "internal/term", project: []string{"internal/client", "internal/glyph", "smime/verdict"},
		modules: []string{"github.com/rivo/uniseg", "golang.org/x/term", "golang.org/x/text"},
		never:   networks,
		why:     "what is displayed is a result that a use case has already judged"},
	{dir: "internal/client", project: []string{"smime", "mailbox", "certstore", "tsa", "internal/config", "internal/discover", "internal/glyph", "internal/safeio", "internal/agent", "internal/keyring", "internal/backup", "internal/export"},
		modules: []string{"github.com/emersion/go-message", "github.com/rivo/uniseg", "go.mozilla.org/pkcs7", "golang.org/x/net", "golang.org/x/text", crypto},
		why:     "the use cases are where the siblings meet; they know neither flags nor terminals"},
	{dir: "internal/config", project: []string{"mailbox", "internal/safeio"},
		modules: []string{"github.com/pelletier/go-toml", "github.com/adrg/xdg", "github.com/gofrs/flock"}, never: []string{"net/http"},
		why: "a configuration is decoded, checked, and written back by one at a time, and does nothing"},
	{dir: "internal/discover", project: []string{"mailbox"}, modules: []string{"golang.org/x/net/idna"}, never: files,
		why: "it asks with the resolver and the client that it is given, and proposes; who may be trusted with a password is decided elsewhere"},
	{dir: "internal/safeio", modules: []string{"golang.org/x/sys"}, never: networks,
		why: "everything that is stored stands on it, so it stands on nothing"},
	{dir: "internal/backup", project: []string{"internal/safeio", "smime/spool"}, modules: []string{"github.com/gofrs/flock"}, never: networks,
		why: "it copies folders whole; what is in them, and how the copy is sealed, is its caller's business"},
	{dir: "internal/export", project: []string{"mailbox", "internal/safeio"}, never: networks,
		why: "it puts messages into files, in forms that others read; which, and whose, is its caller's business"},
	{dir: "internal/glyph", never: slices.Concat(files, networks), why: "it is about single characters"},
	{dir: "internal/peertest", why: "any test may use it, so it uses nothing that is tested"},
	{dir: "mailbox/index/indextest", modules: []string{"lukechampine.com/adiantum"},
		why: "it judges what the index leaves behind, and shares nothing with it"},
	{dir: "internal/bench", project: []string{"smime", "certstore", "tsa", "mailbox", "internal/safeio"}, why: "it has tests alone, and compares what others may import and run"},
	{dir: "internal/interop", project: []string{"smime", "certstore", "tsa"}, modules: []string{crypto},
		why: "it has tests alone, which exchange messages and files with others"},
	{dir: "internal/hostiletest", project: []string{"smime", "certstore"}, why: "it makes messages that tests read"},
	{dir: "internal/archcheck", why: "it looks at the source, not at the packages"},

	{dir: "smime", project: nil,
		modules: []string{"github.com/emersion/go-message/charset", "github.com/segmentio/asm/base64", "golang.org/x/net/html",
			"golang.org/x/net/idna", "golang.org/x/text", crypto},
		never: slices.Concat(files, networks),
		why:   "a message library works on readers and writers; files, sockets and trust are its callers'"},
	{dir: "smime/spool", never: networks, why: "the quarantine knows octets, and is the one place under smime with files"},
	{dir: "smime/verdict", project: []string{"smime"}, never: slices.Concat(files, networks),
		why: "a verdict is a pure function of what was found"},
	{dir: "smime/cms", modules: []string{crypto}, never: slices.Concat(files, networks),
		why: "CMS is useful alone, and the floor of the others: standard library and x/crypto only"},
	{dir: "certstore", project: []string{"smime/cms", "internal/safeio"},
		modules: []string{"software.sslmate.com/src/go-pkcs12", "github.com/gofrs/flock", "golang.org/x/net/idna", crypto},
		never:   networks,
		why:     "keys and certificates depend on no mail parser and fetch nothing by themselves"},
	{dir: "certstore/certpath", project: []string{"smime/cms"}, modules: []string{"golang.org/x/net/idna", crypto}, never: slices.Concat(files, networks),
		why: "a path is valid or not by what its certificates say: a pure function of octets, inputs and a time"},
	{dir: "certstore/revocation", project: []string{"certstore/certpath", "smime/cms", "internal/safeio"}, modules: []string{crypto},
		why: "lists and answers are judged by path rules, and fetched with the client that the use case supplies"},
	{dir: "certstore/nssroots", project: []string{"certstore/certpath"}, never: networks, why: "it reads one file of somebody else's"},
	{dir: "certstore/ca", project: []string{"certstore", "smime/cms", "internal/safeio"},
		modules: []string{"github.com/zmap/zlint/v3", "github.com/zmap/zcrypto", "github.com/gofrs/flock", "golang.org/x/net/idna", crypto}, never: networks,
		why: "an authority is a folder; whom it answers over a network is the business of the server below it"},
	{dir: "certstore/ca/server", project: []string{"certstore", "smime/cms"}, modules: []string{crypto},
		why: "it knows HTTP, and asks the authority for what it serves"},
	{dir: "internal/agent", project: []string{"internal/safeio"}, modules: []string{"golang.org/x/sys"}, never: []string{"net/http"},
		why: "it holds one secret behind one socket, and knows nothing of what it opens"},
	{dir: "internal/keyring", modules: []string{"github.com/zalando/go-keyring"}, never: networks,
		why: "the operating system's keyring behind three verbs, so that tests can have one of their own"},
	{dir: "tsa", project: []string{"smime/cms", "internal/safeio"},
		modules: []string{"github.com/gofrs/flock", crypto},
		why:     "time-stamping knows CMS and HTTP; which authority is trusted is decided by the function it is given"},
	{dir: "mailbox", project: []string{"smime/cms", "internal/safeio"},
		modules: []string{"github.com/emersion", "github.com/gofrs/flock", "github.com/xdg-go/scram", "golang.org/x/net/idna", "golang.org/x/text"},
		never:   []string{"net/http"},
		why:     "transport and storage know octets, not what is in them"},
	{dir: "mailbox/archive", project: []string{"mailbox/archive/bag", "smime/cms", "internal/safeio"}, modules: []string{"github.com/gofrs/flock"}, never: networks,
		why: "an archive is files and CMS; who may sign and stamp it, and what is in a message, is decided by the functions it is given"},
	{dir: "mailbox/archive/bag", never: slices.Concat(files, networks), why: "a bag is files with names: where they are kept is its callers' business"},
	{dir: "mailbox/index", project: []string{"mailbox", "internal/safeio"}, modules: []string{"github.com/ncruces/go-sqlite3", "golang.org/x/text"},
		never: networks, why: "the one place with a database, which keeps what it is given and looks into no message"},
}

var (
	// testExtra is what test files may import besides: tools for tests, and independent voices on what we made.
	testExtra = []string{"./internal/peertest", "./internal/hostiletest", "./mailbox/index/indextest", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal",
		"go.mozilla.org/pkcs7", "software.sslmate.com/src/go-pkcs12", "lukechampine.com/adiantum"}
	// neverAnywhere is not imported by any file but tests; each with the reason.
	neverAnywhere = map[string]string{
		"C":                    "the program builds without a C compiler",
		"unsafe":               "memory safety is half of the promise about hostile mail",
		"log":                  "libraries return what they have to say; it would also write to a global",
		"math/rand":            "next to keys and serials, chance comes from crypto/rand",
		"math/rand/v2":         "next to keys and serials, chance comes from crypto/rand",
		"./internal/archcheck": "it has nothing to import",
		"testing":              "tests have files and packages of their own",
		"./cmd/sealmail":       "a program is not a library",
		"crypto/dsa":           "nothing is signed with DSA, and nothing signed with it passes",
	}
)

// roomOf returns the most specific room that dir is in, or nil.
func roomOf(dir string) *room {
	var best *room
	for i := range rooms {
		if r := &rooms[i]; below(dir, r.dir) && (best == nil || len(r.dir) > len(best.dir)) {
			best = r
		}
	}
	return best
}

// importViolations returns a line for each import of f that breaks a rule.
func importViolations(f *file) []string {
	r := roomOf(f.dir)
	if r == nil {
		return []string{f.path + ": is in no room; internal/archcheck/layers_test.go says which there are"}
	}
	var found []string
	for _, path := range f.imports() {
		if why := forbidden(f, r, path); why != "" {
			found = append(found, fmt.Sprintf("%s: imports %s: %s", f.path, path, why))
		}
	}
	return found
}

// forbidden returns why f, which is in the room r, may not import path, or "".
func forbidden(f *file, r *room, path string) string {
	anyPrefix := func(list []string) bool {
		return slices.ContainsFunc(list, func(p string) bool { return below(path, p) })
	}
	if f.test && anyPrefix(testExtra) {
		return ""
	}
	dir, ours := strings.CutPrefix(path, "./")
	if !f.test {
		if why, never := neverAnywhere[path]; never {
			return why
		}
		if ours && forTests(dir) {
			return "that package serves tests"
		}
	}
	switch {
	case ours:
		own := roomOf(dir)
		wiring := r.dir == "cmd" && (strings.HasSuffix(f.path, "/wire.go") || f.test)
		within := own == r || below(dir, r.dir)
		if within || wiring || slices.ContainsFunc(r.project, func(p string) bool { return below(dir, p) }) {
			return ""
		}
	case !strings.Contains(strings.SplitN(path, "/", 2)[0], "."): // the standard library
		if f.test || !slices.Contains(r.never, path) {
			return ""
		}
	case anyPrefix(r.modules):
		return ""
	}
	return r.why
}

func TestImports(t *testing.T) {
	for _, f := range load(t).goes {
		for _, v := range importViolations(f) {
			t.Error(v)
		}
	}
}

// TestImportRules checks the rules themselves: what they are for is refused, what the house needs is allowed.
func TestImportRules(t *testing.T) {
	tests := []struct {
		path, imports string
		refused       bool
	}{
		{"cmd/sealmail/send.go", module + "/internal/client", false},
		{"cmd/sealmail/send.go", module + "/smime", true},
		{"cmd/sealmail/wire.go", module + "/smime", false},
		{"cmd/sealmail/send.go", "github.com/spf13/cobra", false},
		{"internal/client/send.go", module + "/certstore/vault", false},
		{"internal/client/send.go", "github.com/spf13/cobra", true},
		{"internal/client/send.go", module + "/internal/term", true},
		{"internal/term/table.go", module + "/internal/client", false},
		{"internal/term/table.go", module + "/certstore", true},
		{"smime/open.go", module + "/smime/cms", false},
		{"smime/open.go", module + "/smime/spool", false},
		{"smime/open.go", module + "/certstore", true},
		{"smime/open.go", module + "/tsa", true},
		{"smime/open.go", "os", true},
		{"smime/open.go", "net/mail", false},
		{"smime/open_test.go", "os", false},
		{"smime/open_test.go", module + "/internal/peertest", false},
		{"smime/open.go", module + "/internal/peertest", true},
		{"smime/spool/spool.go", "os", false},
		{"smime/verdict/judge.go", module + "/smime", false},
		{"smime/cms/read.go", module + "/smime", true},
		{"smime/cms/read.go", module + "/smime/cms/ber", false},
		{"smime/cms/ber/read.go", "golang.org/x/crypto/cryptobyte", false},
		{"smime/cms/read.go", "golang.org/x/text/unicode/norm", true},
		{"smime/cms/read.go", "go.mozilla.org/pkcs7", true},
		{"smime/cms/read_test.go", "go.mozilla.org/pkcs7", false},
		{"certstore/store.go", module + "/smime/cms", false},
		{"certstore/store.go", module + "/smime", true},
		{"certstore/store.go", module + "/smime/entity", true},
		{"certstore/store.go", module + "/mailbox", true},
		{"certstore/ca/issue.go", module + "/certstore/vault", false},
		{"tsa/server/serve.go", module + "/tsa", false},
		{"tsa/client.go", module + "/certstore", true},
		{"mailbox/imap.go", "github.com/emersion/go-imap/v2/imapclient", false},
		{"mailbox/imap.go", module + "/smime", true},
		{"mailbox/imap.go", "math/rand/v2", true},
		{"mailbox/imap.go", "log", true},
		{"mailbox/imap.go", module + "/mailbox/mailboxtest", true},
		{"mailbox/imap_test.go", module + "/mailbox/mailboxtest", false},
		{"mailbox/mailboxtest/store.go", "testing", false},
		{"mailbox/mailboxtest/store.go", module + "/smime", true},
		{"mailbox/imap_test.go", "math/rand/v2", false},
		{"mailbox/archive/bag/zip.go", "archive/zip", false},
		{"mailbox/archive/bag/zip.go", "os", true},
		{"mailbox/archive/bag/zip.go", module + "/internal/safeio", true},
		{"internal/safeio/disk.go", module + "/certstore", true},
		{"newroom/x.go", "fmt", true},
	}
	for _, test := range tests {
		f, err := parse(token.NewFileSet(), test.path, fmt.Sprintf("package p\nimport _ %q\n", test.imports))
		if err != nil {
			t.Fatal(err)
		}
		if got := importViolations(f); (len(got) > 0) != test.refused {
			t.Errorf("%s importing %s: refused: %v, want %v", test.path, test.imports, len(got) > 0, test.refused)
		}
	}
}

func TestRoomsExist(t *testing.T) {
	tr := load(t)
	for _, r := range rooms {
		if r.why == "" {
			t.Errorf("%s: a rule without a reason", r.dir)
		}
		if !slices.ContainsFunc(tr.goes, func(f *file) bool { return below(f.dir, r.dir) }) {
			t.Errorf("%s: a rule for a folder without packages", r.dir)
		}
	}
}
