package client

import (
	"crypto/x509"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// maxRevocationValues bounds the octets of what goes along with a signature about the revocation of its certificates. A
// response has one or two thousand; lists may have millions.
const maxRevocationValues = 64 << 10

// selector is by what certificates are chosen, with what was found out on the way.
type selector struct {
	certstore.Selector
	revocations *revocations
}

// remember keeps what was found out about a path, for the signature that may be made with it: nobody is asked twice.
func (r *revocations) remember(path []*x509.Certificate, answers []revocation.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.found == nil {
		r.found = map[string][]revocation.Answer{}
	}
	r.found[pathName(path)] = answers
}

func pathName(path []*x509.Certificate) string {
	names := make([]string, len(path))
	for i, cert := range path {
		names[i] = certstore.Fingerprint(cert)
	}
	return strings.Join(names, " ")
}

// revocationValues is what goes along with the signatures of an identity, so that who reads them offline, or years later,
// can tell that its certificates were not revoked.
type revocationValues struct {
	values cms.RevocationValues
	signer *RevocationReport // what they say of the signer's own certificate; nil: nothing
}

// values takes what was found out when the signer's certificate was chosen. Where it was chosen without a path to an anchor,
// nobody was asked, and nothing is known.
func (r *revocations) values(path []*x509.Certificate) revocationValues {
	r.mu.Lock()
	defer r.mu.Unlock()
	return valuesOf(r.found[pathName(path)])
}

// valuesOf puts together what says that certificates are good, within the bound: OCSP responses first, as they are small
// and about one certificate, and the signer's own before those of authorities. What does not fit is left out.
func valuesOf(answers []revocation.Answer) (v revocationValues) {
	room := maxRevocationValues
	for _, source := range []string{revocation.SourceOCSP, revocation.SourceCRL} {
		for _, a := range answers {
			// A list by somebody who is not in the path needs certificates as well, and the attribute has no place for them.
			if a.Status != revocation.Good || a.Source != source || len(a.Evidence.Certificates) > 0 {
				continue
			}
			together := revocation.Evidence{}
			together.Add(revocation.Evidence{CRLs: v.values.CRLs, OCSPResponses: v.values.OCSPResponses})
			together.Add(a.Evidence)
			if sizeOf(together) > room {
				continue
			}
			values := cms.RevocationValues{CRLs: together.CRLs, OCSPResponses: together.OCSPResponses}
			if der, err := values.Marshal(); err != nil || len(der) > room {
				continue
			}
			v.values = values
			if a.Index == 0 {
				v.signer = &RevocationReport{Source: a.Source, At: timeOrNull(a.At)}
			}
		}
	}
	return v
}

// sizeOf is the octets of lists and responses.
func sizeOf(e revocation.Evidence) (n int) {
	for _, der := range slices.Concat(e.CRLs, e.OCSPResponses) {
		n += len(der)
	}
	return n
}

// brought is what a message brought along about the certificates of a signature: for it alone, and for all in its layer. What
// of it cannot be read is said, and makes the signature none the worse.
func (r *judged) brought(l *smime.Signed, s smime.Signature) revocation.Evidence {
	if s.RevocationErr != nil {
		w := WarningReport{"revocation-values", "what the message brings along about revocation cannot all be read: " + s.RevocationErr.Error()}
		if !slices.Contains(r.remarks, w) {
			r.remarks = append(r.remarks, w)
		}
	}
	return revocation.Evidence{
		CRLs: slices.Concat(s.RevocationValues.CRLs, l.CRLs), OCSPResponses: slices.Concat(s.RevocationValues.OCSPResponses, l.OCSPResponses),
	}
}
