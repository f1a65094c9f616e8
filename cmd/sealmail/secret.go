package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
)

// secretFlags are the two ways to give a secret; the command line itself is none.
type secretFlags struct {
	what          string
	file, command string
}

// add defines --NAME-file and --NAME-command.
func (s *secretFlags) add(cmd *cobra.Command, name, what string) {
	s.what = what
	cmd.Flags().StringVar(&s.file, name+"-file", "", "read "+what+" from this `file`")
	cmd.Flags().StringVar(&s.command, name+"-command", "", "read "+what+" from what this `command` prints")
}

func (s *secretFlags) given() bool { return s.file != "" || s.command != "" }

// read returns the secret from where the flags say, else from the person at the terminal, else an error.
func (s *secretFlags) read(ctx context.Context, a *app) ([]byte, error) {
	switch {
	case s.file != "" && s.command != "":
		return nil, usagef("give one of the two", "%s is given by file and by command", s.what)
	case s.file != "":
		return readSecretFile(a.in, s.file)
	case s.command != "":
		return readSecretCommand(ctx, s.command)
	case a.prompt != nil:
		return a.prompt(s.question(), a.interrupted)
	}
	return nil, usagef("without a terminal, give it by file or by command", "%s is needed", s.what)
}

// question is what a person is asked.
func (s *secretFlags) question() string { return strings.ToUpper(s.what[:1]) + s.what[1:] + ": " }

// readSecretFile reads a secret from a file, "-" being stdin, and strips one line end.
func readSecretFile(stdin io.Reader, path string) ([]byte, error) {
	r := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, unreadable(err)
		}
		defer f.Close()
		r = f
	}
	return readSecret(r, path)
}

func readSecret(r io.Reader, what string) ([]byte, error) {
	secret, err := client.ReadSecret(r)
	if err != nil && !errors.Is(err, client.ErrSecretSize) {
		return nil, unreadable(err)
	}
	return secret, secretSize(what, err)
}

// secretSize says what of a secret that is too large.
func secretSize(what string, err error) error {
	if errors.Is(err, client.ErrSecretSize) {
		return usagef("name a file or a command that gives the secret alone", "%s: %w", what, err)
	}
	return err
}

// readSecretCommand runs a command by the shell, as the person wrote it, and takes what it prints.
func readSecretCommand(ctx context.Context, command string) ([]byte, error) {
	secret, err := client.RunSecretCommand(ctx, command, os.Stderr)
	if err != nil && !errors.Is(err, client.ErrSecretSize) {
		return nil, fmt.Errorf("the command for a secret failed: %w", err)
	}
	return secret, secretSize("the command's output", err)
}

// passphraseFlags is how the vault's passphrase is given, by flag or by environment.
func (a *app) passphraseFlags() *secretFlags {
	s := &secretFlags{what: "the vault's passphrase", file: a.flags.passphraseFile, command: a.flags.passphraseCommand}
	if !s.given() {
		s.file = a.getenv("SEALMAIL_PASSPHRASE_FILE")
	}
	return s
}

// passphrase unlocks the vault: by flag, by environment, else by asking. With new, a person types it twice.
func (a *app) passphrase(ctx context.Context, create bool) ([]byte, error) {
	s := a.passphraseFlags()
	if s.given() || a.prompt == nil || !create {
		secret, err := s.read(ctx, a)
		if err == nil && len(secret) == 0 {
			return nil, usagef("the file or the command must hold one line", "the vault's passphrase is empty")
		}
		return secret, err
	}
	return a.chooseSecret("New passphrase for the vault: ")
}

// chooseSecret has a person choose a secret at the terminal, and type it twice.
func (a *app) chooseSecret(question string) ([]byte, error) {
	first, err := a.prompt(question, a.interrupted)
	if err != nil {
		return nil, err
	}
	second, err := a.prompt("Once more: ", a.interrupted)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) || len(first) == 0 {
		return nil, errors.New("the two answers differ, or are empty")
	}
	return first, nil
}

// choose is read for a secret that is made now: a person types it twice, and it is not empty.
func (s *secretFlags) choose(ctx context.Context, a *app) ([]byte, error) {
	if !s.given() && a.prompt != nil {
		return a.chooseSecret(s.question())
	}
	secret, err := s.read(ctx, a)
	if err == nil && len(secret) == 0 {
		err = usagef("the file or the command must hold one line", "%s is empty", s.what)
	}
	return secret, err
}
