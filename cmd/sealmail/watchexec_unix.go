//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// ownGroup has a command end with all that it has started, and not by the interruption of this program, which lets it finish.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
