package client

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime/verdict"
	"github.com/sealmail/sealmail/tsa"
)

// StampParams say how to get a timestamp.
type StampParams struct {
	TSA      []string // URLs; empty: the account's
	TSATrust []string // files; empty: the store's anchors
	Hash     string
	Policy   string
	Access   *TSAAccess // nil: as the configuration says

	// Replace, if set, is asked before a file that is there already is replaced; its error is returned.
	Replace func(file string) error
}

// StampVerifyParams say what a timestamp is held against.
type StampVerifyParams struct {
	Token    string // file
	TSATrust []string

	CRLs, OCSPResponses []string // files
}

// Stamp gets a timestamp on a file, and writes the response.
func (c *Client) Stamp(ctx context.Context, p StampParams, in string, out Output) (*StampResult, error) {
	request, err := c.stampRequest("tsa stamp", p)
	if err != nil {
		return nil, err
	}
	if p.Replace != nil {
		if err := mayReplace(out.Name, p.Replace); err != nil {
			return nil, err
		}
	}
	request.trust.orAnybody(c.o.Say)
	src, err := c.openSource(in)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	digest := request.hash.New()
	if _, err := io.Copy(digest, contextReader{ctx, io.NewSectionReader(src, 0, src.Size())}); err != nil {
		return nil, failed(in, err, "")
	}
	if err := src.unchanged(); err != nil {
		return nil, err
	}
	token, err := request.stamp(ctx, request.hash, digest.Sum(nil))
	if err != nil {
		return nil, cmp.Or(src.unchanged(), err)
	}
	response, err := (&tsa.Response{Status: tsa.Granted, Token: token.token}).Marshal()
	if err != nil {
		return nil, failed("", err, "")
	}
	result := stampResult(token.result, request.trust.anchored)
	return result, c.writeFrom(src, out, func(w io.Writer) error {
		_, err := w.Write(response)
		return err
	})
}

// stampRequest is who is asked for a timestamp, and for which.
type stampRequest struct {
	*stamper
	hash   crypto.Hash
	policy asn1.ObjectIdentifier
}

func (c *Client) stampRequest(what string, p StampParams) (*stampRequest, error) {
	urls := p.TSA
	if len(urls) == 0 {
		a, found, err := c.optionalAccount()
		if err != nil {
			return nil, err
		}
		if !found || len(a.TSA) == 0 {
			return nil, usage(what, errors.New("no timestamp authority is named"), "name one with --tsa URL, or in the account")
		}
		urls = a.TSA
	}
	r := new(stampRequest)
	var err error
	if r.hash, err = parseHash(p.Hash); err != nil {
		return nil, err
	}
	if p.Policy != "" {
		if r.policy, err = parseOID(p.Policy); err != nil {
			return nil, usage("--policy", err, "write it like 1.2.3.4")
		}
	}
	trust, err := c.onlineStampTrust(p.TSATrust)
	if err != nil {
		return nil, err
	}
	if r.stamper, err = c.stamperWith(urls, p.Access, trust); err != nil {
		return nil, err
	}
	r.required = true
	return r, nil
}

// stamp gets a token over a digest.
func (r *stampRequest) stamp(ctx context.Context, hash crypto.Hash, digest []byte) (stamped, error) {
	return r.stampDigest(ctx, hash, digest, r.policy)
}

// stampHashes are the hash algorithms of timestamps by their names.
func stampHashes() map[string]crypto.Hash {
	return map[string]crypto.Hash{"sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}
}

// VerifyStamp checks a timestamp, as a response or as a bare token, against its file. It touches no network.
func (c *Client) VerifyStamp(ctx context.Context, p StampVerifyParams, in string) (*StampResult, error) {
	r, err := c.newRevocations(false)
	if err != nil {
		return nil, err
	}
	if r.given, err = c.o.readRevocation(p.CRLs, p.OCSPResponses); err != nil {
		return nil, err
	}
	trust, err := c.stampTrust(p.TSATrust, r, verdict.RevocationSoft)
	if err != nil {
		return nil, err
	}
	token, err := c.o.readToken(p.Token)
	if !trust.anchored {
		if err == nil {
			c.o.Say("note: " + stampClaim(token))
		}
		return nil, errNoStampAnchor("tsa verify")
	}
	if err != nil {
		return nil, err
	}
	src, err := c.openSource(in)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	o := trust.options(ctx, nil)
	result, err := withStore(trust, nil, func(extra []*x509.Certificate) (*tsa.Result, error) {
		o.Extra = extra
		return token.Verify(contextReader{ctx, io.NewSectionReader(src, 0, src.Size())}, o)
	})
	if err := cmp.Or(src.unchanged(), ctx.Err()); err != nil {
		return nil, err
	}
	if err != nil {
		if _, refused := errors.AsType[*tsa.TokenError](err); !refused {
			return nil, failed(in, err, "") // it could not be read
		}
		hint := "it proves nothing about this file"
		switch {
		case errors.Is(err, tsa.ErrNoCertificate):
			hint = "get the certificate of the authority, and put it into the store: `sealmail cert import AUTHORITY.pem`"
		case errors.Is(err, tsa.ErrPath):
			hint = "if you trust this authority: --tsa-trust ROOT.pem, or `sealmail cert trust ROOT.pem --for tsa`"
		}
		return nil, &Error{Kind: No, What: "timestamp", Err: err, Hint: hint}
	}
	if end := result.Authority.NotAfter; c.o.Now().After(end) {
		c.o.Say("warning: the certificate of the authority has expired since, on " + end.UTC().Format(time.RFC3339))
	}
	return stampResult(result, true), nil
}

func stampResult(r *tsa.Result, trusted bool) *StampResult {
	result := &StampResult{
		Time: r.Time.UTC(), ProvenBy: certstore.Name(r.Authority), Policy: r.Policy.String(), Serial: r.Serial.Text(16), Trusted: trusted,
	}
	if r.Accuracy > 0 {
		result.Accuracy = orNull(r.Accuracy.String())
	}
	return result
}

// parseOID reads an object identifier in dotted form.
func parseOID(s string) (asn1.ObjectIdentifier, error) {
	words := strings.Split(s, ".")
	if len(words) < 2 {
		return nil, fmt.Errorf("%q is not an object identifier", s)
	}
	oid := make(asn1.ObjectIdentifier, len(words))
	for i, word := range words {
		n, err := strconv.ParseUint(word, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q is not an object identifier", s)
		}
		oid[i] = int(n)
	}
	if oid[0] > 2 || oid[0] < 2 && oid[1] > 39 {
		return nil, fmt.Errorf("%q is not an object identifier", s)
	}
	return oid, nil
}

// parseHash reads the name of a digest that time stamps are made with.
func parseHash(word string) (crypto.Hash, error) {
	hash, ok := stampHashes()[word]
	if !ok {
		return 0, usage("--hash", fmt.Errorf("%q is not known", word), "sha256, sha384 or sha512")
	}
	return hash, nil
}
