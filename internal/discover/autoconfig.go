package discover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
)

const (
	// maxPage bounds the octets of a page, maxRedirects how often one leads to another.
	maxPage      = 256 << 10
	maxRedirects = 3

	// database is the public collection of what providers offer, which the makers of Thunderbird keep.
	database = "https://autoconfig.thunderbird.net/v1.1/"
)

// askDomain reads the page that the domain publishes for mail programs, over HTTPS alone: so it is the domain that speaks, and
// may name any server. The address is not sent along, though a server may be asked with it: it would learn of a person who
// has decided on nothing yet.
func (s *search) askDomain(ctx context.Context, services []Service) error {
	urls := []string{
		"https://autoconfig." + s.domain + "/mail/config-v1.1.xml",
		"https://" + s.domain + "/.well-known/autoconfig/mail/config-v1.1.xml",
	}
	pages, errs := make([]*page, len(urls)), make([]error, len(urls))
	var asking sync.WaitGroup
	for i, url := range urls {
		asking.Go(func() { pages[i], errs[i] = s.read(ctx, url) })
	}
	asking.Wait()
	for i, url := range urls {
		if errs[i] != nil {
			s.say("%s: %v", url, errs[i])
			continue
		}
		s.use(ctx, pages[i], services, url, true)
		break
	}
	return nil
}

// askDatabase asks the public database, which learns the domain and may be wrong about it.
func (s *search) askDatabase(ctx context.Context, services []Service) error {
	if s.Database == nil {
		return nil
	}
	if agreed, err := s.Database(); err != nil || !agreed {
		return err
	}
	url := database + s.domain
	found, err := s.read(ctx, url)
	if err != nil {
		s.say("%s: %v", url, err)
		return nil
	}
	s.use(ctx, found, services, url, false)
	return nil
}

// use takes what a page says.
func (s *search) use(ctx context.Context, p *page, services []Service, url string, own bool) {
	for _, service := range services {
		var servers []Server
		for _, o := range p.offers {
			if o.service != service {
				continue
			}
			server, err := o.server(s.address, s.local, s.domain)
			if err != nil {
				s.say("%s: %s: %v", url, service, err)
				continue
			}
			server.Source, server.Foreign = url, !own && !s.within(server.Endpoint.Host)
			servers = append(servers, server)
		}
		// TLS from the first octet before STARTTLS (RFC 8314 section 3), else in the order of the page, which is that of preference.
		slices.SortStableFunc(servers, func(a, b Server) int {
			return rank(service, a) - rank(service, b)
		})
		s.take(ctx, service, servers)
	}
}

func rank(service Service, server Server) int {
	if server.Endpoint.Scheme == service.schemes()[0] {
		return 0
	}
	return 1
}

// read gets a page over HTTPS and parses it.
func (s *search) read(ctx context.Context, url string) (*page, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	web := *s.HTTP
	web.Jar = nil
	web.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		switch {
		case r.URL.Scheme != "https":
			return errors.New("it leads away from HTTPS")
		case len(via) > maxRedirects:
			return errors.New("it leads on and on")
		}
		r.Header.Del("Referer")
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "sealmail")
	response, err := web.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxPage+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxPage:
		return nil, fmt.Errorf("the page is larger than %d KiB", maxPage>>10)
	}
	return parsePage(text)
}
