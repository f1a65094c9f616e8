package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/sealmail/sealmail/internal/client"
)

// editor returns how a person edits a letter: with $VISUAL or $EDITOR.
func (a *app) editor() client.Editor {
	return func(_ context.Context, text []byte) (_ []byte, err error) {
		command, err := a.editorCommand()
		if err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp(a.privateFolder(), "sealmail-") // closed to others
		if err != nil {
			return nil, fmt.Errorf("a folder for the text: %w", err)
		}
		// With what the editor leaves beside the file.
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		file := filepath.Join(dir, "letter.eml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		failure := a.runEditor(command, file)
		edited, err := readEdited(file)
		if failure != nil { // it may have stored much before that
			return edited, &client.Error{Kind: client.Failed, What: "editor", Err: fmt.Errorf("%s: %w; nothing was done", command, failure), Hint: "$VISUAL or $EDITOR names another one"}
		}
		return edited, err
	}
}

func readEdited(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxText+1))
}

// privateFolder is where texts lie while they are edited: in memory, and gone with the session, where the system has such a folder.
func (a *app) privateFolder() string {
	if dir := a.getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	return "" // the system's for temporary files
}

func (a *app) editorCommand() (string, error) {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if command := strings.TrimSpace(a.getenv(name)); command != "" {
			return command, nil
		}
	}
	for _, command := range []string{"vi", "nano"} {
		if inPath(command) {
			return command, nil
		}
	}
	return "", usagef("set $EDITOR, or give the text with --body", "no editor is known")
}

// runEditor waits until the person has left the editor, whatever else happens: only then is it known what they wrote.
func (a *app) runEditor(command, file string) error {
	words := append(strings.Fields(command), file)
	if runtime.GOOS != "windows" {
		words = []string{"/bin/sh", "-c", command + ` "$@"`, "sh", file}
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.err, a.err // on stdout are results
	if in, ok := a.in.(*interruptible); ok {
		cmd.Stdin = in.r // the file itself: with a pipe between, it would be waited for the end of what is typed
	}
	if a.prompt != nil { // an editor wants the terminal itself, which stdout need not be
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	}
	// Ctrl-C is for the editor, which would be left at the terminal alone. Nor may anything else leave behind what was written, in
	// clear: where a terminal is closed, its shell often says so a second time.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	return cmd.Run()
}
