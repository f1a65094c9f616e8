package smime_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// TestManyProtectedFields signs as many header fields as fit: to look for each among all the others would take many
// minutes.
func TestManyProtectedFields(t *testing.T) {
	const count = 100_000
	var inside strings.Builder
	inside.WriteString("Content-Type: text/plain; hp=\"clear\"\r\nFrom: alice@example.org\r\nX-Same: 1\r\nx-same: 2\r\n")
	for i := range count {
		fmt.Fprintf(&inside, "X%d:\r\n", i)
	}
	inside.WriteString("\r\nhello\r\n")
	message := "From: alice@example.org\r\nX-SAME: 1\r\nX-Same: 2\r\nSubject: added\r\n" + sign(t, inside.String(), alice(), smime.SignOptions{})
	p := open(t, []byte(message), smime.OpenOptions{}).Protection
	if len(p.Fields) != count+3 || len(p.Differences) != count+1 || p.FromMismatch {
		t.Fatalf("%d fields, %d differences, From differs: %v", len(p.Fields), len(p.Differences), p.FromMismatch)
	}
	if d := p.Differences[count]; d.Name != "Subject" || d.Protected != nil || len(d.Outer) != 1 || d.Explained {
		t.Errorf("%+v", d)
	}
}

// sealed is a message: what is outside, and inside a payload that is signed, and encrypted or not.
func sealed(t testing.TB, outside, payload string, encrypted bool) *smime.Message {
	t.Helper()
	body := sign(t, payload, alice(), smime.SignOptions{})
	if encrypted {
		body = encrypt(t, body, cms.AES256GCM, bob())
	}
	return open(t, []byte(outside+body), smime.OpenOptions{Decrypters: bob().decrypters()})
}

// shownHeader is what a message shows of these fields, with "!" where they are not protected.
func shownHeader(m *smime.Message, names ...string) string {
	var shown []string
	for _, name := range names {
		fields, protected := m.Fields(name)
		for _, f := range fields {
			mark := ""
			if !protected {
				mark = "!"
			}
			shown = append(shown, mark+f.Name+": "+f.Text())
		}
	}
	return strings.Join(shown, "\n")
}

// unexplained are the differences that must be said, and explained the others.
func differences(m *smime.Message) (unexplained, explained string) {
	var lists [2][]string
	for _, d := range m.Protection.Differences {
		i := 0
		if d.Explained {
			i = 1
		}
		lists[i] = append(lists[i], fmt.Sprintf("%s %q %q", d.Name, d.Protected, d.Outer))
	}
	return strings.Join(lists[0], "\n"), strings.Join(lists[1], "\n")
}

