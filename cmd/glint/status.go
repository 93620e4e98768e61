package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:        "status [STACK]",
		Short:      "Show what is declared beside what is seen",
		SuggestFor: []string{"show", "get", "info", "describe"},
		Long: `Shows on one screen what a stack should be and what it is: the revision and how it came out, every instance
with its state, the generation of routes that is decided and the one in force, and for what Glint waits.

With -o json: stack, revision, outcome, ready, wanted, target, stable, rejected, routes {decided, in_force, hosts, urls},
services [{name, phase, since, version, image, wanted, ready, min, max, asked, standby, held, warm, canary {wanted, ready,
baking, until, manual}, failed, tries, task, done, after, renew, instances [{id, member, seen}]}], paused, ordered, orders,
notes, seen_at, complete, silent, places.`,
		Example: "  glint status\n  glint status shop -o json | jq .outcome",
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
			st, err := remote.Status(cmd.Context(), stack)
			if err != nil {
				return err
			}
			if c.json() {
				return c.print(st)
			}
			return c.showStatus(st)
		},
	}
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (c *cli) showStatus(st api.Status) error {
	look := st.SeenAt
	c.say("%s  r%d %s  %d/%d ready%s", st.Stack, st.Revision, c.paint(moodOf(st.Outcome), string(st.Outcome)), st.Ready, st.Wanted, carriedOut(st))
	for _, url := range st.Routes.URLs {
		c.say("  %s", url)
	}
	c.say("")
	var rows []string
	for _, s := range st.Services {
		rows = append(rows, serviceRow(s))
	}
	if err := c.table("SERVICE\tPHASE\tREADY\tVERSION\tIMAGE", rows); err != nil {
		return err
	}
	for _, s := range st.Services {
		for _, text := range serviceDetails(st, s) {
			c.say("  %s: %s", s.Name, text)
		}
	}
	c.say("")
	if err := c.showInstances(st); err != nil {
		return err
	}
	c.say("")
	c.say("routes   generation %d in force%s", st.Routes.InForce, behind(st.Routes))
	c.sayPlaces(st)
	for _, n := range waits(st) {
		c.say("waits    %s", noteText(n))
	}
	switch {
	case look.IsZero():
		c.say("seen     not yet")
	case st.Complete:
		c.say("seen     %s ago, complete", age(c.Now().Sub(look)))
	default:
		c.say("seen     %s ago, %s: %s", age(c.Now().Sub(look)), c.paint(bad, "incomplete"), strings.Join(st.Silent, "; "))
	}
	return nil
}

func serviceRow(s api.ServiceStatus) string {
	phase, ready := string(s.Phase), fmt.Sprintf("%d/%d", s.Ready, s.Wanted)
	if s.Task {
		ready = "task"
		if s.Done != nil {
			phase = string(s.Done.Outcome)
		}
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", s.Name, dash(phase), ready, s.Version.Short(), s.Image.Short())
}

// serviceDetails says what a row does not: what a canary, a task, a scaled service is at.
func serviceDetails(st api.Status, s api.ServiceStatus) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if s.Canary != nil {
		say("canary: %s", canaryText(st, s))
	}
	if s.Done != nil {
		say("%s %s ago, as %s: %s", s.Done.Outcome, age(st.SeenAt.Sub(s.Done.At)), s.Done.Instance.Short(), clean(s.Done.Because))
	}
	switch {
	case s.Max > 0 && s.Asked > 0 && s.Asked != s.Wanted:
		say("%d wanted of %d to %d; %d are asked for", s.Wanted, s.Min, s.Max, s.Asked)
	case s.Max > 0:
		say("%d wanted of %d to %d", s.Wanted, s.Min, s.Max)
	}
	if s.Standby > 0 || s.Held > 0 {
		say("%d of %d on standby", s.Held, s.Standby)
	}
	if s.Warm > 0 {
		say("%d of the version before kept warm, for %s more", s.Warm, age(warmUntil(s).Sub(st.SeenAt)))
	}
	if s.Renew != nil && left(s, s.Renew.Upto) > 0 {
		say("renewed by the word of %s: %d to go", clean(s.Renew.By), left(s, s.Renew.Upto))
	}
	return out
}

