// Package plan decides. Next writes the next blueprint and Actions lists the steps that carry one out; both are pure, so
// every decision can be replayed, explained and tested without a platform, a network or a clock.
// It does nothing itself, and knows no platform.
package plan

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

// Version is the planner's own version, kept with every step: the same arguments give the same answer for ever,
// per version. It rises with each change that decides differently.
const Version = 2

// An Intent is what people asked for.
type Intent struct {
	Head     glint.Revision        // the newest revision
	Releases map[int]glint.Release // by revision: at least Head's, and the blueprint's Target and Stable where it has them
	Orders   []glint.Order         // a person's words about what runs, by ID
}

// A Decision is the planner's answer.
type Decision struct {
	Blueprint glint.Blueprint // what was given, when there is nothing to change
	Notes     []glint.Note    // why it acts, and for what it waits
	Wake      time.Time       // when time alone may change the answer; zero: never
}

// Next decides what should follow have, given what people want and what was seen.
func Next(in Intent, have glint.Blueprint, seen glint.Observation, now time.Time) Decision {
	p := &planner{in: in, have: have, seen: seen, now: now, here: map[string]map[int]*glint.Instance{}, waiting: map[string]bool{}, failed: map[string]bool{}, braked: map[string]bool{}}
	p.index()
	if behind := have.Seen.Sub(seen.At); behind > 0 && behind <= lag {
		return Decision{Blueprint: have, Wake: now.Add(time.Second), Notes: []glint.Note{{Text: fmt.Sprintf("what was seen is %s older than what was seen before; waits for a newer look", behind)}}}
	}
	p.next = have
	p.next.Number++
	p.revision()
	p.words()
	release, ok := in.Releases[p.next.Target]
	if !ok && p.next.Target != 0 {
		return Decision{Blueprint: have, Notes: []glint.Note{{Text: fmt.Sprintf("r%d cannot be read; waits", p.next.Target)}}}
	}
	p.release, p.target = release, p.next.Target
	p.next.Services = nil
	for _, name := range p.names() {
		was, had := have.Fleet(name)
		if rejected := p.target != p.next.Target; had || !rejected { // what would be new in a revision rejected just now never begins
			p.next.Services = append(p.next.Services, p.assess(name, was))
		}
	}
	for i := range p.next.Services {
		p.staff(&p.next.Services[i])
	}
	p.troubles()
	p.claims()
	if p.target == p.next.Target { // what was rejected just now opens nothing and leads nobody
		p.edges()
		p.hosts()
	}
	p.generation()
	p.settleRevision()
	if unchanged(have, p.next) {
		p.next = have
	} else {
		p.next.Seen = seen.At
	}
	return Decision{Blueprint: p.next, Notes: p.notes, Wake: p.wake}
}

// lag is how far behind a look may be, as one may be that comes from a platform whose copies learn of changes at different
// times. It proves nothing: neither what is not there nor who is not ready. One that says it is older than that comes from a
// clock that was set back.
const lag = 5 * time.Minute

// unchanged reports whether two blueprints differ in nothing but their number.
func unchanged(a, b glint.Blueprint) bool {
	same := slices.EqualFunc(a.Services, b.Services, func(f, g glint.Fleet) bool {
		// Members are by far the most, and without pointers; templates are named by what is in them. Neither needs reflection.
		members := slices.Equal(f.Members, g.Members)
		templates := maps.EqualFunc(f.Templates, g.Templates, func(_, _ glint.Template) bool { return true })
		f.Members, g.Members, f.Templates, g.Templates = nil, nil, nil, nil
		return members && templates && reflect.DeepEqual(f, g)
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
	orders  []glint.Order   // those that were not taken up before this turn
	waiting map[string]bool // services whose new version has to wait
	failed  map[string]bool // services of which a member failed in this turn
	braked  map[string]bool // services whose members all failed at once when this turn began
	notes   []glint.Note
	wake    time.Time
	busy    bool // some declared fleet is not steady yet
}

// assess takes in what was seen of one service, and may reject its version. The order of the lines is the policy.
func (p *planner) assess(name string, f glint.Fleet) glint.Fleet {
	f.Name = name
	f.Members = slices.Clone(f.Members)
	f.Templates = maps.Clone(f.Templates)
	f.Rejected = slices.Clone(f.Rejected)
	f.Done = slices.Clone(f.Done)
	s, declared := p.release.Service(name)
	if declared {
		p.adopt(s, &f) // which version is wanted?
		p.scale(s, &f) // how many are wanted?
	}
	s, _ = p.service(f)
	p.dismiss(&f)  // who is gone, and who may go for good?
	p.judge(s, &f) // who cannot stay, whatever it costs?
	if declared {
		p.verdict(s, &f) // is the version any good?
		p.lost(s, &f)
	}
	p.renew(s, &f)
	return f
}

// staff decides who leaves, who joins and who takes traffic. In a turn that rejects a revision nobody leaves and nobody
// joins: what this revision wants no longer counts, and what the stable one wants is for the next turn to say.
func (p *planner) staff(f *glint.Fleet) {
	s, declared := p.service(*f)
	if rejecting := p.target != p.next.Target; rejecting {
		p.route(s, f)
		f.Baking, f.Promoted = time.Time{}, nil
		return
	}
	why := p.unwanted(s, *f) // who has no place, and why?
	if declared || !p.othersBusy(*f) {
		p.relieve(s, f, why) // who of them may leave, within the budget?
		p.cool(s, declared, f)
	}
	p.recruit(s, f, why) // who is missing?
	p.route(s, f)        // who takes traffic?
	if declared {
		p.bake(s, f) // may the others follow the canary?
	}
	p.settle(s, declared, f)
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

// service returns what is wanted of a service now: its number of instances is the one that was asked for, and a task that
// is done wants none. A service that is no longer declared is wanted no more times.
func (p *planner) service(f glint.Fleet) (s glint.Service, declared bool) {
	s, declared = p.release.Service(f.Name)
	switch {
	case !declared:
		return glint.Service{Name: f.Name, Task: f.Task, Update: glint.Update{Grace: f.Grace, Surge: 1}}, false
	case s.Task && !wantsRun(f):
		s.Instances = 0
	default:
		s.Instances = f.Wants(s)
	}
	return s, true
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

// dispatch tells a member to go. It is never called back.
func (p *planner) dispatch(m *glint.Member, why glint.Reason, because string) {
	m.Leaving, m.Reason, m.Because = p.now, why, because
}

// clockText writes a time of day as notes have it: in UTC, to the second.
func clockText(t time.Time) string { return t.UTC().Format(time.TimeOnly) }
