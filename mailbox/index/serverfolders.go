package index

import (
	"context"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/sealmail/sealmail/mailbox"
)

// serverFolders is made at first need: databases of this version that were made before do without.
const serverFolders = "CREATE TABLE IF NOT EXISTS server_folders(name TEXT PRIMARY KEY, attributes TEXT NOT NULL) STRICT, WITHOUT ROWID"

// maxServerFolders bounds the folders that are remembered.
const maxServerFolders = 10_000

// SetServerFolders remembers what folders the server has, in place of what was remembered before. Of very many, the first count.
func (x *Index) SetServerFolders(ctx context.Context, folders []mailbox.Folder) error {
	folders = folders[:min(len(folders), maxServerFolders)]
	before, err := x.ServerFolders(ctx)
	if err != nil {
		return err
	}
	folders = slices.SortedFunc(slices.Values(folders), func(a, b mailbox.Folder) int { return strings.Compare(a.Name, b.Name) })
	folders = slices.CompactFunc(folders, func(a, b mailbox.Folder) bool { return a.Name == b.Name })
	if slices.EqualFunc(before, folders, func(a, b mailbox.Folder) bool { return a.Name == b.Name && slices.Equal(a.Attributes, b.Attributes) }) {
		return nil // nothing is written
	}
	return x.write(ctx, func() (err error) {
		for _, sql := range []string{serverFolders, "DELETE FROM server_folders"} {
			if err := x.exec(sql); err != nil {
				return err
			}
		}
		all, err := x.prepare("INSERT INTO server_folders(name, attributes) VALUES(?, ?)")
		if err != nil {
			return err
		}
		defer all.Close()
		for _, f := range folders {
			if err := run(all[0], f.Name, strings.Join(f.Attributes, " ")); err != nil {
				return err
			}
		}
		return nil
	})
}

// ServerFolders returns what SetServerFolders was told last, by name; nothing where it was told nothing yet.
func (x *Index) ServerFolders(ctx context.Context) (folders []mailbox.Folder, err error) {
	return folders, x.read(ctx, func() error {
		there, err := x.number("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'server_folders'")
		if err != nil || there == 0 {
			return err
		}
		return x.rows(func(s *sqlite3.Stmt) error {
			f := mailbox.Folder{Name: s.ColumnText(0)}
			if attributes := s.ColumnText(1); attributes != "" {
				f.Attributes = strings.Split(attributes, " ") // which are atoms: RFC 9051 section 9
			}
			folders = append(folders, f)
			return nil
		}, "SELECT name, attributes FROM server_folders ORDER BY name")
	})
}
