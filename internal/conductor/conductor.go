// Package conductor carries blueprints out: it looks, has the planner decide and the judge check, writes down, and acts.
// It has hands and no opinions; whatever is to be decided is decided in plan.
package conductor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/check"
	"github.com/glint-infra/glint/internal/plan"
	"github.com/glint-infra/glint/internal/platform"
	"github.com/glint-infra/glint/internal/store"
)

// Config is what a conductor works with. All fields are needed unless they say otherwise.
type Config struct {
	Store    store.Store
	Platform platform.Platform
	Balancer balancer.Balancer
	Look     func(context.Context, glint.Blueprint) glint.Observation
	Now      func() time.Time
	Ended    func(stack string) error // gives back what was kept for a stack that has ended; may be nil
	Told     func(Turn)               // is told of every turn, for logs and tests; may be nil

	// Beside is given each step, to be taken after it has returned; nil: steps are taken on goroutines of their own. A
	// simulation takes them when it pleases: then Launches must be beyond what it has under way at the same time.
	Beside func(step func())

	Launches int           // instances created at the same time; 0 means 4
	Backstop time.Duration // the longest time between two looks at a stack; 0 means 1s
}

// A Turn is what one turn of the loop found and did.
type Turn struct {
	Blueprint glint.Blueprint
	Seen      glint.Observation
	Advanced  bool // the blueprint is new
	Notes     []glint.Note
	Events    []glint.Event
	Actions   []glint.Action // begun in this turn
	Wake      time.Time      // zero: only an event or the backstop
	Ended     bool           // the stack has ended
}

// A Conductor turns the loop for every stack.
type Conductor struct {
	cfg   Config
	hands *hands

	mu    sync.Mutex
	loops map[string]*loop // by stack
}

// A loop is one stack's turning wheel and what its last turn found.
type loop struct {
	poke chan struct{} // holds one
	turn sync.Mutex    // one turn at a time

	mu   sync.Mutex
	last Turn
	kept glint.Observation // what the last stored step has seen
	told []glint.Note      // and its notes
}

// New returns a conductor at rest.
func New(cfg Config) *Conductor {
	if cfg.Launches == 0 {
		cfg.Launches = 4
	}
	if cfg.Backstop == 0 {
		cfg.Backstop = time.Second
	}
	c := &Conductor{cfg: cfg, loops: map[string]*loop{}}
	c.hands = newHands(cfg, c.Poke)
	return c
}

func (c *Conductor) loop(stack string) *loop {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.loops[stack]
	if !ok {
		l = &loop{poke: make(chan struct{}, 1)}
		c.loops[stack] = l
	}
	return l
}

// Poke asks for a turn of a stack's loop soon. An empty name means every stack.
func (c *Conductor) Poke(stack string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, l := range c.loops {
		if stack == "" || stack == name {
			select {
			case l.poke <- struct{}{}:
			default:
			}
		}
	}
}

