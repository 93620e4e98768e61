package plan_test

import (
	"testing"

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
			web.5: created=noon for=4 version=v2
			web.6: joins
			web.6: created=noon for=1 version=v2
			web.7: joins
			web.7: created=noon for=2 version=v2
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
			web.5: created=noon for=4 version=v2
			web.6: joins
			web.6: created=noon for=1 version=v2
			web.7: joins
			web.7: created=noon for=2 version=v2
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
			web.5: created=noon for=4 version=v2
			web.6: joins
			web.6: created=noon for=1 version=v2
			web.7: joins
			web.7: created=noon for=2 version=v2
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
			web.5: created=noon for=4 version=v2
			web.6: joins
			web.6: created=noon for=1 version=v2
			web.7: joins
			web.7: created=noon for=2 version=v2
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
			web.5: created=noon for=4 version=v2
			web.6: joins
			web.6: created=noon for=1 version=v2
			web.7: joins
			web.7: created=noon for=2 version=v2
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
			web.5: created=noon for=4 version=v2
			web.6: joins
			web.6: created=noon for=1 version=v2
			web.7: joins
			web.7: created=noon for=2 version=v2
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
			web.7: created=noon for=5 version=v2
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
