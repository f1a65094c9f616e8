package revocation

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// Addresses of one certificate that are asked.
const (
	maxResponders = 2
	maxLists      = 4
)

// question is the work on one certificate.
type question struct {
	*run
	path  []*certpath.Certificate // the certificate first, an anchor last
	notes *notes
	lists []*CRL // that there are
}

// key returns what the answer of a responder is kept under: the issuer's key and the serial number.
func (q *question) key() string {
	key := sha256.Sum256(q.path[1].RawSubjectPublicKeyInfo)
	serial := q.path[0].SerialNumber
	sign := "+"
	if serial.Sign() < 0 {
		sign = "-"
	}
	return "ocsp " + string(key[:]) + sign + string(serial.Bytes())
}

func listKey(address string) string { return "crl " + address }

// responderAddresses returns where the certificate says that OCSP is spoken (RFC 5280 section 4.2.2.1).
func (q *question) responderAddresses() []string {
	var names []certpath.GeneralName
	for _, access := range q.path[0].AuthorityInfoAccess {
		if access.Method == certpath.OIDAccessOCSP {
			names = append(names, access.Location)
		}
	}
	return q.addresses(names, maxResponders)
}

// listAddresses returns where the certificate says that lists are (RFC 5280 section 4.2.1.13).
func (q *question) listAddresses() []string { return q.pointAddresses(q.path[0].CRLDistributionPoints) }

func (q *question) pointAddresses(points []certpath.DistributionPoint) []string {
	var names []certpath.GeneralName
	for _, p := range points {
		names = append(names, p.Name.FullName...)
	}
	return q.addresses(names, maxLists)
}

// addresses returns the first addresses that can be asked, and notes those that cannot.
func (q *question) addresses(names []certpath.GeneralName, most int) []string {
	var found []string
	for _, n := range names {
		if n.Kind != certpath.URI || slices.Contains(found, n.Text) {
			continue
		}
		if err := CheckURL(n.Text); err != nil {
			q.notes.add(quote(n.Text) + " is not asked: " + err.Error())
		} else if len(found) < most {
			found = append(found, n.Text)
		}
	}
	return found
}

// byLists judges the lists that there are, and once more with the delta lists that they want.
func (q *question) byLists(ctx context.Context) Answer {
	a, wanted := q.run.byLists(ctx, q.path, q.lists, q.notes)
	if a.Status != Good || len(wanted) == 0 {
		return a
	}
	for _, address := range q.pointAddresses(wanted) {
		list := q.keptList(address)
		if list == nil || list.window().stale(q.at) != "" {
			list = q.fetchList(ctx, address)
		}
		if list == nil {
			continue
		}
		q.lists = append(q.lists, list)
		if b, _ := q.run.byLists(ctx, q.path, q.lists, q.notes); b.Status != Unknown {
			a = b
		}
		q.keepList(address, list)
	}
	return a
}

// overNetwork asks the responders of the certificate, then for its lists.
func (q *question) overNetwork(ctx context.Context) Answer {
	if q.Fetcher == nil {
		if len(q.responderAddresses())+len(q.listAddresses()) > 0 {
			q.notes.add("those whom the certificate names were not asked")
		}
		return Answer{}
	}
	for _, address := range q.responderAddresses() {
		if a := q.askResponder(ctx, address); a.Status != Unknown {
			return a
		}
	}
	for _, address := range q.listAddresses() {
		list := q.fetchList(ctx, address)
		if list == nil {
			continue
		}
		q.lists = append(q.lists, list)
		a := q.byLists(ctx)
		q.keepList(address, list)
		if a.Status != Unknown {
			return a
		}
	}
	return Answer{}
}