// Last returns what the last turn of a stack found; false before the first.
func (c *Conductor) Last(stack string) (Turn, bool) {
	c.mu.Lock()
	l, ok := c.loops[stack]
	c.mu.Unlock()
	if !ok {
		return Turn{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, l.last.Blueprint.Stack != ""
}

// Settle waits until every action that has begun has ended.
func (c *Conductor) Settle() { c.hands.wait() }

// Step turns a stack's loop once. It returns when the blueprint is written down and its actions have begun.
func (c *Conductor) Step(ctx context.Context, stack string) (Turn, error) {
	l := c.loop(stack)
	l.turn.Lock()
	defer l.turn.Unlock()
	turn, err := c.step(ctx, stack, l)
	if turn.Ended {
		l.forget()
	}
	if err != nil {
		return turn, fmt.Errorf("conducting %s: %w", stack, err)
	}
	if !turn.Ended {
		l.mu.Lock()
		l.last = turn
		l.mu.Unlock()
	}
	if c.cfg.Told != nil {
		c.cfg.Told(turn)
	}
	return turn, nil
}

// errGone means that there is no such stack, or that it has ended.
var errGone = errors.New("it does not live")

func (c *Conductor) step(ctx context.Context, stack string, l *loop) (Turn, error) {
	have, err := c.cfg.Store.Head(ctx, stack)
	if errors.Is(err, glint.ErrNotFound) {
		err = fmt.Errorf("%w: %w", errGone, err)
	}
	if err != nil {
		return Turn{}, err
	}
	in, err := c.intent(ctx, have)
	if err != nil {
		return Turn{}, err
	}
	idle := c.hands.idle(stack) // before the look: what ends after it may have left what it did not see
	seen := c.cfg.Look(ctx, have)
	seen.Troubles = c.hands.troubles(stack)
	now := c.cfg.Now().UTC()
	d := plan.Next(in, have, seen, now)
	turn := Turn{Blueprint: d.Blueprint, Seen: seen, Notes: d.Notes, Wake: d.Wake}
	if d.Blueprint.Number != have.Number {
		if err := check.Step(have, d.Blueprint, in.Releases[d.Blueprint.Target], seen); err != nil {
			c.hands.begin(ctx, stack, plan.Actions(have, seen)) // what was decided before still holds
			return Turn{}, c.refuse(ctx, have, d.Blueprint, err)
		}
		turn.Advanced, turn.Events = true, plan.Story(in, have, d.Blueprint, seen)
		c.lastWords(ctx, d.Blueprint, turn.Events)
		step := glint.Step{Stack: stack, Number: d.Blueprint.Number, At: now, Planner: plan.Version, Seen: l.evidence(seen), Changed: changed(have, d.Blueprint), Events: turn.Events, Notes: l.news(d.Notes)}
		if err := c.cfg.Store.Advance(ctx, d.Blueprint, step); err != nil {
			return Turn{}, fmt.Errorf("writing down blueprint %d: %w", d.Blueprint.Number, err)
		}
		l.keep(seen, d.Notes)
	}
	turn.Actions = c.hands.begin(ctx, stack, plan.Actions(d.Blueprint, seen))
	if err := c.closeOrders(ctx, d.Blueprint, in.Orders); err != nil {
		return turn, err
	}
	if idle && len(turn.Actions) == 0 {
		turn.Ended, err = c.end(ctx, in, d.Blueprint, seen)
	}
	return turn, err
}

// intent collects what people asked for, and the releases that the planner may need.
func (c *Conductor) intent(ctx context.Context, have glint.Blueprint) (plan.Intent, error) {
	in := plan.Intent{Releases: map[int]glint.Release{}}
	revisions, err := c.cfg.Store.Revisions(ctx, have.Stack)
	if err != nil {
		return in, err
	}
	if len(revisions) == 0 {
		return in, fmt.Errorf("%s has no revision: %w", have.Stack, glint.ErrNotFound)
	}
	in.Head = revisions[len(revisions)-1]
	for _, r := range revisions {
		if r.Number != in.Head.Number && r.Number != have.Target && r.Number != have.Stable {
			continue
		}
		if in.Releases[r.Number], err = c.cfg.Store.Release(ctx, r.Release); err != nil {
			return in, fmt.Errorf("reading the release of r%d: %w", r.Number, err)
		}
	}
	in.Orders, err = c.cfg.Store.Orders(ctx, have.Stack)
	return in, err
}

// refuse keeps a blueprint that the judge objects to from ever being stored. The stack stays as it is.
func (c *Conductor) refuse(ctx context.Context, have, next glint.Blueprint, objections error) error {
	l := c.loop(have.Stack)
	l.mu.Lock()
	told := slices.ContainsFunc(l.last.Notes, func(n glint.Note) bool { return n.Text == objections.Error() })
	l.last.Blueprint, l.last.Notes = have, []glint.Note{{Text: objections.Error()}}
	l.mu.Unlock()
	err := fmt.Errorf("refusing blueprint %d: %w", next.Number, objections)
	if told {
		return err
	}
	return errors.Join(err, c.cfg.Store.Record(ctx, have.Stack, glint.Event{At: c.cfg.Now().UTC(), Stack: have.Stack, Kind: glint.EventIncident, Blueprint: have.Number, Text: err.Error()}))
}

// closeOrders removes the orders that were taken up. One to replace an instance stays until that is no longer wanted.
func (c *Conductor) closeOrders(ctx context.Context, b glint.Blueprint, orders []glint.Order) error {
	for _, o := range orders {
		f, _ := b.Fleet(o.Instance.Service)
		m, ok := f.Member(o.Instance.N)
		replaces := o.Kind == glint.OrderReplace && ok && m.Stays() && o.Instance.Epoch == b.Epoch
		if o.ID > b.Ordered || replaces {
			continue
		}
		if err := c.cfg.Store.CloseOrder(ctx, b.Stack, o.ID); err != nil {
			return fmt.Errorf("closing order %d: %w", o.ID, err)
		}
	}
	return nil
}

// end forgets a stack that a person has destroyed, once nothing of it is left and the balancers have proven it.
func (c *Conductor) end(ctx context.Context, in plan.Intent, b glint.Blueprint, seen glint.Observation) (bool, error) {
	if in.Head.Kind != glint.KindDestroy || b.Revision != in.Head.Number || !seen.Complete || len(seen.Instances) > 0 || seen.Acked() < b.Routes {
		return false, nil
	}
	for _, f := range b.Services {
		if len(f.Members) > 0 {
			return false, nil
		}
	}
	if c.cfg.Ended != nil {
		if err := c.cfg.Ended(b.Stack); err != nil {
			return false, fmt.Errorf("ending %s: %w", b.Stack, err)
		}
	}
	err := c.cfg.Store.Record(ctx, b.Stack, glint.Event{At: c.cfg.Now().UTC(), Stack: b.Stack, Kind: glint.EventVerdict, Revision: b.Revision, Text: fmt.Sprintf("r%d: destroyed; volumes are kept", b.Revision)})
	if err != nil {
		return false, err
	}
	if err := c.cfg.Store.End(ctx, b.Stack, b.Number); err != nil {
		return false, fmt.Errorf("ending it: %w", err)
	}
	return true, nil
}

// changed lists the fleets that differ.
func changed(before, after glint.Blueprint) []glint.Fleet {
	var out []glint.Fleet
	for _, f := range after.Services {
		if was, ok := before.Fleet(f.Name); !ok || !alike(was, f) {
			out = append(out, f)
		}
	}
	return out
}

// evidence reduces an observation to what differs from the one kept with the step before.
func (l *loop) evidence(seen glint.Observation) glint.Observation {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := map[glint.ID]glint.Instance{}
	for _, in := range l.kept.Instances {
		kept[in.ID] = in
	}
	out := seen
	out.Instances = nil
	for _, in := range seen.Instances {
		if was, ok := kept[in.ID]; !ok || !alike(was, in) {
			out.Instances = append(out.Instances, in)
		}
	}
	return out
}

// news leaves out the notes that were kept with the step before: an update of a thousand instances would else keep a
// million of them.
func (l *loop) news(notes []glint.Note) []glint.Note {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := make(map[glint.Note]bool, len(l.told))
	for _, n := range l.told {
		told[n] = true
	}
	var out []glint.Note
	for _, n := range notes {
		if !told[n] {
			out = append(out, n)
		}
	}
	return out
}

func (l *loop) keep(seen glint.Observation, notes []glint.Note) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept, l.told = seen, notes
}

// forget drops what is known of a stack that has ended.
func (l *loop) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.kept, l.told = Turn{}, glint.Observation{}, nil
}

// Preview says what would happen if rel became the stack's newest revision now, and whether that comes to rest.
// It changes nothing. A stack that does not exist yet is previewed from nothing.
func (c *Conductor) Preview(ctx context.Context, rev glint.Revision, rel glint.Release) ([]plan.Stage, bool, error) {
	have, err := c.cfg.Store.Head(ctx, rev.Stack)
	if errors.Is(err, glint.ErrNotFound) {
		have, err = glint.Blueprint{Stack: rev.Stack, Epoch: "preview"}, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading the blueprint of %s: %w", rev.Stack, err)
	}
	in := plan.Intent{Releases: map[int]glint.Release{}}
	if have.Epoch != "preview" && have.Revision > 0 {
		if in, err = c.intent(ctx, have); err != nil {
			return nil, false, err
		}
	}
	rev.Number = max(in.Head.Number, have.Revision) + 1
	in.Head = rev
	in.Releases = maps.Clone(in.Releases)
	in.Releases[rev.Number] = rel
	stages, rests := plan.Preview(in, have, c.cfg.Look(ctx, have), c.cfg.Now().UTC())
	return stages, rests, nil
}
