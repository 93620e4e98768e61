package etcd

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"

	"github.com/glint-infra/glint"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A guard holds a stack's numbers. It is small whatever the stack's size, and every write to the stack replaces it.
type guard struct {
	Alive     bool         `json:"alive"` // false: the numbers are where the last life ended
	Epoch     glint.Epoch  `json:"epoch,omitempty"`
	Number    int          `json:"number"`
	Revision  int          `json:"revision"`
	Target    int          `json:"target"`
	Stable    int          `json:"stable"`
	Routes    int          `json:"routes"`
	Revisions int          `json:"revisions"`       // the newest revision
	Orders    int          `json:"orders"`          // the last number given to an order
	Seq       int64        `json:"seq"`             // of the newest event
	First     int64        `json:"first"`           // position of the oldest entry of the log in etcd
	Last      int64        `json:"last"`            // position of the newest; First-1: none
	Token     string       `json:"token"`           // of the newest write, drawn by its writer
	Chain     glint.Digest `json:"chain,omitempty"` // the newest segment; it names the one before
	OldNumber int          `json:"old_number"`      // the newest blueprint of which the segments tell
	OldSeq    int64        `json:"old_seq"`         // the newest event likewise
}

// take puts the blueprint's numbers into the guard, and returns what is neither there nor in a fleet.
func (g *guard) take(b glint.Blueprint) glint.Blueprint {
	g.Epoch, g.Number, g.Revision, g.Target, g.Stable, g.Routes = b.Epoch, b.Number, b.Revision, b.Target, b.Stable, b.Routes
	b.Epoch, b.Number, b.Revision, b.Target, b.Stable, b.Routes = "", 0, 0, 0, 0, 0
	b.Services = nil
	return b
}

// give is the reverse of take.
func (g guard) give(b glint.Blueprint) glint.Blueprint {
	b.Epoch, b.Number, b.Revision, b.Target, b.Stable, b.Routes = g.Epoch, g.Number, g.Revision, g.Target, g.Stable, g.Routes
	return b
}

// known is what this process last saw of a stack. It may be old: the comparison with the guard key tells.
type known struct {
	guard guard
	rev   int64           // etcd's revision of the guard key; 0: there is none
	parts map[string]part // the head's items by name; nil: not looked at
	fresh bool            // just read
}

// A part remembers an item of the head well enough to see whether it has changed.
type part struct {
	sum    [sha256.Size]byte
	chunks int
}

// A head is the newest blueprint as it lies in etcd.
type head struct {
	known
	shape  []item // none before the first Advance, else one
	fleets []item
}

// read reads everything of a stack's head at one moment.
func (s *kept) read(ctx context.Context, stack string) (head, error) {
	h := head{known: known{fresh: true, parts: map[string]part{}}}
	resp, err := s.client.Txn(ctx).Then(getItem(guards+stack), getItem(shapes+stack), getItem(fleets+stack)).Commit()
	if err != nil {
		return h, err
	}
	var lists [3][]item
	for i := range lists {
		kvs := resp.Responses[i].GetResponseRange().Kvs
		if i == 0 && len(kvs) > 0 {
			h.rev = kvs[0].ModRevision
		}
		if lists[i], err = s.codec.items(kvs); err != nil {
			return h, err
		}
	}
	h.shape, h.fleets = lists[1], lists[2]
	for _, it := range append(lists[1], lists[2]...) {
		h.parts[it.name] = part{sha256.Sum256(it.plain), it.chunks}
	}
	h.guard, err = readGuard(lists[0])
	return h, err
}

func readGuard(items []item) (guard, error) {
	g := guard{First: 1}
	if len(items) == 0 {
		return g, nil
	}
	return g, items[0].into(&g)
}

// guard reads a stack's guard, and tells at which of etcd's revisions.
func (s *kept) guard(ctx context.Context, stack string) (known, int64, error) {
	resp, err := s.client.Get(ctx, guardKey(stack))
	if err != nil {
		return known{}, 0, err
	}
	k := known{fresh: true}
	items, err := s.codec.items(resp.Kvs)
	if err == nil {
		k.guard, err = readGuard(items)
	}
	if len(resp.Kvs) > 0 {
		k.rev = resp.Kvs[0].ModRevision
	}
	return k, resp.Header.Revision, err
}

