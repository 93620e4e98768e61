// Package plan decides. Next writes the next blueprint and Actions lists the steps that carry one out; both are pure, so
// every decision can be replayed, explained and tested without a platform, a network or a clock.
// It does nothing itself, and knows no platform.
package plan

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

// Version is the planner's own version, kept with every step: the same arguments give the same answer for ever,
// per version. It rises with each change that decides differently.
const Version = 1

// An Intent is what people asked for.
type Intent struct {
	Head     glint.Revision        // the newest revision
	Releases map[int]glint.Release // by revision: at least Head's, and the blueprint's Target and Stable where it has them
	Orders   []glint.Order         // a person's words about single instances
}

// A Decision is the planner's answer.
type Decision struct {
	Blueprint glint.Blueprint // what was given, when there is nothing to change
	Notes     []glint.Note    // why it acts, and for what it waits
	Wake      time.Time       // when time alone may change the answer; zero: never
}

// Next decides what should follow have, given what people want and what was seen.
func Next(in Intent, have glint.Blueprint, seen glint.Observation, now time.Time) Decision {
	p := &planner{in: in, have: have, seen: seen, now: now, here: map[string]map[int]*glint.Instance{}}
	p.index()
	p.next = have
	p.next.Number++
	p.revision()
	release, ok := in.Releases[p.next.Target]
	if !ok && p.next.Target != 0 {
		return Decision{Blueprint: have, Notes: []glint.Note{{Text: fmt.Sprintf("r%d cannot be read; waits", p.next.Target)}}}
	}
	p.release, p.target = release, p.next.Target
	p.next.Services = nil
	for _, name := range p.names() {
		was, _ := have.Fleet(name)
		p.next.Services = append(p.next.Services, p.assess(name, was))
	}
	for i := range p.next.Services {
		p.staff(&p.next.Services[i])
	}
	p.troubles()
	p.settleRevision()
	p.claims()
	p.edges()
	p.hosts()
	p.generation()
	if unchanged(have, p.next) {
		p.next = have
	}
	return Decision{Blueprint: p.next, Notes: p.notes, Wake: p.wake}
}

// unchanged reports whether two blueprints differ in nothing but their number.
func unchanged(a, b glint.Blueprint) bool {
	same := slices.EqualFunc(a.Services, b.Services, func(f, g glint.Fleet) bool {
		members := slices.Equal(f.Members, g.Members) // by far the most, and without pointers: no need for reflection
		f.Members, g.Members = nil, nil
		return members && reflect.DeepEqual(f, g)
	})
	a.Services, b.Services = nil, nil
	b.Number = a.Number
	return same && reflect.DeepEqual(a, b)
}

type planner struct {
	in      Intent
	have    glint.Blueprint
	next    glint.Blueprint
	release glint.Release // of the revision that this turn carries out
	target  int           // that revision
	seen    glint.Observation
	here    map[string]map[int]*glint.Instance // what was seen of this stack and epoch, by service and number
	now     time.Time
	notes   []glint.Note
	wake    time.Time
	busy    bool // some declared fleet is not steady yet
}

// revision takes up the newest revision, once.
func (p *planner) revision() {
	if p.in.Head.Number <= p.have.Revision {
		return
	}
	p.next.Revision, p.next.Target, p.next.Rejected = p.in.Head.Number, p.in.Head.Number, nil
	if p.in.Head.Kind == glint.KindDestroy {
		p.next.Stable = 0 // there is no way back from a person's word to end the stack
	}
}

// troubles passes on what could not be carried out: a wait must say for what.
func (p *planner) troubles() {
	for _, t := range p.seen.Troubles {
		p.notes = append(p.notes, glint.Note{Service: t.ID.Service, ID: t.ID, Text: fmt.Sprintf("%s does not work: %s; is tried again", t.Verb, t.Text)})
	}
}

func (p *planner) trouble(service string, m glint.Member) string {
	for _, t := range p.seen.Troubles {
		if t.ID == p.next.ID(service, m) {
			return t.Text
		}
	}
	return ""
}

