package glint

import (
	"cmp"
	"slices"
	"time"
)

// A Blueprint says exactly which instances exist and which of them take traffic. Nobody who carries it out has a
// choice to make.
type Blueprint struct {
	Stack    string     `json:"stack"`
	Epoch    Epoch      `json:"epoch"`
	Number   int        `json:"number"`
	Revision int        `json:"revision"`       // the newest revision that the planner has taken up
	Target   int        `json:"target"`         // the revision being carried out; older than Revision after a rejection
	Stable   int        `json:"stable"`         // the last revision that was seen to work as a whole; 0: none
	Kind     Kind       `json:"kind,omitempty"` // what a person asked for with Revision
	Seen     time.Time  `json:"seen,omitzero"`  // when the newest look was taken that a blueprint was decided on
	Rejected *Rejection `json:"rejected,omitempty"`
	Paused   *Word      `json:"paused,omitempty"`   // rollouts stand still
	Ordered  int        `json:"ordered,omitempty"`  // the newest order that was taken up
	Routes   int        `json:"routes"`             // generation of the routes
	Services []Fleet    `json:"services,omitempty"` // sorted by name
	Edges    []Edge     `json:"edges,omitempty"`    // who may reach whom, sorted
	Hosts    []Route    `json:"hosts,omitempty"`    // how requests from outside reach services, sorted by host
	Volumes  []Claim    `json:"volumes,omitempty"`  // sorted by service and name
}

// A Rejection says why a revision is not carried out.
type Rejection struct {
	Revision int    `json:"revision"`
	Service  string `json:"service"`
	Version  Digest `json:"version"`
	Instance ID     `json:"instance"`
	Because  string `json:"because"`
}

// A Word is what a person said, and when.
type Word struct {
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Comment string    `json:"comment,omitempty"`
}

// An Edge is an Allow in force.
type Edge = Allow

// A Claim is a volume and the instance that holds it. It moves only when its holder is known to be gone.
type Claim struct {
	Service string `json:"service"`
	Volume  string `json:"volume"`
	Holder  ID     `json:"holder"`
}

// A Fleet is the set of instances of one service.
type Fleet struct {
	Name      string              `json:"name"`
	Task      bool                `json:"task,omitempty"` // its members run to their end; kept here for when it is no longer declared
	Phase     Phase               `json:"phase"`
	Since     time.Time           `json:"since"`              // when Phase began
	Stable    Digest              `json:"stable"`             // the version that last finished a rollout; empty: none
	Target    Digest              `json:"target"`             // the version wanted now
	Rejected  []Digest            `json:"rejected,omitempty"` // versions that failed, newest last; tried again only by a person's word
	Failed    int                 `json:"failed"`             // instances of Target that failed since it became the target, or since it last ran well
	Retry     time.Time           `json:"retry,omitzero"`     // no new instance before this (backoff)
	Templates map[Digest]Template `json:"templates"`
	Grace     Duration            `json:"grace"`              // kept here for when the service is no longer declared
	Asked     int                 `json:"asked,omitempty"`    // the number of instances asked for last, where the service may be scaled; 0: nobody asked
	Heal      time.Time           `json:"heal,omitzero"`      // no new instance of the stable version before this, while another is the target
	Wanted    int                 `json:"wanted,omitempty"`   // the number that was taken up
	Baking    time.Time           `json:"baking,omitzero"`    // since when the whole canary works without a break; only in phase Canary
	Promoted  *Word               `json:"promoted,omitempty"` // the canary need not bake to the end; only in phase Canary
	Renew     *Renewal            `json:"renew,omitempty"`    // a person's word to replace everybody
	Done      []Result            `json:"done,omitempty"`     // how the versions of a task came out, one for each, newest last
	Last      int                 `json:"last"`               // the highest number given out
	Members   []Member            `json:"members,omitempty"`  // sorted by number
}

