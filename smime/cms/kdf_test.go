package cms

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"strconv"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// TestX963KDFVector is a vector of NIST's CAVP for ANSI X9.63.
func TestX963KDFVector(t *testing.T) {
	got := x963KDF(crypto.SHA256, unhex(t, "96c05619d56c328ab95fe84b18264b08725b85e33fd34f08"), nil, 16)
	if want := unhex(t, "443024c3dae66b95e6f5670601558f71"); !bytes.Equal(got, want) {
		t.Fatalf("%x, want %x", got, want)
	}
}

func TestX963KDFWithOpenSSL(t *testing.T) {
	secret, info := bytes.Repeat([]byte{0x0b}, 48), []byte("shared information")
	for name, hash := range map[string]crypto.Hash{"SHA1": crypto.SHA1, "SHA224": crypto.SHA224, "SHA256": crypto.SHA256, "SHA384": crypto.SHA384, "SHA512": crypto.SHA512} {
		for _, size := range []int{16, 24, 32, 100} {
			want := peertest.Run(t, "openssl", "kdf", "-keylen", strconv.Itoa(size), "-binary", "-kdfopt", "digest:"+name,
				"-kdfopt", "hexsecret:"+hex.EncodeToString(secret), "-kdfopt", "hexinfo:"+hex.EncodeToString(info), "X963KDF")
			if got := x963KDF(hash, secret, info, size); !bytes.Equal(got, want) {
				t.Errorf("%s, %d octets: %x, want %x", name, size, got, want)
			}
		}
	}
}

func TestECCSharedInfo(t *testing.T) {
	tests := []struct {
		name string
		wrap AlgorithmIdentifier
		ukm  []byte
		want string
	}{
		{"no UKM", AlgorithmIdentifier{Algorithm: oidAES256Wrap}, nil,
			"3015" + "300b060960864801650304012d" + "a2060404" + "00000100"},
		{"UKM", AlgorithmIdentifier{Algorithm: oidAES256Wrap}, []byte{1, 2},
			"301b" + "300b060960864801650304012d" + "a00404020102" + "a2060404" + "00000100"},
		{"empty UKM, parameters NULL", AlgorithmIdentifier{oidAES256Wrap, derNull}, []byte{},
			"301b" + "300d060960864801650304012d0500" + "a0020400" + "a2060404" + "00000100"},
	}
	for _, test := range tests {
		got, err := eccSharedInfo(test.wrap, test.ukm, 32)
		if err != nil || !bytes.Equal(got, unhex(t, test.want)) {
			t.Errorf("%s: %x, %v, want %s", test.name, got, err, test.want)
		}
	}
}
