package archive

import (
	"fmt"
	"strconv"
	"time"
)

// Period is a length of time by the calendar: years, then months, then days.
type Period struct {
	Years, Months, Days int
}

// maxPeriod bounds each part of a period: nobody keeps anything longer than a thousand years.
const maxPeriod = 366_000

// ParsePeriod reads what String writes, such as 10y, 6m, 30d or 1y6m. It is never nothing. The error is ErrPeriod.
func ParsePeriod(text string) (p Period, err error) {
	rest := text
	for _, part := range []struct {
		unit byte
		n    *int
	}{{'y', &p.Years}, {'m', &p.Months}, {'d', &p.Days}} {
		i := 0
		for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
			i++
		}
		if i == len(rest) || rest[i] != part.unit {
			continue
		}
		if *part.n, err = strconv.Atoi(rest[:i]); err != nil {
			return Period{}, fmt.Errorf("%.20q: %w", text, ErrPeriod)
		}
		rest = rest[i+1:]
	}
	if rest != "" || !p.sound() {
		return Period{}, fmt.Errorf("%.20q: %w", text, ErrPeriod)
	}
	return p, nil
}

func (p Period) sound() bool {
	for _, n := range []int{p.Years, p.Months, p.Days} {
		if n < 0 || n > maxPeriod {
			return false
		}
	}
	return p.Years <= 1000 && p.Months <= 12_000 && p != Period{}
}

// String writes the period; parts that are zero are left out.
func (p Period) String() (text string) {
	for _, part := range []struct {
		n    int
		unit string
	}{{p.Years, "y"}, {p.Months, "m"}, {p.Days, "d"}} {
		if part.n != 0 {
			text += strconv.Itoa(part.n) + part.unit
		}
	}
	return text
}

// After returns when a period ends that begins at a time, in UTC. Where a month lacks the day, years and months end on its
// last one: a month after 31 January is 28 or 29 February.
func (p Period) After(begin time.Time) time.Time {
	begin = begin.UTC()
	year, month, day := begin.Date()
	first := time.Date(year+p.Years, month+time.Month(p.Months), 1, 0, 0, 0, 0, time.UTC)
	day = min(day, first.AddDate(0, 1, -1).Day())
	return time.Date(first.Year(), first.Month(), day+p.Days, begin.Hour(), begin.Minute(), begin.Second(), begin.Nanosecond(), time.UTC)
}
