package smime_test

import (
	"fmt"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
)

// sendersOf reads a header section; no From is like none that says anything.
func sendersOf(t testing.TB, header string) (addresses, also []string, err error) {
	t.Helper()
	m := open(t, []byte(header+"\r\nbody"), smime.OpenOptions{})
	senders, err := m.Senders("From")
	for _, s := range senders {
		addresses, also = append(addresses, s.Address), append(also, s.Also...)
	}
	return addresses, also, err
}

func TestReadSenders(t *testing.T) {
	const alice = "alice@example.org"
	for header, want := range map[string]struct{ addresses, also []string }{
		"From: alice@example.org\r\n":                                 {addresses: []string{alice}},
		"From: <alice@example.org>\r\n":                               {addresses: []string{alice}},
		"FROM:Alice Adams<alice@example.org>\r\n":                     {addresses: []string{alice}},
		"From: \"Adams, Alice\" <alice@example.org>\r\n":              {addresses: []string{alice}},
		"From: J. R. Adams <alice@example.org>\r\n":                   {addresses: []string{alice}},
		"From: alice@example.org (Alice (at work))\r\n":               {addresses: []string{alice}},
		"From: (Alice) alice@example.org\r\n":                         {addresses: []string{alice}},
		"From: =?utf-8?q?J=C3=BCrgen?= <alice@example.org>\r\n":       {addresses: []string{alice}},
		"From: =?x-unknown?q?J=FC?= <alice@example.org>\r\n":          {addresses: []string{alice}},
		"From: Jürgen < alice@example.org >\r\n":                      {addresses: []string{alice}},
		"From: Alice\r\n <alice@example.org>\r\n":                     {addresses: []string{alice}},
		"From: \"a \\\" b\" <alice@example.org>\r\n":                  {addresses: []string{alice}},
		"From: \"alice smith\"@example.org\r\n":                       {addresses: []string{`"alice smith"@example.org`}},
		"From: a@[192.0.2.1]\r\n":                                     {addresses: []string{"a@[192.0.2.1]"}},
		"From: jürgen@müller.example\r\n":                             {addresses: []string{"jürgen@müller.example"}},
		"From: alice@example.org, b@example.org\r\n":                  {addresses: []string{alice, "b@example.org"}},
		"From: alice@example.org\r\nFROM: b@example.org\r\n":          {addresses: []string{alice, "b@example.org"}},
		"From: \"ALICE@Example.ORG\" <alice@example.org>\r\n":         {addresses: []string{alice}},
		"From: \"bob@x.org\" <alice@example.org>\r\n":                 {[]string{alice}, []string{"bob@x.org"}},
		"From: bob＠x.org <alice@example.org>\r\n":                     {[]string{alice}, []string{"bob@x.org"}},
		"From: \"bob @ x.org.\" <alice@example.org>\r\n":              {[]string{alice}, []string{"bob@x.org"}},
		"From: \"b\u200bob@x.org\" <alice@example.org>\r\n":           {[]string{alice}, []string{"bob@x.org"}},
		"From: =?utf-8?q?=22bob=40x.org=22?= <alice@example.org>\r\n": {[]string{alice}, []string{"bob@x.org"}},
		"From: alice@example.org (really <bob@x.org>)\r\n":            {[]string{alice}, []string{"bob@x.org"}},
		"From: (a@b.org c@d.org) <alice@example.org> (e@f.org)\r\n":   {[]string{alice}, []string{"a@b.org", "c@d.org", "e@f.org"}},
		"From: \"<bob@x.org>\" <alice@example.org>\r\n":               {[]string{alice}, []string{"bob@x.org"}},
		"From: @ <alice@example.org>\r\n":                             {},
		"From: \r\n":                                                  {},
		"To: alice@example.org\r\n":                                   {},
	} {
		addresses, also, err := sendersOf(t, header)
		if want.addresses == nil && strings.Contains(header, "<") {
			if err == nil {
				t.Errorf("%q: %v", header, addresses)
			}
			continue
		}
		if diff := cmp.Diff(want.addresses, addresses); diff != "" || err != nil {
			t.Errorf("%q: %v %s", header, err, diff)
		}
		if diff := cmp.Diff(want.also, also); diff != "" {
			t.Errorf("%q: also %s", header, diff)
		}
	}
}

