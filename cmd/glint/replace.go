package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// replaced is what glint replace -o json prints.
type replaced struct {
	Stack    string  `json:"stack"`
	Instance string  `json:"instance"`
	By       string  `json:"by,omitempty"` // the instance in its place
	Order    int     `json:"order"`
	Done     bool    `json:"done"` // false: detached
	Seconds  float64 `json:"seconds"`
}

func (c *cli) replaceCommand() *cobra.Command {
	var o carrying
	cmd := &cobra.Command{
		Use:        "replace INSTANCE",
		Short:      "Put a new instance in the place of one",
		SuggestFor: []string{"restart", "recycle", "reload"},
		Long: `Starts another instance of the same version, and when it takes traffic drains and destroys the one that was named,
within the service's update budget. It returns when that is done. Ctrl-C detaches.

With -o json, one object when it is over: {stack, instance, by, order, done, seconds}.`,
		Example: "  glint replace web.1\n  glint replace shop/web.1 -m \"it behaves oddly\"",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.replace(cmd.Context(), args[0], o) },
	}
	o.flags(cmd)
	return cmd
}

func (c *cli) replace(ctx context.Context, name string, o carrying) error {
	began := c.Now()
	s, err := parseSubject(name)
	if err != nil {
		return err
	}
	if s.n == 0 {
		return fail(exitInvalid, "%q is a service; name one of its instances, such as %s.1. See them with: glint ps", name, s.service)
	}
	remote, err := c.remote()
	if err != nil {
		return err
	}
	if s.stack, err = c.whichStack(ctx, s.stack); err != nil {
		return err
	}
	after, err := newest(ctx, remote, s.stack)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	order, err := remote.Replace(asking, s.stack, s.service, s.n, api.WordRequest{By: c.By, Comment: o.comment})
	if err != nil {
		return err
	}
	done := replaced{Stack: s.stack, Instance: s.String(), Order: order.ID}
	if o.detach {
		if c.json() {
			return c.print(done)
		}
		c.say("%s will be replaced. Follow it with: glint why %s", s, s)
		return nil
	}
	n := newNarrator(func(line string) { c.say("%s", line) }, glint.Revision{At: order.At}, glint.Release{})
	f := &follower{remote: remote, stack: s.stack, after: after, narrator: n, judge: replacedBy(s)}
	if err := c.until(ctx, f, o.timeout, "the replacement of "+s.String(), "glint why "+s.String()); err != nil {
		return err
	}
	return c.wasReplaced(s, n.created[s.service], done, began)
}

// replacedBy is over when the instance is gone and its service has all that it wants.
func replacedBy(s subject) func(api.Status, error) bool {
	return func(st api.Status, err error) bool {
		if err != nil {
			return errors.Is(err, glint.ErrNotFound)
		}
		for _, service := range st.Services {
			if service.Name != s.service {
				continue
			}
			for _, in := range service.Instances {
				if in.ID.N == s.n {
					return false
				}
			}
			return service.Ready >= service.Wanted
		}
		return true
	}
}

func (c *cli) wasReplaced(s subject, by glint.ID, done replaced, began time.Time) error {
	if !by.IsZero() {
		done.By = by.Short()
	}
	took := c.Now().Sub(began)
	done.Done, done.Seconds = true, took.Seconds()
	switch {
	case c.json():
		return c.print(done)
	case done.By != "":
		c.say("%s", c.paint(good, fmt.Sprintf("%s was replaced by %s (%s)", s, done.By, seconds(took))))
	default:
		c.say("%s", c.paint(good, fmt.Sprintf("%s was replaced (%s)", s, seconds(took))))
	}
	return nil
}
