package check_test

import (
	"testing"

	"github.com/glint-infra/glint"
)

func TestRoutes(t *testing.T) {
	host := glint.Route{Host: "shop.localhost", To: glint.Target{Service: "web", Port: "http"}}
	edge := glint.Edge{From: "web", To: glint.Target{Service: "db", Port: "sql"}}
	play(t, still, []test{
		{"change unnumbered", func(s *scene) { s.out(1); s.after.Routes--; s.member(1).Gone = s.after.Routes }, "within generation 4"},
		{"change unnumbered, of one that has no port", func(s *scene) {
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, t1: chore} })
			s.each(1, func(m *glint.Member) { m.Version = t1 })
			s.sick(1)
			s.leave(1, s.member(1))
			s.member(1).Gone = 4
		}, ""},
		{"change", func(s *scene) { s.out(1) }, ""},
		{"an address changes unnumbered", func(s *scene) { s.member(1).Address = "10.0.0.2" }, "within generation 4"},
		{"a host moves unnumbered", func(s *scene) { s.after.Hosts, s.release.Routes = []glint.Route{host}, []glint.Route{host} }, "within generation 4"},
		{"a host moves", func(s *scene) {
			s.after.Hosts, s.release.Routes, s.after.Routes = []glint.Route{host}, []glint.Route{host}, 5
		}, ""},
		{"a host that nobody declares", func(s *scene) { s.after.Hosts, s.after.Routes = []glint.Route{host}, 5 }, "shop.localhost would lead to web:http, which nobody has declared"},
		{"a host as before", func(s *scene) { s.before.Hosts, s.after.Hosts = []glint.Route{host}, []glint.Route{host} }, ""},
		{"an edge opens unnumbered", func(s *scene) { s.after.Edges, s.release.Allows = []glint.Edge{edge}, []glint.Edge{edge} }, "within generation 4"},
		{"an edge opens", func(s *scene) {
			s.after.Edges, s.release.Allows, s.after.Routes = []glint.Edge{edge}, []glint.Edge{edge}, 5
		}, ""},
		{"an edge that nobody declares", func(s *scene) { s.after.Edges, s.after.Routes = []glint.Edge{edge}, 5 }, "web could reach db:sql, which nobody has declared"},
		{"an edge as before", func(s *scene) { s.before.Edges, s.after.Edges = []glint.Edge{edge}, []glint.Edge{edge} }, ""},
		{"leaves the routes unmarked", func(s *scene) { s.out(1); s.member(1).Gone = 0 }, "which does not say so"},
	})
	play(t, rolling, []test{
		{"what was opened and rejected in one step", func(s *scene) {
			s.reject()
			s.after.Edges, s.after.Hosts, s.after.Routes = []glint.Edge{edge}, []glint.Route{host}, 5
		}, ""},
	})
}

func TestRoads(t *testing.T) {
	// moving is a host that led to web, which is no longer declared, and leads to zoo now, which works.
	moving := func() *scene {
		s := still()
		zoo := *s.fleet()
		zoo.Name, zoo.Last, zoo.Members = "zoo", 1, []glint.Member{*s.member(1)}
		then := zoo
		then.Members = []glint.Member{*s.member(1)}
		s.before.Services, s.after.Services = append(s.before.Services, then), append(s.after.Services, zoo)
		in := *s.inst(1)
		in.ID.Service = "zoo"
		s.seen.Instances = append(s.seen.Instances, in)
		s.service().Name, s.service().Instances = "zoo", 1
		to := func(service string) []glint.Route {
			return []glint.Route{{Host: "shop.localhost", To: glint.Target{Service: service, Port: "http"}}}
		}
		s.before.Hosts, s.after.Hosts, s.release.Routes, s.after.Routes = to("web"), to("zoo"), to("zoo"), 5
		return s
	}
	const zoo = 3 // where its instance is
	empty := func(s *scene) { s.seen.Instances[zoo].Health.Ready = false }
	stays := func(s *scene) { s.after.Hosts = s.before.Hosts }
	allOut := func(s *scene) {
		for n := range 3 {
			s.tell(n+1, glint.Surplus)
		}
	}
	play(t, moving, []test{
		{"to nobody", empty, "shop.localhost would lead to zoo, where nobody takes traffic, and web still does"},
		{"to nobody, as declared", func(s *scene) { empty(s); s.service().Instances = 0 }, ""},
		{"to nobody, where some may be wanted", func(s *scene) { empty(s); s.service().Instances, s.service().Max = 0, 1 }, ""},
		{"to nobody, where one is wanted", func(s *scene) {
			empty(s)
			s.service().Instances, s.service().Max = 0, 1
			s.before.Services[1].Wanted, s.after.Services[1].Wanted = 1, 1
		}, "where nobody takes traffic"},
		{"to nobody, and not declared", func(s *scene) { empty(s); s.release.Services = nil }, "where nobody takes traffic"},
		{"to one that nobody asked", func(s *scene) { s.seen.Instances[zoo].Health.Known = false; empty(s) }, ""},
		{"to one that takes no traffic", func(s *scene) {
			s.before.Services[1].Members[0].Routed, s.after.Services[1].Members[0].Routed = false, false
		}, "where nobody takes traffic"},
		{"to nobody, and nobody was there", func(s *scene) {
			empty(s)
			for n := range 3 {
				s.unready(n + 1)
			}
		}, ""},
		{"to nowhere", func(s *scene) {
			s.release.Routes[0].To.Service, s.after.Hosts[0].To.Service = "ghost", "ghost"
		}, "shop.localhost would lead to ghost, where nobody"},
		{"anew", func(s *scene) { empty(s); s.before.Hosts = nil }, ""},
		{"not", stays, ""},
		{"not, and nobody stays", func(s *scene) { stays(s); allOut(s) }, "web: would take no more traffic, and shop.localhost still leads to it"},
		{"not, and nobody stays, for the host goes as well", func(s *scene) { stays(s); allOut(s); s.release.Routes = nil }, ""},
		{"not, and one stays", func(s *scene) { stays(s); s.tell(1, glint.Surplus); s.tell(2, glint.Surplus) }, ""},
		{"not, and nobody stays who could", func(s *scene) {
			stays(s)
			for n := range 3 {
				s.out(n + 1)
			}
			s.each(2, func(m *glint.Member) { m.Seen = false })
			s.past(1).Seen, s.member(1).Seen = false, false
		}, ""},
		{"not, and nobody stays, as declared", func(s *scene) {
			stays(s)
			allOut(s)
			web := *s.service()
			web.Name, web.Instances = "web", 0
			s.release.Services = append([]glint.Service{web}, s.release.Services...)
		}, ""},
		{"away, and nobody stays", func(s *scene) { s.after.Hosts = nil; allOut(s) }, ""},
		{"along, and nobody stays", allOut, ""},
		{"from nowhere, to nobody", func(s *scene) { empty(s); s.before.Hosts[0].To.Service = "ghost" }, ""},
		{"nowhere, as before", func(s *scene) {
			s.before.Hosts[0].To.Service, s.after.Hosts[0].To.Service = "ghost", "ghost"
		}, ""},
	})
}

