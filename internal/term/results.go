package term

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// PrintSend writes what became of a message, recipient by recipient.
func PrintSend(w io.Writer, r *client.SendResult) error {
	p := &linePrinter{w: w}
	state := optional(r.State)
	switch {
	case state == "dry-run":
		p.line("nothing was sent; it would be sealed so:")
	case r.Timestamp != nil:
		p.line(fmt.Sprintf("%s <%s>, timestamped %s", state, Line(r.MessageID), r.Timestamp.UTC().Format(time.RFC3339)))
	default:
		p.line(fmt.Sprintf("%s <%s>, without a timestamp", state, Line(r.MessageID)))
	}
	for _, to := range r.Recipients {
		switch {
		case to.Error != nil:
			p.line(fmt.Sprintf("  %s: %s", Line(to.Address), Line(*to.Error)))
		case to.Cipher != nil && to.Certificate != nil && to.KeyManagement != nil:
			p.line(fmt.Sprintf("  %s: %s, key by %s to certificate %.16s…", Line(to.Address), strings.ToUpper(*to.Cipher), *to.KeyManagement, *to.Certificate))
			if state == "dry-run" && to.Reason != nil {
				p.line("    because " + Line(*to.Reason))
			}
			if state == "dry-run" && to.KeyManagementReason != nil {
				p.line("    and " + Line(*to.KeyManagementReason))
			}
		default:
			p.line(fmt.Sprintf("  %s: not encrypted", Line(to.Address)))
		}
		if state == "dry-run" && to.Notice != nil {
			p.line("    note: " + Line(*to.Notice))
		}
		for _, c := range to.Candidates {
			p.line("    " + candidateWords(c))
		}
	}
	if r.Draft != nil {
		printDraft(p, r.Draft)
	}
	if state == "dry-run" {
		what := "nothing is encrypted: everybody on the way can read the text, and the header"
		if r.HeaderConfidentiality != nil {
			what = "everybody on the way can read of the header (header confidentiality: " + *r.HeaderConfidentiality + ")"
		}
		p.line("  " + what)
		for _, f := range r.Readable {
			p.line("    " + Line(f.Name+": "+f.Value))
		}
	}
	return p.err
}

// printDraft writes a message as its author means it.
func printDraft(p *linePrinter, d *client.DraftReport) {
	p.line("  the message")
	field := func(name string, values ...string) {
		if text := strings.Join(values, ", "); text != "" {
			p.line("    " + Line(name+": "+text))
		}
	}
	field("From", d.From)
	field("To", d.To...)
	field("Cc", d.Cc...)
	field("Bcc", d.Bcc...)
	field("Reply-To", d.ReplyTo...)
	field("Subject", optional(d.Subject))
	field("Date", d.Date.Format("2006-01-02 15:04:05 UTC"))
	field("In-Reply-To", optional(d.InReplyTo))
	field("References", optional(d.References))
	for _, f := range d.Fields {
		field(f.Name, f.Value)
	}
	if text := strings.TrimRight(Clean(optional(d.Text)), "\n"); text != "" {
		p.line("")
		for line := range strings.SplitSeq(text, "\n") {
			p.line(strings.TrimRight("    "+line, " "))
		}
		p.line("")
	}
	for _, a := range d.Attachments {
		p.line(fmt.Sprintf("    attachment: %s (%s, %s)", FileName(a.Filename), Name(a.Type), Size(a.Size)))
	}
}

// PrintDraft says where a draft is.
func PrintDraft(w io.Writer, r *client.DraftResult) error {
	p := &linePrinter{w: w}
	id := "mid:" + r.MessageID
	if r.UID != nil {
		id = fmt.Sprint(*r.UID)
	}
	words := ""
	if r.Replaced {
		words = "; the one before was removed"
	}
	p.line(fmt.Sprintf("draft %s in %s%s: `sealmail send --draft %s` sends it", Line(id), Line(r.Folder), words, Line(id)))
	return p.err
}

// candidateWords says what came of a certificate that was considered for a recipient.
func candidateWords(c client.CandidateReport) string {
	word := "not usable"
	switch {
	case c.Chosen:
		word = "chosen"
	case c.Usable:
		word = "usable"
	}
	words := fmt.Sprintf("%-10s %.16s… %s from %s, valid to %s", word, c.Fingerprint, c.KeyAlgorithm, Name(optional(c.Issuer)), c.NotAfter.UTC().Format(time.DateOnly))
	if c.Reason != nil {
		words += ": " + Line(*c.Reason)
	}
	return words
}

