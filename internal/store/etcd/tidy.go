package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/glint-infra/glint"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	tidyEvery   = time.Hour // at least
	keptChanges = 100       // etcd's revisions that a slow watch may still ask for

	defragBytes = 32 << 20 // a database below this is not worth shrinking
)

// wrote counts a write and rings when it is time to tidy.
func (s *kept) wrote() {
	if s.writes.Add(1)%s.cfg.tidy == 0 {
		select {
		case s.bell <- struct{}{}:
		default:
		}
	}
}

// housekeep tidies until the store is closed.
func (s *kept) housekeep() {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		if err := s.tidy(s.ctx); err != nil && s.ctx.Err() == nil && s.cfg.Report != nil {
			s.cfg.Report(fmt.Errorf("tidying the store in %s: %w", s.cfg.Dir, err))
		}
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		case <-s.bell:
		}
	}
}

// tidy is etcd's whole housekeeping. Making room comes first because a full etcd takes no write, and moving out is one.
func (s *kept) tidy(ctx context.Context) error {
	s.tidying.Lock()
	defer s.tidying.Unlock()
	if err := s.makeRoom(ctx); err != nil {
		return err
	}
	names, _, err := s.stacks(ctx, false)
	for _, name := range names {
		if merr := s.moveOut(ctx, name); merr != nil {
			err = errors.Join(err, fmt.Errorf("moving old entries of %s out: %w", name, merr))
		}
	}
	return errors.Join(err, s.keeper.tighten())
}

// makeRoom forgets old revisions of keys, gives their room back, and lifts the alarm that stops writes once there is room.
func (s *kept) makeRoom(ctx context.Context) error {
	s.roomy.Lock()
	defer s.roomy.Unlock()
	_, rev, err := s.stacks(ctx, false)
	if err != nil {
		return err
	}
	alarms, err := s.client.AlarmList(ctx)
	if err != nil {
		return fmt.Errorf("asking for alarms: %w", err)
	}
	full := false
	for _, a := range alarms.Alarms {
		if a.Alarm == pb.AlarmType_CORRUPT {
			return errors.New("etcd finds its data corrupt: stop Glint and restore a backup")
		}
		full = full || a.Alarm == pb.AlarmType_NOSPACE
	}
	if err := s.compact(ctx, rev, full); err != nil || !full {
		return err
	}
	return s.disarm(ctx)
}

// compact forgets what keys were before, and shrinks the database when most of it is empty, or when it is full.
func (s *kept) compact(ctx context.Context, rev int64, full bool) error {
	if full {
		rev += keptChanges - 1 // keep only what is now
	}
	if rev > keptChanges {
		_, err := s.client.Compact(ctx, rev-keptChanges, clientv3.WithCompactPhysical())
		if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
			return fmt.Errorf("compacting: %w", err)
		}
	}
	file, used := s.keeper.sizes()
	if full || file > defragBytes && used < file/2 {
		if err := s.keeper.defragment(); err != nil {
			return fmt.Errorf("shrinking the database: %w", err)
		}
	}
	return nil
}

// disarm lifts the alarm of a full database if it has room again.
func (s *kept) disarm(ctx context.Context) error {
	if file, _ := s.keeper.sizes(); file > int64(s.cfg.Quota)/10*9 {
		return fmt.Errorf("the database takes %s of %s and cannot be made smaller", glint.Bytes(file), s.cfg.Quota)
	}
	if _, err := s.client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		return fmt.Errorf("lifting the alarm: %w", err)
	}
	return nil
}

// moveOut moves the oldest entries of a log to segments, so that etcd holds a bounded number.
func (s *kept) moveOut(ctx context.Context, stack string) error {
	for {
		k, at, err := s.guard(ctx, stack)
		g, end := k.guard, k.guard.First+int64(s.cfg.segment)
		if err != nil || g.Last+1 < end+int64(s.cfg.kept) {
			return err
		}
		last := segment{Stack: stack, From: g.First, To: end - 1, Before: g.Chain}
		if last.Number, last.Seq, err = s.point(ctx, stack, last.To, at); err != nil {
			return err
		}
		chain, err := s.old.write(last, func(emit func([]byte) error) error {
			for from := g.First; from < end; from += pageEntries {
				page, err := s.page(ctx, stack, from, min(from+pageEntries, end), at)
				if err != nil {
					return err
				}
				for _, it := range page {
					if err := emit(it.plain); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = s.change(ctx, stack, false, func(k *known) ([]clientv3.Op, error) {
			if k.guard.First != g.First {
				return nil, glint.ErrConflict // another process moves them
			}
			k.guard.First, k.guard.Chain, k.guard.OldNumber, k.guard.OldSeq = end, chain, last.Number, last.Seq
			return []clientv3.Op{clientv3.OpDelete(logPrefix(stack, g.First), clientv3.WithRange(logPrefix(stack, end)))}, nil
		})
		if errors.Is(err, glint.ErrConflict) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
