package certstore

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"testing/iotest"
)

// blocksOf returns the blocks that a scanner finds in a text.
func blocksOf(t *testing.T, src io.Reader) (blocks []*pem.Block) {
	t.Helper()
	p := pemScanner{lines: bufio.NewReaderSize(src, 16)} // lines come in pieces
	for {
		text, begun, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if text == nil {
			return blocks
		}
		if begun == 0 {
			t.Fatalf("%q: a text in which nothing begins", text)
		}
		if block, _ := pem.Decode(text); block != nil {
			blocks = append(blocks, block)
		}
	}
}

// FuzzScanPEM: whatever text is around blocks, they are found, each once and in their order; and in any text no more is found
// than there is, each from the line that begins it.
func FuzzScanPEM(f *testing.F) {
	const a, b = "-----BEGIN A-----\nMA==\n-----END A-----\n", "-----BEGIN B-----\nk: v\n\nMAAw\n-----END B-----"
	for _, seed := range []string{
		"", a, b, a + b, b + "\n" + a, "text " + a, strings.ReplaceAll(a, "\n", "\r\n") + a, a[1:] + a, "-----BEGIN A-----\n" + a,
		"-----BEGIN A-----\nMA==\n-----END B-----\n" + a, a[:len(a)-5] + "\n" + b, "-----END A-----\n" + a, "-----END -----BEGIN A-----\n-----END A-----",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		p, size := pemScanner{lines: bufio.NewReaderSize(strings.NewReader(data), 16)}, 0
		for {
			text, begun, err := p.next()
			if err != nil {
				t.Fatal(err)
			}
			if text == nil {
				break
			}
			if size += len(text); begun == 0 || size > len(data) || !bytes.HasPrefix(text, []byte(pemBegin)) {
				t.Fatalf("%q, of %d octets", text, len(data))
			}
		}
		around := strings.ReplaceAll(data, "-----", "") + "\n"
		want := []*pem.Block{{Type: "A", Bytes: []byte(data)}, {Type: "B", Headers: map[string]string{"k": "v"}, Bytes: []byte("x")}, {Type: "C", Bytes: []byte(data)}}
		whole := around
		for _, block := range want {
			whole += string(pem.EncodeToMemory(block)) + around
		}
		got := blocksOf(t, strings.NewReader(whole))
		if len(got) != len(want) {
			t.Fatalf("%d blocks of %d", len(got), len(want))
		}
		for i, block := range got {
			if block.Type != want[i].Type || !bytes.Equal(block.Bytes, want[i].Bytes) || len(block.Headers) != len(want[i].Headers) {
				t.Errorf("block %d is %+v", i, block)
			}
		}
	})
}

func selfSigned(t testing.TB) (ed25519.PrivateKey, *x509.Certificate) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, c
}

// TestReadPEM: what a long file has comes in pieces, in its order and once; and the bounds are those of the whole file.
func TestReadPEM(t *testing.T) {
	key, c := selfSigned(t)
	one := EncodeCertificates(c)
	encodedKey, err := EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	odd := []byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
	text := bytes.Repeat([]byte("x"), 1<<20) // a line
	broken := errors.New("the disk is broken")
	refused := errors.New("no more")
	for _, test := range []struct {
		name                           string
		src                            io.Reader
		o                              PEMOptions
		certificates, keys, odd, calls int
		err                            error
		says                           string
	}{
		{"several pieces", bytes.NewReader(bytes.Repeat(one, 2*pemBatch+5)), PEMOptions{}, 2*pemBatch + 5, 0, 0, 3, nil, ""},
		{"a key behind them", io.MultiReader(bytes.NewReader(bytes.Repeat(one, pemBatch+1)), bytes.NewReader(encodedKey)), PEMOptions{}, pemBatch + 1, 1, 0, 2, nil, ""},
		{"keys are passed over", bytes.NewReader(append(bytes.Clone(encodedKey), one...)), PEMOptions{CertificatesOnly: true}, 1, 0, 0, 1, nil, ""},
		{"a mark in front, and text", io.MultiReader(strings.NewReader(byteOrderMark), bytes.NewReader(one), bytes.NewReader(text), strings.NewReader("\n"), bytes.NewReader(one)), PEMOptions{}, 2, 0, 0, 1, nil, ""},
		{"an odd one in the second piece", io.MultiReader(bytes.NewReader(bytes.Repeat(one, pemBatch)), bytes.NewReader(odd)), PEMOptions{}, pemBatch, 0, 1, 2, nil, "certificate 1025: malformed"},
		{"an odd one alone", bytes.NewReader(odd), PEMOptions{}, 0, 0, 1, 1, ErrMalformed, "certificate 1: malformed"},
		{"nothing", bytes.NewReader(text), PEMOptions{}, 0, 0, 0, 1, ErrMalformed, ""},
		{"a damaged one at the end", io.MultiReader(bytes.NewReader(bytes.Repeat(one, pemBatch)), bytes.NewReader(one[:100])), PEMOptions{}, pemBatch, 0, 0, 1, ErrMalformed, "1 of 1025 blocks"},
		{"keys without end", bytes.NewReader(bytes.Repeat(append(bytes.Clone(encodedKey), bytes.Repeat(one, pemBatch)...), maxKeys+1)), PEMOptions{}, maxKeys * pemBatch, maxKeys, 0, maxKeys, ErrTooLarge, ""},
		{"a block without end", io.MultiReader(bytes.NewReader(one), strings.NewReader("-----BEGIN CERTIFICATE-----\n"), bytes.NewReader(bytes.Repeat(text, maxBlock>>20+1))), PEMOptions{}, 0, 0, 0, 0, ErrTooLarge, ""},
		{"a disk that breaks", io.MultiReader(bytes.NewReader(bytes.Repeat(one, pemBatch+1)), iotest.ErrReader(broken)), PEMOptions{}, pemBatch, 0, 0, 1, broken, ""},
		{"who takes no more", bytes.NewReader(bytes.Repeat(one, 3*pemBatch)), PEMOptions{}, 2 * pemBatch, 0, 0, 2, refused, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got Bundle
			calls := 0
			err := ReadPEM(test.src, test.o, func(b Bundle) error {
				if len(b.Certificates) > pemBatch {
					t.Errorf("%d certificates at once", len(b.Certificates))
				}
				got.Join(b)
				if calls++; errors.Is(test.err, refused) && calls == 2 {
					return refused
				}
				return nil
			})
			if !errors.Is(err, test.err) || len(got.Certificates) != test.certificates || len(got.Keys) != test.keys || len(got.Oddities) != test.odd || calls != test.calls {
				t.Errorf("%d certificates, %d keys, %d odd in %d pieces, %v", len(got.Certificates), len(got.Keys), len(got.Oddities), calls, err)
			}
			said := errors.Join(err)
			if err == nil && len(got.Oddities) > 0 {
				said = got.Oddities[0]
			}
			if test.says != "" && (said == nil || !strings.Contains(said.Error(), test.says)) {
				t.Errorf("says %v", said)
			}
		})
	}
}
