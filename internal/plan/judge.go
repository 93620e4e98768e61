package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

// dismiss forgets members that are gone, and gives those over to destruction that the balancers have forgotten and
// that have finished their requests.
func (p *planner) dismiss(f *glint.Fleet) {
	f.Members = slices.DeleteFunc(f.Members, func(m glint.Member) bool {
		_, here := p.instance(f.Name, m)
		forgotten := !p.seen.At.Before(m.Leaving) || !p.now.Before(m.Leaving.Add(lag)) // until it left it may have been asked for
		return !m.Stays() && !here && p.seen.Complete && forgotten                     // not seen is not gone, unless all answered
	})
	for i := range f.Members {
		m := &f.Members[i]
		if m.Stays() || !m.Ending.IsZero() {
			continue
		}
		inst, here := p.instance(f.Name, *m)
		if !here {
			p.note(f.Name, *m, "cannot be seen; waits for a look that proves that it is gone")
			p.wakeAt(m.Leaving.Add(lag))
			continue
		}
		if m.Out.IsZero() && p.seen.Acked() < m.Gone {
			p.note(f.Name, *m, "waits until the balancers have forgotten it (generation %d of %d in force)", p.seen.Acked(), m.Gone)
			continue
		}
		if m.Out.IsZero() || m.Out.After(p.now) { // the second: the clock was set back, and grace is not longer for that
			m.Out = p.now // grace counts from here: until now it was still sent requests
		}
		deadline := m.Out.Add(f.Grace.D())
		switch {
		case inst.State == glint.Dead || inst.InFlight == 0 || !m.Seen && m.Gone == 0 || !p.now.Before(deadline):
			m.Ending = p.now
		default:
			p.note(f.Name, *m, "drains: %s in flight, until %s at the latest", inFlight(inst.InFlight), clockText(deadline))
			p.wakeAt(deadline)
		}
	}
}

func inFlight(n int) string {
	if n < 0 {
		return "an unknown number"
	}
	return fmt.Sprint(n)
}

// judge sends off members that are of no use to anyone. That costs no budget: they are down already.
func (p *planner) judge(s glint.Service, f *glint.Fleet) {
	brake := p.brake(*f)
	p.braked[f.Name] = brake
	for i := range f.Members {
		switch m := &f.Members[i]; {
		case !m.Stays():
		case s.Task:
			p.judgeRun(s, f, m)
		case m.Held:
			p.judgeHeld(s, f, m)
		default:
			p.judgeOne(s, f, m, brake)
		}
	}
}

func (p *planner) judgeOne(s glint.Service, f *glint.Fleet, m *glint.Member, brake bool) {
	inst, here := p.instance(f.Name, *m)
	late := p.due(s, *m, inst)
	switch {
	case here && inst.State == glint.Dead:
		p.fail(s, f, m, glint.Lost, exited(inst))
	case here && p.ready(f.Name, *m):
		m.Seen, m.Address = true, cmp.Or(m.Address, inst.Address)
	case here && m.Seen && inst.Health.Known && !inst.Health.Live && brake:
		p.note(f.Name, *m, "%s; so do all others at once: the fault is elsewhere, nothing is replaced", inst.Health.Detail)
	case here && inst.Health.Known && !inst.Health.Live:
		p.fail(s, f, m, glint.Unhealthy, cmp.Or(inst.Health.Detail, "its probes fail"))
	case !here && p.seen.Complete && m.Seen:
		p.fail(s, f, m, glint.Lost, "it vanished from its platform")
	case !m.Seen && (here || p.seen.Complete) && s.Update.StartWithin > 0 && !p.now.Before(late):
		p.fail(s, f, m, glint.Unhealthy, fmt.Sprintf("not ready within %s: %s", s.Update.StartWithin, cmp.Or(inst.Health.Detail, p.trouble(f.Name, *m), "nobody has asked it")))
	case !m.Seen:
		p.wakeAt(late)
	}
}

// due is when a member that is not ready has failed. Its platform may have had others to make before.
func (p *planner) due(s glint.Service, m glint.Member, inst *glint.Instance) time.Time {
	from := m.Created
	for _, t := range []time.Time{inst.Created, m.Let} {
		if t.After(from) {
			from = t
		}
	}
	return from.Add(s.Update.StartWithin.D())
}

// brake reports whether all members that once worked fail at the same time: then the fault is not theirs. Whoever is dead,
// or was not seen or not asked, says nothing about the others.
func (p *planner) brake(f glint.Fleet) bool {
	sick := 0
	for _, m := range f.Members {
		inst, here := p.instance(f.Name, m)
		switch {
		case !m.Counts() || !m.Seen || !here || inst.State != glint.Running || !inst.Health.Known:
		case inst.Health.Ready:
			return false
		default:
			sick++
		}
	}
	return sick > 1
}

