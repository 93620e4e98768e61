package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glint-infra/glint"
)

// Story tells what happened between two blueprints, in the order in which it matters to a reader. The blueprint numbers
// and reasons in it are the evidence behind glint why.
func Story(in Intent, before, after glint.Blueprint, seen glint.Observation) []glint.Event {
	t := &teller{before: before, after: after, seen: seen}
	t.revisions(in)
	for _, f := range after.Services {
		was, _ := before.Fleet(f.Name)
		t.fleet(was, f)
	}
	if after.Routes != before.Routes {
		t.tell(glint.Event{Kind: glint.EventRoute, Text: fmt.Sprintf("routes generation %d: %s", after.Routes, routeText(after))})
	}
	t.verdict()
	return t.events
}

type teller struct {
	before, after glint.Blueprint
	seen          glint.Observation
	events        []glint.Event
}

func (t *teller) tell(e glint.Event) {
	e.At, e.Stack, e.Blueprint = t.seen.At, t.after.Stack, t.after.Number
	if e.Revision == 0 {
		e.Revision = t.after.Revision
	}
	t.events = append(t.events, e)
}

func (t *teller) revisions(in Intent) {
	for _, o := range in.Orders {
		if o.ID > t.before.Ordered && o.ID <= t.after.Ordered {
			t.tell(glint.Event{Kind: glint.EventOrder, Service: o.Service, ID: o.Instance, Text: orderTold(o)})
		}
	}
	if t.after.Revision == t.before.Revision {
		return
	}
	text := fmt.Sprintf("r%d taken up: %s by %s", in.Head.Number, in.Head.Kind, in.Head.By)
	if in.Head.From > 0 {
		text = fmt.Sprintf("r%d taken up: %s to r%d by %s", in.Head.Number, in.Head.Kind, in.Head.From, in.Head.By)
	}
	if in.Head.Kind == glint.KindApply && in.Head.From > 0 {
		text = fmt.Sprintf("r%d taken up: apply by %s, from r%d", in.Head.Number, in.Head.By, in.Head.From)
	}
	if in.Head.Comment != "" {
		text += ": " + in.Head.Comment
	}
	t.tell(glint.Event{Kind: glint.EventRevision, Text: text})
}

func (t *teller) fleet(was, is glint.Fleet) {
	if was.Phase != is.Phase || was.Target != is.Target {
		if text := phaseText(was, is); text != "" {
			t.tell(glint.Event{Kind: glint.EventPhase, Service: is.Name, Text: text})
		}
	}
	if was.Wanted != is.Wanted && is.Wanted > 0 {
		t.tell(glint.Event{Kind: glint.EventPhase, Service: is.Name, Text: fmt.Sprintf("%d instances are wanted now", is.Wanted)})
	}
	if was.Baking.IsZero() != is.Baking.IsZero() && is.Phase == glint.Canary {
		text := "canary: all of it works; it bakes"
		if is.Baking.IsZero() {
			text = "canary: a part of it does not work any more; it must bake anew"
		}
		t.tell(glint.Event{Kind: glint.EventPhase, Service: is.Name, Text: text})
	}
	t.results(was, is)
	old := numbered(was)
	for _, m := range is.Members {
		before, had := old[m.N]
		t.member(is, before, m, had)
	}
	kept := numbered(is)
	for _, m := range was.Members {
		if _, kept := kept[m.N]; !kept {
			t.tell(glint.Event{Kind: glint.EventGone, Service: is.Name, ID: t.after.ID(is.Name, m), Reason: m.Reason, Text: "is gone"})
		}
	}
}

// numbered finds members by number: a story of ten thousand asks for each of them.
func numbered(f glint.Fleet) map[int]glint.Member {
	all := make(map[int]glint.Member, len(f.Members))
	for _, m := range f.Members {
		all[m.N] = m
	}
	return all
}

