package nssroots

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

func TestMain(m *testing.M) { peertest.Main(m) }

// TestCertutil compares all roots of the module of this system, and what they are trusted for, with what NSS's own
// certutil says when it has loaded the module.
func TestCertutil(t *testing.T) {
	peertest.Command(t, "certutil")
	peertest.Command(t, "modutil")
	name, roots, err := System(os.DirFS("/"))
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrP11Kit) {
		peertest.Files(t, "libnssckbi.so", "/usr/lib64/nss/libnssckbi.so") // which would have been found
	}
	if err != nil {
		t.Fatal(err)
	}
	db := "sql:" + t.TempDir()
	peertest.Run(t, "certutil", "-N", "-d", db, "--empty-password")
	peertest.Run(t, "modutil", "-dbdir", db, "-force", "-add", "roots", "-libfile", "/"+name)

	const token = "Builtin Object Token:"
	var want []string
	for line := range strings.Lines(string(peertest.Run(t, "certutil", "-L", "-d", db, "-h", strings.TrimSuffix(token, ":")))) {
		if line, ours := strings.CutPrefix(strings.TrimSpace(line), token); ours {
			at := strings.LastIndex(line, " ")
			servers, rest, _ := strings.Cut(line[at+1:], ",")
			email, _, _ := strings.Cut(rest, ",")
			want = append(want, strings.TrimSpace(line[:at])+": e-mail "+email+", servers "+servers)
		}
	}
	var got []string
	var emailOnly []Root
	for _, r := range roots {
		if r.DER == nil {
			continue // certutil lists certificates
		}
		email, servers := "", ""
		switch {
		case r.EmailTrusted:
			email = "C"
		case r.DistrustedEmail:
			email = "p"
		}
		switch {
		case r.ServerTrusted:
			servers = "C"
		case r.DistrustedEmail:
			servers = "p" // NSS distrusts for all purposes
		}
		got = append(got, r.Label+": e-mail "+email+", servers "+servers)
		if r.EmailTrusted && !r.ServerTrusted {
			emailOnly = append(emailOnly, r)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n%s\ncertutil says\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(emailOnly) == 0 {
		t.Errorf("%s: no root is for e-mail alone", name)
	}
	for _, r := range emailOnly {
		der := peertest.Run(t, "certutil", "-L", "-d", db, "-n", token+r.Label, "-r")
		if !bytes.Equal(der, r.DER) {
			t.Errorf("%q: certutil has another certificate of that name", r.Label)
		}
	}
	t.Logf("%s: %d roots, %d for e-mail alone, as certutil says", name, len(got), len(emailOnly))
}
