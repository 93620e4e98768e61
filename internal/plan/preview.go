package plan

import (
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

// A Stage is one turn of a preview: what would be decided and done, and why.
type Stage struct {
	Blueprint glint.Blueprint `json:"-"`
	Actions   []glint.Action  `json:"actions"`
	Events    []glint.Event   `json:"events"`
	Notes     []glint.Note    `json:"notes,omitempty"`
}

// maxStages bounds a preview; each stage moves at least one member of one service.
const maxStages = 10_000

// Preview lists what would happen if all went well: every instance starts, every balancer answers, every request ends.
// It is the planner itself that decides, in a world that does what it is told. It reports whether that comes to rest.
func Preview(in Intent, have glint.Blueprint, seen glint.Observation, now time.Time) (stages []Stage, rests bool) {
	for range maxStages {
		seen.At = now
		d := Next(in, have, seen, now)
		steps := Actions(d.Blueprint, seen)
		if d.Blueprint.Number == have.Number && len(steps) == 0 {
			out := Outcome(have, have.Revision)
			if d.Wake.IsZero() || out != glint.InProgress && out != glint.RollingBack || waitsForPerson(in.Releases[have.Target], have, now) {
				return stages, true
			}
			now = d.Wake // only time is waited for, such as the end of a bake
			continue
		}
		stages = append(stages, Stage{Blueprint: d.Blueprint, Actions: steps, Events: Story(in, have, d.Blueprint, seen), Notes: d.Notes})
		have, seen = d.Blueprint, obey(in.Releases[d.Blueprint.Target], d.Blueprint, seen, steps, now)
	}
	return stages, false
}

// waitsForPerson reports whether nothing goes on until somebody says a word.
func waitsForPerson(rel glint.Release, b glint.Blueprint, now time.Time) bool {
	return b.Paused != nil || slices.ContainsFunc(b.Services, func(f glint.Fleet) bool {
		s, _ := rel.Service(f.Name)
		return f.Phase == glint.Canary && s.Update.Manual && !f.Baking.IsZero() && !now.Before(f.Baking.Add(s.Update.Bake.D()))
	})
}

// obey is the world after it has done all that it was told, at once and without fault.
func obey(rel glint.Release, b glint.Blueprint, seen glint.Observation, steps []glint.Action, now time.Time) glint.Observation {
	after := glint.Observation{At: now, Complete: true, Acks: []glint.Ack{{Member: "preview", Generation: b.Routes, Kind: glint.Proven}}}
	gone := map[glint.ID]bool{}
	for _, a := range steps {
		if a.Verb == glint.Destroy {
			gone[a.ID] = true
		}
	}
	for _, f := range b.Services {
		for _, m := range f.Members {
			id := b.ID(f.Name, m)
			inst, here := seen.Instance(id)
			switch {
			case gone[id]:
				continue
			case !here:
				inst = glint.Instance{ID: id, Version: m.Version, Address: "0.0.0.0", State: glint.Running, Health: glint.Health{Known: true, Ready: true, Live: true}}
			}
			inst.InFlight = 0
			s, _ := rel.Service(f.Name)
			switch {
			case !m.Stays() || inst.State == glint.Dead:
			case m.Held:
				inst.State, inst.Health = glint.Held, glint.Health{}
			case s.Task:
				inst.State, inst.Exit = glint.Dead, &glint.Exit{At: now}
			default:
				inst.State, inst.Health = glint.Running, glint.Health{Known: true, Ready: true, Live: true}
			}
			after.Instances = append(after.Instances, inst)
		}
	}
	sortInstances(after.Instances)
	return after
}

func sortInstances(list []glint.Instance) {
	slices.SortFunc(list, func(a, b glint.Instance) int { return a.ID.Compare(b.ID) })
}
