package peertest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"
)

//go:embed mailservers
var mailFiles embed.FS

const (
	caFile      = "ca.pem"
	dovecotConf = "dovecot.conf"
	postfixDir  = "postfix"
	mailUID     = 8551 // owner of the mailboxes; any number that is nobody's
	// Ports are chosen below those that systems hand out by themselves.
	portMin, portMax = 20000, 30000
	startLimit       = 20 * time.Second
	stopLimit        = 10 * time.Second
)

// mailStack is one running Dovecot and Postfix, and what their configuration files are filled with.
type mailStack struct {
	Dir    string // all files and state
	Token  string // in each greeting: tells our servers from another process's on the same port
	Domain string
	Users  []string

	IMAP, IMAPS, SMTP, Submission, Submissions string // host:port

	MailUID int

	roots    *x509.CertPool
	children []*child
	keeper   *exec.Cmd
	alive    io.WriteCloser // the keeper's standard input
}

// child is a server process. done is closed when it has ended.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// startMail starts the servers on free ports. Between choosing a port and listening on it another process may take
// it, so a failed start is repeated with other ports.
func startMail() (*mailStack, error) {
	if os.Getuid() != 0 {
		return nil, &absentError{"root", "the mail servers need it"}
	}
	var dovecot string
	for _, name := range []string{"postfix", "dovecot"} {
		path, err := find(name)
		if err != nil {
			return nil, &absentError{name, "make peers installs it"}
		}
		dovecot = path
	}
	version, err := exec.Command(dovecot, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("dovecot --version: %w", err)
	}
	if !bytes.HasPrefix(version, []byte("2.3.")) {
		return nil, &absentError{"dovecot 2.3", "the configuration is for 2.3, and here is " + strings.TrimSpace(string(version))}
	}
	var errs []error
	for range 3 {
		s, err := startMailOnce(dovecot)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func startMailOnce(dovecot string) (s *mailStack, err error) {
	dir, err := os.MkdirTemp("", "sealmail-peers-")
	if err != nil {
		return nil, err
	}
	s = &mailStack{
		Dir: dir, Token: filepath.Base(dir), Domain: mailDomain, MailUID: mailUID,
		Users: []string{"alice", "bob", "carol", "full"},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
			s = nil
		}
	}()
	if err := s.write(); err != nil {
		return s, err
	}
	master, err := postfixMaster()
	if err != nil {
		return s, err
	}
	if err := s.start(dovecot, "-F", "-c", filepath.Join(dir, dovecotConf)); err != nil {
		return s, err
	}
	if err := s.start(master, "-c", filepath.Join(dir, postfixDir), "-s"); err != nil {
		return s, err
	}
	if err := s.keep(); err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for _, p := range []struct {
		addr string
		tls  bool
	}{{s.IMAP, false}, {s.IMAPS, true}, {s.SMTP, false}, {s.Submission, false}, {s.Submissions, true}} {
		if err := s.await(ctx, p.addr, p.tls); err != nil {
			return s, fmt.Errorf("%w\n%s", err, s.logs())
		}
	}
	return s, nil
}

// write makes the folder with certificates, configuration and the folders that the servers want to find.
func (s *mailStack) write() error {
	ports, err := freePorts(5)
	if err != nil {
		return err
	}
	s.IMAP, s.IMAPS, s.SMTP, s.Submission, s.Submissions = ports[0], ports[1], ports[2], ports[3], ports[4]
	if s.roots, err = writeCertificates(s.Dir); err != nil {
		return err
	}
	if err := os.Chmod(s.Dir, 0o755); err != nil { // servers go through it as other users
		return err
	}
	if err := s.makeDirs(); err != nil {
		return err
	}
	templates, err := template.New("").Funcs(template.FuncMap{"port": portOf}).ParseFS(mailFiles, "mailservers/*")
	if err != nil {
		return err
	}
	for _, f := range []struct{ template, path string }{
		{"dovecot.conf", dovecotConf}, {"users", "users"},
		{"main.cf", postfixDir + "/main.cf"}, {"master.cf", postfixDir + "/master.cf"},
	} {
		var text bytes.Buffer
		if err := templates.ExecuteTemplate(&text, f.template, s); err != nil {
			return err
		}
		path := filepath.Join(s.Dir, f.path)
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			return err
		}
		// Postfix takes a file that is younger than two seconds for one that is being written, and waits.
		old := time.Now().Add(-time.Minute)
		if err := os.Chtimes(path, old, old); err != nil {
			return err
		}
	}
	return nil
}