// look returns what is known of a stack, reading it only when nothing is. whole: its head's parts, too.
func (s *kept) look(ctx context.Context, stack string, whole bool) (known, error) {
	s.mu.Lock()
	k, ok := s.known[stack]
	s.mu.Unlock()
	if ok && (k.parts != nil || !whole) {
		return k, nil
	}
	if whole {
		h, err := s.read(ctx, stack)
		return h.known, err
	}
	k, _, err := s.guard(ctx, stack)
	return k, err
}

func (s *kept) remember(stack string, k known) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.rev > s.known[stack].rev {
		k.fresh = false
		s.known[stack] = k
	}
}

// forget drops what is known as of an etcd revision, and nothing newer.
func (s *kept) forget(stack string, rev int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[stack].rev <= rev {
		delete(s.known, stack)
	}
}

// change replaces a stack's guard and what edit asks for, in one transaction, if nobody else has changed the stack
// meanwhile; else it begins again. edit may be called more than once. Its error ends the change when it came from what was just read, not from a memory.
func (s *kept) change(ctx context.Context, stack string, whole bool, edit func(k *known) ([]clientv3.Op, error)) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for {
		k, err := s.look(ctx, stack, whole)
		if err != nil {
			return err
		}
		ops, err := edit(&k)
		if err != nil && k.fresh {
			return err
		}
		done := false
		if err == nil {
			done, err = s.commit(ctx, stack, k, ops)
			if err != nil {
				s.forget(stack, k.rev) // whether it was written is not known
				return err
			}
		}
		if done {
			return nil
		}
		s.forget(stack, k.rev)
	}
}

// commit writes if the guard key is still what k was read from.
func (s *kept) commit(ctx context.Context, stack string, k known, ops []clientv3.Op) (bool, error) {
	k.guard.Token = rand.Text()
	put, err := s.codec.put(guards+stack, k.guard)
	if err != nil {
		return false, err
	}
	ops = append(ops, put...)
	before := clientv3.Compare(clientv3.ModRevision(guardKey(stack)), "=", k.rev)
	for tried := false; ; tried = true {
		resp, err := s.client.Txn(ctx).If(before).Then(ops...).Commit()
		if err == nil && !resp.Succeeded {
			return false, nil
		}
		if err == nil {
			k.rev = resp.Header.Revision
		} else if k.rev, err = s.doubt(ctx, stack, k, err); err != nil && !tried && errors.Is(err, errRoom) {
			continue
		} else if err != nil {
			return false, s.explain(err, ops)
		}
		s.remember(stack, k)
		s.wrote()
		return true, nil
	}
}

// errRoom means that a write failed for want of room, and that some has been made since.
var errRoom = errors.New("even after tidying")

// doubt finds out whether a write that failed has been made all the same, and returns its revision if so: etcd makes
// the write that fills it up and then reports that it is full, and one that times out may be made later.
func (s *kept) doubt(ctx context.Context, stack string, k known, cause error) (int64, error) {
	if errors.Is(cause, rpctypes.ErrNoSpace) {
		if err := s.makeRoom(ctx); err != nil {
			cause = errors.Join(cause, err)
		} else {
			cause = errors.Join(cause, errRoom)
		}
	}
	now, _, err := s.guard(ctx, stack)
	if err == nil && now.guard.Token == k.guard.Token {
		return now.rev, nil
	}
	return k.rev, cause
}

// explain says what to do about what etcd refuses.
func (s *kept) explain(err error, ops []clientv3.Op) error {
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("the store is full (its limit is %s) and tidying made no room: start it with a higher limit, then end stacks that are not needed: %w", s.cfg.Quota, err)
	case errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrRequestTooLarge):
		return fmt.Errorf("this step writes %d keys at once, more than this etcd takes; start it with --max-txn-ops=%d --max-request-bytes=%d: %w", len(ops), maxTxnOps, maxRequestBytes, err)
	}
	return err
}

// checkFormat marks a new store with its format, and refuses one of a newer format. It writes nothing into one that
// exists: that may be full.
func (s *kept) checkFormat(ctx context.Context) error {
	resp, err := s.client.Get(ctx, formatKey)
	if err == nil && len(resp.Kvs) == 0 {
		_, err = s.client.Put(ctx, formatKey, strconv.Itoa(format))
		if err != nil {
			return fmt.Errorf("marking its format: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading its format: %w", err)
	}
	found, err := strconv.Atoi(string(resp.Kvs[0].Value))
	if err != nil {
		return fmt.Errorf("reading its format: %w", err)
	}
	if found > format {
		return tooNew(found)
	}
	return nil
}
