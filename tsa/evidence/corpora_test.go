package evidence_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms/ber"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// TestCorpus verifies the records of the BSI's tool: made once, renewed by time-stamp, and renewed by hash tree.
func TestCorpus(t *testing.T) {
	dir := filepath.Join(peertest.Corpora(t), "ers", "rfc4998")
	data, err := os.ReadFile(filepath.Join(dir, "1Chain1ATS", "BIN.bin"))
	if err != nil {
		t.Fatal(err)
	}
	anchors := authorities(t, filepath.Join(dir, "1Chain1ATS", "BIN_ER.ers"), filepath.Join(dir, "1Chain2ATS", "testRenewal.ers"))
	records := []struct {
		file       string
		timeStamps []int // of each chain
		weak       bool  // the last one is signed with SHA-1
	}{
		{"1Chain1ATS/BIN_ER.ers", []int{1}, false},
		{"1Chain2ATS/BIN_ER.ers", []int{2}, false},
		{"1Chain2ATS/testRenewal.ers", []int{2, 1}, true},
		{"2Chains3ATS/BIN_ER.ers", []int{2, 1}, false},
	}
	if all, err := filepath.Glob(filepath.Join(dir, "*", "*.ers")); err != nil || len(all) != len(records) {
		t.Errorf("%d records in the corpus, and %d here, %v", len(all), len(records), err)
	}
	for _, tt := range records {
		t.Run(tt.file, func(t *testing.T) {
			der, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(tt.file)))
			if err != nil {
				t.Fatal(err)
			}
			record, err := evidence.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := record.Marshal(); err != nil || !bytes.Equal(again, der) {
				t.Errorf("it is written as other octets: %v", err)
			}
			var counts []int
			for _, chain := range record.Chains {
				counts = append(counts, len(chain))
			}
			if !slices.Equal(counts, tt.timeStamps) {
				t.Errorf("time-stamps of the chains: %v", counts)
			}
			// Beside one of them lie its tokens, in BER.
			tokens := 0
			for i, chain := range record.Chains {
				for j, a := range chain {
					token, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(tt.file)) + fmt.Sprintf(".%d.%d.tsr", i, j))
					if errors.Is(err, fs.ErrNotExist) {
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					tokens++
					if der, err := ber.ToDER(token, ber.Limits{Depth: 64, Element: tsa.MaxSize}); err != nil || !bytes.Equal(der, a.TimeStamp) {
						t.Errorf("token %d of chain %d is another: %v", j+1, i+1, err)
					}
				}
			}
			if strings.HasPrefix(tt.file, "2Chains") && tokens != 3 {
				t.Errorf("%d tokens beside it", tokens)
			}
			o := evidence.VerifyOptions{Path: tsatest.Path(anchors...), At: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), AllowWeak: tt.weak}
			if _, err := record.Verify(digestsOf(data), o); err != nil {
				t.Error(err)
			}
			if _, err := record.Verify(digestsOf(append(data, 0)), o); !errors.Is(err, evidence.ErrObject) {
				t.Errorf("changed data: %v", err)
			}
			o.At = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			if _, err := record.Verify(digestsOf(data), o); !errors.Is(err, tsa.ErrOutdated) {
				t.Errorf("after the authority's certificate has expired: %v", err)
			}
			o.AllowWeak = false
			if _, err := record.Verify(digestsOf(data), o); tt.weak && !errors.Is(err, tsa.ErrAlgorithm) {
				t.Errorf("weak: %v", err)
			}
		})
	}
}

// authorities are the certificates of CAs in the tokens of records: who made the corpus left no others.
func authorities(t *testing.T, files ...string) (list []*x509.Certificate) {
	t.Helper()
	for _, file := range files {
		der, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		record, err := evidence.Parse(der)
		if err != nil {
			t.Fatal(err)
		}
		for _, chain := range record.Chains {
			for _, a := range chain {
				token, err := tsa.ParseToken(a.TimeStamp)
				if err != nil {
					t.Fatal(err)
				}
				for _, raw := range token.Certificates {
					if c, err := raw.Parse(); err == nil && c.IsCA {
						list = append(list, c)
					}
				}
			}
		}
	}
	return list
}
