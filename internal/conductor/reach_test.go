package conductor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform/sim"
	"github.com/glint-infra/glint/internal/store"
)

// A reach is how a conductor gets hold of a world: not always as it means to.
type reach struct {
	*sim.World
	clumsy bool   // some steps fail, some fail and are taken all the same, some creates are taken later
	falls  bool   // the conductor falls: some steps are not taken any more
	seed   uint64 // of what befalls a step

	mu    sync.Mutex
	times map[string]int
	later []glint.InstanceSpec
}

// What befalls a step.
const (
	taken = iota
	failed
	takenAndFailed
	takenLater
	fates
)

var errTimeout = errors.New("no answer in time")

// fate is the same for the n-th try of the same step in the same world, whichever goroutine takes it.
func (r *reach) fate(step string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.clumsy && !r.falls {
		return taken
	}
	r.times[step]++
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d", r.seed, step, r.times[step])
	return int(h.Sum64()>>20) % fates
}

func (r *reach) do(step string, act func() error) error {
	switch r.fate(step) {
	case taken:
		return act()
	case takenAndFailed:
		_ = act()
	}
	return errTimeout
}

// Create may also make the instance after its caller has given up.
func (r *reach) Create(ctx context.Context, spec glint.InstanceSpec) error {
	switch r.fate("create " + spec.ID.Key()) {
	case taken:
		return r.World.Create(ctx, spec)
	case takenAndFailed:
		_ = r.World.Create(ctx, spec)
	case takenLater:
		r.mu.Lock()
		r.later = append(r.later, spec)
		r.mu.Unlock()
	}
	return errTimeout
}

// land makes what was to be made later, if its stack still lives: whoever makes instances for a stack that has ended makes
// orphans, and no conductor can know.
func (r *reach) land(epoch glint.Epoch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, spec := range r.later {
		if spec.ID.Epoch == epoch {
			_ = r.World.Create(context.Background(), spec)
		}
	}
	r.later = nil
}

func (r *reach) Destroy(ctx context.Context, id glint.ID, grace time.Duration) error {
	return r.do("destroy "+id.Key(), func() error { return r.World.Destroy(ctx, id, grace) })
}

func (r *reach) Publish(ctx context.Context, routes glint.Routes) error {
	return r.do(fmt.Sprintf("publish %s %d", routes.Stack, routes.Generation), func() error { return r.World.Publish(ctx, routes) })
}

// paper is a store that keeps what it is given as text, as stores on disk do.
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
