package check_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

func TestPhase(t *testing.T) {
	said := &glint.Word{By: "ann", At: noon}
	empty := func(s *scene) { s.both(func(f *glint.Fleet) { f.Members = nil }) }
	play(t, still, []test{
		{"unknown", func(s *scene) { s.fleet().Phase = "bored" }, `in a phase "bored" that nobody knows`},
		{"unknown before", func(s *scene) { s.both(func(f *glint.Fleet) { f.Phase = "bored" }) }, ""},
		{"none at all", func(s *scene) {
			s.after.Services = append(s.after.Services, glint.Fleet{Name: "zoo"})
		}, `in a phase "" that nobody knows`},
		{"bakes", func(s *scene) { s.fleet().Baking = noon }, "would bake without a canary"},
		{"promoted", func(s *scene) { s.both(func(f *glint.Fleet) { f.Promoted = said }) }, "would bake without a canary"},
		{"empty with members", func(s *scene) { s.fleet().Phase = glint.Empty }, "would be empty with 3 members"},
		{"empty with one", func(s *scene) {
			s.gone(2)
			s.gone(3)
			s.forget(3)
			s.forget(2)
			s.unsee(3)
			s.unsee(2)
			s.fleet().Phase = glint.Empty
		}, "would be empty with 1 members"},
		{"empty", func(s *scene) { empty(s); s.fleet().Phase = glint.Empty }, ""},
		{"emptying", func(s *scene) { s.fleet().Phase = glint.Emptying }, ""},
		{"returning", func(s *scene) { s.fleet().Phase = glint.Returning }, ""},
		{"rolling", func(s *scene) { s.fleet().Phase = glint.RollingTo }, ""},
		{"waits", func(s *scene) { s.fleet().Phase = glint.Awaiting }, ""},
		{"waits and begins", func(s *scene) { s.fleet().Phase = glint.Awaiting; s.join() }, "web.4: would be made, and its service waits"},
	})
	play(t, rolling, []test{
		{"steady with others", func(s *scene) { s.fleet().Phase = glint.Steady }, "web.1 is of another version"},
		{"steady with others, and rejected", func(s *scene) { s.reject(); s.fleet().Phase = glint.Steady }, ""},
		{"steady with others before", func(s *scene) { s.both(func(f *glint.Fleet) { f.Phase = glint.Steady }) }, ""},
		{"a canary that is not declared", func(s *scene) { s.fleet().Phase = glint.Canary }, "that is not declared, or beside nothing"},
	})
	// done is three of the target, ready in their places.
	done := func() *scene {
		s := still()
		s.old().Phase, s.fleet().Phase = glint.RollingTo, glint.Steady
		return s
	}
	play(t, done, []test{
		{"one too few", func(s *scene) { s.service().Instances = 4 }, "would be steady with 3 of 4"},
		{"one too few, not declared", func(s *scene) { s.release.Services = nil }, ""},
		{"one too few, of a task", func(s *scene) { s.service().Instances, s.service().Task = 4, true }, ""},
		{"one too few, as before", func(s *scene) { s.service().Instances, s.old().Phase = 4, glint.Steady }, ""},
		{"one not ready", func(s *scene) { s.unready(2) }, "would be steady with 2 of 3"},
		{"one that nobody asked", func(s *scene) { s.inst(2).Health = glint.Health{} }, ""},
		{"one leaves", func(s *scene) { s.gone(3) }, "would be steady with 2 of 3"},
		{"one of another version leaves", func(s *scene) {
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two} })
			s.each(3, func(m *glint.Member) { m.Version = v2 })
			s.gone(3)
			s.service().Instances = 2
		}, ""},
	})
}

