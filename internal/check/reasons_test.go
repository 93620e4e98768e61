package check_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

func TestReasons(t *testing.T) {
	old := func(n int, age time.Duration) func(*scene) {
		return func(s *scene) {
			s.service().MaxAge, s.update().Unavailable = hour, 1
			s.each(n, func(m *glint.Member) { m.Created = noon.Add(-age) })
			s.tell(n, glint.Expired)
		}
	}
	quit := func(r glint.Reason, do func(*scene)) func(*scene) {
		return func(s *scene) {
			s.update().Unavailable = 1
			s.tell(1, r)
			do(s)
		}
	}
	nothing := func(*scene) {}
	play(t, still, []test{
		{"no reason", func(s *scene) { s.out(1); s.member(1).Reason = "" }, "only: web.1: would leave without a reason"},
		{"no reason before", func(s *scene) { s.gone(1); s.each(1, func(m *glint.Member) { m.Reason = "" }) }, "without a reason"},
		{"no evidence", func(s *scene) { s.out(1); s.member(1).Because = "" }, "web.1: would leave (unhealthy) without evidence"},
		{"no evidence before", func(s *scene) { s.gone(1); s.each(1, func(m *glint.Member) { m.Because = "" }) }, ""},
		{"another reason before", func(s *scene) { s.gone(1); s.each(1, func(m *glint.Member) { m.Reason = "bored" }) }, ""},
		{"unknown reason", quit("bored", nothing), "would leave as bored, and nobody knows such a reason"},

		{"superseded by itself", quit(glint.Superseded, nothing), "its version is the one that is wanted"},
		{"superseded by nothing", quit(glint.Superseded, func(s *scene) { s.release.Services = nil }), ""},
		{"rejected, and wanted", quit(glint.RejectedFor, nothing), "its version is not rejected"},
		{"rejected", quit(glint.RejectedFor, func(s *scene) { s.both(func(f *glint.Fleet) { f.Rejected = []glint.Digest{v1} }) }), ""},

		{"half of its age", old(1, 30*time.Minute), ""},
		{"not half of its age", old(1, 30*time.Minute-1), "it is 29m59.999999999s old, of 1h0m0s"},
		{"may grow old", func(s *scene) { old(1, time.Hour)(s); s.service().MaxAge = 0 }, "its service lets instances grow old"},
		{"expired of nobody", func(s *scene) { old(1, 1)(s); s.release.Services = nil }, ""},

		{"no surplus", quit(glint.Surplus, nothing), "no more are there than are wanted"},
		{"surplus", quit(glint.Surplus, func(s *scene) { s.service().Instances = 2 }), ""},
		{"surplus once one is made", quit(glint.Surplus, func(s *scene) { s.join() }), ""},
		{"surplus besides the warm", func(s *scene) {
			s.warm(2)
			quit(glint.Surplus, func(*scene) {})(s)
		}, "no more are there"},
		{"surplus of the warm", func(s *scene) { s.warm(1); s.tell(1, glint.Surplus); s.member(1).Gone = 4 }, ""},
		{"surplus of a task", quit(glint.Surplus, func(s *scene) { s.service().Task = true }), ""},
		{"surplus in a canary", quit(glint.Surplus, func(s *scene) { s.both(func(f *glint.Fleet) { f.Phase = glint.Canary }) }), ""},

		{"requested by nobody", quit(glint.Requested, nothing), "nobody has ever asked for anything"},
		{"requested", quit(glint.Requested, func(s *scene) { s.before.Ordered, s.after.Ordered = 1, 1 }), ""},
		{"regenerated", quit(glint.Requested, func(s *scene) {
			s.both(func(f *glint.Fleet) { f.Renew = &glint.Renewal{Upto: 3} })
		}), ""},
		{"finished without a task", quit(glint.Finished, nothing), "it is no task"},
	})
	play(t, rolling, []test{
		{"superseded", func(s *scene) { s.tell(1, glint.Superseded) }, ""},
		{"rejected, and no more wanted", func(s *scene) { s.tell(1, glint.RejectedFor) }, ""},
		{"surplus for the one that was rejected", func(s *scene) {
			s.reject()
			s.service().Instances, s.update().Unavailable = 4, 2
			s.tell(1, glint.Surplus)
		}, ""},
		{"expired for the one that was rejected", func(s *scene) { s.reject(); s.tell(1, glint.Expired) }, ""},
	})
}

