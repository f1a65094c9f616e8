package smime_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// answered is an encrypted message under a policy.
func answered(t testing.TB, policy smime.HCP, h ...string) *smime.Message {
	t.Helper()
	payload, outer := protect(t, smime.HeaderProtector{Scheme: smime.HPCipher, Policy: policy}, plainEntity, fields(t, h...))
	return open(t, []byte(outside(t, outer)+encrypt(t, payload, cms.AES256GCM, bob())), smime.OpenOptions{Decrypters: bob().decrypters()})
}

// outsideOf is what of an answer stays readable.
func outsideOf(t testing.TB, r smime.Response, more ...string) []string {
	t.Helper()
	_, outer := protect(t, smime.HeaderProtector{Scheme: smime.HPCipher, Policy: r.Policy}, plainEntity, append(fields(t, more...), r.Fields...))
	return lines(outer)
}

// hideCc is the example of a policy that hides a recipient (RFC 9788 section 3.1), and a parent.
func hideCc(name, value string) (string, bool) {
	if strings.EqualFold(name, "Cc") || strings.EqualFold(name, "Message-ID") {
		return "", false
	}
	return smime.HCPBaseline(name, value)
}

var askedFor = []string{
	"From: Alice Adams <alice@example.org>", "To: Bob Brown <bob@example.org>, dave@example.org", "Cc: Carol Clark <carol@example.org>", "Subject: Handling the Jones contract",
	"Date: Wed, 11 Jan 2023 16:08:43 -0500", "Message-ID: <1@example.org>", "Keywords: Jones",
}

func TestReply(t *testing.T) {
	const (
		to = `To: "Alice Adams" <alice@example.org>`
		re = "Subject: Re: Handling the Jones contract"
	)
	parents := []string{"In-Reply-To: <1@example.org>", "References: <1@example.org>"}
	for name, test := range map[string]struct {
		message   *smime.Message
		all       bool
		otherwise smime.HCP
		more      []string // fields that the writer adds
		want      []string // Fields
		outside   []string
	}{
		"baseline": {answered(t, nil, askedFor...), false, nil, nil, append([]string{to, re}, parents...), append([]string{to, "Subject: Re: [...]"}, parents...)},
		"baseline, under no policy": {
			answered(t, nil, askedFor...), false, smime.HCPNoConfidentiality, []string{"From: Bob <bob@example.org>", "Keywords: Smith"},
			append([]string{to, re}, parents...), append([]string{`From: Bob <bob@example.org>`, to, "Subject: Re: [...]"}, parents...),
		},
		"nothing hidden": {answered(t, smime.HCPNoConfidentiality, askedFor...), false, smime.HCPNoConfidentiality, nil, append([]string{to, re}, parents...), append([]string{to, re}, parents...)},
		"nothing hidden, under baseline": {
			answered(t, smime.HCPNoConfidentiality, askedFor...), false, nil, nil, append([]string{to, re}, parents...), append([]string{to, "Subject: [...]"}, parents...),
		},
		"shy": {
			answered(t, smime.HCPShy, askedFor...), true, nil, []string{"From: Bob Brown <bob@example.org>", "Date: Wed, 11 Jan 2023 23:08:43 +0100"},
			append([]string{to, `Cc: <dave@example.org>, "Carol Clark" <carol@example.org>`, re}, parents...),
			append([]string{"From: <bob@example.org>", "Date: Wed, 11 Jan 2023 23:08:43 +0100", "To: <alice@example.org>", "Cc: <dave@example.org>, <carol@example.org>", "Subject: Re: [...]"}, parents...),
		},
		"a hidden recipient": {
			answered(t, hideCc, askedFor...), true, nil, nil,
			append([]string{to, `Cc: <dave@example.org>, "Carol Clark" <carol@example.org>`, re}, parents...),
			[]string{to, "Cc: <dave@example.org>", "Subject: Re: [...]"},
		},
		"hidden, and put elsewhere": {
			answered(t, hideCc, askedFor...), false, smime.HCPNoConfidentiality, []string{"From: Carol Clark <carol@example.org>", "Reply-To: Carol <CAROL@example.org>", "Cc: erin@example.org, carol@EXAMPLE.org", "Comments: mine"},
			append([]string{to, re}, parents...),
			[]string{"From: carol@example.org", "Cc: <erin@example.org>", "Comments: mine", to, "Subject: Re: [...]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := test.message.Reply([]string{"bob@example.org"}, test.all, test.otherwise)
			if diff := cmp.Diff(test.want, lines(r.Fields)); diff != "" || !r.Encrypt {
				t.Errorf("%v\n%s", r.Encrypt, diff)
			}
			if diff := cmp.Diff(test.outside, outsideOf(t, r, test.more...)); diff != "" {
				t.Errorf("outside:\n%s", diff)
			}
		})
	}
	// Another subject is as confidential as the one before it.
	r := answered(t, nil, askedFor...).Reply(nil, false, smime.HCPNoConfidentiality)
	for line, want := range map[string]string{"Subject: Was: the Jones contract": "[...]", "subject: =?utf-8?q?Re:_Handling_the=20Jones_contract?=": "Re: [...]", "Comments: x": "x"} {
		name, value, _ := strings.Cut(line, ": ")
		if got, keep := r.Policy(name, value); got != want || !keep {
			t.Errorf("%s: %q, %v", line, got, keep)
		}
	}
	if got, keep := r.Policy("Keywords", "Smith"); keep {
		t.Errorf("Keywords: %q", got)
	}
	forward := answered(t, nil, askedFor...).Forward(smime.HCPNoConfidentiality)
	if diff := cmp.Diff([]string{"Subject: Fwd: Handling the Jones contract"}, lines(forward.Fields)); diff != "" {
		t.Error(diff)
	}
	if got := outsideOf(t, forward, "To: erin@example.org"); !cmp.Equal(got, []string{"To: erin@example.org", "Subject: Fwd: [...]"}) || !forward.Encrypt {
		t.Errorf("%q, %v", got, forward.Encrypt)
	}
}

