package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestUnwanted: who has no place, and why; the worst reason is told.
func TestUnwanted(t *testing.T) {
	begin := func() *scene {
		s := rolling()
		s.both(func(w *glint.Service) { w.Update.Unavailable = 3 })
		return s
	}
	play(t, begin, []turn{
		{"of another version", func(s *scene) {}, `
			stack: routes=5
			web: last=6
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			do: route
			do: create web.5
			do: create web.6`},
		{"of a version that failed", func(s *scene) { s.fleet().Rejected = []glint.Digest{v1} }, `
			stack: routes=5
			web: last=6
			web.1: because="its version failed" gone=5 leaving=noon reason=rejected routed=-
			web.2: because="its version failed" gone=5 leaving=noon reason=rejected routed=-
			web.3: because="its version failed" gone=5 leaving=noon reason=rejected routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			do: route
			do: create web.5
			do: create web.6`},
		{"the target is not sent off for having failed", func(s *scene) { s.fleet().Rejected = []glint.Digest{v2} }, `
			stack: rejected={because:"it failed before; to try it again: glint apply --retry" instance: revision:2 service:web version:v2} target=1`},
		{"it says to be of another version than it was made from", func(s *scene) { s.inst(4).Version = v1 }, `
			stack: routes=5
			web: last=7
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.4: because="it is not of the version it was made from" gone=5 leaving=noon reason=drifted routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			web.7: joins
			web.7: created=noon for=3 version=v2
			do: route
			do: create web.5
			do: create web.6
			do: create web.7`},
		{"its address changed", func(s *scene) { s.inst(4).Address = "10.0.0.9" }, `
			stack: routes=5
			web: last=7
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.4: because="its address is 10.0.0.9, and was 10.0.0.4" gone=5 leaving=noon reason=drifted routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			web.7: joins
			web.7: created=noon for=3 version=v2
			do: route
			do: create web.5
			do: create web.6
			do: create web.7`},
		{"its address is not seen now", func(s *scene) { s.inst(4).Address = "" }, `
			stack: routes=5
			web: last=6
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			do: route
			do: create web.5
			do: create web.6`},
		{"it drifted", func(s *scene) { s.inst(4).Deviations = []string{"a mount", "a file"} }, `
			stack: routes=5
			web: last=7
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.4: because="a mount" gone=5 leaving=noon reason=drifted routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			web.7: joins
			web.7: created=noon for=3 version=v2
			do: route
			do: create web.5
			do: create web.6
			do: create web.7`},
		{"somebody entered it", func(s *scene) { s.inst(4).Tainted = "root entered it" }, `
			stack: routes=5
			web: last=7
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.4: because="root entered it" gone=5 leaving=noon reason=tainted routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			web.7: joins
			web.7: created=noon for=3 version=v2
			do: route
			do: create web.5
			do: create web.6
			do: create web.7`},
		{"a person asked", func(s *scene) {
			s.order(glint.Order{Kind: glint.OrderReplace, Instance: s.id(4), Comment: "looks odd"})
		}, `
			stack: ordered=1 routes=5
			web: last=7
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.4: because="ann asked: looks odd" gone=5 leaving=noon reason=requested routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			web.7: joins
			web.7: created=noon for=3 version=v2
			do: route
			do: create web.5
			do: create web.6
			do: create web.7`},
		{"a person asked for another", func(s *scene) { s.order(glint.Order{Kind: glint.OrderReplace, Instance: s.id(9)}) }, `
			stack: ordered=1 routes=5
			web: last=6
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			do: route
			do: create web.5
			do: create web.6`},
		{"a person asked for new ones", func(s *scene) {
			s.fleet().Renew = &glint.Renewal{Word: glint.Word{By: "ann", Comment: "a new key"}, Upto: 4}
		}, `
			stack: routes=5
			web: last=7
			web.1: because="ann asked for new ones: a new key" gone=5 leaving=noon reason=requested routed=-
			web.2: because="ann asked for new ones: a new key" gone=5 leaving=noon reason=requested routed=-
			web.3: because="ann asked for new ones: a new key" gone=5 leaving=noon reason=requested routed=-
			web.4: because="ann asked for new ones: a new key" gone=5 leaving=noon reason=requested routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			web.7: joins
			web.7: created=noon for=3 version=v2
			do: route
			do: create web.5
			do: create web.6
			do: create web.7`},
		{"a person asked for new ones before it was made", func(s *scene) {
			s.fleet().Renew = &glint.Renewal{Word: glint.Word{By: "ann"}, Upto: 3}
		}, `
			stack: routes=5
			web: last=6
			web.1: because="ann asked for new ones" gone=5 leaving=noon reason=requested routed=-
			web.2: because="ann asked for new ones" gone=5 leaving=noon reason=requested routed=-
			web.3: because="ann asked for new ones" gone=5 leaving=noon reason=requested routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			do: route
			do: create web.5
			do: create web.6`},
		{"more of the target than are wanted", func(s *scene) { s.add(v2); s.add(v2); s.add(v2) }, `
			stack: routes=5
			web: phase=steady since=noon stable=v2
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.4: because="3 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
		{"more of the target than are wanted: who serves is worth more than who does not", func(s *scene) {
			s.add(v2)
			s.add(v2)
			s.young(v2)
			s.member(4).Routed = false
			s.unready(5)
			s.add(v2)
			s.young(v2)
		}, `
			stack: routes=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.4: because="3 wanted" leaving=noon reason=surplus
			web.5: gone=5 routed=-
			web.7: because="3 wanted" leaving=noon reason=surplus
			web.9: because="3 wanted" leaving=noon reason=surplus
			do: route
			note web.5: is not ready: nobody can say why
			wake: +50s`},
		{"it is unknown where it was seen", func(s *scene) { s.unsee(4); s.seen.Complete = false; s.unsee(1) }, `
			stack: routes=5
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			do: route
			note web.1: superseded (r2 wants another version); cannot be seen, waits until its place answers
			note web: 2 missing; waits until all places answer
			note web: waits until all places answer`},
	})
}

// TestRelieve: no fewer than the floor allows take traffic by our own doing.
func TestRelieve(t *testing.T) {
	play(t, rolling, []turn{
		{"one more than the floor: one may leave", func(s *scene) {}, `
			stack: routes=5
			web: last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"at the floor: nobody may leave", func(s *scene) { s.drop(1) }, `
			web: last=5
			web.5: joins
			web.5: created=noon for=2 version=v2
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"one may be missing", func(s *scene) { s.drop(1); s.both(func(w *glint.Service) { w.Update.Unavailable = 1 }) }, `
			stack: routes=5
			web: last=6
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=2 version=v2
			web.6: joins
			web.6: created=noon for=3 version=v2
			do: route
			do: create web.5
			do: create web.6
			note web.3: superseded (r2 wants another version); waits: 2 of 3 take traffic`},
		{"what takes no traffic leaves whatever the floor", func(s *scene) { s.drop(1); s.member(2).Routed = false; s.unready(2) }, `
			web: last=6
			web.2: because="r2 wants another version" leaving=noon reason=superseded
			web.5: joins
			web.5: created=noon for=2 version=v2
			web.6: joins
			web.6: created=noon for=3 version=v2
			do: create web.5
			do: create web.6
			note web.3: superseded (r2 wants another version); waits: 2 of 3 take traffic`},
		{"who is not ready is not counted", func(s *scene) { s.unready(4) }, `
			stack: routes=5
			web.4: gone=5 routed=-
			do: route
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.4: is not ready: nobody can say why`},
		{"who is not in the routes is not counted", func(s *scene) { s.member(4).Routed = false }, `
			stack: routes=5
			web.4: routed=true
			do: route
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"who leaves or is a spare is not counted", func(s *scene) { s.drop(1); s.leaver(v2).Routed = true; s.warm(v2).Routed = true }, `
			stack: routes=5
			web: last=7
			web.5: ending=noon gone=5 out=noon routed=-
			web.6: because="a third version was taken up; it was kept warm" gone=5 leaving=noon reason=superseded routed=-
			web.7: joins
			web.7: created=noon for=2 version=v2
			do: route
			do: destroy web.5
			do: create web.7
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"who was not asked waits", func(s *scene) { s.unasked(1) }, `
			note web.1: superseded (r2 wants another version); waits until its health is known
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"who was not asked, and takes no traffic, leaves", func(s *scene) { s.unasked(1); s.member(1).Routed = false }, `
			web: last=5
			web.1: because="r2 wants another version" leaving=noon reason=superseded
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"who was not seen waits", func(s *scene) { s.unsee(1); s.seen.Complete = false }, `
			note web.1: superseded (r2 wants another version); cannot be seen, waits until its place answers
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: 2 missing; waits until all places answer
			note web: waits until all places answer`},
		{"who only accepted the call leaves", func(s *scene) { s.unasked(1); s.inst(1).State = glint.Accepted }, `
			stack: routes=5
			web: last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"where only one may hold a thing there is no floor", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate }); s.drop(4) }, `
			stack: routes=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			do: route
			note web: 3 missing; waits until what only one may hold is free`},
		{"more may be missing than are wanted", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Unavailable = 9 }) }, `
			stack: routes=5
			web: last=6
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			web.6: joins
			web.6: created=noon for=2 version=v2
			do: route
			do: create web.5
			do: create web.6`},
	})
}

