package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

func (c *cli) regenerateCommand() *cobra.Command {
	var o carrying
	cmd := &cobra.Command{
		Use:        "regenerate [STACK|SERVICE]",
		Short:      "Replace every instance, though nothing changed",
		SuggestFor: []string{"renew", "recreate", "redeploy", "refresh"},
		Long: `Puts new instances of the same version in the places of all that a service, or the whole stack, has now: within the
update budget, a new one first, nothing dropped. It returns when all of them are younger than the word. Ctrl-C detaches.

With -o json, one object when it is over: {stack, kind, service, order, done, seconds}.`,
		Example: "  glint regenerate\n  glint regenerate shop/web -m \"after the leak of a key\"",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.regenerate(cmd.Context(), first(args), o)
		},
	}
	o.flags(cmd)
	return cmd
}

func (c *cli) regenerate(ctx context.Context, named string, o carrying) error {
	remote, err := c.remote()
	if err != nil {
		return err
	}
	s, err := c.meant(ctx, remote, named)
	if err != nil {
		return err
	}
	if s.n > 0 {
		return fail(exitInvalid, "%s is one instance; replace it: glint replace %s", named, named)
	}
	before, err := remote.Status(ctx, s.stack)
	if err != nil {
		return err
	}
	return c.run(ctx, remote, errand{
		subject: s, carrying: o, kind: glint.OrderRegenerate,
		what: "the renewal of " + s.whole(), look: "glint why " + s.whole(), end: fmt.Sprintf("every instance of %s is new", s.whole()),
		ask: func(ctx context.Context, remote *api.Client) (glint.Order, error) {
			return remote.Regenerate(ctx, s.stack, api.OrderRequest{Service: s.service, By: c.By, Comment: o.comment})
		},
		done: renewed(s.service, before),
	})
}

// renewed is over when nobody is left of those that there were, and all that is wanted serves.
func renewed(service string, before api.Status) func(api.Status) bool {
	last := map[string]int{} // the highest number that is to go, by service
	for _, s := range before.Services {
		for _, in := range s.Instances {
			last[s.Name] = max(last[s.Name], in.ID.N)
		}
	}
	return func(st api.Status) bool {
		return !slices.ContainsFunc(st.Services, func(s api.ServiceStatus) bool {
			if s.Task || service != "" && s.Name != service {
				return false
			}
			upto := last[s.Name]
			if s.Renew != nil {
				upto = max(upto, s.Renew.Upto)
			}
			return s.Ready < s.Wanted || slices.ContainsFunc(s.Instances, func(in api.InstanceStatus) bool {
				return in.ID.N <= upto && in.Member.Warm.IsZero()
			})
		})
	}
}
