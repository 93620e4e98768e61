package check_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

func TestCanary(t *testing.T) {
	play(t, proving, []test{
		{"one more", func(s *scene) { s.update().Surge = 2; s.join() }, "2 of the new version, and the canary is 1"},
		{"one more, declared", func(s *scene) {
			s.update().Surge, s.update().Canary = 2, 2
			s.join()
			s.fleet().Baking = time.Time{}
		}, ""},
		{"one more of the stable version", func(s *scene) { s.update().Surge = 2; s.join().Version = v1 }, ""},
		{"one more, held", func(s *scene) { s.service().Standby = 1; s.join().Held = true }, ""},
		{"one more, let go", func(s *scene) {
			s.add(v2)
			s.hold(5)
			s.update().Surge = 2
			s.member(5).Held, s.member(5).Let = false, noon
		}, "2 of the new version"},
		{"more before", func(s *scene) { s.add(v2) }, ""},
		{"more, that were kept warm", func(s *scene) {
			s.add(v2)
			s.warm(5)
			s.member(5).Warm = time.Time{}
		}, ""},
		{"another in the place of one that failed", func(s *scene) {
			s.out(4)
			s.join()
			s.fleet().Baking = time.Time{}
		}, ""},

		{"one more, in the place of the canary", func(s *scene) { s.update().Surge = 2; s.join().For = 4 }, ""},
		{"two more, one in the place of the canary", func(s *scene) { s.update().Surge = 2; s.join().For = 4; s.join() }, "3 of the new version"},
		{"two more, in the place of the canary", func(s *scene) { s.update().Surge = 2; s.join().For = 4; s.join().For = 4 }, "3 of the new version"},
		{"one more, in the place of one that leaves", func(s *scene) {
			s.update().Surge = 2
			s.out(4)
			s.join().For = 4
			s.join()
			s.fleet().Baking = time.Time{}
		}, "2 of the new version"},
		{"one more, in the place of a stable one", func(s *scene) { s.update().Surge = 2; s.join().For = 1 }, "2 of the new version"},
		{"more, of what is rejected", func(s *scene) { s.add(v2); s.reject(); s.update().Canary = 0; s.tell(1, glint.Superseded) }, ""},
		{"bakes what is rejected", func(s *scene) { s.out(4); s.reject() }, ""},
		{"one makes room", func(s *scene) { s.tell(1, glint.Superseded); s.member(1).Because = "r2" }, ""},
		{"two make room", func(s *scene) {
			s.update().Unavailable = 2
			s.tell(1, glint.Superseded)
			s.tell(2, glint.Superseded)
		}, "1 of the stable version would stay beside the canary, fewer than 2"},
		{"two make room, kept warm", func(s *scene) {
			s.update().Unavailable, s.update().Warm = 2, minute
			s.unroute(1)
			s.unroute(2)
			s.member(1).Warm, s.member(2).Warm = noon, noon
		}, "1 of the stable version would stay"},
		{"two make room, fewer wanted", func(s *scene) {
			s.update().Unavailable, s.service().Instances = 2, 2
			s.tell(1, glint.Superseded)
			s.tell(2, glint.Superseded)
		}, ""},
		{"two fail", func(s *scene) { s.out(1); s.out(2) }, ""},
		{"two go that are neither", func(s *scene) {
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, v2: two, v3: three} })
			s.update().Unavailable = 2
			for n := 1; n <= 2; n++ {
				s.each(n, func(m *glint.Member) { m.Version = v3 })
				s.tell(n, glint.Superseded)
			}
		}, ""},
		{"one makes room where few are left", func(s *scene) {
			s.gone(2)
			s.gone(3)
			s.tell(1, glint.Superseded)
			s.update().Unavailable = 2
		}, "0 of the stable version would stay"},
		{"not declared", func(s *scene) { s.release.Services = nil }, ""},
	})
}

func TestBake(t *testing.T) {
	begins := func(s *scene) { s.old().Baking = time.Time{} }
	play(t, proving, []test{
		{"begins", begins, ""},
		{"begins unready", func(s *scene) { begins(s); s.unready(4) }, "would bake, and 0 of 1 of its canary work"},
		{"begins unasked", func(s *scene) { begins(s); s.inst(4).Health = glint.Health{} }, "would bake, and 0 of 1"},
		{"goes on, and a larger one is declared", func(s *scene) {
			s.update().Canary, s.after.Revision, s.after.Target = 2, 3, 3
		}, ""},
		{"begins again unasked", func(s *scene) { s.old().Baking = noon; s.inst(4).Health = glint.Health{} }, "would bake, and 0 of 1"},
		{"begins unrouted", func(s *scene) { begins(s); s.idle(4) }, "would bake, and 0 of 1"},
		{"begins with one of two", func(s *scene) { begins(s); s.update().Canary = 2 }, "would bake, and 1 of 2"},
		{"goes on unasked", func(s *scene) { s.inst(4).Health = glint.Health{} }, ""},
		{"goes on unseen", func(s *scene) { s.unsee(4); s.seen.Complete = false }, ""},
		{"goes on without it", func(s *scene) { s.unsee(4) }, "would bake, and 0 of 1"},
		{"goes on without it, and is told", func(s *scene) { s.unsee(4); s.fleet().Baking = time.Time{} }, ""},
		{"goes on unready", func(s *scene) { s.unready(4) }, "would bake, and 0 of 1"},
		{"goes on dead", func(s *scene) { s.inst(4).State, s.inst(4).Health = glint.Dead, glint.Health{} }, "would bake, and 0 of 1"},
		{"goes on, and it leaves", func(s *scene) { s.inst(4).Tainted = "root"; s.tell(4, glint.Tainted); s.update().Unavailable = 1 }, "would bake, and 0 of 1"},
		{"goes on, and one of the others does not work", func(s *scene) { s.sick(1) }, ""},
	})
}

