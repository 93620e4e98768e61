package check

import (
	"fmt"

	"github.com/glint-infra/glint"
)

// canary: a new version takes no more places than it was given until it has proven itself.
func (j *judge) canary(c *change) {
	if j.verdict() {
		return // the release that was carried out until now is not at hand: what it was allowed is not known
	}
	if c.is.Phase == glint.Canary && c.declared {
		j.beside(c)
	}
	if c.was.Phase == glint.Canary && (c.is.Phase == glint.RollingTo || c.is.Phase == glint.Steady) && c.is.Target == c.was.Target && c.declared && c.cautious() {
		j.promotion(c)
	}
}

// beside: target and stable version keep the places that each of them has.
func (j *judge) beside(c *change) {
	target, joined, stable, replaced, relieved := 0, 0, 0, 0, map[int]struct{}{}
	for _, p := range c.members {
		switch p.m.Version {
		case c.is.Target:
			if p.m.Counts() {
				target++
			}
			if p.joins() {
				joined++
			}
			if place, there := c.is.Member(p.m.For); there && p.m.Counts() && place.Counts() && place.Version == c.is.Target {
				relieved[place.N] = struct{}{} // it goes as soon as this one is ready
			}
		case c.is.Stable:
			if p.m.Counts() {
				stable++
			}
			if p.superseded() && p.old.Counts() { // spares keep no place
				replaced++
			}
		}
	}
	most := c.service.Update.Canary
	if joined > 0 && target-len(relieved) > most {
		j.bad("%s: %d of the new version, and the canary is %d", c.is.Name, target, most)
	}
	if why := j.unbaked(c); why != "" && !c.is.Baking.IsZero() && !j.revised() { // a newer release may want a larger canary: it begins anew in the next step
		j.bad("%s: would bake, and %s", c.is.Name, why)
	}
	if replaced > 0 && stable < c.wants-most {
		j.bad("%s: %d of the stable version would stay beside the canary, fewer than %d", c.is.Name, stable, c.wants-most)
	}
}

// unbaked returns why the canary does not bake; empty if it may, as far as is known. To begin, all of it must be ready.
func (j *judge) unbaked(c *change) string {
	whole, begins := 0, !c.is.Baking.Equal(c.was.Baking)
	for _, p := range c.members {
		if !p.m.Counts() || p.m.Version != c.is.Target || !p.m.Routed || begins && !p.ready() || j.broken(p) {
			continue
		}
		whole++
	}
	if whole < c.service.Update.Canary {
		return fmt.Sprintf("%d of %d of its canary work", whole, c.service.Update.Canary)
	}
	return ""
}

// broken reports whether the member is known not to work.
func (j *judge) broken(p pair) bool {
	if !p.here {
		return j.seen.Complete
	}
	return p.inst.State == glint.Dead || p.inst.Health.Known && !p.inst.Health.Ready
}

// superseded reports whether the member gives way to another version in this step.
func (p pair) superseded() bool {
	return p.had && (p.leaves() && p.m.Reason == glint.Superseded || p.cools())
}

// promotion: the whole canary works, and has done so for long enough, or a person has said that it is enough.
// When the phase began is when it was decided; the judge has no clock.
func (j *judge) promotion(c *change) {
	u, proven := c.service.Update, 0
	for _, p := range c.members {
		if p.had && p.m.Counts() && p.m.Version == c.is.Target && p.m.Routed && p.able() {
			proven++
		}
	}
	if proven < u.Canary {
		j.bad("%s: would be promoted with %d of %d of its canary", c.is.Name, proven, u.Canary)
	}
	if j.ordered() || c.was.Promoted != nil {
		return
	}
	switch since := c.was.Baking; {
	case u.Manual:
		j.bad("%s: would be promoted, and waits for a person's word", c.is.Name)
	case u.Bake <= 0:
	case since.IsZero():
		j.bad("%s: would be promoted without having been baked", c.is.Name)
	case c.is.Since.Sub(since) < u.Bake.D():
		j.bad("%s: would be promoted after %s, and bakes for %s", c.is.Name, c.is.Since.Sub(since), u.Bake)
	}
}

// pause: no rollout goes on while a person wants it to stand still. What fails or ages is replaced by its like.
func (j *judge) pause(c *change) {
	if !j.paused() {
		return
	}
	if c.is.Target != c.was.Target && c.is.Target != "" {
		j.bad("%s: would take up version %s in a pause", c.is.Name, c.is.Target.Short())
	}
	if c.was.Phase == glint.Canary && c.is.Phase == glint.RollingTo && c.cautious() {
		j.bad("%s: would be promoted in a pause", c.is.Name)
	}
	versions := make(map[int]glint.Digest, len(c.was.Members))
	for _, m := range c.was.Members {
		versions[m.N] = m.Version
	}
	for _, p := range c.members {
		if p.superseded() && p.old.Counts() {
			j.bad("%s.%d: would give way to another version in a pause", c.is.Name, p.m.N)
		}
		if v, ok := versions[p.m.For]; ok && !p.had && v != p.m.Version && !c.rejected(v) {
			j.bad("%s.%d: would take the place of %s.%d in another version, in a pause", c.is.Name, p.m.N, c.is.Name, p.m.For)
		}
	}
}
