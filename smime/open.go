package smime

import (
	"context"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/cms/ber"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/spool"
	"golang.org/x/crypto/cryptobyte"
)

// Open reads a message (RFC 5322), a MIME entity, or bare CMS in DER, PEM or base64, and opens its layers of protection
// from the outside in: encrypted, signed, compressed, encrypted again, and so on until something else is met, which is
// the content. Only these layers protect the message; signatures further inside are listed as Enclosed, and encrypted
// parts further inside stay shut.
//
// A layer that does not hold is no error of Open: its Status or Err says so. Text that failed to decrypt is not there;
// signed content is there also under a signature that is wrong. The error of Open says that the source cannot be read,
// that the context ended, or that a limit was exceeded.
func Open(ctx context.Context, src Source, o OpenOptions) (*Message, error) {
	o.Limits = o.Limits.withDefaults()
	if o.ParseCertificate == nil {
		o.ParseCertificate = cms.RawCertificate.Parse
	}
	op := &opener{ctx: ctx, o: o, m: new(Message)}
	if err := op.open(src); err != nil {
		return nil, errors.Join(err, op.m.Close())
	}
	return op.m, nil
}

type opener struct {
	ctx context.Context
	o   OpenOptions
	m   *Message

	usedDetached bool // the content in the options is what a layer signs
}

func (op *opener) open(src Source) error {
	at, bare, err := rootOf(src, op.o.Limits.Entity)
	if err != nil {
		return err
	}
	op.m.Header = at.Header
	for depth := 0; ; depth++ {
		inside, layer, err := op.peel(at, bare && depth == 0)
		if err != nil {
			return err
		}
		op.note(at)
		if layer == nil { // what is not a layer is content
			break
		}
		if depth >= op.o.Limits.Layers {
			return fmt.Errorf("%w: limit is %d", ErrTooManyLayers, op.o.Limits.Layers)
		}
		layer.Covers = CoversWhole
		if layer.Signed != nil && op.o.Detached != nil && !op.usedDetached {
			layer.Signed.refuse(ErrNotDetached)
		}
		op.m.Layers = append(op.m.Layers, *layer)
		if inside == nil {
			return nil // there is nothing to display
		}
		if inside == at { // a layer that is none: its signature is not built as it should be
			break
		}
		at = inside
		if !ofMessage(op.m.Header) && ofMessage(at.Header) { // protection around a whole message
			op.m.Header = at.Header
		}
	}
	op.m.root, op.m.Content = at, at.Section()
	return op.readContent()
}

// ofMessage tells the header of a message from that of an entity by itself.
func ofMessage(h entity.Header) bool {
	return slices.ContainsFunc(h, func(f entity.Field) bool { return f.Name != "" && !f.Structural() })
}

func (op *opener) note(e *entity.Entity) {
	for _, n := range e.Notes {
		op.addNote(n)
	}
}

func (op *opener) addNote(n entity.Note) { op.m.addNote(n) }

func (m *Message) addNote(n entity.Note) {
	if !slices.Contains(m.Notes, n) {
		m.Notes = append(m.Notes, n)
	}
}

// peel opens the layer that e is. The layer is nil if e is none. inside is what was found in it, nil if nothing may be
// shown.
func (op *opener) peel(e *entity.Entity, bare bool) (inside *entity.Entity, layer *Layer, err error) {
	switch kind := kindOf(e); kind {
	case kindMultipart:
		return op.multipartSigned(e)
	case kindCMS, kindMaybeCMS:
		return op.cms(e, kind == kindMaybeCMS, bare)
	}
	return nil, nil, nil
}

// cms opens a CMS message.
func (op *opener) cms(e *entity.Entity, maybe, bare bool) (*entity.Entity, *Layer, error) {
	body := e.Decode()
	info, err := cms.Read(body, op.o.Limits.CMS)
	if err != nil {
		var unsupported *cms.UnsupportedError
		switch {
		case errors.As(err, &unsupported):
			op.addNote(entity.Note{Code: "unsupported-cms", Text: err.Error()})
			return nil, nil, nil
		case !isFormError(err):
			return nil, nil, err
		case maybe:
			return nil, nil, nil
		}
		return nil, unreadable(e, err), nil
	}
	var inside *entity.Entity
	var layer *Layer
	switch info := info.(type) {
	case *cms.EnvelopedData:
		inside, layer, err = op.encrypted(e, info)
	case *cms.SignedData:
		inside, layer, err = op.opaque(e, info, bare)
	case *cms.CompressedData:
		inside, layer, err = op.compressed(e, info)
	default: // what S/MIME does not use
		unused := &cms.UnsupportedError{What: "content type of a message", Algorithm: info.ContentType()}
		op.addNote(entity.Note{Code: "unsupported-cms", Text: unused.Error()})
	}
	if !bare { // the end of PEM is no liberty
		for _, n := range body.Notes() {
			op.addNote(n)
		}
	}
	return inside, layer, err
}

