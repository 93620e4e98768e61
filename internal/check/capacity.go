package check

import "github.com/glint-infra/glint"

// capacity: what could serve is never brought below the floor by Glint's own doing, and surge is kept, whatever the reason.
func (j *judge) capacity(c *change) {
	could, would, size, before, back := 0, 0, 0, 0, 0
	for _, p := range c.members {
		if p.had && p.old.Counts() {
			before++
		}
		if p.m.Counts() {
			size++
		}
		if p.returns() {
			back++ // at once, whatever the budget says: its successors leave
		}
		if p.old.Routed && p.able() {
			could++
		}
		if p.m.Routed && p.able() {
			would++
		}
	}
	if floor := floor(c); would < could && would < floor {
		j.bad("%s: %d would take traffic, fewer than %d, and %d could", c.is.Name, would, floor, could)
	}
	if most := c.wants + c.service.Update.Surge; size > most && size-back > before {
		j.bad("%s: %d instances, more than %d", c.is.Name, size, most)
	}
}

// floor is the least that must take traffic if it can.
func floor(c *change) int {
	if !c.declared || c.service.Update.Strategy == glint.Recreate || c.service.Template.Exclusive() || c.task() {
		return 0
	}
	return max(c.wants-c.service.Update.Unavailable, 0)
}

// brake: when all of a fleet that once worked are unhealthy at the same time, the fault is elsewhere. The routes stay, and
// nobody is replaced for it.
func (j *judge) brake(c *change) {
	all := 0
	for _, p := range c.members {
		if !p.had || !p.old.Counts() && !p.m.Counts() { // the second: what was kept warm and is wanted again
			continue
		}
		if !p.old.Seen || !p.running() || !p.inst.Health.Known || p.inst.Health.Live || p.inst.Health.Ready {
			return
		}
		all++
	}
	if all < 2 { // one that is unhealthy alone says nothing of the others
		return
	}
	for _, p := range c.members {
		if p.leaves() && p.m.Reason == glint.Unhealthy && p.old.Counts() {
			j.bad("%s.%d: would be replaced, and all %d are unhealthy at the same time", c.is.Name, p.m.N, all)
		}
		if p.old.Routed && !p.m.Routed && p.m.Counts() {
			j.bad("%s.%d: would lose its traffic, and all %d are unhealthy at the same time", c.is.Name, p.m.N, all)
		}
	}
}

// scale: the number follows what a person or a measure asked for, within what is declared, and never rises while somebody
// is not ready.
func (j *judge) scale(c *change) {
	was, is, s := c.was, c.is, c.service
	if is.Asked != was.Asked && is.Asked != 0 && !j.ordered() {
		j.bad("%s: %d instances would be asked for by nobody", is.Name, is.Asked)
	}
	if is.Wanted == was.Wanted || is.Wanted == 0 || !c.declared || j.verdict() {
		return
	}
	within := func(n int) int { return min(max(n, s.Min), s.Max) }
	switch {
	case s.Max == 0:
		j.bad("%s: %d instances would be wanted, and the number is fixed", is.Name, is.Wanted)
	case is.Wanted < s.Min || is.Wanted > s.Max:
		j.bad("%s: %d instances would be wanted, outside of %d to %d", is.Name, is.Wanted, s.Min, s.Max)
	case is.Wanted != within(is.Asked) && is.Wanted != within(was.Wanted):
		j.bad("%s: %d instances would be wanted, and %d were asked for", is.Name, is.Wanted, is.Asked)
	}
	if c.wants <= was.Wants(s) {
		return
	}
	for _, p := range c.members {
		switch {
		case !p.had || !p.old.Counts() || !p.m.Counts():
		case p.m.Version != was.Target:
			j.bad("%s: %d instances would be wanted in the middle of a rollout (%s.%d)", is.Name, is.Wanted, is.Name, p.m.N)
			return
		case !p.ready():
			j.bad("%s: %d instances would be wanted, and %s.%d is not ready", is.Name, is.Wanted, is.Name, p.m.N)
			return
		}
	}
}
