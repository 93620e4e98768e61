package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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
		Use:        "why [INSTANCE|SERVICE|rN|STACK]",
		Short:      "Say why an instance, a service, a revision or the stack is as it is",
		SuggestFor: []string{"explain", "reason"},
		Long: `Says in one sentence what became of an instance, a service, a revision or the stack, then for what it waits now, then the
story with its evidence: reasons, blueprint numbers, last lines of what failed. Of a service and of the stack it tells the
newest part; all of it is in glint events. A service that is called like a revision is named with its stack: shop/r5.
Times are local.

With -o json: {answer, events, notes}; events as in glint events.`,
		Example: "  glint why\n  glint why web.1\n  glint why shop/web\n  glint why r5",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			remote, err := c.remote()
			if err != nil {
				return err
			}
			if namesRevision(first(args)) {
				return c.whyRevision(ctx, remote, first(args))
			}
			s, err := c.meant(ctx, remote, first(args))
			if err != nil {
				return err
			}
			why, err := remote.Why(ctx, s.stack, s.service, s.n)
			if err != nil {
				return err
			}
			text := answerFor(s, why.Events)
			switch {
			case s.n > 0:
				return c.showWhy(text, why, "")
			case s.service != "":
				why.Events = lastly(why.Events, maxStory, func(e glint.Event) bool { return e.Kind != glint.EventRoute && e.Kind != glint.EventGone })
				return c.showWhy(text, why, fmt.Sprintf("more: glint why %s, glint logs %s, glint events %s", oneOf(why.Events, s), s.service, s.stack))
			}
			why.Events = stackStory(why.Events)
			text, why.Notes = c.stackAnswer(ctx, remote, s.stack, text, why.Notes)
			return c.showWhy(text, why, fmt.Sprintf("more: glint why SERVICE, glint history %s, glint events %s", s.stack, s.stack))
		},
	}
}

// maxStory bounds the events that are told of a service.
const maxStory = 12

// oneOf names the instance of a service that was heard of last.
func oneOf(events []glint.Event, s subject) string {
	if e, ok := lastOf(events, func(e glint.Event) bool { return !e.ID.IsZero() }); ok {
		return e.ID.Short()
	}
	return s.service + ".1"
}

// lastly keeps the newest events that fit.
func lastly(events []glint.Event, most int, fits func(glint.Event) bool) []glint.Event {
	var out []glint.Event
	for _, e := range events {
		if fits(e) {
			out = append(out, e)
		}
	}
	return out[max(len(out)-most, 0):]
}

// stackStory is what the state of a stack is due to: what was asked and said last, the verdict, and what failed lately.
func stackStory(events []glint.Event) []glint.Event {
	asked := lastly(events, 4, func(e glint.Event) bool {
		return e.Kind == glint.EventRevision || e.Kind == glint.EventOrder || e.Kind == glint.EventVerdict
	})
	wrong := lastly(events, 4, func(e glint.Event) bool { return e.Kind == glint.EventIncident || broke(e) })
	out := append(asked, wrong...)
	slices.SortFunc(out, func(a, b glint.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}

// stackAnswer says first what is under way, and who holds it.
func (c *cli) stackAnswer(ctx context.Context, remote *api.Client, stack, last string, notes []glint.Note) (string, []glint.Note) {
	st, err := remote.Status(ctx, stack)
	if err != nil { // it was destroyed: the last verdict is all
		return last, notes
	}
	notes = waits(st)
	switch st.Outcome {
	case glint.RolledBack:
		return fmt.Sprintf("r%d was rejected: %s; %s", st.Rejected.Revision, clean(st.Rejected.Because), last), notes
	case glint.Waiting, glint.InProgress, glint.RollingBack:
		return fmt.Sprintf("r%d is %s, %d/%d ready; before: %s", st.Revision, st.Outcome, st.Ready, st.Wanted, last), notes
	}
	return last, notes
}

// whyRevision says how a revision came out, and why.
func (c *cli) whyRevision(ctx context.Context, remote *api.Client, name string) error {
	number, err := parseRevision(name)
	if err != nil {
		return err
	}
	stack, err := c.whichStack(ctx, "")
	if err != nil {
		return err
	}
	why, err := remote.WhyRevision(ctx, stack, number)
	if err != nil {
		return err
	}
	all, err := remote.Revisions(ctx, stack)
	if err != nil {
		return err
	}
	r := all[number-1]
	why.Events = lastly(why.Events, len(why.Events), milestone)
	text := fmt.Sprintf("%s r%d (%s by %s): %s", stack, number, whatText(r.Revision), clean(r.By), r.Outcome)
	if r.Verdict != "" && moodOf(r.Outcome) == bad {
		text += ": " + clean(r.Because())
	}
	more := fmt.Sprintf("more: glint history r%d", number)
	if moodOf(r.Outcome) == bad {
		more += fmt.Sprintf("      mend it and glint apply, or try it as it is: glint apply --from r%d --retry", number)
	}
	return c.showWhy(text, why, more)
}

// showWhy says the answer, for what it waits, and the story.
func (c *cli) showWhy(text string, why api.Why, more string) error {
	if c.json() {
		return c.print(answer{Answer: text, Events: append([]glint.Event{}, why.Events...), Notes: append([]glint.Note{}, why.Notes...)})
	}
	c.say("%s", text)
	for _, n := range why.Notes {
		c.say("  waits: %s", noteText(n))
	}
	day := ""
	var tail []string
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
		if len(e.Tail) > 0 && slices.Equal(tail, e.Tail) {
			c.say("      (the same output)")
			continue
		}
		for _, line := range e.Tail {
			c.say("      | %s", clean(line))
		}
		tail = e.Tail
	}
	if more != "" {
		c.say("%s", c.paint(aside, more))
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
	decides := func(e glint.Event) bool { return e.Kind == glint.EventVerdict && (e.Service == "" || e.Reason != "") }
	if s.service != "" {
		decides = func(e glint.Event) bool {
			return e.Kind == glint.EventPhase || e.Kind == glint.EventVerdict && e.Reason == ""
		}
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
			return fmt.Sprintf("%s %s, since %s%s", name, e.Text, e.At.Local().Format("15:04:05"), cameFor(name, events))
		}
		return sentenceOf(events[len(events)-1])
	}
	because := strings.TrimPrefix(told.Text, "leaves: ")
	if told.Reason == glint.Finished {
		return fmt.Sprintf("%s did its work: %s, at %s", name, strings.TrimPrefix(because, "finished, "), told.At.Local().Format("15:04:05"))
	}
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

// cameFor says in whose place an instance came.
func cameFor(name string, events []glint.Event) string {
	e, ok := lastOf(events, func(e glint.Event) bool {
		return e.Kind == glint.EventCreate && e.ID.Short() == name && !e.For.IsZero()
	})
	if !ok {
		return ""
	}
	if left, ok := firstLeave(e.For.Short(), events); ok {
		return fmt.Sprintf("; it came for %s, which was %s", e.For.Short(), strings.TrimPrefix(left.Text, "leaves: "))
	}
	return "; it came for " + e.For.Short()
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
