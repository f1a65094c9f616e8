package server

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/tsa"
)

// ErrOptions is wrapped by the errors of [New] that a change of its options mends: a certificate that is not fit for
// time stamping, a key that does not belong to it, a missing policy.
var ErrOptions = errors.New("time-stamp authority cannot start")

// Options says what an authority works with.
type Options struct {
	Signer   crypto.Signer
	Chain    []*x509.Certificate     // the certificate of Signer, then those above it; sent along when asked for
	Policies []asn1.ObjectIdentifier // under which tokens are issued; the first is used where a request names none
	Clock    func() time.Time        // the source of time, as in time.Now; the zero time means that there is none
	Accuracy time.Duration           // how far the clock may be off; 0: not stated in tokens
	Ordering bool                    // each token has a later time than those before it, over restarts too, and says so
	Digests  []crypto.Hash           // accepted in requests; none: SHA-256, SHA-384 and SHA-512

	// State is the directory that keeps serial numbers unique over restarts. It is made if it is missing, and locked:
	// one authority at a time can use it.
	State string
	Disk  safeio.Disk // the zero value is the real one

	// Failed, if set, is told of failures inside the authority, which its clients see as systemFailure only.
	Failed func(error)
}

// Authority is a time-stamp authority. It is safe for concurrent use.
type Authority struct {
	o       Options
	signers []cms.Signer // the one
	serials *serials
	wait    func(context.Context, time.Duration) error // for the clock
}

// New makes an authority, and reserves the first serial numbers. Errors wrap [ErrOptions], [ErrStateInUse] or
// [ErrState], or are those of the disk.
func New(o Options) (*Authority, error) {
	o.Chain = slices.Clone(o.Chain)
	o.Policies = slices.Clone(o.Policies)
	o.Digests = slices.Clone(o.Digests)
	if len(o.Digests) == 0 {
		o.Digests = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	scheme, digest, err := cms.DefaultSignature(o.Chain[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	s, err := openSerials(o.Disk, o.State)
	if err != nil {
		return nil, err
	}
	if o.Ordering {
		s.after(o.Clock())
	}
	signers := []cms.Signer{{Certificate: o.Chain[0], Key: o.Signer, Scheme: scheme, Digest: digest}}
	return &Authority{o: o, signers: signers, serials: s, wait: waitFor}, nil
}

// Close gives up the lock on the state. The authority answers nothing afterwards.
func (a *Authority) Close() error { return a.serials.close() }

func (o *Options) check() error {
	switch {
	case o.Signer == nil:
		return errors.New("there is no key")
	case len(o.Chain) == 0:
		return errors.New("there is no certificate")
	case len(o.Policies) == 0:
		return errors.New("there is no policy")
	case o.Clock == nil:
		return errors.New("there is no clock")
	case o.State == "":
		return errors.New("there is no directory for the state")
	case o.Accuracy < 0:
		return errors.New("accuracy is negative")
	case o.Accuracy > maxAccuracy:
		return fmt.Errorf("accuracy is more than %v", maxAccuracy)
	}
	for _, hash := range o.Digests {
		if !hash.Available() {
			return fmt.Errorf("hash %v is not available", hash)
		}
		if _, err := tsa.NewMessageImprint(hash, make([]byte, hash.Size())); err != nil {
			return err
		}
	}
	leaf := o.Chain[0]
	if err := tsa.CheckCertificate(leaf); err != nil {
		return err
	}
	// Stricter than CheckCertificate, which judges others: this key signs, and says so.
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return errors.New("key usage of the certificate lacks digitalSignature")
	}
	if err := checkStrength(leaf); err != nil {
		return err
	}
	public, ok := o.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return errors.New("key does not belong to the certificate")
	}
	return o.checkValidity(o.Clock())
}

// maxAccuracy is far beyond what a clock is off by that is worth asking.
const maxAccuracy = 24 * time.Hour

// checkStrength makes sure that who verifies tokens need not take the key, or the certificate's signature, for weak.
func checkStrength(leaf *x509.Certificate) error {
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < 2048 {
		return fmt.Errorf("RSA key of %d bits is too short; 2048 are needed", key.N.BitLen())
	}
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		return fmt.Errorf("certificate is signed with %v, which is too weak", leaf.SignatureAlgorithm)
	}
	return nil
}

