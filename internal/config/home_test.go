package config

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestParts has each file of a home in one part, whether it lies in one folder or in several.
func TestParts(t *testing.T) {
	in := func(h Home, path string) (parts []string) {
		for _, p := range h.Parts() {
			rest, err := filepath.Rel(p.Dir, path)
			if err != nil || !filepath.IsLocal(rest) {
				continue
			}
			first := rest
			for filepath.Dir(first) != "." {
				first = filepath.Dir(first)
			}
			if p.Has == nil || p.Has(first) {
				parts = append(parts, p.Name)
			}
		}
		return parts
	}
	xdg := Home{ConfigFile: "/c/sealmail/config.toml", Data: "/d/sealmail", State: "/s/sealmail", Cache: "/k/sealmail", Runtime: "/r/sealmail"}
	together := xdg
	together.State = together.Data
	for name, h := range map[string]Home{"one folder": HomeAt("/home/alice/mail"), "XDG": xdg, "state among data": together} {
		for want, paths := range map[string][]string{
			"config": {h.ConfigFile},
			"data":   {h.Vault(), h.Certificates(), filepath.Join(h.Evidence(), "ab", "cd.crl"), filepath.Join(h.Data, "new")},
			"state":  {h.Outbox(), filepath.Join(h.Outbox(), "x", "entry.json")},
			"cache":  {h.Index("a"), filepath.Join(h.Cache, "new")},
		} {
			for _, path := range paths {
				if got := in(h, path); !slices.Equal(got, []string{want}) {
					t.Errorf("%s: %s is in %q, want %s", name, path, got, want)
				}
			}
		}
	}
}