// PrintOutbox writes a table of what is waiting.
func PrintOutbox(w io.Writer, entries []client.OutboxLine) error {
	if len(entries) == 0 {
		_, err := io.WriteString(w, "the outbox is empty\n")
		return err
	}
	rows := [][]string{{"ID", "STATE", "CREATED", "NEXT TRY", "TO", "LAST ERROR"}}
	for _, e := range entries {
		problem := ""
		if e.Error != nil {
			problem = *e.Error
		}
		next := ""
		if e.NextAttempt != nil {
			next = e.NextAttempt.UTC().Format("2006-01-02 15:04")
		}
		rows = append(rows, []string{e.ID, e.State, e.Created.UTC().Format("2006-01-02 15:04"), next, strings.Join(e.To, ", "), problem})
	}
	return fittedTable(w, rows, "TO", "LAST ERROR")
}

// PrintFolders writes a table of folders.
func PrintFolders(w io.Writer, folders []client.FolderLine) error {
	rows := [][]string{{"FOLDER", "USE", "MESSAGES", "UNSEEN", "UIDVALIDITY"}}
	number := func(n *uint32) string {
		if n == nil {
			return ""
		}
		return fmt.Sprint(*n)
	}
	for _, f := range folders {
		validity := number(f.UIDValidity)
		if f.Error != nil {
			validity = *f.Error
		}
		rows = append(rows, []string{f.Folder, optional(f.SpecialUse), number(f.Messages), number(f.Unseen), validity})
	}
	return fittedTable(w, rows, "FOLDER", "UIDVALIDITY")
}

// PrintChange writes what became of one message that was moved, deleted or marked.
func PrintChange(w io.Writer, l client.ChangeLine) error {
	p := &linePrinter{w: w}
	id := "last" // of a folder that is empty
	switch {
	case l.UID != nil:
		id = fmt.Sprint(*l.UID)
	case l.MessageID != nil:
		id = "mid:" + *l.MessageID
	}
	var words []string
	switch {
	case l.Error != nil:
		words = []string{"ERROR", *l.Error}
	case l.Flagged != nil:
		for _, flag := range l.Added {
			words = append(words, "+"+flag)
		}
		for _, flag := range l.Removed {
			words = append(words, "-"+flag)
		}
	case l.To == nil:
		words = []string{"deleted for good"}
	default:
		words = []string{"to", *l.To}
		if l.NewUID != nil {
			words = append(words, fmt.Sprint(*l.NewUID))
		}
	}
	p.line(fmt.Sprintf("%6s  %s", Line(id), Line(strings.Join(words, " "))))
	return p.err
}

// PrintChanged sums up what became of messages, by the word for it.
func PrintChanged(w io.Writer, word string, r *client.ChangeResult) error {
	place := "in " + r.Folder
	switch {
	case r.To != "":
		place = "from " + r.Folder + " to " + r.To
	case word == "deleted":
		place += " for good"
	}
	messages := "messages"
	if r.Done == 1 {
		messages = "message"
	}
	_, err := fmt.Fprintf(w, "%d %s %s %s\n", r.Done, messages, word, Line(place))
	return err
}

// fromColumns is how wide the sender is in a line of a list.
const fromColumns = 28

// PrintListLine writes one message of a folder in one line: on a terminal in one line of it.
func PrintListLine(w io.Writer, l client.ListLine) error { return PrintFolderLine(w, l, 0) }

// maxFolderColumns is how wide the folder is in a line at most.
const maxFolderColumns = 24

// FolderColumns is how wide the folder has to be in lines of these folders.
func FolderColumns(folders ...string) (columns int) {
	for _, f := range folders {
		columns = max(columns, Width(Line(f)))
	}
	return min(columns, maxFolderColumns)
}

// PrintFolderLine is PrintListLine with the folder in front, in so many columns, for lines of several; 0: without it.
func PrintFolderLine(w io.Writer, l client.ListLine, folder int) error {
	p := &linePrinter{w: w}
	s := styleOf(w)
	verdict := func(word string) string {
		return s.paint(hueOf(word), word) + strings.Repeat(" ", max(0, 13-len(word)))
	}
	where := ""
	if folder > 0 {
		if s.columns > 0 {
			folder = min(folder, max(s.columns/5, minColumn))
		}
		where = pad(Shorten(Line(l.Folder), folder), folder) + " "
		folder++
	}
	where += fmt.Sprintf("%6d  ", l.UID)
	if l.Error != nil {
		p.line(s.within(where+verdict("BROKEN")+" ", folder+22, Line(*l.Error)))
		return p.err
	}
	date := strings.Repeat(" ", 16)
	if l.Date != nil {
		date = l.Date.UTC().Format("2006-01-02 15:04")
	}
	lock := " "
	switch optional(l.Encryption) {
	case "decrypted":
		lock = "E"
	case "undecryptable", "failed", "destroyed":
		lock = "!"
	}
	from, width := Line(optional(l.From)), fromColumns
	if s.columns > 0 {
		width = min(max(s.columns/4, minColumn), fromColumns)
		from = Shorten(from, width)
	}
	head := where + verdict(strings.ToUpper(optional(l.Verdict))) + " " + lock + "  " + date + "  " + pad(from, width) + "  "
	p.line(s.within(head, folder+45+width, Line(optional(l.Subject))))
	return p.err
}

