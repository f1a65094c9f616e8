package tsa

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that reading returns, wrapped.
var (
	// ErrMalformed says that octets are not the structure that they should be, in the encoding that they should have.
	ErrMalformed = errors.New("malformed time-stamp data")
	// ErrTooLarge says that a structure exceeds MaxSize.
	ErrTooLarge = errors.New("time-stamp data is too large")
	// ErrVersion says that a structure has a version other than 1.
	ErrVersion = errors.New("unsupported version of time-stamp data")
)

// The rules for a token. The first one that it breaks is the Rule of a [TokenError].
var (
	// ErrContentType: the token is a SignedData over a TSTInfo (RFC 3161 section 2.4.2).
	ErrContentType = errors.New("content of the token is not a TSTInfo")
	// ErrSigners: exactly one SignerInfo, the authority's (RFC 3161 section 2.4.2).
	ErrSigners = errors.New("token has not exactly one signer")
	// ErrSigningCertificate: the certificate is named by its hash among the signed attributes (RFC 5816 section 2.2.1).
	ErrSigningCertificate = errors.New("signing-certificate attribute of the token does not match the certificate")
	// ErrSignature: the signature and the signed attributes are right (RFC 5652 section 5.6).
	ErrSignature = errors.New("signature of the token is wrong")
	// ErrExtension: no critical extension of the TSTInfo is unknown (RFC 3161 section 2.4.2).
	ErrExtension = errors.New("token has an unknown critical extension")
	// ErrAuthorityName: the field tsa names the subject of the certificate (RFC 3161 section 2.4.2).
	ErrAuthorityName = errors.New("token names another authority than its certificate")
	// ErrImprint: the token is over these octets (RFC 3161 section 2.4.2).
	ErrImprint = errors.New("token is for other data")
	// ErrNonce: the token answers this request (RFC 3161 section 2.4.2).
	ErrNonce = errors.New("token is for another request")
	// ErrPolicy: the token was issued under a policy that was asked for (RFC 3161 section 2.4.2).
	ErrPolicy = errors.New("token was issued under another policy")
	// ErrDigest: the hash algorithm of the imprint is known and strong enough.
	ErrDigest = errors.New("hash algorithm of the token is not accepted")
	// ErrAlgorithm: the signature algorithm is known and strong enough.
	ErrAlgorithm = errors.New("signature algorithm of the token is not accepted")
	// ErrNoCertificate: the certificate of the authority is in the token or was supplied.
	ErrNoCertificate = errors.New("certificate of the authority was not found")
	// ErrPurpose: the certificate is for time stamping and nothing else, and says so critically (RFC 3161 section 2.3).
	ErrPurpose = errors.New("certificate is not fit for time stamping")
	// ErrPath: the certificate was valid under a trust anchor for time stamping at the time that the token states.
	ErrPath = errors.New("authority is not trusted for time stamping")
	// ErrRevoked: no certificate of its path was revoked in a way that the token does not survive (RFC 3161 section 4).
	ErrRevoked = errors.New("certificate of the authority was revoked")
	// ErrRevocation: where that has to be known, it is.
	ErrRevocation = errors.New("whether the authority was revoked is not known")
	// ErrOutdated: it was still valid at a later time, where that is asked for (RFC 4998 section 5.3).
	ErrOutdated = errors.New("authority was trusted at the time of the token, and no longer is at the time until which it has to hold")
)

// Code sorts the reasons for which a token is refused, in the words of a verdict.
type Code string

// The codes. A broken token and one for something else prove nothing, whoever made them; with an untrusted authority
// the token may be right, but it could not be established that somebody trusted made it.
const (
	CodeBroken    Code = "token-broken"
	CodeMismatch  Code = "token-mismatch"
	CodeUntrusted Code = "untrusted-authority"
)

// TokenError says why a token is refused. It wraps both the rule and the cause.
type TokenError struct {
	Code Code
	Rule error // one of the rules above, ErrMalformed, ErrTooLarge or ErrVersion
	Err  error // what was found, or nil
}

func (e *TokenError) Error() string {
	switch {
	case e.Err == nil:
		return e.Rule.Error()
	case errors.Is(e.Err, e.Rule):
		return e.Err.Error() // says so already
	}
	return e.Rule.Error() + ": " + e.Err.Error()
}

func (e *TokenError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Rule}
	}
	return []error{e.Rule, e.Err}
}

// broken, mismatch and untrusted make a TokenError with its cause in words.
func broken(rule error, format string, args ...any) error {
	return &TokenError{CodeBroken, rule, fmt.Errorf(format, args...)}
}

func mismatch(rule error, format string, args ...any) error {
	return &TokenError{CodeMismatch, rule, fmt.Errorf(format, args...)}
}

func untrusted(rule error, format string, args ...any) error {
	return &TokenError{CodeUntrusted, rule, fmt.Errorf(format, args...)}
}

// Errors of a [Client] beyond those of a token.
var (
	// ErrConfig says that a Client cannot work as it is set up; nothing was sent.
	ErrConfig = errors.New("time-stamp client is not usable")
	// ErrNetwork says that there was no answer. It wraps the error of the network, or of the context.
	ErrNetwork = errors.New("time-stamp authority could not be reached")
	// ErrUnauthorized says that the authority does not know the client, or does not let it in: HTTP status 401 or 403.
	ErrUnauthorized = errors.New("time-stamp authority does not let this client in")
	// ErrHTTP says that the server answered, but not with a time-stamp response.
	ErrHTTP = errors.New("not a time-stamp response")
)

// StatusError says that the authority refused a request (RFC 3161 section 2.4.2).
type StatusError struct {
	Status   Status
	FailInfo FailInfo
	Text     []string // the authority's own words: they come from outside and may hold anything
}

func (e *StatusError) Error() string {
	var b strings.Builder
	b.WriteString("time-stamp authority gave no token: ")
	b.WriteString(e.Status.String())
	if e.FailInfo != 0 {
		b.WriteString(": ")
		b.WriteString(e.FailInfo.String())
	}
	if len(e.Text) > 0 {
		const enough = 200
		fmt.Fprintf(&b, " (%.*q)", enough, strings.Join(e.Text, "; "))
	}
	return b.String()
}
