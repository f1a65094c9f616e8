package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is found in the vectors of testdata as what is wanted, to be read before it is committed")

// TestVectors verifies each message in the vectors of testdata, with Bob's keys, and compares the whole report with the
// one that is wanted.
func TestVectors(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "testdata")
	vectors, err := filepath.Glob(filepath.Join(root, "vectors", "*.eml"))
	if err != nil || len(vectors) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	home := t.TempDir()
	password := filepath.Join(home, "password")
	if err := os.WriteFile(password, []byte("test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pki := func(name string) string { return filepath.Join(root, "pki", name) }
	for _, vector := range vectors {
		name := strings.TrimSuffix(vector, ".eml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			if _, err := os.Stat(name + ".readme"); err != nil {
				t.Error(err)
			}
			cmd := program(t, nil, "verify", "--home", home, "--json", "--trust", pki("root.pem"), "--tsa-trust", pki("root.pem"), "--at", "2026-12-01T00:00:00Z",
				"--p12", pki("bob-p256.p12"), "--p12", pki("bob-rsa2048.p12"), "--p12-password-file", password, vector)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			var exit *exec.ExitError
			if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != exitNo) {
				t.Fatalf("verify: %v\n%s", err, stderr.Bytes())
			}
			var got map[string]any
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			got["file"] = filepath.Base(vector)
			if passed := got["verdict"] == "passed"; passed != (err == nil) {
				t.Errorf("verdict %v, and %v", got["verdict"], err)
			}
			if *update {
				text, err := json.MarshalIndent(got, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name+".want.json", append(text, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(name + ".want.json")
			if err != nil {
				t.Fatal(err)
			}
			var want map[string]any
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}
