package smime

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/sealmail/sealmail/smime/entity"
)

// HPScheme is how the header fields of a message are protected.
type HPScheme string

// The values of the Content-Type parameter hp (RFC 9788 section 2.1.1), and older ways, which are read and not written.
const (
	HPNone   HPScheme = ""
	HPClear  HPScheme = "hp-clear"  // signed only
	HPCipher HPScheme = "hp-cipher" // encrypted, perhaps signed too
	// HPProtectedHeaders is protected-headers="v1" (draft-autocrypt-lamps-protected-headers), which Thunderbird, Enigmail and
	// others send. It protects the fields that are inside, however few, and says nothing of those that are not.
	HPProtectedHeaders HPScheme = "protected-headers-v1"
	// HPWrapped is a whole message, in a content of type message/rfc822 (RFC 8551 section 3.1) that says forwarded=no. Without
	// that word it may be one that somebody has forwarded, and is shown as an attached message.
	HPWrapped HPScheme = "wrapped"
)

// parameter returns the value of hp.
func (s HPScheme) parameter() string { return strings.TrimPrefix(string(s), "hp-") }

// maxOwnHeader bounds the header that ProtectHeaders holds in memory.
const maxOwnHeader = 1 << 20

// HeaderProtector says how the header fields of a message are protected.
type HeaderProtector struct {
	Scheme HPScheme // HPClear for a message that is signed only, HPCipher for one that is encrypted, signed too or not
	// Policy says what is hidden outside under HPCipher; nil is HCPBaseline.
	Policy HCP
	// LegacyDisplay repeats what is hidden in the text, for readers that do not know header protection: see Protect.
	LegacyDisplay bool
}

// ProtectHeaders is [HeaderProtector.Protect] with hcp_baseline under HPCipher, and without Legacy Display Elements.
func ProtectHeaders(e io.Reader, fields entity.Header, scheme HPScheme) (payload io.Reader, outer entity.Header, err error) {
	return HeaderProtector{Scheme: scheme}.Protect(e, fields)
}

// Protect returns the MIME entity e with the fields of the message put inside it, to be signed or encrypted, and the
// fields to be put outside (RFC 9788 section 5.2). Under HPCipher the policy says what goes outside, and HP-Outer inside
// repeats it. Under HPClear inside and outside are the same.
//
// Bcc goes nowhere: whoever shall know of a blind copy is told otherwise. MIME-Version and Content-* among the fields
// belong to an entity and not to the message, and are left out.
//
// Under HPCipher with LegacyDisplay, what the policy hides of the fields that readers are shown (RFC 9787 section 1.1.2)
// also stands at the start of the text, in each alternative of it (sections 5.2.2 to 5.2.4). A text in a character set or
// transfer encoding that is not known goes without. Where a text is marked already as one that has such an element, reading
// the payload ends with ErrProtected.
func (o HeaderProtector) Protect(e io.Reader, fields entity.Header) (payload io.Reader, outer entity.Header, err error) {
	if o.Scheme != HPClear && o.Scheme != HPCipher {
		return nil, nil, fmt.Errorf("unknown scheme of header protection %q", o.Scheme)
	}
	if o.Policy == nil {
		o.Policy = HCPBaseline
	}
	body := bufio.NewReaderSize(e, 32<<10)
	own, raw, _, err := entity.ReadHeader(body, maxOwnHeader)
	if err != nil {
		return nil, nil, err
	}
	var inside entity.Header
	for _, f := range fields {
		if f.Name != "" && !f.Structural() && !f.Is("Bcc") && !f.Is("HP-Outer") {
			inside = append(inside, f)
		}
	}
	outer = inside
	if o.Scheme == HPCipher {
		if outer, err = o.Policy.outside(inside); err != nil {
			return nil, nil, err
		}
		for _, f := range outer {
			// Section 2.2: a copy of every field that is deliberately exposed.
			hpOuter, err := entity.NewField("HP-Outer", f.Name+": "+f.Value())
			if err != nil {
				return nil, nil, err
			}
			inside = append(inside, hpOuter)
		}
	}
	var rest io.Reader = body
	if o.Scheme == HPCipher && o.LegacyDisplay {
		if element := newDisplayElement(inside, o.Policy); len(element) > 0 {
			w := &displayWriter{element: element, src: body}
			if own, err = w.enter(raw); err != nil {
				return nil, nil, err
			}
			rest = w
		}
	}
	structural, err := withHP(own, o.Scheme)
	if err != nil {
		return nil, nil, err
	}
	var head bytes.Buffer
	if err := append(inside, structural...).Write(&head); err != nil {
		return nil, nil, err
	}
	head.WriteString("\r\n")
	return io.MultiReader(&head, rest), outer, nil
}

// withHP returns the structural fields of an entity, with the parameter hp in Content-Type.
func withHP(own entity.Header, scheme HPScheme) (entity.Header, error) {
	var list entity.Header
	value := "text/plain; charset=us-ascii" // RFC 2045 section 5.2
	at := -1
	for _, f := range own {
		if f.Structural() {
			if f.Is("Content-Type") && at < 0 {
				value, at = f.Value(), len(list)
			}
			list = append(list, f)
		}
	}
	if entity.ParseMediaType(value).Params.Has("hp") {
		return nil, ErrProtected
	}
	value, err := withParameter(value, "hp", scheme.parameter())
	if err != nil {
		return nil, err
	}
	f, err := entity.NewField("Content-Type", value)
	if err != nil {
		return nil, err
	}
	if at < 0 {
		return append(list, f), nil
	}
	list[at] = f
	return list, nil
}

// withParameter returns the value of a Content-Type with one parameter more. Where it is malformed, so that what is appended
// would not be read as one, it is written anew.
func withParameter(value, name, set string) (string, error) {
	longer := fmt.Sprintf("%s; %s=\"%s\"", strings.TrimRight(value, "; \t"), name, set)
	if entity.ParseMediaType(longer).Params.Get(name) == set {
		return longer, nil
	}
	t := entity.ParseMediaType(value)
	params := map[string]string{name: set}
	for _, p := range t.Params {
		if _, have := params[p.Name]; !have {
			params[p.Name] = p.Value
		}
	}
	if value = mime.FormatMediaType(t.Type, params); value == "" {
		return "", fmt.Errorf("%w: a Content-Type that cannot be understood", entity.ErrField)
	}
	return value, nil
}

// WriteOuterHeader writes the header fields of a message and MIME-Version to dst. What [Sign] or [Encrypt] writes next
// completes the message.
func WriteOuterHeader(dst io.Writer, fields entity.Header) error {
	for _, f := range fields {
		if f.Structural() {
			return fmt.Errorf("%w: %s is not for the outer header", entity.ErrField, f.Name)
		}
	}
	if err := fields.Write(dst); err != nil {
		return err
	}
	_, err := io.WriteString(dst, "MIME-Version: 1.0\r\n")
	return err
}
