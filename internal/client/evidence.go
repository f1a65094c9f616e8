package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
)

// recordSuffix is what the file of an evidence record has behind the name of its data object.
const recordSuffix = ".ers"

// EvidenceParams say which evidence records are made, checked or renewed, and how.
type EvidenceParams struct {
	Paths   []string    // data objects: files, and folders for all files in them and below
	Records string      // folder of the records; empty: each beside its file. Of a group: the record
	Group   bool        // the files belong together and have one record
	Stamp   StampParams // of CreateEvidence and RenewEvidence; TSATrust of all

	HashTree bool // RenewEvidence: renew the hash tree, by Stamp.Hash

	At                  time.Time // VerifyEvidence: until when the proof must reach; zero: now
	CRLs, OCSPResponses []string  // VerifyEvidence: files
	AllowWeak           bool      // but for CreateEvidence
}

// EvidenceLine says what is known of one evidence record.
type EvidenceLine struct {
	Files      []string        `json:"files"`
	Record     string          `json:"record"`
	Status     string          `json:"status"` // passed, failed, indeterminate, as in a verdict
	Code       *string         `json:"code"`
	Reason     *string         `json:"reason"`
	Time       *time.Time      `json:"time"` // since when the files are proven
	TimeStamps []EvidenceStamp `json:"time_stamps"`
}

// EvidenceStamp is one time-stamp of a record.
type EvidenceStamp struct {
	Chain    int       `json:"chain"` // counted from 1; each goes over the objects by a hash algorithm
	Time     time.Time `json:"time"`
	ProvenBy string    `json:"proven_by"`
	Digest   string    `json:"digest"`
	Expires  time.Time `json:"expires"` // the authority's certificate: the record is to be renewed before
}

// Words of EvidenceLine.Status.
const (
	evidencePassed        = "passed"
	evidenceFailed        = "failed"
	evidenceIndeterminate = "indeterminate"
)

func (l *EvidenceLine) refuse(status, code string, err error) {
	l.Status, l.Code, l.Reason = status, orNull(code), orNull(err.Error())
}

// add notes a verified time-stamp.
func (l *EvidenceLine) add(chain int, hash crypto.Hash, r *tsa.Result) {
	l.Status = evidencePassed
	if l.Time == nil {
		l.Time = orNull(r.Time.UTC())
	}
	l.TimeStamps = append(l.TimeStamps, EvidenceStamp{
		Chain: chain, Time: r.Time.UTC(), ProvenBy: certstore.Describe(r.Authority).Name, Digest: hashWord(hash), Expires: r.Authority.NotAfter.UTC(),
	})
}

func hashWord(hash crypto.Hash) string {
	for word, known := range stampHashes() {
		if known == hash {
			return word
		}
	}
	return strings.ToLower(hash.String())
}

// evidenceSet is the data objects that were named, and where their records are.
type evidenceSet struct {
	names    []string
	orphans  []string // records whose file is missing
	named    int      // how many of names were named themselves, and not found in a folder: the first ones
	records  string
	group    bool
	fromHere bool // records lie beside their files
	folders  bool // one was named
	notFiles int  // symbolic links, pipes and the like in folders
}

// set finds the data objects. Who names the record of a file means the file.
func (p EvidenceParams) set() (*evidenceSet, error) {
	s := &evidenceSet{records: p.Records, group: p.Group, fromHere: p.Records == ""}
	if p.Group && p.Records == "" {
		return nil, usage("--group", errors.New("the record of a group has no name"), "name it with --records GROUP.ers")
	}
	var folders []string
	for _, path := range p.Paths {
		if name, isRecord := strings.CutSuffix(path, recordSuffix); isRecord && s.fromHere {
			path = name
		}
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			folders = append(folders, path)
		case err == nil && !info.Mode().IsRegular():
			return nil, failed(path, errors.New("it is no regular file"), "name files and folders")
		case err == nil:
			s.add(path)
		case errors.Is(err, fs.ErrNotExist) && s.fromHere && exists(path+recordSuffix):
			s.orphans = append(s.orphans, path+recordSuffix)
		default:
			return nil, failed("", err, "name files and folders that can be read")
		}
	}
	s.named, s.folders = len(s.names), len(folders) > 0
	for _, folder := range folders {
		if err := filepath.WalkDir(folder, s.walk); err != nil {
			return nil, failed("", err, "name files and folders that can be read")
		}
	}
	if len(s.names) == 0 && len(s.orphans) == 0 {
		return nil, usage("tsa evidence", errors.New("there are no files"), "name files, or a folder with files in it")
	}
	return s, s.checkNames()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (s *evidenceSet) add(name string) {
	if !slices.Contains(s.names, name) { // of those that were named: few
		s.names = append(s.names, name)
	}
}

