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
	started := map[string]bool{}
	wakeUp := make(chan struct{}, 1)
	wg.Go(func() {
		for ctx.Err() == nil {
			err := c.cfg.Store.Watch(ctx, func(stack string) {
				c.Poke(stack)
				select {
				case wakeUp <- struct{}{}:
				default:
				}
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
			if !started[stack] {
				started[stack] = true
				wg.Go(func() { c.turn(ctx, stack) })
			}
		}
		timer := time.NewTimer(10 * c.cfg.Backstop) // the backstop behind the watch
		select {
		case <-ctx.Done():
		case <-wakeUp:
		case <-timer.C:
		}
		timer.Stop()
	}
	wg.Wait()
	return ctx.Err()
}

// turn turns one stack's loop until ctx ends. A stack that has ended may begin again; its wheel then just stands.
func (c *Conductor) turn(ctx context.Context, stack string) {
	l := c.loop(stack)
	said := ""
	for ctx.Err() == nil {
		turn, err := c.Step(ctx, stack)
		wait := c.rest(stack, turn, err)
		switch {
		case err == nil:
			said = ""
		case errors.Is(err, glint.ErrNotFound), errors.Is(err, glint.ErrConflict), ctx.Err() != nil:
		case err.Error() != said: // once, not every turn
			said = err.Error()
			slog.Error("turning the loop", "stack", stack, "error", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.poke:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// rest is how long a stack's loop may stand still after a turn.
func (c *Conductor) rest(stack string, turn Turn, err error) time.Duration {
	switch {
	case errors.Is(err, glint.ErrConflict), turn.Advanced:
		return 0 // read again, or go on
	case errors.Is(err, glint.ErrNotFound), turn.Ended:
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
