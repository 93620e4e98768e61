package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

func to(service, port string) glint.Target { return glint.Target{Service: service, Port: port} }

// TestClaims: each volume is claimed by every member that may hold it.
func TestClaims(t *testing.T) {
	begin := func() *scene {
		s := nothing()
		db, media := service("db", disk, 1), service("av", glint.Template{Image: one.Image, Volumes: []glint.Volume{{Name: "b", Path: "/b"}, {Name: "a", Path: "/a"}}}, 2)
		s.in.Releases[1] = glint.Release{Services: []glint.Service{media, db}}
		return s
	}
	s := begin()
	got := next(s).Blueprint
	id := func(service string, n int) glint.ID {
		return glint.ID{Stack: "shop", Epoch: "e", Service: service, N: n}
	}
	want := []glint.Claim{{Service: "av", Volume: "a", Holder: id("av", 1)}, {Service: "av", Volume: "a", Holder: id("av", 2)}, {Service: "av", Volume: "b", Holder: id("av", 1)}, {Service: "av", Volume: "b", Holder: id("av", 2)}, {Service: "db", Volume: "data", Holder: id("db", 1)}}
	if text(got.Volumes) != text(want) {
		t.Errorf("got %s", text(got.Volumes))
	}
	held := func() *scene {
		s := calm()
		s.drop(2)
		s.drop(3)
		s.in.Releases[1] = glint.Release{Services: []glint.Service{service("web", disk, 1)}}
		f := s.fleet()
		f.Target, f.Stable, f.Templates = vd, vd, map[glint.Digest]glint.Template{vd: disk}
		s.member(1).Version, s.inst(1).Version = vd, vd
		s.have.Volumes = []glint.Claim{{Service: "web", Volume: "data", Holder: s.id(1)}}
		return s
	}
	play(t, held, []turn{
		{"its holder works", func(s *scene) {}, ``},
		{"its holder dies: nobody takes it before that is gone", func(s *scene) { s.dies(1, 1) }, `
			web.1: because="exited 1" gone=4 leaving=noon reason=lost routed=-
			note web: 1 missing; waits until what only one may hold is free`},
		{"its holder was not seen", func(s *scene) {
			s.unsee(1)
			s.member(1).Leaving = noon.Add(-3 * time.Second)
			s.member(1).Routed = false
			s.seen.Complete = false
		}, `
			note web.1: cannot be seen; waits for a look that proves that it is gone
			note web: 1 missing; waits until what only one may hold is free
			note web: 1 missing; waits until all places answer
			wake: +297s`},
		{"its holder is gone", func(s *scene) {
			s.unsee(1)
			s.member(1).Leaving = noon.Add(-3 * time.Second)
			s.member(1).Routed = false
		}, `
			stack: volumes=[{holder:shop.e.web.4 service:web volume:data}]
			web: last=4
			web.1: is forgotten
			web.4: joins
			web.4: created=noon version=d1
			do: create web.4`},
		{"a claim on what nobody has is dropped", func(s *scene) {
			s.have.Volumes[0].Volume = "old"
		}, `
			stack: volumes=[{holder:shop.e.web.1 service:web volume:data}]`},
		{"it was entered: it leaves before another holds the volume", func(s *scene) { s.inst(1).Tainted = "root entered it" }, `
			web.1: because="root entered it" gone=4 leaving=noon reason=tainted routed=-
			note web: 1 missing; waits until what only one may hold is free`},
	})
}

