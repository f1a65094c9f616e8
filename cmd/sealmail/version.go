package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Prints the version of sealmail and of the Go it was built with.\n\n" + exitCodesHelp,
		Example: "  sealmail version --json",
		Args:    argCount(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			version := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
				version = info.Main.Version
			}
			if a.flags.json {
				return a.printJSON(struct {
					Version string `json:"version"`
					Go      string `json:"go"`
				}{version, runtime.Version()})
			}
			_, err := fmt.Fprintf(a.out, "sealmail %s (%s)\n", version, runtime.Version())
			return err
		},
	}
}
