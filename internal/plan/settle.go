package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

// steadyFor is how long a fleet must run well before its failures are forgotten.
const steadyFor = time.Minute

// settle ends a rollout when every place is taken by a ready member of the target version.
func (p *planner) settle(s glint.Service, declared bool, f *glint.Fleet) {
	if !declared {
		p.settleUndeclared(f)
		return
	}
	if p.waiting[f.Name] {
		p.busy = true
		p.keepTemplates(f)
		return
	}
	serving, others := 0, 0
	youngest := time.Time{}
	for _, m := range f.Members {
		switch {
		case !m.Counts():
		case m.Version != f.Target:
			others++
		case p.unasked(f.Name, m):
			p.note(f.Name, m, "waits until its health is known")
		case m.Seen && !p.ready(f.Name, m):
			if inst, here := p.instance(f.Name, m); here {
				p.note(f.Name, m, "is not ready: %s", cmp.Or(inst.Health.Detail, "nobody can say why"))
			}
		case m.Routed && p.ready(f.Name, m):
			serving++
			if m.Created.After(youngest) {
				youngest = m.Created
			}
		}
	}
	if !p.seen.Complete && f.Phase != glint.Steady {
		p.note(f.Name, glint.Member{}, "waits until all places answer")
	}
	if s.Task && !succeededIn(*f) || serving < s.Instances || others > 0 || f.Phase == glint.Canary || !p.seen.Complete && f.Phase != glint.Steady {
		p.busy = true
		p.keepTemplates(f)
		return
	}
	if f.Phase != glint.Steady && s.Instances > 0 && slices.Contains(f.Rejected, f.Target) { // others of it work after all: a person must say so
		p.busy = true
		p.keepTemplates(f)
		return
	}
	if f.Phase != glint.Steady {
		p.enter(f, glint.Steady)
		for i := range f.Members {
			if m := &f.Members[i]; m.Stays() && !m.Warm.IsZero() {
				m.Warm = p.now.Add(s.Update.Warm.D())
				p.wakeAt(m.Warm)
			}
		}
		if serving > 0 || s.Task { // a version is stable only once it has been seen to work
			f.Stable = f.Target
		}
	}
	if f.Failed > 0 {
		if f.Retry.After(youngest) { // whoever failed need not be among those that serve
			youngest = f.Retry
		}
		if well := youngest.Add(steadyFor); !p.now.Before(well) {
			f.Failed, f.Retry = 0, time.Time{}
		} else {
			p.wakeAt(well)
		}
	}
	p.keepTemplates(f)
}

func succeededIn(f glint.Fleet) bool {
	r, ended := f.Result(f.Target)
	return ended && r.Outcome == glint.Succeeded
}

func (p *planner) settleUndeclared(f *glint.Fleet) {
	f.Baking, f.Promoted = time.Time{}, nil
	if len(f.Members) > 0 {
		p.enter(f, glint.Emptying)
		p.keepTemplates(f)
		return
	}
	p.enter(f, glint.Empty)
	f.Templates, f.Target, f.Stable, f.Failed, f.Retry = nil, "", "", 0, time.Time{}
	f.Asked, f.Wanted, f.Renew = 0, 0, nil
}

// keepTemplates forgets what no member is made from and nobody may want again.
func (p *planner) keepTemplates(f *glint.Fleet) {
	used := map[glint.Digest]bool{f.Stable: true, f.Target: true}
	for _, m := range f.Members {
		used[m.Version] = true
	}
	for v := range f.Templates {
		if !used[v] {
			delete(f.Templates, v)
		}
	}
}
