//go:build !(linux || darwin)

package agent

import (
	"io/fs"
	"os"
	"syscall"
)

const (
	available = false
	noFollow  = 0
)

func isOurs(fs.FileInfo) bool { return false }

func detached() *syscall.SysProcAttr { return nil }

func tryLock(*os.File) (bool, error) { return false, ErrUnavailable }

func secretMemory(int) ([]byte, error) { return nil, ErrUnavailable }

func harden() error { return ErrUnavailable }

func peerUID(int) (int, error) { return 0, ErrUnavailable }
