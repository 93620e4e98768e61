package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// maxWords bounds the words that a history shows unasked: who scales by machine says many.
const maxWords = 20

func (c *cli) historyCommand() *cobra.Command {
	var orders bool
	cmd := &cobra.Command{
		Use:        "history [STACK] [rN]",
		Short:      "List the revisions of a stack and how each came out, or tell of one",
		SuggestFor: []string{"log", "revisions", "releases"},
		Long: `Lists what was asked of a stack, by whom, and how it came out, the newest first, and between them what people said
about what runs: who paused, promoted, aborted. With r5 it tells of that revision: what it changed, how it was carried out,
and the evidence of its verdict. Times are local.

With -o json, an array, the oldest first, of {number, release, at, by, kind, from, retry, comment, outcome, verdict}; what
people said is in glint events. Of one revision it is that object with {against, changes, events}: changes as in glint diff,
events as in glint events.`,
		Example: "  glint history\n  glint history r5\n  glint history shop --orders\n  glint history -o json | jq '.[-1].outcome'",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			number := 0
			if n := len(args); n > 0 && (namesRevision(args[n-1]) || n == 2) {
				var err error
				if number, err = parseRevision(args[n-1]); err != nil {
					return err
				}
				args = args[:n-1]
			}
			remote, err := c.remote()
			if err != nil {
				return err
			}
			stack, err := c.whichStack(cmd.Context(), first(args))
			if err != nil {
				return err
			}
			all, err := remote.Revisions(cmd.Context(), stack)
			switch {
			case err != nil:
				return err
			case number > 0:
				return c.tellRevision(cmd.Context(), remote, all, number)
			case c.json():
				return c.print(all)
			}
			return c.listRevisions(cmd.Context(), remote, all, orders)
		},
	}
	cmd.Flags().BoolVar(&orders, "orders", false, "show all that people said, however much")
	return cmd
}

// A row is a line of history, and when it happened.
type row struct {
	at   time.Time
	text string
}

func (c *cli) listRevisions(ctx context.Context, remote *api.Client, all []api.RevisionStatus, every bool) error {
	words, err := remote.Orders(ctx, all[0].Stack)
	if err != nil {
		return err
	}
	more := 0
	if !every && len(words) > maxWords {
		more = len(words) - maxWords
		words = words[more:]
	}
	var rows []row
	for _, r := range all {
		rows = append(rows, row{r.At, revisionRow(r)})
	}
	for _, e := range words {
		rows = append(rows, row{e.At, wordRow(e)})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return b.at.Compare(a.at) })
	var lines []string
	for _, r := range rows {
		lines = append(lines, r.text)
	}
	if err := c.table("REVISION\tWHEN\tBY\tWHAT\tRELEASE\tOUTCOME", lines); err != nil || more == 0 {
		return err
	}
	c.say("and %s before; see all with --orders", plural(more, "word"))
	return nil
}

func whatText(r glint.Revision) string {
	what := string(r.Kind)
	switch {
	case r.From > 0 && r.Kind == glint.KindRollback:
		what += fmt.Sprintf(" to r%d", r.From)
	case r.From > 0:
		what += fmt.Sprintf(" from r%d", r.From)
	}
	if r.Retry {
		what += " --retry"
	}
	return what
}

func revisionRow(r api.RevisionStatus) string {
	what, outcome := whatText(r.Revision), string(r.Outcome)
	if r.Comment != "" {
		what += ": " + clean(r.Comment)
	}
	if moodOf(r.Outcome) == bad && r.Verdict != "" {
		outcome += ": " + clean(r.Because())
	}
	return fmt.Sprintf("r%d\t%s\t%s\t%s\t%s\t%s", r.Number, r.At.Local().Format(time.DateTime), clean(r.By), what, r.Release.Short(), outcome)
}

// wordRow is what somebody said, among the revisions.
func wordRow(e glint.Event) string {
	who, what, ok := strings.Cut(clean(e.Text), " said: ")
	if !ok {
		who, what = "-", clean(e.Text)
	}
	return fmt.Sprintf("\t%s\t%s\t%s\t\t", e.At.Local().Format(time.DateTime), who, what)
}

