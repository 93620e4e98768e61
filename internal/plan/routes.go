package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/glint-infra/glint"
)

// settleRevision makes the target the stable revision once all of it works and its routes are in force.
func (p *planner) settleRevision() {
	n := &p.next
	if p.busy || !p.seen.Complete || n.Target == n.Stable || n.Target != p.have.Target || n.Rejected != nil && n.Rejected.Revision == n.Target {
		return
	}
	if p.seen.Acked() < n.Routes {
		return // the balancers have not proven yet what was decided
	}
	if p.in.Head.Kind == glint.KindDestroy && n.Target == p.in.Head.Number {
		return // an ended stack is no place to go back to
	}
	n.Stable = n.Target
}

// claims writes down which instance holds each volume. A claim moves only when its holder is no longer a member, and
// a member is forgotten only after a complete look without it.
func (p *planner) claims() {
	p.next.Volumes = nil
	for _, f := range p.next.Services {
		for _, m := range f.Members {
			for _, v := range f.Templates[m.Version].Volumes {
				p.next.Volumes = append(p.next.Volumes, glint.Claim{Service: f.Name, Volume: v.Name, Holder: p.next.ID(f.Name, m)})
			}
		}
	}
	slices.SortFunc(p.next.Volumes, func(a, b glint.Claim) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Volume, b.Volume), a.Holder.Compare(b.Holder))
	})
}

// edges opens what is declared at once, and closes what is no longer declared when everything declared serves: until
// then instances of the version before still need it.
func (p *planner) edges() {
	edges := slices.Clone(p.release.Allows)
	if p.busy || p.next.Target != p.have.Target || leaving(p.next) {
		edges = append(edges, p.have.Edges...)
	}
	slices.SortFunc(edges, func(a, b glint.Edge) int {
		return cmp.Or(strings.Compare(a.From, b.From), strings.Compare(a.To.Service, b.To.Service), strings.Compare(a.To.Port, b.To.Port))
	})
	p.next.Edges = nilIfEmpty(slices.Compact(edges))
}

func leaving(b glint.Blueprint) bool {
	for _, f := range b.Services {
		if slices.ContainsFunc(f.Members, func(m glint.Member) bool { return !m.Stays() || !m.Warm.IsZero() }) {
			return true
		}
	}
	return false
}

// hosts points each host name at the service it is declared for, but not before that service can take the traffic. Where
// neither the one before nor the one declared has all that it needs, because they are one and its members change from port
// to port, it leads to where more of them stand.
func (p *planner) hosts() {
	var hosts []glint.Route
	for _, r := range p.release.Routes {
		i := slices.IndexFunc(p.have.Hosts, func(h glint.Route) bool { return h.Host == r.Host })
		if i >= 0 && p.have.Hosts[i].To != r.To && !p.takes(r.To) && p.standing(p.have.Hosts[i].To) > p.standing(r.To) {
			r = p.have.Hosts[i]
		}
		hosts = append(hosts, r)
	}
	for _, h := range p.have.Hosts {
		declared := slices.ContainsFunc(hosts, func(r glint.Route) bool { return r.Host == h.Host })
		if !declared && p.busy {
			hosts = append(hosts, h)
		}
	}
	slices.SortFunc(hosts, func(a, b glint.Route) int { return strings.Compare(a.Host, b.Host) })
	p.next.Hosts = nilIfEmpty(hosts)
}

// takes reports whether the target's service has as many members in the routes as its floor asks for.
func (p *planner) takes(t glint.Target) bool {
	n := p.standing(t)
	f, _ := p.next.Fleet(t.Service)
	f.Name = t.Service
	s, declared := p.service(f)
	if declared && s.Instances == 0 {
		return true // as declared
	}
	return n > 0 && (!declared || n >= floor(s))
}

// standing counts the members that take what is led to t, and can, as far as is known.
func (p *planner) standing(t glint.Target) int {
	f, _ := p.next.Fleet(t.Service)
	all, n := ports(f), 0
	at := slices.IndexFunc(all, func(port glint.Port) bool { return port.Name == t.Port })
	if at < 0 {
		return 0
	}
	for _, m := range f.Members {
		if _, ok := behind(f.Templates[m.Version], all[at]); ok && m.Routed && (p.ready(f.Name, m) || p.unasked(f.Name, m)) {
			n++
		}
	}
	return n
}

