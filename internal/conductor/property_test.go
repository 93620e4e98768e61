package conductor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

// A walk is a random world: people, faults and time, in any order.
type walk struct {
	*stage
	rt    *rapid.T
	story *strings.Builder
	n     int    // instances of web, as last declared
	calm  bool   // only good releases, no faults: then web never falls below n
	full  bool   // web has been fully reachable since n was last changed
	front string // the service behind the host name, as last declared; empty: there is none
	open  bool   // the host name has led to somebody since it was declared
}

func newWalk(t *testing.T, rt *rapid.T, calm bool) *walk {
	out := &strings.Builder{}
	w := &walk{stage: newStage(t, out), rt: rt, story: out, calm: calm}
	w.world.Boot = time.Duration(rapid.IntRange(0, 12).Draw(rt, "boot")) * 250 * time.Millisecond
	w.world.Ack = time.Duration(rapid.IntRange(0, 6).Draw(rt, "ack")) * 250 * time.Millisecond
	w.reach.seed = rapid.Uint64().Draw(rt, "seed")
	w.world.Drain = time.Duration(rapid.IntRange(0, 20).Draw(rt, "drain")) * 250 * time.Millisecond
	return w
}

func (w *walk) fatal(format string, args ...any) {
	w.rt.Fatalf("%s\n\nthe story:\n%s", fmt.Sprintf(format, args...), w.story.String())
}

// declare applies a random release.
func (w *walk) declare() {
	n := rapid.IntRange(0, 4).Draw(w.rt, "n")
	v := rapid.SampledFrom([]string{"v1", "v2", "v3"}).Draw(w.rt, "version")
	spec := fmt.Sprintf("web:%s n=%d surge=%d", v, n, rapid.IntRange(1, 2).Draw(w.rt, "surge"))
	if rapid.Bool().Draw(w.rt, "aged") {
		spec += " max_age=30s"
	}
	if !w.calm {
		switch rapid.IntRange(0, 5).Draw(w.rt, "quality") {
		case 0:
			spec += " do=sick"
		case 1:
			spec += " do=exit,3,oops"
		case 2:
			spec += " do=missing"
		}
		spec += fmt.Sprintf(" unavailable=%d", rapid.IntRange(0, 5).Draw(w.rt, "unavailable"))
	}
	if rapid.Bool().Draw(w.rt, "with db") {
		spec += fmt.Sprintf(" ; db:%s volume from=web", v)
	}
	front := rapid.SampledFrom([]string{"", "shop", "site"}).Draw(w.rt, "front") // its name changes: another service
	if front != "" {
		spec += fmt.Sprintf(" ; %s:%s n=%d host=shop.localhost", front, v, rapid.IntRange(1, 2).Draw(w.rt, "fronts"))
	}
	if w.front, w.open = front, w.open && front != ""; n != w.n {
		w.full = false
	}
	w.n = n
	if rapid.IntRange(0, 5).Draw(w.rt, "retry") == 0 {
		spec += " retry"
	}
	fmt.Fprintf(w.story, "%s > apply %s\n", w.clock(), spec)
	w.run(append([]string{"apply"}, strings.Fields(spec)...))
}

// people ask for another release, or for the end of all.
func (w *walk) people() {
	if _, err := w.store.Head(context.Background(), stack); err == nil && rapid.IntRange(0, 4).Draw(w.rt, "destroy") == 0 {
		w.n, w.full, w.front, w.open = 0, false, "", false
		fmt.Fprintf(w.story, "%s > destroy\n", w.clock())
		w.run([]string{"destroy"})
		return
	}
	w.declare()
}

