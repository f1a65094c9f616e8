// Package archcheck holds tests that keep rules of the source tree which the compiler does not know: which package may
// import which, what libraries never do, what is documented. Each rule says why it is there; CONTRIBUTING.md has them
// in prose. There is nothing to import.
package archcheck
