package conductor

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/glint-infra/glint"
)

// Run turns the loops of all stacks until ctx ends. Steps that have begun go on: see Settle.
func (c *Conductor) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	turning := map[string]bool{}
	bell := make(chan struct{}, 1)
	ring := func() {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
	begin := func(stack string) {
		mu.Lock()
		defer mu.Unlock()
		if turning[stack] {
			return
		}
		turning[stack] = true
		wg.Go(func() {
			c.turn(ctx, stack)
			mu.Lock()
			delete(turning, stack)
			mu.Unlock()
			ring() // it may have begun again just now
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			err := c.cfg.Store.Watch(ctx, func(stack string) {
				c.Poke(stack)
				ring()
			})
			if err != nil && ctx.Err() == nil {
				slog.Warn("watching the store", "error", err)
				pause(ctx, time.Second)
			}
		}
	})
	for ctx.Err() == nil {
		stacks, err := c.cfg.Store.Stacks(ctx)
		if err != nil && ctx.Err() == nil {
			slog.Warn("listing stacks", "error", err)
		}
		for _, stack := range stacks {
			begin(stack)
		}
		timer := time.NewTimer(10 * c.cfg.Backstop) // the backstop behind the watch
		select {
		case <-ctx.Done():
		case <-bell:
		case <-timer.C:
		}
		timer.Stop()
	}
	wg.Wait()
	return ctx.Err()
}

// turn turns one stack's loop until ctx ends or the stack has, and nobody has asked for it again for a while.
func (c *Conductor) turn(ctx context.Context, stack string) {
	l := c.loop(stack)
	defer c.drop(stack)
	said := ""
	for ctx.Err() == nil {
		turn, err := c.Step(ctx, stack)
		wait := c.Rest(stack, turn, err)
		ended := turn.Ended || errors.Is(err, errGone)
		switch {
		case err == nil:
			said = ""
		case errors.Is(err, errGone), errors.Is(err, glint.ErrConflict), ctx.Err() != nil:
		case err.Error() != said: // once, not every turn
			said = err.Error()
			slog.Error("turning the loop", "stack", stack, "error", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.poke:
			ended = false
		case <-timer.C:
		}
		timer.Stop()
		if ended {
			return
		}
	}
}

// drop forgets the loop of a stack. What it knew is found out again if the stack lives.
func (c *Conductor) drop(stack string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loops, stack)
}

// Rest is how long a stack's loop may stand still after a turn, unless somebody asks for one.
func (c *Conductor) Rest(stack string, turn Turn, err error) time.Duration {
	switch {
	case errors.Is(err, glint.ErrConflict), turn.Advanced:
		return 0 // read again, or go on
	case errors.Is(err, errGone), turn.Ended:
		return 10 * c.cfg.Backstop
	}
	wait := c.cfg.Backstop
	for _, at := range []time.Time{turn.Wake, c.hands.due(stack)} {
		if !at.IsZero() {
			wait = min(wait, max(at.Sub(c.cfg.Now()), time.Millisecond))
		}
	}
	return wait
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
