package plan

import (
	"cmp"
	"fmt"

	"github.com/glint-infra/glint"
)

// Spares are members beside those that do the service's work: standbys, held before their program, and members of the
// version before, kept warm without traffic.

// judgeHeld sends off a standby that could not be made or has died.
func (p *planner) judgeHeld(s glint.Service, f *glint.Fleet, m *glint.Member) {
	inst, here := p.instance(f.Name, *m)
	late := p.due(s, *m, inst)
	switch {
	case here && inst.State == glint.Dead:
		p.fail(s, f, m, glint.Lost, exited(inst))
	case here && inst.State == glint.Running:
		p.fail(s, f, m, glint.Drifted, "it runs although it was held")
	case here && inst.State == glint.Held, !here && !p.seen.Complete:
	case s.Update.StartWithin > 0 && !p.now.Before(late):
		p.fail(s, f, m, glint.Unhealthy, fmt.Sprintf("not made within %s: %s", s.Update.StartWithin, cmp.Or(p.trouble(f.Name, *m), "its platform does not say why")))
	default:
		p.wakeAt(late)
	}
}

// keepsWarm reports whether a member that is superseded is kept running for a while: should its version be wanted again, it
// takes traffic at once.
func (p *planner) keepsWarm(s glint.Service, f glint.Fleet, m glint.Member, w cause) bool {
	return s.Update.Warm > 0 && !oldFirst(s) && w.reason == glint.Superseded && p.onTrial(f) &&
		m.Version == f.Stable && m.Routed && p.ready(f.Name, m)
}

// cool sends off spares that are of no more use. That costs no budget: they take no traffic.
func (p *planner) cool(s glint.Service, declared bool, f *glint.Fleet) {
	standbys, wanted := 0, s.Standby
	if s.Instances == 0 {
		wanted = 0
	}
	for i := range f.Members {
		m := &f.Members[i]
		if !m.Stays() || m.Counts() || p.unsure(f.Name, *m) {
			continue
		}
		w, bad := p.flaw(s, *f, *m, nil)
		switch {
		case bad:
			p.dispatch(m, w.reason, w.because)
		case !declared:
			p.dispatch(m, glint.Surplus, "its service is no longer declared")
		case m.Held && m.Version != f.Target:
			p.dispatch(m, glint.Superseded, "another version is wanted")
		case m.Held && standbys >= wanted:
			p.dispatch(m, glint.Surplus, fmt.Sprintf("%d standbys wanted", wanted))
		case m.Held:
			standbys++
		case oldFirst(s):
			p.dispatch(m, glint.Superseded, "nobody is kept warm where the old must go first")
		case m.Version != f.Stable && p.onTrial(*f):
			p.dispatch(m, glint.Superseded, "a third version was taken up; it was kept warm")
		case p.onTrial(*f): // the time counts from the end of the rollout, see settle
		case !p.now.Before(m.Warm):
			p.dispatch(m, glint.Superseded, "its time as warm spare is over")
		default:
			p.wakeAt(m.Warm)
		}
	}
}

// letGo lets a standby take a place. That takes milliseconds, where a new instance takes as long as it takes to make one.
func (p *planner) letGo(f *glint.Fleet) *glint.Member {
	for i := range f.Members {
		m := &f.Members[i]
		inst, here := p.instance(f.Name, *m)
		if m.Stays() && m.Held && m.Version == f.Target && here && inst.State == glint.Held {
			m.Held, m.Let = false, p.now
			return m
		}
	}
	return nil
}

// hold gives out numbers for the standbys that are missing, when nothing else is.
func (p *planner) hold(s glint.Service, f *glint.Fleet, at *chooser) {
	if f.Phase != glint.Steady || s.Instances == 0 || oldFirst(s) || p.now.Before(f.Retry) || !p.seen.Complete || p.waiting[f.Name] {
		return
	}
	missing := s.Standby
	for _, m := range f.Members {
		if m.Stays() && m.Held {
			missing--
		}
	}
	for range min(missing, maxAsked) {
		place, ok := at.next()
		if !ok {
			return
		}
		f.Last++
		f.Members = append(f.Members, glint.Member{N: f.Last, Version: f.Target, Created: p.now, Place: place, Held: true})
	}
}
