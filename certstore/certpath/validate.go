package certpath

import (
	"errors"
	"fmt"
)

// maxPath bounds the certificates of a path, without the anchor.
const maxPath = 64

// Validate is basic path validation (RFC 5280 section 6.1, with the policy graph of RFC 9618). path begins with the
// certificate that the anchor issued and ends with the one that is to be validated. It does not ask whether certificates
// are revoked (section 6.1.3 (a)(3)), and nothing is fetched.
//
// Where a path is not valid the error is an *[Error]. That a certificate is outside its validity is told only where
// nothing else is wrong with the path: it was valid, or will be.
func Validate(path []*Certificate, p Parameters) (*Result, error) {
	return validate(path, p, verifySignature)
}

func errNoTime() *Error {
	return &Error{Code: ChainInvalid, Index: -1, Section: "6.1.1 (b)", Reason: "no time was given to judge the certificate at"}
}

// verifySignature checks the signature on c with the key of its issuer.
func verifySignature(c, issuer *Certificate, policy AlgorithmPolicy) error {
	return issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBS, c.Signature, policy)
}

type verifyFunc func(c, issuer *Certificate, policy AlgorithmPolicy) error

// validate is Validate with the signatures checked by verify.
func validate(path []*Certificate, p Parameters, verify verifyFunc) (*Result, error) {
	if p.Time.IsZero() {
		return nil, errNoTime()
	}
	if len(path) == 0 || len(path) > maxPath || p.Anchor.Certificate == nil {
		return nil, &Error{Code: ChainInvalid, Index: -1, Section: "6.1.1 (a)",
			Reason: fmt.Sprintf("a path of %d certificates cannot be validated", len(path))}
	}
	s := newState(path, p, verify)
	if err := s.initialize(); err != nil {
		return nil, err
	}
	for i, c := range path {
		s.i, s.c = i+1, c
		if err := s.process(); err != nil {
			return nil, err
		}
		if s.i < s.n {
			if err := s.prepareNext(); err != nil {
				return nil, err
			}
		}
	}
	result, err := s.wrapUp()
	if err != nil {
		return nil, err
	}
	if s.untimely != nil {
		return nil, s.untimely
	}
	return result, nil
}

// state is that of RFC 5280 section 6.1.2. Certificates are counted from 1 to n, as there.
type state struct {
	p      Parameters
	path   []*Certificate
	verify verifyFunc

	graph            *policyGraph // (a); nil is NULL
	names            constraintSet
	explicitPolicy   int          // (d)
	inhibitAnyPolicy int          // (e)
	policyMapping    int          // (f)
	issuer           *Certificate // (g) working_public_key_algorithm, (h) working_public_key, (i) its parameters
	issuerName       Name         // (j)
	maxPathLength    int          // (k)

	n, i     int
	c        *Certificate // i-th
	untimely *Error       // the last certificate that is outside its validity
}

func (s *state) fail(code Code, section, format string, args ...any) *Error {
	return &Error{Code: code, Index: s.i - 1, Certificate: s.c, Section: section, Reason: fmt.Sprintf(format, args...)}
}

// newState is RFC 5280 section 6.1.2.
func newState(path []*Certificate, p Parameters, verify verifyFunc) *state {
	n := len(path)
	unless := func(inhibited bool) int {
		if inhibited {
			return 0
		}
		return n + 1
	}
	return &state{
		p: p, path: path, verify: verify, n: n,
		graph:            newPolicyGraph(),
		explicitPolicy:   unless(p.InitialExplicitPolicy),
		inhibitAnyPolicy: unless(p.InitialAnyPolicyInhibit),
		policyMapping:    unless(p.InitialPolicyMappingInhibit),
		issuer:           p.Anchor.Certificate, issuerName: p.Anchor.Name,
		maxPathLength: n,
	}
}