// results tells how a task came out.
func (t *teller) results(was, is glint.Fleet) {
	for _, r := range is.Done {
		if old, had := was.Result(r.Version); had && old == r {
			continue
		}
		t.tell(glint.Event{Kind: glint.EventVerdict, Service: is.Name, ID: r.Instance, Text: fmt.Sprintf("task %s: %s", r.Outcome, r.Because)})
	}
}

// orderTold writes a person's word as history has it.
func orderTold(o glint.Order) string {
	what := string(o.Kind)
	switch {
	case o.Kind == glint.OrderReplace:
		what += " " + o.Instance.Short()
	case o.Kind == glint.OrderScale:
		what += fmt.Sprintf(" %s to %d", o.Service, o.Wanted)
	case o.Service != "":
		what += " " + o.Service
	}
	return orderText(o, "said: "+what)
}

func (t *teller) member(f glint.Fleet, old, m glint.Member, had bool) {
	id := t.after.ID(f.Name, m)
	if !had {
		e := glint.Event{Kind: glint.EventCreate, Service: f.Name, ID: id, Text: "created, version " + m.Version.Short()}
		if m.Held {
			e.Text += ", as a standby"
		}
		if m.Place != "" {
			e.Text += ", at " + m.Place
		}
		if place, ok := f.Member(m.For); ok {
			e.For, e.Reason = t.after.ID(f.Name, place), place.Reason
			e.Text += ", for " + e.For.Short()
		}
		t.tell(e)
	}
	if had && old.Held && !m.Held {
		e := glint.Event{Kind: glint.EventCreate, Service: f.Name, ID: id, Text: "let go: a standby takes a place"}
		if place, ok := f.Member(m.For); ok {
			e.For, e.Reason = t.after.ID(f.Name, place), place.Reason
			e.Text += ", that of " + e.For.Short()
		}
		t.tell(e)
	}
	switch {
	case !m.Seen || old.Seen:
	case !m.Let.IsZero():
		t.tell(glint.Event{Kind: glint.EventReady, Service: f.Name, ID: id, Text: fmt.Sprintf("ready %s after it was let go", t.seen.At.Sub(m.Let).Round(1e6))})
	default:
		t.tell(glint.Event{Kind: glint.EventReady, Service: f.Name, ID: id, Text: fmt.Sprintf("ready %s after its number was given out", t.seen.At.Sub(m.Created).Round(1e6))})
	}
	if old.Warm.IsZero() != m.Warm.IsZero() && m.Stays() {
		text := "is wanted again"
		if !m.Warm.IsZero() {
			text = "is kept warm"
		}
		t.tell(glint.Event{Kind: glint.EventRoute, Service: f.Name, ID: id, Text: text})
	}
	if m.Routed != old.Routed {
		text := "takes traffic"
		if !m.Routed {
			text = "takes no more traffic"
			if inst, here := t.seen.Instance(id); here && m.Counts() && !inst.Health.Ready && inst.Health.Detail != "" {
				text += ": " + inst.Health.Detail
			}
		}
		t.tell(glint.Event{Kind: glint.EventRoute, Service: f.Name, ID: id, Reason: m.Reason, Text: text})
	}
	if !m.Stays() && old.Stays() {
		e := glint.Event{Kind: glint.EventLeave, Service: f.Name, ID: id, Reason: m.Reason, Text: "leaves: " + string(m.Reason) + ", " + m.Because}
		if inst, here := t.seen.Instance(id); here && inst.Exit != nil {
			e.Tail = inst.Exit.Tail
		}
		t.tell(e)
	}
	if !m.Ending.IsZero() && old.Ending.IsZero() {
		text := "drained; is destroyed"
		if inst, here := t.seen.Instance(id); here && inst.InFlight > 0 && inst.State != glint.Dead {
			text = fmt.Sprintf("grace is over with %d still in flight; is destroyed", inst.InFlight)
		}
		t.tell(glint.Event{Kind: glint.EventLeave, Service: f.Name, ID: id, Reason: m.Reason, Text: text})
	}
}

