package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

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
			stack: hosts=[{host:a to:{port:http service:api}}] routes=5
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
			web.4: because="its service is no longer declared" leaving=noon reason=surplus
			web.5: because="its service is no longer declared" leaving=noon reason=surplus
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
