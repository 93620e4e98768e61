package check_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// job is a task whose one instance runs.
func job() *scene {
	s := still()
	s.before.Services[0].Name, s.after.Services[0].Name, s.release.Services[0].Name = "job", "job", "job"
	s.both(func(f *glint.Fleet) { f.Members, f.Last, f.Phase, f.Stable = nil, 0, glint.RollingTo, "" })
	s.both(func(f *glint.Fleet) {
		f.Task, f.Target, f.Templates = true, t1, map[glint.Digest]glint.Template{t1: chore}
	})
	s.service().Template = chore
	s.seen.Instances = nil
	s.service().Task, s.service().Instances, s.update().Strategy, s.update().Surge = true, 1, glint.Recreate, 0
	s.add(t1)
	s.idle(1)
	return s
}

// done is a task that has succeeded in this step.
func done() *scene {
	s := job()
	s.dies(1, 0)
	s.leave(1, s.member(1))
	s.member(1).Reason = glint.Finished
	s.ends(glint.Succeeded)
	return s
}

// serve makes a service of it.
func (s *scene) serve() {
	s.service().Task = false
	s.both(func(f *glint.Fleet) { f.Task = false })
}

// ends writes down how the version of member 1 came out.
func (s *scene) ends(o glint.Finish) {
	s.fleet().Done = []glint.Result{{Version: t1, Instance: s.id(1), At: noon, Outcome: o}}
}

// ended has it written down before.
func (s *scene) ended(o glint.Finish) {
	s.ends(o)
	s.old().Done = []glint.Result{s.fleet().Done[0]}
}

func TestTask(t *testing.T) {
	// again is a task whose instance is gone, and which begins with another.
	again := func() *scene {
		s := job()
		s.gone(1)
		s.forget(1)
		s.unsee(1)
		s.join()
		return s
	}
	play(t, again, []test{
		{"after it succeeded", func(s *scene) { s.ended(glint.Succeeded) }, "job.2: would do again what job.1 has done"},
		{"after it failed", func(s *scene) { s.ended(glint.Broke) }, ""},
		{"after it was lost", func(s *scene) { s.ended(glint.UnknownFinish) }, "job.2: would do again what job.1 may have done, and nobody has said to"},
		{"after it was lost, by a person's word", func(s *scene) { s.ended(glint.UnknownFinish); s.after.Revision, s.after.Target = 2, 2 }, ""},
		{"after another version succeeded", func(s *scene) {
			s.ended(glint.Succeeded)
			s.both(func(f *glint.Fleet) { f.Done[0].Version = t2 })
		}, ""},
		{"as a service", func(s *scene) { s.serve(); s.ended(glint.Succeeded) }, ""},
	})
	// beside is a task whose instance has been told to go, and which begins with another.
	beside := func() *scene {
		s := job()
		s.gone(1)
		s.each(1, func(m *glint.Member) { m.Gone = 0 })
		s.inst(1).State = glint.Dead
		s.join()
		return s
	}
	const want = "job.2: would begin beside job.1, which may still be at work"
	runs := func(s *scene) { s.inst(1).State = glint.Running }
	play(t, beside, []test{
		{"that runs", runs, want},
		{"that is unseen", func(s *scene) { s.unsee(1); s.seen.Complete = false }, want},
		{"that vanished", func(s *scene) { s.unsee(1) }, ""},
		{"that was made before", func(s *scene) {
			runs(s)
			s.old().Last = 2
			s.old().Members = append(s.old().Members, *s.member(2))
		}, ""},
		{"that is a service", func(s *scene) { runs(s); s.serve() }, ""},
		{"that was a service with traffic", func(s *scene) { runs(s); s.each(1, func(m *glint.Member) { m.Gone = 1 }) }, ""},
		{"that takes traffic", func(s *scene) {
			runs(s)
			s.update().Surge = 1
			s.each(1, func(m *glint.Member) { *m = glint.Member{N: 1, Version: t1, Address: m.Address, Routed: true} })
		}, ""},
		{"twice", func(s *scene) { s.update().Surge = 1; s.join() }, "job.2: would begin beside job.3, which may still be at work"},
	})
	had := func(t glint.Template) func(*scene) {
		return func(s *scene) {
			runs(s)
			s.both(func(f *glint.Fleet) { f.Templates = map[glint.Digest]glint.Template{t1: chore, t.Version(): t} })
			s.each(1, func(m *glint.Member) { m.Version = t.Version() })
		}
	}
	play(t, beside, []test{
		{"of another version", had(other), want},
		{"that had ports", had(glint.Template{Ports: []glint.Port{{Name: "http"}}}), ""},
		{"that had a health check", had(glint.Template{Health: &glint.Probe{}}), ""},
		{"that held a volume", had(disk), ""},
	})
}