func phaseText(was, is glint.Fleet) string {
	switch is.Phase {
	case glint.Awaiting:
		return "waits for its turn to begin"
	case glint.Canary:
		return fmt.Sprintf("tries version %s beside %s", is.Target.Short(), is.Stable.Short())
	case glint.RollingTo:
		if was.Phase == glint.Canary && was.Target == is.Target {
			return fmt.Sprintf("the canary is promoted: rolls to version %s", is.Target.Short())
		}
		if was.Target == "" || was.Phase == glint.Empty || was.Phase == glint.Awaiting {
			return "begins with version " + is.Target.Short()
		}
		if was.Target == is.Target {
			return "changes its number of instances"
		}
		return fmt.Sprintf("rolls from version %s to %s", was.Target.Short(), is.Target.Short())
	case glint.Returning:
		return fmt.Sprintf("returns to version %s", is.Target.Short())
	case glint.Steady:
		return fmt.Sprintf("steady on version %s", is.Target.Short())
	case glint.Emptying:
		return "is no longer declared"
	case glint.Empty:
		return "has no more instances"
	}
	return ""
}

func routeText(b glint.Blueprint) string {
	var parts []string
	for _, be := range backends(b) {
		names := make([]string, len(be.Members))
		for i, m := range be.Members {
			names[i] = m.ID.Short()
		}
		if len(names) == 0 {
			names = []string{"nobody"}
		}
		parts = append(parts, fmt.Sprintf("%s:%s → %s", be.Service, be.Port.Name, strings.Join(names, " ")))
	}
	for _, h := range b.Hosts {
		parts = append(parts, fmt.Sprintf("%s → %s:%s", h.Host, h.To.Service, h.To.Port))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, "; ")
}

func (t *teller) verdict() {
	b, a := t.before, t.after
	if a.Rejected != nil && (b.Rejected == nil || b.Rejected.Revision != a.Rejected.Revision) {
		text := fmt.Sprintf("r%d is rejected: %s", a.Rejected.Revision, a.Rejected.Because)
		if a.Stable != 0 {
			text += fmt.Sprintf("; everything returns to r%d", a.Stable)
		}
		t.tell(glint.Event{Kind: glint.EventVerdict, Service: a.Rejected.Service, ID: a.Rejected.Instance, Revision: a.Rejected.Revision, Reason: glint.RejectedFor, Text: text})
	}
	if a.Stable != b.Stable && a.Stable != 0 {
		t.tell(glint.Event{Kind: glint.EventVerdict, Revision: a.Stable, Text: fmt.Sprintf("r%d serves", a.Stable)})
	}
	if returned(a) && !returned(b) {
		t.tell(glint.Event{Kind: glint.EventVerdict, Revision: a.Rejected.Revision, Text: fmt.Sprintf("rolled back to r%d", a.Stable)})
	}
}

// returned reports whether everything is back on the stable revision after a rejection.
func returned(b glint.Blueprint) bool {
	return b.Rejected != nil && b.Stable != 0 && b.Target == b.Stable && !slices.ContainsFunc(b.Services, func(f glint.Fleet) bool {
		return f.Phase != glint.Steady && f.Phase != glint.Empty
	})
}

// Outcome says how a revision has come out so far.
func Outcome(b glint.Blueprint, revision int) glint.Outcome {
	switch {
	case b.Rejected != nil && b.Rejected.Revision == revision && b.Stable == 0:
		return glint.Failed
	case b.Rejected != nil && b.Rejected.Revision == revision && returned(b):
		return glint.RolledBack
	case b.Rejected != nil && b.Rejected.Revision == revision:
		return glint.RollingBack
	case b.Stable == revision:
		return glint.Serving
	case b.Revision > revision:
		return glint.Replaced
	case b.Revision < revision:
		return glint.Waiting
	}
	return glint.InProgress
}
