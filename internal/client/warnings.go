package client

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds on what is told of one message. Hostile ones give cause for more than a hundred thousand warnings, one for each
// field that fits into a header.
const (
	maxWarnings = 100 // unless there are more codes
	maxOuter    = 100 // outer fields that differ, beside those that are displayed
)

// codeMoreWarnings is the code of the warning that others are left out.
const codeMoreWarnings = "more-warnings"

// boundWarnings leaves out what are too many: it keeps the first of each code, so that no kind is hidden behind many of
// another, and the first of the others. The last one then says how many there were. Verdicts were given before.
func boundWarnings(all []WarningReport) []WarningReport {
	if len(all) <= maxWarnings {
		return all
	}
	codes := map[string]bool{}
	for _, w := range all {
		codes[w.Code] = true
	}
	var kept []WarningReport
	more, left := maxWarnings-len(codes), 0
	for _, w := range all {
		switch {
		case codes[w.Code]:
			delete(codes, w.Code)
		case more > 0:
			more--
		default:
			left++
			continue
		}
		kept = append(kept, w)
	}
	return append(kept, WarningReport{codeMoreWarnings, fmt.Sprintf("further warnings left out: %d", left)})
}

// displayed are the fields of a header that are shown, in lower case.
func displayed() []string {
	return []string{"from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id"}
}

// outerFields are the fields that read otherwise outside, by their names in lower case.
func (r *judged) outerFields() map[string]string {
	fields, others, shown := map[string]string{}, 0, displayed()
	for _, d := range r.message.Protection.Differences {
		name := strings.ToLower(d.Name)
		if len(d.Outer) == 0 {
			continue
		}
		if !slices.Contains(shown, name) {
			if others == maxOuter {
				continue
			}
			others++
		}
		fields[name] = d.Outer[0]
	}
	return fields
}
