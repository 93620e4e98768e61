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
	why, left := map[int]cause{}, p.places(s, f)
	moments := lastMoments(s, f, p.have.Stack)
	if p.next.Paused != nil && p.frozen(f) {
		p.note(f.Name, glint.Member{}, "its rollout stands still: %s", pausedText(*p.next.Paused))
	}
	for _, m := range p.byWorth(f) {
		if !m.Counts() {
			continue
		}
		w, bad := p.flaw(s, f, m, moments)
		switch {
		case bad:
			why[m.N] = w
		case left[m.Version] > 0:
			left[m.Version]--
		case s.Instances > 0 && slices.Contains(f.Rejected, f.Target): // nobody comes in its place
		case m.Version != f.Target && f.Phase != glint.Emptying && f.Phase != glint.Empty:
			why[m.N] = cause{glint.Superseded, fmt.Sprintf("r%d wants another version", p.target)}
		default:
			why[m.N] = cause{glint.Surplus, fmt.Sprintf("%d wanted", s.Instances)}
		}
	}
	return why
}

// flaw says what is wrong with a member itself, whatever its place. Moments may be nil where age does not matter.
func (p *planner) flaw(s glint.Service, f glint.Fleet, m glint.Member, moments map[int]time.Time) (cause, bool) {
	inst, here := p.instance(f.Name, m)
	order, ordered := p.ordered(f.Name, m)
	last, ages := moments[m.N]
	if !ages && s.MaxAge > 0 { // a spare: it has no place in the order in which the others grow old
		last, ages = m.Created.Add(s.MaxAge.D()), true
		if m.Held { // whom it replaces one day is to have half of a life left
			last = m.Created.Add(s.MaxAge.D() / 2)
		}
	}
	switch {
	case m.Version != f.Target && slices.Contains(f.Rejected, m.Version):
		return cause{glint.RejectedFor, "its version failed"}, true
	case here && inst.Version != m.Version:
		return cause{glint.Drifted, "it is not of the version it was made from"}, true
	case here && m.Address != "" && inst.Address != "" && inst.Address != m.Address:
		return cause{glint.Drifted, fmt.Sprintf("its address is %s, and was %s", inst.Address, m.Address)}, true
	case here && len(inst.Deviations) > 0:
		return cause{glint.Drifted, inst.Deviations[0]}, true
	case here && inst.Tainted != "":
		return cause{glint.Tainted, inst.Tainted}, true
	case ordered:
		return cause{glint.Requested, order}, true
	case f.Renew != nil && m.N <= f.Renew.Upto:
		return cause{glint.Requested, orderText(glint.Order{By: f.Renew.By, Comment: f.Renew.Comment}, "asked for new ones")}, true
	case ages && !m.Seen && !m.Held: // it is still to show that it works; how long that may take is said elsewhere
	case ages && !p.now.Before(last):
		return cause{glint.Expired, fmt.Sprintf("born at %s; none may be older than %s", clockText(m.Created), s.MaxAge)}, true
	case ages:
		p.wakeAt(last)
	}
	return cause{}, false
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
			return orderText(o, "asked"), true
		}
	}
	return "", false
}

// renew takes up a person's word to replace everybody, and forgets it once that is done.
func (p *planner) renew(s glint.Service, f *glint.Fleet) {
	for _, o := range p.orders {
		if o.Kind == glint.OrderRegenerate && !s.Task && (o.Service == "" || o.Service == f.Name) {
			f.Renew = &glint.Renewal{Word: *word(o), Upto: f.Last}
		}
	}
	if f.Renew != nil && !slices.ContainsFunc(f.Members, func(m glint.Member) bool { return m.N <= f.Renew.Upto }) {
		f.Renew = nil
	}
}

// oldFirst reports whether an instance must be gone before another takes its place.
func oldFirst(s glint.Service) bool {
	return s.Task || s.Update.Strategy == glint.Recreate || s.Template.Exclusive()
}

