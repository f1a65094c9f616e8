package tsa_test

import (
	"bytes"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// Encodings worked out by hand from RFC 3161 section 2.4.2.
const (
	infoHeadHex = "02 01 01 06 09 2b 06 01 04 01 81 fd 59 01" + imprintHex + "02 02 12 67"
	genTimeHex  = "18 0f 32303236313132313130303231335a" // 20261121100213Z
)

func smallInfo() tsa.TSTInfo {
	return tsa.TSTInfo{
		Policy: tsatest.Policy(), Imprint: emptyImprint(), SerialNumber: big.NewInt(4711), GenTime: tsatest.Now(),
	}
}

var compareBigInt = cmp.Comparer(func(a, b *big.Int) bool { return a == b || a != nil && b != nil && a.Cmp(b) == 0 })

func TestTSTInfo(t *testing.T) {
	for _, tt := range []struct {
		name  string
		der   string // content of the SEQUENCE
		info  func(*tsa.TSTInfo)
		other bool // another encoding of what Marshal writes
	}{
		{"small", infoHeadHex + genTimeHex, func(*tsa.TSTInfo) {}, false},
		{"full", infoHeadHex + "18 13 32303236313132313130303231332e3132355a" +
			"30 0b 02 01 01 80 02 01 f4 81 02 03 e7" +
			"01 01 ff" + "02 01 2a" + "a0 0d 82 0b 7473612e6578616d706c65" + "a1 0b 30 09 06 02 2a 03 04 03 01 02 03",
			func(i *tsa.TSTInfo) {
				i.GenTime = i.GenTime.Add(125 * time.Millisecond)
				i.Accuracy = time.Second + 500*time.Millisecond + 999*time.Microsecond
				i.Ordering = true
				i.Nonce = big.NewInt(42)
				i.TSA = append([]byte{0x82, 11}, "tsa.example"...)
				i.Extensions = []tsa.Extension{{ID: []int{1, 2, 3}, Value: []byte{1, 2, 3}}}
			}, false},
		{"accuracy in milliseconds", infoHeadHex + genTimeHex + "30 03 80 01 64",
			func(i *tsa.TSTInfo) { i.Accuracy = 100 * time.Millisecond }, false},
		{"accuracy in microseconds", infoHeadHex + genTimeHex + "30 03 81 01 01",
			func(i *tsa.TSTInfo) { i.Accuracy = time.Microsecond }, false},
		{"accuracy with no seconds in so many words", infoHeadHex + genTimeHex + "30 06 02 01 00 80 01 64",
			func(i *tsa.TSTInfo) { i.Accuracy = 100 * time.Millisecond }, true},
		{"accuracy empty", infoHeadHex + genTimeHex + "30 00", func(*tsa.TSTInfo) {}, true},
		{"negative nonce", infoHeadHex + genTimeHex + "02 01 ff",
			func(i *tsa.TSTInfo) { i.Nonce = big.NewInt(-1) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := smallInfo()
			tt.info(&want)
			der := tsatest.Sequence(fromHex(t, tt.der))
			got, err := tsa.ParseTSTInfo(der)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, *got, compareBigInt); diff != "" {
				t.Error(diff)
			}
			again, err := want.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(again, der) == tt.other {
				t.Errorf("encoded as\n%x, read from\n%x", again, der)
			}
		})
	}
}

