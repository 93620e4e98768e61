package sim

import (
	"context"
	"slices"

	"github.com/glint-infra/glint"
)

// List implements platform.Platform.
func (w *World) List(context.Context) (glint.Listing, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.snapshot()
	if w.Remember > 0 {
		l = w.late(l)
	}
	for _, p := range w.Places {
		if w.silent[p.Name] {
			l.Complete, l.Silent = false, append(l.Silent, p.Name)
		}
	}
	if !l.Complete {
		l.Instances = slices.DeleteFunc(l.Instances, func(in glint.Instance) bool { return w.silent[in.Place] })
	}
	if w.Blind {
		l.Complete, l.Silent, l.Instances = false, append(l.Silent, "sim"), l.Instances[:len(l.Instances)/2]
	}
	return l, nil
}

// snapshot is what is there now.
func (w *World) snapshot() glint.Listing {
	l := glint.Listing{At: w.now, Complete: true, Places: slices.Clone(w.Places)}
	all := w.sorted()
	l.Instances = make([]glint.Instance, 0, len(all))
	for _, in := range all {
		out := in.Instance
		out.Deviations = slices.Clone(in.Deviations)
		if in.Exit != nil {
			exit := *in.Exit
			exit.Tail = slices.Clone(exit.Tail)
			out.Exit = &exit
		}
		if in.State == glint.Running {
			out.Health = w.health(in)
		}
		l.Instances = append(l.Instances, out)
	}
	return l
}

// health is what is known of an instance that runs, or was said to.
func (w *World) health(in *instance) glint.Health {
	switch {
	case w.Unasked:
		return glint.Health{}
	case in == nil || in.State != glint.Running:
		return glint.Health{Known: true, Live: true, Vantage: "sim", Detail: "does not answer"}
	case w.ready(in):
		return glint.Health{Known: true, Ready: true, Live: true, Vantage: "sim", Detail: "answers"}
	}
	return glint.Health{Known: true, Live: !in.sick || word(in.program, 0) == "sick", Vantage: "sim", Detail: "does not answer"}
}

// Health is what is known of an instance now, however late List is.
func (w *World) Health(id glint.ID) glint.Health {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.health(w.instances[id])
}

// late keeps what is there now, and returns what was there a while ago.
func (w *World) late(now glint.Listing) glint.Listing {
	oldest, then := w.now.Add(-w.Remember), w.now.Add(-w.Lag)
	for len(w.past) > 1 && !w.past[1].At.After(oldest) {
		w.past = w.past[1:]
	}
	w.past = append(w.past, now)
	l := glint.Listing{At: then, Complete: true, Places: now.Places} // before anybody asked, nothing was there
	for _, p := range slices.Backward(w.past) {
		if !p.At.After(then) {
			l = p
			break
		}
	}
	l.Instances, l.Places = slices.Clone(l.Instances), slices.Clone(l.Places)
	return l
}

// sorted is everything that is there, by ID. New ones are sorted in when somebody asks: with a hundred thousand, most are
// made in swarms.
func (w *World) sorted() []*instance {
	slices.SortFunc(w.fresh, func(a, b *instance) int { return a.ID.Compare(b.ID) })
	fresh, merged := w.fresh, w.order[:0]
	if len(fresh) > 0 {
		merged = make([]*instance, 0, len(w.order)+len(fresh))
	}
	for _, in := range w.order {
		for len(fresh) > 0 && fresh[0].ID.Compare(in.ID) < 0 {
			merged, fresh = appendLive(merged, fresh[0]), fresh[1:]
		}
		merged = appendLive(merged, in)
	}
	for _, in := range fresh {
		merged = appendLive(merged, in)
	}
	w.order, w.fresh = merged, nil
	return merged
}

func appendLive(all []*instance, in *instance) []*instance {
	if in.gone {
		return all
	}
	return append(all, in)
}

// Watch implements platform.Watcher and balancer.Watcher.
func (w *World) Watch(ctx context.Context, hint func()) error {
	w.mu.Lock()
	key := len(w.hints)
	for w.hints[key] != nil {
		key++
	}
	w.hints[key] = hint
	w.mu.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	delete(w.hints, key)
	w.mu.Unlock()
	return ctx.Err()
}

func (w *World) hint() {
	for _, h := range w.hints {
		h()
	}
}
