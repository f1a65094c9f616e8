package smime

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

// opaque opens the SignedData in e, which carries its content.
func (op *opener) opaque(e *entity.Entity, sd *cms.SignedData, bare bool) (*entity.Entity, *Layer, error) {
	layer := &Signed{Form: Opaque}
	if sd.Detached() {
		return op.alone(sd, layer, bare)
	}
	content := op.newSpool()
	digest, err := sd.ReadContent(op.ctx, content)
	if err != nil && !isFormError(err) {
		return nil, nil, err
	}
	layer.Content = content.Section()
	if err != nil {
		// Signed text is no secret: what there is of it is shown, under a signature that failed.
		layer.Err = err
	} else if digest, err = op.rehash(sd, digest, content.Section()); err != nil {
		return nil, nil, err
	} else {
		op.verify(sd, digest, layer)
	}
	inside, err := entity.Parse(content, op.o.Limits.Entity)
	return inside, &Layer{Signed: layer}, err
}

// alone handles a SignedData without content outside multipart/signed: a bag of certificates, or a signature whose
// content is elsewhere.
func (op *opener) alone(sd *cms.SignedData, layer *Signed, bare bool) (*entity.Entity, *Layer, error) {
	if _, err := sd.ReadContent(op.ctx, nil); isFormError(err) {
		layer.Err = err
		return nil, &Layer{Signed: layer}, nil
	} else if err != nil {
		return nil, nil, err
	}
	layer.Certificates, layer.CRLs, layer.OCSPResponses = sd.Certificates, sd.CRLs, sd.OCSPResponses
	if len(sd.SignerInfos) == 0 {
		// RFC 8551 section 3.8: certs-only signs nothing, and so protects nothing.
		return nil, nil, nil
	}
	layer.Form = Detached
	if !bare || op.o.Detached == nil {
		layer.Err = ErrNoContent
		op.verify(sd, nil, layer)
		return nil, &Layer{Signed: layer}, nil
	}
	op.usedDetached = true
	content := io.NewSectionReader(op.o.Detached, 0, op.o.Detached.Size())
	inside, err := entity.Parse(content, op.o.Limits.Entity)
	if err == nil {
		inside, err = op.detached(sd, layer, inside, nil)
	}
	if layer.Canonical { // the file that was given is not what was signed, octet for octet
		op.addNote(noteLineEnds)
	}
	return inside, &Layer{Signed: layer}, err
}

var noteLineEnds = entity.Note{
	Code: "line-ends", Text: "the signature is over the content with other line ends (CRLF) than the file given for it has",
}

// multipartSigned opens multipart/signed (RFC 1847 section 2.1): the first part is what was signed, the second the
// signature, and there is no third.
func (op *opener) multipartSigned(e *entity.Entity) (*entity.Entity, *Layer, error) {
	// The content is digested while the parts are looked for. What micalg says is not relied on: where the signers use
	// something else, the content is read once more.
	early, err := newContentHash(op.ctx, e.End-e.Body, announcedHashes(e.Type.Params.Get("micalg")))
	if err != nil {
		return nil, nil, err
	}
	parts, err := e.Children(early, entity.Limits{HeaderBytes: op.o.Limits.Entity.HeaderBytes, Parts: 3})
	if err = errors.Join(err, early.Close()); err != nil {
		return nil, nil, err
	}
	isSMIME := len(parts) > 1 && isSignature(parts[1])
	if e.Type.Params.Get("protocol") == "" && !isSMIME {
		return nil, nil, nil
	}
	layer := &Signed{Form: Detached}
	broken := func(why string) (*entity.Entity, *Layer, error) {
		layer.Err = fmt.Errorf("%w: %s", ErrStructure, why)
		return e, &Layer{Signed: layer}, nil
	}
	switch {
	case len(parts) != 2:
		return broken(fmt.Sprintf("multipart/signed has %d parts instead of 2", len(parts)))
	case !isSMIME:
		return broken("the second part is not a signature")
	}
	op.note(parts[1])
	content := parts[0].Section()
	signature := parts[1].Decode()
	info, err := cms.Read(signature, op.o.Limits.CMS)
	if err != nil && !isFormError(err) {
		return nil, nil, err
	}
	sd, isSigned := info.(*cms.SignedData)
	switch {
	case err != nil:
		layer.Err = err
	case !isSigned:
		layer.Err = fmt.Errorf("%w: the signature is a CMS message of another type", ErrStructure)
	default:
		if _, err = sd.ReadContent(op.ctx, nil); err != nil && !isFormError(err) {
			return nil, nil, err
		}
		layer.Err = err
		if err == nil && !sd.Detached() {
			layer.Err = ErrTwoContents
		}
		for _, n := range signature.Notes() {
			op.addNote(n)
		}
	}
	if layer.Err != nil {
		layer.Content = content
		if errors.Is(layer.Err, ErrTwoContents) { // the signers are known, and all of them fail
			op.verify(sd, nil, layer)
		}
		return parts[0], &Layer{Signed: layer}, nil
	}
	inside, err := op.detached(sd, layer, parts[0], early)
	return inside, &Layer{Signed: layer}, err
}

