//go:build race

package peertest

// RaceEnabled says that the race detector watches, under which some tests take ten times as long: they do less then, for
// what they look for has nothing to do with goroutines.
const RaceEnabled = true
