package certstore_test

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime/cms"
)

// by chooses with a validator, without a word on revocation.
func by(v certstore.Validator) certstore.Selector { return certstore.Selector{Validator: v, At: now()} }

// codes lists what came of each candidate, by the common name of its certificate.
func codes(s certstore.Selection) []string {
	var out []string
	for _, c := range s.Candidates {
		word := string(c.Code)
		if c.Usable() {
			word = "usable"
		}
		out = append(out, c.Certificate.Subject.CommonName+": "+word)
	}
	return out
}

func TestRecipient(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	stranger := issue(t, nil, "stranger", newKey(t), asCA(nil))
	h.trust(t, root, certstore.Mail)
	v, _, err := h.store.Validator(certstore.Mail, "")
	if err != nil {
		t.Fatal(err)
	}
	days := func(n int, change func(*x509.Certificate)) func(*x509.Certificate) {
		return forMail("bob@example.org", func(c *x509.Certificate) {
			c.NotBefore = now().AddDate(0, 0, -n)
			if change != nil {
				change(c)
			}
		})
	}
	key := newKey(t)
	for _, n := range []*node{
		issue(t, root, "old", key, days(30, nil)),
		issue(t, root, "new", key, days(3, nil)),
		issue(t, root, "expired", key, days(20, func(c *x509.Certificate) { c.NotAfter = now().AddDate(0, 0, -10) })),
		issue(t, root, "future", key, days(-5, nil)),
		issue(t, root, "signing only", key, days(2, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })),
		issue(t, root, "server", key, days(1, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })),
		issue(t, stranger, "untrusted", key, days(1, nil)),
		issue(t, root, "in the subject", key, days(4, func(c *x509.Certificate) {
			withSubjectEmail("bob@example.org")(c)
			c.EmailAddresses = []string{"robert@example.org"}
		})),
		issue(t, root, "somebody else", key, forMail("carol@example.org", nil)),
	} {
		h.addCorrespondent(t, nil, n)
	}
	selection, err := h.store.Recipient(t.Context(), "Bob@Example.org", by(v))
	if err != nil {
		t.Fatal(err)
	}
	got := codes(selection)
	if !slices.Equal(got[:2], []string{"new: usable", "old: usable"}) {
		t.Errorf("the usable ones, newest first: %q", got[:2])
	}
	slices.Sort(got)
	want := []string{"expired: expired", "future: not-yet-valid", "in the subject: address-mismatch", "new: usable", "old: usable",
		"server: extended-key-usage", "signing only: key-usage", "untrusted: no-anchor"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if selection.Chosen == nil || selection.Chosen.Certificate.Subject.CommonName != "new" || len(selection.Chosen.Chain) != 2 {
		t.Errorf("chosen: %+v", selection.Chosen)
	}
	for _, c := range selection.Candidates {
		if !c.Usable() && c.Reason == "" {
			t.Errorf("%s is refused without a reason", c.Certificate.Subject.CommonName)
		}
	}
	for _, address := range []string{"nobody@example.org", "not an address", ""} {
		selection, err := h.store.Recipient(t.Context(), address, by(v))
		if err != nil || selection.Chosen != nil || len(selection.Candidates) != 0 {
			t.Errorf("%q: %q, %v", address, codes(selection), err)
		}
	}
}

// TestOwnIdentities: mail to oneself needs no anchor, but the rest is asked of it.
func TestOwnIdentities(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	unknown := issue(t, nil, "unknown", newKey(t), asCA(nil))
	good := issue(t, unknown, "good", newKey(t), forMail("alice@example.org", nil))
	expired := issue(t, unknown, "expired", newKey(t), forMail("alice@example.org", func(c *x509.Certificate) { c.NotAfter = now().AddDate(0, 0, -1) }))
	signing := issue(t, unknown, "signing", newKey(t), forMail("alice@example.org", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }))
	server := issue(t, unknown, "server", newKey(t), forMail("alice@example.org", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }))
	for _, n := range []*node{good, expired, signing, server} {
		h.addIdentity(t, n)
	}
	h.addCorrespondent(t, nil, good) // one's own, seen in a mail: not a second candidate

	// Addresses in certificates are contacted where a path leads to an anchor, and not for one's own without any.
	alone := by(certstore.Validator{})
	alone.Revocation = func(context.Context, []*x509.Certificate) (certstore.PathCode, string, error) {
		t.Error("revocation was asked about a chain without an anchor")
		return certstore.Usable, "", nil
	}
	selection, err := h.store.Recipient(t.Context(), "alice@example.org", alone)
	if err != nil {
		t.Fatal(err)
	}
	got := codes(selection)
	slices.Sort(got)
	if want := []string{"expired: expired", "good: usable", "server: extended-key-usage", "signing: key-usage"}; !slices.Equal(got, want) {
		t.Errorf("to oneself: %q", got)
	}
	if c := selection.Chosen; c == nil || c.Identity == nil || !c.Known || !strings.Contains(c.Reason, "not trusted") {
		t.Errorf("chosen: %+v", c)
	}
	selection, err = h.store.SigningIdentity(t.Context(), "alice@example.org", by(certstore.Validator{}))
	if err != nil {
		t.Fatal(err)
	}
	got = codes(selection)
	slices.Sort(got)
	if want := []string{"expired: expired", "good: usable", "server: extended-key-usage", "signing: usable"}; !slices.Equal(got, want) {
		t.Errorf("to sign: %q", got)
	}
}

