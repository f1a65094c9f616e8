package certstore_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/certstore"
)

func TestParseCache(t *testing.T) {
	var cache certstore.ParseCache
	raw := issue(t, nil, "someone", newKey(t), nil).cert.Raw
	first, err := cache.Parse(bytes.Clone(raw))
	if err != nil || !bytes.Equal(first.Raw, raw) {
		t.Fatal(err)
	}
	passing := bytes.Clone(raw)
	again, err := cache.Parse(passing)
	if err != nil || again != first {
		t.Errorf("parsed once more, %v", err)
	}
	clear(passing) // the buffer of a message is used for the next one
	if again, err = cache.Parse(raw); err != nil || again != first || !bytes.Equal(again.Raw, raw) {
		t.Errorf("changed with the buffer, %v", err)
	}
	if _, err := cache.Parse([]byte("no certificate")); err == nil {
		t.Error("no error")
	}
}

// Whoever sends many certificates must not fill the memory, nor push others out for good.
func TestParseCacheIsBounded(t *testing.T) {
	var cache certstore.ParseCache
	known := issue(t, nil, "known", newKey(t), nil).cert.Raw
	key := newKey(t)
	first := map[string]*x509.Certificate{}
	var mu sync.Mutex
	var others sync.WaitGroup
	for worker := range 2 {
		others.Go(func() {
			for i := range 300 {
				n := issue(t, nil, fmt.Sprint(worker, i), key, nil)
				if cert, err := cache.Parse(n.cert.Raw); err != nil || !bytes.Equal(cert.Raw, n.cert.Raw) {
					t.Error(err)
				} else {
					mu.Lock()
					first[string(n.cert.Raw)] = cert
					mu.Unlock()
				}
			}
		})
	}
	others.Wait()
	kept := 0
	for raw, cert := range first {
		if again, err := cache.Parse([]byte(raw)); err == nil && again == cert {
			kept++
		}
	}
	if kept > 256 {
		t.Errorf("%d certificates are kept", kept)
	}
	one, err := cache.Parse(known)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := cache.Parse(known); again != one {
		t.Error("what comes again is not kept any more")
	}
}

// TestParseCacheFingerprint: what is remembered is what is computed, also when the cache has begun anew.
func TestParseCacheFingerprint(t *testing.T) {
	var cache certstore.ParseCache
	for i := range 2000 {
		cert := &x509.Certificate{Raw: []byte{byte(i), byte(i >> 8)}}
		want := certstore.Fingerprint(cert)
		if got := cache.Fingerprint(cert); got != want {
			t.Fatalf("%s, and not %s", got, want)
		}
		if got := cache.Fingerprint(cert); got != want {
			t.Fatalf("then %s, and not %s", got, want)
		}
	}
}
