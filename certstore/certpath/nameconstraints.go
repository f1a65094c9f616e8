package certpath

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// maxNameComparisons bounds how often names of one path are compared with constraints: thousands of names under
// thousands of constraints would cost minutes.
const maxNameComparisons = 250_000

// constraintSet is the state of name constraints (RFC 5280 section 6.1.2 (b), (c)): permitted_subtrees as the lists whose
// intersection it is, and excluded_subtrees as their union.
type constraintSet struct {
	permitted   [][]subtree
	excluded    []subtree
	comparisons int
}

// subtree is the base of a GeneralSubtree in the form in which names are compared with it.
type subtree struct {
	kind      GeneralNameKind
	id        OID // of otherName
	host      string
	mailbox   mailbox // where local is not empty
	directory Name
	network   netip.Prefix
}

// subject is one name of a certificate in the form in which it is compared with subtrees.
type subject struct {
	kind      GeneralNameKind // RFC822Name for a SmtpUTF8Mailbox too
	id        OID
	host      string
	mailbox   mailbox
	directory Name
	address   netip.Addr
	malformed bool
	text      string // for people
}

type mailbox struct{ local, host string }

// add takes the constraints of a certificate in (RFC 5280 section 6.1.4 (g)), or the initial ones.
func (s *constraintSet) add(permitted, excluded []GeneralName) error {
	p, err := newSubtrees(permitted)
	if err != nil {
		return err
	}
	e, err := newSubtrees(excluded)
	if err != nil {
		return err
	}
	if len(p) > 0 {
		s.permitted = append(s.permitted, p)
	}
	s.excluded = append(s.excluded, e...)
	return nil
}

func (s *constraintSet) empty() bool { return len(s.permitted) == 0 && len(s.excluded) == 0 }

func newSubtrees(names []GeneralName) ([]subtree, error) {
	list := make([]subtree, 0, len(names))
	for _, n := range names {
		t := subtree{kind: n.Kind, id: n.ID, directory: n.Directory}
		ok := true
		switch n.Kind {
		case RFC822Name:
			if strings.Contains(n.Text, "@") {
				t.mailbox, ok = parseMailbox(n.Text)
			} else {
				t.host, ok = constraintHost(n.Text)
			}
		case DNSName:
			t.host, ok = constraintHost(n.Text)
		case URI: // RFC 5280 section 4.2.1.10: MUST be a fully qualified domain name
			_, noAddress := netip.ParseAddr(n.Text)
			t.host, ok = constraintHost(n.Text)
			ok = ok && noAddress != nil
		case IPAddress:
			t.network, ok = prefix(n.Raw)
		}
		if !ok {
			return nil, fmt.Errorf("the constraint %v %s is malformed", n.Kind, quote(n.Text))
		}
		list = append(list, t)
	}
	return list, nil
}

var errComparisons = errors.New("there are too many names and name constraints to compare")

// check is RFC 5280 section 6.1.3 (b) and (c) for one certificate. The text of the error is a clause.
func (s *constraintSet) check(c *Certificate) error {
	if s.empty() {
		return nil
	}
	for _, name := range subjects(c) {
		for _, list := range s.permitted {
			constrained, permitted := false, false
			for i := range list {
				if s.comparisons++; s.comparisons > maxNameComparisons {
					return errComparisons
				}
				if !list[i].concerns(&name) {
					continue
				}
				if err := list[i].unusable(&name); err != nil {
					return err
				}
				constrained = true
				if permitted = list[i].contains(&name, false); permitted {
					break
				}
			}
			if constrained && !permitted {
				return fmt.Errorf("the name %s is not among those that are permitted", quote(name.text))
			}
		}
		for i := range s.excluded {
			if s.comparisons++; s.comparisons > maxNameComparisons {
				return errComparisons
			}
			if !s.excluded[i].concerns(&name) {
				continue
			}
			if err := s.excluded[i].unusable(&name); err != nil {
				return err
			}
			if s.excluded[i].contains(&name, true) {
				return fmt.Errorf("the name %s is excluded", quote(name.text))
			}
		}
	}
	return nil
}

