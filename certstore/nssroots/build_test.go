package nssroots

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"testing"
)

// attribute is one attribute of an object that a test puts into a module.
type attribute struct {
	kind  uint64
	value any // []byte or string as it is; int as a CK_ULONG
}

// module is a root module that a test makes: an ELF file with objects in the layout that NSS's builtins have.
type module struct {
	machine elf.Machine
	wide    bool // 64 bits
	order   binary.AppendByteOrder
	form    elf.DynTag // DT_RELA, DT_REL or dtRELR
	soname  string
	objects [][]attribute
}

// built is a module as a file, with the offsets of what tests damage.
type built struct {
	data           []byte
	rows, items    []int // of each object
	relocs, relEnd int
	dynamic        int
	word           int
	order          binary.ByteOrder
}

// base is where a built module lies in memory when its file begins at offset 0: addresses and offsets differ.
const base = 0x10000

func (m module) build(t testing.TB) built {
	t.Helper()
	b := built{word: 4, order: m.order.(binary.ByteOrder)}
	if m.wide {
		b.word = 8
	}
	var out []byte
	word := func(v uint64) []byte {
		if m.wide {
			return m.order.AppendUint64(nil, v)
		}
		return m.order.AppendUint32(nil, uint32(v))
	}
	put := func(parts ...[]byte) (offset int) {
		for len(out)%b.word != 0 {
			out = append(out, 0)
		}
		offset = len(out)
		for _, part := range parts {
			out = append(out, part...)
		}
		return offset
	}
	type pointer struct{ place, target int }
	var pointers []pointer
	putPointer := func(target int) int {
		place := put(word(0))
		pointers = append(pointers, pointer{base + place, base + target})
		return place
	}

	out = make([]byte, 0x100)   // for the headers
	classes := map[string]int{} // each class is one constant
	for _, o := range m.objects {
		values := make([]int, len(o))
		sizes := make([]int, len(o))
		for i, a := range o {
			var value []byte
			switch v := a.value.(type) {
			case int:
				value = word(uint64(v))
			case string:
				value = []byte(v)
			case []byte:
				value = v
			}
			sizes[i] = len(value)
			at, there := classes[string(value)]
			if a.kind != ckaClass || !there {
				at = put(value)
			}
			if a.kind == ckaClass {
				classes[string(value)] = at
			}
			values[i] = at
		}
		types := put()
		for _, a := range o {
			put(word(a.kind))
		}
		items := put()
		for i := range o {
			putPointer(values[i])
			put(m.order.AppendUint32(nil, uint32(sizes[i])))
			put()
		}
		b.items = append(b.items, items)
		b.rows = append(b.rows, types) // for now
	}
	types := slices.Clone(b.rows)
	for i, o := range m.objects {
		b.rows[i] = put(word(uint64(len(o))))
		putPointer(types[i])
		putPointer(b.items[i])
		put(make([]byte, 4*b.word))
	}
	soname := put([]byte("\x00" + m.soname + "\x00"))
	sonameEnd := len(out)

	b.relocs = put()
	if m.form == dtRELR {
		places := make([]uint64, len(pointers))
		for i, p := range pointers {
			places[i] = uint64(p.place)
		}
		for _, entry := range packed(places, uint64(b.word)) {
			put(word(entry))
		}
	} else {
		for _, p := range pointers {
			put(word(uint64(p.place)), word(relativeType[m.machine]))
			if m.form == elf.DT_RELA {
				put(word(uint64(p.target)))
			}
		}
	}
	b.relEnd = len(out)
	if m.form != elf.DT_RELA { // what is pointed at is in the place itself
		for _, p := range pointers {
			copy(out[p.place-base:], word(uint64(p.target)))
		}
	}
	size := map[elf.DynTag]elf.DynTag{elf.DT_RELA: elf.DT_RELASZ, elf.DT_REL: elf.DT_RELSZ, dtRELR: dtRELRSZ}[m.form]
	b.dynamic = put()
	for _, d := range [][2]int{
		{int(m.form), base + b.relocs}, {int(size), b.relEnd - b.relocs},
		{int(elf.DT_STRTAB), base + soname}, {int(elf.DT_STRSZ), sonameEnd - soname}, {int(elf.DT_SONAME), 1}, {0, 0},
	} {
		put(word(uint64(d[0])), word(uint64(d[1])))
	}
	copy(out, m.header(t, len(out), b.dynamic))
	b.data = out
	return b
}

func (m module) header(t testing.TB, size, dynamic int) []byte {
	t.Helper()
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	if m.wide {
		ident[elf.EI_CLASS] = byte(elf.ELFCLASS64)
	}
	if m.order == binary.AppendByteOrder(binary.BigEndian) {
		ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	var parts []any
	if m.wide {
		parts = []any{
			elf.Header64{Ident: ident, Type: uint16(elf.ET_DYN), Machine: uint16(m.machine), Phoff: 64, Phentsize: 56, Phnum: 2},
			elf.Prog64{Type: uint32(elf.PT_LOAD), Vaddr: base, Filesz: uint64(size), Memsz: uint64(size)},
			elf.Prog64{Type: uint32(elf.PT_DYNAMIC), Off: uint64(dynamic), Vaddr: uint64(base + dynamic), Filesz: uint64(size - dynamic)},
		}
	} else {
		parts = []any{
			elf.Header32{Ident: ident, Type: uint16(elf.ET_DYN), Machine: uint16(m.machine), Phoff: 52, Phentsize: 32, Phnum: 2},
			elf.Prog32{Type: uint32(elf.PT_LOAD), Vaddr: base, Filesz: uint32(size), Memsz: uint32(size)},
			elf.Prog32{Type: uint32(elf.PT_DYNAMIC), Off: uint32(dynamic), Vaddr: uint32(base + dynamic), Filesz: uint32(size - dynamic)},
		}
	}
	var w bytes.Buffer
	for _, part := range parts {
		if err := binary.Write(&w, m.order.(binary.ByteOrder), part); err != nil {
			t.Fatal(err)
		}
	}
	return w.Bytes()
}

// packed writes the addresses of pointers as Elf_Relr words.
func packed(places []uint64, word uint64) []uint64 {
	slices.Sort(places)
	var entries []uint64
	for i := 0; i < len(places); {
		entries = append(entries, places[i])
		next := places[i] + word
		i++
		for {
			bitmap := uint64(0)
			for ; i < len(places) && places[i]-next < (8*word-1)*word; i++ {
				bitmap |= 2 << ((places[i] - next) / word)
			}
			if bitmap == 0 {
				break
			}
			entries = append(entries, bitmap|1)
			next += (8*word - 1) * word
		}
	}
	return entries
}
