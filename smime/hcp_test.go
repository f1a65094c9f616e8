package smime_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

// fields makes a header out of lines.
func fields(t testing.TB, lines ...string) entity.Header {
	t.Helper()
	var h entity.Header
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		f, err := entity.NewField(name, value)
		if err != nil {
			t.Fatal(err)
		}
		h = append(h, f)
	}
	return h
}

// lines are the fields, unfolded.
func lines(h entity.Header) []string {
	list := []string{}
	for _, f := range h {
		list = append(list, f.Name+": "+f.Value())
	}
	return list
}

// protect returns the payload and the outer header.
func protect(t testing.TB, p smime.HeaderProtector, e string, h entity.Header) (payload string, outer entity.Header) {
	t.Helper()
	r, outer, err := p.Protect(strings.NewReader(e), h)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), outer
}

// outside writes what a message begins with.
func outside(t testing.TB, h entity.Header) string {
	t.Helper()
	var head bytes.Buffer
	if err := smime.WriteOuterHeader(&head, h); err != nil {
		t.Fatal(err)
	}
	return head.String()
}

func TestHeaderConfidentialityPolicies(t *testing.T) {
	inside := fields(t,
		`From: "Alice, of course" <alice@example.org>`, "To: Bob <bob@example.org>, =?utf-8?q?J=C3=BCrgen?= <juergen@example.org>",
		"Cc: friends: Carol <carol@example.org>, dave@example.org;", "Reply-To: Alice's desk <desk@example.org>", "Subject: Dinner plans",
		"Date: Fri, 21 Jan 2022 20:40:48 -0500", "Message-ID: <1@example.org>", "Comments: none", "KEYWORDS: food", "X-Any: thing",
	)
	kept := []string{"Reply-To: Alice's desk <desk@example.org>", "Subject: [...]", "Date: Fri, 21 Jan 2022 20:40:48 -0500", "Message-ID: <1@example.org>", "X-Any: thing"}
	for name, test := range map[string]struct {
		policy smime.HCP
		want   []string
	}{
		"baseline": {smime.HCPBaseline, append(lines(inside[:3]), kept...)},
		"default":  {nil, append(lines(inside[:3]), kept...)},
		"shy": {smime.HCPShy, []string{
			"From: alice@example.org", "To: bob@example.org, juergen@example.org", "Cc: carol@example.org, dave@example.org", kept[0], kept[1],
			"Date: Sat, 22 Jan 2022 01:40:48 +0000", kept[3], kept[4],
		}},
		"no confidentiality": {smime.HCPNoConfidentiality, lines(inside)},
	} {
		t.Run(name, func(t *testing.T) {
			payload, outer := protect(t, smime.HeaderProtector{Scheme: smime.HPCipher, Policy: test.policy}, plainEntity, inside)
			if diff := cmp.Diff(test.want, lines(outer)); diff != "" {
				t.Errorf("outside:\n%s", diff)
			}
			m := open(t, []byte(outside(t, outer)+encrypt(t, payload, cms.AES256GCM, bob())), smime.OpenOptions{Decrypters: bob().decrypters()})
			if diff := cmp.Diff(lines(inside), lines(m.Protection.Fields)); diff != "" {
				t.Errorf("inside:\n%s", diff)
			}
			if diff := cmp.Diff(lines(outer), lines(m.Protection.Outer)); diff != "" {
				t.Errorf("HP-Outer:\n%s", diff)
			}
			for _, d := range m.Protection.Differences {
				if !d.Explained {
					t.Errorf("not explained: %+v", d)
				}
			}
			for i, f := range m.Protection.Fields {
				_, exposed := outer.Get(f.Name)
				if exposed {
					exposed = strings.Join(lines(outer.All(f.Name)), "") == lines(inside)[i]
				}
				if m.Protection.Confidential(f) == exposed {
					t.Errorf("%s confidential: %v", f.Name, !exposed)
				}
			}
			// What is signed only has nothing to hide.
			if _, outer := protect(t, smime.HeaderProtector{Scheme: smime.HPClear, Policy: test.policy}, plainEntity, inside); !cmp.Equal(lines(outer), lines(inside)) {
				t.Errorf("outside of a signed message: %q", lines(outer))
			}
		})
	}
}

func TestShyLeavesWhatItCannotRead(t *testing.T) {
	for _, line := range []string{
		"From: alice at example.org", "To: undisclosed-recipients:;", "Cc: bob@example.org, oops", "Date: tomorrow", "Sender: Alice <alice@example.org>",
		`to: "odd local"@example.org`,
	} {
		name, value, _ := strings.Cut(line, ": ")
		if got, keep := smime.HCPShy(name, value); got != value || !keep {
			t.Errorf("%s became %q, %v", line, got, keep)
		}
	}
}

// TestPolicyThatForges is RFC 9788 section 3.1.1.
func TestPolicyThatForges(t *testing.T) {
	inside := fields(t, "From: Alice <alice@example.org>, bob@example.org", "Subject: x")
	for name, test := range map[string]struct {
		outside string
		keep    bool
		want    error
	}{
		"without the name":  {"ALICE@example.org, bob@EXAMPLE.org", true, nil},
		"removed":           {"Alice <alice@example.org>, bob@example.org", false, smime.ErrPolicy},
		"another address":   {"alice@example.org, mallory@example.org", true, smime.ErrPolicy},
		"one address less":  {"alice@example.org", true, smime.ErrPolicy},
		"not an address":    {"anonymous", true, smime.ErrPolicy},
		"with a line break": {"alice@example.org,\r\n bob@example.org", true, smime.ErrPolicy},
	} {
		policy := func(field, value string) (string, bool) {
			if field == "From" {
				return test.outside, test.keep
			}
			return value, true
		}
		_, _, err := smime.HeaderProtector{Scheme: smime.HPCipher, Policy: policy}.Protect(strings.NewReader(plainEntity), inside)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