func TestSeenReasons(t *testing.T) {
	quit := func(r glint.Reason, do func(*scene)) func(*scene) {
		return func(s *scene) {
			s.update().Unavailable = 1
			s.tell(1, r)
			do(s)
		}
	}
	in := func(do func(*glint.Instance)) func(*scene) { return func(s *scene) { do(s.inst(1)) } }
	place := func(want, got string) func(*scene) {
		return func(s *scene) {
			s.each(1, func(m *glint.Member) { m.Place = want })
			s.inst(1).Place = got
		}
	}
	play(t, still, []test{
		{"not drifted", quit(glint.Drifted, func(*scene) {}), "no deviation was seen"},
		{"drifted", quit(glint.Drifted, in(func(i *glint.Instance) { i.Deviations = []string{"memory"} })), ""},
		{"drifted, unseen", quit(glint.Drifted, func(s *scene) { s.unsee(1) }), "no deviation was seen"},
		{"began by itself", quit(glint.Drifted, func(s *scene) {
			s.past(1).Held, s.past(1).Routed, s.member(1).Held, s.member(1).Gone = true, false, true, 0
			s.after.Routes--
		}), ""},
		{"still held", quit(glint.Drifted, func(s *scene) {
			s.past(1).Held, s.past(1).Routed, s.member(1).Held, s.member(1).Gone = true, false, true, 0
			s.after.Routes--
			s.inst(1).State = glint.Held
		}), "no deviation was seen"},
		{"of another version", quit(glint.Drifted, in(func(i *glint.Instance) { i.Version = v2 })), ""},
		{"at another address", quit(glint.Drifted, in(func(i *glint.Instance) { i.Address = "10.0.0.2" })), ""},
		{"at no address", quit(glint.Drifted, in(func(i *glint.Instance) { i.Address = "" })), "no deviation was seen"},
		{"at an address that was not known", quit(glint.Drifted, func(s *scene) {
			s.each(1, func(m *glint.Member) { m.Address, m.Routed, m.Gone = "", false, 0 })
		}), "no deviation was seen"},
		{"in another place", quit(glint.Drifted, place("a", "b")), ""},
		{"in its place", quit(glint.Drifted, place("a", "a")), "no deviation was seen"},
		{"in any place", quit(glint.Drifted, place("", "b")), "no deviation was seen"},

		{"not lost", quit(glint.Lost, func(*scene) {}), "it was seen to be running"},
		{"not lost, held", quit(glint.Lost, in(func(i *glint.Instance) { i.State = glint.Held })), "it was seen to be held"},
		{"lost, dead", quit(glint.Lost, func(s *scene) { s.dies(1, 1) }), ""},
		{"lost, never begun", quit(glint.Lost, in(func(i *glint.Instance) { i.State = glint.Accepted })), ""},

		{"not tainted", quit(glint.Tainted, func(*scene) {}), "no taint was seen"},
		{"tainted", quit(glint.Tainted, in(func(i *glint.Instance) { i.Tainted = "root" })), ""},
		{"tainted, unseen", quit(glint.Tainted, func(s *scene) { s.inst(1).Tainted = "root"; s.unsee(1) }), "no taint was seen"},

		{"healthy", quit(glint.Unhealthy, func(*scene) {}), "it was seen to be ready"},
		{"alive", quit(glint.Unhealthy, func(s *scene) { s.unready(1) }), "it was seen to be alive"},
		{"not alive", quit(glint.Unhealthy, in(func(i *glint.Instance) { i.Health.Live = false })), ""},
		{"nobody knows", quit(glint.Unhealthy, in(func(i *glint.Instance) { i.Health.Known = false })), ""},
		{"does not run", quit(glint.Unhealthy, in(func(i *glint.Instance) { i.State = glint.Accepted })), ""},
	})
	// begun is member 1 not ready yet, and told to go when its time to start is over.
	begun := func() *scene {
		s := still()
		s.idle(1)
		s.unready(1)
		s.each(1, func(m *glint.Member) { m.Seen, m.Created = false, noon.Add(-time.Minute) })
		s.leave(1, s.member(1))
		return s
	}
	early := func(s *scene) { s.each(1, func(m *glint.Member) { m.Created = noon.Add(1 - time.Minute) }) }
	play(t, begun, []test{
		{"too early", early, "its time to start is not over"},
		{"early, and nothing alive", func(s *scene) { early(s); s.sick(1) }, ""},
		{"of nobody", func(s *scene) { early(s); s.release.Services = nil }, ""},
		{"a task in time", func(s *scene) { early(s); s.service().Task = true }, "its time is not over"},
		{"a task out of time", func(s *scene) { s.service().Task = true; s.inst(1).Health.Ready = true }, ""},
		{"ready after all", func(s *scene) { s.inst(1).Health.Ready = true }, "it was seen to be ready"},
	})
	play(t, proving, []test{
		{"an unready canary", func(s *scene) { s.unready(4); s.tell(4, glint.Unhealthy); s.fleet().Baking = time.Time{} }, ""},
		{"an unready one beside the canary", func(s *scene) { s.unready(1); s.tell(1, glint.Unhealthy) }, "it was seen to be alive"},
		{"early, for the one that was rejected", func(s *scene) {
			s.reject()
			s.fleet().Phase, s.fleet().Baking = glint.Returning, time.Time{}
			s.unready(4)
			s.each(4, func(m *glint.Member) { m.Seen, m.Created = false, noon })
			s.tell(4, glint.Unhealthy)
		}, ""},
	})
	play(t, rolling, []test{
		{"an unready one while rolling", func(s *scene) { s.unready(4); s.tell(4, glint.Unhealthy) }, "it was seen to be alive"},
	})
}
