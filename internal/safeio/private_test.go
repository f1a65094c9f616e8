//go:build unix

package safeio_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
)

func TestCloseToOthers(t *testing.T) {
	for _, test := range []struct {
		name         string
		folder       bool
		mode, bits   fs.FileMode
		want         fs.FileMode
		warning      string
		nothingAtAll bool
	}{
		{"a file that is closed", false, 0o600, 0o077, 0o600, "", false},
		{"a file that all may read", false, 0o644, 0o077, 0o600, "(mode 0644); it is not any more", false},
		{"its owner keeps what they have", false, 0o777, 0o077, 0o700, "(mode 0777)", false},
		{"a folder that all may read", true, 0o755, 0o077, 0o700, "(mode 0755)", false},
		{"reading does no harm", true, 0o755, 0o022, 0o755, "", false},
		{"writing does", true, 0o775, 0o022, 0o755, "(mode 0775)", false},
		{"the owner's bits are not touched", true, 0o777, 0o777, 0o700, "(mode 0777)", false},
		{"everybody's folder", true, 0o777 | fs.ModeSticky, 0o077, 0o777 | fs.ModeSticky, "everybody's folder", false},
		{"no folder", true, 0, 0o077, 0, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			var err error
			switch {
			case test.nothingAtAll:
			case test.folder:
				err = os.Mkdir(path, 0o700)
			default:
				err = os.WriteFile(path, nil, 0o600)
			}
			if err == nil && !test.nothingAtAll {
				err = os.Chmod(path, test.mode)
			}
			if err != nil {
				t.Fatal(err)
			}
			warning, err := safeio.ClosePathToOthers(path, test.bits)
			if err != nil {
				t.Fatal(err)
			}
			if (warning == "") != (test.warning == "") || !strings.Contains(warning, test.warning) {
				t.Errorf("warning %q, want %q", warning, test.warning)
			}
			if test.nothingAtAll {
				return
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode()&(fs.ModePerm|fs.ModeSticky) != test.want {
				t.Errorf("mode %v, %v, want %v", info.Mode(), err, test.want)
			}
		})
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	if warning, err := safeio.ClosePathToOthers(pipe, 0o077); warning != "" || err != nil {
		t.Errorf("a pipe: %q, %v", warning, err) // opening it would wait for who writes to it
	}
}
