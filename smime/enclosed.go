package smime

import (
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

// enclosedSignatures verifies signed parts inside the content. Their text belongs to them and not to the message; what
// is encrypted in there stays shut, because opening it would turn the reader into a decryption oracle.
func (op *opener) enclosedSignatures() error {
	for i, n := range op.m.nodes {
		if n.Parent < 0 || insideSigned(op.m.nodes, i) {
			continue
		}
		if len(op.m.Enclosed) == op.o.Limits.Enclosed {
			return nil
		}
		layer, err := op.enclosedSignature(n.Entity)
		if err != nil {
			return err
		}
		if layer == nil {
			continue
		}
		layer.Covers = CoversPart
		enclosed := Enclosed{Part: op.m.firstPart(i), Message: -1}
		if root := op.m.attachedRoot(i); root >= 0 {
			layer.Covers, enclosed.header = CoversEnclosed, op.m.nodes[root].Header
			if root == i {
				enclosed.Message = op.m.firstPart(op.m.nodes[root].Parent)
			}
		}
		enclosed.Layer = *layer
		op.m.Enclosed = append(op.m.Enclosed, enclosed)
		if len(layer.Signed.Signatures) > 0 {
			op.m.markSigned(i)
		}
	}
	return nil
}

// attachedRoot returns the node that is the attached message which node i is in, the innermost of several, or -1.
func (m *Message) attachedRoot(i int) int {
	for root := i; root >= 0; root = m.nodes[root].Parent {
		if around := m.nodes[root].Parent; around >= 0 && m.attached(around) {
			return root
		}
	}
	return -1
}

func (op *opener) enclosedSignature(e *entity.Entity) (*Layer, error) {
	switch kind := kindOf(e); kind {
	case kindMultipart:
		_, layer, err := op.multipartSigned(e)
		return layer, err
	case kindCMS, kindMaybeCMS:
		return op.enclosedCMS(e)
	}
	return nil, nil
}

func (op *opener) enclosedCMS(e *entity.Entity) (*Layer, error) {
	info, err := cms.Read(e.Decode(), op.o.Limits.CMS)
	if isFormError(err) {
		return nil, nil // not known to be signed
	}
	if err != nil {
		return nil, err
	}
	sd, ok := info.(*cms.SignedData)
	if !ok {
		return nil, nil
	}
	_, layer, err := op.opaque(e, sd, false)
	return layer, err
}

// insideSigned reports whether a part lies in a multipart/signed below the content: that one speaks for it.
func insideSigned(nodes []entity.Node, i int) bool {
	for at := nodes[i].Parent; at > 0; at = nodes[at].Parent {
		if kindOf(nodes[at].Entity) == kindMultipart {
			return true
		}
	}
	return false
}
