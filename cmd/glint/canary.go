package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// baked reports whether a canary has worked long enough and waits for a person's word. The server's clock counts.
func baked(s api.ServiceStatus, now time.Time) bool {
	return s.Canary != nil && s.Canary.Manual && !s.Canary.Until.IsZero() && !now.Before(s.Canary.Until)
}

// waitsForWord reports whether nothing moves any more but by a person's word.
func waitsForWord(st api.Status) bool {
	some := false
	for _, s := range st.Services {
		switch {
		case baked(s, st.SeenAt):
			some = true
		case s.Phase == glint.RollingTo || s.Phase == glint.Returning || s.Phase == glint.Canary:
			return false
		}
	}
	return some && st.Paused == nil
}

// bakedText says which canaries wait for a person's word.
func bakedText(st api.Status) string {
	var names []string
	for _, s := range st.Services {
		if baked(s, st.SeenAt) {
			names = append(names, fmt.Sprintf("the canary of %s (%d of %d) has worked for %s", s.Name, s.Canary.Ready, s.Wanted, age(st.SeenAt.Sub(s.Canary.Baking))))
		}
	}
	return strings.Join(names, ", ")
}

// canaryText says how far a canary has come, and what comes next.
func canaryText(st api.Status, s api.ServiceStatus) string {
	c := s.Canary
	text := fmt.Sprintf("%d of %d work", c.Ready, c.Wanted)
	if c.Wanted == 1 {
		text = "1 of 1 works"
	}
	promote := "glint promote " + st.Stack
	switch left := c.Until.Sub(st.SeenAt); {
	case c.Baking.IsZero():
		return fmt.Sprintf("%d of %d ready", c.Ready, c.Wanted)
	case left > 0 && c.Manual:
		return fmt.Sprintf("%s; bakes for %s more, then: %s", text, age(left), promote)
	case left > 0:
		return fmt.Sprintf("%s; bakes for %s more, or: %s", text, age(left), promote)
	case c.Manual:
		return fmt.Sprintf("%s and has baked; go on: %s", text, promote)
	}
	return text + " and has baked"
}

// sayCanaries tells once of every canary that it is complete, and for how long it must work.
func (f *follower) sayCanaries(st api.Status) {
	for _, s := range st.Services {
		if s.Canary == nil || s.Canary.Baking.IsZero() || f.baking[s.Name].Equal(s.Canary.Baking) {
			continue
		}
		if f.baking == nil {
			f.baking = map[string]time.Time{}
		}
		f.baking[s.Name] = s.Canary.Baking
		f.narrator.flush()
		f.narrator.say(step("canary", s.Name+" "+canaryText(st, s), ""))
	}
}

// waits are the reasons to wait, the pause first; what only says again that there is a pause is left out.
func waits(st api.Status) (notes []glint.Note) {
	if st.Paused != nil {
		notes = append(notes, glint.Note{Text: pausedText(st)})
	}
	for _, n := range st.Notes {
		if st.Paused == nil || !strings.HasSuffix(n.Text, "to go on: glint resume") {
			notes = append(notes, n)
		}
	}
	return notes
}

// pausedText says who lets nothing go on, since when and why.
func pausedText(st api.Status) string {
	text := fmt.Sprintf("paused by %s at %s", clean(st.Paused.By), st.Paused.At.Local().Format(time.DateTime))
	if st.Paused.Comment != "" {
		text += " (" + clean(st.Paused.Comment) + ")"
	}
	return text + "; go on: glint resume " + st.Stack
}
