package etcd

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Stacks implements store.Store.
func (s *kept) Stacks(ctx context.Context) ([]string, error) {
	names, _, err := s.stacks(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("listing stacks: %w", err)
	}
	return names, nil
}

// stacks returns the names of the stacks, or of those that live, sorted, and etcd's revision.
func (s *kept) stacks(ctx context.Context, living bool) ([]string, int64, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	resp, err := s.client.Get(ctx, guards, clientv3.WithPrefix())
	if err != nil {
		return nil, 0, err
	}
	items, err := s.codec.items(resp.Kvs)
	if err != nil {
		return nil, 0, err
	}
	var names []string
	for _, it := range items {
		g, err := readGuard([]item{it})
		if err != nil {
			return nil, 0, err
		}
		if g.Alive || !living {
			names = append(names, strings.TrimPrefix(it.name, guards))
		}
	}
	slices.Sort(names)
	return names, resp.Header.Revision, nil
}

// AddRevision implements store.Store.
func (s *kept) AddRevision(ctx context.Context, rev glint.Revision, rel glint.Release, after int, epoch glint.Epoch) (glint.Revision, error) {
	rev, err := s.addRevision(ctx, rev, rel, after, epoch)
	if err != nil {
		return glint.Revision{}, fmt.Errorf("adding a revision to %s: %w", rev.Stack, err)
	}
	return rev, nil
}

func (s *kept) addRevision(ctx context.Context, rev glint.Revision, rel glint.Release, after int, epoch glint.Epoch) (glint.Revision, error) {
	if err := store.CheckStack(rev.Stack); err != nil {
		return rev, err
	}
	rev.Number, rev.Release = after+1, rel.Digest()
	puts, err := s.codec.put(revisionItem(rev.Stack, rev.Number), rev)
	if err != nil {
		return rev, err
	}
	content, err := s.codec.put(releaseItem(rev.Release), rel)
	if err != nil {
		return rev, err
	}
	return rev, s.change(ctx, rev.Stack, false, func(k *known) ([]clientv3.Op, error) {
		g := &k.guard
		if g.Revisions != after {
			return nil, fmt.Errorf("the newest is r%d, not r%d: %w", g.Revisions, after, glint.ErrConflict)
		}
		g.Revisions = rev.Number
		if !g.Alive {
			g.Alive, g.Epoch = true, epoch
		}
		return slices.Concat(puts, content), nil
	})
}

// Revisions implements store.Store.
func (s *kept) Revisions(ctx context.Context, stack string) ([]glint.Revision, error) {
	all, err := list[glint.Revision](ctx, s, revisions+stack)
	if err == nil && len(all) == 0 {
		err = glint.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading the revisions of %s: %w", stack, err)
	}
	return all, nil
}

// Release implements store.Store.
func (s *kept) Release(ctx context.Context, d glint.Digest) (glint.Release, error) {
	all, err := list[glint.Release](ctx, s, releaseItem(d))
	if err == nil && len(all) == 0 {
		err = glint.ErrNotFound
	}
	if err != nil {
		return glint.Release{}, fmt.Errorf("reading release %s: %w", d.Short(), err)
	}
	return all[0], nil
}

