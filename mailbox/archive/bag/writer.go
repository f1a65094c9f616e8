package bag

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	payloadDir  = "data/"
	declaration = "bagit.txt"
	infoFile    = "bag-info.txt"
	oxum        = "Payload-Oxum"

	declared = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
)

var (
	// ErrField: a label or value cannot stand in bag-info.txt; it is wrapped with the reason.
	ErrField = errors.New("not a field of bag-info.txt")
	// ErrOrder: files of a bag were not begun and closed one after the other, or the bag was closed already.
	ErrOrder = errors.New("files of a bag are written one after the other")
	// ErrEmpty: a bag without a payload file has no folder "data", which RFC 8493 section 2.1.2 requires.
	ErrEmpty = errors.New("a bag without files")
)

// Sink is where the files of a bag go.
type Sink interface {
	// Create begins a file. The name is a path below the bag's base folder, its parts separated by slashes; folders are made as
	// needed. A file is closed before the next one is begun, and is in the bag once Close returned nil.
	Create(name string) (io.WriteCloser, error)
}

// Field is an element of bag-info.txt (RFC 8493 section 2.2.2).
type Field struct {
	Label, Value string
}

// File is what is known of a file that was put into a bag.
type File struct {
	Name   string // path below the base folder: that of a payload file starts with "data/"
	Size   int64  // octets
	SHA512 [sha512.Size]byte
	SHA256 [sha256.Size]byte
}

// Writer makes a bag. It is for use by one goroutine. After an error the bag cannot be completed, and what is in the sink is to be
// thrown away.
type Writer struct {
	sink    Sink
	hashes  hashes
	payload []*File
	tags    []*File
	names   nameSet
	open    bool  // a file is being written
	err     error // the first failure, or ErrOrder once closed
}

// NewWriter begins a bag with its declaration, bagit.txt (RFC 8493 section 2.1.1).
func NewWriter(sink Sink) (*Writer, error) {
	w := &Writer{sink: sink, names: nameSet{}, hashes: newHashes()}
	if err := w.tag(declaration, declared); err != nil {
		return nil, err
	}
	return w, nil
}

