package check

import (
	"maps"
	"slices"

	"github.com/glint-infra/glint"
)

// routes: whoever takes or loses traffic does so in a new generation, and nobody leaves the routes unnoticed.
func (j *judge) routes() {
	changed := !maps.Equal(routed(j.before), routed(j.after)) || !slices.Equal(j.before.Hosts, j.after.Hosts) || !slices.Equal(j.before.Edges, j.after.Edges)
	if changed && j.after.Routes == j.before.Routes {
		j.bad("routes would change within generation %d", j.after.Routes)
	}
	for i := range j.fleets {
		for _, p := range j.fleets[i].members {
			if p.old.Routed && !p.m.Routed && p.m.Gone != j.after.Routes {
				j.bad("%s.%d: leaves the routes in generation %d, which does not say so", j.fleets[i].is.Name, p.m.N, j.after.Routes)
			}
		}
	}
}

// A seat is who takes traffic.
type seat struct {
	service string
	n       int
}

func routed(b glint.Blueprint) map[seat]string {
	all := map[seat]string{}
	for _, f := range b.Services {
		for _, m := range f.Members {
			if m.Routed {
				all[seat{f.Name, m.N}] = m.Address
			}
		}
	}
	return all
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
