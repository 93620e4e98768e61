package observe

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glint-infra/glint"
)

func TestLookSeesOneStackWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stray, other := id(9), id(1)
		stray.Epoch, other.Stack = "e0", "blog"
		w := &world{listing: glint.Listing{Complete: true, At: time.Now(), Instances: running(id(3), other, id(1), stray, id(2))}}
		w.listing.Instances[0].State = glint.Dead
		o, bp := w.observer(t), blueprint(&probe, 3)
		look(t, o, bp)
		time.Sleep(time.Second)
		obs := look(t, o, bp)
		var ids []glint.ID
		for _, in := range obs.Instances {
			ids = append(ids, in.ID)
		}
		if want := []glint.ID{stray, id(1), id(2), id(3)}; !slices.Equal(ids, want) {
			t.Errorf("saw %v, want %v", ids, want)
		}
		if !obs.Complete || len(obs.Silent) > 0 || !obs.At.Equal(w.listing.At) {
			t.Errorf("complete %t silent %q at %s", obs.Complete, obs.Silent, obs.At)
		}
		for _, in := range obs.Instances {
			if want := in.ID == id(1) || in.ID == id(2); in.Health.Ready != want || in.Health.Known != want {
				t.Errorf("%s %s in %s: %+v", in.State, in.ID, in.ID.Epoch, in.Health)
			}
		}
		if n := len(w.asked(stray)) + len(w.asked(id(3))) + len(w.asked(other)); n != 0 {
			t.Errorf("asked %d times what is no running member", n)
		}
	})
}

func TestHealthWithoutAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := &world{listing: glint.Listing{Complete: true, Instances: running(id(1), id(2), id(3))}}
		w.listing.Instances[0].Started = begin
		w.listing.Instances[1].State = glint.Held
		engine := glint.Health{Known: true, Live: true, Vantage: "engine", Detail: "its own probe says no"}
		w.listing.Instances[2].Health = engine
		o := w.observer(t)
		obs := look(t, o, blueprint(nil, 3))
		if h := obs.Instances[0].Health; !h.Known || !h.Ready || !h.Live || !h.Since.Equal(begin) {
			t.Errorf("running without a probe: %+v", h)
		}
		if h := obs.Instances[1].Health; h.Known || h.Ready {
			t.Errorf("held: %+v", h)
		}
		if h := look(t, o, blueprint(&probe, 3)).Instances[2].Health; h != engine {
			t.Errorf("a platform's own verdict became %+v", h)
		}
		time.Sleep(time.Second)
		if n := len(w.asked(id(3))); n != 0 {
			t.Errorf("asked %d times what the platform asks itself", n)
		}
	})
}

func TestLookSaysWhoIsSilent(t *testing.T) {
	lost := errors.New("dialling the engine: \x1b[31mno such file\nor directory")
	for _, c := range []struct {
		name     string
		set      func(w *world)
		complete bool
		silent   []string
		seen     int
	}{
		{"all answer", func(*world) {}, true, nil, 2},
		{"a place is silent", func(w *world) { w.listing.Complete, w.listing.Silent = false, []string{"zone-b"} }, false, []string{"zone-b"}, 2},
		{"the listing failed", func(w *world) { w.listErr, w.listing = lost, glint.Listing{} }, false,
			[]string{"platform: dialling the engine: [31mno such file or directory"}, 0},
		{"failed halfway", func(w *world) { w.listErr, w.listing.Instances = lost, w.listing.Instances[:1] }, false,
			[]string{"platform: dialling the engine: [31mno such file or directory"}, 1},
		{"never answers", func(w *world) { w.listTime = time.Hour }, false, []string{"platform: context deadline exceeded"}, 0},
		{"balancer", func(w *world) { w.statErr = errors.New("no socket") }, true, []string{"balancer: no socket"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{listing: glint.Listing{Complete: true, Instances: running(id(1), id(2))}}
				c.set(w)
				obs := look(t, w.observer(t), blueprint(&probe, 2))
				if obs.Complete != c.complete || !slices.Equal(obs.Silent, c.silent) || len(obs.Instances) != c.seen || obs.At.IsZero() {
					t.Errorf("got %+v", obs)
				}
			})
		})
	}
}

