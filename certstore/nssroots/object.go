package nssroots

import (
	"fmt"
	"maps"
	"slices"
)

// Numbers of PKCS #11 3.2, and those of NSS from its lib/util/pkcs11n.h.
const (
	ckoCertificate = 0x1
	ckoTrust       = 0xb
	ckoNSSTrust    = 0xce534353

	ckaClass                = 0x0
	ckaLabel                = 0x3
	ckaValue                = 0x11
	ckaCertificateType      = 0x80
	ckaIssuer               = 0x81
	ckaSerialNumber         = 0x82
	ckaNameHashAlgorithm    = 0x8c
	ckaSubject              = 0x101
	ckaTrustServerAuth      = 0x62c
	ckaTrustEmailProtection = 0x62f
	ckaHashOfCertificate    = 0x635

	ckaNSSMozillaCAPolicy      = 0xce534372
	ckaNSSEmailDistrustAfter   = 0xce534374
	ckaNSSTrustServerAuth      = 0xce536358
	ckaNSSTrustEmailProtection = 0xce53635b
	ckaNSSCertSHA1Hash         = 0xce5363b4
	ckaNSSCertMD5Hash          = 0xce5363b5

	ckcX509 = 0x0

	cktTrustUnknown    = 0x0
	cktTrusted         = 0x1
	cktTrustAnchor     = 0x2
	cktNotTrusted      = 0x3
	cktMustVerifyTrust = 0x4

	cktNSSTrusted          = 0xce534351
	cktNSSTrustedDelegator = 0xce534352
	cktNSSMustVerifyTrust  = 0xce534353
	cktNSSTrustUnknown     = 0xce534355
	cktNSSNotTrusted       = 0xce53435a
	cktNSSValidDelegator   = 0xce53435b

	ckmSHA1   = 0x220
	ckmSHA256 = 0x250
	ckmSHA384 = 0x260
	ckmSHA512 = 0x270
)

// Bounds of the table.
const (
	maxObjects    = 4096
	maxAttributes = 64
	maxValues     = 16 << 20 // octets of all values together; they may share octets of the file
)

// object is a PKCS #11 object.
type object struct {
	class      uint64
	attributes map[uint64][]byte
}

// row is a row of the table of objects: n attributes with their types and items at addresses.
type row struct{ addr, n, types, items uint64 }

// row returns what stands at an address, if it has the form of a row that leads to an object: a count, two relocated
// pointers, the first to an array that begins with CKA_CLASS, the second to one that begins with an item of the size of
// a class. It returns also where the class is.
func (im *image) row(addr uint64) (r row, class uint64, ok bool) {
	r.addr = addr
	var isTypes, isItems bool
	r.n, _ = im.wordAt(addr)
	r.types, isTypes = im.pointers[addr+im.word]
	r.items, isItems = im.pointers[addr+2*im.word]
	if !isTypes || !isItems || r.n == 0 || r.n > maxAttributes {
		return r, 0, false
	}
	first, ok := im.wordAt(r.types)
	class, isPointer := im.pointers[r.items]
	size, _ := im.sizeAt(r.items)
	return r, class, ok && isPointer && first == ckaClass && size == im.word
}

// sizeAt returns the size in an NSSItem: 32 bits after the pointer, whatever the machine.
func (im *image) sizeAt(item uint64) (uint64, bool) {
	b, ok := im.at(item+im.word, 4)
	if !ok {
		return 0, false
	}
	return uint64(im.order.Uint32(b)), true
}

// objects returns the certificates and trust objects of the table, in its order.
func (im *image) objects() ([]object, error) {
	rows, err := im.rows()
	if err != nil {
		return nil, err
	}
	objects := make([]object, 0, len(rows))
	left := uint64(maxValues)
	for _, r := range rows {
		o := object{attributes: make(map[uint64][]byte, r.n)}
		for i := range r.n {
			kind, ok := im.wordAt(r.types + i*im.word)
			item := r.items + i*2*im.word
			pointer, isPointer := im.pointers[item]
			size, hasSize := im.sizeAt(item)
			if !ok || !isPointer || !hasSize {
				return nil, malformed("an attribute is out of bounds")
			}
			value, ok := im.at(pointer, size)
			if !ok || size > left {
				return nil, malformed("the value of an attribute is out of bounds, or the values are larger than %d octets in all", maxValues)
			}
			if _, twice := o.attributes[kind]; twice {
				return nil, malformed("an object has an attribute twice")
			}
			left -= size
			o.attributes[kind] = value
		}
		o.class, _ = im.ulong(o, ckaClass) // row has seen it
		objects = append(objects, o)
	}
	return objects, nil
}

// rows finds the rows of certificates and trust objects, which must stand at equal distances, and be all that there are.
func (im *image) rows() ([]row, error) {
	var rows []row
	classAt := map[uint64]bool{} // the addresses of the constants with the class
	places := slices.Sorted(maps.Keys(im.pointers))
	for _, place := range places {
		if r, class, ok := im.row(place - im.word); ok {
			switch value, _ := im.wordAt(class); value {
			case ckoCertificate, ckoTrust, ckoNSSTrust:
				rows = append(rows, r)
				classAt[class] = true
			}
		}
		if len(rows) > maxObjects {
			return nil, malformed("it has more than %d objects", maxObjects)
		}
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("%w: it has no table of certificates", ErrNotModule)
	}
	// How long a row is depends on what the program keeps in it besides.
	for stride, i := rows[1].addr-rows[0].addr, 1; i < len(rows); i++ {
		if rows[i].addr-rows[i-1].addr != stride {
			return nil, malformed("the rows of its table of objects are not at equal distances")
		}
	}
	// Each object of a class points at the same constant. So a pointer to it that is in no row's items belongs to an
	// object whose row was not recognized.
	items := make(map[uint64]bool, len(rows))
	for _, r := range rows {
		for i := range r.n {
			items[r.items+i*2*im.word] = true
		}
	}
	for _, place := range places {
		if classAt[im.pointers[place]] && !items[place] {
			return nil, malformed("it has an object that is not in its table")
		}
	}
	return rows, nil
}

// ulong returns an attribute that is a CK_ULONG.
func (im *image) ulong(o object, kind uint64) (uint64, bool) {
	b := o.attributes[kind]
	if uint64(len(b)) != im.word {
		return 0, false
	}
	return im.get(b), true
}