func TestHolders(t *testing.T) {
	// one instance of a version with a volume.
	holding := func() *scene {
		s := still()
		s.both(func(f *glint.Fleet) {
			f.Target, f.Stable, f.Templates = vd, vd, map[glint.Digest]glint.Template{v1: one, vd: disk}
			f.Members = f.Members[:1]
			f.Members[0].Version = vd
		})
		s.seen.Instances = s.seen.Instances[:1]
		s.service().Template, s.service().Instances, s.update().Strategy, s.update().Surge = disk, 1, glint.Recreate, 2
		claim := func() []glint.Claim { return []glint.Claim{{Service: "web", Volume: "data", Holder: s.id(1)}} }
		s.before.Volumes, s.after.Volumes = claim(), claim()
		return s
	}
	free := func(s *scene) { s.gone(1); s.forget(1); s.unsee(1); s.after.Volumes = nil }
	play(t, holding, []test{
		{"two hold it", func(s *scene) { s.join() }, "2 instances would hold its volume"},
		{"one begins to hold it", func(s *scene) {
			s.each(1, func(m *glint.Member) { m.Version = v1 })
			s.before.Volumes, s.after.Volumes = nil, nil
			s.join()
		}, ""},
		{"two hold it, one told to go", func(s *scene) { s.out(1); s.join() }, "2 instances would hold its volume"},
		{"two held it", func(s *scene) {
			s.add(vd)
			s.fleet().Members[1].N, s.old().Members[1].N = 4, 4
			s.seen.Instances[1].ID.N = 4
		}, ""},
		{"two that hold nothing", func(s *scene) {
			s.both(func(f *glint.Fleet) { f.Stable = v1 })
			s.join().Version = v1
		}, ""},
		{"one after the other", func(s *scene) { free(s); s.join() }, ""},
		{"two hold it where many held none", func(s *scene) {
			s.each(1, func(m *glint.Member) { m.Version = v1 })
			s.before.Volumes, s.after.Volumes = nil, nil
			s.join()
			s.join()
		}, "2 instances would hold its volume"},

		{"claimed by a stranger", func(s *scene) {
			free(s)
			s.after.Volumes = []glint.Claim{{Service: "web", Volume: "data", Holder: s.id(9)}}
		}, "claimed by shop/web.9, which is not a member"},
		{"claimed by one that holds nothing", func(s *scene) {
			s.each(1, func(m *glint.Member) { m.Version = v1 })
			s.fleet().Stable, s.old().Stable = v1, v1
		}, "which is not a member"},
		{"claimed for nobody", func(s *scene) {
			more := glint.Claim{Service: "ghost", Volume: "data"}
			s.before.Volumes, s.after.Volumes = append(s.before.Volumes, more), append(s.after.Volumes, more)
		}, ""},
		{"given on", func(s *scene) {
			free(s)
			s.join()
			s.after.Volumes = []glint.Claim{{Service: "web", Volume: "data", Holder: s.id(s.fleet().Last)}}
		}, ""},
		{"taken", func(s *scene) { s.after.Volumes = nil }, "volume data would be taken from shop/web.1, which may still hold it"},
		{"taken unseen", func(s *scene) { s.after.Volumes = nil; s.unsee(1); s.seen.Complete = false }, "which may still hold it"},
		{"taken from the dead", func(s *scene) { s.after.Volumes = nil; s.dies(1, 1) }, "which may still hold it"},
		{"taken from one that vanished", func(s *scene) { s.after.Volumes = nil; s.unsee(1) }, ""},
		{"another beside it", func(s *scene) {
			s.after.Volumes = append(s.after.Volumes, glint.Claim{Service: "web", Volume: "log", Holder: s.id(1)})
		}, ""},
	})
}
