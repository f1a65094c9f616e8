package client

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"

	"github.com/sealmail/sealmail/internal/safeio"
)

// proofRecord names what the verdict on a message was decided by, beside the message: each a file in the evidence folder,
// named by the SHA-256 of its octets. So it can be shown later, when lists and responders say other things, or nothing.
type proofRecord struct {
	Certificates  []string `json:"certificates,omitempty"` // the signers' paths, and the issuers of lists
	CRLs          []string `json:"crls,omitempty"`
	OCSPResponses []string `json:"ocsp_responses,omitempty"`
}

// keepProof writes what a message was judged by. Most of it is the same for many messages, and is there already.
func (c *Client) keepProof(r *judged) (p proofRecord, err error) {
	var files []safeio.NewFile
	keep := func(names *[]string, extension string, values ...[]byte) {
		for _, der := range values {
			sum := sha256.Sum256(der)
			name := hex.EncodeToString(sum[:])
			if slices.Contains(*names, name) { // a root above both a signer and an authority
				continue
			}
			*names = append(*names, name)
			path := filepath.Join(c.o.Home.Evidence(), name[:2], name+extension)
			if _, err := os.Lstat(path); err != nil { // else it is there, and whole
				files = append(files, safeio.NewFile{Path: path, Data: der, Perm: 0o600})
			}
		}
	}
	for _, v := range r.verdict.Signatures {
		if v.Signature < 0 {
			continue
		}
		for _, cert := range r.paths[r.layers[v.Layer].Signed.Signatures[v.Signature].Signer] {
			keep(&p.Certificates, ".cer", cert.Raw)
		}
	}
	keep(&p.Certificates, ".cer", r.proof.Certificates...)
	keep(&p.CRLs, ".crl", r.proof.CRLs...)
	keep(&p.OCSPResponses, ".ocsp", r.proof.OCSPResponses...)
	for _, f := range files {
		if err := c.o.Disk.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
			return p, failed("evidence", err, "")
		}
		_ = safeio.RemoveStale(filepath.Dir(f.Path)) // what a kill left behind; not being able to is no reason to stop
	}
	if err := c.o.Disk.WriteFiles(files); err != nil {
		return p, failed("evidence", err, "make room on the disk; nothing on the server was changed")
	}
	return p, nil
}