// fault does something bad to a random instance or to the world.
func (w *walk) fault() {
	ids := w.world.IDs()
	kind := rapid.SampledFrom([]string{"kill", "vanish", "sicken", "heal", "drift", "taint", "replace", "blind on", "blind off", "deaf on", "deaf off", "refuses on", "refuses off", "unasked on", "unasked off", "conductor", "crash", "overtaken", "clumsy on", "clumsy off", "clock"}).Draw(w.rt, "fault")
	words := strings.Fields(kind)
	switch kind {
	case "crash":
		w.crash()
		return
	case "overtaken":
		w.overtaken()
		return
	case "clumsy on", "clumsy off":
		w.reach.clumsy = words[1] == "on"
	case "clock":
		words = append(words, rapid.SampledFrom([]string{"-5m", "-3s", "3s", "5m"}).Draw(w.rt, "jump"))
	}
	if len(words) == 1 && kind != "conductor" {
		if len(ids) == 0 {
			return
		}
		words = append(words, rapid.SampledFrom(ids).Draw(w.rt, "whom").Short())
	}
	fmt.Fprintf(w.story, "%s > %s\n", w.clock(), strings.Join(words, " "))
	if words[0] != "clumsy" {
		w.run(words)
	}
}

// crash ends the conductor when its blueprint is written down and none, or some, of its actions have been begun.
func (w *walk) crash() {
	fmt.Fprintf(w.story, "%s > crash\n", w.clock())
	w.reach.falls = true
	if _, err := w.store.Head(context.Background(), stack); err == nil {
		w.turn()
	}
	w.reach.falls = false
	w.hire()
}

// overtaken has a conductor read its blueprint, or look, and go on from there after another one has gone on for a while.
func (w *walk) overtaken() {
	fmt.Fprintf(w.story, "%s > overtaken\n", w.clock())
	slow := w.boss
	when := &w.after
	if rapid.Bool().Draw(w.rt, "before its look") {
		when = &w.before
	}
	*when = func() {
		w.hire()
		if rapid.Bool().Draw(w.rt, "and people ask") {
			w.people()
		}
		w.live(time.Duration(rapid.IntRange(1, 20).Draw(w.rt, "quarters behind")) * 250 * time.Millisecond)
	}
	_, err := slow.Step(context.Background(), stack)
	w.before, w.after = nil, nil
	if err != nil && !errors.Is(err, glint.ErrConflict) && !errors.Is(err, glint.ErrNotFound) {
		w.fatal("who was overtaken: %v", err)
	}
	slow.Settle()
	w.hire()
}

// live lets time pass and holds the world to what users were promised.
func (w *walk) live(d time.Duration) {
	const tick = 250 * time.Millisecond
	for end := w.world.Now().Add(d); w.world.Now().Before(end); w.world.Advance(tick) {
		w.reach.land(w.head().Epoch)
		w.settle()
		w.promised()
		if harm := w.world.Harm(); len(harm) > 0 {
			w.fatal("%s: users noticed: %v", w.clock(), harm)
		}
	}
}

// promised: by nobody's fault nothing becomes less than what is wanted, and a host name leads to somebody.
func (w *walk) promised() {
	up, _ := w.world.Serving(stack, "web")
	if w.calm && w.full && up < w.n {
		w.fatal("%s: %d of %d reachable, by nobody's fault", w.clock(), up, w.n)
	}
	hosts := w.world.InForce(stack).Hosts
	led := 0
	for _, h := range hosts {
		led, _ = w.world.Serving(stack, h.To.Service)
	}
	if w.calm && w.open && led == 0 {
		w.fatal("%s: the host name leads nowhere: %v", w.clock(), hosts)
	}
	if couldBe := !w.full && up >= w.n || !w.open && led > 0; couldBe && w.serves() {
		w.full = w.full || up >= w.n
		w.open = w.open || w.front != "" && led > 0
	}
}

// serves reports whether the newest revision was seen to work.
func (w *walk) serves() bool {
	revs, _ := w.store.Revisions(context.Background(), stack)
	b := w.head()
	return b.Number > 0 && plan.Outcome(b, len(revs)) == glint.Serving
}

func (w *walk) settle() {
	for range 100 {
		if _, err := w.store.Head(context.Background(), stack); err != nil {
			return
		}
		before := w.head()
		t := w.turn()
		if t.Blueprint.Stack == "" {
			w.fatal("%s: the judge refused a blueprint", w.clock())
		}
		w.numbers(before, t.Blueprint)
		if !t.Advanced {
			return
		}
	}
	w.fatal("%s: the loop does not come to rest", w.clock())
}

