package nssroots

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzRead: a module is refused for a reason that has a name, or its roots are what lies in the file: each certificate,
// and for each that is trusted a hash of it, is there, and some root is for e-mail. The input is one of some sound modules
// with the damages to do to it, which gets further than chance does with whole files; or, beyond these, a whole file.
func FuzzRead(f *testing.F) {
	var modules []built
	for _, m := range []module{
		{machine: elf.EM_X86_64, wide: true, order: binary.LittleEndian, form: elf.DT_RELA},
		{machine: elf.EM_AARCH64, wide: true, order: binary.LittleEndian, form: dtRELR},
		{machine: elf.EM_S390, wide: true, order: binary.BigEndian, form: elf.DT_RELA},
		{machine: elf.EM_386, order: binary.LittleEndian, form: elf.DT_REL},
		{machine: elf.EM_ARM, order: binary.LittleEndian, form: dtRELR},
	} {
		m.objects = plain(f).objects
		three := testCertificate(f, 3)
		m.objects = append(m.objects, certificateObject(f, three), pkcsTrust(f, three, cktTrustAnchor, cktNotTrusted))
		b := m.build(f)
		f.Add(byte(len(modules)), []byte{})
		for _, at := range []int{b.rows[0], b.items[1], b.relocs, b.dynamic} {
			place := binary.LittleEndian.AppendUint16(nil, uint16(at/4))
			f.Add(byte(len(modules)), append(place, 1, 1, 0, 0, 0))
		}
		f.Add(byte(0xff), b.data[:0x100])
		modules = append(modules, b)
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		if int(which) < len(modules) {
			data = damaged(modules[which], data)
		}
		roots, err := read(data)
		again, _ := read(data)
		if diff := cmp.Diff(roots, again); diff != "" {
			t.Fatal("read twice, two results:\n", diff)
		}
		if err != nil {
			if roots != nil {
				t.Fatal("roots with an error")
			}
			for _, known := range []error{ErrNotModule, ErrP11Kit, ErrMalformed, ErrNoEmailRoots} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("an error without a name: %v", err)
		}
		email := false
		for _, r := range roots {
			email = email || r.EmailTrusted
			if r.EmailTrusted && r.DistrustedEmail {
				t.Fatalf("%q is trusted and distrusted", r.Label)
			}
			if !bytes.Contains(data, r.DER) || !bytes.Contains(data, r.Issuer) || !bytes.Contains(data, r.Serial) {
				t.Fatalf("%q is not in the file", r.Label)
			}
			if (r.EmailTrusted || r.ServerTrusted) && !hashIsIn(data, r.DER) {
				t.Fatalf("%q is trusted, and no hash of it is in the file", r.Label)
			}
		}
		if !email {
			t.Fatal("no root for e-mail, and no error")
		}
	})
}

// hashIsIn says whether data contain a hash of der, by one of the functions that the seeds use.
func hashIsIn(data, der []byte) bool {
	sha1Sum, sha256Sum := sha1.Sum(der), sha256.Sum256(der)
	return len(der) > 0 && (bytes.Contains(data, sha1Sum[:]) || bytes.Contains(data, sha256Sum[:]))
}

// damaged returns a copy of a module after each seven octets of edits were done to it: two for a place, one for whether its
// word of 32 bits is set to, or increased by, or replaced by the one at, what the last four say.
func damaged(b built, edits []byte) []byte {
	data := bytes.Clone(b.data)
	place := func(n uint32) []byte { return data[n%uint32(len(data)/4)*4:] }
	for ; len(edits) >= 7; edits = edits[7:] {
		at := place(uint32(binary.LittleEndian.Uint16(edits)))
		value := binary.LittleEndian.Uint32(edits[3:])
		switch edits[2] % 3 {
		case 1:
			value += b.order.Uint32(at)
		case 2:
			value = b.order.Uint32(place(value))
		}
		b.order.PutUint32(at, value)
	}
	return data
}
