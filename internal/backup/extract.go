package backup

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/internal/safeio"
)

// Errors of what is read. They arrive wrapped.
var (
	// ErrFormat says that a stream is no backup.
	ErrFormat = errors.New("not a sealmail backup")
	// ErrVersion says that a newer program made it.
	ErrVersion = errors.New("a newer program made this backup")
	// ErrPath says that a file in it would lie elsewhere than in the home.
	ErrPath = errors.New("a path in the backup leads nowhere in a home")
)

const (
	maxManifest = 64 << 10
	maxFiles    = 16 << 20
	smallFile   = 256 << 10 // files up to this size are brought to the disk together
	batchFiles  = 256
	batchOctets = 8 << 20
)

// Extracted is what came out of an archive.
type Extracted struct {
	Manifest Manifest
	Files    int
	// Kept are the files of parts that have no folder, which a caller puts somewhere itself.
	Kept []File
}

// keptFiles bounds what such a part may hold.
const (
	keptFiles = 16
	keptSize  = 64 << 10
)

// extraction is the reading of one archive.
type extraction struct {
	ctx    context.Context
	disk   safeio.Disk
	folder func(part string) (dir string, ok bool)
	left   int64
	batch  []safeio.NewFile
	octets int
	out    Extracted
}

// Extract reads an archive and puts its files into folders, which nobody else uses and which hold nothing of the same name.
// folder tells which folder a part has; "" is none, and a part of which it does not know is an error. limit bounds the
// octets of all files together.
func Extract(ctx context.Context, r io.Reader, disk safeio.Disk, limit int64, folder func(part string) (dir string, ok bool)) (*Extracted, error) {
	x := &extraction{ctx: ctx, disk: disk, folder: folder, left: limit}
	archive := tar.NewReader(contextReader{ctx, r})
	if err := x.manifest(archive); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return &x.out, x.flush()
		}
		if err != nil {
			return nil, malformed(err)
		}
		if n >= maxFiles {
			return nil, fmt.Errorf("%w: more than %d files", ErrFormat, maxFiles)
		}
		if err := x.entry(h, archive); err != nil {
			return nil, err
		}
	}
}

// malformed marks what the reading of the archive itself fails with, and leaves alone what its source does.
func malformed(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return err
}

func (x *extraction) manifest(archive *tar.Reader) error {
	h, err := archive.Next()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it is empty", ErrFormat)
	}
	if err != nil {
		return malformed(err)
	}
	if h.Name != ManifestName || h.Typeflag != tar.TypeReg || h.Size > maxManifest {
		return fmt.Errorf("%w: it does not begin with %s", ErrFormat, ManifestName)
	}
	data, err := io.ReadAll(io.LimitReader(archive, maxManifest))
	if err != nil {
		return malformed(err)
	}
	m := &x.out.Manifest
	if err := json.Unmarshal(data, m); err != nil || m.Format != formatName || m.Version < 1 {
		return fmt.Errorf("%w: %s is not understood", ErrFormat, ManifestName)
	}
	if m.Version > formatVersion {
		return fmt.Errorf("%w: version %d", ErrVersion, m.Version)
	}
	return nil
}

// entry puts one file or folder where it belongs.
func (x *extraction) entry(h *tar.Header, body io.Reader) error {
	part, rest, err := splitPath(h)
	if err != nil {
		return err
	}
	dir, ok := x.folder(part)
	if !ok {
		return fmt.Errorf("%w: %q is of no part that is known", ErrPath, h.Name)
	}
	if h.Typeflag == tar.TypeDir {
		if dir == "" || rest == "" {
			return nil
		}
		return x.disk.MkdirAll(filepath.Join(dir, rest), 0o700)
	}
	if h.Size < 0 || h.Size > x.left {
		return fmt.Errorf("%w: its files are larger than itself", ErrFormat)
	}
	x.left -= h.Size
	x.out.Files++
	if dir == "" {
		return x.keep(h, part, rest, body)
	}
	target := filepath.Join(dir, rest)
	if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %q is there twice: %w", ErrPath, h.Name, cmpError(err, fs.ErrExist))
	}
	if slices.ContainsFunc(x.batch, func(f safeio.NewFile) bool { return f.Path == target }) {
		return fmt.Errorf("%w: %q is there twice", ErrPath, h.Name)
	}
	if h.Size > smallFile {
		return x.large(target, h.Size, body)
	}
	return x.small(target, body)
}

func cmpError(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// splitPath returns the part that an entry belongs to, and its path below that. Nothing but plain files and folders with plain
// names comes through.
func splitPath(h *tar.Header) (part, rest string, err error) {
	bad := func(why string) error { return fmt.Errorf("%w: %q: %s", ErrPath, h.Name, why) }
	name := h.Name
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir:
		name = strings.TrimSuffix(name, "/")
	default: // links, devices, sparse files
		return "", "", bad("neither a file nor a folder")
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") { // whose size may be anything
			return "", "", bad("a sparse file")
		}
	}
	if len(name) > maxPath || strings.ContainsAny(name, "\\\x00") {
		return "", "", bad("not a path of ours")
	}
	elements := strings.Split(name, "/")
	for _, element := range elements {
		if element == "" || element == "." || element == ".." {
			return "", "", bad("not a path of ours")
		}
	}
	if len(elements) > maxDepth+2 || h.Typeflag == tar.TypeReg && len(elements) < 2 {
		return "", "", bad("not a path of ours")
	}
	part, rest, _ = strings.Cut(name, "/")
	if rest != "" && !filepath.IsLocal(filepath.FromSlash(rest)) { // names that mean something else on this system
		return "", "", bad("not a path of ours")
	}
	return part, filepath.FromSlash(rest), nil
}

// keep holds a small file for the caller.
func (x *extraction) keep(h *tar.Header, part, rest string, body io.Reader) error {
	if len(x.out.Kept) >= keptFiles || h.Size > keptSize {
		return fmt.Errorf("%w: too much in %s", ErrFormat, part)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return malformed(err)
	}
	x.out.Kept = append(x.out.Kept, File{Path: part + "/" + filepath.ToSlash(rest), Data: data})
	return nil
}

// small gathers files, so that the disk is waited for once for many.
func (x *extraction) small(target string, body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return malformed(err)
	}
	if err := x.disk.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	x.batch = append(x.batch, safeio.NewFile{Path: target, Data: data, Perm: 0o600})
	if x.octets += len(data); x.octets < batchOctets && len(x.batch) < batchFiles {
		return nil
	}
	return x.flush()
}

func (x *extraction) flush() error {
	batch := x.batch
	x.batch, x.octets = nil, 0
	return x.disk.WriteFiles(batch)
}

func (x *extraction) large(target string, size int64, body io.Reader) error {
	if err := x.disk.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	f, err := x.disk.Create(target, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(f, body)
	if err != nil {
		return malformed(err)
	}
	if n != size {
		return fmt.Errorf("%w: %w", ErrFormat, io.ErrUnexpectedEOF)
	}
	return f.Commit()
}
