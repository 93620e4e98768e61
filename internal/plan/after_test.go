package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestAfter: a new version waits for what its service comes after, and healing does not.
func TestAfter(t *testing.T) {
	after := func(s *scene) {
		s.revise(two)
		db := service("db", three, 0)
		for n, rel := range s.in.Releases {
			rel.Services = append([]glint.Service{db}, rel.Services...)
			rel.Services[1].After = []string{"db", "migrate"}
			s.in.Releases[n] = rel
		}
		s.both(func(w *glint.Service) { w.After = []string{"db"} })
		s.have.Services = append([]glint.Fleet{{Name: "db", Phase: glint.Steady, Target: v3, Grace: minute / 2, Templates: map[glint.Digest]glint.Template{v3: three}}}, s.have.Services...)
	}
	begin := func() *scene { s := calm(); after(s); return s }
	play(t, begin, []turn{
		{"it serves", func(s *scene) {}, `
			stack: revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"it serves another version", func(s *scene) { s.have.Services[0].Target = v2; s.have.Services[0].Templates[v2] = two }, `
			stack: revision=2 target=2
			db: since=noon target=v3 templates=v3
			note web: its new version waits for db`},
		{"it is not steady", func(s *scene) { s.have.Services[0].Phase = glint.RollingTo }, `
			stack: revision=2 target=2
			db: phase=steady since=noon
			note web: its new version waits for db`},
		{"several are missing", func(s *scene) {
			s.have.Services[0].Phase = glint.RollingTo
			s.both(func(w *glint.Service) { w.After = []string{"api", "db"} })
		}, `
			stack: revision=2 target=2
			db: phase=steady since=noon
			note web: its new version waits for api, db`},
		{"one of the version before fails meanwhile", func(s *scene) {
			s.have.Services[0].Phase = glint.RollingTo
			s.dies(1, 1)
		}, `
			stack: revision=2 routes=5 target=2
			db: phase=steady since=noon
			web: last=4
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4
			note web: its new version waits for db`},
		{"a service that never ran", func(s *scene) {
			s.have.Services[0].Phase = glint.RollingTo
			s.have.Services, s.seen.Instances = s.have.Services[:1], nil
		}, `
			stack: revision=2 target=2
			db: phase=steady since=noon
			web: joins
			web: grace=30s phase=waiting since=noon
			note web: its new version waits for db`},
		{"a service that waits already", func(s *scene) {
			s.have.Revision, s.have.Target = 2, 2
			s.have.Services[0].Phase = glint.RollingTo
			s.seen.Instances = nil
			s.have.Services[1] = glint.Fleet{Name: "web", Phase: glint.Awaiting, Since: noon.Add(-time.Minute), Grace: minute / 2}
		}, `
			db: phase=steady since=noon
			note web: its new version waits for db`},
		{"a service that waits no more", func(s *scene) {
			s.have.Revision, s.have.Target = 2, 2
			s.seen.Instances = nil
			s.have.Services[1] = glint.Fleet{Name: "web", Phase: glint.Awaiting, Since: noon.Add(-time.Minute), Grace: minute / 2}
		}, `
			stack: routes=5
			web: last=3 phase=rolling since=noon target=v2 templates=v2
			web.1: joins
			web.1: created=noon version=v2
			web.2: joins
			web.2: created=noon version=v2
			web.3: joins
			web.3: created=noon version=v2
			do: route
			do: create web.1
			do: create web.2
			do: create web.3`},
		{"a way back waits for nothing", func(s *scene) {
			s.have.Revision, s.have.Rejected = 2, &glint.Rejection{Revision: 2}
			s.have.Services[0].Phase = glint.RollingTo
			s.fleet().Target, s.fleet().Phase, s.fleet().Templates[v2] = v2, glint.RollingTo, two
		}, `
			db: phase=steady since=noon
			web: phase=steady since=noon target=v1 templates=v1`},
		{"in the midst of a rollout another version has to wait: it stands still", func(s *scene) {
			s.have.Services[0].Phase = glint.RollingTo
			s.fleet().Target, s.fleet().Phase, s.fleet().Templates[v3] = v3, glint.RollingTo, three
			s.add(v3)
			s.dies(1, 1)
		}, `
			stack: revision=2 routes=5 target=2
			db: phase=steady since=noon
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route
			note web: its new version waits for db`},
		{"one that was undeclared waits to come back", func(s *scene) {
			s.have.Services[0].Phase = glint.RollingTo
			s.fleet().Phase = glint.Emptying
			s.dies(1, 1)
		}, `
			stack: revision=2 routes=5 target=2
			db: phase=steady since=noon
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route
			note web: its new version waits for db`},
		{"one that was undeclared waits to come back, old first", func(s *scene) {
			s.have.Services[0].Phase = glint.RollingTo
			s.fleet().Phase = glint.Emptying
			s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate })
			s.dies(1, 1)
		}, `
			stack: revision=2 routes=5 target=2
			db: phase=steady since=noon
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route
			note web: its new version waits for db`},
		{"one that was undeclared comes back", func(s *scene) { s.fleet().Phase = glint.Emptying; s.in.Releases[2].Services[1].Template = one }, `
			stack: revision=2 target=2
			web: phase=steady since=noon`},
		{"one that was empty comes back", func(s *scene) {
			s.have.Services[1] = glint.Fleet{Name: "web", Phase: glint.Empty, Last: 7}
			s.seen.Instances = nil
		}, `
			stack: revision=2 routes=5 target=2
			web: grace=30s last=10 phase=rolling since=noon target=v2 templates=v2
			web.8: joins
			web.8: created=noon version=v2
			web.9: joins
			web.9: created=noon version=v2
			web.10: joins
			web.10: created=noon version=v2
			do: route
			do: create web.8
			do: create web.9
			do: create web.10`},
	})
}

// TestScale takes up another number of instances.
func TestScale(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.both(func(w *glint.Service) { w.Min, w.Max = 2, 5 })
		return s
	}
	ask := func(n int) func(*scene) {
		return func(s *scene) { s.order(glint.Order{Kind: glint.OrderScale, Service: "web", Wanted: n}) }
	}
	play(t, begin, []turn{
		{"more", ask(4), `
			stack: ordered=1
			web: asked=4 last=4 wanted=4
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"fewer", ask(2), `
			stack: ordered=1 routes=5
			web: asked=2 wanted=2
			web.1: because="2 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
		{"the same", ask(3), `
			stack: ordered=1
			web: asked=3 wanted=3`},
		{"more than may be", ask(9), `
			stack: ordered=1
			web: asked=9 last=5 wanted=5
			web.4: joins
			web.4: created=noon version=v1
			web.5: joins
			web.5: created=noon version=v1
			do: create web.4
			do: create web.5`},
		{"fewer than may be", ask(1), `
			stack: ordered=1 routes=5
			web: asked=1 wanted=2
			web.1: because="2 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
		{"another service", func(s *scene) { ask(4)(s); s.in.Orders[0].Service = "db" }, `
			stack: ordered=1`},
		{"another word", func(s *scene) { ask(4)(s); s.in.Orders[0].Kind = glint.OrderResume }, `
			stack: ordered=1`},
		{"more, while one is not ready", func(s *scene) { ask(4)(s); s.unready(2) }, `
			stack: ordered=1 routes=5
			web: asked=4
			web.2: gone=5 routed=-
			do: route
			note web: 4 instances are asked for; stays at 3 until all of these work
			note web.2: is not ready: nobody can say why`},
		{"fewer, while one is not ready", func(s *scene) { ask(2)(s); s.unready(2) }, `
			stack: ordered=1 routes=5
			web: asked=2 wanted=2
			web.2: because="2 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
		{"more, while a spare is not ready", func(s *scene) { ask(4)(s); s.spare(v1); s.both(func(w *glint.Service) { w.Standby = 1 }) }, `
			stack: ordered=1
			web: asked=4 wanted=4
			web.4: held=- let=noon
			do: create web.4`},
		{"more, with one of those ready a spare", func(s *scene) { ask(4)(s); s.member(3).Warm = noon.Add(time.Hour) }, `
			stack: ordered=1 routes=5
			web: asked=4 last=4
			web.3: gone=5 routed=-
			web.4: joins
			web.4: created=noon version=v1
			do: route
			do: create web.4
			note web: 4 instances are asked for; stays at 3 until all of these work
			wake: +3600s`},
		{"more, while an update goes on", func(s *scene) { *s = *rolling(); s.both(func(w *glint.Service) { w.Min, w.Max = 2, 5 }); ask(4)(s) }, `
			stack: ordered=1 routes=5
			web: asked=4 last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web: 4 instances are asked for; stays at 3 until all of these work
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"more, while a new version waits", func(s *scene) {
			s.revise(two)
			s.in.Releases[2].Services[0].After = []string{"db"}
			ask(4)(s)
		}, `
			stack: ordered=1 revision=2 target=2
			web: asked=4
			note web: its new version waits for db
			note web: 4 instances are asked for; stays at 3 until all of these work`},
		{"asked for before, and all are ready now", func(s *scene) { s.fleet().Asked, s.fleet().Wanted = 5, 3 }, `
			web: last=5 wanted=5
			web.4: joins
			web.4: created=noon version=v1
			web.5: joins
			web.5: created=noon version=v1
			do: create web.4
			do: create web.5`},
		{"the number is fixed now", func(s *scene) {
			s.fleet().Asked, s.fleet().Wanted = 5, 3
			s.both(func(w *glint.Service) { w.Min, w.Max = 0, 0 })
		}, `
			web: asked=- wanted=-`},
		{"what was taken up holds in the next revision", func(s *scene) { s.fleet().Asked, s.fleet().Wanted = 3, 3; s.revise(two) }, `
			stack: revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"the revision counts from what was taken up", func(s *scene) {
			s.revise(one)
			s.in.Releases[2].Services[0].Instances = 4
			s.fleet().Asked, s.fleet().Wanted = 3, 3
		}, `
			stack: revision=2 target=2`},
	})
}
