package conductor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/glint-infra/glint"
)

// hands take steps beside the loop, so that a slow one holds nobody up. The same step is never under way twice, and one
// that failed is taken again only after a pause.
type hands struct {
	cfg      Config
	poke     func(stack string)
	launches chan struct{} // a token for each create under way

	mu     sync.Mutex
	busy   map[string]bool     // by key
	failed map[string]*stumble // by key
	all    sync.WaitGroup
}

// A stumble is a step that failed, and when it may be taken again.
type stumble struct {
	stack   string
	trouble glint.Trouble
	times   int
	retry   time.Time
}

// patience bounds one step, beyond the grace of a destroy.
const patience = 2 * time.Minute

func newHands(cfg Config, poke func(string)) *hands {
	return &hands{cfg: cfg, poke: poke, launches: make(chan struct{}, cfg.Launches), busy: map[string]bool{}, failed: map[string]*stumble{}}
}

func key(stack string, a glint.Action) string {
	if a.Verb == glint.Publish {
		return fmt.Sprintf("%s %s#%d", a.Verb, stack, a.Routes.Generation) // another generation need not wait for this one's pause
	}
	return string(a.Verb) + " " + a.ID.Key()
}

// begin starts those of the steps that are not under way or pausing, and returns them.
func (h *hands) begin(ctx context.Context, stack string, steps []glint.Action) []glint.Action {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(stack, steps)
	var begun []glint.Action
	now := h.cfg.Now()
	for _, a := range steps {
		k := key(stack, a)
		if s := h.failed[k]; h.busy[k] || s != nil && now.Before(s.retry) {
			continue
		}
		h.busy[k] = true
		begun = append(begun, a)
		h.all.Go(func() { h.take(context.WithoutCancel(ctx), stack, k, a) })
	}
	return begun
}

// forget drops stumbles over steps that are no longer asked for.
func (h *hands) forget(stack string, steps []glint.Action) {
	asked := map[string]bool{}
	for _, a := range steps {
		asked[key(stack, a)] = true
	}
	maps.DeleteFunc(h.failed, func(k string, s *stumble) bool { return s.stack == stack && !asked[k] && !h.busy[k] })
}

// take carries one step out. A server that stops lets it end: half a step is what restarts are good at, but why make one.
func (h *hands) take(ctx context.Context, stack, k string, a glint.Action) {
	ctx, cancel := context.WithTimeout(ctx, patience+a.Grace.D())
	err := h.act(ctx, a)
	cancel()
	h.mu.Lock()
	delete(h.busy, k)
	if err == nil {
		delete(h.failed, k)
	} else {
		h.stumble(stack, k, a, err)
	}
	h.mu.Unlock()
	h.poke(stack)
}

func (h *hands) act(ctx context.Context, a glint.Action) error {
	switch a.Verb {
	case glint.Create:
		h.launches <- struct{}{}
		defer func() { <-h.launches }()
		return h.cfg.Platform.Create(ctx, *a.Spec)
	case glint.Destroy:
		return h.cfg.Platform.Destroy(ctx, a.ID, a.Grace.D())
	case glint.Publish:
		return h.cfg.Balancer.Publish(ctx, *a.Routes)
	}
	return fmt.Errorf("unknown verb %q", a.Verb)
}

// stumble remembers a failure; the next try is 100ms later, then twice that, up to 10s.
func (h *hands) stumble(stack, k string, a glint.Action, err error) {
	s := h.failed[k]
	if s == nil {
		s = &stumble{stack: stack}
		h.failed[k] = s
	}
	s.times++
	s.retry = h.cfg.Now().Add(min(100*time.Millisecond<<min(s.times-1, 10), 10*time.Second))
	s.trouble = glint.Trouble{Verb: a.Verb, ID: a.ID, Text: err.Error()}
	if errors.Is(err, glint.ErrConflict) && a.Verb == glint.Create {
		s.trouble.Text += "; it will be replaced"
	}
}

// troubles lists what could not be done for a stack lately.
func (h *hands) troubles(stack string) []glint.Trouble {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []glint.Trouble
	for _, k := range slices.Sorted(maps.Keys(h.failed)) {
		if s := h.failed[k]; s.stack == stack {
			out = append(out, s.trouble)
		}
	}
	return out
}

// due is when the first paused step of a stack may be taken again; zero: none is paused.
func (h *hands) due(stack string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	var first time.Time
	for _, s := range h.failed {
		if s.stack == stack && (first.IsZero() || s.retry.Before(first)) {
			first = s.retry
		}
	}
	return first
}

func (h *hands) wait() { h.all.Wait() }

// equalJSON compares two values as they are stored.
func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
