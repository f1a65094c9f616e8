package mailbox

import (
	"context"
	"crypto/tls"
)

// Probe connects to the server of o and does the TLS handshake, by STARTTLS where the scheme says so, in which the server's
// name and certificate are checked. It returns what was agreed on, and nothing but that where [Options.InsecureLoopback] let
// it go without TLS. No credentials are sent. Errors are those of [DialIMAP] and [DialSMTP] up to the log-in.
func Probe(ctx context.Context, o Options) (tls.ConnectionState, error) {
	o.Credentials = Credentials{}
	o, err := o.withDefaults(SchemeIMAPS, SchemeIMAP, SchemeSubmissions, SchemeSubmission)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	startTLS := imapStartTLS
	if o.Endpoint.Scheme == SchemeSubmission {
		startTLS = smtpStartTLS(o.LocalName)
	}
	l, err := dial(ctx, o, "", startTLS)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer l.wire.Close()
	if l.tls != nil {
		return *l.tls, nil
	}
	return tls.ConnectionState{}, nil
}
