//go:build !race

package peertest

// RaceEnabled says that the race detector does not watch.
const RaceEnabled = false
