package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// A narrator turns the events of a rollout into short aligned lines. Events of one kind in one blueprint share a line.
type narrator struct {
	say      func(line string)
	revision int
	began    time.Time // by the clock of the server
	wanted   map[string]int

	pending []glint.Event       // of one kind, service and blueprint
	created map[string]glint.ID // the newest, by service
	ready   map[glint.ID]bool
	failed  glint.Event // the last one that left because it did not work
}

func newNarrator(say func(string), rev glint.Revision, rel glint.Release) *narrator {
	n := &narrator{say: say, revision: rev.Number, began: rev.At, wanted: map[string]int{}, created: map[string]glint.ID{}, ready: map[glint.ID]bool{}}
	for _, s := range rel.Services {
		n.wanted[s.Name] = s.Instances
	}
	return n
}

// known counts those as ready that were it before the first event: somebody comes back, or more are wanted.
func (n *narrator) known(st api.Status, rel glint.Release) {
	for _, s := range st.Services {
		wanted, _ := rel.Service(s.Name)
		for _, in := range s.Instances {
			if m := in.Member; m.Seen && m.Stays() && m.Version == wanted.Template.Version() {
				n.ready[in.ID] = true
			}
		}
	}
}

// expect learns how many are wanted where no release says it, and counts those that work already if they are to stay.
func (n *narrator) expect(st api.Status, stay bool) {
	for _, s := range st.Services {
		n.wanted[s.Name] = s.Wanted
		for _, in := range s.Instances {
			if m := in.Member; stay && m.Seen && m.Counts() {
				n.ready[in.ID] = true
			}
		}
	}
}

// hear takes the next event.
func (n *narrator) hear(e glint.Event) {
	if quiet(e) {
		return
	}
	if len(n.pending) > 0 {
		p := n.pending[0]
		together := e.Kind == glint.EventCreate && origin(e) == origin(p) || p.Service == e.Service && p.Text == e.Text && warmed(e) || p.Service == e.Service && e.Kind != glint.EventCreate && !warmed(e)
		if p.Kind != e.Kind || p.Blueprint != e.Blueprint || !together || loud(e) || loud(p) {
			n.flush()
		}
	}
	n.pending = append(n.pending, e)
}

// quiet events are no news to who follows: others tell the same.
func quiet(e glint.Event) bool {
	switch e.Kind {
	case glint.EventPhase:
		return slices.ContainsFunc([]string{"steady", "begins", "changes", "is no longer", "has no more", "canary: all of it works"}, func(s string) bool { return strings.HasPrefix(e.Text, s) })
	case glint.EventRoute:
		return !warmed(e)
	case glint.EventGone:
		return true
	case glint.EventLeave:
		return strings.HasPrefix(e.Text, "drained") || e.Reason == glint.Finished
	case glint.EventVerdict:
		return e.Reason != glint.RejectedFor && (e.Service == "" || strings.HasPrefix(e.Text, "task failed")) // its instance tells the same
	}
	return e.Kind == glint.EventRevision
}

// origin says how an instance comes into a place: created, created to be held, or let go after that.
func origin(e glint.Event) string {
	switch {
	case strings.HasPrefix(e.Text, "let go"):
		return "recruit"
	case strings.Contains(e.Text, ", as a standby"):
		return "standby"
	}
	return "create"
}

// warmed events tell of instances that are kept without traffic, or are wanted again after that.
func warmed(e glint.Event) bool { return e.Text == "is kept warm" || e.Text == "is wanted again" }

// loud events get a line of their own.
func loud(e glint.Event) bool {
	return len(e.Tail) > 0 || broke(e) || e.Kind == glint.EventOrder || e.Kind == glint.EventVerdict || e.Kind == glint.EventIncident
}

// broke reports whether the event tells of an instance that did not do its work.
func broke(e glint.Event) bool {
	switch e.Reason {
	case glint.Lost, glint.Unhealthy, glint.Drifted, glint.Tainted:
		return e.Kind == glint.EventLeave && strings.HasPrefix(e.Text, "leaves: ")
	}
	return false
}

// flush says what has been gathered.
func (n *narrator) flush() {
	if len(n.pending) == 0 {
		return
	}
	events := n.pending
	n.pending = nil
	e := events[0]
	switch e.Kind {
	case glint.EventPhase:
		n.line("rollout", e, e.Service+" "+e.Text)
	case glint.EventOrder:
		n.line("order", e, e.Text)
	case glint.EventCreate:
		for _, e := range events {
			n.created[e.Service] = e.ID
		}
		n.line(origin(e), e, names(events))
	case glint.EventReady:
		n.healthy(events)
	case glint.EventLeave:
		n.leave(events)
	case glint.EventRoute:
		n.line(map[bool]string{true: "warm", false: "again"}[e.Text == "is kept warm"], e, names(events))
	case glint.EventVerdict:
		if e.Reason != glint.RejectedFor {
			n.line("task", e, e.ID.Short()+" "+strings.TrimPrefix(e.Text, "task "))
			return
		}
		_, text, _ := strings.Cut(e.Text, ": ")
		n.line("rejected", e, text)
	case glint.EventIncident:
		n.line("incident", e, strings.TrimPrefix(sentenceOf(e), "incident: "))
	}
}

// healthy counts the new instances that are ready; those that were there before are nobody's news.
func (n *narrator) healthy(events []glint.Event) {
	service := events[0].Service
	for _, e := range events {
		n.ready[e.ID] = true
	}
	count := 0
	for id := range n.ready {
		if id.Service == service {
			count++
		}
	}
	n.line("healthy", events[0], fmt.Sprintf("%d/%d  %s", count, max(n.wanted[service], count), names(events)))
}

func (n *narrator) leave(events []glint.Event) {
	e := events[0]
	for _, e := range events {
		delete(n.ready, e.ID)
	}
	switch {
	case broke(e):
		_, because, _ := strings.Cut(e.Text, ", ")
		n.line("failed", e, e.ID.Short()+" "+because)
		n.tail(e)
		n.failed = e
	case strings.HasPrefix(e.Text, "leaves: "):
		n.line("drain", e, names(events))
	case strings.HasPrefix(e.Text, "grace is over"):
		n.line("drain", e, e.ID.Short()+" "+e.Text)
	}
}

// tail shows what a failed instance wrote last, unless the one before it wrote the same.
func (n *narrator) tail(e glint.Event) {
	if n.failed.ID.Service == e.ID.Service && len(e.Tail) > 0 && slices.Equal(n.failed.Tail, e.Tail) {
		n.say("            (the same output)")
		return
	}
	for _, line := range tailLines(e.Tail) {
		n.say(line)
	}
}

func (n *narrator) line(verb string, e glint.Event, text string) {
	n.say(step(verb, clean(text), seconds(e.At.Sub(n.began))))
}

// step is one line of progress: what, on what, and how long after the beginning, if there is room to say it.
func step(verb, text, when string) string {
	if utf8.RuneCountInString(text) > 60 {
		when = ""
	}
	return strings.TrimRight(fmt.Sprintf("  %-8s %-36s %s", verb, text, when), " ")
}

func names(events []glint.Event) string {
	const most = 8
	var out []string
	for _, e := range events[:min(len(events), most)] {
		out = append(out, e.ID.Short())
	}
	if more := len(events) - most; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return cmp.Or(strings.Join(out, " "), "nothing")
}
