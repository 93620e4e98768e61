package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
)

func (c *cli) eventsCommand() *cobra.Command {
	var follow bool
	var last int
	cmd := &cobra.Command{
		Use:        "events [STACK]",
		Short:      "Tell a stack's story",
		SuggestFor: []string{"story", "audit"},
		Long: `Tells what happened to a stack: what was asked, every instance that came and went and why, where traffic moved,
what was not as declared. Times are local; with -o json they are UTC.

With -o json, one event on each line: {seq, at, stack, kind, service, id, blueprint, revision, reason, text, tail}. kind is
one of revision, order, phase, create, ready, leave, route, gone, verdict, incident.`,
		Example: "  glint events\n  glint events -f -o json | jq -c 'select(.kind == \"incident\")'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			remote, err := c.remote()
			if err != nil {
				return err
			}
			stack, err := c.whichStack(cmd.Context(), first(args))
			if err != nil {
				return err
			}
			events, err := remote.Events(cmd.Context(), stack, -1, last)
			if err != nil {
				return err
			}
			seq := int64(0)
			for _, e := range events {
				seq = e.Seq
				if err := c.tell(e); err != nil {
					return err
				}
			}
			if !follow {
				return nil
			}
			if err := remote.Follow(cmd.Context(), stack, seq, c.tell); cmd.Context().Err() == nil {
				return err
			}
			return nil // Ctrl-C is how following ends
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens, until Ctrl-C")
	cmd.Flags().IntVar(&last, "tail", 200, "begin with so many of the newest events")
	return cmd
}

// tell prints one event.
func (c *cli) tell(e glint.Event) error {
	if c.json() {
		return c.printLine(e)
	}
	for _, line := range eventLines(e) {
		if _, err := fmt.Fprintln(c.Stdout, line); err != nil {
			return err
		}
	}
	return nil
}

const clockFormat = "15:04:05.000"

func eventLines(e glint.Event) []string {
	lines := []string{fmt.Sprintf("%s  %s", e.At.Local().Format(time.DateOnly+" "+clockFormat), sentenceOf(e))}
	for _, line := range e.Tail {
		lines = append(lines, "    | "+clean(line))
	}
	return lines
}

// sentenceOf says what happened, beginning with whom.
func sentenceOf(e glint.Event) string {
	who := e.Service
	if !e.ID.IsZero() {
		who = e.ID.Short()
	}
	if e.Kind == glint.EventVerdict && (e.Service == "" || e.Reason != "") || e.Kind == glint.EventOrder {
		who = ""
	}
	if e.Kind == glint.EventIncident {
		who = strings.TrimSpace("incident: " + who)
	}
	return clean(strings.TrimSpace(who + " " + e.Text))
}

// lastOf returns the newest event that fits.
func lastOf(events []glint.Event, fits func(glint.Event) bool) (glint.Event, bool) {
	for _, e := range slices.Backward(events) {
		if fits(e) {
			return e, true
		}
	}
	return glint.Event{}, false
}
