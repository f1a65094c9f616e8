// Package term speaks with the person at the terminal: prompts, tables, the verdict block. It is the only code that
// writes message text to a terminal, and everything that comes out of a message goes through [Clean] first.
package term
