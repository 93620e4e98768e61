package plan

import (
	"slices"

	"github.com/glint-infra/glint"
)

// Actions lists the steps from what is seen to what b says. Nobody who takes them has a choice to make; taking one twice,
// or late, does no harm: what was accepted, or made and not let go when a server ended, is asked for again. From an incomplete look follows no creation: what did not answer may well be there.
func Actions(b glint.Blueprint, seen glint.Observation) []glint.Action {
	var steps []glint.Action
	if seen.Acked() < b.Routes {
		steps = append(steps, glint.Action{Verb: glint.Publish, Routes: Routes(b)})
	}
	names := names(b)
	for _, f := range b.Services {
		for _, m := range f.Members {
			inst, here := seen.Instance(b.ID(f.Name, m))
			switch {
			case m.Stays() && m.Warm.IsZero() && (!here && seen.Complete || here && unmade(m, inst)):
				steps = append(steps, glint.Action{Verb: glint.Create, ID: b.ID(f.Name, m), Spec: &glint.InstanceSpec{
					ID: b.ID(f.Name, m), Version: m.Version, Template: f.Templates[m.Version], Place: m.Place, Held: m.Held, Names: names,
				}})
			case !m.Ending.IsZero() && here:
				steps = append(steps, glint.Action{Verb: glint.Destroy, ID: inst.ID, Reason: m.Reason, Grace: f.Grace})
			}
		}
	}
	for _, inst := range seen.Instances {
		if stray(b, inst) {
			steps = append(steps, glint.Action{Verb: glint.Destroy, ID: inst.ID, Reason: glint.Surplus})
		}
	}
	return steps
}

// unmade reports whether what was seen is not yet as far as the blueprint wants it.
func unmade(m glint.Member, inst glint.Instance) bool {
	return inst.State == glint.Accepted || inst.State == glint.Held && !m.Held
}

// Routes is the routing table that b decides on.
func Routes(b glint.Blueprint) *glint.Routes {
	return &glint.Routes{Stack: b.Stack, Generation: b.Routes, Services: backends(b), Hosts: b.Hosts, Edges: b.Edges}
}

// names lists the services that can be looked up by name, sorted.
func names(b glint.Blueprint) []string {
	var all []string
	for _, f := range b.Services {
		if f.Phase != glint.Empty {
			all = append(all, f.Name)
		}
	}
	slices.Sort(all)
	return all
}

// stray reports whether an instance has no place although its number was given out by b or a blueprint before it.
// An instance with a later number belongs to a blueprint that this one knows nothing of.
func stray(b glint.Blueprint, inst glint.Instance) bool {
	f, known := b.Fleet(inst.ID.Service)
	if inst.ID.Stack != b.Stack || inst.ID.Epoch != b.Epoch || !known || inst.ID.N > f.Last {
		return false
	}
	_, kept := f.Member(inst.ID.N)
	return !kept
}
