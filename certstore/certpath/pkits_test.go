package certpath

import (
	"encoding/asn1"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
)

func TestMain(m *testing.M) { peertest.Main(m) }

// pkitsTime is a time at which the certificates of the suite are valid that should be.
func pkitsTime() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }

// pkitsDSA are the cases that differ, because signatures with DSA are not checked: what is valid there is unsupported
// here. The third has a false signature, and is refused for the other reason.
var pkitsDSA = map[string]string{
	"valid_dsa_signatures_test4":            "the certificate of the leaf is signed with DSA",
	"valid_dsa_parameter_inheritance_test5": "and the parameters of the key are those of its issuer",
	"invalid_dsa_signature_test6":           "the signature is not looked at",
}

// TestPKITS asks for all cases what the certificates alone decide: where the suite has a path refused because of a CRL,
// the path itself is valid.
func TestPKITS(t *testing.T) {
	suite := peertest.LoadPKITS(t)
	if len(suite.Cases) != 246 {
		t.Fatalf("%d cases", len(suite.Cases))
	}
	anchor := mustParse(t, suite.Anchor(t))
	for _, test := range suite.Cases {
		t.Run(test.ID+" "+test.Name, func(t *testing.T) {
			var others []*Certificate
			for _, name := range test.Other {
				others = append(others, mustParse(t, suite.Certificate(t, name)))
			}
			p := Parameters{
				Time:                        pkitsTime(),
				InitialPolicyMappingInhibit: test.Params.InitialPolicyMappingInhibit,
				InitialExplicitPolicy:       test.Params.InitialExplicitPolicy,
				InitialAnyPolicyInhibit:     test.Params.InitialAnyPolicyInhibit,
			}
			for _, policy := range test.Params.UserInitialPolicySet {
				p.UserInitialPolicySet = append(p.UserInitialPolicySet, parseOID(t, policy))
			}
			builder := Builder{Anchors: NewSet([]*Certificate{anchor}), Issuers: []*Set{NewSet(others)}}
			path, err := builder.Build(mustParse(t, suite.Certificate(t, test.Leaf)), p)
			if _, dsa := pkitsDSA[test.Name]; dsa {
				var unsupported *UnsupportedError
				if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "DSA") {
					t.Errorf("with DSA: %v", err)
				}
				return
			}
			if (err != nil) != test.InvalidPath() {
				t.Errorf("%v", err)
			}
			if err == nil {
				p.Anchor = TrustAnchor{Name: anchor.Subject, Certificate: anchor}
				if _, err := Validate(path.Certificates, p); err != nil {
					t.Errorf("with nothing but the anchor's name and key: %v", err)
				}
			}
		})
	}
}

func mustParse(t testing.TB, der []byte) *Certificate {
	t.Helper()
	c, err := Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parseOID(t testing.TB, text string) OID {
	t.Helper()
	var arcs asn1.ObjectIdentifier
	for part := range strings.SplitSeq(text, ".") {
		arc, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(err)
		}
		arcs = append(arcs, arc)
	}
	return NewOID(arcs)
}
