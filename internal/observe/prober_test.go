package observe

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glint-infra/glint"
)

// These tests run in virtual time, and fail if a goroutine is left.

func refused(glint.ID, time.Time) answer { return answer{bad, "connect: connection refused on 8080"} }

func TestNoticedSoonAfterItCanAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		up := begin.Add(43 * time.Millisecond)
		w := &world{listing: glint.Listing{Complete: true, Instances: running(id(1))}}
		w.answers = func(id glint.ID, at time.Time) answer {
			if at.Before(up) {
				return refused(id, at)
			}
			return answer{good, "GET /healthz: 200 OK"}
		}
		o, bp := w.observer(t), blueprint(&probe, 1)
		if h := health(t, o, bp, id(1)); h.Known || !h.Live {
			t.Errorf("not asked yet, but %+v", h)
		}
		time.Sleep(90 * time.Millisecond)
		h := health(t, o, bp, id(1))
		// About a quarter of the time that it took, for each of the two answers it needs.
		if late := h.Since.Sub(up); !h.Ready || late > 35*time.Millisecond {
			t.Errorf("ready %t, %s after it could answer", h.Ready, late)
		}
		if h.Vantage != "host" || h.Detail != "GET /healthz: 200 OK" {
			t.Errorf("vantage %q detail %q", h.Vantage, h.Detail)
		}
		if got := w.hinted(); !slices.Equal(got, []string{"shop"}) {
			t.Errorf("hints %q, want one", got)
		}
	})
}

func TestASlowStarterIsAskedLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{listing: glint.Listing{Complete: true, Instances: running(id(1))}, answers: refused}
		o, bp := w.observer(t), blueprint(&probe, 1)
		look(t, o, bp)
		time.Sleep(time.Hour)
		if h := health(t, o, bp, id(1)); h.Ready || !h.Live || !h.Known || h.Detail != "connect: connection refused on 8080" {
			t.Errorf("after an hour: %+v", h)
		}
		n := len(w.asked(id(1)))
		if n < 3400 || n > 3900 {
			t.Errorf("asked %d times in an hour, want once a second after a fast start", n)
		}
		if h := w.hinted(); len(h) != 0 {
			t.Errorf("that a new instance is not ready is no news, but %d hints", len(h))
		}
	})
}

func TestUnreadyThenReplacedThenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{listing: glint.Listing{Complete: true, Instances: running(id(1))}}
		o, bp := w.observer(t), blueprint(&probe, 1)
		look(t, o, bp)
		time.Sleep(5 * time.Second)
		w.hinted()
		fell := time.Now()
		w.set(func() { w.answers = refused })
		time.Sleep(4 * time.Second)
		h := health(t, o, bp, id(1))
		if after := h.Since.Sub(fell); h.Ready || !h.Live || after < 2*950*time.Millisecond || after > 3*1050*time.Millisecond {
			t.Errorf("after three bad answers: %+v, %s after the fall", h, after)
		}
		time.Sleep(9 * time.Second)
		if h := health(t, o, bp, id(1)); h.Live || h.Since.Sub(fell) < 10*time.Second {
			t.Errorf("after 13 s of bad answers: %+v", h)
		}
		w.set(func() { w.answers = func(glint.ID, time.Time) answer { return answer{good, "fine"} } })
		time.Sleep(1100 * time.Millisecond)
		if h := health(t, o, bp, id(1)); h.Ready || !h.Live {
			t.Errorf("after one good answer: %+v", h)
		}
		time.Sleep(1100 * time.Millisecond)
		if h := health(t, o, bp, id(1)); !h.Ready || !h.Live {
			t.Errorf("after two good answers: %+v", h)
		}
		if got := w.hinted(); len(got) != 4 { // unready, not live, live, ready
			t.Errorf("%d hints, want 4", len(got))
		}
	})
}

// TestARestartedServerKnowsNothing: what was seen by an earlier life of the server is not judged in haste, and is
// judged.
func TestARestartedServerKnowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{listing: glint.Listing{Complete: true, Instances: running(id(1))}, answers: refused}
		o, bp := w.observer(t), blueprint(&probe, 1)
		bp.Services[0].Members[0].Seen = true
		look(t, o, bp)
		time.Sleep(1800 * time.Millisecond)
		if h := health(t, o, bp, id(1)); h.Known || !h.Live {
			t.Errorf("two bad answers are no verdict: %+v", h)
		}
		time.Sleep(time.Second)
		if h := health(t, o, bp, id(1)); !h.Known || h.Ready || !h.Live || len(w.hinted()) != 1 {
			t.Errorf("three are: %+v", h)
		}
		time.Sleep(10 * time.Second)
		if h := health(t, o, bp, id(1)); h.Live || len(w.hinted()) != 1 {
			t.Errorf("not live after 12 s: %+v", h)
		}
	})
}

func TestProbersEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(w *world, o *Observer, bp *glint.Blueprint)
		goes bool
	}{
		{"dead", func(w *world, _ *Observer, _ *glint.Blueprint) { w.listing.Instances[0].State = glint.Dead }, true},
		{"gone", func(w *world, _ *Observer, _ *glint.Blueprint) { w.listing.Instances = nil }, true},
		{"no member", func(_ *world, _ *Observer, bp *glint.Blueprint) { *bp = blueprint(&probe, 0); bp.Number = 2 }, true},
		{"forgotten", func(_ *world, o *Observer, bp *glint.Blueprint) { o.Forget("shop"); *bp = blueprint(&probe, 0) }, true},
		{"closed", func(_ *world, o *Observer, _ *glint.Blueprint) { o.Close() }, true},
		{"not seen is not gone", func(w *world, _ *Observer, _ *glint.Blueprint) { w.listing = glint.Listing{} }, false},
		{"an old blueprint", func(_ *world, _ *Observer, bp *glint.Blueprint) { *bp = blueprint(&probe, 0); bp.Number = 0 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{listing: glint.Listing{Complete: true, Instances: running(id(1))}}
				o, bp := w.observer(t), blueprint(&probe, 1)
				look(t, o, bp)
				time.Sleep(10 * time.Second)
				w.set(func() { c.end(w, o, &bp) })
				o.Look(t.Context(), bp)
				before := len(w.asked(id(1)))
				time.Sleep(10 * time.Second)
				if goes := len(w.asked(id(1))) == before; goes != c.goes {
					t.Errorf("prober ended: %t, want %t", goes, c.goes)
				}
			})
		})
	}
}

// TestAProbeUnderWayEnds: nobody waits for an instance that does not answer, and what it would have said is not heard.
func TestAProbeUnderWayEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := probe
		p.Timeout, p.UnreadyAfter = glint.Duration(time.Hour), 1
		w := &world{listing: glint.Listing{Complete: true, Instances: running(id(1), id(2))}, askTime: 50 * time.Minute}
		o, bp := w.observer(t), blueprint(&p, 2)
		bp.Services[0].Members[0].Seen, bp.Services[0].Members[1].Seen = true, true
		look(t, o, bp)
		time.Sleep(time.Second)
		w.set(func() { w.listing.Instances[0].State = glint.Dead })
		look(t, o, bp)
		synctest.Wait()
		if now, _, _ := w.asking(); now != 1 {
			t.Errorf("%d probes under way, want 1", now)
		}
		begin := time.Now()
		o.Close()
		if now, _, _ := w.asking(); now != 0 || time.Since(begin) != 0 {
			t.Errorf("closing took %s and left %d probes", time.Since(begin), now)
		}
		if h := w.hinted(); len(h) > 0 {
			t.Errorf("%d hints for what was no answer", len(h))
		}
	})
}

func TestAThousandInstancesAreNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{askTime: 100 * time.Millisecond, listing: glint.Listing{Complete: true}}
		for n := range 1000 {
			w.listing.Instances = append(w.listing.Instances, running(id(n+1))...)
		}
		o, bp := w.observer(t), blueprint(&probe, 1000)
		look(t, o, bp)
		time.Sleep(20 * time.Second)
		for _, in := range look(t, o, bp).Instances {
			if !in.Health.Ready {
				t.Fatalf("%s is not ready: %+v", in.ID, in.Health)
			}
		}
		if _, most, _ := w.asking(); most != 64 {
			t.Errorf("%d probes at once, want 64", most)
		}
	})
}

func TestCommandsAreFewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := probe
		p.HTTP, p.Exec = nil, &glint.ExecProbe{Command: []string{"true"}}
		w := &world{askTime: 100 * time.Millisecond, listing: glint.Listing{Complete: true, Instances: running(id(1), id(2), id(3), id(4), id(5), id(6))}}
		o, bp := w.observer(t), blueprint(&p, 6)
		look(t, o, bp)
		time.Sleep(5 * time.Second)
		if _, most, _ := w.asking(); most != 4 || !health(t, o, bp, id(6)).Ready {
			t.Errorf("%d commands at once, want 4", most)
		}
	})
}

// TestJitter: instances that start together are not asked together for ever.
func TestJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	for n := range 100 {
		d := jitter(id(n), 10*time.Second)
		if d < 9500*time.Millisecond || d > 10500*time.Millisecond || d != jitter(id(n), 10*time.Second) {
			t.Fatalf("interval of %s: %s", id(n), d)
		}
		seen[d] = true
	}
	if len(seen) < 30 {
		t.Errorf("only %d different intervals", len(seen))
	}
}
