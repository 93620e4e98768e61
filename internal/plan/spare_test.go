package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestStandby: standbys are made when nothing else is to do, and take a place before anybody new does.
func TestStandby(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.both(func(w *glint.Service) { w.Standby = 2 })
		s.spare(v1)
		s.spare(v1)
		return s
	}
	play(t, begin, []turn{
		{"all are there", func(s *scene) {}, ``},
		{"one is missing", func(s *scene) { s.drop(5) }, `
			web: last=6
			web.6: joins
			web.6: created=noon held=true version=v1
			do: create web.6`},
		{"all are missing", func(s *scene) { s.drop(4); s.drop(5) }, `
			web: last=7
			web.6: joins
			web.6: created=noon held=true version=v1
			web.7: joins
			web.7: created=noon held=true version=v1
			do: create web.6
			do: create web.7`},
		{"one leaves", func(s *scene) { s.member(5).Leaving = noon.Add(-3 * time.Second) }, `
			web: last=6
			web.5: ending=noon out=noon
			web.6: joins
			web.6: created=noon held=true version=v1
			do: destroy web.5
			do: create web.6`},
		{"one too many", func(s *scene) { s.spare(v1) }, `
			web.6: because="2 standbys wanted" leaving=noon reason=surplus`},
		{"of another version", func(s *scene) { s.drop(5); s.fleet().Templates[v2] = two; s.spare(v2) }, `
			web: last=7
			web.6: because="another version is wanted" leaving=noon reason=superseded
			web.7: joins
			web.7: created=noon held=true version=v1
			do: create web.7`},
		{"none where none is to serve", func(s *scene) { s.both(func(w *glint.Service) { w.Instances = 0 }) }, `
			stack: routes=5
			web.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.3: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.4: because="0 standbys wanted" leaving=noon reason=surplus
			web.5: because="0 standbys wanted" leaving=noon reason=surplus
			do: route`},
		{"none is made where none is to serve", func(s *scene) {
			*s = *calm()
			s.drop(1)
			s.drop(2)
			s.drop(3)
			s.both(func(w *glint.Service) { w.Instances, w.Standby = 0, 2 })
		}, ``},
		{"none is made in a rollout", func(s *scene) { s.drop(5); s.fleet().Phase = glint.RollingTo; s.unready(1); s.member(1).Routed = false }, `
			note web.1: is not ready: nobody can say why`},
		{"none is made where old goes first", func(s *scene) { s.drop(5); s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate }) }, ``},
		{"none is made in a pause after a failure", func(s *scene) { s.drop(5); s.fleet().Retry = noon.Add(1) }, ``},
		{"one is made after the pause", func(s *scene) { s.drop(5); s.fleet().Retry = noon }, `
			web: last=6
			web.6: joins
			web.6: created=noon held=true version=v1
			do: create web.6`},
		{"none is made while not all answer", func(s *scene) { s.drop(5); s.seen.Complete = false }, ``},
		{"none is made while its new version waits", func(s *scene) { s.drop(5); s.revise(two); s.in.Releases[2].Services[0].After = []string{"db"} }, `
			stack: revision=2 target=2
			note web: its new version waits for db`},
		{"a place is free", func(s *scene) { s.dies(2, 1) }, `
			stack: routes=5
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: for=2 held=- let=noon
			do: route
			do: create web.4`},
		{"three places are free", func(s *scene) { s.dies(1, 1); s.dies(2, 1); s.dies(3, 1) }, `
			stack: routes=5
			web: last=6
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.3: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: for=1 held=- let=noon
			web.5: for=2 held=- let=noon
			web.6: joins
			web.6: created=noon for=3 version=v1
			do: route
			do: create web.4
			do: create web.5
			do: create web.6`},
		{"a place is free, and a standby is not made yet", func(s *scene) { s.inst(4).State = glint.Accepted; s.dies(2, 1) }, `
			stack: routes=5
			web: failed=1 retry=noon
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: because="not made within 1m: its platform does not say why" leaving=noon reason=unhealthy
			web.5: for=2 held=- let=noon
			do: route
			do: create web.5`},
		{"a place is free, and a standby is not seen", func(s *scene) { s.unsee(4); s.dies(2, 1) }, `
			stack: routes=5
			web: failed=1 retry=noon
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: because="not made within 1m: its platform does not say why" leaving=noon reason=unhealthy
			web.5: for=2 held=- let=noon
			do: route
			do: create web.5`},
		{"a place is free, and a standby leaves", func(s *scene) { s.member(4).Leaving = noon.Add(-3 * time.Second); s.dies(2, 1) }, `
			stack: routes=5
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: ending=noon out=noon
			web.5: for=2 held=- let=noon
			do: route
			do: destroy web.4
			do: create web.5`},
		{"a place is free, and a standby is of another version", func(s *scene) {
			s.fleet().Templates[v2] = two
			s.member(4).Version, s.inst(4).Version = v2, v2
			s.dies(2, 1)
		}, `
			stack: routes=5
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: because="another version is wanted" leaving=noon reason=superseded
			web.5: for=2 held=- let=noon
			do: route
			do: create web.5`},
		{"let go a while ago, and it still begins", func(s *scene) {
			s.drop(3)
			m := s.member(4)
			m.Held, m.Let = false, noon.Add(-5*time.Second)
			s.inst(4).State = glint.Running
			s.both(func(w *glint.Service) { w.Standby = 1 })
		}, `
			wake: +55s`},
	})
}

