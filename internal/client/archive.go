package client

import (
	"archive/zip"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// ArchivePlace says which archive is meant, and who may open it.
type ArchivePlace struct {
	Dir  string   // empty: the one that this home knows
	Keys KeyFiles // private keys of recovery certificates, beside the vault's
}

// archiveMemory is what a home remembers of an archive. It is a witness against one that was put back to what it was before.
type archiveMemory struct {
	Version int    `json:"version"`
	ID      string `json:"id"`
	Path    string `json:"path"` // absolute
	Head    []byte `json:"head"` // as it was when this home last wrote it, or checked it
}

// maxArchiveMemory bounds the octets of a file of an archiveMemory: base64 of a head.
const maxArchiveMemory = 96 << 20

func (c *Client) archiveMemoryFile(id string) string {
	return filepath.Join(c.o.Home.Archives(), id+".json")
}

// remembered returns what is remembered of an archive; nil: nothing.
func (c *Client) remembered(id string) (*archiveMemory, error) {
	data, err := readBounded(c.archiveMemoryFile(id), maxArchiveMemory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	m := &archiveMemory{}
	if err == nil {
		err = json.Unmarshal(data, m)
	}
	if err == nil && (m.Version != 1 || m.ID != id) {
		err = errors.New("it is not of a kind that is known")
	}
	if err != nil {
		return nil, failed(c.archiveMemoryFile(id), err, "restore it from a backup, or remove it: then it is not noticed any more if that archive was put back")
	}
	return m, nil
}

// memories are all that is remembered of archives.
func (c *Client) memories() (list []*archiveMemory, err error) {
	entries, err := os.ReadDir(c.o.Home.Archives())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, failed("archive", err, "name the archive with --archive DIR")
	}
	for _, entry := range entries {
		id, isMemory := strings.CutSuffix(entry.Name(), ".json")
		if !isMemory {
			continue
		}
		m, err := c.remembered(id)
		if err != nil {
			return nil, err
		}
		if m != nil {
			list = append(list, m)
		}
	}
	return list, nil
}

// remember notes what an archive is now, and where.
func (c *Client) remember(a *archive.Archive, dir string) error {
	path, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	_, head := a.Head()
	data, err := json.Marshal(archiveMemory{Version: 1, ID: a.ID(), Path: path, Head: head})
	if err != nil {
		return err
	}
	const hint = "make room on the disk, and see that this home can be written; the archive itself is whole"
	if err := c.o.Disk.MkdirAll(c.o.Home.Archives(), 0o700); err != nil {
		return failed("archive", err, hint)
	}
	_ = safeio.RemoveStale(c.o.Home.Archives()) // what a kill left behind; not being able to is no reason to stop
	if err := c.o.Disk.WriteFile(c.archiveMemoryFile(a.ID()), data, 0o600); err != nil {
		return failed("archive", err, hint)
	}
	return nil
}

// checkMemory holds an archive against what is remembered of it.
func (c *Client) checkMemory(ctx context.Context, a *archive.Archive) error {
	memory, err := c.remembered(a.ID())
	if err != nil || memory == nil {
		return err
	}
	if err = a.CheckWitness(ctx, memory.Head); !errors.Is(err, archive.ErrWitness) {
		return err
	}
	// Another process may have moved the head since it was read here. What is remembered follows the head.
	if err := a.Refresh(ctx); err != nil {
		return err
	}
	return a.CheckWitness(ctx, memory.Head)
}

// keepHead keeps copies of an archive's head elsewhere: in this home, and in a file, unless it has no name.
func (c *Client) keepHead(ctx context.Context, a *archive.Archive, dir, file string) error {
	if err := checkWitnessFile(ctx, a, file); err != nil {
		return err
	}
	if err := c.remember(a, dir); err != nil {
		return err
	}
	if file == "" {
		return nil
	}
	_, head := a.Head()
	if err := c.o.Disk.WriteFile(file, head, 0o600); err != nil {
		return failed(file, err, "name another file with --witness; the archive itself is whole")
	}
	return nil
}

// checkWitnessFile holds an archive against an older head in a file, if there is one, before that is replaced: it may be the only
// thing that knows that the archive was put back.
func checkWitnessFile(ctx context.Context, a *archive.Archive, file string) error {
	if file == "" {
		return nil
	}
	older, err := readBounded(file, maxArchiveMemory)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return failed("", err, "name another file with --witness")
	}
	err = a.CheckWitness(ctx, older)
	if err != nil && !errors.Is(err, archive.ErrWitness) {
		return failed(file, err, "it is no copy of a head: name another file with --witness")
	}
	return err
}