// generation numbers the routes anew when they have changed, and marks the members that are no longer in them.
func (p *planner) generation() {
	if !sameBackends(p.have, p.next) || !slices.Equal(p.have.Hosts, p.next.Hosts) || !slices.Equal(p.have.Edges, p.next.Edges) {
		p.next.Routes = p.have.Routes + 1
	}
	for i := range p.next.Services {
		f := &p.next.Services[i]
		was, _ := p.have.Fleet(f.Name)
		for k := range f.Members {
			m := &f.Members[k]
			old, _ := was.Member(m.N)
			switch {
			case m.Routed:
				m.Gone = 0
			case old.Routed:
				m.Gone = p.next.Routes
			}
		}
	}
}

// sameBackends reports whether backends would list the same for both, without listing ten thousand servers.
func sameBackends(a, b glint.Blueprint) bool {
	open := func(f glint.Fleet) bool { return carried(f) && len(ports(f)) > 0 }
	next := 0
	for _, f := range a.Services {
		if !open(f) {
			continue
		}
		for next < len(b.Services) && !open(b.Services[next]) {
			next++
		}
		if next == len(b.Services) || !sameFleetRoutes(f, b.Services[next]) {
			return false
		}
		next++
	}
	return !slices.ContainsFunc(b.Services[next:], open)
}

func sameFleetRoutes(f, g glint.Fleet) bool {
	if f.Name != g.Name || !slices.Equal(ports(f), ports(g)) {
		return false
	}
	rest := g.Members
	for _, m := range f.Members {
		if !m.Routed {
			continue
		}
		i := slices.IndexFunc(rest, func(o glint.Member) bool { return o.Routed })
		if i < 0 || rest[i].N != m.N || rest[i].Address != m.Address {
			return false
		}
		rest = rest[i+1:]
	}
	return !slices.ContainsFunc(rest, func(o glint.Member) bool { return o.Routed })
}

// carried reports whether the balancers know the fleet. One that is no longer declared is forgotten with its last routed
// member: else a port that could not be had would keep what is drained from ever being destroyed.
func carried(f glint.Fleet) bool {
	switch f.Phase {
	case glint.Empty:
		return false
	case glint.Emptying:
		return slices.ContainsFunc(f.Members, func(m glint.Member) bool { return m.Routed })
	}
	return true
}

// backends lists what each port of each service is served by.
func backends(b glint.Blueprint) []glint.Backend {
	var all []glint.Backend
	for _, f := range b.Services {
		if !carried(f) {
			continue
		}
		for _, port := range ports(f) {
			be := glint.Backend{Service: f.Name, Port: port}
			for _, m := range f.Members {
				if own, ok := behind(f.Templates[m.Version], port); ok && m.Routed {
					be.Members = append(be.Members, glint.Server{ID: b.ID(f.Name, m), Address: m.Address, Port: own.Number})
				}
			}
			slices.SortFunc(be.Members, func(a, b glint.Server) int { return a.ID.Compare(b.ID) })
			all = append(all, be)
		}
	}
	return all
}

// ports lists the ports of a fleet by name. Where versions differ about a port, the target's word counts. A port that the
// target calls by another name is the target's: two cannot have one number at a stable address.
func ports(f glint.Fleet) []glint.Port {
	all := slices.Clone(f.Templates[f.Target].Ports)
	for _, version := range slices.Sorted(maps.Keys(f.Templates)) {
		if !slices.ContainsFunc(f.Members, func(m glint.Member) bool { return m.Version == version }) {
			continue
		}
		for _, port := range f.Templates[version].Ports {
			if !slices.ContainsFunc(all, func(p glint.Port) bool { return p.Name == port.Name || p.Number == port.Number }) {
				all = append(all, port)
			}
		}
	}
	slices.SortFunc(all, func(a, b glint.Port) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// behind returns the port by which an instance of this template stands behind a port of its service: the one of that name,
// else the one of that number.
func behind(t glint.Template, port glint.Port) (glint.Port, bool) {
	if own, ok := t.Port(port.Name); ok {
		return own, true
	}
	i := slices.IndexFunc(t.Ports, func(p glint.Port) bool { return p.Number == port.Number })
	if i < 0 {
		return glint.Port{}, false
	}
	return t.Ports[i], true
}

// nilIfEmpty keeps empty and absent the same thing, as they are once a blueprint has been stored and read back.
func nilIfEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}