func TestReplyGoesTo(t *testing.T) {
	const signed = "Content-Type: text/plain; hp=clear\r\n\r\nx"
	own := []string{"bob@example.org", "bob@old.example"}
	for name, test := range map[string]struct {
		outside, inside string
		sender, all     string // To, and To and Cc
	}{
		"From":                           {"", "From: alice@example.org\r\nTo: bob@example.org\r\n" + signed, "<alice@example.org>", "<alice@example.org> | "},
		"Reply-To":                       {"", "From: alice@example.org\r\nReply-To: Desk <desk@example.org>\r\nTo: bob@example.org\r\n" + signed, `"Desk" <desk@example.org>`, `"Desk" <desk@example.org> | `},
		"everybody once":                 {"", "From: a@x\r\nTo: BOB@example.org, c@x, A@X, =?utf-8?q?J=C3=BC?= <j@x>\r\nCc: c@X, d@x, bob@old.example\r\n" + signed, "<a@x>", "<a@x> | <c@x>, =?utf-8?q?J=C3=BC?= <j@x>, <d@x>"},
		"one's own":                      {"", "From: Bob <bob@old.example>\r\nReply-To: x@y\r\nTo: a@x, bob@example.org\r\nCc: d@x\r\n" + signed, "<a@x>, <bob@example.org>", "<a@x>, <bob@example.org> | <d@x>"},
		"nothing from outside":           {"Reply-To: mallory@x\r\nTo: mallory@x\r\nCc: mallory@x\r\nFrom: mallory@x\r\n", "From: a@x\r\nTo: bob@example.org\r\n" + signed, "<a@x>", "<a@x> | "},
		"nobody inside":                  {"From: mallory@x\r\n", "Subject: y\r\n" + signed, "", " | "},
		"without header protection":      {"From: a@x\r\nReply-To: b@x\r\nCc: c@x\r\n", "From: mallory@x\r\n" + plainEntity, "<b@x>", "<b@x> | <c@x>"},
		"protected-headers":              {"Reply-To: mallory@x\r\nCc: mallory@x\r\n", "From: a@x\r\nContent-Type: text/plain; protected-headers=v1\r\n\r\nx", "<a@x>", "<a@x> | "},
		"protected-headers, no From":     {"From: a@x\r\nCc: c@x\r\n", "Subject: y\r\nContent-Type: text/plain; protected-headers=v1\r\n\r\nx", "<a@x>", "<a@x> | <c@x>"},
		"a name that is like an address": {"", "From: =?utf-8?q?a=2C_=3Cb=40x=3E?= <a@x>\r\n" + signed, `"a, <b@x>" <a@x>`, `"a, <b@x>" <a@x> | `},
		"a name with a line break":       {"", "From: =?utf-8?q?a=0D=0ABcc:_mallory=40x?= <a@x>\r\nReply-To: b@x\r\n" + signed, "<b@x>", "<b@x> | "},
		"a group":                        {"", "From: a@x\r\nTo: team: c@x, d@x;\r\n" + signed, "<a@x>", "<a@x> | <c@x>, <d@x>"},
	} {
		m := sealed(t, test.outside, test.inside, false)
		sender, all := m.Reply(own, false, nil), m.Reply(own, true, nil)
		if got := sender.Fields.Value("To"); got != test.sender || sender.Fields.Value("Cc") != "" || sender.Encrypt {
			t.Errorf("%s: to %s", name, got)
		}
		if got := all.Fields.Value("To") + " | " + all.Fields.Value("Cc"); got != test.all {
			t.Errorf("%s: to all: %s", name, got)
		}
	}
}

