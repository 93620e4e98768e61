package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// carrying is what apply and its kin are told beside what to do.
type carrying struct {
	yes, retry, detach bool
	aborts             bool // to be rolled back is what was asked for
	from               int  // the revision whose release is taken again; 0: what is declared here
	timeout            time.Duration
	comment            string
}

func (o *carrying) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.detach, "detach", false, "return as soon as the server has taken it up")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long to follow; what goes on then goes on without you")
	cmd.Flags().StringVarP(&o.comment, "reason", "m", "", "why, for the history (also: --comment)")
}

func (c *cli) applyCommand() *cobra.Command {
	var o carrying
	cmd := &cobra.Command{
		Use:        "apply",
		Short:      "Build, prove and serve what is declared here",
		SuggestFor: []string{"up", "deploy", "run", "start", "create", "push"},
		Long: `Checks the declaration, builds and seals its images, shows what will happen, asks, hands the release to the server
and follows until there is a verdict. What is applied already is not applied again.

Ctrl-C detaches; it never aborts. The next glint apply, or glint status, takes up the thread.

With --from r3 it takes the release of revision 3 again, as a new revision. No declaration and no source are needed.
Where a service says promote = "manual", it ends when the canary has baked, with 0, and says how to go on.

Exit codes:
  0    the revision serves, or its canary waits for a person's word
  1    it failed and there is nothing to go back to, or no verdict within --timeout
  2    the declaration is not valid; nothing was started
  3    the revision was rejected and the one before serves
  4    a policy does not allow it
  130  detached by Ctrl-C

With -o json, one object when it is over: {stack, revision, outcome, unchanged, stable, urls, seconds, because, instance,
tail, waits, exit}; progress goes to standard error. The declaration's errors are those of glint check -o json.`,
		Example: "  glint apply\n  glint apply --yes -m \"new checkout\"    in CI\n  glint apply --retry                     a version that failed before\n  glint apply --from r3 --stack shop      what r3 was",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.apply(cmd.Context(), o) },
	}
	o.flags(cmd)
	cmd.Flags().Var((*revisionFlag)(&o.from), "from", "take the release of this revision again, instead of what is declared here")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask; needed where nobody can answer")
	cmd.Flags().BoolVar(&o.retry, "retry", false, "try versions again that failed before")
	return cmd
}

func (c *cli) apply(ctx context.Context, o carrying) error {
	began := c.Now()
	remote, err := c.remote()
	if err != nil {
		return err
	}
	rel, req, err := c.asked(ctx, remote, o)
	if err != nil {
		return err
	}
	reply, err := remote.Plan(ctx, rel.Stack, req)
	if err != nil {
		return c.refused(ctx, remote, rel.Stack, err)
	}
	if !reply.Unchanged {
		req.After = reply.Revision - 1 // what was shown is what is agreed to
	}
	switch same := reply.Before.Digest() == rel.Digest(); {
	case same && !o.retry: // somebody comes back, or asks for what was rejected, which the server refuses
		c.sayOthers(ctx, remote, rel.Stack, "; it is this very release")
		c.sayPaused(ctx, remote, rel.Stack)
	case !reply.Unchanged || o.retry:
		c.showPlan(rel, reply)
		c.sayOthers(ctx, remote, rel.Stack, "; this takes its place")
		c.sayPaused(ctx, remote, rel.Stack)
		if err := c.confirm(ctx, "Apply?", o.yes); err != nil {
			return err
		}
	}
	after, err := newest(ctx, remote, rel.Stack)
	if err != nil {
		return err
	}
	// Whoever presses Ctrl-C here must still learn whether it was taken up.
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	got, err := remote.Apply(asking, rel.Stack, req)
	if err != nil {
		return c.refused(ctx, remote, rel.Stack, err)
	}
	return c.see(ctx, remote, undertaking{rev: got.Revision, rel: rel, after: after, unchanged: got.Unchanged, began: began, carrying: o})
}

// asked is what should become the newest revision: what is declared here, or what an earlier revision was.
func (c *cli) asked(ctx context.Context, remote *api.Client, o carrying) (rel glint.Release, req api.ApplyRequest, err error) {
	req = api.ApplyRequest{From: o.from, By: c.By, Comment: o.comment, Retry: o.retry}
	if o.from == 0 {
		rel, err = c.compiled(ctx, remote)
		req.Release = rel
		return rel, req, err
	}
	stack, err := c.whichStack(ctx, "")
	if err != nil {
		return rel, req, err
	}
	rel, err = remote.Release(ctx, stack, o.from)
	return rel, req, err
}

// sayOthers says who is at work on the stack already, and what that means.
func (c *cli) sayOthers(ctx context.Context, remote *api.Client, stack, so string) {
	st, err := remote.Status(ctx, stack)
	if err != nil || st.Outcome != glint.InProgress && st.Outcome != glint.Waiting {
		return
	}
	all, err := remote.Revisions(ctx, stack)
	if err != nil || len(all) == 0 {
		return
	}
	r := all[len(all)-1]
	c.say("  note: r%d (%s by %s, %s ago) is still being carried out%s", r.Number, r.Kind, clean(r.By), age(c.Now().Sub(r.At)), so)
}

