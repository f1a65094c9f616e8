package client

import (
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/tsa"
)

// readToken reads a file with a time-stamp response, as `tsa stamp` and other programs write it, or with a bare token, in DER
// or BER, or in PEM. The answer is no where it holds none.
func (o Options) readToken(name string) (*tsa.Token, error) {
	data, err := o.readSmall(name)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	no := func(err error, hint string) error { return &Error{Kind: No, What: name, Err: err, Hint: hint} }
	if len(data) == 0 {
		return nil, no(errors.New("the file is empty"), "it must hold a timestamp response or token")
	}
	if response, err := tsa.ParseResponse(data); err == nil {
		if err := response.Err(); err != nil {
			return nil, no(err, "ask for another timestamp")
		}
		data = response.Token
	} else if _, err := tsa.ParseRequest(data); err == nil {
		return nil, no(errors.New("this is a timestamp request, and no timestamp"), "what an authority answers to it is needed, as `sealmail tsa stamp` gets it")
	}
	token, err := tsa.ParseToken(data)
	if err != nil {
		return nil, no(err, "the file is not a timestamp, or is damaged")
	}
	return token, nil
}

// stampClaim says what a token says, where nothing of it can be verified.
func stampClaim(token *tsa.Token) string {
	by := "an authority that it does not name"
	for _, raw := range token.Certificates {
		if cert, err := raw.Parse(); err == nil && tsa.CheckCertificate(cert) == nil {
			name := certstore.Name(cert)
			by = fmt.Sprintf("%q, whose certificate is from %q", name, certstore.IssuerName(cert))
			break
		}
	}
	return fmt.Sprintf("the timestamp claims %s, by %s; none of it was checked", token.Info.GenTime.UTC().Format(time.RFC3339), by)
}
