package observe

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glint-infra/glint"
)

// A watched world gives hints when it is poked.
type watched struct {
	world
	poke chan error
}

func (w *watched) Watch(ctx context.Context, hint func()) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-w.poke:
			if err != nil {
				return err
			}
			hint()
		}
	}
}

func TestHintsArePassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{world: world{listing: glint.Listing{Complete: true}}, poke: make(chan error)}
		w.observer(t).Close()
		o := New(Config{Platform: w, Balancer: w, Hint: func(s string) { w.set(func() { w.hints = append(w.hints, s) }) }})
		for _, name := range []string{"shop", "blog", "past"} {
			b := blueprint(nil, 1)
			b.Stack = name
			look(t, o, b)
		}
		o.Forget("past")
		ended := make(chan error)
		run := func() { go func() { ended <- o.Run(t.Context()) }() }
		run()
		for range 50 { // deaths come in swarms
			w.poke <- nil
		}
		time.Sleep(debounce)
		synctest.Wait()
		got := w.hinted()
		slices.Sort(got)
		if !slices.Equal(got, []string{"blog", "shop"}) {
			t.Errorf("hints %q, want one for each stack", got)
		}
		w.poke <- errors.New("the socket broke")
		if err := <-ended; err == nil || err.Error() != "watching the platform: the socket broke" && err.Error() != "watching the balancer: the socket broke" {
			t.Errorf("got %v", err)
		}
		run()
		synctest.Wait()
		o.Close()
		if err := <-ended; err != nil {
			t.Errorf("closed: got %v", err)
		}
	})
}