// subjects returns the names of a certificate that constraints are about: its subject, its alternative names and, where
// it has none, the mail addresses in its subject (RFC 5280 section 4.2.1.10).
func subjects(c *Certificate) []subject {
	var list []subject
	if !c.Subject.Empty() {
		list = append(list, subject{kind: DirectoryName, directory: c.Subject, text: c.Subject.String()})
	}
	if !c.HasExtension(OIDSubjectAltName) {
		for _, address := range c.Subject.Values(OIDEmailAddress) {
			list = append(list, mailSubject(address))
		}
	}
	for _, n := range c.SubjectAltNames {
		s := subject{kind: n.Kind, id: n.ID, directory: n.Directory, text: n.Text}
		ok := true
		switch n.Kind {
		case OtherName:
			if n.ID == OIDSmtpUTF8Mailbox { // RFC 9598 section 6: constraints on rfc822Name are about it
				list = append(list, mailSubject(n.Text))
			}
			s.text = "otherName of type " + n.ID.String()
		case RFC822Name:
			s = mailSubject(n.Text)
		case DNSName:
			bare := n.Text
			if rest, wildcard := strings.CutPrefix(bare, "*."); wildcard {
				bare = rest
			}
			var host string
			host, ok = normalizeHost(bare)
			s.host = strings.TrimSuffix(lowerASCII(n.Text), lowerASCII(bare)) + host
		case URI:
			s.host, ok = uriHost(n.Text)
		case IPAddress:
			s.address, ok = n.IP()
			s.text = s.address.String()
		case DirectoryName:
			s.text = n.Directory.String()
		}
		s.malformed = s.malformed || !ok
		list = append(list, s)
	}
	return list
}

func mailSubject(address string) subject {
	box, ok := parseMailbox(address)
	return subject{kind: RFC822Name, mailbox: box, malformed: !ok, text: address}
}

// concerns reports whether the subtree is about names of this kind.
func (t *subtree) concerns(s *subject) bool {
	switch {
	case t.kind != s.kind:
		return false
	case t.kind == OtherName:
		return t.id == s.id
	}
	return true
}

// unusable says why a name cannot be compared with a subtree that is about it: RFC 5280 section 4.2.1.10 has such a
// certificate refused.
func (t *subtree) unusable(s *subject) error {
	switch t.kind {
	case OtherName, X400Address, EDIPartyName, RegisteredID:
		return fmt.Errorf("there is a constraint on names of the form %v, which is not supported", t.kind)
	}
	if s.malformed {
		return fmt.Errorf("the %v %s is malformed, and there is a constraint on such names", s.kind, quote(s.text))
	}
	return nil
}

// contains reports whether the name lies in the subtree (RFC 5280 section 4.2.1.10). Where two spellings may or may not
// be the same name, an excluded subtree contains it and a permitted one does not.
func (t *subtree) contains(s *subject, excluded bool) bool {
	switch t.kind {
	case RFC822Name:
		if t.mailbox.local == "" {
			return hostWithin(s.mailbox.host, t.host)
		}
		same := t.mailbox.local == s.mailbox.local
		if excluded { // as nobody gives Alice@ and alice@ to different people
			same = equalFoldASCII(t.mailbox.local, s.mailbox.local)
		}
		return same && t.mailbox.host == s.mailbox.host
	case DNSName:
		if bare := strings.TrimPrefix(t.host, "."); excluded && strings.HasPrefix(s.host, "*.") && strings.HasSuffix(bare, s.host[1:]) {
			return true // a wildcard stands for names that are excluded, too
		}
		return s.host == t.host || t.host == "" || strings.HasSuffix(s.host, t.host) &&
			(t.host[0] == '.' || s.host[len(s.host)-len(t.host)-1] == '.')
	case URI:
		return hostWithin(s.host, t.host)
	case IPAddress:
		return t.network.Contains(s.address)
	case DirectoryName:
		return s.directory.within(t.directory) || excluded && s.directory.mayBeWithin(t.directory)
	}
	return false
}
