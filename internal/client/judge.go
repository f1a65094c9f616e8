package client

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/verdict"
	"github.com/sealmail/sealmail/tsa"
)

// judge opens messages and collects the evidence by which their signatures are judged. It is made once and used for as
// many messages as wanted, by several goroutines too.
type judge struct {
	client      *Client
	store       *certstore.Store
	revocations *revocations
	validator   certstore.Validator
	stamps      *stampTrust
	origins     map[string]certstore.Anchor
	decrypters  []smime.Decrypter
	extra       []*x509.Certificate
	parsed      *certstore.ParseCache
	detached    smime.Source
	allowWeak   bool
	brief       bool
	unseen      bool // no person is shown the message: its signers are not compared with those before
	keepKeys    bool // the message tells the content-encryption keys that opened it
	policy      verdict.Policy
	own         ownership
	// issuers are certificates that are known here and may help to find a path.
	issuers func(*x509.Certificate) []*x509.Certificate
	// found is the evidence of an earlier judgement, as judged has it. What was found wanting then stays as it was found; what was
	// good has to show itself good once more.
	found [][]verdict.Evidence
}

func (c *Client) newJudge(p VerifyParams) (*judge, error) {
	j := &judge{client: c, store: c.certificates(), parsed: new(certstore.ParseCache), allowWeak: p.AllowWeak, brief: p.Brief, policy: verdict.Policy{Revocation: verdict.RevocationMode(p.Revocation), Now: p.At}}
	switch j.policy.Revocation {
	case verdict.RevocationSoft, verdict.RevocationHard, verdict.RevocationOff:
	default:
		return nil, usage("--revocation", fmt.Errorf("%q is not known", p.Revocation), "soft, hard or off")
	}
	if j.policy.Now.IsZero() {
		j.policy.Now = c.o.Now()
	}
	j.issuers = j.store.IssuersOf
	var err error
	if j.validator, err = c.mailValidator(p.Trust); err != nil {
		return nil, err
	}
	if j.origins, err = c.anchorOrigins(); err != nil {
		return nil, err
	}
	if j.revocations, err = c.newRevocations(p.Online); err != nil {
		return nil, err
	}
	if j.revocations.given, err = c.o.readRevocation(p.CRLs, p.OCSPResponses); err != nil {
		return nil, err
	}
	if j.stamps, err = c.stampTrust(p.TSATrust, j.revocations, j.policy.Revocation); err != nil {
		return nil, err
	}
	if j.decrypters, j.extra, err = c.decrypters(p.Keys); err != nil {
		return nil, err
	}
	if !p.Keys.given() {
		if j.own, err = c.ownership(); err != nil {
			return nil, err
		}
		j.policy.Own = j.own.addresses
	}
	return j, nil
}

// Bounds on what judging one message may cost. Honest messages stay far below them.
const (
	maxPaths           = 32 // certificates that a path is looked for
	maxTokens          = 32 // timestamps that are looked at, each of which has a signature of its own to verify
	maxSignatureTokens = 8  // of one signature
)

// timeNotLookedAt says that a signature has timestamps, and that none was looked at.
const timeNotLookedAt verdict.TimeCode = "too-many-timestamps"

var errTooManyPaths = fmt.Errorf("more than %d certificates in one message: the others are not judged", maxPaths)

// judged is an opened message with its verdict. The message must be closed.
type judged struct {
	message  *smime.Message
	verdict  verdict.Verdict
	evidence [][]verdict.Evidence // by layer as in layers, and signature
	layers   []smime.Layer        // those of the message, then the enclosed ones, as in verdict.Subject
	paths    map[*x509.Certificate][]*x509.Certificate
	searched int // how many certificates a path was looked for
	tokens   int // timestamps of all signatures
	looked   int // how many of them were looked at
	origins  map[string]certstore.Anchor
	proof    revocation.Evidence // what revocation was decided by
	stampers []*x509.Certificate // anchors of timestamps that hold

	acquaintances map[*x509.Certificate]certstore.Acquaintance // of good signers
	first         []contact                                    // those of them whom nobody knew
	remarks       []WarningReport                              // beside those of the verdict
	closers       []io.Closer                                  // what is closed with the message
}

