package agent

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// harden keeps other processes of the user from reading this one's memory, and the system from dumping it.
func harden() error {
	return errors.Join(os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)), noCore())
}

func peerUID(fd int) (int, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, os.NewSyscallError("getsockopt", err)
	}
	return int(cred.Uid), nil
}