// TestEdges: what is declared is open at once; what is no longer declared is closed when nobody can need it.
func TestEdges(t *testing.T) {
	ab, ac, ba := glint.Edge{From: "a", To: to("b", "http")}, glint.Edge{From: "a", To: to("b", "raw")}, glint.Edge{From: "b", To: to("a", "http")}
	bc := glint.Edge{From: "a", To: to("c", "http")}
	allow := func(s *scene, n int, edges ...glint.Edge) {
		rel := s.in.Releases[n]
		rel.Allows = edges
		s.in.Releases[n] = rel
	}
	play(t, calm, []turn{
		{"new ones", func(s *scene) { allow(s, 1, ba, bc, ac, ab) }, `
			stack: edges=[{from:a to:{port:http service:b}} {from:a to:{port:raw service:b}} {from:a to:{port:http service:c}} {from:b to:{port:http service:a}}] routes=5
			do: route`},
		{"they are there", func(s *scene) { allow(s, 1, ab, ac); s.have.Edges = []glint.Edge{ab, ac} }, ``},
		{"one is no longer declared", func(s *scene) { allow(s, 1, ab); s.have.Edges = []glint.Edge{ab, ac} }, `
			stack: edges=[{from:a to:{port:http service:b}}] routes=5
			do: route`},
		{"none is declared any more", func(s *scene) { s.have.Edges = []glint.Edge{ab} }, `
			stack: edges=- routes=5
			do: route`},
		{"something is busy", func(s *scene) { *s = *rolling(); allow(s, 2, ba); s.have.Edges = []glint.Edge{ab, ba} }, `
			stack: routes=5
			web: last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"the revision was taken up just now", func(s *scene) { s.revise(one); s.have.Edges = []glint.Edge{ab} }, `
			stack: revision=2 target=2`},
		{"somebody leaves", func(s *scene) {
			s.leaver(v1)
			s.inst(4).InFlight = 1
			s.member(4).Out = noon
			s.have.Edges = []glint.Edge{ab}
		}, `
			note web.4: drains: 1 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"somebody is kept warm", func(s *scene) { s.warm(v1); s.have.Edges = []glint.Edge{ab} }, `
			wake: +3600s`},
		{"a standby is kept", func(s *scene) {
			s.spare(v1)
			s.both(func(w *glint.Service) { w.Standby = 1 })
			s.have.Edges = []glint.Edge{ab}
		}, `
			stack: edges=- routes=5
			do: route`},
	})
}

