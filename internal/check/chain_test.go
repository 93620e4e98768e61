package check_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

func TestChain(t *testing.T) {
	said := func(by string) *glint.Word { return &glint.Word{By: by, At: noon} }
	play(t, still, []test{
		{"another stack", func(s *scene) { s.after.Stack = "other" }, "cannot follow"},
		{"another epoch", func(s *scene) { s.after.Epoch = "f" }, "cannot follow"},
		{"a number skipped", func(s *scene) { s.after.Number++ }, "blueprint 9 does not follow 7"},
		{"a number again", func(s *scene) { s.after.Number-- }, "blueprint 7 does not follow 7"},
		{"revision back", func(s *scene) { s.after.Revision = 0 }, "go back from r1"},
		{"routes on", func(s *scene) { s.after.Routes = 5 }, ""},
		{"routes back", func(s *scene) { s.after.Routes = 3 }, "generation 3 does not follow"},
		{"routes skip", func(s *scene) { s.after.Routes = 6 }, "generation 6 does not follow"},
		{"an order taken up", func(s *scene) { s.after.Ordered = 1 }, ""},
		{"an order taken up twice", func(s *scene) { s.before.Ordered = 1 }, "order 1 would be taken up again after 1"},

		{"a kind of revision", func(s *scene) { s.before.Kind, s.after.Kind = glint.KindApply, glint.KindApply }, ""},
		{"a kind that was not known", func(s *scene) { s.after.Kind = glint.KindApply }, ""},
		{"another kind", func(s *scene) { s.before.Kind, s.after.Kind = glint.KindApply, glint.KindRollback }, "r1 was made by apply, and would have been made by rollback"},
		{"another kind of another", func(s *scene) {
			s.before.Kind, s.after.Kind, s.after.Revision, s.after.Target = glint.KindApply, glint.KindRollback, 2, 2
		}, ""},
		{"a look", func(s *scene) { s.seen.At, s.after.Seen = noon, noon }, ""},
		{"a look of nobody", func(s *scene) { s.after.Seen = noon }, "seen at 2030-01-01 12:00:00 +0000 UTC, and nobody has looked then"},
		{"no newer look", func(s *scene) { s.before.Seen, s.after.Seen, s.seen.At = noon, noon, noon.Add(-1) }, ""},

		{"paused by order", func(s *scene) { s.after.Paused, s.after.Ordered = said("ann"), 1 }, ""},
		{"paused by nobody", func(s *scene) { s.after.Paused = said("ann") }, "nobody has said so"},
		{"paused as before", func(s *scene) { s.before.Paused, s.after.Paused = said("ann"), said("ann") }, ""},
		{"paused as before, elsewhere", func(s *scene) {
			s.before.Paused, s.after.Paused = said("ann"), said("ann")
			s.after.Paused.At = noon.In(time.FixedZone("east", 3600))
		}, ""},
		{"paused by another", func(s *scene) { s.before.Paused, s.after.Paused = said("ann"), said("bob") }, "nobody has said so"},
		{"paused for another reason", func(s *scene) {
			s.before.Paused, s.after.Paused = said("ann"), said("ann")
			s.after.Paused.Comment = "lunch"
		}, "nobody has said so"},
		{"paused at another time", func(s *scene) {
			s.before.Paused, s.after.Paused = said("ann"), said("ann")
			s.after.Paused.At = noon.Add(1)
		}, "nobody has said so"},
		{"resumed by order", func(s *scene) { s.before.Paused, s.after.Ordered = said("ann"), 1 }, ""},
		{"resumed by a revision", func(s *scene) { s.before.Paused, s.after.Revision, s.after.Target = said("ann"), 2, 2 }, ""},
		{"resumed by nobody", func(s *scene) { s.before.Paused = said("ann") }, "the pause has not been ended"},

		{"a revision that is not there", func(s *scene) { s.after.Target = 2 }, "r2 would be carried out, and r1 is the newest"},
		{"the newest", func(s *scene) { s.after.Revision, s.after.Target = 2, 2 }, ""},
		{"neither the newest nor stable", func(s *scene) { s.after.Revision, s.after.Target = 3, 2 }, "neither the newest (r3) nor stable (r1)"},
		{"as before", func(s *scene) { s.before.Target, s.after.Revision, s.after.Target = 2, 3, 2 }, ""},
		{"rejected goes on", func(s *scene) { s.after.Rejected = &glint.Rejection{Revision: 1, Because: "x"} }, "is rejected and would still"},
		{"rejected and nothing to return to", func(s *scene) {
			s.after.Rejected, s.before.Stable, s.after.Stable = &glint.Rejection{Revision: 1, Because: "x"}, 0, 0
		}, ""},
		{"rejected without evidence", func(s *scene) {
			s.after.Rejected, s.before.Stable, s.after.Stable = &glint.Rejection{Revision: 1}, 0, 0
		}, "r1 would be rejected without evidence"},
		{"rejected before, without evidence", func(s *scene) {
			s.before.Rejected, s.after.Rejected = &glint.Rejection{Revision: 2}, &glint.Rejection{Revision: 2}
		}, ""},
	})
	play(t, rolling, []test{
		{"rejected", func(s *scene) { s.reject() }, ""},
		{"resumed by a rejection", func(s *scene) { s.reject(); s.before.Paused = said("ann") }, ""},
		{"rejected, and a newer one", func(s *scene) {
			s.reject()
			s.after.Revision, s.after.Target = 3, 3
		}, ""},
		{"rejected, and another goes on", func(s *scene) {
			s.reject()
			s.before.Revision, s.after.Revision, s.after.Target, s.after.Rejected.Revision = 3, 3, 2, 3
		}, "r3 would be rejected, and r2 carried out instead of r1"},
		{"rejected, and nothing to return to", func(s *scene) {
			s.reject()
			s.before.Stable, s.after.Stable, s.after.Target, s.service().Template = 0, 0, 2, two
		}, ""},
		{"tried again", func(s *scene) {
			s.before.Rejected, s.before.Target = &glint.Rejection{Revision: 2, Because: "x"}, 1
		}, "r2 was rejected and would be carried out again"},
		{"still tried", func(s *scene) {
			s.before.Rejected = &glint.Rejection{Revision: 2, Because: "x"}
		}, ""},
	})
}

