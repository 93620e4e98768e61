package check_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

func TestCapacity(t *testing.T) {
	// less is one that works and is told to go.
	less := func() *scene {
		s := still()
		s.inst(1).Deviations = []string{"memory"}
		s.tell(1, glint.Drifted)
		s.update().Unavailable = 1
		return s
	}
	play(t, less, []test{
		{"below the floor", func(s *scene) { s.update().Unavailable = 0 }, "2 would take traffic, fewer than 3, and 3 could"},
		{"fewer wanted", func(s *scene) { s.update().Unavailable, s.service().Instances = 0, 2 }, ""},
		{"fewer wanted, by scale", func(s *scene) {
			s.update().Unavailable, s.service().Min, s.service().Max = 0, 1, 3
			s.both(func(f *glint.Fleet) { f.Wanted = 2 })
		}, ""},
		{"more may be missing than there are", func(s *scene) { s.update().Unavailable = 9 }, ""},
		{"unasked", func(s *scene) { s.update().Unavailable, s.inst(1).Health = 0, glint.Health{} }, "2 would take traffic, fewer than 3, and 3 could"},
		{"not ready", func(s *scene) { s.update().Unavailable = 0; s.unready(1) }, ""},
		{"another is not ready", func(s *scene) { s.unready(2) }, "1 would take traffic, fewer than 2, and 2 could"},
		{"recreate", func(s *scene) { s.update().Unavailable, s.update().Strategy = 0, glint.Recreate }, ""},
		{"exclusive", func(s *scene) { s.update().Unavailable, s.service().Template = 0, disk }, ""},
		{"task", func(s *scene) { s.update().Unavailable, s.service().Task = 0, true }, ""},
		{"not declared", func(s *scene) { s.release.Services = nil }, ""},
		{"another takes traffic", func(s *scene) {
			s.update().Unavailable = 0
			s.past(2).Routed = false
		}, ""},
	})
	play(t, still, []test{
		{"within surge", func(s *scene) { s.join() }, ""},
		{"above surge", func(s *scene) { s.join(); s.join() }, "5 instances, more than 4"},
		{"above surge before", func(s *scene) { s.update().Surge, s.service().Instances = 0, 2 }, ""},
		{"above surge before, and as many", func(s *scene) { s.service().Instances = 1; s.out(1); s.join() }, ""},
		{"above surge before, and more", func(s *scene) { s.service().Instances = 1; s.join() }, "4 instances, more than 2"},
		{"held ones do not count", func(s *scene) { s.service().Standby = 2; s.join(); s.join().Held = true }, ""},
		{"leaving ones do not count", func(s *scene) { s.out(1); s.join(); s.join() }, ""},
		{"let go above surge", func(s *scene) {
			s.add(v1)
			s.hold(4)
			s.member(4).Held, s.member(4).Let = false, noon
			s.join()
		}, "5 instances, more than 4"},
		{"warm ones come back", func(s *scene) {
			s.add(v1)
			s.add(v1)
			s.warm(4)
			s.warm(5)
			s.member(4).Warm, s.member(5).Warm = time.Time{}, time.Time{}
		}, ""},
		{"warm ones come back, and another", func(s *scene) {
			s.add(v1)
			s.warm(4)
			s.member(4).Warm = time.Time{}
			s.join()
		}, "5 instances, more than 4"},
		{"not declared", func(s *scene) { s.release.Services = nil; s.join() }, "4 instances, more than 0"},
	})
}

func TestBrake(t *testing.T) {
	all := func() *scene {
		s := still()
		for n := range 3 {
			s.sick(n + 1)
		}
		return s
	}
	unroute := func(s *scene) { s.unroute(1) }
	kill := func(s *scene) { s.tell(1, glint.Unhealthy) }
	play(t, all, []test{
		{"replaced", kill, "would be replaced, and all 3 are unhealthy"},
		{"unrouted", unroute, "would lose its traffic, and all 3 are unhealthy"},
		{"one works", func(s *scene) { s.inst(2).Health = glint.Health{Known: true, Ready: true, Live: true}; kill(s) }, ""},
		{"one is only unready", func(s *scene) { s.inst(2).Health.Live = true; kill(s) }, ""},
		{"one is only not alive", func(s *scene) { s.inst(2).Health.Ready = true; kill(s) }, ""},
		{"one nobody could ask", func(s *scene) { s.inst(2).Health.Known = false; kill(s) }, ""},
		{"one is dead", func(s *scene) { s.dies(2, 1); kill(s) }, ""},
		{"one never worked", func(s *scene) { s.each(2, func(m *glint.Member) { m.Seen = false }); kill(s) }, ""},
		{"one joins", func(s *scene) { s.join(); kill(s) }, "all 3 are unhealthy"},
		{"for another reason", func(s *scene) { s.inst(1).Tainted = "root"; s.tell(1, glint.Tainted) }, ""},
		{"two", func(s *scene) { s.gone(3); kill(s) }, "all 2 are unhealthy"},
		{"alone", func(s *scene) { s.gone(2); s.gone(3); kill(s) }, ""},
		{"kept warm", func(s *scene) {
			s.fleet().Templates[v2], s.service().Template, s.update().Warm = two, two, minute
			s.fleet().Target, s.fleet().Phase = v2, glint.RollingTo
			unroute(s)
			s.member(1).Warm = noon
		}, ""},
		{"told to go before", func(s *scene) { s.gone(1) }, ""},
	})
}

