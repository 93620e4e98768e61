package check

import (
	"slices"

	"github.com/glint-infra/glint"
)

// task: a task runs once, one at a time, and how it came out is written down before its instance goes.
func (j *judge) task(c *change) {
	j.results(c)
	if !c.task() {
		return
	}
	for _, p := range c.members {
		if p.leaves() && p.had && clean(p) && p.m.Reason != glint.Finished {
			if r, ok := c.is.Result(p.m.Version); !ok || r.Outcome != glint.Succeeded {
				j.bad("%s.%d: has succeeded, and would leave without a word of it", c.is.Name, p.m.N)
			}
		}
		if p.had || !p.m.Stays() {
			continue
		}
		switch r, _ := c.was.Result(p.m.Version); {
		case r.Outcome == glint.Succeeded:
			j.bad("%s.%d: would do again what %s has done", c.is.Name, p.m.N, r.Instance.Short())
		case r.Outcome == glint.UnknownFinish && !j.revised():
			j.bad("%s.%d: would do again what %s may have done, and nobody has said to", c.is.Name, p.m.N, r.Instance.Short())
		}
		for _, other := range c.members {
			if other.m.N != p.m.N && works(c, other) && !j.over(other) {
				j.bad("%s.%d: would begin beside %s.%d, which may still be at work", c.is.Name, p.m.N, c.is.Name, other.m.N)
			}
		}
	}
}

// works reports whether a member may be one of a task: a service of the same name, before it became a task, had ports,
// a health check or traffic.
func works(c *change, p pair) bool {
	t := c.is.Templates[p.m.Version]
	return len(t.Ports) == 0 && t.Health == nil && !t.Exclusive() && !p.old.Routed && p.m.Gone == 0
}

// over reports whether a member's program is known to run no more.
func (j *judge) over(p pair) bool {
	return p.here && p.inst.State == glint.Dead || p.had && !p.here && j.seen.Complete
}

// clean reports whether its program was seen to have ended with status 0.
func clean(p pair) bool {
	return p.here && p.inst.State == glint.Dead && p.inst.Exit != nil &&
		p.inst.Exit.Code == 0 && p.inst.Exit.Signal == "" && p.inst.Exit.Failure == "" && !p.inst.Exit.OutOfMemory
}

// finished returns why a member has not finished its task; empty if it has.
func finished(c *change, p pair) string {
	if !c.task() {
		return "it is no task"
	}
	if r, ok := c.is.Result(p.m.Version); !ok || r.Outcome != glint.Succeeded {
		return "nothing says that it succeeded"
	}
	return ""
}

// results: what a task came to is kept, not rewritten, and rests on what was seen.
func (j *judge) results(c *change) {
	for i, r := range c.is.Done {
		if slices.ContainsFunc(c.is.Done[:i], func(o glint.Result) bool { return o.Version == r.Version }) {
			j.bad("%s: version %s would have come out in two ways", c.is.Name, r.Version.Short())
		}
		if old, had := c.was.Result(r.Version); !had || old != r {
			j.result(c, r)
		}
	}
	for i, old := range c.was.Done {
		r, kept := c.is.Result(old.Version)
		switch {
		case i == 0 && !kept && len(c.is.Done) == glint.MaxResults: // a newer one took the oldest one's place
		case old.Outcome == glint.Succeeded && !kept && (c.task() || !c.declared):
			j.bad("%s: that version %s succeeded would be forgotten", c.is.Name, old.Version.Short())
		case old.Outcome != glint.Succeeded && !kept && !j.revised() && c.task():
			j.bad("%s: that version %s came out as %s would be forgotten", c.is.Name, old.Version.Short(), old.Outcome)
		case kept && old.Outcome == glint.Succeeded && r != old:
			j.bad("%s: that version %s succeeded would be rewritten", c.is.Name, old.Version.Short())
		case kept && old.Outcome == glint.Broke && r.Instance == old.Instance && r.Outcome != old.Outcome:
			j.bad("%s: that version %s failed would be rewritten", c.is.Name, old.Version.Short())
		}
	}
}

// result: somebody is said to have ended in this step.
func (j *judge) result(c *change, r glint.Result) {
	if !c.task() {
		j.bad("%s: is no task, and would have come out as %s", c.is.Name, r.Outcome)
		return
	}
	p, ok := c.who(j.before, r.Instance)
	if !ok || p.m.Version != r.Version {
		j.bad("%s: version %s would have come out as %s by %s, who is none of it", c.is.Name, r.Version.Short(), r.Outcome, r.Instance)
		return
	}
	switch r.Outcome {
	case glint.Succeeded:
		if !clean(p) {
			j.bad("%s.%d: would have succeeded, and was not seen to end with status 0", c.is.Name, p.m.N)
		}
	case glint.Broke, glint.UnknownFinish:
		if clean(p) && p.old.Stays() {
			j.bad("%s.%d: would have come out as %s, and ended with status 0", c.is.Name, p.m.N, r.Outcome)
		}
		if r.Outcome == glint.UnknownFinish && !p.here && !j.seen.Complete {
			j.bad("%s.%d: would be lost, and not all was seen", c.is.Name, p.m.N)
		}
	default:
		j.bad("%s: nobody knows what it means to come out as %q", c.is.Name, r.Outcome)
	}
}

// who returns the member of that name, before or after.
func (c *change) who(b glint.Blueprint, id glint.ID) (pair, bool) {
	for _, p := range c.members {
		if b.ID(c.is.Name, *p.m) == id {
			return p, true
		}
	}
	for _, p := range c.dropped {
		if b.ID(c.is.Name, *p.old) == id {
			return p, true
		}
	}
	return pair{}, false
}
