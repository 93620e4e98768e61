package check

import (
	"time"

	"github.com/glint-infra/glint"
)

// chain: a blueprint follows the one before, goes back only to what is known to work, and listens to nobody but people.
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
	if a.Ordered < b.Ordered {
		j.bad("order %d would be taken up again after %d", a.Ordered+1, b.Ordered)
	}
	if a.Kind != b.Kind && b.Kind != "" && !j.revised() {
		j.bad("r%d was made by %s, and would have been made by %s", b.Revision, b.Kind, a.Kind)
	}
	if !a.Seen.Equal(b.Seen) && !a.Seen.Equal(j.seen.At) {
		j.bad("it would have been seen at %s, and nobody has looked then", a.Seen)
	}
	if a.Paused != nil && !sameWord(a.Paused, b.Paused) && !j.ordered() {
		j.bad("would be paused, and nobody has said so")
	}
	if b.Paused != nil && a.Paused == nil && !j.ordered() && !j.revised() && !j.verdict() {
		j.bad("would go on, and the pause has not been ended")
	}
	j.destination()
	j.stable()
}

// destination: the revision being carried out is the newest, or the stable one after the newest was rejected.
func (j *judge) destination() {
	b, a := j.before, j.after
	if a.Target > a.Revision {
		j.bad("r%d would be carried out, and r%d is the newest", a.Target, a.Revision)
	}
	if a.Target != b.Target && a.Target != a.Revision && a.Target != b.Stable {
		j.bad("r%d would be carried out, which is neither the newest (r%d) nor stable (r%d)", a.Target, a.Revision, b.Stable)
	}
	if a.Rejected != nil && a.Stable != 0 && a.Target == a.Rejected.Revision {
		j.bad("r%d is rejected and would still be carried out", a.Target)
	}
	if b.Rejected != nil && a.Target == b.Rejected.Revision && a.Target != b.Target {
		j.bad("r%d was rejected and would be carried out again", a.Target)
	}
	if j.verdict() && a.Rejected.Because == "" {
		j.bad("r%d would be rejected without evidence", a.Rejected.Revision)
	}
	if j.verdict() && !j.revised() && a.Stable != 0 && a.Target != a.Stable {
		j.bad("r%d would be rejected, and r%d carried out instead of r%d, which is stable", a.Rejected.Revision, a.Target, a.Stable)
	}
}

// stable: a revision becomes the place to return to only when all of it works.
func (j *judge) stable() {
	b, a := j.before, j.after
	if a.Stable == b.Stable || a.Stable == 0 && (j.revised() || len(j.release.Services) == 0) {
		return // nobody returns to what was before a stack was destroyed
	}
	if a.Stable < b.Stable || a.Stable != a.Target {
		j.bad("r%d would be stable instead of r%d, and r%d is being carried out", a.Stable, b.Stable, a.Target)
		return
	}
	if a.Rejected != nil && a.Rejected.Revision == a.Stable {
		j.bad("r%d would be stable, and it is rejected", a.Stable)
	}
	for _, s := range j.release.Services {
		if why := j.unproven(s); why != "" {
			j.bad("r%d would be stable, and %s %s", a.Stable, s.Name, why)
		}
	}
}

// unproven returns why a service does not work as its release says; empty if it does, as far as one step can tell.
func (j *judge) unproven(s glint.Service) string {
	c := j.find(s.Name)
	if c == nil {
		return "has no fleet"
	}
	v := s.Template.Version()
	if c.is.Target != v {
		return "is to be of another version"
	}
	if s.Task {
		if r, ok := c.is.Result(v); !ok || r.Outcome != glint.Succeeded {
			return "has not succeeded"
		}
		return ""
	}
	proven := c.wants == 0
	for _, p := range c.members {
		if p.m.Counts() && p.m.Version != v {
			return "has instances of another version"
		}
		proven = proven || p.m.Counts() && p.m.Seen
	}
	if !proven {
		return "was never seen to work"
	}
	return ""
}

// moment: a step is one moment. Whatever happens in it bears the same time.
func (j *judge) moment() {
	var now time.Time
	for i := range j.fleets {
		c := &j.fleets[i]
		for _, p := range c.members {
			for _, at := range p.stamps() {
				if now.IsZero() {
					now = at
				}
				if !at.Equal(now) {
					j.bad("%s.%d: what happens to it is dated %s, and this step is of %s", c.is.Name, p.m.N, at, now)
					return
				}
			}
		}
	}
}

// stamps returns the times that were written down for the member in this step.
func (p pair) stamps() (at []time.Time) {
	if !p.had {
		at = append(at, p.m.Created)
	}
	for _, t := range [...][2]time.Time{{p.old.Leaving, p.m.Leaving}, {p.old.Let, p.m.Let}, {p.old.Out, p.m.Out}, {p.old.Ending, p.m.Ending}} {
		if !t[1].IsZero() && !t[1].Equal(t[0]) {
			at = append(at, t[1])
		}
	}
	return at
}

// ordered reports whether a person's order was taken up in this step.
func (j *judge) ordered() bool { return j.after.Ordered > j.before.Ordered }

// revised reports whether a newer revision was taken up in this step.
func (j *judge) revised() bool { return j.after.Revision > j.before.Revision }

// verdict reports whether a revision was rejected in this step.
func (j *judge) verdict() bool {
	b, a := j.before.Rejected, j.after.Rejected
	return a != nil && (b == nil || *a != *b)
}

// returning reports whether the stable revision is carried out in the place of a newer one.
func (j *judge) returning() bool {
	return j.after.Target == j.after.Stable && j.after.Target != j.after.Revision
}

// paused reports whether a person's pause held all through this step, and nothing is being turned back.
func (j *judge) paused() bool {
	return j.after.Paused != nil && sameWord(j.before.Paused, j.after.Paused) && !j.verdict() && !j.returning()
}

func sameWord(a, b *glint.Word) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.By == b.By && a.Comment == b.Comment && a.At.Equal(b.At)
}
