package simulate

import (
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// meddled runs worlds in which somebody breaks a promise at some time behind everybody's back, until it is found.
func meddled(t *testing.T, want string, meddle func(w *world)) {
	t.Helper()
	found := map[string]int{}
	for seed := range uint64(60) {
		w := newWorld(seed, false)
		w.meddle = meddle
		for _, f := range w.live().Findings {
			if found[f.Property]++; f.Property == want {
				return
			}
		}
	}
	t.Errorf("nobody notices a broken %s; found %v", want, found)
}

// TestNoticed: each promise that is broken is noticed. Else that nothing is found would mean nothing.
func TestNoticed(t *testing.T) {
	some := func(w *world, do func(id glint.ID)) {
		b, lives := w.head()
		for _, id := range w.sim.IDs() {
			if f, _ := b.Fleet(id.Service); lives && f.Phase == glint.Steady && w.sim.Serves(id) {
				do(id)
				return
			}
		}
	}
	tests := []struct {
		property string
		meddle   func(w *world)
	}{
		{"floor", func(w *world) {
			some(w, func(id glint.ID) { _ = w.sim.Vanish(id) })
		}},
		{"harm", func(w *world) {
			some(w, func(id glint.ID) { _ = w.sim.Destroy(t.Context(), id, 0) })
		}},
		{"rest", func(w *world) {
			if _, lives := w.head(); lives {
				w.sim.Plant(glint.InstanceSpec{ID: glint.ID{Stack: stack, Epoch: "foreign", Service: "web", N: 9}, Version: "foreign"})
			}
		}},
		{"oscillation", func(w *world) {
			if w.promises.resting {
				some(w, func(id glint.ID) { _ = w.sim.Drift(id, "changed") })
			}
		}},
		{"why", func(w *world) {
			for _, l := range w.stories {
				l.reason = "none"
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.property, func(t *testing.T) { meddled(t, tt.property, tt.meddle) })
	}
}

// TestOrphan: what is left when its stack has ended is noticed.
func TestOrphan(t *testing.T) {
	w := newWorld(1, false)
	id := glint.ID{Stack: stack, Epoch: "e1", Service: "web", N: 1}
	if err := w.sim.Create(t.Context(), glint.InstanceSpec{ID: id}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if f, ok := recover().(*Finding); !ok || f.Property != "orphan" {
			t.Errorf("found %+v", f)
		}
	}()
	w.ended()
}

// TestHear: a story that contradicts itself is not believed.
func TestHear(t *testing.T) {
	id := glint.ID{Stack: stack, Epoch: "e1", Service: "web", N: 1}
	event := func(kind glint.EventKind, text string, reason glint.Reason) glint.Event {
		return glint.Event{Kind: kind, ID: id, Text: text, Reason: reason, Stack: stack, At: time.Unix(1, 0)}
	}
	created, ready := event(glint.EventCreate, "created", ""), event(glint.EventReady, "ready", "")
	routed, unrouted := event(glint.EventRoute, "takes traffic", ""), event(glint.EventRoute, "takes no more traffic", "")
	leaves, ends, gone := event(glint.EventLeave, "leaves: lost", glint.Lost), event(glint.EventLeave, "drained", glint.Lost), event(glint.EventGone, "is gone", "")
	tests := []struct {
		name   string
		story  []glint.Event
		wrong  string
		before *life
	}{
		{"a whole life", []glint.Event{created, ready, routed, unrouted, leaves, ends, gone}, "", nil},
		{"twice", []glint.Event{created, created}, "a second time", nil},
		{"never created", []glint.Event{ready}, "before it was created", nil},
		{"after its end", []glint.Event{created, leaves, gone, ready}, "after it was gone", nil},
		{"not told to go", []glint.Event{created, gone}, "without having been told to go", nil},
		{"no reason", []glint.Event{created, event(glint.EventLeave, "leaves", "")}, "without the reason", nil},
		{"another reason", []glint.Event{created, leaves, event(glint.EventLeave, "drained", glint.Expired)}, "without the reason", nil},
		{"leaves and takes traffic", []glint.Event{created, leaves, routed}, "out of its time", nil},
		{"no traffic to lose", []glint.Event{created, unrouted}, "out of its time", nil},
		{"no words", []glint.Event{event(glint.EventCreate, "", "")}, "without saying", nil},
		{"in nobody's place", []glint.Event{func() glint.Event { e := created; e.For = glint.ID{Service: "web", N: 7}; return e }()}, "in the place of nobody", nil},
	}
	for _, tt := range tests {
		got := func() (text string) {
			w := newWorld(1, false)
			defer func() {
				if f, ok := recover().(*Finding); ok {
					text = f.Text
				}
			}()
			for _, e := range tt.story {
				w.hear(e)
			}
			return ""
		}()
		if tt.wrong == "" && got != "" || !strings.Contains(got, tt.wrong) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.wrong)
		}
	}
}