// initialize takes in the initial subtrees and, where they count, the anchor's own constraints (RFC 5937 section 3.2).
func (s *state) initialize() error {
	if err := s.names.add(s.p.InitialPermittedSubtrees, s.p.InitialExcludedSubtrees); err != nil {
		return s.fail(ChainInvalid, "6.1.1 (h)", "%v", err)
	}
	anchor := s.p.Anchor.Certificate
	if !s.p.Anchor.Constrained {
		return nil
	}
	s.c = anchor
	if err := s.checkItself(); err != nil {
		return err
	}
	if b := anchor.BasicConstraints; b != nil && b.PathLength >= 0 {
		s.maxPathLength = min(s.maxPathLength, b.PathLength)
	}
	// Before version 3 a certificate could not say what it is.
	if !anchor.isAuthority() && (anchor.Version == 3 || anchor.BasicConstraints != nil) {
		return s.fail(NotACA, "6.1.4 (k), (n)", "%s is not a certificate authority, yet has issued a certificate of the path", anchor.display())
	}
	return s.constrainNames()
}

// checkItself asks of a certificate what does not depend on those around it.
func (s *state) checkItself() error {
	c := s.c
	if len(c.Problems) > 0 {
		problem := c.Problems[0]
		return s.fail(ChainInvalid, problem.Section, "in the certificate of %s %s", c.display(), problem.Reason)
	}
	// RFC 5280 section 6.1.4 (o), 6.1.5 (f). All that are known here are processed.
	if len(c.UnknownCritical) > 0 {
		return s.fail(CriticalExtension, "4.2", "the certificate of %s has a critical extension that is not understood (%v)",
			c.display(), c.UnknownCritical[0])
	}
	if !c.allows(s.p.KeyPurpose) {
		return s.fail(ExtendedKeyUsage, "4.2.1.12", "the extended key usage of the certificate of %s does not allow %s",
			c.display(), purposeName(s.p.KeyPurpose))
	}
	if err := checkTime(c, s.p.Time); err != nil {
		err.Index = s.i - 1
		s.untimely = err
	}
	return nil
}

// process is RFC 5280 section 6.1.3, basic certificate processing.
func (s *state) process() error {
	c := s.c
	if err := s.verify(c, s.issuer, s.p.Algorithms); err != nil { // (a)(1)
		return s.signatureError(err)
	}
	if err := s.checkItself(); err != nil { // (a)(2)
		return err
	}
	if !c.Issuer.Equal(s.issuerName) { // (a)(4)
		return s.fail(ChainInvalid, "6.1.3 (a)(4)", "the issuer that the certificate of %s names is %s, and the one above it is %s",
			c.display(), quoteName(c.Issuer), quoteName(s.issuerName))
	}
	if !c.SelfIssued() || s.i == s.n { // (b), (c)
		if err := s.names.check(c); err != nil {
			code := NameConstraint
			if errors.Is(err, errComparisons) {
				code = ChainInvalid
			}
			failure := s.fail(code, "6.1.3 (b), (c)", "an issuer is constrained to other names than those of %s: %v", c.display(), err)
			failure.Err = err
			return failure
		}
	}
	// (d), (e)
	if c.Policies == nil {
		s.graph = nil
	}
	if s.graph != nil && !s.graph.descend(c.Policies, s.inhibitAnyPolicy > 0 || s.i < s.n && c.SelfIssued()) {
		s.graph = nil
	}
	if s.explicitPolicy == 0 && s.graph == nil { // (f)
		return s.fail(ChainInvalid, "6.1.3 (f)", "the path must be valid for a policy, and is for none from the certificate of %s on", c.display())
	}
	return nil
}

func (s *state) signatureError(err error) *Error {
	failure := s.fail(BadSignature, "6.1.3 (a)(1)", "the signature on the certificate of %s was not made by the key of %s", s.c.display(), s.issuer.display())
	var unsupported *UnsupportedError
	var weak *WeakError
	if errors.As(err, &unsupported) || errors.As(err, &weak) {
		failure.Code = UnsupportedCertificate
		failure.Reason = fmt.Sprintf("the signature on the certificate of %s cannot be relied upon: %v", s.c.display(), err)
	}
	failure.Err = err
	return failure
}