func TestTraffic(t *testing.T) {
	proven := glint.Ack{Member: "haproxy", Generation: 7, Kind: glint.Proven}
	for _, c := range []struct {
		name   string
		status glint.BalancerStatus
		err    error
		flight []int
		acked  int
		acks   int
	}{
		{"complete", glint.BalancerStatus{Complete: true, InFlight: map[glint.ID]int{id(1): 4}, Acks: map[string][]glint.Ack{"shop": {proven}}}, nil, []int{4, 0}, 7, 1},
		{"incomplete: what is absent or none is unknown", glint.BalancerStatus{InFlight: map[glint.ID]int{id(1): 4, id(2): 0}}, nil, []int{4, -1}, 0, 0},
		{"silent", glint.BalancerStatus{}, errors.New("gone"), []int{-1, -1}, 0, 1},
		{"silent with a rest", glint.BalancerStatus{Complete: true, Acks: map[string][]glint.Ack{"shop": {proven}}}, errors.New("gone"), []int{-1, -1}, 0, 1},
		{"other stacks", glint.BalancerStatus{Complete: true, Acks: map[string][]glint.Ack{"blog": {proven}}}, nil, []int{0, 0}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{listing: glint.Listing{Complete: true, Instances: running(id(1), id(2))}, status: c.status, statErr: c.err}
			obs := look(t, w.observer(t), blueprint(nil, 2))
			for i, want := range c.flight {
				if got := obs.Instances[i].InFlight; got != want {
					t.Errorf("%s: %d in flight, want %d", obs.Instances[i].ID, got, want)
				}
			}
			if obs.Acked() != c.acked || len(obs.Acks) != c.acks {
				t.Errorf("acks %+v, want generation %d of %d", obs.Acks, c.acked, c.acks)
			}
			if c.err != nil && obs.Acks[0].Kind != glint.Unknown {
				t.Errorf("a silent plane acknowledged: %+v", obs.Acks)
			}
		})
	}
}

// TestLooksShareListings: many who look at once ask once more, never the listing that had begun before they came.
func TestLooksShareListings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{listing: glint.Listing{Complete: true}, listTime: time.Second}
		o, bp := w.observer(t), blueprint(&probe, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			if obs := look(t, o, bp); len(obs.Instances) != 0 {
				t.Error("it looked before the instance was made")
			}
		})
		time.Sleep(500 * time.Millisecond)
		w.set(func() { w.listing.Instances = running(id(1)) })
		for range 20 {
			wg.Go(func() {
				if obs := look(t, o, bp); len(obs.Instances) != 1 {
					t.Error("a look missed what had been made before it")
				}
			})
		}
		wg.Wait()
		if _, _, lists := w.asking(); lists != 2 {
			t.Errorf("%d listings, want 2", lists)
		}
	})
}

// TestLookEnds: what has answered by then is told, and the rest is silent.
func TestLookEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{listTime: time.Hour, status: glint.BalancerStatus{Complete: true, Acks: map[string][]glint.Ack{"shop": {{Member: "a", Generation: 3, Kind: glint.Proven}}}}}
		o := w.observer(t)
		look := func() glint.Observation {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return o.Look(ctx, blueprint(nil, 0))
		}
		begin := time.Now()
		if obs := look(); obs.Complete || !slices.Equal(obs.Silent, []string{"platform: context deadline exceeded"}) || time.Since(begin) != time.Second {
			t.Errorf("after %s: %+v", time.Since(begin), obs)
		}
		o.Close()
		obs := look()
		if want := []string{"platform: the observer is closed", "balancer: the observer is closed"}; obs.Complete || !slices.Equal(obs.Silent, want) || obs.Acked() != 0 {
			t.Errorf("closed: %+v", obs)
		}
		o.Close() // twice is no harm
	})
}

// deaf is a world whose balancing plane answers late, whatever it is told.
type deaf struct{ *world }

func (d deaf) Status(context.Context) (glint.BalancerStatus, error) {
	time.Sleep(time.Minute)
	return glint.BalancerStatus{Complete: true}, nil
}

// Whoever does not hear that his time is over is silent all the same: what the others say must not wait for him.
func TestLookDoesNotWaitForTheDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{listing: glint.Listing{Complete: true, Instances: running(id(1))}}
		o := w.observer(t)
		o.statuses = newGatherer(deaf{w}.Status)
		for range 2 {
			began := time.Now()
			obs := look(t, o, blueprint(nil, 1))
			if took := time.Since(began); took > 2*answerWithin {
				t.Errorf("a look took %s", took)
			}
			if !obs.Complete || len(obs.Instances) != 1 || len(obs.Silent) != 1 || obs.Acked() != 0 || obs.Instances[0].InFlight != -1 {
				t.Errorf("seen: %+v", obs)
			}
		}
	})
}

// A look at what is not there, as a preview takes it, leaves nothing behind.
func TestLookAtNothing(t *testing.T) {
	w := &world{listing: glint.Listing{Complete: true}}
	o := w.observer(t)
	look(t, o, glint.Blueprint{Stack: "idea", Epoch: "preview"})
	if known := o.known(); len(known) != 0 {
		t.Errorf("remembers %v", known)
	}
}