// names lists the declared services and those that still have a fleet, sorted.
func (p *planner) names() []string {
	set := map[string]bool{}
	for _, s := range p.release.Services {
		set[s.Name] = true
	}
	for _, f := range p.have.Services {
		set[f.Name] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// service returns what is declared of a service. One that is no longer declared is wanted no more times.
func (p *planner) service(f glint.Fleet) (s glint.Service, declared bool) {
	if s, declared = p.release.Service(f.Name); declared {
		return s, true
	}
	return glint.Service{Name: f.Name, Update: glint.Update{Grace: f.Grace, Surge: 1}}, false
}

// assess takes in what was seen of one service, and may reject its version. The order of the lines is the policy.
func (p *planner) assess(name string, f glint.Fleet) glint.Fleet {
	f.Name = name
	f.Members = slices.Clone(f.Members)
	f.Templates = maps.Clone(f.Templates)
	f.Rejected = slices.Clone(f.Rejected)
	s, declared := p.service(f)
	p.adopt(s, declared, &f) // which version is wanted?
	p.dismiss(&f)            // who is gone, and who may go for good?
	p.judge(s, &f)           // who cannot stay, whatever it costs?
	p.verdict(s, &f)         // is the version any good?
	return f
}

// staff decides who leaves, who joins and who takes traffic. In a turn that rejects a revision nobody leaves and nobody
// joins: what this revision wants no longer counts, and what the stable one wants is for the next turn to say.
func (p *planner) staff(f *glint.Fleet) {
	s, declared := p.service(*f)
	if rejecting := p.target != p.next.Target; rejecting {
		p.route(f)
		p.busy = true
		return
	}
	why := p.unwanted(s, *f) // who has no place, and why?
	if declared || !p.othersBusy(*f) {
		p.relieve(s, f, why) // who of them may leave, within the budget?
	}
	p.recruit(s, f, why) // who is missing?
	p.route(f)           // who takes traffic?
	p.settle(s, declared, f)
}

// adopt makes the declared version the target.
func (p *planner) adopt(s glint.Service, declared bool, f *glint.Fleet) {
	if !declared {
		return
	}
	f.Grace = s.Update.Grace
	v := s.Template.Version()
	again := p.in.Head.Retry && p.next.Revision > p.have.Revision
	if again {
		f.Rejected = nil
	}
	switch {
	case v != f.Target || f.Phase == glint.Empty || f.Phase == glint.Emptying || again && f.Phase != glint.Steady:
		if f.Templates == nil {
			f.Templates = map[glint.Digest]glint.Template{}
		}
		f.Templates[v] = s.Template
		f.Target, f.Failed, f.Retry = v, 0, time.Time{}
		p.enter(f, p.rollout())
	case p.next.Target != p.have.Target && len(f.Members) != s.Instances:
		p.enter(f, p.rollout())
	}
	if slices.Contains(f.Rejected, v) && s.Instances > 0 {
		p.reject(s.Name, *f, glint.Member{}, "it failed before; to try it again: glint apply --retry")
	}
}

// rollout names the phase of a change: forward, or back to what worked.
func (p *planner) rollout() glint.Phase {
	if p.next.Rejected != nil {
		return glint.Returning
	}
	return glint.RollingTo
}

// dismiss forgets members that are gone, and gives those over to destruction that the balancers have forgotten and
// that have finished their requests.
func (p *planner) dismiss(f *glint.Fleet) {
	f.Members = slices.DeleteFunc(f.Members, func(m glint.Member) bool {
		_, here := p.instance(f.Name, m)
		return !m.Stays() && !here && p.seen.Complete // not seen is not gone, unless all answered
	})
	for i := range f.Members {
		m := &f.Members[i]
		if m.Stays() || !m.Ending.IsZero() {
			continue
		}
		inst, here := p.instance(f.Name, *m)
		if !here {
			p.note(f.Name, *m, "cannot be seen; waits until all places answer")
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
			p.note(f.Name, *m, "drains: %s in flight, until %s at the latest", inFlight(inst.InFlight), deadline.UTC().Format(time.TimeOnly))
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
	for i := range f.Members {
		m := &f.Members[i]
		if !m.Stays() {
			continue
		}
		inst, here := p.instance(f.Name, *m)
		late := m.Created.Add(s.Update.StartWithin.D())
		if inst.Created.After(m.Created) { // its platform had others to make before
			late = inst.Created.Add(s.Update.StartWithin.D())
		}
		switch {
		case here && inst.State == glint.Dead:
			p.fail(s, f, m, glint.Lost, exited(inst))
		case here && p.ready(f.Name, *m):
			m.Seen, m.Address = true, cmp.Or(m.Address, inst.Address)
		case here && m.Seen && inst.Health.Known && !inst.Health.Live && brake:
			p.note(f.Name, *m, "%s; so do all others at once: the fault is elsewhere, nothing is replaced", inst.Health.Detail)
		case here && inst.Health.Known && !inst.Health.Live:
			p.fail(s, f, m, glint.Unhealthy, inst.Health.Detail)
		case !here && p.seen.Complete && m.Seen:
			p.fail(s, f, m, glint.Lost, "it vanished from its platform")
		case !m.Seen && (here || p.seen.Complete) && s.Update.StartWithin > 0 && !p.now.Before(late):
			p.fail(s, f, m, glint.Unhealthy, fmt.Sprintf("not ready within %s: %s", s.Update.StartWithin, cmp.Or(inst.Health.Detail, p.trouble(f.Name, *m), "nobody has asked it")))
		case !m.Seen:
			p.wakeAt(late)
		}
	}
}

// brake reports whether all members that once worked fail at the same time: then the fault is not theirs. Whoever is dead,
// or was not seen or not asked, says nothing about the others.
func (p *planner) brake(f glint.Fleet) bool {
	sick := 0
	for _, m := range f.Members {
		inst, here := p.instance(f.Name, m)
		switch {
		case !m.Stays() || !m.Seen || !here || inst.State != glint.Running || !inst.Health.Known:
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

// fail sends off a member that is down, and holds the next one back if this keeps happening.
//
// Where all that fail have worked as part of a fleet, they may have one cause outside of it, such as a database that is away.
// Then a hundred that fail once are one failure, not a hundred: else the pause would outlast the cause by far.
func (p *planner) fail(s glint.Service, f *glint.Fleet, m *glint.Member, why glint.Reason, because string) {
	if m.Version == f.Target && (f.Phase == glint.RollingTo || !m.Seen || p.now.Sub(m.Created) < crashLoop) {
		f.Failed++
		rounds := f.Failed
		if n := s.Instances; n > 1 && (f.Phase == glint.Steady || p.proven(*f)) {
			rounds = (f.Failed + n - 1) / n
		}
		f.Retry = p.now.Add(backoff(rounds))
	}
	p.dispatch(m, why, because)
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
	if f.Failed < max(s.Update.Tries, 1) || f.Phase != glint.RollingTo || slices.Contains(f.Rejected, f.Target) || p.proven(*f) {
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
	p.reject(s.Name, *f, last, fmt.Sprintf("%s %s, %d of %d tries", glint.ID{Service: s.Name, N: last.N}.Short(), last.Because, min(f.Failed, max(s.Update.Tries, 1)), max(s.Update.Tries, 1)))
}

// maxRejected bounds how many failed versions a fleet remembers.
const maxRejected = 16

// proven reports whether the fleet's target is what the stable revision asks for, and was seen to work.
func (p *planner) proven(f glint.Fleet) bool {
	stable, ok := p.in.Releases[p.next.Stable].Service(f.Name)
	return p.next.Stable != 0 && ok && f.Stable == f.Target && stable.Template.Version() == f.Target
}

// reject turns the whole stack back to the revision that was last seen to work, if there is one.
func (p *planner) reject(service string, f glint.Fleet, m glint.Member, because string) {
	if p.next.Rejected != nil {
		return
	}
	r := &glint.Rejection{Revision: p.next.Target, Service: service, Version: f.Target, Because: because}
	if m.N > 0 {
		r.Instance = p.next.ID(service, m)
	}
	p.next.Rejected = r
	if p.next.Stable != 0 {
		p.next.Target = p.next.Stable // taken up in the next turn, by every fleet alike
	}
}

func (p *planner) enter(f *glint.Fleet, phase glint.Phase) {
	if f.Phase != phase {
		f.Phase, f.Since = phase, p.now
	}
}

// dispatch tells a member to go. It is never called back.
func (p *planner) dispatch(m *glint.Member, why glint.Reason, because string) {
	m.Leaving, m.Reason, m.Because = p.now, why, because
}

// index finds what was seen by service and number: a plan asks for each instance many times.
func (p *planner) index() {
	for i := range p.seen.Instances {
		in := &p.seen.Instances[i]
		if in.ID.Stack != p.have.Stack {
			continue
		}
		if in.ID.Epoch != p.have.Epoch { // of which this blueprint knows nothing
			text := fmt.Sprintf("is of another life of this stack (epoch %s), and is left alone; the stack cannot end while it is there", in.ID.Epoch)
			p.notes = append(p.notes, glint.Note{Service: in.ID.Service, ID: in.ID, Text: text})
			continue
		}
		if p.here[in.ID.Service] == nil {
			p.here[in.ID.Service] = map[int]*glint.Instance{}
		}
		p.here[in.ID.Service][in.ID.N] = in
	}
}

// nobody stands for an instance that was not seen.
var nobody = &glint.Instance{InFlight: -1}

func (p *planner) instance(service string, m glint.Member) (*glint.Instance, bool) {
	if in, here := p.here[service][m.N]; here {
		return in, true
	}
	return nobody, false
}

// ready reports whether the member was seen to be able to take traffic.
func (p *planner) ready(service string, m glint.Member) bool {
	inst, here := p.instance(service, m)
	return here && inst.State == glint.Running && inst.Health.Known && inst.Health.Ready
}

func (p *planner) note(service string, m glint.Member, format string, args ...any) {
	n := glint.Note{Service: service, Text: fmt.Sprintf(format, args...)}
	if m.N > 0 {
		n.ID = p.next.ID(service, m)
	}
	p.notes = append(p.notes, n)
}

// wakeAt asks to be called again at t, or sooner. What has passed already changes nothing by itself: to be woken for it
// would be to be woken at once, for ever.
func (p *planner) wakeAt(t time.Time) {
	if t.After(p.now) && (p.wake.IsZero() || t.Before(p.wake)) {
		p.wake = t
	}
}
