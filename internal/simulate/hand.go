package simulate

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"
)

// A hand takes steps of conductors, one after the other. A step that waits lets go of the world until its time has come:
// hands are coroutines, so that everything happens on one goroutine and in an order that the seed alone decides.
type hand struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	step  func()    // what it does now; nil: nothing
	boss  *boss     // for whom
	wake  time.Time // when it goes on
}

var errFallen = errors.New("the server has fallen")

func (w *world) newHand() *hand {
	h := &hand{}
	h.next, h.stop = iter.Pull(func(yield func(struct{}) bool) {
		h.yield = yield
		for {
			h.step()
			h.step = nil
			if !yield(struct{}{}) {
				return
			}
		}
	})
	w.hands = append(w.hands, h)
	return h
}

// take begins a step of b.
func (w *world) take(b *boss, step func()) {
	i := slices.IndexFunc(w.hands, func(h *hand) bool { return h.step == nil })
	var h *hand
	if i >= 0 {
		h = w.hands[i]
	} else {
		h = w.newHand()
	}
	h.step, h.boss = step, b
	w.goOn(h)
}

// goOn lets a hand work until its step has ended or waits.
func (w *world) goOn(h *hand) {
	before := w.at
	w.at = h
	h.next()
	w.at = before
	if h.step == nil {
		h.boss.poke(0)
	}
}

// sleep lets time pass within a step.
func (w *world) sleep(_ context.Context, d time.Duration) error {
	h := w.at
	if h == nil || d <= 0 {
		return nil
	}
	h.wake = w.sim.Now().Add(d)
	if !h.yield(struct{}{}) {
		return errFallen
	}
	return nil
}

func (w *world) release() {
	for _, h := range w.hands {
		h.stop()
	}
}
