// Package simulate runs whole control planes, each in a world of its own with people, faults and virtual time, and holds
// them to what users were promised. It decides nothing, and what it promises is only that nothing was found.
//
// # What is real
//
// The planner, the judge, the conductor with its hands, and what a store keeps are those of a server. The platform, the
// balancing plane and the clock are package sim's. Health comes as verdicts, as package observe gives them: hysteresis is
// tested there. Everything happens on one goroutine, in an order that the seed alone decides: the same seed tells the same
// story on every machine.
//
// # What befalls a world
//
// What real platforms, balancers, stores and servers do: steps that fail, that are taken and fail, that are taken late, that
// are said to be taken and are not; listings that are late, partial, refused, that list an instance twice, one of another
// version, or one that nobody asked for; throttling; machines that take minutes; balancers that answer late or never, one
// behind the other; a store that refuses, or that does what it is asked and whose answer is lost; two servers at once; one
// that is held up, overtaken, or falls between any two calls; clocks that jump; instances that die, vanish, fall silent,
// drift, or work only for a while.
//
// What is not done to it, because a platform that does it breaks the promise of its door and no planner could know: a
// complete listing that leaves out what is there, and an instance that is made after its stack has ended.
package simulate

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Config says which worlds to run.
type Config struct {
	First     uint64 // seed of the first world; the others follow
	Worlds    int
	Workers   int          // worlds at the same time; 0 means 1
	KeepGoing bool         // after a finding
	Progress  func(Report) // is told about once a second; may be nil
}

// A Report is what was run and what was found.
type Report struct {
	Worlds     int                       `json:"worlds"`
	Rested     int                       `json:"rested"`     // worlds that came to rest as declared
	Steps      int64                     `json:"steps"`      // decisions of planners
	Blueprints int64                     `json:"blueprints"` // that were written down
	Virtual    time.Duration             `json:"virtual"`    // time that passed in all worlds, in nanoseconds
	Counts     map[string]map[string]int `json:"counts"`     // faults, features, events by kind
	Findings   []Finding                 `json:"findings,omitempty"`
	Took       time.Duration             `json:"took"` // in nanoseconds
}

func newReport() Report { return Report{Counts: map[string]map[string]int{}} }

func (r *Report) add(o Report) {
	r.Worlds, r.Rested, r.Steps, r.Blueprints, r.Virtual = r.Worlds+o.Worlds, r.Rested+o.Rested, r.Steps+o.Steps, r.Blueprints+o.Blueprints, r.Virtual+o.Virtual
	for kind, counts := range o.Counts {
		if r.Counts[kind] == nil {
			r.Counts[kind] = map[string]int{}
		}
		for name, n := range counts {
			r.Counts[kind][name] += n
		}
	}
	r.Findings = append(r.Findings, o.Findings...)
}

func (w *world) count(kind, name string) {
	c := w.report.Counts[kind]
	if c == nil {
		c = map[string]int{}
		w.report.Counts[kind] = c
	}
	c[name]++
}

// Run runs worlds until all have been run, one has found something, or ctx ends.
func Run(ctx context.Context, c Config) Report {
	began := time.Now()
	var mu sync.Mutex
	total := newReport()
	var next atomic.Int64
	var found atomic.Bool
	var wg sync.WaitGroup
	told := began
	for range max(c.Workers, 1) {
		wg.Go(func() {
			for ctx.Err() == nil && (c.KeepGoing || !found.Load()) {
				i := next.Add(1) - 1
				if i >= int64(c.Worlds) {
					return
				}
				r := live(c.First+uint64(i), false)
				if len(r.Findings) > 0 {
					found.Store(true)
					r.Findings = live(c.First+uint64(i), true).Findings
				}
				mu.Lock()
				total.add(r)
				total.Took = time.Since(began)
				if c.Progress != nil && time.Since(told) > time.Second {
					told = time.Now()
					c.Progress(total)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	total.Took = time.Since(began)
	return total
}

// Replay runs the world of one seed again and returns its story.
func Replay(seed uint64) (Report, string) {
	w := newWorld(seed, true)
	r := w.live()
	return r, w.story.String()
}

func live(seed uint64, loud bool) Report { return newWorld(seed, loud).live() }

// live runs a world and returns what it found.
func (w *world) live() (r Report) {
	defer func() {
		trouble := recover()
		r = w.report
		r.Worlds = 1
		if trouble == nil {
			return
		}
		f, ok := trouble.(*Finding)
		if !ok {
			f = &Finding{Seed: w.seed, Property: "panic", Text: fmt.Sprintf("%v\n%s", trouble, debug.Stack())}
		}
		f.Story = w.story.String()
		r.Counts = maps.Clone(r.Counts)
		r.Findings = []Finding{*f}
	}()
	defer w.release()
	w.run()
	return w.report
}