func TestReadProtection(t *testing.T) {
	const (
		outside = "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: [...]\r\nMIME-Version: 1.0\r\n"
		inside  = "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: real\r\n"
		hpOuter = "HP-Outer: From: alice@example.org\r\nHP-Outer: To: bob@example.org\r\nHP-Outer: Subject: [...]\r\n"
		shown   = "From: alice@example.org\nTo: bob@example.org\nSubject: real"
		open    = "!From: alice@example.org\n!To: bob@example.org\n!Subject: [...]"
		hidden  = `Subject ["real"] ["[...]"]`
	)
	type want struct {
		scheme                               smime.HPScheme
		shown, unexplained, explained, notes string
		confidential                         bool // the subject
		outer                                int
	}
	signed := func(s smime.HPScheme) want { return want{scheme: s, shown: shown, unexplained: hidden} }
	for name, test := range map[string]struct {
		payload            string
		signedOnly, sealed want
	}{
		"cipher": {
			inside + hpOuter + "Content-Type: text/plain; hp=cipher\r\n\r\nx", want{scheme: smime.HPCipher, shown: shown, unexplained: hidden, notes: "encryption-missing"},
			want{scheme: smime.HPCipher, shown: shown, explained: hidden, confidential: true, outer: 3},
		},
		"clear": {
			inside + hpOuter + "Content-Type: text/plain; HP=\"Clear\"\r\n\r\nx", signed(smime.HPClear),
			want{scheme: smime.HPClear, shown: shown, explained: hidden},
		},
		"unknown value": {inside + "Content-Type: text/plain; hp=opaque\r\n\r\nx", want{shown: open}, want{shown: open}},
		"empty value":   {inside + "Content-Type: text/plain; hp=\r\n\r\nx", want{shown: open}, want{shown: open}},
		"no parameter":  {inside + hpOuter + "Content-Type: text/plain\r\n\r\nx", want{shown: open}, want{shown: open}},
		"no type":       {inside + hpOuter + "\r\nx", want{shown: open}, want{shown: open}},
		"the first of two parameters": {
			inside + "Content-Type: text/plain; hp=clear; hp=cipher\r\n\r\nx", signed(smime.HPClear), want{scheme: smime.HPClear, shown: shown, explained: hidden},
		},
		"the first of two types": {
			inside + "Content-Type: text/plain\r\nContent-Type: text/plain; hp=clear\r\n\r\nx",
			want{shown: open, notes: "several-content-types"}, want{shown: open, notes: "several-content-types"},
		},
		"deeper inside": {multipart("mixed", "m", inside+"Content-Type: text/plain; hp=clear\r\n\r\nx"), want{shown: open}, want{shown: open}},
		"in a comment":  {inside + "Content-Type: text/plain (; hp=clear)\r\n\r\nx", want{shown: open}, want{shown: open}},
		"HP-Outer that lies": {
			inside + "HP-Outer: Subject: other\r\nHP-Outer: From: alice@example.org\r\nHP-Outer: To: bob@example.org\r\nContent-Type: text/plain; hp=cipher\r\n\r\nx",
			want{scheme: smime.HPCipher, shown: shown, unexplained: hidden, notes: "encryption-missing"},
			want{scheme: smime.HPCipher, shown: shown, explained: hidden, confidential: true, outer: 3}, // the placeholder explains itself
		},
		"HP-Outer that is malformed, folded or of the structure": {
			inside + "HP-Outer: Subject\r\nHP-Outer:\r\nHP-Outer: : x\r\nHP-Outer: a b: x\r\nHP-Outer: Content-Type: x\r\nHP-Outer: mime-version: 1.0\r\nHP-Outer: HP-Outer: x: y\r\n" +
				"hp-outer:\r\n Subject:\r\n\t[...]\r\nHP-Outer: To:bob@example.org\r\nHP-Outer: From: alice@example.org\r\nHP-Outer: X: a:b\r\nContent-Type: text/plain; hp=cipher\r\n\r\nx",
			want{scheme: smime.HPCipher, shown: shown, unexplained: hidden, notes: "encryption-missing"},
			want{scheme: smime.HPCipher, shown: shown, explained: hidden, confidential: true, outer: 4},
		},
		"HP-Outer twice": {
			inside + hpOuter + "HP-Outer: Subject: [...]\r\nContent-Type: text/plain; hp=cipher\r\n\r\nx",
			want{scheme: smime.HPCipher, shown: shown, unexplained: hidden, notes: "encryption-missing"},
			want{scheme: smime.HPCipher, shown: shown, explained: hidden, confidential: true, outer: 4},
		},
		"no HP-Outer": {
			inside + "Content-Type: text/plain; hp=cipher\r\n\r\nx", want{scheme: smime.HPCipher, shown: shown, unexplained: hidden, notes: "encryption-missing"},
			want{scheme: smime.HPCipher, shown: shown, explained: hidden, confidential: true},
		},
		"protected-headers": {
			inside + "Content-Type: text/plain; protected-headers=\"v1\"\r\n\r\nx", signed(smime.HPProtectedHeaders),
			want{scheme: smime.HPProtectedHeaders, shown: shown, explained: hidden, confidential: true},
		},
		"protected-headers beside hp": {
			inside + "Content-Type: text/plain; protected-headers=v1; hp=clear\r\n\r\nx", signed(smime.HPClear), want{scheme: smime.HPClear, shown: shown, explained: hidden},
		},
		"protected-headers of another version": {inside + "Content-Type: text/plain; protected-headers=v2\r\n\r\nx", want{shown: open}, want{shown: open}},
		"protected-headers without any":        {"Content-Type: text/plain; protected-headers=v1\r\n\r\nx", want{shown: open}, want{shown: open}},
		"protected-headers, subject alone": {
			"Subject: real\r\nContent-Type: text/plain; protected-headers=v1\r\n\r\nx",
			want{scheme: smime.HPProtectedHeaders, shown: "!From: alice@example.org\n!To: bob@example.org\nSubject: real", unexplained: hidden},
			want{scheme: smime.HPProtectedHeaders, shown: "!From: alice@example.org\n!To: bob@example.org\nSubject: real", explained: hidden, confidential: true},
		},
		"wrapped": {
			"Content-Type: message/rfc822; forwarded=\"no\"\r\n\r\n" + inside + "\r\nx", signed(smime.HPWrapped), want{scheme: smime.HPWrapped, shown: shown, explained: hidden, confidential: true},
		},
		"attached": {
			"Content-Type: message/rfc822\r\n\r\n" + inside + "\r\nx", want{shown: open, notes: "message-attached"}, want{shown: open, notes: "message-attached"},
		},
		"forwarded": {
			"Content-Type: message/rfc822; forwarded=yes\r\n\r\n" + inside + "\r\nx", want{shown: open, notes: "message-attached"}, want{shown: open, notes: "message-attached"},
		},
		"wrapped, and nothing in it": {
			"Content-Type: message/rfc822; forwarded=no\r\n\r\nx", want{shown: open, notes: "message-attached,no-header"}, want{shown: open, notes: "message-attached,no-header"},
		},
		"wrapped with hp inside": {
			"Content-Type: message/rfc822; forwarded=no\r\n\r\n" + inside + "Content-Type: text/plain; hp=cipher\r\n\r\nx",
			want{shown: open, notes: "message-attached"}, want{shown: open, notes: "message-attached"},
		},
		"wrapped, with an hp that is none": {
			"Content-Type: message/rfc822; forwarded=no; hp=none\r\n\r\n" + inside + "\r\nx", want{shown: open, notes: "message-attached"}, want{shown: open, notes: "message-attached"},
		},
		"wrapped, and signed inside": {
			"Content-Type: message/rfc822; forwarded=no\r\n\r\n" + inside + sign(t, plainEntity, mallory(), smime.SignOptions{}),
			want{shown: open, notes: "message-attached"}, want{shown: open, notes: "message-attached"},
		},
		"wrapped, deeper inside": {multipart("mixed", "m", "Content-Type: message/rfc822; forwarded=no\r\n\r\n"+inside+"\r\nx"), want{shown: open}, want{shown: open}},
	} {
		for kind, want := range map[string]want{"signed": test.signedOnly, "encrypted": test.sealed} {
			t.Run(name+", "+kind, func(t *testing.T) {
				m := sealed(t, outside, test.payload, kind == "encrypted")
				p := m.Protection
				unexplained, explained := differences(m)
				if p.Scheme != want.scheme || shownHeader(m, "From", "To", "Subject") != want.shown || unexplained != want.unexplained || explained != want.explained {
					t.Errorf("%q shows\n%s\nunexplained: %s\nexplained: %s", p.Scheme, shownHeader(m, "From", "To", "Subject"), unexplained, explained)
				}
				notes := []string{}
				for _, n := range m.Notes {
					notes = append(notes, n.Code)
				}
				if got := strings.Join(notes, ","); got != want.notes || len(p.Outer) != want.outer || p.FromMismatch {
					t.Errorf("notes %s, outer %q, From differs: %v", got, p.Outer, p.FromMismatch)
				}
				if subject, ok := p.Fields.Get("Subject"); ok && p.Confidential(subject) != want.confidential {
					t.Errorf("subject confidential: %v", !want.confidential)
				}
				for _, f := range append(p.Fields, p.Outer...) {
					if f.Structural() || f.Is("HP-Outer") {
						t.Errorf("%s is taken for a field of the message", f.Name)
					}
				}
			})
		}
	}
}

