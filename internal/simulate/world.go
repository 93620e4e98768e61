package simulate

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform/sim"
	"github.com/glint-infra/glint/internal/store"
	"github.com/glint-infra/glint/internal/store/mem"
)

// A world is one life of a control plane with its people, its faults and its time. All that happens in it follows from its
// seed.
type world struct {
	seed   uint64
	rng    *rand.Rand
	mood   mood
	sim    *sim.World
	store  store.Store
	bosses []*boss
	hired  int
	hands  []*hand
	at     *hand // who works now
	steps  []begun
	timers []timer
	nested bool // within a step of a conductor

	// How this world is.
	backstop  time.Duration // of its conductors
	asking    time.Duration // how long it takes to ask an instance whether it is ready
	most      int           // things that may happen at one moment
	hints     bool          // conductors are told when something happens
	slow      int           // percent of steps that begin late
	hiccup    int           // between how many calls one is held up; 0: never
	falls     bool          // conductors fall
	overtakes bool          // conductors overtake each other
	can       map[feature]bool
	evils     []evil
	skew      time.Duration // of the conductors' clock
	jumped    time.Time     // when it was set last
	jumps     time.Duration // how far in all
	ends      [faults]time.Time
	base      struct { // how the platform is when nothing befalls it
		Rate      int
		Boot, Lag time.Duration
	}

	meddle func(*world) // breaks a promise, in tests

	people   people
	promises promises
	stories  map[glint.ID]*life
	report   Report
	loud     bool
	story    strings.Builder
	told     map[string]bool // notes, in this story
}

// begun is a step that a conductor has begun and nobody has taken yet.
type begun struct {
	boss *boss
	step func()
	at   time.Time
}

type timer struct {
	at time.Time
	do func()
}

func newWorld(seed uint64, loud bool) *world {
	w := &world{
		seed: seed, loud: loud, most: tooMany, sim: sim.New(), rng: rand.New(rand.NewPCG(seed, 0x676c696e74)),
		stories: map[glint.ID]*life{}, report: newReport(), promises: newPromises(), told: map[string]bool{},
	}
	w.sim.Sleep = w.sleep
	w.draw()
	return w
}

// chance is true in so many of a hundred cases.
func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

// rarely is true in one of n cases.
func (w *world) rarely(n int) bool { return w.rng.IntN(n) == 0 }

// time draws a length of time, in quarters of a second.
func (w *world) time(least, most time.Duration) time.Duration {
	const quarter = 250 * time.Millisecond
	return least + time.Duration(w.rng.Int64N(int64((most-least)/quarter)+1))*quarter
}

func one[T any](w *world, all ...T) T { return all[w.rng.IntN(len(all))] }

// draw decides how the world is.
func (w *world) draw() {
	w.mood = moods[w.rng.IntN(len(moods))]
	switch w.rng.IntN(20) {
	case 0:
		w.store = paper{mem.New()}
	case 1:
		w.store = mem.New()
	default:
		w.store = newShelf()
	}
	s := w.sim
	s.Boot, s.Ack, s.Drain = w.time(0, 3*time.Second), w.time(0, 1500*time.Millisecond), w.time(0, 5*time.Second)
	if w.chance(50) {
		s.Planes = []*sim.Plane{{Name: "a", Ack: s.Ack}, {Name: "b", Ack: w.time(0, 2*time.Second)}}
	}
	if w.mood.machine {
		s.Make, s.Boot = w.time(20*time.Second, 2*time.Minute), w.time(5*time.Second, time.Minute)
		s.Rate, s.Lag = one(w, 0, 1, 3, 10), one(w, 0, 0, 5*time.Second, 20*time.Second)
	}
	spread := w.rng.IntN(4)
	s.BootOf = func(id glint.ID) time.Duration {
		h := fnv.New32a()
		fmt.Fprint(h, w.seed, id.N)
		return s.Boot + time.Duration(int(h.Sum32()>>8)%(spread+1))*500*time.Millisecond
	}
	w.base.Rate, w.base.Boot, w.base.Lag = s.Rate, s.Boot, s.Lag
	w.hints = w.chance(70)
	w.backstop = time.Second
	if w.hints {
		w.backstop = one(w, time.Second, 5*time.Second, 30*time.Second)
	}
	w.asking = one(w, 0, 0, time.Second, 4*time.Second)
	if w.mood.faults {
		w.slow = one(w, 0, 0, 10, 50)
	}
	if w.mood.faults || w.mood.overtaken {
		w.hiccup = one(w, 0, 300, 100, 30)
		w.falls = w.mood.faults && w.chance(60)
	}
	w.overtakes = w.mood.overtaken
	w.drawFeatures()
	w.drawEvils()
	if s.Lag > 0 || slices.ContainsFunc(w.evils, func(e evil) bool { return e.name == "late" }) {
		s.Remember = 20 * time.Second
	}
}

