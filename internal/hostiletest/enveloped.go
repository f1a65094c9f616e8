package hostiletest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"

	"github.com/sealmail/sealmail/smime/cms"
)

// envelopedDraft is an EnvelopedData or AuthEnvelopedData of which every part can be made wrong.
type envelopedDraft struct {
	cipher     cms.Cipher
	parameters []byte // of the cipher
	ciphertext []byte
	tag        []byte   // nil: an EnvelopedData
	attributes []byte   // authenticated ones, with the tag [1]
	recipients [][]byte // RecipientInfos
}

func (e envelopedDraft) der() []byte {
	content := der(tagSequence, oid(cms.OIDData), algorithm(e.cipher.OID(), e.parameters), der(primitive0, e.ciphertext))
	recipients := der(tagSet, e.recipients...)
	if e.tag == nil {
		return contentInfo(cms.OIDEnvelopedData, der(tagSequence, integer(0), recipients, content))
	}
	return contentInfo(cms.OIDAuthEnvelopedData, der(tagSequence, integer(0), recipients, content, e.attributes, der(tagOctets, e.tag)))
}

// entity is the draft as the body of a mail.
func (e envelopedDraft) entity() string {
	if e.tag == nil {
		return p7m(e.der(), "enveloped-data")
	}
	return p7m(e.der(), "authEnveloped-data")
}

func randomKey(size int) []byte {
	key := make([]byte, size)
	_, _ = rand.Read(key) // never fails
	return key
}

// transport hands a content-encryption key over to somebody with an RSA key (RFC 3560).
func transport(cek []byte, to Identity) []byte {
	c := to.Certificate()
	hash := algorithm(oidSHA256, null)
	oaep := algorithm(oidOAEP, der(tagSequence, der(explicit0, hash), der(explicit1, algorithm(oidMGF1, hash))))
	sealed := must(rsa.EncryptOAEP(sha256.New(), rand.Reader, c.PublicKey.(*rsa.PublicKey), cek, nil))
	return der(tagSequence, integer(0), der(tagSequence, c.RawIssuer, must(asn1.Marshal(c.SerialNumber))), oaep, der(tagOctets, sealed))
}

// cbc encrypts to somebody with AES-256-CBC.
func cbc(entity string, to Identity) envelopedDraft {
	cek, iv := randomKey(32), randomKey(aes.BlockSize)
	padding := aes.BlockSize - len(entity)%aes.BlockSize
	text := append([]byte(entity), bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(must(aes.NewCipher(cek)), iv).CryptBlocks(text, text)
	return envelopedDraft{cipher: cms.AES256CBC, parameters: der(tagOctets, iv), ciphertext: text, recipients: [][]byte{transport(cek, to)}}
}

// gcm encrypts to somebody with AES-256-GCM, with a tag of so many octets and authenticated attributes.
func gcm(entity string, to Identity, tagSize int, attributes ...[]byte) envelopedDraft {
	cek, nonce := randomKey(32), randomKey(12)
	e := envelopedDraft{cipher: cms.AES256GCM, recipients: [][]byte{transport(cek, to)}}
	e.parameters = der(tagSequence, der(tagOctets, nonce), integer(int64(tagSize)))
	var additional []byte
	if len(attributes) > 0 { // RFC 5083 section 2.2
		e.attributes, additional = der(explicit1, setOf(attributes)), der(tagSet, setOf(attributes))
	}
	sealed := must(cipher.NewGCM(must(aes.NewCipher(cek)))).Seal(nil, nonce, []byte(entity), additional)
	e.ciphertext, e.tag = sealed[:len(entity)], sealed[len(entity):][:tagSize]
	return e
}

// gadget makes a CBC ciphertext decrypt to texts of 16 octets that its maker never wrote, with 16 octets of noise before
// each, behind the block of this number. All it needs is what the first block stands for (EFAIL, 2018).
func (e envelopedDraft) gadget(known string, behind int, wanted ...string) envelopedDraft {
	iv, first := e.parameters[2:], e.ciphertext[:aes.BlockSize]
	at := (behind + 1) * aes.BlockSize
	out := bytes.Clone(e.ciphertext[:at])
	for _, text := range wanted {
		block := make([]byte, aes.BlockSize)
		for i := range block {
			block[i] = iv[i] ^ known[i] ^ text[i]
		}
		out = append(append(out, block...), first...)
	}
	// What follows is chained to the block before the gadgets.
	out = append(out, e.ciphertext[at-aes.BlockSize:]...)
	e.ciphertext = out
	return e
}
