package glint

import (
	"slices"
	"time"
)

// An Observation is one look at the world. It can be late, and it can be incomplete.
type Observation struct {
	At        time.Time  `json:"at"`
	Complete  bool       `json:"complete"`            // false: absence proves nothing
	Silent    []string   `json:"silent,omitempty"`    // who did not answer
	Places    []Place    `json:"places,omitempty"`    // where instances may be put, sorted by name; none: the platform chooses
	Instances []Instance `json:"instances,omitempty"` // of one stack, sorted by ID
	Acks      []Ack      `json:"acks,omitempty"`      // of every member of the balancing plane
	Troubles  []Trouble  `json:"troubles,omitempty"`  // actions that could not be carried out lately, by the conductor
}

// A Trouble is an action that could not be carried out. It is tried again.
type Trouble struct {
	Verb Verb   `json:"verb"`
	ID   ID     `json:"id,omitzero"`
	Text string `json:"text"`
}

// Instance returns what was seen of id.
func (o Observation) Instance(id ID) (Instance, bool) {
	i, ok := slices.BinarySearchFunc(o.Instances, id, func(in Instance, id ID) int { return in.ID.Compare(id) })
	if !ok {
		return Instance{}, false
	}
	return o.Instances[i], true
}

// Acked returns the newest generation of routes that every member of the balancing plane has proven to be in force.
func (o Observation) Acked() int {
	if len(o.Acks) == 0 {
		return 0
	}
	least := o.Acks[0].proven()
	for _, a := range o.Acks[1:] {
		least = min(least, a.proven())
	}
	return least
}

// A Listing is what a platform saw of all the instances that it owns, wanted or not.
type Listing struct {
	At        time.Time  `json:"at"`
	Complete  bool       `json:"complete"`
	Silent    []string   `json:"silent,omitempty"` // places that did not answer
	Places    []Place    `json:"places,omitempty"` // where instances may be put, sorted by name; none: the platform chooses
	Instances []Instance `json:"instances,omitempty"`
}

// A Place is a host or another part of a platform that can fail by itself.
type Place struct {
	Name   string `json:"name"`
	Zone   string `json:"zone,omitempty"`   // what fails together with it
	Closed bool   `json:"closed,omitempty"` // takes no new instances
}

// An Instance is a thing that was seen. Its fields below Exit are filled by observe, not by a platform.
type Instance struct {
	ID         ID        `json:"id"`
	Version    Digest    `json:"version"` // the version that it was accepted with
	State      State     `json:"state"`
	Deviations []string  `json:"deviations,omitempty"` // how it differs from what was accepted
	Tainted    string    `json:"tainted,omitempty"`    // who entered it or what it lost; empty: nobody, nothing
	Place      string    `json:"place,omitempty"`
	Address    string    `json:"address,omitempty"` // an IP address, without port
	Pid        int       `json:"pid,omitempty"`     // of its first process, seen from the host; 0 where there is none
	Created    time.Time `json:"created"`
	Started    time.Time `json:"started,omitzero"` // when its program was let go
	Exit       *Exit     `json:"exit,omitempty"`   // when State is Dead
	Health     Health    `json:"health"`
	InFlight   int       `json:"in_flight"` // requests or connections, over all balancers; -1: unknown
}

// A State is where an instance stands in its life.
type State string

// The states.
const (
	Accepted State = "accepted" // the platform knows its ID; nothing runs yet
	Held     State = "held"     // made, and stopped before its program
	Running  State = "running"
	Dead     State = "dead" // its program has ended, or could never be started; Exit says how
)

// An Exit is how an instance ended.
type Exit struct {
	Code        int       `json:"code"`              // exit status; 128+signal when killed; -1: never started or unknown
	Signal      string    `json:"signal,omitempty"`  // "SIGKILL"
	OutOfMemory bool      `json:"oom,omitempty"`     // the kernel killed it for its memory limit
	Failure     string    `json:"failure,omitempty"` // why it could not be started
	Permanent   bool      `json:"permanent,omitempty"`
	At          time.Time `json:"at"`
	Tail        []string  `json:"tail,omitempty"` // its last log lines
}

// Health is what probes found, after thresholds and damping.
type Health struct {
	Known   bool      `json:"known"` // false: not asked yet, or nobody could ask
	Ready   bool      `json:"ready"` // requests may be sent to it
	Live    bool      `json:"live"`  // it need not be replaced
	Since   time.Time `json:"since,omitzero"`
	Vantage string    `json:"vantage,omitempty"` // who asked: "host"
	Detail  string    `json:"detail,omitempty"`  // the last answer, for people
}

// An Ack is what one member of the balancing plane says of a generation of routes.
type Ack struct {
	Member     string  `json:"member"`
	Generation int     `json:"generation"`
	Kind       AckKind `json:"kind"`
}

func (a Ack) proven() int {
	if a.Kind == Proven {
		return a.Generation
	}
	return 0
}

// An AckKind says how much an acknowledgement is worth.
type AckKind string

// The kinds of acknowledgement.
const (
	Proven  AckKind = "proven"  // read back from every live worker
	Unknown AckKind = "unknown" // the member did not answer
)