// TestHeld: a standby has a minute to be made, and no business to run.
func TestHeld(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.both(func(w *glint.Service) { w.Standby = 1 })
		s.spare(v1)
		return s
	}
	play(t, begin, []turn{
		{"it is held", func(s *scene) {}, ``},
		{"it died", func(s *scene) { s.dies(4, 1) }, `
			web: failed=1 last=5 retry=noon
			web.4: because="exited 1" leaving=noon reason=lost
			web.5: joins
			web.5: created=noon held=true version=v1
			do: create web.5
			wake: +60s`},
		{"it runs", func(s *scene) { s.inst(4).State = glint.Running }, `
			web: failed=1 last=5 retry=noon
			web.4: because="it runs although it was held" leaving=noon reason=drifted
			web.5: joins
			web.5: created=noon held=true version=v1
			do: create web.5
			wake: +60s`},
		{"it is still being made", func(s *scene) {
			s.inst(4).State = glint.Accepted
			s.member(4).Created, s.inst(4).Created = noon.Add(-time.Minute+1), noon.Add(-time.Minute+1)
		}, `
			do: create web.4
			wake: +1e-09s`},
		{"it is not made in time", func(s *scene) {
			s.inst(4).State = glint.Accepted
			s.member(4).Created, s.inst(4).Created = noon.Add(-time.Minute), noon.Add(-time.Minute)
		}, `
			web: failed=1 last=5 retry=noon
			web.4: because="not made within 1m: its platform does not say why" leaving=noon reason=unhealthy
			web.5: joins
			web.5: created=noon held=true version=v1
			do: create web.5
			wake: +60s`},
		{"it is not made in time, and the platform knows why", func(s *scene) {
			s.unsee(4)
			s.seen.Troubles = []glint.Trouble{{Verb: glint.Create, ID: s.id(4), Text: "no space"}}
		}, `
			web: failed=1 last=5 retry=noon
			web.4: because="not made within 1m: no space" leaving=noon reason=unhealthy
			web.5: joins
			web.5: created=noon held=true version=v1
			do: create web.5
			note web.4: create does not work: no space; is tried again
			wake: +60s`},
		{"it is not seen, nor are others", func(s *scene) { s.unsee(4); s.seen.Complete = false }, ``},
		{"it drifted", func(s *scene) { s.inst(4).Deviations = []string{"a mount"} }, `
			web: last=5
			web.4: because="a mount" leaving=noon reason=drifted
			web.5: joins
			web.5: created=noon held=true version=v1
			do: create web.5`},
		{"it drifted, but was not seen now", func(s *scene) { s.unsee(4); s.seen.Complete = false; s.fleet().Rejected = []glint.Digest{v1} }, `
			stack: rejected={because:"it failed before; to try it again: glint apply --retry" instance: revision:1 service:web version:v1}`},
		{"it has half of the age of others", func(s *scene) { s.both(func(w *glint.Service) { w.MaxAge = 4 * 60 * minute }) }, `
			wake: +3600s`},
		{"it has lived half of that age", func(s *scene) { s.both(func(w *glint.Service) { w.MaxAge = 2 * 60 * minute }) }, `
			web: last=5
			web.4: because="born at 11:00:00; none may be older than 2h" leaving=noon reason=expired
			web.5: joins
			web.5: created=noon held=true version=v1
			do: create web.5
			wake: +537.737048194s`},
		{"a person asks for new ones", func(s *scene) { s.fleet().Renew = &glint.Renewal{Word: glint.Word{By: "ann"}, Upto: 4} }, `
			web: last=5
			web.4: because="ann asked for new ones" leaving=noon reason=requested
			web.5: joins
			web.5: created=noon for=1 version=v1
			do: create web.5
			note web.1: requested (ann asked for new ones); waits: 3 of 3 take traffic
			note web.2: requested (ann asked for new ones); waits: 3 of 3 take traffic
			note web.3: requested (ann asked for new ones); waits: 3 of 3 take traffic`},
	})
}

