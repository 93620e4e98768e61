package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

func (c *cli) pauseCommand() *cobra.Command {
	var o carrying
	cmd := &cobra.Command{
		Use:        "pause [STACK] --reason TEXT",
		Short:      "Let no rollout go on",
		SuggestFor: []string{"hold", "freeze", "stop"},
		Long: `Holds every rollout of a stack where it stands: no new version is taken up, no canary is promoted. What fails, drifts or
ages is still replaced, in the version that it had. It lasts until glint resume; rollback, abort and destroy end it too.
A reason is needed: it is what others find when they wonder why nothing moves.

With -o json: {stack, kind, order, unchanged, done, seconds}.`,
		Example: "  glint pause --reason \"errors at checkout\"\n  glint pause shop -m \"no changes during the sale\"",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := explained(o, "glint pause"); err != nil {
				return err
			}
			return c.hold(cmd.Context(), first(args), o, glint.OrderPause)
		},
	}
	o.flags(cmd)
	return cmd
}

func (c *cli) resumeCommand() *cobra.Command {
	var o carrying
	cmd := &cobra.Command{
		Use:        "resume [STACK]",
		Short:      "Let rollouts go on after a pause",
		SuggestFor: []string{"continue", "unpause", "unfreeze"},
		Long: `Ends a pause: what was held goes on where it stood. It returns as soon as that is taken up; follow the rollout with
glint apply, or glint status.

With -o json: {stack, kind, order, unchanged, done, seconds}.`,
		Example: "  glint resume\n  glint resume shop -m \"it was the database\"",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.hold(cmd.Context(), first(args), o, glint.OrderResume)
		},
	}
	o.flags(cmd)
	return cmd
}

// hold gives the word to pause or to resume.
func (c *cli) hold(ctx context.Context, named string, o carrying, kind glint.OrderKind) error {
	remote, err := c.remote()
	if err != nil {
		return err
	}
	stack, err := c.whichStack(ctx, named)
	if err != nil {
		return err
	}
	e := errand{subject: subject{stack: stack}, carrying: o, kind: kind, look: "glint status " + stack}
	word := api.WordRequest{By: c.By, Comment: o.comment}
	if kind == glint.OrderPause {
		e.what, e.end = "the pause of "+stack, stack+" is paused. To let it go on: glint resume "+stack
		e.ask = func(ctx context.Context, remote *api.Client) (glint.Order, error) {
			return remote.Pause(ctx, stack, word)
		}
	} else {
		e.what, e.end = "the end of the pause of "+stack, stack+" goes on. Follow it with: glint status "+stack
		e.ask = func(ctx context.Context, remote *api.Client) (glint.Order, error) {
			return remote.Resume(ctx, stack, word)
		}
	}
	return c.run(ctx, remote, e)
}
