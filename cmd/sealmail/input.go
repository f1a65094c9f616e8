package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// maxText bounds a message text that is given on stdin or by file.
const maxText = 64 << 20

// maxTyped bounds what a person types in answer to all questions.
const maxTyped = 1 << 20

// inputText reads a text from a file, or from stdin for "-". An empty name is an empty text.
func (a *app) inputText(name string) ([]byte, error) {
	var r io.Reader
	switch name {
	case "":
		return nil, nil
	case "-":
		r = a.in
	default:
		f, err := os.Open(name)
		if err != nil {
			return nil, unreadable(err)
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > maxText {
		return nil, usagef("send a large file with --attach", "%s: a text of more than 64 MiB", name)
	}
	return b, nil
}

// unreadable is the error of a file that was named and cannot be read.
func unreadable(err error) error {
	return &client.Error{Kind: client.Failed, Err: err, Hint: "name a file that can be read, or - for stdin"}
}

// confirm asks a person; without a terminal a confirmation that is not given is a refusal.
func (a *app) confirm(question string) error {
	if a.flags.yes {
		return nil
	}
	if a.prompt == nil {
		return usagef("say --yes to confirm", "%s There is no terminal to ask at", question)
	}
	agreed, err := a.agree(question)
	if err == nil && !agreed {
		err = usagef("", "not confirmed; nothing was done")
	}
	return err
}

// agree asks a person, and takes no for an answer.
func (a *app) agree(question string) (bool, error) {
	answer, err := a.ask(question + " [y/N] ")
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", err
}

// ask has a person type a line, and returns it without the blanks around it. The end of the input is an empty line.
func (a *app) ask(question string) (string, error) {
	if a.typed == nil {
		a.typed = bufio.NewReader(io.LimitReader(a.in, maxTyped))
	}
	fmt.Fprint(a.err, question)
	answer, err := untilInterrupted(a.interrupted, func() (string, error) { return a.typed.ReadString('\n') })
	if err != nil {
		fmt.Fprintln(a.err) // no line end of theirs came before
		if !errors.Is(err, io.EOF) {
			return "", err
		}
	}
	return strings.TrimSpace(answer), nil
}

// mayReplace asks a person before a file is replaced.
func (a *app) mayReplace(file string) error {
	return a.confirm(term.Line(file) + " exists. Replace it?")
}