func TestPromotion(t *testing.T) {
	// baked is a canary that has worked for just as long as it must, and is promoted.
	baked := func() *scene {
		s := proving()
		s.fleet().Phase, s.fleet().Baking, s.fleet().Since = glint.RollingTo, time.Time{}, noon
		return s
	}
	said := func(s *scene) { s.old().Promoted = &glint.Word{By: "ann"} }
	short := func(s *scene) { s.old().Baking = noon.Add(1 - time.Minute) }
	play(t, baked, []test{
		{"too short", short, "would be promoted after 59.999999999s, and bakes for 1m"},
		{"too short, by order", func(s *scene) { short(s); s.after.Ordered = 1 }, ""},
		{"too short, by an order before", func(s *scene) { short(s); said(s) }, ""},
		{"too short, to steady", func(s *scene) { short(s); s.fleet().Phase = glint.Steady }, "would be promoted after"},
		{"too short, and rejected", func(s *scene) { short(s); s.reject(); s.fleet().Phase = glint.Returning }, ""},
		{"too short, for what is rejected", func(s *scene) { short(s); s.reject() }, ""},
		{"too short, and another is taken up", func(s *scene) {
			short(s)
			s.after.Revision, s.after.Target, s.service().Template = 3, 3, three
			s.fleet().Templates = map[glint.Digest]glint.Template{v1: one, v2: two, v3: three}
			s.fleet().Target, s.fleet().Phase, s.old().Templates = v3, glint.RollingTo, s.fleet().Templates
		}, ""},
		{"too short, and no more declared", func(s *scene) { short(s); s.update().Canary = 0 }, ""},
		{"too short, and few are wanted", func(s *scene) { short(s); s.service().Instances = 1 }, ""},
		{"too short, and enough are wanted", func(s *scene) { short(s); s.service().Instances = 2 }, "would be promoted after"},
		{"too short, and nothing is stable", func(s *scene) { short(s); s.both(func(f *glint.Fleet) { f.Stable = "" }) }, ""},
		{"too short, and the service goes", func(s *scene) { short(s); s.release.Services = nil }, ""},
		{"too short, while rolling", func(s *scene) { short(s); s.old().Phase, s.old().Baking = glint.RollingTo, time.Time{} }, ""},
		{"never baked", func(s *scene) { s.old().Baking = time.Time{} }, "without having been baked"},
		{"need not bake", func(s *scene) { s.old().Baking, s.update().Bake = time.Time{}, 0 }, ""},
		{"bakes for the shortest time", func(s *scene) { s.old().Baking, s.update().Bake = time.Time{}, 1 }, "without having been baked"},
		{"bakes for a short time", func(s *scene) { s.old().Baking, s.update().Bake = noon, 1 }, "would be promoted after 0s"},
		{"need not bake, and has for less", func(s *scene) { s.old().Baking, s.update().Bake = noon.Add(1), 0 }, ""},
		{"waits for a word", func(s *scene) { s.update().Manual = true }, "waits for a person's word"},
		{"has a word", func(s *scene) { s.update().Manual = true; said(s) }, ""},
		{"has a word, and does not work", func(s *scene) { said(s); s.unready(4) }, "would be promoted with 0 of 1 of its canary"},
		{"does not work", func(s *scene) { s.unready(4) }, "would be promoted with 0 of 1"},
		{"works, as far as is known", func(s *scene) { s.inst(4).Health = glint.Health{} }, ""},
		{"works, and takes no traffic", func(s *scene) { s.idle(4) }, "would be promoted with 0 of 1"},
		{"works, and leaves", func(s *scene) {
			s.inst(4).Tainted = "root"
			s.tell(4, glint.Tainted)
			s.update().Unavailable = 1
		}, "would be promoted with 0 of 1"},
		{"more must work", func(s *scene) { s.update().Canary = 2 }, "would be promoted with 1 of 2"},

		{"in a pause", func(s *scene) { s.pause() }, "would be promoted in a pause"},
		{"by order, in a pause", func(s *scene) { s.pause(); said(s) }, "would be promoted in a pause"},
		{"in a pause that begins", func(s *scene) { s.pause(); s.before.Paused, s.after.Ordered = nil, 1 }, ""},
		{"in a pause, and no more declared", func(s *scene) { s.pause(); s.update().Canary = 0 }, ""},
		{"in a pause, while rolling", func(s *scene) { s.pause(); s.old().Phase, s.old().Baking = glint.RollingTo, time.Time{} }, ""},
	})
	play(t, proving, []test{
		{"promoted by nobody", func(s *scene) { s.fleet().Promoted = &glint.Word{By: "ann"} }, "would be promoted, and nobody has said so"},
		{"promoted by order", func(s *scene) { s.fleet().Promoted, s.after.Ordered = &glint.Word{By: "ann"}, 1 }, ""},
		{"promoted before", func(s *scene) { s.both(func(f *glint.Fleet) { f.Promoted = &glint.Word{By: "ann"} }) }, ""},
		{"begins", func(s *scene) { s.old().Phase = glint.RollingTo }, ""},
		{"begins beside nothing", func(s *scene) {
			s.old().Phase = glint.RollingTo
			s.both(func(f *glint.Fleet) { f.Stable = "" })
		}, "would begin a canary that is not declared, or beside nothing"},
		{"begins, and is rejected", func(s *scene) {
			s.old().Phase, s.update().Canary, s.fleet().Baking = glint.RollingTo, 0, time.Time{}
			s.reject()
		}, ""},
		{"begins where none is declared", func(s *scene) { s.old().Phase, s.update().Canary = glint.RollingTo, 0 }, "would begin a canary"},
		{"is not declared any more", func(s *scene) { s.update().Canary = 0 }, ""},
	})
}

