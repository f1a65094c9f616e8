package client_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

// BenchmarkFetch judges and keeps 10,000 unsigned messages of 8 KB that a store in memory gives.
func BenchmarkFetch(b *testing.B) {
	w := newWorld(b)
	f := &folder{validity: 1}
	text := strings.Repeat("some words of a letter that is of no interest\r\n", 170)
	for i := range 10_000 {
		f.messages = append(f.messages, mail(fmt.Sprint("Letter ", i), "Message-ID: <"+fmt.Sprint(i)+"@example.org>\r\n")+text)
	}
	o := w.account("bob", f)
	for b.Loop() {
		f.validity++
		n := 0
		c, err := client.New(o)
		if err == nil {
			err = c.Fetch(b.Context(), client.FetchParams{}, func(client.ListLine) error { n++; return nil })
			c.Close()
		}
		if err != nil || n != len(f.messages) {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N*len(f.messages))/b.Elapsed().Seconds(), "messages/s")
}
