package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

func (c *cli) destroyCommand() *cobra.Command {
	var o carrying
	cmd := &cobra.Command{
		Use:        "destroy [STACK]",
		Short:      "End a stack: drain and remove all that runs",
		SuggestFor: []string{"down", "rm", "delete", "remove", "stop", "kill"},
		Long: `Takes the stack's routes away, drains and destroys its instances, and gives its addresses back. Volumes and history are
kept. Ctrl-C detaches, and -o json and the exit codes are as in glint apply; the outcome is "ended".`,
		Example: "  glint destroy\n  glint destroy shop --yes",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.destroy(cmd.Context(), first(args), o) },
	}
	o.flags(cmd)
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask; needed where nobody can answer")
	return cmd
}

func (c *cli) destroy(ctx context.Context, named string, o carrying) error {
	began := c.Now()
	remote, err := c.remote()
	if err != nil {
		return err
	}
	stack, err := c.whichStack(ctx, named)
	if err != nil {
		return err
	}
	st, err := remote.Status(ctx, stack)
	if err != nil {
		return err
	}
	count := 0
	for _, s := range st.Services {
		count += len(s.Instances)
	}
	c.say("Destroy stack %s: %s of %s. Volumes are kept.", stack, plural(count, "instance"), plural(len(st.Services), "service"))
	if err := c.confirm(ctx, fmt.Sprintf("Destroy %s?", stack), o.yes); err != nil {
		return err
	}
	after, err := newest(ctx, remote, stack)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	rev, err := remote.Destroy(asking, stack, api.WordRequest{By: c.By, Comment: o.comment})
	if err != nil {
		return c.refused(ctx, remote, stack, err)
	}
	return c.see(ctx, remote, undertaking{rev: rev, rel: glint.Release{Stack: stack}, after: after, began: began, carrying: o})
}
