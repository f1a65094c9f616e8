//go:build unix

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/certstore"
)

// expectedReport is what is to be said of the message, by the contract of fetch and read.
type expectedReport struct {
	house           *peerHouse
	c               mailCase
	sent            map[string]any
	begun           time.Time
	size            int
	account, folder string
}

// when takes out a time that cannot be foreseen, and checks that it is one during the test, in UTC.
func (e expectedReport) when(t *testing.T, value any) any {
	t.Helper()
	text, _ := value.(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.Before(e.begun) || at.After(time.Now().Add(time.Second)) || !strings.HasSuffix(text, "Z") {
		t.Errorf("%v is no time of this test", value)
	}
	return value
}

// line checks what fetch says.
func (e expectedReport) line(t *testing.T, got map[string]any, size int) {
	t.Helper()
	want := map[string]any{
		"account": e.account, "folder": e.folder, "uid": got["uid"], "message_id": e.sent["message_id"], "date": e.when(t, got["date"]), "from": peerAlice,
		"subject": peerSubject, "verdict": "passed", "encryption": "decrypted",
		"signer": map[string]any{"name": "alice", "fingerprint": certstore.Fingerprint(e.house.certificate(t, "alice-"+e.c.alice))},
		"size":   got["size"], "flags": []any{}, "error": nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fetch (-want +got):\n%s", diff)
	}
	if n, ok := got["size"].(float64); !ok || int(n) < size {
		t.Errorf("size %v, where the server has %d", got["size"], size)
	}
}

// report checks what read says.
func (e expectedReport) report(t *testing.T, got map[string]any) {
	t.Helper()
	alice, bob := e.house.certificate(t, "alice-"+e.c.alice), e.house.certificate(t, "bob-"+e.c.bob)
	mine := bob
	if e.account == peerAlice {
		mine = alice
	}
	passed := map[string]any{"status": "passed", "code": nil, "reason": nil}
	form := "enveloped-data"
	if strings.HasSuffix(e.c.cipher, "gcm") {
		form = "auth-enveloped-data"
	}
	recipients := []any{}
	own := map[string]string{"p256": "ecdh-p256", "rsa2048": "rsa-oaep", "rsa3072": "rsa-oaep"}[e.c.alice] // she knows what her own program reads
	for _, r := range []struct {
		algorithm, serial string
		mine              bool
	}{{own, certstore.SerialHex(alice.SerialNumber), mine == alice}, {e.c.algorithm, certstore.SerialHex(bob.SerialNumber), mine == bob}} {
		kind := "key-transport"
		if strings.HasPrefix(r.algorithm, "ecdh") {
			kind = "key-agreement"
		}
		recipients = append(recipients, map[string]any{"type": kind, "algorithm": r.algorithm, "issuer": certstore.IssuerName(bob), "serial": r.serial, "mine": r.mine})
	}
	parts := 0
	part := func(kind string, filename any, size int) map[string]any {
		parts++
		return map[string]any{"index": float64(parts), "type": kind, "filename": filename, "size": float64(size), "signed": true, "encrypted": true, "enclosed": false,
			"attachment": filename != nil, "encloses": nil, "within": nil, "verdict": nil}
	}
	signer := map[string]any{
		"name": "alice", "organization": "Example GmbH", "addresses": []any{peerAlice}, "validation": "private", "issuer": certstore.IssuerName(alice),
		"serial": certstore.SerialHex(alice.SerialNumber), "fingerprint": certstore.Fingerprint(alice),
		"not_before": alice.NotBefore.UTC().Format(time.RFC3339), "not_after": alice.NotAfter.UTC().Format(time.RFC3339),
	}
	if e.account == peerBob { // of oneself there is nothing new to say
		signer["contact"], signer["first_seen"] = "first", e.when(t, at(t, got, "signatures", 0, "signer", "first_seen"))
	}
	proven := at(t, got, "signatures", 0, "signing_time", "proven")
	want := map[string]any{
		"file": nil, "account": e.account, "folder": e.folder, "uid": got["uid"], "verdict": "passed", "encryption": "decrypted",
		"message": map[string]any{
			"from": peerAlice, "sender": nil, "to": []any{peerBob}, "cc": []any{}, "subject": peerSubject, "date": e.when(t, at(t, got, "message", "date")),
			"message_id": e.sent["message_id"], "protected_headers": []any{"from", "to", "subject", "date", "message-id"}, "outer": map[string]any{"subject": "[...]"},
		},
		"layers": []any{
			map[string]any{
				"type": "encrypted", "form": form, "cipher": e.c.cipher, "authenticated": strings.HasSuffix(e.c.cipher, "gcm"), "status": "decrypted",
				"key": certstore.Fingerprint(mine), "recipients": recipients,
			},
			map[string]any{"type": "signed", "form": "detached"},
		},
		"signatures": []any{map[string]any{
			"layer": 1.0, "covers": "whole", "verdict": "passed",
			"checks": map[string]any{
				"integrity": passed, "chain": passed, "address": passed, "time": passed,
				"revocation": map[string]any{"status": "indeterminate", "code": "unknown", "reason": "no answer about revocation could be had: there is neither a list nor a responder to ask"},
			},
			"signer":       signer,
			"signing_time": map[string]any{"claimed": e.when(t, at(t, got, "signatures", 0, "signing_time", "claimed")), "proven": e.when(t, proven), "proven_by": "Peers TSA"},
			"digest":       "sha256", "algorithm": e.c.signature, "revocation": nil,
		}},
		"text":     peerText,
		"parts":    []any{part("text/plain", nil, len(peerText)+2), part("text/csv", "plan.csv", len(peerTable)), part("image/jpeg", "photo.jpg", e.size)},
		"warnings": got["warnings"],
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(e.sent["timestamp"], proven); diff != "" {
		t.Errorf("send says another time than read: %s", diff)
	}
	for _, w := range got["warnings"].([]any) {
		if code := at(t, w, "code"); code != "revocation-unknown" {
			t.Errorf("warning %v", w)
		}
	}
}
