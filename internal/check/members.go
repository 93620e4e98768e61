package check

import (
	"reflect"

	"github.com/glint-infra/glint"
)

// numbers: none is given out twice, none is skipped back, and members stand in their order.
func (j *judge) numbers(c *change) {
	if c.is.Last < c.was.Last {
		j.bad("%s: number %d would be given out twice", c.is.Name, c.was.Last)
	}
	for i, p := range c.members {
		switch {
		case i > 0 && p.m.N <= c.members[i-1].m.N:
			j.bad("%s: members must be sorted and unique, and %d follows %d", c.is.Name, p.m.N, c.members[i-1].m.N)
		case p.m.N > c.is.Last:
			j.bad("%s: number %d was never given out", c.is.Name, p.m.N)
		case !p.had && p.m.N <= c.was.Last:
			j.bad("%s: number %d would be given out twice", c.is.Name, p.m.N)
		case !p.had && !p.m.Stays():
			j.bad("%s.%d: would be made and told to go at once", c.is.Name, p.m.N)
		}
	}
}

// templates: everybody knows what a version is, and it never becomes something else.
func (j *judge) templates(c *change) {
	for v, t := range c.is.Templates {
		if old, had := c.was.Templates[v]; (!had || !reflect.DeepEqual(old, t)) && t.Version() != v {
			j.bad("%s: version %s would mean something else", c.is.Name, v.Short())
		}
	}
	if _, known := c.is.Templates[c.is.Target]; !known && c.is.Target != "" && c.is.Target != c.was.Target {
		j.bad("%s: nobody knows what version %s is, which is to be taken up", c.is.Name, c.is.Target.Short())
	}
	for _, p := range c.members {
		if _, known := c.is.Templates[p.m.Version]; !known {
			j.bad("%s.%d: nobody knows any more what version %s is", c.is.Name, p.m.N, p.m.Version.Short())
		}
	}
}

// members: an instance is never changed, never called back, and never destroyed while requests may still reach it.
func (j *judge) members(c *change) {
	for _, p := range c.dropped {
		switch {
		case p.old.Stays():
			j.bad("%s.%d: would be forgotten without having been told to go", c.is.Name, p.old.N)
		case p.here:
			j.bad("%s.%d: is still there (%s) and would be forgotten", c.is.Name, p.old.N, p.inst.State)
		case !j.seen.Complete:
			j.bad("%s.%d: was not seen, which is not the same as gone", c.is.Name, p.old.N)
		}
	}
	for _, p := range c.members {
		if p.had {
			j.same(c, p)
		}
		j.traffic(c, p)
		j.ending(c, p)
	}
}

// same: what was said of a member stays true.
func (j *judge) same(c *change, p pair) {
	old, m := p.old, p.m
	if m.Version != old.Version || !m.Created.Equal(old.Created) || old.Address != "" && m.Address != old.Address {
		j.bad("%s.%d: would be changed in place", c.is.Name, m.N)
	}
	if m.Place != old.Place {
		j.bad("%s.%d: would be moved from %q to %q", c.is.Name, m.N, old.Place, m.Place)
	}
	if !old.Stays() && (m.Stays() || !m.Leaving.Equal(old.Leaving)) {
		j.bad("%s.%d: would be called back", c.is.Name, m.N)
	}
	if old.Seen && !m.Seen {
		j.bad("%s.%d: was ready once, and that would be forgotten", c.is.Name, m.N)
	}
	if !old.Out.IsZero() && (m.Out.IsZero() || m.Out.After(old.Out)) { // earlier: the clock was set back, and its grace begins anew
		j.bad("%s.%d: when the balancers had forgotten it would be rewritten", c.is.Name, m.N)
	}
	if !old.Ending.IsZero() && !m.Ending.Equal(old.Ending) {
		j.bad("%s.%d: when it ended would be rewritten", c.is.Name, m.N)
	}
	if old.Routed == m.Routed && m.Gone != old.Gone {
		j.bad("%s.%d: the generation without it would be rewritten from %d to %d", c.is.Name, m.N, old.Gone, m.Gone)
	}
}

// traffic: only what was seen to be ready takes requests, and nobody is told to go unseen.
func (j *judge) traffic(c *change, p pair) {
	if !p.m.Stays() && p.m.Routed {
		j.bad("%s.%d: would leave and still take traffic", c.is.Name, p.m.N)
	}
	if p.leaves() && !p.here && !j.seen.Complete {
		j.bad("%s.%d: would be told to go without having been seen", c.is.Name, p.m.N)
	}
	if p.m.Routed && !p.old.Routed && !p.ready() {
		j.bad("%s.%d: would take traffic and was not seen to be ready", c.is.Name, p.m.N)
	}
	if p.m.Seen && !p.old.Seen && !p.ready() && !c.task() {
		j.bad("%s.%d: would be taken for one that works and was not seen to be ready", c.is.Name, p.m.N)
	}
	if p.m.Routed && p.m.Address == "" {
		j.bad("%s.%d: would take traffic and has no address", c.is.Name, p.m.N)
	}
	if p.m.Address != p.old.Address && p.m.Address != p.inst.Address {
		j.bad("%s.%d: would have the address %s, and was seen at %q", c.is.Name, p.m.N, p.m.Address, p.inst.Address)
	}
	if p.m.Routed && !p.old.Routed && p.inst.Address != "" && p.inst.Address != p.m.Address {
		j.bad("%s.%d: would take traffic at %s, and was seen at %s", c.is.Name, p.m.N, p.m.Address, p.inst.Address)
	}
}

// kept: what is kept of a service for when it is no longer declared is what a person has declared.
func (j *judge) kept(c *change) {
	if c.is.Task != c.was.Task && !(c.declared && c.is.Task == c.service.Task) && !j.verdict() {
		j.bad("%s: whether it is a task would change, and nobody has declared so", c.is.Name)
	}
	if c.is.Grace != c.was.Grace && !(c.declared && c.is.Grace == c.service.Update.Grace) && !j.verdict() {
		j.bad("%s: its grace would be %s, which nobody has declared", c.is.Name, c.is.Grace)
	}
}

// ending: first out of the routes, then proven, then drained, then destroyed.
func (j *judge) ending(c *change, p pair) {
	out := p.old.Out.IsZero() && !p.m.Out.IsZero()
	if out && (p.m.Stays() || j.seen.Acked() < p.m.Gone) { // proven once is proven
		j.bad("%s.%d: would be taken for forgotten by the balancers (generation %d, acknowledged %d)", c.is.Name, p.m.N, p.m.Gone, j.seen.Acked())
	}
	if p.m.Ending.IsZero() || !p.old.Ending.IsZero() {
		return
	}
	switch {
	case p.m.Stays():
		j.bad("%s.%d: would be destroyed without having been told to go", c.is.Name, p.m.N)
	case p.old.Routed:
		j.bad("%s.%d: would be destroyed and still takes traffic", c.is.Name, p.m.N)
	case p.m.Out.IsZero():
		j.bad("%s.%d: would be destroyed before the balancers have forgotten it", c.is.Name, p.m.N)
	case p.here && p.inst.State != glint.Dead && p.inst.InFlight != 0 && p.m.Gone > 0 && p.m.Ending.Before(p.m.Out.Add(c.is.Grace.D())):
		j.bad("%s.%d: would be destroyed with %d in flight before its grace is over", c.is.Name, p.m.N, p.inst.InFlight)
	}
}
