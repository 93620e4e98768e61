// Package mem is a store in memory, for tests and for simulated worlds by the million.
// It keeps nothing when its process ends.
package mem

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store"
)

var errClosed = errors.New("the store is closed")

// New returns an empty store. What goes in and what comes out are copies.
func New() store.Store {
	return &memory{stacks: map[string]*stack{}, releases: map[glint.Digest]glint.Release{}, watchers: map[*watcher]bool{}}
}

type memory struct {
	mu       sync.Mutex
	closed   bool
	stacks   map[string]*stack
	releases map[glint.Digest]glint.Release
	watchers map[*watcher]bool
}

// A stack outlives its lives: only head and orders end with one.
type stack struct {
	revisions      []glint.Revision
	head           *glint.Blueprint // nil while it does not live
	number, routes int              // where the last life ended
	steps          []glint.Step     // by number, rising
	events         []glint.Event    // event i has Seq i+1
	orders         []glint.Order
	lastOrder      int
}

// enter begins a call; every call that returns nil must be followed by an unlock.
func (m *memory) enter(ctx context.Context, doing, name string) error {
	err := ctx.Err()
	if err == nil {
		m.mu.Lock()
		if !m.closed {
			return nil
		}
		m.mu.Unlock()
		err = errClosed
	}
	return fmt.Errorf("%s %s: %w", doing, name, err)
}

// stack returns the named stack, which may never have been.
func (m *memory) stack(name string) *stack {
	if s := m.stacks[name]; s != nil {
		return s
	}
	return &stack{}
}

