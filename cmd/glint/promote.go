package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

func (c *cli) promoteCommand() *cobra.Command {
	var o carrying
	cmd := &cobra.Command{
		Use:        "promote [STACK|SERVICE]",
		Short:      "Let the others follow a canary",
		SuggestFor: []string{"approve", "confirm", "proceed", "finish"},
		Long: `Ends the bake of a canary, or of all canaries of a stack: the new version takes the other places too. The canary must be
complete and ready. It follows until there is a verdict; Ctrl-C detaches, and -o json and the exit codes are as in
glint apply.`,
		Example: "  glint promote\n  glint promote shop/web -m \"the graphs look good\"",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.promote(cmd.Context(), first(args), o) },
	}
	o.flags(cmd)
	return cmd
}

func (c *cli) promote(ctx context.Context, named string, o carrying) error {
	remote, err := c.remote()
	if err != nil {
		return err
	}
	s, err := c.meant(ctx, remote, named)
	if err != nil {
		return err
	}
	if s.n > 0 {
		return fail(exitInvalid, "%s is one instance; promote its service: glint promote %s", named, s.service)
	}
	return c.decide(ctx, remote, s.stack, o, func(ctx context.Context) (glint.Order, error) {
		return remote.Promote(ctx, s.stack, api.OrderRequest{Service: s.service, By: c.By, Comment: o.comment})
	})
}

func (c *cli) abortCommand() *cobra.Command {
	var o carrying
	cmd := &cobra.Command{
		Use:        "abort [STACK] --reason TEXT",
		Short:      "Reject what is being carried out; the revision before serves again",
		SuggestFor: []string{"cancel", "halt"},
		Long: `Rejects the revision that is being carried out, as if its instances had failed: every service returns to the stable
revision. What serves already is not aborted; go back with glint rollback. A reason is needed: it becomes the verdict.
It follows until everything is back; Ctrl-C detaches.

Exit codes: 0 the stable revision serves, 1 it does not, or there was nothing to abort. -o json is as in glint apply.`,
		Example: "  glint abort --reason \"checkout is slow on the canary\"\n  glint abort shop -m \"wrong branch\"",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := explained(o, "glint abort"); err != nil {
				return err
			}
			return c.abort(cmd.Context(), first(args), o)
		},
	}
	o.flags(cmd)
	return cmd
}

func (c *cli) abort(ctx context.Context, named string, o carrying) error {
	remote, err := c.remote()
	if err != nil {
		return err
	}
	stack, err := c.whichStack(ctx, named)
	if err != nil {
		return err
	}
	o.aborts = true
	return c.decide(ctx, remote, stack, o, func(ctx context.Context) (glint.Order, error) {
		return remote.Abort(ctx, stack, api.WordRequest{By: c.By, Comment: o.comment})
	})
}

// decide gives a word about the revision that is being carried out, and follows that to its verdict.
func (c *cli) decide(ctx context.Context, remote *api.Client, stack string, o carrying, ask func(context.Context) (glint.Order, error)) error {
	u := undertaking{began: c.Now(), carrying: o}
	all, err := remote.Revisions(ctx, stack)
	if err != nil {
		return err
	}
	u.rev = all[len(all)-1].Revision
	if u.rel, err = remote.Release(ctx, stack, u.rev.Number); err != nil {
		return err
	}
	if u.after, err = newest(ctx, remote, stack); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	order, err := ask(asking)
	var refusal *api.Error
	if errors.As(err, &refusal) && refusal.Code == api.CodeUnchanged {
		return c.unchanged(ctx, remote, stack, refusal.Message)
	}
	if err != nil {
		return declined(err)
	}
	u.order, u.rev.At = order.ID, order.At
	return c.see(ctx, remote, u)
}
