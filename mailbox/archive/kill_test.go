//go:build unix

package archive_test

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// The environment of the process that is killed.
const (
	envDir  = "ARCHIVE_KILL_DIR"
	envStep = "ARCHIVE_KILL_STEP" // of the disk, before which it kills itself
)

// keptIn is a Keeper in a folder.
type keptIn string

func (k keptIn) file(name string) string {
	return filepath.Join(string(k), hex.EncodeToString([]byte(name)))
}

func (k keptIn) Key(_ context.Context, name string) ([]byte, error) { return os.ReadFile(k.file(name)) }

func (k keptIn) Keep(_ context.Context, name string, key []byte) error {
	return safeio.Disk{}.WriteFile(k.file(name), key, 0o600)
}

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if os.Getenv(envDir) == "" {
		os.Exit(m.Run())
	}
	if err := victim(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// victim archives messages 5 to 9, says what is archived, and kills itself before the given step of the disk.
func victim(ctx context.Context) error {
	step, err := strconv.Atoi(os.Getenv(envStep))
	if err != nil {
		return err
	}
	count := 0
	disk := safeio.Disk{Before: func(string, string) error {
		if count == step {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				return err
			}
			select {} // the signal comes
		}
		count++
		return nil
	}}
	dir := os.Getenv(envDir)
	w := &world{dir: filepath.Join(dir, "archive")}
	der, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		return err
	}
	key, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return err
	}
	if der, err = os.ReadFile(filepath.Join(dir, "certificate")); err != nil {
		return err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	w.signer = archive.Signer{Key: key, Chain: []*x509.Certificate{c}}
	w.kept = keptIn(filepath.Join(dir, "kept"))
	w.setWrite()
	w.sealed = func(s *archive.Sealed) { fmt.Println(s.Last) }
	_, err = w.add(ctx, disk, 5, 9)
	return err
}

// TestKill kills a writer, as the system does, before each step of its disk. What it had said is there, all that is there is whole,
// and the next writer mends the rest.
func TestKill(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stride := 1
	if testing.Short() {
		stride = 5
	}
	steps := 0
	for step, killed := 0, true; killed; step += stride {
		w := newWorld(t)
		dir := filepath.Dir(w.dir)
		if err := os.Mkdir(filepath.Join(dir, "kept"), 0o700); err != nil {
			t.Fatal(err)
		}
		w.kept = keptIn(filepath.Join(dir, "kept"))
		w.create()
		if _, err := w.add(t.Context(), safeio.Disk{}, 1, 4); err != nil {
			t.Fatal(err)
		}
		key, err := x509.MarshalECPrivateKey(w.signer.Key.(ecKey))
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{"key": key, "certificate": w.signer.Chain[0].Raw} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), envDir+"="+dir, envStep+"="+strconv.Itoa(step))
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		err = cmd.Run()
		var exit *exec.ExitError
		killed = errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		if err != nil && !killed {
			t.Fatalf("step %d: %v\n%s", step, err, &errs)
		}
		reported := 4
		for word := range strings.FieldsSeq(out.String()) {
			reported, _ = strconv.Atoi(strings.TrimLeft(word, "0"))
		}
		s, findings := w.verify(w.trusting(archive.Full))
		if !s.Sound() || s.Messages < int64(reported) || s.Checked != s.Messages {
			t.Errorf("step %d: %d were reported: %+v, %+v", step, reported, s, findings)
		}
		if _, err := w.add(t.Context(), safeio.Disk{}, 100, 100); err != nil {
			t.Fatalf("step %d: the next one: %v", step, err)
		}
		w.stampAll()
		w.sound(fmt.Sprint("step ", step))
		err = filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && safeio.IsTemporary(d.Name()) {
				t.Errorf("step %d: %s was left", step, path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		steps++
	}
	if steps < 20/stride {
		t.Errorf("the writer has only %d steps", steps)
	}
}
