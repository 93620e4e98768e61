package main

import (
	"fmt"
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
services [{name, phase, version, image, wanted, ready, instances [{id, member, seen}]}], notes, seen_at, complete, silent.`,
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
		rows = append(rows, fmt.Sprintf("%s\t%s\t%d/%d\t%s\t%s", s.Name, s.Phase, s.Ready, s.Wanted, s.Version.Short(), s.Image.Short()))
	}
	if err := c.table("SERVICE\tPHASE\tREADY\tVERSION\tIMAGE", rows); err != nil {
		return err
	}
	c.say("")
	if err := c.table(instanceHead, instanceRows(st, look)); err != nil {
		return err
	}
	c.say("")
	c.say("routes   generation %d in force%s", st.Routes.InForce, behind(st.Routes))
	for _, n := range st.Notes {
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

func instanceRows(st api.Status, look time.Time) []string {
	var rows []string
	for _, s := range st.Services {
		for _, in := range s.Instances {
			p := process(st, s, in)
			pid, flight := "-", "-"
			if p.Pid != 0 {
				pid = fmt.Sprint(p.Pid)
			}
			if p.Seen && p.InFlight >= 0 {
				flight = fmt.Sprint(p.InFlight)
			}
			traffic := "no"
			if p.Routed {
				traffic = "yes"
			}
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", in.ID.Short(), p.State, health(p), traffic,
				age(look.Sub(in.Member.Created)), dash(p.Address), pid, flight, in.Member.Version.Short()))
		}
	}
	return rows
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
