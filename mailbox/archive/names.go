package archive

import (
	"fmt"
	"strconv"
	"strings"
)

// Number is that of a message in an archive, from 1. Numbers ascend in the order of archiving, and are never used again.
type Number int64

// String returns the twelve digits that a message's files are named by.
func (n Number) String() string { return fmt.Sprintf("%012d", int64(n)) }

// The names of objects.
const (
	readmeName      = "README.txt"
	descriptionName = "archive.json"
	headName        = "head"

	segmentFolder   = "seg"
	keyFolder       = "keys"
	statementFolder = "log"

	suffixZIP       = ".zip"
	suffixSignature = ".p7s"
	suffixToken     = ".tst"
	suffixEvidence  = ".ers"
	suffixStatement = ".p7m"
)

// Bounds on numbers, which their digits have room for.
const (
	maxNumber  = 999_999_999_999
	maxSegment = 999_999

	maxRenewals = 99
)

// segmentDigits are what the files of a segment are named by.
func segmentDigits(segment int) string { return fmt.Sprintf("%06d", segment) }

// segmentName returns the name of one of a segment's objects.
func segmentName(segment int, suffix string) string {
	return segmentFolder + "/" + segmentDigits(segment) + suffix
}

// renewedName returns the name of a segment's evidence record out of a renewal of the archive, or out of none. A segment has one
// for each renewal since it was made: its newest record is that of the highest number.
func renewedName(segment, renewal int) string {
	if renewal == 0 {
		return segmentName(segment, suffixEvidence)
	}
	return segmentName(segment, fmt.Sprintf(".r%02d%s", renewal, suffixEvidence))
}

// renewalOf reads segment and renewal out of the name of an evidence record.
func renewalOf(name string) (segment, renewal int, ok bool) {
	segment, ok = segmentOf(name)
	if !ok || !strings.HasPrefix(name, segmentFolder+"/") {
		return 0, 0, false
	}
	if _, digits, found := strings.Cut(strings.TrimSuffix(name, suffixEvidence), ".r"); found {
		var err error
		if renewal, err = strconv.Atoi(digits); err != nil || renewal < 1 {
			return 0, 0, false
		}
	}
	return segment, renewal, renewedName(segment, renewal) == name
}

// keysName returns the name of a segment's keys. They are made anew, as another generation, when one is shredded.
func keysName(segment, generation int) string {
	return fmt.Sprintf("%s/%s.k%02d", keyFolder, segmentDigits(segment), generation)
}

// keysOf reads segment and generation out of the name of keys.
func keysOf(name string) (segment, generation int, ok bool) {
	segment, ok = segmentOf(name)
	if !ok || !strings.HasPrefix(name, keyFolder+"/") {
		return 0, 0, false
	}
	_, digits, _ := strings.Cut(name, ".k")
	generation, err := strconv.Atoi(digits)
	return segment, generation, err == nil && keysName(segment, generation) == name
}

func statementName(statement int) string {
	return statementFolder + "/" + segmentDigits(statement) + suffixStatement
}

// segmentOf reads the number out of the name of an object of a segment, or of its keys.
func segmentOf(name string) (segment int, ok bool) {
	digits, found := strings.CutPrefix(name, segmentFolder+"/")
	if !found {
		if digits, found = strings.CutPrefix(name, keyFolder+"/"); !found {
			return 0, false
		}
	}
	digits, _, _ = strings.Cut(digits, ".")
	return parseDigits(digits)
}

// statementOf reads the number out of the name of a statement.
func statementOf(name string) (statement int, ok bool) {
	digits, found := strings.CutPrefix(name, statementFolder+"/")
	if !found {
		return 0, false
	}
	digits, found = strings.CutSuffix(digits, suffixStatement)
	if !found {
		return 0, false
	}
	return parseDigits(digits)
}

func parseDigits(digits string) (n int, ok bool) {
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0 && segmentDigits(n) == digits
}
