package localserver

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// systemFlags returns the flags that each folder knows, in the letter case of RFC 9051 section 2.3.2.
func systemFlags() []imap.Flag {
	return []imap.Flag{imap.FlagSeen, imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagDraft}
}

// canonicalFlags returns flags sorted, each once whatever its letter case, without \Recent, which clients cannot set.
func canonicalFlags(flags []imap.Flag) []imap.Flag {
	out := make([]imap.Flag, 0, len(flags))
	for _, flag := range flags {
		for _, system := range systemFlags() {
			if equalFlags(system, flag) {
				flag = system
			}
		}
		if !equalFlags(flag, `\Recent`) && !hasFlag(out, flag) {
			out = append(out, flag)
		}
	}
	slices.Sort(out)
	return out
}

func changedFlags(old []imap.Flag, op imap.StoreFlagsOp, flags []imap.Flag) []imap.Flag {
	switch op {
	case imap.StoreFlagsAdd:
		return canonicalFlags(slices.Concat(old, flags))
	case imap.StoreFlagsDel:
		return slices.DeleteFunc(slices.Clone(old), func(f imap.Flag) bool { return hasFlag(flags, f) })
	default:
		return canonicalFlags(flags)
	}
}

func hasFlag(flags []imap.Flag, flag imap.Flag) bool {
	return slices.ContainsFunc(flags, func(f imap.Flag) bool { return equalFlags(f, flag) })
}

func equalFlags(a, b imap.Flag) bool { return strings.EqualFold(string(a), string(b)) }
