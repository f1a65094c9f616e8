package smime

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"github.com/sealmail/sealmail/smime/entity"
)

// headSize is how much of a source is looked at to tell what it is.
const headSize = 1024

// rootOf returns the outermost entity: the message itself or, for bare CMS (.p7m and .p7s files in DER, PEM or base64),
// an entity made up around it.
func rootOf(src Source, l entity.Limits) (root *entity.Entity, bare bool, err error) {
	if root, err = entity.Parse(src, l); err != nil || len(root.Header) > 0 {
		return root, false, err
	}
	head := make([]byte, min(headSize, src.Size()))
	n, err := src.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	if start, encoding, ok := bareCMS(head[:n]); ok {
		return entity.New(src, entity.Range{Start: int64(start), End: src.Size()}, "application/pkcs7-mime", encoding), true, nil
	}
	return root, false, nil
}

// bareCMS reports whether the input is CMS without a MIME header, where it starts, and in which transfer encoding.
func bareCMS(head []byte) (start int, encoding string, ok bool) {
	if startsCMS(head) {
		return 0, "binary", true
	}
	start = len(head) - len(bytes.TrimLeft(head, " \t\r\n"))
	if rest, armored := bytes.CutPrefix(head[start:], []byte("-----BEGIN ")); armored {
		line := bytes.IndexByte(rest, '\n')
		if line < 0 {
			return 0, "", false
		}
		start = len(head) - len(rest) + line + 1
	}
	// Four characters of base64 make three octets; 24 are enough for the headers and the content type's tag.
	text := strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, string(head[start:min(len(head), start+26)]))
	der, err := base64.StdEncoding.DecodeString(text[:len(text)/4*4])
	return start, "base64", err == nil && startsCMS(der)
}

// startsCMS reports whether b starts as a ContentInfo does (RFC 5652 section 3): a SEQUENCE that is not short, and an
// OBJECT IDENTIFIER in it. No text does.
func startsCMS(b []byte) bool {
	h, n, err := ber.ParseHeader(b)
	return err == nil && n > 1 && h.Is(ber.Universal, ber.TagSequence) && h.Constructed &&
		b[1] >= 0x80 && len(b) > n && b[n] == ber.TagOID
}

// kind is what an entity is to S/MIME.
type kind int

const (
	kindOther     kind = iota
	kindMultipart      // multipart/signed
	kindCMS            // application/pkcs7-mime
	kindMaybeCMS       // by its file name only
)

// kindOf tells by type and file name (RFC 8551 sections 3.2.1 and 3.9). What smime-type says is a hint and not relied on:
// the CMS message itself knows what it is.
func kindOf(e *entity.Entity) kind {
	switch {
	case e.Type.Is("multipart/signed"):
		switch strings.ToLower(e.Type.Params.Get("protocol")) {
		case "application/pkcs7-signature", "application/x-pkcs7-signature":
			return kindMultipart
		case "":
			return kindMultipart // decided by the second part
		}
	case e.Type.Is("application/pkcs7-mime", "application/x-pkcs7-mime", "application/cms"):
		return kindCMS
	case e.Type.Is("application/octet-stream") && strings.HasSuffix(strings.ToLower(e.Filename()), ".p7m"),
		e.Type.Is("application/octet-stream") && strings.HasSuffix(strings.ToLower(e.Filename()), ".p7z"):
		return kindMaybeCMS
	}
	return kindOther
}

// isSignature reports whether the entity is the second part of multipart/signed, by type or by file name.
func isSignature(e *entity.Entity) bool {
	return e.Type.Is("application/pkcs7-signature", "application/x-pkcs7-signature") ||
		e.Type.Is("application/octet-stream") && strings.HasSuffix(strings.ToLower(e.Filename()), ".p7s")
}