// TestRecruit: who is missing joins, as far as surge allows.
func TestRecruit(t *testing.T) {
	play(t, calm, []turn{
		{"one is missing", func(s *scene) { s.drop(2) }, `
			web: last=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"all are missing", func(s *scene) { s.drop(1); s.drop(2); s.drop(3) }, `
			web: last=6
			web.4: joins
			web.4: created=noon version=v1
			web.5: joins
			web.5: created=noon version=v1
			web.6: joins
			web.6: created=noon version=v1
			do: create web.4
			do: create web.5
			do: create web.6`},
		{"an update may go one beyond", func(s *scene) { s.roll(two) }, `
			web: last=4
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"an update may go two beyond", func(s *scene) { s.roll(two); s.both(func(w *glint.Service) { w.Update.Surge = 2 }) }, `
			web: last=5
			web.4: joins
			web.4: created=noon for=1 version=v2
			web.5: joins
			web.5: created=noon for=2 version=v2
			do: create web.4
			do: create web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"an update may go beyond by more than are wanted", func(s *scene) { s.roll(two); s.both(func(w *glint.Service) { w.Update.Surge = 9 }) }, `
			web: last=6
			web.4: joins
			web.4: created=noon for=1 version=v2
			web.5: joins
			web.5: created=noon for=2 version=v2
			web.6: joins
			web.6: created=noon for=3 version=v2
			do: create web.4
			do: create web.5
			do: create web.6
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"an update may not go beyond", func(s *scene) { s.roll(two); s.both(func(w *glint.Service) { w.Update.Surge = 0 }) }, `
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"a surge below nothing is none", func(s *scene) { s.drop(2); s.both(func(w *glint.Service) { w.Update.Surge = -1 }) }, `
			web: last=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"one beyond there is already", func(s *scene) { s.roll(two); s.young(v2) }, `
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic
			wake: +50s`},
		{"one that leaves does not count", func(s *scene) { s.roll(two); s.leaver(v1) }, `
			web: last=5
			web.4: ending=noon out=noon
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: destroy web.4
			do: create web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"where old goes first, all that there are count", func(s *scene) {
			s.drop(1)
			s.leaver(v1)
			s.inst(4).InFlight = 1
			s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate })
		}, `
			web.4: out=noon
			note web.4: drains: 1 in flight, until 12:00:30 at the latest
			note web: 1 missing; waits until what only one may hold is free
			wake: +30s`},
		{"where old goes first, one is gone and one leaves", func(s *scene) {
			s.drop(1)
			s.drop(2)
			s.leaver(v1)
			s.inst(4).InFlight = 1
			s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate })
		}, `
			web: last=5
			web.4: out=noon
			web.5: joins
			web.5: created=noon for=4 version=v1
			do: create web.5
			note web.4: drains: 1 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"an update may not go beyond, and one leaves", func(s *scene) {
			s.roll(two)
			s.leaver(v1)
			s.both(func(w *glint.Service) { w.Update.Surge = 0 })
		}, `
			web.4: ending=noon out=noon
			do: destroy web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"where old goes first, and is gone", func(s *scene) {
			s.drop(1)
			s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate })
		}, `
			web: last=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"where old goes first, an update begins with leaving", func(s *scene) {
			s.roll(two)
			s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate })
		}, `
			stack: routes=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			do: route
			note web: 3 missing; waits until what only one may hold is free`},
		{"not all have answered", func(s *scene) { s.drop(2); s.seen.Complete = false }, `
			note web: 1 missing; waits until all places answer`},
		{"after a failure there is a pause", func(s *scene) { s.drop(2); s.fleet().Retry, s.fleet().Failed = noon.Add(1), 2 }, `
			note web: 1 missing; after 2 failures the next try is at 12:00:00
			wake: +1e-09s`},
		{"the pause is over", func(s *scene) { s.drop(2); s.fleet().Retry, s.fleet().Failed = noon, 2 }, `
			web: last=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"the pause is from a clock that was set back", func(s *scene) { s.drop(2); s.fleet().Retry, s.fleet().Failed = noon.Add(5*time.Minute+1), 2 }, `
			web: last=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"the longest pause", func(s *scene) { s.drop(2); s.fleet().Retry, s.fleet().Failed = noon.Add(5*time.Minute), 2 }, `
			note web: 1 missing; after 2 failures the next try is at 12:05:00
			wake: +300s`},
		{"the target is rejected", func(s *scene) { s.drop(2); s.fleet().Rejected = []glint.Digest{v3, v1} }, `
			stack: rejected={because:"it failed before; to try it again: glint apply --retry" instance: revision:1 service:web version:v1}
			note web: version v1 is rejected; to try it again: glint apply --retry`},
		{"two places are open, by the reasons for which they were left", func(s *scene) {
			s.drop(1)
			s.drop(2)
			s.leaver(v1).Reason = glint.Surplus
			s.leaver(v1).Reason = glint.Lost
			s.unsee(4)
			s.unsee(5)
			s.seen.At = noon.Add(-6 * time.Second)
			s.have.Seen = s.seen.At
		}, `
			web: last=7
			web.6: joins
			web.6: created=noon for=5 version=v1
			web.7: joins
			web.7: created=noon version=v1
			do: create web.6
			do: create web.7
			note web.4: cannot be seen; waits for a look that proves that it is gone
			note web.5: cannot be seen; waits for a look that proves that it is gone
			wake: +295s`},
		{"a place is taken already", func(s *scene) {
			s.drop(1)
			s.drop(2)
			s.leaver(v1).Reason = glint.Lost
			s.leaver(v1).Reason = glint.Lost
			s.young(v1).For = 5
		}, `
			web: last=7
			web.4: ending=noon out=noon
			web.5: ending=noon out=noon
			web.7: joins
			web.7: created=noon for=4 version=v1
			do: destroy web.4
			do: destroy web.5
			do: create web.7
			wake: +50s`},
		{"who was to take a place and never worked leaves it open", func(s *scene) {
			s.drop(1)
			s.leaver(v1).Reason = glint.Lost
			m := s.leaver(v1)
			m.Reason, m.For, m.Seen, m.Gone = glint.Unhealthy, 4, false, 0
		}, `
			web: last=6
			web.4: ending=noon out=noon
			web.5: ending=noon out=noon
			web.6: joins
			web.6: created=noon for=4 version=v1
			do: destroy web.4
			do: destroy web.5
			do: create web.6`},
		{"who was to take a place and never worked leaves no other", func(s *scene) {
			s.drop(2)
			m := s.member(1)
			m.Leaving, m.Reason, m.Routed, m.Gone = noon.Add(-5*time.Second), glint.Lost, false, 4
			m = s.leaver(v1)
			m.Reason, m.For, m.Seen, m.Gone = glint.Unhealthy, 1, false, 0
		}, `
			web: last=6
			web.1: ending=noon out=noon
			web.4: ending=noon out=noon
			web.5: joins
			web.5: created=noon for=1 version=v1
			web.6: joins
			web.6: created=noon version=v1
			do: destroy web.1
			do: destroy web.4
			do: create web.5
			do: create web.6`},
		{"who took a place and worked leaves its own", func(s *scene) {
			s.drop(1)
			s.leaver(v1).Reason = glint.Lost
			m := s.leaver(v1)
			m.Reason, m.For = glint.Unhealthy, 4
		}, `
			web: last=6
			web.4: ending=noon out=noon
			web.5: ending=noon out=noon
			web.6: joins
			web.6: created=noon for=5 version=v1
			do: destroy web.4
			do: destroy web.5
			do: create web.6`},
		{"who never worked and took nobody's place leaves its own", func(s *scene) {
			s.drop(1)
			m := s.leaver(v1)
			m.Reason, m.Seen, m.Gone = glint.Unhealthy, false, 0
		}, `
			web: last=5
			web.4: ending=noon out=noon
			web.5: joins
			web.5: created=noon for=4 version=v1
			do: destroy web.4
			do: create web.5`},
	})
}

