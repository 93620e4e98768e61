package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestSettle: a rollout has ended when every place is taken by a ready member of the target version.
func TestSettle(t *testing.T) {
	begin := func() *scene {
		s := rolling()
		s.drop(1)
		s.drop(2)
		s.drop(3)
		s.add(v2)
		s.add(v2)
		return s
	}
	play(t, begin, []turn{
		{"it has ended", func(s *scene) {}, `
			stack: stable=2
			web: phase=steady since=noon stable=v2 templates=v2`},
		{"one is not ready", func(s *scene) { s.unready(5) }, `
			stack: routes=5
			web.5: gone=5 routed=-
			do: route
			note web.5: is not ready: nobody can say why`},
		{"one is not in the routes yet", func(s *scene) { s.member(5).Routed = false }, `
			stack: routes=5
			web: phase=steady since=noon stable=v2 templates=v2
			web.5: routed=true
			do: route`},
		{"one was not asked", func(s *scene) { s.unasked(5) }, `
			note web.5: waits until its health is known`},
		{"one is missing", func(s *scene) { s.drop(5) }, `
			web: last=7
			web.7: joins
			web.7: created=noon version=v2
			do: create web.7`},
		{"one of the version before is there", func(s *scene) { s.add(v1) }, `
			stack: routes=5
			web: phase=steady since=noon stable=v2
			web.7: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			do: route`},
		{"one of the version before is there, and was not asked", func(s *scene) { s.add(v1); s.unasked(7) }, `
			note web.7: superseded (r2 wants another version); waits until its health is known`},
		{"a service of one", func(s *scene) {
			s.drop(5)
			s.drop(6)
			s.both(func(w *glint.Service) { w.Instances = 1 })
		}, `
			stack: stable=2
			web: phase=steady since=noon stable=v2 templates=v2`},
		{"one of the version before leaves", func(s *scene) { s.leaver(v1) }, `
			stack: stable=2
			web: phase=steady since=noon stable=v2
			web.7: ending=noon out=noon
			do: destroy web.7`},
		{"one too many is there", func(s *scene) { s.add(v2) }, `
			stack: routes=5
			web: phase=steady since=noon stable=v2 templates=v2
			web.4: because="3 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
		{"not all have answered", func(s *scene) { s.seen.Complete = false }, `
			note web: waits until all places answer`},
		{"at rest it does not matter that not all have answered", func(s *scene) {
			s.fleet().Phase, s.fleet().Stable, s.have.Stable, s.seen.Complete = glint.Steady, v2, 2, false
		}, `
			web: templates=v2`},
		{"the canary is not the end", func(s *scene) {
			s.fleet().Phase = glint.Canary
			s.both(func(w *glint.Service) { w.Update.Canary, w.Instances, w.Update.Bake = 2, 3, minute })
			s.drop(6)
			s.add(v1)
		}, `
			web: baking=noon
			note web: canary: must work until 12:01:00; to go on now: glint promote
			wake: +60s`},
		{"nobody is wanted: it has not been seen to work", func(s *scene) {
			s.drop(4)
			s.drop(5)
			s.drop(6)
			s.both(func(w *glint.Service) { w.Instances = 0 })
		}, `
			stack: stable=2
			web: phase=steady since=noon`},
		{"its new version waits", func(s *scene) {
			s.in.Releases[3] = glint.Release{Services: []glint.Service{service("web", three, 3)}}
			s.in.Releases[3].Services[0].After = []string{"db"}
			s.in.Head.Number = 3
			s.fleet().Templates[v3] = three
		}, `
			stack: revision=3 target=3
			web: templates=v1,v2
			note web: its new version waits for db`},
	})
}

// TestForget: failures are forgotten once the youngest has worked for a minute.
func TestForget(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.fleet().Failed, s.fleet().Retry = 2, noon.Add(-time.Hour)
		return s
	}
	young := func(ago time.Duration) func(*scene) {
		return func(s *scene) { s.member(2).Created = noon.Add(-ago) }
	}
	play(t, begin, []turn{
		{"all are old", func(s *scene) {}, `
			web: failed=0 retry=-`},
		{"one is a minute old", young(time.Minute), `
			web: failed=0 retry=-`},
		{"one is not yet a minute old", young(time.Minute - 1), `
			wake: +1e-09s`},
		{"the younger counts", func(s *scene) { young(20 * time.Second)(s); s.member(3).Created = noon.Add(-40 * time.Second) }, `
			wake: +40s`},
		{"one is not ready", func(s *scene) { s.unready(1) }, `
			stack: routes=5
			web.1: gone=5 routed=-
			do: route
			note web.1: is not ready: nobody can say why`},
		{"the last failure is a minute ago", func(s *scene) { s.fleet().Retry = noon.Add(-time.Minute) }, `
			web: failed=0 retry=-`},
		{"the last failure is not yet a minute ago, whoever else works", func(s *scene) { s.fleet().Retry = noon.Add(-time.Minute + 1) }, `
			wake: +1e-09s`},
		{"none has failed", func(s *scene) { young(0)(s); s.fleet().Failed = 0 }, ``},
	})
}

// TestStable: a revision is the stable one when all of it works and its routes are in force.
func TestStable(t *testing.T) {
	begin := func() *scene {
		s := rolling()
		s.drop(1)
		s.drop(2)
		s.drop(3)
		s.add(v2)
		s.add(v2)
		s.fleet().Phase, s.fleet().Stable = glint.Steady, v2
		return s
	}
	play(t, begin, []turn{
		{"it works", func(s *scene) {}, `
			stack: stable=2
			web: templates=v2`},
		{"its routes are not in force", func(s *scene) { s.have.Routes = 5 }, `
			web: templates=v2
			do: route`},
		{"a balancer has only loaded them", func(s *scene) {
			s.seen.Acks = append(s.seen.Acks, glint.Ack{Member: "two", Generation: 4, Kind: "loaded"})
		}, `
			web: templates=v2
			do: route`},
		{"a balancer is ahead", func(s *scene) { s.seen.Acks[0].Generation = 9 }, `
			stack: stable=2
			web: templates=v2`},
		{"there are no balancers", func(s *scene) { s.seen.Acks = nil }, `
			web: templates=v2
			do: route`},
		{"its routes change just now", func(s *scene) { s.add(v2); s.both(func(w *glint.Service) { w.Update.Unavailable = 1 }) }, `
			stack: routes=5
			web: templates=v2
			web.4: because="3 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
		{"not all have answered", func(s *scene) { s.seen.Complete = false }, `
			web: templates=v2`},
		{"it is rejected", func(s *scene) { s.have.Rejected = &glint.Rejection{Revision: 2} }, `
			web: templates=v2`},
		{"another was rejected", func(s *scene) { s.have.Rejected = &glint.Rejection{Revision: 3} }, `
			stack: stable=2
			web: templates=v2`},
		{"it was taken up just now", func(s *scene) { s.have.Revision, s.have.Target = 1, 1 }, `
			stack: revision=2 target=2
			web: templates=v2`},
		{"it ends the stack", func(s *scene) { s.in.Head.Kind = glint.KindDestroy }, `
			web: templates=v2`},
		{"the end of the stack was rejected for this", func(s *scene) { s.in.Head.Kind, s.in.Head.Number, s.have.Revision = glint.KindDestroy, 3, 3 }, `
			stack: stable=2
			web: templates=v2`},
		{"one service does not work", func(s *scene) {
			rel := s.in.Releases[2]
			rel.Services = append(rel.Services[:1:1], service("zoo", one, 0))
			rel.Services[1].Instances = 1
			s.in.Releases[2] = rel
			s.have.Services = append(s.have.Services, glint.Fleet{Name: "zoo", Phase: glint.Steady, Since: noon, Target: v1, Stable: v1, Templates: map[glint.Digest]glint.Template{v1: one}, Grace: minute / 2, Members: []glint.Member{{N: 1, Version: v1, Created: noon}}, Last: 1})
		}, `
			web: templates=v2
			do: create zoo.1
			wake: +60s`},
		{"nothing is declared, and routes change", func(s *scene) {
			s.in.Releases[2] = glint.Release{}
		}, `
			stack: routes=5
			web: phase=emptying since=noon templates=v2
			web.4: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.5: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.6: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
	})
}

// TestKeepTemplates forgets what no member is made from and nobody may want again.
func TestKeepTemplates(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.fleet().Templates[v2], s.fleet().Templates[v3] = two, three
		return s
	}
	play(t, begin, []turn{
		{"nobody is of them", func(s *scene) {}, `
			web: templates=v1`},
		{"a member that leaves is of one", func(s *scene) { s.leaver(v3); s.inst(4).InFlight = 1; s.member(4).Out = noon }, `
			web: templates=v3,v1
			note web.4: drains: 1 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"one is stable", func(s *scene) { s.fleet().Stable = v3 }, `
			web: templates=v3,v1`},
		{"the service is busy", func(s *scene) { s.unready(1) }, `
			stack: routes=5
			web: templates=v1
			web.1: gone=5 routed=-
			do: route
			note web.1: is not ready: nobody can say why`},
		{"its new version waits", func(s *scene) {
			s.revise(two)
			s.in.Releases[2].Services[0].After = []string{"db"}
		}, `
			stack: revision=2 target=2
			web: templates=v1
			note web: its new version waits for db`},
		{"it is no longer declared", func(s *scene) { s.in.Releases[1] = glint.Release{} }, `
			stack: routes=5
			web: phase=emptying since=noon templates=v1
			web.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.3: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
	})
}

// TestStandbyThatFails: a standby that dies whenever it is made is tried again with growing pauses, as any other.
func TestStandbyThatFails(t *testing.T) {
	s := calm()
	s.both(func(w *glint.Service) { w.Standby = 1 })
	s.spare(v1)
	for range 300 {
		for _, m := range s.fleet().Members {
			if m.Held && m.Stays() {
				s.unsee(m.N)
				s.see(glint.Instance{ID: s.id(m.N), Version: v1, State: glint.Dead, Created: m.Created, Exit: &glint.Exit{Code: -1, Failure: "no space"}})
			}
		}
		s.have = next(s).Blueprint
		s.now = s.now.Add(time.Second)
		s.seen.At = s.seen.At.Add(time.Second)
	}
	if made := s.fleet().Last - 4; made > 30 {
		t.Errorf("%d were made in 300 s", made)
	}
}

// TestReplacementThatFails: neither is one that is to take the place of an old one made anew each second.
func TestReplacementThatFails(t *testing.T) {
	s := calm()
	s.both(func(w *glint.Service) { w.MaxAge = 60 * minute })
	for range 300 {
		for _, m := range s.fleet().Members {
			if m.N > 3 && m.Stays() {
				s.unsee(m.N)
				s.see(glint.Instance{ID: s.id(m.N), Version: v1, State: glint.Dead, Created: m.Created, Exit: &glint.Exit{Code: 1}})
			}
		}
		s.have = next(s).Blueprint
		s.now = s.now.Add(time.Second)
		s.seen.At = s.seen.At.Add(time.Second)
	}
	if made := s.fleet().Last - 3; made > 30 {
		t.Errorf("%d were made in 300 s", made)
	}
}
