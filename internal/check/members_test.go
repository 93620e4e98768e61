package check_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

func TestNumbers(t *testing.T) {
	play(t, still, []test{
		{"join", func(s *scene) { s.join() }, ""},
		{"fleet forgotten", func(s *scene) { s.after.Services = nil }, "its fleet would be forgotten"},
		{"fleets out of order", func(s *scene) {
			s.after.Services = append(s.after.Services, glint.Fleet{Name: "db", Phase: glint.Empty})
		}, "db: fleets must be sorted and unique, and it follows web"},
		{"a fleet twice", func(s *scene) { s.after.Services = append(s.after.Services, *s.fleet()) }, "web: fleets must be sorted"},
		{"another fleet", func(s *scene) {
			s.after.Services = append(s.after.Services, glint.Fleet{Name: "zoo", Phase: glint.Empty})
		}, ""},
		{"numbers back", func(s *scene) { s.fleet().Last = 2 }, "number 3 would be given out twice"},
		{"number never given", func(s *scene) { s.join(); s.fleet().Last = 3 }, "number 4 was never given out"},
		{"old number again", func(s *scene) { s.before.Services[0].Last = 4; s.join() }, "number 4 would be given out twice"},
		{"number twice", func(s *scene) { s.fleet().Members = append(s.fleet().Members, *s.member(3)) }, "members must be sorted and unique, and 3 follows 3"},
		{"numbers out of order", func(s *scene) { m := s.fleet().Members; m[1], m[2] = m[2], m[1] }, "members must be sorted and unique, and 2 follows 3"},
		{"numbers out of order at once", func(s *scene) { m := s.fleet().Members; m[0], m[1] = m[1], m[0] }, "members must be sorted and unique, and 1 follows 2"},
		{"made to go", func(s *scene) { m := s.join(); m.Leaving, m.Reason, m.Because = noon, glint.Lost, "x" }, "web.4: would be made and told to go at once"},
		{"template lost", func(s *scene) { s.fleet().Templates = nil }, "nobody knows any more"},
		{"template changed", func(s *scene) { s.fleet().Templates = map[glint.Digest]glint.Template{v1: two} }, "would mean something else"},
		{"template misnamed", func(s *scene) { s.fleet().Templates = map[glint.Digest]glint.Template{v1: one, v2: three} }, "would mean something else"},
		{"template misnamed before", func(s *scene) {
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{v1: one, "v9": three} })
		}, ""},
		{"template spelled differently", func(s *scene) {
			same := one
			same.Command = []string{}
			s.fleet().Templates = map[glint.Digest]glint.Template{v1: same}
		}, ""},
		{"template added", func(s *scene) { s.fleet().Templates = map[glint.Digest]glint.Template{v1: one, v2: two} }, ""},
		{"target unknown", func(s *scene) { s.service().Template, s.fleet().Target, s.fleet().Phase = two, v2, glint.RollingTo }, "nobody knows what version"},
		{"target unknown before", func(s *scene) { s.both(func(f *glint.Fleet) { f.Target, f.Stable = v2, v2 }) }, ""},
	})
}

