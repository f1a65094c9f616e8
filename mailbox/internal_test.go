package mailbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"
)

func checkLines(p []byte, step int, eightBit bool) error {
	l := lines{eightBit: eightBit}
	for chunk := range slices.Chunk(p, step) {
		if err := l.check(chunk); err != nil {
			return err
		}
	}
	return l.end()
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct {
		in string
		ok bool
	}{
		{"", true}, {"\r\n", true}, {"a\r\n", true}, {"a\r\n\r\n.\r\n", true}, {long + "\r\n" + long + "\r\n", true},
		{"a", false}, {"a\r", false}, {"a\n", false}, {"\n", false}, {"\r", false}, {"a\r\r\n", false}, {"a\rb\r\n", false}, {"a\r\n\n", false},
		{"a\x00\r\n", false}, {long + "x\r\n", false}, {"a\r\n" + long + "x", false},
	} {
		for _, step := range []int{1, 2, 3, 7, 10000} {
			if err := checkLines([]byte(c.in), step, true); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrNotCanonical) {
				t.Errorf("%.20q in steps of %d: %v", c.in, step, err)
			}
		}
	}
	if err := checkLines([]byte("a\r\nb\r\nc\n"), 2, true); err == nil || !strings.Contains(err.Error(), "line 3 ") {
		t.Errorf("got error %v", err)
	}
	if err := checkLines([]byte("a\x80\r\n"), 2, false); !errors.As(err, new(*UnsupportedError)) {
		t.Errorf("got error %v", err)
	}
}

// FuzzLines: what passes goes through SMTP unaltered, and whether it does not depend on how it is cut.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"", "a\r\n", ".\r\n..\r\n", "a\nb\r\n", "a\rb", "\r\r\n", strings.Repeat("x", 999) + "\r\n"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, p []byte, step int) {
		step = max(1, step)
		err := checkLines(p, step, true)
		if whole := checkLines(p, len(p)+1, true); (whole == nil) != (err == nil) {
			t.Fatalf("whole: %v; in steps of %d: %v", whole, step, err)
		}
		if err != nil || len(p) == 0 {
			return
		}
		var wire bytes.Buffer
		w := textproto.NewWriter(bufio.NewWriter(&wire)).DotWriter()
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		// Taken apart by hand: RFC 5321 section 4.5.2.
		var got []byte
		for line := range bytes.SplitAfterSeq(wire.Bytes(), []byte("\r\n")) {
			if string(line) == ".\r\n" {
				break
			}
			got = append(got, bytes.TrimPrefix(line, []byte("."))...)
		}
		if !bytes.Equal(got, p) {
			t.Fatalf("%q arrives as %q", p, got)
		}
	})
}

// FuzzCleanText: foreign text fits into one short line, and cleaning it again changes nothing.
func FuzzCleanText(f *testing.F) {
	for _, s := range []string{"", "plain", "a\r\nb", "\x1b[31mred", "\u202eright to left", "\xff\xfe", "\ufffd", strings.Repeat("ä", 400), " \t x \t "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := cleanText(s)
		if !utf8.ValidString(c) || len(c) > maxText+2*utf8.UTFMax || strings.ContainsFunc(c, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			t.Errorf("%q becomes %q", s, c)
		}
		if len(c) < maxText && cleanText(c) != c {
			t.Errorf("%q becomes %q and then %q", s, c, cleanText(c))
		}
	})
}

// FuzzPath: an address that is let through cannot end its place in a command.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a@b", "jürgen@bücher.example", `"a.b"@c`, "a@b> SIZE=1", "a\r\n@b", "@", "a@", "a@b@c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		wire, ok := newPath(s)
		if !ok {
			return
		}
		if strings.ContainsAny(wire, "<>\r\n\x00 ") || !strings.Contains(wire, "@") || len(wire) > 254 || !utf8.ValidString(wire) {
			t.Errorf("%q becomes %q", s, wire)
		}
		if isASCII(s) && wire != s {
			t.Errorf("%q becomes %q", s, wire)
		}
	})
}

func TestUIDSets(t *testing.T) {
	for _, c := range []struct {
		in   []UID
		want string
	}{
		{nil, ""}, {[]UID{0}, ""}, {[]UID{7}, "7"}, {[]UID{3, 1, 2, 2}, "1:3"}, {[]UID{1, 3, 4, 1<<32 - 1}, "1,3:4,4294967295"},
	} {
		var all []string
		for _, set := range uidSets(c.in) {
			all = append(all, set.String())
		}
		if got := strings.Join(all, " "); got != c.want {
			t.Errorf("%v: got %q, want %q", c.in, got, c.want)
		}
	}
	var odd []UID
	for u := UID(1); u < 100000; u += 2 {
		odd = append(odd, u)
	}
	n := 0
	for _, set := range uidSets(odd) {
		if len(set.String()) > maxCommand {
			t.Errorf("a set of %d octets", len(set.String()))
		}
		nums, _ := set.Nums()
		n += len(nums)
	}
	if n != len(odd) {
		t.Errorf("%d of %d", n, len(odd))
	}
}

func TestReasonOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Reason
	}{
		{context.Canceled, ReasonCancelled},
		{context.DeadlineExceeded, ReasonTimeout},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, ReasonUntrusted},
		{x509.HostnameError{Certificate: &x509.Certificate{}}, ReasonUntrusted},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, ReasonUnreachable},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, ReasonTimeout},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, ReasonLost},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(70)}, ReasonTLS},
		{tls.RecordHeaderError{}, ReasonTLS},
		{io.EOF, ReasonLost},
		{fmt.Errorf("x: %w", io.ErrUnexpectedEOF), ReasonLost},
		{errors.New("else"), ReasonProtocol},
		{reasonError{ReasonUnavailable, "x"}, ReasonUnavailable},
	} {
		if got := reasonOf(c.err); got != c.want {
			t.Errorf("%v: got %v, want %v", c.err, got, c.want)
		}
	}
	for r := Reason(0); r <= ReasonCancelled+1; r++ {
		if r.String() == "" {
			t.Errorf("reason %d has no words", r)
		}
	}
}

func TestTemporary(t *testing.T) {
	lost := &ConnectError{Reason: ReasonLost}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{lost, true},
		{fmt.Errorf("x: %w", lost), true},
		{&ConnectError{Reason: ReasonUntrusted}, false},
		{&ConnectError{Reason: ReasonNoSTARTTLS}, false},
		{&UncertainError{Err: lost}, false},
		{&RefusedError{Permanent: true}, false},
		{&RefusedError{}, true},
		{&RefusedRecipientsError{Recipients: []*RefusedError{{}, {Permanent: true}}}, false},
		{&RefusedRecipientsError{Recipients: []*RefusedError{{}, {}}}, true},
		{&AuthError{}, false},
		{&AuthError{Temporary: true}, true},
		{&QuotaError{}, true},
		{&TooLargeError{}, false},
		{ErrNotCanonical, false},
		{nil, false},
	} {
		if got := Temporary(c.err); got != c.want {
			t.Errorf("%v: got %t", c.err, got)
		}
		if c.err != nil && (c.err.Error() == "" || strings.Contains(c.err.Error(), "\n")) {
			t.Errorf("%T: %q", c.err, c.err)
		}
	}
}

// TestStep has a connection over which something moves in ways that end a step, or do not.
func TestStep(t *testing.T) {
	const d = 30 * time.Second // of a clock that runs as it likes
	for _, c := range []struct {
		name  string
		write func(io.Writer) error // the other side
		hold  bool
		want  string // of the cause; "" if the step goes well
	}{
		{"silence", func(io.Writer) error { return nil }, false, "silent"},
		{"a little, always", func(w io.Writer) (err error) {
			for err == nil {
				_, err = w.Write([]byte("x"))
				time.Sleep(d / 50)
			}
			return err
		}, false, "too slow"},
		{"too much", func(w io.Writer) (err error) {
			for err == nil {
				_, err = w.Write(make([]byte, 1000))
			}
			return err
		}, false, "longer"},
		{"waiting for this side", func(w io.Writer) error { _, err := w.Write([]byte("\n")); return err }, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				w := newConn(near, d)
				done := make(chan struct{})
				go func() { defer close(done); _ = c.write(far) }()
				end := w.begin(t.Context(), 100000)
				if c.hold {
					w.hold(func() { time.Sleep(3 * d) })
				}
				b := make([]byte, 10000)
				for {
					n, err := w.Read(b)
					if err != nil || bytes.Contains(b[:n], []byte("\n")) {
						break
					}
				}
				end()
				cause := w.failure()
				if (cause == nil) != (c.want == "") || cause != nil && !strings.Contains(cause.Error(), c.want) {
					t.Errorf("ended by %v, want %q", cause, c.want)
				}
				_ = w.Close()
				_ = far.Close()
				<-done
			})
		})
	}
}

func TestFolderName(t *testing.T) {
	for in, want := range map[string]string{"inbox": "INBOX", "InBox": "INBOX", "Sent": "Sent", "INBOX/x": "INBOX/x", "日本語": "日本語"} {
		if got, err := folderName(in); got != want || err != nil {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "a\nb", "\xff", "a\x7f", "\u0085"} {
		if _, err := folderName(in); !errors.Is(err, ErrNoFolder) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestIMAPFlags(t *testing.T) {
	got, err := imapFlags([]string{`\Seen`, "$Forwarded", "NonJunk"})
	if err != nil || !slices.Equal(got, []imap.Flag{`\Seen`, "$Forwarded", "NonJunk"}) {
		t.Errorf("got %v, %v", got, err)
	}
}
