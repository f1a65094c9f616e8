//go:build unix

package bench

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
)

// The sizes of the entities that are signed, in octets.
const (
	large     = 200 << 20
	veryLarge = 1 << 30
	small     = 4 << 10
)

var ciphers = []string{"aes-256-gcm", "aes-256-cbc"}

// BenchmarkOpenLarge decrypts and verifies a large message, from file to file.
func BenchmarkOpenLarge(b *testing.B) {
	h, program := newHouse(b, rsa2048), build(b)
	for _, cipher := range ciphers {
		b.Run(cipher, func(b *testing.B) {
			peertest.Command(b, "openssl")
			sealed := h.sealed(b, program, large, cipher)
			ours, theirs := h.weVerify(program, sealed), h.opensslVerifies(sealed)
			for b.Loop() {
				takeTurns(b, 3, ours, theirs)
			}
			h.mustBeEqual(b)
			report(b, 1, ours, theirs)
			r := ratio(ours, theirs)
			b.ReportMetric(r, "ratio")
			measured.add(row{
				work: "200 MB, file to file, decrypt + verify, " + cipher, ours: ours.duration(), theirs: "openssl: " + theirs.duration(),
				ratio: fmt.Sprintf("%.3f (1/%.1f)", r, 1/r), bar: "≤ 1/12; ≤ 48 MiB",
			})
		})
	}
}

// BenchmarkOpenVeryLarge shows that memory does not grow with the message. It runs where SEALMAIL_LARGE=1 says so.
func BenchmarkOpenVeryLarge(b *testing.B) {
	if os.Getenv("SEALMAIL_LARGE") != "1" {
		b.Skip("takes five gigabytes of disk; SEALMAIL_LARGE=1 runs it")
	}
	h, program := newHouse(b, rsa2048), build(b)
	for _, cipher := range ciphers {
		b.Run(cipher, func(b *testing.B) {
			sealed := h.sealed(b, program, veryLarge, cipher)
			ours := h.weVerify(program, sealed)
			for b.Loop() {
				takeTurns(b, 3, ours)
			}
			report(b, 1, ours)
			measured.add(row{work: "1 GB, the same, " + cipher, ours: ours.duration(), theirs: "—", ratio: "—", bar: "≤ 48 MiB"})
		})
	}
}

// BenchmarkSealLarge signs and encrypts a large entity, from file to file.
func BenchmarkSealLarge(b *testing.B) {
	h, program := newHouse(b, rsa2048), build(b)
	entity := h.entity(b, large)
	for _, cipher := range ciphers {
		b.Run(cipher, func(b *testing.B) {
			peertest.Command(b, "openssl")
			ours := processes("sealmail", run, func() []*exec.Cmd { return []*exec.Cmd{h.seals(program, entity, cipher, h.in("ours"))} })
			theirs := processes("openssl", runPiped, func() []*exec.Cmd { return h.opensslSeals(entity, cipher, h.in("theirs")) })
			for b.Loop() {
				takeTurns(b, 5, ours, theirs)
			}
			for _, sealed := range []string{h.in("ours"), h.in("theirs")} { // each is what the other can read
				run(b, h.weVerifyCommand(program, sealed))
				run(b, h.opensslVerifyCommands(sealed)...)
				h.mustBeEqual(b)
			}
			report(b, 1, ours, theirs)
			r := ratio(ours, theirs)
			b.ReportMetric(r, "ratio")
			measured.add(row{
				work: "200 MB, file to file, sign + encrypt, " + cipher, ours: ours.duration(), theirs: "openssl: " + theirs.duration(),
				ratio: fmt.Sprintf("%.2f", r), bar: "≤ 1; ≤ 32 MiB",
			})
		})
	}
}

// BenchmarkOpenSmall decrypts and verifies a small message by a process of its own, where starting it is most of the work.
func BenchmarkOpenSmall(b *testing.B) {
	h, program := newHouse(b, rsa2048), build(b)
	for _, cipher := range ciphers {
		b.Run(cipher, func(b *testing.B) {
			peertest.Command(b, "openssl")
			sealed := h.sealed(b, program, small, cipher)
			ours, theirs := h.weVerify(program, sealed), h.opensslVerifies(sealed)
			for b.Loop() {
				takeTurns(b, 200, ours, theirs)
			}
			h.mustBeEqual(b)
			report(b, 1, ours, theirs)
			r := ratio(ours, theirs)
			b.ReportMetric(r, "ratio")
			measured.add(row{
				work: "4 KB, whole process, decrypt + verify, " + cipher, ours: ours.duration(), theirs: "openssl: " + theirs.duration(),
				ratio: fmt.Sprintf("%.2f", r), bar: "≤ 0.75",
			})
		})
	}
}

// build builds the command as make build does, and returns its path.
func build(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "sealmail")
	cmd := exec.CommandContext(b.Context(), "go", "build", "-o", path, "github.com/sealmail/sealmail/cmd/sealmail")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// entity writes a MIME entity with a body of base64 that does not compress.
func (h house) entity(b *testing.B, size int) (path string) {
	b.Helper()
	path = h.in("entity")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 64<<10)
	_, _ = w.WriteString("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	line := make([]byte, 57)
	for written := 0; written < size; written += 78 {
		_, _ = rand.Read(line)
		_, _ = w.WriteString(base64.StdEncoding.EncodeToString(line) + "\r\n")
	}
	if err := w.Flush(); err != nil { // tells of all that failed before
		b.Fatal(err)
	}
	return path
}

// sealed writes an entity, signed with multipart/signed and encrypted.
func (h house) sealed(b *testing.B, program string, size int, cipher string) (path string) {
	b.Helper()
	path = h.in("sealed")
	run(b, h.seals(program, h.entity(b, size), cipher, path))
	return path
}