func TestFinished(t *testing.T) {
	exit := func(do func(*glint.Exit)) func(*scene) { return func(s *scene) { do(s.inst(1).Exit) } }
	const unclean = "job.1: would have succeeded, and was not seen to end with status 0"
	lost := func(s *scene) {
		s.member(1).Reason = glint.Lost
		s.fleet().Done = nil
	}
	play(t, done, []test{
		{"with another status", exit(func(e *glint.Exit) { e.Code = 1 }), unclean},
		{"by a signal", exit(func(e *glint.Exit) { e.Signal = "SIGKILL" }), unclean},
		{"out of memory", exit(func(e *glint.Exit) { e.OutOfMemory = true }), unclean},
		{"never begun", exit(func(e *glint.Exit) { e.Failure = "no such program" }), unclean},
		{"nobody knows how", func(s *scene) { s.inst(1).Exit = nil }, unclean},
		{"while it runs", func(s *scene) { s.inst(1).State = glint.Running }, unclean},
		{"unseen", func(s *scene) { s.unsee(1) }, unclean},

		{"without a result", func(s *scene) { s.fleet().Done = nil }, "would leave as finished, and nothing says that it succeeded"},
		{"with a failure", func(s *scene) { s.fleet().Done[0].Outcome = glint.Broke }, "nothing says that it succeeded"},
		{"of nobody", func(s *scene) { s.release.Services = nil }, ""},
		{"of nobody, and never a task", func(s *scene) { s.serve(); s.release.Services, s.fleet().Done = nil, nil }, "it is no task"},
		{"of what was a task", func(s *scene) { s.service().Task = false }, ""},
		{"of nobody, without a result", func(s *scene) { s.release.Services, s.fleet().Done = nil, nil }, "nothing says that it succeeded"},
		{"of a service", func(s *scene) { s.serve(); s.fleet().Done = nil }, "it is no task"},

		{"lost, without a word", lost, "job.1: has succeeded, and would leave without a word of it"},
		{"lost, with a failure", func(s *scene) { lost(s); s.ended(glint.Broke) }, "would leave without a word of it"},
		{"lost, with a word", func(s *scene) { s.member(1).Reason = glint.Lost }, ""},
		{"lost, and it failed", func(s *scene) { lost(s); s.dies(1, 1) }, ""},
		{"lost before", func(s *scene) { lost(s); *s.past(1) = *s.member(1) }, ""},
		{"lost, a service", func(s *scene) { lost(s); s.serve() }, ""},
	})
}

