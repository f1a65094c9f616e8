package client

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/mailbox/index"
)

// BenchmarkArchiveArrivals judges the messages of BenchmarkFetch for an archive, and makes their records.
func BenchmarkArchiveArrivals(b *testing.B) {
	var from letters
	text := strings.Repeat("some words of a letter that is of no interest\r\n", 170)
	for i := range 10_000 {
		from.list = append(from.list, fmt.Sprintf("From: a@example.org\r\nSubject: Letter %d\r\nMessage-ID: <%d@example.org>\r\n\r\nhello\r\n%s", i, i, text))
	}
	infos := from.infos()
	c := archiveClient(b)
	messages, octets := 0, 0
	end := &archiveEnd{account: "work", folder: index.Folder{Name: "INBOX", UIDValidity: 7}, keep: func(_ context.Context, a *arrival[archived]) error {
		messages++
		octets += len(a.found.json)
		return nil
	}}
	for b.Loop() {
		var err error
		if end.judge, err = c.newArchiveJudge(VerifyParams{Revocation: "soft"}); err != nil {
			b.Fatal(err)
		}
		if err := newArrivals(c, from, "INBOX", infos, end).run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(messages)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(octets)/float64(messages), "octets/record")
}