// sayPaused says that what is asked for will wait.
func (c *cli) sayPaused(ctx context.Context, remote *api.Client, stack string) {
	if st, err := remote.Status(ctx, stack); err == nil && st.Paused != nil {
		c.say("  note: %s is %s", stack, pausedText(st))
	}
}

// refused turns a server's refusal into an exit code.
func (c *cli) refused(ctx context.Context, remote *api.Client, stack string, err error) error {
	var e *api.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case api.CodeRefused, api.CodeInvalid, api.CodeTooNew:
		return exit{exitInvalid, fmt.Errorf("%w\nnothing was started", err)}
	case api.CodeRejected:
		if st, serr := remote.Status(ctx, stack); serr == nil && st.Stable != 0 {
			return exit{exitRolledBack, err}
		}
	case api.CodeConflict:
		if all, herr := remote.Revisions(ctx, stack); herr == nil && len(all) > 0 {
			r := all[len(all)-1]
			return fail(exitFailed, "somebody else was first: r%d, %s by %s; look at it (glint status) and ask again", r.Number, r.Kind, clean(r.By))
		}
	}
	return exit{exitFailed, err}
}

// confirm asks a person. Where nobody can answer, --yes is the answer.
func (c *cli) confirm(ctx context.Context, question string, yes bool) error {
	if yes {
		return nil
	}
	if !c.Terminal {
		return fail(exitFailed, "nobody is here to answer \"%s\"; say --yes", question)
	}
	fmt.Fprintf(c.Stderr, "%s [y/N] ", question)
	answers := make(chan string, 1)
	go func() { // ends with the process: reading a terminal cannot be cut short
		line, _ := bufio.NewReader(c.Stdin).ReadString('\n')
		answers <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answers:
		if a == "y" || a == "yes" {
			return nil
		}
	case <-ctx.Done():
		fmt.Fprintln(c.Stderr)
	}
	return fail(exitFailed, "nothing was changed")
}

// An undertaking is a revision that the server has taken up, and what its verdict needs.
type undertaking struct {
	rev       glint.Revision
	rel       glint.Release
	after     int64 // the newest event before it
	order     int   // the word that must be taken up before there can be a verdict; 0: none
	unchanged bool
	began     time.Time
	carrying
}

// see follows a revision to its verdict.
func (c *cli) see(ctx context.Context, remote *api.Client, u undertaking) error {
	if u.detach {
		return c.detached(u)
	}
	var found glint.Outcome
	var baked bool
	f := &follower{remote: remote, stack: u.rev.Stack, after: u.after, narrator: newNarrator(func(line string) { c.say("%s", line) }, u.rev, u.rel)}
	f.judge = func(st api.Status, err error) bool {
		found = outcomeOf(u.rev.Number, st, err)
		if err == nil && st.Ordered < u.order {
			return false
		}
		baked = found == glint.InProgress && waitsForWord(st)
		return over(found) || baked
	}
	already := f.look(ctx, false) // what is applied already may be over already
	if !already {
		f.narrator.known(f.last, u.rel)
		err := f.run(ctx, u.timeout)
		if errors.Is(err, errDetached) {
			c.say("detached; r%d goes on. Come back with: glint status, or glint apply", u.rev.Number)
			return exit{code: exitDetached}
		}
		if errors.Is(err, errTimeout) {
			f.sayWaits(f.last)
			return c.conclude(verdict{undertaking: u, outcome: found, st: f.last, late: true, away: f.missing})
		}
		if err != nil {
			return fmt.Errorf("following r%d: %w; it goes on: see glint status", u.rev.Number, err)
		}
	}
	v := verdict{undertaking: u, already: already && u.unchanged, outcome: found, st: f.last, baked: baked, failed: f.narrator.failed}
	if found == glint.Replaced {
		v.by = overtaker(ctx, remote, u.rev)
	}
	return c.conclude(v)
}

// outcomeOf says how a revision has come out, by the status of its stack.
func outcomeOf(revision int, st api.Status, err error) glint.Outcome {
	switch {
	case errors.Is(err, glint.ErrNotFound):
		return glint.Ended
	case err != nil:
		return glint.Waiting
	case st.Revision > revision:
		return glint.Replaced
	case st.Revision < revision:
		return glint.Waiting
	}
	return st.Outcome
}

func over(o glint.Outcome) bool {
	switch o {
	case glint.Serving, glint.RolledBack, glint.Failed, glint.Replaced, glint.Ended:
		return true
	}
	return false
}

// overtaker is who made the next revision.
func overtaker(ctx context.Context, remote *api.Client, rev glint.Revision) string {
	all, err := remote.Revisions(ctx, rev.Stack)
	if err != nil || len(all) <= rev.Number {
		return "a newer revision"
	}
	next := all[rev.Number]
	return fmt.Sprintf("r%d (%s by %s)", next.Number, next.Kind, cmp.Or(clean(next.By), "somebody"))
}

func (c *cli) detached(u undertaking) error {
	if c.json() {
		return c.print(applied{Stack: u.rev.Stack, Revision: u.rev.Number, Outcome: glint.Waiting, Unchanged: u.unchanged})
	}
	if u.order > 0 {
		c.say("your word about r%d is taken down. Follow it with: glint status, or glint events -f", u.rev.Number)
		return nil
	}
	c.say("r%d is taken up. Follow it with: glint status, or glint events -f", u.rev.Number)
	return nil
}