// TestMaxAsked: a platform is asked for 32 instances before it has accepted them.
func TestMaxAsked(t *testing.T) {
	begin := func() *scene {
		s := nothing()
		s.have.Services = []glint.Fleet{{Name: "web", Phase: glint.RollingTo, Target: v1, Templates: map[glint.Digest]glint.Template{v1: one}, Grace: minute / 2}}
		s.have.Revision, s.have.Target, s.have.Routes, s.have.Number = 1, 1, 4, 7
		s.seen.Acks = []glint.Ack{{Member: "one", Generation: 4, Kind: glint.Proven}}
		return s
	}
	crowd := func(s *scene, asked, accepted, seen, left int) {
		for range asked {
			s.young(v1)
			s.unsee(s.fleet().Last)
		}
		for range accepted {
			s.young(v1)
		}
		for range seen {
			s.add(v1)
			s.unsee(s.fleet().Last)
		}
		for range left {
			s.leaver(v1).Seen = false
			s.unsee(s.fleet().Last)
		}
	}
	for _, tt := range []struct {
		name                        string
		asked, accepted, seen, left int
		instances, joins            int
		waits                       bool
	}{
		{name: "none was asked for", instances: 32, joins: 32},
		{name: "none was asked for, and more are wanted", instances: 33, joins: 32, waits: true},
		{name: "some were asked for", asked: 30, instances: 40, joins: 2, waits: true},
		{name: "as many were asked for", asked: 32, instances: 40, waits: true},
		{name: "some were accepted", asked: 29, accepted: 3, instances: 40, joins: 3, waits: true},
		{name: "some had been ready, and are lost", asked: 29, seen: 1, instances: 40, joins: 3, waits: true},
		{name: "some were asked for, and have left", asked: 29, left: 1, instances: 40, joins: 3, waits: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := begin()
			crowd(s, tt.asked, tt.accepted, tt.seen, tt.left)
			s.both(func(w *glint.Service) { w.Instances = tt.instances })
			last := s.fleet().Last
			d := next(s)
			if got := d.Blueprint.Services[0].Last - last; got != tt.joins {
				t.Errorf("%d join, want %d", got, tt.joins)
			}
			if got := noted(d, "waits until the platform has accepted those it was asked for, 32 at a time"); got != tt.waits {
				t.Errorf("waits %v: %v", got, d.Notes)
			}
		})
	}
}

