// Package check is an independent judge: it knows what must never happen. The conductor asks it before a blueprint is
// stored, the server before a release is admitted, and the property tests after every step.
// It does not know how plans are made, and may not import plan.
package check

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/glint-infra/glint"
)

// Step reports why after must not follow before: release is the one that after.Target names, seen is what was seen when
// it was decided. The error lists every objection. It takes time linear in the number of members, but for the look-ups
// in seen.
func Step(before, after glint.Blueprint, release glint.Release, seen glint.Observation) error {
	j := &judge{before: before, after: after, release: release, seen: seen}
	if seen.At.Before(before.Seen) && !after.Seen.Equal(seen.At) { // an older look, and not one of a clock that was set back
		j.seen.Complete = false
	}
	j.look()
	j.chain()
	j.moment()
	for i := range j.fleets {
		j.fleet(&j.fleets[i])
	}
	for _, f := range j.forgotten {
		j.bad("%s: its fleet would be forgotten, and its numbers given out again", f)
	}
	j.claims()
	j.routes()
	j.roads()
	return errors.Join(j.errs...)
}

// fleet asks every question about one fleet.
func (j *judge) fleet(c *change) {
	j.numbers(c)
	j.templates(c)
	j.members(c)
	j.reasons(c)
	j.spares(c)
	j.places(c)
	j.kept(c)
	j.capacity(c)
	j.brake(c)
	j.scale(c)
	j.phase(c)
	j.target(c)
	j.canary(c)
	j.pause(c)
	j.rejections(c)
	j.renewal(c)
	j.task(c)
	j.holders(c)
}

type judge struct {
	before, after glint.Blueprint
	release       glint.Release
	seen          glint.Observation
	services      map[string]glint.Service // of release
	fleets        []change                 // of after, in its order
	byName        map[string]int           // where in fleets
	forgotten     []string                 // names of fleets of before that after lacks
	errs          []error
}

// A change is one fleet before and after, and what was seen of it, each looked up once.
type change struct {
	was, is  glint.Fleet
	had      bool // there was such a fleet
	service  glint.Service
	declared bool
	wants    int    // how many are wanted after
	members  []pair // of is, in its order
	dropped  []pair // of was, and no longer in is
}

// task reports whether members run to their end. What is returned to, or what follows, may not declare it.
func (c *change) task() bool { return c.service.Task || c.is.Task }

// A pair is one member before and after. It points at what there is, for there may be many; nobody may change it.
type pair struct {
	old, m *glint.Member
	had    bool // it was a member before
	inst   *glint.Instance
	here   bool // inst was seen
}

func (j *judge) bad(format string, args ...any) { j.errs = append(j.errs, fmt.Errorf(format, args...)) }

// What stands for a member that was not there, and for an instance that was not seen.
var (
	nobody  = &glint.Member{}
	nothing = &glint.Instance{}
)

// look pairs everything before with everything after.
func (j *judge) look() {
	j.services = make(map[string]glint.Service, len(j.release.Services))
	for _, s := range j.release.Services {
		j.services[s.Name] = s
	}
	was := make(map[string]glint.Fleet, len(j.before.Services))
	for _, f := range j.before.Services {
		was[f.Name] = f
	}
	j.fleets = make([]change, 0, len(j.after.Services))
	j.byName = make(map[string]int, len(j.after.Services))
	for _, f := range j.after.Services {
		old, had := was[f.Name]
		s, declared := j.services[f.Name]
		c := change{was: old, is: f, had: had, service: s, declared: declared, wants: f.Wants(s)}
		j.pairs(&c)
		j.byName[f.Name] = len(j.fleets)
		j.fleets = append(j.fleets, c)
	}
	for i := 1; i < len(j.after.Services); i++ {
		if last, name := j.after.Services[i-1].Name, j.after.Services[i].Name; name <= last {
			j.bad("%s: fleets must be sorted and unique, and it follows %s", name, last)
		}
	}
	for _, f := range j.before.Services {
		if _, kept := j.byName[f.Name]; !kept {
			j.forgotten = append(j.forgotten, f.Name)
		}
	}
}

func (j *judge) pairs(c *change) {
	at := make(map[int]int, len(c.was.Members))
	for i := range c.was.Members {
		at[c.was.Members[i].N] = i
	}
	kept := make([]bool, len(c.was.Members))
	seen := j.seenOf(c.is.Name)
	c.members = make([]pair, 0, len(c.is.Members))
	for i := range c.is.Members {
		p := pair{old: nobody, m: &c.is.Members[i]}
		if k, had := at[p.m.N]; had {
			p.old, p.had, kept[k] = &c.was.Members[k], true, true
		}
		p.inst, p.here = instance(seen, p.m.N)
		c.members = append(c.members, p)
	}
	for i := range c.was.Members {
		if m := &c.was.Members[i]; !kept[i] {
			p := pair{old: m, m: m, had: true}
			p.inst, p.here = instance(seen, m.N)
			c.dropped = append(c.dropped, p)
		}
	}
}

// seenOf returns what was seen of a service's instances.
func (j *judge) seenOf(service string) []glint.Instance {
	at := func(n int) int {
		id := glint.ID{Stack: j.after.Stack, Epoch: j.after.Epoch, Service: service, N: n}
		return sort.Search(len(j.seen.Instances), func(i int) bool { return j.seen.Instances[i].ID.Compare(id) >= 0 })
	}
	from := at(math.MinInt)
	return j.seen.Instances[from:max(from, at(math.MaxInt))]
}

func instance(seen []glint.Instance, n int) (*glint.Instance, bool) {
	i := sort.Search(len(seen), func(i int) bool { return seen[i].ID.N >= n }) // by index: instances are large
	if i == len(seen) || seen[i].ID.N != n {
		return nothing, false
	}
	return &seen[i], true
}

// find returns the change of the named fleet, nil where after has none.
func (j *judge) find(name string) *change {
	i, ok := j.byName[name]
	if !ok {
		return nil
	}
	return &j.fleets[i]
}

// leaves reports whether the member is told to go in this step.
func (p pair) leaves() bool { return p.old.Stays() && !p.m.Stays() }

// cools reports whether the member is taken out of service in this step, to be kept warm.
func (p pair) cools() bool { return p.m.Stays() && p.old.Warm.IsZero() && !p.m.Warm.IsZero() }

// returns reports whether a member that was kept warm counts again.
func (p pair) returns() bool { return p.had && p.old.Stays() && !p.old.Warm.IsZero() && p.m.Counts() }

// joins reports whether the member begins to count in this step without having been kept warm: made, or let go.
func (p pair) joins() bool { return p.m.Counts() && !p.returns() && (!p.had || !p.old.Counts()) }

// running reports whether its program was seen to run.
func (p pair) running() bool { return p.here && p.inst.State == glint.Running }

// ready reports whether it was seen to be ready.
func (p pair) ready() bool { return p.running() && p.inst.Health.Ready }

// able reports whether it can serve, as far as is known: one that nobody could ask may well.
func (p pair) able() bool { return p.running() && (p.inst.Health.Ready || !p.inst.Health.Known) }

func (c *change) rejected(v glint.Digest) bool { return slices.Contains(c.is.Rejected, v) }
