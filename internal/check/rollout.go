package check

import (
	"slices"

	"github.com/glint-infra/glint"
)

var phases = []glint.Phase{glint.Steady, glint.Awaiting, glint.Canary, glint.RollingTo, glint.Returning, glint.Emptying, glint.Empty}

// phase: where a fleet is said to stand is where it stands.
func (j *judge) phase(c *change) {
	is, changed := c.is, !c.had || c.is.Phase != c.was.Phase
	if changed && !slices.Contains(phases, is.Phase) {
		j.bad("%s: would be in a phase %q that nobody knows", is.Name, is.Phase)
	}
	if is.Phase != glint.Canary && (!is.Baking.IsZero() || is.Promoted != nil) {
		j.bad("%s: would bake without a canary", is.Name)
	}
	if is.Promoted != nil && !sameWord(is.Promoted, c.was.Promoted) && !j.ordered() {
		j.bad("%s: would be promoted, and nobody has said so", is.Name)
	}
	if is.Phase == glint.Empty && len(is.Members) > 0 {
		j.bad("%s: would be empty with %d members", is.Name, len(is.Members))
	}
	if is.Phase == glint.Awaiting {
		for _, p := range c.members {
			if !p.had {
				j.bad("%s.%d: would be made, and its service waits", is.Name, p.m.N)
			}
		}
	}
	if changed && is.Phase == glint.Steady && c.declared && !c.task() && !j.verdict() {
		j.steady(c)
	}
	if changed && is.Phase == glint.Canary && !c.cautious() && !j.verdict() {
		j.bad("%s: would begin a canary that is not declared, or beside nothing", is.Name)
	}
}

// steady: every place is taken by somebody of the target who can serve.
func (j *judge) steady(c *change) {
	able := 0
	for _, p := range c.members {
		if !p.m.Counts() {
			continue
		}
		if p.m.Version != c.is.Target {
			j.bad("%s: would be steady, and %s.%d is of another version", c.is.Name, c.is.Name, p.m.N)
		}
		if p.able() {
			able++
		}
	}
	if able < c.wants {
		j.bad("%s: would be steady with %d of %d", c.is.Name, able, c.wants)
	}
}

// cautious reports whether the target must prove itself beside a stable version.
func (c *change) cautious() bool {
	_, known := c.is.Templates[c.is.Stable]
	canary := c.service.Update.Canary
	return canary > 0 && c.wants > canary && known && c.is.Stable != c.is.Target && !c.rejected(c.is.Stable)
}

// target: a version is taken up because the release says so, in its turn, and carefully where that is declared.
func (j *judge) target(c *change) {
	for _, p := range c.members {
		if !p.had && p.m.Version != c.is.Target && p.m.Version != c.is.Stable && (j.after.Paused == nil || p.m.For == 0) {
			j.bad("%s.%d: would be of version %s, which nobody wants", c.is.Name, p.m.N, p.m.Version.Short())
		}
	}
	if j.verdict() {
		return // what was taken up in the same step is turned back in the next
	}
	if j.returning() && j.before.Target == j.after.Target && !j.revised() && j.after.Paused == nil && c.declared {
		if v := c.service.Template.Version(); c.is.Target != v && !c.rejected(v) {
			j.bad("%s: everything returns to r%d, and it would stay with version %s", c.is.Name, j.after.Target, c.is.Target.Short())
		}
	}
	if c.is.Target != c.was.Target && c.is.Target != "" {
		j.taken(c)
	}
	if first := !c.had || c.was.Phase == glint.Awaiting; first && len(c.members) > 0 {
		j.inTurn(c)
	}
}

// taken: this fleet takes up another version.
func (j *judge) taken(c *change) {
	if !c.declared {
		j.bad("%s: is not declared, and would take up version %s", c.is.Name, c.is.Target.Short())
		return
	}
	if c.is.Target != c.service.Template.Version() {
		j.bad("%s: would take up version %s, which r%d does not declare", c.is.Name, c.is.Target.Short(), j.after.Target)
	}
	if c.was.Target != "" {
		j.inTurn(c)
	}
	if !j.returning() && j.after.Kind != glint.KindRollback && c.is.Phase != glint.Canary && c.mustProve() {
		j.bad("%s: would take up version %s without a canary", c.is.Name, c.is.Target.Short())
	}
}

// mustProve reports whether the target is new to the fleet, where such a version has to prove itself.
func (c *change) mustProve() bool {
	if _, known := c.was.Templates[c.is.Target]; known || !c.cautious() || c.service.Update.Strategy == glint.Recreate {
		return false
	}
	return slices.ContainsFunc(c.members, func(p pair) bool {
		return p.had && p.old.Counts() && p.m.Counts() && p.m.Version == c.is.Stable
	})
}

// inTurn: those that it comes after are done. What returns does not wait.
func (j *judge) inTurn(c *change) {
	if j.returning() || c.is.Phase == glint.Returning || c.is.Target == c.was.Stable {
		return
	}
	for _, name := range c.service.After {
		if s, declared := j.services[name]; declared && !j.serves(s) {
			j.bad("%s: would go on before %s, which it comes after", c.is.Name, name)
		}
	}
}

// serves reports whether a service was, or is now, steady on the version of the release, or a task has succeeded with it.
func (j *judge) serves(s glint.Service) bool {
	c, v := j.find(s.Name), s.Template.Version()
	if c == nil {
		return false
	}
	return slices.ContainsFunc([]glint.Fleet{c.was, c.is}, func(f glint.Fleet) bool {
		if s.Task {
			r, ok := f.Result(v)
			return ok && r.Outcome == glint.Succeeded
		}
		return f.Phase == glint.Steady && f.Target == v
	})
}
