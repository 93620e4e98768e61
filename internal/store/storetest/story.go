package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store"
)

func testPages(t *testing.T, s store.Store) {
	ctx := t.Context()
	b := begin(t, s, "shop", 0, "e1")
	var steps []glint.Step
	var events []glint.Event
	keep := func(evs []glint.Event) {
		for i := range evs {
			evs[i].Stack, evs[i].Seq = "shop", int64(len(events)+1)
			events = append(events, evs[i])
		}
	}
	for n := 1; n <= 12; n++ {
		b.Number, b.Services = n, []glint.Fleet{fleet("web", n%3)}
		step := stepFor(b, fmt.Sprint("first of ", n), fmt.Sprint("second of ", n))
		step.Notes = []glint.Note{{Service: "web", Text: "waits"}}
		must(t, s.Advance(ctx, b, step))
		step.Stack, step.Number = "shop", n
		keep(step.Events)
		steps = append(steps, step)
		if n%4 == 0 {
			evs := []glint.Event{{At: noon, Kind: glint.EventIncident, Text: "a rule was missing", Tail: []string{"x"}}, {At: noon, Kind: glint.EventIncident, Text: "again"}}
			must(t, s.Record(ctx, "shop", evs...))
			keep(evs)
		}
	}
	must(t, s.Record(ctx, "shop"))
	for _, limit := range []int{-1, 0, 1, 5, 100} {
		for after := -1; after <= len(events)+1; after++ {
			got, err := s.Steps(ctx, "shop", after, limit)
			must(t, err)
			same(t, fmt.Sprintf("steps after %d up to %d", after, limit), got, page(steps, after, limit))
			evs, err := s.Events(ctx, "shop", int64(after), limit)
			must(t, err)
			want := page(events, after, limit)
			if after < 0 {
				want = events[len(events)-min(len(events), max(limit, 0)):]
			}
			same(t, fmt.Sprintf("events after %d up to %d", after, limit), evs, want)
		}
	}
	if evs, err := s.Events(ctx, "shops", -1, 10); err != nil || len(evs) > 0 {
		t.Errorf("a stack of a longer name tells %v, %v", evs, err)
	}
}

// page cuts a page out of what is numbered from 1 on.
func page[T any](all []T, after, limit int) []T {
	after = min(max(after, 0), len(all))
	return all[after:min(len(all), after+max(limit, 0))]
}

func testOrders(t *testing.T, s store.Store) {
	ctx := t.Context()
	begin(t, s, "shop", 0, "e1")
	var want []glint.Order
	for i := range 12 {
		o := glint.Order{Stack: "shop", Kind: glint.OrderReplace, Instance: glint.ID{Stack: "shop", Epoch: "e1", Service: "web", N: i + 1}, At: noon, By: "ann", Comment: "odd"}
		got, err := s.AddOrder(ctx, o)
		must(t, err)
		o.ID = i + 1
		same(t, "order", got, o)
		want = append(want, o)
	}
	must(t, s.CloseOrder(ctx, "shop", 3))
	must(t, s.CloseOrder(ctx, "shop", 3))
	must(t, s.CloseOrder(ctx, "shop", 99))
	want = append(want[:2], want[3:]...)
	got, err := s.Orders(ctx, "shop")
	must(t, err)
	same(t, "orders", got, want)
	if got, err := s.Orders(ctx, "shops"); err != nil || len(got) > 0 {
		t.Errorf("a stack of a longer name has orders %v, %v", got, err)
	}
}

