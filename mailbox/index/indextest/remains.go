// Package indextest looks for what a removal left behind in the files of an index, with the index's key in hand. It knows how
// the files are laid out, and shares nothing with the code that writes them.
//
// Only test files import this package.
package indextest

import (
	"bytes"
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"

	"lukechampine.com/adiantum"
)

const (
	pageSize  = 4096
	chunkSize = 64 << 10
	keySize   = 32 // of a message
)

// Remains returns the names of the files of the index in a folder in which one of the words is, or one of the octet strings, which
// are given whole. Words, in lower case, are looked for in the files as they are, and in the pages of the database decrypted:
// those in use, free ones, those in the log. Octet strings are looked for in the segments, sealed under any 32 octets that
// stand somewhere in those pages; of each, it is the last whole block of its first chunk.
func Remains(dir string, key [32]byte, words []string, whole ...[]byte) (found []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	segments := map[string][]byte{}
	var clear []byte // all pages
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		pages := decryptPages(key, e.Name(), data)
		clear = append(clear, pages...)
		if holds(data, words) || holds(pages, words) {
			found = append(found, e.Name())
		}
		if strings.HasSuffix(e.Name(), ".seg") {
			segments[e.Name()] = data
		}
	}
	sealed, err := sealings(clear, whole)
	if err != nil {
		return nil, err
	}
	for name, data := range segments {
		for i := 0; i+aes.BlockSize <= len(data); i++ {
			if sealed[[aes.BlockSize]byte(data[i:])] {
				found = append(found, name)
				break
			}
		}
	}
	return found, nil
}

func holds(data []byte, words []string) bool {
	data = bytes.ToLower(data)
	for _, word := range words {
		if bytes.Contains(data, []byte(word)) {
			return true
		}
	}
	return false
}

// decryptPages decrypts a file of the database, each block of which is encrypted by Adiantum under its place.
func decryptPages(key [32]byte, name string, data []byte) (clear []byte) {
	if !strings.HasPrefix(name, "mail.db") || strings.HasSuffix(name, "-shm") {
		return nil
	}
	cipher := adiantum.New(key[:])
	for at := 0; at+pageSize <= len(data); at += pageSize {
		tweak := binary.LittleEndian.AppendUint64(nil, uint64(at))
		clear = append(clear, cipher.Decrypt(bytes.Clone(data[at:at+pageSize]), tweak)...)
	}
	return clear
}

// sealings are blocks of octet strings as AES-256-GCM seals them under each key that is in the pages. The nonce says the
// number of the chunk, and whether it is the last.
func sealings(clear []byte, whole [][]byte) (map[[aes.BlockSize]byte]bool, error) {
	sealed := map[[aes.BlockSize]byte]bool{}
	tried := map[[keySize]byte]bool{}
	for i := 0; i+keySize <= len(clear); i++ {
		key := [keySize]byte(clear[i:])
		if tried[key] {
			continue
		}
		tried[key] = true
		cipher, err := aes.NewCipher(key[:])
		if err != nil {
			return nil, err
		}
		for _, octets := range whole {
			last := min(len(octets), chunkSize)/aes.BlockSize - 1
			var block [aes.BlockSize]byte
			if len(octets) <= chunkSize {
				block[11] = 1
			}
			binary.BigEndian.PutUint32(block[12:], uint32(last)+2) // the counter (NIST SP 800-38D section 7.1)
			cipher.Encrypt(block[:], block[:])
			subtle.XORBytes(block[:], block[:], octets[last*aes.BlockSize:])
			sealed[block] = true
		}
	}
	return sealed, nil
}
