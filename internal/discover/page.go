package discover

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"unicode"

	"github.com/sealmail/sealmail/mailbox"
)

// Bounds on what a page may say.
const (
	maxDepth  = 16   // of elements in one another
	maxOffers = 20   // servers
	maxField  = 1000 // octets
)

// page is what a provider says of its servers.
type page struct {
	offers []offer // in its order, which is that of preference
}

// offer is one server as it stands there.
type offer struct {
	service                  Service
	host, port, socket, user string
	methods                  []string // of authentication
}

// errPage is that a page is none for mail programs.
var errPage = errors.New("this is no configuration for mail programs")

// parsePage reads a configuration file as Thunderbird describes it, version 1.1. Of several providers the first one counts.
// Elements that it does not know are passed over. Document types, which can define entities, are refused.
func parsePage(text []byte) (*page, error) {
	d := xml.NewDecoder(bytes.NewReader(text)) // strict, and knows no entities but XML's own
	var (
		p         page
		path      []string
		current   *offer
		field     strings.Builder
		providers int
	)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errPage, err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, fmt.Errorf("%w: it has a document type", errPage)
		case xml.StartElement:
			if len(path) == maxDepth {
				return nil, fmt.Errorf("%w: it is too deep", errPage)
			}
			path = append(path, t.Name.Local)
			field.Reset()
			switch {
			case len(path) == 1 && path[0] != "clientConfig":
				return nil, errPage
			case len(path) == 2 && path[1] == "emailProvider":
				providers++
			case len(path) == 3 && providers == 1 && path[1] == "emailProvider" && len(p.offers) < maxOffers:
				current = newOffer(t)
			}
		case xml.CharData:
			if current != nil && field.Len()+len(t) <= maxField {
				field.Write(t)
			}
		case xml.EndElement:
			if current != nil && len(path) == 4 {
				current.set(path[3], strings.TrimSpace(field.String()))
			}
			if current != nil && len(path) == 3 {
				p.offers = append(p.offers, *current)
				current = nil
			}
			path = path[:len(path)-1]
		}
	}
	if providers == 0 {
		return nil, errPage
	}
	return &p, nil
}

// newOffer begins an offer, if the element is one of a service that is looked for.
func newOffer(t xml.StartElement) *offer {
	kind := ""
	for _, a := range t.Attr {
		if a.Name.Local == "type" {
			kind = a.Value
		}
	}
	switch {
	case t.Name.Local == "incomingServer" && kind == "imap":
		return &offer{service: Reading}
	case t.Name.Local == "outgoingServer" && kind == "smtp":
		return &offer{service: Sending}
	}
	return nil
}

func (o *offer) set(name, value string) {
	switch name {
	case "hostname":
		o.host = value
	case "port":
		o.port = value
	case "socketType":
		o.socket = value
	case "username":
		o.user = value
	case "authentication":
		if len(o.methods) < maxOffers {
			o.methods = append(o.methods, value)
		}
	}
}

// server returns the server that is offered to an address. The error says why it cannot be used: for one, because it would be
// spoken to in clear text.
func (o offer) server(address, local, domain string) (Server, error) {
	fill := func(s string) (string, error) {
		if bare := strings.NewReplacer("%EMAILADDRESS%", "", "%EMAILLOCALPART%", "", "%EMAILDOMAIN%", "").Replace(s); strings.ContainsRune(bare, '%') {
			return "", fmt.Errorf("%q has a place to fill in that is not known", s)
		}
		return strings.NewReplacer("%EMAILADDRESS%", address, "%EMAILLOCALPART%", local, "%EMAILDOMAIN%", domain).Replace(s), nil
	}
	schemes := o.service.schemes()
	scheme := schemes[0]
	switch strings.ToUpper(o.socket) {
	case "SSL", "TLS":
	case "STARTTLS":
		scheme = schemes[1]
	default:
		return Server{}, fmt.Errorf("%q is offered in clear text only, which sealmail does not speak", o.host)
	}
	host, err := fill(o.host)
	if err != nil {
		return Server{}, err
	}
	text := string(scheme) + "://" + host
	if o.port != "" {
		text = string(scheme) + "://" + net.JoinHostPort(host, o.port)
	}
	e, err := mailbox.ParseEndpoint(text)
	if err != nil {
		return Server{}, err
	}
	user, err := fill(o.user)
	if err != nil || strings.ContainsFunc(user, unicode.IsControl) {
		return Server{}, fmt.Errorf("the user name %q cannot be used", o.user)
	}
	password := len(o.methods) == 0 || slices.ContainsFunc(o.methods, func(m string) bool {
		return slices.Contains([]string{"password-cleartext", "plain", "password-encrypted", "secure"}, m)
	})
	token := slices.Contains(o.methods, "OAuth2")
	if !password && !token {
		return Server{}, fmt.Errorf("%s takes neither password nor OAuth 2.0 token, but %s", e, strings.Join(o.methods, ", "))
	}
	return Server{Endpoint: e, User: user, OAuth: !password}, nil
}
