package observe

import (
	"fmt"
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

// An answer is what one probe brought back.
type answer struct {
	kind   kind
	detail string // for people
}

type kind int

const (
	none kind = iota // it could not be asked
	bad
	good
)

// The rule of damping; see the package comment.
const (
	flapWindow  = 5 * time.Minute
	freeFalls   = 2
	maxDoubling = 5
)

// A judge turns answers into a verdict. It starts nothing and reads no clock.
type judge struct {
	probe  glint.Probe
	was    bool // it has been ready, in this life of the server or before
	health glint.Health
	good   int // answers on end
	bad    int // answers on end
	none   int // tries on end
	since  time.Time
	falls  []time.Time // from ready to not ready, within flapWindow, oldest first
}

func newJudge(p glint.Probe, seen bool) judge {
	return judge{probe: p, was: seen, health: glint.Health{Live: true, Vantage: Vantage, Detail: "not asked yet"}}
}

// hear takes in an answer that came at that time and reports whether the planner should know of it.
func (j *judge) hear(at time.Time, a answer) (news bool) {
	before, was := j.health, j.was
	j.health.Detail = a.detail
	switch a.kind {
	case none:
		j.none++
		if j.none >= j.probe.UnreadyAfter {
			j.health.Known = false
		}
	case good:
		j.hearGood(at)
	case bad:
		j.hearBad(at)
	}
	after := j.health
	changed := before.Known != after.Known || before.Ready != after.Ready || before.Live != after.Live
	if changed {
		j.health.Since = at.UTC()
	}
	return changed && (was || after.Ready) // that a new instance is not ready yet is no news
}

func (j *judge) hearGood(at time.Time) {
	j.good, j.bad, j.none = j.good+1, 0, 0
	j.health.Live = true
	need := j.need(at)
	switch {
	case j.health.Ready:
		j.health.Known = true
	case j.good >= need:
		j.health.Known, j.health.Ready, j.was = true, true, true
	case need > j.probe.ReadyAfter:
		j.health.Detail += fmt.Sprintf("; it was lost %d times within %s, so it needs %d good answers on end and has %d",
			len(j.falls), glint.Duration(flapWindow), need, j.good)
	}
}

func (j *judge) hearBad(at time.Time) {
	j.good, j.bad, j.none = 0, j.bad+1, 0
	if j.bad == 1 {
		j.since = at
	}
	if j.bad < j.probe.UnreadyAfter {
		return
	}
	if j.health.Ready {
		j.falls = append(j.falls, at)
	}
	j.health.Known, j.health.Ready = true, false
	if j.was && j.probe.ReplaceAfter > 0 && at.Sub(j.since) >= j.probe.ReplaceAfter.D() {
		j.health.Live = false
	}
}

// need returns how many good answers on end make it ready, were they to end now.
func (j *judge) need(at time.Time) int {
	j.falls = slices.DeleteFunc(j.falls, func(t time.Time) bool { return at.Sub(t) >= flapWindow })
	return j.probe.ReadyAfter << min(max(len(j.falls)-freeFalls, 0), maxDoubling)
}

// withDefaults makes a probe safe to run whatever it was compiled from.
func withDefaults(p glint.Probe) glint.Probe {
	if p.Interval <= 0 {
		p.Interval = glint.Duration(time.Second)
	}
	p.Interval = max(p.Interval, glint.Duration(firstWait))
	if p.Timeout <= 0 {
		p.Timeout = glint.Duration(time.Second)
	}
	p.ReadyAfter, p.UnreadyAfter = max(p.ReadyAfter, 1), max(p.UnreadyAfter, 1)
	return p
}
