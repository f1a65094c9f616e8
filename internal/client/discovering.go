package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sealmail/sealmail/internal/discover"
	"github.com/sealmail/sealmail/mailbox"
)

// DiscoverParams are what servers are looked for by.
type DiscoverParams struct {
	Address    string
	IMAP, SMTP bool     // which are looked for
	ServerCA   []string // files with anchors for the servers, beside those that are trusted
	NoCheck    bool     // nothing is tried, and so nothing guessed
	// Database is asked before the public database of providers is told the domain; nil: it is not told.
	Database func() (bool, error)
}

// DiscoveredServer is a server that was found. The zero value is none.
type DiscoveredServer struct {
	URL, Source string
	User        string // empty: nothing was said of it
	Foreign     bool   // outside the address's domain, which only the DNS or a third party connects it with
	OAuth       bool   // it takes OAuth 2.0 tokens only
}

// Discovery is what was found.
type Discovery struct {
	IMAP, SMTP DiscoveredServer
}

// User is the user name that goes with what was found; empty: nothing was said of it.
func (d Discovery) User() string {
	if d.IMAP.User != "" {
		return d.IMAP.User
	}
	return d.SMTP.User
}

// Discover looks for the servers of an address. It sends no password, and the address itself nowhere.
func (c *Client) Discover(ctx context.Context, p DiscoverParams) (Discovery, error) {
	var d Discovery
	extra, err := c.o.readCertificates(p.ServerCA)
	if err != nil {
		return d, err
	}
	roots, err := c.serverRoots(extra...)
	if err != nil {
		return d, err
	}
	web, err := c.httpClient(extra...)
	if err != nil {
		return d, err
	}
	finder := discover.Finder{Resolver: c.o.Resolver, HTTP: web, Timeout: c.o.Timeout, Database: p.Database, Say: c.o.Detail}
	if !p.NoCheck {
		finder.Probe = func(ctx context.Context, e mailbox.Endpoint) error {
			_, err := mailbox.Probe(ctx, mailbox.Options{Endpoint: e, TLSRoots: roots, Timeout: c.o.Timeout, Dial: c.o.Dial})
			return err
		}
	}
	services := map[discover.Service]*DiscoveredServer{}
	var wanted []discover.Service
	if p.IMAP {
		wanted, services[discover.Reading] = append(wanted, discover.Reading), &d.IMAP
	}
	if p.SMTP {
		wanted, services[discover.Sending] = append(wanted, discover.Sending), &d.SMTP
	}
	found, err := finder.Find(ctx, p.Address, wanted...)
	switch {
	case errors.Is(err, discover.ErrAddress):
		return d, usage("init", err, "write it like alice@example.org, or name the servers with --imap and --smtp")
	case err != nil:
		return d, err
	}
	for service, s := range found {
		*services[service] = DiscoveredServer{URL: s.Endpoint.String(), Source: s.Source, User: s.User, Foreign: s.Foreign, OAuth: s.OAuth}
	}
	return d, nil
}

// NotDiscovered is the error that servers were looked for and not found.
func NotDiscovered(address string, imap, smtp bool) error {
	_, domain, _ := strings.Cut(address, "@")
	var what, words []string
	if imap {
		what, words = append(what, "IMAP"), append(words, "--imap imaps://HOST")
	}
	if smtp {
		what, words = append(what, "submission"), append(words, "--smtp submissions://HOST")
	}
	return failed("init", fmt.Errorf("no server for %s was found for %s", strings.Join(what, " or "), domain),
		"name it: "+strings.Join(words, " and ")+"; with -v it is said what was tried")
}