// crashLoop is how young an instance that fails must be to count as one that never worked.
const crashLoop = 10 * time.Second

// healPause is how long the next instance is held back after one of a version that is not the target fails while young.
// Such a version has worked, and there is no count of its failures that could make the pause grow.
const healPause = 5 * time.Second

// fail sends off a member that is down, and holds the next one back if this keeps happening.
//
// Where all that fail have worked as part of a fleet, they may have one cause outside of it, such as a database that is away.
// Then a hundred that fail once are one failure, not a hundred: else the pause would outlast the cause by far.
func (p *planner) fail(s glint.Service, f *glint.Fleet, m *glint.Member, why glint.Reason, because string) {
	young := !m.Seen || p.now.Sub(m.Created) < crashLoop
	switch {
	case !m.Warm.IsZero():
	case m.Version == f.Target && (p.onTrial(*f) || young):
		p.failed[f.Name] = true
		f.Failed++
		rounds := f.Failed
		if n := s.Instances; n > 1 && (f.Phase == glint.Steady || p.proven(*f)) {
			rounds = (f.Failed + n - 1) / n
		}
		f.Retry = p.now.Add(backoff(rounds))
	case m.Version != f.Target && young:
		f.Heal = p.now.Add(healPause)
	}
	p.dispatch(m, why, because)
}

// onTrial reports whether the fleet's target has yet to show that it works.
func (p *planner) onTrial(f glint.Fleet) bool {
	return f.Phase == glint.RollingTo || f.Phase == glint.Canary
}

// maxBackoff is the longest pause between two tries.
const maxBackoff = 5 * time.Minute

// backoff is nothing after the first failure, then 1s, doubled each time.
func backoff(failures int) time.Duration {
	if failures <= 1 {
		return 0
	}
	return min(time.Second<<min(failures-2, 20), maxBackoff)
}

func exited(inst *glint.Instance) string {
	e := inst.Exit
	switch {
	case e == nil:
		return "its program ended"
	case e.Failure != "":
		return e.Failure
	case e.OutOfMemory:
		return "killed by the kernel: out of memory"
	case e.Signal != "":
		return "killed by " + e.Signal
	case e.Code < 0:
		return "its program ended; how is not known"
	case !inst.Started.IsZero() && e.At.After(inst.Started):
		return fmt.Sprintf("exited %d after %s", e.Code, e.At.Sub(inst.Started).Round(time.Millisecond))
	}
	return fmt.Sprintf("exited %d", e.Code)
}

// verdict rejects a version whose instances failed as often as its service allows. What has worked as part of the
// stable revision is never rejected: then the fault is elsewhere, and it is tried again with growing pauses.
func (p *planner) verdict(s glint.Service, f *glint.Fleet) {
	tries := max(s.Update.Tries, 1)
	if f.Failed < tries || !p.onTrial(*f) || slices.Contains(f.Rejected, f.Target) || p.proven(*f) {
		return
	}
	f.Rejected = append(f.Rejected, f.Target)
	if len(f.Rejected) > maxRejected {
		f.Rejected = f.Rejected[1:]
	}
	var last glint.Member
	for _, m := range f.Members {
		if m.Version == f.Target && !m.Stays() && m.N > last.N {
			last = m
		}
	}
	because := fmt.Sprintf("the canary did not work for %s without a break, %d of %d tries", s.Update.Bake, tries, tries)
	if last.N > 0 {
		because = fmt.Sprintf("%s %s, %d of %d tries", glint.ID{Service: s.Name, N: last.N}.Short(), last.Because, min(f.Failed, tries), tries)
	}
	p.reject(s.Name, f.Target, last, because)
}

// maxRejected bounds how many failed versions a fleet remembers.
const maxRejected = 16

// proven reports whether the fleet's target is what the stable revision asks for, and was seen to work: here, or there, since a
// revision is stable only when all of it worked. Where it wanted nobody then and somebody now, it is to be returned to all the same.
func (p *planner) proven(f glint.Fleet) bool {
	stable, ok := p.in.Releases[p.next.Stable].Service(f.Name)
	return p.next.Stable != 0 && ok && (f.Stable == f.Target || f.Wants(stable) > 0) && versionIn(f, stable.Template) == f.Target
}

// reject turns the whole stack back to the revision that was last seen to work, if there is one.
func (p *planner) reject(service string, version glint.Digest, m glint.Member, because string) {
	if p.next.Rejected != nil {
		return
	}
	r := &glint.Rejection{Revision: p.next.Target, Service: service, Version: version, Because: because}
	if m.N > 0 {
		r.Instance = p.next.ID(service, m)
	}
	p.next.Rejected = r
	if p.next.Stable != 0 {
		p.next.Target = p.next.Stable // taken up in the next turn, by every fleet alike
	}
}
