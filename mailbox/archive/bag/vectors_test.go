package bag_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox/archive/bag"
)

// vectors returns the folder testdata/bagit.
func vectors(t testing.TB) string {
	t.Helper()
	root, err := peertest.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "testdata", "bagit")
}

// judge asks the checker that was written from the RFC alone whether a bag is valid, and returns what it says.
func judge(t testing.TB, dir string) (valid bool, said string) {
	t.Helper()
	for _, tool := range []string{"iconv", "sha512sum", "sha256sum", "md5sum"} {
		peertest.Command(t, tool)
	}
	out, stderr, err := peertest.RunErr(t, nil, "sh", filepath.Join(vectors(t), "check.sh"), dir)
	var exit *exec.ExitError
	if len(stderr) > 0 || err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) || (err == nil) != (len(out) == 0) {
		t.Errorf("check.sh: %v: %s%s", err, out, stderr)
	}
	return err == nil, string(out)
}

// store writes a bag to a folder.
func store(t testing.TB, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestVectors: the bags in testdata are good or bad, as their names say, to us and to the other.
func TestVectors(t *testing.T) {
	list, err := filepath.Glob(filepath.Join(vectors(t), "bags", "*"))
	if err != nil || len(list) != 25 {
		t.Fatalf("%d bags, %v", len(list), err)
	}
	for _, dir := range list {
		good := strings.HasPrefix(filepath.Base(dir), "good-")
		if found := check(t, os.DirFS(dir), bag.Options{}); (found == nil) != good {
			t.Errorf("%s: found: %v", dir, found)
		}
		if valid, said := judge(t, dir); valid != good {
			t.Errorf("%s: valid: %v: %s", dir, valid, said)
		}
	}
}

// TestAgreement: the other says of each harm what we say, and names each file that is missing, unexpected or altered.
func TestAgreement(t *testing.T) {
	for _, test := range harms() {
		files := plain()
		test.do(files)
		valid, said := judge(t, store(t, files))
		if valid != (len(test.fast)+len(test.full) == 0) {
			t.Errorf("%s: valid: %v: %s", test.name, valid, said)
		}
		for _, f := range append(test.fast, test.full...) {
			kind, name, _ := strings.Cut(f, " ")
			// Where lines are malformed, or an algorithm is unknown, they go on in other ways than we do.
			if kind == string(bag.Malformed) || kind == string(bag.Unsupported) || name == "data" || name == "manifest-sha512.txt" {
				continue
			}
			if !strings.Contains(said, kind) || !strings.Contains(said, name) {
				t.Errorf("%s: %q is not in %.2000q", test.name, f, said)
			}
		}
	}
}

// TestAgreementOwn: what Writer wrote is valid to the other, with all that names may be, and an octet is noticed.
func TestAgreementOwn(t *testing.T) {
	sink := &memory{files: map[string]string{}}
	write(t, sink, []bag.Field{{"A", "b: c"}}, "100%", "x", "a\r\nb%0A", "y", " c ü/d", "", "d/~e", "z", "f\n", "v", "-n", "w", "$(id)`id`*'\"", "u")
	if valid, said := judge(t, store(t, sink.files)); !valid {
		t.Error(said)
	}
	sink.files["data/a\r\nb%0A"] = "Y"
	if valid, said := judge(t, store(t, sink.files)); valid || !strings.Contains(said, "altered: data/a%0D%0Ab%250A") {
		t.Errorf("altered: %v: %s", valid, said)
	}
}