// TestManyStandbys: of standbys too a platform is asked for 32 at a time.
func TestManyStandbys(t *testing.T) {
	s := calm()
	s.both(func(w *glint.Service) { w.Standby = 40 })
	if d := next(s); d.Blueprint.Services[0].Last != 3+32 {
		t.Errorf("up to %d", d.Blueprint.Services[0].Last)
	}
}

// TestRoomBehind: what is given is not written to, not even where its lists have room for more.
func TestRoomBehind(t *testing.T) {
	s := rolling()
	s.fleet().Failed = 2
	s.fleet().Rejected = append(make([]glint.Digest, 0, 4), v3)
	s.dies(4, 1)
	if d := next(s); len(d.Blueprint.Services[0].Rejected) != 2 || s.fleet().Rejected[:2][1] != "" {
		t.Errorf("%v after %v", d.Blueprint.Services[0].Rejected, s.fleet().Rejected[:2])
	}
}

// TestRenew: a person's word replaces everybody that there was when it was taken up.
func TestRenew(t *testing.T) {
	word := func(service string) func(*scene) {
		return func(s *scene) {
			s.order(glint.Order{Kind: glint.OrderRegenerate, Service: service, Comment: "a new key"})
		}
	}
	play(t, calm, []turn{
		{"all services", word(""), `
			stack: ordered=1
			web: last=4 renew={at:-2s by:ann comment:"a new key" upto:3}
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: create web.4
			note web.1: requested (ann asked for new ones: a new key); waits: 3 of 3 take traffic
			note web.2: requested (ann asked for new ones: a new key); waits: 3 of 3 take traffic
			note web.3: requested (ann asked for new ones: a new key); waits: 3 of 3 take traffic`},
		{"this one", word("web"), `
			stack: ordered=1
			web: last=4 renew={at:-2s by:ann comment:"a new key" upto:3}
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: create web.4
			note web.1: requested (ann asked for new ones: a new key); waits: 3 of 3 take traffic
			note web.2: requested (ann asked for new ones: a new key); waits: 3 of 3 take traffic
			note web.3: requested (ann asked for new ones: a new key); waits: 3 of 3 take traffic`},
		{"another", word("db"), `
			stack: ordered=1`},
		{"another word", func(s *scene) { word("web")(s); s.in.Orders[0].Kind = glint.OrderPromote }, `
			stack: ordered=1`},
		{"taken up before", func(s *scene) { word("web")(s); s.have.Ordered = 1 }, ``},
		{"the last of them is there", func(s *scene) {
			s.fleet().Renew = &glint.Renewal{Word: glint.Word{By: "ann"}, Upto: 1}
			s.add(v1)
		}, `
			stack: routes=5
			web.1: because="ann asked for new ones" gone=5 leaving=noon reason=requested routed=-
			do: route`},
		{"the last of them is gone", func(s *scene) {
			s.fleet().Renew = &glint.Renewal{Word: glint.Word{By: "ann"}, Upto: 1}
			s.drop(1)
			s.add(v1)
		}, `
			web: renew=-`},
		{"a task has nobody to replace", func(s *scene) {
			s.both(func(w *glint.Service) { w.Task, w.Instances, w.Update.StartWithin = true, 1, 0 })
			s.drop(2)
			s.drop(3)
			word("web")(s)
		}, `
			stack: ordered=1 routes=5
			web: task=true
			web.1: gone=5 routed=-
			do: route`},
	})
}

