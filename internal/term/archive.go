package term

import (
	"fmt"
	"io"
	"strings"

	"github.com/sealmail/sealmail/internal/client"
)

// archiveFolderColumns is how wide account and folder are in a line of an archive.
const archiveFolderColumns = 24

// PrintArchiveLine writes one line for a message of an archive: its number, and where it was. Where there is no room for all of
// that, the account is what is shortened: mostly it is the same in all lines.
func PrintArchiveLine(w io.Writer, l client.ArchiveLine) error {
	line := l.ListLine
	line.UID = uint32(l.Number)
	room := archiveFolderColumns
	if columns := styleOf(w).columns; columns > 0 {
		room = min(room, max(columns/5, minColumn))
	}
	account, folder := Line(l.Account), "/"+Line(l.Folder)
	line.Folder = Shorten(account, max(room-Width(folder), 2)) + folder
	return PrintFolderLine(w, line, archiveFolderColumns)
}

// PrintArchivePull writes what came of archiving.
func PrintArchivePull(w io.Writer, r *client.ArchivePullResult) error {
	p := &linePrinter{w: w}
	if r.Archived == 0 {
		p.line("nothing new was archived in " + Line(r.Path))
	} else {
		p.line(fmt.Sprintf("%d message(s), %s, archived in %s", r.Archived, Size(r.Octets), Line(r.Path)))
	}
	if r.Duplicates > 0 {
		p.line(fmt.Sprintf("  %d of them were there already, under another folder or number: their octets are not kept twice", r.Duplicates))
	}
	if r.Expunged > 0 {
		p.line(fmt.Sprintf("  %d read back from the archive, and removed at the server", r.Expunged))
	}
	if r.Failed > 0 {
		p.line(fmt.Sprintf("  %d could not be had, and are tried again the next time", r.Failed))
	}
	if n := len(r.Unstamped); n > 0 {
		p.line(fmt.Sprintf("  %d segment(s) have no timestamp yet", n))
	}
	return p.err
}

// PrintArchived writes when a message was archived, and what was found then; each line begins with [Mark].
func PrintArchived(w io.Writer, r *client.ArchiveReport, _ int) error {
	p := &linePrinter{w: w}
	where := ""
	if r.Account != nil && r.Folder != nil {
		where = ", from " + Line(*r.Account) + "/" + Line(*r.Folder)
	}
	p.verdictLine("ARCHIVED", fmt.Sprintf("as number %d on %s%s", r.Number, r.Archived.UTC().Format("2006-01-02 15:04 UTC"), where))
	if r.Then == nil {
		p.verdictLine("", "then: it could not be opened")
		return p.err
	}
	p.verdictLine("", "then: "+thenWords(r.Then))
	return p.err
}

// thenWords are the verdict of an earlier time in a few words.
func thenWords(r *client.Report) string {
	words := Line(r.Verdict)
	judged := judgedLayer(r)
	for _, s := range r.Signatures {
		if s.Covers != "whole" || s.Layer != judged || s.Signer == nil {
			continue
		}
		words += ", signed by " + signerWords(s.Signer)
		if s.SigningTime.Proven != nil {
			words += ", proven at " + s.SigningTime.Proven.UTC().Format("2006-01-02 15:04:05 UTC")
		}
	}
	return words
}

// PrintArchiveProve writes what a folder proves.
func PrintArchiveProve(w io.Writer, r *client.ArchiveProveResult) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("%s: proof of number %d; README.txt in it says how to check it", Line(r.Path), r.Number))
	if r.Time != nil {
		p.line("  archived by " + r.Time.UTC().Format("2006-01-02 15:04:05 UTC") + ", signed by " + Line(r.Signer))
	} else {
		p.line("  signed by " + Line(r.Signer) + ", without a timestamp yet")
	}
	return p.err
}

// PrintArchiveFinding writes what verification found.
func PrintArchiveFinding(w io.Writer, f client.ArchiveFinding) error {
	p := &linePrinter{w: w}
	word := "NOTE"
	if f.Severity == "damage" {
		word = "DAMAGED"
	}
	var where []string
	if f.Object != nil {
		where = append(where, Line(*f.Object))
	}
	if f.First != nil {
		messages := fmt.Sprintf("message %d", *f.First)
		if f.Last != nil && *f.Last != *f.First {
			messages = fmt.Sprintf("messages %d to %d", *f.First, *f.Last)
		}
		where = append(where, messages)
	}
	line := strings.Join(where, ", ")
	if line != "" {
		line += ": "
	}
	p.line(fmt.Sprintf("%-8s %s%s (%s)", word, line, Line(f.Reason), f.Code))
	return p.err
}

