package mailbox_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

// TestProbe: whether there is TLS with a good certificate is found out without logging in.
func TestProbe(t *testing.T) {
	server := startLocal(t, localserver.Options{})
	for _, scheme := range schemes {
		o := server.options(t, alice, scheme)
		o.Credentials = mailbox.Credentials{User: "nobody", Password: "bad\x00word"} // which no server would be told
		state, err := mailbox.Probe(t.Context(), o)
		if err != nil || !state.HandshakeComplete || state.Version < tls.VersionTLS12 || len(state.PeerCertificates) == 0 {
			t.Errorf("%s: %+v, %v", scheme, state, err)
		}
		o.TLSRoots = x509.NewCertPool()
		_, err = mailbox.Probe(t.Context(), o)
		reason(t, err, mailbox.ReasonUntrusted)
	}
	if _, err := mailbox.Probe(t.Context(), mailbox.Options{Endpoint: mailbox.Endpoint{Scheme: "http", Host: "localhost", Port: 80}}); !errors.Is(err, mailbox.ErrEndpoint) {
		t.Errorf("by http: %v", err)
	}
	config, roots := testTLS(t)
	address, said := listen(t, func(p *peer) { p.upgrade(config); p.silence() })
	if _, err := mailbox.Probe(t.Context(), fakeOptions(t, "imaps", address, func(o *mailbox.Options) { o.TLSRoots = roots })); err != nil {
		t.Errorf("a server that says nothing: %v", err)
	}
	nothingSecret(t, said)
	address, said = listen(t, func(p *peer) { p.say("* OK hello"); p.silence() })
	if state, err := mailbox.Probe(t.Context(), fakeOptions(t, "imap", address)); err != nil || state.HandshakeComplete {
		t.Errorf("clear text to a loopback address: %+v, %v", state, err)
	}
	nothingSecret(t, said)
}
