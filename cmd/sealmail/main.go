// Command sealmail is an S/MIME mail client for the terminal and for scripts.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
)

// How much garbage may gather before the collector runs: half of what is kept, and half of the ballast at least. The program
// mostly keeps a few megabytes, whatever the size of the messages, and with the collector's default would collect all the
// time; where it keeps much, the default would double it.
const (
	gcPercent = 50
	ballast   = 24 << 20
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	// What is never touched takes no memory, and counts for the collector.
	untouched := make([]byte, ballast)
	code := runMain()
	runtime.KeepAlive(untouched)
	os.Exit(code)
}

func runMain() int {
	ctx, stop := untilEnded()
	context.AfterFunc(ctx, stop) // who interrupts twice does not wait for a step that cannot be broken off
	defer stop()
	return run(ctx, systemEnvironment(), asSendmail(os.Args[0], os.Args[1:]))
}

// untilEnded is a context that ends when a person or the system ends the program, as where its terminal is closed.
func untilEnded() (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signals = append(signals, syscall.SIGHUP)
	}
	return signal.NotifyContext(context.Background(), signals...)
}
