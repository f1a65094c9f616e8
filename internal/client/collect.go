package client

import (
	"context"
	"crypto/x509"
	"slices"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/verdict"
)

// maxCollected bounds the certificates beside the signer's own that are kept of one signature.
const maxCollected = 4

// collect keeps the certificates of good signers, and those that they want to be encrypted to, to write to them later. told
// says that a person is shown the message, and with it what is new in its certificates.
func (j *judge) collect(ctx context.Context, r *judged, source string, told bool) error {
	return j.keep(ctx, j.correspondents(r, source, told))
}

// keep stores what was collected, of one message or of many.
func (j *judge) keep(ctx context.Context, list []certstore.Correspondent) error {
	if len(list) == 0 {
		return nil
	}
	if _, err := j.store.AddCorrespondents(ctx, list); err != nil {
		return storeError(err)
	}
	return nil
}

// correspondents are what collect keeps of a message.
func (j *judge) correspondents(r *judged, source string, told bool) []certstore.Correspondent {
	if r.verdict.Status != verdict.Passed {
		return nil
	}
	now := j.client.o.Now()
	var list []certstore.Correspondent
	for _, v := range r.verdict.Signatures {
		// A weak signature is allowed for one reading, and no reason to believe anything afterwards.
		if v.Status != verdict.Passed || v.Signature < 0 || v.Covers != smime.CoversWhole || v.Integrity.Err != nil {
			continue
		}
		s := r.layers[v.Layer].Signed.Signatures[v.Signature]
		if j.own.keys[string(s.Signer.RawSubjectPublicKeyInfo)] {
			continue // one's own draft, or a copy of what one sent
		}
		evidence := r.evidence[v.Layer][v.Signature]
		// As of the signature: an old mail that is sent once more must not win over a newer one. Nor must one with a date to
		// come win for ever.
		at := verdict.TimeThatCounts(evidence.Time, s.SigningTime)
		if at.After(now) {
			at = now
		}
		preferred, named := s.SignerInfo.EncryptionKeyPreference()
		add := func(cert *x509.Certificate, path []*x509.Certificate) {
			c := certstore.Correspondent{Chain: path, Source: source, Message: r.messageID(), FirstSeen: now, Untold: !told}
			if v.Address.Status == verdict.Passed {
				scheme := r.message.Protection.Scheme
				c.HeaderProtection, c.HeaderProtectionAt = scheme == smime.HPClear || scheme == smime.HPCipher, at
			}
			if capabilities := s.SignerInfo.SMIMECapabilities(); len(capabilities) > 0 {
				c.Capabilities, c.CapabilitiesAt = capabilities, at
			}
			if named && preferred.Matches(cert) {
				c.PreferredAt = at
			}
			list = append(list, c)
		}
		add(s.Signer, r.paths[s.Signer])
		if v.Address.Status != verdict.Passed {
			continue // an outer layer, or a file: for whom the others would be is not said
		}
		more := 0
		for _, cert := range s.Bag {
			if more == maxCollected || cert.Equal(s.Signer) || !certstore.MatchAddress(cert, evidence.Address.From[0]) || !r.search() {
				continue
			}
			path, err := j.validator.Path(cert, s.Bag, certstore.EncryptMail, now)
			if err == nil && !slices.ContainsFunc(list, func(c certstore.Correspondent) bool { return c.Certificate().Equal(cert) }) {
				add(cert, path)
				more++
			}
		}
	}
	return list
}
