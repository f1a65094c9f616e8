package term

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// PrintVerdict writes what sealmail says about a message: who signed it and why that is or is not to be believed, when,
// and who could read it on the way. Each line begins with [Mark].
func PrintVerdict(w io.Writer, r *client.Report) error {
	p := &linePrinter{w: w, hue: hueOf(r.Verdict)}
	word := strings.ToUpper(r.Verdict)
	if len(r.Signatures) == 0 || r.Verdict == "unsigned" { // a signature that is merely enclosed says nothing of its carrier
		who := "nobody signed this message: who sent it is not known"
		if r.Encryption != "none" && r.Encryption != "decrypted" {
			who = "whether somebody signed this message cannot be seen: who sent it is not known"
		}
		p.verdictLine(word, who)
		word = ""
	}
	judged := judgedLayer(r)
	for _, around := range []bool{false, true} { // what the verdict is about stands beside it
		for _, s := range r.Signatures {
			if outer := s.Covers == "whole" && s.Layer != judged; outer == around {
				printSignature(p, word, s, outer)
				word = ""
			}
		}
	}
	p.verdictLine("", encryptionWords(r))
	for _, warning := range r.Warnings {
		if warning.Code != "revocation-unknown" { // said beside the certificate
			p.verdictLine("", "warning: "+Line(warning.Reason))
		}
	}
	return p.err
}

// judgedLayer is the layer of signatures that the verdict is about: the innermost around the whole message.
func judgedLayer(r *client.Report) int {
	layer := -1
	for _, s := range r.Signatures {
		if s.Covers == "whole" {
			layer = max(layer, s.Layer)
		}
	}
	return layer
}

func printSignature(p *linePrinter, word string, s client.SignatureReport, outer bool) {
	who := "signed by an unknown signer"
	if s.Signer != nil {
		who = "signed by " + signerWords(s.Signer)
	}
	if s.Checks.Integrity.Status != "passed" {
		who = "claims to be " + who
	}
	switch {
	case outer:
		who += " (around the signed message)"
	case s.Covers == "part":
		who += " (a part of this message only)"
	case s.Covers == "enclosed":
		who += " (an enclosed message, not this one)"
	}
	p.verdictLine(word, who)
	if s.Signer != nil {
		p.verdictLine("", certificateWords(s))
	}
	p.verdictLine("", timeWords(s))
	for _, axis := range []struct {
		name  string
		check client.CheckReport
	}{
		{"integrity", s.Checks.Integrity}, {"certificate", s.Checks.Chain}, {"revocation", s.Checks.Revocation},
		{"address", s.Checks.Address}, {"time", s.Checks.Time},
	} {
		if axis.name == "revocation" && axis.check.Status == "indeterminate" && s.Verdict == "passed" || axis.check.Reason == nil {
			continue // said beside the certificate
		}
		if axis.check.Status == "failed" || axis.check.Status == "indeterminate" {
			p.verdictLine("", fmt.Sprintf("%s %s: %s", axis.name, axis.check.Status, Line(*axis.check.Reason)))
		}
	}
}

func signerWords(s *client.SignerReport) string {
	var b strings.Builder
	if s.Name != nil {
		b.WriteString(Name(*s.Name) + " ")
	}
	if len(s.Addresses) > 0 {
		b.WriteString("<" + shortened(Line(s.Addresses[0])) + ">")
		if n := len(s.Addresses) - 1; n > 0 {
			fmt.Fprintf(&b, " and %d more", n)
		}
	} else {
		b.WriteString("(no address in the certificate)")
	}
	if s.Organization != nil {
		b.WriteString(", " + Name(*s.Organization))
		if s.Validation != nil {
			b.WriteString(" (" + validationWords(*s.Validation) + ")")
		}
	}
	return b.String()
}

func validationWords(validation string) string {
	switch validation {
	case "local":
		return "vouched for by your own authority"
	case "private":
		return "as claimed by a private authority"
	}
	return validation + "-validated"
}

