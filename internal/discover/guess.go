package discover

import (
	"context"
	"sync"

	"github.com/sealmail/sealmail/mailbox"
)

// guess tries the names that servers of a domain usually have, all at once. Only a server with a certificate for such a name,
// from an authority that is trusted, is found.
func (s *search) guess(ctx context.Context, services []Service) error {
	if s.Probe == nil {
		return nil
	}
	for _, service := range services {
		var servers []Server
		first := "imap."
		if service == Sending {
			first = "smtp."
		}
		for _, scheme := range service.schemes() {
			for _, host := range []string{first, "mail."} {
				e, err := mailbox.ParseEndpoint(string(scheme) + "://" + host + s.domain)
				if err != nil {
					continue // too long for a name
				}
				servers = append(servers, Server{Endpoint: e, Source: "a guess"})
			}
		}
		errs := make([]error, len(servers))
		var trying sync.WaitGroup
		for i, server := range servers {
			trying.Go(func() { errs[i] = s.probe(ctx, server.Endpoint) })
		}
		trying.Wait()
		for i, server := range servers {
			if errs[i] != nil {
				s.say("%s, a guess, does not serve: %v", server.Endpoint, errs[i])
				continue
			}
			s.say("%s for %s, a guess that has a certificate for its name", server.Endpoint, service)
			s.found[service] = server
			break
		}
	}
	return nil
}
