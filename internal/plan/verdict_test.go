package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestVerdict rejects a version that failed three times, unless it is known to have worked.
func TestVerdict(t *testing.T) {
	begin := func() *scene {
		s := rolling()
		s.fleet().Failed = 2
		s.dies(4, 1)
		return s
	}
	filled := func(n int) []glint.Digest {
		var all []glint.Digest
		for i := range n {
			all = append(all, glint.Digest(fmt.Sprint("x", i)))
		}
		return all
	}
	play(t, begin, []turn{
		{"the third time", func(s *scene) {}, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"the second time", func(s *scene) { s.fleet().Failed = 1 }, `
			stack: routes=5
			web: failed=2 retry=+1s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: 3 missing; after 2 failures the next try is at 12:00:01
			wake: +1s`},
		{"more than the third time", func(s *scene) { s.fleet().Failed = 4 }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=5 rejected=[v2] retry=+8s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"the last of those that failed is named", func(s *scene) {
			s.add(v2)
			s.dies(5, 2)
			s.leaver(v2).Because = "exited 3"
			s.leaver(v1)
			s.add(v2)
		}, `
			stack: rejected={because:"web.6 exited 3, 3 of 3 tries" instance:shop.e.web.6 revision:2 service:web version:v2} routes=5 target=1
			web: failed=4 rejected=[v2] retry=+4s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: because="exited 2" gone=5 leaving=noon reason=lost routed=-
			web.6: ending=noon out=noon
			web.7: ending=noon out=noon
			do: route
			do: destroy web.6
			do: destroy web.7`},
		{"nothing to return to", func(s *scene) { s.have.Stable = 0 }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route
			note web: version v2 is rejected; to try it again: glint apply --retry`},
		{"one try, where none is said", func(s *scene) { s.fleet().Failed = 0; s.both(func(w *glint.Service) { w.Update.Tries = 0 }) }, `
			stack: rejected={because:"web.4 exited 1, 1 of 1 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=1 rejected=[v2] retry=noon
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"it is what was stable", func(s *scene) {
			s.in.Releases[1] = s.in.Releases[2]
			s.fleet().Stable = v2
		}, `
			stack: routes=5
			web: failed=3 last=5 retry=noon
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=4 version=v2
			do: route
			do: create web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"it is what was stable, and ran there", func(s *scene) { s.in.Releases[1] = s.in.Releases[2] }, `
			stack: routes=5
			web: failed=3 last=5 retry=noon
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=4 version=v2
			do: route
			do: create web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"it ran, and is not what is stable", func(s *scene) { s.fleet().Stable = v2 }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"it ran, and the stable revision knows no such service", func(s *scene) { s.fleet().Stable = v2; s.in.Releases[1] = glint.Release{} }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"at rest none is rejected", func(s *scene) { s.fleet().Phase = glint.Steady }, `
			stack: routes=5
			web: last=5
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=4 version=v2
			do: route
			do: create web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"fifteen are remembered", func(s *scene) { s.fleet().Rejected = filled(15) }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"sixteen are remembered", func(s *scene) { s.fleet().Rejected = filled(16) }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 x15 v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"rejected before", func(s *scene) {
			s.fleet().Rejected = []glint.Digest{v2}
			s.have.Rejected = &glint.Rejection{Revision: 2}
		}, `
			stack: routes=5
			web: failed=3 retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route
			note web: version v2 is rejected; to try it again: glint apply --retry`},
		{"a canary that does not work without a break", func(s *scene) {
			*s = *proving()
			s.fleet().Failed, s.fleet().Baking = 3, time.Time{}
		}, `
			stack: rejected={because:"the canary did not work for 30s without a break, 3 of 3 tries" instance: revision:2 service:web version:v2} target=1
			web: rejected=[v2]`},
		{"in the turn that rejects for one service, another begins nothing", func(s *scene) {
			rel := s.in.Releases[2]
			rel.Services = append(rel.Services, service("zoo", three, 1), service("zulu", one, 1))
			s.in.Releases[2] = rel
			s.have.Services = append(s.have.Services, glint.Fleet{Name: "zoo", Phase: glint.Steady, Since: noon, Target: v1, Stable: v1, Templates: map[glint.Digest]glint.Template{v1: one}})
			s.add(v1)
		}, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"what is rejected just now opens nothing and leads nobody", func(s *scene) {
			rel := s.in.Releases[2]
			rel.Allows = []glint.Edge{{From: "web", To: glint.Target{Service: "web", Port: "http"}}}
			rel.Routes = []glint.Route{{Host: "bank", To: glint.Target{Service: "web", Port: "http"}}}
			s.in.Releases[2] = rel
		}, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"host names that it does not declare stay in that turn", func(s *scene) {
			s.have.Hosts = []glint.Route{{Host: "shop", To: glint.Target{Service: "web", Port: "http"}}}
		}, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"what is routed follows what is ready in that turn too", func(s *scene) { s.unready(1) }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.1: gone=5 routed=-
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
	})
}

// TestBrake: when all fail at once the fault is elsewhere, and nobody is killed for it.
func TestBrake(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.sick(1)
		s.sick(2)
		s.sick(3)
		return s
	}
	play(t, begin, []turn{
		{"all", func(s *scene) {}, `
			note web.1: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.1: is not ready: answers 500
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"all are unready", func(s *scene) { *s = *calm(); s.unready(1); s.unready(2); s.unready(3) }, `
			note web.1: is not ready: nobody can say why
			note web.2: is not ready: nobody can say why
			note web.3: is not ready: nobody can say why`},
		{"all but one that is ready", func(s *scene) { s.inst(3).Health = glint.Health{Known: true, Ready: true, Live: true} }, `
			stack: routes=5
			web: last=5
			web.1: because="answers 500" gone=5 leaving=noon reason=unhealthy routed=-
			web.2: because="answers 500" gone=5 leaving=noon reason=unhealthy routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			web.5: joins
			web.5: created=noon for=2 version=v1
			do: route
			do: create web.4
			do: create web.5`},
		{"one is dead", func(s *scene) { s.dies(1, 1) }, `
			stack: routes=5
			web: last=4
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"two are dead: one is not all", func(s *scene) { s.dies(1, 1); s.dies(2, 1) }, `
			stack: routes=5
			web: last=6
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.3: because="answers 500" gone=5 leaving=noon reason=unhealthy routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			web.5: joins
			web.5: created=noon for=2 version=v1
			web.6: joins
			web.6: created=noon for=3 version=v1
			do: route
			do: create web.4
			do: create web.5
			do: create web.6`},
		{"one was not seen", func(s *scene) { s.unsee(1); s.seen.Complete = false }, `
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"one was not asked", func(s *scene) { s.unasked(1) }, `
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.1: waits until its health is known
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"one never worked", func(s *scene) { s.member(1).Seen, s.member(1).Routed = false, false }, `
			web: failed=1 last=4 retry=noon
			web.1: because="answers 500" leaving=noon reason=unhealthy
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: create web.4
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"one leaves", func(s *scene) {
			s.member(1).Leaving, s.member(1).Routed, s.member(1).Gone = noon.Add(-time.Second), false, 4
		}, `
			web: last=4
			web.1: ending=noon out=noon
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: destroy web.1
			do: create web.4
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"nobody ages, drifts or is entered meanwhile", func(s *scene) {
			s.inst(1).Deviations, s.inst(2).Tainted = []string{"a file changed"}, "root entered it"
			s.both(func(w *glint.Service) { w.MaxAge, w.Update.Unavailable = minute, 3 })
		}, `
			web: last=4
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: create web.4
			note web.1: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.1: drifted (a file changed); waits: all fail at once, the fault is elsewhere
			note web.2: tainted (root entered it); waits: all fail at once, the fault is elsewhere
			note web.3: expired (born at 11:00:00; none may be older than 1m); waits: all fail at once, the fault is elsewhere
			note web.1: is not ready: answers 500
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"a person's word counts", func(s *scene) {
			s.both(func(w *glint.Service) { w.Update.Unavailable = 1 })
			s.order(glint.Order{Kind: glint.OrderReplace, Instance: s.id(2)})
		}, `
			stack: ordered=1 routes=5
			web: last=4
			web.2: because="ann asked" gone=5 leaving=noon reason=requested routed=-
			web.4: joins
			web.4: created=noon for=2 version=v1
			do: route
			do: create web.4
			note web.1: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.1: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"what takes no traffic may leave", func(s *scene) { s.member(2).Routed = false; s.inst(2).Tainted = "root entered it" }, `
			web: last=4
			web.2: because="root entered it" leaving=noon reason=tainted
			web.4: joins
			web.4: created=noon for=2 version=v1
			do: create web.4
			note web.1: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.1: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"an update goes on within the floor", func(s *scene) { s.roll(two); s.both(func(w *glint.Service) { w.Update.Unavailable = 1 }) }, `
			stack: routes=5
			web: last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.4: joins
			web.4: created=noon for=1 version=v2
			web.5: joins
			web.5: created=noon for=2 version=v2
			do: route
			do: create web.4
			do: create web.5
			note web.1: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: superseded (r2 wants another version); waits: 2 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 2 of 3 take traffic`},
	})
}
