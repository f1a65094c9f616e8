package client

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/sealmail/sealmail/certstore"
)

// longImport is from which size on a file of PEM is read piece by piece: an address book, of which most is stored and dropped
// again.
const longImport = 1 << 20

// ownKeys tells one's own certificates from those of others.
type ownKeys struct {
	stored map[string]bool     // in the vault, by fingerprint
	keys   []crypto.PrivateKey // in the files
}

func (c *Client) ownKeys() (*ownKeys, error) {
	stored, err := c.storedKeys()
	return &ownKeys{stored: stored}, err
}

func (o *ownKeys) have(cert *x509.Certificate) bool {
	return o.stored[certstore.KeyFingerprint(cert)] ||
		slices.ContainsFunc(o.keys, func(key crypto.PrivateKey) bool { return certstore.KeyMatches(cert, key) })
}

// longFile is a file of PEM that is read several times, so that no more than a piece of it is in memory: once to see that it
// can be used, and for the keys and authorities in it, and once to store what belongs to correspondents.
type longFile struct {
	name      string
	file      *os.File
	unchanged func() error
	password  func() ([]byte, error)
	secret    []byte // nil: not asked for yet
	keysKnown int    // of those in the files, when it was surveyed
}

// openLong opens a file that is to be read piece by piece; nil where it is to be read as a whole. A pipe is not touched: it
// can be read once.
func openLong(name string, password func() ([]byte, error)) (*longFile, error) {
	info, err := os.Stat(name)
	if name == "-" || err != nil || !info.Mode().IsRegular() || info.Size() < longImport || info.Size() > maxImport {
		return nil, nil // what is wrong is said by who reads it
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, unreadable(err)
	}
	head := make([]byte, 64<<10)
	if n, err := io.ReadFull(f, head); err != nil || !certstore.IsPEM(head[:n]) {
		return nil, f.Close()
	}
	return &longFile{name: name, file: f, unchanged: watch(f, info), password: password}, nil
}

func closeImports(files []importedFile) {
	for _, f := range files {
		if f.long != nil {
			clear(f.long.secret)
			_ = f.long.file.Close() // it was only read
		}
	}
}

// ask asks for the password once, however often the file is read.
func (l *longFile) ask() ([]byte, error) {
	if l.secret == nil {
		secret, err := l.password()
		if err != nil {
			return nil, err
		}
		l.secret = append([]byte{}, secret...)
	}
	return l.secret, nil
}

// read reads the file from its beginning. An error of take is returned as it is.
func (l *longFile) read(certificatesOnly bool, take func(certstore.Bundle) error) error {
	if _, err := l.file.Seek(0, io.SeekStart); err != nil {
		return unreadable(err)
	}
	var taking error
	o := certstore.PEMOptions{Password: l.ask, CertificatesOnly: certificatesOnly}
	err := certstore.ReadPEM(io.LimitReader(l.file, maxImport), o, func(b certstore.Bundle) error {
		taking = take(b)
		return taking
	})
	if taking != nil {
		return taking
	}
	return cmp.Or(l.unchanged(), explainFile(l.name, err))
}

// survey reads the whole file, and keeps what more than one certificate may need: keys, their certificates, and those of
// authorities. say is told of each piece; it may be nil.
func (l *longFile) survey(ctx context.Context, own *ownKeys, kept *certstore.Bundle, say func(string, certstore.Bundle)) error {
	l.keysKnown = len(own.keys)
	return l.read(false, func(b certstore.Bundle) error {
		if say != nil {
			say(l.name, b)
		}
		b.Oddities, b.Warnings = nil, nil
		b.Certificates = slices.DeleteFunc(b.Certificates, func(cert *x509.Certificate) bool { return !cert.IsCA && !own.have(cert) })
		kept.Join(b)
		return ctx.Err()
	})
}

// correspondents reads the file once more, for the certificates that survey did not keep.
func (l *longFile) correspondents(own *ownKeys, take func([]*x509.Certificate) error) error {
	return l.read(true, func(b certstore.Bundle) error {
		return take(slices.DeleteFunc(b.Certificates, func(cert *x509.Certificate) bool { return cert.IsCA || own.have(cert) }))
	})
}

// tellAt is how many certificates an import tells of at a time.
const tellAt = 1024

// importReport is what an import has stored.
type importReport struct {
	told  func([]CertificateLine) error // nil: nobody, before the end
	lines []CertificateLine             // that nobody was told of
	count int
}

func (r *importReport) add(line CertificateLine) error {
	r.lines = append(r.lines, line)
	r.count++
	if r.told == nil || len(r.lines) < tellAt {
		return nil
	}
	return r.tell()
}

func (r *importReport) tell() error {
	if r.told == nil || len(r.lines) == 0 {
		return nil
	}
	lines := r.lines
	r.lines = nil
	return r.told(lines)
}

// end tells the rest, and returns it where nobody else is told. Where the import ended early, the error says how much of it
// is done.
func (r *importReport) end(err error) ([]CertificateLine, error) {
	if tellErr := r.tell(); err == nil {
		err = tellErr
	}
	if err == nil || r.count == 0 {
		return r.lines, err
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	hint := fmt.Sprintf("%d certificates were imported before that, and stay; import the files again for the others", r.count)
	var known *Error
	if errors.As(err, &known) && known.Hint != "" {
		hint = known.Hint + "; " + hint
	}
	return r.lines, failed("cert import", err, hint)
}