func TestParseTSTInfoRefuses(t *testing.T) {
	good := infoHeadHex + genTimeHex
	for _, tt := range []struct {
		name string
		der  string
		want error
	}{
		{"empty", "", tsa.ErrMalformed},
		{"version 2", strings.Replace(good, "02 01 01", "02 01 02", 1), tsa.ErrVersion},
		{"no time", infoHeadHex, tsa.ErrMalformed},
		{"UTCTime", infoHeadHex + "17 0d 3236313132313130303231335a", tsa.ErrMalformed},
		{"accuracy: too many seconds", good + "30 07 02 05 00 80 00 00 00", tsa.ErrMalformed},
		{"accuracy: negative seconds", good + "30 03 02 01 ff", tsa.ErrMalformed},
		{"accuracy: 0 milliseconds", good + "30 03 80 01 00", tsa.ErrMalformed},
		{"accuracy: 1000 milliseconds", good + "30 04 80 02 03 e8", tsa.ErrMalformed},
		{"accuracy: -1 microseconds", good + "30 03 81 01 ff", tsa.ErrMalformed},
		{"accuracy: microseconds first", good + "30 06 81 01 01 80 01 01", tsa.ErrMalformed},
		{"ordering written as FALSE", good + "01 01 00", tsa.ErrMalformed},
		{"serial number in too many octets", strings.Replace(good, "02 02 12 67", "02 03 00 12 67", 1), tsa.ErrMalformed},
		{"serial number too long", strings.Replace(good, "02 02 12 67", "02 41 01"+strings.Repeat("00", 64), 1), tsa.ErrMalformed},
		{"tsa: two names", good + "a0 08 82 02 61 62 82 02 61 62", tsa.ErrMalformed},
		{"tsa: no GeneralName", good + "a0 02 05 00", tsa.ErrMalformed},
		{"something behind", good + "05 00", tsa.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tsa.ParseTSTInfo(tsatest.Sequence(fromHex(t, tt.der))); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	if _, err := tsa.ParseTSTInfo(make([]byte, tsa.MaxSize+1)); !errors.Is(err, tsa.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// RFC 3161 section 2.4.2 on GeneralizedTime.
func TestGenTime(t *testing.T) {
	for _, tt := range []struct {
		text string
		want time.Time // zero: refused
	}{
		{"20261121100213Z", tsatest.Now()},
		{"20261121100213.5Z", tsatest.Now().Add(500 * time.Millisecond)},
		{"20261121100213.000000001Z", tsatest.Now().Add(1)},
		{"20261121000000Z", time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)},
		{"20240229000000Z", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},
		{"20261121100213", time.Time{}},
		{"20261121100213+0000", time.Time{}},
		{"202611211002Z", time.Time{}},
		{"20261121100213.Z", time.Time{}},
		{"20261121100213.50Z", time.Time{}},
		{"20261121100213.0Z", time.Time{}},
		{"20261121100213,5Z", time.Time{}},
		{"20261121100213.0000000001Z", time.Time{}},
		{"20261121240000Z", time.Time{}},
		{"20261121100260Z", time.Time{}},
		{"20260229000000Z", time.Time{}},
		{"00000101000000Z", time.Time{}},
		{"2026112110021 Z", time.Time{}},
		{"", time.Time{}},
	} {
		genTime := append([]byte{0x18, byte(len(tt.text))}, tt.text...)
		got, err := tsa.ParseTSTInfo(tsatest.Sequence(fromHex(t, infoHeadHex), genTime))
		switch {
		case tt.want.IsZero():
			if !errors.Is(err, tsa.ErrMalformed) {
				t.Errorf("%q: %v", tt.text, err)
			}
		case err != nil:
			t.Errorf("%q: %v", tt.text, err)
		case !got.GenTime.Equal(tt.want) || got.GenTime.Location() != time.UTC:
			t.Errorf("%q is read as %v", tt.text, got.GenTime)
		}
	}
}

func TestTSTInfoMarshalRefuses(t *testing.T) {
	for name, change := range map[string]func(*tsa.TSTInfo){
		"no serial number":  func(i *tsa.TSTInfo) { i.SerialNumber = nil },
		"no policy":         func(i *tsa.TSTInfo) { i.Policy = nil },
		"year 10000":        func(i *tsa.TSTInfo) { i.GenTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"negative accuracy": func(i *tsa.TSTInfo) { i.Accuracy = -1 },
		"accuracy too long": func(i *tsa.TSTInfo) { i.Accuracy = 1<<63 - 1 },
	} {
		info := smallInfo()
		change(&info)
		if der, err := info.Marshal(); !errors.Is(err, tsa.ErrMalformed) {
			t.Errorf("%s: %x, %v", name, der, err)
		}
	}
	// What cannot be written exactly is stated as less accurate, never as more.
	info := smallInfo()
	info.Accuracy = 999*time.Microsecond + 1
	der, err := info.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tsa.ParseTSTInfo(der); err != nil || got.Accuracy != time.Millisecond {
		t.Errorf("accuracy %v, %v", got.Accuracy, err)
	}
}

// RFC 3161 section 2.4.2 on ordering and accuracy.
func TestBefore(t *testing.T) {
	at := func(offset, accuracy time.Duration, ordering bool) *tsa.TSTInfo {
		return &tsa.TSTInfo{GenTime: tsatest.Now().Add(offset), Accuracy: accuracy, Ordering: ordering}
	}
	for _, tt := range []struct {
		name string
		t, u *tsa.TSTInfo
		same bool
		want bool
	}{
		{"later by more than both accuracies", at(0, time.Second, false), at(3*time.Second, time.Second, false), false, true},
		{"later by just both accuracies", at(0, time.Second, false), at(2*time.Second, time.Second, false), false, false},
		{"ordered, one authority", at(0, time.Minute, true), at(1, time.Minute, true), true, true},
		{"ordered, one authority, the same time", at(0, 0, true), at(0, 0, true), true, false},
		{"ordered, two authorities", at(0, time.Minute, true), at(1, time.Minute, true), false, false},
		{"one of them ordered", at(0, time.Minute, true), at(1, time.Minute, false), true, false},
		{"earlier", at(3*time.Second, time.Second, false), at(0, time.Second, false), true, false},
	} {
		if got := tt.t.Before(tt.u, tt.same); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func FuzzParseTSTInfo(f *testing.F) {
	f.Add(tsatest.Sequence(fromHex(f, infoHeadHex+genTimeHex)))
	f.Add(tsatest.Sequence(fromHex(f, infoHeadHex+genTimeHex+"30 0b 02 01 01 80 02 01 f4 81 02 03 e7 01 01 ff 02 01 2a")))
	f.Fuzz(func(t *testing.T, der []byte) {
		info, err := tsa.ParseTSTInfo(der)
		if err != nil {
			return
		}
		again, err := info.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		// Only the accuracy can be written in several ways.
		if info.Accuracy == 0 && !bytes.Contains(der, []byte{0x30, 0}) && !bytes.Contains(der, []byte{0x30, 3, 2, 1, 0}) && !bytes.Equal(again, der) {
			t.Fatalf("accepted\n%x, and encoded it as\n%x", der, again)
		}
		back, err := tsa.ParseTSTInfo(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(info, back, compareBigInt); diff != "" {
			t.Fatal(diff)
		}
	})
}