// PrintAlert prints an alert of `watch` as a line.
func PrintAlert(w io.Writer, a client.WatchAlert) error {
	p := &linePrinter{w: w}
	s := styleOf(w)
	where := ""
	if a.Folder != nil && a.UID != nil {
		where = fmt.Sprintf("%s %d: ", Line(*a.Folder), *a.UID)
	}
	p.line(s.paint(hueOf("failed"), "▌ ALERT") + " " + a.Code + ": " + where + Line(a.Reason))
	return p.err
}

// within puts a text behind a head of so many columns, and cuts it where the screen ends.
func (s style) within(head string, columns int, text string) string {
	if s.columns > 0 {
		text = Shorten(text, max(s.columns-columns, 1))
	}
	return strings.TrimRight(head+text, " ")
}

func optional(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// PrintSaved writes which file was saved, and what there is to know about it.
func PrintSaved(w io.Writer, f client.SavedFile) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("%s (%s, %s)", Line(f.File), Line(f.Type), Size(f.Size)))
	if f.Note != nil {
		p.line("  note: " + Line(*f.Note))
	}
	return p.err
}

// PrintVerified writes the verdict on a file; with several, its name before it, and an empty line between. A message in an
// mbox file has its number behind the name.
func PrintVerified(w io.Writer, r *client.Report, named, separate bool) error {
	p := &linePrinter{w: w}
	if separate {
		p.line("")
	}
	switch name := Line(optional(r.File)); {
	case r.Index != nil:
		p.line(fmt.Sprintf("%s, message %d:", name, *r.Index))
	case named:
		p.line(name + ":")
	}
	if p.err != nil {
		return p.err
	}
	return PrintVerdict(w, r)
}

// PrintInit writes what was set up.
func PrintInit(w io.Writer, r *client.InitResult) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("account %s is set up in %s", Line(r.Account), r.Config))
	for _, c := range r.Certificates {
		p.line("  certificate " + c)
	}
	p.line("  timestamps: " + r.Timestamp)
	if r.Checked {
		p.line("  servers: both answered and took the password")
	} else {
		p.line("  servers: not tried")
	}
	if !r.Protected {
		p.line("  the vault is unprotected: who reads the disk reads the keys")
	}
	return p.err
}

// PrintCAInit writes what a new authority is to be known by.
func PrintCAInit(w io.Writer, r *client.CAInitResult) error {
	p := &linePrinter{w: w}
	p.line("the authority is made; its trust anchor is " + r.Root)
	p.line("  SHA-256 " + r.RootFingerprint)
	if !r.Protected {
		p.line("  its keys are unprotected: who reads this folder can issue certificates")
	}
	return p.err
}

// PrintIssued writes which certificate was issued.
func PrintIssued(w io.Writer, r *client.CAIssueResult) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("%s: a certificate for %s, valid to %s", r.File, Line(strings.Join(r.Subjects, ", ")), r.NotAfter.UTC().Format(time.DateOnly)))
	p.line("  SHA-256 " + r.Fingerprint)
	p.line("  serial " + r.Serial)
	return p.err
}

// findingIndent is where the text of a finding begins.
const findingIndent = 24

// PrintFinding writes one line of the doctor, and one more with what to do; on a terminal as many as they take.
func PrintFinding(w io.Writer, f client.Finding) error {
	p := &linePrinter{w: w}
	s := styleOf(w)
	status := strings.ToUpper(string(f.Status))
	head := s.paint(hueOf(status), status) + strings.Repeat(" ", max(0, 8-len(status))) + fmt.Sprintf(" %-14s ", f.Check)
	for _, line := range s.folded(Line(f.Detail), findingIndent) {
		p.line(head + line)
		head = strings.Repeat(" ", findingIndent)
	}
	if f.Hint != nil {
		for _, line := range s.folded(Line(*f.Hint), findingIndent) {
			p.line(head + line)
		}
	}
	return p.err
}

// StampWords says when something existed, and who proves it.
func StampWords(r *client.StampResult) string {
	words := fmt.Sprintf("existed at %s, proven by %s (serial %s)", r.Time.UTC().Format(time.RFC3339), Name(r.ProvenBy), r.Serial)
	if !r.Trusted {
		words += "; this authority was not checked against an anchor"
	}
	return words
}
