package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint/internal/api"
)

func (c *cli) rollbackCommand() *cobra.Command {
	var o carrying
	cmd := &cobra.Command{
		Use:        "rollback [rN]",
		Short:      "Return the whole stack to an earlier revision",
		SuggestFor: []string{"undo", "revert"},
		Long: `Makes an earlier revision's release the newest revision: all of its services, images and routes together, by the same
steps and gates as any other. Without a number it is the one before the stable one. Volumes are not touched.
Ctrl-C detaches, and -o json and the exit codes are as in glint apply.`,
		Example: "  glint rollback\n  glint rollback r3 -m \"checkout is slow\"",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to := 0
			if len(args) > 0 {
				var err error
				if to, err = parseRevision(args[0]); err != nil {
					return err
				}
			}
			return c.rollback(cmd.Context(), to, o)
		},
	}
	o.flags(cmd)
	return cmd
}

func (c *cli) rollback(ctx context.Context, to int, o carrying) error {
	began := c.Now()
	remote, err := c.remote()
	if err != nil {
		return err
	}
	stack, err := c.whichStack(ctx, "")
	if err != nil {
		return err
	}
	after, err := newest(ctx, remote, stack)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	rev, err := remote.Rollback(asking, stack, api.RollbackRequest{To: to, By: c.By, Comment: o.comment})
	var e *api.Error
	if errors.As(err, &e) && e.Code == api.CodeUnchanged {
		return c.unchanged(ctx, remote, stack, e.Message)
	}
	if err != nil {
		return c.refused(ctx, remote, stack, err)
	}
	rel, err := remote.Release(asking, stack, rev.Number)
	if err != nil {
		return err
	}
	c.say("r%d returns %s to r%d", rev.Number, stack, rev.From)
	return c.see(ctx, remote, undertaking{rev: rev, rel: rel, after: after, began: began, carrying: o})
}

// unchanged ends a command that has nothing to do, which is no failure.
func (c *cli) unchanged(ctx context.Context, remote *api.Client, stack, message string) error {
	if !c.json() {
		c.say("%s; nothing to do", message)
		return nil
	}
	st, err := remote.Status(ctx, stack)
	if err != nil {
		return err
	}
	return c.print(applied{Stack: stack, Revision: st.Revision, Outcome: st.Outcome, Unchanged: true, Stable: st.Stable, URLs: append([]string{}, st.Routes.URLs...)})
}
