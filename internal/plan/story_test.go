package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

// A tale is what changed between two blueprints, and what is told of it.
type tale struct {
	name string
	do   func(before, after *glint.Blueprint, s *scene)
	want string
}

// TestStory: each change is told, with the evidence behind it.
func TestStory(t *testing.T) {
	m := func(b *glint.Blueprint, n int) *glint.Member { return &b.Services[0].Members[n-1] }
	f := func(b *glint.Blueprint) *glint.Fleet { return &b.Services[0] }
	word := func(s *scene, kind glint.OrderKind, o glint.Order) {
		o.Kind = kind
		s.order(o)
	}
	for _, tt := range []tale{
		{"nothing", func(b, a *glint.Blueprint, s *scene) {}, ``},
		{"the first revision", func(b, a *glint.Blueprint, s *scene) { b.Revision = 0 }, `
			revision r1: r1 taken up: apply by ann`},
		{"another revision, with a comment", func(b, a *glint.Blueprint, s *scene) {
			s.in.Head.Number, a.Revision, s.in.Head.Comment = 2, 2, "faster"
		}, `
			revision r2: r2 taken up: apply by ann: faster`},
		{"a way back", func(b, a *glint.Blueprint, s *scene) {
			s.in.Head = glint.Revision{Number: 3, Kind: glint.KindRollback, From: 1, By: "ann"}
			a.Revision = 3
		}, `
			revision r3: r3 taken up: rollback to r1 by ann`},
		{"an apply of what was before", func(b, a *glint.Blueprint, s *scene) {
			s.in.Head.Number, s.in.Head.From, a.Revision = 3, 1, 3
		}, `
			revision r3: r3 taken up: apply by ann, from r1`},
		{"a person's words", func(b, a *glint.Blueprint, s *scene) {
			word(s, glint.OrderPause, glint.Order{})
			word(s, glint.OrderReplace, glint.Order{Instance: s.id(2), Comment: "looks odd"})
			word(s, glint.OrderScale, glint.Order{Service: "web", Wanted: 5})
			word(s, glint.OrderPromote, glint.Order{Service: "web"})
			word(s, glint.OrderResume, glint.Order{})
			b.Ordered, a.Ordered = 1, 4
		}, `
			order r1 web.2: ann said: replace web.2: looks odd
			order r1 web: ann said: scale web to 5
			order r1 web: ann said: promote web`},
		{"it waits for its turn", func(b, a *glint.Blueprint, s *scene) { f(b).Phase, f(a).Phase = "", glint.Awaiting }, `
			phase r1 web: waits for its turn to begin`},
		{"it tries a version", func(b, a *glint.Blueprint, s *scene) { f(a).Phase, f(a).Target = glint.Canary, v2 }, `
			phase r1 web: tries version v2 beside v1`},
		{"its canary is promoted", func(b, a *glint.Blueprint, s *scene) {
			f(b).Phase, f(b).Target = glint.Canary, v2
			f(a).Phase, f(a).Target = glint.RollingTo, v2
		}, `
			phase r1 web: the canary is promoted: rolls to version v2`},
		{"it leaves a canary for another version", func(b, a *glint.Blueprint, s *scene) {
			f(b).Phase, f(b).Target = glint.Canary, v2
			f(a).Phase, f(a).Target = glint.RollingTo, v3
		}, `
			phase r1 web: rolls from version v2 to v3`},
		{"it begins", func(b, a *glint.Blueprint, s *scene) { f(b).Phase, f(b).Target, f(a).Phase = "", "", glint.RollingTo }, `
			phase r1 web: begins with version v1`},
		{"it begins again", func(b, a *glint.Blueprint, s *scene) { f(b).Phase, f(a).Phase = glint.Empty, glint.RollingTo }, `
			phase r1 web: begins with version v1`},
		{"it waits no more", func(b, a *glint.Blueprint, s *scene) { f(b).Phase, f(a).Phase = glint.Awaiting, glint.RollingTo }, `
			phase r1 web: begins with version v1`},
		{"another number is wanted", func(b, a *glint.Blueprint, s *scene) { f(a).Phase = glint.RollingTo }, `
			phase r1 web: changes its number of instances`},
		{"it rolls", func(b, a *glint.Blueprint, s *scene) { f(a).Phase, f(a).Target = glint.RollingTo, v2 }, `
			phase r1 web: rolls from version v1 to v2`},
		{"it rolls to another version", func(b, a *glint.Blueprint, s *scene) {
			f(b).Phase, f(b).Target = glint.RollingTo, v2
			f(a).Phase, f(a).Target = glint.RollingTo, v3
		}, `
			phase r1 web: rolls from version v2 to v3`},
		{"it returns", func(b, a *glint.Blueprint, s *scene) { f(a).Phase = glint.Returning }, `
			phase r1 web: returns to version v1`},
		{"it is steady", func(b, a *glint.Blueprint, s *scene) { f(b).Phase = glint.RollingTo }, `
			phase r1 web: steady on version v1`},
		{"it is no longer declared", func(b, a *glint.Blueprint, s *scene) { f(a).Phase = glint.Emptying }, `
			phase r1 web: is no longer declared`},
		{"it is empty", func(b, a *glint.Blueprint, s *scene) { f(a).Phase = glint.Empty }, `
			phase r1 web: has no more instances`},
		{"a phase without a name is not told", func(b, a *glint.Blueprint, s *scene) { f(a).Phase = "" }, ``},
		{"another number was taken up", func(b, a *glint.Blueprint, s *scene) { f(b).Wanted, f(a).Wanted = 3, 5 }, `
			phase r1 web: 5 instances are wanted now`},
		{"one was taken up", func(b, a *glint.Blueprint, s *scene) { f(b).Wanted, f(a).Wanted = 3, 1 }, `
			phase r1 web: 1 instances are wanted now`},
		{"the number is fixed again", func(b, a *glint.Blueprint, s *scene) { f(b).Wanted, f(a).Wanted = 3, 0 }, ``},
		{"a canary bakes", func(b, a *glint.Blueprint, s *scene) {
			f(b).Phase, f(a).Phase = glint.Canary, glint.Canary
			f(a).Baking = noon
		}, `
			phase r1 web: canary: all of it works; it bakes`},
		{"a canary bakes still", func(b, a *glint.Blueprint, s *scene) {
			f(b).Phase, f(a).Phase = glint.Canary, glint.Canary
			f(b).Baking, f(a).Baking = noon.Add(-1), noon
		}, ``},
		{"a canary broke", func(b, a *glint.Blueprint, s *scene) {
			f(b).Phase, f(a).Phase = glint.Canary, glint.Canary
			f(b).Baking = noon
		}, `
			phase r1 web: canary: a part of it does not work any more; it must bake anew`},
		{"a canary that is over bakes no more", func(b, a *glint.Blueprint, s *scene) {
			f(b).Phase, f(a).Phase = glint.RollingTo, glint.RollingTo
			f(b).Baking = noon
		}, ``},
		{"a task came out", func(b, a *glint.Blueprint, s *scene) {
			old := glint.Result{Version: v1, Instance: s.id(1), Outcome: glint.Succeeded, Because: "exited 0"}
			f(b).Done = []glint.Result{old, {Version: v3, Instance: s.id(1), Outcome: glint.Broke, Because: "exited 1"}}
			f(a).Done = []glint.Result{old, {Version: v3, Instance: s.id(2), Outcome: glint.UnknownFinish, Because: "it vanished"}, {Version: v2, Instance: s.id(3), Outcome: glint.Broke, Because: "exited 2"}}
		}, `
			verdict r1 web web.2: task unknown: it vanished
			verdict r1 web web.3: task failed: exited 2`},
		{"one joins", func(b, a *glint.Blueprint, s *scene) {
			f(b).Members = f(b).Members[:2]
			m(a, 3).Seen, m(a, 3).Routed = false, false
		}, `
			create r1 web web.3: created, version v1`},
		{"one joins for another, as a standby, at a place", func(b, a *glint.Blueprint, s *scene) {
			f(b).Members = f(b).Members[:2]
			m(a, 3).Seen, m(a, 3).Routed, m(a, 3).Held, m(a, 3).Place, m(a, 3).For = false, false, true, "host1", 2
			m(a, 2).Reason = glint.Lost
		}, `
			create r1 web web.3 for web.2 (lost): created, version v1, as a standby, at host1, for web.2`},
		{"one joins for another that is forgotten", func(b, a *glint.Blueprint, s *scene) {
			f(b).Members = f(b).Members[:2]
			m(a, 3).Seen, m(a, 3).Routed, m(a, 3).For = false, false, 9
		}, `
			create r1 web web.3: created, version v1`},
		{"a standby is let go", func(b, a *glint.Blueprint, s *scene) { m(b, 3).Held = true }, `
			create r1 web web.3: let go: a standby takes a place`},
		{"a standby is let go for another", func(b, a *glint.Blueprint, s *scene) {
			m(b, 3).Held = true
			m(a, 3).For, m(a, 2).Reason = 2, glint.Lost
		}, `
			create r1 web web.3 for web.2 (lost): let go: a standby takes a place, that of web.2`},
		{"a standby stays", func(b, a *glint.Blueprint, s *scene) { m(b, 3).Held, m(a, 3).Held = true, true }, ``},
		{"one is ready", func(b, a *glint.Blueprint, s *scene) {
			m(b, 1).Seen = false
			m(a, 1).Created = noon.Add(-2501*time.Millisecond - 1)
		}, `
			ready r1 web web.1: ready 2.501s after its number was given out`},
		{"one is ready that was let go", func(b, a *glint.Blueprint, s *scene) {
			m(b, 1).Seen = false
			m(a, 1).Let = noon.Add(-1251*time.Millisecond + 1)
		}, `
			ready r1 web web.1: ready 1.251s after it was let go`},
		{"one is kept warm", func(b, a *glint.Blueprint, s *scene) { m(a, 1).Warm, m(a, 1).Routed = noon, false }, `
			route r1 web web.1: is kept warm
			route r1 web web.1: takes no more traffic`},
		{"one is wanted again", func(b, a *glint.Blueprint, s *scene) { m(b, 1).Warm = noon }, `
			route r1 web web.1: is wanted again`},
		{"one that was kept warm leaves", func(b, a *glint.Blueprint, s *scene) {
			m(b, 1).Warm, m(b, 1).Routed, m(a, 1).Routed = noon, false, false
			m(a, 1).Leaving, m(a, 1).Reason, m(a, 1).Because = noon, glint.Superseded, "its time is over"
		}, `
			leave r1 web web.1 (superseded): leaves: superseded, its time is over`},
		{"one takes traffic", func(b, a *glint.Blueprint, s *scene) { m(b, 1).Routed = false }, `
			route r1 web web.1: takes traffic`},
		{"one takes no more traffic", func(b, a *glint.Blueprint, s *scene) { m(a, 1).Routed = false }, `
			route r1 web web.1: takes no more traffic`},
		{"one takes no more traffic, and says why", func(b, a *glint.Blueprint, s *scene) { m(a, 1).Routed = false; s.sick(1) }, `
			route r1 web web.1: takes no more traffic: answers 500`},
		{"one takes no more traffic, though it could", func(b, a *glint.Blueprint, s *scene) { m(a, 1).Routed = false; s.inst(1).Health.Detail = "answers 200" }, `
			route r1 web web.1: takes no more traffic`},
		{"one leaves", func(b, a *glint.Blueprint, s *scene) {
			m(a, 1).Leaving, m(a, 1).Reason, m(a, 1).Because, m(a, 1).Routed = noon, glint.Lost, "exited 1", false
			s.dies(1, 1)
			s.inst(1).Exit.Tail = []string{"panic: boom"}
			s.inst(1).Health.Detail = "refused"
		}, `
			route r1 web web.1 (lost): takes no more traffic
			leave r1 web web.1 (lost): leaves: lost, exited 1 | panic: boom`},
		{"one leaves that was not seen", func(b, a *glint.Blueprint, s *scene) {
			m(a, 1).Leaving, m(a, 1).Reason, m(a, 1).Because, m(a, 1).Routed = noon, glint.Lost, "it vanished", false
			s.unsee(1)
		}, `
			route r1 web web.1 (lost): takes no more traffic
			leave r1 web web.1 (lost): leaves: lost, it vanished`},
		{"one leaves still", func(b, a *glint.Blueprint, s *scene) {
			m(b, 1).Leaving, m(a, 1).Leaving = noon, noon
		}, ``},
		{"one has drained", func(b, a *glint.Blueprint, s *scene) {
			m(b, 1).Leaving, m(a, 1).Leaving, m(a, 1).Ending, m(a, 1).Reason = noon, noon, noon, glint.Surplus
		}, `
			leave r1 web web.1 (surplus): drained; is destroyed`},
		{"one is destroyed with a request in flight", func(b, a *glint.Blueprint, s *scene) {
			m(b, 1).Leaving, m(a, 1).Leaving, m(a, 1).Ending, m(a, 1).Reason = noon, noon, noon, glint.Surplus
			s.inst(1).InFlight = 1
		}, `
			leave r1 web web.1 (surplus): grace is over with 1 still in flight; is destroyed`},
		{"one that is dead has nothing in flight", func(b, a *glint.Blueprint, s *scene) {
			m(b, 1).Leaving, m(a, 1).Leaving, m(a, 1).Ending, m(a, 1).Reason = noon, noon, noon, glint.Surplus
			s.dies(1, 1)
			s.inst(1).InFlight = 2
		}, `
			leave r1 web web.1 (surplus): drained; is destroyed`},
		{"one is being destroyed still", func(b, a *glint.Blueprint, s *scene) {
			m(b, 1).Leaving, m(a, 1).Leaving, m(a, 1).Ending, m(b, 1).Ending = noon, noon, noon, noon
		}, ``},
		{"one is gone", func(b, a *glint.Blueprint, s *scene) { m(b, 3).Reason = glint.Surplus; f(a).Members = f(a).Members[:2] }, `
			gone r1 web web.3 (surplus): is gone`},
		{"new routes", func(b, a *glint.Blueprint, s *scene) {
			a.Routes, a.Hosts = 5, []glint.Route{{Host: "shop", To: to("web", "http")}}
		}, `
			route r1: routes generation 5: web:http → web.1 web.2 web.3; shop → web:http`},
		{"new routes to nobody", func(b, a *glint.Blueprint, s *scene) {
			a.Routes = 5
			for n := range 3 {
				m(a, n+1).Routed, m(b, n+1).Routed = false, false
			}
		}, `
			route r1: routes generation 5: web:http → nobody`},
		{"new routes to nothing", func(b, a *glint.Blueprint, s *scene) { a.Routes, f(a).Phase, f(b).Phase = 5, glint.Empty, glint.Empty }, `
			route r1: routes generation 5: none`},
		{"rejected", func(b, a *glint.Blueprint, s *scene) {
			a.Rejected = &glint.Rejection{Revision: 2, Service: "web", Instance: s.id(3), Because: "exited 1"}
			f(b).Phase, f(a).Phase = glint.RollingTo, glint.RollingTo
		}, `
			verdict r2 web web.3 (rejected): r2 is rejected: exited 1; everything returns to r1`},
		{"rejected, with nothing to return to", func(b, a *glint.Blueprint, s *scene) {
			a.Rejected = &glint.Rejection{Revision: 2, Service: "web", Because: "exited 1"}
			a.Stable, b.Stable = 0, 0
		}, `
			verdict r2 web (rejected): r2 is rejected: exited 1`},
		{"rejected before", func(b, a *glint.Blueprint, s *scene) {
			a.Rejected, b.Rejected = &glint.Rejection{Revision: 2}, &glint.Rejection{Revision: 2}
		}, ``},
		{"another rejected", func(b, a *glint.Blueprint, s *scene) {
			a.Rejected, b.Rejected = &glint.Rejection{Revision: 3, Because: "exited 1"}, &glint.Rejection{Revision: 2}
		}, `
			verdict r3 (rejected): r3 is rejected: exited 1; everything returns to r1`},
		{"a revision serves", func(b, a *glint.Blueprint, s *scene) { a.Stable, a.Target = 2, 2 }, `
			verdict r2: r2 serves`},
		{"the stack ends", func(b, a *glint.Blueprint, s *scene) { a.Stable = 0 }, ``},
		{"rolled back", func(b, a *glint.Blueprint, s *scene) {
			a.Rejected, b.Rejected = &glint.Rejection{Revision: 2}, &glint.Rejection{Revision: 2}
			f(b).Phase = glint.Returning
		}, `
			phase r1 web: steady on version v1
			verdict r2: rolled back to r1`},
		{"not yet rolled back", func(b, a *glint.Blueprint, s *scene) {
			a.Rejected, b.Rejected = &glint.Rejection{Revision: 2}, &glint.Rejection{Revision: 2}
			f(b).Phase, f(a).Phase = glint.Returning, glint.Returning
		}, ``},
		{"rolled back before", func(b, a *glint.Blueprint, s *scene) {
			a.Rejected, b.Rejected = &glint.Rejection{Revision: 2}, &glint.Rejection{Revision: 2}
			a.Routes = 5
		}, `
			route r1: routes generation 5: web:http → web.1 web.2 web.3`},
		{"rolled back, with an empty service beside", func(b, a *glint.Blueprint, s *scene) {
			a.Rejected, b.Rejected = &glint.Rejection{Revision: 2}, &glint.Rejection{Revision: 2}
			zoo := glint.Fleet{Name: "zoo", Phase: glint.Empty}
			b.Services, a.Services = append(b.Services, zoo), append(a.Services, zoo)
			f(b).Phase = glint.Returning
		}, `
			phase r1 web: steady on version v1
			verdict r2: rolled back to r1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := calm()
			after := stored(t, s.have)
			after.Number++
			tt.do(&s.have, &after, s)
			s.seen.At = noon
			if got := recount(t, plan.Story(s.in, s.have, after, s.seen)); got != unindent(tt.want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, unindent(tt.want))
			}
		})
	}
}

// recount writes events down, one a line.
func recount(t *testing.T, events []glint.Event) string {
	var lines []string
	for _, e := range events {
		if !e.At.Equal(noon) || e.Stack != "shop" || e.Blueprint != 8 {
			t.Errorf("at %s in %s, blueprint %d: %s", e.At, e.Stack, e.Blueprint, e.Text)
		}
		line := string(e.Kind) + " r" + strings.TrimSpace(plain(float64(e.Revision)))
		if e.Service != "" {
			line += " " + e.Service
		}
		if !e.ID.IsZero() {
			line += " " + e.ID.Short()
		}
		if !e.For.IsZero() {
			line += " for " + e.For.Short()
		}
		if e.Reason != "" {
			line += " (" + string(e.Reason) + ")"
		}
		line += ": " + e.Text
		if len(e.Tail) > 0 {
			line += " | " + strings.Join(e.Tail, " ")
		}
		lines = append(lines, shorten.Replace(line))
	}
	return strings.Join(lines, "\n")
}

// TestOutcome: how a revision has come out so far.
func TestOutcome(t *testing.T) {
	rejected := func(b *glint.Blueprint) { b.Rejected = &glint.Rejection{Revision: 3} }
	for _, tt := range []struct {
		name     string
		revision int
		do       func(*glint.Blueprint)
		want     glint.Outcome
	}{
		{"stable", 2, func(b *glint.Blueprint) {}, glint.Serving},
		{"newest", 3, func(b *glint.Blueprint) {}, glint.InProgress},
		{"older", 1, func(b *glint.Blueprint) {}, glint.Replaced},
		{"to come", 4, func(b *glint.Blueprint) {}, glint.Waiting},
		{"rejected, with nothing to return to", 3, func(b *glint.Blueprint) { rejected(b); b.Stable = 0 }, glint.Failed},
		{"rejected, and not back yet", 3, func(b *glint.Blueprint) { rejected(b); b.Services[0].Phase = glint.Returning; b.Target = 2 }, glint.RollingBack},
		{"rejected, and not turned round yet", 3, rejected, glint.RollingBack},
		{"rejected, and back", 3, func(b *glint.Blueprint) { rejected(b); b.Target = 2 }, glint.RolledBack},
		{"rejected, and back, but for what empties", 3, func(b *glint.Blueprint) {
			rejected(b)
			b.Target = 2
			b.Services = append(b.Services, glint.Fleet{Phase: glint.Emptying})
		}, glint.RollingBack},
		{"another rejected", 2, func(b *glint.Blueprint) { rejected(b); b.Stable = 0 }, glint.Replaced},
		{"another rejected, and this is stable", 2, rejected, glint.Serving},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := glint.Blueprint{Revision: 3, Target: 3, Stable: 2, Services: []glint.Fleet{{Phase: glint.Steady}}}
			tt.do(&b)
			if got := plan.Outcome(b, tt.revision); got != tt.want {
				t.Errorf("is %s, want %s", got, tt.want)
			}
		})
	}
}
