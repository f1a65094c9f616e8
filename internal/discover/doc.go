// Package discover finds the mail servers of an address: by what the DNS of its domain says (RFC 6186, RFC 8314), by the page
// that the domain publishes for mail programs ("autoconfig"), and by trying names that are usual. What it finds is a proposal:
// it says where each server comes from, and whether that binds it to the domain, so that who is about to send a password there
// can decide. Only servers with TLS are proposed. The address itself is told nobody; its domain is told a third party only
// where that was agreed to.
package discover