// trustedHead judges who signed the head of an archive that is to be written: as verification does.
func (c *Client) trustedHead() (func(context.Context, *x509.Certificate, []*x509.Certificate, time.Time) error, error) {
	judge, err := c.archiveSigners(nil, func(*x509.Certificate) {})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, signer *x509.Certificate, extra []*x509.Certificate, at time.Time) error {
		_, err := judge(ctx, signer, extra, at)
		return err
	}, nil
}

// archiveDir is the folder of the archive that is meant.
func (c *Client) archiveDir(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	memories, err := c.memories()
	if err != nil {
		return "", err
	}
	var known []string
	for _, m := range memories {
		known = append(known, m.Path)
	}
	slices.Sort(known) // where one was given up, another may be in its place
	known = slices.Compact(known)
	switch len(known) {
	case 0:
		return "", usage("archive", errors.New("there is none yet, or this home does not know it"), "`sealmail archive pull --to DIR` makes one; --archive DIR names one")
	case 1:
		return known[0], nil
	}
	return "", usage("archive", fmt.Errorf("this home knows several: %s", strings.Join(known, ", ")), "name one with --archive DIR")
}

// archiveOptions are what an archive needs of this home: the vault's keys, if there is a vault, and given ones.
func (c *Client) archiveOptions(keys KeyFiles) (archive.Options, error) {
	o := archive.Options{Now: c.o.Now, Proven: c.archiveProven()}
	if c.HasVault() {
		o.Keeper = archiveKeeper{c}
	}
	if keys.given() {
		list, _, err := c.decrypters(keys)
		if err != nil {
			return o, err
		}
		for _, d := range list {
			o.Recovery = append(o.Recovery, d)
		}
	}
	return o, nil
}

// archiveKeeper keeps the keys of segments in the vault.
type archiveKeeper struct{ client *Client }

const archiveKeyKind = "archive-segment"

// Key is for archive.Keeper.
func (k archiveKeeper) Key(ctx context.Context, name string) ([]byte, error) {
	v, err := k.client.openVault(ctx, false)
	if err != nil {
		return nil, err
	}
	return v.Get(name)
}

// Keep is for archive.Keeper.
func (k archiveKeeper) Keep(ctx context.Context, name string, key []byte) error {
	v, err := k.client.openVault(ctx, true)
	if err != nil {
		return err
	}
	err = v.Put(ctx, name, archiveKeyKind, key)
	var known *Error
	if err == nil || ctx.Err() != nil || errors.As(err, &known) {
		return err
	}
	return failed("", err, "make room on the disk, and see that this home can be written; what was reported as archived is not touched")
}

// openArchive opens the archive that is meant. The caller closes it.
func (c *Client) openArchive(ctx context.Context, p ArchivePlace) (a *archive.Archive, dir string, err error) {
	if dir, err = c.archiveDir(p.Dir); err != nil {
		return nil, "", err
	}
	o, err := c.archiveOptions(p.Keys)
	if err != nil {
		return nil, "", err
	}
	if a, err = archive.Open(ctx, archive.NewFolder(c.o.Disk, dir), o); err != nil {
		return nil, dir, explainArchive(dir, err)
	}
	return a, dir, nil
}

// explainArchive says what to do about an error of an archive.
func explainArchive(dir string, err error) error {
	var (
		known    *Error
		shredded *archive.ShreddedError
	)
	switch {
	case err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &shredded):
		return &Error{Kind: No, Err: shredded}
	case errors.Is(err, archive.ErrNoArchive) && exists(filepath.Join(dir, "archive.json")):
		return &Error{Kind: No, What: dir, Err: errors.New("the head of the archive is missing"),
			Hint: "put the newest copy of the file head back in its place; `sealmail archive verify` says what is there"}
	case errors.Is(err, archive.ErrNoArchive):
		return failed(dir, archive.ErrNoArchive, "`sealmail archive pull --to DIR` makes one")
	case errors.Is(err, archive.ErrExist):
		return failed(dir, err, "name a folder that is empty, or an archive")
	case errors.Is(err, archive.ErrBusy):
		return failed(dir, archive.ErrBusy, "try again when the other one is done")
	case errors.Is(err, archive.ErrVersion):
		return failed(dir, err, "use the later version")
	case errors.Is(err, archive.ErrNoKey):
		return failed(dir, err, "open it with the vault of the home that made it, or with a recovery key: --p12 recovery.p12")
	case errors.Is(err, archive.ErrRolledBack), errors.Is(err, archive.ErrWitness):
		return &Error{Kind: No, What: dir, Err: err, Hint: "nothing was touched: put the newest copy of the file head back in its place; `sealmail archive verify` says more"}
	case errors.Is(err, archive.ErrAltered), errors.Is(err, archive.ErrMissing), errors.Is(err, archive.ErrSealed), errors.Is(err, archive.ErrSignature),
		errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrFormat), errors.Is(err, zip.ErrAlgorithm): // of a segment
		return &Error{Kind: No, What: dir, Err: err, Hint: "`sealmail archive verify` names all that is wrong; take what is damaged from a copy of the archive"}
	case errors.Is(err, fs.ErrPermission):
		return failed(dir, err, "see that the folder can be written")
	}
	return failed(dir, err, "see that the disk has room and that the folder can be written; what was reported as archived is not touched")
}

