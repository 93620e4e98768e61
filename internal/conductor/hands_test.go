package conductor_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/conductor"
)

// A gate stands before a world: it counts what passes and lets nothing be created while it is shut.
type gate struct {
	*stage
	mu       sync.Mutex
	shut     chan struct{} // nil: open
	creates  []glint.ID
	publishs int
	looks    int
	late     error // of the context that the last Create came with
	limit    func()
}

func (g *gate) Create(ctx context.Context, spec glint.InstanceSpec) error {
	g.mu.Lock()
	g.creates = append(g.creates, spec.ID)
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
	g.mu.Lock()
	g.late = ctx.Err()
	g.mu.Unlock()
	return g.world.Create(ctx, spec)
}

func (g *gate) Destroy(ctx context.Context, id glint.ID, grace time.Duration) error {
	return g.world.Destroy(ctx, id, grace)
}

func (g *gate) List(ctx context.Context) (glint.Listing, error) { return g.world.List(ctx) }

func (g *gate) Status(ctx context.Context) (glint.BalancerStatus, error) { return g.world.Status(ctx) }

func (g *gate) Publish(ctx context.Context, r glint.Routes) error {
	g.count(&g.publishs)
	return g.world.Publish(ctx, r)
}

// count stops a loop that runs hot: within it the clock of a bubble stands still.
func (g *gate) count(n *int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if *n++; *n > 2000 {
		g.limit()
	}
}

func (g *gate) look(ctx context.Context, b glint.Blueprint) glint.Observation {
	g.count(&g.looks)
	return g.stage.look(ctx, b)
}

// conduct runs a conductor behind a gate in a bubble, in which time passes by itself.
func conduct(t *testing.T, launches int, do func(g *gate, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{stage: newStage(t, &strings.Builder{})}
		g.boss = conductor.New(conductor.Config{Store: g.store, Platform: g, Balancer: g, Look: g.look, Now: time.Now, Launches: launches})
		ctx, cancel := context.WithCancel(t.Context())
		g.limit = cancel
		done := make(chan struct{})
		go func() {
			_ = g.boss.Run(ctx)
			close(done)
		}()
		stop := func() { cancel(); <-done }
		do(g, stop)
		stop()
		g.boss.Settle()
		if g.looks > 2000 || g.publishs > 2000 {
			t.Errorf("the loop runs hot: %d looks, %d publications", g.looks, g.publishs)
		}
	})
}

func (g *gate) begun() []glint.ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.creates)
}

func (g *gate) apply(spec string) { g.run(append([]string{"apply"}, strings.Fields(spec)...)) }

// shutUntil keeps the gate shut until the returned function is called.
func (g *gate) shutUntil() (open func()) {
	shut := make(chan struct{})
	g.mu.Lock()
	g.shut = shut
	g.mu.Unlock()
	return func() {
		g.mu.Lock()
		g.shut = nil
		g.mu.Unlock()
		close(shut)
	}
}

// Routes that are accepted and never come into force are published again, but not without a pause.
func TestNeverInForce(t *testing.T) {
	conduct(t, 0, func(g *gate, _ func()) {
		g.world.Ack = time.Hour
		g.apply("web:v1 n=1")
		time.Sleep(time.Minute)
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.publishs < 10 || g.publishs > 200 {
			t.Errorf("published %d times in a minute", g.publishs)
		}
	})
}

// While the second try of a step takes its time, the loop turns no faster than without it.
func TestSlowStep(t *testing.T) {
	conduct(t, 0, func(g *gate, _ func()) {
		g.world.Refuses = true
		g.apply("web:v1 n=1")
		time.Sleep(time.Millisecond)
		open := g.shutUntil()
		g.world.Refuses = false
		time.Sleep(time.Minute)
		open()
	})
}

// Whoever waits for a place among the launches does not lose patience with a platform that has not been asked yet.
func TestPatience(t *testing.T) {
	conduct(t, 1, func(g *gate, _ func()) {
		open := g.shutUntil()
		g.apply("web:v1 n=3 start=1h")
		time.Sleep(time.Second)
		if begun := g.begun(); len(begun) != 1 {
			t.Fatalf("begun: %v", begun)
		}
		time.Sleep(10 * time.Minute)
		open()
		time.Sleep(time.Second)
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.late != nil || len(g.world.IDs()) != 3 {
			t.Errorf("%v stand; %v", g.world.IDs(), g.late)
		}
	})
}

