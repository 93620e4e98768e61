package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// A verdict is how an undertaking ended, with its evidence.
type verdict struct {
	undertaking
	outcome glint.Outcome
	st      api.Status
	failed  glint.Event // the last instance that did not work
	already bool        // it was over before it was asked for
	baked   bool        // it waits for a person's word
	late    bool        // there was no verdict in time
	away    bool        // the server did not answer at the end
	by      string      // who overtook it
}

// applied is what glint apply -o json prints.
type applied struct {
	Stack     string        `json:"stack"`
	Revision  int           `json:"revision"`
	Outcome   glint.Outcome `json:"outcome"`
	Unchanged bool          `json:"unchanged"` // the same release was the newest already
	Stable    int           `json:"stable"`    // the revision that serves; 0: none
	URLs      []string      `json:"urls"`
	Seconds   float64       `json:"seconds"`
	Because   string        `json:"because,omitempty"`  // why it was rejected
	Instance  string        `json:"instance,omitempty"` // the one that failed
	Tail      []string      `json:"tail,omitempty"`     // its last lines
	Waits     string        `json:"waits,omitempty"`    // the command that lets it go on
	Exit      int           `json:"exit"`
}

// conclude says the verdict and gives the exit code.
func (c *cli) conclude(v verdict) error {
	code := v.code()
	if c.json() {
		if err := c.print(v.applied(c, code)); err != nil {
			return err
		}
		return exit{code: code}
	}
	for _, line := range v.lines(c) {
		c.say("%s", line)
	}
	return exit{code: code}
}

func (v verdict) code() int {
	switch {
	case v.aborts && v.outcome == glint.RolledBack:
		return exitDone
	case v.aborts && v.outcome == glint.Serving:
		return exitFailed
	case v.baked, v.outcome == glint.Serving, v.outcome == glint.Ended && v.rev.Kind == glint.KindDestroy:
		return exitDone
	case v.outcome == glint.RolledBack:
		return exitRolledBack
	}
	return exitFailed
}

func (v verdict) applied(c *cli, code int) applied {
	a := applied{
		Stack: v.rev.Stack, Revision: v.rev.Number, Outcome: v.outcome, Unchanged: v.unchanged, Stable: v.st.Stable, URLs: v.st.Routes.URLs,
		Seconds: math.Round(c.Now().Sub(v.began).Seconds()*1000) / 1000, Exit: code,
	}
	if a.URLs == nil {
		a.URLs = []string{}
	}
	if v.baked {
		a.Waits = "glint promote " + v.rev.Stack
	}
	if r := v.st.Rejected; r != nil && r.Revision == v.rev.Number {
		a.Because = r.Because
		if !r.Instance.IsZero() {
			a.Instance = r.Instance.Short()
		}
		a.Tail = v.failed.Tail
	}
	return a
}

// lines is the verdict for people.
func (v verdict) lines(c *cli) []string {
	r, took := fmt.Sprintf("r%d", v.rev.Number), seconds(c.Now().Sub(v.began))
	switch {
	case v.baked:
		return []string{
			c.paint(good, fmt.Sprintf("%s waits for your word: %s (%s).", r, bakedText(v.st), took)),
			fmt.Sprintf("  go on: glint promote %s      give up: glint abort %s --reason \"…\"", v.rev.Stack, v.rev.Stack),
		}
	case v.aborts && v.outcome == glint.RolledBack:
		return []string{c.paint(good, fmt.Sprintf("%s is aborted; r%d serves%s (%s)", r, v.st.Stable, v.where(), took))}
	case v.aborts && v.outcome == glint.Serving:
		return []string{c.paint(bad, fmt.Sprintf("%s served before it could be aborted; go back with: glint rollback", r))}
	case v.late && v.away:
		return []string{c.paint(bad, fmt.Sprintf("%s: no verdict within %s, for the server does not answer; what runs goes on.", r, v.timeout)), "  start it again, then: glint apply"}
	case v.late:
		return []string{
			c.paint(bad, fmt.Sprintf("%s: no verdict within %s (%s); it goes on without you.", r, v.timeout, v.outcome)),
			"  look: glint status      come back: glint apply --timeout 30m      give up: glint rollback",
		}
	case v.outcome == glint.Serving && v.already:
		return []string{fmt.Sprintf("%s serves already%s; nothing to do", r, v.where())}
	case v.outcome == glint.Serving:
		return []string{step("route", fmt.Sprintf("generation %d acknowledged", v.st.Routes.InForce), ""), c.paint(good, fmt.Sprintf("%s serves%s (%s)", r, v.where(), took))}
	case v.outcome == glint.RolledBack:
		return append([]string{c.paint(bad, fmt.Sprintf("ROLLED BACK to r%d, which serves%s.", v.st.Stable, v.where()))}, v.evidence()...)
	case v.outcome == glint.Failed:
		return append([]string{c.paint(bad, fmt.Sprintf("%s FAILED, and there is no earlier revision to go back to.", r))}, v.evidence()...)
	case v.outcome == glint.Replaced:
		return []string{c.paint(bad, fmt.Sprintf("%s was overtaken by %s. See: glint history", r, v.by))}
	case v.outcome == glint.Ended && v.rev.Kind == glint.KindDestroy:
		return []string{c.paint(good, fmt.Sprintf("%s is destroyed (%s). Volumes and history are kept.", v.rev.Stack, took))}
	case v.outcome == glint.Ended:
		return []string{c.paint(bad, fmt.Sprintf("%s was destroyed by somebody while %s was carried out. See: glint history %s", v.rev.Stack, r, v.rev.Stack))}
	}
	return []string{fmt.Sprintf("%s is %s", r, v.outcome)}
}

func (v verdict) where() string {
	if len(v.st.Routes.URLs) == 0 {
		return ""
	}
	return " at " + strings.Join(v.st.Routes.URLs, " and ")
}

// evidence says why, by whose last words, and what to do.
func (v verdict) evidence() []string {
	r := v.st.Rejected
	if r == nil {
		return nil
	}
	lines := []string{"  because   " + clean(r.Because)}
	if !r.Instance.IsZero() {
		if v.failed.ID == r.Instance {
			lines = append(lines, tailLines(v.failed.Tail)...)
		}
		lines = append(lines, fmt.Sprintf("  evidence  glint why %s", r.Instance.Short()))
	}
	return append(lines, "  next      mend it and glint apply; the same again: glint apply --retry")
}

// tailLines is what a failed instance wrote last.
func tailLines(tail []string) []string {
	const margin = "            "
	if len(tail) == 0 {
		return []string{margin + "(no output)"}
	}
	var out []string
	for _, line := range tail {
		out = append(out, margin+"| "+clean(line))
	}
	return out
}
