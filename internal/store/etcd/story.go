package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// An entry of the log is a step with its events, or events without a step.
type entry struct {
	Step   *glint.Step   `json:"step,omitempty"`
	Events []glint.Event `json:"events,omitempty"`
}

func (e entry) events() []glint.Event {
	if e.Step != nil {
		return e.Step.Events
	}
	return e.Events
}

// pageEntries is how many entries are read at a time.
const pageEntries = 50

// tell numbers copies of the events.
func (g *guard) tell(stack string, events []glint.Event) []glint.Event {
	events = slices.Clone(events)
	for i := range events {
		g.Seq++
		events[i].Stack, events[i].Seq = stack, g.Seq
	}
	return events
}

// append puts an entry at the end of the log.
func (s *kept) append(stack string, g *guard, e entry) ([]clientv3.Op, error) {
	g.Last++
	return s.codec.put(logItem(stack, g.Last, g.Number, g.Seq), e)
}

// Record implements store.Store.
func (s *kept) Record(ctx context.Context, stack string, events ...glint.Event) error {
	err := store.CheckStack(stack)
	if err == nil && len(events) > 0 {
		err = s.change(ctx, stack, false, func(k *known) ([]clientv3.Op, error) {
			return s.append(stack, &k.guard, entry{Events: k.guard.tell(stack, events)})
		})
	}
	if err != nil {
		return fmt.Errorf("recording events of %s: %w", stack, err)
	}
	return nil
}

// Steps implements store.Store.
func (s *kept) Steps(ctx context.Context, stack string, after, limit int) ([]glint.Step, error) {
	var steps []glint.Step
	err := s.again(ctx, func() error {
		steps = nil
		k, at, err := s.guard(ctx, stack)
		if err != nil || limit <= 0 || k.guard.Number <= after {
			return err
		}
		beyond := func(number int, _ int64) bool { return number > after }
		return s.entries(ctx, stack, k.guard, at, beyond, func(e entry) bool {
			if e.Step != nil && e.Step.Number > after {
				steps = append(steps, *e.Step)
			}
			return len(steps) < limit
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the steps of %s: %w", stack, err)
	}
	return steps, nil
}

// Events implements store.Store.
func (s *kept) Events(ctx context.Context, stack string, after int64, limit int) ([]glint.Event, error) {
	var events []glint.Event
	err := s.again(ctx, func() error {
		events = nil
		k, at, err := s.guard(ctx, stack)
		if err != nil || limit <= 0 {
			return err
		}
		after := after
		if after < 0 {
			after = max(0, k.guard.Seq-int64(limit))
		}
		if k.guard.Seq <= after {
			return nil
		}
		beyond := func(_ int, seq int64) bool { return seq > after }
		return s.entries(ctx, stack, k.guard, at, beyond, func(e entry) bool {
			for _, ev := range e.events() {
				if ev.Seq > after && len(events) < limit {
					events = append(events, ev)
				}
			}
			return len(events) < limit
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the events of %s: %w", stack, err)
	}
	return events, nil
}

// again reads once more when the moment at which it reads is compacted away meanwhile.
func (s *kept) again(ctx context.Context, read func() error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for try := 1; ; try++ {
		if err := read(); try == 5 || !errors.Is(err, rpctypes.ErrCompacted) {
			return err
		}
	}
}

// entries hands out the entries of the log from the first that is beyond, until take wants no more. It reads all at
// one of etcd's revisions, so that what moves to a segment meanwhile is seen once.
func (s *kept) entries(ctx context.Context, stack string, g guard, at int64, beyond func(number int, seq int64) bool, take func(entry) bool) error {
	position, err := s.search(ctx, stack, g, at, beyond)
	if err != nil {
		return err
	}
	if g.Chain != "" && beyond(g.OldNumber, g.OldSeq) {
		if more, err := s.old.entries(stack, g.Chain, g.First, beyond, take); err != nil || !more {
			return err
		}
	}
	for ; position <= g.Last; position += pageEntries {
		page, err := s.page(ctx, stack, position, min(position+pageEntries, g.Last+1), at)
		if err != nil {
			return err
		}
		for _, it := range page {
			var e entry
			if err := it.into(&e); err != nil {
				return err
			}
			if !take(e) {
				return nil
			}
		}
	}
	return nil
}

// page reads the entries at the positions from up to, not with, to.
func (s *kept) page(ctx context.Context, stack string, from, to, at int64) ([]item, error) {
	resp, err := s.client.Get(ctx, logPrefix(stack, from), clientv3.WithRange(logPrefix(stack, to)), clientv3.WithRev(at))
	if err != nil {
		return nil, err
	}
	items, err := s.codec.items(resp.Kvs)
	if err == nil && int64(len(items)) != to-from {
		err = fmt.Errorf("the log has %d entries from %d to %d", len(items), from, to-1)
	}
	return items, err
}

// search returns the position of the first entry in etcd that is beyond; one past the last if none is.
func (s *kept) search(ctx context.Context, stack string, g guard, at int64, beyond func(number int, seq int64) bool) (int64, error) {
	low, high := g.First, g.Last+1
	for low < high {
		middle := low + (high-low)/2
		number, seq, err := s.point(ctx, stack, middle, at)
		if err != nil {
			return 0, err
		}
		if beyond(number, seq) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}

// point returns the newest blueprint and the newest event as of a position of the log in etcd.
func (s *kept) point(ctx context.Context, stack string, position, at int64) (number int, seq int64, err error) {
	resp, err := s.client.Get(ctx, logPrefix(stack, position), clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(1), clientv3.WithRev(at))
	if err != nil {
		return 0, 0, err
	}
	if len(resp.Kvs) == 0 {
		return 0, 0, fmt.Errorf("the log of %s has no entry %d", stack, position)
	}
	return logPoint(string(resp.Kvs[0].Key))
}
