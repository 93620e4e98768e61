package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/conductor"
	"github.com/glint-infra/glint/internal/store"
)

const stack = "shop"

// A boss is a conductor, and how it gets hold of its world: not always as it means to.
type boss struct {
	store.Store // shared by all bosses
	w           *world
	name        string
	c           *conductor.Conductor
	born        time.Time
	skew        time.Duration // of its clock, beside what all clocks differ by
	dead        bool
	turning     bool
	at          time.Time // of its next turn
	notes       []glint.Note
	begun       int // steps begun in this turn
}

// hire puts a conductor in charge that remembers nothing.
func (w *world) hire() *boss {
	w.hired++
	b := &boss{Store: w.store, w: w, name: fmt.Sprintf("conductor %d", w.hired), born: w.sim.Now(), at: w.sim.Now()}
	b.c = conductor.New(conductor.Config{
		Store: b, Platform: b, Balancer: b, Look: b.look, Now: b.now, Beside: func(step func()) {
			b.begun++
			at := w.sim.Now()
			if w.slow > 0 && w.chance(w.slow) {
				at = at.Add(w.time(0, 3*time.Second))
			}
			w.steps = append(w.steps, begun{b, step, at})
		},
		Launches: 1 << 20, Backstop: w.backstop,
	})
	if w.mood.two && w.hired > 1 {
		b.skew = one(w, 0, 0, 250*time.Millisecond, -250*time.Millisecond, 2*time.Second, -2*time.Second)
	}
	w.bosses = append(w.bosses, b)
	return b
}

// fall ends a conductor wherever it is: what it does from now on reaches nobody.
func (w *world) fall(b *boss) {
	b.dead = true
	w.bosses = slices.DeleteFunc(w.bosses, func(o *boss) bool { return o == b })
	w.steps = slices.DeleteFunc(w.steps, func(s begun) bool { return s.boss == b })
}

func (b *boss) now() time.Time { return b.w.sim.Now().Add(b.w.skew + b.skew) }

// poke asks for a turn soon.
func (b *boss) poke(in time.Duration) {
	if at := b.w.sim.Now().Add(in); at.Before(b.at) {
		b.at = at
	}
}

// turn turns the loop once.
func (b *boss) turn() {
	b.turning, b.begun = true, 0
	t, err := b.c.Step(context.Background(), stack)
	b.turning = false
	if b.dead {
		return
	}
	rest := b.c.Rest(stack, t, err)
	b.at = b.w.sim.Now().Add(rest)
	switch {
	case err == nil && t.Ended:
	case err == nil:
		b.notes = t.Notes
		b.w.turned(b, t)
	case errors.Is(err, glint.ErrConflict), errors.Is(err, glint.ErrNotFound), errors.Is(err, errStore), errors.Is(err, errFallen):
		b.w.tell("%s: %v", b.name, err)
	default:
		b.w.fail("judge", "%s: %v", b.name, err)
	}
}

// look is what observe does, without its goroutines: one listing, one status, and what is known of health, which is asked
// beside the instances and is not late when a listing is.
func (b *boss) look(ctx context.Context, bp glint.Blueprint) glint.Observation {
	w := b.w
	w.between(b, "looking")
	w.report.Steps++
	l, err := b.List(ctx)
	o := glint.Observation{At: l.At, Complete: l.Complete && err == nil, Silent: l.Silent, Places: l.Places}
	if err != nil {
		o.At, o.Silent = w.sim.Now(), append(o.Silent, "platform: "+err.Error())
	}
	st, _ := w.sim.Status(ctx)
	o.Acks = st.Acks[bp.Stack]
	now := w.sim.Now()
	for _, in := range l.Instances {
		if in.ID.Stack != bp.Stack {
			continue
		}
		in.InFlight = st.InFlight[in.ID]
		if !st.Complete && in.InFlight <= 0 {
			in.InFlight = -1
		}
		if in.State == glint.Running {
			in.Health = w.sim.Health(in.ID)
		}
		if in.State == glint.Running && now.Sub(b.born) < w.asking && now.Sub(in.Started) >= w.asking { // it asks all whom it does not know
			in.Health = glint.Health{Live: true, Detail: "not asked yet"}
		}
		o.Instances = append(o.Instances, in)
	}
	w.between(b, "deciding")
	return o
}

// List implements platform.Platform.
func (b *boss) List(ctx context.Context) (glint.Listing, error) {
	w := b.w
	if b.dead {
		return glint.Listing{}, errFallen
	}
	if w.on(unlisted) {
		return glint.Listing{}, errTimeout
	}
	l, err := w.sim.List(ctx)
	if w.on(doubled) && len(l.Instances) > 0 {
		i := w.rng.IntN(len(l.Instances))
		l.Instances = slices.Insert(l.Instances, i, l.Instances[i])
	}
	return l, err
}

// Create implements platform.Platform.
func (b *boss) Create(ctx context.Context, spec glint.InstanceSpec) error {
	w := b.w
	switch fate := w.fate(b); {
	case b.dead:
		return errFallen
	case fate == failed:
		return errTimeout
	case fate == takenAndFailed:
		_ = w.sim.Create(ctx, spec)
		return errTimeout
	case fate == takenLater:
		w.after(w.time(0, time.Minute), func() {
			if w.lives(spec.ID.Epoch) { // who makes instances of a stack that has ended makes orphans, and no conductor can know
				_ = w.sim.Create(ctx, spec)
			}
		})
		return errTimeout
	case fate == lied:
		return nil
	case fate == slow:
		if err := w.sleep(ctx, w.time(0, 20*time.Second)); err != nil || b.dead {
			return errFallen
		}
	}
	if !w.lives(spec.ID.Epoch) {
		return errTimeout
	}
	return w.sim.Create(ctx, spec)
}

