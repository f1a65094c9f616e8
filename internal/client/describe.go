package client

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/verdict"
)

// report is what there is to say of a judged message, without its text.
func (r *judged) report() *Report {
	report := r.brief()
	verdicts := r.partVerdicts()
	for i := range r.message.Parts {
		p := &r.message.Parts[i]
		size, notes, err := p.Measure()
		if err != nil {
			report.Warnings = append(report.Warnings, WarningReport{"part-size", err.Error()})
		}
		for _, n := range notes {
			if n != entity.NoteNoHeader && !slices.Contains(r.message.Notes, n) { // a part needs no header
				report.Warnings = append(report.Warnings, WarningReport{n.Code, fmt.Sprintf("part %d, %s: %s", i+1, p.Type, n.Text)})
			}
		}
		part := PartReport{Index: i + 1, Type: p.Type, Filename: orNull(p.Filename), Size: size, Signed: p.Signed, Encrypted: p.Encrypted, Enclosed: p.Enclosed,
			Attachment: p.Attachment, Encloses: orNull(string(p.Encloses)), Verdict: orNull(string(verdicts[i]))}
		if p.Within >= 0 {
			part.Within = orNull(p.Within + 1)
		}
		report.Parts = append(report.Parts, part)
	}
	return report
}

// partVerdicts are the verdicts on enclosed signatures, by the index of the part that they are about: the first of what they
// cover, or the attached message that is all of it. Of several the worst counts.
func (r *judged) partVerdicts() map[int]verdict.Status {
	verdicts := map[int]verdict.Status{}
	for _, v := range r.verdict.Signatures {
		i := v.Layer - len(r.message.Layers)
		if i < 0 {
			continue
		}
		part := r.message.Enclosed[i].Part
		if whole := r.message.Enclosed[i].Message; whole >= 0 {
			part = whole
		}
		if verdicts[part] == "" || verdicts[part] == verdict.Passed || v.Status == verdict.Failed {
			verdicts[part] = v.Status
		}
	}
	return verdicts
}

// brief is report without the parts, which have to be read to know their sizes.
func (r *judged) brief() *Report {
	m := r.message
	report := &Report{
		Verdict: string(r.verdict.Status), Encryption: string(m.Encryption()), Message: r.header(),
		Layers: []LayerReport{}, Signatures: []SignatureReport{}, Parts: []PartReport{}, Warnings: []WarningReport{},
	}
	for _, l := range m.Layers {
		report.Layers = append(report.Layers, layerReport(l))
		if l.Encrypted != nil && l.Encrypted.Weak != nil {
			report.Warnings = append(report.Warnings, WarningReport{codeWeak, l.Encrypted.Weak.Error()})
		}
	}
	for _, s := range r.verdict.Signatures {
		report.Signatures = append(report.Signatures, r.signature(s))
	}
	for _, w := range r.verdict.Warnings {
		report.Warnings = append(report.Warnings, WarningReport{w.Code, w.Reason})
	}
	report.Warnings = append(report.Warnings, r.remarks...)
	if r.looked < r.tokens {
		report.Warnings = append(report.Warnings, WarningReport{string(timeNotLookedAt),
			fmt.Sprintf("only %d of %d timestamps were looked at: at most %d of a signature, and %d of a message", r.looked, r.tokens, maxSignatureTokens, maxTokens)})
	}
	for _, n := range m.Notes {
		report.Warnings = append(report.Warnings, WarningReport{n.Code, n.Text})
	}
	return report
}

// header is the header as it is to be displayed.
func (r *judged) header() MessageReport {
	m := r.message
	report := MessageReport{To: displayAddresses(m, "To"), Cc: displayAddresses(m, "Cc"), ProtectedHeaders: []string{}, Outer: r.outerFields()}
	bound := r.verdict.Bound()
	report.From = displaySenders(m.From(bound))
	sender, _ := m.Fields("Sender")
	report.Sender = displaySenders(sender)
	report.ReplyTo = displayAddresses(m, "Reply-To")
	report.Subject = orNull(m.Field("Subject"))
	report.MessageID = orNull(strings.Trim(m.Field("Message-ID"), "<> "))
	if date, err := parseDate(m.Field("Date")); err == nil {
		report.Date = timeOrNull(date)
	}
	for _, name := range displayed() {
		if fields, protected := m.Fields(name); protected && len(fields) > 0 && !(name == "from" && m.FromOutside(bound)) {
			report.ProtectedHeaders = append(report.ProtectedHeaders, name)
		}
	}
	return report
}

// parseDate reads a date of RFC 5322 section 3.3. The form of nearly all mail is tried first: to find it among all that
// there may be takes twenty times as long.
func parseDate(value string) (time.Time, error) {
	if date, err := time.Parse("Mon, 2 Jan 2006 15:04:05 -0700", value); err == nil {
		return date, nil
	}
	return mail.ParseDate(value)
}

// displaySenders are the addresses in fields that name who sent a message, read as they are for the verdict: what encoded
// words hold is no syntax (RFC 2047 section 5), and could otherwise show another address than the one that was judged. Where
// the fields cannot be read in one way, they are shown as they stand.
func displaySenders(fields []entity.Field) *string {
	senders, err := smime.ReadSenders(fields)
	var shown []string
	for _, s := range senders {
		shown = append(shown, smime.DisplayAddress(s.Address))
	}
	if err != nil {
		for _, f := range fields {
			shown = append(shown, strings.ToValidUTF8(f.Value(), "\uFFFD"))
		}
	}
	return orNull(strings.Join(shown, ", "))
}

