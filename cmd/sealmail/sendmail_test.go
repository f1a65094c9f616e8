package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sealmail/sealmail/internal/client"
)

// TestSendmailWords: the words are read as sendmail(8) reads them, with values that follow at once or in the next word.
func TestSendmailWords(t *testing.T) {
	type params = client.SendmailParams
	for words, want := range map[string]sendmailWords{
		"":                                     {},
		"bob@x.test":                           {params: params{Recipients: []string{"bob@x.test"}}},
		"-t":                                   {params: params{FromHeader: true}},
		"-ti":                                  {params: params{FromHeader: true, DotIsText: true}},
		"-t -oi":                               {params: params{FromHeader: true, DotIsText: true}},
		"-oi -oem -oeq -odb bob@x.test":        {params: params{DotIsText: true, Recipients: []string{"bob@x.test"}}},
		"-f alice@x.test -- bob@x.test":        {params: params{Sender: "alice@x.test", Recipients: []string{"bob@x.test"}}},
		"-falice@x.test -FCronDaemon -i":       {params: params{Sender: "alice@x.test", DisplayName: "CronDaemon", DotIsText: true}},
		"-F Alice -r alice@x.test -- -f":       {params: params{DisplayName: "Alice", Sender: "alice@x.test", Recipients: []string{"-f"}}},
		"-B8BITMIME -N never -R hdrs -Venv b":  {params: params{Recipients: []string{"b"}}},
		"-B 8BITMIME -O DeliveryMode=b -L tag": {},
		"-G -U -n -m -s -em -h 5 b":            {params: params{Recipients: []string{"b"}}},
		"-a work -v b":                         {named: "work", verbose: true, params: params{Recipients: []string{"b"}}},
		"-bp":                                  {mode: "bp"},
		"-bm b":                                {params: params{Recipients: []string{"b"}}},
		"-q":                                   {mode: "q"},
		"--help -t":                            {help: true, params: params{FromHeader: true}},
		"-q15m":                                {mode: "q"},
		"--no-encrypt -t":                      {params: params{FromHeader: true}},
		"--timeout 5s --json=true b":           {params: params{Recipients: []string{"b"}}},
	} {
		a := &app{}
		a.getenv = func(string) string { return "" }
		cmd, _, err := newRootCommand(a).Find([]string{"sendmail"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseSendmail(cmd, strings.Fields(words))
		if err != nil {
			t.Errorf("%s: %v", words, err)
			continue
		}
		if diff := cmp.Diff(&want, got, cmp.AllowUnexported(sendmailWords{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", words, diff)
		}
		if strings.Contains(words, "--timeout") && (!a.flags.json || a.flags.timeout.Seconds() != 5) {
			t.Errorf("%s: flags %+v", words, a.flags)
		}
	}
	for _, words := range []string{"-f", "-F", "-Z", "-tZ", "-bs", "-bd", "-bi", "--no-such", "--timeout", "--json=perhaps"} {
		cmd, _, err := newRootCommand(&app{environment: environment{getenv: func(string) string { return "" }}}).Find([]string{"sendmail"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseSendmail(cmd, strings.Fields(words)); err == nil {
			t.Errorf("%s: %+v", words, got)
		}
	}
}

func TestAsSendmail(t *testing.T) {
	for program, want := range map[string]string{"sealmail": "-t", "/usr/local/bin/sealmail": "-t", "sendmail": "sendmail -t", "/usr/sbin/sendmail": "sendmail -t", "sendmail.exe": "sendmail -t"} {
		if got := strings.Join(asSendmail(program, []string{"-t"}), " "); got != want {
			t.Errorf("%s: %s, want %s", program, got, want)
		}
	}
}

// TestSysexit: the code reaches the shell, and the words of the error a person.
func TestSysexit(t *testing.T) {
	err := &sysexit{exTempFail, &client.Error{What: "x", Err: errors.New("y"), Hint: "z"}}
	var text strings.Builder
	printError(&text, err, false)
	if exitCode(err) != exTempFail || text.String() != "sealmail: x: y\nhint: z\n" {
		t.Errorf("%d, %q", exitCode(err), text.String())
	}
}
