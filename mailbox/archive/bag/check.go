package bag

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
)

// Kind says what is wrong with a file.
type Kind string

// What can be wrong with a file.
const (
	Missing     Kind = "missing"     // it is required or listed, and is not there
	Unexpected  Kind = "unexpected"  // it is among the payload, and a manifest does not list it
	Altered     Kind = "altered"     // it has another content than the one that was listed
	Malformed   Kind = "malformed"   // it is not as RFC 8493 has it
	Unreadable  Kind = "unreadable"  // it could not be read, so that nothing is known of it
	Unsupported Kind = "unsupported" // it lists checksums of an algorithm that is not known here
)

// Finding is something that is wrong with a bag.
type Finding struct {
	Kind   Kind
	File   string // path below the base folder, as the bag has it: it may hold anything but a NUL
	Detail string // what the kind does not say; may be empty
}

func (f Finding) String() string {
	if f.Detail == "" {
		return fmt.Sprintf("%s: %q", f.Kind, f.File)
	}
	return fmt.Sprintf("%s: %q: %s", f.Kind, f.File, f.Detail)
}

// Report is what Check found.
type Report struct {
	Findings []Finding
	More     int     // findings beyond those, of which there are at most 1000
	Files    int     // of the payload, that are there
	Octets   int64   // of the payload
	Info     []Field // of bag-info.txt
	Fast     bool    // no checksum was compared
}

// Valid reports whether the bag is complete and all checksums are right (RFC 8493 section 3).
func (r *Report) Valid() bool { return !r.Fast && r.Complete() }

// Complete reports whether the bag is complete, as far as can be told: where checksums were compared, they are right.
func (r *Report) Complete() bool { return len(r.Findings) == 0 }

const maxFindings = 1000

func (r *Report) add(kind Kind, file, format string, args ...any) {
	if len(r.Findings) == maxFindings {
		r.More++
		return
	}
	r.Findings = append(r.Findings, Finding{kind, file, fmt.Sprintf(format, args...)})
}

// Options are how Check goes about it. The zero value is ready for use.
type Options struct {
	// Fast compares no checksums: what there is, its number and size are checked alone.
	Fast bool
	// MaxOctets bounds what is read to compare checksums, of all files; zero is a tebioctet. What is beyond it is Unreadable.
	MaxOctets int64
}

// Check says what is wrong with the bag whose base folder is the root of fsys. It reads what the folders list, and follows neither
// links nor a path of the bag's own; nothing is fetched.
//
// Bags of other versions than 1.0, and with tag files in another encoding than UTF-8, are Malformed. Checksums by SHA-256, SHA-384 and
// SHA-512 are known. Names are compared octet by octet.
//
// The error is that of the context, or says that the bag has more files than the million that are looked at.
func Check(ctx context.Context, fsys fs.FS, o Options) (*Report, error) {
	if o.MaxOctets <= 0 {
		o.MaxOctets = 1 << 40
	}
	o.MaxOctets = min(o.MaxOctets, math.MaxInt64-1) // one more is asked for
	c := &checker{ctx: ctx, fsys: fsys, options: o, report: &Report{Fast: o.Fast}, files: map[string]int64{}}
	if err := c.walk(); err != nil {
		return nil, err
	}
	c.declaration()
	c.manifests()
	c.listed()
	c.info()
	c.fetch()
	if !o.Fast {
		c.checksums()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.report, nil
}

// checker checks one bag.
type checker struct {
	ctx     context.Context
	fsys    fs.FS
	options Options
	report  *Report
	files   map[string]int64 // regular files, with their sizes
	data    bool             // the payload folder is there
	payload []*list
	tags    []*list
}

// list is a manifest that was read.
type list struct {
	file string
	hash func() hash.Hash
	sums map[string][]byte
}

var errTooMany = fmt.Errorf("the bag has more than %d files", maxEntries)

// walk notes what is there.
func (c *checker) walk() error {
	return fs.WalkDir(c.fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		switch {
		case err != nil:
			c.report.add(Unreadable, name, "%v", err)
			return nil
		case d.IsDir():
			c.data = c.data || name+"/" == payloadDir
			return nil
		case !d.Type().IsRegular():
			c.report.add(Malformed, name, "it is neither a file nor a folder")
			return nil
		}
		info, err := d.Info()
		if err != nil {
			c.report.add(Unreadable, name, "%v", err)
			return nil
		}
		if c.files[name] = info.Size(); len(c.files) > maxEntries {
			return errTooMany
		}
		if strings.HasPrefix(name, payloadDir) {
			c.report.Files++
			c.report.Octets += info.Size()
		}
		return nil
	})
}

// read opens a tag file and lets it be read. What is wrong with it becomes a finding.
func (c *checker) read(name string, read func(io.Reader) error) {
	f, err := c.fsys.Open(name)
	if err == nil {
		err = errors.Join(read(reader{c.ctx, f}), f.Close())
	}
	c.note(name, err)
}

// note makes a finding of an error.
func (c *checker) note(name string, err error) {
	var line *LineError
	switch {
	case errors.As(err, &line):
		c.report.add(Malformed, name, "%v", line)
	case err != nil:
		c.report.add(Unreadable, name, "%v", err)
	}
}

// reader stops when the context does.
type reader struct {
	ctx context.Context
	r   io.Reader
}

// Read reads.
func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func (c *checker) declaration() {
	if _, there := c.files[declaration]; !there {
		c.report.add(Missing, declaration, "the bag has no declaration")
		return
	}
	c.read(declaration, readDeclaration)
}