func TestMembers(t *testing.T) {
	play(t, still, []test{
		{"forget what is gone", func(s *scene) { s.gone(1); s.forget(1); s.unsee(1) }, ""},
		{"forgotten untold", func(s *scene) { s.forget(1) }, "forgotten without having been told"},
		{"forgotten while there", func(s *scene) { s.gone(1); s.forget(1) }, "is still there (running)"},
		{"forgotten unseen", func(s *scene) { s.gone(1); s.forget(1); s.unsee(1); s.seen.Complete = false }, "not the same as gone"},
		{"version changed", func(s *scene) { s.member(1).Version = "v9"; s.fleet().Templates["v9"] = glint.Template{} }, "changed in place"},
		{"birth changed", func(s *scene) { s.member(1).Created = noon.Add(1) }, "changed in place"},
		{"address changed", func(s *scene) { s.member(1).Address = "10.0.0.9" }, "changed in place"},
		{"address lost", func(s *scene) { s.idle(1); s.member(1).Address = "" }, "changed in place"},
		{"moved", func(s *scene) { s.member(1).Place = "b" }, `moved from "" to "b"`},
		{"called back", func(s *scene) { s.gone(1); *s.member(1) = *s.member(2); s.member(1).N = 1 }, "called back"},
		{"leaves again", func(s *scene) { s.gone(1); s.member(1).Leaving = noon.Add(1) }, "called back"},
		{"seen is seen", func(s *scene) { s.member(1).Seen = false }, "was ready once, and that would be forgotten"},
		{"out is out", func(s *scene) { s.gone(1); s.past(1).Out, s.member(1).Out = noon, time.Time{} }, "had forgotten it would be rewritten"},
		{"out later", func(s *scene) { s.gone(1); s.past(1).Out = noon.Add(-1) }, "had forgotten it would be rewritten"},
		{"out earlier", func(s *scene) { s.gone(1); s.past(1).Out = noon.Add(1) }, ""},
		{"ended is ended", func(s *scene) { s.gone(1); s.past(1).Out, s.past(1).Ending = noon, noon }, "when it ended would be rewritten"},
		{"ended otherwise", func(s *scene) {
			s.gone(1)
			s.past(1).Out, s.past(1).Ending, s.member(1).Ending = noon, noon, noon.Add(1)
		}, "when it ended would be rewritten"},
		{"ended as before", func(s *scene) {
			s.gone(1)
			s.past(1).Out, s.past(1).Ending, s.member(1).Ending = noon, noon, noon
		}, ""},
		{"generation rewritten", func(s *scene) { s.gone(1); s.member(1).Gone = 3 }, "would be rewritten from 4 to 3"},
		{"generation invented", func(s *scene) { s.member(1).Gone = 4 }, "would be rewritten from 0 to 4"},
	})
}

func TestTraffic(t *testing.T) {
	play(t, still, []test{
		{"leaves and serves", func(s *scene) { s.out(1); s.member(1).Routed = true }, "would leave and still take traffic"},
		{"told to go unseen", func(s *scene) { s.tell(1, glint.Lost); s.unsee(1); s.seen.Complete = false }, "without having been seen"},
		{"told to go, by an older look", func(s *scene) {
			s.tell(1, glint.Lost)
			s.unsee(1)
			s.before.Seen, s.after.Seen, s.seen.At = noon, noon, noon.Add(-1)
		}, "without having been seen"},
		{"told to go, by as old a look", func(s *scene) {
			s.tell(1, glint.Lost)
			s.unsee(1)
			s.before.Seen, s.after.Seen, s.seen.At = noon, noon, noon
		}, ""},
		{"told to go, by a clock that was set back", func(s *scene) {
			s.tell(1, glint.Lost)
			s.unsee(1)
			s.before.Seen, s.after.Seen, s.seen.At = noon, noon.Add(-1), noon.Add(-1)
		}, ""},
		{"told to go, vanished", func(s *scene) { s.tell(1, glint.Lost); s.unsee(1) }, ""},
		{"told to go before, unseen", func(s *scene) { s.gone(1); s.unsee(1); s.seen.Complete = false }, ""},
		{"routed", func(s *scene) { s.past(1).Routed = false; s.after.Routes++ }, ""},
		{"routed unready", func(s *scene) { s.past(1).Routed = false; s.unready(1); s.after.Routes++ }, "not seen to be ready"},
		{"routed dead", func(s *scene) { s.past(1).Routed = false; s.inst(1).State = glint.Dead; s.after.Routes++ }, "not seen to be ready"},
		{"routed unseen", func(s *scene) { s.past(1).Routed = false; s.unsee(1); s.after.Routes++ }, "not seen to be ready"},
		{"unready and routed before", func(s *scene) { s.unready(1) }, ""},
		{"routed without address", func(s *scene) { s.past(1).Address, s.member(1).Address = "", "" }, "has no address"},
		{"first seen", func(s *scene) { s.past(1).Seen = false }, ""},
		{"first seen unready", func(s *scene) { s.past(1).Seen = false; s.unready(1) }, "would be taken for one that works"},
		{"first seen, of a task", func(s *scene) { s.past(1).Seen, s.service().Task = false, true; s.unready(1) }, ""},
		{"address found", func(s *scene) { s.past(1).Routed, s.past(1).Address = false, ""; s.after.Routes++ }, ""},
		{"address invented", func(s *scene) { s.idle(1); s.past(1).Address, s.inst(1).Address = "", "10.0.0.2" }, `was seen at "10.0.0.2"`},
		{"routed elsewhere", func(s *scene) { s.past(1).Routed, s.inst(1).Address = false, "10.0.0.2"; s.after.Routes++ }, "take traffic at 10.0.0.1, and was seen at 10.0.0.2"},
		{"routed elsewhere before", func(s *scene) { s.inst(1).Address = "10.0.0.2" }, ""},
		{"routed where the platform says no more", func(s *scene) { s.past(1).Routed, s.inst(1).Address = false, ""; s.after.Routes++ }, ""},

		{"grace as declared", func(s *scene) { s.fleet().Grace, s.update().Grace = hour, hour }, ""},
		{"grace invented", func(s *scene) { s.fleet().Grace = second }, "its grace would be 1s, which nobody has declared"},
		{"grace as before", func(s *scene) { s.update().Grace = second }, ""},
		{"a task now, as declared", func(s *scene) { s.fleet().Task, s.service().Task = true, true }, ""},
		{"a task now", func(s *scene) { s.fleet().Task = true }, "whether it is a task would change"},
		{"a task before", func(s *scene) { s.both(func(f *glint.Fleet) { f.Task = true }) }, ""},
		{"a task of nobody", func(s *scene) { s.fleet().Task, s.release.Services = true, nil }, "whether it is a task would change"},
		{"no task of nobody", func(s *scene) { s.old().Task, s.release.Services = true, nil }, "whether it is a task would change"},
		{"grace of nobody", func(s *scene) { s.fleet().Grace, s.update().Grace, s.release.Services = 0, 0, nil }, "its grace would be 0s"},
	})
	play(t, rolling, []test{
		{"a task of the rejected", func(s *scene) { s.reject(); s.fleet().Task = true }, ""},
		{"grace of the rejected", func(s *scene) { s.reject(); s.fleet().Grace = second }, ""},
	})
}

