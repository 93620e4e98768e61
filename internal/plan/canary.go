package plan

import (
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

// needsCanary reports whether a new version must prove itself beside the stable one. What a person returns to has proven
// itself already, unless it is just about to.
func (p *planner) needsCanary(s glint.Service, f glint.Fleet, v glint.Digest) bool {
	return p.canary(s, f) > 0 && v != f.Stable && f.Stable != "" && stable(f) > 0 && !slices.Contains(f.Rejected, f.Stable) && (p.in.Head.Kind != glint.KindRollback || v == f.Target && f.Phase == glint.Canary)
}

// canary is how many members of a new version prove themselves, 0 where none can: all would be the canary then.
func (p *planner) canary(s glint.Service, f glint.Fleet) int {
	if s.Update.Canary >= f.Wants(s) || oldFirst(s) {
		return 0
	}
	return s.Update.Canary
}

// stable counts the members of the stable version that do the service's work.
func stable(f glint.Fleet) int {
	n := 0
	for _, m := range f.Members {
		if m.Counts() && m.Version == f.Stable {
			n++
		}
	}
	return n
}

func counting(f glint.Fleet) int {
	n := 0
	for _, m := range f.Members {
		if m.Counts() {
			n++
		}
	}
	return n
}

// frozen reports whether the fleet stands still in the midst of a rollout: by a person's word, or because a newer version has
// to wait.
func (p *planner) frozen(f glint.Fleet) bool {
	return (p.next.Paused != nil || p.waiting[f.Name]) && p.onTrial(f)
}

// places says how many members of each version the fleet is to have.
func (p *planner) places(s glint.Service, f glint.Fleet) map[glint.Digest]int {
	switch {
	case p.frozen(f): // whoever there is stays; the other places are for what has proven itself
		places, proven := map[glint.Digest]int{}, f.Stable
		for _, m := range f.Members {
			if place, there := f.Member(m.For); m.Counts() && !(there && place.Counts() && place.Version == m.Version) { // else two of a kind stand for one place
				places[m.Version]++
			}
		}
		if _, known := f.Templates[proven]; !known {
			proven = f.Target
		}
		if !s.Task { // which has done its work in the version before
			places[proven] += max(s.Instances-counting(f), 0)
		}
		return places
	case f.Phase == glint.Canary:
		n := p.canary(s, f)
		if n == 0 {
			break
		}
		return map[glint.Digest]int{f.Target: n, f.Stable: s.Instances - n}
	}
	return map[glint.Digest]int{f.Target: s.Instances}
}

// bake lets the others follow the canary once all of it has worked long enough without a break, or a person has promoted it.
// A break counts as a failure: a version that cannot stay ready is not to be tried for ever.
func (p *planner) bake(s glint.Service, f *glint.Fleet) {
	if f.Phase != glint.Canary || p.waiting[f.Name] { // the second: another version is wanted by now
		f.Baking, f.Promoted = time.Time{}, nil
		return
	}
	for _, o := range p.orders {
		if o.Kind == glint.OrderPromote && (o.Service == "" || o.Service == f.Name) {
			f.Promoted = word(o)
		}
	}
	n := p.canary(s, *f)
	if n == 0 && p.next.Paused == nil { // no longer declared, or all would be the canary
		p.roll(f)
		return
	}
	switch working, baking, unsure, broken := p.working(*f); {
	case !f.Baking.IsZero() && broken:
		if !p.failed[f.Name] && !p.braked[f.Name] {
			f.Failed++
		}
		f.Baking = time.Time{}
	case !f.Baking.IsZero() && working+unsure < n: // some left for a reason that does not speak against them, or more are wanted now
		f.Baking = time.Time{}
	case working < n || f.Baking.IsZero() && (baking < n || p.seen.Acked() < p.have.Routes):
		p.note(f.Name, glint.Member{}, "canary: %d of %d work", working, n)
		return
	case f.Baking.IsZero() || f.Baking.After(p.now): // the second: the clock was set back
		f.Baking = p.now
	}
	if !f.Baking.IsZero() {
		p.promote(s, f)
	}
}

func (p *planner) promote(s glint.Service, f *glint.Fleet) {
	until := f.Baking.Add(s.Update.Bake.D())
	switch baked := !p.now.Before(until); {
	case p.next.Paused != nil:
		p.note(f.Name, glint.Member{}, "canary: works since %s; %s", clockText(f.Baking), pausedText(*p.next.Paused))
	case f.Promoted != nil || baked && !s.Update.Manual:
		p.roll(f)
	case !baked:
		p.note(f.Name, glint.Member{}, "canary: must work until %s; to go on now: glint promote", clockText(until))
		p.wakeAt(until)
	default:
		p.note(f.Name, glint.Member{}, "canary: has worked for %s; waits for a person: glint promote, or glint abort", s.Update.Bake)
	}
}

// roll lets the target take all places.
func (p *planner) roll(f *glint.Fleet) {
	f.Baking, f.Promoted = time.Time{}, nil
	p.enter(f, glint.RollingTo)
}

// working counts the members of the canary that take traffic and can; those of them that were given it before this turn, as
// of the others the balancers cannot have heard; and those that may well work and were not seen, or not asked. It says
// whether one of those that baked cannot any more.
func (p *planner) working(f glint.Fleet) (n, baking, unsure int, broken bool) {
	was, _ := p.have.Fleet(f.Name)
	for _, m := range f.Members {
		if m.Version != f.Target {
			continue
		}
		old, had := was.Member(m.N)
		inst, here := p.instance(f.Name, m)
		switch {
		case m.Counts() && m.Routed && p.ready(f.Name, m):
			n++
			if old.Routed {
				baking++
			}
		case !had || !old.Routed: // it did not bake
		case old.Stays() && (m.Reason == glint.Lost || m.Reason == glint.Unhealthy), here && inst.State == glint.Running && inst.Health.Known && !inst.Health.Ready:
			broken = true
		case m.Counts() && m.Routed:
			unsure++
		}
	}
	return n, baking, unsure, broken
}
