package cms_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

// FuzzRead reads anything, and asks everything of what it read. The keys are the same in every process and sign only
// the contents below: whatever else verifies under their certificates is a forgery.
func FuzzRead(f *testing.F) {
	contents := [][]byte{nil, []byte("Content-Type: text/plain\r\n\r\nHello\r\n")}
	ids := []identity{testP256(), testEd25519()}
	for _, content := range contents {
		for _, id := range ids {
			o := options(id)
			f.Add(sign(f, content, o))
			f.Add(stream(f, content, o))
			o.Signers[0].SID = cms.SubjectKeyIdentifier
			o.Signers[0].Capabilities = cms.OwnCapabilities()
			o.Detached = true
			f.Add(sign(f, content, o))
		}
		d := newDraft(testP256())
		d.content, d.attributes = content, nil
		f.Add(d.marshal(f))
		set := newDraft(testP256()).set()
		d.content, d.signed = set, set
		f.Add(d.marshal(f))
	}
	f.Add([]byte{0x30, 0x80, 0x06, 0x01, 0x2a, 0x00, 0x00})
	limits := cms.Limits{Structure: 64 << 10, Content: 64 << 10, Recipients: 16}
	f.Fuzz(func(t *testing.T, message []byte) {
		s, digest, content, err := readSigned(message, limits, contents[1])
		if err != nil {
			return
		}
		if s.Detached() {
			content = contents[1]
		}
		for _, si := range s.SignerInfos {
			si.SigningTime()
			si.SMIMECapabilities()
			si.EncryptionKeyPreference()
			si.TimeStampTokens()
			_, _ = si.SigningCertificates()
			s.Certificate(si.SID)
			for _, id := range ids {
				cms.SignatureName(si, id.cert)
				err := si.Verify(id.cert, digest, cms.VerifyOptions{ContentType: s.EContentType, AllowWeak: true})
				if err == nil && !slices.ContainsFunc(contents, func(c []byte) bool { return bytes.Equal(c, content) }) {
					t.Errorf("forged: %q verifies", content)
				}
			}
		}
		for _, raw := range s.Certificates {
			_, _ = raw.Parse()
		}
	})
}

// FuzzParseCapabilities checks that what is read is written again as it was.
func FuzzParseCapabilities(f *testing.F) {
	der, err := cms.OwnCapabilities().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		capabilities, err := cms.ParseCapabilities(der)
		if err != nil {
			return
		}
		again, err := capabilities.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if unreadable := slices.ContainsFunc(capabilities, func(c cms.Capability) bool { return c.ID == nil }); !unreadable && !bytes.Equal(again, der) {
			t.Errorf("%x became %x", der, again)
		}
	})
}