func TestStable(t *testing.T) {
	// second is a step after which revision 2, which changed nothing that runs, is stable.
	serve := func() *scene {
		s := still()
		s.before.Revision, s.before.Target, s.after.Revision, s.after.Target, s.after.Stable = 2, 2, 2, 2, 2
		return s
	}
	task := func(s *scene, o glint.Finish) {
		s.service().Task = true
		s.both(func(f *glint.Fleet) { f.Members, f.Done = nil, []glint.Result{{Version: v1, Outcome: o}} })
	}
	play(t, serve, []test{
		{"back", func(s *scene) { s.before.Stable, s.after.Stable, s.after.Target = 3, 2, 2 }, "only: r2 would be stable instead of r3"},
		{"not the one that is carried out", func(s *scene) { s.after.Target = 1; s.service().Template = two }, "only: r2 would be stable instead of r1, and r1 is being carried out"},
		{"lost", func(s *scene) { s.after.Stable = 0 }, "r0 would be stable"},
		{"lost to a newer one", func(s *scene) { s.after.Stable, s.after.Revision, s.after.Target = 0, 3, 3 }, ""},
		{"lost with the stack", func(s *scene) { s.after.Stable, s.release.Services = 0, nil }, ""},
		{"rejected", func(s *scene) { s.after.Rejected = &glint.Rejection{Revision: 2, Because: "x"} }, "r2 would be stable, and it is rejected"},
		{"another was rejected", func(s *scene) { s.after.Rejected = &glint.Rejection{Revision: 1, Because: "x"} }, ""},
		{"a service lacks", func(s *scene) { s.release.Services = append(s.release.Services, glint.Service{Name: "zoo"}) }, "zoo has no fleet"},
		{"a service waits", func(s *scene) { s.service().Template = two }, "web is to be of another version"},
		{"an old instance", func(s *scene) {
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two} })
			s.each(3, func(m *glint.Member) { m.Version = v2 })
		}, "web has instances of another version"},
		{"an old instance leaves", func(s *scene) {
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two} })
			s.gone(3)
			s.each(3, func(m *glint.Member) { m.Version = v2 })
		}, ""},
		{"never seen", func(s *scene) {
			for n := range 3 {
				s.each(n+1, func(m *glint.Member) { m.Seen = false })
			}
		}, "web was never seen to work"},
		{"seen, and does not count", func(s *scene) {
			for n := range 3 {
				s.each(n+1, func(m *glint.Member) { m.Seen = n == 2 })
			}
			s.gone(3)
		}, "web was never seen to work"},
		{"seen one", func(s *scene) {
			for n := range 3 {
				s.each(n+1, func(m *glint.Member) { m.Seen = n == 0 })
			}
		}, ""},
		{"none wanted", func(s *scene) {
			s.service().Instances = 0
			s.both(func(f *glint.Fleet) { f.Members = nil })
		}, ""},
		{"a task that has not ended", func(s *scene) { task(s, ""); s.both(func(f *glint.Fleet) { f.Done = nil }) }, "web has not succeeded"},
		{"a task that failed", func(s *scene) { task(s, glint.Broke) }, "web has not succeeded"},
		{"a task that succeeded", func(s *scene) { task(s, glint.Succeeded) }, ""},
	})
}

func TestMoment(t *testing.T) {
	late := noon.Add(time.Second)
	dated := func(s *scene) { s.join() }
	play(t, still, []test{
		{"made at another time", func(s *scene) {
			s.update().Surge = 3
			s.join()
			s.join().Created = late
			s.join().Created = late
		}, "only: web.5: what happens to it is dated 2030-01-01 12:00:01 +0000 UTC, and this step is of 2030-01-01 12:00:00"},
		{"left at another time", func(s *scene) { dated(s); s.out(1); s.member(1).Leaving = late }, "web.4: what happens to it is dated"},
		{"let at another time", func(s *scene) { s.hold(1); dated(s); s.member(1).Held, s.member(1).Let = false, late }, "web.4: what happens to it is dated"},
		{"out at another time", func(s *scene) { s.gone(1); dated(s); s.member(1).Out = late }, "web.4: what happens to it is dated"},
		{"ended at another time", func(s *scene) { s.gone(1); dated(s); s.past(1).Out, s.member(1).Ending = noon, late }, "web.4: what happens to it is dated"},
		{"out before", func(s *scene) { s.gone(1); dated(s); s.each(1, func(m *glint.Member) { m.Out = late }) }, ""},
		{"out again, for the clock was set back", func(s *scene) { s.gone(1); s.past(1).Out = late }, ""},
	})
}
