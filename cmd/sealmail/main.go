// Command sealmail is an S/MIME mail client for the terminal and for scripts.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, systemEnvironment(), os.Args[1:])
	stop()
	os.Exit(code)
}
