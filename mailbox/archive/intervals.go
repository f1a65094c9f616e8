package archive

import (
	"cmp"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// intervals is a set of numbers from 1 on, as ranges: ascending, with gaps between them.
type intervals[T uint32 | Number] [][2]T

// has reports whether a number is in the set.
func (s intervals[T]) has(n T) bool {
	_, found := slices.BinarySearchFunc(s, n, func(r [2]T, n T) int {
		switch {
		case r[1] < n:
			return -1
		case r[0] > n:
			return 1
		}
		return 0
	})
	return found
}

// count returns how many numbers there are.
func (s intervals[T]) count() (n int64) {
	for _, r := range s {
		n += int64(r[1]) - int64(r[0]) + 1
	}
	return n
}

// all returns the numbers, ascending.
func (s intervals[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, r := range s {
			for n := r[0]; ; n++ {
				if !yield(n) {
					return
				}
				if n == r[1] { // which may be the last that there is
					break
				}
			}
		}
	}
}

// add puts in a range.
func (s *intervals[T]) add(from, to T) {
	// The ranges that touch the new one are joined with it.
	i, _ := slices.BinarySearchFunc(*s, from, func(r [2]T, from T) int {
		if int64(r[1])+1 < int64(from) {
			return -1
		}
		return 1
	})
	j := i
	for ; j < len(*s) && int64((*s)[j][0]) <= int64(to)+1; j++ {
		from, to = min(from, (*s)[j][0]), max(to, (*s)[j][1])
	}
	*s = slices.Replace(*s, i, j, [2]T{from, to})
}

// text writes the set: numbers and ranges, which have a mark in them, with commas between.
func (s intervals[T]) text(mark byte) []byte {
	var b []byte
	for i, r := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(r[0]), 10)
		if r[1] != r[0] {
			b = strconv.AppendInt(append(b, mark), int64(r[1]), 10)
		}
	}
	return b
}

// parseIntervals reads what text writes, in any order, with numbers up to most.
func parseIntervals[T uint32 | Number](text string, mark string, most int64) (s intervals[T], ok bool) {
	if text == "" {
		return nil, true
	}
	var read [][2]T
	for word := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(word, mark)
		from, err := strconv.ParseInt(first, 10, 64)
		to := from
		if err == nil && isRange {
			to, err = strconv.ParseInt(last, 10, 64)
		}
		if err != nil || from < 1 || to < from || to > most {
			return nil, false
		}
		read = append(read, [2]T{T(from), T(to)})
	}
	// In order each is put behind those before, however many there are.
	slices.SortFunc(read, func(a, b [2]T) int { return cmp.Compare(a[0], b[0]) })
	for _, r := range read {
		s.add(r[0], r[1])
	}
	return s, true
}

// NumberSet is a set of numbers of messages; in text it is like 1-500,502.
type NumberSet struct {
	ranges intervals[Number]
}

// Numbers returns a set of numbers, each of which must be one that a message can have.
func Numbers(numbers ...Number) (s NumberSet) {
	for _, n := range numbers {
		s.Add(n)
	}
	return s
}

// Add puts in a number.
func (s *NumberSet) Add(n Number) { s.ranges.add(n, n) }

// Has reports whether a number is in the set.
func (s NumberSet) Has(n Number) bool { return s.ranges.has(n) }

// Len returns how many numbers there are.
func (s NumberSet) Len() int64 { return s.ranges.count() }

// All returns the numbers, ascending.
func (s NumberSet) All() iter.Seq[Number] { return s.ranges.all() }

// last returns the highest number; 0: there is none.
func (s NumberSet) last() Number {
	if len(s.ranges) == 0 {
		return 0
	}
	return s.ranges[len(s.ranges)-1][1]
}

// first returns the lowest number; 0: there is none.
func (s NumberSet) first() Number {
	if len(s.ranges) == 0 {
		return 0
	}
	return s.ranges[0][0]
}

// String is MarshalText.
func (s NumberSet) String() string { return string(s.ranges.text('-')) }

// MarshalText writes the set.
func (s NumberSet) MarshalText() ([]byte, error) { return s.ranges.text('-'), nil }

// UnmarshalText reads what MarshalText writes; people may write the ranges in any order. The error is ErrNumbers.
func (s *NumberSet) UnmarshalText(text []byte) error {
	ranges, ok := parseIntervals[Number](string(text), "-", maxNumber)
	if !ok {
		return ErrNumbers
	}
	s.ranges = ranges
	return nil
}