func displayAddresses(m *smime.Message, name string) []string {
	addresses := []string{}
	list, _ := m.Addresses(name)
	for _, a := range list {
		quoted := strings.Trim((&mail.Address{Address: a.Address}).String(), "<>") // a local part that needs quotes has lost them
		addresses = append(addresses, smime.DisplayAddress(quoted))
	}
	return addresses
}

func layerReport(l smime.Layer) LayerReport {
	if l.Signed != nil {
		return LayerReport{Type: "signed", Form: l.Signed.Form.String()}
	}
	if l.Compressed != nil {
		status := "decompressed"
		if l.Compressed.Err != nil {
			status = "failed"
		}
		return LayerReport{Type: "compressed", Form: "compressed-data", Status: &status}
	}
	e := l.Encrypted
	status := string(e.Status)
	r := &EncryptionReport{Cipher: orNull(e.Cipher), Authenticated: e.Authenticated, Recipients: []RecipientReport{}}
	if e.Key != nil {
		r.Key = orNull(certstore.Fingerprint(e.Key))
	}
	for _, recipient := range e.Recipients {
		id := recipient.Info.Recipient()
		rr := RecipientReport{Type: string(recipient.Info.Type()), Algorithm: recipient.Info.AlgorithmName(), Mine: recipient.Mine}
		rr.Issuer = orNull(issuerName(id))
		if id.Serial != nil {
			rr.Serial = orNull(certstore.SerialHex(id.Serial))
		}
		rr.SubjectKeyID = orNull(hex.EncodeToString(id.SubjectKeyID))
		r.Recipients = append(r.Recipients, rr)
	}
	r.ClosedReport = closedReason(e)
	return LayerReport{Type: "encrypted", Form: e.Form, Status: &status, EncryptionReport: r}
}

// Codes of what keeps an encryption shut whatever the keys.
const (
	codeWeak        = "weak-algorithm"
	codeUnsupported = "unsupported-algorithm"
)

// closedReason says why an encryption cannot be opened by any key; of others there is nothing to say.
func closedReason(e *smime.Encrypted) (r ClosedReport) {
	var weak *cms.WeakError
	var unsupported *cms.UnsupportedError
	switch {
	case e.Status != smime.StatusUndecryptable:
		return r
	case errors.As(e.Err, &weak):
		r.Code = orNull(codeWeak)
	case errors.As(e.Err, &unsupported):
		r.Code = orNull(codeUnsupported)
	default:
		return r
	}
	r.Reason = orNull(e.Err.Error())
	return r
}

// signature is one signature with its verdict.
func (r *judged) signature(v verdict.SignatureVerdict) SignatureReport {
	report := SignatureReport{
		Layer: v.Layer, Covers: string(v.Covers), Verdict: string(v.Status),
		Checks: ChecksReport{Integrity: checkReport(v.Integrity), Chain: checkReport(v.Chain), Revocation: checkReport(v.Revocation), Address: checkReport(v.Address), Time: checkReport(v.Time)},
	}
	if v.Signature < 0 {
		return report
	}
	s, e := r.layers[v.Layer].Signed.Signatures[v.Signature], r.evidence[v.Layer][v.Signature]
	if s.Signer != nil {
		report.Signer = signerReport(s.Signer, r.paths[s.Signer], r.origins)
		if named := slices.IndexFunc(report.Signer.Addresses, func(a string) bool { return len(e.Address.From) == 1 && smime.SameAddress(a, e.Address.From[0]) }); named > 0 {
			list := report.Signer.Addresses // the one that the message names comes first
			report.Signer.Addresses = slices.Concat(list[named:named+1], list[:named], list[named+1:])
		}
		for i, a := range report.Signer.Addresses { // a list of its own
			report.Signer.Addresses[i] = smime.DisplayAddress(a)
		}
		if a, ok := r.acquaintances[s.Signer]; ok {
			report.Signer.Contact, report.Signer.FirstSeen = orNull(contactWord(a)), timeOrNull(a.Seen.Truncate(time.Second))
		}
	}
	report.SigningTime = SigningTimeReport{Claimed: timeOrNull(s.SigningTime)}
	if v.Time.Status == verdict.Passed {
		report.SigningTime.Proven = timeOrNull(e.Time.Proven)
		report.SigningTime.ProvenBy = orNull(e.Time.Authority)
	}
	if e.Revocation.Source != "" && v.Revocation.Status != verdict.Skipped {
		report.Revocation = &RevocationReport{Source: e.Revocation.Source, At: timeOrNull(e.Revocation.At)}
	}
	report.Digest, report.Algorithm = orNull(s.Digest), orNull(s.Algorithm)
	return report
}

func checkReport(c verdict.Check) CheckReport {
	return CheckReport{Status: string(c.Status), Code: orNull(c.Code), Reason: orNull(c.Reason)}
}

// signer is who the verdict on the message is about: the certificate of the first signature in the innermost layer that is
// judged.
func (r *judged) signer() (cert *x509.Certificate) {
	layer := -1
	for _, v := range r.verdict.Signatures {
		if v.Judged && v.Signature >= 0 && v.Layer > layer {
			layer, cert = v.Layer, r.layers[v.Layer].Signed.Signatures[v.Signature].Signer
		}
	}
	return cert
}

func issuerName(id cms.CertificateIdentifier) string {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(id.Issuer, &sequence); err != nil || len(rest) > 0 {
		return ""
	}
	var name pkix.Name
	name.FillFromRDNSequence(&sequence)
	return certstore.IssuerName(&x509.Certificate{Issuer: name})
}
