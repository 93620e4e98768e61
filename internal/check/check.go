// Package check is an independent judge: it knows what must never happen. The conductor asks it before a blueprint is
// stored, the server before a release is admitted, and the property tests after every step.
// It does not know how plans are made, and may not import plan.
package check

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/glint-infra/glint"
)

// Step reports why after must not follow before: release is the one that after.Target names, seen is what was seen when
// it was decided. The error lists every objection.
func Step(before, after glint.Blueprint, release glint.Release, seen glint.Observation) error {
	j := &judge{before: before, after: after, release: release, seen: seen}
	j.chain()
	for _, f := range after.Services {
		was, _ := before.Fleet(f.Name)
		j.numbers(was, f)
		j.members(was, f)
		j.capacity(was, f)
		j.claims(f)
	}
	for _, f := range before.Services {
		if _, kept := after.Fleet(f.Name); !kept {
			j.bad("%s: its fleet would be forgotten, and its numbers given out again", f.Name)
		}
	}
	j.routes()
	return errors.Join(j.errs...)
}

type judge struct {
	before, after glint.Blueprint
	release       glint.Release
	seen          glint.Observation
	errs          []error
}

func (j *judge) bad(format string, args ...any) { j.errs = append(j.errs, fmt.Errorf(format, args...)) }

func (j *judge) chain() {
	b, a := j.before, j.after
	if a.Stack != b.Stack || a.Epoch != b.Epoch {
		j.bad("blueprint of %s (epoch %s) cannot follow one of %s (epoch %s)", a.Stack, a.Epoch, b.Stack, b.Epoch)
	}
	if a.Number != b.Number+1 {
		j.bad("blueprint %d does not follow %d", a.Number, b.Number)
	}
	if a.Revision < b.Revision {
		j.bad("revision would go back from r%d to r%d", b.Revision, a.Revision)
	}
	if a.Routes < b.Routes || a.Routes > b.Routes+1 {
		j.bad("routes generation %d does not follow %d", a.Routes, b.Routes)
	}
	if a.Rejected != nil && a.Stable != 0 && a.Target == a.Rejected.Revision {
		j.bad("r%d is rejected and would still be carried out", a.Target)
	}
}

// numbers: none is given out twice, none is skipped back.
func (j *judge) numbers(was, is glint.Fleet) {
	if is.Last < was.Last {
		j.bad("%s: number %d would be given out twice", is.Name, was.Last)
	}
	taken := map[int]bool{}
	for _, m := range is.Members {
		_, had := was.Member(m.N)
		switch {
		case taken[m.N]:
			j.bad("%s: has number %d twice", is.Name, m.N)
		case m.N > is.Last:
			j.bad("%s: number %d was never given out", is.Name, m.N)
		case !had && m.N <= was.Last:
			j.bad("%s: number %d would be given out twice", is.Name, m.N)
		}
		taken[m.N] = true
		if _, ok := is.Templates[m.Version]; !ok {
			j.bad("%s.%d: nobody knows any more what version %s is", is.Name, m.N, m.Version.Short())
		}
		if !had && slices.Contains(is.Rejected, m.Version) {
			j.bad("%s.%d: would be of version %s, which is rejected", is.Name, m.N, m.Version.Short())
		}
	}
}

// members: an instance is never changed, never called back, and never destroyed while requests may still reach it.
func (j *judge) members(was, is glint.Fleet) {
	for _, old := range was.Members {
		m, kept := is.Member(old.N)
		inst, here := j.seen.Instance(j.before.ID(was.Name, old))
		switch {
		case !kept && old.Stays():
			j.bad("%s.%d: would be forgotten without having been told to go", was.Name, old.N)
			continue
		case !kept && here:
			j.bad("%s.%d: is still there (%s) and would be forgotten", was.Name, old.N, inst.State)
			continue
		case !kept && !j.seen.Complete:
			j.bad("%s.%d: was not seen, which is not the same as gone", was.Name, old.N)
			continue
		case !kept:
			continue
		}
		if m.Version != old.Version || !m.Created.Equal(old.Created) || old.Address != "" && m.Address != old.Address {
			j.bad("%s.%d: would be changed in place", was.Name, old.N)
		}
		if !old.Stays() && (m.Stays() || !m.Leaving.Equal(old.Leaving)) {
			j.bad("%s.%d: would be called back", was.Name, old.N)
		}
	}
	for _, m := range is.Members {
		old, _ := was.Member(m.N)
		j.member(is, old, m)
	}
}

