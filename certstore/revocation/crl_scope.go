package revocation

import (
	"bytes"
	"slices"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// point is a distribution point of a certificate, with the names that a list may have for it.
type point struct {
	certpath.DistributionPoint
	names []certpath.GeneralName // distributionPoint; nil where it is absent
}

// pointsOf returns the distribution points of c, and last the one that is assumed for any list of its issuer (RFC 5280
// section 6.3.3, the paragraph after (l)).
func pointsOf(c *certpath.Certificate) []point {
	var points []point
	for _, p := range c.CRLDistributionPoints {
		issuer := c.Issuer
		if len(p.CRLIssuer) > 0 {
			issuer = directoryOf(p.CRLIssuer)
		}
		points = append(points, point{p, namesOf(p.Name, issuer)})
	}
	own := certpath.GeneralName{Kind: certpath.DirectoryName, Raw: c.Issuer.Raw, Directory: c.Issuer}
	return append(points, point{names: []certpath.GeneralName{own}})
}

// directoryOf returns the first distinguished name, or the empty one.
func directoryOf(names []certpath.GeneralName) certpath.Name {
	for _, n := range names {
		if n.Kind == certpath.DirectoryName {
			return n.Directory
		}
	}
	return certpath.Name{}
}

// namesOf returns the names of a point in full: one that is relative is so to the issuer of the list (RFC 5280 section
// 4.2.1.13).
func namesOf(name certpath.DistributionPointName, issuer certpath.Name) []certpath.GeneralName {
	if name.RelativeToName == nil {
		return name.FullName
	}
	full := issuer.Append(name.RelativeToName)
	return []certpath.GeneralName{{Kind: certpath.DirectoryName, Raw: full.Raw, Directory: full}}
}

func anyMatches(a, b []certpath.GeneralName) bool {
	return slices.ContainsFunc(a, func(n certpath.GeneralName) bool {
		return slices.ContainsFunc(b, func(m certpath.GeneralName) bool { return sameName(n, m) })
	})
}

// issues reports whether the list is by whom the point says (RFC 5280 section 6.3.3 (b)(1)).
func (l *CRL) issues(p point, c *certpath.Certificate) bool {
	if len(p.CRLIssuer) == 0 {
		return l.Issuer.Equal(c.Issuer)
	}
	own := certpath.GeneralName{Kind: certpath.DirectoryName, Directory: l.Issuer}
	return l.Scope.IndirectCRL && slices.ContainsFunc(p.CRLIssuer, func(n certpath.GeneralName) bool { return sameName(n, own) })
}

// covers returns why a list, which is by whom the point says, is not about the certificate, or "" (RFC 5280 section 6.3.3
// (b)(2)).
func (l *CRL) covers(p point, c *certpath.Certificate) string {
	if names := namesOf(l.Scope.Name, l.Issuer); names != nil { // (i)
		wanted := p.names
		if wanted == nil {
			wanted = p.CRLIssuer
		}
		if !anyMatches(names, wanted) {
			return "it is for another distribution point"
		}
	}
	authority := c.BasicConstraints != nil && c.BasicConstraints.CA
	switch {
	case l.Scope.OnlyContainsUserCerts && authority: // (ii)
		return "it is not about certificates of authorities"
	case l.Scope.OnlyContainsCACerts && !authority: // (iii)
		return "it is about certificates of authorities only"
	case l.Scope.OnlyContainsAttributeCerts: // (iv)
		return "it is about attribute certificates only"
	}
	return ""
}

// reasons returns the reasons for which a list speaks about the certificates of a point (RFC 5280 section 6.3.3 (d)).
func (l *CRL) reasons(p point) certpath.ReasonFlags {
	mask := certpath.AllReasons
	if l.Scope.HasOnlySomeReasons {
		mask &= l.Scope.OnlySomeReasons
	}
	if p.HasReasons {
		mask &= p.Reasons
	}
	return mask
}

// updates returns why a delta list cannot be combined with a complete one by the same issuer, or "" (RFC 5280 sections
// 6.3.3 (c) and 5.2.4).
func (l *CRL) updates(complete *CRL) string {
	switch {
	case !bytes.Equal(l.rawScope, complete.rawScope): // (c)(2)
		return "it has another scope"
	case !bytes.Equal(l.rawAKID, complete.rawAKID): // (c)(3)
		return "it names another key"
	case l.Number == nil || complete.Number == nil:
		return "one of the two has no number"
	case complete.Number.Cmp(l.BaseNumber) < 0:
		return "it begins at a later list"
	case complete.Number.Cmp(l.Number) >= 0:
		return "it is older"
	}
	return ""
}
