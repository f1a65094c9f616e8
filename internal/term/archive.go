package term

import (
	"fmt"
	"io"

	"github.com/sealmail/sealmail/internal/client"
)

// archiveFolderColumns is how wide the folder is in a line of an archive.
const archiveFolderColumns = 16

// PrintArchiveLine writes one line for a message of an archive: its number, and where it was.
func PrintArchiveLine(w io.Writer, l client.ArchiveLine) error {
	line := l.ListLine
	line.UID = uint32(l.Number)
	line.Folder = l.Account + "/" + l.Folder
	return PrintFolderLine(w, line, archiveFolderColumns)
}

// PrintArchivePull writes what came of archiving.
func PrintArchivePull(w io.Writer, r *client.ArchivePullResult) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("%d message(s), %s, archived in %s", r.Archived, Size(r.Octets), Line(r.Path)))
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