func TestResults(t *testing.T) {
	both := func(r glint.Result) func(*scene) {
		return func(s *scene) { s.both(func(f *glint.Fleet) { f.Done = append(f.Done, r) }) }
	}
	play(t, job, []test{
		{"twice", func(s *scene) { s.ended(glint.Broke); both(s.fleet().Done[0])(s) }, "would have come out in two ways"},
		{"two", func(s *scene) { s.ended(glint.Broke); both(glint.Result{Version: t2, Outcome: glint.Broke})(s) }, ""},
		{"failed", func(s *scene) { s.dies(1, 1); s.ends(glint.Broke) }, ""},
		{"failed, and ended well", func(s *scene) { s.dies(1, 0); s.ends(glint.Broke) }, "would have come out as failed, and ended with status 0"},
		{"failed, for it took too long, and ended well", func(s *scene) {
			s.dies(1, 0)
			s.gone(1)
			s.each(1, func(m *glint.Member) { m.Gone = 0 })
			s.ends(glint.Broke)
		}, ""},
		{"lost", func(s *scene) { s.unsee(1); s.ends(glint.UnknownFinish) }, ""},
		{"lost, and ended well", func(s *scene) { s.dies(1, 0); s.ends(glint.UnknownFinish) }, "would have come out as unknown, and ended with status 0"},
		{"lost, unseen", func(s *scene) { s.unsee(1); s.seen.Complete = false; s.ends(glint.UnknownFinish) }, "would be lost, and not all was seen"},
		{"lost, and not all was seen", func(s *scene) { s.dies(1, -1); s.seen.Complete = false; s.ends(glint.UnknownFinish) }, ""},
		{"failed, unseen", func(s *scene) { s.unsee(1); s.seen.Complete = false; s.ends(glint.Broke) }, ""},
		{"bored", func(s *scene) { s.ends("bored") }, `nobody knows what it means to come out as "bored"`},
		{"bored before", func(s *scene) { s.ended("bored") }, ""},
		{"of a service", func(s *scene) { s.serve(); s.ends("bored") }, "only: job: is no task, and would have come out as bored"},
		{"of nobody", func(s *scene) { s.release.Services = nil; s.dies(1, 1); s.ends(glint.Broke) }, ""},
		{"of a stranger", func(s *scene) { s.ends("bored"); s.fleet().Done[0].Instance.N = 9 }, "only: job: version " + t1.Short() + " would have come out as bored by shop/job.9, who is none of it"},
		{"of a stranger, of no version", func(s *scene) { s.ends(glint.Broke); s.fleet().Done[0].Instance.N, s.fleet().Done[0].Version = 9, "" }, "who is none of it"},
		{"of another version", func(s *scene) { s.ends(glint.Broke); s.fleet().Done[0].Version = t2 }, "who is none of it"},
		{"of one that is gone", func(s *scene) { s.gone(1); s.forget(1); s.unsee(1); s.ends(glint.Broke) }, ""},
		{"of another that is gone", func(s *scene) {
			s.gone(1)
			s.forget(1)
			s.unsee(1)
			s.ends(glint.Broke)
			s.fleet().Done[0].Instance.N = 9
		}, "who is none of it"},
	})
	ended := func(o glint.Finish) func() *scene {
		return func() *scene {
			s := job()
			s.dies(1, 0)
			s.gone(1)
			s.each(1, func(m *glint.Member) { m.Gone = 0 })
			s.ended(o)
			return s
		}
	}
	forget := func(s *scene) { s.fleet().Done = nil }
	retry := func(s *scene) { forget(s); s.after.Revision, s.after.Target = 2, 2 }
	change := func(do func(*glint.Result)) func(*scene) { return func(s *scene) { do(&s.fleet().Done[0]) } }
	serve := func(s *scene) { forget(s); s.serve() }
	play(t, ended(glint.Succeeded), []test{
		{"forgotten", forget, "that version " + t1.Short() + " succeeded would be forgotten"},
		{"forgotten by a revision", retry, "succeeded would be forgotten"},
		{"forgotten with the task", func(s *scene) { forget(s); s.release.Services = nil }, "succeeded would be forgotten"},
		{"forgotten by a service", serve, ""},
		{"forgotten by what was a task", func(s *scene) { forget(s); s.service().Task = false }, "succeeded would be forgotten"},
		{"forgotten by nobody", func(s *scene) { serve(s); s.release.Services = nil }, "succeeded would be forgotten"},
		{"rewritten", change(func(r *glint.Result) { r.Outcome = glint.Broke }), "succeeded would be rewritten"},
		{"dated", change(func(r *glint.Result) { r.At = noon.Add(time.Second) }), "succeeded would be rewritten"},
	})
	play(t, ended(glint.Broke), []test{
		{"forgotten", forget, "that version " + t1.Short() + " came out as failed would be forgotten"},
		{"forgotten by a revision", retry, ""},
		{"forgotten by a service", serve, ""},
		{"rewritten", change(func(r *glint.Result) { r.Outcome = glint.Succeeded }), "failed would be rewritten"},
		{"explained", change(func(r *glint.Result) { r.Because = "exited 1" }), ""},
		{"done by another", func(s *scene) {
			s.add(t1)
			s.idle(2)
			s.dies(2, 0)
			change(func(r *glint.Result) { r.Outcome, r.Instance = glint.Succeeded, s.id(2) })(s)
		}, ""},
	})
	play(t, ended(glint.UnknownFinish), []test{
		{"forgotten", forget, "came out as unknown would be forgotten"},
		{"found", change(func(r *glint.Result) { r.Outcome = glint.Succeeded }), ""},
	})
}
