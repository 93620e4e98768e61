package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint/internal/api"
)

func (c *cli) historyCommand() *cobra.Command {
	return &cobra.Command{
		Use:        "history [STACK]",
		Short:      "List the revisions of a stack and how each came out",
		SuggestFor: []string{"log", "revisions", "releases"},
		Long: `Lists what was asked of a stack, by whom, and how it came out, the newest first.

With -o json, an array, the oldest first, of {number, release, at, by, kind, from, retry, comment, outcome, verdict}.`,
		Example: "  glint history\n  glint history -o json | jq '.[-1].outcome'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			remote, err := c.remote()
			if err != nil {
				return err
			}
			stack, err := c.whichStack(cmd.Context(), first(args))
			if err != nil {
				return err
			}
			all, err := remote.Revisions(cmd.Context(), stack)
			if err != nil {
				return err
			}
			if c.json() {
				return c.print(all)
			}
			var rows []string
			for i := len(all) - 1; i >= 0; i-- {
				rows = append(rows, revisionRow(all[i]))
			}
			return c.table("REVISION\tWHEN\tBY\tWHAT\tRELEASE\tOUTCOME", rows)
		},
	}
}

// reasonIn leaves out of a verdict what its row says already.
func reasonIn(verdict string) string {
	if _, rest, ok := strings.Cut(verdict, " is rejected: "); ok {
		verdict = rest
	}
	reason, _, _ := strings.Cut(verdict, "; everything returns to ")
	return reason
}

func revisionRow(r api.RevisionStatus) string {
	what, outcome := string(r.Kind), string(r.Outcome)
	if r.From > 0 {
		what += fmt.Sprintf(" to r%d", r.From)
	}
	if r.Retry {
		what += " --retry"
	}
	if r.Comment != "" {
		what += ": " + clean(r.Comment)
	}
	if moodOf(r.Outcome) == bad && r.Verdict != "" {
		outcome += ": " + reasonIn(clean(r.Verdict))
	}
	return fmt.Sprintf("r%d\t%s\t%s\t%s\t%s\t%s", r.Number, r.At.Local().Format(time.DateTime), clean(r.By), what, r.Release.Short(), outcome)
}
