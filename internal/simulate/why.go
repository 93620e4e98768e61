package simulate

import (
	"context"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/conductor"
)

// life is what the events have told of one instance so far.
type life struct {
	ready, routed, warm, let, leaving, ending, gone bool
	reason                                          glint.Reason
}

// hear takes in one event: what it tells must follow from what was told before.
func (w *world) hear(e glint.Event) {
	wrong := func(text string) {
		w.fail("why", "blueprint %d tells that %s %q %s", e.Blueprint, e.ID.Short(), e.Text, text)
	}
	if e.Text == "" || e.Kind == "" || e.At.IsZero() || e.Stack != stack {
		wrong("without saying what, when or where")
	}
	w.countEvent(e)
	if e.ID.IsZero() || e.Kind == glint.EventVerdict || e.Kind == glint.EventOrder || e.Kind == glint.EventIncident {
		return
	}
	l := w.stories[e.ID]
	switch {
	case e.Kind == glint.EventCreate && l != nil && strings.HasPrefix(e.Text, "let go") && !l.let:
		l.let = true
		return
	case e.Kind == glint.EventCreate && l != nil:
		wrong("a second time")
	case e.Kind == glint.EventCreate:
		if _, known := w.stories[e.For]; !e.For.IsZero() && (!known || e.For.Service != e.ID.Service) {
			wrong("in the place of nobody")
		}
		w.stories[e.ID] = &life{}
		return
	case l == nil:
		wrong("before it was created")
	case l.gone:
		wrong("after it was gone")
	}
	switch e.Kind {
	case glint.EventReady:
		if l.ready || l.leaving {
			wrong("out of its time")
		}
		l.ready = true
	case glint.EventRoute:
		if warm := e.Text == "is kept warm"; warm || e.Text == "is wanted again" {
			if l.warm == warm || l.leaving {
				wrong("out of its time")
			}
			l.warm = warm
			return
		}
		l.routed = !l.routed
		if l.routed != strings.HasPrefix(e.Text, "takes traffic") || l.routed && l.leaving {
			wrong("out of its time")
		}
	case glint.EventLeave:
		switch {
		case e.Reason == "" || l.leaving && e.Reason != l.reason:
			wrong("without the reason for it")
		case l.ending:
			wrong("a third time")
		case l.leaving:
			l.ending = true
		}
		l.leaving, l.reason = true, e.Reason
	case glint.EventGone:
		if !l.leaving || l.routed {
			wrong("without having been told to go")
		}
		l.gone = true
	}
}

func (w *world) countEvent(e glint.Event) {
	switch e.Kind {
	case glint.EventLeave:
		if !strings.HasPrefix(e.Text, "leaves") {
			return
		}
		w.count("leaves", string(e.Reason))
	case glint.EventVerdict:
		w.count("events", "verdict")
	default:
		w.count("events", string(e.Kind))
	}
}

// explained: the story that is kept tells how everything came to be, without a gap and without contradiction.
func (w *world) explained() {
	ctx := context.Background()
	events, err := w.store.Events(ctx, stack, 0, math.MaxInt32)
	if err != nil {
		w.fail("why", "%v", err)
	}
	for i, e := range events {
		if e.Seq != int64(i+1) || i > 0 && e.Blueprint != 0 && e.Blueprint < events[i-1].Blueprint {
			w.fail("why", "event %d of blueprint %d does not follow the one before: %s", e.Seq, e.Blueprint, e.Text)
		}
	}
	b, lives := w.head()
	if !lives {
		return
	}
	for _, f := range b.Services {
		for _, m := range f.Members {
			id := b.ID(f.Name, m)
			if l := w.stories[id]; l == nil || l.gone || l.leaving == m.Stays() || l.routed != m.Routed || l.reason != m.Reason {
				w.fail("why", "the story of %s does not lead to what it is now: %+v", id.Short(), m)
			}
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(w.stories), glint.ID.Compare) {
		f, _ := b.Fleet(id.Service)
		if _, there := f.Member(id.N); id.Epoch == b.Epoch && !there && !w.stories[id].gone {
			w.fail("why", "nobody tells what became of %s", id.Short())
		}
	}
	w.replay(b)
}

// replay puts the steps together again: they must give the blueprint.
func (w *world) replay(b glint.Blueprint) {
	steps, err := w.store.Steps(context.Background(), stack, 0, math.MaxInt32)
	if err != nil {
		w.fail("why", "%v", err)
	}
	fleets := map[string]glint.Fleet{}
	for _, s := range steps {
		for _, f := range s.Changed {
			fleets[f.Name] = f
		}
	}
	for _, f := range b.Services {
		if !reflect.DeepEqual(fleets[f.Name].Members, f.Members) || fleets[f.Name].Phase != f.Phase {
			w.fail("why", "the steps do not lead to what %s is now", f.Name)
		}
	}
}

func (w *world) tellStep(b *boss, next glint.Blueprint, step glint.Step) {
	w.tell("%s: blueprint %d", b.name, next.Number)
	for _, e := range step.Events {
		who := e.Service
		if !e.ID.IsZero() {
			who = e.ID.Short()
		}
		w.tell("  %s", strings.TrimSpace(who+" "+e.Text))
	}
}

func (w *world) tellNotes(t conductor.Turn) {
	for _, n := range t.Notes {
		who := n.Service
		if !n.ID.IsZero() {
			who = n.ID.Short()
		}
		line := strings.TrimSpace(who + " " + n.Text)
		if !w.told[line] {
			fmt.Fprintf(&w.story, "%s   … %s\n", w.clock(), line)
		}
		w.told[line] = true
	}
}
