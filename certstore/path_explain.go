package certstore

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Bounds on explaining a failure. They limit work, not correctness: a path that was not found stays not found.
const (
	maxExplainTimes = 64
	maxExplainTries = 128
)

// explain says why find found no path at this time. The verdict depends on the difference: a path that breaks a
// constraint fails, one that only expired or reaches no anchor leaves the question open.
func (s *search) explain(at time.Time, err error) *PathError {
	if own := asPathError(err); own != nil {
		return own
	}
	// First, because what leads to no anchor does so at any time, and whoever makes up a heap of authorities could have
	// hours spent on trying.
	linked, obstacle := s.walk(err)
	if obstacle != nil {
		return obstacle
	}
	s.narrow(linked)
	anyUsage := []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	_, anyErr := s.find(at, anyUsage)
	if anyErr == nil {
		return s.usageError(err)
	}
	if own := asPathError(anyErr); own != nil {
		return own
	}
	if chain, ownErr := s.findAtOtherTime(at, s.extendedKeyUsages()); ownErr != nil {
		return ownErr
	} else if chain != nil {
		return timeError(chain, at, err)
	}
	if chain, ownErr := s.findAtOtherTime(at, anyUsage); ownErr != nil {
		return ownErr
	} else if chain != nil {
		return s.usageError(err)
	}
	return s.classify(at, anyErr)
}

func (s *search) usageError(err error) *PathError {
	wanted := "e-mail protection"
	switch s.use {
	case TimeStamp:
		wanted = "time stamping"
	case ServeTLS:
		wanted = "servers"
	}
	return &PathError{Code: ExtendedKeyUsage, Err: err, Certificate: s.leaf,
		Reason: "the extended key usage of the certificate or of an issuer does not allow " + wanted}
}

// findAtOtherTime looks for a path that is valid at any time. Wherever one is, it is so at the moment when the last of
// its certificates became valid, and that moment lies within the leaf's validity. The latest that has passed is tried
// first. A path that breaks a constraint of our own at that time is returned as error.
func (s *search) findAtOtherTime(at time.Time, usages []x509.ExtKeyUsage) ([]*x509.Certificate, *PathError) {
	times := []time.Time{s.leaf.NotBefore}
	for _, c := range s.issuers {
		if c.NotBefore.After(s.leaf.NotBefore) && !c.NotBefore.After(s.leaf.NotAfter) {
			times = append(times, c.NotBefore)
		}
	}
	slices.SortFunc(times, func(a, b time.Time) int {
		if a.After(at) != b.After(at) {
			if a.After(at) {
				return 1
			}
			return -1
		}
		return b.Compare(a)
	})
	times = slices.CompactFunc(times, time.Time.Equal)
	for _, t := range times[:min(len(times), maxExplainTimes)] {
		chain, err := s.find(t, usages)
		if err == nil {
			return chain, nil
		}
		if own := asPathError(err); own != nil {
			return nil, own
		}
	}
	return nil, nil
}

// timeError names the certificate of a path whose validity does not include this time.
func timeError(chain []*x509.Certificate, at time.Time, err error) *PathError {
	for _, c := range chain {
		if e := validityError(c, at, err); e != nil {
			return e
		}
	}
	return &PathError{Code: ChainInvalid, Err: err, Reason: "the certificate path is not valid: " + reasonOf(err)}
}

// validityError says that c is outside its validity, or returns nil (RFC 5280 section 4.1.2.5).
func validityError(c *x509.Certificate, at time.Time, err error) *PathError {
	const layout = "2006-01-02 15:04 MST"
	switch {
	case at.After(c.NotAfter):
		return &PathError{Code: Expired, Certificate: c, Err: err,
			Reason: fmt.Sprintf("the certificate of %s expired on %s", displayName(c), c.NotAfter.UTC().Format(layout))}
	case at.Before(c.NotBefore):
		return &PathError{Code: NotYetValid, Certificate: c, Err: err,
			Reason: fmt.Sprintf("the certificate of %s is not valid before %s", displayName(c), c.NotBefore.UTC().Format(layout))}
	}
	return nil
}

// classify turns what the standard library said into a code.
func (s *search) classify(at time.Time, err error) *PathError {
	fail := func(code PathCode, format string, args ...any) *PathError {
		return &PathError{Code: code, Err: err, Reason: fmt.Sprintf(format, args...)}
	}
	var invalid x509.CertificateInvalidError
	var critical x509.UnhandledCriticalExtension
	switch {
	case errors.As(err, &critical):
		return fail(CriticalExtension, "a certificate of the path has a critical extension that is not understood")
	case errors.As(err, &invalid):
		result := s.classifyInvalid(invalid, at, fail)
		result.Certificate = invalid.Cert
		return result
	}
	return fail(ChainInvalid, "the certificate path is not valid: %s", reasonOf(err))
}

