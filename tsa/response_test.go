package tsa_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

func TestResponse(t *testing.T) {
	token := []byte{0x30, 0x03, 0x02, 0x01, 0x07}
	for _, tt := range []struct {
		name string
		der  string
		want tsa.Response
	}{
		{"granted", "30 0a 30 03 02 01 00 30 03 02 01 07", tsa.Response{Status: tsa.Granted, Token: token}},
		{"granted with modifications", "30 0a 30 03 02 01 01 30 03 02 01 07", tsa.Response{Status: tsa.GrantedWithMods, Token: token}},
		{"rejected", "30 05 30 03 02 01 02", tsa.Response{Status: tsa.Rejection}},
		{"badAlg", "30 09 30 07 02 01 02 03 02 07 80", tsa.Response{Status: tsa.Rejection, FailInfo: tsa.BadAlg}},
		{"two reasons", "30 09 30 07 02 01 02 03 02 02 84", tsa.Response{Status: tsa.Rejection, FailInfo: tsa.BadAlg | tsa.BadDataFormat}},
		{"waiting", "30 05 30 03 02 01 03", tsa.Response{Status: tsa.Waiting}},
		{"badDataFormat", "30 09 30 07 02 01 02 03 02 02 04", tsa.Response{Status: tsa.Rejection, FailInfo: tsa.BadDataFormat}},
		{"unacceptedPolicy and a text", "30 10 30 0e 02 01 02 30 04 0c 02 6e 6f 03 03 00 00 01",
			tsa.Response{Status: tsa.Rejection, Text: []string{"no"}, FailInfo: tsa.UnacceptedPolicy}},
		{"systemFailure", "30 0c 30 0a 02 01 02 03 05 06 00 00 00 40",
			tsa.Response{Status: tsa.Rejection, FailInfo: tsa.SystemFailure}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			der := fromHex(t, tt.der)
			got, err := tsa.ParseResponse(der)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Error(diff)
			}
			again, err := tt.want.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again, der) {
				t.Errorf("encoded as\n%x, want\n%x", again, der)
			}
			if got.Token != nil != (got.Err() == nil) {
				t.Errorf("Err is %v", got.Err())
			}
		})
	}
}

// hostileResponses are answers that are no time-stamp responses.
var hostileResponses = []struct {
	name, section string
	der           string
}{
	{"empty", "", ""},
	{"no status", "", "30 00"},
	{"granted without token", "", "30 05 30 03 02 01 00"},
	{"granted with modifications without token", "", "30 05 30 03 02 01 01"},
	{"rejection with token", "", "30 0a 30 03 02 01 02 30 03 02 01 07"},
	{"waiting with token", "", "30 0a 30 03 02 01 03 30 03 02 01 07"},
	{"granted with a failure", "", "30 0e 30 07 02 01 00 03 02 07 80 30 03 02 01 07"},
	{"unknown status", "", "30 05 30 03 02 01 06"},
	{"negative status", "", "30 05 30 03 02 01 ff"},
	{"status with a needless octet", "X.690 section 8.3.2", "30 06 30 04 02 02 00 02"},
	{"text that is no UTF8String", "", "30 0b 30 09 02 01 02 30 04 13 02 6e 6f"},
	{"failure of more than 32 bits", "of our own", "30 0d 30 0b 02 01 02 03 06 00 00 00 00 00 01"},
	{"something behind the status", "", "30 09 30 07 02 01 02 02 02 07 80"},
	{"something behind the token", "", "30 0c 30 03 02 01 00 30 03 02 01 07 05 00"},
	{"something behind the response", "", "30 05 30 03 02 01 02 00"},
	{"truncated", "", "30 05 30 03 02 01"},
}

func TestParseResponseRefuses(t *testing.T) {
	for _, tt := range hostileResponses {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tsa.ParseResponse(fromHex(t, tt.der)); !errors.Is(err, tsa.ErrMalformed) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := tsa.ParseResponse(make([]byte, tsa.MaxSize+1)); !errors.Is(err, tsa.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := tsa.ParseResponse(bytes.Repeat([]byte{0x30, 0x80}, 1000)); !errors.Is(err, tsa.ErrMalformed) {
		t.Errorf("nested too deeply: %v", err)
	}
}

func TestResponseMarshalRefuses(t *testing.T) {
	for name, r := range map[string]tsa.Response{
		"granted without token":  {Status: tsa.Granted},
		"rejected with token":    {Status: tsa.Rejection, Token: []byte{5, 0}},
		"granted with a failure": {Status: tsa.Granted, Token: []byte{5, 0}, FailInfo: tsa.BadAlg},
		"unknown status":         {Status: 9},
	} {
		if der, err := r.Marshal(); !errors.Is(err, tsa.ErrMalformed) {
			t.Errorf("%s: %x, %v", name, der, err)
		}
	}
	r := tsa.Response{Status: tsa.Granted, Token: make([]byte, tsa.MaxSize)}
	if _, err := r.Marshal(); !errors.Is(err, tsa.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestStatusError(t *testing.T) {
	hostile := "over here\x1b[31m\n" + strings.Repeat("x", 1000)
	r := tsa.Response{Status: tsa.Rejection, FailInfo: tsa.BadAlg | tsa.UnacceptedPolicy | 1<<3, Text: []string{hostile}}
	err := r.Err()
	status, ok := errors.AsType[*tsa.StatusError](err)
	if !ok || status.Status != tsa.Rejection || status.FailInfo != r.FailInfo {
		t.Fatalf("%#v", err)
	}
	const want = "time-stamp authority gave no token: rejection: badAlg, bit 3, unacceptedPolicy ("
	text := err.Error()
	if !strings.HasPrefix(text, want) {
		t.Errorf("got %q", text)
	}
	if strings.ContainsAny(text, "\x1b\n") || len(text) > 500 {
		t.Errorf("authority's own words are not contained: %q", text)
	}
	if got := tsa.Status(9).String(); got != "status 9" {
		t.Errorf("unknown status is %q", got)
	}
}

func FuzzParseResponse(f *testing.F) {
	e := tsatest.NewPKI(f)
	key := tsatest.ECKey(f)
	token := e.Token(f, message, e.Issue(f, key.Public(), nil), key).DER(f)
	for _, r := range []tsa.Response{
		{Status: tsa.Granted, Token: token},
		{Status: tsa.Rejection, FailInfo: tsa.BadAlg | tsa.SystemFailure, Text: []string{"no", "never"}},
	} {
		der, err := r.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	for _, path := range vectors(f, "*.tsr") {
		f.Add(readFile(f, path))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := tsa.ParseResponse(raw)
		if err != nil {
			if !errors.Is(err, tsa.ErrMalformed) && !errors.Is(err, tsa.ErrTooLarge) {
				t.Fatal(err)
			}
			return
		}
		der, err := r.Marshal()
		if errors.Is(err, tsa.ErrTooLarge) {
			return // definite lengths can take more octets than indefinite ones
		}
		if err != nil {
			t.Fatal(err)
		}
		again, err := tsa.ParseResponse(der)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r, again) { // thousands of octets are too many for cmp
			t.Fatalf("read as %+v, written and read again as %+v", r, again)
		}
	})
}
