package nssroots

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
)

// Bounds of what is read. Real modules have half a megabyte, 5100 relocations and 320 objects.
const (
	maxFile     = 64 << 20
	maxSegments = 128
	maxPointers = 1 << 18
)

// The packed relative relocations of the generic ABI, which debug/elf does not name.
const (
	dtRELRSZ = elf.DynTag(35)
	dtRELR   = elf.DynTag(36)
)

// relativeType is, for each machine, the relocation that adds the load address to a word.
var relativeType = map[elf.Machine]uint64{
	elf.EM_386:       uint64(elf.R_386_RELATIVE),
	elf.EM_X86_64:    uint64(elf.R_X86_64_RELATIVE),
	elf.EM_ARM:       uint64(elf.R_ARM_RELATIVE),
	elf.EM_AARCH64:   uint64(elf.R_AARCH64_RELATIVE),
	elf.EM_RISCV:     uint64(elf.R_RISCV_RELATIVE),
	elf.EM_PPC64:     uint64(elf.R_PPC64_RELATIVE),
	elf.EM_S390:      uint64(elf.R_390_RELATIVE),
	elf.EM_LOONGARCH: uint64(elf.R_LARCH_RELATIVE),
}

// image is a shared library as it would lie in memory, loaded at address 0.
type image struct {
	order    binary.ByteOrder
	word     uint64 // octets of a pointer, and of a CK_ULONG
	relative uint64
	segments []segment
	pointers map[uint64]uint64 // what each relocated word points at, by the address of the word
	dynamic  map[elf.DynTag]uint64
}

// segment is what the file holds of a PT_LOAD segment.
type segment struct {
	addr uint64
	data []byte
}

// loadImage reads a shared library of size octets. It goes by the program headers and the dynamic section, as the loader
// of the system does, and not by debug/elf's File, which goes by sections and is not meant for hostile files.
func loadImage(r io.ReaderAt, size int64) (*image, error) {
	if size > maxFile {
		return nil, fmt.Errorf("%w: %d octets, more than %d", ErrNotModule, size, maxFile)
	}
	// Read and not allocated at once: the size is what somebody claims.
	file, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, fmt.Errorf("reading the NSS root module: %w", err)
	}
	if int64(len(file)) != size {
		return nil, fmt.Errorf("reading the NSS root module: %w", io.ErrUnexpectedEOF)
	}
	im := &image{pointers: map[uint64]uint64{}, dynamic: map[elf.DynTag]uint64{}}
	progs, err := im.header(file)
	if err != nil {
		return nil, err
	}
	if err := im.load(file, progs); err != nil {
		return nil, err
	}
	if err := im.relocate(); err != nil {
		return nil, err
	}
	return im, nil
}

