package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/tsa"
)

// json SOURCE PATH WANT: in the JSON of a file or of stdout, what is at PATH is WANT: text as it is, anything else as
// compact JSON, or a regular expression /between slashes/. PATH is keys and indexes with dots between, and len for a
// length; it begins with [N] where the source has several lines. ! json SOURCE PATH: there is no such thing.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg && len(args) != 2 || !neg && len(args) != 3 {
		ts.Fatalf("usage: json SOURCE PATH WANT, or ! json SOURCE PATH")
	}
	value, err := lookUp(ts.ReadFile(args[0]), args[1])
	if neg {
		if err == nil {
			ts.Fatalf("%s is %s", args[1], value)
		}
		return
	}
	ts.Check(err)
	want := args[2]
	if len(want) > 1 && strings.HasPrefix(want, "/") && strings.HasSuffix(want, "/") {
		pattern, err := regexp.Compile("^(?s:" + want[1:len(want)-1] + ")$")
		ts.Check(err)
		if !pattern.MatchString(value) {
			ts.Fatalf("%s is %q, want %s", args[1], value, want)
		}
	} else if value != want {
		ts.Fatalf("%s is %q, want %q", args[1], value, want)
	}
}

// keep NAME SOURCE PATH: puts what is at PATH into $NAME.
func keepJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: keep NAME SOURCE PATH")
	}
	value, err := lookUp(ts.ReadFile(args[1]), args[2])
	ts.Check(err)
	ts.Setenv(args[0], value)
}

func lookUp(text, path string) (string, error) {
	var values []any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	for decoder.More() {
		var v any
		if err := decoder.Decode(&v); err != nil {
			return "", err
		}
		values = append(values, v)
	}
	words := strings.Split(path, ".")
	if path == "len" {
		return strconv.Itoa(len(values)), nil
	}
	line := 0
	if n, ok := strings.CutPrefix(words[0], "["); ok {
		var err error
		if line, err = strconv.Atoi(strings.TrimSuffix(n, "]")); err != nil {
			return "", err
		}
		words = words[1:]
	} else if len(values) != 1 {
		return "", fmt.Errorf("there are %d values: say which, as [N].%s", len(values), path)
	}
	if line >= len(values) {
		return "", fmt.Errorf("there are %d values", len(values))
	}
	v, err := descend(values[line], words)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if s, ok := v.(string); ok {
		return s, nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

func descend(v any, words []string) (any, error) {
	for _, word := range words {
		switch container := v.(type) {
		case map[string]any:
			inner, ok := container[word]
			if !ok {
				return nil, fmt.Errorf("there is no %q", word)
			}
			v = inner
		case []any:
			if word == "len" {
				v = json.Number(strconv.Itoa(len(container)))
				continue
			}
			i, err := strconv.Atoi(word)
			if err != nil || i < 0 || i >= len(container) {
				return nil, fmt.Errorf("%q is none of %d", word, len(container))
			}
			v = container[i]
		default:
			return nil, fmt.Errorf("%q is looked for in what has no parts", word)
		}
	}
	return v, nil
}

// flip FILE: changes one letter in the middle of a message's body, and its bits if that is base64; or one bit in the middle of
// what is no message.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip FILE")
	}
	message := []byte(ts.ReadFile(args[0]))
	body := bytes.Index(message, []byte("\n\r\n"))
	if body < 0 {
		message[len(message)/2] ^= 1
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), message, 0o600))
		return
	}
	at := body + (len(message)-body)/2
	for !isLetter(message[at]) {
		at++
	}
	if message[at]++; !isLetter(message[at]) {
		message[at] -= 2 // Z and z
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), message, 0o600))
}

func isLetter(c byte) bool { return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }

// replace FILE OLD NEW: replaces text that must be there, where it stands first; \n in NEW is a line end.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%q is not in %s", args[1], args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], strings.ReplaceAll(args[2], `\n`, "\n"), 1)), 0o600))
}

