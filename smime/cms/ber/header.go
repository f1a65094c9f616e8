package ber

import (
	"errors"
	"fmt"
)

// Class is the class of a tag (X.690 section 8.1.2.2).
type Class uint8

// The four classes of tags.
const (
	Universal       Class = 0
	Application     Class = 1
	ContextSpecific Class = 2
	Private         Class = 3
)

// Universal tag numbers that CMS structures use.
const (
	TagBoolean     = 1
	TagInteger     = 2
	TagBitString   = 3
	TagOctetString = 4
	TagNull        = 5
	TagOID         = 6
	TagSequence    = 16
	TagSet         = 17
)

// Indefinite is the [Header] Length of an element that ends with end-of-contents octets.
const Indefinite int64 = -1

// Header is the identifier and the length of one element.
type Header struct {
	Class       Class
	Constructed bool
	Number      uint32
	Length      int64 // octets of content, or Indefinite
}

// Is reports whether the header carries this tag, in either form.
func (h Header) Is(class Class, number uint32) bool { return h.Class == class && h.Number == number }

func (h Header) isEndOfContents() bool {
	return h.Class == Universal && h.Number == 0
}

func (h Header) String() string {
	class := [...]string{"UNIVERSAL ", "APPLICATION ", "", "PRIVATE "}[h.Class&3]
	return fmt.Sprintf("[%s%d]", class, h.Number)
}

// Errors that a Reader or ToDER returns; they arrive wrapped, with the offset at which they were met.
var (
	ErrSyntax   = errors.New("malformed BER")
	ErrTooDeep  = errors.New("BER is nested too deeply")
	ErrTooLarge = errors.New("BER element exceeds its size limit")
	ErrTag      = errors.New("unexpected BER tag")
)

const (
	maxTagNumber   = 1<<28 - 1 // four base-128 octets; CMS needs one
	maxLengthBytes = 7         // content lengths up to 2^56-1
)

// ParseHeader reads a header from the front of b. n is the octets used; n == 0 with a nil error says that b ends inside
// the header.
func ParseHeader(b []byte) (h Header, n int, err error) { return parseHeader(b) }

func parseHeader(b []byte) (h Header, n int, err error) {
	if len(b) < 2 {
		return Header{}, 0, nil
	}
	h.Class = Class(b[0] >> 6)
	h.Constructed = b[0]&0x20 != 0
	h.Number = uint32(b[0] & 0x1f)
	i := 1
	if h.Number == 0x1f {
		h.Number = 0
		for {
			if i == len(b) {
				return Header{}, 0, nil
			}
			c := b[i]
			i++
			if h.Number == 0 && c == 0x80 {
				return Header{}, 0, fmt.Errorf("%w: tag number with leading zeros", ErrSyntax)
			}
			h.Number = h.Number<<7 | uint32(c&0x7f)
			if h.Number > maxTagNumber {
				return Header{}, 0, fmt.Errorf("%w: tag number too large", ErrSyntax)
			}
			if c&0x80 == 0 {
				break
			}
		}
		if h.Number < 0x1f {
			return Header{}, 0, fmt.Errorf("%w: tag number in the long form without need", ErrSyntax)
		}
	}
	if i == len(b) {
		return Header{}, 0, nil
	}
	first := b[i]
	i++
	switch {
	case first < 0x80:
		h.Length = int64(first)
	case first == 0x80:
		if !h.Constructed {
			return Header{}, 0, fmt.Errorf("%w: primitive element of indefinite length", ErrSyntax)
		}
		h.Length = Indefinite
	case first == 0xff:
		return Header{}, 0, fmt.Errorf("%w: reserved length octet", ErrSyntax)
	default:
		count := int(first & 0x7f)
		for ; count > 0; count-- {
			if i == len(b) {
				return Header{}, 0, nil
			}
			if h.Length>>(8*(maxLengthBytes-1)) != 0 {
				return Header{}, 0, fmt.Errorf("%w: length too large", ErrSyntax)
			}
			h.Length = h.Length<<8 | int64(b[i])
			i++
		}
	}
	if h.isEndOfContents() && (h.Constructed || h.Length != 0 || i != 2) {
		return Header{}, 0, fmt.Errorf("%w: tag 0", ErrSyntax)
	}
	return h, i, nil
}

// maxHeaderSize bounds how far parseHeader has to look: tag, four tag octets, and a length of at most 127 octets,
// which may carry leading zeros in BER.
const maxHeaderSize = 1 + 5 + 1 + 126

// AppendHeader appends the encoding of h to b, in the shortest form.
func AppendHeader(b []byte, h Header) []byte {
	first := byte(h.Class) << 6
	if h.Constructed {
		first |= 0x20
	}
	if h.Number < 0x1f {
		b = append(b, first|byte(h.Number))
	} else {
		b = append(b, first|0x1f)
		shift := 0
		for h.Number>>(shift+7) != 0 {
			shift += 7
		}
		for ; shift > 0; shift -= 7 {
			b = append(b, 0x80|byte(h.Number>>shift)&0x7f)
		}
		b = append(b, byte(h.Number)&0x7f)
	}
	switch {
	case h.Length == Indefinite:
		return append(b, 0x80)
	case h.Length < 0x80:
		return append(b, byte(h.Length))
	}
	n := 0
	for v := h.Length; v > 0; v >>= 8 {
		n++
	}
	b = append(b, 0x80|byte(n))
	for n--; n >= 0; n-- {
		b = append(b, byte(h.Length>>(8*n)))
	}
	return b
}

// headerSize is the length of what AppendHeader appends.
func headerSize(h Header) int {
	size := 2
	if h.Number >= 0x1f {
		for v := h.Number; v > 0; v >>= 7 {
			size++
		}
	}
	if h.Length >= 0x80 {
		for v := h.Length; v > 0; v >>= 8 {
			size++
		}
	}
	return size
}

// AppendElement appends a whole element with the given content.
func AppendElement(b []byte, class Class, constructed bool, number uint32, content []byte) []byte {
	b = AppendHeader(b, Header{Class: class, Constructed: constructed, Number: number, Length: int64(len(content))})
	return append(b, content...)
}
