package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

// A cause is why a member has no place.
type cause struct {
	reason  glint.Reason
	because string
}

// unwanted names the members that stay and have no place in the fleet, by number. All reasons for which an instance
// that could stay up must go are found here and nowhere else, because they share one budget.
func (p *planner) unwanted(s glint.Service, f glint.Fleet) map[int]cause {
	why, left := map[int]cause{}, s.Instances
	for _, m := range p.byWorth(f) {
		inst, here := p.instance(f.Name, m)
		switch order, ordered := p.ordered(f.Name, m); {
		case !m.Stays():
		case m.Version != f.Target && slices.Contains(f.Rejected, m.Version):
			why[m.N] = cause{glint.RejectedFor, "its version failed"}
		case m.Version != f.Target && f.Phase != glint.Emptying && f.Phase != glint.Empty:
			why[m.N] = cause{glint.Superseded, fmt.Sprintf("r%d wants another version", p.target)}
		case here && inst.Version != m.Version:
			why[m.N] = cause{glint.Drifted, "it is not of the version it was made from"}
		case here && len(inst.Deviations) > 0:
			why[m.N] = cause{glint.Drifted, inst.Deviations[0]}
		case here && inst.Tainted != "":
			why[m.N] = cause{glint.Tainted, inst.Tainted}
		case ordered:
			why[m.N] = cause{glint.Requested, order}
		case s.MaxAge > 0 && !p.now.Before(m.Created.Add(s.MaxAge.D())):
			why[m.N] = cause{glint.Expired, fmt.Sprintf("older than %s", s.MaxAge)}
		case left <= 0:
			why[m.N] = cause{glint.Surplus, fmt.Sprintf("%d wanted", s.Instances)}
		default:
			left--
			if s.MaxAge > 0 {
				p.wakeAt(m.Created.Add(s.MaxAge.D()))
			}
		}
	}
	return why
}

// byWorth orders members by how much they are worth keeping: those that take traffic first, then the younger.
func (p *planner) byWorth(f glint.Fleet) []glint.Member {
	ms, worth := slices.Clone(f.Members), make(map[int]int, len(f.Members))
	for _, m := range ms {
		worth[m.N] = p.worth(f.Name, m)
	}
	slices.SortFunc(ms, func(a, b glint.Member) int {
		return cmp.Or(cmp.Compare(worth[b.N], worth[a.N]), cmp.Compare(b.N, a.N))
	})
	return ms
}

func (p *planner) worth(service string, m glint.Member) int {
	switch {
	case m.Routed && p.ready(service, m):
		return 2
	case m.Seen:
		return 1
	}
	return 0
}

func (p *planner) ordered(service string, m glint.Member) (string, bool) {
	id := p.next.ID(service, m)
	for _, o := range p.in.Orders {
		if o.Instance == id {
			return orderText(o), true
		}
	}
	return "", false
}

func orderText(o glint.Order) string {
	if o.Comment != "" {
		return fmt.Sprintf("%s asked: %s", o.By, o.Comment)
	}
	return o.By + " asked"
}

// floor is how many ready members Glint leaves standing by its own doing.
func floor(s glint.Service) int {
	if s.Update.Strategy == glint.Recreate || s.Template.Exclusive() {
		return 0
	}
	return max(s.Instances-s.Update.Unavailable, 0)
}