// makeDirs makes the folders that the servers want to find.
func (s *mailStack) makeDirs() error {
	account, err := user.Lookup("postfix")
	if err != nil {
		return err
	}
	drop, err := user.LookupGroup("postdrop")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return err
	}
	dropGID, err := strconv.Atoi(drop.Gid)
	if err != nil {
		return err
	}
	type dir struct {
		name     string
		uid, gid int
		mode     os.FileMode
	}
	dirs := []dir{
		{"mail", mailUID, mailUID, 0o755}, {postfixDir, 0, 0, 0o755}, {"data", uid, 0, 0o755},
		{"queue", 0, 0, 0o755}, {"queue/pid", 0, 0, 0o755},
		{"queue/public", uid, dropGID, 0o710}, {"queue/maildrop", uid, dropGID, 0o730 | os.ModeSticky},
	}
	for _, name := range strings.Fields("active bounce corrupt defer deferred flush hold incoming private saved trace") {
		dirs = append(dirs, dir{"queue/" + name, uid, 0, 0o700})
	}
	for _, d := range dirs {
		path := filepath.Join(s.Dir, d.name)
		if err := errors.Join(os.Mkdir(path, 0o700), os.Chown(path, d.uid, d.gid), os.Chmod(path, d.mode)); err != nil {
			return err
		}
	}
	return nil
}

// postfixMaster returns the path of Postfix's master process, which we start without `postfix start-fg`: that puts a
// shell in between which passes no signals on. The compiled-in default is asked for (-d): no configuration is read.
func postfixMaster() (string, error) {
	postconf, err := find("postconf")
	if err != nil {
		return "", err
	}
	out, err := exec.Command(postconf, "-d", "-h", "daemon_directory").Output()
	if err != nil {
		return "", fmt.Errorf("postconf: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "master"), nil
}

// start starts a server in the foreground.
func (s *mailStack) start(path string, args ...string) error {
	log, err := os.Create(filepath.Join(s.Dir, filepath.Base(path)+"-output.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c := &child{cmd: exec.Command(path, args...), done: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = log, log
	if err := c.cmd.Start(); err != nil {
		return err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	s.children = append(s.children, c)
	return nil
}

// keep starts the process that ends the servers when this one dies without a chance to.
func (s *mailStack) keep() error {
	script, err := mailFiles.ReadFile("mailservers/keeper.sh")
	if err != nil {
		return err
	}
	args := []string{"-c", string(script), "keeper", s.Dir}
	for _, c := range s.children {
		args = append(args, strconv.Itoa(c.cmd.Process.Pid))
	}
	s.keeper = exec.Command("/bin/sh", args...)
	if s.alive, err = s.keeper.StdinPipe(); err != nil {
		return err
	}
	return s.keeper.Start()
}

// await connects until the server at addr greets with our token, or a server has ended.
func (s *mailStack) await(ctx context.Context, addr string, useTLS bool) error {
	for {
		err := s.greeting(ctx, addr, useTLS)
		if err == nil {
			return nil
		}
		for _, c := range s.children {
			select {
			case <-c.done:
				return fmt.Errorf("%s ended: %w", c.cmd, c.err)
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", addr, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// greeting connects once and looks for the token in the server's first line.
func (s *mailStack) greeting(ctx context.Context, addr string, useTLS bool) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if useTLS {
		conn = tls.Client(conn, &tls.Config{RootCAs: s.roots, ServerName: "localhost"})
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(line, s.Token) {
		return fmt.Errorf("a server that is not ours: %q", line)
	}
	return nil
}

// stop ends the servers, waits for them and removes their files.
func (s *mailStack) stop() error {
	var errs []error
	for _, c := range s.children {
		_ = c.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	}
	timeout := time.After(stopLimit)
	for _, c := range s.children {
		select {
		case <-c.done:
		case <-timeout:
			errs = append(errs, fmt.Errorf("%s did not end", c.cmd), c.cmd.Process.Kill())
			<-c.done
		}
	}
	if s.keeper != nil && s.keeper.Process != nil {
		_, err := io.WriteString(s.alive, "stopped\n")
		errs = append(errs, err, s.alive.Close(), s.keeper.Wait())
	}
	return errors.Join(append(errs, os.RemoveAll(s.Dir))...)
}

// logs returns the ends of the servers' logs.
func (s *mailStack) logs() string {
	const enough = 2000
	var b strings.Builder
	for _, name := range []string{"dovecot-output.log", "dovecot.log", "master-output.log", "postfix.log"} {
		if data, err := os.ReadFile(filepath.Join(s.Dir, name)); err == nil && len(data) > 0 {
			fmt.Fprintf(&b, "%s:\n%s\n", name, data[max(0, len(data)-enough):])
		}
	}
	return b.String()
}

// freePorts returns n addresses on loopback on which nobody listens.
func freePorts(n int) ([]string, error) {
	var addrs []string
	for attempts := 0; len(addrs) < n; attempts++ {
		if attempts == 1000 {
			return nil, fmt.Errorf("no %d free ports between %d and %d", n, portMin, portMax)
		}
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(portMin+rand.IntN(portMax-portMin))))
		if err != nil {
			continue
		}
		defer l.Close() // held until all are chosen, so that none is chosen twice
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

func portOf(addr string) (string, error) {
	_, port, err := net.SplitHostPort(addr)
	return port, err
}
