package entity

import "errors"

// Errors of reading; they arrive wrapped. Everything else that is wrong with a message is a [Note].
var (
	// ErrHeaderTooLarge says that the header sections exceed Limits.HeaderBytes.
	ErrHeaderTooLarge = errors.New("header is too large")
	// ErrField says that a header field cannot be written as asked.
	ErrField = errors.New("not a header field")
	// ErrBareCR says that text cannot travel as it is: a carriage return without a line feed.
	ErrBareCR = errors.New("carriage return without line feed")
)

// Limits bounds what reading may cost. The zero value of a field means its default.
type Limits struct {
	HeaderBytes int // octets of header in one entity, and in all parts of a tree together; default 1 MiB
	Parts       int // entities in a tree, default 1000
	Depth       int // levels of a tree, default 32
}

func (l Limits) withDefaults() Limits {
	if l.HeaderBytes == 0 {
		l.HeaderBytes = 1 << 20
	}
	if l.Parts == 0 {
		l.Parts = 1000
	}
	if l.Depth == 0 {
		l.Depth = 32
	}
	return l
}

// Note says in which way something was not as it should be, and was read all the same.
type Note struct {
	Code string // a stable word
	Text string // a sentence
}

// The notes of this package.
var (
	NoteMboxLine             = Note{"mbox-line", "a mailbox separator line stands before the header"}
	NoteMalformedLine        = Note{"malformed-header-line", "a header line is not a header field"}
	NoteNoHeader             = Note{"no-header", "there is no header section"}
	NoteUnfinishedHeader     = Note{"unfinished-header", "the header section has no end"}
	NoteContentType          = Note{"content-type", "the content type cannot be understood"}
	NoteSeveralContentTypes  = Note{"several-content-types", "the content type is given several times: the first counts"}
	NoteNoBoundary           = Note{"no-boundary", "a multipart entity names no boundary"}
	NoteNoParts              = Note{"no-parts", "the boundary of a multipart entity does not occur"}
	NoteMissingFinalBoundary = Note{"missing-final-boundary", "the final boundary of a multipart entity is missing"}
	NoteTransferEncoding     = Note{"transfer-encoding", "the transfer encoding is unknown"}
	NoteTextAfterBase64      = Note{"text-after-base64", "text behind the end of base64 data is ignored"}
	NoteIllegalBase64        = Note{"illegal-base64", "characters that are not base64 are ignored"}
	NoteTruncatedBase64      = Note{"truncated-base64", "base64 data is cut short"}
	NoteIllegalQuoted        = Note{"illegal-quoted-printable", "a quoted-printable sequence is malformed"}
	NoteTooManyParts         = Note{"too-many-parts", "there are more parts than the limit: the others are not read"}
	NoteTooDeep              = Note{"too-deep", "parts are nested deeper than the limit: those inside are not read"}
)

// add appends n unless it is there already, so that a hostile message cannot make the list long.
func add(notes []Note, n Note) []Note {
	for _, have := range notes {
		if have == n {
			return notes
		}
	}
	return append(notes, n)
}
