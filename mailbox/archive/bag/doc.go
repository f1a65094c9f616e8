// Package bag writes and checks bags: folders whose files are listed with their checksums, as RFC 8493 (BagIt 1.0) has it.
//
// A [Writer] puts a bag into a [Sink], one file after the other, and reads nothing back. [ZIP] is a Sink that makes a ZIP file of
// it. [Check] says what is wrong with a bag that somebody made; what it holds is not believed, and no path in it leads outside.
//
// The package opens no files itself.
package bag