func TestTarget(t *testing.T) {
	// begin is a step in which three of v1 are to become v2.
	begin := func() *scene {
		s := still()
		s.after.Revision, s.after.Target, s.service().Template = 2, 2, two
		s.fleet().Phase, s.fleet().Target = glint.RollingTo, v2
		s.fleet().Templates = map[glint.Digest]glint.Template{v1: one, v2: two}
		return s
	}
	careful := func(s *scene) { s.update().Canary = 1 }
	play(t, begin, []test{
		{"and joins", func(s *scene) { s.join() }, ""},
		{"of the stable version", func(s *scene) { s.join().Version = v1 }, ""},
		{"of another version", func(s *scene) { s.fleet().Templates[v3] = three; s.join().Version = v3 }, "which nobody wants"},
		{"of another version, in a pause", func(s *scene) {
			s.pause()
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two, v3: three} })
			s.fleet().Target, s.service().Template = v1, one
			s.each(1, func(m *glint.Member) { m.Version = v3 })
			m := s.join()
			m.Version, m.For = v3, 1
		}, ""},
		{"of another version, in a pause, for nobody", func(s *scene) {
			s.pause()
			s.fleet().Target, s.service().Template = v1, one
			s.fleet().Templates[v3] = three
			s.join().Version = v3
		}, "which nobody wants"},
		{"of another version before", func(s *scene) {
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two, v3: three} })
			s.each(1, func(m *glint.Member) { m.Version = v3 })
		}, ""},
		{"not declared", func(s *scene) { s.release.Services = nil }, "only: web: is not declared, and would take up version"},
		{"another than declared", func(s *scene) { s.service().Template = three }, "which r2 does not declare"},
		{"none", func(s *scene) { s.fleet().Target = "" }, ""},
		{"another than declared, and rejected", func(s *scene) { s.reject() }, ""},

		{"with a canary", func(s *scene) { careful(s); s.fleet().Phase = glint.Canary }, ""},
		{"without the canary", careful, "without a canary"},
		{"without the canary, by rollback", func(s *scene) { careful(s); s.after.Kind = glint.KindRollback }, ""},
		{"without the canary, known before", func(s *scene) { careful(s); s.old().Templates = s.fleet().Templates }, ""},
		{"without the canary, recreate", func(s *scene) { careful(s); s.update().Strategy = glint.Recreate }, ""},
		{"without the canary, too few", func(s *scene) { s.update().Canary = 3 }, ""},
		{"without the canary, enough", func(s *scene) { s.update().Canary = 2 }, "without a canary"},
		{"without the canary, nothing stable", func(s *scene) { careful(s); s.both(func(f *glint.Fleet) { f.Stable = "" }) }, ""},
		{"without the canary, nothing stable known", func(s *scene) { careful(s); s.both(func(f *glint.Fleet) { f.Stable = v3 }) }, ""},
		{"without the canary, stable rejected", func(s *scene) { careful(s); s.both(func(f *glint.Fleet) { f.Rejected = []glint.Digest{v1} }) }, ""},
		{"without the canary, stable already", func(s *scene) { careful(s); s.both(func(f *glint.Fleet) { f.Stable = v2 }) }, ""},
		{"without the canary, nobody left", func(s *scene) {
			careful(s)
			for n := range 3 {
				s.gone(n + 1)
			}
			s.join()
		}, ""},
		{"without the canary, all kept warm", func(s *scene) {
			careful(s)
			for n := range 3 {
				s.warm(n + 1)
				s.member(n + 1).Warm = time.Time{}
			}
		}, ""},
		{"without the canary, nobody stays", func(s *scene) {
			careful(s)
			for n := range 3 {
				s.out(n + 1)
				s.member(n + 1).Reason = glint.Superseded
			}
		}, ""},
		{"without the canary, back to stable", func(s *scene) {
			careful(s)
			s.before.Revision, s.after.Revision, s.before.Target = 3, 3, 3
			s.before.Stable, s.after.Stable = 2, 2
		}, ""},
	})
}

func TestWhole(t *testing.T) {
	// home is a step on the way back to r1, long after r2 was rejected.
	home := func() *scene {
		s := still()
		s.before.Revision, s.after.Revision = 2, 2
		s.before.Rejected = &glint.Rejection{Revision: 2, Because: "x"}
		s.after.Rejected = &glint.Rejection{Revision: 2, Because: "x"}
		return s
	}
	stays := func(s *scene) {
		s.both(func(f *glint.Fleet) { f.Target, f.Templates = v2, map[glint.Digest]glint.Template{v1: one, v2: two} })
	}
	play(t, home, []test{
		{"one stays", stays, "everything returns to r1, and it would stay with version " + v2.Short()},
		{"one stays, in the step in which it begins", func(s *scene) { stays(s); s.before.Target = 2; s.before.Rejected = nil }, ""},
		{"one stays, and the target has just moved", func(s *scene) { stays(s); s.before.Target, s.before.Rejected = 3, s.after.Rejected }, ""},
		{"one stays, and a newer one came", func(s *scene) { stays(s); s.after.Revision = 3 }, ""},
		{"one stays, in a pause", func(s *scene) { stays(s); s.pause() }, ""},
		{"one stays, not declared", func(s *scene) { stays(s); s.release.Services = nil }, ""},
		{"one stays, for its version was rejected", func(s *scene) {
			stays(s)
			s.both(func(f *glint.Fleet) { f.Rejected = []glint.Digest{v1} })
		}, ""},
		{"one stays, and nothing returns", func(s *scene) {
			stays(s)
			s.before.Target, s.after.Target = 2, 2
			s.before.Rejected, s.after.Rejected = nil, nil
		}, ""},
	})
}

