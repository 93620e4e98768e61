package glint

import "time"

// An Event is one line of a stack's story, for people and for programs that follow along.
type Event struct {
	Seq       int64     `json:"seq"` // rises within a stack; given by the store
	At        time.Time `json:"at"`
	Stack     string    `json:"stack"`
	Kind      EventKind `json:"kind"`
	Service   string    `json:"service,omitempty"`
	ID        ID        `json:"id,omitzero"`
	For       ID        `json:"for,omitzero"` // the instance whose place it takes
	Blueprint int       `json:"blueprint,omitempty"`
	Revision  int       `json:"revision,omitempty"`
	Reason    Reason    `json:"reason,omitempty"`
	Text      string    `json:"text"`
	Tail      []string  `json:"tail,omitempty"` // last log lines of an instance that failed
}

// An EventKind says what an event is about.
type EventKind string

// The kinds of event.
const (
	EventRevision EventKind = "revision" // a person asked for a release
	EventOrder    EventKind = "order"    // a person said a word about what runs
	EventPhase    EventKind = "phase"    // a rollout began, moved on or ended
	EventCreate   EventKind = "create"   // a number was given out
	EventReady    EventKind = "ready"    // an instance was ready for the first time
	EventLeave    EventKind = "leave"    // an instance was told to go, and why
	EventRoute    EventKind = "route"    // traffic moved
	EventGone     EventKind = "gone"     // an instance is no more
	EventVerdict  EventKind = "verdict"  // a revision serves, or was rejected
	EventIncident EventKind = "incident" // something was not as declared
)

// A Step is one blueprint's coming to be, kept for ever: what changed, on what evidence, and why.
type Step struct {
	Stack   string      `json:"stack"`
	Number  int         `json:"number"`
	At      time.Time   `json:"at"`      // the planner's now
	Planner int         `json:"planner"` // version of the planner that decided
	Seen    Observation `json:"seen"`    // what it saw, reduced to what differs from the step before
	Changed []Fleet     `json:"changed"` // fleets that differ from the step before
	Events  []Event     `json:"events"`  // the story, in order
	Notes   []Note      `json:"notes,omitempty"`
}
