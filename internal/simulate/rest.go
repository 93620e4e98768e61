package simulate

import (
	"context"
	"fmt"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

// peace ends all faults and waits until the world is what was declared, or what it was turned back to; and then it must
// stay so.
func (w *world) peace() {
	w.calm()
	w.tell("> peace")
	bound := time.Hour + 20*(w.sim.Make+w.sim.Boot)*time.Duration(w.mood.patience)
	began := w.report.Blueprints
	step := 5 * time.Second
	for end := w.sim.Now().Add(bound); ; {
		w.agree()
		w.pass(step)
		why := w.restless()
		if why == "" {
			break
		}
		if w.hopeless() && !w.sim.Now().Before(end.Add(-bound+5*time.Minute)) {
			return
		}
		if !w.sim.Now().Before(end) {
			w.fail("rest", "the world does not become what was declared within %s: %s", bound, why)
		}
		if n := w.report.Blueprints - began; n > 3000 {
			w.fail("rest", "%d blueprints since nothing befalls it any more: %s", n, why)
		}
		step = min(step*2, time.Minute)
	}
	w.report.Rested++
	if w.tell("> at rest"); w.hopeless() {
		return
	}
	w.promises.resting = true
	w.pass(w.time(time.Minute, 5*time.Minute) * time.Duration(w.mood.patience))
	if w.aging() && w.chance(25) {
		w.pass(w.time(0, 10*time.Minute) * time.Duration(w.mood.patience))
	}
	if why := w.restless(); why != "" && !w.aging() {
		w.fail("oscillation", "what was at rest is no more: %s", why)
	}
}

func (w *world) aging() bool {
	b, lives := w.head()
	return lives && w.ages(b)
}

// hopeless reports whether what is declared can never be at rest: a program that worked once and goes on failing.
func (w *world) hopeless() bool {
	b, lives := w.head()
	if !lives {
		return false
	}
	for _, f := range b.Services {
		for v, t := range f.Templates {
			fades := len(t.Command) > 0 && t.Command[0] == "fade"
			never := len(t.Command) > 0 && !task(f.Name) && t.Command[0] != "stubborn" && v == f.Target && f.Phase == glint.Steady // it served as nobody, and then more were asked for
			if f.Phase != glint.Empty && (fades || never) {
				return true
			}
		}
	}
	return false
}

// restless says how the world differs from what the blueprint's target asks for; empty when it does not.
func (w *world) restless() string {
	all := w.revisions()
	newest := all[len(all)-1]
	b, lives := w.head()
	if newest.Kind == glint.KindDestroy || !lives {
		if ids := w.sim.IDs(); lives || len(ids) > 0 {
			return fmt.Sprintf("destroyed, and yet it lives %v, %v", lives, ids)
		}
		return ""
	}
	outcome := plan.Outcome(b, newest.Number)
	switch outcome {
	case glint.Serving, glint.RolledBack:
	case glint.Failed: // nothing to go back to: no more than its failed services are missing
		return w.unsettled(b)
	default:
		return fmt.Sprintf("r%d is %s", newest.Number, outcome)
	}
	if orders, _ := w.store.Orders(context.Background(), stack); len(orders) > 0 {
		return fmt.Sprintf("order %d is open", orders[0].ID)
	}
	rel, _ := w.releaseOf(b.Target)
	for _, s := range rel.Services {
		f, _ := b.Fleet(s.Name)
		if why := w.restlessService(b, f, s); why != "" {
			return why
		}
	}
	for _, f := range b.Services {
		if _, declared := rel.Service(f.Name); !declared && len(f.Members) > 0 {
			return fmt.Sprintf("%s is not declared and has members", f.Name)
		}
	}
	for _, id := range w.sim.IDs() {
		f, _ := b.Fleet(id.Service)
		if _, ok := f.Member(id.N); !ok || id.Epoch != b.Epoch {
			return fmt.Sprintf("%s is an orphan", id.Key())
		}
	}
	return ""
}

// unsettled names a member that has still to begin or to end.
func (w *world) unsettled(b glint.Blueprint) string {
	for _, f := range b.Services {
		if f.Phase == glint.Emptying { // stays until everything declared serves
			continue
		}
		for _, m := range f.Members {
			if id := b.ID(f.Name, m); !m.Stays() || !m.Warm.IsZero() || !m.Seen && !m.Held || task(f.Name) || f.Failed > 0 && !w.sim.Serves(id) {
				return fmt.Sprintf("%s has still to begin or to end", id.Short())
			}
		}
	}
	return ""
}

// expires reports whether a member is being replaced for its age: that may be under way at any time.
func (w *world) expires(f glint.Fleet, n int) bool {
	m, there := f.Member(n)
	return there && (m.Stays() || m.Reason == glint.Expired)
}

func (w *world) restlessService(b glint.Blueprint, f glint.Fleet, s glint.Service) string {
	if f.Phase != glint.Steady || f.Failed > 0 && s.MaxAge == 0 {
		return fmt.Sprintf("%s is %s, %d failed", s.Name, f.Phase, f.Failed)
	}
	counts, held := 0, 0
	for _, m := range f.Members {
		id := b.ID(f.Name, m)
		in, _, here := w.sim.Look(id)
		switch {
		case f.Renew != nil && m.N <= f.Renew.Upto && m.Counts():
			return fmt.Sprintf("%s was to be renewed", id.Short())
		case !m.Warm.IsZero():
			return fmt.Sprintf("%s is kept warm", id.Short())
		case here && in.State == glint.Dead && m.Stays():
			return fmt.Sprintf("%s is dead", id.Short())
		case in.Tainted != "" || len(in.Deviations) > 0:
			return fmt.Sprintf("%s is not what was accepted", id.Short())
		case s.MaxAge > 0 && (!m.Stays() && m.Reason == glint.Expired || m.For > 0 && w.expires(f, m.For)):
			continue
		case !m.Stays():
			return fmt.Sprintf("%s is still there", id.Short())
		case m.Held && here && in.State == glint.Held && m.Version == f.Target:
			held++
		case !m.Seen || !here || in.Version != m.Version || m.Version != f.Target || m.Version != s.Template.Version():
			return fmt.Sprintf("%s is not what was declared", id.Short())
		case m.Counts():
			counts++
		}
	}
	want, standby := f.Wants(s), s.Standby
	if r, done := f.Result(f.Target); s.Task && done && r.Outcome == glint.Succeeded {
		want = 0
	}
	if s.Update.Strategy == glint.Recreate || want == 0 {
		standby = 0
	}
	if s.Max > 0 && f.Asked > 0 && want != min(max(f.Asked, s.Min), s.Max) {
		return fmt.Sprintf("%s: %d were asked for, and %d are wanted", s.Name, f.Asked, want)
	}
	up, down := w.sim.Reach(stack, s.Name)
	switch open := len(s.Template.Ports) > 0; {
	case s.MaxAge == 0 && (counts != want || held != standby),
		open && s.MaxAge == 0 && (up != want || down != 0),
		open && up < want-s.Update.Unavailable:
		return fmt.Sprintf("%s: %d and %d standbys wanted; %d and %d there, %d reachable, %d in the routes and not", s.Name, want, standby, counts, held, up, down)
	}
	return ""
}
