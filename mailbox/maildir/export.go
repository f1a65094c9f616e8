package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/internal/filestore"
)

// MaxKeywords is how many flags there can be in a folder that are none of those with a letter of their own, where the letters a to z
// stand for them, as in Dovecot's file dovecot-keywords.
const MaxKeywords = 26

// Directory returns the directory of a folder, below that of the Maildir: "" for INBOX. A name that no folder can have gives
// mailbox.ErrNoFolder.
func Directory(folder string) (string, error) {
	folder, err := mailbox.CanonicalFolder(folder)
	if err != nil || folder == inbox {
		return "", err
	}
	return delimiter + encodeName(folder), checkName(folder)
}

// Write writes a message as it stands in a Maildir: in the form in which a store has it, which reads it again with the same octets. It is
// for a Maildir that is being made, and that no program uses yet; its numbers are given when a store opens it first.
//
// The unique part of the file's name is the caller's to choose (https://cr.yp.to/proto/maildir.html); it holds no slash, colon or comma.
// Keywords are what the letters from a on stand for; a flag that is not among them, and has no letter of its own, is left out. Create
// gets the name that the file has in the folder's directory cur.
//
// A message whose first line ends with LF alone gives mailbox.ErrNotCanonical, and one of another size than was said mailbox.ErrSize;
// nothing was created then. While it is looked at, one of more than a mebioctet lies in a file in dir that has no name.
func Write(ctx context.Context, m mailbox.NewMessage, dir, unique string, keywords []string, create func(name string) (io.WriteCloser, error)) error {
	if err := mailbox.CheckFlags(m.Flags); err != nil {
		return err
	}
	text, err := filestore.Spool(ctx, dir, m.Body, m.Size)
	if err != nil {
		return err
	}
	defer text.Close()
	f := folder{keywords: slices.Clone(keywords[:min(len(keywords), MaxKeywords)])}
	letters, _ := f.letters(filestore.CanonicalFlags(m.Flags), "")
	file, err := create(unique + sizes(text) + letters)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, text.Stored()); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Close()
}

// Lettered reports whether a flag has a letter in any Maildir.
func Lettered(flag string) bool {
	return slices.ContainsFunc(letterFlags, func(known struct {
		letter byte
		flag   string
	}) bool {
		return strings.EqualFold(known.flag, flag)
	})
}

// sizes returns the fields of a name that tell the sizes of the file and of the message.
func sizes(text *filestore.Text) string {
	fields := fmt.Sprintf(",S=%d", text.StoredSize())
	if text.Plain {
		fields += fmt.Sprintf(",W=%d", text.Size)
	}
	return fields
}
