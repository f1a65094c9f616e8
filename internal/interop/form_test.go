package interop

import (
	"crypto"
	"encoding/asn1"
	"fmt"

	"github.com/sealmail/sealmail/smime/cms"
)

// kind is what a message is.
type kind int

const (
	signedData kind = iota
	certsOnly
	envelopedData // or AuthEnvelopedData, by the cipher
	encryptedData
	compressedData
	digestedData
)

// form is a kind of message with its algorithms. Everything in it is stated; a peer that chooses otherwise has no option
// for it.
type form struct {
	kind kind
	weak bool // read only where weak algorithms are allowed
	ber  bool // with indefinite lengths, as streams are written; else as the writer pleases

	// SignedData.
	signers  []signer
	detached bool
	bare     bool // no signed attributes
	crl      bool // the authority's list goes along
	ocsp     bool // an OCSP response goes along
	values   bool // each signer's revocation-values attribute holds both

	// EnvelopedData, AuthEnvelopedData and EncryptedData.
	cipher      string // as cms.Cipher says it
	recipients  []recipient
	originators bool // originatorInfo holds a certificate
	attributes  bool // unprotected attributes or, with GCM, authenticated ones

	// DigestedData.
	hash crypto.Hash
}

// signer is one signature. Its scheme follows from the key, but for RSASSA-PSS.
type signer struct {
	who   string
	hash  crypto.Hash
	pss   bool
	keyID bool // named by subjectKeyIdentifier
}

// scheme is the signature scheme that follows.
func (s signer) scheme() cms.SignatureScheme {
	switch {
	case s.pss:
		return cms.RSASSAPSS
	case s.who == "rsa":
		return cms.RSASSAPKCS1v15
	case s.who == "ed25519":
		return cms.Ed25519
	}
	return cms.ECDSA
}

// way is how the content-encryption key is handed over.
type way int

const (
	rsaPKCS1v15 way = iota
	rsaOAEP
	agreeX963     // standard Diffie-Hellman, X9.63 key derivation
	agreeCofactor // cofactor Diffie-Hellman, the same derivation
	agreeHKDF     // RFC 8418
	sharedKEK
	password
)

// recipient is one RecipientInfo.
type recipient struct {
	way    way
	who    string
	keyID  bool        // named by subjectKeyIdentifier
	hash   crypto.Hash // of OAEP, of the key derivation, of PBKDF2's HMAC
	mgf    crypto.Hash // of OAEP's mask generation, where it is another
	label  bool        // OAEP has one
	wrap   int         // bits of the AES key wrap, or of the password's or the shared key; 192 for 3DES
	static bool        // the originator is named by certificate
	ukm    bool        // with user keying material
	des    bool        // what wraps is 3DES and no AES
}

// mgfHash is the hash of the mask generation function.
func (r recipient) mgfHash() crypto.Hash {
	if r.mgf != 0 {
		return r.mgf
	}
	return r.hash
}

// wrapOID is the algorithm of the key wrap.
func (r recipient) wrapOID() asn1.ObjectIdentifier {
	if r.des {
		return oidTripleDESWrap
	}
	return wrapOIDs[r.wrap]
}

// passwordCipher is what the password's key encrypts with.
func (r recipient) passwordCipher() string {
	if r.des {
		return "3des-cbc"
	}
	return fmt.Sprintf("aes-%d-cbc", r.wrap)
}

// row is a line of the table: forms that belong together. Its cell is "yes" where all of them pass.
type row struct {
	section, name string
	readOnly      bool // nobody writes it with sealmail
	forms         []form
}

// Sections of the table, in order.
const (
	sectionStructure = "SignedData: structure"
	sectionSignature = "SignedData: algorithms"
	sectionContent   = "EnvelopedData and AuthEnvelopedData: content"
	sectionRSA       = "EnvelopedData: RSA"
	sectionECDH      = "EnvelopedData: key agreement"
	sectionOther     = "EnvelopedData: other recipients, and their company"
	sectionTypes     = "Other content types"
)

var hashNames = map[crypto.Hash]string{
	crypto.SHA1: "SHA-1", crypto.SHA224: "SHA-224", crypto.SHA256: "SHA-256", crypto.SHA384: "SHA-384", crypto.SHA512: "SHA-512",
}