// TestHosts: a host name leads to the service declared for it, once that can take the traffic.
func TestHosts(t *testing.T) {
	host := func(name string, t glint.Target) glint.Route { return glint.Route{Host: name, To: t} }
	// api has one member that is not ready; web has three that are.
	begin := func() *scene {
		s := calm()
		s.have.Revision, s.have.Target, s.have.Stable = 2, 2, 2
		s.in.Head.Number = 2
		s.have.Services = append([]glint.Fleet{{Name: "api", Phase: glint.RollingTo, Since: noon, Target: v2, Templates: map[glint.Digest]glint.Template{v2: two}, Grace: minute / 2, Last: 2,
			Members: []glint.Member{{N: 1, Version: v2, Created: noon.Add(-time.Second)}, {N: 2, Version: v2, Created: noon.Add(-time.Second)}}}}, s.have.Services...)
		for n := range 2 {
			s.see(glint.Instance{ID: glint.ID{Stack: "shop", Epoch: "e", Service: "api", N: n + 1}, Version: v2, State: glint.Running, Created: noon.Add(-time.Second), Address: "10.0.1.1", Health: glint.Health{Live: true}})
		}
		s.have.Hosts = []glint.Route{host("shop", to("web", "http"))}
		s.in.Releases[2] = glint.Release{Services: []glint.Service{service("api", two, 2), service("web", one, 3)}, Routes: []glint.Route{host("shop", to("api", "http"))}}
		return s
	}
	ready := func(s *scene, n int) {
		for i := range s.seen.Instances {
			if s.seen.Instances[i].ID.Service == "api" && s.seen.Instances[i].ID.N == n {
				s.seen.Instances[i].Health = glint.Health{Known: true, Ready: true, Live: true}
			}
		}
	}
	play(t, begin, []turn{
		{"nobody of the new service is ready", func(s *scene) {}, `
			wake: +59s`},
		{"one of two is ready", func(s *scene) { ready(s, 1) }, `
			stack: routes=5
			api.1: address=10.0.1.1 routed=true seen=true
			do: route
			wake: +59s`},
		{"all are ready", func(s *scene) { ready(s, 1); ready(s, 2) }, `
			stack: hosts=[{host:shop to:{port:http service:api}}] routes=5
			api: phase=steady stable=v2
			api.1: address=10.0.1.1 routed=true seen=true
			api.2: address=10.0.1.1 routed=true seen=true
			do: route`},
		{"one of two is enough", func(s *scene) { ready(s, 1); s.in.Releases[2].Services[0].Update.Unavailable = 1 }, `
			stack: hosts=[{host:shop to:{port:http service:api}}] routes=5
			api.1: address=10.0.1.1 routed=true seen=true
			do: route
			wake: +59s`},
		{"none of two is not enough, whatever may be missing", func(s *scene) { s.in.Releases[2].Services[0].Update.Unavailable = 2 }, `
			wake: +59s`},
		{"as many stand behind both", func(s *scene) {
			ready(s, 1)
			for n := range 2 {
				s.unready(n + 1)
			}
		}, `
			stack: hosts=[{host:shop to:{port:http service:api}}] routes=5
			api.1: address=10.0.1.1 routed=true seen=true
			web.1: gone=5 routed=-
			web.2: gone=5 routed=-
			do: route
			note web.1: is not ready: nobody can say why
			note web.2: is not ready: nobody can say why
			wake: +59s`},
		{"fewer stand behind the one before", func(s *scene) {
			ready(s, 1)
			for n := range 3 {
				s.dies(n+1, 1)
			}
		}, `
			stack: hosts=[{host:shop to:{port:http service:api}}] routes=5
			api.1: address=10.0.1.1 routed=true seen=true
			web: last=6
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.3: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			web.5: joins
			web.5: created=noon for=2 version=v1
			web.6: joins
			web.6: created=noon for=3 version=v1
			do: route
			do: create web.4
			do: create web.5
			do: create web.6
			wake: +59s`},
		{"nobody stands behind either", func(s *scene) {
			for n := range 3 {
				s.dies(n+1, 1)
			}
		}, `
			stack: hosts=[{host:shop to:{port:http service:api}}] routes=5
			web: last=6
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.3: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			web.5: joins
			web.5: created=noon for=2 version=v1
			web.6: joins
			web.6: created=noon for=3 version=v1
			do: route
			do: create web.4
			do: create web.5
			do: create web.6
			wake: +59s`},
		{"nobody is wanted behind the new one", func(s *scene) { s.in.Releases[2].Services[0].Instances = 0 }, `
			stack: hosts=[{host:shop to:{port:http service:api}}] routes=5
			api: phase=steady
			api.1: because="0 wanted" leaving=noon reason=surplus
			api.2: because="0 wanted" leaving=noon reason=surplus
			do: route
			wake: +59s`},
		{"who was not asked counts as one that can", func(s *scene) {
			for i := range 2 {
				s.have.Services[0].Members[i].Routed, s.have.Services[0].Members[i].Seen, s.have.Services[0].Members[i].Address = true, true, "10.0.1.1"
				s.seen.Instances[i].Health = glint.Health{}
			}
		}, `
			stack: hosts=[{host:shop to:{port:http service:api}}] routes=5
			do: route
			note api.1: waits until its health is known
			note api.2: waits until its health is known`},
		{"a port that nobody has", func(s *scene) { s.in.Releases[2].Routes[0].To.Port = "raw" }, `
			wake: +59s`},
		{"a service that is not there", func(s *scene) { s.in.Releases[2].Routes[0].To.Service = "none" }, `
			wake: +59s`},
		{"a new name leads nowhere yet", func(s *scene) { s.in.Releases[2].Routes[0].Host = "bank" }, `
			stack: hosts=[{host:bank to:{port:http service:api}} {host:shop to:{port:http service:web}}] routes=5
			do: route
			wake: +59s`},
		{"a new name beside, in order", func(s *scene) {
			rel := s.in.Releases[2]
			rel.Routes = []glint.Route{host("shop", to("web", "http")), host("bank", to("web", "http"))}
			s.in.Releases[2] = rel
		}, `
			stack: hosts=[{host:bank to:{port:http service:web}} {host:shop to:{port:http service:web}}] routes=5
			do: route
			wake: +59s`},
		{"a name that is no longer declared stays while something is busy", func(s *scene) {
			rel := s.in.Releases[2]
			rel.Routes = nil
			s.in.Releases[2] = rel
		}, `
			wake: +59s`},
		{"a name that is no longer declared goes when everything serves", func(s *scene) {
			ready(s, 1)
			ready(s, 2)
			rel := s.in.Releases[2]
			rel.Routes = nil
			s.in.Releases[2] = rel
		}, `
			stack: hosts=- routes=5
			api: phase=steady stable=v2
			api.1: address=10.0.1.1 routed=true seen=true
			api.2: address=10.0.1.1 routed=true seen=true
			do: route`},
		{"it leads there already", func(s *scene) { s.in.Releases[2].Routes[0].To.Service = "web" }, `
			wake: +59s`},
	})
}