// numbers: none is ever given out twice.
func (w *walk) numbers(before, after glint.Blueprint) {
	if before.Epoch != after.Epoch {
		w.fatal("%s: another life", w.clock())
	}
	for _, f := range before.Services {
		if g, ok := after.Fleet(f.Name); !ok || g.Last < f.Last {
			w.fatal("%s: the numbers of %s start again", w.clock(), f.Name)
		}
	}
}

// peace ends all faults and waits until the world is what was declared, or what it was turned back to.
func (w *walk) peace() {
	w.world.Blind, w.world.Deaf, w.world.Refuses, w.world.Unasked = false, false, false, false
	w.reach.clumsy = false
	for _, id := range w.world.IDs() {
		_ = w.world.Sicken(id, false)
	}
	fmt.Fprintf(w.story, "%s > peace\n", w.clock())
	for range 40 {
		w.live(30 * time.Second)
		if w.rested() {
			return
		}
	}
	w.fatal("%s: the world does not become what was declared", w.clock())
}

// rested reports whether the world is exactly what the blueprint's target asks for.
func (w *walk) rested() bool {
	revs, _ := w.store.Revisions(context.Background(), stack)
	if revs[len(revs)-1].Kind == glint.KindDestroy {
		_, err := w.store.Head(context.Background(), stack)
		return errors.Is(err, glint.ErrNotFound) && len(w.world.IDs()) == 0
	}
	b := w.head()
	if b.Number == 0 {
		return false
	}
	switch out := plan.Outcome(b, revs[len(revs)-1].Number); out {
	case glint.Serving, glint.RolledBack:
	case glint.Failed:
		return true // nothing to go back to: no more than its failed services are missing
	default:
		return false
	}
	rel, err := w.store.Release(context.Background(), revs[b.Target-1].Release)
	if err != nil {
		w.fatal("r%d: %v", b.Target, err)
	}
	total := 0
	for _, s := range rel.Services {
		total += s.Instances
		f, _ := b.Fleet(s.Name)
		up, down := w.world.Serving(stack, s.Name)
		if s.MaxAge == 0 && (len(f.Members) != s.Instances || up != s.Instances || down != 0) {
			return false
		}
	}
	for _, f := range b.Services {
		if _, declared := rel.Service(f.Name); !declared && len(f.Members) > 0 {
			return false
		}
	}
	return len(w.world.IDs()) >= total
}

func steps(t *testing.T, calm bool, do func(w *walk)) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWalk(t, rt, calm)
		w.declare()
		w.live(20 * time.Second)
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			do(w)
			w.live(time.Duration(rapid.IntRange(0, 60).Draw(rt, "quarters")) * 250 * time.Millisecond)
		}
		w.peace()
	})
}

// TestCalm: as long as people only ask for releases that work and nothing breaks, capacity never falls below what is
// wanted, whatever they ask and whenever.
func TestCalm(t *testing.T) {
	steps(t, true, (*walk).people)
}

// TestStorm: whatever breaks, nobody who takes traffic is destroyed, no number is given out twice, the judge never has to
// step in, and once it is over the world becomes what was declared.
func TestStorm(t *testing.T) {
	steps(t, false, func(w *walk) {
		if rapid.IntRange(0, 3).Draw(w.rt, "people") == 0 {
			w.people()
		} else {
			w.fault()
		}
	})
}

// TestTwoConductors: two at once do no more harm than one; whoever is late decides again.
func TestTwoConductors(t *testing.T) {
	steps(t, true, func(w *walk) {
		w.declare()
		first := w.boss
		w.hire()
		for range 20 {
			_, err := first.Step(context.Background(), stack)
			if err != nil && !errors.Is(err, glint.ErrConflict) {
				w.fatal("the first conductor: %v", err)
			}
			first.Settle()
			w.turn()
			w.world.Advance(250 * time.Millisecond)
		}
	})
}

// TestOvertaken: a conductor that has fallen behind, by whatever was asked and done since it read or looked, does no harm.
func TestOvertaken(t *testing.T) {
	steps(t, true, func(w *walk) {
		w.overtaken()
		w.live(10 * time.Second)
	})
}