func testCopies(t *testing.T, s store.Store) {
	ctx := t.Context()
	rel := release("shop", 1)
	d := rel.Digest()
	_, err := s.AddRevision(ctx, glint.Revision{Stack: "shop"}, rel, 0, "e1")
	must(t, err)
	b := glint.Blueprint{Stack: "shop", Epoch: "e1", Number: 1, Services: []glint.Fleet{fleet("web", 1)}}
	step := stepFor(b, "moved on")
	step.Changed = []glint.Fleet{fleet("web", 1)}
	must(t, s.Advance(ctx, b, step))
	if step.Events[0].Seq != 0 || step.Stack != "" {
		t.Error("Advance wrote into the caller's step")
	}
	spoil := func(r glint.Release, b glint.Blueprint, st glint.Step) {
		r.Services[0].Template.Env["SEED"], r.Services[0].Template.Health.HTTP.Path = "spoilt", "spoilt"
		for _, f := range append(b.Services, st.Changed...) {
			f.Members[0].Address = "spoilt"
			for v, tmpl := range f.Templates {
				tmpl.Command[0], tmpl.Env["SEED"] = "spoilt", "spoilt"
				delete(f.Templates, v)
			}
		}
		st.Events[0].Text = "spoilt"
	}
	spoil(rel, b, step)
	for range 2 { // the second time reads what the first has spoilt
		got, err := s.Release(ctx, d)
		must(t, err)
		same(t, "release", got, release("shop", 1))
		b := head(t, s, "shop")
		same(t, "fleets", b.Services, []glint.Fleet{fleet("web", 1)})
		steps, err := s.Steps(ctx, "shop", 0, 1)
		must(t, err)
		same(t, "the step's fleets", steps[0].Changed, []glint.Fleet{fleet("web", 1)})
		evs, err := s.Events(ctx, "shop", 0, 1)
		must(t, err)
		if steps[0].Events[0].Text != "moved on" || evs[0].Text != "moved on" {
			t.Error("an event was changed from outside")
		}
		spoil(got, b, steps[0])
		evs[0].Text = "spoilt"
	}
}

