package archive

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// judgeHead asks whether the head's signer may sign: now, or, when the certificate has expired since, when the last segment was
// proven to be there.
func (v *verification) judgeHead(ctx context.Context) error {
	if v.signed == nil {
		return nil
	}
	now := v.o.Now()
	f := v.judge(ctx, headName, 0, v.signed, now)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	expired := slices.ContainsFunc(v.signed.bag, func(c *x509.Certificate) bool { return now.After(c.NotAfter) })
	if f != nil && f.Code == SignerRefused && expired && !v.summary.Latest.IsZero() {
		if v.judge(ctx, headName, 0, v.signed, v.summary.Latest) == nil {
			f.Severity, f.Code = Note, SignerExpired
			f.Reason = fmt.Sprintf("the certificate it is signed with was good on %s, and has expired since: archive something, and it is signed anew",
				v.summary.Latest.UTC().Format(time.DateOnly))
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if f == nil {
		return nil
	}
	return v.found(*f)
}

// consistency holds the head against itself: it speaks of all that a segment has, and of nothing else.
func (v *verification) consistency(context.Context) error {
	if v.signed == nil {
		return nil
	}
	h := v.a.head
	wrong := func(name, reason string) error {
		segment, _ := segmentOf(name)
		return v.found(Finding{Severity: Damage, Code: HeadInconsistent, Object: name, Segment: segment, Reason: reason})
	}
	for _, o := range h.Objects {
		if h.expects(o.Name) {
			continue
		}
		if err := wrong(o.Name, "the head lists it, and has no place for it"); err != nil {
			return err
		}
	}
	needed := func(name string) error {
		if h.has(name) {
			return nil
		}
		return wrong(name, "the head should list it, and does not")
	}
	names := []string{readmeName, descriptionName}
	for n := 1; n <= h.Segments; n++ {
		names = append(names, segmentName(n, suffixZIP), segmentName(n, suffixSignature))
		if _, ok := h.generation(n); !ok {
			names = append(names, keysName(n, 1))
		}
		if _, unstamped := slices.BinarySearch(h.Unstamped, n); !unstamped {
			names = append(names, segmentName(n, suffixToken), segmentName(n, suffixEvidence))
		}
		for _, name := range names {
			if err := needed(name); err != nil {
				return err
			}
		}
		names = names[:0]
	}
	for n := 1; n <= h.Statements; n++ {
		names = append(names, statementName(n))
	}
	for _, name := range names {
		if err := needed(name); err != nil {
			return err
		}
	}
	return nil
}

// expects reports whether an archive with this head has an object of this name, or can have.
func (h *Head) expects(name string) bool {
	if n, ok := statementOf(name); ok {
		return n <= h.Statements
	}
	n, ok := segmentOf(name)
	if !ok {
		return name == readmeName || name == descriptionName
	}
	if n > h.Segments {
		return false
	}
	if _, generation, ok := keysOf(name); ok {
		latest, _ := h.generation(n)
		return generation == latest
	}
	switch name {
	case segmentName(n, suffixZIP), segmentName(n, suffixSignature), segmentName(n, suffixToken), segmentName(n, suffixEvidence):
		return true
	}
	_, renewal, ok := renewalOf(name)
	return ok && renewal <= h.Renewals
}

// unexpected tells of what lies in the storage beside what the head speaks of.
func (v *verification) unexpected(ctx context.Context) error {
	if v.signed == nil {
		return nil
	}
	h := v.a.head
	var beyond []string
	for _, name := range v.names {
		if h.has(name) || name == headName {
			continue
		}
		segment, ofSegment := segmentOf(name)
		statement, ofStatement := statementOf(name)
		f := Finding{Severity: Damage, Code: ObjectUnexpected, Object: name, Segment: segment, Reason: "the head does not speak of it"}
		_, _, ofKeys := keysOf(name)
		switch {
		case ofSegment && segment > h.Segments+1, ofStatement && statement > h.Statements+1:
			f.Code, f.Reason = RolledBack, "it comes after what the head speaks of: the head is not the last one that was written"
		case ofSegment && segment == h.Segments+1, ofStatement && statement == h.Statements+1, h.expects(name), ofKeys, isRenewed(name):
			beyond = append(beyond, name)
			continue
		case !ofSegment && !ofStatement && !strings.HasPrefix(name, segmentFolder+"/") && !strings.HasPrefix(name, keyFolder+"/") &&
			!strings.HasPrefix(name, statementFolder+"/"):
			f.Severity, f.Code, f.Reason = Note, ObjectForeign, "it is no part of the archive"
		}
		if err := v.found(f); err != nil {
			return err
		}
	}
	if len(beyond) == 0 {
		return nil
	}
	// Whoever is writing now has moved the head since, perhaps.
	later, _, err := readHead(ctx, v.storage)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, name := range beyond {
		if err == nil && later.Sequence > h.Sequence && later.Archive == h.Archive && later.has(name) {
			continue
		}
		segment, _ := segmentOf(name)
		f := Finding{Severity: Note, Code: LeftBehind, Object: name, Segment: segment,
			Reason: "somebody is writing now, or was interrupted, which the next one mends; or the head is one older than the archive"}
		if err := v.found(f); err != nil {
			return err
		}
	}
	return nil
}

func isRenewed(name string) bool {
	_, renewal, ok := renewalOf(name)
	return ok && renewal > 0
}

// superseded reports whether the archive has moved on since its head was read, and has no object of this name any more.
func (v *verification) superseded(ctx context.Context, name string) bool {
	later, _, err := readHead(ctx, v.storage)
	return err == nil && later.Sequence > v.a.head.Sequence && later.Archive == v.a.head.Archive && !later.has(name)
}

// judge asks whether somebody may have signed at a time, and whether each certificate that came with the signature speaks for it.
func (v *verification) judge(ctx context.Context, name string, segment int, signed *signedObject, at time.Time) *Finding {
	f := Finding{Severity: Damage, Code: CertificateExtra, Object: name, Segment: segment}
	if !signed.whole {
		f.Reason = "a certificate in it cannot be read"
		return &f
	}
	described := func(c *x509.Certificate) bool {
		return slices.ContainsFunc(v.a.description.Signer, func(der []byte) bool { return bytes.Equal(der, c.Raw) })
	}
	path, top := []*x509.Certificate(nil), (*x509.Certificate)(nil)
	if v.v.Signer != nil {
		var err error
		if path, err = v.v.Signer(ctx, signed.signer, signed.bag, at); err != nil {
			f.Code, f.Reason = SignerRefused, err.Error()
			return &f
		}
	} else if !described(signed.signer) {
		path, top = issuers(signed.signer, signed.bag)
	}
	for _, c := range signed.bag {
		switch {
		case described(c) || c.Equal(signed.signer):
			continue // the signature covers its signer's certificate
		case top != nil && c.Equal(top):
			f.Severity, f.Reason = Note, fmt.Sprintf("nothing here says whether the certificate of %.200q with it is the right one", c.Subject.String())
		case !slices.ContainsFunc(path, c.Equal):
			f.Reason = fmt.Sprintf("the certificate of %.200q with it is not of its signer's path", c.Subject.String())
		default:
			continue
		}
		return &f
	}
	return nil
}

// issuers goes from a certificate to those that issued it, without asking whether they may. top is the last one, unless it has signed
// itself: nothing speaks for its signature.
func issuers(c *x509.Certificate, among []*x509.Certificate) (path []*x509.Certificate, top *x509.Certificate) {
	signed := func(by *x509.Certificate) bool {
		return bytes.Equal(c.RawIssuer, by.RawSubject) && by.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
	}
	for path = append(path, c); !signed(c); path = append(path, c) {
		i := slices.IndexFunc(among, func(by *x509.Certificate) bool { return !slices.ContainsFunc(path, by.Equal) && signed(by) })
		if i < 0 {
			return path, c
		}
		c = among[i]
	}
	return path, nil
}
