// Package bench compares sealmail with other programs and libraries at the same work, side by side in one run: both take
// turns, and what counts is the ratio of a turn to the other's turn beside it. docs/bench.md says what is compared and
// holds the figures; `make bench` takes them. There is nothing to import, and no test here passes or fails by time.
package bench