func TestScale(t *testing.T) {
	// more is a step from three to five, asked for before.
	more := func() *scene {
		s := still()
		s.service().Min, s.service().Max = 2, 6
		s.both(func(f *glint.Fleet) { f.Asked = 5 })
		s.fleet().Wanted = 5
		return s
	}
	play(t, more, []test{
		{"asked by nobody", func(s *scene) { s.old().Asked = 0 }, "5 instances would be asked for by nobody"},
		{"asked", func(s *scene) { s.old().Asked, s.after.Ordered = 0, 1 }, ""},
		{"asked no more", func(s *scene) { s.fleet().Asked, s.fleet().Wanted = 0, 0 }, ""},
		{"the most", func(s *scene) { s.both(func(f *glint.Fleet) { f.Asked = 6 }); s.fleet().Wanted = 6 }, ""},
		{"more than the most", func(s *scene) { s.both(func(f *glint.Fleet) { f.Asked = 7 }); s.fleet().Wanted = 7 }, "7 instances would be wanted, outside of 2 to 6"},
		{"more than the most, cut", func(s *scene) { s.both(func(f *glint.Fleet) { f.Asked = 7 }); s.fleet().Wanted = 6 }, ""},
		{"the least", func(s *scene) { s.both(func(f *glint.Fleet) { f.Asked = 2 }); s.fleet().Wanted = 2 }, ""},
		{"less than the least", func(s *scene) { s.both(func(f *glint.Fleet) { f.Asked = 1 }); s.fleet().Wanted = 1 }, "1 instances would be wanted, outside of 2 to 6"},
		{"as before, outside", func(s *scene) { s.both(func(f *glint.Fleet) { f.Wanted = 9 }) }, ""},
		{"wanted by nobody", func(s *scene) { s.fleet().Wanted = 4 }, "4 instances would be wanted, and 5 were asked for"},
		{"the bounds moved", func(s *scene) { s.old().Wanted, s.fleet().Wanted, s.service().Max = 9, 4, 4 }, ""},
		{"the number is fixed", func(s *scene) { s.service().Min, s.service().Max = 0, 0 }, "only: 5 instances would be wanted, and the number is fixed"},
		{"not declared", func(s *scene) { s.release.Services = nil }, ""},
		{"unready", func(s *scene) { s.unready(2); s.unready(3) }, "only: 5 instances would be wanted, and web.2 is not ready"},
		{"unready, and fewer", func(s *scene) { s.unready(2); s.old().Wanted = 6 }, ""},
		{"unready, and as many", func(s *scene) {
			s.unready(2)
			s.both(func(f *glint.Fleet) { f.Asked = 3 })
			s.fleet().Wanted = 3
		}, ""},
		{"unready, and leaves", func(s *scene) { s.out(2) }, ""},
		{"unready, and left", func(s *scene) { s.sick(2); s.gone(2) }, ""},
		{"unready, and joins", func(s *scene) { s.join() }, ""},
		{"unready, and is kept warm", func(s *scene) { s.unready(2); s.warm(2) }, ""},
		{"in a rollout", func(s *scene) {
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two} })
			s.each(2, func(m *glint.Member) { m.Version = v2 })
			s.each(3, func(m *glint.Member) { m.Version = v2 })
		}, "only: 5 instances would be wanted in the middle of a rollout (web.2)"},
	})
}

