package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// TestRunSecretCommand: a command that hangs or prints on and on is ended in time, also where the shell runs it as a child that
// keeps its output open.
func TestRunSecretCommand(t *testing.T) {
	exact := strings.Repeat("x", 64<<10-2)
	for _, test := range []struct {
		name, command, want string
		err                 error
	}{
		{"one line", "printf 'secret\\r\\n'", "secret", nil},
		{"two line ends", "printf 'secret\\n\\n'", "secret\n", nil},
		{"all that may be", "printf '" + exact + "\\r\\n'", exact, nil},
		{"one octet more", "printf '" + exact + "x\\r\\n'", "", client.ErrSecretSize},
		{"on and on", "yes; true", "", client.ErrSecretSize},
		{"on and on, deaf", "trap '' PIPE; while true; do echo yesyesyesyesyesyesyesyesyesyesyesyesyesyesyesyesyesyesyes; done; true", "", client.ErrSecretSize},
		{"hangs in a child", "sleep 25; echo secret", "", context.DeadlineExceeded},
		{"leaves one running", "sleep 25 & echo secret", "secret", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			longest := 30 * time.Second
			if errors.Is(test.err, context.DeadlineExceeded) {
				longest = 200 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), longest)
			defer cancel()
			begun := time.Now()
			got, err := client.RunSecretCommand(ctx, test.command, nil)
			if string(got) != test.want || !errors.Is(err, test.err) || test.err == nil && err != nil {
				t.Errorf("%d octets, %v; want %d, %v", len(got), err, len(test.want), test.err)
			}
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}
