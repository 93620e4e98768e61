package check_test

import (
	"testing"

	"github.com/glint-infra/glint"
)

func TestRejections(t *testing.T) {
	play(t, still, []test{
		{"made of a rejected version", func(s *scene) { s.both(func(f *glint.Fleet) { f.Rejected = []glint.Digest{v1} }); s.join() }, "which is rejected"},
		{"of a rejected version before", func(s *scene) { s.both(func(f *glint.Fleet) { f.Rejected = []glint.Digest{v1} }) }, ""},
		{"made of a version rejected before", func(s *scene) { s.old().Rejected = []glint.Digest{v1}; s.join() }, "was rejected, and nobody has said to try it again"},
		{"tried again", func(s *scene) {
			s.old().Rejected, s.after.Revision, s.after.Target = []glint.Digest{v1}, 2, 2
			s.join()
		}, ""},
	})
	task := func(s *scene, o glint.Finish) {
		s.service().Task = true
		s.both(func(f *glint.Fleet) { f.Rejected, f.Done = nil, []glint.Result{{Version: v2, Outcome: o}} })
	}
	verdict := func() *scene { s := rolling(); s.reject(); return s }
	play(t, verdict, []test{
		{"and forgotten", func(s *scene) { s.fleet().Rejected = nil }, "version " + v2.Short() + " would be rejected, and that would be forgotten"},
		{"and forgotten, of another service", func(s *scene) { s.fleet().Rejected = nil; s.after.Rejected.Service = "db" }, ""},
		{"and forgotten, of no version", func(s *scene) { s.fleet().Rejected = nil; s.after.Rejected.Version = "" }, ""},
		{"and forgotten, before", func(s *scene) {
			r := *s.after.Rejected
			s.fleet().Rejected, s.before.Rejected, s.before.Target = nil, &r, 1
			s.fleet().Target = v1
		}, ""},
		{"a task that is lost", func(s *scene) { task(s, glint.UnknownFinish) }, ""},
		{"a task that succeeded", func(s *scene) { task(s, glint.Succeeded) }, "and that would be forgotten"},

		{"with what is needed", func(s *scene) { s.fleet().Rejected = []glint.Digest{v1, v2} }, "version " + v1.Short() + " would be rejected, and r1 needs it"},
		{"with nothing but what is needed", func(s *scene) { s.fleet().Rejected, s.after.Rejected.Version = []glint.Digest{v1}, "" }, "and r1 needs it"},
		{"with what is needed, before", func(s *scene) { s.old().Rejected, s.fleet().Rejected = []glint.Digest{v1}, []glint.Digest{v1, v2} }, ""},
		{"with what is needed by none", func(s *scene) { s.fleet().Rejected, s.service().Instances = []glint.Digest{v1, v2}, 0 }, ""},
		{"with what is needed, and nothing returns", func(s *scene) {
			s.fleet().Rejected = []glint.Digest{v1, v2}
			s.after.Target, s.before.Stable, s.after.Stable = 2, 0, 0
		}, ""},
	})
}

func TestFailures(t *testing.T) {
	// none works, and what failed is forgotten: each neighbour says why that may be.
	none := func() *scene {
		s := still()
		for n := range 3 {
			s.unready(n + 1)
		}
		s.old().Failed, s.fleet().Failed = 2, 2
		return s
	}
	less := func(s *scene) { s.fleet().Failed = 1 }
	play(t, none, []test{
		{"more", func(s *scene) { s.fleet().Failed = 3 }, ""},
		{"less", less, "1 failures would be forgotten, and nobody works"},
		{"one works", func(s *scene) { less(s); s.inst(3).Health.Ready = true }, ""},
		{"one of another version works", func(s *scene) {
			less(s)
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two} })
			s.each(3, func(m *glint.Member) { m.Version = v2 })
			s.inst(3).Health.Ready = true
		}, "would be forgotten"},
		{"something new begins", func(s *scene) { less(s); s.fleet().Phase = glint.RollingTo }, ""},
		{"another target", func(s *scene) {
			less(s)
			s.both(func(f *glint.Fleet) {
				f.Templates, f.Phase = map[glint.Digest]glint.Template{v1: one, v2: two}, glint.RollingTo
			})
			s.service().Template, s.fleet().Target = two, v2
		}, ""},
		{"none wanted", func(s *scene) { less(s); s.service().Instances = 0 }, ""},
		{"a task", func(s *scene) { less(s); s.service().Task = true }, ""},
		{"a new revision", func(s *scene) { less(s); s.after.Revision, s.after.Target = 2, 2 }, ""},
		{"a verdict", func(s *scene) {
			less(s)
			s.before.Stable, s.after.Stable = 0, 0
			s.after.Rejected = &glint.Rejection{Revision: 1, Because: "x"}
		}, ""},
	})
}

