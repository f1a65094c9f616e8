package term

import (
	"fmt"
	"io"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// PrintBackup says what is in a backup.
func PrintBackup(w io.Writer, r *client.BackupResult) error {
	keys := "keys"
	if r.Keys == 1 {
		keys = "key"
	}
	_, err := fmt.Fprintf(w, "%s: %d octets, %d files, %d private %s\n", Line(r.File), r.Size, r.Files, r.Keys, keys)
	return err
}

// PrintRestored says what came out of a backup.
func PrintRestored(w io.Writer, r *client.RestoreResult) error {
	_, err := fmt.Fprintf(w, "%d files restored from %s, a backup of %s\n", r.Files, Line(r.File), r.Created.Format(time.RFC3339))
	return err
}
