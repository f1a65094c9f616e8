package peertest

import "slices"

// ForgetAbsent takes names that do not exist, and are tested for that reason, off the summary.
func ForgetAbsent(names ...string) {
	process.Lock()
	defer process.Unlock()
	process.absent = slices.DeleteFunc(process.absent, func(name string) bool { return slices.Contains(names, name) })
}
