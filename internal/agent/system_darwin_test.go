package agent

import (
	"net"

	"golang.org/x/sys/unix"
)

func peerPID(conn *net.UnixConn) (pid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(fd uintptr) { pid, err = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID) })
	if controlErr != nil {
		return 0, controlErr
	}
	return pid, err
}

func printHardening() error { return nil }
