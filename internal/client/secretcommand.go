package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

const (
	maxSecret = 64 << 10
	// secretPipes is how long what a command has started may hold its output open after it.
	secretPipes = time.Second
)

// ErrSecretSize says that a file or command gives more than any secret has.
var ErrSecretSize = fmt.Errorf("larger than %d KiB, where a secret is one line", maxSecret>>10)

// ReadSecret reads a secret, without its line end. The error is that of r, or ErrSecretSize.
func ReadSecret(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	if err != nil {
		return nil, err
	}
	return trimSecret(b)
}

func trimSecret(b []byte) ([]byte, error) {
	if len(b) > maxSecret {
		return nil, ErrSecretSize
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r")), nil
}

// RunSecretCommand runs a command by the shell, as the person wrote it, and returns the secret that it prints, without its line
// end. Neither one that prints on and on is waited for, nor what it leaves running with its output open. The error is ErrSecretSize,
// the context's, or says how the command ended.
func RunSecretCommand(ctx context.Context, command string, stderr io.Writer) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &secretOutput{enough: func() { cancel(ErrSecretSize) }}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, stderr, secretPipes
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay): // it ended well, and what it left running prints no secret
		return nil, err
	}
	return trimSecret(out.octets)
}

// secretOutput keeps what a command prints, and ends it when that is too much.
type secretOutput struct {
	octets []byte
	enough func()
}

func (o *secretOutput) Write(p []byte) (int, error) {
	if len(o.octets)+len(p) > maxSecret {
		o.enough()
		return 0, ErrSecretSize
	}
	o.octets = append(o.octets, p...)
	return len(p), nil
}

// readSecretFile reads a secret from a file.
func readSecretFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadSecret(f)
}
