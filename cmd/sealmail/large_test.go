//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	largeSize   = 200 << 20 // octets of the message
	largeMemory = 64 << 10  // KiB that a command may take for it, all in all
)

// TestLarge signs, encrypts, decrypts and verifies a large message from file to file, and looks at how much memory that
// takes. It runs where SEALMAIL_LARGE=1 says so.
func TestLarge(t *testing.T) {
	if os.Getenv("SEALMAIL_LARGE") != "1" {
		t.Skip("takes a gigabyte of disk; SEALMAIL_LARGE=1 runs it")
	}
	h := newPeerHouse(t)
	writeLarge(t, h.file("mail.eml"))
	for kind, cipher := range map[string]string{"p256": "aes-256-gcm", "rsa2048": "aes-256-cbc"} {
		alice, bob := h.key(t, "alice", kind), h.key(t, "bob", kind)
		home := "both-" + kind // a vault under a passphrase, which takes memory of its own
		for _, name := range []string{alice, bob} {
			h.sealmail(t, home, "cert", "import", name+".p12", "--p12-password-file", "password").mustBe(t, exitGood)
		}
		h.sealmail(t, home, "cert", "trust", h.root(), "--for", "mail").mustBe(t, exitGood)
		h.sealmail(t, home, "init", peerAlice, "--imap", "imaps://127.0.0.1:1", "--smtp", "submissions://127.0.0.1:1", "--no-check", "--password-file", "password",
			"--p12", alice+".p12", "--p12-password-file", "password").mustBe(t, exitGood)
		for _, args := range [][]string{
			{"sign", "mail.eml", "-o", "signed"}, {"sign", "--opaque", "mail.eml", "-o", "opaque"},
			{"encrypt", "signed", "--to", peerBob, "--cipher", cipher, "-o", "sealed"},
			{"decrypt", "sealed", "-o", "clear"},
			{"verify", "clear"}, {"verify", "opaque"}, {"verify", "sealed"}, {"read", "./sealed"},
		} {
			cmd := h.command(t, home, args...)
			peak := withPeak(t, cmd)
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = io.Discard, &said
			if err := cmd.Run(); err != nil {
				t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, said.String())
			}
			took := peak(t)
			t.Logf("%s %s: %d MiB, %v CPU: %s", kind, cipher, took>>10, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), strings.Join(args, " "))
			if took >= largeMemory {
				t.Errorf("%s took %d MiB of memory", strings.Join(args, " "), took>>10)
			}
		}
	}
}

// withPeak prepares a command of program to tell how much memory it took, in KiB, when it has ended.
func withPeak(t *testing.T, cmd *exec.Cmd) func(*testing.T) int {
	t.Helper()
	file := filepath.Join(t.TempDir(), "status")
	cmd.Env = append(cmd.Env, peakFile+"="+file)
	return func(t *testing.T) int {
		t.Helper()
		status, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
		var peak int
		if _, err := fmt.Sscanf(rest, "%d kB", &peak); err != nil {
			t.Fatalf("VmHWM in what the process says of itself: %v", err)
		}
		return peak
	}
}

// writeLarge writes a message with one large part that does not compress.
func writeLarge(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	_, _ = w.WriteString(strings.ReplaceAll(peerHeader, "\r\n\r\n", "\r\n") + "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	line := make([]byte, 57)
	for range largeSize / 78 {
		_, _ = rand.Read(line)
		_, _ = w.WriteString(base64.StdEncoding.EncodeToString(line) + "\r\n")
	}
	if err := w.Flush(); err != nil { // tells of all that failed before
		t.Fatal(err)
	}
}