func TestSpares(t *testing.T) {
	// spare is three that take traffic, and one that is held.
	spare := func() *scene {
		s := still()
		s.add(v1)
		s.hold(4)
		s.service().Standby = 1
		return s
	}
	let := func(s *scene) { s.member(4).Held, s.member(4).Let = false, noon }
	other := func(s *scene) {
		s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two} })
		s.each(4, func(m *glint.Member) { m.Version = v2 })
	}
	play(t, spare, []test{
		{"let go", let, ""},
		{"caught", func(s *scene) { s.idle(1); s.member(1).Held = true }, "web.1: has begun, and would be held"},
		{"held and routed", func(s *scene) {
			s.each(4, func(m *glint.Member) { m.Routed = true })
		}, "web.4: is held, and would take traffic"},
		{"held and let go", func(s *scene) { s.member(4).Let = noon }, "web.4: is held, and would be said to be let go"},
		{"let go without a time", func(s *scene) { s.member(4).Held = false }, "nobody would know when"},
		{"let go and leaves", func(s *scene) { let(s); s.inst(4).Tainted = "root"; s.tell(4, glint.Tainted); s.member(4).Gone = 0 }, "would be let go and leave"},
		{"held and leaves", func(s *scene) { s.inst(4).Tainted = "root"; s.tell(4, glint.Tainted); s.member(4).Gone = 0 }, ""},
		{"let go for nothing", func(s *scene) { let(s); other(s) }, "web.4: would be let go, and its version"},
		{"let go for the stable one", func(s *scene) { let(s); other(s); s.both(func(f *glint.Fleet) { f.Stable = v2 }) }, ""},
		{"never held", func(s *scene) { s.member(1).Let = noon }, "web.1: would be said to be let go at another time"},
		{"let go again", func(s *scene) { s.past(1).Let, s.member(1).Let = noon, noon.Add(1) }, "web.1: would be said to be let go at another time"},
		{"let go before", func(s *scene) { s.past(1).Let, s.member(1).Let = noon, noon }, ""},
		{"made and let go", func(s *scene) { s.join().Let = noon }, "web.5: would be said to be let go at another time"},

		{"another standby", func(s *scene) { s.join().Held = true }, "2 standbys, more than 1"},
		{"another standby, declared", func(s *scene) { s.service().Standby = 2; s.join().Held = true }, ""},
		{"another standby, of a version that goes", func(s *scene) {
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two} })
			s.each(4, func(m *glint.Member) { m.Version = v2 })
			s.join().Held = true
		}, ""},
		{"another standby, for one that leaves", func(s *scene) {
			s.inst(4).Tainted = "root"
			s.tell(4, glint.Tainted)
			s.member(4).Gone = 0
			s.join().Held = true
		}, ""},
		{"fewer declared", func(s *scene) { s.service().Standby = 0 }, ""},
		{"another standby, of what is rejected", func(s *scene) {
			s.join().Held = true
			s.before.Stable, s.after.Stable = 0, 0
			s.after.Rejected = &glint.Rejection{Revision: 1, Because: "x"}
		}, ""},
		{"none declared", func(s *scene) { s.service().Standby = 0; s.join().Held = true }, "2 standbys, more than 0"},
	})
}

func TestWarm(t *testing.T) {
	// cool is one of v1 that is kept warm when v2 takes its place.
	cool := func() *scene {
		s := rolling()
		s.update().Warm = minute
		s.unroute(1)
		s.member(1).Warm = noon.Add(time.Minute)
		return s
	}
	back := func(s *scene) {
		s.warm(1)
		s.member(1).Warm = time.Time{}
		s.after.Routes = s.before.Routes
	}
	play(t, cool, []test{
		{"warm and routed", func(s *scene) { s.after.Routes, s.member(1).Routed, s.member(1).Gone = 4, true, 0 }, "is kept warm, and would take traffic"},
		{"warm before and routed", func(s *scene) { s.warm(1); s.member(1).Routed = true }, "is kept warm, and would take traffic"},
		{"warm for the shortest time", func(s *scene) { s.update().Warm = 1 }, ""},
		{"warm as before", func(s *scene) { s.warm(1); s.update().Warm = 0 }, ""},
		{"never made", func(s *scene) { m := s.join(); m.Version, m.Warm = v1, noon }, "web.5: never ran, and would be kept warm"},
		{"held", func(s *scene) { s.hold(1); s.after.Routes, s.member(1).Gone = 4, 0 }, "web.1: never ran, and would be kept warm"},
		{"holds a volume", func(s *scene) {
			s.both(func(f *glint.Fleet) {
				f.Stable, f.Templates = vd, map[glint.Digest]glint.Template{v1: one, v2: two, vd: disk}
			})
			s.each(1, func(m *glint.Member) { m.Version = vd })
		}, "holds a volume, and would be kept warm"},
		{"not declared", func(s *scene) { s.update().Warm = 0 }, "its service does not say so"},
		{"recreate", func(s *scene) { s.update().Strategy = glint.Recreate }, "its service does not say so"},
		{"a task", func(s *scene) { s.service().Task = true }, "its service does not say so"},
		{"rejected in this step", func(s *scene) { s.reject(); s.update().Warm = 0 }, ""},
		{"wanted and rejected in this step", func(s *scene) {
			s.reject()
			s.fleet().Rejected, s.after.Rejected.Version = nil, ""
			s.each(1, func(m *glint.Member) { m.Version = v2 })
		}, "and its version is wanted"},
		{"wanted", func(s *scene) {
			s.each(1, func(m *glint.Member) { m.Version = v2 })
		}, "and its version is wanted"},
		{"rejected", func(s *scene) { s.both(func(f *glint.Fleet) { f.Rejected = []glint.Digest{v1} }) }, "and its version is rejected"},
		{"told to go", func(s *scene) {
			s.leave(1, s.member(1))
			s.member(1).Reason = glint.Superseded
		}, ""},

		{"back, as the stable one", back, ""},
		{"back, as the target", func(s *scene) { back(s); s.each(1, func(m *glint.Member) { m.Version = v2 }) }, ""},
		{"back, as neither", func(s *scene) { back(s); s.both(func(f *glint.Fleet) { f.Stable = v2 }) }, "web.1: would count again, and its version"},
		{"goes, as neither", func(s *scene) {
			back(s)
			s.both(func(f *glint.Fleet) { f.Stable = v2 })
			s.leave(1, s.member(1))
			s.member(1).Reason = glint.Superseded
		}, ""},
	})
}