// rows lists all of the table.
func rows() []row {
	return append(signedRows(), append(envelopedRows(), otherRows()...)...)
}

func signedRows() (all []row) {
	add := func(section, name string, readOnly bool, forms ...form) {
		all = append(all, row{section: section, name: name, readOnly: readOnly, forms: forms})
	}
	structure := func(name string, readOnly bool, f form) {
		if f.signers == nil && f.kind == signedData {
			f.signers = []signer{{who: "rsa", hash: crypto.SHA256}}
		}
		add(sectionStructure, name, readOnly, f)
	}
	structure("content attached", false, form{})
	structure("content attached, streamed in BER", false, form{ber: true})
	structure("content detached", false, form{detached: true})
	structure("signer by key identifier", false, form{signers: []signer{{who: "rsa", hash: crypto.SHA256, keyID: true}}})
	structure("several signers, one digest algorithm", false, form{signers: []signer{{who: "rsa", hash: crypto.SHA256}, {who: "p256", hash: crypto.SHA256}}})
	structure("several signers, two digest algorithms", false, form{signers: []signer{{who: "rsa", hash: crypto.SHA256}, {who: "p384", hash: crypto.SHA384}}})
	structure("several signers, detached", false, form{detached: true, signers: []signer{{who: "rsa", hash: crypto.SHA256}, {who: "p384", hash: crypto.SHA384}}})
	structure("without signed attributes", true, form{bare: true})
	structure("without signed attributes, detached", true, form{bare: true, detached: true, signers: []signer{{who: "p256", hash: crypto.SHA256}}})
	structure("with a revocation list", false, form{crl: true})
	structure("with an OCSP response", false, form{ocsp: true})
	structure("with revocation values as an attribute", false, form{values: true})
	structure("with revocation values as an attribute, detached", false, form{detached: true, values: true, signers: []signer{{who: "p256", hash: crypto.SHA256}}})
	structure("certificates only", false, form{kind: certsOnly})
	structure("certificates and a revocation list only", false, form{kind: certsOnly, crl: true})

	algorithm := func(name string, weak bool, f form) {
		f.weak = weak
		detached := f
		detached.detached = true
		add(sectionSignature, name, weak || f.bare, f, detached)
	}
	strong := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	for _, pss := range []bool{false, true} {
		name := "RSA PKCS #1 v1.5"
		if pss {
			name = "RSASSA-PSS"
		}
		for _, h := range strong {
			algorithm(fmt.Sprintf("%s, %s", name, hashNames[h]), false, form{signers: []signer{{who: "rsa", hash: h, pss: pss}}})
		}
		algorithm(name+", SHA-1 (weak)", true, form{signers: []signer{{who: "rsa", hash: crypto.SHA1, pss: pss}}})
	}
	for _, c := range curves {
		for _, h := range strong {
			algorithm(fmt.Sprintf("ECDSA %s, %s", c.name, hashNames[h]), false, form{signers: []signer{{who: c.who, hash: h}}})
		}
	}
	algorithm("ECDSA P-256, SHA-1 (weak)", true, form{signers: []signer{{who: "p256", hash: crypto.SHA1}}})
	algorithm("Ed25519, SHA-512", false, form{signers: []signer{{who: "ed25519", hash: crypto.SHA512}}})
	algorithm("Ed25519, without signed attributes", false, form{bare: true, signers: []signer{{who: "ed25519", hash: crypto.SHA512}}})
	return all
}

// curves are those of ECDSA, and with X25519 those of ECDH.
var curves = []struct{ who, name string }{{"p256", "P-256"}, {"p384", "P-384"}, {"p521", "P-521"}}