// Close closes the message.
func (r *judged) Close() error {
	err := r.message.Close()
	for _, c := range r.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// altered reports whether a signature does not fit what it is over.
func (r *judged) altered() bool {
	return slices.ContainsFunc(r.verdict.Signatures, func(s verdict.SignatureVerdict) bool { return s.Integrity.Status == verdict.Failed })
}

// passed reports whether the message is good.
func (r *judged) passed() bool { return r.verdict.Status == verdict.Passed }

// search reports whether a path may be looked for one more certificate.
func (r *judged) search() bool {
	r.searched++
	return r.searched <= maxPaths
}

// judge opens a message and judges it. A key that is there but out of reach is an error; none at all is a finding.
func (j *judge) judge(ctx context.Context, what string, src smime.Source) (*judged, error) {
	size := src.Size()
	if j.detached != nil {
		size += j.detached.Size()
	}
	m, err := smime.Open(ctx, src, smime.OpenOptions{
		Decrypters: j.decrypters, Certificates: j.extra, ParseCertificate: j.parsed.Parse, Detached: j.detached, AllowWeak: j.allowWeak,
		KeepContentKeys: j.keepKeys, Spool: j.client.layerOptions(size),
	})
	if err != nil {
		return nil, explainOpen(what, err)
	}
	for _, l := range m.Layers {
		if l.Encrypted == nil || l.Encrypted.Status != smime.StatusUndecryptable {
			continue
		}
		var known *Error
		if err := explainEncrypted(what, l.Encrypted); errors.As(err, &known) && known.Kind == Failed {
			return nil, errors.Join(err, m.Close())
		}
	}
	r := &judged{message: m, paths: map[*x509.Certificate][]*x509.Certificate{}, origins: j.origins}
	r.layers = slices.Clone(m.Layers)
	for _, e := range m.Enclosed {
		r.layers = append(r.layers, e.Layer)
	}
	ofMessage := verdict.AddressEvidenceOf(m)
	ofMessage.NoMessage = noMessage(m)
	for i, l := range r.layers {
		var layer []verdict.Evidence
		address := ofMessage
		if l.Covers == smime.CoversEnclosed {
			address = verdict.AddressEvidenceOf(&m.Enclosed[i-len(m.Layers)])
		}
		if l.Signed != nil {
			for k, s := range l.Signed.Signatures {
				e, err := j.evidence(ctx, r, s, r.brought(l.Signed, s), address, j.foundOf(i, k))
				if err != nil {
					return nil, errors.Join(failed(what, err, ""), m.Close())
				}
				layer = append(layer, e)
			}
		}
		r.evidence = append(r.evidence, layer)
	}
	r.verdict = verdict.Judge(verdict.SubjectOf(m), r.evidence, j.policy)
	if !j.unseen {
		if err := j.acquaint(r); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	return r, nil
}

// noMessage reports whether what was opened is a file or a bare entity: no header field of a message is outside or inside.
func noMessage(m *smime.Message) bool {
	return !slices.ContainsFunc(slices.Concat(m.Header, m.Protection.Fields), func(f entity.Field) bool { return !f.Structural() })
}

// foundOf is what was found before of a signature of a layer, or nil.
func (j *judge) foundOf(layer, signature int) *verdict.Evidence {
	if layer < len(j.found) && signature < len(j.found[layer]) {
		return &j.found[layer][signature]
	}
	return nil
}

// evidence is what there is to say of one signature. found is what was found before, or nil. The error is that the context
// ended: what is left out then must not be taken for missing.
func (j *judge) evidence(ctx context.Context, r *judged, s smime.Signature, brought revocation.Evidence, address verdict.AddressEvidence, found *verdict.Evidence) (e verdict.Evidence, err error) {
	var proven verdict.TimeEvidence
	if found != nil && found.Time.Code != verdict.TimeOK {
		proven = found.Time
	} else if proven, err = j.timeEvidence(ctx, r, s); err != nil {
		return verdict.Evidence{}, err
	}
	e = verdict.Evidence{Time: proven, Address: address}
	if s.Signer == nil {
		e.Chain = verdict.ChainEvidence{Code: verdict.ChainNoAnchor, Reason: "the signer's certificate is missing"}
		e.Address.NoCertificate = true
		return e, nil
	}
	at := verdict.TimeThatCounts(e.Time, j.policy.Now)
	if found != nil && found.Chain.Code != verdict.ChainOK {
		e.Chain = found.Chain
	} else {
		e.Chain = j.chainEvidence(r, s, at)
	}
	if found != nil && found.Revocation.Code != verdict.RevocationGood && found.Revocation.Code != verdict.RevocationRevoked {
		e.Revocation = found.Revocation
	} else if e.Revocation, err = j.revocationEvidence(ctx, r, r.paths[s.Signer], brought, e.Time); err != nil {
		return e, err
	}
	e.Address.FromMatches = len(address.From) == 1 && certstore.MatchAddress(s.Signer, address.From[0])
	e.Address.SenderMatches = address.Sender != "" && certstore.MatchAddress(s.Signer, address.Sender)
	return e, nil
}

// chainEvidence looks for a path, with the certificates of the message to help.
func (j *judge) chainEvidence(r *judged, s smime.Signature, at time.Time) verdict.ChainEvidence {
	if !r.search() {
		return verdict.ChainEvidence{Code: verdict.ChainUnsupportedCertificate, Reason: errTooManyPaths.Error()}
	}
	path, err := j.validator.Path(s.Signer, slices.Concat(s.Bag, j.extra, j.issuers(s.Signer)), certstore.SignMail, at)
	var broken *certstore.PathError
	switch {
	case errors.As(err, &broken):
		return verdict.ChainEvidence{Code: verdict.ChainCode(broken.Code), Reason: broken.Reason}
	case err != nil:
		return verdict.ChainEvidence{Code: verdict.ChainInvalid, Reason: err.Error()}
	}
	r.paths[s.Signer] = path
	e := verdict.ChainEvidence{Anchor: certstore.Name(path[len(path)-1])}
	for _, cert := range path {
		e.Certificates = append(e.Certificates, j.parsed.Fingerprint(cert))
	}
	return e
}

// timeEvidence verifies the timestamps of a signature, as far as the bounds let it. The earliest proof counts; without
// one, the first reason.
func (j *judge) timeEvidence(ctx context.Context, r *judged, s smime.Signature) (best verdict.TimeEvidence, err error) {
	r.tokens += len(s.Tokens)
	n := min(len(s.Tokens), maxSignatureTokens, maxTokens-r.looked)
	switch {
	case len(s.Tokens) == 0:
		best = verdict.TimeEvidence{Code: verdict.TimeNoToken, Reason: "there is no timestamp: the time is only claimed"}
	case n == 0:
		best = verdict.TimeEvidence{Token: true, Code: timeNotLookedAt, Reason: "the message has too many timestamps: those of this signature were not looked at"}
	}
	for i, raw := range s.Tokens[:n] {
		if err := ctx.Err(); err != nil {
			return best, err
		}
		r.looked++
		e := j.tokenEvidence(ctx, r, raw, s)
		better := e.Code == verdict.TimeOK && (best.Code != verdict.TimeOK || e.Proven.Before(best.Proven))
		if i == 0 || better {
			best = e
		}
	}
	return best, ctx.Err()
}

func (j *judge) tokenEvidence(ctx context.Context, r *judged, raw []byte, s smime.Signature) verdict.TimeEvidence {
	e := verdict.TimeEvidence{Token: true}
	o := j.stamps.options(ctx, func(cert *x509.Certificate, a revocation.Answer) {
		r.proof.Add(a.Evidence)
		if a.Status == revocation.Unknown && e.AuthorityUnchecked == "" && namesRevocation([]*x509.Certificate{cert}) {
			e.AuthorityUnchecked = fmt.Sprintf("%q: %s", certstore.Name(cert), a.Why)
		}
	})
	o.AllowWeak = j.allowWeak
	o.Path = func(cert *x509.Certificate, bag []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
		if !r.search() {
			return nil, errTooManyPaths
		}
		return j.stamps.path(cert, bag, at)
	}
	token, err := tsa.ParseToken(raw)
	var result *tsa.Result
	if err == nil {
		result, err = withStore(j.stamps, slices.Concat(s.Bag, j.extra), func(extra []*x509.Certificate) (*tsa.Result, error) {
			o.Extra = extra
			return token.Verify(bytes.NewReader(s.Value), o)
		})
	}
	var refused *tsa.TokenError
	switch {
	case errors.As(err, &refused):
		e.Code, e.Reason = verdict.TimeCode(refused.Code), refused.Error()
	case err != nil:
		e.Code, e.Reason = verdict.TimeTokenBroken, err.Error()
	default:
		e.Proven, e.Authority, e.AuthorityEnds = result.Time.UTC(), certstore.Name(result.Authority), result.Authority.NotAfter.UTC()
		for _, cert := range result.Chain {
			r.proof.Add(revocation.Evidence{Certificates: [][]byte{cert.Raw}})
		}
		if anchor := result.Chain[len(result.Chain)-1]; !slices.ContainsFunc(r.stampers, anchor.Equal) {
			r.stampers = append(r.stampers, anchor)
		}
	}
	return e
}