// archiveSigner is who signs an archive: the identity with this fingerprint (or its beginning), or else the one archiving
// certificate that is valid now and not known to be revoked. online says that the network may be asked for that.
func (c *Client) archiveSigner(ctx context.Context, fingerprint string, online bool) (archive.Signer, error) {
	const hint = "`sealmail ca issue --purpose archive` makes an archiving certificate, `sealmail cert import` takes it in"
	identities, problems, err := c.certificates().Identities()
	if err != nil {
		return archive.Signer{}, c.storeUnreadable(err)
	}
	c.sayProblems(problems)
	by, err := c.selector(c.o.Now(), online)
	if err != nil {
		return archive.Signer{}, err
	}
	var refused error
	for _, identity := range identities { // the newest first
		cert := identity.Certificate()
		if fingerprint != "" && !strings.HasPrefix(certstore.Fingerprint(cert), strings.ToLower(fingerprint)) {
			continue
		}
		if fingerprint == "" && !certstore.AllowsUse(cert, certstore.SignArchive) {
			continue
		}
		chain, err := c.archiveSignerPath(ctx, identity, by)
		if ctx.Err() != nil {
			return archive.Signer{}, ctx.Err()
		}
		if err != nil {
			refused = errors.Join(refused, fmt.Errorf("%s: %w", certstore.Name(cert), err))
			continue
		}
		key, err := identity.Signer()
		if err != nil {
			return archive.Signer{}, storeError(fmt.Errorf("archive: %w", err))
		}
		return archive.Signer{Key: key, Chain: withoutRoot(chain)}, nil
	}
	switch {
	case refused != nil:
		return archive.Signer{}, failed("archiving certificate", refused, hint)
	case fingerprint != "":
		return archive.Signer{}, failed("archiving certificate", fmt.Errorf("there is none of your own with the fingerprint %.70q", fingerprint), "`sealmail cert list` lists what there is")
	}
	return archive.Signer{}, failed("archiving certificate", errors.New("there is none"), hint)
}

// archiveSignerPath is the path of an identity that may sign an archive now, as the account asks for that where mail is signed.
func (c *Client) archiveSignerPath(ctx context.Context, identity *certstore.Identity, by selector) ([]*x509.Certificate, error) {
	cert := identity.Certificate()
	path, err := by.Validator.Path(cert, slices.Concat(identity.Chain[1:], c.certificates().IssuersOf(cert)), certstore.SignArchive, by.At)
	if err != nil || by.Revocation == nil {
		return path, err
	}
	code, reason, err := by.Revocation(ctx, path)
	switch {
	case err != nil:
		return nil, err
	case code != certstore.Usable:
		return nil, errors.New(reason)
	}
	c.sayUnchecked(certstore.Candidate{Certificate: cert, Unchecked: reason})
	return path, nil
}

// withoutRoot leaves out the anchor at the end of a path: who checks has it, or it is worth nothing.
func withoutRoot(path []*x509.Certificate) []*x509.Certificate {
	if len(path) > 1 {
		return path[:len(path)-1]
	}
	return path
}

// readBounded reads a file of ours that should not be larger than this.
func readBounded(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: safeio.ErrNotRegular}
	case info.Size() > limit:
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is larger than %d octets", limit)}
	}
	return os.ReadFile(path)
}

// ArchiveLine is what a list shows of an archived message.
type ArchiveLine struct {
	Number int64 `json:"number"`
	ListLine
	Archived    time.Time `json:"archived"`
	SHA256      string    `json:"sha256"`
	DuplicateOf *int64    `json:"duplicate_of,omitempty"` // the number of the message that has the octets
}

// archiveLine is the line of a message with this record.
func archiveLine(line ListLine, r *archive.Record) ArchiveLine {
	l := ArchiveLine{Number: int64(r.Number), ListLine: line, Archived: r.Archived, SHA256: r.SHA256}
	if r.OctetsIn != 0 {
		l.DuplicateOf = orNull(int64(r.OctetsIn))
	}
	return l
}
