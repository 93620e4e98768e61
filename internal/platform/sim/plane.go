package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

type published struct {
	glint.Routes
	at time.Time
}

// Publish implements balancer.Balancer.
func (w *World) Publish(_ context.Context, r glint.Routes) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Deaf {
		return errRefused
	}
	w.traffic()
	if all := w.published[r.Stack]; len(all) == 0 || all[len(all)-1].Generation < r.Generation {
		w.published[r.Stack] = append(all, published{r, w.now})
	}
	return nil
}

// Status implements balancer.Balancer.
func (w *World) Status(context.Context) (glint.BalancerStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.traffic()
	s := glint.BalancerStatus{At: w.now, Complete: true, Acks: map[string][]glint.Ack{}, InFlight: map[glint.ID]int{}}
	for stack := range w.published {
		s.Acks[stack] = []glint.Ack{{Member: "sim", Generation: w.routes(stack).Generation, Kind: glint.Proven}}
	}
	for id, in := range w.instances {
		if w.inForce(id) || !in.left.IsZero() && w.now.Sub(in.left) < w.Drain {
			s.InFlight[id] = 1
		}
	}
	return s, nil
}

// routes returns what is in force for a stack.
func (w *World) routes(stack string) glint.Routes {
	for _, p := range slices.Backward(w.published[stack]) {
		if w.now.Sub(p.at) >= w.Ack {
			return p.Routes
		}
	}
	return glint.Routes{}
}

func (w *World) inForce(id glint.ID) bool {
	for _, be := range w.routes(id.Stack).Services {
		if slices.ContainsFunc(be.Members, func(s glint.Server) bool { return s.ID == id }) {
			return true
		}
	}
	return false
}

// traffic notes who takes requests now.
func (w *World) traffic() {
	for id, in := range w.instances {
		if w.inForce(id) {
			in.left = w.now
		}
	}
}

// Serving counts the members of a service's routes in force that can answer, and those that cannot.
func (w *World) Serving(stack, service string) (up, down int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, be := range w.routes(stack).Services {
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

// InForce returns the routes of a stack that are in force.
func (w *World) InForce(stack string) glint.Routes {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.routes(stack)
}

// Harm lists what users would have noticed so far: instances destroyed while they took traffic and could answer.
func (w *World) Harm() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.harm)
}

// IDs returns what is there, sorted.
func (w *World) IDs() []glint.ID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ids()
}

// Kill ends an instance's program, as kill -9 would.
func (w *World) Kill(id glint.ID) error {
	return w.change(id, func(in *instance) { w.die(in, glint.Exit{Code: 137, Signal: "SIGKILL"}) })
}

// Vanish takes an instance away without a trace, as the loss of a host would.
func (w *World) Vanish(id glint.ID) error {
	return w.change(id, func(*instance) { delete(w.instances, id); w.ended[id] = true })
}

// Sicken makes an instance run without answering; with sick false it recovers.
func (w *World) Sicken(id glint.ID, sick bool) error {
	return w.change(id, func(in *instance) { in.sick = sick })
}

// Drift changes an instance in place.
func (w *World) Drift(id glint.ID, how string) error {
	return w.change(id, func(in *instance) { in.Deviations = append(in.Deviations, how) })
}

// Taint records that somebody entered an instance.
func (w *World) Taint(id glint.ID, how string) error {
	return w.change(id, func(in *instance) { in.Tainted = how })
}

func (w *World) change(id glint.ID, do func(*instance)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	in, ok := w.instances[id]
	if !ok {
		return fmt.Errorf("%s: %w", id, glint.ErrNotFound)
	}
	do(in)
	w.hint()
	return nil
}
