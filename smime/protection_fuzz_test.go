package smime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime/entity"
)

// FuzzReadProtection reads header protection out of anything, and answers to it: what is of the MIME structure is never a
// field of the message, and what is not said is not believed.
func FuzzReadProtection(f *testing.F) {
	const outside, inside = "From: a@x\r\nTo: b@x\r\nSubject: [...]\r\nDate: Fri, 21 Jan 2022 20:40:48 -0500\r\n\r\n", "From: A <a@x>\r\nSubject: real\r\n"
	for _, payload := range []string{
		inside + "HP-Outer: From: a@x\r\nHP-Outer: Subject: [...]\r\nContent-Type: text/plain; hp=\"cipher\"\r\n\r\nx",
		inside + "Reply-To: c@x, d: e@x, f@x;\r\nContent-Type: text/plain; hp=clear\r\n\r\nx",
		inside + "Content-Type: multipart/mixed; boundary=b; protected-headers=v1\r\n\r\n--b\r\nContent-Type: text/plain; protected-headers=v1\r\n\r\nSubject: real\r\n--b--\r\n",
		"Content-Type: message/rfc822; forwarded=no\r\n\r\n" + inside + "\r\nx",
	} {
		f.Add(outside, payload, true)
		f.Add("\r\n", payload, false)
	}
	f.Fuzz(func(t *testing.T, outside, payload string, encrypted bool) {
		limits := entity.Limits{HeaderBytes: 64 << 10, Parts: 20}
		root, err := entity.Parse(strings.NewReader(payload), limits)
		if err != nil {
			return
		}
		header, _, _, err := entity.ReadHeader(bufio.NewReader(strings.NewReader(outside)), limits.HeaderBytes)
		if err != nil {
			return
		}
		wrapped, err := wrappedMessage(root, limits)
		if err != nil {
			t.Fatal(err)
		}
		m := &Message{Header: header, root: root, Protection: readProtection(header, root, wrapped, encrypted)}
		if m.nodes, err = entity.Walk(root, limits); err != nil {
			return
		}
		if m.copied, err = m.headerCopy(encrypted); err != nil {
			t.Fatal(err)
		}
		m.listParts()
		p := &m.Protection
		for _, field := range slices.Concat(p.Fields, p.Outer, p.inferred) {
			if field.Name == "" || field.Structural() || field.Is("HP-Outer") {
				t.Fatalf("%q is taken for a field of the message", field.Raw)
			}
		}
		if (p.Outer != nil) != (p.Scheme == HPCipher && encrypted) || p.Scheme == HPNone && len(p.Fields)+len(p.Differences) > 0 || m.copied > 0 && p.Scheme != HPProtectedHeaders {
			t.Fatalf("%+v", p)
		}
		names := map[string]bool{}
		for _, d := range p.Differences {
			if key := lowerASCII(d.Name); names[key] || slices.Equal(d.Protected, d.Outer) {
				t.Fatalf("%+v", d)
			} else {
				names[key] = true
			}
		}
		if wrapped != nil && p.Scheme != HPWrapped && !root.Type.Params.Has("hp") {
			t.Fatalf("%+v", p)
		}
		for _, response := range []Response{m.Reply([]string{"b@x"}, true, HCPNoConfidentiality), m.Forward(HCPShy)} {
			for _, field := range append(response.Fields, p.Fields...) {
				value, keep := response.Policy(field.Name, field.Value())
				if again, same := response.Policy(field.Name, field.Value()); again != value || same != keep {
					t.Fatalf("%s is %q, and %q", field.Raw, value, again)
				}
			}
			// What was hidden is hidden in the answer, whatever policy there is else.
			fields, ok := p.Fields.Get("Subject")
			if value, keep := response.Policy("Subject", "Was: "+fields.Value()); ok && keep && len(p.Fields.All("Subject")) == 1 && p.Confidential(fields) && value != hiddenSubject {
				t.Fatalf("%q is %q outside", fields.Raw, value)
			}
		}
	})
}

