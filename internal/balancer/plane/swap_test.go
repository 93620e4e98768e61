package plane_test

import (
	"sync"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer/balancertest"
	"github.com/glint-infra/glint/internal/balancer/plane"
)

// TestNothingDropped replaces members hundreds of times, with reloads in between, under clients of every kind, and destroys
// each old member as soon as the plane says that it may.
func TestNothingDropped(t *testing.T) {
	p, _, _ := open(t)
	const swaps, reloadEach = 120, 6
	first := []*balancertest.Instance{serve(t, "web", 1), serve(t, "web", 2), serve(t, "web", 3)}
	publish(t, p, routes(1, backend("web", glint.HTTP, first...)))
	await(t, p, 1)
	inside := balancertest.StartLoad(url("web"), "", balancertest.AllKinds)
	outside := balancertest.StartLoad("http://127.0.0.1", "shop.localhost", balancertest.AllKinds)
	var reaper reaper
	reaper.start(t, p)
	members := first
	for i := range swaps {
		next := serve(t, "web", i+4)
		old := members[0]
		members = append(members[1:], next)
		backends := []glint.Backend{backend("web", glint.HTTP, members...)}
		if i/reloadEach%2 == 1 { // a service that comes and goes makes HAProxy reload
			backends = append([]glint.Backend{backend("extra", glint.HTTP)}, backends...)
		}
		publish(t, p, routes(i+2, backends...))
		reaper.destroy(old, i+2)
		time.Sleep(20 * time.Millisecond)
	}
	reaper.wait(t)
	inside.Report(t)
	outside.Report(t)
	takeOff(t, p, "shop")
}

// A reaper destroys instances as the conductor does: once the generation without one is acknowledged and nothing is in flight.
type reaper struct {
	mu      sync.Mutex
	leaving map[*balancertest.Instance]int
	stop    chan struct{}
	done    chan struct{}
	failed  error
}

func (r *reaper) start(t *testing.T, p *plane.Plane) {
	r.leaving, r.stop, r.done = map[*balancertest.Instance]int{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(r.done)
		for {
			select {
			case <-r.stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			st, err := p.Status(t.Context())
			if err != nil {
				r.failed = err
				return
			}
			r.mu.Lock()
			for in, gone := range r.leaving {
				if st.Complete && balancertest.Acked(st, "shop") >= gone && st.InFlight[in.ID] == 0 {
					in.Kill()
					delete(r.leaving, in)
				}
			}
			r.mu.Unlock()
		}
	}()
}

func (r *reaper) destroy(in *balancertest.Instance, gone int) {
	r.mu.Lock()
	r.leaving[in] = gone
	r.mu.Unlock()
}

// wait waits until all that left is destroyed.
func (r *reaper) wait(t *testing.T) {
	t.Helper()
	until(t, "all members that left to be drained", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.leaving) == 0
	})
	close(r.stop)
	<-r.done
	if r.failed != nil {
		t.Fatal(r.failed)
	}
}