func TestPause(t *testing.T) {
	quiet := func(begin func() *scene) func() *scene {
		return func() *scene { s := begin(); s.pause(); return s }
	}
	swap := func(s *scene) *glint.Member {
		m := s.join()
		m.For = 1
		return m
	}
	play(t, quiet(rolling), []test{
		{"gives way", func(s *scene) { s.tell(1, glint.Superseded) }, "web.1: would give way to another version in a pause"},
		{"gives way in a pause that begins", func(s *scene) { s.before.Paused, s.after.Ordered = nil, 1; s.tell(1, glint.Superseded) }, ""},
		{"gives way when it ends", func(s *scene) { s.after.Paused, s.after.Ordered = nil, 1; s.tell(1, glint.Superseded) }, ""},
		{"gives way, warm", func(s *scene) { s.update().Warm = minute; s.unroute(1); s.member(1).Warm = noon }, "web.1: would give way"},
		{"gives way, held", func(s *scene) {
			s.add(v1)
			s.hold(5)
			s.tell(5, glint.Superseded)
			s.member(5).Gone = 0
		}, ""},
		{"gave way", func(s *scene) { s.gone(1); s.each(1, func(m *glint.Member) { m.Reason = glint.Superseded }) }, ""},
		{"fails", func(s *scene) { s.out(1) }, ""},
		{"fails, and is replaced by its like", func(s *scene) { s.out(1); swap(s).Version = v1 }, ""},
		{"fails, and is replaced by another version", func(s *scene) { s.out(1); swap(s) }, "web.5: would take the place of web.1 in another version, in a pause"},
		{"fails, and is replaced by another version, for its own is rejected", func(s *scene) {
			s.out(1)
			swap(s)
			s.both(func(f *glint.Fleet) { f.Rejected = []glint.Digest{v1} })
		}, ""},
		{"in nobody's place", func(s *scene) { s.out(1); s.join() }, ""},
		{"in the place of one that is gone", func(s *scene) { s.out(1); s.join().For = 9 }, ""},
		{"took another's place before", func(s *scene) { s.each(4, func(m *glint.Member) { m.For = 1 }) }, ""},
		{"turned back", func(s *scene) {
			s.reject()
			s.fleet().Target, s.fleet().Phase = v1, glint.Returning
			s.tell(4, glint.Superseded)
			s.member(4).Because = "x"
		}, ""},
		{"on the way back", func(s *scene) {
			s.before.Target, s.after.Target, s.service().Template = 1, 1, one
			s.both(func(f *glint.Fleet) { f.Target, f.Phase = v1, glint.Returning })
			s.tell(4, glint.Superseded)
		}, ""},
	})
	play(t, quiet(rolling), []test{
		{"the warm give way", func(s *scene) {
			s.warm(1)
			s.leave(1, s.member(1))
			s.member(1).Reason = glint.Superseded
		}, ""},
	})
	play(t, quiet(still), []test{
		{"no target", func(s *scene) { s.fleet().Target = "" }, ""},
		{"takes up", func(s *scene) {
			s.service().Template, s.fleet().Target = two, v2
			s.fleet().Templates = map[glint.Digest]glint.Template{v1: one, v2: two}
			s.fleet().Phase = glint.RollingTo
		}, "would take up version " + v2.Short() + " in a pause"},
	})
}
