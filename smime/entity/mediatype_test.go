package entity_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sealmail/sealmail/smime/entity"
)

func TestParseMediaType(t *testing.T) {
	tests := map[string]struct {
		in     string
		typ    string
		params map[string]string
	}{
		"plain":         {`Text/Plain; Charset=UTF-8`, "text/plain", map[string]string{"charset": "UTF-8"}},
		"quoted":        {`a/b; x="1; \"2\"" ;y = z`, "a/b", map[string]string{"x": `1; "2"`, "y": "z"}},
		"comments":      {`a/b (c;(d)) ; x=1(y=2); z="(3)"`, "a/b", map[string]string{"x": "1", "z": "(3)"}},
		"first counts":  {`a/b; x=1; X=2`, "a/b", map[string]string{"x": "1"}},
		"malformed":     {`a/b;;=;x;y=;z="open`, "a/b", map[string]string{"y": "", "z": "open"}},
		"spaces within": {`attachment; filename=a b.txt`, "attachment", map[string]string{"filename": "a b.txt"}},
		"extended": {
			`attachment; filename*=utf-8'en'J%C3%BCrgen%20x; filename=fallback`,
			"attachment", map[string]string{"filename": "Jürgen x"},
		},
		"continued": {
			`a/b; n*0="one "; n*1=two; n*3=lost`, "a/b", map[string]string{"n": "one two"},
		},
		"continued out of order, encoded": {
			`a/b; n*1=" b%20"; n*0*=iso-8859-1''%E4; n*2*=%DF`, "a/b", map[string]string{"n": "ä b%20ß"},
		},
		"continued without a start": {`a/b; n*1=x`, "a/b", map[string]string{}},
		"unknown character set":     {`a/b; n*=zz''%41%zz`, "a/b", map[string]string{"n": "A%zz"}},
		"without character set":     {`a/b; n*=%41`, "a/b", map[string]string{"n": "A"}},
		"huge index":                {`a/b; n*99999999999999999999=x; n*-1=y`, "a/b", map[string]string{}},
		"empty":                     {``, "", nil},
		"backslash at the end":      {`a/b; x="\`, "a/b", map[string]string{"x": `\`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := entity.ParseMediaType(test.in)
			params := map[string]string{}
			for _, p := range m.Params {
				if _, twice := params[p.Name]; twice {
					t.Errorf("%s is there twice", p.Name)
				}
				params[p.Name] = p.Value
			}
			if diff := cmp.Diff(test.params, params, cmpopts.EquateEmpty()); m.Type != test.typ || diff != "" {
				t.Errorf("%q: %s", m.Type, diff)
			}
			for name, value := range params {
				if !m.Params.Has(name) || m.Params.Get(name) != value {
					t.Errorf("%s is %q", name, m.Params.Get(name))
				}
			}
			if m.Params.Has("absent") || m.Params.Get("absent") != "" {
				t.Error("what is absent has a value")
			}
		})
	}
}

func TestParseMediaTypeIsBounded(t *testing.T) {
	m := entity.ParseMediaType("a/b" + strings.Repeat(";x", 100_000) + strings.Repeat("(", 100_000))
	if m.Type != "a/b" || len(m.Params) != 0 {
		t.Errorf("%+v", m)
	}
}

func TestFilename(t *testing.T) {
	tests := map[string]string{
		"Content-Disposition: attachment; filename=\"a.txt\"\r\n":                 "a.txt",
		"Content-Type: a/b; name=b.txt\r\n":                                       "b.txt",
		"Content-Type: a/b; name=b.txt\r\nContent-Disposition: x; filename=c\r\n": "c",
		"Content-Type: a/b; name=\"=?utf-8?Q?=C3=BC.txt?=\"\r\n":                  "ü.txt",
		"Content-Disposition: attachment; filename=\"../../etc/passwd\"\r\n":      "../../etc/passwd",
	}
	for in, want := range tests {
		e, err := entity.Parse(strings.NewReader(in+"\r\n"), entity.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Filename(); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// Values without comments and escapes take a shorter way than others.
func TestParseMediaTypePlain(t *testing.T) {
	for _, value := range []string{
		"", ";", "a/b", "a/b;", ";;x=1", `a/b; x="y;z"; w=1`, `a/b; x="y`, `a/b; x="y"z"; q=1`, `a/b;x = " y " ;`, `a/b; x=y"z;w`,
		"a/b" + strings.Repeat(";x=1", 300), `a/b; x*=utf-8''%C3%BC; y*0="1;"; y*1=2`, `a/b; "`, `a/b; x="`,
	} {
		// A comment in front is no part of the value, and takes the longer way.
		want := entity.ParseMediaType("()" + value)
		if diff := cmp.Diff(want, entity.ParseMediaType(value)); diff != "" {
			t.Errorf("%.40q: %s", value, diff)
		}
	}
}
