// Package tsa speaks the Time-Stamp Protocol (RFC 3161, updated by RFC 5816): it asks an authority for time-stamp
// tokens over HTTP, reads them, and verifies them. The authority itself is in the package server below this one.
//
// A token says that some octets existed at a time. In a mail it stands over the value of a signature, and then proves
// when the signature was made, at the latest; but it does so over any octets.
//
//	client := &tsa.Client{URL: "https://tsa.example/", Hash: crypto.SHA256, Verify: &tsa.VerifyOptions{Path: path}}
//	stamped, err := client.Stamp(ctx, bytes.NewReader(signature))
//	…
//	token, err := tsa.ParseToken(stamped.Token)
//	result, err := token.Verify(bytes.NewReader(signature), tsa.VerifyOptions{Path: path})
//
// Requests, responses and TSTInfo are read and written as strict DER. The token around the TSTInfo is a CMS
// SignedData and may come in BER, as some authorities send it. Everything that is read is bounded by [MaxSize].
//
// What the package does not do: it holds no trust anchors, builds no certification path, and asks nobody about revocation.
// Who verifies supplies a [PathFunc] and, if that is to count, a [RevocationFunc], and with them decides which authorities
// are trusted. It has no clock: the certificate of an authority is judged at the time that its token states.
package tsa
