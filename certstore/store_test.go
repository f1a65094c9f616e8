package certstore_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime/cms"
)

// home is a store with its vault, which has a passphrase.
type home struct {
	dir   string
	vault *vault.Vault
	store *certstore.Store
}

func newHome(t testing.TB, disk safeio.Disk) *home {
	t.Helper()
	dir := t.TempDir()
	v, err := vault.Create(context.Background(), safeio.Disk{}, filepath.Join(dir, "vault.json"),
		vault.Protection{Passphrase: []byte("x"), Scrypt: vault.Scrypt{N: 1 << 10, R: 8, P: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return &home{dir: dir, vault: v, store: certstore.New(filepath.Join(dir, "certificates"), disk, v)}
}

func (h *home) path(elem ...string) string {
	return filepath.Join(append([]string{h.dir, "certificates"}, elem...)...)
}

// correspondentPath is where the store keeps a correspondent's certificate.
func (h *home) correspondentPath(n *node) string {
	fingerprint := certstore.Fingerprint(n.cert)
	return h.path("correspondents", fingerprint[:2], fingerprint+".pem")
}

func (h *home) addIdentity(t testing.TB, nodes ...*node) *certstore.Identity {
	t.Helper()
	identity, err := h.store.AddIdentity(context.Background(), pair(nodes...), "", "test", now())
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func (h *home) addCorrespondent(t testing.TB, capabilities cms.Capabilities, nodes ...*node) {
	t.Helper()
	c := certstore.Correspondent{Chain: certs(nodes...), Source: "test", FirstSeen: now(), Capabilities: capabilities, CapabilitiesAt: now()}
	if _, err := h.store.AddCorrespondent(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func (h *home) trust(t testing.TB, n *node, purposes ...certstore.Purpose) {
	t.Helper()
	if err := h.store.Trust(certstore.Anchor{Certificate: n.cert, Added: now()}, purposes...); err != nil {
		t.Fatal(err)
	}
}

func TestIdentities(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	older := issue(t, root, "older", newKey(t), func(c *x509.Certificate) { c.NotBefore = c.NotBefore.AddDate(0, 0, -1) })
	newer := issue(t, root, "newer", newRSAKey(t), nil)
	renewed := issue(t, root, "renewed", newer.key, func(c *x509.Certificate) { c.NotBefore = now() })
	for _, n := range []*node{older, newer, renewed} {
		h.addIdentity(t, n, root)
	}
	h.addIdentity(t, newer, root) // a second time changes nothing

	again := certstore.New(h.path(), safeio.Disk{}, h.vault)
	identities, problems, err := again.Identities()
	if err != nil || len(problems) != 0 {
		t.Fatal(err, problems)
	}
	var names []string
	for _, i := range identities {
		names = append(names, i.Certificate().Subject.CommonName)
		if len(i.Chain) != 2 || i.Source != "test" || !i.Added.Equal(now()) {
			t.Errorf("%+v", i)
		}
		signer, err := i.Signer()
		if err != nil {
			t.Fatal(err)
		}
		if !i.Certificate().PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(signer.Public()) {
			t.Errorf("%s has another's key", names[len(names)-1])
		}
	}
	if want := []string{"renewed", "newer", "older"}; !slices.Equal(names, want) {
		t.Errorf("order %q, want %q", names, want)
	}
	if entries, err := h.vault.Entries(); err != nil || len(entries) != 2 {
		t.Errorf("%d private keys in the vault for two (%v)", len(entries), err)
	}
	h.vault.Lock()
	identities, _, err = again.Identities()
	if err != nil || len(identities) != 3 {
		t.Fatalf("%d identities while the vault is locked, %v", len(identities), err)
	}
	if _, err := identities[0].PrivateKey(); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("key while the vault is locked: %v", err)
	}
	if _, err := h.store.AddIdentity(t.Context(), certstore.KeyPair{Key: root.key, Chain: certs(older)}, "", "", now()); !errors.Is(err, certstore.ErrKeyMismatch) {
		t.Errorf("another's key: %v", err)
	}
}

// TestPrivateKeysAreNotInTheFolder looks for them there.
func TestPrivateKeysAreNotInTheFolder(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	h.addIdentity(t, issue(t, nil, "alice", newKey(t), nil))
	err := filepath.WalkDir(h.path(), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if strings.Contains(string(readFile(t, path)), "PRIVATE") {
			t.Errorf("%s holds a private key", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCorrespondents(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	bob := issue(t, root, "bob", newKey(t), forMail("bob@example.org", nil))
	first := certstore.Correspondent{Chain: certs(bob), Source: "first mail", FirstSeen: now()}
	if added, err := h.store.AddCorrespondent(t.Context(), first); err != nil || !added {
		t.Fatal(added, err)
	}
	second := certstore.Correspondent{Chain: certs(bob, root), Source: "second mail", FirstSeen: now().AddDate(0, 1, 0),
		Capabilities: cms.OwnCapabilities(), CapabilitiesAt: now().AddDate(0, 1, 0)}
	if added, err := h.store.AddCorrespondent(t.Context(), second); err != nil || added {
		t.Fatal(added, err)
	}
	// An older announcement does not replace a newer one.
	third := first
	third.Capabilities, third.CapabilitiesAt = cms.Capabilities{}, now()
	if _, err := h.store.AddCorrespondent(t.Context(), third); err != nil {
		t.Fatal(err)
	}
	all, problems, err := h.store.Correspondents()
	if err != nil || len(problems) != 0 || len(all) != 1 {
		t.Fatal(all, problems, err)
	}
	got := all[0]
	if got.Source != "first mail" || !got.FirstSeen.Equal(now()) || len(got.Chain) != 2 {
		t.Errorf("%+v", got)
	}
	if capabilities, known := got.KnownCapabilities(); !known || !capabilities.Supports(cms.AES256GCM) {
		t.Errorf("capabilities %v, %v", capabilities, known)
	}
}

func TestAnchors(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	if anchors, _, err := h.store.Anchors(certstore.Mail, ""); err != nil || len(anchors) != 0 {
		t.Fatalf("a fresh store trusts %d (%v)", len(anchors), err)
	}
	a, b := issue(t, nil, "a", newKey(t), asCA(nil)), issue(t, nil, "b", newKey(t), asCA(nil))
	h.trust(t, a, certstore.Mail, certstore.TimeStamping)
	if err := h.store.Trust(certstore.Anchor{Certificate: b.cert, Origin: certstore.Local, Added: now()}, certstore.Server); err != nil {
		t.Fatal(err)
	}
	wantAnchors := func(purpose certstore.Purpose, want ...*node) {
		t.Helper()
		anchors, problems, err := h.store.Anchors(purpose, "")
		if err != nil || len(problems) != 0 || len(anchors) != len(want) {
			t.Fatalf("%s: %d anchors, %v, %v", purpose, len(anchors), problems, err)
		}
		for i := range want {
			if !anchors[i].Certificate.Equal(want[i].cert) {
				t.Errorf("%s: another anchor", purpose)
			}
		}
	}
	wantAnchors(certstore.Mail, a)
	wantAnchors(certstore.TimeStamping, a)
	wantAnchors(certstore.Server, b)
	if anchors, _, _ := h.store.Anchors(certstore.Server, ""); anchors[0].Origin != certstore.Local {
		t.Errorf("origin %q", anchors[0].Origin)
	}
	if err := h.store.Distrust(certstore.Fingerprint(a.cert), certstore.Mail); err != nil {
		t.Fatal(err)
	}
	wantAnchors(certstore.Mail)
	wantAnchors(certstore.TimeStamping, a)
	if err := h.store.Distrust(certstore.Fingerprint(a.cert), certstore.Mail); !errors.Is(err, certstore.ErrNotFound) {
		t.Errorf("distrusted twice: %v", err)
	}
	for _, fingerprint := range []string{"", "../../vault", strings.Repeat("A", 64)} {
		if err := h.store.Distrust(fingerprint, certstore.Mail); !errors.Is(err, certstore.ErrNotFound) {
			t.Errorf("Distrust(%q): %v", fingerprint, err)
		}
	}
	if err := h.store.Trust(certstore.Anchor{Certificate: a.cert}, "everything"); err == nil {
		t.Error("trusted for an unknown purpose")
	}
	if _, _, err := h.store.Anchors("../mail", ""); err == nil {
		t.Error("listed an unknown purpose")
	}
}

// TestAnchorsOfAccounts: what one account trusts is nothing to the others, and what all trust stays so.
func TestAnchorsOfAccounts(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	trust := func(accounts ...string) {
		t.Helper()
		if err := h.store.Trust(certstore.Anchor{Certificate: root.cert, Added: now(), Accounts: accounts}, certstore.Mail); err != nil {
			t.Fatal(err)
		}
	}
	want := func(want ...string) {
		t.Helper()
		var got []string
		for _, account := range []string{"", "work", "home", "other"} {
			v, problems, err := h.store.Validator(certstore.Mail, account)
			if err != nil || len(problems) > 0 {
				t.Fatal(err, problems)
			}
			if len(v.Anchors) > 0 {
				got = append(got, account)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("trusted by %q, want %q", got, want)
		}
	}
	trust("work")
	want("work")
	trust("home")
	want("work", "home")
	distrust := func(account string, want error) {
		t.Helper()
		if err := h.store.DistrustFor(account, certstore.Fingerprint(root.cert), certstore.Mail); !errors.Is(err, want) {
			t.Errorf("distrust for %s: %v", account, err)
		}
	}
	distrust("other", certstore.ErrNotFound)
	distrust("work", nil)
	want("home")
	distrust("home", nil) // and not: by all, because none is named any more
	want()
	distrust("home", certstore.ErrNotFound)

	// What all accounts trust as the system says is not changed by one that names it.
	end := now().AddDate(1, 0, 0)
	public := certstore.Anchor{Certificate: root.cert, Origin: certstore.Public, Added: now(), DistrustAfter: end}
	if err := h.store.Trust(public, certstore.Mail); err != nil {
		t.Fatal(err)
	}
	trust("work")
	anchors, _, err := h.store.Anchors(certstore.Mail, "other")
	if err != nil || len(anchors) != 1 || anchors[0].Origin != certstore.Public || !anchors[0].DistrustAfter.Equal(end) {
		t.Errorf("%+v, %v", anchors, err)
	}
	public.Accounts, public.DistrustAfter = []string{"work"}, end.AddDate(1, 0, 0) // and what the system says, it may say anew
	if err := h.store.Trust(public, certstore.Mail); err != nil {
		t.Fatal(err)
	}
	if anchors, _, err := h.store.Anchors(certstore.Mail, "other"); err != nil || len(anchors) != 1 || !anchors[0].DistrustAfter.Equal(public.DistrustAfter) {
		t.Errorf("%+v, %v", anchors, err)
	}
	trust()
	want("", "work", "home", "other")
	trust("work")
	want("", "work", "home", "other")
	distrust("work", certstore.ErrNotFound)
	want("", "work", "home", "other")
}

// TestDistrustAfter: an authority that was parted with vouches for what it issued before, and for nothing after.
func TestDistrustAfter(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	until := now().AddDate(0, -1, 0)
	if err := h.store.Trust(certstore.Anchor{Certificate: root.cert, Origin: certstore.Public, Added: now(), DistrustAfter: until}, certstore.Mail); err != nil {
		t.Fatal(err)
	}
	v, _, err := h.store.Validator(certstore.Mail, "")
	if err != nil {
		t.Fatal(err)
	}
	v.Cache = new(certstore.PathCache)
	for _, test := range []struct {
		from time.Time
		good bool
	}{{until.AddDate(0, 0, -1), true}, {until, true}, {until.Add(time.Second), false}} {
		leaf := issue(t, root, "leaf", newKey(t), forMail("bob@example.org", func(c *x509.Certificate) { c.NotBefore = test.from }))
		for range 2 { // the second time from the cache
			_, err := v.Path(leaf.cert, nil, certstore.SignMail, now())
			var refused *certstore.PathError
			if test.good != (err == nil) || err != nil && (!errors.As(err, &refused) || refused.Code != certstore.NoAnchor) {
				t.Errorf("issued %v: %v", test.from, err)
			}
		}
	}
}

// TestUnreadableAnchors: no list of anchors is an error and not an empty list.
func TestUnreadableAnchors(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	h.trust(t, issue(t, nil, "a", newKey(t), asCA(nil)), certstore.Mail)
	t.Run("a file in place of the folder", func(t *testing.T) {
		if err := os.RemoveAll(h.path("anchors", "tsa")); err != nil {
			t.Fatal(err)
		}
		write(t, h.path("anchors", "tsa"), nil)
		if _, _, err := h.store.Anchors(certstore.TimeStamping, ""); err == nil {
			t.Error("no error")
		}
	})
	t.Run("no permission", func(t *testing.T) {
		if os.Getuid() == 0 || runtime.GOOS == "windows" {
			t.Skip("this user may read everything")
		}
		dir := h.path("anchors", "mail")
		if err := os.Chmod(dir, 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o700)
		if _, _, err := h.store.Validator(certstore.Mail, ""); err == nil {
			t.Error("no error")
		}
	})
}

// TestOddFiles: each is reported, and none costs the others anything.
func TestOddFiles(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	alice := issue(t, root, "alice", newKey(t), forMail("alice@example.org", nil))
	bob := issue(t, root, "bob", newKey(t), forMail("bob@example.org", nil))
	h.trust(t, root, certstore.Mail)
	h.addIdentity(t, alice)
	h.addCorrespondent(t, nil, bob)
	shard := certstore.Fingerprint(bob.cert)[:2]
	for _, path := range []string{h.path("identities"), filepath.Dir(h.correspondentPath(bob)), h.path("anchors", "mail")} {
		write(t, filepath.Join(path, shard+strings.Repeat("0", 62)+".pem"), certstore.EncodeCertificates(bob.cert)) // not its name
		write(t, filepath.Join(path, shard+strings.Repeat("1", 62)+".pem"), []byte("odd"))
		write(t, filepath.Join(path, "notes.txt"), nil)
		write(t, filepath.Join(path, ".sealmail-1.tmp"), nil) // what a kill leaves behind is nothing to speak of
	}
	identities, problems, err := h.store.Identities()
	if err != nil || len(identities) != 1 || len(problems) != 3 {
		t.Errorf("identities: %d, %v, %v", len(identities), problems, err)
	}
	anchors, problems, err := h.store.Anchors(certstore.Mail, "")
	if err != nil || len(anchors) != 1 || len(problems) != 3 {
		t.Errorf("anchors: %d, %v, %v", len(anchors), problems, err)
	}
	correspondents, problems, err := h.store.Correspondents()
	if err != nil || len(correspondents) != 1 || len(problems) != 3 {
		t.Errorf("correspondents: %d, %v, %v", len(correspondents), problems, err)
	}
	for _, p := range problems {
		if p.Path == "" || p.Err == nil || strings.Contains(p.Error(), "\n") {
			t.Errorf("problem %q", p.Error())
		}
	}
	newer := append([]byte("{\"version\": 9}\n"), certstore.EncodeCertificates(bob.cert)...)
	write(t, h.correspondentPath(bob), newer)
	if list, problems, err := h.store.CorrespondentsFor("bob@example.org"); err != nil || len(list) != 0 || len(problems) != 1 {
		t.Errorf("a file of a newer kind: %d, %v, %v", len(list), problems, err)
	}
	// Without a word about it, as somebody might put it there by hand.
	write(t, h.correspondentPath(bob), certstore.EncodeCertificates(bob.cert))
	if list, problems, err := h.store.CorrespondentsFor("bob@example.org"); err != nil || len(list) != 1 || len(problems) != 0 {
		t.Errorf("a certificate alone: %d, %v, %v", len(list), problems, err)
	}
}

// TestStoreFaults makes every single step of adding fail, one after the other. There is then either nothing or all of
// it, and trying again works.
func TestStoreFaults(t *testing.T) {
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	alice := issue(t, root, "alice", newKey(t), forMail("alice@example.org", nil))
	add := func(h *home) error {
		if _, err := h.store.AddIdentity(context.Background(), pair(alice), "", "", now()); err != nil {
			return err
		}
		if _, err := h.store.AddCorrespondent(context.Background(), certstore.Correspondent{Chain: certs(alice, root)}); err != nil {
			return err
		}
		return h.store.Trust(certstore.Anchor{Certificate: alice.cert}, certstore.Mail)
	}
	errFault := errors.New("no space left")
	for step := 0; ; step++ {
		count := 0
		h := newHome(t, safeio.Disk{Before: func(op, path string) error {
			if count++; count == step {
				return fmt.Errorf("%w: step %d", errFault, step)
			}
			return nil
		}})
		err := add(h)
		if step > 0 && err == nil {
			if step <= 20 {
				t.Fatalf("only %d steps", step)
			}
			return
		}
		if step > 0 && !errors.Is(err, errFault) {
			t.Fatalf("step %d: %v", step, err)
		}
		for _, list := range []func() ([]certstore.Problem, error){
			func() ([]certstore.Problem, error) { _, p, err := h.store.Identities(); return p, err },
			func() ([]certstore.Problem, error) { _, p, err := h.store.Correspondents(); return p, err },
			func() ([]certstore.Problem, error) { _, p, err := h.store.Anchors(certstore.Mail, ""); return p, err },
		} {
			if problems, err := list(); err != nil || len(problems) > 0 {
				t.Fatalf("step %d: %v, %v", step, problems, err)
			}
		}
		// What is there can be found, and with its issuer.
		all, _, _ := h.store.Correspondents()
		found, _, err := h.store.CorrespondentsFor("alice@example.org")
		if err != nil || len(found) != len(all) || len(all) > 0 && len(all[0].Chain) != 2 {
			t.Fatalf("step %d: %d are there and %d are found, %v", step, len(all), len(found), err)
		}
		if err := add(h); err != nil {
			t.Fatalf("step %d, again: %v", step, err)
		}
		identities, problems, err := h.store.Identities()
		if err != nil || len(identities) != 1 || len(problems) != 0 {
			t.Fatalf("step %d, again: %d identities, %v, %v", step, len(identities), problems, err)
		}
	}
}

// TestKillsLeaveNothing: temporary files of writers that were killed go with the next write to their folder.
func TestKillsLeaveNothing(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	alice := issue(t, nil, "alice", newKey(t), forMail("alice@example.org", nil))
	var stale []string
	for _, dir := range []string{h.path("identities"), filepath.Dir(h.correspondentPath(alice)), h.path("anchors", "mail")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		stale = append(stale, filepath.Join(dir, ".sealmail-1.tmp"))
		write(t, stale[len(stale)-1], nil)
	}
	h.addIdentity(t, alice)
	h.addCorrespondent(t, nil, alice)
	h.trust(t, alice, certstore.Mail)
	for _, path := range stale {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("left behind: %s (%v)", path, err)
		}
	}
}