// PrintArchiveVerdict writes what came of verification.
func PrintArchiveVerdict(w io.Writer, v *client.ArchiveVerdict) error {
	p := &linePrinter{w: w, hue: hueOf(v.Verdict)}
	words := fmt.Sprintf("%s: %d message(s) in %d segment(s), %s", Line(v.Path), v.Messages, v.Segments, Size(v.Octets))
	p.verdictLine(strings.ToUpper(v.Verdict), words)
	if v.Signer != nil {
		p.verdictLine("", fmt.Sprintf("signed by %s, certificate SHA-256 %s", Line(*v.Signer), Line(*v.Fingerprint)))
	}
	switch {
	case v.Earliest == nil || v.Latest == nil:
	case v.Earliest.Equal(*v.Latest):
		p.verdictLine("", "archived by "+v.Latest.UTC().Format("2006-01-02 15:04:05 UTC")+", proven")
	default:
		p.verdictLine("", "archived between "+v.Earliest.UTC().Format("2006-01-02 15:04:05")+" and "+v.Latest.UTC().Format("2006-01-02 15:04:05 UTC")+", proven")
	}
	checked := "no message was opened"
	if v.Checked > 0 {
		checked = fmt.Sprintf("%d of %d message(s) opened and held against their commitments", v.Checked, v.Messages)
	}
	p.verdictLine("", checked)
	if v.WithoutKeys > 0 {
		p.verdictLine("", fmt.Sprintf("%d segment(s) could not be opened here: nobody here has their keys", v.WithoutKeys))
	}
	if v.Shredded > 0 {
		p.verdictLine("", fmt.Sprintf("%d message(s) were destroyed, as was meant", v.Shredded))
	}
	if v.Unstamped > 0 {
		p.verdictLine("", fmt.Sprintf("%d segment(s) have no timestamp yet", v.Unstamped))
	}
	if v.Witness && v.Codes["rolled-back"] == 0 {
		p.verdictLine("", "it continues what it was when it was last looked at")
	}
	if v.Damage > 0 {
		p.verdictLine("", fmt.Sprintf("%d thing(s) damaged", v.Damage))
	}
	return p.err
}

// PrintArchiveHold writes a hold or a retention that is in force.
func PrintArchiveHold(w io.Writer, h client.ArchiveHoldLine) error {
	p := &linePrinter{w: w}
	line := h.Kind
	if h.Name != nil {
		line += " " + Line(*h.Name)
	}
	if h.Period != nil {
		line += " " + Line(*h.Period)
	}
	var about []string
	if h.All {
		about = append(about, "all messages")
	}
	for _, f := range h.Folders {
		about = append(about, Line(f))
	}
	if h.Messages != nil {
		word := "message "
		if strings.ContainsAny(*h.Messages, "-,") {
			word = "messages "
		}
		about = append(about, word+Line(*h.Messages))
	}
	line += ": " + strings.Join(about, "; ") + ", since " + h.Since.UTC().Format("2006-01-02")
	if h.By != nil {
		line += ", by " + Line(*h.By)
	}
	if h.Reason != nil {
		line += " (" + Line(*h.Reason) + ")"
	}
	p.line(line)
	return p.err
}

// PrintArchiveRenew writes what was renewed.
func PrintArchiveRenew(w io.Writer, r *client.ArchiveRenewResult) error {
	p := &linePrinter{w: w}
	switch {
	case r.Due == nil:
		p.line("nothing in " + Line(r.Path) + " has a timestamp yet")
	case r.Renewed == 0:
		p.line("nothing is due: the evidence is good until " + r.Due.UTC().Format("2006-01-02"))
	default:
		p.line(fmt.Sprintf("%d segment(s) renewed: the evidence is good until %s", r.Renewed, r.Due.UTC().Format("2006-01-02")))
	}
	return p.err
}
