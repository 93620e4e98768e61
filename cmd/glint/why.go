package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// An answer is what glint why says.
type answer struct {
	Answer string        `json:"answer"` // in one sentence
	Events []glint.Event `json:"events"`
	Notes  []glint.Note  `json:"notes"` // for what it waits now
}

func (c *cli) whyCommand() *cobra.Command {
	return &cobra.Command{
		Use:        "why [INSTANCE|SERVICE]",
		Short:      "Say why an instance, a service or the stack is as it is",
		SuggestFor: []string{"explain", "reason"},
		Long: `Says in one sentence what became of an instance, a service or the stack, then tells the story with its evidence:
reasons, blueprint numbers, last lines of what failed. What it waits for now comes last. Times are local.

With -o json: {answer, events, notes}; events as in glint events.`,
		Example: "  glint why\n  glint why web.1",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var s subject
			var err error
			if len(args) > 0 {
				if s, err = parseSubject(args[0]); err != nil {
					return err
				}
			}
			remote, err := c.remote()
			if err != nil {
				return err
			}
			if s.stack, err = c.whichStack(cmd.Context(), s.stack); err != nil {
				return err
			}
			why, err := remote.Why(cmd.Context(), s.stack, s.service, s.n)
			if err != nil {
				return err
			}
			return c.showWhy(s, why)
		},
	}
}

func (c *cli) showWhy(s subject, why api.Why) error {
	text := answerFor(s, why.Events)
	if c.json() {
		a := answer{Answer: text, Events: why.Events, Notes: why.Notes}
		if a.Events == nil {
			a.Events = []glint.Event{}
		}
		if a.Notes == nil {
			a.Notes = []glint.Note{}
		}
		return c.print(a)
	}
	c.say("%s", text)
	day := ""
	for _, e := range why.Events {
		at := e.At.Local()
		if d := at.Format("2 January 2006"); d != day {
			day = d
			c.say("%s", c.paint(aside, "  "+d))
		}
		number := ""
		if e.Blueprint > 0 {
			number = fmt.Sprintf("blueprint %d: ", e.Blueprint)
		}
		c.say("  %s  %s%s", at.Format(clockFormat), number, sentenceOf(e))
		for _, line := range e.Tail {
			c.say("      | %s", clean(line))
		}
	}
	for _, n := range why.Notes {
		c.say("  waits         %s", noteText(n))
	}
	return nil
}

// answerFor sums a story up.
func answerFor(s subject, events []glint.Event) string {
	switch {
	case len(events) == 0 && s.service == "":
		return fmt.Sprintf("nothing has happened to %s", s.stack)
	case len(events) == 0:
		return fmt.Sprintf("nothing is known of %s", s)
	case s.n > 0:
		return clean(instanceAnswer(s.String(), events))
	}
	decides := func(e glint.Event) bool { return e.Kind == glint.EventVerdict }
	if s.service != "" {
		decides = func(e glint.Event) bool { return e.Kind == glint.EventPhase }
	}
	if e, ok := lastOf(events, decides); ok {
		return fmt.Sprintf("%s, since %s", sentenceOf(e), e.At.Local().Format("15:04:05"))
	}
	return sentenceOf(events[len(events)-1])
}

// instanceAnswer says what became of one instance.
func instanceAnswer(name string, events []glint.Event) string {
	ours := func(kinds ...glint.EventKind) (glint.Event, bool) {
		return lastOf(events, func(e glint.Event) bool {
			for _, k := range kinds {
				if e.Kind == k && e.ID.Short() == name {
					return true
				}
			}
			return false
		})
	}
	told, left := firstLeave(name, events)
	if !left {
		if e, ok := ours(glint.EventRoute, glint.EventReady, glint.EventCreate); ok {
			return fmt.Sprintf("%s %s, since %s", name, e.Text, e.At.Local().Format("15:04:05"))
		}
		return sentenceOf(events[len(events)-1])
	}
	because := strings.TrimPrefix(told.Text, "leaves: ")
	next, ok := lastOf(events, func(e glint.Event) bool {
		return e.Kind == glint.EventCreate && e.For.Short() == name
	})
	if !ok {
		return fmt.Sprintf("%s was told to go: %s", name, because)
	}
	serves, ok := lastOf(events, func(e glint.Event) bool {
		return e.ID == next.ID && e.Kind == glint.EventRoute && e.Text == "takes traffic"
	})
	if !ok {
		return fmt.Sprintf("%s is being replaced by %s: %s", name, next.ID.Short(), because)
	}
	return fmt.Sprintf("%s was replaced by %s, which took traffic %s after %s was seen to be %s", name, next.ID.Short(), age(serves.At.Sub(told.At)), name, because)
}

// firstLeave is the event that told an instance to go; later ones tell how it went.
func firstLeave(name string, events []glint.Event) (glint.Event, bool) {
	for _, e := range events {
		if e.Kind == glint.EventLeave && e.ID.Short() == name {
			return e, true
		}
	}
	return glint.Event{}, false
}
