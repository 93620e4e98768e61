package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestDismiss: who leaves is given over to destruction once the balancers have forgotten it and its requests have ended, and is
// forgotten once it is known to be gone.
func TestDismiss(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.leaver(v1)
		s.inst(4).InFlight = 2
		return s
	}
	play(t, begin, []turn{
		{"it drains", func(s *scene) {}, `
			web.4: out=noon
			note web.4: drains: 2 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"nobody knows how many requests it has", func(s *scene) { s.inst(4).InFlight = -1 }, `
			web.4: out=noon
			note web.4: drains: an unknown number in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"it still drains", func(s *scene) { s.member(4).Out = noon.Add(-30*time.Second + 1) }, `
			note web.4: drains: 2 in flight, until 12:00:00 at the latest
			wake: +1e-09s`},
		{"it has drained", func(s *scene) { s.inst(4).InFlight = 0 }, `
			web.4: ending=noon out=noon
			do: destroy web.4`},
		{"grace is over", func(s *scene) { s.member(4).Out = noon.Add(-30 * time.Second) }, `
			web.4: ending=noon
			do: destroy web.4`},
		{"the clock was set back", func(s *scene) { s.member(4).Out = noon.Add(time.Hour) }, `
			web.4: out=noon
			note web.4: drains: 2 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"it is dead", func(s *scene) { s.dies(4, 0) }, `
			web.4: ending=noon out=noon
			do: destroy web.4`},
		{"it was never ready nor in the routes", func(s *scene) { s.member(4).Seen, s.member(4).Gone = false, 0 }, `
			web.4: ending=noon out=noon
			do: destroy web.4`},
		{"it was never ready, but in the routes", func(s *scene) { s.member(4).Seen = false }, `
			web.4: out=noon
			note web.4: drains: 2 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"it was ready, and never in the routes", func(s *scene) { s.member(4).Gone = 0 }, `
			web.4: out=noon
			note web.4: drains: 2 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"a balancer has not forgotten it", func(s *scene) { s.member(4).Gone = 5; s.have.Routes = 5 }, `
			do: route
			note web.4: waits until the balancers have forgotten it (generation 4 of 5 in force)`},
		{"a balancer that had forgotten it comes back with old routes", func(s *scene) {
			s.member(4).Gone, s.have.Routes, s.member(4).Out = 5, 5, noon.Add(-time.Second)
		}, `
			do: route
			note web.4: drains: 2 in flight, until 12:00:29 at the latest
			wake: +29s`},
		{"it is being destroyed", func(s *scene) {
			s.member(4).Out, s.member(4).Ending = noon.Add(-3*time.Second), noon.Add(-2*time.Second)
		}, `
			do: destroy web.4`},
		{"it is gone", func(s *scene) { s.unsee(4) }, `
			web.4: is forgotten`},
		{"not all have answered", func(s *scene) { s.unsee(4); s.seen.Complete = false }, `
			note web.4: cannot be seen; waits for a look that proves that it is gone
			wake: +295s`},
		{"it is destroyed, and not all have answered", func(s *scene) { s.unsee(4); s.seen.Complete = false; s.member(4).Ending = noon.Add(-time.Second) }, ``},
		{"the look is from when it was told to go", func(s *scene) { s.unsee(4); s.member(4).Leaving = s.seen.At }, `
			web.4: is forgotten`},
		{"the look is from before it was told to go", func(s *scene) { s.unsee(4); s.member(4).Leaving = s.seen.At.Add(1) }, `
			note web.4: cannot be seen; waits for a look that proves that it is gone
			wake: +299.000000001s`},
		{"the look has been from before for five minutes", func(s *scene) {
			s.unsee(4)
			s.seen.At, s.member(4).Leaving, s.have.Seen = noon.Add(-time.Hour), noon.Add(-5*time.Minute), noon.Add(-time.Hour)
		}, `
			web.4: is forgotten`},
		{"the look has been from before for nearly five minutes", func(s *scene) {
			s.unsee(4)
			s.seen.At, s.member(4).Leaving, s.have.Seen = noon.Add(-time.Hour), noon.Add(-5*time.Minute+1), noon.Add(-time.Hour)
		}, `
			note web.4: cannot be seen; waits for a look that proves that it is gone
			wake: +1e-09s`},
	})
}

// TestLook: a look that is older than the one before it proves nothing; one that is much older comes from a clock that was set.
func TestLook(t *testing.T) {
	behind := func(d time.Duration) func(*scene) {
		return func(s *scene) { s.dies(1, 1); s.have.Seen = s.seen.At.Add(d) }
	}
	play(t, calm, []turn{
		{"as old", behind(0), `
			stack: routes=5
			web: last=4
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"older", behind(1), `
			note stack: what was seen is 1ns older than what was seen before; waits for a newer look
			wake: +1s`},
		{"five minutes older", behind(5 * time.Minute), `
			note stack: what was seen is 5m0s older than what was seen before; waits for a newer look
			wake: +1s`},
		{"much older", behind(5*time.Minute + 1), `
			stack: routes=5
			web: last=4
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"newer", behind(-time.Second), `
			stack: routes=5
			web: last=4
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"of another stack", func(s *scene) {
			s.see(glint.Instance{ID: glint.ID{Stack: "zoo", Epoch: "e", Service: "web", N: 1}, State: glint.Dead})
		}, ``},
		{"of a life to come", func(s *scene) {
			s.see(glint.Instance{ID: glint.ID{Stack: "shop", Epoch: "f", Service: "web", N: 1}, State: glint.Dead})
		}, `
			note web.1: is of another life of this stack (epoch f), and is left alone; the stack cannot end while it is there`},
		{"of another life", func(s *scene) {
			s.see(glint.Instance{ID: glint.ID{Stack: "shop", Epoch: "d", Service: "web", N: 1}, State: glint.Dead})
		}, `
			note web.1: is of another life of this stack (epoch d), and is left alone; the stack cannot end while it is there`},
		{"what does not work is passed on", func(s *scene) {
			s.seen.Troubles = []glint.Trouble{{Verb: glint.Create, ID: s.id(2), Text: "no space"}, {Verb: glint.Publish, Text: "refused"}}
		}, `
			note web.2: create does not work: no space; is tried again
			note stack: route does not work: refused; is tried again`},
	})
}