func TestStableVersion(t *testing.T) {
	// proven is three of v1, which becomes the stable version.
	proven := func() *scene {
		s := still()
		s.old().Stable = ""
		return s
	}
	unseen := func(s *scene) {
		for n := range 3 {
			s.each(n+1, func(m *glint.Member) { m.Seen = false })
		}
	}
	play(t, proven, []test{
		{"not the target", func(s *scene) {
			s.fleet().Stable = v2
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two} })
			s.each(1, func(m *glint.Member) { m.Version = v2 })
		}, "version " + v2.Short() + " would be stable, and it was not wanted"},
		{"the target before", func(s *scene) {
			s.both(func(f *glint.Fleet) {
				f.Templates, f.Phase = map[glint.Digest]glint.Template{v1: one, v2: two}, glint.RollingTo
			})
			s.service().Template, s.fleet().Target = two, v2
		}, ""},
		{"rejected", func(s *scene) { s.both(func(f *glint.Fleet) { f.Rejected = []glint.Digest{v1} }) }, "would be stable, and it is rejected"},
		{"rejected, and stable before", func(s *scene) { s.both(func(f *glint.Fleet) { f.Rejected, f.Stable = []glint.Digest{v1}, v1 }) }, ""},
		{"never seen to work", unseen, "would be stable, and was never seen to work"},
		{"seen to work once", func(s *scene) { unseen(s); s.each(2, func(m *glint.Member) { m.Seen = true }) }, ""},
		{"seen to work in this step", func(s *scene) { unseen(s); s.member(2).Seen = true }, ""},
		{"seen to work by one that is gone", func(s *scene) {
			s.gone(1)
			unseen(s)
			s.past(1).Seen = true
			s.forget(1)
			s.unsee(1)
			s.service().Instances = 2
		}, ""},
		{"another version was seen to work", func(s *scene) {
			unseen(s)
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two} })
			s.each(2, func(m *glint.Member) { m.Version, m.Seen = v2, true })
		}, "never seen to work"},
		{"a task that succeeded", func(s *scene) {
			unseen(s)
			s.service().Task = true
			s.both(func(f *glint.Fleet) { f.Done = []glint.Result{{Version: v1, Outcome: glint.Succeeded}} })
		}, ""},
		{"a task that failed", func(s *scene) {
			unseen(s)
			s.service().Task = true
			s.both(func(f *glint.Fleet) { f.Done = []glint.Result{{Version: v1, Outcome: glint.Broke}} })
		}, "never seen to work"},
		{"none", func(s *scene) { s.old().Stable, s.fleet().Stable = v1, "" }, ""},
	})
}

func TestRenewal(t *testing.T) {
	asked := func(upto int) *glint.Renewal {
		return &glint.Renewal{Word: glint.Word{By: "ann", At: noon}, Upto: upto}
	}
	renewing := func() *scene {
		s := still()
		s.old().Renew, s.fleet().Renew = asked(2), asked(2)
		return s
	}
	ends := func(s *scene) { s.fleet().Renew = nil }
	play(t, renewing, []test{
		{"by nobody", func(s *scene) { s.old().Renew = nil }, "web: would be regenerated, and nobody has said so"},
		{"by order", func(s *scene) { s.old().Renew, s.after.Ordered = nil, 1 }, ""},
		{"by another", func(s *scene) { s.fleet().Renew.By = "bob" }, "nobody has said so"},
		{"more", func(s *scene) { s.fleet().Renew.Upto = 3 }, "nobody has said so"},
		{"less", func(s *scene) { s.fleet().Renew.Upto = 1 }, ""},
		{"forgotten", ends, "web.1: was to be replaced (ann said so), and that would be forgotten"},
		{"forgotten, the last of them", func(s *scene) { ends(s); s.gone(1) }, "web.2: was to be replaced"},
		{"carried out", func(s *scene) { ends(s); s.gone(1); s.gone(2) }, ""},
		{"overtaken by an order", func(s *scene) { ends(s); s.after.Ordered = 1 }, ""},
		{"overtaken by a revision", func(s *scene) { ends(s); s.after.Revision, s.after.Target = 2, 2 }, ""},
		{"of nobody", func(s *scene) { ends(s); s.release.Services = nil }, ""},
		{"none", func(s *scene) { s.old().Renew, s.fleet().Renew = nil, nil }, ""},
	})
}
