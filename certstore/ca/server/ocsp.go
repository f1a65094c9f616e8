package server

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sealmail/sealmail/certstore/ca"
)

// Media types of RFC 6960 appendix C.
const (
	requestType  = "application/ocsp-request"
	responseType = "application/ocsp-response"
)

// serveOCSP answers a request that is posted, or stands in the path (RFC 6960 appendix A.1).
func (s *Server) serveOCSP(w http.ResponseWriter, r *http.Request, inPath string) {
	var request []byte
	switch {
	case r.Method == http.MethodPost && inPath == "":
		if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != requestType {
			http.Error(w, "content type must be "+requestType, http.StatusUnsupportedMediaType)
			return
		}
		var err error
		request, err = io.ReadAll(http.MaxBytesReader(w, r.Body, ca.MaxOCSPRequest))
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			http.Error(w, "request is too large", http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			http.Error(w, "request could not be read", http.StatusBadRequest)
			return
		}
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && inPath != "":
		var ok bool
		if request, ok = decodePath(inPath); !ok {
			s.sendOCSP(w, r, ca.RefuseOCSP(ca.OCSPMalformedRequest))
			return
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "a request is posted, or stands in the path", http.StatusMethodNotAllowed)
		return
	}
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	default:
		s.sendOCSP(w, r, ca.RefuseOCSP(ca.OCSPTryLater))
		return
	}
	response, err := s.o.Authority.RespondOCSP(r.Context(), request, s.o.Clock())
	if err != nil {
		s.failed(err)
	}
	s.sendOCSP(w, r, response)
}

// decodePath reads base64 that is escaped for a path, as it ought to be, or is not, as some send it.
func decodePath(path string) ([]byte, bool) {
	text, err := url.PathUnescape(path)
	if err != nil || len(text) > base64.StdEncoding.EncodedLen(ca.MaxOCSPRequest) {
		return nil, false
	}
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	return der, err == nil
}

// sendOCSP sends an answer. Only one that is signed and for everybody may be kept by caches (RFC 9919).
func (s *Server) sendOCSP(w http.ResponseWriter, r *http.Request, o *ca.OCSPResponse) {
	if o.Status == ca.OCSPSuccessful && !o.Nonce && r.Method != http.MethodPost {
		s.serve(w, r, file{media: responseType, data: o.DER, made: o.ThisUpdate, age: max(0, o.NextUpdate.Sub(s.o.Clock()))})
		return
	}
	h := w.Header()
	h.Set("Content-Type", responseType)
	h.Set("Content-Length", strconv.Itoa(len(o.DER)))
	h.Set("Cache-Control", "no-store")
	// Who went away without waiting for the answer can ask again.
	_, _ = w.Write(o.DER)
}
