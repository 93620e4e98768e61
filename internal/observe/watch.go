package observe

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/platform"
)

// debounce is how long hints are gathered before they are passed on. Deaths come in swarms.
const debounce = time.Millisecond

// Run passes on the hints of the platform and of the balancing plane, where they give any, as hints for every stack of
// which something has been seen or is wanted, until ctx or the observer ends. The error is that of a watcher that failed: no hints come then, and
// Run may be called again.
func (o *Observer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(o.ctx, cancel)()
	something := make(chan struct{}, 1)
	hint := func() {
		select {
		case something <- struct{}{}:
		default:
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	if w, ok := o.platform.(platform.Watcher); ok {
		group.Go(watch(ctx, "platform", w.Watch, hint))
	}
	if w, ok := o.balancer.(balancer.Watcher); ok {
		group.Go(watch(ctx, "balancer", w.Watch, hint))
	}
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-something:
			}
			if !sleep(ctx, debounce) {
				return nil
			}
			for _, name := range o.known() {
				o.hint(name)
			}
		}
	})
	return group.Wait()
}

func watch(ctx context.Context, who string, f func(context.Context, func()) error, hint func()) func() error {
	return func() error {
		if err := f(ctx, hint); err != nil && ctx.Err() == nil {
			return fmt.Errorf("watching the %s: %w", who, err)
		}
		return nil
	}
}

// known returns the stacks that have been looked at.
func (o *Observer) known() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var names []string
	for name := range o.stacks {
		names = append(names, name)
	}
	return names
}
