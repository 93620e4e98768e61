package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store"
)

// A shelf is a store of one stack that keeps what it is given and gives back what it keeps, without a copy: most of the
// time of a world with a copying store goes into copies. That nobody writes into what the store keeps is what the worlds
// with other stores show.
type shelf struct {
	store.Store // what no conductor asks for in a world
	forgets     bool
	revisions   []glint.Revision
	releases    map[glint.Digest]glint.Release
	head        *glint.Blueprint
	number      int // where the last life ended
	routes      int
	steps       []glint.Step
	events      []glint.Event
	orders      []glint.Order
	lastOrder   int
}

func newShelf() *shelf { return &shelf{releases: map[glint.Digest]glint.Release{}} }

func (s *shelf) AddRevision(_ context.Context, rev glint.Revision, rel glint.Release, after int, epoch glint.Epoch) (glint.Revision, error) {
	if len(s.revisions) != after {
		return glint.Revision{}, fmt.Errorf("the newest revision is r%d: %w", len(s.revisions), glint.ErrConflict)
	}
	rev.Number, rev.Release = after+1, rel.Digest()
	s.revisions, s.releases[rev.Release] = append(s.revisions, rev), rel
	if s.head == nil {
		s.head = &glint.Blueprint{Stack: rev.Stack, Epoch: epoch, Number: s.number, Routes: s.routes}
	}
	return rev, nil
}

func (s *shelf) Revisions(context.Context, string) ([]glint.Revision, error) {
	if len(s.revisions) == 0 {
		return nil, glint.ErrNotFound
	}
	return s.revisions, nil
}

func (s *shelf) Release(_ context.Context, d glint.Digest) (glint.Release, error) {
	rel, ok := s.releases[d]
	if !ok {
		return rel, glint.ErrNotFound
	}
	return rel, nil
}

func (s *shelf) Head(context.Context, string) (glint.Blueprint, error) {
	if s.head == nil {
		return glint.Blueprint{}, glint.ErrNotFound
	}
	return *s.head, nil
}

func (s *shelf) Advance(_ context.Context, next glint.Blueprint, step glint.Step) error {
	if err := store.CheckBlueprint(next); err != nil {
		return err
	}
	if s.head == nil || s.head.Number != next.Number-1 || s.head.Epoch != next.Epoch {
		return fmt.Errorf("advancing to blueprint %d: %w", next.Number, glint.ErrConflict)
	}
	step.Stack, step.Number = next.Stack, next.Number
	s.tell(next.Stack, step.Events)
	s.head = &next
	if !s.forgets {
		s.steps = append(s.steps, step)
	}
	return nil
}

func (s *shelf) tell(stack string, events []glint.Event) {
	for i := range events {
		events[i].Stack, events[i].Seq = stack, int64(len(s.events)+1)
		s.events = append(s.events, events[i])
	}
}

func (s *shelf) Steps(_ context.Context, _ string, after, limit int) ([]glint.Step, error) {
	i, _ := slices.BinarySearchFunc(s.steps, after, func(s glint.Step, after int) int { return s.Number - after - 1 })
	return s.steps[i:min(len(s.steps), i+limit)], nil
}

func (s *shelf) End(_ context.Context, _ string, number int) error {
	if s.head == nil || !store.MayEnd(*s.head, number, len(s.revisions)) {
		return fmt.Errorf("ending at blueprint %d: %w", number, glint.ErrConflict)
	}
	s.number, s.routes, s.head, s.orders = s.head.Number, s.head.Routes, nil, nil
	return nil
}

func (s *shelf) Record(_ context.Context, stack string, events ...glint.Event) error {
	s.tell(stack, slices.Clone(events))
	return nil
}

func (s *shelf) Events(_ context.Context, _ string, after int64, limit int) ([]glint.Event, error) {
	return s.events[after:min(int64(len(s.events)), after+int64(limit))], nil
}

func (s *shelf) AddOrder(_ context.Context, o glint.Order) (glint.Order, error) {
	if s.head == nil {
		return o, glint.ErrNotFound
	}
	s.lastOrder++
	o.ID = s.lastOrder
	s.orders = append(slices.Clip(s.orders), o)
	return o, nil
}

func (s *shelf) Orders(context.Context, string) ([]glint.Order, error) { return s.orders, nil }

func (s *shelf) CloseOrder(_ context.Context, _ string, id int) error {
	s.orders = slices.DeleteFunc(slices.Clone(s.orders), func(o glint.Order) bool { return o.ID == id })
	return nil
}

// paper is a store that is given everything as text, as stores on disk are.
type paper struct{ store.Store }

func written[T any](v T) (back T, err error) {
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	return back, err
}

func (p paper) AddRevision(ctx context.Context, rev glint.Revision, rel glint.Release, after int, epoch glint.Epoch) (glint.Revision, error) {
	revBack, err := written(rev)
	relBack, errRel := written(rel)
	if err := errors.Join(err, errRel); err != nil {
		return rev, err
	}
	return p.Store.AddRevision(ctx, revBack, relBack, after, epoch)
}

func (p paper) Advance(ctx context.Context, next glint.Blueprint, step glint.Step) error {
	nextBack, err := written(next)
	stepBack, errStep := written(step)
	if err := errors.Join(err, errStep); err != nil {
		return err
	}
	return p.Store.Advance(ctx, nextBack, stepBack)
}
