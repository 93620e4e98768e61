package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

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
	all := w.sorted()
	ids := make([]glint.ID, len(all))
	for i, in := range all {
		ids[i] = in.ID
	}
	return ids
}

// Look returns one instance as it is, whatever List says of it.
func (w *World) Look(id glint.ID) (in glint.Instance, ready, here bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, here := w.instances[id]
	if !here {
		return glint.Instance{}, false, false
	}
	return i.Instance, w.ready(i), true
}

// Busy reports whether requests are in flight to an instance, and it took the last of them less than grace ago.
func (w *World) Busy(id glint.ID, grace time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	in, ok := w.instances[id]
	return ok && (in.force > 0 || !in.left.IsZero() && w.now.Sub(in.left) < min(grace, w.Drain))
}

// Kill ends an instance's program, as kill -9 would.
func (w *World) Kill(id glint.ID) error {
	return w.change(id, func(in *instance) { w.die(in, glint.Exit{Code: 137, Signal: "SIGKILL"}) })
}

// Vanish takes an instance away without a trace, as the loss of a host would.
func (w *World) Vanish(id glint.ID) error { return w.change(id, w.remove) }

// Sicken makes an instance run without answering; with sick false it recovers.
func (w *World) Sicken(id glint.ID, sick bool) error {
	return w.change(id, func(in *instance) { in.sick = sick || word(in.program, 0) == "sick" }) // by itself that one never recovers
}

// Stumble makes an instance not ready, though it need not be replaced; with down false it is ready again.
func (w *World) Stumble(id glint.ID, down bool) error {
	return w.change(id, func(in *instance) { in.unready = down })
}

// Drift changes an instance in place.
func (w *World) Drift(id glint.ID, how string) error {
	return w.change(id, func(in *instance) { in.Deviations = append(in.Deviations, how) })
}

// Taint records that somebody entered an instance.
func (w *World) Taint(id glint.ID, how string) error {
	return w.change(id, func(in *instance) { in.Tainted = how })
}

// Swap makes an instance one of another version.
func (w *World) Swap(id glint.ID, version glint.Digest) error {
	return w.change(id, func(in *instance) { in.Version = version })
}

// Plant adds an instance that nobody asked for.
func (w *World) Plant(spec glint.InstanceSpec) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, here := w.instances[spec.ID]; !here && !w.ended[spec.ID] {
		w.start(w.accept(spec, "sim"))
	}
}

// Hush makes a place fall silent: what is there goes on, cannot be seen, and cannot be changed.
func (w *World) Hush(place string, silent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent[place] = silent
}

// Fall takes a place's instances away without a trace.
func (w *World) Fall(place string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, in := range w.sorted() {
		if in.Place == place {
			w.remove(in)
		}
	}
	w.hint()
}

// Close lets a place take new instances no more, or again.
func (w *World) Close(place string, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.Places {
		if w.Places[i].Name == place {
			w.Places[i].Closed = closed
		}
	}
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

// alarms are moments at which time alone changes something: a heap of moments, and one of instances that change.
type alarms struct {
	heap []time.Time
	due  []due
}

type due struct {
	at time.Time
	in *instance
}

// at sets an alarm; in is an instance that changes then, if any.
func (a *alarms) at(t time.Time, in *instance) {
	a.heap = push(a.heap, t, time.Time.Before)
	if in != nil {
		a.due = push(a.due, due{t, in}, func(x, y due) bool { return x.at.Before(y.at) })
	}
}

func (a *alarms) next() time.Time {
	if len(a.heap) == 0 {
		return time.Time{}
	}
	return a.heap[0]
}

func (a *alarms) pop() { _, a.heap = pop(a.heap, time.Time.Before) }

func (a *alarms) popDue() *instance {
	var d due
	d, a.due = pop(a.due, func(x, y due) bool { return x.at.Before(y.at) })
	return d.in
}

// push adds to a binary heap.
func push[T any](h []T, v T, less func(a, b T) bool) []T {
	h = append(h, v)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !less(h[i], h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	return h
}

// pop takes the least of a binary heap.
func pop[T any](h []T, less func(a, b T) bool) (T, []T) {
	least, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down+1 < last && less(h[down+1], h[down]) {
			down++
		}
		if down >= last || !less(h[down], h[i]) {
			return least, h
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
}
