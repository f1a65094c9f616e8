package discover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/sealmail/sealmail/mailbox"
)

// Service is what a server is for.
type Service string

// The services.
const (
	Reading Service = "IMAP"
	Sending Service = "submission"
)

// schemes are those by which a service is spoken, the better one first (RFC 8314 section 3).
func (s Service) schemes() [2]mailbox.Scheme {
	if s == Sending {
		return [2]mailbox.Scheme{mailbox.SchemeSubmissions, mailbox.SchemeSubmission}
	}
	return [2]mailbox.Scheme{mailbox.SchemeIMAPS, mailbox.SchemeIMAP}
}

// Server is a server that may be the one.
type Server struct {
	Endpoint mailbox.Endpoint
	User     string // the user name there; empty: nothing was said of it
	Source   string // who said so
	// Foreign says that the server is outside the address's domain, and that nothing which can be checked binds it to that: only
	// the DNS or a third party named it (RFC 6186 section 6).
	Foreign bool
	OAuth   bool // it takes OAuth 2.0 tokens only, and no password
}

// Resolver is what SRV records are asked from, as a [net.Resolver] is.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// Finder finds servers. Resolver and HTTP must be there.
type Finder struct {
	Resolver Resolver
	HTTP     *http.Client // for pages; whether redirections are followed is not its business
	Timeout  time.Duration
	// Probe tells whether a server can be reached with TLS, and has a certificate for its name. Without it what others say is
	// not tried, and nothing is guessed.
	Probe func(context.Context, mailbox.Endpoint) error
	// Database is asked before the domain is told to the public database of providers; nil: it is not.
	Database func() (bool, error)
	// Say is told what is done and what came of it; nil: nothing is said.
	Say func(string)
}

// ErrAddress says that an address has no domain in which servers could be found.
var ErrAddress = errors.New("no e-mail address in a domain")

// Find looks for servers for these services. Those that are not found are not in the result, and why not is among what was
// said. The error is ErrAddress, that of Database, or the context's.
func (f *Finder) Find(ctx context.Context, address string, services ...Service) (map[Service]Server, error) {
	local, domain, err := split(address)
	if err != nil {
		return nil, err
	}
	s := &search{Finder: f, address: address, local: local, domain: domain, found: map[Service]Server{}, denied: map[Service]bool{}}
	for _, step := range []func(context.Context, []Service) error{s.askDNS, s.askDomain, s.askDatabase, s.guess} {
		var open []Service
		for _, service := range services {
			if _, found := s.found[service]; !found && !s.denied[service] {
				open = append(open, service)
			}
		}
		if len(open) == 0 {
			break
		}
		if err := step(ctx, open); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return s.found, nil
}

// split takes an address apart; the domain is in its ASCII form.
func split(address string) (local, domain string, err error) {
	at := strings.LastIndexByte(address, '@')
	if at <= 0 {
		return "", "", fmt.Errorf("%w: %q", ErrAddress, address)
	}
	domain, err = idna.Lookup.ToASCII(address[at+1:])
	if err != nil || domain == "" || net.ParseIP(domain) != nil || strings.HasPrefix(domain, "[") {
		return "", "", fmt.Errorf("%w: %q", ErrAddress, address)
	}
	return address[:at], strings.ToLower(domain), nil
}

// search is one run of a Finder.
type search struct {
	*Finder
	address, local, domain string
	found                  map[Service]Server
	denied                 map[Service]bool // the domain says that it does not offer them
}

func (s *search) say(format string, args ...any) {
	if s.Say != nil {
		s.Say(fmt.Sprintf(format, args...))
	}
}

// bounded is a context for one step.
func (s *search) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.Timeout)
}

// within tells whether a host is in the address's domain.
func (s *search) within(host string) bool {
	host = strings.ToLower(host)
	return host == s.domain || strings.HasSuffix(host, "."+s.domain)
}

// take proposes the first of the servers that holds; the others are not tried.
func (s *search) take(ctx context.Context, service Service, servers []Server) {
	for _, server := range servers[:min(len(servers), maxTried)] {
		if s.Probe != nil {
			if err := s.probe(ctx, server.Endpoint); err != nil {
				s.say("%s, from %s, does not serve: %v", server.Endpoint, server.Source, err)
				continue
			}
		}
		s.say("%s for %s, from %s", server.Endpoint, service, server.Source)
		s.found[service] = server
		return
	}
}

// probe has a time of its own, so that one server that does not answer takes nothing from the next.
func (s *search) probe(ctx context.Context, e mailbox.Endpoint) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return s.Probe(ctx, e)
}

// maxTried is how many servers that others name are tried for one service.
const maxTried = 4
