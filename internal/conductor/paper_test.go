package conductor_test

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/store"
)

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