func (h house) seals(program, entity, cipher, to string) *exec.Cmd {
	return exec.Command(program, "encrypt", "--home", h.in("home"), "--sign", "--key", h.in("sender0.key"), "--cert", h.in("sender0.pem"),
		"--to", h.in("reader.pem"), "--cipher", cipher, entity, "-o", to)
}

// opensslSeals are two commands, the output of the first being the input of the second.
func (h house) opensslSeals(entity, cipher, to string) []*exec.Cmd {
	return []*exec.Cmd{
		exec.Command("openssl", "cms", "-sign", "-stream", "-in", entity, "-signer", h.in("sender0.pem"), "-inkey", h.in("sender0.key"), "-certfile", h.in("issuing.pem")),
		exec.Command("openssl", "cms", "-encrypt", "-stream", "-"+cipher, "-out", to, h.in("reader.pem")),
	}
}

// weVerify is the contender that opens a message with one command.
func (h house) weVerify(program, sealed string) *contender {
	return processes("sealmail", run, func() []*exec.Cmd { return []*exec.Cmd{h.weVerifyCommand(program, sealed)} })
}

func (h house) weVerifyCommand(program, sealed string) *exec.Cmd {
	return exec.Command(program, "verify", "--home", h.in("home"), "--trust", h.in("root.pem"), "--key", h.in("reader.key"), "--cert", h.in("reader.pem"),
		sealed, "-o", h.in("ours.content"))
}

// opensslVerifies is the contender that takes two, and a file in between.
func (h house) opensslVerifies(sealed string) *contender {
	return processes("openssl", run, func() []*exec.Cmd { return h.opensslVerifyCommands(sealed) })
}

func (h house) opensslVerifyCommands(sealed string) []*exec.Cmd {
	return []*exec.Cmd{
		exec.Command("openssl", "cms", "-decrypt", "-in", sealed, "-recip", h.in("reader.pem"), "-inkey", h.in("reader.key"), "-out", h.in("clear")),
		exec.Command("openssl", "cms", "-verify", "-in", h.in("clear"), "-CAfile", h.in("root.pem"), "-out", h.in("theirs.content")),
	}
}

// mustBeEqual holds the content that we found against the peer's, and against what was signed.
func (h house) mustBeEqual(b *testing.B) {
	b.Helper()
	for _, name := range []string{"ours.content", "theirs.content"} {
		if err := sameFiles(h.in(name), h.in("entity")); err != nil {
			b.Fatalf("%s: %v", name, err)
		}
	}
}

func sameFiles(a, b string) error {
	x, err := os.Open(a)
	if err != nil {
		return err
	}
	defer x.Close()
	y, err := os.Open(b)
	if err != nil {
		return err
	}
	defer y.Close()
	p, q := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(x, p)
		m, errB := io.ReadFull(y, q)
		if !bytes.Equal(p[:n], q[:m]) {
			return errors.New("it is not what was signed")
		}
		if errA != nil || errB != nil {
			return nil // both files ended, or else the last pieces differ
		}
	}
}

// processes is a contender whose turns are processes of their own. Their memory is measured apart, by a turn under GNU
// time: the system counts that of the program which starts a process for the process, and time is a small one.
func processes(name string, how func(*testing.B, ...*exec.Cmd) turn, commands func() []*exec.Cmd) *contender {
	c := &contender{name: name, run: func(b *testing.B) turn { return how(b, commands()...) }}
	c.begin = func(b *testing.B) {
		b.Helper()
		timed, results := commands(), b.TempDir()
		path := peertest.Command(b, "time")
		for i, cmd := range timed {
			cmd.Args = append([]string{"time", "-f", "%M", "-o", filepath.Join(results, strconv.Itoa(i)), cmd.Path}, cmd.Args[1:]...)
			cmd.Path = path
		}
		how(b, timed...)
		for i := range timed {
			text, err := os.ReadFile(filepath.Join(results, strconv.Itoa(i)))
			if err != nil {
				b.Fatal(err)
			}
			kib, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			c.peak = max(c.peak, kib)
		}
	}
	return c
}

// run runs commands one after the other.
func run(b *testing.B, commands ...*exec.Cmd) turn {
	b.Helper()
	said := make([]bytes.Buffer, len(commands))
	start := time.Now()
	for i, cmd := range commands {
		cmd.Stderr = &said[i]
		if err := cmd.Run(); err != nil {
			b.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, &said[i])
		}
	}
	return turnOf(time.Since(start), commands)
}

// runPiped runs commands at once, the output of each being the input of the next.
func runPiped(b *testing.B, commands ...*exec.Cmd) turn {
	b.Helper()
	said := make([]bytes.Buffer, len(commands))
	start := time.Now()
	var between *os.File
	for i, cmd := range commands {
		cmd.Stdin, cmd.Stderr = between, &said[i]
		var writing *os.File
		if i < len(commands)-1 {
			reading, w, err := os.Pipe()
			if err != nil {
				b.Fatal(err)
			}
			cmd.Stdout, writing = w, w
			defer reading.Close()
			between = reading
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		if writing != nil {
			writing.Close()
		}
	}
	for i, cmd := range commands {
		if err := cmd.Wait(); err != nil {
			b.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, &said[i])
		}
	}
	return turnOf(time.Since(start), commands)
}

// turnOf adds up what commands used that have ended.
func turnOf(wall time.Duration, commands []*exec.Cmd) turn {
	t := turn{wall: wall.Seconds()}
	for _, cmd := range commands {
		t.cpu += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	}
	return t
}