// checkValidity makes sure that tokens can be issued now: nobody accepts one from outside the certificate's validity.
func (o *Options) checkValidity(now time.Time) error {
	leaf := o.Chain[0]
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("certificate is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("certificate has expired on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// Respond answers a TimeStampReq with a TimeStampResp (RFC 3161 section 2.4). What is wrong with a request is said in
// the response and is no error. An error means that the authority itself failed; the response then says
// systemFailure or timeNotAvailable and can be sent as well.
func (a *Authority) Respond(ctx context.Context, request []byte) (response []byte, err error) {
	r, err := a.respond(ctx, request)
	der, marshalErr := r.Marshal()
	if marshalErr != nil {
		// Only a token can be too large to be sent.
		err = errors.Join(err, marshalErr)
		der, marshalErr = rejection(tsa.SystemFailure, "internal failure").Marshal()
	}
	return der, errors.Join(err, marshalErr)
}

func rejection(reason tsa.FailInfo, text string) *tsa.Response {
	return &tsa.Response{Status: tsa.Rejection, FailInfo: reason, Text: []string{text}}
}

func (a *Authority) respond(ctx context.Context, request []byte) (*tsa.Response, error) {
	r, err := tsa.ParseRequest(request)
	if errors.Is(err, tsa.ErrVersion) {
		return rejection(tsa.BadRequest, "only version 1 is supported"), nil
	}
	if err != nil {
		return rejection(tsa.BadDataFormat, "request is malformed"), nil
	}
	info, refused := a.accept(r)
	if refused != nil {
		return refused, nil
	}
	var refusal *tsa.Response
	if info.GenTime, info.SerialNumber, refusal, err = a.stamp(ctx); refusal != nil {
		return refusal, err
	}
	token, err := a.sign(ctx, info, r.CertReq)
	if err != nil {
		return rejection(tsa.SystemFailure, "internal failure"), fmt.Errorf("signing: %w", err)
	}
	return &tsa.Response{Status: tsa.Granted, Token: token}, nil
}

// stamp returns the time of a token and its serial number, or why there is none, with what only the authority is to know.
func (a *Authority) stamp(ctx context.Context) (at time.Time, serial *big.Int, refusal *tsa.Response, err error) {
	if a.o.Ordering {
		at, serial, err = a.takeOrdered(ctx)
	} else if at, err = a.now(time.Millisecond); err == nil {
		serial, err = a.serials.take()
	}
	switch {
	case err == nil:
	case errors.Is(err, errNoTime):
		refusal = rejection(tsa.TimeNotAvailable, "no time source")
	case errors.Is(err, errClockBehind):
		refusal = rejection(tsa.TimeNotAvailable, "clock is being set")
	case errors.Is(err, errOutOfService):
		refusal = rejection(tsa.SystemFailure, "authority is out of service")
	default:
		refusal, err = rejection(tsa.SystemFailure, "internal failure"), fmt.Errorf("serial number: %w", err)
	}
	return at, serial, refusal, err
}

// now returns the time in whole units, if tokens can be issued then.
func (a *Authority) now(unit time.Duration) (time.Time, error) {
	now := a.o.Clock().UTC().Truncate(unit)
	if now.IsZero() {
		return now, errNoTime
	}
	if err := a.o.checkValidity(now); err != nil {
		return now, fmt.Errorf("%w: %w", errOutOfService, err)
	}
	return now, nil
}

// accept says what a token for this request will hold, or why there is none (RFC 3161 section 2.4.2).
func (a *Authority) accept(r *tsa.Request) (*tsa.TSTInfo, *tsa.Response) {
	hash, err := r.Imprint.Hash(false)
	switch {
	case errors.Is(err, tsa.ErrDigest):
		return nil, rejection(tsa.BadAlg, "hash algorithm is not supported")
	case err != nil:
		return nil, rejection(tsa.BadDataFormat, "length of the imprint does not fit its hash algorithm")
	case !slices.Contains(a.o.Digests, hash):
		return nil, rejection(tsa.BadAlg, "hash algorithm is not accepted")
	}
	policy := a.o.Policies[0]
	if r.Policy != nil {
		if !slices.ContainsFunc(a.o.Policies, r.Policy.Equal) {
			return nil, rejection(tsa.UnacceptedPolicy, "policy is not one of this authority's")
		}
		policy = r.Policy
	}
	if len(r.Extensions) > 0 {
		// RFC 3161 section 2.4.1: critical or not, an extension that is not recognized is refused.
		return nil, rejection(tsa.UnacceptedExtension, "extensions are not supported")
	}
	return &tsa.TSTInfo{Policy: policy, Imprint: r.Imprint, Accuracy: a.o.Accuracy, Ordering: a.o.Ordering, Nonce: r.Nonce}, nil
}

// sign makes the token. Its signed attributes name the certificate by its hash (RFC 5816 section 2.2.1), as cms does
// for every signature.
func (a *Authority) sign(ctx context.Context, info *tsa.TSTInfo, withCertificates bool) ([]byte, error) {
	content, err := info.Marshal()
	if err != nil {
		return nil, err
	}
	o := cms.SignedDataOptions{ContentType: cms.OIDTSTInfo, Signers: a.signers}
	if withCertificates {
		// RFC 3161 section 2.4.1: without certReq there must be none.
		o.Certificates = a.o.Chain
	}
	return cms.Sign(ctx, content, o)
}
