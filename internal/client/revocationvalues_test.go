package client_test

import (
	"cmp"
	"context"
	"crypto"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/smime/cms"
)

// signedWith is a bare SignedData with an entity in it and with these values of the revocation-values attribute.
func (w *world) signedWith(name string, values ...[]byte) string {
	w.t.Helper()
	pair := w.pair(name)
	scheme, hash, err := cms.DefaultSignature(pair.Chain[0])
	if err != nil {
		w.t.Fatal(err)
	}
	attribute := cms.Attribute{Type: cms.OIDAttributeRevocationValues, Values: values}
	der, err := cms.Sign(w.t.Context(), []byte("Content-Type: text/plain\r\n\r\nHello.\r\n"), cms.SignedDataOptions{
		Certificates: pair.Chain[:2],
		Signers: []cms.Signer{{
			Certificate: pair.Chain[0], Key: pair.Key.(crypto.Signer), Scheme: scheme, Digest: hash,
			UnsignedAttributes: func(context.Context, []byte) ([]cms.Attribute, error) { return []cms.Attribute{attribute}, nil },
		}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.write("message.p7m", string(der))
}

// TestRevocationValuesBroughtAlong judges signatures with an attribute as somebody may have made it who wants to deceive or to
// disturb.
func TestRevocationValuesBroughtAlong(t *testing.T) {
	w := newWorld(t)
	w.issue("alice", "p256")
	noPassphrase := func() ([]byte, error) { return nil, nil }
	list := func(name string) string {
		t.Helper()
		if _, err := client.CACRL(t.Context(), w.options(), client.CACRLParams{Dir: w.in("ca"), Output: client.Output{Name: w.in(name)}, Passphrase: noPassphrase}); err != nil {
			t.Fatal(err)
		}
		return w.in(name)
	}
	root := w.in("root.crl")
	if _, err := client.CACRL(t.Context(), w.options(), client.CACRLParams{Dir: w.in("ca"), Root: true, Output: client.Output{Name: root}, Passphrase: noPassphrase}); err != nil {
		t.Fatal(err)
	}
	good := list("good.crl")
	confirm := func(string, bool) error { return nil }
	if _, err := client.CARevoke(t.Context(), w.options(), client.CARevokeParams{Dir: w.in("ca"), Cert: w.in("alice.pem"), Reason: "superseded", Passphrase: noPassphrase, Confirm: confirm}); err != nil {
		t.Fatal(err)
	}
	revoked := list("revoked.crl")
	values := func(v cms.RevocationValues) []byte {
		der, err := v.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	var junk cms.RevocationValues // as many lists as are looked at
	for i := range 64 {
		der, err := asn1.Marshal(struct{ N int }{i})
		if err != nil {
			t.Fatal(err)
		}
		junk.CRLs = append(junk.CRLs, der)
	}
	known := values(cms.RevocationValues{CRLs: [][]byte{[]byte(w.read("good.crl")), []byte(w.read("root.crl"))}})
	for name, tt := range map[string]struct {
		values  [][]byte
		crls    []string // that the person gives
		at      time.Time
		verdict string
		status  string // of revocation
		warning string
	}{
		"nothing":                        {nil, nil, now(), "passed", "indeterminate", "revocation-unknown"},
		"good lists":                     {[][]byte{known}, nil, now(), "passed", "passed", ""},
		"good lists, and a newer one":    {[][]byte{known}, []string{revoked}, now(), "failed", "failed", ""},
		"good lists of long ago":         {[][]byte{known}, nil, now().AddDate(1, 0, 0), "passed", "indeterminate", "revocation-unknown"},
		"junk before what a person gave": {[][]byte{values(junk)}, []string{revoked, root}, now(), "failed", "failed", ""},
		"malformed":                      {[][]byte{{5, 0}}, nil, now(), "passed", "indeterminate", "revocation-values"},
		"malformed beside good lists":    {[][]byte{{5, 0}, known}, nil, now(), "passed", "passed", "revocation-values"},
		"malformed, and given lists":     {[][]byte{{5, 0}}, []string{good, root}, now(), "passed", "passed", "revocation-values"},
	} {
		p := client.VerifyParams{Trust: []string{w.in("ca/root.pem")}, Revocation: "soft", CRLs: tt.crls, At: tt.at}
		for report, err := range w.client().Verify(t.Context(), p, []string{w.signedWith("alice", tt.values...)}) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := report.Signatures[0].Checks.Revocation; report.Verdict != tt.verdict || got.Status != tt.status {
				t.Errorf("%s: %s, revocation %s: %s", name, report.Verdict, got.Status, *cmp.Or(got.Reason, new(string)))
			}
			if warned := slices.ContainsFunc(report.Warnings, func(r client.WarningReport) bool { return r.Code == tt.warning }); warned != (tt.warning != "") {
				t.Errorf("%s: %v", name, report.Warnings)
			}
		}
	}
}
