package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Watch implements store.Store.
func (s *kept) Watch(ctx context.Context, changed func(stack string)) error {
	if ctx.Err() != nil {
		return nil
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return fmt.Errorf("watching stacks: %w", err)
	}
	defer leave()
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for {
		names, rev, err := s.stacks(within, true)
		if err == nil {
			for _, name := range names {
				changed(name)
			}
			err = s.follow(within, rev+1, changed)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case s.ctx.Err() != nil:
			return fmt.Errorf("watching stacks: %w", errClosed)
		case err != nil && !errors.Is(err, rpctypes.ErrCompacted):
			return fmt.Errorf("watching stacks: %w", err)
		}
		// What it should have seen next is compacted away, or the watch was broken off: begin again with every stack.
	}
}

// follow tells of every change from etcd's revision rev on, until the watch breaks off.
func (s *kept) follow(ctx context.Context, rev int64, changed func(stack string)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for resp := range s.client.Watch(ctx, root, clientv3.WithPrefix(), clientv3.WithRev(rev)) {
		if err := resp.Err(); err != nil {
			return err
		}
		told := map[string]bool{"": true}
		for _, ev := range resp.Events {
			if stack := stackOf(string(ev.Kv.Key)); !told[stack] {
				told[stack] = true
				changed(stack)
			}
		}
	}
	return nil
}
