//go:build unix

package bench

import (
	"cmp"
	"fmt"
	"testing"
)

// turn is one run of a contender.
type turn struct {
	wall, cpu float64 // seconds, by the clock and of all CPUs
}

// contender is one side of a comparison.
type contender struct {
	name  string
	begin func(b *testing.B) // before the first turn; nil: nothing
	run   func(b *testing.B) turn
	end   func(b *testing.B) // nil: each turn is a process of its own
	turns []turn
	peak  int64 // KiB of the largest process
}

func (c *contender) take(b *testing.B) {
	b.Helper()
	c.turns = append(c.turns, c.run(b))
}

// wall and cpu are the seconds of a turn in the middle.
func (c *contender) wall() float64 { return c.middle(func(t turn) float64 { return t.wall }) }
func (c *contender) cpu() float64  { return c.middle(func(t turn) float64 { return t.cpu }) }

func (c *contender) middle(figure func(turn) float64) float64 {
	var list []float64
	for _, t := range c.turns {
		list = append(list, figure(t))
	}
	return median(list)
}

func (c *contender) mebibytes() float64 { return float64(c.peak) / 1024 }

// takeTurns lets the contenders run one after the other, again and again; who begins changes.
func takeTurns(b *testing.B, n int, contenders ...*contender) {
	b.Helper()
	for _, c := range contenders {
		if c.begin != nil {
			c.begin(b)
		}
	}
	n = cmp.Or(*rounds, n)
	for round := range n {
		for i := range contenders {
			contenders[(round+i)%len(contenders)].take(b)
		}
	}
	for _, c := range contenders {
		if c.end != nil {
			c.end(b)
		}
	}
}

// ratio is that of the times of two contenders, turn by turn.
func ratio(a, b *contender) float64 {
	var list []float64
	for i := range a.turns {
		list = append(list, a.turns[i].wall/b.turns[i].wall)
	}
	return median(list)
}

// report gives the figures of the contenders to go test: units is what a turn does that many of, 1 where the time of a turn
// is what matters.
func report(b *testing.B, units int, contenders ...*contender) {
	b.ReportMetric(0, "ns/op") // of all together, which says nothing
	for _, c := range contenders {
		if units == 1 {
			b.ReportMetric(c.wall()*1000, c.name+"-ms")
		} else {
			b.ReportMetric(float64(units)/c.wall(), c.name+"/s")
		}
		// This one stays about the same where others use the machine as well.
		b.ReportMetric(c.cpu()*1e6/float64(units), c.name+"-cpu-µs")
		b.ReportMetric(c.mebibytes(), c.name+"-MiB")
	}
}

// duration is the median of a contender's turns, for the table.
func (c *contender) duration() string {
	if s := c.wall(); s < 1 {
		return fmt.Sprintf("%.3g ms, %.0f MiB", s*1000, c.mebibytes())
	} else {
		return fmt.Sprintf("%.2f s, %.0f MiB", s, c.mebibytes())
	}
}

// rate is how many a contender does in a second, for the table.
func (c *contender) rate(units int) string {
	return fmt.Sprintf("%.0f/s, %.0f MiB", float64(units)/c.wall(), c.mebibytes())
}
