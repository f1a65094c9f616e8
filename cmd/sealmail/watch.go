package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// execTime is how long a command of --exec may take, where nothing else is said.
const execTime = time.Minute

func newWatchCommand(a *app) *cobra.Command {
	var (
		p       client.WatchParams
		command string
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "watch [FOLDER…]",
		Short: "Stay connected, and print each message as it comes",
		Long: `Fetches what is new, as ` + "`sealmail fetch`" + ` does, and stays connected: each message that comes is decrypted, verified and
printed as a line, until you end it with Ctrl-C or SIGTERM (exit code 0). Lost connections are made anew, with growing
pauses. Messages in the outbox are sent when their time comes. Alerts are printed too: a sender's certificate with
another key or issuer, a signature that fails, an unsigned message from somebody who signs, certificates that were
revoked or end soon.

--exec runs a command (/bin/sh -c) for each event, one at a time and in order. It finds the event as one line of JSON on
stdin, and nothing of it in its arguments and environment. One that fails is told as an event and stops nothing.

` + folderWordsHelp + `

With --json each line has "event": message, alert, connected, disconnected or exec-failed; docs/watch.md says more.

With --strict the exit code tells about the verdicts, at the end: 1 where one is not passed, 3 where a message could not
be read.

` + exitCodesHelp,
		Example: "  sealmail watch\n  sealmail watch INBOX Projects --json\n  sealmail watch --exec 'jq -r .subject | xargs -0 notify-send -- \"Mail\"'",
		Args:    argCount(0, maxWatched, "up to 16 folders"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
		switch {
		case cmd.Flags().Changed("exec") && command == "":
			return usagef("", "--exec: a command is missing")
		case timeout <= 0:
			return usagef("write it like 30s", "--exec-timeout must be more than nothing")
		}
		p.Folders = args
		printer := &eventPrinter{app: a}
		if len(args) > 1 {
			printer.folder = term.FolderColumns(args...)
		}
		p.Event = printer.print
		if command == "" {
			return c.Watch(ctx, p)
		}
		r := startRunner(ctx, command, timeout, a.err, func(event any, reason string) error {
			return printer.print(client.ExecFailed(a.now(), event, reason))
		})
		p.Event = func(event any) error {
			if err := printer.print(event); err != nil {
				return err
			}
			return r.run(ctx, event)
		}
		err := c.Watch(ctx, p)
		left, runErr := r.end()
		if left > 0 {
			a.say("warning: %d event(s) were not given to the command of --exec any more", left)
		}
		return errors.Join(err, runErr)
	})
	f := cmd.Flags()
	f.StringVar(&command, "exec", "", "run this `command` for each event")
	f.DurationVar(&timeout, "exec-timeout", execTime, "how long the command may take for one event")
	f.BoolVar(&p.Strict, "strict", false, "let the exit code tell about the verdicts")
	return cmd
}

// maxWatched is how many folders are watched at most: each takes a connection, of which servers allow few.
const maxWatched = 16

// eventPrinter prints what Watch tells. It is for use by several goroutines.
type eventPrinter struct {
	app *app
	mu  sync.Mutex
	// folder is how many columns each line has for its folder; 0: none, as there is only one.
	folder  int
	greeted bool // a person was told that it has begun
}

func (p *eventPrinter) print(event any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.app.flags.json {
		return p.app.printJSON(event)
	}
	switch e := event.(type) {
	case client.WatchMessage:
		return term.PrintFolderLine(p.app.out, e.ListLine, p.folder)
	case client.WatchConnection:
		if p.folder > 0 { // its name may be longer than the word for it
			p.folder = max(p.folder, term.FolderColumns(e.Folder))
		}
		if p.app.errIsTerminal && !p.greeted {
			p.greeted = true
			p.app.say("note: watching; each message is printed as it comes, and Ctrl-C ends it")
		}
	case client.WatchAlert:
		return term.PrintAlert(p.app.out, e)
	case client.WatchExecFailed:
		p.app.say("warning: the command of --exec failed for an event (%s): %s", e.Of, e.Reason)
	}
	return nil // that connections come and go is said on stderr
}