// relieve lets members leave that could stay up, as far as the floor allows. Those that take no traffic leave first:
// they cost nothing. When all fail at once, they count as if they worked: whatever the fault is, fewer of them is worse.
func (p *planner) relieve(s glint.Service, f *glint.Fleet, why map[int]cause) {
	brake := p.brake(*f)
	serves := func(m glint.Member) bool { return m.Stays() && m.Routed && (brake || p.ready(f.Name, m)) }
	available := 0
	for _, m := range f.Members {
		if serves(m) {
			available++
		}
	}
	order := p.byWorth(*f)
	slices.Reverse(order)
	for _, c := range order {
		m := member(f, c.N)
		w, ok := why[m.N]
		if !ok || p.unsure(f.Name, *m) {
			continue
		}
		if p.unasked(f.Name, *m) {
			p.note(f.Name, *m, "%s (%s); waits until its health is known", w.reason, w.because)
			continue
		}
		if serves(*m) {
			if available <= floor(s) {
				p.note(f.Name, *m, "%s (%s); waits: %d of %d take traffic", w.reason, w.because, available, s.Instances)
				continue
			}
			available--
		}
		p.dispatch(m, w.reason, w.because)
	}
}

func member(f *glint.Fleet, n int) *glint.Member {
	i := slices.IndexFunc(f.Members, func(m glint.Member) bool { return m.N == n })
	return &f.Members[i]
}

// unsure reports whether the member may be there although it was not seen.
func (p *planner) unsure(service string, m glint.Member) bool {
	_, here := p.instance(service, m)
	return !here && !p.seen.Complete
}

// unasked reports whether the member may well serve, though nobody has asked it: a server that has just been restarted
// must not take what it does not know yet for what is not so.
func (p *planner) unasked(service string, m glint.Member) bool {
	inst, here := p.instance(service, m)
	return m.Routed && here && inst.State == glint.Running && !inst.Health.Known
}

// othersBusy reports whether a fleet that is no longer declared must stay because some declared one has not reached its
// target yet. It looks at the blueprint as it was, so that the answer does not depend on the order of the services.
func (p *planner) othersBusy(f glint.Fleet) bool {
	busy := p.declaredBusy()
	if busy && len(f.Members) > 0 {
		p.note(f.Name, glint.Member{}, "is no longer declared; stays until everything declared serves")
	}
	return busy
}

func (p *planner) declaredBusy() bool {
	if p.target != p.have.Target {
		return len(p.release.Services) > 0
	}
	for _, s := range p.release.Services {
		f, _ := p.have.Fleet(s.Name)
		if f.Phase != glint.Steady || f.Target != s.Template.Version() {
			return true
		}
	}
	return false
}

// maxAsked is how many instances of a service a platform is asked for before it has accepted them. Whoever waits longer
// than it may take to start would count as one that does not start.
const maxAsked = 32

// recruit gives out numbers for the members that are missing, as far as surge allows.
func (p *planner) recruit(s glint.Service, f *glint.Fleet, why map[int]cause) {
	staying, wanted, asked := 0, 0, 0
	for _, m := range f.Members {
		if !m.Stays() {
			continue
		}
		staying++
		if _, here := p.instance(f.Name, m); !here && !m.Seen {
			asked++
		}
		if _, leaves := why[m.N]; !leaves {
			wanted++
		}
	}
	missing := s.Instances - wanted
	room := s.Instances + max(s.Update.Surge, 0) - staying
	if s.Update.Strategy == glint.Recreate || s.Template.Exclusive() {
		room = s.Instances - len(f.Members) // what only one may hold must be free first
	}
	switch {
	case missing <= 0:
		return
	case slices.Contains(f.Rejected, f.Target):
		p.note(f.Name, glint.Member{}, "version %s is rejected; to try it again: glint apply --retry", f.Target.Short())
		return
	case !p.seen.Complete:
		p.note(f.Name, glint.Member{}, "%d missing; waits until all places answer", missing)
		return
	case p.now.Before(f.Retry) && f.Retry.Sub(p.now) <= maxBackoff: // more: the clock was set back
		p.note(f.Name, glint.Member{}, "%d missing; after %d failures the next try is at %s", missing, f.Failed, f.Retry.UTC().Format(time.TimeOnly))
		p.wakeAt(f.Retry)
		return
	case room <= 0 && len(f.Members) > staying && staying < s.Instances:
		p.note(f.Name, glint.Member{}, "%d missing; waits until what only one may hold is free", missing)
	}
	joins := min(missing, room)
	if joins > maxAsked-asked {
		joins = max(maxAsked-asked, 0)
		p.note(f.Name, glint.Member{}, "%d missing; waits until the platform has accepted those it was asked for, %d at a time", missing, maxAsked)
	}
	places := vacant(*f, why)
	for range joins {
		f.Last++
		m := glint.Member{N: f.Last, Version: f.Target, Created: p.now}
		if len(places) > 0 {
			m.For, places = places[0], places[1:]
		}
		f.Members = append(f.Members, m)
	}
}