// prepareNext is RFC 5280 section 6.1.4, preparation for the next certificate.
func (s *state) prepareNext() error {
	c := s.c
	for _, m := range c.PolicyMappings { // (a)
		if m.IssuerDomain == OIDAnyPolicy || m.SubjectDomain == OIDAnyPolicy {
			return s.fail(ChainInvalid, "6.1.4 (a)", "%s maps a policy to any policy, or any policy to one", c.display())
		}
	}
	if s.graph != nil && len(c.PolicyMappings) > 0 && !s.graph.apply(c.PolicyMappings, s.policyMapping > 0) { // (b)
		s.graph = nil
	}
	s.issuerName, s.issuer = c.Subject, c // (c) to (f); DSA keys, which inherit parameters, are not supported
	if err := s.constrainNames(); err != nil {
		return err
	}
	if !c.SelfIssued() { // (h)
		s.explicitPolicy = max(s.explicitPolicy-1, 0)
		s.policyMapping = max(s.policyMapping-1, 0)
		s.inhibitAnyPolicy = max(s.inhibitAnyPolicy-1, 0)
	}
	if k := c.PolicyConstraints; k != nil { // (i)
		if k.RequireExplicitPolicy >= 0 {
			s.explicitPolicy = min(s.explicitPolicy, k.RequireExplicitPolicy)
		}
		if k.InhibitPolicyMapping >= 0 {
			s.policyMapping = min(s.policyMapping, k.InhibitPolicyMapping)
		}
	}
	if c.InhibitAnyPolicy >= 0 { // (j)
		s.inhibitAnyPolicy = min(s.inhibitAnyPolicy, c.InhibitAnyPolicy)
	}
	if c.BasicConstraints == nil || !c.BasicConstraints.CA { // (k)
		return s.fail(NotACA, "6.1.4 (k)", "%s is not a certificate authority, yet has issued a certificate of the path", c.display())
	}
	if !c.SelfIssued() { // (l)
		if s.maxPathLength == 0 {
			return s.fail(PathLength, "6.1.4 (l)", "there are more intermediates in the path than an issuer of %s allows", c.display())
		}
		s.maxPathLength--
	}
	if length := c.BasicConstraints.PathLength; length >= 0 { // (m)
		s.maxPathLength = min(s.maxPathLength, length)
	}
	if c.HasKeyUsage && c.KeyUsage&KeyCertSign == 0 { // (n)
		return s.fail(NotACA, "6.1.4 (n)", "%s may not sign certificates, yet has issued one of the path", c.display())
	}
	return nil
}

// constrainNames is RFC 5280 section 6.1.4 (g).
func (s *state) constrainNames() error {
	if n := s.c.NameConstraints; n != nil {
		if err := s.names.add(n.Permitted, n.Excluded); err != nil {
			return s.fail(NameConstraint, "6.1.4 (g)", "in the certificate of %s %v", s.c.display(), err)
		}
	}
	return nil
}

// wrapUp is RFC 5280 section 6.1.5.
func (s *state) wrapUp() (*Result, error) {
	s.explicitPolicy = max(s.explicitPolicy-1, 0)                             // (a)
	if k := s.c.PolicyConstraints; k != nil && k.RequireExplicitPolicy == 0 { // (b)
		s.explicitPolicy = 0
	}
	// (c) to (e) set the working public key, which is that of the last certificate.
	result := new(Result)
	if s.graph != nil { // (g), as in RFC 9618 section 5.5
		result.AuthorityPolicies = s.graph.authorityConstrained()
		result.Policies = userConstrained(result.AuthorityPolicies, s.p.UserInitialPolicySet)
	}
	if s.explicitPolicy == 0 && len(result.Policies) == 0 {
		return nil, s.fail(ChainInvalid, "6.1.5 (g)", "the path must be valid for a policy that is accepted, and is for none")
	}
	return result, nil
}
