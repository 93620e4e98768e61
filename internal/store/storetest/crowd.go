package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store"
)

const writers, rounds = 8, 20

// crowd runs write once in each of several goroutines and waits for all.
func crowd(write func(i int)) {
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { write(i) })
	}
	wg.Wait()
}

func testCrowd(t *testing.T, s store.Store) {
	b := begin(t, s, "shop", 0, "e1")
	for range rounds {
		won := make([]glint.Blueprint, writers)
		var wins, revisions atomic.Int32
		crowd(func(i int) {
			next := b
			next.Number++
			next.Services = []glint.Fleet{fleet("web", i)}
			if err := s.Advance(t.Context(), next, stepFor(next, fmt.Sprint("by ", i))); err == nil {
				wins.Add(1)
				won[0] = next
			} else if !errors.Is(err, glint.ErrConflict) {
				t.Error(err)
			}
			if err := addAfter(t.Context(), s, "shop", b.Number+1); err == nil {
				revisions.Add(1)
			} else if !errors.Is(err, glint.ErrConflict) {
				t.Error(err)
			}
		})
		if wins.Load() != 1 || revisions.Load() != 1 {
			t.Fatalf("after blueprint %d: %d of %d writers advanced, %d added a revision; want one of each", b.Number, wins.Load(), writers, revisions.Load())
		}
		b = won[0]
		same(t, "head", head(t, s, "shop"), b)
	}
	steps, err := s.Steps(t.Context(), "shop", 0, 10*rounds)
	must(t, err)
	if len(steps) != rounds {
		t.Errorf("%d steps, want %d", len(steps), rounds)
	}
}

func testCrowdedStory(t *testing.T, s store.Store) {
	begin(t, s, "shop", 0, "e1")
	var lost atomic.Int32
	crowd(func(i int) {
		for r := range rounds {
			if err := s.Record(t.Context(), "shop", glint.Event{Text: fmt.Sprint(i, "/", r)}, glint.Event{Text: "and"}); err != nil {
				t.Error(err)
			}
			if _, err := s.AddOrder(t.Context(), glint.Order{Stack: "shop", Kind: glint.OrderReplace, Instance: glint.ID{Stack: "shop", Epoch: "e1", Service: "web", N: i*rounds + r + 1}}); err != nil {
				t.Error(err)
			}
			b, err := s.Head(t.Context(), "shop")
			if err != nil {
				t.Error(err)
			}
			b.Number++
			if err := s.Advance(t.Context(), b, stepFor(b, fmt.Sprint(i, "/", r, " advanced"))); errors.Is(err, glint.ErrConflict) {
				lost.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		}
	})
	events, err := s.Events(t.Context(), "shop", 0, 1_000_000)
	must(t, err)
	orders, err := s.Orders(t.Context(), "shop")
	must(t, err)
	steps, err := s.Steps(t.Context(), "shop", 0, 1_000_000)
	must(t, err)
	if all := writers * rounds; len(orders) != all || len(steps) != all-int(lost.Load()) || len(events) != 2*all+len(steps) {
		t.Fatalf("%d orders, %d steps, %d events; want %d, %d, %d", len(orders), len(steps), len(events), all, all-int(lost.Load()), 2*all+len(steps))
	}
	texts := map[string]int{}
	for i, e := range events {
		texts[e.Text]++
		if e.Seq != int64(i+1) {
			t.Fatalf("event %d has Seq %d", i+1, e.Seq)
		}
	}
	for i := range writers * rounds {
		if text := fmt.Sprint(i/rounds, "/", i%rounds); texts[text] != 1 {
			t.Errorf("event %s is there %d times", text, texts[text])
		}
		if orders[i].ID != i+1 {
			t.Errorf("order %d has number %d", i+1, orders[i].ID)
		}
	}
}