// What waits for its place when a server stops is not begun any more: the server would have to wait for it.
func TestStop(t *testing.T) {
	conduct(t, 1, func(g *gate, stop func()) {
		open := g.shutUntil()
		g.apply("web:v1 n=9")
		time.Sleep(time.Second)
		stop()
		open()
		g.boss.Settle()
		if begun := g.begun(); len(begun) != 1 {
			t.Errorf("begun after the end: %v", begun[1:])
		}
	})
}

// A stack does not end before what was begun for it has ended, and what waits for its place and is wanted no more is not
// begun: an instance of a stack that has ended would live for ever.
func TestEndWaits(t *testing.T) {
	conduct(t, 1, func(g *gate, _ func()) {
		open := g.shutUntil()
		g.apply("web:v1 n=3")
		time.Sleep(time.Second)
		g.run([]string{"destroy"})
		time.Sleep(5 * time.Second)
		g.world.Advance(time.Minute) // all routes are in force
		time.Sleep(5 * time.Second)
		open()
		time.Sleep(20 * time.Second)
		stacks, err := g.store.Stacks(t.Context())
		if err != nil || len(stacks) != 0 {
			t.Errorf("stacks %v (%v), blueprint %+v", stacks, err, g.head())
		}
		if begun := g.begun(); len(g.world.IDs()) != 0 || len(begun) != 1 {
			t.Errorf("%v live on; begun: %v", g.world.IDs(), begun)
		}
	})
}

// A stack that has ended leaves nothing behind in the conductor, and begins again as if it had never been.
func TestBeginsAgain(t *testing.T) {
	conduct(t, 0, func(g *gate, _ func()) {
		g.world.Boot, g.world.Ack, g.world.Drain = 0, 0, 0
		for life := range 3 {
			g.apply(fmt.Sprintf("web:v%d n=2", life))
			time.Sleep(time.Second)
			if len(g.world.IDs()) != 2 {
				t.Fatalf("life %d: %v", life, g.world.IDs())
			}
			g.run([]string{"destroy"})
			time.Sleep(time.Minute)
			if stacks, _ := g.store.Stacks(t.Context()); len(stacks) != 0 || len(g.world.IDs()) != 0 {
				t.Fatalf("life %d does not end: %v", life, g.world.IDs())
			}
			if last, ok := g.boss.Last(stack); ok {
				t.Errorf("remembers blueprint %d of a stack that has ended", last.Blueprint.Number)
			}
			if n := g.boss.Loops(); n != 0 {
				t.Errorf("%d loops after all stacks have ended", n)
			}
		}
	})
}

// Times are stored in UTC, wherever the server is.
func TestUTC(t *testing.T) {
	s := newStage(t, &strings.Builder{})
	here := time.FixedZone("here", 3600)
	s.boss = conductor.New(conductor.Config{Store: s.store, Platform: s.world, Balancer: s.world, Look: s.look, Now: func() time.Time { return s.world.Now().In(here) }})
	s.run([]string{"apply", "web:v1"})
	s.turn()
	if f := s.head().Services[0]; f.Since.Location() != time.UTC || f.Members[0].Created.Location() != time.UTC {
		t.Errorf("since %s, created %s", f.Since, f.Members[0].Created)
	}
}

// A note that was told with one step is not told again with the next: else an update of a thousand instances would keep a
// million of them.
func TestNotesOnce(t *testing.T) {
	s := newStage(t, &strings.Builder{})
	s.run(strings.Fields("apply web:v1 n=9"))
	s.pass("10s")
	s.run(strings.Fields("apply web:v2 n=9"))
	s.pass("60s")
	steps, err := s.store.Steps(t.Context(), stack, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var before []glint.Note
	told := 0
	for _, step := range steps {
		for _, n := range step.Notes {
			if told++; slices.Contains(before, n) {
				t.Errorf("step %d tells again: %s", step.Number, n.Text)
			}
		}
		before = step.Notes
	}
	if told == 0 || told > 60 {
		t.Errorf("%d notes of 9 instances", told)
	}
}
