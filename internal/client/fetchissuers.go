package client

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"github.com/sealmail/sealmail/certstore"
)

// Bounds on fetching issuers.
const (
	maxFetchedIssuers = 4        // above one certificate
	maxIssuerRequests = 16       // of one import
	maxIssuerRedirect = 4        // of one request
	maxIssuerSize     = 64 << 10 // octets of one answer
)

// Reasons why an issuer is not fetched.
var (
	errNotPublic  = errors.New("it is on this machine or in a private network, where certificates from elsewhere have nothing to ask for")
	errNotIssuer  = errors.New("what is there did not sign the certificate")
	errScheme     = errors.New("it leads to an address that is neither http nor https")
	errTooMuch    = fmt.Errorf("the answer is larger than %d KiB", maxIssuerSize>>10)
	errRedirects  = errors.New("it leads on and on")
	errNoRequests = fmt.Errorf("%d were asked for, which is enough for one import", maxIssuerRequests)
)

// chainCompleter looks at the end of each chain of an import. Where the issuer is missing, it is fetched, or it is said how
// it could be. A chain that stays incomplete is no reason not to import.
type chainCompleter struct {
	c       *Client
	store   *certstore.Store
	anchors []*x509.Certificate
	fetch   *issuerFetcher  // nil: nothing is fetched
	settled map[string]bool // the issuers of which nothing more is to say or do, by name
}

// newChainCompleter returns one that is to be closed.
func (c *Client) newChainCompleter(p CertImportParams) (*chainCompleter, error) {
	anchors, err := c.anchors(certstore.Mail)
	if err != nil {
		return nil, err
	}
	completer := &chainCompleter{c: c, store: c.certificates(), anchors: anchors, settled: map[string]bool{}}
	if p.FetchIssuers {
		if completer.fetch, err = c.newIssuerFetcher(p.InsecureLoopback); err != nil {
			return nil, err
		}
	}
	return completer, nil
}

func (f *chainCompleter) Close() {
	if f.fetch != nil {
		f.fetch.client.CloseIdleConnections()
	}
}

// completePlan completes the chains of all that is planned.
func (f *chainCompleter) completePlan(ctx context.Context, plan *importPlan) error {
	for i := range plan.pairs {
		plan.pairs[i].Chain = f.complete(ctx, plan.pairs[i].Chain)
	}
	for i := range plan.correspondents {
		plan.correspondents[i] = f.complete(ctx, plan.correspondents[i])
	}
	return ctx.Err()
}

func (f *chainCompleter) complete(ctx context.Context, chain []*x509.Certificate) []*x509.Certificate {
	for range maxFetchedIssuers {
		top := chain[len(chain)-1]
		if len(issuerURLs(top)) == 0 || selfIssued(top) || f.settled[string(top.RawIssuer)] || len(certstore.IssuersIn(f.anchors, top)) > 0 {
			return chain
		}
		if known := certstore.IssuersIn(f.store.IssuersOf(top), top); len(known) > 0 {
			chain = append(slices.Clip(chain), known...)
			continue
		}
		if f.fetch == nil {
			f.settled[string(top.RawIssuer)] = true
			f.c.o.Say(fmt.Sprintf("the issuer of %q is missing: `sealmail cert import --fetch-issuers` asks for it at %s", certstore.Name(top), issuerURLs(top)[0]))
			return chain
		}
		issuer, err := f.fetch.issuerOf(ctx, top)
		if err != nil {
			f.settled[string(top.RawIssuer)] = true
			f.c.o.Say(fmt.Sprintf("warning: the issuer of %q could not be fetched: %v", certstore.Name(top), err))
			return chain
		}
		if slices.ContainsFunc(chain, issuer.Equal) {
			return chain
		}
		chain = append(slices.Clip(chain), issuer)
	}
	return chain
}

// issuerURLs are the places where a certificate says that its issuer's certificate is (RFC 5280 section 4.2.2.1), as far
// as they can be asked.
func issuerURLs(cert *x509.Certificate) []string {
	return slices.DeleteFunc(slices.Clone(cert.IssuingCertificateURL), func(text string) bool {
		u, err := url.Parse(text)
		return err != nil || !isWeb(u) || u.Host == "" || u.User != nil
	})
}