func TestReplySubjectAndParents(t *testing.T) {
	long := strings.Repeat("<x@y> ", 100)
	for name, test := range map[string]struct{ header, subject, parent, references string }{
		"first":       {"Subject: x\r\nMessage-ID: <1@x>\r\n", "Re: x", "<1@x>", "<1@x>"},
		"again":       {"Subject: RE: x\r\nMessage-ID: <2@x>\r\nReferences: <1@x>\r\n <1b@x>\r\n", "RE: x", "<2@x>", "<1@x> <1b@x> <2@x>"},
		"in reply to": {"Subject: re:x\r\nMessage-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\n", "re:x", "<2@x>", "<1@x> <2@x>"},
		"many": {"Subject: Re\r\nMessage-ID: <2@x>\r\nReferences: <1@x> " + strings.TrimSpace(long) + "\r\n", "Re: Re", "<2@x>",
			"<1@x> " + strings.Repeat("<x@y> ", 49) + "<2@x>"},
		"nothing":      {"From: a@x\r\n", "Re:", "", ""},
		"no words":     {"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe=0D=0AEvil:_x?=\r\nMessage-ID: <1\r\n", "Re: Grüße Evil: x", "", ""},
		"together":     {"Subject: x\r\nMessage-ID: <2@x>\r\nReferences: <1@x><1b@x>\r\n", "Re: x", "<2@x>", "<1@x> <1b@x> <2@x>"},
		"odd ones":     {"Subject: x\r\nMessage-ID: <2@x>\r\nReferences: <> <<1@x>> <1@x>y> <1b@x>\r\n", "Re: x", "<2@x>", "<1b@x> <2@x>"},
		"an odd one":   {"Subject: x\r\nMessage-ID: <<2@x>>\r\n", "Re: x", "", ""},
		"none":         {"Subject: x\r\nMessage-ID: <>\r\n", "Re: x", "", ""},
		"two of them":  {"Subject: x\r\nMessage-ID: <1@x>\r\nMessage-ID: <2@x>\r\n", "Re: x", "", ""},
		"not from out": {"From: a@x\r\n", "Re:", "", ""},
	} {
		m := sealed(t, "Message-ID: <0@x>\r\nSubject: outside\r\n", test.header+"Content-Type: text/plain; hp=clear\r\n\r\nx", false)
		f := m.Reply(nil, true, nil).Fields
		subject, _ := f.Get("Subject")
		if subject.Text() != test.subject || f.Value("In-Reply-To") != test.parent || f.Value("References") != test.references {
			t.Errorf("%s: %q", name, lines(f))
		}
	}
}

// TestReplyToOlderSchemes: what is hidden is inferred from what is outside (RFC 9788 section 4.10.2).
func TestReplyToOlderSchemes(t *testing.T) {
	inside := "From: Alice <alice@example.org>\r\nTo: bob@example.org\r\nSubject: real\r\nMessage-ID: <1@x>\r\n"
	for name, payload := range map[string]string{
		"protected-headers": inside + "Content-Type: text/plain; protected-headers=v1\r\n\r\nx",
		"wrapped":           "Content-Type: message/rfc822; forwarded=no\r\n\r\n" + inside + "\r\nx",
	} {
		m := sealed(t, "From: alice@example.org\r\nSubject: ...\r\nMessage-ID: <1@x>\r\n", payload, true)
		want := []string{"To: <alice@example.org>", "Subject: Re: ...", "In-Reply-To: <1@x>", "References: <1@x>"}
		if diff := cmp.Diff(want, outsideOf(t, m.Reply(nil, false, smime.HCPNoConfidentiality))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestManyFieldsAnswered answers a message with as many fields as fit. To compare each with each other would take long.
func TestManyFieldsAnswered(t *testing.T) {
	var inside strings.Builder
	for range 30_000 {
		inside.WriteString("Subject: x\r\nHP-Outer: Subject: y\r\n")
	}
	r := sealed(t, "", inside.String()+"Content-Type: text/plain; hp=cipher\r\n\r\nx", true).Reply(nil, true, nil)
	if got, _ := r.Policy("Subject", "Re: x"); got != "Re: y" || len(r.Fields) != 1 {
		t.Errorf("%q, %q", got, lines(r.Fields))
	}
}