// walk takes the regular files of a folder, but for records.
func (s *evidenceSet) walk(name string, d fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case d.IsDir():
	case !d.Type().IsRegular():
		s.notFiles++
	case filepath.Ext(name) != recordSuffix:
		s.names = append(s.names, name)
	case s.fromHere && !exists(strings.TrimSuffix(name, recordSuffix)):
		s.orphans = append(s.orphans, name)
	}
	return nil
}

// sayPassedOver says what is in the folders that were named and cannot have a record.
func (s *evidenceSet) sayPassedOver(say func(string)) {
	if s.notFiles > 0 {
		say(fmt.Sprintf("note: passed over, being symbolic links or no regular files: %d", s.notFiles))
	}
}

// saySpare says what is in the folder of the records and is for none of the files. That they are missing it does not say: the
// records of other folders may be there as well.
func (s *evidenceSet) saySpare(say func(string)) {
	if s.fromHere || s.group || !s.folders {
		return
	}
	known := make(map[string]bool, len(s.names))
	for i := range s.names {
		known[filepath.Base(s.record(i))] = true
	}
	entries, _ := os.ReadDir(s.records) // where it cannot be read, each file is told to have no record
	others := 0
	for _, e := range entries {
		if filepath.Ext(e.Name()) == recordSuffix && !known[e.Name()] {
			others++
		}
	}
	if others > 0 {
		say(fmt.Sprintf("note: records in %s whose file is not here: %d", s.records, others))
	}
}

// checkNames makes sure that in a folder of records each has a name of its own.
func (s *evidenceSet) checkNames() error {
	if s.fromHere || s.group {
		return nil
	}
	taken := make(map[string]string, len(s.names))
	for _, name := range s.names {
		base := filepath.Base(name)
		if other, ok := taken[base]; ok {
			return usage("--records", fmt.Errorf("%s and %s would have the same record", other, name), "leave --records out: each record then lies beside its file")
		}
		taken[base] = name
	}
	return nil
}

// withoutRecords keeps the data objects that have no record yet. Of files in a folder others may have one; who names a file
// means that it has none.
func (s *evidenceSet) withoutRecords() (passedOver int, err error) {
	left := s.names[:0]
	for i, name := range s.names {
		switch {
		case !exists(s.record(i)):
			left = append(left, name)
		case i < s.named || s.group:
			return 0, usage("tsa evidence create", fmt.Errorf("%s is there already", s.record(i)),
				"renew it: `sealmail tsa evidence renew`; or write another elsewhere, with --records")
		}
	}
	passedOver = len(s.names) - len(left)
	s.names = left
	return passedOver, nil
}

// len is how many records there are, or are to be.
func (s *evidenceSet) len() int {
	if s.group {
		return 1
	}
	return len(s.names)
}

// files are those of one record.
func (s *evidenceSet) files(i int) []string {
	if s.group {
		return s.names
	}
	return s.names[i : i+1 : i+1]
}

// record is where the record of a data object is.
func (s *evidenceSet) record(i int) string {
	switch {
	case s.group:
		return s.records
	case s.fromHere:
		return s.names[i] + recordSuffix
	}
	return filepath.Join(s.records, filepath.Base(s.names[i])+recordSuffix)
}

// line is what there is to say of a record before it is looked at.
func (s *evidenceSet) line(i int) EvidenceLine {
	return EvidenceLine{Files: s.files(i), Record: s.record(i), TimeStamps: []EvidenceStamp{}}
}

// hasher hashes files, of which there may be very many.
type hasher struct {
	client  *Client
	buffers sync.Pool
}

// digest hashes a file by several algorithms, which are then of the same octets.
func (h *hasher) digest(ctx context.Context, name string, hashes ...crypto.Hash) ([][]byte, error) {
	src, err := h.client.openSource(name)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	buffer, ok := h.buffers.Get().(*[]byte)
	if !ok {
		buffer = new(make([]byte, 64<<10))
	}
	defer h.buffers.Put(buffer)
	sums := make([]hash.Hash, len(hashes))
	writers := make([]io.Writer, len(hashes))
	for i, algorithm := range hashes {
		sums[i] = algorithm.New()
		writers[i] = sums[i]
	}
	if _, err := io.CopyBuffer(io.MultiWriter(writers...), contextReader{ctx, io.NewSectionReader(src, 0, src.Size())}, *buffer); err != nil {
		return nil, failed(name, err, "")
	}
	digests := make([][]byte, len(hashes))
	for i, sum := range sums {
		digests[i] = sum.Sum(nil)
	}
	return digests, src.unchanged()
}