// Create begins a payload file. The name is a path below the folder "data", its parts separated by slashes. Closing what is returned
// completes the file, which has to be done before the next call.
//
// A name that is unsafe on some system, or differs from an earlier one in letter case only, gives [ErrName] and leaves the bag as it is.
func (w *Writer) Create(name string) (io.WriteCloser, error) {
	if w.err != nil {
		return nil, w.err
	}
	if w.open {
		return nil, ErrOrder
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := w.names.add(name); err != nil {
		return nil, err
	}
	return w.create(payloadDir+name, &w.payload)
}

// Files returns the payload files that are complete, in the order in which they were written.
func (w *Writer) Files() []File {
	w.hashes.wait()
	files := make([]File, 0, len(w.payload))
	for _, f := range w.payload {
		files = append(files, *f)
	}
	return files
}

// Last returns the payload file that was completed last, and false where there is none.
func (w *Writer) Last() (File, bool) {
	if len(w.payload) == 0 {
		return File{}, false
	}
	w.hashes.wait()
	return *w.payload[len(w.payload)-1], true
}

// Close completes the bag with bag-info.txt, which gets the fields in the order given and then the Payload-Oxum, manifests by SHA-512
// and SHA-256, and tag manifests (RFC 8493 section 2.2). The sink stays open, where it is one that can be closed.
//
// A bag without payload files gives [ErrEmpty], a field that cannot stand in bag-info.txt [ErrField].
func (w *Writer) Close(info []Field) error {
	if w.err != nil {
		return w.err
	}
	if w.open {
		return ErrOrder
	}
	if len(w.payload) == 0 {
		return ErrEmpty
	}
	text, err := w.info(info)
	if err != nil {
		return err
	}
	if err := w.tag(infoFile, text); err != nil {
		return err
	}
	for _, list := range []struct {
		prefix string
		files  *[]*File
	}{{"manifest-", &w.payload}, {"tagmanifest-", &w.tags}} {
		w.hashes.wait()
		files := slices.Clone(*list.files) // tag manifests do not list one another
		slices.SortFunc(files, func(a, b *File) int { return strings.Compare(a.Name, b.Name) })
		for _, algorithm := range []string{"sha512", "sha256"} {
			if err := w.tag(list.prefix+algorithm+".txt", manifest(files, algorithm)); err != nil {
				return err
			}
		}
	}
	w.err = ErrOrder
	return nil
}

// manifest returns the lines about files. Two spaces is what sha512sum and the like read.
func manifest(files []*File, algorithm string) string {
	var b strings.Builder
	for _, f := range files {
		sum := f.SHA512[:]
		if algorithm == "sha256" {
			sum = f.SHA256[:]
		}
		for _, part := range []string{hex.EncodeToString(sum), "  ", encodeName(f.Name), "\n"} {
			b.WriteString(part)
		}
	}
	return b.String()
}

// info returns the text of bag-info.txt. Long values are not folded: what is between two parts of a folded one is not the same to all
// who read it.
func (w *Writer) info(fields []Field) (string, error) {
	var octets int64
	for _, f := range w.payload {
		octets += f.Size
	}
	var b strings.Builder
	for _, f := range fields {
		if err := checkField(f); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s: %s\n", f.Label, f.Value)
	}
	fmt.Fprintf(&b, "%s: %d.%d\n", oxum, octets, len(w.payload))
	return b.String(), nil
}

func checkField(f Field) error {
	switch {
	case f.Label == "" || strings.TrimSpace(f.Label) != f.Label || strings.Contains(f.Label, ":"):
		return fmt.Errorf("%w: label %.100q", ErrField, f.Label)
	case strings.EqualFold(f.Label, oxum):
		return fmt.Errorf("%w: %s is counted, and stands there once", ErrField, oxum)
	case f.Value == "" || strings.TrimSpace(f.Value) != f.Value:
		return fmt.Errorf("%w: value %.100q of %s", ErrField, f.Value, f.Label)
	}
	for _, s := range []string{f.Label, f.Value} {
		if !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00") || strings.HasPrefix(s, "\ufeff") {
			return fmt.Errorf("%w: %.100q", ErrField, s)
		}
	}
	return nil
}

// tag writes a tag file.
func (w *Writer) tag(name, text string) error {
	f, err := w.create(name, &w.tags)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(f, text); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// create begins a file, which is in the list once it is complete.
func (w *Writer) create(name string, list *[]*File) (io.WriteCloser, error) {
	to, err := w.sink.Create(name)
	if err != nil {
		w.err = err
		return nil, err
	}
	w.open = true
	return &fileWriter{bag: w, list: list, to: to, file: &File{Name: name}}, nil
}

// fileWriter writes a file of a bag.
type fileWriter struct {
	bag  *Writer
	list *[]*File
	to   io.WriteCloser // nil once closed
	file *File
}

// Write appends to the file.
func (f *fileWriter) Write(p []byte) (int, error) {
	if f.to == nil {
		return 0, ErrOrder
	}
	if f.bag.err != nil {
		return 0, f.bag.err
	}
	n, err := f.to.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	f.bag.hashes.write(p[:n])
	f.file.Size += int64(n)
	f.bag.err = err
	return n, err
}

// Close completes the file.
func (f *fileWriter) Close() error {
	if f.to == nil {
		return ErrOrder
	}
	err := f.to.Close()
	f.to, f.bag.open = nil, false
	if f.bag.err != nil {
		return f.bag.err
	}
	if f.bag.err = err; err != nil {
		return err
	}
	f.bag.hashes.end(f.file)
	*f.list = append(*f.list, f.file)
	return nil
}
