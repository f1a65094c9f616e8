package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore/ca"
)

// Bounds on caching. A certificate does not change; a list is looked for anew long before it ends, so that what was
// revoked since is soon known.
const (
	certificateAge = 24 * time.Hour
	listAge        = time.Hour

	// maxAtOnce is how many requests are being answered at a time; each costs a signature.
	maxAtOnce = 64
)

// Authority is what the server asks: *ca.Authority.
type Authority interface {
	Certificate(ca.Issuer) *x509.Certificate
	CRL(ctx context.Context, i ca.Issuer, now time.Time) (*x509.RevocationList, error)
	RespondOCSP(ctx context.Context, request []byte, now time.Time) (*ca.OCSPResponse, error)
}

// Options says what a server works with.
type Options struct {
	Authority Authority
	Clock     func() time.Time
	// Prefix is the path of the address that is written into certificates: everything is served below it as well, so that
	// nothing in front of the server has to take it away.
	Prefix string
	// Failed, if set, is told of failures inside the authority, which those who ask see as such only.
	Failed func(error)
}

// Server answers requests. It is safe for concurrent use.
type Server struct {
	o    Options
	busy chan struct{}
}

// New makes a server.
func New(o Options) *Server {
	return &Server{o: o, busy: make(chan struct{}, maxAtOnce)}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Not by http.ServeMux, which cleans paths: two slashes in a row are part of a request in base64.
	path := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, s.o.Prefix); ok && strings.HasPrefix(rest, "/") {
		path = rest
	}
	if path == "/ocsp" || strings.HasPrefix(path, "/ocsp/") {
		s.serveOCSP(w, r, strings.TrimPrefix(strings.TrimPrefix(path, "/ocsp"), "/"))
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "lists and certificates are fetched", http.StatusMethodNotAllowed)
		return
	}
	for _, i := range []ca.Issuer{ca.RootIssuer, ca.MailIssuer, ca.ServicesIssuer} {
		cert := s.o.Authority.Certificate(i)
		switch {
		case cert == nil:
			continue
		case path == "/"+string(i)+".cer":
			s.serve(w, r, file{media: "application/pkix-cert", data: cert.Raw, made: cert.NotBefore, age: certificateAge}) // RFC 2585 section 4.1
			return
		case path == "/"+string(i)+".crl":
			s.serveCRL(w, r, i)
			return
		}
	}
	http.Error(w, "there is nothing here", http.StatusNotFound)
}

func (s *Server) serveCRL(w http.ResponseWriter, r *http.Request, i ca.Issuer) {
	now := s.o.Clock()
	list, err := s.o.Authority.CRL(r.Context(), i, now)
	if errors.Is(err, fs.ErrNotExist) {
		http.Error(w, "the list was not made yet", http.StatusNotFound)
		return
	}
	if err != nil {
		s.failed(fmt.Errorf("%s.crl: %w", i, err))
		http.Error(w, "the list cannot be had now", http.StatusServiceUnavailable)
		return
	}
	age := min(listAge, max(0, list.NextUpdate.Sub(now)))
	s.serve(w, r, file{media: "application/pkix-crl", data: list.Raw, made: list.ThisUpdate, age: age}) // RFC 2585 section 4.2
}

// file is something that may be kept in caches for some time.
type file struct {
	media string
	data  []byte
	made  time.Time
	age   time.Duration
}

// serve sends a file, or says that who asks has it already (RFC 9110 section 13).
func (s *Server) serve(w http.ResponseWriter, r *http.Request, f file) {
	h := w.Header()
	h.Set("Content-Type", f.media)
	h.Set("X-Content-Type-Options", "nosniff")
	sum := sha256.Sum256(f.data)
	h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	h.Set("Cache-Control", "max-age="+strconv.Itoa(int(f.age/time.Second))+", public, no-transform, must-revalidate")
	h.Set("Expires", s.o.Clock().Add(f.age).UTC().Format(http.TimeFormat))
	http.ServeContent(w, r, "", f.made, bytes.NewReader(f.data))
}

func (s *Server) failed(err error) {
	if s.o.Failed != nil {
		s.o.Failed(err)
	}
}