func certificateWords(s client.SignatureReport) string {
	issuer := "an unnamed issuer"
	if s.Signer.Issuer != nil {
		issuer = Name(*s.Signer.Issuer)
	}
	revocation := "revocation not checked"
	switch s.Checks.Revocation.Status {
	case "passed":
		revocation = "not revoked"
		if optional(s.Checks.Revocation.Code) == "revoked-later" {
			revocation = "revoked later"
		}
	case "failed":
		revocation = "REVOKED"
	}
	if r := s.Revocation; r != nil && r.At != nil {
		revocation += fmt.Sprintf(" (%s %s)", r.Source, r.At.UTC().Format("2006-01-02 15:04"))
	}
	words := fmt.Sprintf("certificate from %s, valid to %s, %s", issuer, s.Signer.NotAfter.UTC().Format(time.DateOnly), revocation)
	switch {
	case s.Signer.Contact == nil:
	case *s.Signer.Contact == "first":
		words += "; first contact"
	case s.Signer.FirstSeen != nil:
		words += ", first seen " + s.Signer.FirstSeen.UTC().Format(time.DateOnly)
	}
	return words
}

func timeWords(s client.SignatureReport) string {
	const layout = "2006-01-02 15:04:05 UTC"
	switch t := s.SigningTime; {
	case t.Proven != nil && t.ProvenBy != nil:
		return fmt.Sprintf("sent %s, proven by %s", t.Proven.UTC().Format(layout), Name(*t.ProvenBy))
	case t.Proven != nil:
		return fmt.Sprintf("sent %s, proven by a timestamp", t.Proven.UTC().Format(layout))
	case t.Claimed != nil:
		return fmt.Sprintf("sent %s, as the signer claims", t.Claimed.UTC().Format(layout))
	}
	return "when it was signed is not known"
}

func encryptionWords(r *client.Report) string {
	layer := slices.IndexFunc(r.Layers, func(l client.LayerReport) bool { return l.EncryptionReport != nil })
	switch r.Encryption {
	case "none":
		return "not encrypted: every server on the way could read it"
	case "undecryptable":
		for _, l := range r.Layers {
			if l.EncryptionReport != nil && l.Reason != nil {
				return "encrypted, and not opened: " + Line(*l.Reason)
			}
		}
		return "encrypted, and none of your keys opens it"
	case "failed":
		return "encrypted, and damaged or forged: nothing of it is shown"
	case "destroyed":
		return "encrypted to a key that was destroyed"
	}
	if layer < 0 {
		return "encrypted"
	}
	l := r.Layers[layer]
	cipher := "an unknown cipher"
	if l.Cipher != nil {
		cipher = strings.ToUpper(*l.Cipher)
	}
	words := "encrypted with " + cipher + " to " + recipientWords(l.Recipients)
	if !l.Authenticated {
		words += " (this cipher does not show alteration)"
	}
	return words
}

func recipientWords(recipients []client.RecipientReport) string {
	mine, others := false, 0
	for _, r := range recipients {
		if r.Mine {
			mine = true
		} else {
			others++
		}
	}
	plural := "s"
	if others == 1 {
		plural = ""
	}
	switch {
	case mine && others == 0:
		return "you alone"
	case mine:
		return fmt.Sprintf("you and %d other%s", others, plural)
	}
	return fmt.Sprintf("%d recipient%s", others, plural)
}

// PrintMessage writes the verdict, the header as it is protected, the text, and the list of attachments. Each line but those of
// the text begins with [Mark]. width is that of the terminal in columns, into which the text is folded, too; 0 is
// DefaultWidth for the header, and leaves the text as it is.
func PrintMessage(w io.Writer, r *client.Report, width int) error {
	if err := PrintHeaders(w, r, width); err != nil {
		return err
	}
	p := &linePrinter{w: w, hue: hueOf(r.Verdict)}
	p.line("")
	text := Clean(optional(r.Text))
	if width > 0 {
		text = Clean(wrap(text, width)) // once more: other signs begin lines now
	}
	if text = strings.TrimRight(text, "\n"); text != "" {
		p.line(text)
	}
	for _, part := range r.Parts {
		if words := partWords(r, part); words != "" {
			for _, line := range styleOf(w).folded(words, 2) {
				p.line(p.mark() + " " + line)
			}
		}
	}
	return p.err
}