// TestOthers: a service that is no longer declared stays until everything declared serves.
func TestOthers(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.have.Revision, s.have.Target = 2, 2
		s.in.Head.Number = 2
		s.have.Services = append(s.have.Services, glint.Fleet{Name: "api", Phase: glint.Steady, Since: noon, Target: v2, Stable: v2, Templates: map[glint.Digest]glint.Template{v2: two}, Grace: minute / 2})
		s.add(v2)
		s.have.Services[0], s.have.Services[1] = s.have.Services[1], s.have.Services[0]
		s.in.Releases[1] = glint.Release{Services: []glint.Service{service("api", two, 1), service("web", one, 3)}}
		s.in.Releases[2] = glint.Release{Services: []glint.Service{service("api", two, 1)}}
		return s
	}
	play(t, begin, []turn{
		{"everything declared serves", func(s *scene) {}, `
			stack: routes=5
			web: phase=emptying since=noon
			web.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.3: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
		{"something declared does not", func(s *scene) { s.have.Services[0].Phase = glint.RollingTo }, `
			stack: stable=2
			api: phase=steady
			web: phase=emptying since=noon
			note web: is no longer declared; stays until everything declared serves and no host name leads to it`},
		{"something declared is of another version", func(s *scene) { s.in.Releases[2].Services[0].Template = three }, `
			api: last=2 phase=rolling target=v3 templates=v3,v2
			api.2: joins
			api.2: created=noon for=1 version=v3
			web: phase=emptying since=noon
			do: create api.2
			note api.1: superseded (r2 wants another version); waits: 1 of 1 take traffic
			note web: is no longer declared; stays until everything declared serves and no host name leads to it`},
		{"a host name leads to it still", func(s *scene) {
			s.have.Hosts = []glint.Route{{Host: "a", To: glint.Target{Service: "web", Port: "http"}}}
			s.in.Releases[2] = glint.Release{Services: s.in.Releases[2].Services, Routes: []glint.Route{{Host: "a", To: glint.Target{Service: "api", Port: "http"}}}}
		}, `
			stack: hosts=[{host:a to:{port:http service:api}}] routes=5 stable=2
			web: phase=emptying since=noon
			do: route
			note web: is no longer declared; stays until everything declared serves and no host name leads to it`},
		{"a host name leads to it that is no longer declared", func(s *scene) {
			s.have.Hosts = []glint.Route{{Host: "a", To: glint.Target{Service: "web", Port: "http"}}}
			s.in.Releases[2] = glint.Release{Services: s.in.Releases[2].Services, Routes: []glint.Route{{Host: "b", To: glint.Target{Service: "api", Port: "http"}}}}
		}, `
			stack: hosts=[{host:b to:{port:http service:api}}] routes=5
			web: phase=emptying since=noon
			web.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.3: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
		{"a host name leads to another", func(s *scene) {
			s.have.Hosts = []glint.Route{{Host: "a", To: glint.Target{Service: "api", Port: "http"}}}
			s.in.Releases[2] = glint.Release{Services: s.in.Releases[2].Services, Routes: s.have.Hosts}
		}, `
			stack: routes=5
			web: phase=emptying since=noon
			web.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.3: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
		{"the revision is taken up just now", func(s *scene) { s.have.Revision, s.have.Target = 1, 1 }, `
			stack: revision=2 target=2
			web: phase=emptying since=noon
			note web: is no longer declared; stays until everything declared serves and no host name leads to it`},
		{"the revision that is taken up just now declares nothing", func(s *scene) {
			s.have.Revision, s.have.Target = 1, 1
			s.in.Releases[2] = glint.Release{}
		}, `
			stack: revision=2 routes=5 target=2
			api: phase=emptying
			api.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web: phase=emptying since=noon
			web.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.3: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
		{"it has nobody left", func(s *scene) { s.drop(1); s.drop(2); s.drop(3) }, `
			stack: routes=5
			web: phase=empty since=noon stable=- target=- templates=-
			do: route`},
		{"one of it fails", func(s *scene) { s.dies(2, 1) }, `
			stack: routes=5
			web: phase=emptying since=noon
			web.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.3: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
		{"its standbys and warm ones leave too", func(s *scene) { s.spare(v1); s.warm(v1) }, `
			stack: routes=5
			web: phase=emptying since=noon
			web.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.3: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.4: because="another version is wanted" leaving=noon reason=superseded
			web.5: because="a third version was taken up; it was kept warm" leaving=noon reason=superseded
			do: route`},
		{"it has nobody left, and something declared does not serve", func(s *scene) {
			s.drop(1)
			s.drop(2)
			s.drop(3)
			s.have.Services[0].Phase = glint.RollingTo
		}, `
			stack: routes=5
			api: phase=steady
			web: phase=empty since=noon stable=- target=- templates=-
			do: route`},
		{"it has one left, and something declared does not serve", func(s *scene) {
			s.drop(1)
			s.drop(2)
			s.have.Services[0].Phase = glint.RollingTo
		}, `
			stack: stable=2
			api: phase=steady
			web: phase=emptying since=noon
			note web: is no longer declared; stays until everything declared serves and no host name leads to it`},
		{"it is forgotten with its last member", func(s *scene) {
			f := s.fleet()
			f.Members, f.Asked, f.Wanted, f.Failed, f.Retry = nil, 4, 4, 1, noon.Add(time.Minute)
			f.Renew = &glint.Renewal{Upto: 9}
			f.Baking, f.Promoted = noon, &glint.Word{By: "ann"}
			s.seen.Instances = s.seen.Instances[:1]
		}, `
			stack: routes=5
			web: asked=- baking=- failed=0 phase=empty promoted=- renew=- retry=- since=noon stable=- target=- templates=- wanted=-
			do: route`},
	})
}

// TestRoute: who is wanted and ready takes traffic; what is not known changes nothing.
func TestRoute(t *testing.T) {
	play(t, calm, []turn{
		{"ready again", func(s *scene) { s.member(1).Routed, s.member(1).Gone = false, 4 }, `
			stack: routes=5
			web.1: gone=- routed=true
			do: route`},
		{"unready", func(s *scene) { s.unready(1) }, `
			stack: routes=5
			web.1: gone=5 routed=-
			do: route
			note web.1: is not ready: nobody can say why`},
		{"neither seen nor proven to be gone", func(s *scene) { s.unsee(1); s.seen.Complete = false }, ``},
		{"out of the routes, and neither seen nor proven to be gone", func(s *scene) {
			s.member(1).Routed = false
			s.unsee(1)
			s.seen.Complete = false
		}, ``},
		{"seen, and not running any more", func(s *scene) { s.inst(1).State = glint.Accepted; s.inst(1).Health.Ready = false }, `
			stack: routes=5
			web.1: gone=5 routed=-
			do: route
			do: create web.1
			note web.1: is not ready: nobody can say why`},
		{"not asked", func(s *scene) { s.unasked(1) }, `
			note web.1: waits until its health is known`},
		{"a standby takes none", func(s *scene) { s.member(1).Held = true; s.member(1).Routed = true; s.inst(1).State = glint.Held }, `
			stack: routes=5
			web: last=4
			web.1: because="0 standbys wanted" gone=5 leaving=noon reason=surplus routed=-
			web.4: joins
			web.4: created=noon version=v1
			do: route
			do: create web.4`},
		{"one that is kept warm takes none", func(s *scene) { s.member(1).Warm = noon.Add(time.Hour) }, `
			stack: routes=5
			web: last=4
			web.1: gone=5 routed=-
			web.4: joins
			web.4: created=noon version=v1
			do: route
			do: create web.4
			wake: +3600s`},
		{"one that leaves takes none", func(s *scene) { s.leaver(v1).Routed = true }, `
			stack: routes=5
			web.4: ending=noon gone=5 out=noon routed=-
			do: route
			do: destroy web.4`},
		{"a task takes none", func(s *scene) {
			s.both(func(w *glint.Service) { w.Task, w.Instances, w.Update.StartWithin = true, 1, 0 })
			s.drop(2)
			s.drop(3)
		}, `
			stack: routes=5
			web: task=true
			web.1: gone=5 routed=-
			do: route`},
	})
}
