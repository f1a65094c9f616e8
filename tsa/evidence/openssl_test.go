package evidence_test

import (
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

func TestMain(m *testing.M) { peertest.Main(m) }

// TestByHandScript runs the script of docs/evidence.md, which holds records against files by OpenSSL and a shell.
func TestByHandScript(t *testing.T) {
	for _, program := range []string{"openssl", "sh", "awk", "xxd"} {
		peertest.Command(t, program)
	}
	checkout, err := peertest.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(checkout, "docs", "evidence.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, script, found := strings.Cut(string(page), "```sh\n#!/bin/sh\n")
	script, _, ended := strings.Cut(script, "```\n")
	if !found || !ended {
		t.Fatal("there is no script in docs/evidence.md")
	}
	sh := tsatest.WriteFile(t, "by-hand.sh", []byte(script))
	run := func(record, file, anchors string) (string, error) {
		stdout, stderr, err := peertest.RunErr(t, nil, "sh", sh, record, file, anchors, "-attime", fmt.Sprint(tsatest.Now().AddDate(1, 0, 0).Unix()))
		return string(stdout) + string(stderr), err
	}
	check := func(name, record, file, other, anchors, root string) {
		t.Helper()
		said, err := run(record, file, anchors)
		if err != nil || !strings.Contains(said, root) || !strings.Contains(said, "Verification: OK") || !strings.Contains(said, "Time stamp: ") {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
		if said, err := run(record, other, anchors); err == nil {
			t.Errorf("%s proves another file:\n%s", name, said)
		}
	}
	s := newStamper(t)
	anchors := tsatest.WritePEM(t, "root.pem", s.pki.Root)
	for hash, sizes := range map[crypto.Hash][]int{crypto.SHA256: {1, 2, 11}, crypto.SHA384: {11}, crypto.SHA512: {1}} {
		for _, n := range sizes {
			list := objects(n)
			tree := treeOf(t, hash, list[:n-1])
			group := must(digestsOf(list[n-1], []byte("its signature"))(hash))
			if n == 1 {
				group = group[:1]
			}
			if _, err := tree.Add(group...); err != nil {
				t.Fatal(err)
			}
			stamped := s.stamp(tree, tsatest.Now())
			for _, i := range []int{0, n - 1} {
				record := tsatest.WriteFile(t, "record", mustMarshal(t, evidence.NewRecord(stamped.ArchiveTimeStamp(i))))
				file, other := tsatest.WriteFile(t, "file", list[i]), tsatest.WriteFile(t, "other", append(list[i], '!'))
				check(fmt.Sprintf("%v, %d of %d", hash, i, n), record, file, other, anchors, fmt.Sprintf("root %x\n", tree.Root()))
			}
		}
	}
	// Made by others: brothers in the first list, and a tree that leads elsewhere.
	in := func(name string) string { return filepath.Join("testdata", "by-hand", name) }
	for record, file := range map[string]string{"1.ers": "1.txt", "2.ers": "2b.txt", "3.ers": "3.txt"} {
		check(record, in(record), in(file), sh, in("root.pem"), "root ")
	}
	broken := evidence.ArchiveTimeStamp{
		Hash: crypto.SHA256, ReducedHashtree: []evidence.PartialHashtree{{digest(crypto.SHA256, objects(1)[0])}, {digest(crypto.SHA256, nil)}},
		TimeStamp: s.token(crypto.SHA256, digest(crypto.SHA256, objects(1)[0]), tsatest.Now()),
	}
	record := tsatest.WriteFile(t, "record", mustMarshal(t, evidence.NewRecord(broken)))
	if said, err := run(record, tsatest.WriteFile(t, "file", objects(1)[0]), anchors); err == nil || !strings.Contains(said, "message imprint mismatch") {
		t.Errorf("%v\n%s", err, said)
	}
	// Renewed, it is said.
	r := evidence.NewRecord(s.stamp(treeOf(t, crypto.SHA256, objects(2)), tsatest.Now()).ArchiveTimeStamp(0))
	hash, leaf := r.TimeStampDigest()
	if err := r.RenewTimeStamp(s.plain(hash, leaf, tsatest.Now())); err != nil {
		t.Fatal(err)
	}
	record = tsatest.WriteFile(t, "record", mustMarshal(t, r))
	if said, err := run(record, tsatest.WriteFile(t, "file", objects(1)[0]), anchors); err != nil || !strings.Contains(said, "it was renewed") {
		t.Errorf("%v\n%s", err, said)
	}
}
