package hostiletest

import (
	"fmt"
	"slices"
	"strings"
)

// Case is one message.
type Case struct {
	Name   string // NNN-name, as the files are called
	Readme string // what it is, what a fooled reader would show, what is right and where that is written
	Want   Expectation
	Build  func(l *Lab) string // the message, octet for octet
}

// Expectation is what must come out whatever else does. Empty fields ask for nothing.
type Expectation struct {
	Verdict    string   // passed, failed, indeterminate, unsigned
	Encryption string   // decrypted, undecryptable, failed; empty: none
	Codes      []string // among those of the checks and warnings
	NotCodes   []string // not among them
	From       string   // the sender as displayed
	Text       []string // in the text
	NotText    []string // nowhere in it
	Screen     []string // on the screen
	NotScreen  []string // nowhere on it
	Fails      string   // in the error, where there is nothing to judge; the exit code is 3 then
	Open       string   // why the program does otherwise today; the expectation must fail as long as this is here
}

// Found is what the program says of a message, as far as expectations are about it.
type Found struct {
	Verdict, Encryption, From, Text, Screen, Error string
	Codes                                          []string
}

// Violations says in which way what was found is not what is expected.
func (e Expectation) Violations(f Found) []string {
	var list []string
	differs := func(what, got, want string) {
		if got != want {
			list = append(list, fmt.Sprintf("%s is %q, not %q", what, got, want))
		}
	}
	if e.Fails != "" || f.Error != "" {
		if e.Fails == "" || !strings.Contains(f.Error, e.Fails) {
			list = append(list, fmt.Sprintf("error is %q, not %q", f.Error, e.Fails))
		}
		return list
	}
	differs("verdict", f.Verdict, e.Verdict)
	encryption := e.Encryption
	if encryption == "" {
		encryption = "none"
	}
	differs("encryption", f.Encryption, encryption)
	if e.From != "" {
		differs("From", f.From, e.From)
	}
	for _, code := range e.Codes {
		if !slices.Contains(f.Codes, code) {
			list = append(list, fmt.Sprintf("code %s is not among %v", code, f.Codes))
		}
	}
	for _, code := range e.NotCodes {
		if slices.Contains(f.Codes, code) {
			list = append(list, fmt.Sprintf("code %s is among %v", code, f.Codes))
		}
	}
	contains := func(where, text string, have, lack []string) {
		for _, s := range have {
			if !strings.Contains(text, s) {
				list = append(list, fmt.Sprintf("the %s lacks %q", where, s))
			}
		}
		for _, s := range lack {
			if strings.Contains(text, s) {
				list = append(list, fmt.Sprintf("the %s has %q", where, s))
			}
		}
	}
	contains("text", f.Text, e.Text, e.NotText)
	contains("screen", f.Screen, e.Screen, e.NotScreen)
	return list
}

// Cases are all of them, in the order of their names.
func Cases() []Case {
	return slices.Concat(contentCases(), signerInfoCases(), signerCases(), structureCases(), fromCases(), nameCases(), encryptionCases(),
		wrappingCases(), protectionCases(), displayCases(), htmlCases(), fileNameCases(), formatCases())
}