// A chapter is what glint history r5 -o json prints.
type chapter struct {
	api.RevisionStatus
	Against int           `json:"against"` // the revision with which it is compared; 0: none
	Changes []difference  `json:"changes"`
	Events  []glint.Event `json:"events"`
}

// tellRevision tells of one revision: what it changed, how it was carried out, and why it came out so.
func (c *cli) tellRevision(ctx context.Context, remote *api.Client, all []api.RevisionStatus, number int) error {
	stack := all[0].Stack
	why, err := remote.WhyRevision(ctx, stack, number)
	if err != nil {
		return err
	}
	ch := chapter{RevisionStatus: all[number-1], Against: before(all, number), Changes: []difference{}, Events: why.Events}
	var old, rel glint.Release
	if ch.Against > 0 {
		if old, err = remote.Release(ctx, stack, ch.Against); err != nil {
			return err
		}
	}
	if rel, err = remote.Release(ctx, stack, number); err != nil {
		return err
	}
	ch.Changes = differences(old, rel)
	if c.json() {
		return c.print(ch)
	}
	r := ch.Revision
	c.say("%s r%d: %s by %s, %s", stack, number, whatText(r), clean(r.By), r.At.Local().Format(time.DateTime))
	if r.Comment != "" {
		c.say("  why       %s", clean(r.Comment))
	}
	outcome := string(ch.Outcome)
	if ch.Verdict != "" && moodOf(ch.Outcome) == bad {
		outcome += ": " + clean(ch.Because())
	}
	c.say("  outcome   %s", c.paint(moodOf(ch.Outcome), outcome))
	c.say("  release   %s", r.Release.Short())
	c.sayAgainst(ch)
	c.sayCourse(why.Events)
	for _, n := range why.Notes {
		c.say("  waits     %s", noteText(n))
	}
	return nil
}

// before is the revision that served before number, which is what a reader compares it with.
func before(all []api.RevisionStatus, number int) int {
	for _, r := range slices.Backward(all[:number-1]) {
		if r.Kind == glint.KindDestroy {
			return 0
		}
		if r.Verdict != "" && moodOf(r.Outcome) != bad {
			return r.Number
		}
	}
	return 0
}

func (c *cli) sayAgainst(ch chapter) {
	switch {
	case ch.Kind == glint.KindDestroy:
		return
	case ch.Against == 0:
		c.say("Declared, with nothing before it")
	case len(ch.Changes) == 0:
		c.say("The same as r%d, which served before", ch.Against)
	default:
		c.say("Changed against r%d, which served before", ch.Against)
	}
	for _, d := range ch.Changes {
		c.sayDifference(d)
	}
}

// sayCourse tells how a revision was carried out, by the clock of its beginning.
func (c *cli) sayCourse(events []glint.Event) {
	if len(events) == 0 {
		return
	}
	c.say("Course")
	began, created, ready := events[0].At, 0, 0
	left := map[glint.Reason]int{}
	var tail []string
	for _, e := range events {
		switch {
		case e.Kind == glint.EventCreate:
			created++
		case e.Kind == glint.EventReady:
			ready++
		case e.Kind == glint.EventLeave && strings.HasPrefix(e.Text, "leaves: "):
			left[e.Reason]++
		}
		if !milestone(e) {
			continue
		}
		c.say("  %8s  %s", seconds(e.At.Sub(began)), sentenceOf(e))
		if len(e.Tail) > 0 && !slices.Equal(e.Tail, tail) {
			for _, line := range tailLines(e.Tail) {
				c.say("%s", line)
			}
			tail = e.Tail
		}
	}
	text := fmt.Sprintf("%d created, %d of them ready", created, ready)
	for _, reason := range slices.Sorted(maps.Keys(left)) {
		text += fmt.Sprintf(", %d left (%s)", left[reason], reason)
	}
	c.say("  %8s  %s", "", text)
}

// milestone reports whether an event moved a rollout on; the others tell of single instances and of traffic.
func milestone(e glint.Event) bool {
	switch e.Kind {
	case glint.EventRevision, glint.EventOrder, glint.EventPhase, glint.EventVerdict, glint.EventIncident:
		return true
	}
	return broke(e)
}
