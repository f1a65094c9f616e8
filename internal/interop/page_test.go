package interop

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

const pageHead = `# Interoperability

What smime/cms exchanges with other implementations. The tests of ` + "`internal/interop`" + ` try every cell in both directions and compare what
comes out with this page, which ` + "`go test ./internal/interop -run TestTable -update`" + ` writes.

**yes**: the reader got exactly the content that was written, from a message that has the stated form and algorithms; of
signatures, digests and AES-GCM it refused a copy with one octet of the content changed. Anything else in a cell is the limit of the
peer, in the words that it printed; "has no option for it" is what its manual says by silence. Where a peer reads neither
our message nor that of any other peer, it is the peer's limit; what it reads of others and not of ours fails the test,
and so does everything that we cannot read or write.

What sealmail reads and never writes (weak algorithms, signatures without signed attributes, passwords…) is in the second half
only. "weak" is what is read only where the caller allows it.

`

// page is docs/interop.md.
type page struct {
	rows  []row
	peers []*started
	cells map[cell]string
}

// directions head the two halves of the page.
var directions = map[direction]string{weWrite: "sealmail writes, the peer reads", weRead: "The peer writes, sealmail reads"}

func (p page) String() string {
	var b strings.Builder
	b.WriteString(pageHead)
	b.WriteString("| peer | version | how |\n| --- | --- | --- |\n")
	for _, s := range p.peers {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.name, s.version, s.how)
	}
	for _, d := range []direction{weWrite, weRead} {
		fmt.Fprintf(&b, "\n## %s\n", directions[d])
		section := ""
		for _, r := range p.rows {
			if r.readOnly && d == weWrite {
				continue
			}
			if r.section != section {
				section = r.section
				fmt.Fprintf(&b, "\n### %s\n\n| form |", section)
				for _, s := range p.peers {
					fmt.Fprintf(&b, " %s |", s.name)
				}
				b.WriteString("\n|" + strings.Repeat(" --- |", len(p.peers)+1) + "\n")
			}
			fmt.Fprintf(&b, "| %s |", r.name)
			for _, s := range p.peers {
				fmt.Fprintf(&b, " %s |", inTable(p.cells[cell{d, r.section, r.name, s.name}]))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// inTable makes a text one that neither ends a cell nor is markup.
func inTable(text string) string {
	return strings.NewReplacer("|", "/", "<", "(", ">", ")", "*", "", "`", "'", "\n", " ").Replace(text)
}

// parsePage returns the cells of a page.
func parsePage(text string) map[cell]string {
	cells := map[cell]string{}
	var at cell
	at.direction = -1
	var peers []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			for d, name := range directions {
				if name == title {
					at.direction = d
				}
			}
		}
		if title, ok := strings.CutPrefix(line, "### "); ok {
			at.section = title
		}
		fields := strings.Split(strings.Trim(line, "|"), "|")
		if at.direction < 0 || !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| ---") {
			continue
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if fields[0] == "form" {
			peers = fields[1:]
			continue
		}
		for i, text := range fields[1:] {
			if i < len(peers) {
				cells[cell{at.direction, at.section, fields[0], peers[i]}] = text
			}
		}
	}
	return cells
}

// versionsIn returns the versions of the peers in the head of a page.
func versionsIn(text string) map[string]string {
	versions := map[string]string{}
	head, _, _ := strings.Cut(text, "\n## ")
	for line := range strings.Lines(head) {
		if fields := strings.Split(line, "|"); len(fields) > 3 {
			versions[strings.TrimSpace(fields[1])] = strings.TrimSpace(fields[2])
		}
	}
	return versions
}

var release = regexp.MustCompile(`[0-9]+\.[0-9]+`)

// ofRelease tells whether a version differs by the last number at most.
func ofRelease(a, b string) bool { return release.FindString(a) == release.FindString(b) }

// compare checks the page in docs cell by cell, or writes it. Of a peer of another release, only what it could do by the
// page is compared: its limits may be others.
func compare(t *testing.T, p page) {
	checkout, err := peertest.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(checkout, "docs", "interop.md")
	partly := strings.Contains(flag.Lookup("test.run").Value.String(), "/") || flag.Lookup("test.skip").Value.String() != ""
	if *update {
		if partly || len(p.peers) < len(voices) {
			t.Fatal("the table is written only with all peers and all cells")
		}
		if err := os.WriteFile(path, []byte(p.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, versions := parsePage(string(text)), versionsIn(string(text))
	others := map[string]bool{}
	for _, s := range p.peers {
		if others[s.name] = !ofRelease(s.version, versions[s.name]); others[s.name] {
			t.Logf("this is %s, and %s in docs/interop.md: its limits are not compared", s.version, versions[s.name])
		}
	}
	for _, c := range slices.SortedFunc(maps.Keys(p.cells), cell.compare) {
		if got := inTable(p.cells[c]); want[c] != got && (!others[c.peer] || strings.HasPrefix(want[c], yes)) {
			t.Errorf("%v: %q instead of %q in docs/interop.md", c, got, want[c])
		}
	}
	for _, c := range slices.SortedFunc(maps.Keys(want), cell.compare) {
		there := slices.ContainsFunc(p.peers, func(s *started) bool { return s.name == c.peer })
		if _, found := p.cells[c]; !found && (there && !partly || !slices.ContainsFunc(voices, func(v voice) bool { return v.name == c.peer })) {
			t.Errorf("%v: in docs/interop.md, and not tried", c)
		}
	}
}

func (c cell) compare(other cell) int { return strings.Compare(c.String(), other.String()) }

// TestPage checks that a page reads as it was written.
func TestPage(t *testing.T) {
	p := page{rows: rows(), cells: map[cell]string{}}
	for _, v := range voices {
		p.peers = append(p.peers, &started{voice: v, version: v.name + " 1.2.3"})
	}
	for i, r := range p.rows {
		for _, s := range p.peers {
			for _, d := range []direction{weWrite, weRead} {
				if d == weRead || !r.readOnly {
					p.cells[cell{d, r.section, r.name, s.name}] = fmt.Sprintf("cell %v %d of %s", d, i, s.name)
				}
			}
		}
	}
	if got := parsePage(p.String()); !maps.Equal(got, p.cells) {
		t.Errorf("%d cells of %d", len(got), len(p.cells))
	}
	versions := versionsIn(p.String())
	for _, s := range p.peers {
		if v := versions[s.name]; v != s.version || !ofRelease(v, s.name+" 1.2.11") || ofRelease(v, s.name+" 1.20.3") {
			t.Errorf("%s is %q", s.name, v)
		}
	}
}