func (j *judge) member(f glint.Fleet, old, m glint.Member) {
	inst, here := j.seen.Instance(j.after.ID(f.Name, m))
	if !m.Stays() && m.Reason == "" {
		j.bad("%s.%d: would leave without a reason", f.Name, m.N)
	}
	if !m.Stays() && m.Routed {
		j.bad("%s.%d: would leave and still take traffic", f.Name, m.N)
	}
	if !m.Stays() && old.Stays() && !here && !j.seen.Complete {
		j.bad("%s.%d: would be told to go without having been seen", f.Name, m.N)
	}
	if m.Routed && !old.Routed && !(here && inst.State == glint.Running && inst.Health.Ready) {
		j.bad("%s.%d: would take traffic and was not seen to be ready", f.Name, m.N)
	}
	if m.Routed && m.Address == "" {
		j.bad("%s.%d: would take traffic and has no address", f.Name, m.N)
	}
	if m.Ending.IsZero() || !old.Ending.IsZero() {
		return
	}
	switch {
	case m.Stays() || old.Routed:
		j.bad("%s.%d: would be destroyed and still takes traffic", f.Name, m.N)
	case m.Out.IsZero() || old.Out.IsZero() && j.seen.Acked() < m.Gone: // proven once is proven
		j.bad("%s.%d: would be destroyed before the balancers have forgotten it (generation %d, acknowledged %d)", f.Name, m.N, m.Gone, j.seen.Acked())
	case here && inst.State != glint.Dead && inst.InFlight != 0 && m.Gone > 0 && m.Ending.Before(m.Out.Add(f.Grace.D())):
		j.bad("%s.%d: would be destroyed with %d in flight before its grace is over", f.Name, m.N, inst.InFlight)
	}
}

// capacity: what could serve is never brought below the floor by Glint's own doing, and surge is kept.
func (j *judge) capacity(was, is glint.Fleet) {
	s, declared := j.release.Service(is.Name)
	could, would, size, sizeBefore := 0, 0, 0, 0
	for _, m := range was.Members {
		if m.Stays() {
			sizeBefore++
		}
		if m.Routed && j.able(was.Name, m) {
			could++
		}
	}
	for _, m := range is.Members {
		if m.Stays() {
			size++
		}
		if m.Routed && j.able(is.Name, m) {
			would++
		}
	}
	floor := max(s.Instances-s.Update.Unavailable, 0)
	if !declared || s.Update.Strategy == glint.Recreate || s.Template.Exclusive() {
		floor = 0
	}
	if would < could && would < floor {
		j.bad("%s: %d would take traffic, fewer than %d, and %d could", is.Name, would, floor, could)
	}
	if most := s.Instances + s.Update.Surge; size > most && size > sizeBefore {
		j.bad("%s: %d instances, more than %d", is.Name, size, most)
	}
}

// able reports whether a routed member can serve, as far as is known: one that nobody has asked yet may well.
func (j *judge) able(service string, m glint.Member) bool {
	inst, here := j.seen.Instance(j.before.ID(service, m))
	return here && inst.State == glint.Running && (inst.Health.Ready || !inst.Health.Known)
}

// claims: a volume has one holder.
func (j *judge) claims(f glint.Fleet) {
	was, _ := j.before.Fleet(f.Name)
	if n := holders(f); n > 1 && n > holders(was) {
		j.bad("%s: %d instances would hold its volume", f.Name, n)
	}
	for _, c := range j.after.Volumes {
		if c.Service != f.Name {
			continue
		}
		if m, ok := f.Member(c.Holder.N); !ok || !f.Templates[m.Version].Exclusive() {
			j.bad("%s: volume %s is claimed by %s, which is not a member", f.Name, c.Volume, c.Holder)
		}
	}
}

func holders(f glint.Fleet) int {
	n := 0
	for _, m := range f.Members {
		if f.Templates[m.Version].Exclusive() {
			n++
		}
	}
	return n
}

// routes: whoever takes or loses traffic does so in a new generation, and nobody leaves the routes unnoticed.
func (j *judge) routes() {
	changed := !maps.Equal(routed(j.before), routed(j.after)) || !slices.Equal(j.before.Hosts, j.after.Hosts) || !slices.Equal(j.before.Edges, j.after.Edges)
	if changed && j.after.Routes == j.before.Routes {
		j.bad("routes would change within generation %d", j.after.Routes)
	}
	for _, f := range j.after.Services {
		was, _ := j.before.Fleet(f.Name)
		for _, m := range f.Members {
			if old, _ := was.Member(m.N); old.Routed && !m.Routed && m.Gone != j.after.Routes {
				j.bad("%s.%d: leaves the routes in generation %d, which does not say so", f.Name, m.N, j.after.Routes)
			}
		}
	}
}

func routed(b glint.Blueprint) map[string]string {
	all := map[string]string{}
	for _, f := range b.Services {
		for _, m := range f.Members {
			if m.Routed {
				all[b.ID(f.Name, m).Key()] = m.Address
			}
		}
	}
	return all
}
