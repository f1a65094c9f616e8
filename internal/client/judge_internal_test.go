package client

import (
	"context"
	"errors"
	"testing"

	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/verdict"
)

// TestEvidenceEnds: what a context that ended leaves out is no evidence.
func TestEvidenceEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, s := range map[string]smime.Signature{"timestamp": {Tokens: [][]byte{{}}}, "none": {}} {
		r := &judged{}
		if _, err := new(judge).evidence(ctx, r, s, revocation.Evidence{}, verdict.AddressEvidence{}, nil); !errors.Is(err, context.Canceled) || r.looked > 0 {
			t.Errorf("%s: %d timestamps were looked at, and the error is %v", name, r.looked, err)
		}
	}
}