// floor is how many ready members Glint leaves standing by its own doing.
func floor(s glint.Service) int {
	if oldFirst(s) {
		return 0
	}
	return max(s.Instances-s.Update.Unavailable, 0)
}

// relieve lets members leave that could stay up, as far as the floor allows. Those that take no traffic leave first:
// they cost nothing. When all fail at once, they count as if they worked: whatever the fault is, fewer of them is worse.
func (p *planner) relieve(s glint.Service, f *glint.Fleet, why map[int]cause) {
	brake := p.braked[f.Name]
	serves := func(m glint.Member) bool { return m.Counts() && m.Routed && (brake || p.ready(f.Name, m)) }
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
		if !ok {
			continue
		}
		if p.unsure(f.Name, *m) {
			p.note(f.Name, *m, "%s (%s); cannot be seen, waits until its place answers", w.reason, w.because)
			continue
		}
		if p.unasked(f.Name, *m) {
			p.note(f.Name, *m, "%s (%s); waits until its health is known", w.reason, w.because)
			continue
		}
		if brake && serves(*m) && ownDoing(w.reason) {
			p.note(f.Name, *m, "%s (%s); waits: all fail at once, the fault is elsewhere", w.reason, w.because)
			continue
		}
		if serves(*m) {
			if available <= floor(s) {
				p.note(f.Name, *m, "%s (%s); waits: %d of %d take traffic", w.reason, w.because, available, s.Instances)
				continue
			}
			available--
		}
		if p.keepsWarm(s, *f, *m, w) {
			m.Warm = p.now.Add(s.Update.Warm.D())
		} else {
			p.dispatch(m, w.reason, w.because)
		}
	}
}

// ownDoing reports whether nobody but Glint wants an instance to go for this reason.
func ownDoing(why glint.Reason) bool {
	return why == glint.Expired || why == glint.Drifted || why == glint.Tainted
}

func member(f *glint.Fleet, n int) *glint.Member {
	i, _ := slices.BinarySearchFunc(f.Members, n, func(m glint.Member, n int) int { return cmp.Compare(m.N, n) })
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
	busy := p.declaredBusy() || p.leads(f.Name)
	if busy && len(f.Members) > 0 {
		p.note(f.Name, glint.Member{}, "is no longer declared; stays until everything declared serves and no host name leads to it")
	}
	return busy
}

// leads reports whether a host name that is to lead elsewhere leads to a service still.
func (p *planner) leads(service string) bool {
	return slices.ContainsFunc(p.have.Hosts, func(h glint.Route) bool {
		return h.To.Service == service && slices.ContainsFunc(p.release.Routes, func(r glint.Route) bool { return r.Host == h.Host })
	})
}

func (p *planner) declaredBusy() bool {
	if p.target != p.have.Target {
		return len(p.release.Services) > 0
	}
	return slices.ContainsFunc(p.release.Services, func(s glint.Service) bool { return !p.done(s.Name) })
}

// maxAsked is how many instances of a service a platform is asked for before it has accepted them. Whoever waits longer
// than it may take to start would count as one that does not start.
const maxAsked = 32

// recruit gives places to standbys, and gives out numbers for the members that are missing, as far as surge allows.
func (p *planner) recruit(s glint.Service, f *glint.Fleet, why map[int]cause) {
	missing := p.missing(s, *f, why)
	r := &recruiting{at: p.chooser(*f), vacancies: vacant(*f, why), alike: p.frozen(*f)}
	for _, n := range missing {
		r.missing += max(n, 0)
	}
	if r.missing == 0 {
		p.hold(s, f, r.at)
		return
	}
	staying := counting(*f)
	r.room = s.Instances + max(s.Update.Surge, 0) - staying
	if oldFirst(s) {
		r.room = s.Instances - len(f.Members) // what only one may hold must be free first
	}
	if r.room <= 0 && len(f.Members) > staying && staying < s.Instances {
		p.note(f.Name, glint.Member{}, "%d missing; waits until what only one may hold is free", r.missing)
	}
	for _, m := range f.Members {
		if _, here := p.instance(f.Name, m); m.Stays() && !here && !m.Seen {
			r.asked++
		}
	}
	if f.Stable != f.Target { // what is proven first
		p.enlist(f, f.Stable, missing[f.Stable], r)
	}
	p.enlist(f, f.Target, missing[f.Target], r)
}