// askResponder asks one responder, with a nonce.
func (q *question) askResponder(ctx context.Context, address string) Answer {
	nonce := make([]byte, NonceSize)
	_, err := rand.Read(nonce)
	var body []byte
	if err == nil {
		body, err = MarshalRequest(NewCertID(q.path[0], q.path[1]), nonce)
	}
	if err != nil {
		q.notes.add(quote(address) + ": " + err.Error())
		return Answer{}
	}
	// One responder answers for many certificates: what it does not know of one it may know of another.
	memo := address + " " + q.key()
	der := q.fetch(ctx, memo, Request{URL: address, Body: body, ContentType: RequestType, Accept: ResponseType, Limit: MaxResponse})
	if der == nil {
		return Answer{}
	}
	failed := func(why string) Answer {
		q.notes.add(quote(address) + ": " + why)
		q.memory.fail(memo, why, q.now)
		return Answer{}
	}
	response, err := ParseResponse(der)
	if err != nil {
		return failed(err.Error())
	}
	// A nonce is echoed or, by responders that sign in advance, left out (RFC 5019 section 4): then the times decide, and
	// those of the present, whatever time counts, as an old response may be replayed.
	switch {
	case response.Nonce == nil:
		response.Singles = slices.DeleteFunc(response.Singles, func(s SingleResponse) bool { return s.window().stale(q.now) != "" })
		if len(response.Singles) == 0 {
			return failed("the response has no nonce, and nothing in it is up to date")
		}
	case subtle.ConstantTimeCompare(response.Nonce, nonce) != 1:
		return failed("the response is for another request: its nonce is not ours")
	}
	before := len(q.notes.list) + q.notes.more
	a := q.byResponse(q.path, response, q.notes)
	if a.Status == Unknown {
		why := "the response is not about this certificate"
		if len(q.notes.list)+q.notes.more > before {
			why = "the response gives no answer"
		}
		return failed(why)
	}
	q.keep(q.key(), held{response: response}, response.Raw, a.Until)
	return a
}

// fetchList returns the list at an address, or nil.
func (q *question) fetchList(ctx context.Context, address string) *CRL {
	der := q.fetch(ctx, address, Request{URL: address, Limit: MaxCRL})
	if der == nil {
		return nil
	}
	list, err := ParseCRL(der)
	if err != nil {
		q.notes.add(quote(address) + ": " + err.Error())
		q.memory.fail(address, err.Error(), q.now)
		return nil
	}
	return list
}

// keepList keeps a list that was fetched and judged. One that is of no use is not asked for again.
func (q *question) keepList(address string, list *CRL) {
	switch {
	case !q.verified[list]:
		why := "the list there is not about this certificate, or cannot be relied upon"
		q.notes.add(quote(address) + ": " + why)
		q.memory.fail(address, why, q.now)
	case list.window().stale(q.now) != "":
		q.memory.fail(address, "the list there is out of date", q.now)
	}
	if q.verified[list] {
		q.keep(listKey(address), held{list: list}, list.Raw, list.NextUpdate)
	}
}

// fetch asks a server, unless it did not answer before, or not this question, which memo names. It returns nil where
// there is no answer, and notes why.
func (q *question) fetch(ctx context.Context, memo string, request Request) []byte {
	note := func(why string) []byte {
		q.notes.add(quote(request.URL) + ": " + why)
		return nil
	}
	if q.Fetcher == nil {
		return nil
	}
	host := hostOf(request.URL)
	for _, name := range []string{host, memo} {
		if why, failed := q.memory.failed(name, q.now); failed {
			return note(why)
		}
	}
	if ctx.Err() != nil {
		return note("it was not asked, as the time for asking was used up")
	}
	step, cancel := context.WithTimeout(ctx, q.step)
	defer cancel()
	answer, err := q.Fetcher.Fetch(step, request)
	if err == nil {
		if answer == nil {
			answer = []byte{}
		}
		return answer
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return note("the question was given up")
	}
	why := err.Error()
	if step.Err() != nil {
		why = "there was no answer in time"
	}
	var refused *HTTPError
	if errors.As(err, &refused) || errors.Is(err, ErrTooLarge) {
		q.memory.fail(memo, why, q.now)
	} else {
		q.memory.fail(host, why, q.now)
	}
	return note(why)
}

// hostOf returns what servers are told apart by.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}