// TestReadSendersRefuses has fields that readers are known to disagree on.
func TestReadSendersRefuses(t *testing.T) {
	for value, why := range map[string]string{
		" Friends: alice@example.org;":                   "a group",
		" :alice@example.org;":                           "no address",
		" <@relay.example,@b:alice@example.org>":         "no address",
		" <alice@example.org> <b@example.org>":           "no address",
		" <alice@example.org><b@example.org>":            "no address",
		" alice@example.org <b@example.org>":             "no address",
		" alice@example.org b@example.org":               "no address",
		" alice@example.org,":                            "no address",
		" ,alice@example.org":                            "no address",
		" alice@example.org; b@example.org":              "no address",
		" Alice b@example.org":                           "no address",
		" Alice":                                         "no address",
		" <alice(b@example.org)@example.org>":            "no address",
		" alice @example.org":                            "no address",
		" alice@ example.org":                            "no address",
		" alice(x)@example.org":                          "no address",
		" alice..a@example.org":                          "no address",
		" .alice@example.org":                            "no address",
		" alice@example.org.":                            "no address",
		" alice@@example.org":                            "no address",
		" <alice@example.org":                            "no address",
		" <alice\\@example.org>":                         "no address",
		" \"alice <alice@example.org>":                   "quotation without end",
		" (alice alice@example.org":                      "comment without end",
		" (\\":                                           "comment without end",
		" =?utf-8?q?alice?=@example.org":                 "encoded word",
		" <=?utf-8?q?alice=40example.org=3E?=@evil.org>": "encoded word",
		" <a@[1[2]>":                                     "no address",
		" alice@example.org\x00":                         "control characters",
		" alice@exa\x1bmple.org":                         "control characters",
		" alice@example.org\r b@example.org":             "control characters",
		" J\xfcrgen <alice@example.org>":                 "no UTF-8",
		" alice\u200b@example.org":                       "cannot be seen",
		" alice＠evil.org@example.org":                    "cannot be seen",
		" alice@example.org\u202e":                       "cannot be seen",
		" alice@evil。org.example.org":                    "cannot be seen",
		" " + strings.Repeat("a", 65<<10) + "@b.org":     "longer than",
		" a@" + strings.Repeat("ä", 600) + ".org":        "longer than any can be",
		" " + strings.Repeat("a@b.org,", 70) + "a@b.org": "more than",
	} {
		addresses, _, err := sendersOf(t, "From:"+value+"\r\n")
		if err == nil || !strings.Contains(err.Error(), why) || len(addresses) > 0 {
			t.Errorf("%.80q: %v %v", value, addresses, err)
		}
	}
	if _, _, err := sendersOf(t, "To: b@example.org\r\nFrom : alice@example.org\r\n"); err == nil || !strings.Contains(err.Error(), "before its colon") {
		t.Error(err)
	}
}

// FuzzReadSenders compares with the reader of the standard library: what is read strictly, the other one reads alike, if at
// all.
func FuzzReadSenders(f *testing.F) {
	for _, seed := range []string{
		"alice@example.org", "A <a@b>", `"x" <"y z"@[1]>, (c) d@e`, "=?utf-8?q?a?= <b@c>", "g: a@b;", `(\)) a@b ((c))`, "a.b c <d@e>", `"\`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\r\n") {
			return
		}
		senders, err := smime.ReadSenders([]entity.Field{{Name: "From", Raw: []byte("From: " + value + "\r\n")}})
		if err != nil {
			return
		}
		list, err := mail.ParseAddressList(value)
		if err != nil {
			return // it reads less: UTF-8 in some places, encoded words in other character sets
		}
		if len(list) != len(senders) {
			t.Fatalf("%q: %v, and %v", value, senders, list)
		}
		for i := range list {
			if s := senders[i].Address; s != list[i].Address && !strings.HasPrefix(s, `"`) {
				t.Errorf("%q: %q, and %q", value, s, list[i].Address)
			}
		}
	})
}

func TestDisplayAddress(t *testing.T) {
	for address, want := range map[string]string{
		"alice@example.org":        "",
		"a@müller.de":              "",
		"jürgen@müller.de":         "",
		"a@例え.jp":                  "",
		"a@日本語ひらがなabc.jp":          "",
		"a@한국漢字.kr":                "",
		"a@почта.рф":               "",
		"a@xn--80ak6aa92e.com":     "",
		"a@аррӏе.com":              "a@xn--80ak6aa92e.com",
		"a@exаmple.org":            "a@xn--exmple-4nf.org",
		"a@sub.exаmple.org":        "a@sub.xn--exmple-4nf.org",
		"a@пример.рф.com":          "a@xn--e1afmkfd.xn--p1ai.com",
		"a@пр한.рф":                 "a@xn--o1ac0171n.xn--p1ai",
		"a@" + "ex\u200bample.org": "a@xn--example-1z6c.org",
		"a@exam\u2044ple.org":      "a@xn--example-4d7c.org",
		"no address":               "",
		"а@example.org":            "",
		"a@" + "αβγ.ελ":            "",
		"a@" + "αβγ.example":       "a@xn--mxacd.example",
		"a@" + "ａｌｉｃｅ.example":     "",
	} {
		got := smime.DisplayAddress(address)
		if want == "" {
			want = address
		}
		if got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	for address, want := range map[string]bool{
		"alice@example.org": false, "аlice@example.org": true, "алиса@example.org": false, "алиса1@example.org": false, "a": false, "山田taro@x.jp": false,
	} {
		if got := smime.MixesScripts(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// TestLongDomains: what no domain can be is not brought into another form, which would take minutes.
func TestLongDomains(t *testing.T) {
	var b strings.Builder
	for c := rune(0x4e00); c < 0x9fff; c++ {
		b.WriteRune(c)
	}
	long := "a@" + b.String() + ".example"
	start := time.Now()
	if !smime.SameAddress(long, "A"+long[1:]) || smime.SameAddress(long, long+"x") || smime.DisplayAddress(long) != long {
		t.Error("it is not taken as it is")
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %s", took)
	}
}

// TestAlsoIsBounded: however many comments there are, a few of the other addresses will do.
func TestAlsoIsBounded(t *testing.T) {
	header := "From: alice@example.org"
	for i := range 100 {
		header += fmt.Sprintf(" (b%d@example.org)", i)
	}
	if _, also, err := sendersOf(t, header+"\r\n"); err != nil || len(also) != 8 {
		t.Errorf("%d, %v", len(also), err)
	}
}
