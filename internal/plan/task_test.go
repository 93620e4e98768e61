package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// chores is a task whose first version runs since ten seconds.
func chores() *scene {
	s := calm()
	task := service("web", chore, 1)
	task.Task, task.Update.Tries = true, 1
	s.in.Releases[1] = glint.Release{Services: []glint.Service{task}}
	s.have.Stable = 0
	s.have.Services = []glint.Fleet{{Name: "web", Task: true, Phase: glint.RollingTo, Since: noon.Add(-time.Hour), Target: t1, Templates: map[glint.Digest]glint.Template{t1: chore}, Grace: minute / 2}}
	s.seen.Instances = nil
	m := s.young(t1)
	m.Seen, m.Address = true, "10.0.0.1"
	return s
}

// TestTask: it runs until its program ends, and how that came out is written down before it is destroyed.
func TestTask(t *testing.T) {
	done := func(outcome glint.Finish) []glint.Result {
		return []glint.Result{{Version: t1, Instance: glint.ID{Stack: "shop", Epoch: "e", Service: "web", N: 1}, At: noon, Outcome: outcome, Because: "so it was"}}
	}
	play(t, chores, []turn{
		{"it runs", func(s *scene) {}, `
			note web.1: is not ready: nobody can say why
			wake: +50s`},
		{"it begins to run", func(s *scene) { s.member(1).Seen, s.member(1).Address = false, "" }, `
			web.1: address=10.0.0.1 seen=true
			note web.1: is not ready: nobody can say why
			wake: +50s`},
		{"it is only accepted", func(s *scene) { s.member(1).Seen, s.inst(1).State = false, glint.Accepted }, `
			do: create web.1
			wake: +50s`},
		{"it succeeds", func(s *scene) { s.dies(1, 0) }, `
			stack: stable=1
			web: done=[{at:noon because:"exited 0" instance:shop.e.web.1 outcome:succeeded version:t1}] phase=steady since=noon stable=t1
			web.1: because="exited 0" leaving=noon reason=finished`},
		{"it fails", func(s *scene) { s.dies(1, 1) }, `
			stack: rejected={because:"web.1 exited 1, 1 of 1 tries" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: done=[{at:noon because:"exited 1" instance:shop.e.web.1 outcome:failed version:t1}] failed=1 rejected=[t1] retry=noon
			web.1: because="exited 1" leaving=noon reason=lost
			note web: 1 missing; waits until what only one may hold is free
			note web: version t1 is rejected; to try it again: glint apply --retry`},
		{"it fails, and may be tried again", func(s *scene) { s.dies(1, 1); s.both(func(w *glint.Service) { w.Update.Tries = 2 }) }, `
			web: done=[{at:noon because:"exited 1" instance:shop.e.web.1 outcome:failed version:t1}] failed=1 retry=noon
			web.1: because="exited 1" leaving=noon reason=lost
			note web: 1 missing; waits until what only one may hold is free`},
		{"it was killed", func(s *scene) { s.dies(1, 0); s.inst(1).Exit.Signal = "SIGKILL" }, `
			stack: rejected={because:"web.1 killed by SIGKILL, 1 of 1 tries" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: done=[{at:noon because:"killed by SIGKILL" instance:shop.e.web.1 outcome:failed version:t1}] failed=1 rejected=[t1] retry=noon
			web.1: because="killed by SIGKILL" leaving=noon reason=lost
			note web: 1 missing; waits until what only one may hold is free
			note web: version t1 is rejected; to try it again: glint apply --retry`},
		{"it was killed for its memory", func(s *scene) { s.dies(1, 0); s.inst(1).Exit.OutOfMemory = true }, `
			stack: rejected={because:"web.1 killed by the kernel: out of memory, 1 of 1 tries" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: done=[{at:noon because:"killed by the kernel: out of memory" instance:shop.e.web.1 outcome:failed version:t1}] failed=1 rejected=[t1] retry=noon
			web.1: because="killed by the kernel: out of memory" leaving=noon reason=lost
			note web: 1 missing; waits until what only one may hold is free
			note web: version t1 is rejected; to try it again: glint apply --retry`},
		{"it could not be started", func(s *scene) { s.dies(1, 0); s.inst(1).Exit.Failure = "no such file" }, `
			stack: rejected={because:"web.1 no such file, 1 of 1 tries" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: done=[{at:noon because:"no such file" instance:shop.e.web.1 outcome:failed version:t1}] failed=1 rejected=[t1] retry=noon
			web.1: because="no such file" leaving=noon reason=lost
			note web: 1 missing; waits until what only one may hold is free
			note web: version t1 is rejected; to try it again: glint apply --retry`},
		{"it ended, and nothing more is known", func(s *scene) { s.dies(1, 0); s.inst(1).Exit = nil }, `
			stack: rejected={because:"web.1 its program ended, 1 of 1 tries" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: done=[{at:noon because:"its program ended" instance:shop.e.web.1 outcome:failed version:t1}] failed=1 rejected=[t1] retry=noon
			web.1: because="its program ended" leaving=noon reason=lost
			note web: 1 missing; waits until what only one may hold is free
			note web: version t1 is rejected; to try it again: glint apply --retry`},
		{"it vanished", func(s *scene) { s.unsee(1) }, `
			stack: rejected={because:"web.1 was lost, and may have done its work or half of it; to run it again: glint apply --retry" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: done=[{at:noon because:"it vanished from its platform" instance:shop.e.web.1 outcome:unknown version:t1}]
			web.1: because="it vanished from its platform; whether it had done its work is not known" leaving=noon reason=lost
			note web: web.1 was lost: whether it did its work is not known; to run it again: glint apply --retry`},
		{"it vanished, and there is something to return to", func(s *scene) { s.unsee(1); s.have.Stable = 3; s.in.Releases[3] = glint.Release{} }, `
			stack: rejected={because:"web.1 was lost, and may have done its work or half of it; to run it again: glint apply --retry" instance:shop.e.web.1 revision:1 service:web version:t1} target=3
			web: done=[{at:noon because:"it vanished from its platform" instance:shop.e.web.1 outcome:unknown version:t1}]
			web.1: because="it vanished from its platform; whether it had done its work is not known" leaving=noon reason=lost
			note web: web.1 was lost: whether it did its work is not known; to run it again: glint apply --retry`},
		{"it was not seen, nor were others", func(s *scene) { s.unsee(1); s.seen.Complete = false }, `
			note web: waits until all places answer
			wake: +50s`},
		{"it was never seen", func(s *scene) { s.unsee(1); s.member(1).Seen = false }, `
			do: create web.1
			wake: +50s`},
		{"it takes too long", func(s *scene) {
			s.member(1).Created, s.inst(1).Created = noon.Add(-time.Minute), noon.Add(-time.Minute)
		}, `
			stack: rejected={because:"web.1 not done within 1m, 1 of 1 tries" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: done=[{at:noon because:"not done within 1m" instance:shop.e.web.1 outcome:failed version:t1}] failed=1 rejected=[t1] retry=noon
			web.1: because="not done within 1m" leaving=noon reason=unhealthy
			note web: 1 missing; waits until what only one may hold is free
			note web: version t1 is rejected; to try it again: glint apply --retry`},
		{"a moment before", func(s *scene) {
			s.member(1).Created, s.inst(1).Created = noon.Add(-time.Minute+1), noon.Add(-time.Minute+1)
		}, `
			note web.1: is not ready: nobody can say why
			wake: +1e-09s`},
		{"it takes too long to start", func(s *scene) {
			s.unsee(1)
			s.member(1).Seen, s.member(1).Created = false, noon.Add(-time.Minute)
		}, `
			stack: rejected={because:"web.1 not started within 1m: its platform does not say why, 1 of 1 tries" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: done=[{at:noon because:"not started within 1m: its platform does not say why" instance:shop.e.web.1 outcome:failed version:t1}] failed=1 rejected=[t1] retry=noon
			web.1: because="not started within 1m: its platform does not say why" leaving=noon reason=unhealthy
			note web: 1 missing; waits until what only one may hold is free
			note web: version t1 is rejected; to try it again: glint apply --retry`},
		{"it takes too long to start, and the platform knows why", func(s *scene) {
			s.unsee(1)
			s.member(1).Seen, s.member(1).Created = false, noon.Add(-time.Minute)
			s.seen.Troubles = []glint.Trouble{{Verb: glint.Create, ID: s.id(1), Text: "no space"}}
		}, `
			stack: rejected={because:"web.1 not started within 1m: no space, 1 of 1 tries" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: done=[{at:noon because:"not started within 1m: no space" instance:shop.e.web.1 outcome:failed version:t1}] failed=1 rejected=[t1] retry=noon
			web.1: because="not started within 1m: no space" leaving=noon reason=unhealthy
			note web: 1 missing; waits until what only one may hold is free
			note web: version t1 is rejected; to try it again: glint apply --retry
			note web.1: create does not work: no space; is tried again`},
		{"it would take too long, were all places seen", func(s *scene) {
			s.unsee(1)
			s.member(1).Created, s.seen.Complete = noon.Add(-time.Minute), false
		}, `
			note web: waits until all places answer`},
		{"it takes too long, though not all places are seen", func(s *scene) {
			s.member(1).Created, s.inst(1).Created, s.seen.Complete = noon.Add(-time.Minute), noon.Add(-time.Minute), false
		}, `
			stack: rejected={because:"web.1 not done within 1m, 1 of 1 tries" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: done=[{at:noon because:"not done within 1m" instance:shop.e.web.1 outcome:failed version:t1}] failed=1 rejected=[t1] retry=noon
			web.1: because="not done within 1m" leaving=noon reason=unhealthy
			note web: 1 missing; waits until what only one may hold is free
			note web: version t1 is rejected; to try it again: glint apply --retry
			note web: waits until all places answer`},
		{"it may take as long as it likes", func(s *scene) {
			s.member(1).Created, s.inst(1).Created = noon.Add(-time.Hour), noon.Add(-time.Hour)
			s.both(func(w *glint.Service) { w.Update.StartWithin = 0 })
		}, `
			note web.1: is not ready: nobody can say why`},
		{"however short its time is", func(s *scene) { s.both(func(w *glint.Service) { w.Update.StartWithin = 1 }) }, `
			stack: rejected={because:"web.1 not done within 1ns, 1 of 1 tries" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: done=[{at:noon because:"not done within 1ns" instance:shop.e.web.1 outcome:failed version:t1}] failed=1 rejected=[t1] retry=noon
			web.1: because="not done within 1ns" leaving=noon reason=unhealthy
			note web: 1 missing; waits until what only one may hold is free
			note web: version t1 is rejected; to try it again: glint apply --retry`},
		{"it is no longer declared, and succeeds", func(s *scene) { s.in.Releases[1] = glint.Release{}; s.dies(1, 0) }, `
			stack: stable=1
			web: done=[{at:noon because:"exited 0" instance:shop.e.web.1 outcome:succeeded version:t1}] phase=emptying since=noon
			web.1: because="exited 0" leaving=noon reason=finished`},
		{"it is to be run", func(s *scene) { s.drop(1) }, `
			web: last=2
			web.2: joins
			web.2: created=noon version=t1
			do: create web.2`},
		{"it is not run again in what stands still", func(s *scene) { s.drop(1); s.pause(); s.fleet().Stable = t2; s.fleet().Templates[t2] = other }, `
			note web: its rollout stands still: paused by ann; to go on: glint resume`},
		{"it has succeeded", func(s *scene) { s.drop(1); s.fleet().Done = done(glint.Succeeded) }, `
			stack: stable=1
			web: phase=steady since=noon stable=t1`},
		{"it has failed", func(s *scene) { s.drop(1); s.fleet().Done = done(glint.Broke) }, `
			web: last=2
			web.2: joins
			web.2: created=noon version=t1
			do: create web.2`},
		{"nobody knows how it came out", func(s *scene) { s.drop(1); s.fleet().Done = done(glint.UnknownFinish) }, `
			stack: rejected={because:"web.1 was lost, and may have done its work or half of it; to run it again: glint apply --retry" instance:shop.e.web.1 revision:1 service:web version:t1}
			note web: web.1 was lost: whether it did its work is not known; to run it again: glint apply --retry`},
		{"nobody knows how it came out, which was said before", func(s *scene) {
			s.drop(1)
			s.fleet().Done, s.have.Rejected = done(glint.UnknownFinish), &glint.Rejection{Revision: 1}
		}, `
			note web: web.1 was lost: whether it did its work is not known; to run it again: glint apply --retry`},
		{"nobody knew how it came out when it was at rest", func(s *scene) { s.drop(1); s.fleet().Done, s.fleet().Phase = done(glint.UnknownFinish), glint.Steady }, `
			note web: web.1 was lost: whether it did its work is not known; to run it again: glint apply --retry`},
		{"nobody knows how a service came out that was a task", func(s *scene) {
			s.drop(1)
			s.fleet().Done = done(glint.UnknownFinish)
			s.both(func(w *glint.Service) { w.Task = false })
		}, `
			web: last=2 task=-
			web.2: joins
			web.2: created=noon version=t1
			do: create web.2`},
		{"a success is not overwritten", func(s *scene) { s.dies(1, 1); s.fleet().Done = done(glint.Succeeded) }, `
			stack: rejected={because:"web.1 exited 1, 1 of 1 tries" instance:shop.e.web.1 revision:1 service:web version:t1}
			web: failed=1 phase=steady rejected=[t1] retry=noon since=noon stable=t1
			web.1: because="exited 1" leaving=noon reason=lost
			wake: +60s`},
		{"a failure is overwritten", func(s *scene) { s.dies(1, 0); s.fleet().Done = done(glint.Broke) }, `
			stack: stable=1
			web: done=[{at:noon because:"exited 0" instance:shop.e.web.1 outcome:succeeded version:t1}] phase=steady since=noon stable=t1
			web.1: because="exited 0" leaving=noon reason=finished`},
		{"it is told to go, and ends", func(s *scene) { s.dies(1, 0); s.member(1).Leaving = noon.Add(-time.Second) }, `
			web.1: ending=noon out=noon
			do: destroy web.1
			note web: 1 missing; waits until what only one may hold is free`},
		{"a person asks for another", func(s *scene) { s.order(glint.Order{Kind: glint.OrderReplace, Instance: s.id(1)}) }, `
			stack: ordered=1
			web.1: because="ann asked" leaving=noon reason=requested
			note web: 1 missing; waits until what only one may hold is free
			wake: +50s`},
	})
}

