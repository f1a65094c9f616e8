package cms

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms/ber"
)

// maxSeed is how long a seed may be: longer ones only slow the fuzzer down.
const maxSeed = 8 << 10

// corpusMessages returns the CMS messages in the corpora, if these are there, without the longest.
func corpusMessages(t testing.TB) [][]byte {
	t.Helper()
	root := os.Getenv("SEALMAIL_CORPORA")
	if root == "" {
		checkout, err := peertest.Checkout()
		if err != nil {
			t.Fatal(err)
		}
		root = filepath.Join(checkout, "..", "shared", "corpora")
	}
	var list [][]byte
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil // what is absent is no seed
		}
		info, err := entry.Info()
		if err != nil || info.Size() > 64<<10 {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, message := range cmsIn(data) {
			if len(message) <= maxSeed {
				list = append(list, message)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// cmsIn returns what looks like CMS in a file: the file, a PEM block in it, or a run of lines in base64.
func cmsIn(data []byte) (list [][]byte) {
	add := func(der []byte) {
		// A ContentInfo: a SEQUENCE that starts with an OBJECT IDENTIFIER.
		h, n, err := ber.ParseHeader(der)
		if err == nil && n > 0 && h.Is(ber.Universal, ber.TagSequence) && len(der) > n && der[n] == ber.TagOID {
			list = append(list, der)
		}
	}
	add(data)
	if block, _ := pem.Decode(data); block != nil {
		add(block.Bytes)
	}
	var run []byte
	for line := range bytes.Lines(append(bytes.Clone(data), "\n-\n"...)) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > 0 && bytes.IndexFunc(line, func(r rune) bool { return r <= ' ' || r == '-' || r > '~' }) < 0 {
			run = append(run, line...)
			continue
		}
		if der, err := base64.StdEncoding.DecodeString(string(run)); err == nil {
			add(der)
		}
		run = nil
	}
	return list
}

// fuzzLimits are small, so that they are met.
var fuzzLimits = Limits{Depth: 16, Structure: 64 << 10, Signers: 8, Recipients: 8, Certificates: 8, Content: 256 << 10}

// view is everything that a message says, in a form that can be compared. What is kept verbatim is brought into DER.
func view(t testing.TB, all everything) string {
	t.Helper()
	type recipient struct {
		Recipient  CertificateIdentifier
		Type, Name string
		Algorithm  AlgorithmIdentifier
		CEKSize    int
		Info       RecipientInfo
	}
	var list []any
	normal := func(raw []byte) []byte {
		if der, err := ber.ToDER(raw, ber.Limits{}); err == nil {
			return der
		}
		return raw
	}
	switch info := all.info.(type) {
	case *SignedData:
		s := *info
		s.Certificates, s.CRLs = slices.Clone(s.Certificates), slices.Clone(s.CRLs)
		for i := range s.Certificates {
			s.Certificates[i] = normal(s.Certificates[i])
		}
		for i := range s.CRLs {
			s.CRLs[i] = normal(s.CRLs[i])
		}
		list = append(list, s, s.Detached())
		for _, si := range s.SignerInfos {
			list = append(list, si.signed)
		}
	case *EnvelopedData:
		e := *info
		e.Recipients, e.OriginatorCertificates, e.OriginatorCRLs = nil, nil, nil
		for _, ri := range info.Recipients {
			list = append(list, recipient{ri.Recipient(), string(ri.Type()), ri.AlgorithmName(), ri.KeyEncryption(), ri.CEKSize(), ri})
		}
		for _, c := range info.OriginatorCertificates {
			list = append(list, normal(c))
		}
		for _, c := range info.OriginatorCRLs {
			list = append(list, normal(c))
		}
		list = append(list, e)
	default:
		list = append(list, info)
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + string(all.content)
}

// kindOfError is what callers tell errors apart by.
func kindOfError(err error) error {
	for _, kind := range []error{
		ErrTrailing, ErrMalformed, ErrTooMany, ErrTooLarge, ErrTooDeep, ErrDecrypt, ErrMessageDigest, ErrBrokenDigest,
	} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	var unsupported *UnsupportedError
	if errors.As(err, &unsupported) {
		return errUnsupported
	}
	return err
}

// fuzzMessages is a fuzz target for messages of one content type: T is what Read returns for it. Whatever the input is,
//   - nothing panics, and memory is bounded as the comment of Limits says;
//   - it makes no difference in which pieces the message arrives;
//   - what is accepted says the same in DER;
//   - what verifies under the keys of the samples, or is authenticated by theirs, is what they signed or encrypted.
func fuzzMessages[T ContentInfo](f *testing.F) {
	seeds := corpusMessages(f)
	for _, sample := range sampleMessages(f) {
		seeds = append(seeds, sample)
	}
	for _, seed := range seeds {
		if info, err := Read(bytes.NewReader(seed), Limits{}); err == nil {
			if _, ok := info.(T); ok {
				f.Add(seed)
			}
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		var all everything
		var err error
		took := taken(func() { all, err = readEverything(t.Context(), bytes.NewReader(message), fuzzLimits) })
		if took > memoryFor(fuzzLimits)+3*uint64(fuzzLimits.Content) { // with the copy of the content
			t.Errorf("%d octets of memory", took)
		}
		again, errAgain := readEverything(t.Context(), iotest.OneByteReader(bytes.NewReader(message)), fuzzLimits)
		if kindOfError(err) != kindOfError(errAgain) || kindOfError(all.err) != kindOfError(again.err) {
			t.Fatalf("in one piece %v, %v; by octets %v, %v", err, all.err, errAgain, again.err)
		}
		if err != nil {
			return
		}
		all.ask()
		before := view(t, all)
		if all.err == nil && before != view(t, again) {
			t.Errorf("in one piece %s\nby octets %s", before, view(t, again))
		}
		checkGenuine(t, all)
		if all.err != nil {
			return
		}
		der, err := ber.NewReader(bytes.NewReader(message), ber.Limits{}).DER(0)
		if err != nil {
			return // a value that is kept as it is may have no form in DER
		}
		inDER, err := readEverything(t.Context(), bytes.NewReader(der), fuzzLimits)
		if err := errors.Join(err, inDER.err); err != nil {
			t.Fatalf("in DER: %v", err)
		}
		if after := view(t, inDER); before != after {
			t.Errorf("before %s\nin DER %s", before, after)
		}
	})
}

// checkGenuine checks that nobody forged anything: there is no key here to do that with.
func checkGenuine(t *testing.T, all everything) {
	t.Helper()
	if e, ok := all.info.(*EnvelopedData); ok {
		if len(e.Recipients) == 0 || len(e.Recipients) > fuzzLimits.Recipients {
			t.Errorf("%d recipients", len(e.Recipients))
		}
		if e.Authenticated && all.err == nil && string(all.content) != sampleText {
			t.Errorf("an authenticated text that nobody wrote: %q", all.content)
		}
	}
	verified, _ := all.verify()
	for _, v := range verified {
		ec, err := sampleSigner()
		if err != nil {
			t.Fatal(err)
		}
		ed, err := sampleEd25519()
		if err != nil {
			t.Fatal(err)
		}
		s := all.info.(*SignedData)
		if v.Err == nil && (v.Certificate.Equal(ec.cert) || v.Certificate.Equal(ed.cert)) && !s.Detached() && string(all.content) != sampleText {
			t.Errorf("forged: %q verifies", all.content)
		}
	}
}

func FuzzSignedData(f *testing.F)    { fuzzMessages[*SignedData](f) }
func FuzzEnvelopedData(f *testing.F) { fuzzMessages[*EnvelopedData](f) }
func FuzzEncryptedData(f *testing.F) { fuzzMessages[*EncryptedData](f) }
func FuzzDigestedData(f *testing.F)  { fuzzMessages[*DigestedData](f) }

func FuzzCompressedData(f *testing.F) { fuzzMessages[*CompressedData](f) }
