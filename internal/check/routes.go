package check

import (
	"slices"

	"github.com/glint-infra/glint"
)

// routes: whoever takes or loses traffic does so in a new generation, and nobody leaves the routes unnoticed.
func (j *judge) routes() {
	changed := !slices.Equal(j.before.Hosts, j.after.Hosts) || !slices.Equal(j.before.Edges, j.after.Edges)
	for i := range j.fleets {
		for _, p := range j.fleets[i].members {
			changed = changed || j.fleets[i].moved(p)
			if p.old.Routed && !p.m.Routed && p.m.Gone != j.after.Routes {
				j.bad("%s.%d: leaves the routes in generation %d, which does not say so", j.fleets[i].is.Name, p.m.N, j.after.Routes)
			}
		}
	}
	if changed && j.after.Routes == j.before.Routes {
		j.bad("routes would change within generation %d", j.after.Routes)
	}
}

// roads: what opens is declared, and a host leads nowhere as long as it could lead somewhere.
func (j *judge) roads() {
	b, a := j.before, j.after
	allowed, declared := map[glint.Edge]bool{}, map[glint.Route]bool{}
	was, named := map[string]glint.Target{}, map[string]bool{}
	for _, e := range slices.Concat(b.Edges, j.release.Allows) {
		allowed[e] = true
	}
	for _, h := range slices.Concat(b.Hosts, j.release.Routes) {
		declared[h] = true
	}
	for _, h := range b.Hosts {
		was[h.Host] = h.To
	}
	for _, h := range j.release.Routes {
		named[h.Host] = true
	}
	for _, e := range a.Edges {
		if !allowed[e] && !j.verdict() {
			j.bad("%s could reach %s:%s, which nobody has declared", e.From, e.To.Service, e.To.Port)
		}
	}
	for _, h := range a.Hosts {
		if !declared[h] && !j.verdict() {
			j.bad("%s would lead to %s:%s, which nobody has declared", h.Host, h.To.Service, h.To.Port)
		}
		from, had := was[h.Host]
		if !had || j.served(h.To.Service) {
			continue
		}
		if c := j.find(h.To.Service); c != nil && c.declared && c.wants == 0 {
			continue // nobody is to take it: so it is declared
		}
		if from != h.To && j.served(from.Service) {
			j.bad("%s would lead to %s, where nobody takes traffic, and %s still does", h.Host, h.To.Service, from.Service)
		}
		if c := j.find(from.Service); from == h.To && named[h.Host] && c != nil && !c.declared && c.could() {
			j.bad("%s: would take no more traffic, and %s still leads to it", h.To.Service, h.Host)
		}
	}
}

// served reports whether anybody of the service would take traffic and can, as far as is known.
func (j *judge) served(service string) bool {
	c := j.find(service)
	return c != nil && slices.ContainsFunc(c.members, func(p pair) bool { return p.m.Routed && p.able() })
}

// could reports whether anybody took traffic before and still could.
func (c *change) could() bool {
	return slices.ContainsFunc(c.members, func(p pair) bool { return p.old.Routed && p.able() })
}

// moved reports whether a member takes or loses traffic in this step, or is reached elsewhere. Nothing is led to who has no
// port.
func (c *change) moved(p pair) bool {
	led := func(f *glint.Fleet, m *glint.Member) bool { return m.Routed && len(f.Templates[m.Version].Ports) > 0 }
	before, after := p.had && led(&c.was, p.old), led(&c.is, p.m)
	return before != after || after && p.old.Address != p.m.Address
}

// holders: what only one may hold has one holder.
func (j *judge) holders(c *change) {
	exclusive := map[glint.Digest]bool{}
	for _, f := range []glint.Fleet{c.was, c.is} {
		for v, t := range f.Templates {
			exclusive[v] = t.Exclusive()
		}
	}
	before, after := 0, 0
	for _, m := range c.was.Members {
		if exclusive[m.Version] {
			before++
		}
	}
	for _, m := range c.is.Members {
		if exclusive[m.Version] {
			after++
		}
	}
	if after > 1 && after > before {
		j.bad("%s: %d instances would hold its volume", c.is.Name, after)
	}
}

// claims: a volume is held by a member, and goes to another only when its holder is known to be gone.
func (j *judge) claims() {
	type volume struct{ service, name string }
	now := make(map[volume]glint.ID, len(j.after.Volumes))
	for _, v := range j.after.Volumes {
		now[volume{v.Service, v.Volume}] = v.Holder
		c := j.find(v.Service)
		if c == nil {
			continue
		}
		if m, ok := c.is.Member(v.Holder.N); !ok || !c.is.Templates[m.Version].Exclusive() {
			j.bad("%s: volume %s is claimed by %s, which is not a member", v.Service, v.Volume, v.Holder)
		}
	}
	for _, v := range j.before.Volumes {
		if now[volume{v.Service, v.Volume}] == v.Holder {
			continue
		}
		if _, here := j.seen.Instance(v.Holder); here || !j.seen.Complete {
			j.bad("%s: volume %s would be taken from %s, which may still hold it", v.Service, v.Volume, v.Holder)
		}
	}
}
