//go:build unix

package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Contenders for many messages are processes of their own, so that nobody pays for another's garbage, and the system
// tells the memory of each. They make ready, say so, and do all of their work each time that they read a line; then
// they answer with the seconds that it took, by the clock and of the CPUs.
const (
	contenderEnv = "SEALMAIL_BENCH_CONTENDER"
	houseEnv     = "SEALMAIL_BENCH_HOUSE"
	// profileEnv names a folder for the profiles of this program's contenders.
	profileEnv = "SEALMAIL_BENCH_PROFILE"
)

// works are those that this program does, by name: each reads what it needs from the house, and returns what is timed.
func works() map[string]func(house) (func() error, error) {
	return map[string]func(house) (func() error, error){
		"open": openAll, "seal": sealAll, "keys": keysAlone, "pkcs7-open": pkcs7OpenAll, "pkcs7-seal": pkcs7SealAll,
		"stamp": stampAll, "stamp-http": stampOverHTTP, "sign": signAlone,
		"stamp-verify": verifyStamps(true), "stamp-verify-anew": verifyStamps(false), "verify": verifyAlone,
	}
}

// contend is the process of one of them.
func contend(name, dir string) error {
	prepare, ok := works()[name]
	if !ok {
		return fmt.Errorf("there is no contender %q", name)
	}
	work, err := prepare(house{dir})
	if err != nil {
		return err
	}
	stop, err := profile(name)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		start, used := time.Now(), cpuTime()
		if err := work(); err != nil {
			return err
		}
		fmt.Printf("%.6f %.6f\n", time.Since(start).Seconds(), (cpuTime() - used).Seconds())
	}
	return stop()
}

// cpuTime is what this process has used of the CPUs.
func cpuTime() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// profile begins to take profiles of the CPU and of allocations, where they are wanted.
func profile(name string) (stop func() error, err error) {
	dir := os.Getenv(profileEnv)
	if dir == "" {
		return func() error { return nil }, nil
	}
	name = fmt.Sprintf("%s-%d", name, runtime.GOMAXPROCS(0))
	cpu, err := os.Create(filepath.Join(dir, name+".cpu"))
	if err != nil {
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		allocations, err := os.Create(filepath.Join(dir, name+".allocs"))
		if err != nil {
			return err
		}
		return errors.Join(cpu.Close(), pprof.Lookup("allocs").WriteTo(allocations, 0), allocations.Close())
	}, pprof.StartCPUProfile(cpu)
}

// inParallel does the pieces of work from 0 to n-1 on all CPUs that the process may use. Each worker has a place of its
// own, by number.
func inParallel(n int, work func(worker, i int) error) error {
	var next atomic.Int64
	errs := make([]error, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for worker := range errs {
		group.Go(func() {
			for errs[worker] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[worker] = work(worker, i)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// player is a contender's process.
type player struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errors bytes.Buffer
}

// start starts a contender; one that does not make ready is an error.
func start(cmd *exec.Cmd) (*player, error) {
	p := &player{cmd: cmd}
	cmd.Stderr = &p.errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if line, err := p.out.ReadString('\n'); err != nil || line != "ready\n" {
		_, endErr := p.end()
		return nil, fmt.Errorf("it says %q instead of being ready: %w", line, errors.Join(err, endErr))
	}
	return p, nil
}

// play has it do its work once.
func (p *player) play() (t turn, err error) {
	if _, err := io.WriteString(p.in, "go\n"); err != nil {
		return t, err
	}
	_, err = fmt.Fscanln(p.out, &t.wall, &t.cpu)
	return t, err
}

// end ends it, and returns the most memory that it took, in KiB.
func (p *player) end() (peak int64, err error) {
	own := p.resident()
	_ = p.in.Close() // it may be gone already
	err = p.cmd.Wait()
	if use, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = use.Maxrss
	}
	if own > 0 {
		peak = own
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(p.errors.String()))
	}
	return peak, err
}

// resident is the most memory that the process had resident since it was executed, in KiB, where the system says that (Linux).
// What is told at its end counts the process as well that it was forked from.
func (p *player) resident() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var peak int64
	if _, err := fmt.Sscan(rest, &peak); err != nil {
		return 0
	}
	return peak
}

// work is the command of a contender of this program, on so many CPUs (0: all).
func (h house) work(t testing.TB, name string, cpus int) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), contenderEnv+"="+name, houseEnv+"="+h.dir)
	if cpus > 0 {
		cmd.Env = append(cmd.Env, "GOMAXPROCS="+strconv.Itoa(cpus))
	}
	return cmd
}

// cryptSMIME is the command of Perl's Crypt::SMIME.
func (h house) cryptSMIME(t testing.TB) *exec.Cmd {
	t.Helper()
	needCryptSMIME(t)
	return exec.CommandContext(t.Context(), "perl", "../../testdata/bench/crypt-smime.pl", h.dir)
}

func needCryptSMIME(t testing.TB) {
	t.Helper()
	if err := exec.Command("perl", "-MCrypt::SMIME", "-e", "1").Run(); err != nil {
		if os.Getenv("SEALMAIL_REQUIRE_PEERS") == "1" {
			t.Fatal("Crypt::SMIME is absent, and SEALMAIL_REQUIRE_PEERS=1")
		}
		t.Skip("Crypt::SMIME is absent (make peers installs it)")
	}
}

// playing starts a process that takes turns until the benchmark ends. Its first one, which warms it up, does not count.
func playing(b *testing.B, name string, cmd *exec.Cmd) *contender {
	b.Helper()
	p, err := start(cmd)
	if err == nil {
		_, err = p.play()
	}
	if err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	c := &contender{name: name}
	c.run = func(b *testing.B) turn {
		b.Helper()
		t, err := p.play()
		if err != nil {
			_, endErr := p.end()
			b.Fatalf("%s: %v", name, errors.Join(err, endErr))
		}
		return t
	}
	c.end = func(b *testing.B) {
		b.Helper()
		if c.peak, err = p.end(); err != nil {
			b.Fatalf("%s: %v", name, err)
		}
	}
	return c
}
