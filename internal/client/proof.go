package client

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/safeio"
)

// proofRecord names what the verdict on a message was decided by, beside the message: each a file in the evidence folder,
// named by the SHA-256 of its octets. So it can be shown later, when lists and responders say other things, or nothing.
type proofRecord struct {
	Certificates  []string `json:"certificates,omitempty"` // the signers' paths, and the issuers of lists
	CRLs          []string `json:"crls,omitempty"`
	OCSPResponses []string `json:"ocsp_responses,omitempty"`
}

// proofKeeper writes what messages were judged by, of many at once. It is for use by several goroutines.
type proofKeeper struct {
	client *Client

	mu    sync.Mutex
	known map[string]bool // names of files that are there, or are about to be
	files []safeio.NewFile
}

// keep names what a message was judged by, and notes what of it is not there yet. Most of it is the same for many messages.
func (k *proofKeeper) keep(r *judged, parsed *certstore.ParseCache) proofRecord {
	record, pieces := r.proofs(parsed)
	for _, p := range pieces {
		k.note(p.name, p.kind.extension(), p.der)
	}
	return record
}

// proofKind is what a piece of proof is.
type proofKind uint8

const (
	proofCertificate proofKind = iota
	proofCRL
	proofOCSP
)

func (k proofKind) extension() string { return [...]string{".cer", ".crl", ".ocsp"}[k] }

// proofPiece is one thing that a verdict rests on.
type proofPiece struct {
	kind proofKind
	name string // SHA-256 of the octets, in hexadecimal
	der  []byte
}

// proofs are what a message was judged by, and their names, each once.
func (r *judged) proofs(parsed *certstore.ParseCache) (p proofRecord, pieces []proofPiece) {
	one := func(kind proofKind, names *[]string, name string, der []byte) {
		if slices.Contains(*names, name) { // a root above both a signer and an authority
			return
		}
		*names = append(*names, name)
		pieces = append(pieces, proofPiece{kind, name, der})
	}
	all := func(kind proofKind, names *[]string, values [][]byte) {
		for _, der := range values {
			sum := sha256.Sum256(der)
			one(kind, names, hex.EncodeToString(sum[:]), der)
		}
	}
	for _, v := range r.verdict.Signatures {
		if v.Signature < 0 {
			continue
		}
		for _, cert := range r.paths[r.layers[v.Layer].Signed.Signatures[v.Signature].Signer] {
			one(proofCertificate, &p.Certificates, parsed.Fingerprint(cert), cert.Raw)
		}
	}
	all(proofCertificate, &p.Certificates, r.proof.Certificates)
	all(proofCRL, &p.CRLs, r.proof.CRLs)
	all(proofOCSP, &p.OCSPResponses, r.proof.OCSPResponses)
	return p, pieces
}

func (k *proofKeeper) note(name, extension string, data []byte) {
	file := name + extension
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known[file] {
		return
	}
	if k.known == nil {
		k.known = map[string]bool{}
	}
	k.known[file] = true
	path := filepath.Join(k.client.o.Home.Evidence(), name[:2], file)
	if _, err := os.Lstat(path); err != nil { // else it is there, and whole
		k.files = append(k.files, safeio.NewFile{Path: path, Data: data, Perm: 0o600})
	}
}

// write brings to the disk what was noted.
func (k *proofKeeper) write() error {
	k.mu.Lock()
	files := k.files
	k.files = nil
	k.mu.Unlock()
	disk := k.client.o.Disk
	for _, f := range files {
		if err := disk.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
			return failed("evidence", err, "")
		}
		_ = safeio.RemoveStale(filepath.Dir(f.Path)) // what a kill left behind; not being able to is no reason to stop
	}
	if err := disk.WriteFiles(files); err != nil {
		return failed("evidence", err, "make room on the disk; nothing on the server was changed")
	}
	return nil
}