func envelopedRows() (all []row) {
	add := func(section, name string, readOnly bool, forms ...form) {
		for i := range forms {
			forms[i].kind = envelopedData
			if forms[i].cipher == "" {
				forms[i].cipher = "aes-128-cbc"
			}
		}
		all = append(all, row{section: section, name: name, readOnly: readOnly, forms: forms})
	}
	rsa := []recipient{{way: rsaPKCS1v15, who: "rsa"}}
	for _, mode := range []string{"CBC", "GCM"} {
		for _, bits := range []int{128, 192, 256} {
			c := fmt.Sprintf("aes-%d-%s", bits, map[string]string{"CBC": "cbc", "GCM": "gcm"}[mode])
			add(sectionContent, fmt.Sprintf("AES-%d-%s", bits, mode), false, form{cipher: c, recipients: rsa})
		}
	}
	add(sectionContent, "AES-128-CBC, streamed in BER", true, form{ber: true, recipients: rsa})
	add(sectionContent, "AES-256-GCM, streamed in BER", true, form{ber: true, cipher: "aes-256-gcm", recipients: rsa})
	add(sectionContent, "3DES (weak)", true, form{cipher: "3des-cbc", weak: true, recipients: rsa})
	for _, bits := range []int{40, 64, 128} {
		add(sectionContent, fmt.Sprintf("RC2, %d bits (weak)", bits), true, form{cipher: fmt.Sprintf("rc2-%d-cbc", bits), weak: true, recipients: rsa})
	}

	to := func(name string, readOnly bool, r recipient) {
		r.who = "rsa"
		add(sectionRSA, name, readOnly, form{recipients: []recipient{r}})
	}
	to("PKCS #1 v1.5", false, recipient{})
	to("PKCS #1 v1.5, by key identifier", false, recipient{keyID: true})
	to("OAEP, SHA-1 (the default)", true, recipient{way: rsaOAEP, hash: crypto.SHA1})
	to("OAEP, SHA-256", false, recipient{way: rsaOAEP, hash: crypto.SHA256})
	to("OAEP, SHA-384", false, recipient{way: rsaOAEP, hash: crypto.SHA384})
	to("OAEP, SHA-512", false, recipient{way: rsaOAEP, hash: crypto.SHA512})
	to("OAEP, SHA-256, by key identifier", false, recipient{way: rsaOAEP, hash: crypto.SHA256, keyID: true})
	to("OAEP, SHA-256, MGF1 with SHA-1", true, recipient{way: rsaOAEP, hash: crypto.SHA256, mgf: crypto.SHA1})
	to("OAEP, SHA-512, MGF1 with SHA-384", true, recipient{way: rsaOAEP, hash: crypto.SHA512, mgf: crypto.SHA384})
	to("OAEP, SHA-1, with a label", true, recipient{way: rsaOAEP, hash: crypto.SHA1, label: true})
	add(sectionRSA, "OAEP, SHA-1, 3DES (weak)", true, form{cipher: "3des-cbc", weak: true, recipients: []recipient{{way: rsaOAEP, who: "rsa", hash: crypto.SHA1}}})
	to("OAEP, SHA-256, with a label", true, recipient{way: rsaOAEP, hash: crypto.SHA256, label: true})

	// The key wrap is as strong as the cipher, as it is always written here.
	wraps := func(name string, readOnly bool, r recipient) {
		var forms []form
		for _, bits := range []int{128, 192, 256} {
			r.wrap = bits
			forms = append(forms, form{cipher: fmt.Sprintf("aes-%d-cbc", bits), recipients: []recipient{r}})
		}
		add(sectionECDH, name, readOnly, forms...)
	}
	for _, c := range append(curves, struct{ who, name string }{"x25519", "X25519"}) {
		for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			old := h == crypto.SHA1 || h == crypto.SHA224
			if old && c.who == "x25519" {
				continue // RFC 8418 has none
			}
			wraps(fmt.Sprintf("%s, X9.63 with %s", c.name, hashNames[h]), old, recipient{way: agreeX963, who: c.who, hash: h})
		}
		for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			wraps(fmt.Sprintf("%s, HKDF with %s", c.name, hashNames[h]), false, recipient{way: agreeHKDF, who: c.who, hash: h})
		}
	}
	one := func(name string, readOnly bool, cipher string, r recipient) {
		add(sectionECDH, name, readOnly, form{cipher: cipher, recipients: []recipient{r}})
	}
	one("P-256, by key identifier", false, "aes-256-cbc", recipient{way: agreeX963, who: "p256", hash: crypto.SHA256, wrap: 256, keyID: true})
	one("P-256, AES-256-GCM", false, "aes-256-gcm", recipient{way: agreeX963, who: "p256", hash: crypto.SHA256, wrap: 256})
	one("P-256, AES-256 wraps a key for AES-128", true, "aes-128-cbc", recipient{way: agreeX963, who: "p256", hash: crypto.SHA256, wrap: 256})
	one("P-256, cofactor, X9.63 with SHA-256", true, "aes-128-cbc", recipient{way: agreeCofactor, who: "p256", hash: crypto.SHA256, wrap: 128})
	one("P-384, cofactor, X9.63 with SHA-384", true, "aes-256-cbc", recipient{way: agreeCofactor, who: "p384", hash: crypto.SHA384, wrap: 256})
	old := func(name, cipher string, r recipient) {
		r.way, r.who, r.hash = agreeX963, "p256", crypto.SHA1
		add(sectionECDH, name, true, form{cipher: cipher, weak: true, recipients: []recipient{r}})
	}
	old("P-256, 3DES wraps a key for 3DES (weak)", "3des-cbc", recipient{wrap: 192, des: true})
	old("P-256, AES-192 wraps a key for 3DES (weak)", "3des-cbc", recipient{wrap: 192})
	old("P-256, AES-128 wraps a key for RC2 (weak)", "rc2-128-cbc", recipient{wrap: 128})
	one("P-256, user keying material", true, "aes-128-cbc", recipient{way: agreeX963, who: "p256", hash: crypto.SHA256, wrap: 128, ukm: true})
	one("X25519, HKDF, user keying material", true, "aes-128-cbc", recipient{way: agreeHKDF, who: "x25519", hash: crypto.SHA256, wrap: 128, ukm: true})
	one("P-256, originator by certificate (static-static)", true, "aes-128-cbc", recipient{way: agreeX963, who: "p256", hash: crypto.SHA256, wrap: 128, static: true})

	for _, bits := range []int{128, 192, 256} {
		add(sectionOther, fmt.Sprintf("shared key, AES-%d wrap", bits), false, form{recipients: []recipient{{way: sharedKEK, wrap: bits}}})
	}
	add(sectionOther, "shared key, AES-192 wraps a key for 3DES (weak)", true, form{cipher: "3des-cbc", weak: true, recipients: []recipient{{way: sharedKEK, wrap: 192}}})
	add(sectionOther, "shared key, 3DES wrap (weak)", true, form{cipher: "3des-cbc", weak: true, recipients: []recipient{{way: sharedKEK, wrap: 192, des: true}}})
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		add(sectionOther, fmt.Sprintf("password, PBKDF2 with %s, AES-256", hashNames[h]), true, form{cipher: "aes-256-cbc", recipients: []recipient{{way: password, hash: h, wrap: 256}}})
	}
	add(sectionOther, "password, PBKDF2 with SHA-1, AES-128", true, form{recipients: []recipient{{way: password, hash: crypto.SHA1, wrap: 128}}})
	add(sectionOther, "password, PBKDF2 with SHA-1, 3DES (weak)", true, form{cipher: "3des-cbc", weak: true, recipients: []recipient{{way: password, hash: crypto.SHA1, wrap: 192, des: true}}})
	several := []recipient{{way: agreeX963, who: "p384", hash: crypto.SHA384, wrap: 256}, {way: rsaPKCS1v15, who: "rsa"}, {way: agreeX963, who: "p256", hash: crypto.SHA256, wrap: 256}}
	add(sectionOther, "several recipients, RSA and ECDH, AES-256-CBC", false, form{cipher: "aes-256-cbc", recipients: several})
	add(sectionOther, "several recipients, RSA and ECDH, AES-256-GCM", false, form{cipher: "aes-256-gcm", recipients: several})
	add(sectionOther, "originatorInfo", true, form{originators: true, recipients: rsa})
	add(sectionOther, "unprotected attributes", true, form{attributes: true, recipients: rsa})
	add(sectionOther, "authenticated attributes, AES-256-GCM", true, form{cipher: "aes-256-gcm", attributes: true, recipients: rsa})
	return all
}

func otherRows() (all []row) {
	add := func(name string, f form) {
		all = append(all, row{section: sectionTypes, name: name, readOnly: true, forms: []form{f}})
	}
	add("CompressedData", form{kind: compressedData})
	for _, bits := range []int{128, 192, 256} {
		add(fmt.Sprintf("EncryptedData, AES-%d-CBC", bits), form{kind: encryptedData, cipher: fmt.Sprintf("aes-%d-cbc", bits)})
	}
	add("EncryptedData, 3DES (weak)", form{kind: encryptedData, cipher: "3des-cbc", weak: true})
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		add("DigestedData, "+hashNames[h], form{kind: digestedData, hash: h})
	}
	return all
}