func TestEnding(t *testing.T) {
	play(t, still, []test{
		{"out", func(s *scene) { s.gone(1) }, ""},
		{"out unacknowledged", func(s *scene) { s.gone(1); s.seen.Acks[0].Generation = 3 }, "for forgotten by the balancers (generation 4, acknowledged 3)"},
		{"out and stays", func(s *scene) { s.member(1).Out = noon }, "for forgotten by the balancers"},
		{"out on hearsay", func(s *scene) { s.gone(1); s.seen.Acks[0].Kind = glint.Unknown }, "(generation 4, acknowledged 0)"},
		{"end when drained", func(s *scene) { s.gone(1); s.member(1).Ending = noon }, ""},
		{"end what was proven before", func(s *scene) { s.gone(1); s.past(1).Out, s.member(1).Ending, s.seen.Acks = noon, noon, nil }, ""},
		{"ended while wanted", func(s *scene) { s.member(1).Ending = noon }, "without having been told to go"},
		{"ended at once", func(s *scene) { s.out(1); s.member(1).Ending = noon }, "destroyed and still takes traffic"},
		{"ended without proof", func(s *scene) { s.gone(1); s.member(1).Ending, s.member(1).Out = noon, time.Time{} }, "before the balancers have forgotten"},
	})
	busy := func() *scene {
		s := still()
		s.gone(1)
		s.inst(1).InFlight, s.past(1).Out, s.member(1).Ending = 1, noon, noon.Add(time.Minute)
		return s
	}
	early := func(s *scene) { s.member(1).Ending = noon.Add(time.Minute - 1) }
	play(t, busy, []test{
		{"in flight", early, "1 in flight before its grace is over"},
		{"unknown in flight", func(s *scene) { early(s); s.inst(1).InFlight = -1 }, "in flight before its grace is over"},
		{"none in flight", func(s *scene) { early(s); s.inst(1).InFlight = 0 }, ""},
		{"in flight before", func(s *scene) { early(s); s.past(1).Ending = s.member(1).Ending }, ""},
		{"vanished", func(s *scene) { early(s); s.unsee(1) }, ""},
		{"dead", func(s *scene) { early(s); s.inst(1).State = glint.Dead }, ""},
		{"never routed", func(s *scene) { early(s); s.each(1, func(m *glint.Member) { m.Gone = 0 }) }, ""},
		{"routed in the first generation", func(s *scene) { early(s); s.each(1, func(m *glint.Member) { m.Gone = 1 }) }, "in flight"},
	})
}
