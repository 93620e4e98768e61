package conductor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/glint-infra/glint"
)

// hands take steps beside the loop, so that a slow one holds nobody up. The same step is never under way twice, and one
// that failed, or that changed nothing that can be seen, is taken again only after a pause.
type hands struct {
	cfg      Config
	poke     func(stack string)
	launches chan struct{} // a token for each create under way

	mu    sync.Mutex
	asked map[string]map[string]bool // keys of the steps that the last turn asked for, by stack
	busy  map[string]string          // stacks, by key
	tried map[string]*try            // by key
	all   sync.WaitGroup
}

// A try is a step that was taken and is still asked for, and when it may be taken again.
type try struct {
	stack   string
	trouble *glint.Trouble // nil: it went well
	times   int            // on end, with or without trouble
	again   time.Time
}

// patience bounds one step, beyond the grace of a destroy.
const patience = 2 * time.Minute

func newHands(cfg Config, poke func(string)) *hands {
	return &hands{cfg: cfg, poke: poke, launches: make(chan struct{}, cfg.Launches), asked: map[string]map[string]bool{}, busy: map[string]string{}, tried: map[string]*try{}}
}

func key(stack string, a glint.Action) string {
	if a.Verb == glint.Publish {
		return fmt.Sprintf("%s %s#%d", a.Verb, stack, a.Routes.Generation) // another generation need not wait for this one's pause
	}
	return string(a.Verb) + " " + a.ID.Key()
}

// begin starts those of the steps that are not under way or pausing, and returns them. When ctx ends, those that still
// wait for their place are given up.
func (h *hands) begin(ctx context.Context, stack string, steps []glint.Action) []glint.Action {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ask(stack, steps)
	var begun []glint.Action
	now := h.cfg.Now()
	for _, a := range steps {
		k := key(stack, a)
		_, busy := h.busy[k]
		if t := h.tried[k]; busy || t != nil && now.Before(t.again) {
			continue
		}
		h.busy[k] = stack
		begun = append(begun, a)
		h.beside(func() { h.take(ctx, stack, k, a) })
	}
	return begun
}

func (h *hands) beside(step func()) {
	if h.cfg.Beside != nil {
		h.cfg.Beside(step)
		return
	}
	h.all.Go(step)
}

// ask remembers which steps are asked for, and forgets tries of others.
func (h *hands) ask(stack string, steps []glint.Action) {
	asked := make(map[string]bool, len(steps))
	for _, a := range steps {
		asked[key(stack, a)] = true
	}
	if h.asked[stack] = asked; len(asked) == 0 {
		delete(h.asked, stack)
	}
	maps.DeleteFunc(h.tried, func(k string, t *try) bool { return t.stack == stack && !asked[k] })
}

func (h *hands) stillAsked(stack, k string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[stack][k]
}

// idle reports whether nothing is under way for a stack.
func (h *hands) idle(stack string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.busy {
		if s == stack {
			return false
		}
	}
	return true
}

func (h *hands) take(ctx context.Context, stack, k string, a glint.Action) {
	err := h.inTurn(ctx, stack, k, a)
	h.mu.Lock()
	delete(h.busy, k)
	if h.asked[stack][k] {
		h.note(stack, k, a, err)
	}
	h.mu.Unlock()
	h.poke(stack)
}

// inTurn takes a step when its turn has come. A create may have waited for long: what nobody asks for any more is not
// begun, and what a server that stops has not begun is left to the next. What was begun may end: half a step is what
// restarts are good at, but why make one.
func (h *hands) inTurn(ctx context.Context, stack, k string, a glint.Action) error {
	if a.Verb == glint.Create {
		select {
		case h.launches <- struct{}{}:
			defer func() { <-h.launches }()
		case <-ctx.Done():
			return ctx.Err()
		}
		if ctx.Err() != nil || !h.stillAsked(stack, k) {
			return ctx.Err()
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience+a.Grace.D())
	defer cancel()
	return h.act(ctx, a)
}

func (h *hands) act(ctx context.Context, a glint.Action) error {
	switch a.Verb {
	case glint.Create:
		return h.cfg.Platform.Create(ctx, *a.Spec)
	case glint.Destroy:
		return h.cfg.Platform.Destroy(ctx, a.ID, a.Grace.D())
	case glint.Publish:
		return h.cfg.Balancer.Publish(ctx, *a.Routes)
	}
	return fmt.Errorf("unknown verb %q", a.Verb)
}

// note remembers a try. After a failure the next comes 100ms later, then twice that, up to 10s. A step that went well
// and is still asked for, because its effect is not seen yet, is taken again sooner: 10ms, up to 1s.
// What works now and now does not keeps its pauses growing.
func (h *hands) note(stack, k string, a glint.Action, err error) {
	t := h.tried[k]
	if t == nil {
		t = &try{stack: stack}
		h.tried[k] = t
	}
	t.trouble = nil
	first, most := 10*time.Millisecond, time.Second
	if err != nil {
		first, most = 100*time.Millisecond, 10*time.Second
		t.trouble = &glint.Trouble{Verb: a.Verb, ID: a.ID, Text: err.Error()}
		if errors.Is(err, glint.ErrConflict) && a.Verb == glint.Create {
			t.trouble.Text += "; it will be replaced"
		}
	}
	t.again = h.cfg.Now().Add(min(first<<min(t.times, 10), most))
	t.times++
}

// troubles lists what could not be done for a stack lately.
func (h *hands) troubles(stack string) []glint.Trouble {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []glint.Trouble
	for _, k := range slices.Sorted(maps.Keys(h.tried)) {
		if t := h.tried[k]; t.stack == stack && t.trouble != nil {
			out = append(out, *t.trouble)
		}
	}
	return out
}

// due is when the first paused step of a stack may be taken again; zero: none is paused. One that is under way asks for a
// turn when it ends.
func (h *hands) due(stack string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	var first time.Time
	for k, t := range h.tried {
		_, busy := h.busy[k]
		if t.stack == stack && !busy && (first.IsZero() || t.again.Before(first)) {
			first = t.again
		}
	}
	return first
}

func (h *hands) wait() { h.all.Wait() }
