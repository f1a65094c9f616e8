package main

import (
	"bytes"
	"testing"
)

// TestSay has a warning carry what a certificate's name may hold.
func TestSay(t *testing.T) {
	var out bytes.Buffer
	a := &app{environment: environment{out: &out, err: &out}}
	a.say("warning: the certificate of %s", "Eve\x1b[2J\nsealmail: all is well")
	if got, want := out.String(), "warning: the certificate of Eve<U+001B>[2J sealmail: all is well\n"; got != want {
		t.Errorf("stderr has %q, want %q", got, want)
	}
	out.Reset()
	if err := a.printJSON(map[string]string{"subject": "\u009b2J"}); err != nil || out.String() != `{"subject":"\u009b2J"}`+"\n" {
		t.Errorf("stdout has %q, %v", out.String(), err)
	}
}
