package nssroots

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestHostile refuses files that are damaged as ELF files, or whose table of objects is.
func TestHostile(t *testing.T) {
	const (
		phnum     = 56 // offsets in a 64-bit ELF header
		phentsize = 54
		phoff     = 32
		load      = 64 // offsets of the program headers
		dynamic   = 64 + 56
		filesz    = 32 // offsets in a program header
		vaddr     = 16
		off       = 8
	)
	le := binary.LittleEndian
	word := func(b built, at int, v uint64) { le.PutUint64(b.data[at:], v) }
	tests := map[string]struct {
		damage func(b built)
		form   elf.DynTag // DT_RELA where it is not said
		err    error
		text   string
	}{
		"sound":                        {damage: func(built) {}},
		"sound, packed":                {damage: func(built) {}, form: dtRELR},
		"no ELF file":                  {damage: func(b built) { b.data[0] = 'M' }, err: ErrNotModule, text: "no ELF"},
		"unknown class":                {damage: func(b built) { b.data[elf.EI_CLASS] = 3 }, err: ErrNotModule, text: "class"},
		"unknown byte order":           {damage: func(b built) { b.data[elf.EI_DATA] = 0 }, err: ErrNotModule, text: "byte order"},
		"a program":                    {damage: func(b built) { b.data[16] = byte(elf.ET_EXEC) }, err: ErrNotModule, text: "shared library"},
		"another machine":              {damage: func(b built) { b.data[18] = byte(elf.EM_SPARC) }, err: ErrNotModule, text: "machine"},
		"relocations of another kind":  {damage: func(b built) { b.data[18] = byte(elf.EM_S390) }, err: ErrNotModule, text: "table of certificates"},
		"too many segments":            {damage: func(b built) { le.PutUint16(b.data[phnum:], 129) }, err: ErrMalformed, text: "more than 128"},
		"program headers of no size":   {damage: func(b built) { le.PutUint16(b.data[phentsize:], 0) }, err: ErrMalformed, text: "program headers"},
		"program headers out of it":    {damage: func(b built) { word(b, phoff, ^uint64(0)-55) }, err: ErrMalformed, text: "program headers"},
		"program headers cut off":      {damage: func(b built) { word(b, phoff, uint64(len(b.data)-100)) }, err: ErrMalformed, text: "program headers"},
		"segment longer than the file": {damage: func(b built) { word(b, load+filesz, uint64(len(b.data)+1)) }, err: ErrMalformed, text: "segment"},
		"segment outside the file":     {damage: func(b built) { word(b, load+off, ^uint64(0)) }, err: ErrMalformed, text: "segment"},
		"segment around the end":       {damage: func(b built) { word(b, load+vaddr, ^uint64(0)-9) }, err: ErrMalformed, text: "segment"},
		"segments one on another":      {damage: func(b built) { copy(b.data[dynamic:], b.data[load:][:56]) }, err: ErrMalformed, text: "overlap"},
		"no dynamic section":           {damage: func(b built) { b.data[dynamic] = byte(elf.PT_NOTE) }, err: ErrMalformed, text: "dynamic section"},
		"dynamic section without end":  {damage: func(b built) { word(b, dynamic+filesz, 5*16) }, err: ErrMalformed, text: "dynamic section"},
		"relocations twice":            {damage: func(b built) { copy(b.data[b.dynamic+2*16:], b.data[b.dynamic:][:16]) }, err: ErrMalformed, text: "twice"},
		"relocations out of it":        {damage: func(b built) { word(b, b.dynamic+8, base-1) }, err: ErrMalformed, text: "table of relocations"},
		"relocations without end":      {damage: func(b built) { word(b, b.dynamic+24, ^uint64(0)) }, err: ErrMalformed, text: "table of relocations"},
		"part of a relocation":         {damage: func(b built) { word(b, b.dynamic+24, uint64(b.relEnd-b.relocs-8)) }, err: ErrMalformed, text: "part of an entry"},
		"part of a packed relocation":  {damage: func(b built) { word(b, b.dynamic+24, uint64(b.relEnd-b.relocs-4)) }, form: dtRELR, err: ErrMalformed, text: "part of an entry"},
		"place out of it":              {damage: func(b built) { word(b, b.relocs, base-8) }, err: ErrMalformed, text: "a relocation is out"},
		"packed place out of it":       {damage: func(b built) { word(b, b.relocs, base-8) }, form: dtRELR, err: ErrMalformed, text: "a relocation is out"},
		"place that is there already":  {damage: func(b built) { copy(b.data[b.relocs+24:], b.data[b.relocs:][:8]) }, err: ErrMalformed, text: "relocated twice"},
		"bitmap of no address":         {damage: func(b built) { word(b, b.relocs, 3) }, form: dtRELR, err: ErrMalformed, text: "bitmap"},
		"bitmap beyond the end":        {damage: func(b built) { word(b, b.relocs, base+uint64(len(b.data))-8); word(b, b.relocs+8, 3) }, form: dtRELR, err: ErrMalformed, text: "a relocation is out"},
		"no relocations":               {damage: func(b built) { word(b, b.dynamic, 0x7777) }, err: ErrNotModule, text: "table of certificates"},
		"value out of it":              {damage: func(b built) { word(b, b.relocs+24*2+16, base-1) }, err: ErrMalformed, text: "value"},
		"value larger than the file":   {damage: func(b built) { le.PutUint32(b.data[b.items[0]+2*16+8:], 0xffffffff) }, err: ErrMalformed, text: "value"},
		"value that is itself":         {damage: func(b built) { word(b, b.relocs+24*6+16, uint64(base+b.items[0])) }, err: ErrMalformed, text: "cannot be parsed"},
		"class that is itself":         {damage: func(b built) { word(b, b.relocs+16, uint64(base+b.items[0])) }, err: ErrMalformed, text: "trusted without"},
		"row without attributes":       {damage: func(b built) { word(b, b.rows[3], 0) }, err: ErrMalformed, text: "not in its table"},
		"row with too many attributes": {damage: func(b built) { word(b, b.rows[0], 65) }, err: ErrMalformed, text: "not in its table"},
		"row with one attribute more":  {damage: func(b built) { word(b, b.rows[0], 8) }, err: ErrMalformed, text: "an attribute is out"},
		"gap in the table":             {damage: func(b built) { word(b, b.rows[1], 0) }, err: ErrMalformed, text: "distances"},
		"types at the very end":        {damage: func(b built) { word(b, relocOf(b, b.rows[0]+8)+16, uint64(base+len(b.data)-8)) }, err: ErrMalformed, text: "an attribute is out"},
		"items at the very end": {damage: func(b built) {
			word(b, b.relocs+24, uint64(base+len(b.data)-8)) // a pointer there, the size of what it points at beyond
			word(b, relocOf(b, b.rows[0]+16)+16, uint64(base+len(b.data)-8))
		}, err: ErrMalformed, text: "not in its table"},
		"name out of it":           {damage: func(b built) { word(b, b.dynamic+4*16+8, ^uint64(0)) }},
		"names out of it":          {damage: func(b built) { word(b, b.dynamic+2*16+8, 0) }},
		"row that leads elsewhere": {damage: func(b built) { word(b, b.relEnd-24+16, uint64(base+b.items[3]+16)) }, err: ErrMalformed, text: "not in its table"},
	}
	for about, test := range tests {
		t.Run(about, func(t *testing.T) {
			m := plain(t)
			if test.form != 0 {
				m.form = test.form
			}
			b := m.build(t)
			test.damage(b)
			roots, err := read(b.data)
			if !errors.Is(err, test.err) || (err != nil) != (test.err != nil) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err == nil && len(roots) != 2 {
				t.Errorf("%d roots", len(roots))
			}
			if err != nil && (roots != nil || !strings.Contains(err.Error(), test.text)) {
				t.Errorf("%d roots with error %q, want none and %q", len(roots), err, test.text)
			}
		})
	}
}

