package cms

import (
	"encoding/asn1"
	"errors"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// ErrDecrypt says that a message cannot be opened with the key at hand, and on purpose not why.
var ErrDecrypt = errors.New("message cannot be decrypted")

// EnvelopedData is an encrypted message: EnvelopedData (RFC 5652 section 6) or, if Authenticated, AuthEnvelopedData
// (RFC 5083).
type EnvelopedData struct {
	Authenticated bool
}

// ContentType returns OIDEnvelopedData or OIDAuthEnvelopedData.
func (e *EnvelopedData) ContentType() asn1.ObjectIdentifier {
	if e.Authenticated {
		return OIDAuthEnvelopedData
	}
	return OIDEnvelopedData
}

func readEnvelopedData(_ *ber.Reader, _ Limits, authenticated bool) (*EnvelopedData, error) {
	e := &EnvelopedData{Authenticated: authenticated}
	return nil, &UnsupportedError{What: "content type", Algorithm: e.ContentType()}
}
