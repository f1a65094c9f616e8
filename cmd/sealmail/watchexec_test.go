//go:build unix

package main

import (
	"io"
	"testing"
	"time"
)

// TestExecEnds: where watching ends by itself, with nobody who interrupts it, a command that hangs does not keep it from ending.
func TestExecEnds(t *testing.T) {
	t.Parallel()
	var reasons []string
	r := startRunner(t.Context(), "sleep 600", 2*execFarewell, io.Discard, func(_ any, reason string) error {
		reasons = append(reasons, reason)
		return nil
	})
	for range 3 {
		if err := r.run(t.Context(), struct{}{}); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	left, err := r.end()
	if took := time.Since(began); err != nil || left != 2 || len(reasons) != 1 || reasons[0] != "it was ended with the program" || took > execFarewell+30*time.Second {
		t.Errorf("%d left, %v, %q after %s", left, err, reasons, took)
	}
}

// TestExecLeavesRunning: a command that ends well did not fail because it left something running.
func TestExecLeavesRunning(t *testing.T) {
	t.Parallel()
	r := startRunner(t.Context(), "sleep 5 &", time.Minute, io.Discard, func(_ any, reason string) error {
		t.Errorf("failed: %s", reason)
		return nil
	})
	if err := r.run(t.Context(), struct{}{}); err != nil {
		t.Fatal(err)
	}
	if left, err := r.end(); left != 0 || err != nil {
		t.Errorf("%d left, %v", left, err)
	}
}
