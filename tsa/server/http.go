package server

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/sealmail/sealmail/tsa"
)

// ServeHTTP answers a request that is posted (RFC 3161 section 3.4). Refusals of the authority are responses with HTTP
// status 200; other statuses say that what came is not a time-stamp request at all. Time limits on the connection are
// the http.Server's business.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "a time-stamp request is posted", http.StatusMethodNotAllowed)
		return
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != tsa.QueryType {
		http.Error(w, "content type must be "+tsa.QueryType, http.StatusUnsupportedMediaType)
		return
	}
	request, err := io.ReadAll(http.MaxBytesReader(w, r.Body, tsa.MaxSize))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, "request is too large", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "request could not be read", http.StatusBadRequest)
		return
	}
	response, err := a.Respond(r.Context(), request)
	if err != nil && a.o.Failed != nil {
		a.o.Failed(err)
	}
	w.Header().Set("Content-Type", tsa.ReplyType)
	w.Header().Set("Content-Length", strconv.Itoa(len(response)))
	// Who went away without waiting for the answer can ask again.
	_, _ = w.Write(response)
}
