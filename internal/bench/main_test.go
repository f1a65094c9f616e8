//go:build unix

package bench

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

var (
	rounds = flag.Int("rounds", 0, "take this many turns in each comparison (default: by its length)")
	write  = flag.Bool("write", false, "write the tables into docs/bench.md")
	// A little of it shows whether all of it works.
	archived = flag.Int("archived", 100_000, "archive this many messages")
)

func TestMain(m *testing.M) {
	if name := os.Getenv(contenderEnv); name != "" {
		if err := contend(name, os.Getenv(houseEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	peertest.Main(m)
	for _, t := range []*table{&measured, &measuredArchives} {
		if len(t.rows) == 0 {
			continue
		}
		fmt.Print("\n" + t.String() + "\n")
		if !*write {
			continue
		}
		if err := t.writeTo("../../docs/bench.md"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