func (m *memory) Stacks(ctx context.Context) ([]string, error) {
	if err := m.enter(ctx, "listing", "stacks"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return m.alive(), nil
}

func (m *memory) alive() []string {
	var names []string
	for name, s := range m.stacks {
		if s.head != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (m *memory) AddRevision(ctx context.Context, rev glint.Revision, rel glint.Release, after int, epoch glint.Epoch) (glint.Revision, error) {
	if err := store.CheckStack(rev.Stack); err != nil {
		return glint.Revision{}, fmt.Errorf("adding a revision: %w", err)
	}
	if err := m.enter(ctx, "adding a revision to", rev.Stack); err != nil {
		return glint.Revision{}, err
	}
	defer m.mu.Unlock()
	s := m.stack(rev.Stack)
	if len(s.revisions) != after {
		return glint.Revision{}, fmt.Errorf("adding a revision to %s: the newest is r%d, not r%d: %w", rev.Stack, len(s.revisions), after, glint.ErrConflict)
	}
	rev.Number, rev.Release = after+1, rel.Digest()
	s.revisions = append(s.revisions, rev)
	m.releases[rev.Release] = deep(rel)
	if s.head == nil {
		s.head = &glint.Blueprint{Stack: rev.Stack, Epoch: epoch, Number: s.number, Routes: s.routes}
	}
	m.stacks[rev.Stack] = s
	m.changed(rev.Stack)
	return rev, nil
}

func (m *memory) Revisions(ctx context.Context, name string) ([]glint.Revision, error) {
	if err := m.enter(ctx, "reading the revisions of", name); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	s := m.stack(name)
	if len(s.revisions) == 0 {
		return nil, fmt.Errorf("reading the revisions of %s: %w", name, glint.ErrNotFound)
	}
	return deep(s.revisions), nil
}

func (m *memory) Release(ctx context.Context, d glint.Digest) (glint.Release, error) {
	if err := m.enter(ctx, "reading release", d.Short()); err != nil {
		return glint.Release{}, err
	}
	defer m.mu.Unlock()
	rel, ok := m.releases[d]
	if !ok {
		return glint.Release{}, fmt.Errorf("reading release %s: %w", d.Short(), glint.ErrNotFound)
	}
	return deep(rel), nil
}

func (m *memory) Head(ctx context.Context, name string) (glint.Blueprint, error) {
	if err := m.enter(ctx, "reading the blueprint of", name); err != nil {
		return glint.Blueprint{}, err
	}
	defer m.mu.Unlock()
	s := m.stack(name)
	if s.head == nil {
		return glint.Blueprint{}, fmt.Errorf("reading the blueprint of %s: %w", name, glint.ErrNotFound)
	}
	return deep(*s.head), nil
}

func (m *memory) Advance(ctx context.Context, next glint.Blueprint, step glint.Step) error {
	if err := store.CheckBlueprint(next); err != nil {
		return fmt.Errorf("advancing: %w", err)
	}
	if err := m.enter(ctx, "advancing", next.Stack); err != nil {
		return err
	}
	defer m.mu.Unlock()
	s := m.stack(next.Stack)
	if s.head == nil || s.head.Number != next.Number-1 || s.head.Epoch != next.Epoch {
		return fmt.Errorf("advancing %s to blueprint %d: %w", next.Stack, next.Number, glint.ErrConflict)
	}
	next, step = deep(next), deep(step)
	step.Stack, step.Number = next.Stack, next.Number
	s.tell(next.Stack, step.Events)
	s.head, s.steps = &next, append(s.steps, step)
	m.changed(next.Stack)
	return nil
}

// tell numbers the events in place and keeps copies of them.
func (s *stack) tell(name string, events []glint.Event) {
	for i := range events {
		events[i].Stack, events[i].Seq = name, int64(len(s.events)+1)
		s.events = append(s.events, deep(events[i]))
	}
}

func (m *memory) Steps(ctx context.Context, name string, after, limit int) ([]glint.Step, error) {
	if err := m.enter(ctx, "reading the steps of", name); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	all := m.stack(name).steps
	i, _ := slices.BinarySearchFunc(all, after, func(s glint.Step, after int) int { return s.Number - after - 1 })
	return deep(first(all[i:], limit)), nil
}

func first[T any](s []T, limit int) []T { return s[:min(len(s), max(limit, 0))] }

func (m *memory) End(ctx context.Context, name string, number int) error {
	if err := m.enter(ctx, "ending", name); err != nil {
		return err
	}
	defer m.mu.Unlock()
	s := m.stack(name)
	if s.head == nil || !store.MayEnd(*s.head, number, len(s.revisions)) {
		return fmt.Errorf("ending %s at blueprint %d: %w", name, number, glint.ErrConflict)
	}
	s.number, s.routes = s.head.Number, s.head.Routes
	s.head, s.orders = nil, nil
	m.changed(name)
	return nil
}

func (m *memory) Record(ctx context.Context, name string, events ...glint.Event) error {
	if err := store.CheckStack(name); err != nil {
		return fmt.Errorf("recording events: %w", err)
	}
	if err := m.enter(ctx, "recording events of", name); err != nil {
		return err
	}
	defer m.mu.Unlock()
	s := m.stack(name)
	s.tell(name, slices.Clone(events))
	m.stacks[name] = s
	m.changed(name)
	return nil
}

func (m *memory) Events(ctx context.Context, name string, after int64, limit int) ([]glint.Event, error) {
	if err := m.enter(ctx, "reading the events of", name); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	all := m.stack(name).events
	if after < 0 {
		return deep(all[len(all)-min(len(all), max(limit, 0)):]), nil
	}
	return deep(first(all[min(after, int64(len(all))):], limit)), nil
}

func (m *memory) AddOrder(ctx context.Context, o glint.Order) (glint.Order, error) {
	name := o.Stack
	if err := m.enter(ctx, "adding an order to", name); err != nil {
		return glint.Order{}, err
	}
	defer m.mu.Unlock()
	s := m.stack(name)
	if s.head == nil {
		return glint.Order{}, fmt.Errorf("adding an order to %s: %w", name, glint.ErrNotFound)
	}
	s.lastOrder++
	o.ID = s.lastOrder
	s.orders = append(s.orders, o)
	m.changed(name)
	return o, nil
}

func (m *memory) Orders(ctx context.Context, name string) ([]glint.Order, error) {
	if err := m.enter(ctx, "reading the orders of", name); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return deep(m.stack(name).orders), nil
}

func (m *memory) CloseOrder(ctx context.Context, name string, id int) error {
	if err := m.enter(ctx, "closing an order of", name); err != nil {
		return err
	}
	defer m.mu.Unlock()
	s := m.stack(name)
	s.orders = slices.DeleteFunc(s.orders, func(o glint.Order) bool { return o.ID == id })
	m.changed(name)
	return nil
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for w := range m.watchers {
		close(w.closed)
		delete(m.watchers, w)
	}
	return nil
}

// A watcher gathers names until its own goroutine calls out, so that nobody calls out while holding the lock.
type watcher struct {
	names  map[string]bool
	bell   chan struct{} // holds one ring
	closed chan struct{}
}

func (m *memory) changed(name string) {
	for w := range m.watchers {
		w.names[name] = true
		select {
		case w.bell <- struct{}{}:
		default:
		}
	}
}

func (m *memory) Watch(ctx context.Context, changed func(stack string)) error {
	if ctx.Err() != nil {
		return nil
	}
	if err := m.enter(ctx, "watching", "stacks"); err != nil {
		return err
	}
	w := &watcher{names: map[string]bool{}, bell: make(chan struct{}, 1), closed: make(chan struct{})}
	m.watchers[w] = true
	for _, name := range m.alive() {
		m.changed(name)
	}
	m.mu.Unlock()
	defer func() { m.mu.Lock(); delete(m.watchers, w); m.mu.Unlock() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.closed:
			return fmt.Errorf("watching stacks: %w", errClosed)
		case <-w.bell:
		}
		m.mu.Lock()
		names := slices.Sorted(maps.Keys(w.names))
		clear(w.names)
		m.mu.Unlock()
		for _, name := range names {
			changed(name)
		}
	}
}