// TestGeneration: the routes have a new number when they changed, and only then.
func TestGeneration(t *testing.T) {
	empty := func(s *scene, phase glint.Phase, name string) {
		s.have.Services = append(s.have.Services, glint.Fleet{Name: name, Phase: phase, Since: noon, Target: v2, Templates: map[glint.Digest]glint.Template{v2: two}})
	}
	play(t, calm, []turn{
		{"nothing changed", func(s *scene) {}, ``},
		{"one is out, and another is in", func(s *scene) {
			s.unready(1)
			s.add(v1).Routed = false
			s.both(func(w *glint.Service) { w.Instances = 4 })
		}, `
			stack: routes=5
			web.1: gone=5 routed=-
			web.4: routed=true
			do: route
			note web.1: is not ready: nobody can say why`},
		{"the last is out", func(s *scene) { s.unready(3) }, `
			stack: routes=5
			web.3: gone=5 routed=-
			do: route
			note web.3: is not ready: nobody can say why`},
		{"one is in at the end", func(s *scene) { s.member(3).Routed = false }, `
			stack: routes=5
			web.3: routed=true
			do: route`},
		{"one is in at the beginning", func(s *scene) { s.member(1).Routed = false }, `
			stack: routes=5
			web.1: routed=true
			do: route`},
		{"one that was out long ago", func(s *scene) { s.leaver(v1).Gone = 2; s.inst(4).InFlight = 1; s.member(4).Out = noon }, `
			note web.4: drains: 1 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"a service without anybody is gone", func(s *scene) { empty(s, glint.Steady, "zoo") }, `
			stack: routes=5
			zoo: phase=empty target=- templates=-
			do: route`},
		{"a service that has nobody in the routes is forgotten by them", func(s *scene) { empty(s, glint.Emptying, "zoo") }, `
			zoo: phase=empty target=- templates=-`},
		{"a service that was empty stays so", func(s *scene) { empty(s, glint.Empty, "zoo") }, `
			zoo: target=- templates=-`},
		{"a service without ports", func(s *scene) {
			s.in.Releases[1] = glint.Release{Services: []glint.Service{service("api", chore, 0), s.in.Releases[1].Services[0]}}
			s.have.Services = append([]glint.Fleet{{Name: "api", Phase: glint.Steady, Since: noon, Target: t1, Grace: minute / 2, Templates: map[glint.Digest]glint.Template{t1: chore}}}, s.have.Services...)
		}, ``},
		{"a service without ports joins", func(s *scene) {
			s.in.Releases[1] = glint.Release{Services: []glint.Service{service("api", chore, 0), s.in.Releases[1].Services[0]}}
		}, `
			api: joins
			api: grace=30s phase=steady since=noon target=t1 templates=t1`},
		{"a service with ports joins before", func(s *scene) {
			s.in.Releases[1] = glint.Release{Services: []glint.Service{service("api", two, 0), s.in.Releases[1].Services[0]}}
		}, `
			stack: routes=5
			api: joins
			api: grace=30s phase=steady since=noon target=v2 templates=v2
			do: route`},
		{"a service with ports joins after", func(s *scene) {
			s.in.Releases[1] = glint.Release{Services: []glint.Service{s.in.Releases[1].Services[0], service("zoo", two, 0)}}
		}, `
			stack: routes=5
			zoo: joins
			zoo: grace=30s phase=steady since=noon target=v2 templates=v2
			do: route`},
		{"an edge", func(s *scene) {
			s.in.Releases[1] = glint.Release{Services: s.in.Releases[1].Services, Allows: []glint.Edge{{From: "web", To: to("web", "http")}}}
		}, `
			stack: edges=[{from:web to:{port:http service:web}}] routes=5
			do: route`},
		{"another port", func(s *scene) {
			s.revise(moved)
		}, `
			stack: revision=2 routes=5 target=2
			web: last=4 phase=rolling since=noon target=vm templates=v1,vm
			web.4: joins
			web.4: created=noon for=1 version=vm
			do: route
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
	})
}

// TestRoutesOf: the routing table has a backend for each port of each service, and in it who takes its traffic.
func TestRoutesOf(t *testing.T) {
	port := func(name string, n int) glint.Port { return glint.Port{Name: name, Number: n, Protocol: glint.HTTP} }
	at := func(name string, ports ...glint.Port) glint.Template {
		return glint.Template{Image: glint.DigestOf([]byte(name)), Ports: ports}
	}
	old, target := at("old", port("http", 80), port("raw", 90), port("talk", 70)), at("new", port("main", 80), port("http", 81), port("a", 60))
	gone := at("gone", port("x", 1))
	m := func(n int, of glint.Template, routed bool) glint.Member {
		return glint.Member{N: n, Version: of.Version(), Address: "10.0.0.1", Routed: routed}
	}
	b := glint.Blueprint{Stack: "shop", Epoch: "e", Routes: 9, Hosts: []glint.Route{{Host: "shop"}}, Edges: []glint.Edge{{From: "web"}}, Services: []glint.Fleet{
		{Name: "api", Phase: glint.Empty, Target: old.Version(), Templates: map[glint.Digest]glint.Template{old.Version(): old}},
		{Name: "db", Phase: glint.Emptying, Target: gone.Version(), Templates: map[glint.Digest]glint.Template{gone.Version(): gone}, Members: []glint.Member{m(1, gone, false), m(2, gone, true)}},
		{Name: "ex", Phase: glint.Emptying, Target: gone.Version(), Templates: map[glint.Digest]glint.Template{gone.Version(): gone}, Members: []glint.Member{m(1, gone, false)}},
		{Name: "web", Phase: glint.RollingTo, Target: target.Version(), Templates: map[glint.Digest]glint.Template{old.Version(): old, target.Version(): target, gone.Version(): gone},
			Members: []glint.Member{m(2, target, true), m(1, old, true), m(3, old, false)}},
		{Name: "zoo", Phase: glint.Steady, Target: gone.Version(), Templates: map[glint.Digest]glint.Template{gone.Version(): gone}},
	}}
	got := plan.Routes(b)
	server := func(service string, n, port int) glint.Server {
		return glint.Server{ID: glint.ID{Stack: "shop", Epoch: "e", Service: service, N: n}, Address: "10.0.0.1", Port: port}
	}
	want := &glint.Routes{Stack: "shop", Generation: 9, Hosts: b.Hosts, Edges: b.Edges, Services: []glint.Backend{
		{Service: "db", Port: port("x", 1), Members: []glint.Server{server("db", 2, 1)}},
		{Service: "web", Port: port("a", 60), Members: []glint.Server{server("web", 2, 60)}},
		{Service: "web", Port: port("http", 81), Members: []glint.Server{server("web", 1, 80), server("web", 2, 81)}},
		{Service: "web", Port: port("main", 80), Members: []glint.Server{server("web", 1, 80), server("web", 2, 80)}},
		{Service: "web", Port: port("raw", 90), Members: []glint.Server{server("web", 1, 90)}},
		{Service: "web", Port: port("talk", 70), Members: []glint.Server{server("web", 1, 70)}},
		{Service: "zoo", Port: port("x", 1)},
	}}
	if text(got) != text(want) {
		t.Errorf("got\n%s\nwant\n%s", text(got), text(want))
	}
}
