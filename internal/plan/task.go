package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/glint-infra/glint"
)

// wantsRun reports whether a task has to run: it is not done, and nothing forbids to try again. Where it is not known
// whether it has done its work, only a person may have it done again.
func wantsRun(f glint.Fleet) bool {
	r, ended := f.Result(f.Target)
	return !ended || r.Outcome == glint.Broke
}

// judgeRun takes in how the instance of a task is doing. Its result is written down before the instance is destroyed.
func (p *planner) judgeRun(s glint.Service, f *glint.Fleet, m *glint.Member) {
	inst, here := p.instance(f.Name, *m)
	late := p.due(s, *m, inst)
	switch {
	case here && inst.State == glint.Dead && succeeded(inst):
		p.finish(f, m, glint.Succeeded, exited(inst))
		p.dispatch(m, glint.Finished, exited(inst))
	case here && inst.State == glint.Dead:
		p.finish(f, m, glint.Broke, exited(inst))
		p.fail(s, f, m, glint.Lost, exited(inst))
	case !here && p.seen.Complete && m.Seen:
		p.finish(f, m, glint.UnknownFinish, "it vanished from its platform")
		p.dispatch(m, glint.Lost, "it vanished from its platform; whether it had done its work is not known")
	case (here || p.seen.Complete) && s.Update.StartWithin > 0 && !p.now.Before(late):
		because := fmt.Sprintf("not done within %s", s.Update.StartWithin)
		if !m.Seen {
			because = fmt.Sprintf("not started within %s: %s", s.Update.StartWithin, cmp.Or(p.trouble(f.Name, *m), "its platform does not say why"))
		}
		p.finish(f, m, glint.Broke, because)
		p.fail(s, f, m, glint.Unhealthy, because)
	case here && inst.State == glint.Running:
		m.Seen, m.Address = true, cmp.Or(m.Address, inst.Address)
		fallthrough
	default:
		p.wakeAt(late)
	}
}

func succeeded(inst *glint.Instance) bool {
	e := inst.Exit
	return e != nil && e.Code == 0 && e.Failure == "" && e.Signal == "" && !e.OutOfMemory
}

// finish writes down how a version of a task came out. A success is never overwritten.
func (p *planner) finish(f *glint.Fleet, m *glint.Member, how glint.Finish, because string) {
	if r, ended := f.Result(m.Version); ended && r.Outcome == glint.Succeeded {
		return
	}
	f.Done = slices.DeleteFunc(f.Done, func(r glint.Result) bool { return r.Version == m.Version })
	f.Done = append(f.Done, glint.Result{Version: m.Version, Instance: p.next.ID(f.Name, *m), At: p.now, Outcome: how, Because: because})
	if len(f.Done) > glint.MaxResults {
		f.Done = f.Done[1:]
	}
}

// lost rejects a task of which nobody knows whether it has done its work.
func (p *planner) lost(s glint.Service, f *glint.Fleet) {
	r, ended := f.Result(f.Target)
	if !s.Task || !ended || r.Outcome != glint.UnknownFinish {
		return
	}
	p.note(f.Name, glint.Member{}, "%s was lost: whether it did its work is not known; to run it again: glint apply --retry", r.Instance.Short())
	if p.onTrial(*f) && p.target == p.next.Target {
		p.reject(f.Name, f.Target, glint.Member{N: r.Instance.N}, fmt.Sprintf("%s was lost, and may have done its work or half of it; to run it again: glint apply --retry", r.Instance.Short()))
	}
}
