package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/mailbox"
)

// TestOAuthToken: the command is run at each log-in, its token is used and nothing else, and kept nowhere.
func TestOAuthToken(t *testing.T) {
	const token = "ya29.token-of-alice"
	refused := &mailbox.AuthError{User: "alice", Text: "status invalid_token"}
	for _, test := range []struct {
		name, command string
		server        error // what it answers to a token
		err, hint     string
	}{
		{"taken", "echo run >>RUNS; echo " + token, nil, "", ""},
		{"refused", "echo " + token, refused, "log-in refused for alice", "oauth_token_command"},
		{"command that fails", "echo " + token + "; exit 3", nil, "OAuth 2.0 token of account a: exit status 3", "by hand"},
		{"command that prints nothing", "true", nil, "OAuth 2.0 token of account a: the command printed nothing", "by hand"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			o := w.options()
			var tokens []string
			logIn := func(ctx context.Context, m mailbox.Options) error {
				if m.Credentials.Password != "" || m.Credentials.User != "alice" {
					t.Errorf("credentials %+v with %q", m.Credentials, string(m.Credentials.Password))
				}
				got, err := m.Credentials.Token(ctx)
				if err != nil {
					return fmt.Errorf("no access token: %w", err)
				}
				tokens = append(tokens, string(got))
				return test.server
			}
			o.DialStore = func(ctx context.Context, m mailbox.Options) (mailbox.Store, error) {
				if err := logIn(ctx, m); err != nil {
					return nil, err
				}
				return closer{}, nil
			}
			o.DialSubmitter = func(ctx context.Context, m mailbox.Options) (mailbox.Submitter, error) {
				if err := logIn(ctx, m); err != nil {
					return nil, err
				}
				return submitter{}, nil
			}
			c, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.Init(t.Context(), client.InitParams{Name: "a", Address: "alice@example.org", User: "alice", IMAP: "imaps://localhost", SMTP: "submissions://localhost",
				OAuthTokenCommand: strings.ReplaceAll(test.command, "RUNS", w.in("runs"))})
			if test.err == "" {
				if err != nil || strings.Join(tokens, " ") != token+" "+token || strings.Count(w.read("runs"), "run") != 2 {
					t.Errorf("%v; tokens %q", err, tokens)
				}
				return
			}
			var known *client.Error
			if !errors.As(err, &known) || !strings.Contains(err.Error(), test.err) || !strings.Contains(known.Hint, test.hint) {
				t.Errorf("error %v, want %q with a hint on %q", err, test.err, test.hint)
			}
			if strings.Contains(err.Error()+strings.Join(w.said, ""), token) {
				t.Errorf("the token is told: %v, %q", err, w.said)
			}
		})
	}
}

// closer and submitter are servers of which nothing is wanted but the log-in.
type (
	closer    struct{ mailbox.Store }
	submitter struct{ mailbox.Submitter }
)

func (closer) Close() error    { return nil }
func (submitter) Close() error { return nil }
