package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Request is one question over the network.
type Request struct {
	URL         string
	Body        []byte // posted, if it is not nil
	ContentType string // of the body
	Accept      string // media type of the answer
	Limit       int64  // octets of the answer
}

// Fetcher asks. It returns all of the answer, [ErrTooLarge] where that is more than the limit, and a *[HTTPError] where the
// server is there and refuses; with any other error the server counts as not there.
type Fetcher interface {
	Fetch(ctx context.Context, r Request) ([]byte, error)
}

// ErrTooLarge is an answer with more octets than were asked for.
var ErrTooLarge = errors.New("the answer is too large")

// HTTPError is an answer with another status than 200.
type HTTPError struct{ Code int }

func (e *HTTPError) Error() string {
	return fmt.Sprintf("the server says %d %s", e.Code, http.StatusText(e.Code))
}

const (
	maxRedirects = 3
	maxURL       = 2048
)

var (
	errRedirects = errors.New("too many redirects")
	errURL       = errors.New("only http and https are asked, without a password in the address")
)

// CheckURL returns an error for an address that is not asked: of another scheme than http and https, with a user name in
// it, or too long.
func CheckURL(raw string) error {
	if len(raw) > maxURL {
		return fmt.Errorf("an address of %d characters", len(raw))
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("it is no address")
	}
	return checkURL(u)
}

func checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errURL
	}
	return nil
}

// HTTP is the Fetcher that uses a client. Cookies are not kept, and at most three redirects are followed, whatever the
// client says about them.
type HTTP struct {
	Client *http.Client // its transport and time limit are used; nil is an error
}

// Fetch asks with GET, or POST where there is a body.
func (h HTTP) Fetch(ctx context.Context, r Request) ([]byte, error) {
	if h.Client == nil {
		return nil, errors.New("there is no HTTP client")
	}
	if err := CheckURL(r.URL); err != nil {
		return nil, err
	}
	method, body := http.MethodGet, io.Reader(nil)
	if r.Body != nil {
		method, body = http.MethodPost, bytes.NewReader(r.Body)
	}
	request, err := http.NewRequestWithContext(ctx, method, r.URL, body)
	if err != nil {
		return nil, err
	}
	if r.Body != nil {
		request.Header.Set("Content-Type", r.ContentType)
	}
	if r.Accept != "" {
		request.Header.Set("Accept", r.Accept)
	}
	client := &http.Client{Transport: h.Client.Transport, Timeout: h.Client.Timeout, CheckRedirect: redirect}
	response, err := client.Do(request)
	if err != nil {
		return nil, plain(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &HTTPError{response.StatusCode}
	}
	if response.ContentLength > r.Limit {
		return nil, ErrTooLarge
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, r.Limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(answer)) > r.Limit {
		return nil, ErrTooLarge
	}
	return answer, nil
}

func redirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errRedirects
	}
	return checkURL(next.URL)
}

// plain takes off what net/http writes before an error: method and address, which the caller knows.
func plain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