// digests hashes the files of one record.
func (h *hasher) digests(ctx context.Context, files []string, algorithm crypto.Hash) ([][]byte, error) {
	list := make([][]byte, len(files))
	for i, name := range files {
		digests, err := h.digest(ctx, name, algorithm)
		if err != nil {
			return nil, err
		}
		list[i] = digests[0]
	}
	return list, nil
}

// digestsOf are the digests that a record is held against.
func (h *hasher) digestsOf(ctx context.Context, files []string) evidence.DigestFunc {
	return func(algorithm crypto.Hash) ([][]byte, error) { return h.digests(ctx, files, algorithm) }
}

// renewing are the digests that a record is held against, and those of the very same octets by a further algorithm.
type renewing struct {
	hasher    *hasher
	files     []string
	algorithm crypto.Hash
	digests   [][]byte // by the algorithm; nil: nothing was hashed yet
}

// digestsOf is as that of a hasher.
func (r *renewing) digestsOf(ctx context.Context) evidence.DigestFunc {
	return func(algorithm crypto.Hash) ([][]byte, error) {
		list, further := make([][]byte, len(r.files)), make([][]byte, len(r.files))
		for i, name := range r.files {
			both, err := r.hasher.digest(ctx, name, algorithm, r.algorithm)
			if err != nil {
				return nil, err
			}
			list[i], further[i] = both[0], both[1]
			if r.digests != nil && !bytes.Equal(r.digests[i], further[i]) {
				return nil, failed(name, errors.New("it was changed while it was read"), "try again when nothing writes to it any more")
			}
		}
		r.digests = further
		return list, nil
	}
}

// readRecord reads a record; the error of a file that cannot be read is an *Error.
func (c *Client) readRecord(path string) (*evidence.Record, error) {
	der, err := c.o.readBounded(path, evidence.MaxSize)
	if err != nil {
		return nil, err
	}
	return evidence.Parse(der)
}

// judgeEvidence holds one record against its files. The record is there if it holds. The error is that something could
// not be read, or that the context ended.
func (h *hasher) judgeEvidence(ctx context.Context, set *evidenceSet, i int, trust *stampTrust, o evidence.VerifyOptions, digests evidence.DigestFunc) (EvidenceLine, *evidence.Record, error) {
	line := set.line(i)
	if err := ctx.Err(); err != nil {
		return line, nil, err
	}
	r, err := h.client.readRecord(line.Record)
	var unread *Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		line.refuse(evidenceIndeterminate, "record-missing", errors.New("there is no evidence record"))
		return line, nil, nil
	case errors.As(err, &unread):
		return line, nil, err
	case err != nil:
		line.refuse(evidenceFailed, "record-broken", err)
		return line, nil, nil
	}
	result, err := withStore(trust, nil, func(extra []*x509.Certificate) (*evidence.Result, error) {
		o.Extra = extra
		return r.Verify(digests, o)
	})
	if err != nil {
		status, code := evidenceCode(err)
		if status == "" || ctx.Err() != nil {
			return line, nil, err
		}
		if wrong, ok := errors.AsType[*evidence.ObjectError](err); ok && wrong.Of > 1 {
			err = fmt.Errorf("not what the record is for: %s", strings.Join(named(line.Files, wrong.Wrong), ", "))
		}
		line.refuse(status, code, err)
		return line, nil, nil
	}
	for _, s := range result.TimeStamps {
		line.add(s.Chain, s.Hash, s.Result)
	}
	return line, r, nil
}

// named are the first of the files at these places.
func named(files []string, at []int) (names []string) {
	const enough = 5
	for _, i := range at[:min(len(at), enough)] {
		names = append(names, files[i])
	}
	if more := len(at) - enough; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return names
}

// evidenceCode sorts the errors of verifying a record. Both words are empty where the error is not of the record.
func evidenceCode(err error) (status, code string) {
	var token *tsa.TokenError
	var broken *evidence.Error
	switch {
	case errors.Is(err, evidence.ErrObject), errors.Is(err, evidence.ErrGroup):
		return evidenceFailed, "file-mismatch"
	case errors.Is(err, tsa.ErrOutdated):
		return evidenceIndeterminate, "outdated"
	case errors.As(err, &token) && token.Code == tsa.CodeUntrusted:
		return evidenceIndeterminate, string(token.Code)
	case errors.As(err, &token):
		return evidenceFailed, string(token.Code)
	case errors.As(err, &broken), errors.Is(err, evidence.ErrTooLarge):
		return evidenceFailed, "record-broken"
	}
	return "", ""
}
