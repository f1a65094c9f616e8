package cms

import (
	"crypto/x509"
	"fmt"
)

// Correspondent is somebody to encrypt to, with what is known of their program.
type Correspondent struct {
	Name         string // what reasons call them
	Certificate  *x509.Certificate
	Capabilities Capabilities // nil: nothing is known
}

// preferredCiphers are the ciphers that messages are written with, the strongest first: what is authenticated is better
// than what is not, and then a longer key.
var preferredCiphers = [...]Cipher{AES256GCM, AES192GCM, AES128GCM, AES256CBC, AES192CBC, AES128CBC}

// ChooseCipher returns the strongest cipher that every recipient can read, and a sentence that says why it is that one.
// Of whom nothing is known is expected to read AES in CBC mode, as every program does since RFC 5751 (RFC 8551 section
// 2.7.1.2), and no more. Where there is no cipher that all announce, it is AES-256-CBC.
func ChooseCipher(recipients []Correspondent) (c Cipher, reason string) {
	if len(recipients) == 0 {
		return AES256CBC, "there is no recipient to know anything of"
	}
	for _, c := range preferredCiphers {
		if _, ok := allRead(recipients, c); !ok {
			continue
		}
		if c == preferredCiphers[0] {
			return c, fmt.Sprintf("every recipient is known to read %s", c)
		}
		return c, fmt.Sprintf("%s; it is the strongest cipher that all can read", cannotRead(recipients, preferredCiphers[0]))
	}
	return AES256CBC, fmt.Sprintf("there is no cipher that all recipients are known to read, and %s", cannotRead(recipients, AES256CBC))
}

// allRead returns the first recipient who cannot be expected to read a cipher; ok is true where there is none.
func allRead(recipients []Correspondent, c Cipher) (first Correspondent, ok bool) {
	for _, r := range recipients {
		reads := r.Capabilities.Supports(c)
		if !r.announcesCipher() {
			reads = !c.Authenticated()
		}
		if !reads {
			return r, false
		}
	}
	return Correspondent{}, true
}

// cannotRead says who cannot be expected to read a cipher.
func cannotRead(recipients []Correspondent, c Cipher) string {
	r, _ := allRead(recipients, c)
	if r.announcesCipher() {
		return fmt.Sprintf("%s is not known to read %s", r.Name, c)
	}
	return fmt.Sprintf("it is not known whether %s can read %s", r.Name, c)
}

// announcesCipher reports whether the capabilities name any cipher that messages are written with. Those of a program
// that lists other things only, or ciphers of the past, tell no more than none.
func (r Correspondent) announcesCipher() bool {
	for _, c := range preferredCiphers {
		if r.Capabilities.Supports(c) {
			return true
		}
	}
	return false
}

// ChooseKeyManagement returns how to hand the content-encryption key to a recipient, and a sentence that says why: what
// is announced and fits the key; otherwise what [DefaultKeyManagement] returns. RSA with OAEP is chosen only where it is
// announced, and then always; of several ways of key agreement, the one that the recipient prefers. The error is an
// *[UnsupportedError] for a key that cannot be encrypted to.
func ChooseKeyManagement(r Correspondent) (m KeyManagement, reason string, err error) {
	usual, err := DefaultKeyManagement(r.Certificate)
	if err != nil {
		return 0, "", err
	}
	for _, capability := range r.Capabilities {
		announced, ok := keyManagementOf(capability)
		if ok && announced.isKeyTransport() == usual.isKeyTransport() {
			return announced, fmt.Sprintf("%s announces %s", r.Name, announced), nil
		}
	}
	switch {
	case !usual.isKeyTransport():
		return usual, fmt.Sprintf("every program that knows the key of %s knows this", r.Name), nil
	case r.Capabilities == nil:
		return usual, fmt.Sprintf("it is not known whether %s can read RSA with OAEP", r.Name), nil
	}
	return usual, fmt.Sprintf("%s is not known to read RSA with OAEP under SHA-2", r.Name), nil
}

// keyManagementOf returns the way that a capability names, of those that need to be announced.
func keyManagementOf(c Capability) (m KeyManagement, ok bool) {
	if c.ID.Equal(oidRSAESOAEP) {
		o, err := oaepOptions(c.Parameters)
		if err != nil || o.Hash != o.MGFHash || len(o.Label) > 0 {
			return 0, false
		}
		for _, m := range []KeyManagement{RSAOAEPSHA256, RSAOAEPSHA384, RSAOAEPSHA512} {
			if keyManagements[m-1].oaep == o.Hash {
				return m, true
			}
		}
		return 0, false
	}
	for i, known := range keyManagements {
		// The parameters are the key wrap, whose key is as long as the content's in any case.
		if len(known.scheme) > 0 && known.scheme.Equal(c.ID) {
			return KeyManagement(i + 1), true
		}
	}
	return 0, false
}