// TestOuterHPOuter: what is outside says nothing of what the composer meant.
func TestOuterHPOuter(t *testing.T) {
	m := sealed(t, "HP-Outer: Subject: pay now\r\nFrom: alice@example.org\r\nSubject: pay now\r\n",
		"From: alice@example.org\r\nSubject: x\r\nHP-Outer: From: alice@example.org\r\nHP-Outer: Subject: [...]\r\nContent-Type: text/plain; hp=cipher\r\n\r\nx", true)
	if unexplained, _ := differences(m); unexplained != `Subject ["x"] ["pay now"]` || len(m.Protection.Outer) != 2 {
		t.Errorf("%s; %q", unexplained, m.Protection.Outer)
	}
}

// TestFieldsOutside tells what is said of fields that are outside.
func TestFieldsOutside(t *testing.T) {
	const outside = "From: alice@example.org\r\nReply-To: mallory@example.org\r\nTo: bob@example.org\r\nDate: Sat, 21 Nov 2026 11:02:11 +0100\r\nMessage-ID: <2@example.org>\r\nX-Spam: no\r\n"
	const names = "From Reply-To To Date Message-ID X-Spam"
	for name, test := range map[string]struct{ payload, shown, unexplained, explained string }{
		"all must be inside": {
			"From: alice@example.org\r\nDate: Sat, 21 Nov 2026 10:02:11 +0000\r\nMessage-ID: <1@example.org>\r\nContent-Type: text/plain; hp=clear\r\n\r\nx",
			"From: alice@example.org\nDate: Sat, 21 Nov 2026 10:02:11 +0000\nMessage-ID: <1@example.org>",
			`Date ["Sat, 21 Nov 2026 10:02:11 +0000"] ["Sat, 21 Nov 2026 11:02:11 +0100"]` + "\n" + `Message-ID ["<1@example.org>"] ["<2@example.org>"]` + "\n" +
				`Reply-To [] ["mallory@example.org"]` + "\n" + `To [] ["bob@example.org"]`, "",
		},
		"the composer says so": {
			"From: alice@example.org\r\nDate: Sat, 21 Nov 2026 10:02:11 +0000\r\nMessage-ID: <1@example.org>\r\nX-Spam: yes\r\nHP-Outer: Date: Sat, 21 Nov 2026 11:02:11 +0100\r\n" +
				"HP-Outer: To: bob@example.org\r\nContent-Type: text/plain; hp=cipher\r\n\r\nx",
			"From: alice@example.org\nDate: Sat, 21 Nov 2026 10:02:11 +0000\nMessage-ID: <1@example.org>\nX-Spam: yes",
			`Message-ID ["<1@example.org>"] ["<2@example.org>"]` + "\n" + `X-Spam ["yes"] ["no"]` + "\n" + `Reply-To [] ["mallory@example.org"]` + "\n" + `To [] ["bob@example.org"]`,
			`Date ["Sat, 21 Nov 2026 10:02:11 +0000"] ["Sat, 21 Nov 2026 11:02:11 +0100"]`,
		},
		"protected-headers without From": {
			"Subject: x\r\nContent-Type: text/plain; protected-headers=v1\r\n\r\nx",
			"!From: alice@example.org\n!Reply-To: mallory@example.org\n!To: bob@example.org\n!Date: Sat, 21 Nov 2026 11:02:11 +0100\n!Message-ID: <2@example.org>\n!X-Spam: no", "",
			`Subject ["x"] []`,
		},
		"protected-headers with From": {
			"From: alice@example.org\r\nContent-Type: text/plain; protected-headers=v1\r\n\r\nx",
			"From: alice@example.org\n!To: bob@example.org\n!Date: Sat, 21 Nov 2026 11:02:11 +0100\n!Message-ID: <2@example.org>\n!X-Spam: no",
			`Reply-To [] ["mallory@example.org"]`, "",
		},
	} {
		m := sealed(t, outside, test.payload, true)
		unexplained, explained := differences(m)
		if diff := cmp.Diff([]string{test.shown, test.unexplained, test.explained}, []string{shownHeader(m, strings.Fields(names)...), unexplained, explained}); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestWrappedMessage: what is in the wrapper is the message, and what is attached to it is not.
func TestWrappedMessage(t *testing.T) {
	inner := multipart("mixed", "m", part("text/plain", "hello"), part("message/rfc822; forwarded=no", "Subject: y\r\n\r\nforwarded"), sign(t, plainEntity, mallory(), smime.SignOptions{}))
	payload := "Content-Type: message/rfc822; forwarded=no\r\n\r\nFrom: alice@example.org\r\nSubject: real\r\n" + inner
	for _, encrypted := range []bool{false, true} {
		m := sealed(t, "From: mallory@example.org\r\n", payload, encrypted)
		if content(t, m) != payload {
			t.Errorf("content is %q", content(t, m))
		}
		if text, err := m.Text(0); err != nil || text.Body != "hello" {
			t.Errorf("%q, %v", text.Body, err)
		}
		got := []string{}
		for _, p := range m.Parts {
			got = append(got, fmt.Sprintf("%s enclosed %v", p.Type, p.Enclosed))
			if raw, err := io.ReadAll(p.Raw()); err != nil || payload[p.Offset:p.Offset+p.Length] != string(raw) {
				t.Errorf("%s: %q, %v", p.Type, raw, err)
			}
		}
		if diff := cmp.Diff([]string{
			"text/plain enclosed false", "message/rfc822 enclosed false", "text/plain enclosed true", "text/plain enclosed true", "application/pkcs7-signature enclosed true",
		}, got); diff != "" {
			t.Error(diff)
		}
		if len(m.Enclosed) != 1 || m.Enclosed[0].Covers != smime.CoversPart || !m.Protection.FromMismatch {
			t.Errorf("%+v", m.Enclosed)
		}
	}
}

func TestHeaderCopyOfProtectedHeaders(t *testing.T) {
	message := func(first string) string {
		return "From: alice@example.org\r\nX-Note: I do not agree\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n" + multipart("mixed; protected-headers=v1", "m", first, part("text/plain", "hello"))
	}
	copied := "Content-Disposition: inline"
	for name, test := range map[string]struct {
		first string
		shown string
	}{
		"text/plain":       {part("text/plain; charset=utf-8; protected-headers=v1", "Subject: Grüße\r\nFrom:  alice@example.org\r\n\r\n", copied), "hello"},
		"rfc822-headers":   {part("text/rfc822-headers; charset=utf-8; protected-headers=v1", "Subject: Grüße", copied), "hello"},
		"encoded word":     {part("text/plain; protected-headers=v1", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?="), "hello"},
		"not marked":       {part("text/plain", "From: alice@example.org"), "From: alice@example.org\n\nhello"},
		"other subject":    {part("text/plain; protected-headers=v1", "Subject: pay now"), "Subject: pay now\n\nhello"},
		"text behind":      {part("text/plain; protected-headers=v1", "From: alice@example.org\r\n\r\npay now"), "From: alice@example.org\n\npay now\n\nhello"},
		"no field":         {part("text/plain; protected-headers=v1", "From: alice@example.org\r\npay now"), "From: alice@example.org\npay now\n\nhello"},
		"field not shown":  {part("text/plain; protected-headers=v1", "X-Note: I do not agree"), "X-Note: I do not agree\n\nhello"},
		"a field outside":  {part("text/plain; protected-headers=v1", "To: bob@example.org"), "To: bob@example.org\n\nhello"},
		"nothing":          {part("text/plain; protected-headers=v1", ""), "hello"},
		"an attachment":    {part("text/plain; protected-headers=v1", "From: alice@example.org", "Content-Disposition: attachment"), "hello"},
		"too many":         {part("text/plain; protected-headers=v1", strings.Repeat("From: alice@example.org\r\n", 33)), strings.Repeat("From: alice@example.org\n", 33) + "\nhello"},
		"html":             {part("text/html; protected-headers=v1", "From: alice@example.org"), "From: alice@example.org\n\nhello"},
		"an inner message": {part("message/rfc822; protected-headers=v1", "From: alice@example.org\r\n\r\nx"), "hello"},
	} {
		m := sealed(t, "To: bob@example.org\r\n", message(test.first), true)
		if text, err := m.Text(0); err != nil || strings.TrimSpace(text.Body) != test.shown {
			t.Errorf("%s: %q, %v", name, text.Body, err)
		}
		if test.shown == "hello" && m.Parts[0].Attachment != (strings.Contains(test.first, "message/rfc822") || strings.Contains(test.first, "attachment")) {
			t.Errorf("%s: attachment: %v", name, m.Parts[0].Attachment)
		}
		// What was signed only has its subject outside.
		want := test.shown
		if fields, ok := strings.CutPrefix(test.first, "Content-Type: text/plain"); ok && !strings.Contains(fields, "attachment") {
			_, body, _ := strings.Cut(fields, "\r\n\r\n")
			if body = strings.TrimSpace(strings.ReplaceAll(body, "\r\n", "\n")); body != "" {
				want = body + "\n\nhello"
			}
		}
		clear := sealed(t, "To: bob@example.org\r\n", message(test.first), false)
		if text, err := clear.Text(0); err != nil || strings.ReplaceAll(strings.TrimSpace(text.Body), "\n\n\n", "\n\n") != want {
			t.Errorf("%s, signed only: %q and not %q, %v", name, text.Body, want, err)
		}
	}
}

// TestHiddenSubject: a subject outside that stands for a hidden one explains the difference only if it is alone.
func TestHiddenSubject(t *testing.T) {
	for outside, explained := range map[string]bool{
		"Subject: [...]\r\n": true, "Subject: ...\r\n": true, "Subject: [...]\r\nSubject: pay now\r\n": false, "Subject: pay now\r\n": false,
	} {
		m := sealed(t, "From: a@example.org\r\n"+outside, "From: a@example.org\r\nSubject: real\r\nHP-Outer: From: a@example.org\r\nContent-Type: text/plain; hp=cipher\r\n\r\nx", true)
		if d := m.Protection.Differences; len(d) != 1 || d[0].Explained != explained {
			t.Errorf("%q: %+v", outside, d)
		}
	}
}

// TestFromMismatch is RFC 9788 section 4.4.1.1: the addresses are compared, and nothing else.
func TestFromMismatch(t *testing.T) {
	for name, test := range map[string]struct {
		inside, outside string
		mismatch        bool
	}{
		"same":                         {"From: alice@example.org\r\n", "From: alice@example.org\r\n", false},
		"other names":                  {"From: Alice <alice@example.org>\r\n", "From: The boss <alice@example.org>\r\n", false},
		"encoded word":                 {"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\n", "From: =?utf-8?b?SsO8cmdlbg==?= <j@example.org>\r\n", false},
		"case":                         {"From: Alice@Example.ORG\r\n", "From: alice@example.org\r\n", false},
		"folded, with a comment":       {"From: alice@example.org\r\n", "From: Alice\r\n (x) <alice@example.org>\r\n", false},
		"A-labels":                     {"From: a@b\xc3\xbccher.example\r\n", "From: a@xn--bcher-kva.example\r\n", false},
		"another address":              {"From: alice@example.org\r\n", "From: mallory@example.org\r\n", true},
		"another address as a name":    {"From: alice@example.org\r\n", "From: \"alice@example.org\" <mallory@example.org>\r\n", true},
		"in an encoded word":           {"From: alice@example.org\r\n", "From: =?utf-8?q?alice=40example=2Eorg?= <mallory@example.org>\r\n", true},
		"one more outside":             {"From: alice@example.org\r\n", "From: alice@example.org, mallory@example.org\r\n", true},
		"one more field outside":       {"From: alice@example.org\r\n", "From: alice@example.org\r\nFrom: mallory@example.org\r\n", true},
		"one more field inside":        {"From: alice@example.org\r\nFrom: bob@example.org\r\n", "From: alice@example.org\r\n", true},
		"two fields, as in one":        {"From: alice@example.org\r\nFrom: bob@example.org\r\n", "From: alice@example.org, bob@example.org\r\n", false},
		"another order":                {"From: alice@example.org, bob@example.org\r\n", "From: bob@example.org, alice@example.org\r\n", true},
		"group":                        {"From: alice@example.org\r\n", "From: team: alice@example.org;\r\n", false},
		"empty group":                  {"From: alice@example.org\r\n", "From: team:;\r\n", true},
		"missing outside":              {"From: alice@example.org\r\n", "To: bob@example.org\r\n", true},
		"missing inside":               {"To: bob@example.org\r\n", "From: alice@example.org\r\n", true},
		"cannot be read outside":       {"From: alice@example.org\r\n", "From: alice at example.org\r\n", true},
		"cannot be read, and the same": {"From: alice at example.org\r\n", "From: alice at example.org\r\n", true},
		"no message outside":           {"From: alice@example.org\r\n", "", false},
	} {
		for _, hp := range []string{"clear", "cipher"} {
			m := sealed(t, test.outside, test.inside+"HP-Outer: From: mallory@example.org\r\nContent-Type: text/plain; hp="+hp+"\r\n\r\nx", hp == "cipher")
			if m.Protection.FromMismatch != test.mismatch {
				t.Errorf("%s, %s: %v", name, hp, m.Protection.FromMismatch)
			}
			bound, unbound := m.From(true), m.From(false)
			if !test.mismatch && fmt.Sprint(bound) != fmt.Sprint(unbound) || test.mismatch && fmt.Sprint(unbound) != fmt.Sprint(m.Header.All("From")) {
				t.Errorf("%s, %s: %q with a bound signature, %q without", name, hp, bound, unbound)
			}
		}
	}
}