// A Member is an instance's place in a fleet.
type Member struct {
	N       int       `json:"n"`
	Version Digest    `json:"version"`
	Created time.Time `json:"created"`           // when its number was given out
	For     int       `json:"for,omitempty"`     // the number of the member whose place it takes; 0: nobody's
	Address string    `json:"address,omitempty"` // known since it was first seen; never changes
	Place   string    `json:"place,omitempty"`   // where it was asked for; empty: wherever the platform puts it
	Held    bool      `json:"held,omitempty"`    // a standby: made, and held before its program
	Let     time.Time `json:"let,omitzero"`      // when a standby was let go, to take the place of another
	Seen    bool      `json:"seen,omitempty"`    // it has been ready at least once
	Routed  bool      `json:"routed,omitempty"`  // requests may be sent to it
	Warm    time.Time `json:"warm,omitzero"`     // kept running without traffic until then, should its version be wanted again
	Leaving time.Time `json:"leaving,omitzero"`  // when it was told to go; zero while it is wanted
	Reason  Reason    `json:"reason,omitempty"`  // why it leaves
	Because string    `json:"because,omitempty"` // the evidence, for people
	Gone    int       `json:"gone,omitempty"`    // the first generation of routes without it, once it has been routed
	Out     time.Time `json:"out,omitzero"`      // when it left and all balancers had proven that they send it nothing new
	Ending  time.Time `json:"ending,omitzero"`   // when it was drained and given over to destruction
}

// Stays reports whether the member is wanted, be it to serve, as a standby or kept warm.
func (m Member) Stays() bool { return m.Leaving.IsZero() }

// Counts reports whether the member has, or waits for, a place among the instances that do the service's work.
func (m Member) Counts() bool { return m.Stays() && !m.Held && m.Warm.IsZero() }

// A Renewal is a person's word to replace all members that there were when it was taken up.
type Renewal struct {
	Word
	Upto int `json:"upto"` // the highest number among them
}

// MaxResults is how many results of a task a fleet remembers: enough for every version that anybody returns to, and with
// about 250 bytes each well below the 64 KiB that a key of the store may hold (design, section 3).
const MaxResults = 100

// A Result is how a task came out.
type Result struct {
	Version  Digest    `json:"version"`
	Instance ID        `json:"instance"`
	At       time.Time `json:"at"`
	Outcome  Finish    `json:"outcome"`
	Because  string    `json:"because,omitempty"` // the evidence, for people
}

// A Finish is the end of a task.
type Finish string

// The ends of a task.
const (
	Succeeded     Finish = "succeeded" // its program ended with status 0
	Broke         Finish = "failed"    // its program ended otherwise, never began, or took too long
	UnknownFinish Finish = "unknown"   // it was lost: it may have done its work, or half of it; it is not run again by itself
)

// A Phase is where a fleet stands.
type Phase string

// The phases.
const (
	Steady    Phase = "steady"    // every place is taken by a ready member of Target
	Awaiting  Phase = "waiting"   // it never ran, and waits for those that it comes after
	Canary    Phase = "canary"    // a few members of Target prove themselves beside the stable version
	RollingTo Phase = "rolling"   // Target takes the place of everything else
	Returning Phase = "returning" // a revision was rejected; the stable one takes its place again
	Emptying  Phase = "emptying"  // the service is no longer declared; its members leave
	Empty     Phase = "empty"     // it has no members; kept so that its numbers are not given out again
)

// ID returns the member's full name.
func (b Blueprint) ID(service string, m Member) ID {
	return ID{Stack: b.Stack, Epoch: b.Epoch, Service: service, N: m.N}
}

// Fleet returns the fleet of the named service.
func (b Blueprint) Fleet(name string) (Fleet, bool) {
	i := slices.IndexFunc(b.Services, func(f Fleet) bool { return f.Name == name })
	if i < 0 {
		return Fleet{Name: name}, false
	}
	return b.Services[i], true
}

// Member returns the fleet's member of that number.
func (f Fleet) Member(n int) (Member, bool) {
	i, ok := slices.BinarySearchFunc(f.Members, n, func(m Member, n int) int { return cmp.Compare(m.N, n) })
	if !ok {
		return Member{}, false
	}
	return f.Members[i], true
}

// Result returns how a task's version came out.
func (f Fleet) Result(version Digest) (Result, bool) {
	i := slices.IndexFunc(f.Done, func(r Result) bool { return r.Version == version })
	if i < 0 {
		return Result{}, false
	}
	return f.Done[i], true
}

// Wants returns how many instances of s the fleet should have: what was taken up, within what the service allows.
func (f Fleet) Wants(s Service) int {
	if s.Max == 0 || f.Wanted == 0 {
		return s.Instances
	}
	return min(max(f.Wanted, s.Min), s.Max)
}

// Digest names the blueprint.
func (b Blueprint) Digest() Digest { return digestOf(b) }
