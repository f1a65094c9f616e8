package term

import (
	"fmt"
	"io"

	"github.com/sealmail/sealmail/internal/client"
)

// PrintArchivedOne writes a line for a message of an archive that something was done with: its number, where it was, and what came of
// it.
func PrintArchivedOne(w io.Writer, one client.ArchivedOne, became string) error {
	where, size := "?", "?"
	if one.Account != nil && one.Folder != nil {
		where = Line(*one.Account + "/" + *one.Folder)
	}
	if one.Size != nil {
		size = Size(*one.Size)
	}
	_, err := fmt.Fprintf(w, "%d  %s  %s  %s\n", one.Number, where, size, Line(became))
	return err
}

// PrintArchiveExport writes what was exported.
func PrintArchiveExport(w io.Writer, r *client.ArchiveExportResult) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("%d message(s), %s, exported to %s", r.Exported, Size(r.Octets), Line(r.To)))
	if r.Failed > 0 {
		p.line(fmt.Sprintf("  %d left out", r.Failed))
	}
	return p.err
}

// PrintArchiveRestore writes what was restored.
func PrintArchiveRestore(w io.Writer, r *client.ArchiveRestoreResult) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("%d message(s), %s, restored to %s", r.Restored, Size(r.Octets), Line(r.Account)))
	if r.AlreadyThere > 0 {
		p.line(fmt.Sprintf("  %d were there already", r.AlreadyThere))
	}
	if r.Failed > 0 {
		p.line(fmt.Sprintf("  %d left out", r.Failed))
	}
	return p.err
}