func TestAfter(t *testing.T) {
	// turn is a step in which web takes up v2 after db, which is steady with it.
	turn := func() *scene {
		s := still()
		s.after.Revision, s.after.Target, s.service().Template = 2, 2, two
		s.fleet().Phase, s.fleet().Target = glint.RollingTo, v2
		s.fleet().Templates = map[glint.Digest]glint.Template{v1: one, v2: two}
		s.service().After = []string{"zdb"}
		s.release.Services = append(s.release.Services, glint.Service{Name: "zdb", Template: disk, Update: glint.Update{Strategy: glint.Recreate}})
		db := glint.Fleet{Name: "zdb", Phase: glint.Steady, Target: vd, Stable: vd, Templates: map[glint.Digest]glint.Template{vd: disk}}
		s.before.Services, s.after.Services = append(s.before.Services, db), append(s.after.Services, db)
		return s
	}
	const want = "web: would go on before zdb, which it comes after"
	db := func(do func(*glint.Fleet)) func(*scene) {
		return func(s *scene) { do(&s.before.Services[1]); do(&s.after.Services[1]) }
	}
	late := db(func(f *glint.Fleet) { f.Phase = glint.RollingTo })
	task := func(o glint.Finish) func(*scene) {
		return func(s *scene) {
			s.release.Services[1].Task = true
			db(func(f *glint.Fleet) { f.Done = []glint.Result{{Version: vd, Outcome: o}} })(s)
		}
	}
	first := func(s *scene) {
		s.before.Services = s.before.Services[1:]
		m := &s.fleet().Members
		*m, s.seen.Instances, s.fleet().Last, s.fleet().Stable = nil, nil, 0, ""
		s.after.Routes, s.service().Instances = 5, 0
	}
	play(t, turn, []test{
		{"not steady", late, want},
		{"steady now", func(s *scene) { s.before.Services[1].Phase = glint.RollingTo }, ""},
		{"steady before", func(s *scene) { s.after.Services[1].Phase = glint.RollingTo }, ""},
		{"of another version", db(func(f *glint.Fleet) { f.Target = v1 }), want},
		{"not there", func(s *scene) { s.before.Services, s.after.Services = s.before.Services[:1], s.after.Services[:1] }, want},
		{"not declared", func(s *scene) { late(s); s.release.Services = s.release.Services[:1] }, ""},
		{"a task that succeeded", task(glint.Succeeded), ""},
		{"a task that failed", task(glint.Broke), want},
		{"a task that has not ended", func(s *scene) { s.release.Services[1].Task = true }, want},
		{"heals meanwhile", func(s *scene) {
			late(s)
			s.service().Template, s.fleet().Target = one, v1
			s.join()
		}, ""},
		{"back to the stable revision", func(s *scene) {
			late(s)
			s.before.Target, s.before.Revision, s.after.Revision, s.before.Stable, s.after.Stable = 3, 3, 3, 2, 2
		}, ""},
		{"back, it says", func(s *scene) { late(s); s.fleet().Phase = glint.Returning }, ""},
		{"back to the stable version", func(s *scene) { late(s); s.both(func(f *glint.Fleet) { f.Stable = v2 }) }, ""},

		{"first, and waits", func(s *scene) { late(s); first(s); s.fleet().Phase = glint.Awaiting }, ""},
		{"first, and begins", func(s *scene) { late(s); first(s); s.service().Instances = 1; s.join() }, want},
		{"first, in its turn", func(s *scene) { first(s); s.service().Instances = 1; s.join() }, ""},
		{"waited, and begins", func(s *scene) {
			late(s)
			s.old().Members, s.old().Phase, s.old().Target, s.old().Last = nil, glint.Awaiting, v2, 0
			s.fleet().Members, s.fleet().Last, s.seen.Instances, s.after.Routes = nil, 0, nil, 5
			s.old().Stable, s.fleet().Stable = "", ""
			s.join()
		}, want},
	})
}