// run lives the whole life of a world.
func (w *world) run() {
	w.tell("%s world; boot %s, ack %s, drain %s, backstop %s, hints %v, store %T", w.mood.name, w.sim.Boot, w.sim.Ack, w.sim.Drain, w.backstop, w.hints, w.store)
	w.hire()
	if w.mood.two {
		w.hire()
	}
	w.declare()
	w.pass(w.time(0, 30*time.Second))
	for range 2 + w.rng.IntN(10) {
		if w.mood.people > w.rng.IntN(100) || len(w.evils) == 0 {
			w.folk()
		} else {
			w.befall()
		}
		w.pass(w.gap())
	}
	w.peace()
	w.explained()
}

// gap is how long it takes until something else is done or happens.
func (w *world) gap() time.Duration {
	switch w.rng.IntN(4) {
	case 0:
		return w.time(0, time.Second)
	case 1:
		return w.time(0, 5*time.Second)
	case 2:
		return w.time(0, 20*time.Second)
	}
	return w.time(0, time.Minute) * time.Duration(w.mood.patience)
}

// pass lets time go by: from one moment at which something happens to the next.
func (w *world) pass(d time.Duration) {
	if w.meddle != nil {
		w.meddle(w)
	}
	for end := w.sim.Now().Add(d); ; {
		w.fading()
		w.work()
		w.judge()
		next := w.next(end)
		before := w.sim.Now()
		w.report.Virtual += next.Sub(before)
		w.sim.Advance(next.Sub(before))
		if !next.Before(end) {
			return
		}
	}
}

// next is the next moment at which something happens, end at the latest.
func (w *world) next(end time.Time) time.Time {
	now := w.sim.Now()
	least := end
	take := func(t time.Time) {
		if t.Before(least) {
			least = t
		}
	}
	if t := w.sim.Next(); !t.IsZero() {
		take(t)
		if t.Equal(least) && w.hints {
			for _, b := range w.bosses {
				b.poke(least.Sub(now))
			}
		}
	}
	for _, b := range w.bosses {
		if !b.turning {
			take(b.at)
		}
	}
	for _, s := range w.steps {
		take(s.at)
	}
	for _, h := range w.hands {
		if h.step != nil && h != w.at {
			take(h.wake)
		}
	}
	for _, t := range w.timers {
		take(t.at)
	}
	if least.Before(now) {
		return now
	}
	return least
}

// tooMany is how many things may happen at one moment before a world counts as one that runs hot.
const tooMany = 400

// work does everything that is due.
func (w *world) work() {
	for range w.most {
		if !w.workOnce() {
			return
		}
	}
	w.fail("rest", "the loops do not stand still: more than %d turns and steps at one moment", w.most)
}

func (w *world) workOnce() bool {
	now := w.sim.Now()
	for i, t := range w.timers {
		if !t.at.After(now) {
			w.timers = slices.Delete(w.timers, i, i+1)
			t.do()
			return true
		}
	}
	for _, h := range w.hands {
		if h.step != nil && h != w.at && !h.wake.After(now) {
			w.goOn(h)
			return true
		}
	}
	for i, s := range w.steps {
		if !s.at.After(now) {
			w.steps = slices.Delete(w.steps, i, i+1)
			w.take(s.boss, s.step)
			return true
		}
	}
	for _, b := range w.bosses {
		if !b.turning && !b.at.After(now) {
			b.turn()
			return true
		}
	}
	return false
}

// after does something after a while.
func (w *world) after(d time.Duration, do func()) {
	w.timers = append(w.timers, timer{w.sim.Now().Add(d), do})
}

// lives reports whether the stack is in that life.
func (w *world) lives(e glint.Epoch) bool {
	b, err := w.store.Head(context.Background(), stack)
	return err == nil && b.Epoch == e
}

// head is the newest blueprint; false when the stack does not live.
func (w *world) head() (glint.Blueprint, bool) {
	b, err := w.store.Head(context.Background(), stack)
	return b, err == nil
}

func (w *world) revisions() []glint.Revision {
	all, _ := w.store.Revisions(context.Background(), stack)
	return all
}

func (w *world) releaseOf(revision int) (glint.Release, bool) {
	all := w.revisions()
	if revision < 1 || revision > len(all) {
		return glint.Release{}, false
	}
	rel, err := w.store.Release(context.Background(), all[revision-1].Release)
	return rel, err == nil
}

// A Finding is a promise that was not kept.
type Finding struct {
	Seed     uint64 `json:"seed"`
	Property string `json:"property"`
	Text     string `json:"text"`
	Story    string `json:"story,omitempty"`
}

func (w *world) fail(property, format string, args ...any) {
	panic(&Finding{Seed: w.seed, Property: property, Text: w.clock() + " " + fmt.Sprintf(format, args...)})
}

func (w *world) clock() string { return w.sim.Now().Format("15:04:05.00") }

// tell writes a line of the world's story, if somebody wants to read it.
func (w *world) tell(format string, args ...any) {
	if w.loud {
		fmt.Fprintf(&w.story, "%s %s\n", w.clock(), fmt.Sprintf(format, args...))
	}
}