// unreadable is the layer for CMS that cannot be read as a whole.
func unreadable(e *entity.Entity, err error) *Layer {
	switch meant := meantType(e); {
	case meant.Equal(cms.OIDSignedData):
		return &Layer{Signed: &Signed{Form: Opaque, Err: err}}
	case meant.Equal(cms.OIDCompressedData):
		return &Layer{Compressed: &Compressed{Err: err}}
	}
	return &Layer{Encrypted: &Encrypted{Status: StatusFailed, Err: fmt.Errorf("%w: %w", ErrDamaged, err)}}
}

// meantType returns the content type that damaged CMS was to have: its first octets say so, or else smime-type does; nil
// where neither is of help.
func meantType(e *entity.Entity) asn1.ObjectIdentifier {
	head := make([]byte, 64)
	n, _ := io.ReadFull(e.Decode(), head) // what is there will do
	if _, size, err := ber.ParseHeader(head[:n]); err == nil {
		var contentType asn1.ObjectIdentifier
		if rest := cryptobyte.String(head[size:n]); rest.ReadASN1ObjectIdentifier(&contentType) {
			return contentType
		}
	}
	switch strings.ToLower(e.Type.Params.Get("smime-type")) {
	case "signed-data", "certs-only":
		return cms.OIDSignedData
	case "compressed-data":
		return cms.OIDCompressedData
	}
	return nil
}

// isFormError tells an error that the message is to blame for from one of the source, the spool or the context.
func isFormError(err error) bool {
	if err == nil {
		return false
	}
	var unsupported *cms.UnsupportedError
	for _, form := range []error{cms.ErrMalformed, cms.ErrTooMany, cms.ErrTooLarge, cms.ErrTooDeep, ber.ErrSyntax, ber.ErrTag} {
		if errors.Is(err, form) {
			return true
		}
	}
	return errors.As(err, &unsupported)
}

// newSpool returns a spool that is closed with the message. The limit is on all of them together: each layer may be as large
// as the one around it. One is written at a time, so that the others have the size they will have.
func (op *opener) newSpool() *spool.Spool {
	o := op.o.Spool
	if o.Limit > 0 {
		for _, have := range op.m.spools {
			o.Limit -= have.Size()
		}
		o.Limit = max(o.Limit, 1) // 0 were none
	}
	s := spool.New(o)
	op.m.spools = append(op.m.spools, s)
	return s
}

// discard closes a spool whose text is released to nobody.
func (op *opener) discard(s *spool.Spool) error {
	for i, have := range op.m.spools {
		if have == s {
			op.m.spools = append(op.m.spools[:i], op.m.spools[i+1:]...)
		}
	}
	return s.Close()
}

// readContent looks into the content: protected header fields, enclosed signatures, parts.
func (op *opener) readContent() error {
	opened, decrypted := false, false
	for _, l := range op.m.Layers {
		opened = opened || l.Encrypted != nil || l.Signed != nil && l.Signed.Content != nil
		decrypted = decrypted || l.Encrypted != nil
	}
	if opened {
		if err := op.readProtection(decrypted); err != nil {
			return err
		}
	}
	nodes, err := entity.Walk(op.m.root, op.o.Limits.Entity)
	if err != nil {
		return err
	}
	op.m.nodes = nodes
	for _, n := range nodes {
		op.note(n.Entity)
	}
	if op.m.copied, err = op.m.headerCopy(decrypted); err != nil {
		return err
	}
	op.m.listParts()
	return op.enclosedSignatures()
}

// readProtection reads the protected header fields of a payload, and notes what is odd about them.
func (op *opener) readProtection(decrypted bool) error {
	wrapped, err := wrappedMessage(op.m.root, op.o.Limits.Entity)
	if err != nil {
		return err
	}
	op.m.Protection = readProtection(op.m.Header, op.m.root, wrapped, decrypted)
	switch {
	case op.m.Protection.Scheme == HPCipher && !decrypted && ofMessage(op.m.Header):
		// RFC 9788 section 2.1.1: so only a message that is encrypted is marked.
		op.addNote(entity.Note{Code: "encryption-missing", Text: "its sender says that this message is encrypted, and it is not, or not any more: others could read it"})
	case op.m.Protection.Scheme == HPNone && op.m.root.Message():
		op.addNote(entity.Note{Code: "message-attached", Text: "all there is to the message is another one, which is not said to be the same: it is shown as attached"})
	}
	return nil
}
