package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newDoctorCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check everything an account needs",
		Long: `Checks the configuration, the folders of the home and the room in them, the vault, certificates and keys for each own
address, trust anchors, the outbox, both servers (TLS, log-in, what they can do, folders, space, the largest message),
and the timestamp authorities and the clock; names what is wrong, and how to mend it. The exit code is 1 where something
is.

` + exitCodesHelp,
		Example: "  sealmail doctor\n  sealmail doctor --json",
		Args:    argCount(0, 0, "no arguments"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, _ []string) (err error) {
			healthy := true
			for finding := range c.Doctor(ctx) {
				healthy = healthy && finding.Status != client.FindingBad
				if a.flags.json {
					err = a.printJSON(finding)
				} else {
					err = term.PrintFinding(a.out, finding)
				}
				if err != nil {
					return err
				}
			}
			if !healthy {
				return errAnswerIsNo
			}
			return nil
		}),
	}
}
