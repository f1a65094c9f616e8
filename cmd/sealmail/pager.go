package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"

	"github.com/sealmail/sealmail/internal/term"
)

// errPagerQuit says that the person has left the pager and wants to see no more.
var errPagerQuit = errors.New("the pager has ended")

// pager writes to the terminal what fits on the screen, and shows what is longer through another program. Elsewhere, and
// without such a program, it writes straight on.
type pager struct {
	out           io.Writer
	columns, rows int // of the screen; 0: it is none
	color         bool
	command       string // for the shell; "": there is none
	env           []string

	held  bytes.Buffer // what was written before the program began
	lines int          // that it takes on the screen
	cmd   *exec.Cmd    // nil: it did not begin
	stdin io.WriteCloser
	keys  chan os.Signal
}

// newPager returns the way to the screen for a command's text. It must be ended.
func (a *app) newPager(wanted bool) *pager {
	p := &pager{out: a.out}
	if screen, ok := a.out.(*term.Screen); ok {
		p.out, p.color = screen.Writer, screen.Color // the program needs the terminal itself
	}
	if a.outIsTerminal && a.screen != nil {
		p.columns, p.rows = a.screen()
	}
	if wanted && p.rows > 0 && p.columns > 0 {
		p.command = a.pagerCommand()
		// The text is clean: of control characters it has those of our own colours, if any, which -R alone lets through.
		options := "-FX"
		if p.color && p.command != "" {
			p.color = a.flags.color == string(term.ColorAlways) || a.getenv("LESS") == "" && strings.HasPrefix(p.command, "less")
			options += "R"
		}
		for _, set := range [][2]string{{"LESS", options}, {"LESSSECURE", "1"}} {
			if a.getenv(set[0]) == "" {
				p.env = append(p.env, set[0]+"="+set[1])
			}
		}
	}
	return p
}

// pagerCommand is $PAGER, or less where that is at hand. A program that is not there is none.
func (a *app) pagerCommand() string {
	command := strings.TrimSpace(a.getenv("PAGER"))
	if command == "" && a.getenv("TERM") != "dumb" {
		command = "less"
	}
	if program, _, _ := strings.Cut(command, " "); command == "cat" || !strings.ContainsAny(command, `'"$\;|&<>`+"`") && !inPath(program) {
		return ""
	}
	return command
}

func inPath(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// Style is that of the screen; see [term.Screen].
func (p *pager) Style() (columns int, color bool) { return p.columns, p.color }

// Write takes text. Where it gets longer than the screen, the program begins.
func (p *pager) Write(text []byte) (int, error) {
	switch {
	case p.cmd != nil:
		n, err := p.stdin.Write(text)
		if err != nil {
			return n, errPagerQuit
		}
		return n, nil
	case p.command == "":
		return p.out.Write(text)
	}
	for rest := text; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		if ended {
			p.lines += 1 + max(term.Width(string(line))-1, 0)/p.columns
		}
		rest = after
	}
	p.held.Write(text) // does not fail
	if p.lines < p.rows {
		return len(text), nil
	}
	if err := p.begin(); err != nil {
		p.command = "" // what is held is shown all the same
	}
	if _, err := p.flush(); err != nil {
		return 0, err
	}
	return len(text), nil
}

// flush writes what is held to where it goes by now.
func (p *pager) flush() (int64, error) {
	if p.cmd == nil {
		return p.held.WriteTo(p.out)
	}
	n, err := p.held.WriteTo(p.stdin)
	if err != nil {
		err = errPagerQuit
	}
	return n, err
}

// begin starts the program.
func (p *pager) begin() error {
	words := strings.Fields(p.command)
	if runtime.GOOS != "windows" {
		words = []string{"/bin/sh", "-c", p.command}
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = p.out, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.stdin, p.keys = cmd, stdin, make(chan os.Signal, 1)
	signal.Notify(p.keys, os.Interrupt) // Ctrl-C is for the program, which would be left at the terminal alone
	return nil
}

// end shows what is left, waits until the person has left the program, and returns the error of what was done meanwhile. That
// they left it early is none.
func (p *pager) end(err error) error {
	if p.cmd == nil {
		if _, failed := p.flush(); err == nil {
			err = failed
		}
		return err
	}
	_ = p.stdin.Close() // fails where the program has ended
	_ = p.cmd.Wait()    // how it ended is not our business
	signal.Stop(p.keys)
	if errors.Is(err, errPagerQuit) {
		return nil
	}
	return err
}
