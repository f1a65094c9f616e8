package tsa

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// Status is a PKIStatus (RFC 3161 section 2.4.2).
type Status int

// The statuses.
const (
	Granted Status = iota
	GrantedWithMods
	Rejection
	Waiting
	RevocationWarning
	RevocationNotification
)

func (s Status) String() string {
	names := [...]string{"granted", "grantedWithMods", "rejection", "waiting", "revocationWarning", "revocationNotification"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("status %d", int(s))
	}
	return names[s]
}

// FailInfo is a PKIFailureInfo: a set of reasons, bit n of the BIT STRING as 1<<n.
type FailInfo uint32

// The reasons that RFC 3161 section 2.4.2 names.
const (
	BadAlg              FailInfo = 1 << 0
	BadRequest          FailInfo = 1 << 2
	BadDataFormat       FailInfo = 1 << 5
	TimeNotAvailable    FailInfo = 1 << 14
	UnacceptedPolicy    FailInfo = 1 << 15
	UnacceptedExtension FailInfo = 1 << 16
	AddInfoNotAvailable FailInfo = 1 << 17
	SystemFailure       FailInfo = 1 << 25
)

// failInfoBits is the length of the longest BIT STRING that FailInfo holds.
const failInfoBits = 32

// Words returns the names of the reasons, and "bit n" for those that have none.
func (f FailInfo) Words() []string {
	names := map[FailInfo]string{
		BadAlg:              "badAlg",
		BadRequest:          "badRequest",
		BadDataFormat:       "badDataFormat",
		TimeNotAvailable:    "timeNotAvailable",
		UnacceptedPolicy:    "unacceptedPolicy",
		UnacceptedExtension: "unacceptedExtension",
		AddInfoNotAvailable: "addInfoNotAvailable",
		SystemFailure:       "systemFailure",
	}
	var words []string
	for i := range failInfoBits {
		bit := FailInfo(1) << i
		switch name := names[bit]; {
		case f&bit == 0:
		case name != "":
			words = append(words, name)
		default:
			words = append(words, fmt.Sprintf("bit %d", i))
		}
	}
	return words
}

// String returns the words, separated by commas.
func (f FailInfo) String() string { return strings.Join(f.Words(), ", ") }

// Response is a TimeStampResp (RFC 3161 section 2.4.2).
type Response struct {
	Status   Status
	Text     []string // statusString: from outside, may hold anything
	FailInfo FailInfo // 0: none
	Token    []byte   // the TimeStampToken as it came, or nil
}

// Err returns nil if the response carries a token, and else a *StatusError.
func (r *Response) Err() error {
	if r.Token != nil {
		return nil
	}
	return &StatusError{Status: r.Status, FailInfo: r.FailInfo, Text: r.Text}
}

// check makes sure that there is a token exactly where the status grants one, and a reason only where it does not
// (RFC 3161 section 2.4.2).
func (r *Response) check() error {
	granted := r.Status == Granted || r.Status == GrantedWithMods
	switch {
	case r.Status < Granted || r.Status > RevocationNotification:
		return fmt.Errorf("%w: response of %v", ErrMalformed, r.Status)
	case granted && r.Token == nil:
		return fmt.Errorf("%w: response is %v and has no token", ErrMalformed, r.Status)
	case !granted && r.Token != nil:
		return fmt.Errorf("%w: response is %v and has a token", ErrMalformed, r.Status)
	case granted && r.FailInfo != 0:
		return fmt.Errorf("%w: response is %v and says %v", ErrMalformed, r.Status, r.FailInfo)
	}
	return nil
}

// ParseResponse reads a TimeStampResp. The token in it is cut out, and not looked into. The error wraps ErrTooLarge or
// ErrMalformed; that the authority refused is no error here: see [Response.Err].
func ParseResponse(raw []byte) (*Response, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("%w: response of more than %d octets", ErrTooLarge, MaxSize)
	}
	status, token, err := splitResponse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: response: %w", ErrMalformed, err)
	}
	r := Response{Token: token}
	if !readStatusInfo(status, &r) {
		return nil, fmt.Errorf("%w: status of the response", ErrMalformed)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return &r, nil
}

// splitResponse cuts a response into its two members. The token may be in BER, and then so is what is around it.
func splitResponse(raw []byte) (status, token []byte, err error) {
	r := ber.NewReader(bytes.NewReader(raw), ber.Limits{Element: MaxSize})
	if err := r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return nil, nil, err
	}
	if status, err = r.Element(0); err != nil {
		return nil, nil, err
	}
	if _, err = r.Peek(); err == nil {
		if token, err = r.Element(0); err != nil {
			return nil, nil, err
		}
	} else if !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	if err := r.Leave(); err != nil {
		return nil, nil, err
	}
	if r.Offset() != int64(len(raw)) {
		return nil, nil, fmt.Errorf("%d octets behind it", int64(len(raw))-r.Offset())
	}
	return status, token, nil
}

func readStatusInfo(der []byte, r *Response) bool {
	input := cryptobyte.String(der)
	var seq, texts cryptobyte.String
	var status int
	var present bool
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) || !input.Empty() ||
		!seq.ReadASN1Integer(&status) ||
		!seq.ReadOptionalASN1(&texts, &present, cbasn1.SEQUENCE) {
		return false
	}
	r.Status = Status(status)
	for !texts.Empty() {
		var text cryptobyte.String
		if !texts.ReadASN1(&text, cbasn1.UTF8String) {
			return false
		}
		r.Text = append(r.Text, strings.ToValidUTF8(string(text), "\uFFFD"))
	}
	if !seq.Empty() {
		var bits asn1.BitString
		if !seq.ReadASN1BitString(&bits) || bits.BitLength > failInfoBits {
			return false
		}
		for i := range bits.BitLength {
			r.FailInfo |= FailInfo(bits.At(i)) << i
		}
	}
	return seq.Empty()
}

// Marshal returns the DER of the response, with the token as it is. The error wraps ErrMalformed if status, token and
// failInfo do not go together, and ErrTooLarge.
func (r *Response) Marshal() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 64))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(int64(r.Status))
		if len(r.Text) > 0 {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, text := range r.Text {
					b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
				}
			})
		}
		if r.FailInfo != 0 {
			addNamedBits(b, uint32(r.FailInfo))
		}
	})
	status, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: response: %w", ErrMalformed, err)
	}
	// The token is copied once: it is nearly all of the response.
	head := ber.Header{Class: ber.Universal, Constructed: true, Number: ber.TagSequence, Length: int64(len(status) + len(r.Token))}
	der := ber.AppendHeader(make([]byte, 0, len(status)+len(r.Token)+8), head)
	der = append(append(der, status...), r.Token...)
	if len(der) > MaxSize {
		return nil, fmt.Errorf("%w: response of %d octets", ErrTooLarge, len(der))
	}
	return der, nil
}

// addNamedBits adds a BIT STRING with named bits, in DER without trailing zeros (X.690 section 11.2.2).
func addNamedBits(b *cryptobyte.Builder, bits uint32) {
	var octets [4]byte
	last := 0
	for i := range failInfoBits {
		if bits&(1<<i) != 0 {
			octets[i/8] |= 0x80 >> (i % 8)
			last = i
		}
	}
	b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) {
		b.AddUint8(uint8(7 - last%8))
		b.AddBytes(octets[:last/8+1])
	})
}
