package api_test

import (
	"context"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
	"github.com/glint-infra/glint/internal/store"
)

// A contested store has bob apply a release of his own between the reading and the writing of everybody else.
type contested struct {
	store.Store
	his   glint.Release
	times int
}

func (c *contested) AddRevision(ctx context.Context, rev glint.Revision, rel glint.Release, after int, epoch glint.Epoch) (glint.Revision, error) {
	if c.times > 0 {
		c.times--
		his := c.his
		if _, err := c.Store.AddRevision(ctx, glint.Revision{Stack: rev.Stack, Kind: glint.KindApply, By: "bob"}, his, after, epoch); err != nil {
			return glint.Revision{}, err
		}
	}
	return c.Store.AddRevision(ctx, rev, rel, after, epoch)
}

func TestBeaten(t *testing.T) {
	w := newWorld(t)
	for _, v := range []string{"v1", "v2"} {
		w.apply(w.release(v, 1))
		w.pass(10 * time.Second)
	}
	w.stop()
	bob := &contested{Store: w.store, his: w.release("bob", 1), times: 1}
	w.config.Store = bob
	w.serve()
	_, err := w.client.Apply(t.Context(), stack, api.ApplyRequest{Release: w.release("v3", 1)})
	refused(t, err, api.CodeConflict, glint.ErrConflict, "somebody else applied r3 at the same time", "apply by bob")
	bob.times, bob.his = 1, w.release("the same", 1)
	if reply := w.apply(w.release("the same", 1)); !reply.Unchanged || reply.Revision.Number != 4 || reply.Revision.By != "bob" {
		t.Errorf("both asked for the same: %+v", reply)
	}
	bob.times = 1
	_, err = w.client.Rollback(t.Context(), stack, api.RollbackRequest{To: 1})
	refused(t, err, api.CodeConflict, glint.ErrConflict, "r5")
	bob.times = 2
	if rev, err := w.client.Destroy(t.Context(), stack, api.WordRequest{}); err != nil || rev.Number != 8 {
		t.Errorf("an end that others contest: %+v, %v", rev, err)
	}
	w.apply(w.release("v4", 1)) // a destruction under way is called off by the next revision
	bob.times = 99
	_, err = w.client.Destroy(t.Context(), stack, api.WordRequest{})
	refused(t, err, api.CodeConflict, glint.ErrConflict, "ask again")
}