// header reads the ELF header and returns the program headers.
func (im *image) header(file []byte) ([]elf.Prog64, error) {
	if len(file) < elf.EI_NIDENT || !bytes.HasPrefix(file, []byte(elf.ELFMAG)) {
		return nil, fmt.Errorf("%w: no ELF file", ErrNotModule)
	}
	switch elf.Data(file[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
		im.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		im.order = binary.BigEndian
	default:
		return nil, fmt.Errorf("%w: unknown byte order", ErrNotModule)
	}
	var h elf.Header64
	switch elf.Class(file[elf.EI_CLASS]) {
	case elf.ELFCLASS64:
		im.word = 8
		if _, err := binary.Decode(file, im.order, &h); err != nil {
			return nil, malformed("its header is cut off")
		}
	case elf.ELFCLASS32:
		im.word = 4
		var h32 elf.Header32
		if _, err := binary.Decode(file, im.order, &h32); err != nil {
			return nil, malformed("its header is cut off")
		}
		h.Type, h.Machine, h.Phoff, h.Phentsize, h.Phnum = h32.Type, h32.Machine, uint64(h32.Phoff), h32.Phentsize, h32.Phnum
	default:
		return nil, fmt.Errorf("%w: unknown class of ELF file", ErrNotModule)
	}
	known := false
	if im.relative, known = relativeType[elf.Machine(h.Machine)]; !known || elf.Type(h.Type) != elf.ET_DYN {
		return nil, fmt.Errorf("%w: it is no shared library for a known machine (type %d, machine %d)", ErrNotModule, h.Type, h.Machine)
	}
	var progs []elf.Prog64
	size := uint64(56)
	if im.word == 4 {
		size = 32
	}
	if h.Phnum > maxSegments {
		return nil, malformed("it has more than %d segments", maxSegments)
	}
	if uint64(h.Phentsize) != size || h.Phoff > uint64(len(file)) || uint64(h.Phnum)*size > uint64(len(file))-h.Phoff {
		return nil, malformed("its program headers are out of bounds")
	}
	for b := file[h.Phoff:][:uint64(h.Phnum)*size]; len(b) > 0; b = b[size:] {
		var p elf.Prog64
		if im.word == 8 {
			_, _ = binary.Decode(b, im.order, &p) // the length was checked
		} else {
			var p32 elf.Prog32
			_, _ = binary.Decode(b, im.order, &p32)
			p.Type, p.Off, p.Vaddr, p.Filesz = p32.Type, uint64(p32.Off), uint64(p32.Vaddr), uint64(p32.Filesz)
		}
		progs = append(progs, p)
	}
	return progs, nil
}

// load lays out the segments and reads the dynamic section.
func (im *image) load(file []byte, progs []elf.Prog64) error {
	var dynamic []byte
	end := uint64(0)
	for _, p := range progs {
		kind := elf.ProgType(p.Type)
		if kind != elf.PT_LOAD && kind != elf.PT_DYNAMIC {
			continue
		}
		if p.Off > uint64(len(file)) || p.Filesz > uint64(len(file))-p.Off || p.Vaddr+p.Filesz < p.Vaddr {
			return malformed("a segment is out of bounds")
		}
		data := file[p.Off:][:p.Filesz]
		if kind == elf.PT_DYNAMIC {
			dynamic = data
			continue
		}
		if p.Vaddr < end {
			return malformed("its segments overlap or are out of order")
		}
		end = p.Vaddr + p.Filesz
		im.segments = append(im.segments, segment{p.Vaddr, data})
	}
	for ; uint64(len(dynamic)) >= 2*im.word; dynamic = dynamic[2*im.word:] {
		tag := elf.DynTag(im.get(dynamic))
		if tag == elf.DT_NULL {
			return nil
		}
		switch tag {
		case elf.DT_RELA, elf.DT_RELASZ, elf.DT_REL, elf.DT_RELSZ, dtRELR, dtRELRSZ, elf.DT_SONAME, elf.DT_STRTAB, elf.DT_STRSZ:
			if _, twice := im.dynamic[tag]; twice {
				return malformed("%v is in its dynamic section twice", tag)
			}
			im.dynamic[tag] = im.get(dynamic[im.word:])
		}
	}
	return malformed("it has no dynamic section, or one without an end")
}

// relocate collects the pointers from the three forms in which relative relocations are written.
func (im *image) relocate() error {
	for _, form := range []struct {
		table, size elf.DynTag
		add         func(table []byte) error
	}{
		{elf.DT_RELA, elf.DT_RELASZ, func(table []byte) error { return im.addEntries(table, 3) }},
		{elf.DT_REL, elf.DT_RELSZ, func(table []byte) error { return im.addEntries(table, 2) }},
		{dtRELR, dtRELRSZ, im.addPacked},
	} {
		addr, there := im.dynamic[form.table]
		if !there {
			continue
		}
		table, ok := im.at(addr, im.dynamic[form.size])
		if !ok {
			return malformed("a table of relocations is out of bounds")
		}
		if err := form.add(table); err != nil {
			return err
		}
	}
	return nil
}

// addEntries reads Elf_Rela entries (three words, the third being what is pointed at) or Elf_Rel entries (two words; what
// is pointed at is in the place itself).
func (im *image) addEntries(table []byte, words uint64) error {
	size := words * im.word
	if uint64(len(table))%size != 0 {
		return malformed("a table of relocations has a part of an entry")
	}
	for ; len(table) > 0; table = table[size:] {
		// The second word is the type with the number of a symbol above it, which is 0 here. The others are about the
		// symbols of other libraries.
		if im.get(table[im.word:]) != im.relative {
			continue
		}
		place := im.get(table)
		target, ok := im.wordAt(place)
		if words == 3 {
			target = im.get(table[2*im.word:])
		}
		if err := im.addPointer(place, target, ok); err != nil {
			return err
		}
	}
	return nil
}

// addPacked reads Elf_Relr words: an even one is the address of a pointer, an odd one a bitmap of the words that follow.
func (im *image) addPacked(table []byte) error {
	if uint64(len(table))%im.word != 0 {
		return malformed("a table of relocations has a part of an entry")
	}
	next, begun := uint64(0), false
	for ; len(table) > 0; table = table[im.word:] {
		entry := im.get(table)
		if entry&1 == 0 {
			target, ok := im.wordAt(entry)
			if err := im.addPointer(entry, target, ok); err != nil {
				return err
			}
			next, begun = entry+im.word, true
			continue
		}
		if !begun {
			return malformed("its packed relocations begin with a bitmap")
		}
		place := next
		for bits := entry >> 1; bits != 0; bits >>= 1 {
			if bits&1 != 0 {
				target, ok := im.wordAt(place)
				if err := im.addPointer(place, target, ok); err != nil {
					return err
				}
			}
			place += im.word
		}
		next += (8*im.word - 1) * im.word
	}
	return nil
}

func (im *image) addPointer(place, target uint64, inBounds bool) error {
	if !inBounds {
		return malformed("a relocation is out of bounds")
	}
	if _, twice := im.pointers[place]; twice {
		return malformed("a word is relocated twice")
	}
	if len(im.pointers) == maxPointers {
		return malformed("it has more than %d relocations", maxPointers)
	}
	im.pointers[place] = target
	return nil
}

// soname returns the name that the library gives itself, or "".
func (im *image) soname() string {
	offset, there := im.dynamic[elf.DT_SONAME]
	table, ok := im.at(im.dynamic[elf.DT_STRTAB], im.dynamic[elf.DT_STRSZ])
	if !there || !ok || offset >= uint64(len(table)) {
		return ""
	}
	name, _, _ := bytes.Cut(table[offset:], []byte{0})
	return string(name)
}

// at returns the n octets at an address, if the file holds all of them.
func (im *image) at(addr, n uint64) ([]byte, bool) {
	for _, s := range im.segments {
		if addr >= s.addr && addr-s.addr <= uint64(len(s.data)) && n <= uint64(len(s.data))-(addr-s.addr) {
			return s.data[addr-s.addr:][:n], true
		}
	}
	return nil, false
}

// wordAt returns the word at an address.
func (im *image) wordAt(addr uint64) (uint64, bool) {
	b, ok := im.at(addr, im.word)
	if !ok {
		return 0, false
	}
	return im.get(b), true
}

// get returns the first word of b, which holds one.
func (im *image) get(b []byte) uint64 {
	if im.word == 8 {
		return im.order.Uint64(b)
	}
	return uint64(im.order.Uint32(b))
}