// recruiting is what one turn of a fleet's recruiting goes by.
type recruiting struct {
	missing   int   // of all versions
	room      int   // how many may join
	asked     int   // how many the platform was asked for and has not shown yet
	vacancies []int // numbers of those whose place is free
	alike     bool  // who takes a place must be of the version that had it
	at        *chooser
}

// vacancy takes the place of somebody, best of one of the same version; 0: of nobody.
func (r *recruiting) vacancy(f glint.Fleet, version glint.Digest) int {
	i := slices.IndexFunc(r.vacancies, func(n int) bool {
		m, _ := f.Member(n)
		return m.Version == version
	})
	if i < 0 && (r.alike || len(r.vacancies) == 0) {
		return 0
	}
	n := r.vacancies[max(i, 0)]
	r.vacancies = slices.Delete(r.vacancies, max(i, 0), max(i, 0)+1)
	return n
}

// enlist has up to n members of a version join.
func (p *planner) enlist(f *glint.Fleet, version glint.Digest, n int, r *recruiting) {
	if n <= 0 || p.held(f, version, n) {
		return
	}
	for ; n > 0 && r.room > 0; n, r.room = n-1, r.room-1 {
		if version == f.Target {
			if m := p.letGo(f); m != nil {
				m.For = r.vacancy(*f, version)
				continue
			}
		}
		if r.asked++; r.asked > maxAsked {
			p.note(f.Name, glint.Member{}, "%d missing; waits until the platform has accepted those it was asked for, %d at a time", r.missing, maxAsked)
			return
		}
		place, ok := r.at.next()
		if !ok {
			p.note(f.Name, glint.Member{}, "%d missing; no place takes new instances", r.missing)
			return
		}
		f.Last++
		f.Members = append(f.Members, glint.Member{N: f.Last, Version: version, Created: p.now, Place: place, For: r.vacancy(*f, version)})
	}
}

// missing counts what is missing of each version.
func (p *planner) missing(s glint.Service, f glint.Fleet, why map[int]cause) map[glint.Digest]int {
	missing := p.places(s, f)
	if p.waiting[f.Name] && (f.Phase == glint.Awaiting || f.Phase == glint.Emptying) {
		return nil
	}
	for _, m := range f.Members {
		if _, leaves := why[m.N]; m.Counts() && !leaves {
			missing[m.Version]--
		}
	}
	return missing
}

// held reports whether nobody may join now, though some are missing, and says why.
func (p *planner) held(f *glint.Fleet, v glint.Digest, missing int) bool {
	again := f.Retry
	if v != f.Target {
		again = f.Heal
	}
	switch {
	case v == f.Target && slices.Contains(f.Rejected, f.Target):
		p.note(f.Name, glint.Member{}, "version %s is rejected; to try it again: glint apply --retry", f.Target.Short())
	case !p.seen.Complete:
		p.note(f.Name, glint.Member{}, "%d missing; waits until all places answer", missing)
	case p.now.Before(again) && again.Sub(p.now) <= maxBackoff: // more: the clock was set back
		p.note(f.Name, glint.Member{}, "%d missing; after %d failures the next try is at %s", missing, max(f.Failed, 1), clockText(again))
		p.wakeAt(again)
	default:
		return false
	}
	return true
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
func (p *planner) route(s glint.Service, f *glint.Fleet) {
	brake := p.braked[f.Name]
	for i := range f.Members {
		m := &f.Members[i]
		inst, here := p.instance(f.Name, *m)
		switch {
		case !m.Counts() || s.Task: // nobody sends a task requests
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
