package check

import "github.com/glint-infra/glint"

// spares: a standby is let go once and never caught again; what is kept warm takes no traffic and counts for nothing.
func (j *judge) spares(c *change) {
	held, made := 0, 0
	for _, p := range c.members {
		j.standby(c, p)
		j.warm(c, p)
		if p.m.Held && p.m.Stays() && p.m.Version == c.is.Target {
			held++
			if !p.had {
				made++
			}
		}
	}
	if made > 0 && held > c.service.Standby && !j.verdict() {
		j.bad("%s: %d standbys, more than %d", c.is.Name, held, c.service.Standby)
	}
}

func (j *judge) standby(c *change, p pair) {
	old, m := p.old, p.m
	switch {
	case p.had && m.Held && !old.Held:
		j.bad("%s.%d: has begun, and would be held", c.is.Name, m.N)
	case m.Held && m.Routed:
		j.bad("%s.%d: is held, and would take traffic", c.is.Name, m.N)
	case m.Held && !m.Let.IsZero():
		j.bad("%s.%d: is held, and would be said to be let go", c.is.Name, m.N)
	case old.Held && !m.Held && m.Let.IsZero():
		j.bad("%s.%d: would be let go, and nobody would know when", c.is.Name, m.N)
	case old.Held && !m.Held && !m.Stays():
		j.bad("%s.%d: would be let go and leave", c.is.Name, m.N)
	case old.Held && !m.Held && m.Version != c.is.Target && m.Version != c.is.Stable:
		j.bad("%s.%d: would be let go, and its version %s is not wanted", c.is.Name, m.N, m.Version.Short())
	case !old.Held && !m.Let.Equal(old.Let):
		j.bad("%s.%d: would be said to be let go at another time", c.is.Name, m.N)
	}
}

func (j *judge) warm(c *change, p pair) {
	if !p.m.Warm.IsZero() && p.m.Routed {
		j.bad("%s.%d: is kept warm, and would take traffic", c.is.Name, p.m.N)
	}
	if p.returns() && p.m.Version != c.is.Target && p.m.Version != c.is.Stable {
		j.bad("%s.%d: would count again, and its version %s is not wanted", c.is.Name, p.m.N, p.m.Version.Short())
	}
	if !p.cools() {
		return
	}
	switch u := c.service.Update; {
	case !p.had || p.m.Held:
		j.bad("%s.%d: never ran, and would be kept warm", c.is.Name, p.m.N)
	case c.is.Templates[p.m.Version].Exclusive():
		j.bad("%s.%d: holds a volume, and would be kept warm", c.is.Name, p.m.N)
	case !j.verdict() && (u.Warm <= 0 || u.Strategy == glint.Recreate || c.service.Task):
		j.bad("%s.%d: would be kept warm, and its service does not say so", c.is.Name, p.m.N)
	case p.m.Version == c.is.Target:
		j.bad("%s.%d: would be kept warm, and its version is wanted", c.is.Name, p.m.N)
	case c.rejected(p.m.Version):
		j.bad("%s.%d: would be kept warm, and its version is rejected", c.is.Name, p.m.N)
	}
}