// warmUntil is when the last spare of the version before goes.
func warmUntil(s api.ServiceStatus) (until time.Time) {
	for _, in := range s.Instances {
		if w := in.Member.Warm; in.Member.Stays() && w.After(until) {
			until = w
		}
	}
	return until
}

// left counts the members up to a number that do the service's work.
func left(s api.ServiceStatus, upto int) (n int) {
	for _, in := range s.Instances {
		if in.ID.N <= upto && in.Member.Counts() {
			n++
		}
	}
	return n
}

// sayPlaces says where instances are, where there are places.
func (c *cli) sayPlaces(st api.Status) {
	for _, p := range st.Places {
		n := 0
		for _, s := range st.Services {
			for _, in := range s.Instances {
				if placeOf(in) == p.Name {
					n++
				}
			}
		}
		text := plural(n, "instance")
		if p.Zone != "" {
			text = "zone " + p.Zone + ", " + text
		}
		if p.Closed {
			text += ", closed"
		}
		if slices.ContainsFunc(st.Silent, func(s string) bool { return s == p.Name }) {
			text += ", " + c.paint(bad, "silent")
		}
		c.say("place    %s: %s", clean(p.Name), text)
	}
}

// placeOf is where an instance was seen, or else where it was asked for.
func placeOf(in api.InstanceStatus) string {
	if in.Seen != nil && in.Seen.Place != "" {
		return in.Seen.Place
	}
	return in.Member.Place
}

func moodOf(o glint.Outcome) mood {
	switch o {
	case glint.Serving:
		return good
	case glint.RolledBack, glint.RollingBack, glint.Failed:
		return bad
	}
	return aside
}

func carriedOut(st api.Status) string {
	s := ""
	if st.Target != st.Revision && st.Target != 0 {
		s = fmt.Sprintf(", r%d is carried out", st.Target)
	}
	if st.Paused != nil {
		s += ", paused"
	}
	if st.Rejected != nil {
		s += fmt.Sprintf("\n  r%d was rejected: %s", st.Rejected.Revision, clean(st.Rejected.Because))
	}
	return s
}

func behind(r api.RouteStatus) string {
	if r.InForce == r.Decided {
		return ""
	}
	return fmt.Sprintf(", %d decided", r.Decided)
}

func noteText(n glint.Note) string {
	who := n.Service
	if !n.ID.IsZero() {
		who = n.ID.Short()
	}
	return clean(strings.TrimSpace(who + " " + n.Text))
}

const instanceHead = "INSTANCE\tSTATE\tHEALTH\tTRAFFIC\tAGE\tADDRESS\tPID\tIN FLIGHT\tVERSION"

// showInstances prints the table of instances, with their places where there are any.
func (c *cli) showInstances(st api.Status) error {
	head, rows := instanceHead, []string{}
	if len(st.Places) > 0 {
		head += "\tPLACE"
	}
	for _, s := range st.Services {
		for _, in := range s.Instances {
			row := instanceRow(st, s, in)
			if len(st.Places) > 0 {
				row += "\t" + dash(clean(placeOf(in)))
			}
			rows = append(rows, row)
		}
	}
	return c.table(head, rows)
}

func instanceRow(st api.Status, s api.ServiceStatus, in api.InstanceStatus) string {
	p := process(st, s, in)
	pid, flight := "-", "-"
	if p.Pid != 0 {
		pid = fmt.Sprint(p.Pid)
	}
	if p.Seen && p.InFlight >= 0 {
		flight = fmt.Sprint(p.InFlight)
	}
	traffic := "no"
	switch {
	case p.Role == roleStandby:
		traffic = "standby"
	case p.Role == roleWarm:
		traffic = "warm " + age(in.Member.Warm.Sub(st.SeenAt))
	case p.Routed && p.Role == roleCanary:
		traffic = "canary"
	case p.Routed:
		traffic = "yes"
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", in.ID.Short(), p.State, health(p), traffic,
		age(st.SeenAt.Sub(in.Member.Created)), dash(p.Address), pid, flight, in.Member.Version.Short())
}

func health(p running) string {
	switch {
	case p.Leaving != "":
		return "leaves: " + string(p.Leaving)
	case p.State != glint.Running || p.Health == "":
		return "-"
	case p.Ready:
		return "ready"
	}
	return clean(p.Health)
}