func isWeb(u *url.URL) bool { return u.Scheme == "http" || u.Scheme == "https" }

// issuerFetcher fetches the certificates of issuers for one import.
type issuerFetcher struct {
	client   *http.Client
	requests int
	answers  map[string][]*x509.Certificate // by address
}

func (c *Client) newIssuerFetcher(loopback bool) (*issuerFetcher, error) {
	client, err := c.httpClient()
	if err != nil {
		return nil, err
	}
	if transport, ok := client.Transport.(*http.Transport); ok {
		transport.DialContext = dialPublic(c.o.Dial, loopback)
	}
	client.CheckRedirect = func(to *http.Request, before []*http.Request) error {
		switch {
		case !isWeb(to.URL) || before[0].URL.Scheme == "https" && to.URL.Scheme != "https":
			return errScheme
		case len(before) > maxIssuerRedirect:
			return errRedirects
		}
		return nil
	}
	return &issuerFetcher{client: client, answers: map[string][]*x509.Certificate{}}, nil
}

// issuerOf fetches the certificate whose key made the signature on cert.
func (f *issuerFetcher) issuerOf(ctx context.Context, cert *x509.Certificate) (*x509.Certificate, error) {
	var reasons []error
	for _, address := range issuerURLs(cert) {
		certs, err := f.get(ctx, address)
		for _, issuer := range certs {
			// IssuersIn leaves out keys that cost too much to check, and CheckSignatureFrom what IssuersIn takes by name alone.
			if len(certstore.IssuersIn([]*x509.Certificate{issuer}, cert)) > 0 && cert.CheckSignatureFrom(issuer) == nil {
				return issuer, nil
			}
		}
		if err == nil {
			err = errNotIssuer
		}
		reasons = append(reasons, fmt.Errorf("%s: %w", address, err))
	}
	return nil, errors.Join(reasons...)
}

// get fetches the certificates at an address, once.
func (f *issuerFetcher) get(ctx context.Context, address string) ([]*x509.Certificate, error) {
	if certs, known := f.answers[address]; known {
		return certs, nil
	}
	if f.requests++; f.requests > maxIssuerRequests {
		return nil, errNoRequests
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := f.client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the address is said already
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxIssuerSize+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxIssuerSize {
		return nil, errTooMuch
	}
	bundle, err := certstore.ReadFile(body, nil) // DER or a bag of certificates by RFC 5280; PEM is common
	if err != nil {
		return nil, err
	}
	f.answers[address] = bundle.Certificates
	return bundle.Certificates, nil
}

// dialPublic connects to public addresses alone, and with loopback to this machine too. The address that is looked at is
// the one that is connected to, whatever the name's server says a second time.
func dialPublic(dial func(ctx context.Context, network, address string) (net.Conn, error), loopback bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		addresses := []netip.Addr{}
		if literal, err := netip.ParseAddr(host); err == nil {
			addresses = append(addresses, literal)
		} else if addresses, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
			return nil, err
		}
		last := error(errNotPublic)
		for _, a := range addresses {
			if a = a.Unmap(); !isPublic(a) && !(loopback && a.IsLoopback()) {
				continue
			}
			conn, err := dial(ctx, network, net.JoinHostPort(a.String(), port))
			if err == nil {
				return conn, nil
			}
			last = err
		}
		return nil, last
	}
}

// Addresses that are not of the public network (RFC 6890 section 2.2), beside those that package netip knows, and those that
// stand for an IPv4 address, which decides.
var (
	localPrefixes = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"),  // behind the address translation of providers
		netip.MustParsePrefix("64:ff9b:1::/48"), // a network's own translation
		netip.MustParsePrefix("fec0::/10"),      // of a site, in old networks
	}
	translated = netip.MustParsePrefix("64:ff9b::/96")
	tunneled   = netip.MustParsePrefix("2002::/16")
)

func isPublic(a netip.Addr) bool {
	octets := a.As16()
	switch {
	case translated.Contains(a):
		return isPublic(netip.AddrFrom4([4]byte(octets[12:])))
	case tunneled.Contains(a):
		return isPublic(netip.AddrFrom4([4]byte(octets[2:6])))
	}
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(localPrefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
