package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sealmail/sealmail/mailbox"
)

// askDNS looks for SRV records (RFC 6186 sections 3.1 and 3.2, RFC 8314 section 5.1): first for TLS from the first octet, then
// for STARTTLS. The DNS is not authenticated.
func (s *search) askDNS(ctx context.Context, services []Service) error {
	bounded, cancel := s.bounded(ctx)
	defer cancel()
	answers := make([][2]dnsAnswer, len(services))
	var asking sync.WaitGroup
	for i, service := range services {
		for j, scheme := range service.schemes() {
			asking.Go(func() {
				_, list, err := s.Resolver.LookupSRV(bounded, string(scheme), "tcp", s.domain+".")
				answers[i][j] = dnsAnswer{list, err}
			})
		}
	}
	asking.Wait()
	for i, service := range services {
		var servers []Server
		for j, scheme := range service.schemes() {
			more, none := s.records(scheme, answers[i][j])
			s.denied[service] = none && j == 0 || s.denied[service] && len(more) == 0
			servers = append(servers, more...)
		}
		if s.denied[service] {
			s.say("the DNS of %s says that it offers no %s", s.domain, service)
		}
		s.take(ctx, service, servers)
	}
	return nil
}

type dnsAnswer struct {
	list []*net.SRV
	err  error
}

// records returns the servers that the SRV records of a scheme name, in the order in which they are to be tried, or that the
// domain says that it has none.
func (s *search) records(scheme mailbox.Scheme, answer dnsAnswer) (servers []Server, none bool) {
	name := fmt.Sprintf("_%s._tcp.%s", scheme, s.domain)
	list, err := answer.list, answer.err
	var absent *net.DNSError
	switch {
	case errors.As(err, &absent) && absent.IsNotFound, err == nil && len(list) == 0:
		s.say("no SRV record %s", name)
		return nil, false
	case len(list) == 0:
		s.say("SRV record %s: %v", name, err)
		return nil, false
	}
	// Of those with the same priority the one with the most weight: what is chosen is kept, so that chance would spread no load
	// (RFC 2782).
	slices.SortStableFunc(list, func(a, b *net.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight))
	})
	for _, record := range list {
		host := strings.TrimSuffix(record.Target, ".")
		if host == "" { // not available at this domain (RFC 2782)
			none = true
			continue
		}
		e, err := mailbox.ParseEndpoint(string(scheme) + "://" + net.JoinHostPort(host, strconv.Itoa(int(record.Port))))
		if err != nil || net.ParseIP(host) != nil {
			s.say("SRV record %s names no host: %q", name, host)
			continue
		}
		servers = append(servers, Server{Endpoint: e, Source: "the SRV record " + name, Foreign: !s.within(e.Host)})
	}
	return servers, none && len(servers) == 0
}