// Destroy implements platform.Platform.
func (b *boss) Destroy(ctx context.Context, id glint.ID, grace time.Duration) error {
	return b.reach(ctx, func() error { return b.w.sim.Destroy(ctx, id, grace) })
}

// Publish implements balancer.Balancer.
func (b *boss) Publish(ctx context.Context, r glint.Routes) error {
	return b.reach(ctx, func() error { return b.w.sim.Publish(ctx, r) })
}

// Status implements balancer.Balancer.
func (b *boss) Status(ctx context.Context) (glint.BalancerStatus, error) { return b.w.sim.Status(ctx) }

func (b *boss) reach(ctx context.Context, act func() error) error {
	w := b.w
	switch fate := w.fate(b); {
	case b.dead:
		return errFallen
	case fate == failed, fate == takenLater, fate == lied:
		return errTimeout
	case fate == takenAndFailed:
		_ = act()
		return errTimeout
	case fate == slow:
		if err := w.sleep(ctx, w.time(0, 20*time.Second)); err != nil || b.dead {
			return errFallen
		}
	}
	return act()
}

// What befalls a step.
const (
	taken = iota
	failed
	takenAndFailed
	takenLater
	lied
	slow
	fates
)

var (
	errTimeout = errors.New("no answer in time")
	errStore   = errors.New("the store does not answer")
)

func (w *world) fate(*boss) int {
	if !w.on(clumsy) || w.chance(40) {
		return taken
	}
	return w.rng.IntN(fates)
}

// The calls of the store that a conductor makes: each can be the last of a server, or be held up.

// Head implements store.Store.
func (b *boss) Head(ctx context.Context, name string) (glint.Blueprint, error) {
	if err := b.ask("reading the blueprint"); err != nil {
		return glint.Blueprint{}, err
	}
	return b.Store.Head(ctx, name)
}

// Revisions implements store.Store.
func (b *boss) Revisions(ctx context.Context, name string) ([]glint.Revision, error) {
	if err := b.ask("reading the revisions"); err != nil {
		return nil, err
	}
	return b.Store.Revisions(ctx, name)
}

// Orders implements store.Store.
func (b *boss) Orders(ctx context.Context, name string) ([]glint.Order, error) {
	if err := b.ask("reading the orders"); err != nil {
		return nil, err
	}
	return b.Store.Orders(ctx, name)
}

// Advance implements store.Store.
func (b *boss) Advance(ctx context.Context, next glint.Blueprint, step glint.Step) error {
	if err := b.ask("writing the blueprint"); err != nil {
		return err
	}
	have, err := b.Store.Head(ctx, next.Stack)
	if err != nil {
		return err
	}
	if err := b.Store.Advance(ctx, next, step); err != nil {
		return err
	}
	b.w.advanced(b, have, next, step)
	return b.answered("having written the blueprint")
}

// CloseOrder implements store.Store.
func (b *boss) CloseOrder(ctx context.Context, name string, id int) error {
	if err := b.ask("closing an order"); err != nil {
		return err
	}
	if err := b.Store.CloseOrder(ctx, name, id); err != nil {
		return err
	}
	return b.answered("having closed an order")
}

// End implements store.Store.
func (b *boss) End(ctx context.Context, name string, number int) error {
	if err := b.ask("ending the stack"); err != nil {
		return err
	}
	if err := b.Store.End(ctx, name, number); err != nil {
		return err
	}
	b.w.tell("the stack has ended")
	b.w.ended()
	return b.answered("having ended the stack")
}

// ask is what may happen before a call reaches the store.
func (b *boss) ask(doing string) error {
	b.w.between(b, doing)
	switch {
	case b.dead:
		return errFallen
	case b.w.on(storeless):
		return errStore
	}
	return nil
}

// answered is what may happen before the answer reaches its caller.
func (b *boss) answered(doing string) error {
	b.w.between(b, doing)
	switch {
	case b.dead:
		return errFallen
	case b.w.on(forgetful) && b.w.chance(50):
		return errStore
	}
	return nil
}

// between is what may happen between any two steps of a conductor: it falls, or it is held up while the world goes on.
func (w *world) between(b *boss, doing string) {
	if !b.turning || b.dead || w.nested || w.hiccup == 0 || !w.rarely(w.hiccup) {
		return
	}
	w.nested = true
	defer func() { w.nested = false }()
	if w.falls && w.chance(40) {
		w.count("fault", "crash between two steps")
		w.tell("%s falls, %s", b.name, doing)
		w.fall(b)
		if len(w.bosses) == 0 {
			w.hire()
		}
		return
	}
	w.count("fault", "held up between two steps")
	w.tell("%s is held up, %s", b.name, strings.TrimSpace(doing))
	if w.overtakes && w.chance(50) {
		if len(w.bosses) < 2 {
			w.hire()
		}
		if w.chance(40) {
			w.folk()
		}
	}
	w.pass(w.time(0, 8*time.Second))
	w.tell("%s goes on, %s", b.name, doing)
}
