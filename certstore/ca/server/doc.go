// Package server answers for a certificate authority over HTTP: its revocation lists and certificates at the addresses
// that it writes into certificates, and the Online Certificate Status Protocol (RFC 6960, in the profile of RFC 9919).
//
//	GET  /root.crl /issuing.crl /services.crl   DER
//	GET  /root.cer /issuing.cer /services.cer   DER
//	GET  /ocsp/BASE64                           the request in the path
//	POST /ocsp                                  the request in the body
//
// [Server] is an http.Handler. Listening, TLS, of which none is needed because all that is served is signed, and time
// limits are the http.Server's business. It changes nothing but to make lists and responders anew when they grow old.
package server