// halve FILE: cuts off its second half.
func halve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: halve FILE")
	}
	text := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text[:len(text)/2]), 0o600))
}

// sign-with-token P12 PASSWORD-FILE TOKEN IN OUT: signs as no honest program does, with a timestamp that was made for
// something else: the one in a response, or of the signature of a message.
func signWithToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: sign-with-token P12 PASSWORD-FILE TOKEN IN OUT")
	}
	pair, err := readPair(ts.MkAbs(args[0]), strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	token := tokenIn(ts, args[2])
	signer, ok := pair.Key.(crypto.Signer)
	if !ok {
		ts.Fatalf("the key cannot sign")
	}
	var out bytes.Buffer
	header, text, found := strings.Cut(ts.ReadFile(args[3]), "\n\n")
	if !found {
		ts.Fatalf("no header in %s", args[3])
	}
	out.WriteString(strings.ReplaceAll(header, "\n", "\r\n") + "\r\n")
	err = smime.Sign(context.Background(), &out, strings.NewReader("Content-Type: text/plain\n\n"+text), smime.Signer{Key: signer, Chain: pair.Chain}, smime.SignOptions{
		SigningTime: time.Now(),
		Timestamp:   func(context.Context, []byte) ([]byte, error) { return token, nil },
	})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[4]), out.Bytes(), 0o600))
}

// tokenIn is the one timestamp in a file.
func tokenIn(ts *testscript.TestScript, name string) []byte {
	text := ts.ReadFile(name)
	if filepath.Ext(name) != ".eml" {
		response, err := tsa.ParseResponse([]byte(text))
		ts.Check(err)
		return response.Token
	}
	m, err := smime.Open(context.Background(), strings.NewReader(text), smime.OpenOptions{})
	ts.Check(err)
	defer m.Close()
	if len(m.Layers) != 1 || m.Layers[0].Signed == nil || len(m.Layers[0].Signed.Signatures[0].Tokens) != 1 {
		ts.Fatalf("%s: not one signature with one timestamp", name)
	}
	return m.Layers[0].Signed.Signatures[0].Tokens[0]
}

// later NAME DAYS: puts the time so many days from now into $NAME.
func later(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: later NAME DAYS")
	}
	days, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Setenv(args[0], time.Now().AddDate(0, 0, days).UTC().Format(time.RFC3339))
}

// tick waits until the clock shows another second: revocations are dated to the second.
func tick(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: tick")
	}
	now := time.Now()
	time.Sleep(now.Truncate(time.Second).Add(time.Second).Sub(now))
}

// readPair reads the one key in a PKCS#12 file.
func readPair(name, password string) (certstore.KeyPair, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return certstore.KeyPair{}, err
	}
	bundle, err := certstore.DecodePKCS12(data, password)
	if err != nil {
		return certstore.KeyPair{}, err
	}
	pairs, _ := bundle.KeyPairs()
	if len(pairs) != 1 {
		return certstore.KeyPair{}, fmt.Errorf("%s: not one key with its certificate", name)
	}
	return pairs[0], nil
}

// evidence HOME DIR: puts the one revocation list and the one OCSP response that HOME keeps of its messages into DIR/crl and
// DIR/ocsp; every file must be named after its octets.
func collectEvidence(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: evidence HOME DIR")
	}
	ts.Check(os.MkdirAll(ts.MkAbs(args[1]), 0o700))
	for _, kind := range []string{"cer", "crl", "ocsp"} {
		files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "evidence", "*", "*."+kind))
		ts.Check(err)
		if len(files) == 0 || kind != "cer" && len(files) != 1 {
			ts.Fatalf("%d files of kind %s", len(files), kind)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			ts.Check(err)
			if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != strings.TrimSuffix(filepath.Base(f), "."+kind) {
				ts.Fatalf("%s is not named after its octets", f)
			}
			ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[1]), kind), data, 0o600))
		}
	}
}
