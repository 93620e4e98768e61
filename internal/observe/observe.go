// Package observe looks at the world for one stack: what its platform lists, what probes find, what the balancing plane
// acknowledges and still carries, and who did not answer. It does not decide what any of it means.
//
// # What health says
//
// Health is {known, ready, live}, after thresholds and damping, so that one bad answer never becomes a blueprint.
//
// Known is false until the first verdict: "not asked yet" or "nobody could ask". It is no evidence against an instance.
// A restarted server knows nothing; an instance that takes requests must not lose them because nobody has asked it yet.
//
//   - Ready, after ReadyAfter good answers on end.
//   - Not ready, after UnreadyAfter bad answers on end.
//   - Not live, after bad answers on end for ReplaceAfter and at least UnreadyAfter of them. One good answer makes it live
//     again. An instance that was never ready is never found not live: how long it may take to start is the planner's matter.
//
// When asking itself fails (no descriptor left, the command could not be run) that is no answer: nothing is counted. After
// UnreadyAfter such tries on end Known becomes false, and Ready and Live stay as they were.
//
// An instance whose platform has a verdict of its own (an engine's probe) is taken at its platform's word. One without a
// declared probe is ready as soon as its program runs.
//
// # Damping
//
// An instance may fall from ready to not ready twice within five minutes without consequence. Each further fall within
// them doubles the number of good answers on end that it then needs, up to 32 times ReadyAfter. Falls older than five
// minutes no longer count, so an instance that answers well for that long is ready whatever it did before.
package observe

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer"
	"github.com/glint-infra/glint/internal/platform"
)

var errClosed = errors.New("the observer is closed")

// Vantage names who asked: a prober on the host of the instances.
const Vantage = "host"

// A Config is what an Observer looks at.
type Config struct {
	Platform platform.Platform
	Balancer balancer.Balancer
	// Hint is called with the name of a stack of which something may have changed. It must not block. May be nil.
	Hint func(stack string)
	// AtOnce bounds how many probes are under way at the same time, over all stacks; 0 means 64. Of these at most
	// four are commands inside instances, which cost a hundred times as much.
	AtOnce int
}

// An Observer looks, and keeps probing what it has seen between looks. All methods may be called at the same time.
type Observer struct {
	platform platform.Platform
	balancer balancer.Balancer
	hint     func(stack string)
	listings *gatherer[glint.Listing]
	statuses *gatherer[glint.BalancerStatus]
	ask      func(context.Context, target) answer
	slots    chan struct{} // one for each probe under way
	commands chan struct{} // one for each command probe under way

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex // guards what is below
	closed bool
	stacks map[string]*stack
}

// A stack is what the observer remembers between looks.
type stack struct {
	blueprint int // number of the newest blueprint that was looked with
	listing   int // number of the newest listing that was looked at
	probers   map[glint.ID]*prober
}

// New returns an observer. Close ends it.
func New(c Config) *Observer {
	ctx, cancel := context.WithCancel(context.Background())
	o := &Observer{
		platform: c.Platform, balancer: c.Balancer, hint: c.Hint,
		listings: newGatherer(c.Platform.List), statuses: newGatherer(c.Balancer.Status),
		slots: make(chan struct{}, cmp.Or(c.AtOnce, 64)), commands: make(chan struct{}, 4),
		ctx: ctx, cancel: cancel, stacks: map[string]*stack{},
	}
	o.ask = newAsker(c.Platform).ask
	if o.hint == nil {
		o.hint = func(string) {}
	}
	return o
}

// Look returns what is seen now of bp.Stack: instances of every epoch, wanted or not. The listing and the status of the
// balancing plane were asked for after Look was called, and may be shared with other looks; what the observation points
// at must not be changed. Who does not answer within 10s or before ctx ends, or fails to, is named in Silent with the
// cause. After Close nobody answers.
func (o *Observer) Look(ctx context.Context, bp glint.Blueprint) glint.Observation {
	ctx, cancel := context.WithTimeout(ctx, answerWithin+time.Second) // also for those who do not heed theirs
	defer cancel()
	listing, status := o.listings.start(o), o.statuses.start(o)
	seen, err := listing.wait(ctx)
	obs := glint.Observation{At: seen.At.UTC(), Complete: seen.Complete && err == nil, Silent: slices.Clone(seen.Silent), Places: seen.Places}
	if seen.At.IsZero() {
		obs.At = time.Now().UTC()
	}
	if err != nil {
		obs.Silent = append(obs.Silent, "platform: "+sentence(err.Error()))
	}
	for _, in := range seen.Instances {
		if in.ID.Stack == bp.Stack {
			obs.Instances = append(obs.Instances, in)
		}
	}
	slices.SortFunc(obs.Instances, func(a, b glint.Instance) int { return a.ID.Compare(b.ID) })
	st, err := status.wait(ctx)
	addTraffic(&obs, bp.Stack, st, err)
	o.addHealth(&obs, bp, listing.number)
	return obs
}

