package peertest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// PKITSCase is one case of the Public Key Interoperability Test Suite (NIST, 2011): a certificate, what is given with it,
// and whether its path is valid.
type PKITSCase struct {
	ID    string   `json:"id"` // such as "40101" for test 4.1.1; several cases may share it
	Name  string   `json:"name"`
	Leaf  string   `json:"cert"`        // names of files: see PKITS.Certificate
	Other []string `json:"other_certs"` // issuers, of the path and of CRLs
	CRLs  []string `json:"crls"`
	Error *struct {
		Class string `json:"class"` // "PathValidationError": by the certificates alone; others: by the CRLs
	} `json:"error"` // nil: the path is valid
	Params struct {
		UserInitialPolicySet        []string `json:"user_initial_policy_set"`
		InitialPolicyMappingInhibit bool     `json:"initial_policy_mapping_inhibit"`
		InitialExplicitPolicy       bool     `json:"initial_explicit_policy"`
		InitialAnyPolicyInhibit     bool     `json:"initial_any_policy_inhibit"`
	} `json:"params"`
}

// InvalidPath reports whether the path is invalid whatever the CRLs say.
func (c PKITSCase) InvalidPath() bool {
	return c.Error != nil && c.Error.Class == "PathValidationError"
}

// PKITS is the suite.
type PKITS struct {
	Cases []PKITSCase
	dir   string
}

// LoadPKITS reads the suite from the corpora; see [Corpora].
func LoadPKITS(t testing.TB) *PKITS {
	t.Helper()
	p := &PKITS{dir: Corpora(t, "pkits2011")}
	list, err := os.ReadFile(filepath.Join(p.dir, "pkits.json"))
	if err == nil {
		err = json.Unmarshal(list, &p.Cases)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Anchor returns the certificate of the one trust anchor, in DER.
func (p *PKITS) Anchor(t testing.TB) []byte {
	return p.Certificate(t, "TrustAnchorRootCertificate.crt")
}

// Certificate returns one certificate of the suite, in DER.
func (p *PKITS) Certificate(t testing.TB, name string) []byte { return p.read(t, "certs", name) }

// CRL returns one CRL of the suite, in DER.
func (p *PKITS) CRL(t testing.TB, name string) []byte { return p.read(t, "crls", name) }

func (p *PKITS) read(t testing.TB, folder, name string) []byte {
	t.Helper()
	der, err := os.ReadFile(filepath.Join(p.dir, folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return der
}