// relocOf returns the offset of the entry of a table of Elf64_Rela that is about the word at an offset.
func relocOf(b built, at int) int {
	place := binary.LittleEndian.AppendUint64(nil, uint64(base+at))
	for entry := b.relocs; ; entry += 24 {
		if bytes.HasPrefix(b.data[entry:], place) {
			return entry
		}
	}
}

// TestTruncated refuses each beginning of a file.
func TestTruncated(t *testing.T) {
	for _, wide := range []bool{true, false} {
		m := plain(t)
		if !wide {
			m.machine, m.wide, m.form = elf.EM_386, false, elf.DT_REL
		}
		data := m.build(t).data
		for n := range data {
			roots, err := read(data[:n])
			if err == nil || roots != nil {
				t.Fatalf("%d of %d octets: %d roots, error %v", n, len(data), len(roots), err)
			}
			if elf.EI_NIDENT <= n && n < 52 && !strings.Contains(err.Error(), "header is cut off") {
				t.Fatalf("%d octets: error %v, want one about the header", n, err)
			}
		}
	}
}

// TestBounds refuses what is too large before it costs anything.
func TestBounds(t *testing.T) {
	b := plain(t).build(t)
	t.Run("file", func(t *testing.T) {
		if _, err := Read(noReader{t}, maxFile+1); !errors.Is(err, ErrNotModule) {
			t.Error(err)
		}
	})
	t.Run("file that is shorter than was said", func(t *testing.T) {
		if _, err := Read(bytes.NewReader(b.data), maxFile); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
	t.Run("file that cannot be read", func(t *testing.T) {
		if _, err := Read(badReader{}, 100); !errors.Is(err, errBad) {
			t.Error(err)
		}
	})
	t.Run("relocations", func(t *testing.T) {
		// A packed table of some kilobytes relocates each word of a large value. It lies at the end of that value.
		m := plain(t)
		m.objects[0] = append([]attribute{m.objects[0][0], {0x7777, make([]byte, 9*maxPointers)}}, m.objects[0][1:]...)
		b := m.build(t)
		words := []uint64{base + 0x1000}
		for range maxPointers/63 + 1 {
			words = append(words, ^uint64(0))
		}
		for i, w := range words {
			binary.LittleEndian.PutUint64(b.data[8*maxPointers+8*i:], w)
		}
		binary.LittleEndian.PutUint64(b.data[b.dynamic:], uint64(dtRELR))
		binary.LittleEndian.PutUint64(b.data[b.dynamic+8:], base+8*maxPointers)
		binary.LittleEndian.PutUint64(b.data[b.dynamic+16:], uint64(dtRELRSZ))
		binary.LittleEndian.PutUint64(b.data[b.dynamic+24:], uint64(8*len(words)))
		if _, err := read(b.data); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "relocations") {
			t.Error(err)
		}
	})
	t.Run("objects", func(t *testing.T) {
		m := plain(t)
		m.objects = slices.Repeat(m.objects, maxObjects/4+1)
		if _, err := read(m.build(t).data); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "objects") {
			t.Error(err)
		}
	})
}

// noReader must not be read from.
type noReader struct{ t *testing.T }

func (r noReader) ReadAt([]byte, int64) (int, error) {
	r.t.Error("it was read")
	return 0, io.EOF
}

var errBad = errors.New("bad sector")

type badReader struct{}

func (badReader) ReadAt([]byte, int64) (int, error) { return 0, errBad }