func (s *search) classifyInvalid(invalid x509.CertificateInvalidError, at time.Time, fail func(PathCode, string, ...any) *PathError) *PathError {
	name := "the issuer"
	if invalid.Cert != nil {
		name = displayName(invalid.Cert)
	}
	switch invalid.Reason {
	case x509.Expired:
		if invalid.Cert != nil {
			if e := validityError(invalid.Cert, at, invalid); e != nil {
				return e
			}
		}
		return fail(Expired, "the validity periods of the certificates in the path never overlapped")
	case x509.NotAuthorizedToSign:
		return fail(NotACA, "%s is not a certificate authority, yet has issued a certificate of the path", name)
	case x509.TooManyIntermediates:
		return fail(PathLength, "there are more intermediates in the path than %s allows", name)
	case x509.CANotAuthorizedForThisName, x509.NameConstraintsWithoutSANs, x509.UnconstrainedName:
		return fail(NameConstraints, "an issuer is constrained to other names than those of %s", name)
	case x509.IncompatibleUsage, x509.CANotAuthorizedForExtKeyUsage:
		return s.usageError(invalid)
	case x509.NameMismatch:
		return fail(ChainInvalid, "the issuer that %s names is not the subject of the certificate above it", name)
	}
	return fail(ChainInvalid, "the certificate path is not valid: %s", reasonOf(invalid))
}

// walk goes up from the leaf, by name and as far as signatures hold, along every branch, and returns whom it met. Where
// an anchor is among them something else is wrong. Otherwise it says what stands in the way: where no issuer of the
// right name is known, there is simply no anchor.
func (s *search) walk(err error) (linked []*x509.Certificate, obstacle *PathError) {
	anchored := false
	top, tries := s.leaf, 0
	seen := map[string]bool{string(s.leaf.Raw): true}
	for queue := []*x509.Certificate{s.leaf}; len(queue) > 0; queue = queue[1:] {
		current := queue[0]
		anchored = anchored || slices.ContainsFunc(s.anchors, current.Equal)
		ends := true
		for _, issuer := range s.issuers {
			if !bytes.Equal(issuer.RawSubject, current.RawIssuer) || seen[string(issuer.Raw)] || tries == maxExplainTries {
				continue
			}
			tries++
			if sigErr := current.CheckSignatureFrom(issuer); sigErr != nil {
				// An authority that changed its key has two certificates of one name: the other is no forgery.
				if obstacle == nil && !namesAnotherKey(current, issuer) {
					obstacle = signatureError(current, issuer, sigErr)
				}
				continue
			}
			ends = false
			seen[string(issuer.Raw)] = true
			queue, linked = append(queue, issuer), append(linked, issuer)
		}
		if ends {
			top = current
		}
	}
	switch {
	case anchored:
		return linked, nil
	case obstacle != nil:
		return nil, obstacle
	}
	return nil, s.noAnchor(top, err)
}

// narrow leaves out all issuers but these.
func (s *search) narrow(issuers []*x509.Certificate) {
	s.issuers, s.intermediates = issuers, x509.NewCertPool()
	for _, c := range issuers {
		s.intermediates.AddCert(c)
	}
}

// namesAnotherKey reports whether c says that its issuer has another key than this one (RFC 5280 section 4.2.1.1).
func namesAnotherKey(c, issuer *x509.Certificate) bool {
	return len(c.AuthorityKeyId) > 0 && len(issuer.SubjectKeyId) > 0 && !bytes.Equal(c.AuthorityKeyId, issuer.SubjectKeyId)
}

func (s *search) noAnchor(top *x509.Certificate, err error) *PathError {
	reason := fmt.Sprintf("the certificate of %s is issued by %s, which is not known and not trusted for %s",
		displayName(top), quotedIssuer(top), s.use.Purpose())
	if selfIssued(top) {
		reason = fmt.Sprintf("the path ends at %s, which is not trusted for %s", displayName(top), s.use.Purpose())
	}
	return &PathError{Code: NoAnchor, Reason: reason, Certificate: top, Err: err}
}

func signatureError(c, issuer *x509.Certificate, err error) *PathError {
	var constraint x509.ConstraintViolationError
	var insecure x509.InsecureAlgorithmError
	switch {
	case errors.As(err, &constraint):
		return &PathError{Code: NotACA, Certificate: issuer, Err: err,
			Reason: displayName(issuer) + " is not a certificate authority, yet is named as issuer of a certificate of the path"}
	case errors.As(err, &insecure):
		return &PathError{Code: UnsupportedCertificate, Certificate: c, Err: err,
			Reason: fmt.Sprintf("the certificate of %s is signed with an algorithm that is too weak (%v)", displayName(c), c.SignatureAlgorithm)}
	case errors.Is(err, x509.ErrUnsupportedAlgorithm):
		return &PathError{Code: UnsupportedCertificate, Certificate: c, Err: err,
			Reason: fmt.Sprintf("the certificate of %s is signed with an algorithm that is not supported", displayName(c))}
	}
	return &PathError{Code: BadSignature, Certificate: c, Err: err,
		Reason: fmt.Sprintf("the signature on the certificate of %s was not made by the key of %s", displayName(c), displayName(issuer))}
}

func quotedIssuer(c *x509.Certificate) string {
	name := c.Issuer.CommonName
	if name == "" {
		name = c.Issuer.String()
	}
	return fmt.Sprintf("%q", shorten(name, 80))
}

// reasonOf takes the package prefix off an error of crypto/x509.
func reasonOf(err error) string {
	if err == nil {
		return "unknown reason"
	}
	text, _ := bytes.CutPrefix([]byte(err.Error()), []byte("x509: "))
	return shorten(string(text), 200)
}
