package sim

import (
	"context"
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

// A Plane is one member of the balancing plane. Its fields may be changed between calls.
type Plane struct {
	Name  string
	Ack   time.Duration // how long it takes to put routes in force
	Stuck bool          // it puts nothing in force
	Mute  bool          // it does not say what is in force
}

// A publication is what was published for one stack, and what is in force where.
type publication struct {
	newest  int // generation
	pending []published
	force   map[string]glint.Routes // by plane
}

type published struct {
	glint.Routes
	at time.Time
}

func (w *World) planes() []*Plane {
	if len(w.Planes) > 0 {
		return w.Planes
	}
	return []*Plane{{Name: "sim", Ack: w.Ack}}
}

// Publish implements balancer.Balancer.
func (w *World) Publish(_ context.Context, r glint.Routes) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Deaf {
		return errRefused
	}
	p := w.pub[r.Stack]
	if p == nil {
		p = &publication{force: map[string]glint.Routes{}}
		w.pub[r.Stack] = p
	}
	if p.newest < r.Generation {
		p.newest = r.Generation
		p.pending = append(p.pending, published{r, w.now})
		for _, member := range w.planes() {
			w.alarms.at(w.now.Add(member.Ack), nil)
		}
		w.inForceNow()
	}
	return nil
}

// inForceNow puts in force what is due. The caller holds the lock.
func (w *World) inForceNow() {
	planes := w.planes()
	for _, p := range w.pub {
		if len(p.pending) == 0 {
			continue
		}
		behind := p.newest
		for _, member := range planes {
			for i := len(p.pending) - 1; i >= 0 && !member.Stuck; i-- {
				r := p.pending[i]
				if r.Generation <= p.force[member.Name].Generation {
					break
				}
				if w.now.Sub(r.at) >= member.Ack {
					w.enforce(p, member.Name, r.Routes)
					break
				}
			}
			behind = min(behind, p.force[member.Name].Generation)
		}
		for len(p.pending) > 0 && p.pending[0].Generation <= behind {
			p.pending = p.pending[1:]
		}
	}
}

func (w *World) enforce(p *publication, plane string, r glint.Routes) {
	now := servers(r)
	for id := range servers(p.force[plane]) {
		if in, here := w.instances[id]; here && !now[id] {
			if in.force--; in.force == 0 {
				in.left = w.lastSeen()
				w.alarms.at(in.left.Add(w.Drain), nil)
			}
		}
	}
	before := servers(p.force[plane])
	for id := range now {
		if in, here := w.instances[id]; here && !before[id] {
			in.force++
		}
	}
	p.force[plane] = r
}

// lastSeen is the last moment before now: when whoever leaves the routes now was last sent something.
func (w *World) lastSeen() time.Time {
	if quarter := w.now.Add(-250 * time.Millisecond); w.before.Before(quarter) {
		return quarter
	}
	return w.before
}

func servers(r glint.Routes) map[glint.ID]bool {
	all := map[glint.ID]bool{}
	for _, be := range r.Services {
		for _, s := range be.Members {
			all[s.ID] = true
		}
	}
	return all
}

// Status implements balancer.Balancer.
func (w *World) Status(context.Context) (glint.BalancerStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := glint.BalancerStatus{At: w.now, Complete: true, Acks: map[string][]glint.Ack{}, InFlight: map[glint.ID]int{}}
	for _, member := range w.planes() {
		s.Complete = s.Complete && !member.Mute
		for stack, p := range w.pub {
			ack := glint.Ack{Member: member.Name, Generation: p.force[member.Name].Generation, Kind: glint.Proven}
			if member.Mute {
				ack = glint.Ack{Member: member.Name, Kind: glint.Unknown}
			}
			s.Acks[stack] = append(s.Acks[stack], ack)
		}
	}
	for id, in := range w.instances {
		if in.force > 0 || !in.left.IsZero() && w.now.Sub(in.left) < w.Drain {
			s.InFlight[id] = 1
		}
	}
	return s, nil
}

// Serving counts the members of a service's routes in force that can answer, and those that cannot, at the member of the
// plane where the fewest can.
func (w *World) Serving(stack, service string) (up, down int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, member := range w.planes() {
		u, d := w.serving(w.forceAt(stack, member), service)
		if i == 0 || u < up {
			up, down = u, d
		}
	}
	return up, down
}

func (w *World) forceAt(stack string, member *Plane) glint.Routes {
	if p := w.pub[stack]; p != nil {
		return p.force[member.Name]
	}
	return glint.Routes{}
}

func (w *World) serving(r glint.Routes, service string) (up, down int) {
	for _, be := range r.Services {
		if be.Service != service {
			continue
		}
		for _, m := range be.Members {
			if in, ok := w.instances[m.ID]; ok && w.ready(in) {
				up++
			} else {
				down++
			}
		}
	}
	return up, down
}

// Reach counts the instances in a service's routes in force that can answer, and those that cannot, whatever their ports,
// at the member of the plane where the fewest can.
func (w *World) Reach(stack, service string) (up, down int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, member := range w.planes() {
		u, d := 0, 0
		var counted []glint.ID
		for _, be := range w.forceAt(stack, member).Services {
			if be.Service != service {
				continue
			}
			more := len(counted) > 0 // another port of the same instances, mostly
			for _, m := range be.Members {
				in, ok := w.instances[m.ID]
				switch {
				case more && slices.Contains(counted, m.ID):
					continue
				case ok && w.ready(in):
					u++
				default:
					d++
				}
				counted = append(counted, m.ID)
			}
		}
		if i == 0 || u < up {
			up, down = u, d
		}
	}
	return up, down
}

// Serves reports whether every member of the plane sends to an instance, and it can answer.
func (w *World) Serves(id glint.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	in, ok := w.instances[id]
	return ok && in.force == len(w.planes()) && w.ready(in)
}

// Behind returns the oldest generation of a stack's routes that is in force at some member of the plane.
func (w *World) Behind(stack string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	least := w.forceAt(stack, w.planes()[0]).Generation
	for _, member := range w.planes() {
		least = min(least, w.forceAt(stack, member).Generation)
	}
	return least
}

// Led counts the instances behind a host name that can answer, at the member of the plane where they are fewest; -1: one
// does not lead the name there.
func (w *World) Led(stack string, route glint.Route) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	least := 1 << 30
	for _, member := range w.planes() {
		r, up := w.forceAt(stack, member), -1
		for _, h := range r.Hosts {
			if h == route {
				up, _ = w.serving(r, h.To.Service)
			}
		}
		least = min(least, up)
	}
	return least
}

// Down lists the members of a service's routes in force, anywhere, that are there and cannot answer.
func (w *World) Down(stack, service string) []glint.ID {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []glint.ID
	for _, member := range w.planes() {
		for _, be := range w.forceAt(stack, member).Services {
			for _, m := range be.Members {
				if in, ok := w.instances[m.ID]; be.Service == service && ok && !w.ready(in) {
					all = append(all, m.ID)
				}
			}
		}
	}
	return all
}

// InForce returns the routes of a stack that are in force at the first member of the plane.
func (w *World) InForce(stack string) glint.Routes {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.forceAt(stack, w.planes()[0])
}
