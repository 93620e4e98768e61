package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// ordered is what pause, resume, regenerate and scale print with -o json.
type ordered struct {
	Stack     string          `json:"stack"`
	Kind      glint.OrderKind `json:"kind"`
	Service   string          `json:"service,omitempty"`
	Wanted    int             `json:"wanted,omitempty"` // by glint scale
	Order     int             `json:"order"`            // its number; 0: there was nothing to do
	Unchanged bool            `json:"unchanged"`        // it is so already
	Done      bool            `json:"done"`             // false: detached
	Seconds   float64         `json:"seconds"`
}

// An errand is a person's word, and how it is followed until it is carried out.
type errand struct {
	subject
	carrying
	kind   glint.OrderKind
	wanted int
	what   string // as people call it: "the pause of shop"
	look   string // the command that shows how it goes on
	ask    func(context.Context, *api.Client) (glint.Order, error)
	done   func(api.Status) bool // once it is taken up; nil: that is all
	end    string                // what to say when it is done
}

// run gives a word to the server and follows what comes of it.
func (c *cli) run(ctx context.Context, remote *api.Client, e errand) error {
	began := c.Now()
	st, err := remote.Status(ctx, e.stack)
	if err != nil {
		return err
	}
	after, err := newest(ctx, remote, e.stack)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	order, err := e.ask(asking, remote)
	out := ordered{Stack: e.stack, Kind: e.kind, Service: e.service, Wanted: e.wanted, Order: order.ID}
	if refusal := new(api.Error); errors.As(err, &refusal) && refusal.Code == api.CodeUnchanged {
		out.Unchanged, out.Done = true, true
		return c.report(out, refusal.Message+"; nothing to do")
	}
	if err != nil {
		return declined(err)
	}
	if e.detach {
		return c.report(out, fmt.Sprintf("%s is asked for. Follow it with: %s", e.what, e.look))
	}
	n := newNarrator(func(line string) { c.say("%s", line) }, glint.Revision{At: order.At}, glint.Release{})
	n.expect(st, e.kind != glint.OrderRegenerate)
	if e.wanted > 0 {
		n.wanted[e.service] = e.wanted
	}
	f := &follower{remote: remote, stack: e.stack, after: after, narrator: n, judge: func(st api.Status, err error) bool {
		return errors.Is(err, glint.ErrNotFound) || err == nil && st.Ordered >= order.ID && (e.done == nil || e.done(st))
	}}
	if err := c.until(ctx, f, e.timeout, e.what, e.look); err != nil {
		return err
	}
	took := c.Now().Sub(began)
	out.Done, out.Seconds = true, math.Round(took.Seconds()*1000)/1000
	return c.report(out, c.paint(good, fmt.Sprintf("%s (%s)", e.end, seconds(took))))
}

// declined gives a word that cannot be meant so the exit code of a bad command.
func declined(err error) error {
	if e := new(api.Error); errors.As(err, &e) && (e.Code == api.CodeRefused || e.Code == api.CodeInvalid) {
		return exit{exitInvalid, err}
	}
	return err
}

// report ends an errand.
func (c *cli) report(out ordered, text string) error {
	if c.json() {
		return c.print(out)
	}
	c.say("%s", text)
	return nil
}

// until follows to the end, and says how to come back when somebody does not stay so long.
func (c *cli) until(ctx context.Context, f *follower, timeout time.Duration, what, look string) error {
	err := f.run(ctx, timeout)
	switch {
	case errors.Is(err, errDetached):
		c.say("detached; %s goes on. Come back with: %s", what, look)
		return exit{code: exitDetached}
	case errors.Is(err, errTimeout):
		f.sayWaits(f.last)
		return fail(exitFailed, "%s is not done within %s; it goes on without you: %s", what, timeout, look)
	case err != nil:
		return fmt.Errorf("following %s: %w", what, err)
	}
	return nil
}

// explained wants a reason for what others will stumble over.
func explained(o carrying, example string) error {
	if strings.TrimSpace(o.comment) == "" {
		return fail(exitInvalid, "say why; others will find it in the history, such as: %s --reason \"errors at checkout\"", example)
	}
	return nil
}

// meant finds what a person named: shop/web, a service, or a stack. A service of the stack that is spoken of goes first.
func (c *cli) meant(ctx context.Context, remote *api.Client, word string) (s subject, err error) {
	if word != "" {
		if s, err = parseSubject(word); err != nil || s.stack != "" {
			return s, err
		}
	}
	own, ownErr := c.whichStack(ctx, "")
	if word == "" || s.n > 0 {
		s.stack = own
		return s, ownErr
	}
	stacks, err := remote.Stacks(ctx)
	if err != nil {
		return s, err
	}
	if !slices.ContainsFunc(stacks, func(o api.Summary) bool { return o.Stack == word }) {
		s.stack = own
		return s, ownErr
	}
	if ownErr == nil {
		if st, err := remote.Status(ctx, own); err == nil && slices.ContainsFunc(st.Services, func(o api.ServiceStatus) bool { return o.Name == word }) {
			return subject{stack: own, service: word}, nil
		}
	}
	return subject{stack: word}, nil
}

// whole is what a person named, with its stack: shop, shop/web.
func (s subject) whole() string {
	if s.service == "" {
		return s.stack
	}
	return s.stack + "/" + s.String()
}
