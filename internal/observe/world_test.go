package observe

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestMain fails if the tests leave a goroutine behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	for end := time.Now().Add(20 * time.Second); code == 0 && runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
			code = 1
		}
	}
	os.Exit(code)
}

// A world is a platform and a balancing plane that say what the test wrote down.
type world struct {
	mu       sync.Mutex
	listing  glint.Listing
	listErr  error
	lists    int
	listTime time.Duration // how long a listing takes
	status   glint.BalancerStatus
	statErr  error
	hints    []string
	asks     map[glint.ID][]time.Time
	answers  func(id glint.ID, at time.Time) answer
	askTime  time.Duration
	underWay int
	most     int // asks under way at once
}

func (w *world) Create(context.Context, glint.InstanceSpec) error              { return nil }
func (w *world) Destroy(context.Context, glint.ID, time.Duration) error        { return nil }
func (w *world) Publish(context.Context, glint.Routes) error                   { return nil }
func (w *world) Status(context.Context) (glint.BalancerStatus, error)          { return w.status, w.statErr }
func (w *world) set(f func())                                                  { w.mu.Lock(); defer w.mu.Unlock(); f() }
func (w *world) Exec(context.Context, glint.ID, []string) (int, []byte, error) { return 0, nil, nil }

func (w *world) List(ctx context.Context) (glint.Listing, error) {
	w.mu.Lock()
	w.lists++
	l, err, d := w.listing, w.listErr, w.listTime
	l.Instances = slices.Clone(l.Instances)
	w.mu.Unlock()
	if d > 0 && !sleep(ctx, d) {
		return glint.Listing{}, ctx.Err()
	}
	return l, err
}

// ask stands where instances would be asked; ask_test.go asks real ones.
func (w *world) ask(ctx context.Context, t target) answer {
	w.mu.Lock()
	at := time.Now()
	w.asks[t.id] = append(w.asks[t.id], at)
	w.underWay++
	w.most = max(w.most, w.underWay)
	a := w.answers(t.id, at)
	d := w.askTime
	w.mu.Unlock()
	if d > 0 && !sleep(ctx, d) {
		a = answer{bad, "timeout"}
	}
	w.mu.Lock()
	w.underWay--
	w.mu.Unlock()
	return a
}

func (w *world) asking() (now, most, lists int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.underWay, w.most, w.lists
}

func (w *world) hinted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hints
	w.hints = nil
	return h
}

func (w *world) asked(id glint.ID) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asks[id])
}

// observer returns one that looks at w and is closed with the test.
func (w *world) observer(t *testing.T) *Observer {
	w.asks = map[glint.ID][]time.Time{}
	if w.answers == nil {
		w.answers = func(glint.ID, time.Time) answer { return answer{good, "fine"} }
	}
	o := New(Config{Platform: w, Balancer: w, Hint: func(s string) { w.set(func() { w.hints = append(w.hints, s) }) }})
	o.ask = w.ask
	t.Cleanup(o.Close)
	return o
}

func id(n int) glint.ID { return glint.ID{Stack: "shop", Epoch: "e1", Service: "web", N: n} }

func running(ids ...glint.ID) (all []glint.Instance) {
	for _, id := range ids {
		all = append(all, glint.Instance{ID: id, State: glint.Running, Address: fmt.Sprintf("127.0.0.%d", id.N%250+1)})
	}
	return all
}

// blueprint holds web.1 to web.n with the probe p.
func blueprint(p *glint.Probe, n int) glint.Blueprint {
	tpl := glint.Template{Ports: []glint.Port{{Name: "http", Number: 8080, Protocol: glint.HTTP}}, Health: p}
	f := glint.Fleet{Name: "web", Templates: map[glint.Digest]glint.Template{"v1": tpl}}
	for i := range n {
		f.Members = append(f.Members, glint.Member{N: i + 1, Version: "v1"})
	}
	return glint.Blueprint{Stack: "shop", Epoch: "e1", Number: 1, Services: []glint.Fleet{f}}
}

func look(t *testing.T, o *Observer, bp glint.Blueprint) glint.Observation {
	return o.Look(t.Context(), bp)
}

func health(t *testing.T, o *Observer, bp glint.Blueprint, id glint.ID) glint.Health {
	t.Helper()
	in, ok := look(t, o, bp).Instance(id)
	if !ok {
		t.Fatalf("%s is not seen", id)
	}
	return in.Health
}