// manifests reads all manifests.
func (c *checker) manifests() {
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		algorithm, ok := strings.CutSuffix(name, ".txt")
		if !ok || strings.Contains(name, "/") {
			continue
		}
		if a, ok := strings.CutPrefix(algorithm, "tagmanifest-"); ok {
			if l := c.manifest(name, a, false); l != nil {
				c.tags = append(c.tags, l)
			}
		} else if a, ok := strings.CutPrefix(algorithm, "manifest-"); ok {
			if l := c.manifest(name, a, true); l != nil {
				c.payload = append(c.payload, l)
			}
		}
	}
}

// manifest reads a manifest; it returns nil where the algorithm is unknown.
func (c *checker) manifest(file, algorithm string, payload bool) *list {
	l := &list{file: file, sums: map[string][]byte{}}
	switch algorithm {
	case "sha256":
		l.hash = sha256.New
	case "sha384":
		l.hash = sha512.New384
	case "sha512":
		l.hash = sha512.New
	default:
		c.report.add(Unsupported, file, "%.100q is not an algorithm that is known here", algorithm)
		return nil
	}
	c.read(file, func(r io.Reader) error {
		for e, err := range Manifest(r, l.hash().Size()) {
			var line *LineError
			switch {
			case errors.As(err, &line):
				c.note(file, line)
			case err != nil:
				return err
			case strings.HasPrefix(e.Name, payloadDir) != payload:
				c.report.add(Malformed, file, "%.200q has no place in it", e.Name)
			case l.sums[e.Name] != nil:
				c.report.add(Malformed, file, "%.200q is listed twice", e.Name)
			default:
				l.sums[e.Name] = e.Sum
			}
		}
		return nil
	})
	return l
}

// listed compares what is there with what is listed.
func (c *checker) listed() {
	if !c.data {
		c.report.add(Missing, strings.TrimSuffix(payloadDir, "/"), "the bag has no folder for its payload")
	}
	if len(c.payload) == 0 {
		c.report.add(Missing, "manifest-sha512.txt", "the bag has no manifest that can be read")
	}
	in := map[string][]string{}
	for _, l := range slices.Concat(c.payload, c.tags) {
		for name := range l.sums {
			if _, there := c.files[name]; !there {
				in[name] = append(in[name], l.file)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		c.report.add(Missing, name, "listed in %s", strings.Join(in[name], " and "))
	}
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		if !strings.HasPrefix(name, payloadDir) {
			continue
		}
		if lists := without(c.payload, name); len(lists) > 0 {
			c.report.add(Unexpected, name, "not listed in %s", strings.Join(lists, " and "))
		}
	}
	for _, l := range c.payload { // RFC 8493 section 2.2.1
		for _, tag := range without(c.tags, l.file) {
			c.report.add(Malformed, tag, "it does not list %s", l.file)
		}
	}
}

// without returns the manifests that do not list a file.
func without(lists []*list, name string) (files []string) {
	for _, l := range lists {
		if l.sums[name] == nil {
			files = append(files, l.file)
		}
	}
	return files
}

// info compares the numbers in bag-info.txt.
func (c *checker) info() {
	if _, there := c.files[infoFile]; !there {
		return
	}
	c.read(infoFile, func(r io.Reader) (err error) {
		c.report.Info, err = readInfo(r)
		return err
	})
	octets, files, known, err := payloadOxum(c.report.Info)
	switch {
	case err != nil:
		c.report.add(Malformed, infoFile, "%v", err)
	case known && (octets != c.report.Octets || files != c.report.Files):
		c.report.add(Altered, strings.TrimSuffix(payloadDir, "/"), "%d octets in %d files are there, and %s tells of %d in %d",
			c.report.Octets, c.report.Files, infoFile, octets, files)
	}
}

// fetch checks what fetch.txt lists. A file that was not fetched is missing.
func (c *checker) fetch() {
	const name = "fetch.txt"
	if _, there := c.files[name]; !there {
		return
	}
	c.read(name, func(r io.Reader) error {
		names, err := readFetch(r)
		for _, n := range names {
			if lists := without(c.payload, n); !strings.HasPrefix(n, payloadDir) || len(lists) > 0 {
				c.report.add(Malformed, name, "%.200q is not listed in each manifest of the payload", n)
			}
		}
		return err
	})
}

// checksums reads each file that is listed once, and compares all checksums of it.
func (c *checker) checksums() {
	lists := slices.Concat(c.payload, c.tags)
	left := c.options.MaxOctets
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		if c.ctx.Err() != nil {
			return
		}
		var hashes []hash.Hash
		var of []*list
		to := []io.Writer{}
		for _, l := range lists {
			if l.sums[name] != nil {
				h := l.hash()
				hashes, of, to = append(hashes, h), append(of, l), append(to, h)
			}
		}
		if len(of) == 0 {
			continue
		}
		n, err := c.copy(io.MultiWriter(to...), name, left)
		left = max(0, left-n)
		if err != nil {
			c.report.add(Unreadable, name, "%v", err)
			continue
		}
		var differ []string
		for i, l := range of {
			if !slices.Equal(hashes[i].Sum(nil), l.sums[name]) {
				differ = append(differ, l.file)
			}
		}
		if len(differ) > 0 {
			c.report.add(Altered, name, "its checksum is not the one in %s", strings.Join(differ, " and "))
		}
	}
}

// copy writes a file to w.
func (c *checker) copy(w io.Writer, name string, limit int64) (int64, error) {
	f, err := c.fsys.Open(name)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, io.LimitReader(reader{c.ctx, f}, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("the bag has more than %d octets", c.options.MaxOctets)
	}
	return n, errors.Join(err, f.Close())
}