// FuzzProtectHeaders protects any header around any entity, and reads it again: what was put inside comes back, what is
// outside is explained, and the text is the same.
func FuzzProtectHeaders(f *testing.F) {
	const header = "From: =?utf-8?q?J=C3=BC?= <a@x>\r\nTo: B <b@x>, c@x\r\nSubject: x\r\n y\r\nDate: Fri, 21 Jan 2022 20:40:48 -0500\r\nComments: z\r\nX-Any:\r\n\r\n"
	for i, e := range []string{
		"Content-Type: text/plain\r\n\r\nhello\r\n",
		"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nJ=FC=\r\nx",
		"Content-Type: text/html; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\nAEoA/A==",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c\r\nContent-Type: text/html\r\n\r\n<body>x\r\n--b\r\n\r\ny\r\n--b--\r\n",
		"Content-Type: multipart/related; boundary=b; start=\"<r>\"\r\n\r\n--b\r\n--b\r\nContent-ID: <r>\r\n\r\nx\r\n--b--",
	} {
		f.Add(header, e, byte(i))
		f.Add(header, e, byte(i)|4)
	}
	f.Fuzz(func(t *testing.T, header, in string, how byte) {
		limits := entity.Limits{HeaderBytes: 64 << 10, Parts: 20}
		fields, _, _, err := entity.ReadHeader(bufio.NewReader(strings.NewReader(header)), limits.HeaderBytes)
		if err != nil {
			return
		}
		before, err := entity.Parse(strings.NewReader(in), limits)
		if err != nil {
			return
		}
		o := HeaderProtector{Scheme: HPCipher, Policy: []HCP{HCPBaseline, HCPShy, HCPNoConfidentiality}[how%3], LegacyDisplay: true}
		if how >= 0x80 {
			o.Scheme = HPClear
		}
		r, outer, err := o.Protect(strings.NewReader(in), fields)
		var payload []byte
		if err == nil {
			payload, err = io.ReadAll(r)
		}
		switch {
		case errors.Is(err, entity.ErrField), errors.Is(err, ErrProtected), errors.Is(err, entity.ErrHeaderTooLarge):
			return
		case err != nil:
			t.Fatal(err)
		}
		root, err := entity.Parse(bytes.NewReader(payload), entity.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		p := readProtection(outer, root, nil, o.Scheme == HPCipher)
		if p.Scheme != o.Scheme {
			t.Fatalf("%q, and not %q", p.Scheme, o.Scheme)
		}
		var inside entity.Header
		for _, field := range fields {
			if field.Name != "" && !field.Structural() && !field.Is("Bcc") && !field.Is("HP-Outer") {
				inside = append(inside, field)
			}
		}
		sameFields(t, inside, p.Fields)
		if o.Scheme == HPCipher {
			sameFields(t, outer, p.Outer)
		}
		for _, d := range p.Differences {
			if !d.Explained {
				t.Fatalf("%+v", d)
			}
		}
		if _, readable := addressesOf(inside.All("From")); p.FromMismatch && readable && ofMessage(outer) && len(inside.All("From")) > 0 {
			t.Fatalf("From became %q", outer.All("From"))
		}
		sameTexts(t, before, root, (&Message{Protection: p}).dropLegacyDisplay)
	})
}

func sameFields(t *testing.T, want, got entity.Header) {
	t.Helper()
	if !slices.EqualFunc(want, got, func(a, b entity.Field) bool { return a.Name == b.Name && normalize(a) == normalize(b) }) {
		t.Fatalf("%q became %q", want, got)
	}
}

// sameTexts compares two entities part by part, of which the second may have Legacy Display Elements.
func sameTexts(t *testing.T, before, after *entity.Entity, drop func(string) string) {
	t.Helper()
	a, err := entity.Walk(before, entity.Limits{})
	if err != nil {
		return
	}
	b, err := entity.Walk(after, entity.Limits{})
	if err != nil || len(a) != len(b) {
		t.Fatalf("%d parts became %d, %v", len(a), len(b), err)
	}
	plain := func(s string) string {
		return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	for i := range a {
		if a[i].Type.Type != b[i].Type.Type || a[i].Parent != b[i].Parent {
			t.Fatalf("part %d: %s became %s", i, a[i].Type.Type, b[i].Type.Type)
		}
		if !a[i].Type.Is("text/plain", "text/html") {
			continue
		}
		was, _, errA := a[i].Text(1 << 30)
		is, _, errB := b[i].Text(1 << 30)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		was, is = plain(was), plain(is)
		if marked := b[i].Type.Params.Has(legacyParameter); marked && a[i].Type.Is("text/plain") {
			is = drop(is)
		} else if marked {
			start, end := strings.Index(is, "<div class=\""+legacyClass), strings.Index(is, "</pre></div>\n")
			if start < 0 || end < start {
				t.Fatalf("part %d has no element: %q", i, is)
			}
			is = is[:start] + is[end+len("</pre></div>\n"):]
		}
		if was != is {
			t.Fatalf("part %d: %q became %q", i, was, is)
		}
	}
}
