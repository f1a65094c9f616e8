package verdict_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/verdict"
)

func signedLayer(covers verdict.Covers, errs ...error) verdict.Layer {
	l := verdict.Layer{Covers: covers, Signed: new(verdict.Signed)}
	for _, err := range errs {
		l.Signed.Signatures = append(l.Signed.Signatures, verdict.Signature{Err: err})
	}
	return l
}

func encryptedLayer(decrypted, authenticated bool) verdict.Layer {
	return verdict.Layer{Covers: smime.CoversWhole, Encrypted: &verdict.Encrypted{Decrypted: decrypted, Authenticated: authenticated}}
}

func compressedLayer(err error) verdict.Layer {
	return verdict.Layer{Covers: smime.CoversWhole, Compressed: &verdict.Compressed{Err: err}}
}

var revoked = verdict.RevocationEvidence{Code: verdict.RevocationRevoked, At: proven.Add(-time.Hour)}

// TestStructure is about which signatures count.
func TestStructure(t *testing.T) {
	const whole, part, enclosed = smime.CoversWhole, smime.CoversPart, smime.CoversEnclosed
	wrong := cms.ErrMessageDigest
	mismatch := good()
	mismatch.Address.FromMatches = false
	mismatch.Revocation = revoked
	noAnchor := good()
	noAnchor.Chain.Code = verdict.ChainNoAnchor
	broken := signedLayer(whole)
	broken.Signed.Err = smime.ErrStructure
	unread := signedLayer(whole)
	unread.Signed.Err = &cms.UnsupportedError{What: "content type"}

	tests := map[string]struct {
		layers   []verdict.Layer
		evidence [][]verdict.Evidence // nil: all good
		want     verdict.Status
		warnings []string
	}{
		"no layer":                   {nil, nil, verdict.Unsigned, nil},
		"encrypted only":             {[]verdict.Layer{encryptedLayer(true, true)}, nil, verdict.Unsigned, nil},
		"encrypted only, CBC":        {[]verdict.Layer{encryptedLayer(true, false)}, nil, verdict.Unsigned, []string{"not-authenticated"}},
		"signed":                     {[]verdict.Layer{signedLayer(whole, nil)}, nil, verdict.Passed, nil},
		"signed in encrypted":        {[]verdict.Layer{encryptedLayer(true, true), signedLayer(whole, nil)}, nil, verdict.Passed, nil},
		"signed in CBC":              {[]verdict.Layer{encryptedLayer(true, false), signedLayer(whole, nil)}, nil, verdict.Passed, nil},
		"badly signed in CBC":        {[]verdict.Layer{encryptedLayer(true, false), signedLayer(whole, wrong)}, nil, verdict.Failed, []string{"not-authenticated"}},
		"signature around the seal":  {[]verdict.Layer{signedLayer(whole, nil), encryptedLayer(true, true)}, nil, verdict.Indeterminate, []string{"signed-outside"}},
		"around a seal that holds":   {[]verdict.Layer{signedLayer(whole, nil), encryptedLayer(false, true)}, nil, verdict.Indeterminate, []string{"signed-outside"}},
		"no signer":                  {[]verdict.Layer{signedLayer(whole)}, nil, verdict.Failed, nil},
		"broken structure":           {[]verdict.Layer{broken}, nil, verdict.Failed, nil},
		"signature cannot be read":   {[]verdict.Layer{unread}, nil, verdict.Failed, nil},
		"two good signers":           {[]verdict.Layer{signedLayer(whole, nil, nil)}, nil, verdict.Passed, nil},
		"a bad one beside a good":    {[]verdict.Layer{signedLayer(whole, nil, wrong)}, nil, verdict.Failed, nil},
		"a good one beside a bad":    {[]verdict.Layer{signedLayer(whole, wrong, nil)}, nil, verdict.Failed, nil},
		"unknown beside good":        {[]verdict.Layer{signedLayer(whole, nil, nil)}, [][]verdict.Evidence{{good(), noAnchor}}, verdict.Indeterminate, nil},
		"evidence for one of two":    {[]verdict.Layer{signedLayer(whole, nil, nil)}, [][]verdict.Evidence{{good()}}, verdict.Failed, []string{"revocation-unknown"}},
		"no evidence":                {[]verdict.Layer{signedLayer(whole, nil)}, [][]verdict.Evidence{}, verdict.Failed, []string{"revocation-unknown"}},
		"triple wrapped":             {[]verdict.Layer{signedLayer(whole, nil), encryptedLayer(true, true), signedLayer(whole, nil)}, nil, verdict.Passed, nil},
		"outer signer is a gateway":  {[]verdict.Layer{signedLayer(whole, nil), signedLayer(whole, nil)}, [][]verdict.Evidence{{mismatch}, {good()}}, verdict.Passed, nil},
		"outer integrity is asked":   {[]verdict.Layer{signedLayer(whole, wrong), signedLayer(whole, nil)}, nil, verdict.Failed, nil},
		"outer chain is asked":       {[]verdict.Layer{signedLayer(whole, nil), signedLayer(whole, nil)}, [][]verdict.Evidence{{noAnchor}, {good()}}, verdict.Indeterminate, nil},
		"inner address is asked":     {[]verdict.Layer{signedLayer(whole, nil), signedLayer(whole, nil)}, [][]verdict.Evidence{{good()}, {mismatch}}, verdict.Failed, nil},
		"compressed only":            {[]verdict.Layer{compressedLayer(nil)}, nil, verdict.Unsigned, nil},
		"signed in compressed":       {[]verdict.Layer{compressedLayer(nil), signedLayer(whole, nil)}, nil, verdict.Passed, nil},
		"compressed in signed":       {[]verdict.Layer{signedLayer(whole, nil), compressedLayer(nil)}, nil, verdict.Passed, nil},
		"badly signed in compressed": {[]verdict.Layer{compressedLayer(nil), signedLayer(whole, wrong)}, nil, verdict.Failed, nil},
		"compressed in badly signed": {[]verdict.Layer{signedLayer(whole, wrong), compressedLayer(nil)}, nil, verdict.Failed, nil},
		"a bomb":                     {[]verdict.Layer{compressedLayer(cms.ErrTooLarge)}, nil, verdict.Unsigned, []string{"not-decompressed"}},
		"a bomb in signed":           {[]verdict.Layer{signedLayer(whole, nil), compressedLayer(cms.ErrTooLarge)}, nil, verdict.Indeterminate, []string{"not-decompressed"}},
		"a bomb in badly signed":     {[]verdict.Layer{signedLayer(whole, wrong), compressedLayer(cms.ErrTooLarge)}, nil, verdict.Failed, []string{"not-decompressed"}},
		"part":                       {[]verdict.Layer{signedLayer(part, nil)}, nil, verdict.Indeterminate, []string{"partly-signed"}},
		"bad part":                   {[]verdict.Layer{signedLayer(part, wrong)}, nil, verdict.Failed, nil},
		"enclosed":                   {[]verdict.Layer{signedLayer(enclosed, nil)}, nil, verdict.Unsigned, nil},
		"bad enclosed":               {[]verdict.Layer{signedLayer(enclosed, wrong)}, nil, verdict.Unsigned, nil},
		"bad part under a signature": {[]verdict.Layer{signedLayer(whole, nil), signedLayer(part, wrong), signedLayer(enclosed, wrong)}, nil, verdict.Passed, nil},
		"part in encrypted":          {[]verdict.Layer{encryptedLayer(true, true), signedLayer(part, nil)}, nil, verdict.Indeterminate, []string{"partly-signed"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.evidence == nil {
				for _, l := range test.layers {
					var list []verdict.Evidence
					if l.Signed != nil {
						for range l.Signed.Signatures {
							list = append(list, good())
						}
					}
					test.evidence = append(test.evidence, list)
				}
			}
			v := verdict.Judge(verdict.Subject{Layers: test.layers}, test.evidence, verdict.Policy{Now: now})
			if v.Status != test.want {
				t.Errorf("%s instead of %s: %+v", v.Status, test.want, v.Signatures)
			}
			if diff := cmp.Diff(test.warnings, codes(v)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHeaders is about warnings that come from protected header fields.
func TestHeaders(t *testing.T) {
	own := []string{"BOB@example.ORG", "bob@bücher.example"}
	tests := map[string]struct {
		change func(*verdict.Subject)
		bad    bool
		want   []string
	}{
		"to me":             {func(s *verdict.Subject) { s.To = []string{"carol@example.org", "bob@EXAMPLE.org"} }, false, nil},
		"to my IDN address": {func(s *verdict.Subject) { s.To = []string{"bob@xn--bcher-kva.example"} }, false, nil},
		"to somebody else":  {func(s *verdict.Subject) { s.To = []string{"carol@example.org"} }, false, []string{"not-addressed-to-you"}},
		"to nobody":         {func(*verdict.Subject) {}, false, []string{"not-addressed-to-you"}},
		"sent by me":        {func(s *verdict.Subject) { s.From = []string{"bob@example.org"} }, false, nil},
		"not protected":     {func(s *verdict.Subject) { s.Protected = false }, false, nil},
		"From differs":      {func(s *verdict.Subject) { s.To, s.FromMismatch = own, true }, false, []string{"from-differs"}},
		"From differs, bad": {func(s *verdict.Subject) { s.To, s.FromMismatch = own, true }, true, []string{"from-mismatch"}},
		"another field": {func(s *verdict.Subject) {
			s.To, s.Outer = own, []verdict.OuterField{{"Subject", "x", false}, {"Date", "", false}, {"Cc", "x", true}}
		}, false, []string{"header-differs", "header-differs", "header-differs"}},
		"From is said once": {func(s *verdict.Subject) {
			s.To, s.FromMismatch, s.Outer = own, true, []verdict.OuterField{{"from", "x", false}}
		}, false, []string{"from-differs"}},
		"another address as name": {func(s *verdict.Subject) { s.To, s.Sender.Also = own, []string{"a@b", "c@d"} }, false, []string{"from-name", "from-name"}},
		"From mixes scripts":      {func(s *verdict.Subject) { s.To, s.Sender.Addresses = own, []string{"аlice@example.org"} }, false, []string{"mixed-scripts"}},
		"domain mixes scripts":    {func(s *verdict.Subject) { s.To, s.Sender.Addresses = own, []string{"alice@exаmple.org"} }, false, []string{"mixed-scripts"}},
		"Subject is there twice":  {func(s *verdict.Subject) { s.To, s.Repeated = own, []string{"Subject", "To"} }, false, []string{"repeated-field", "repeated-field"}},
		"From is there twice":     {func(s *verdict.Subject) { s.To, s.Repeated = own, []string{"From"} }, true, nil},
		"several in From":         {func(s *verdict.Subject) { s.To, s.Sender.Addresses = own, []string{"a@b", "c@d"} }, true, nil},
		"name differs, only":      {func(s *verdict.Subject) { s.To, s.Outer = own, []verdict.OuterField{{"From", "x", false}} }, false, []string{"header-differs"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := signed()
			s.Protected, s.From = true, []string{"alice@example.org"}
			if test.bad {
				s.Layers[0].Signed.Signatures[0].Err = cms.ErrSignature
			}
			test.change(&s)
			v := verdict.Judge(s, [][]verdict.Evidence{{good()}}, verdict.Policy{Now: now, Own: own})
			if diff := cmp.Diff(test.want, codes(v)); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, test := range map[string]struct {
		sender verdict.SenderFacts
		want   []string
	}{
		"one":        {verdict.SenderFacts{Addresses: []string{"a@b"}}, nil},
		"several":    {verdict.SenderFacts{Addresses: []string{"a@b", "c@d"}}, []string{"several-from"}},
		"unreadable": {verdict.SenderFacts{Unreadable: "From names a group"}, []string{"from-unreadable"}},
		"named":      {verdict.SenderFacts{Addresses: []string{"a@b"}, Also: []string{"c@d"}}, []string{"from-name"}},
	} {
		v := verdict.Judge(verdict.Subject{Sender: test.sender}, nil, verdict.Policy{Now: now})
		if diff := cmp.Diff(test.want, codes(v)); diff != "" || v.Status != verdict.Unsigned {
			t.Errorf("unsigned, %s: %s %s", name, v.Status, diff)
		}
	}
	unsigned := verdict.Subject{Protected: true, Layers: []verdict.Layer{encryptedLayer(true, true)}}
	if v := verdict.Judge(unsigned, nil, verdict.Policy{Now: now, Own: own}); len(v.Warnings) > 0 {
		t.Errorf("unsigned: %v", v.Warnings)
	}
}

// FuzzMoreSigners checks that adding a layer or a signature never improves a verdict that a signature has decided.
func FuzzMoreSigners(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte{8, 0, 16, 255})
	f.Fuzz(func(t *testing.T, choices []byte) {
		if len(choices) > 16 {
			choices = choices[:16]
		}
		layer := signedLayer(smime.CoversWhole)
		var evidence []verdict.Evidence
		last := verdict.Passed
		for _, c := range choices {
			e := good()
			var err error
			if c&1 != 0 {
				err = cms.ErrSignature
			}
			if c&2 != 0 {
				e.Chain.Code = verdict.ChainNoAnchor
			}
			if c&4 != 0 {
				e.Address.FromMatches = false
			}
			if c&8 != 0 {
				e.Revocation = revoked
			}
			layer.Signed.Signatures = append(layer.Signed.Signatures, verdict.Signature{Err: err})
			evidence = append(evidence, e)
			v := verdict.Judge(verdict.Subject{Layers: []verdict.Layer{layer}}, [][]verdict.Evidence{evidence}, verdict.Policy{Now: now})
			if rank(v.Status) > rank(last) {
				t.Fatalf("%s became %s", last, v.Status)
			}
			if v.Status == verdict.Passed && c != c&0xf0 {
				t.Fatalf("%08b passed", c)
			}
			last = v.Status
		}
	})
}

func rank(s verdict.Status) int {
	return map[verdict.Status]int{verdict.Failed: 0, verdict.Indeterminate: 1, verdict.Passed: 2, verdict.Unsigned: 3}[s]
}

// TestManyHeadersDiffer has as many warnings as fit into a header: to compare each with all others would take minutes.
func TestManyHeadersDiffer(t *testing.T) {
	s := signed()
	s.Protected = true
	for i := range 150_000 {
		s.Outer = append(s.Outer, verdict.OuterField{Name: fmt.Sprintf("X%d", i)})
	}
	v := verdict.Judge(s, [][]verdict.Evidence{{good()}}, verdict.Policy{Now: now})
	if len(v.Warnings) != len(s.Outer) {
		t.Errorf("%d warnings", len(v.Warnings))
	}
}

// TestReasonsShowAddresses: an address that can be taken for another is shown in reasons as everywhere.
func TestReasonsShowAddresses(t *testing.T) {
	const looks, shown = "a@ex\u0430mple.org", "a@xn--exmple-4nf.org"
	for name, e := range map[string]verdict.AddressEvidence{
		"mismatch":  {From: []string{looks}},
		"several":   {From: []string{looks, "b@example.org"}},
		"on behalf": {From: []string{looks}, Sender: looks, SenderMatches: true},
	} {
		evidence := good()
		evidence.Address = e
		v := verdict.Judge(verdict.Subject{Layers: []verdict.Layer{signedLayer(smime.CoversWhole, nil)}}, [][]verdict.Evidence{{evidence}}, verdict.Policy{Now: now})
		if got := v.Signatures[0].Address.Reason; strings.Contains(got, looks) || !strings.Contains(got, shown) {
			t.Errorf("%s: %s", name, got)
		}
	}
	v := verdict.Judge(verdict.Subject{From: []string{looks}, FromMismatch: true}, nil, verdict.Policy{Now: now})
	if len(v.Warnings) == 0 || strings.Contains(v.Warnings[0].Reason, looks) {
		t.Errorf("%+v", v.Warnings)
	}
}

// TestNoSignerFails: a layer that nobody signed fails whatever kept it from being read; nothing was verified.
func TestNoSignerFails(t *testing.T) {
	for _, err := range []error{nil, cms.ErrMalformed, &cms.UnsupportedError{What: "digest"}} {
		layer := verdict.Layer{Covers: smime.CoversWhole, Signed: &verdict.Signed{Err: err}}
		v := verdict.Judge(verdict.Subject{Layers: []verdict.Layer{layer}}, nil, verdict.Policy{Now: now})
		if v.Status != verdict.Failed || v.Signatures[0].Integrity.Status != verdict.Failed {
			t.Errorf("%v: %s, %+v", err, v.Status, v.Signatures[0].Integrity)
		}
	}
}

// sendersOf are the senders of a message that says nothing else.
type sendersOf map[string][]smime.Sender

func (s sendersOf) Senders(name string) ([]smime.Sender, error) { return s[name], nil }

// TestSeveralInSender: of a Sender that names several mailboxes (RFC 5322 section 3.6.2 allows one) none speaks for From.
func TestSeveralInSender(t *testing.T) {
	a, b := smime.Sender{Address: "a@example.org"}, smime.Sender{Address: "b@example.org"}
	if e := verdict.AddressEvidenceOf(sendersOf{"From": {a}, "Sender": {b}}); e.Sender != b.Address || len(e.From) != 1 {
		t.Errorf("%+v", e)
	}
	if e := verdict.AddressEvidenceOf(sendersOf{"From": {a}, "Sender": {b, a}}); e.Sender != "" {
		t.Errorf("%+v", e)
	}
}
