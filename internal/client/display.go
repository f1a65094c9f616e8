package client

import (
	"slices"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/verdict"
)

// codeExfiltration is the code of the warning that a decrypted text looks as if it were to be sent elsewhere.
const codeExfiltration = "exfiltration"

// textWarnings says what there is to know of the text of a message beside the verdict.
func (r *judged) textWarnings(text smime.Text) []WarningReport {
	var warnings []WarningReport
	met := func(code string) bool {
		return slices.ContainsFunc(text.Notes, func(n entity.Note) bool { return n.Code == code })
	}
	if r.malleable() {
		switch {
		case met(smime.NoteSwallowedText):
			warnings = append(warnings, WarningReport{codeExfiltration,
				"this looks as if somebody built it to leak the decrypted text (EFAIL); nothing was loaded"})
		case met(smime.NoteRemoteContent):
			warnings = append(warnings, WarningReport{codeExfiltration,
				"the text refers to content elsewhere, and nothing shows whether it was altered: somebody may have built it to leak the decrypted text (EFAIL); nothing was loaded"})
		}
	}
	for _, n := range text.Notes {
		warnings = append(warnings, WarningReport{n.Code, n.Text})
	}
	if text.Truncated {
		warnings = append(warnings, WarningReport{"text-truncated", "the text is longer than what is shown"})
	}
	return warnings
}

// malleable reports whether the text was decrypted with a cipher that does not show alteration, and neither a good signature
// nor another cipher inside does: who signs a ciphertext from outside may have altered it.
func (r *judged) malleable() bool {
	last := -1
	for i, l := range r.message.Layers {
		switch e := l.Encrypted; {
		case e == nil || e.Status != smime.StatusDecrypted:
		case e.Authenticated:
			last = -1
		default:
			last = i
		}
	}
	return last >= 0 && !(r.passed() && slices.ContainsFunc(r.verdict.Signatures, func(v verdict.SignatureVerdict) bool {
		return v.Judged && v.Layer > last
	}))
}
