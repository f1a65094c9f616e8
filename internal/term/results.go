package term

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// PrintSend writes what became of a message, recipient by recipient.
func PrintSend(w io.Writer, r *client.SendResult) error {
	p := &linePrinter{w: w}
	state := optional(r.State)
	switch {
	case state == "dry-run":
		p.line("nothing was sent; it would be sealed so:")
	case r.Timestamp != nil:
		p.line(fmt.Sprintf("%s <%s>, timestamped %s", state, Line(r.MessageID), r.Timestamp.UTC().Format(time.RFC3339)))
	default:
		p.line(fmt.Sprintf("%s <%s>, without a timestamp", state, Line(r.MessageID)))
	}
	for _, to := range r.Recipients {
		switch {
		case to.Error != nil:
			p.line(fmt.Sprintf("  %s: %s", Line(to.Address), Line(*to.Error)))
		case to.Cipher != nil && to.Certificate != nil && to.KeyManagement != nil:
			p.line(fmt.Sprintf("  %s: %s, key by %s to certificate %.16s…", Line(to.Address), strings.ToUpper(*to.Cipher), *to.KeyManagement, *to.Certificate))
			if state == "dry-run" && to.Reason != nil {
				p.line("    because " + Line(*to.Reason))
			}
			if state == "dry-run" && to.KeyManagementReason != nil {
				p.line("    and " + Line(*to.KeyManagementReason))
			}
		default:
			p.line(fmt.Sprintf("  %s: not encrypted", Line(to.Address)))
		}
		if state == "dry-run" && to.Notice != nil {
			p.line("    note: " + Line(*to.Notice))
		}
		for _, c := range to.Candidates {
			p.line("    " + candidateWords(c))
		}
	}
	if state == "dry-run" {
		what := "nothing is encrypted: everybody on the way can read the text, and the header"
		if r.HeaderConfidentiality != nil {
			what = "everybody on the way can read of the header (header confidentiality: " + *r.HeaderConfidentiality + ")"
		}
		p.line("  " + what)
		for _, f := range r.Readable {
			p.line("    " + Line(f.Name+": "+f.Value))
		}
	}
	return p.err
}

// candidateWords says what came of a certificate that was considered for a recipient.
func candidateWords(c client.CandidateReport) string {
	word := "not usable"
	switch {
	case c.Chosen:
		word = "chosen"
	case c.Usable:
		word = "usable"
	}
	words := fmt.Sprintf("%-10s %.16s… %s from %s, valid to %s", word, c.Fingerprint, c.KeyAlgorithm, Name(optional(c.Issuer)), c.NotAfter.UTC().Format(time.DateOnly))
	if c.Reason != nil {
		words += ": " + Line(*c.Reason)
	}
	return words
}

// PrintOutbox writes a table of what is waiting.
func PrintOutbox(w io.Writer, entries []client.OutboxLine) error {
	if len(entries) == 0 {
		_, err := io.WriteString(w, "the outbox is empty\n")
		return err
	}
	rows := [][]string{{"ID", "STATE", "CREATED", "TO", "LAST ERROR"}}
	for _, e := range entries {
		problem := ""
		if e.Error != nil {
			problem = *e.Error
		}
		rows = append(rows, []string{e.ID, e.State, e.Created.UTC().Format("2006-01-02 15:04"), strings.Join(e.To, ", "), problem})
	}
	return Table(w, rows)
}

// PrintListLine writes one message of a folder in one line.
func PrintListLine(w io.Writer, l client.ListLine) error {
	p := &linePrinter{w: w}
	if l.Error != nil {
		p.line(fmt.Sprintf("%6d  %-13s %s", l.UID, "BROKEN", Line(*l.Error)))
		return p.err
	}
	date := strings.Repeat(" ", 16)
	if l.Date != nil {
		date = l.Date.UTC().Format("2006-01-02 15:04")
	}
	lock := " "
	switch optional(l.Encryption) {
	case "decrypted":
		lock = "E"
	case "undecryptable", "failed", "destroyed":
		lock = "!"
	}
	p.line(fmt.Sprintf("%6d  %-13s %s  %s  %-28s  %s", l.UID, strings.ToUpper(optional(l.Verdict)), lock, date, Line(optional(l.From)), Line(optional(l.Subject))))
	return p.err
}

func optional(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// PrintSaved writes which file was saved, and what there is to know about it.
func PrintSaved(w io.Writer, f client.SavedFile) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("%s (%s, %s)", Line(f.File), Line(f.Type), Size(f.Size)))
	if f.Note != nil {
		p.line("  note: " + Line(*f.Note))
	}
	return p.err
}

// PrintVerified writes the verdict on a file; with several, its name before it, and an empty line between. A message in an
// mbox file has its number behind the name.
func PrintVerified(w io.Writer, r *client.Report, named, separate bool) error {
	p := &linePrinter{w: w}
	if separate {
		p.line("")
	}
	switch name := Line(optional(r.File)); {
	case r.Index != nil:
		p.line(fmt.Sprintf("%s, message %d:", name, *r.Index))
	case named:
		p.line(name + ":")
	}
	if p.err != nil {
		return p.err
	}
	return PrintVerdict(w, r)
}

// PrintInit writes what was set up.
func PrintInit(w io.Writer, r *client.InitResult) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("account %s is set up in %s", Line(r.Account), r.Config))
	for _, c := range r.Certificates {
		p.line("  certificate " + c)
	}
	p.line("  timestamps: " + r.Timestamp)
	if r.Checked {
		p.line("  servers: both answered and took the password")
	} else {
		p.line("  servers: not tried")
	}
	if !r.Protected {
		p.line("  the vault is unprotected: who reads the disk reads the keys")
	}
	return p.err
}

// PrintCAInit writes what a new authority is to be known by.
func PrintCAInit(w io.Writer, r *client.CAInitResult) error {
	p := &linePrinter{w: w}
	p.line("the authority is made; its trust anchor is " + r.Root)
	p.line("  SHA-256 " + r.RootFingerprint)
	if !r.Protected {
		p.line("  its keys are unprotected: who reads this folder can issue certificates")
	}
	return p.err
}

// PrintIssued writes which certificate was issued.
func PrintIssued(w io.Writer, r *client.CAIssueResult) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("%s: a certificate for %s, valid to %s", r.File, Line(strings.Join(r.Subjects, ", ")), r.NotAfter.UTC().Format(time.DateOnly)))
	p.line("  SHA-256 " + r.Fingerprint)
	p.line("  serial " + r.Serial)
	return p.err
}

// PrintFinding writes one line of the doctor, and one more with what to do.
func PrintFinding(w io.Writer, f client.Finding) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("%-8s %-14s %s", strings.ToUpper(string(f.Status)), f.Check, Line(f.Detail)))
	if f.Hint != nil {
		p.line(fmt.Sprintf("%-8s %-14s %s", "", "", Line(*f.Hint)))
	}
	return p.err
}

// StampWords says when something existed, and who proves it.
func StampWords(r *client.StampResult) string {
	words := fmt.Sprintf("existed at %s, proven by %s (serial %s)", r.Time.UTC().Format(time.RFC3339), Name(r.ProvenBy), r.Serial)
	if !r.Trusted {
		words += "; this authority was not checked against an anchor"
	}
	return words
}