// TestWarm: who is superseded stays running for a while, without traffic, should its version be wanted again.
func TestWarm(t *testing.T) {
	begin := func() *scene {
		s := rolling()
		s.both(func(w *glint.Service) { w.Update.Warm = 10 * minute })
		return s
	}
	rest := func(s *scene) {
		s.fleet().Phase, s.fleet().Target, s.fleet().Stable = glint.Steady, v1, v1
		*s = *calm()
		s.fleet().Templates[v2] = two
		s.both(func(w *glint.Service) { w.Update.Warm = 10 * minute })
		s.warm(v2)
	}
	play(t, begin, []turn{
		{"it is kept", func(s *scene) {}, `
			stack: routes=5
			web: last=5
			web.1: gone=5 routed=- warm=+600s
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"nothing is kept warm", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Warm = 0 }) }, `
			stack: routes=5
			web: last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"however short it is kept", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Warm = 1 }) }, `
			stack: routes=5
			web: last=5
			web.1: gone=5 routed=- warm=+1e-09s
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"where old goes first nobody is", func(s *scene) { s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate }) }, `
			stack: routes=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.2: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.3: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			do: route
			note web: 2 missing; waits until what only one may hold is free`},
		{"who must go for another reason is not", func(s *scene) { s.inst(1).Tainted = "root entered it" }, `
			stack: routes=5
			web: last=5
			web.1: because="root entered it" gone=5 leaving=noon reason=tainted routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"who takes no traffic is not", func(s *scene) { s.member(1).Routed = false }, `
			web: last=5
			web.1: because="r2 wants another version" leaving=noon reason=superseded
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"who is not ready is not", func(s *scene) { s.unready(1) }, `
			stack: routes=5
			web: last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"who is not of the stable version is not", func(s *scene) { s.fleet().Stable = v3; s.fleet().Templates[v3] = three }, `
			stack: routes=5
			web: last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"on a way back nobody is", func(s *scene) { s.fleet().Phase = glint.Returning }, `
			stack: routes=5
			web: last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"the time counts from the end of the rollout", func(s *scene) {
			s.drop(1)
			s.drop(2)
			s.drop(3)
			s.add(v2)
			s.add(v2)
			s.warm(v1).Warm = noon.Add(-time.Second)
			s.leaver(v1).Warm = noon.Add(-time.Minute)
		}, `
			stack: stable=2
			web: phase=steady since=noon stable=v2
			web.7: warm=+600s
			web.8: ending=noon out=noon
			do: destroy web.8
			wake: +600s`},
		{"in a rollout time does not count", func(s *scene) { s.warm(v1).Warm = noon.Add(-time.Second) }, `
			stack: routes=5
			web: last=6
			web.1: gone=5 routed=- warm=+600s
			web.6: joins
			web.6: created=noon for=1 version=v2
			do: route
			do: create web.6
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"of a third version it leaves", func(s *scene) { s.fleet().Templates[v3] = three; s.warm(v3) }, `
			stack: routes=5
			web: last=6
			web.1: gone=5 routed=- warm=+600s
			web.5: because="a third version was taken up; it was kept warm" leaving=noon reason=superseded
			web.6: joins
			web.6: created=noon for=1 version=v2
			do: route
			do: create web.6
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"it waits for its time", rest, `
			wake: +3600s`},
		{"its time is over", func(s *scene) { rest(s); s.member(4).Warm = noon }, `
			web.4: because="its time as warm spare is over" leaving=noon reason=superseded`},
		{"a moment before", func(s *scene) { rest(s); s.member(4).Warm = noon.Add(1) }, `
			wake: +1e-09s`},
		{"where old goes first it is kept no longer", func(s *scene) { rest(s); s.both(func(w *glint.Service) { w.Update.Strategy = glint.Recreate }) }, `
			web.4: because="nobody is kept warm where the old must go first" leaving=noon reason=superseded`},
		{"it is old", func(s *scene) { rest(s); s.both(func(w *glint.Service) { w.MaxAge = 60 * minute }) }, `
			web: last=5
			web.4: because="born at 11:00:00; none may be older than 1h" leaving=noon reason=expired
			web.5: joins
			web.5: created=noon for=1 version=v1
			do: create web.5
			note web.1: expired (born at 11:00:00; none may be older than 1h); waits: 3 of 3 take traffic
			note web.2: expired (born at 11:00:00; none may be older than 1h); waits: 3 of 3 take traffic
			note web.3: expired (born at 11:00:00; none may be older than 1h); waits: 3 of 3 take traffic`},
		{"it will be old", func(s *scene) {
			rest(s)
			s.both(func(w *glint.Service) { w.MaxAge = 100 * minute })
			s.member(4).Warm = noon.Add(2 * time.Hour)
			for n := range 3 {
				s.member(n + 1).Created = noon
			}
		}, `
			wake: +2400s`},
		{"it dies", func(s *scene) { rest(s); s.dies(4, 1) }, `
			web.4: because="exited 1" leaving=noon reason=lost`},
		{"its version is wanted again", func(s *scene) {
			rest(s)
			s.revise(two)
			s.leaver(v2).Warm = noon.Add(time.Hour)
		}, `
			stack: revision=2 routes=5 target=2
			web: phase=rolling since=noon target=v2
			web.4: gone=- routed=true warm=-
			web.5: ending=noon out=noon
			do: route
			do: destroy web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"another version is wanted", func(s *scene) { rest(s); s.revise(three) }, `
			stack: revision=2 target=2
			web: last=5 phase=rolling since=noon target=v3 templates=v3,v1,v2
			web.4: because="a third version was taken up; it was kept warm" leaving=noon reason=superseded
			web.5: joins
			web.5: created=noon for=1 version=v3
			do: create web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"it was not seen, and not all answered", func(s *scene) { rest(s); s.member(4).Warm = noon; s.unsee(4); s.seen.Complete = false }, ``},
	})
}
