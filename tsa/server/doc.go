// Package server is a small time-stamp authority (RFC 3161) that answers over HTTP.
//
//	authority, err := server.New(server.Options{Signer: key, Chain: chain, Policies: policies, Clock: time.Now, State: dir})
//	…
//	defer authority.Close()
//	http.Serve(listener, authority)
//
// It is as good as its clock and its key: keeping the one right and the other safe is its operator's business. It logs
// nothing and knows no users; whoever reaches it gets a token.
package server
