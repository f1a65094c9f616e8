package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/certstore"
)

// CertForget removes certificates of correspondents, and requests that no certificate has come for: by fingerprint, the
// beginning of one, or address. The key of a request is destroyed, unless a certificate for it is in the store. confirm is
// told of all before anything is done; what could not be removed after an error is found again by the same words.
func (c *Client) CertForget(ctx context.Context, which string, confirm func([]CertificateLine) error) ([]CertificateLine, error) {
	requests, err := c.requestsNamed(which)
	if err != nil {
		return nil, err
	}
	found, err := c.correspondentsNamed(which, len(requests) == 0)
	if err != nil {
		return nil, err
	}
	var lines []CertificateLine
	for _, s := range found {
		lines = append(lines, s.line)
	}
	var doomed []string // the keys
	for _, r := range requests {
		line := requestLine(r)
		fate, err := c.fateOfKey(r)
		if err != nil {
			return nil, err
		}
		if line.Key = orNull(fate); fate == KeyDestroyed {
			doomed = append(doomed, r.Key)
		}
		lines = append(lines, line)
	}
	if err := confirm(lines); err != nil {
		return nil, err
	}
	// The keys first: after a kill the requests are there to be named again, and no key stays that nothing names.
	if err := c.shredKeys(ctx, doomed); err != nil {
		return nil, err
	}
	for _, line := range lines {
		forget := c.certificates().ForgetCorrespondent
		if line.Kind == "request" {
			forget = c.certificates().DropRequest
		}
		if err := forget(line.Fingerprint); err != nil {
			return nil, storeError(err)
		}
	}
	return lines, nil
}

// correspondentsNamed returns the certificates of correspondents that a person means. Where needed, there must be one.
func (c *Client) correspondentsNamed(which string, needed bool) ([]storedCertificate, error) {
	find := c.findAny
	if needed {
		find = c.find
	}
	found, err := find(which)
	if err != nil {
		return nil, err
	}
	own := slices.ContainsFunc(found, func(s storedCertificate) bool { return s.identity != nil })
	found = slices.DeleteFunc(found, func(s storedCertificate) bool { return s.line.Kind != "correspondent" })
	switch {
	case len(found) > 0 || !needed:
		return found, nil
	case own:
		return nil, failed("", fmt.Errorf("%s is your own", which), "old keys are kept, because they open old mail")
	}
	return nil, failed("", errors.New(which+" is no correspondent's"), "an anchor is taken away with `sealmail cert distrust`")
}

// requestsNamed returns the requests that a person means: by the beginning of the key's fingerprint (eight digits or more),
// or by address.
func (c *Client) requestsNamed(which string) ([]certstore.Request, error) {
	requests, problems, err := c.certificates().Requests()
	if err != nil {
		return nil, storeError(err)
	}
	c.sayProblems(problems)
	prefix := fingerprintDigits(which)
	wanted, isAddress := certstore.NormalizeAddress(which)
	return slices.DeleteFunc(requests, func(r certstore.Request) bool {
		named := isAddress && slices.ContainsFunc(r.Names.Addresses, func(address string) bool {
			normalized, ok := certstore.NormalizeAddress(address)
			return ok && normalized == wanted
		})
		return !named && (len(prefix) < minFingerprint || !strings.HasPrefix(r.Key, prefix))
	}), nil
}

// fateOfKey says what becomes of the key when a request is forgotten; nothing, where the vault does not have it. A renewal
// may ask for another certificate over a key that opens mail.
func (c *Client) fateOfKey(r certstore.Request) (string, error) {
	keys, err := c.storedKeys()
	if err != nil || !keys[r.Key] {
		return "", err
	}
	identities, problems, err := c.certificates().Identities()
	if err != nil {
		return "", storeError(err)
	}
	if len(problems) > 0 { // each may be one of this key
		return "", failed("", problems[0], "nothing was forgotten; a key that may be in use is not destroyed: mend or remove the file")
	}
	for _, identity := range identities {
		if certstore.KeyFingerprint(identity.Certificate()) == r.Key {
			return KeyKept, nil
		}
	}
	for _, address := range r.Names.Addresses { // a certificate that came by mail, and was not imported
		list, _, err := c.certificates().CorrespondentsFor(address)
		if err != nil {
			return "", storeError(err)
		}
		if slices.ContainsFunc(list, func(p certstore.Correspondent) bool { return certstore.KeyFingerprint(p.Certificate()) == r.Key }) {
			return KeyKept, nil
		}
	}
	return KeyDestroyed, nil
}

// shredKeys destroys private keys in the vault. That gives it a new root, for which its passphrase is needed also while an
// agent runs.
func (c *Client) shredKeys(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	entries := make([]string, len(keys))
	for i, key := range keys {
		entries[i] = certstore.EntryOfKey(key)
	}
	return c.rotate(ctx, PasswdParams{}, entries...)
}