// PrintHeaders writes the verdict and the header of a message, each line with [Mark]. width is as in [PrintMessage].
func PrintHeaders(w io.Writer, r *client.Report, width int) error {
	if err := PrintVerdict(w, r); err != nil {
		return err
	}
	if width <= 0 {
		width = DefaultWidth
	}
	p := &linePrinter{w: w, hue: hueOf(r.Verdict)}
	p.line(p.mark())
	m := r.Message
	for _, field := range []struct {
		name   string
		values []string
	}{
		{"From", pointed(m.From)}, {"Sender", pointed(m.Sender)}, {"Reply-To", elsewhere(m)}, {"To", m.To}, {"Cc", m.Cc}, {"Subject", pointed(m.Subject)}, {"Date", dated(m.Date)},
	} {
		if len(field.values) == 0 {
			continue
		}
		remark := ""
		if len(r.Layers) > 0 && !slices.Contains(m.ProtectedHeaders, strings.ToLower(field.name)) {
			remark = "   (not protected)"
		}
		p.field(field.name+":", strings.Join(field.values, ", "), remark, width)
	}
	return p.err
}

// elsewhere is where answers go, if that is not From.
func elsewhere(m client.MessageReport) []string {
	if len(m.ReplyTo) == 1 && m.From != nil && strings.EqualFold(m.ReplyTo[0], *m.From) {
		return nil
	}
	return m.ReplyTo
}

// partWords says what a part is that is not shown; of what is shown, and of pieces of an attached message, it says nothing.
func partWords(r *client.Report, part client.PartReport) string {
	kind, name := "attachment", "without a name"
	if part.Filename != nil {
		name = FileName(*part.Filename)
	}
	facts := []string{Name(part.Type), Size(part.Size)}
	switch encloses := optional(part.Encloses); {
	case part.Within != nil || strings.HasSuffix(part.Type, "pkcs7-signature") && part.Enclosed:
		return ""
	case encloses == "message":
		kind, name = "enclosed", "a message, "+name
	case encloses == "encrypted", encloses == "compressed":
		kind, name = "enclosed", article(encloses)+" part, not opened, "+name
	case encloses == "signed":
		kind, name = "enclosed", "a signed part, "+name
	case part.Enclosed && !part.Attachment:
		kind, name = "enclosed", "a text of a signed part, "+name
	case !part.Attachment:
		return ""
	}
	if part.Verdict != nil {
		facts = append(facts, "its signature: "+*part.Verdict)
	}
	if words := protectionWords(r, part); words != "" {
		facts = append(facts, words)
	}
	return fmt.Sprintf("%s %d: %s (%s)", kind, part.Index, name, strings.Join(facts, ", "))
}

func article(word string) string {
	if strings.HasPrefix(word, "e") {
		return "an " + word
	}
	return "a " + word
}

// protectionWords says how a part is protected together with the message. A signature that is not good protects nothing.
func protectionWords(r *client.Report, part client.PartReport) string {
	signed := r.Verdict == "passed" && part.Signed
	switch {
	case signed && part.Encrypted:
		return "signed and encrypted"
	case signed:
		return "signed"
	case part.Encrypted:
		return "encrypted"
	case part.Verdict != nil || part.Enclosed && part.Signed: // protected, if at all, by itself
		return ""
	}
	return "not protected"
}

func pointed(s *string) []string {
	if s == nil {
		return nil
	}
	return []string{*s}
}

func dated(t *time.Time) []string {
	if t == nil {
		return nil
	}
	return []string{t.UTC().Format("2006-01-02 15:04:05 UTC")}
}

// Size writes a count of octets for a person.
func Size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB"}
	i := 0
	for value >= unit && i < len(names)-1 {
		value /= unit
		i++
	}
	return fmt.Sprintf("%.1f %s", value, names[i])
}

// linePrinter remembers the first error, so that a run of lines is checked once.
type linePrinter struct {
	w   io.Writer
	hue hue // of the marks
	err error
}

// mark is that of sealmail's own lines.
func (p *linePrinter) mark() string { return styleOf(p.w).paint(p.hue, Mark) }

func (p *linePrinter) line(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, s+"\n")
	}
}

// verdictLine prints one marked line, on a terminal as many as it takes there, each with the mark; word stands before the first one.
func (p *linePrinter) verdictLine(word, s string) {
	const indent = 16
	style := styleOf(p.w)
	head := style.paint(hueOf(word), word) + strings.Repeat(" ", max(0, 13-len(word)))
	for i, line := range style.folded(s, indent) {
		if rest, ok := strings.CutPrefix(line, "warning: "); ok && i == 0 {
			line = style.paint(doubtHue, "warning:") + " " + rest
		}
		p.line(strings.TrimRight(p.mark()+" "+head+" "+line, " "))
		head = strings.Repeat(" ", 13)
	}
}