// detached verifies a detached signature over an entity, and returns the entity that was verified. early is what is known
// of its octets already; it may be nil.
//
// What is hashed first are the octets as they are. Where they contain bare line feeds, because mail was stored with the
// line ends of the machine, a signature that does not fit may have been made over the canonical form (RFC 8551 section
// 3.1.1: text is converted before it is signed, so a verifier must convert what storing converted back). Then that form
// is also what comes out as the content: what is verified is what is shown.
func (op *opener) detached(sd *cms.SignedData, layer *Signed, signed *entity.Entity, early *contentHash) (*entity.Entity, error) {
	content := signed.Section()
	hashes := signersHashes(sd)
	if !early.covers(hashes) {
		var err error
		if early, err = newContentHash(op.ctx, content.Size(), hashes); err != nil {
			return nil, err
		}
		if err := errors.Join(copyContext(op.ctx, early, section(content)), early.Close()); err != nil {
			return nil, err
		}
	}
	layer.Content = content
	op.verify(sd, early.digest, layer)
	mismatches := countMismatches(layer.Signatures)
	if early.lineEnds.Changed() && mismatches > 0 {
		canonical := op.newSpool()
		digest, err := cms.NewContentDigest(hashes...)
		if err != nil {
			return nil, err
		}
		if _, err := copyCanonical(op.ctx, io.MultiWriter(digest, canonical), section(content)); err != nil {
			return nil, err
		}
		second := &Signed{Form: Detached, Content: canonical.Section(), Canonical: true}
		op.verify(sd, digest, second)
		if countMismatches(second.Signatures) < mismatches {
			*layer = *second
			return entity.Parse(canonical, op.o.Limits.Entity)
		}
		if err := op.discard(canonical); err != nil {
			return nil, err
		}
	}
	return signed, nil
}

// section returns a reader of its own over the same octets.
func section(r *io.SectionReader) *io.SectionReader { return io.NewSectionReader(r, 0, r.Size()) }

// signersHashes returns the digest algorithms that the signers need. One that is not implemented fails its signature,
// and nothing else.
func signersHashes(sd *cms.SignedData) []crypto.Hash {
	var hashes []crypto.Hash
	for _, si := range sd.SignerInfos {
		if h, err := si.Digest(); err == nil {
			hashes = append(hashes, h)
		}
	}
	return hashes
}

func countMismatches(signatures []Signature) int {
	n := 0
	for _, s := range signatures {
		// Without signed attributes there is no digest to compare: the signature value itself is wrong then.
		if errors.Is(s.Err, cms.ErrMessageDigest) || errors.Is(s.Err, cms.ErrSignature) && s.SignerInfo.SignedAttributes == nil {
			n++
		}
	}
	return n
}

// rehash reads opaque content again where a signer uses a digest that the message does not announce up front.
func (op *opener) rehash(sd *cms.SignedData, digest *cms.ContentDigest, content *io.SectionReader) (*cms.ContentDigest, error) {
	hashes := signersHashes(sd)
	if covers(digest, hashes) {
		return digest, nil
	}
	digest, err := cms.NewContentDigest(hashes...)
	if err != nil {
		return nil, err
	}
	return digest, copyContext(op.ctx, digest, content)
}

// maxParsedCertificates bounds the octets of certificates in a message that are parsed, which takes up to a hundred times
// their memory. An ordinary message has four thousand.
const maxParsedCertificates = 512 << 10

var errTooManyCertificates = fmt.Errorf("the message has more than %d octets of certificates", maxParsedCertificates)

// verify fills in the signatures. Without a digest there is a layer.Err, which all of them get.
func (op *opener) verify(sd *cms.SignedData, digest *cms.ContentDigest, layer *Signed) {
	layer.Certificates, layer.CRLs, layer.OCSPResponses = sd.Certificates, sd.CRLs, sd.OCSPResponses
	parsed := make([]struct {
		cert *x509.Certificate
		err  error
	}, len(sd.Certificates))
	bag := make([]*x509.Certificate, 0, len(sd.Certificates))
	room := maxParsedCertificates
	for i, raw := range sd.Certificates {
		p := &parsed[i]
		if len(raw) > room {
			p.err = errTooManyCertificates
			continue
		}
		room -= len(raw)
		if p.cert, p.err = op.o.ParseCertificate(raw); p.err == nil {
			bag = append(bag, p.cert)
		}
	}
	o := cms.VerifyOptions{
		ContentType: sd.EContentType, AllowWeak: op.o.AllowWeak,
		ParseCertificate: func(c cms.RawCertificate) (*x509.Certificate, error) {
			i := slices.IndexFunc(sd.Certificates, func(raw cms.RawCertificate) bool { return bytes.Equal(raw, c) })
			if i < 0 {
				return c.Parse()
			}
			p := &parsed[i]
			if errors.Is(p.err, errTooManyCertificates) { // Verify asks for what signers name, and has a bound of its own
				p.cert, p.err = op.o.ParseCertificate(c)
			}
			return p.cert, p.err
		},
	}
	if layer.Content != nil {
		o.Content = layer.Content
	}
	results, _ := sd.Verify(digest, o, op.o.Certificates...) // each signature has its own error
	layer.Signatures = nil
	for _, r := range results {
		si := r.SignerInfo
		s := Signature{
			SignerInfo: si, Signer: r.Certificate, Bag: bag, Value: si.Signature, Tokens: si.TimeStampTokens(),
			Algorithm: cms.SignatureName(si, r.Certificate), Err: r.Err, Weak: r.Weak,
		}
		s.SigningTime, _ = si.SigningTime()
		s.RevocationValues, s.RevocationErr = si.RevocationValues()
		if h, err := si.Digest(); err == nil {
			s.Digest = cms.DigestName(h)
		}
		switch {
		case layer.Err != nil:
			s.Err = layer.Err
		case s.Err == nil && !sd.EContentType.Equal(cms.OIDData):
			// S/MIME signs MIME entities: another type is something else that the signer signed (RFC 8551 section 2.4.2).
			s.Err = fmt.Errorf("%w: %v is not a message", cms.ErrContentType, sd.EContentType)
		}
		layer.Signatures = append(layer.Signatures, s)
	}
}