// vacant lists the numbers of members that leave or will have to, and whose place nobody takes yet.
func vacant(f glint.Fleet, why map[int]cause) []int {
	taken := map[int]bool{}
	for _, m := range f.Members {
		taken[m.For] = taken[m.For] || m.Stays() || m.Seen
	}
	var places []int
	for _, m := range f.Members {
		w, unwanted := why[m.N]
		leaves := !m.Stays() && m.Reason != glint.Surplus || unwanted && w.reason != glint.Surplus
		stillborn := !m.Stays() && !m.Seen && m.For > 0 // whose place it was to take is vacant again
		if leaves && !stillborn && !taken[m.N] {
			places = append(places, m.N)
		}
	}
	return places
}

// route gives traffic to the members that are wanted and ready.
func (p *planner) route(f *glint.Fleet) {
	brake := p.brake(*f)
	for i := range f.Members {
		m := &f.Members[i]
		inst, here := p.instance(f.Name, *m)
		switch {
		case !m.Stays():
			m.Routed = false
		case !here && p.seen.Complete, here && inst.State != glint.Running:
			m.Routed = false
		case !here, !inst.Health.Known: // not seen is not gone, and not asked is not unready
		case brake: // all fail at once: keep the last routes
		default:
			m.Routed = p.ready(f.Name, *m) && m.Address != ""
		}
	}
}

// steadyFor is how long a fleet must run well before its failures are forgotten.
const steadyFor = time.Minute

// settle ends a rollout when every place is taken by a ready member of the target version.
func (p *planner) settle(s glint.Service, declared bool, f *glint.Fleet) {
	if !declared {
		p.settleUndeclared(f)
		return
	}
	serving, others := 0, 0
	youngest := time.Time{}
	for _, m := range f.Members {
		switch {
		case !m.Stays():
		case m.Version != f.Target:
			others++
		case m.Routed && p.ready(f.Name, m):
			serving++
			if m.Created.After(youngest) {
				youngest = m.Created
			}
		}
	}
	if serving < s.Instances || others > 0 || !p.seen.Complete && f.Phase != glint.Steady {
		p.busy = true
		p.keepTemplates(f)
		return
	}
	if f.Phase != glint.Steady {
		p.enter(f, glint.Steady)
		if serving > 0 { // a version is stable only once it has been seen to work
			f.Stable = f.Target
		}
	}
	if f.Failed > 0 {
		if well := youngest.Add(steadyFor); !p.now.Before(well) {
			f.Failed, f.Retry = 0, time.Time{}
		} else {
			p.wakeAt(well)
		}
	}
	p.keepTemplates(f)
}

func (p *planner) settleUndeclared(f *glint.Fleet) {
	if len(f.Members) > 0 {
		p.enter(f, glint.Emptying)
		p.keepTemplates(f)
		return
	}
	p.enter(f, glint.Empty)
	f.Templates, f.Target, f.Stable, f.Failed, f.Retry = nil, "", "", 0, time.Time{}
}

// keepTemplates forgets what no member is made from and nobody may want again.
func (p *planner) keepTemplates(f *glint.Fleet) {
	used := map[glint.Digest]bool{f.Stable: true, f.Target: true}
	for _, m := range f.Members {
		used[m.Version] = true
	}
	for v := range f.Templates {
		if !used[v] {
			delete(f.Templates, v)
		}
	}
}
