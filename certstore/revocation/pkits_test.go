package revocation

import (
	"slices"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore/certpath"
	"github.com/sealmail/sealmail/internal/peertest"
)

func TestMain(m *testing.M) { peertest.Main(m) }

// pkitsDSA are the cases that differ: signatures with DSA are not checked, so that what is valid there is unsupported
// here. The third, whose signature is false, is refused for that reason too.
var pkitsDSA = map[string]string{
	"valid_dsa_signatures_test4":            "the certificate of the leaf is signed with DSA",
	"valid_dsa_parameter_inheritance_test5": "and the parameters of the key are those of its issuer",
}

// TestPKITS runs all cases with their lists: a path is accepted where it is valid and every certificate in it is good.
func TestPKITS(t *testing.T) {
	suite := peertest.LoadPKITS(t)
	if len(suite.Cases) != 246 {
		t.Fatalf("%d cases", len(suite.Cases))
	}
	anchor := mustParse(t, suite.Anchor(t))
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range suite.Cases {
		t.Run(test.ID+" "+test.Name, func(t *testing.T) {
			given := Evidence{CRLs: [][]byte{suite.CRL(t, "TrustAnchorRootCRL.crl")}}
			for _, name := range test.CRLs {
				given.CRLs = append(given.CRLs, suite.CRL(t, name))
			}
			var others []*certpath.Certificate
			for _, name := range test.Other {
				der := suite.Certificate(t, name)
				others = append(others, mustParse(t, der))
				given.Certificates = append(given.Certificates, der)
			}
			p := certpath.Parameters{
				Time:                        at,
				InitialPolicyMappingInhibit: test.Params.InitialPolicyMappingInhibit,
				InitialExplicitPolicy:       test.Params.InitialExplicitPolicy,
				InitialAnyPolicyInhibit:     test.Params.InitialAnyPolicyInhibit,
			}
			for _, policy := range test.Params.UserInitialPolicySet {
				p.UserInitialPolicySet = append(p.UserInitialPolicySet, parseOID(t, policy))
			}
			builder := certpath.Builder{Anchors: certpath.NewSet([]*certpath.Certificate{anchor}), Issuers: []*certpath.Set{certpath.NewSet(others)}}
			path, err := builder.Build(mustParse(t, suite.Certificate(t, test.Leaf)), p)
			if why, dsa := pkitsDSA[test.Name]; dsa {
				if err == nil {
					t.Errorf("accepted, though %s", why)
				}
				return
			}
			if err != nil {
				if test.Error == nil {
					t.Errorf("no path: %v", err)
				}
				return
			}
			chain := slices.Clone(path.Certificates)
			slices.Reverse(chain)
			answers, err := new(Checker).Check(t.Context(), append(chain, path.Anchor), given, at, at)
			if err != nil {
				t.Fatal(err)
			}
			revoked := slices.ContainsFunc(answers, func(a Answer) bool { return a.Status == Revoked })
			if want := test.Error != nil && test.Error.Class == "RevokedError"; revoked != want {
				t.Errorf("revoked: %v", revoked)
			}
			good := !slices.ContainsFunc(answers, func(a Answer) bool { return a.Status != Good })
			if good != (test.Error == nil) {
				t.Errorf("accepted: %v", good)
				for _, a := range answers {
					t.Logf("%d: %v: %s", a.Index, a.Status, a.Why)
				}
			}
		})
	}
}
