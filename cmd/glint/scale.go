package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

func (c *cli) scaleCommand() *cobra.Command {
	var o carrying
	cmd := &cobra.Command{
		Use:        "scale SERVICE NUMBER",
		Short:      "Ask for another number of instances, within what is declared",
		SuggestFor: []string{"resize", "autoscale"},
		Long: `Asks for another number of instances of a service whose declaration gives bounds: instances { min = 2  max = 10 }. More
are taken up when all that there are work, fewer at once; both within the update budget. The number outlives glint apply.
It returns when that number serves. Ctrl-C detaches.

With -o json, one object when it is over: {stack, kind, service, wanted, order, unchanged, done, seconds}.`,
		Example: "  glint scale web 5\n  glint scale shop/web 8 -m \"the sale begins\"",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 0 {
				return fail(exitInvalid, "%q is not a number of instances, such as: glint scale web 5", args[1])
			}
			return c.scale(cmd.Context(), args[0], n, o)
		},
	}
	o.flags(cmd)
	return cmd
}

func (c *cli) scale(ctx context.Context, named string, n int, o carrying) error {
	s, err := parseSubject(named)
	if err != nil {
		return err
	}
	if s.n > 0 {
		return fail(exitInvalid, "%s is one instance; scale its service: glint scale %s %d", named, s.service, n)
	}
	remote, err := c.remote()
	if err != nil {
		return err
	}
	if s.stack, err = c.whichStack(ctx, s.stack); err != nil {
		return err
	}
	return c.run(ctx, remote, errand{
		subject: s, carrying: o, kind: glint.OrderScale, wanted: n,
		what: fmt.Sprintf("scaling %s to %d", s.whole(), n), look: "glint why " + s.whole(), end: fmt.Sprintf("%s has %s", s.whole(), plural(n, "instance")),
		ask: func(ctx context.Context, remote *api.Client) (glint.Order, error) {
			return remote.Scale(ctx, s.stack, s.service, api.ScaleRequest{Wanted: n, By: c.By, Comment: o.comment})
		},
		done: func(st api.Status) bool { return scaled(st, s.service, n) },
	})
}

// scaled reports whether so many serve, and nobody is left over.
func scaled(st api.Status, service string, n int) bool {
	return slices.ContainsFunc(st.Services, func(s api.ServiceStatus) bool {
		left := slices.ContainsFunc(s.Instances, func(in api.InstanceStatus) bool { return !in.Member.Stays() })
		return s.Name == service && s.Wanted == n && s.Ready == n && !left
	})
}