func testWatch(t *testing.T, s store.Store) {
	begin(t, s, "shop", 0, "e1")
	ctx, stop := context.WithCancel(t.Context())
	told, ended := make(chan string, 1000), make(chan error, 1)
	go func() { ended <- s.Watch(ctx, func(stack string) { told <- stack }) }()
	wait := func(stack, why string) {
		t.Helper()
		patience := time.After(30 * time.Second)
		for {
			select {
			case got := <-told:
				if got == stack {
					return
				}
			case err := <-ended:
				t.Fatalf("the watch ended: %v", err)
			case <-patience:
				t.Fatalf("nobody said that %s changed: %s", stack, why)
			}
		}
	}
	wait("shop", "it was there at first")
	b := begin(t, s, "mail", 0, "e1")
	wait("mail", "it is new")
	b.Revision = 1
	advance(t, s, b, fleet("web", 0))
	wait("mail", "it advanced")
	must(t, s.Record(t.Context(), "shop", glint.Event{Text: "incident"}))
	wait("shop", "an event was recorded")
	o, err := s.AddOrder(t.Context(), glint.Order{Stack: "mail", Kind: glint.OrderReplace, Instance: glint.ID{Stack: "mail", Epoch: "e1", Service: "web", N: 1}})
	must(t, err)
	wait("mail", "an order was given")
	must(t, s.CloseOrder(t.Context(), "mail", o.ID))
	wait("mail", "an order was closed")
	for len(told) > 0 { // an early hint more than once is allowed
		<-told
	}
	must(t, s.End(t.Context(), "mail", 1))
	wait("mail", "it ended")
	stop()
	select {
	case err := <-ended:
		must(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the watch did not end with its context")
	}
}

func testCancelled(t *testing.T, s store.Store) {
	b := begin(t, s, "shop", 0, "e1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.Number = 1
	for name, call := range calls(s, b) {
		if name == "Watch" {
			must(t, call(ctx)) // its context has ended: so has it
			continue
		}
		if err := call(ctx); err == nil {
			t.Errorf("%s did not mind that its context was cancelled", name)
		} else {
			wants(t, err, context.Canceled)
		}
	}
	same(t, "head", head(t, s, "shop"), glint.Blueprint{Stack: "shop", Epoch: "e1"})
}

// calls is every method, ready to be called.
func calls(s store.Store, next glint.Blueprint) map[string]func(context.Context) error {
	id := glint.ID{Stack: next.Stack, Epoch: next.Epoch, Service: "web", N: 1}
	return map[string]func(context.Context) error{
		"Stacks":    func(ctx context.Context) error { _, err := s.Stacks(ctx); return err },
		"Revisions": func(ctx context.Context) error { _, err := s.Revisions(ctx, next.Stack); return err },
		"Release":   func(ctx context.Context) error { _, err := s.Release(ctx, release(next.Stack, 1).Digest()); return err },
		"Head":      func(ctx context.Context) error { _, err := s.Head(ctx, next.Stack); return err },
		"Advance":   func(ctx context.Context) error { return s.Advance(ctx, next, stepFor(next, "on")) },
		"Steps":     func(ctx context.Context) error { _, err := s.Steps(ctx, next.Stack, 0, 1); return err },
		"End":       func(ctx context.Context) error { return s.End(ctx, next.Stack, next.Number-1) },
		"Record":    func(ctx context.Context) error { return s.Record(ctx, next.Stack, glint.Event{Text: "x"}) },
		"Events":    func(ctx context.Context) error { _, err := s.Events(ctx, next.Stack, 0, 1); return err },
		"AddOrder": func(ctx context.Context) error {
			_, err := s.AddOrder(ctx, glint.Order{Stack: id.Stack, Instance: id})
			return err
		},
		"Orders":      func(ctx context.Context) error { _, err := s.Orders(ctx, next.Stack); return err },
		"CloseOrder":  func(ctx context.Context) error { return s.CloseOrder(ctx, next.Stack, 1) },
		"Watch":       func(ctx context.Context) error { return s.Watch(ctx, func(string) {}) },
		"AddRevision": func(ctx context.Context) error { return addAfter(ctx, s, next.Stack, 1) },
	}
}

func addAfter(ctx context.Context, s store.Store, stack string, after int) error {
	_, err := s.AddRevision(ctx, glint.Revision{Stack: stack, At: noon}, release(stack, 1), after, "e1")
	return err
}

func testNames(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, name := range []string{"", "Shop", "shop/web", "..", "a.b", "shop\x00", "x23456789012345678901234567890z"} {
		wants(t, addAfter(ctx, s, name, 0), glint.ErrInvalid)
		wants(t, s.Record(ctx, name, glint.Event{Text: "x"}), glint.ErrInvalid)
	}
	b := begin(t, s, "shop", 0, "e1")
	b.Number++
	for _, fleets := range [][]glint.Fleet{{fleet("web/x", 0)}, {fleet("", 0)}, {fleet("web", 0), fleet("cache", 0)}, {fleet("web", 0), fleet("web", 0)}} {
		b.Services = fleets
		wants(t, s.Advance(ctx, b, stepFor(b)), glint.ErrInvalid)
	}
}

func testLarge(t *testing.T, s store.Store) {
	ctx := t.Context()
	rel := release("big", 1000)
	_, err := s.AddRevision(ctx, glint.Revision{Stack: "big"}, rel, 0, "e1")
	must(t, err)
	got, err := s.Release(ctx, rel.Digest())
	must(t, err)
	same(t, "release", got, rel)
	b := head(t, s, "big")
	fleets := []glint.Fleet{fleet("crowd", 2000)}
	for i := range fleets[0].Members {
		fleets[0].Members[i].Because = string(glint.DigestOf(fmt.Append(nil, i))) // what cannot be compressed
	}
	for i := range 1000 {
		fleets = append(fleets, fleet(fmt.Sprintf("web%05d", i), 3))
		b.Edges = append(b.Edges, glint.Edge{From: fleets[i].Name, To: glint.Target{Service: "web00000", Port: "http"}})
	}
	b = advance(t, s, b, fleets...)
	same(t, "blueprint", head(t, s, "big"), b)
	fleets[0].Members[1999].Routed = true
	b = advance(t, s, b, fleets...)
	same(t, "the next blueprint", head(t, s, "big"), b)
	b = advance(t, s, b, fleet("crowd", 1))
	same(t, "a small one after it", head(t, s, "big"), b)
	steps, err := s.Steps(ctx, "big", 0, 10)
	must(t, err)
	if len(steps) != 3 || len(steps[0].Changed) != 1001 || len(steps[0].Changed[0].Members) != 2000 {
		t.Errorf("large steps are not whole: %d", len(steps))
	}
}

func testClosed(t *testing.T, s store.Store) {
	b := begin(t, s, "shop", 0, "e1")
	b.Number++
	ended := make(chan error, 1)
	begun := make(chan struct{})
	var once sync.Once
	go func() { ended <- s.Watch(context.Background(), func(string) { once.Do(func() { close(begun) }) }) }()
	<-begun
	must(t, s.Close())
	if err := <-ended; err == nil {
		t.Error("a watch did not mind that its store was closed")
	}
	must(t, s.Close())
	for name, call := range calls(s, b) {
		if call(t.Context()) == nil {
			t.Errorf("%s did not mind that its store was closed", name)
		}
	}
}
