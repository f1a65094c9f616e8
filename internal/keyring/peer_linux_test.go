package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
)

// onBus, in the environment, makes the test binary the one test that runs under a session bus.
const onBus = "SEALMAIL_TEST_KEYRING"

func TestMain(m *testing.M) { peertest.Main(m) }

// TestGNOMEKeyring exercises the Secret Service of GNOME Keyring, on a bus and with a keyring that are made for this.
func TestGNOMEKeyring(t *testing.T) {
	if os.Getenv(onBus) != "" {
		exercise(t, System("sealmail test", 20*time.Second))
		return
	}
	bus, daemon := peertest.Command(t, "dbus-run-session"), peertest.Command(t, "gnome-keyring-daemon")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	// The daemon takes the password of the keyring that it makes from stdin, and stays in the foreground of the bus's session.
	script := fmt.Sprintf(`%q --unlock --components=secrets >/dev/null && %q -test.run '^TestGNOMEKeyring$' -test.v`, daemon, exe)
	cmd := exec.CommandContext(t.Context(), bus, "--", "/bin/sh", "-c", script)
	cmd.Env = []string{onBus + "=1", "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "XDG_DATA_HOME=" + home, "PATH=" + os.Getenv("PATH")}
	cmd.Stdin = strings.NewReader("keyring password")
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestGNOMEKeyring")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestWithoutDesktop: where there is no session bus, that is said, and none is started.
func TestWithoutDesktop(t *testing.T) {
	if _, err := os.Stat(fmt.Sprintf("/run/user/%d/bus", os.Getuid())); err == nil {
		t.Skip("this machine has a desktop")
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	_, err := System("sealmail test", time.Minute).Get("a")
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no session bus") {
		t.Error(err)
	}
}
