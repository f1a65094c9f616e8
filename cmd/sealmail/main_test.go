package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
)

// asProgram, in the environment, makes the test binary run as sealmail: tests then have a process of its own to run,
// to time, and to kill.
const asProgram = "SEALMAIL_TEST_AS_PROGRAM"

// peakFile, in the environment, makes such a process write at its end what the system says of it, its memory for one. What the
// system says to who started it counts what that one took as well.
const peakFile = "SEALMAIL_TEST_STATUS_FILE"

func readStatus() []byte {
	status, _ := os.ReadFile("/proc/self/status") // nothing where there is no such file, which who reads it will see
	return status
}

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		ctx, stop := untilEnded()
		e, err := programEnvironment()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitUsage)
		}
		code := run(ctx, e, asSendmail(os.Args[0], os.Args[1:]))
		stop()
		if file := os.Getenv(peakFile); file != "" {
			if err := os.WriteFile(file, readStatus(), 0o600); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(exitUsage)
			}
		}
		os.Exit(code)
	}
	peertest.Main(m)
}

// laterBy, in the environment, is how far the clock of such a process is ahead.
const laterBy = "SEALMAIL_TEST_LATER"

// programEnvironment is the environment of the test binary as a program.
func programEnvironment() (environment, error) {
	e := systemEnvironment()
	if word := os.Getenv(laterBy); word != "" {
		ahead, err := time.ParseDuration(word)
		if err != nil {
			return e, err
		}
		e.now = func() time.Time { return time.Now().Add(ahead) }
	}
	return countSteps(e)
}

// program returns a command that runs sealmail in a process of its own. It finds no home, no passphrase and no terminal
// but those that args and env give.
func program(t testing.TB, env []string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append([]string{asProgram + "=1", "GORACE=atexit_sleep_ms=0", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir()}, env...)
	return cmd
}
