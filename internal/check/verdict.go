package check

import (
	"slices"

	"github.com/glint-infra/glint"
)

// rejections: a version that failed is not tried again by itself, and what never worked is no place to return to.
func (j *judge) rejections(c *change) {
	for _, p := range c.members {
		if p.had {
			continue
		}
		switch {
		case c.rejected(p.m.Version):
			j.bad("%s.%d: would be of version %s, which is rejected", c.is.Name, p.m.N, p.m.Version.Short())
		case slices.Contains(c.was.Rejected, p.m.Version) && !j.revised():
			j.bad("%s.%d: would be of version %s, which was rejected, and nobody has said to try it again", c.is.Name, p.m.N, p.m.Version.Short())
		}
	}
	if r := j.after.Rejected; j.verdict() && r.Service == c.is.Name && r.Version != "" && !c.rejected(r.Version) {
		if end, ran := c.is.Result(r.Version); !ran || end.Outcome == glint.Succeeded {
			j.bad("%s: version %s would be rejected, and that would be forgotten", c.is.Name, r.Version.Short())
		}
	}
	j.refuge(c)
	j.failures(c)
	if c.is.Stable == c.was.Stable || c.is.Stable == "" {
		return
	}
	if c.is.Stable != c.is.Target && c.is.Stable != c.was.Target {
		j.bad("%s: version %s would be stable, and it was not wanted", c.is.Name, c.is.Stable.Short())
	}
	if c.rejected(c.is.Stable) {
		j.bad("%s: version %s would be stable, and it is rejected", c.is.Name, c.is.Stable.Short())
	}
	if !worked(c, c.is.Stable) {
		j.bad("%s: version %s would be stable, and was never seen to work", c.is.Name, c.is.Stable.Short())
	}
}

// failures: what failed stays failed until somebody works, something new begins, or a person says otherwise.
func (j *judge) failures(c *change) {
	if c.is.Failed >= c.was.Failed || c.is.Target != c.was.Target || c.is.Phase != c.was.Phase || c.wants == 0 || c.task() || j.revised() || j.verdict() {
		return
	}
	works := func(p pair) bool { return p.m.Version == c.is.Target && p.ready() }
	if !slices.ContainsFunc(c.members, works) {
		j.bad("%s: %d failures would be forgotten, and nobody works", c.is.Name, c.was.Failed-c.is.Failed)
	}
}

// refuge: what everything returns to is not rejected with what it returns from.
func (j *judge) refuge(c *change) {
	if !j.verdict() || !j.returning() || c.wants == 0 || len(c.is.Rejected) == 0 {
		return
	}
	if v := c.service.Template.Version(); c.rejected(v) && !slices.Contains(c.was.Rejected, v) {
		j.bad("%s: version %s would be rejected, and r%d needs it", c.is.Name, v.Short(), j.after.Target)
	}
}

// worked reports whether somebody of the version was ready once, or its task succeeded.
func worked(c *change, v glint.Digest) bool {
	if r, ok := c.is.Result(v); ok && r.Outcome == glint.Succeeded {
		return true
	}
	seen := func(m glint.Member) bool { return m.Version == v && m.Seen }
	return slices.ContainsFunc(c.is.Members, seen) || slices.ContainsFunc(c.was.Members, seen)
}

// renewal: nobody is renewed unasked, and no word is dropped before it is carried out.
func (j *judge) renewal(c *change) {
	was, is := c.was.Renew, c.is.Renew
	if is != nil && (was == nil || !sameWord(&is.Word, &was.Word) || is.Upto > was.Upto) && !j.ordered() {
		j.bad("%s: would be regenerated, and nobody has said so", c.is.Name)
	}
	if was == nil || is != nil || j.ordered() || j.revised() || !c.declared {
		return
	}
	for _, p := range c.members {
		if p.m.Counts() && p.m.N <= was.Upto {
			j.bad("%s.%d: was to be replaced (%s said so), and that would be forgotten", c.is.Name, p.m.N, was.By)
		}
	}
}