// TestTaskAgain: what has succeeded is never run again; what failed only by a person's word.
func TestTaskAgain(t *testing.T) {
	begin := func() *scene {
		s := chores()
		s.drop(1)
		s.in.Releases[2], s.in.Head.Number = s.in.Releases[1], 2
		s.fleet().Phase = glint.Steady
		return s
	}
	came := func(outcome glint.Finish, retry bool, phase glint.Phase) func(*scene) {
		return func(s *scene) {
			s.fleet().Done = []glint.Result{{Version: t1, Instance: s.id(1), At: noon, Outcome: outcome}}
			s.in.Head.Retry, s.fleet().Phase = retry, phase
			if outcome != glint.Succeeded {
				s.fleet().Rejected = []glint.Digest{t1}
			}
		}
	}
	play(t, begin, []turn{
		{"a success", came(glint.Succeeded, false, glint.Steady), `
			stack: revision=2 target=2`},
		{"a success, with retry", came(glint.Succeeded, true, glint.Steady), `
			stack: revision=2 target=2`},
		{"a failure", came(glint.Broke, false, glint.RollingTo), `
			stack: rejected={because:"it failed before; to try it again: glint apply --retry" instance: revision:2 service:web version:t1} revision=2 target=2
			note web: version t1 is rejected; to try it again: glint apply --retry`},
		{"a failure, with retry", came(glint.Broke, true, glint.RollingTo), `
			stack: revision=2 target=2
			web: done=- last=2 rejected=- since=noon
			web.2: joins
			web.2: created=noon version=t1
			do: create web.2`},
		{"one that was lost", came(glint.UnknownFinish, false, glint.RollingTo), `
			stack: rejected={because:"web.1 was lost, and may have done its work or half of it; to run it again: glint apply --retry" instance:shop.e.web.1 revision:2 service:web version:t1} revision=2 target=2
			note web: web.1 was lost: whether it did its work is not known; to run it again: glint apply --retry`},
		{"one that was lost, with retry", came(glint.UnknownFinish, true, glint.RollingTo), `
			stack: revision=2 target=2
			web: done=- last=2 rejected=- since=noon
			web.2: joins
			web.2: created=noon version=t1
			do: create web.2`},
		{"a success that was rejected once is not held against it", func(s *scene) {
			came(glint.Succeeded, false, glint.Steady)(s)
			s.fleet().Rejected = []glint.Digest{t1}
		}, `
			stack: revision=2 target=2`},
		{"another version", func(s *scene) {
			came(glint.Succeeded, false, glint.Steady)(s)
			task := service("web", other, 1)
			task.Task = true
			s.in.Releases[2] = glint.Release{Services: []glint.Service{task}}
		}, `
			stack: revision=2 target=2
			web: last=2 phase=rolling since=noon target=t2 templates=t2
			web.2: joins
			web.2: created=noon version=t2
			do: create web.2`},
	})
}

// TestResults: as many results are kept as a fleet remembers, the newest last.
func TestResults(t *testing.T) {
	for _, n := range []int{glint.MaxResults - 1, glint.MaxResults} {
		s := chores()
		for i := range n {
			s.fleet().Done = append(s.fleet().Done, glint.Result{Version: glint.Digest(fmt.Sprint("x", i)), Outcome: glint.Succeeded})
		}
		s.dies(1, 0)
		done := next(s).Blueprint.Services[0].Done
		if len(done) != glint.MaxResults || done[glint.MaxResults-1].Version != t1 || done[0].Version != glint.Digest(fmt.Sprint("x", n-glint.MaxResults+1)) {
			t.Errorf("after %d: %v", n, done)
		}
	}
}
