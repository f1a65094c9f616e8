package agent

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func peerPID(conn *net.UnixConn) (pid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	if controlErr != nil {
		return 0, controlErr
	}
	return pid, err
}

func printHardening() error {
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	limits, err := os.ReadFile("/proc/self/limits")
	fmt.Printf("dumpable %d\n%s\n%s\n", dumpable, status, limits)
	return err
}

// TestHarden asks the system what it thinks of a process that hardened itself.
func TestHarden(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), self(t), asHarden).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`(?m)^dumpable 0$`, `(?m)^Max core file size +0 +0 `} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		t.Fatal(err)
	}
	if may := os.Geteuid() == 0 || limit.Cur >= uint64(os.Getpagesize()); may && !regexp.MustCompile(`(?m)^VmLck:\s+[1-9]`).Match(out) {
		t.Errorf("no memory is locked:\n%s", out)
	}
}

// TestKeyIsNotInSight: neither the command line nor the environment of the process has the key.
func TestKeyIsNotInSight(t *testing.T) {
	socket := socketPath(t)
	key := []byte(strings.Repeat("K", KeySize))
	if err := Start(t.Context(), []string{self(t), asAgent}, Task{Socket: socket, ID: testID, Until: far()}, key); err != nil {
		t.Fatal(err)
	}
	pid := agentPID(t, socket)
	for _, name := range []string{"cmdline", "environ"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil || strings.Contains(string(data), "KKKK") || strings.Contains(strings.ToLower(string(data)), "4b4b4b4b") {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if err := End(t.Context(), socket); err != nil {
		t.Error(err)
	}
	waitFor(t, pid)
}
