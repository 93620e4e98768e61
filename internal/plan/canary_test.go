package plan_test

import (
	"slices"
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestCanaryBegins: a new version proves itself beside the stable one, where there is one.
func TestCanaryBegins(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.revise(two)
		s.both(func(w *glint.Service) { w.Update.Canary, w.Update.Bake = 1, minute/2 })
		return s
	}
	play(t, begin, []turn{
		{"beside the stable version", func(s *scene) {}, `
			stack: revision=2 target=2
			web: last=4 phase=canary since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: canary: 0 of 1 work`},
		{"two of three", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Canary = 2 }) }, `
			stack: revision=2 target=2
			web: last=4 phase=canary since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: canary: 0 of 2 work`},
		{"all would be the canary", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Canary = 3 }) }, `
			stack: revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"none is asked for", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Canary = 0 }) }, `
			stack: revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"where old goes first there is none", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate }) }, `
			stack: revision=2 routes=5 target=2
			web: phase=rolling since=noon target=v2 templates=v1,v2
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			do: route
			note web: 3 missing; waits until what only one may hold is free`},
		{"no stable version is known", func(s *scene) { s.fleet().Stable = "" }, `
			stack: revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"it is the stable version", func(s *scene) {
			s.fleet().Stable, s.fleet().Templates[v2] = v2, two
			s.add(v2)
		}, `
			stack: revision=2 routes=5 target=2
			web: last=5 phase=rolling since=noon target=v2
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"nobody of the stable version is there", func(s *scene) { s.fleet().Stable = v3; s.fleet().Templates[v3] = three }, `
			stack: revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v3,v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"one of the stable version is there", func(s *scene) { s.drop(2); s.drop(3) }, `
			stack: revision=2 target=2
			web: last=5 phase=canary since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon version=v1
			web.5: joins
			web.5: created=noon version=v2
			do: create web.4
			do: create web.5
			note web: canary: 0 of 1 work`},
		{"those of the stable version leave", func(s *scene) {
			for n := range 3 {
				m := s.member(n + 1)
				m.Leaving, m.Routed, m.Gone, m.Reason = noon.Add(-time.Second), false, 4, glint.Lost
			}
		}, `
			stack: revision=2 target=2
			web: last=6 phase=rolling since=noon target=v2 templates=v1,v2
			web.1: ending=noon out=noon
			web.2: ending=noon out=noon
			web.3: ending=noon out=noon
			web.4: joins
			web.4: created=noon for=1 version=v2
			web.5: joins
			web.5: created=noon for=2 version=v2
			web.6: joins
			web.6: created=noon for=3 version=v2
			do: destroy web.1
			do: destroy web.2
			do: destroy web.3
			do: create web.4
			do: create web.5
			do: create web.6`},
		{"the stable version was rejected", func(s *scene) { s.fleet().Rejected = []glint.Digest{v1} }, `
			stack: revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: rejected (its version failed); waits: 3 of 3 take traffic
			note web.2: rejected (its version failed); waits: 3 of 3 take traffic
			note web.3: rejected (its version failed); waits: 3 of 3 take traffic`},
		{"a person goes back", func(s *scene) { s.in.Head.Kind = glint.KindRollback }, `
			stack: kind=rollback revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"a person goes back to what is just proving itself", func(s *scene) {
			s.fleet().Target, s.fleet().Phase, s.fleet().Templates[v2] = v2, glint.Canary, two
			s.fleet().Failed, s.fleet().Baking, s.fleet().Promoted = 1, noon.Add(-time.Second), &glint.Word{By: "ann"}
			s.in.Head.Kind, s.in.Head.Retry = glint.KindRollback, true
		}, `
			stack: kind=rollback revision=2 target=2
			web: baking=- failed=0 last=4 promoted=- since=noon
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: canary: 0 of 1 work`},
		{"a person goes back to what is just rolling", func(s *scene) {
			s.fleet().Target, s.fleet().Phase, s.fleet().Templates[v2] = v2, glint.RollingTo, two
			s.in.Head.Kind, s.in.Head.Retry = glint.KindRollback, true
		}, `
			stack: kind=rollback revision=2 target=2
			web: last=4 since=noon
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"a way back after a rejection", func(s *scene) {
			s.in.Releases[1] = s.in.Releases[2]
			s.have.Revision, s.have.Target, s.have.Rejected = 2, 1, &glint.Rejection{Revision: 2}
		}, `
			web: last=4 phase=returning since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r1 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r1 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r1 wants another version); waits: 3 of 3 take traffic`},
		{"another canary takes the place of one", func(s *scene) {
			*s = *proving()
			rel := s.in.Releases[2]
			rel.Services = slices.Clone(rel.Services)
			rel.Services[0].Template = three
			s.in.Releases[3], s.in.Head.Number = rel, 3
		}, `
			stack: revision=3 target=3
			web: baking=- last=5 since=noon target=v3 templates=v3,v1,v2
			web.5: joins
			web.5: created=noon for=4 version=v3
			do: create web.5
			note web.4: superseded (r3 wants another version); waits: 3 of 3 take traffic
			note web: canary: 0 of 1 work`},
	})
}

// TestBake: once all of the canary works it bakes, and the others follow when it has worked for so long without a break.
func TestBake(t *testing.T) {
	promote := func(service string) func(*scene) {
		return func(s *scene) { s.order(glint.Order{Kind: glint.OrderPromote, Service: service}) }
	}
	play(t, proving, []turn{
		{"it bakes", func(s *scene) {}, `
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"it has baked", func(s *scene) { s.fleet().Baking = noon.Add(-30 * time.Second) }, `
			web: baking=- phase=rolling since=noon`},
		{"a moment before", func(s *scene) { s.fleet().Baking = noon.Add(-30*time.Second + 1) }, `
			note web: canary: must work until 12:00:00; to go on now: glint promote
			wake: +1e-09s`},
		{"it has baked, and waits for a person", func(s *scene) {
			s.fleet().Baking = noon.Add(-30 * time.Second)
			s.both(func(w *glint.Service) { w.Update.Manual = true })
		}, `
			note web: canary: has worked for 30s; waits for a person: glint promote, or glint abort`},
		{"it bakes, and will wait for a person", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Manual = true }) }, `
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"it is promoted", promote("web"), `
			stack: ordered=1
			web: baking=- phase=rolling since=noon`},
		{"all are promoted", promote(""), `
			stack: ordered=1
			web: baking=- phase=rolling since=noon`},
		{"another is promoted", promote("db"), `
			stack: ordered=1
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"another word", func(s *scene) { promote("web")(s); s.in.Orders[0].Kind = glint.OrderScale }, `
			stack: ordered=1
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"promoted before, while it was not complete", func(s *scene) { s.fleet().Promoted = &glint.Word{By: "ann"} }, `
			web: baking=- phase=rolling promoted=- since=noon`},
		{"promoted by hand where a person is waited for", func(s *scene) {
			s.both(func(w *glint.Service) { w.Update.Manual = true })
			promote("web")(s)
		}, `
			stack: ordered=1
			web: baking=- phase=rolling since=noon`},
		{"it was promoted, and rollouts stand still", func(s *scene) { s.pause(); promote("web")(s) }, `
			stack: ordered=1
			web: promoted={at:-2s by:ann}
			note web: its rollout stands still: paused by ann; to go on: glint resume
			note web: canary: works since 11:59:50; paused by ann; to go on: glint resume`},
		{"it has baked, and rollouts stand still", func(s *scene) { s.pause(); s.fleet().Baking = noon.Add(-time.Minute) }, `
			note web: its rollout stands still: paused by ann; to go on: glint resume
			note web: canary: works since 11:59:00; paused by ann; to go on: glint resume`},
		{"it begins to bake", func(s *scene) { s.fleet().Baking = time.Time{} }, `
			web: baking=noon
			note web: canary: must work until 12:00:30; to go on now: glint promote
			wake: +30s`},
		{"it does not begin before its routes are in force", func(s *scene) { s.fleet().Baking = time.Time{}; s.have.Routes = 5 }, `
			do: route
			note web: canary: 1 of 1 work`},
		{"once it bakes, new routes change nothing", func(s *scene) { s.have.Routes = 5 }, `
			do: route
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"it needs no time", func(s *scene) {
			s.fleet().Baking = time.Time{}
			s.both(func(w *glint.Service) { w.Update.Bake = 0 })
		}, `
			web: phase=rolling since=noon`},
		{"the clock was set back", func(s *scene) { s.fleet().Baking = noon.Add(1) }, `
			web: baking=noon
			note web: canary: must work until 12:00:30; to go on now: glint promote
			wake: +30s`},
		{"it is not complete", func(s *scene) { s.fleet().Baking = time.Time{}; s.both(func(w *glint.Service) { w.Update.Canary = 2 }) }, `
			web: last=5
			web.5: joins
			web.5: created=noon for=2 version=v2
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: canary: 1 of 2 work`},
		{"it is not ready yet", func(s *scene) { s.fleet().Baking = time.Time{}; s.drop(4); s.young(v2) }, `
			note web: canary: 0 of 1 work
			wake: +50s`},
		{"it was never in the routes, and is unready", func(s *scene) { s.member(4).Routed = false; s.unready(4) }, `
			web: baking=-
			note web.4: is not ready: nobody can say why`},
		{"it becomes unready", func(s *scene) { s.unready(4) }, `
			stack: routes=5
			web: baking=- failed=1
			web.4: gone=5 routed=-
			do: route
			note web.4: is not ready: nobody can say why`},
		{"it dies", func(s *scene) { s.dies(4, 1) }, `
			stack: routes=5
			web: baking=- failed=1 last=5 retry=noon
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=4 version=v2
			do: route
			do: create web.5`},
		{"it does not work", func(s *scene) { s.sick(4) }, `
			stack: routes=5
			web: baking=- failed=1 last=5 retry=noon
			web.4: because="answers 500" gone=5 leaving=noon reason=unhealthy routed=-
			web.5: joins
			web.5: created=noon for=4 version=v2
			do: route
			do: create web.5`},
		{"it vanished", func(s *scene) { s.unsee(4) }, `
			stack: routes=5
			web: baking=- failed=1 last=5 retry=noon
			web.4: because="it vanished from its platform" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=4 version=v2
			do: route
			do: create web.5`},
		{"nobody has asked it", func(s *scene) { s.unasked(4) }, `
			note web: canary: 0 of 1 work
			note web.4: waits until its health is known`},
		{"it was not seen", func(s *scene) { s.unsee(4); s.seen.Complete = false }, `
			note web: canary: 0 of 1 work
			note web: waits until all places answer`},
		{"it was only accepted, they say", func(s *scene) { s.inst(4).State = glint.Accepted }, `
			stack: routes=5
			web: baking=-
			web.4: gone=5 routed=-
			do: route
			do: create web.4
			note web.4: is not ready: nobody can say why`},
		{"it is replaced for a reason that is not its own", func(s *scene) {
			s.both(func(w *glint.Service) { w.Update.Unavailable = 1 })
			s.inst(4).Tainted = "root entered it"
		}, `
			stack: routes=5
			web: baking=- last=5
			web.4: because="root entered it" gone=5 leaving=noon reason=tainted routed=-
			web.5: joins
			web.5: created=noon for=4 version=v2
			do: route
			do: create web.5`},
		{"one too many of it leaves", func(s *scene) { s.add(v2) }, `
			stack: routes=5
			web.4: because="3 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"one too many of it dies", func(s *scene) { s.add(v2); s.dies(5, 1) }, `
			stack: routes=5
			web: baking=- failed=1 retry=noon
			web.5: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"one that left before says nothing", func(s *scene) { s.leaver(v2) }, `
			web.5: ending=noon out=noon
			do: destroy web.5
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"all are unready at once: the fault is elsewhere", func(s *scene) { s.unready(2); s.unready(3); s.unready(4) }, `
			web: baking=-
			note web.4: is not ready: nobody can say why`},
		{"one of the version before is unready", func(s *scene) { s.unready(2) }, `
			stack: routes=5
			web.2: gone=5 routed=-
			do: route
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"one of the version before dies", func(s *scene) { s.dies(2, 1) }, `
			stack: routes=5
			web: last=5
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=2 version=v1
			do: route
			do: create web.5
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"two are to prove themselves now", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Canary = 2 }) }, `
			web: baking=- last=5
			web.5: joins
			web.5: created=noon for=2 version=v2
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"one of two was not asked", func(s *scene) {
			s.both(func(w *glint.Service) { w.Update.Canary = 2 })
			s.add(v2)
			s.unasked(4)
		}, `
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: canary: 1 of 2 work
			note web.4: waits until its health is known`},
		{"one of two was not in the routes before", func(s *scene) {
			s.both(func(w *glint.Service) { w.Update.Canary = 2 })
			s.add(v2).Routed = false
			s.fleet().Baking = time.Time{}
		}, `
			stack: routes=5
			web.5: routed=true
			do: route
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: canary: 2 of 2 work`},
		{"one of two is unready", func(s *scene) {
			s.both(func(w *glint.Service) { w.Update.Canary = 2 })
			s.add(v2)
			s.unready(4)
		}, `
			stack: routes=5
			web: baking=- failed=1
			web.4: gone=5 routed=-
			do: route
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.4: is not ready: nobody can say why`},
		{"no canary is declared any more", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Canary = 0 }) }, `
			web: baking=- last=5 phase=rolling since=noon
			web.5: joins
			web.5: created=noon for=2 version=v2
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"no canary is declared any more, and rollouts stand still", func(s *scene) { s.pause(); s.both(func(w *glint.Service) { w.Update.Canary = 0 }) }, `
			note web: its rollout stands still: paused by ann; to go on: glint resume
			note web: canary: works since 11:59:50; paused by ann; to go on: glint resume`},
		{"what is left of a canary in another phase is forgotten", func(s *scene) { s.fleet().Phase, s.fleet().Promoted = glint.RollingTo, &glint.Word{By: "ann"} }, `
			web: baking=- last=5 promoted=-
			web.5: joins
			web.5: created=noon for=2 version=v2
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"the third failure in a bake", func(s *scene) { s.fleet().Failed = 2; s.dies(4, 1) }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: baking=- failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"the third break of a bake", func(s *scene) { s.fleet().Failed = 2; s.unready(4) }, `
			stack: routes=5
			web: baking=- failed=3
			web.4: gone=5 routed=-
			do: route
			note web.4: is not ready: nobody can say why`},
	})
}

// TestBakeWithoutTraffic: a canary bakes only once the balancers have proven that they send it requests.
func TestBakeWithoutTraffic(t *testing.T) {
	s := proving()
	s.member(4).Routed, s.member(4).Seen, s.fleet().Baking = false, false, time.Time{}
	for range 60 { // the balancers are deaf: generation 4 is all they ever prove
		s.have = next(s).Blueprint
		s.now = s.now.Add(time.Second)
		s.seen.At = s.seen.At.Add(time.Second)
	}
	if f := s.fleet(); f.Phase != glint.Canary || !f.Baking.IsZero() {
		t.Errorf("generation %d of %d is in force, and it is %s, baking since %s", s.seen.Acked(), s.have.Routes, f.Phase, f.Baking)
	}
}