// list reads the item of that name, or those under it.
func list[T any](ctx context.Context, s *kept, name string) ([]T, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	key, all := under(name)
	resp, err := s.client.Get(ctx, key, all)
	if err != nil {
		return nil, err
	}
	items, err := s.codec.items(resp.Kvs)
	if err != nil {
		return nil, err
	}
	values := make([]T, len(items))
	for i, it := range items {
		if err := it.into(&values[i]); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// Head implements store.Store.
func (s *kept) Head(ctx context.Context, stack string) (glint.Blueprint, error) {
	b, err := s.head(ctx, stack)
	if err != nil {
		return glint.Blueprint{}, fmt.Errorf("reading the blueprint of %s: %w", stack, err)
	}
	return b, nil
}

func (s *kept) head(ctx context.Context, stack string) (glint.Blueprint, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return glint.Blueprint{}, err
	}
	defer leave()
	h, err := s.read(ctx, stack)
	if err != nil {
		return glint.Blueprint{}, err
	}
	if !h.guard.Alive {
		return glint.Blueprint{}, glint.ErrNotFound
	}
	return h.blueprint(stack)
}

func (h head) blueprint(stack string) (glint.Blueprint, error) {
	b := glint.Blueprint{Stack: stack}
	for _, it := range h.shape {
		if err := it.into(&b); err != nil {
			return b, err
		}
	}
	for _, it := range h.fleets {
		var f glint.Fleet
		if err := it.into(&f); err != nil {
			return b, err
		}
		b.Services = append(b.Services, f)
	}
	slices.SortFunc(b.Services, func(x, y glint.Fleet) int { return strings.Compare(x.Name, y.Name) })
	return h.guard.give(b), nil
}

// Advance implements store.Store.
func (s *kept) Advance(ctx context.Context, next glint.Blueprint, step glint.Step) error {
	if err := s.advance(ctx, next, step); err != nil {
		return fmt.Errorf("advancing %s to blueprint %d: %w", next.Stack, next.Number, err)
	}
	return nil
}

func (s *kept) advance(ctx context.Context, next glint.Blueprint, step glint.Step) error {
	if err := store.CheckBlueprint(next); err != nil {
		return err
	}
	var numbers guard
	items, err := itemsOf(next, numbers.take(next))
	if err != nil {
		return err
	}
	step.Stack, step.Number = next.Stack, next.Number
	return s.change(ctx, next.Stack, true, func(k *known) ([]clientv3.Op, error) {
		g := &k.guard
		if !g.Alive || g.Number != next.Number-1 || g.Epoch != next.Epoch {
			return nil, glint.ErrConflict
		}
		g.take(next)
		told := step
		told.Events = g.tell(next.Stack, step.Events)
		entry, err := s.append(next.Stack, g, entry{Step: &told})
		if err != nil {
			return nil, err
		}
		var ops []clientv3.Op
		k.parts, ops = s.delta(k.parts, items)
		return append(ops, entry...), nil
	})
}

// itemsOf returns what a blueprint is made of beside its numbers, sorted by name.
func itemsOf(b, shape glint.Blueprint) ([]item, error) {
	all := make([]item, 0, len(b.Services)+1)
	add := func(name string, v any) error {
		plain, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encoding %s: %w", name, err)
		}
		all = append(all, item{name: name, plain: plain})
		return nil
	}
	for _, f := range b.Services {
		if err := add(fleetItem(b.Stack, f.Name), f); err != nil {
			return nil, err
		}
	}
	return all, add(shapes+b.Stack, shape)
}

// delta returns what must be written and removed so that the parts become the items.
func (s *kept) delta(before map[string]part, items []item) (map[string]part, []clientv3.Op) {
	after := make(map[string]part, len(items))
	var ops []clientv3.Op
	for _, it := range items {
		was, sum := before[it.name], sha256.Sum256(it.plain)
		if was.sum == sum {
			after[it.name] = was
			continue
		}
		puts := s.codec.puts(it.name, it.plain)
		after[it.name] = part{sum, len(puts)}
		ops = append(ops, puts...)
		if was.chunks > len(puts) {
			ops = append(ops, deleteRest(it.name, len(puts)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, stays := after[name]; !stays {
			ops = append(ops, deleteItem(name))
		}
	}
	return after, ops
}

// End implements store.Store.
func (s *kept) End(ctx context.Context, stack string, number int) error {
	err := s.change(ctx, stack, false, func(k *known) ([]clientv3.Op, error) {
		h, err := s.read(ctx, stack)
		if err != nil {
			return nil, err
		}
		*k = h.known
		g := &k.guard
		b, err := h.blueprint(stack)
		if err != nil {
			return nil, err
		}
		if !g.Alive || !store.MayEnd(b, number, g.Revisions) {
			return nil, glint.ErrConflict
		}
		g.Alive, g.Epoch, g.Revision, g.Target, g.Stable = false, "", 0, 0, 0
		k.parts = map[string]part{}
		return []clientv3.Op{deleteItem(shapes + stack), deleteItem(fleets + stack), deleteItem(orders + stack)}, nil
	})
	if err != nil {
		return fmt.Errorf("ending %s at blueprint %d: %w", stack, number, err)
	}
	return nil
}

// AddOrder implements store.Store.
func (s *kept) AddOrder(ctx context.Context, o glint.Order) (glint.Order, error) {
	stack := o.Stack
	err := s.change(ctx, stack, false, func(k *known) ([]clientv3.Op, error) {
		if !k.guard.Alive {
			return nil, glint.ErrNotFound
		}
		k.guard.Orders++
		o.ID = k.guard.Orders
		return s.codec.put(orderItem(stack, o.ID), o)
	})
	if err != nil {
		return glint.Order{}, fmt.Errorf("adding an order to %s: %w", stack, err)
	}
	return o, nil
}

// Orders implements store.Store.
func (s *kept) Orders(ctx context.Context, stack string) ([]glint.Order, error) {
	all, err := list[glint.Order](ctx, s, orders+stack)
	if err != nil {
		return nil, fmt.Errorf("reading the orders of %s: %w", stack, err)
	}
	return all, nil
}

// CloseOrder implements store.Store.
func (s *kept) CloseOrder(ctx context.Context, stack string, id int) error {
	leave, err := s.enter(ctx)
	if err == nil {
		defer leave()
		key, all := under(orderItem(stack, id))
		_, err = s.client.Delete(ctx, key, all)
	}
	if err != nil {
		return fmt.Errorf("closing order %d of %s: %w", id, stack, err)
	}
	return nil
}
