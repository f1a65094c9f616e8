package term

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// PrintVaultStatus writes how the vault is protected, and what is weak about that.
func PrintVaultStatus(w io.Writer, s *client.VaultStatus) error {
	p := &linePrinter{w: w}
	field := func(name, value string) { p.line(fmt.Sprintf("%-11s %s", name, Line(value))) }
	field("vault", s.Path)
	if s.KDF == nil {
		field("passphrase", "none")
	} else {
		field("passphrase", fmt.Sprintf("yes, stretched by %s (N %d, r %d, p %d)", s.KDF.Name, s.KDF.N, s.KDF.R, s.KDF.P))
	}
	switch d := s.Device; {
	case d == nil:
		field("device", "no secret outside the file")
	case d.Folder == nil:
		field("device", "a secret in the operating system's keyring")
	case d.Place == "beside":
		field("device", "a secret beside the vault, in "+*d.Folder)
	default:
		field("device", "a secret in "+*d.Folder)
	}
	if s.Weak != nil {
		field("WEAK", *s.Weak)
		field("", optional(s.Advice))
	}
	var entries []string
	for _, kind := range slices.Sorted(maps.Keys(s.Entries)) {
		entries = append(entries, fmt.Sprintf("%d %s", s.Entries[kind], kind))
	}
	if len(entries) == 0 {
		entries = []string{"none"}
	}
	field("entries", strings.Join(entries, ", "))
	rotated := "at a time that was not written down"
	if s.Rotated != nil {
		rotated = s.Rotated.UTC().Format(time.RFC3339)
	}
	field("rotated", rotated)
	if s.Agent == nil {
		field("agent", "none runs")
	} else {
		field("agent", "holds the key until "+s.Agent.Until.UTC().Format(time.RFC3339))
	}
	if s.Keyring {
		field("keyring", "is asked for the passphrase")
	}
	return p.err
}

// PrintUnlock writes how long the vault is unlocked.
func PrintUnlock(w io.Writer, r *client.UnlockResult) error {
	p := &linePrinter{w: w}
	if r.Until != nil {
		p.line("unlocked until " + r.Until.UTC().Format(time.RFC3339) + "; `sealmail lock` ends it")
	} else {
		p.line("the operating system's keyring has the passphrase; `sealmail lock --keyring` takes it out")
	}
	return p.err
}

// PrintLock writes whether there was anything to end.
func PrintLock(w io.Writer, r *client.LockResult) error {
	p := &linePrinter{w: w}
	if r.Ended {
		p.line("locked: the agent was ended, and its key wiped")
	} else {
		p.line("locked: no agent ran")
	}
	if r.Keyring {
		p.line("the operating system's keyring still has the passphrase; `sealmail lock --keyring` takes it out")
	}
	return p.err
}
