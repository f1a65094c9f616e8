// Command sealmail is an S/MIME mail client for the terminal and for scripts.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// garbage is how much of it may gather at least before the collector runs. The program keeps a few megabytes, whatever the
// size of the messages, and would collect all the time; where it keeps more, the collector's default is right.
const garbage = 12 << 20

func main() {
	// What is never touched takes no memory, and counts for the collector, which runs when all has doubled.
	ballast := make([]byte, garbage)
	code := runMain()
	runtime.KeepAlive(ballast)
	os.Exit(code)
}

func runMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // who interrupts twice does not wait for a step that cannot be broken off
	defer stop()
	return run(ctx, systemEnvironment(), os.Args[1:])
}