// TestOwnIdentityFirst: who writes mail in one's own name with a certificate of theirs does not become the reader of what is
// encrypted to oneself, whatever they prefer.
func TestOwnIdentityFirst(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	h.trust(t, root, certstore.Mail)
	own := issue(t, root, "own", newKey(t), forMail("alice@example.org", func(c *x509.Certificate) { c.NotBefore = now().AddDate(0, 0, -30) }))
	h.addIdentity(t, own, root)
	other := issue(t, root, "other", newKey(t), forMail("alice@example.org", nil))
	add(t, h, certstore.Correspondent{Chain: certs(other, root), PreferredAt: now()})
	v, _, err := h.store.Validator(certstore.Mail, "")
	if err != nil {
		t.Fatal(err)
	}
	selection, err := h.store.Recipient(t.Context(), "alice@example.org", by(v))
	if err != nil {
		t.Fatal(err)
	}
	if got := codes(selection); !slices.Equal(got, []string{"own: usable", "other: usable"}) {
		t.Errorf("%q", got)
	}
}

func TestChooseCipher(t *testing.T) {
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	plain := issue(t, root, "plain", newKey(t), forMail("a@example.org", nil))
	withExtension := issue(t, root, "announces", newKey(t), forMail("b@example.org", func(c *x509.Certificate) {
		der, err := cms.OwnCapabilities().Marshal()
		if err != nil {
			t.Fatal(err)
		}
		c.ExtraExtensions = append(c.ExtraExtensions, extension(false, der, 1, 2, 840, 113549, 1, 9, 15))
	}))
	h := newHome(t, safeio.Disk{})
	h.trust(t, root, certstore.Mail)
	h.addCorrespondent(t, nil, plain)
	h.addCorrespondent(t, nil, withExtension)
	v, _, err := h.store.Validator(certstore.Mail, "")
	if err != nil {
		t.Fatal(err)
	}
	candidate := func(address string) certstore.Candidate {
		selection, err := h.store.Recipient(t.Context(), address, by(v))
		if err != nil || selection.Chosen == nil {
			t.Fatal(err)
		}
		return *selection.Chosen
	}
	unknown, gcm := candidate("a@example.org"), candidate("b@example.org")
	cbcOnly := unknown
	cbcOnly.Known, cbcOnly.Capabilities = true, cms.Capabilities{{ID: cms.AES256CBC.OID()}}
	for name, test := range map[string]struct {
		recipients []certstore.Candidate
		want       cms.Cipher
		reason     string
	}{
		"known":             {[]certstore.Candidate{gcm, gcm}, cms.AES256GCM, "every recipient"},
		"one unknown":       {[]certstore.Candidate{gcm, unknown}, cms.AES256CBC, `"plain"`},
		"one known not to":  {[]certstore.Candidate{gcm, cbcOnly}, cms.AES256CBC, `"plain"`},
		"nobody to ask for": {nil, cms.AES256CBC, "no recipient"},
	} {
		if choice := certstore.ChooseCipher(test.recipients); choice.Cipher != test.want || !strings.Contains(choice.Reason, test.reason) {
			t.Errorf("%s: %v, because %s", name, choice.Cipher, choice.Reason)
		}
	}
}

// TestSelectionReportsProblems: an unreadable file is told to whoever may miss it.
func TestSelectionReportsProblems(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	bob := issue(t, nil, "bob", newKey(t), forMail("bob@example.org", nil))
	h.addCorrespondent(t, nil, bob)
	path := h.correspondentPath(bob)
	write(t, path, []byte("damaged"))
	selection, err := h.store.Recipient(t.Context(), "bob@example.org", by(certstore.Validator{}))
	if err != nil || selection.Chosen != nil || len(selection.Problems) != 1 || selection.Problems[0].Path != path {
		t.Fatalf("%+v, %v", selection, err)
	}
	if !errors.Is(selection.Problems[0], certstore.ErrMalformed) {
		t.Errorf("%v", selection.Problems[0])
	}
}
