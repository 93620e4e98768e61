package check

import "github.com/glint-infra/glint"

// reasons: whoever leaves does so for a reason that is known, shown, and true.
func (j *judge) reasons(c *change) {
	counted := 0 // before, or after, or both
	for _, p := range c.members {
		if p.had && p.old.Counts() || p.m.Counts() {
			counted++
		}
	}
	for _, p := range c.members {
		if !p.m.Stays() && p.m.Reason == "" {
			j.bad("%s.%d: would leave without a reason", c.is.Name, p.m.N)
			continue
		}
		if !p.leaves() {
			continue
		}
		if p.m.Because == "" {
			j.bad("%s.%d: would leave (%s) without evidence", c.is.Name, p.m.N, p.m.Reason)
		}
		if why := j.untrue(c, p, counted); why != "" {
			j.bad("%s.%d: would leave as %s, and %s", c.is.Name, p.m.N, p.m.Reason, why)
		}
	}
}

// untrue returns what contradicts a member's reason to leave; empty if nothing does.
func (j *judge) untrue(c *change, p pair, counted int) string {
	wanted := p.m.Version == c.is.Target && c.declared
	switch p.m.Reason {
	case glint.Superseded:
		if wanted {
			return "its version is the one that is wanted"
		}
	case glint.RejectedFor:
		if wanted && !c.rejected(p.m.Version) {
			return "its version is not rejected"
		}
	case glint.Expired:
		return j.expired(c, p)
	case glint.Surplus:
		// In a canary each version has places of its own.
		if p.old.Counts() && !c.task() && c.is.Phase != glint.Canary && counted <= c.wants && !j.verdict() {
			return "no more are there than are wanted"
		}
	case glint.Requested:
		if j.after.Ordered == 0 && c.is.Renew == nil {
			return "nobody has ever asked for anything"
		}
	case glint.Finished:
		return finished(c, p)
	case glint.Unhealthy:
		return j.unhealthy(c, p)
	default:
		return contradicted(p)
	}
	return ""
}

// contradicted returns what was seen that contradicts a reason which rests on what was seen.
func contradicted(p pair) string {
	switch p.m.Reason {
	case glint.Drifted:
		if !drifted(p) {
			return "no deviation was seen"
		}
	case glint.Lost:
		if p.here && (p.inst.State == glint.Running || p.inst.State == glint.Held) {
			return "it was seen to be " + string(p.inst.State)
		}
	case glint.Tainted:
		if !p.here || p.inst.Tainted == "" {
			return "no taint was seen"
		}
	default:
		return "nobody knows such a reason"
	}
	return ""
}

func drifted(p pair) bool {
	differs := func(want, got string) bool { return want != "" && got != "" && want != got }
	began := p.old.Held && p.inst.State == glint.Running
	return p.here && (began || len(p.inst.Deviations) > 0 || p.inst.Version != p.m.Version || differs(p.m.Address, p.inst.Address) || differs(p.m.Place, p.inst.Place))
}

// expired: expiry is spread over the last part of an age, which begins no sooner than half of it.
func (j *judge) expired(c *change, p pair) string {
	if !c.declared || j.verdict() {
		return "" // the release is not the one whose ages held
	}
	most := c.service.MaxAge.D()
	if most == 0 {
		return "its service lets instances grow old"
	}
	if age := p.m.Leaving.Sub(p.m.Created); age < most/2 {
		return "it is " + age.String() + " old, of " + most.String()
	}
	return ""
}

// unhealthy: what has worked is replaced when it need be, not because it takes no requests for a while; what has not, and
// a task, when its time is over.
func (j *judge) unhealthy(c *change, p pair) string {
	if !p.running() || !p.inst.Health.Known || !p.inst.Health.Live {
		return ""
	}
	early := c.declared && !j.verdict() && p.m.Leaving.Sub(p.m.Created) < c.service.Update.StartWithin.D()
	proving := c.was.Phase == glint.Canary && p.m.Version == c.was.Target
	switch {
	case c.task():
		if early {
			return "its time is not over"
		}
	case p.inst.Health.Ready:
		return "it was seen to be ready"
	case p.old.Seen:
		if !proving {
			return "it was seen to be alive"
		}
	case early:
		return "its time to start is not over"
	}
	return ""
}