// addTraffic merges what the balancing plane says. An incomplete count proves traffic, never its absence.
func addTraffic(obs *glint.Observation, stack string, st glint.BalancerStatus, err error) {
	if err != nil {
		st = glint.BalancerStatus{Acks: map[string][]glint.Ack{stack: {{Member: "balancer", Kind: glint.Unknown}}}}
		obs.Silent = append(obs.Silent, "balancer: "+sentence(err.Error()))
	}
	obs.Acks = slices.Clone(st.Acks[stack])
	for i := range obs.Instances {
		in := &obs.Instances[i]
		in.InFlight = st.InFlight[in.ID]
		if !st.Complete && in.InFlight <= 0 {
			in.InFlight = -1
		}
	}
}

// addHealth fills in health, starts probers for what runs and stops those that have nothing to ask any more.
func (o *Observer) addHealth(obs *glint.Observation, bp glint.Blueprint, listing int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	s := o.stacks[bp.Stack]
	wanted := members(bp)
	if s == nil && len(wanted) == 0 && len(obs.Instances) == 0 {
		return // nothing to remember, and a preview may look at what will never be
	}
	if s == nil {
		s = &stack{probers: map[glint.ID]*prober{}}
		o.stacks[bp.Stack] = s
	}
	// A look that was overtaken by a newer one may read, but must not start or stop anything.
	overtaken := listing < s.listing || bp.Number < s.blueprint
	if !overtaken {
		s.listing, s.blueprint = listing, bp.Number
	}
	for i := range obs.Instances {
		in := &obs.Instances[i]
		m, ok := wanted[in.ID]
		if in.Health.Known || !ok || in.State != glint.Running {
			continue
		}
		in.Health = o.health(s, *in, m, overtaken)
	}
	if !overtaken {
		s.retire(*obs, wanted)
	}
}

// health returns what is known of a running member, and sees to it that more will be.
func (o *Observer) health(s *stack, in glint.Instance, m member, overtaken bool) glint.Health {
	p := s.probers[in.ID]
	switch {
	case m.template.Health == nil:
		since := in.Started
		if since.IsZero() {
			since = in.Created
		}
		return glint.Health{Known: true, Ready: true, Live: true, Since: since, Vantage: Vantage, Detail: "it runs; no health check is declared"}
	case p == nil && !overtaken && (in.Address != "" || m.template.Health.Exec != nil):
		p = o.startProber(target{id: in.ID, address: in.Address, template: m.template, probe: withDefaults(*m.template.Health)}, m.seen)
		s.probers[in.ID] = p
	}
	if p == nil {
		return glint.Health{Live: true, Vantage: Vantage, Detail: "not asked yet"}
	}
	return p.health()
}

// retire stops the probers of what is no member, does not run any more, or is certainly gone.
func (s *stack) retire(obs glint.Observation, wanted map[glint.ID]member) {
	for id, p := range s.probers {
		in, seen := obs.Instance(id)
		_, ok := wanted[id]
		if !ok || seen && in.State != glint.Running || !seen && obs.Complete {
			p.stop()
			delete(s.probers, id)
		}
	}
}

// A member is what the blueprint says of an instance.
type member struct {
	template glint.Template
	seen     bool
}

func members(bp glint.Blueprint) map[glint.ID]member {
	all := map[glint.ID]member{}
	for _, f := range bp.Services {
		for _, m := range f.Members {
			if t, ok := f.Templates[m.Version]; ok {
				all[bp.ID(f.Name, m)] = member{template: t, seen: m.Seen}
			}
		}
	}
	return all
}

// Forget stops probing a stack that has ended. The next Look at it begins anew.
func (o *Observer) Forget(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.stacks[name]; s != nil {
		for _, p := range s.probers {
			p.stop()
		}
		delete(o.stacks, name)
	}
}

// Close stops all probers and waits for them. No hint is given after it.
func (o *Observer) Close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.cancel()
	o.wg.Wait()
}

// spawn runs f, which must end soon after o.ctx does, unless the observer is closed. The caller holds no lock that f needs.
func (o *Observer) spawn(f func()) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.wg.Go(f)
	}
	return !o.closed
}
