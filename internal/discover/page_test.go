package discover

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/mailbox"
)

func TestPagesThatAreNone(t *testing.T) {
	good := configuration("imap SSL i.example.org 993 x plain")
	for name, text := range map[string]string{
		"nothing":        "",
		"half":           good[:len(good)/2],
		"other root":     strings.ReplaceAll(good, "clientConfig", "config"),
		"no provider":    "<clientConfig/>",
		"entity":         strings.Replace(good, "i.example.org", "&host;", 1),
		"document type":  "<!DOCTYPE clientConfig [<!ENTITY host \"i.example.org\">]>" + strings.Replace(good, "i.example.org", "&host;", 1),
		"external":       "<!DOCTYPE clientConfig SYSTEM \"file:///etc/passwd\">" + good,
		"depth":          strings.Replace(good, "<domain>", strings.Repeat("<a>", maxDepth)+strings.Repeat("</a>", maxDepth)+"<domain>", 1),
		"other encoding": `<?xml version="1.0" encoding="utf-16"?>` + good[21:],
	} {
		if p, err := parsePage([]byte(text)); !errors.Is(err, errPage) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

// TestPageBounds: of what is too much the rest is passed over.
func TestPageBounds(t *testing.T) {
	many := strings.Split(strings.Repeat("imap SSL i.example.org 993 x plain,", maxOffers+5), ",")
	p, err := parsePage([]byte(configuration(many[:maxOffers+5]...)))
	if err != nil || len(p.offers) != maxOffers {
		t.Errorf("%d offers, %v", len(p.offers), err)
	}
	p, err = parsePage([]byte(configuration("imap SSL " + strings.Repeat("x", maxField+1) + " 993 x plain")))
	if err != nil || p.offers[0].host != "" {
		t.Errorf("%v, %v", p, err)
	}
	two := configuration("imap SSL i.example.org 993 x plain")
	_, second, _ := strings.Cut(two, "<emailProvider")
	if p, err = parsePage([]byte(strings.Replace(two, "</clientConfig>", "<emailProvider"+second, 1))); err != nil || len(p.offers) != 1 {
		t.Errorf("of two providers: %v, %v", p, err)
	}
}

// FuzzPage: what is proposed is spoken to with TLS, and comes back from its own text.
func FuzzPage(f *testing.F) {
	f.Add(configuration("imap SSL i.example.org 993 %EMAILADDRESS% plain", "smtp STARTTLS %EMAILDOMAIN% 587 %EMAILLOCALPART% OAuth2"), "alice@example.org")
	f.Add(configuration("imap plain ::1 143 x GSSAPI"), "a%b@x")
	f.Add("<!DOCTYPE x><clientConfig><emailProvider></emailProvider></clientConfig>", "a@b")
	f.Fuzz(func(t *testing.T, text, address string) {
		local, domain, err := split(address)
		if err != nil {
			return
		}
		p, err := parsePage([]byte(text))
		if err != nil {
			return
		}
		for _, o := range p.offers {
			s, err := o.server(address, local, domain)
			if err != nil {
				continue
			}
			if again, err := mailbox.ParseEndpoint(s.Endpoint.String()); err != nil || again != s.Endpoint {
				t.Errorf("%+v comes back as %v, %v", s, again, err)
			}
			if schemes := o.service.schemes(); s.Endpoint.Scheme != schemes[0] && s.Endpoint.Scheme != schemes[1] {
				t.Errorf("%s by %s", o.service, s.Endpoint)
			}
			if strings.ContainsAny(s.User, "\x00\r\n") {
				t.Errorf("user %q", s.User)
			}
		}
	})
}
