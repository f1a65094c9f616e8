package certstore

import (
	"bytes"
	"encoding/binary"
	"hash"
	"unicode/utf16"
)

// passwordForms is a password as the two generations of key derivation take it.
type passwordForms struct {
	bmp  []byte // RFC 7292 appendix B.1: UTF-16, big-endian, ending in two zero octets
	utf8 []byte // RFC 8018
}

func newPasswordForms(password string) passwordForms {
	return passwordForms{bmp: bmpString(utf16.Encode([]rune(password))), utf8: []byte(password)}
}

func bmpString(units []uint16) []byte {
	bmp := make([]byte, 0, 2*len(units)+2)
	for _, unit := range units {
		bmp = binary.BigEndian.AppendUint16(bmp, unit)
	}
	return append(bmp, 0, 0)
}

// passwordReadings are the forms in which programs have taken a password: first as RFC 7292 has it, then as others did.
func passwordReadings(password string) []passwordForms {
	forms := newPasswordForms(password)
	readings := []passwordForms{forms}
	if password == "" {
		// Some programs take the empty password for no octets at all, and not for a string of none.
		return append(readings, passwordForms{})
	}
	units := make([]uint16, len(password))
	ascii := true
	for i, octet := range []byte(password) {
		units[i] = uint16(octet)
		ascii = ascii && octet < 0x80
	}
	if !ascii {
		// OpenSSL before 1.1.0 and GnuPG take each octet of UTF-8 for a character.
		readings = append(readings, passwordForms{bmp: bmpString(units), utf8: forms.utf8})
	}
	return readings
}

// What the key derivation of PKCS#12 is asked for (RFC 7292 appendix B.3).
const (
	kdfKey = 1
	kdfIV  = 2
	kdfMAC = 3
)

// pkcs12KDF derives n octets for one purpose (RFC 7292 appendix B.2). The names are the RFC's.
func pkcs12KDF(newHash func() hash.Hash, id byte, password, salt []byte, iterations, n int) []byte {
	return deriveBlocks(newHash, id, password, salt, iterations, n, addModulo)
}

// gnupgKDF is pkcs12KDF as GnuPG has it up to 2.2.40: a sum in step 6C that begins with zero octets is written without
// them. With Triple-DES one in 64 files is concerned, and is read and written wrongly by GnuPG.
func gnupgKDF(newHash func() hash.Hash, id byte, password, salt []byte, iterations, n int) []byte {
	return deriveBlocks(newHash, id, password, salt, iterations, n, func(block, b []byte) {
		old := bytes.Clone(block)
		addModulo(block, b)
		sum := bytes.TrimLeft(block, "\x00")
		copy(block, append(bytes.Clone(sum), old[len(sum):]...))
	})
}

func deriveBlocks(newHash func() hash.Hash, id byte, password, salt []byte, iterations, n int, add func(block, b []byte)) []byte {
	h := newHash()
	v := h.BlockSize()
	d := bytes.Repeat([]byte{id}, v)
	i := append(repeatTo(salt, v), repeatTo(password, v)...)
	var out []byte
	for {
		h.Reset()
		h.Write(d)
		h.Write(i)
		a := h.Sum(nil)
		for range iterations - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		out = append(out, a...)
		if len(out) >= n {
			return out[:n]
		}
		b := bytes.Repeat(a, v/len(a)+1)[:v]
		for j := 0; j < len(i); j += v {
			add(i[j:j+v], b)
		}
	}
}

// addModulo makes block the sum of block, b and 1 as numbers, without what is carried beyond it (step 6C).
func addModulo(block, b []byte) {
	carry := uint16(1)
	for k := len(block) - 1; k >= 0; k-- {
		sum := uint16(block[k]) + uint16(b[k]) + carry
		block[k], carry = byte(sum), sum>>8
	}
}

// repeatTo repeats s to the next multiple of v octets; nothing stays nothing.
func repeatTo(s []byte, v int) []byte {
	if len(s) == 0 {
		return nil
	}
	length := (len(s) + v - 1) / v * v
	return bytes.Repeat(s, length/len(s)+1)[:length:length]
}

// pbkdf1 derives n octets, of which there cannot be more than the hash has (RFC 8018 section 5.1).
func pbkdf1(newHash func() hash.Hash, password, salt []byte, iterations, n int) []byte {
	h := newHash()
	h.Write(password)
	h.Write(salt)
	t := h.Sum(nil)
	for range iterations - 1 {
		h.Reset()
		h.Write(t)
		t = h.Sum(t[:0])
	}
	return t[:n]
}
