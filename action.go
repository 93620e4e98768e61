package glint

import "time"

// An Action is one step from what is seen to what a blueprint says. An instance knows three verbs; it is never changed.
type Action struct {
	Verb   Verb          `json:"verb"`
	ID     ID            `json:"id,omitzero"`      // for Create and Destroy
	Spec   *InstanceSpec `json:"spec,omitempty"`   // for Create
	Reason Reason        `json:"reason,omitempty"` // for Destroy
	Grace  Duration      `json:"grace,omitempty"`  // for Destroy
	Routes *Routes       `json:"routes,omitempty"` // for Publish
}

// A Verb is what an action does.
type Verb string

// The verbs.
const (
	Create  Verb = "create"
	Publish Verb = "route"
	Destroy Verb = "destroy"
)

// An InstanceSpec is all that a platform must know to create an instance.
type InstanceSpec struct {
	ID       ID       `json:"id"`
	Version  Digest   `json:"version"`
	Template Template `json:"template"`
	Place    string   `json:"place,omitempty"` // which host or zone; empty where a platform has one
	Held     bool     `json:"held,omitempty"`  // stop before the program; Create again without Held lets it go
	Names    []string `json:"names,omitempty"` // services of its stack that it may look up by name, sorted
}

// Routes is the routing table of one stack: one generation, whole.
type Routes struct {
	Stack      string    `json:"stack"`
	Generation int       `json:"generation"`
	Services   []Backend `json:"services,omitempty"` // one for each port of each service, sorted by service and port
	Hosts      []Route   `json:"hosts,omitempty"`    // requests from outside, sorted by host
	Edges      []Edge    `json:"edges,omitempty"`    // who may reach whom
}

// A Backend is a port of a service and the instances that take its traffic.
type Backend struct {
	Service string   `json:"service"`
	Port    Port     `json:"port"`
	Members []Server `json:"members,omitempty"` // sorted by ID; none: requests wait, then fail with 503
}

// A Server is an instance that takes traffic.
type Server struct {
	ID      ID     `json:"id"`
	Address string `json:"address"` // an IP address, without port
	Port    int    `json:"port"`    // where it listens; may differ from the stable port while versions change places
}

// A BalancerStatus is what the balancing plane says of itself.
type BalancerStatus struct {
	Acks     map[string][]Ack `json:"acks"`      // by stack
	InFlight map[ID]int       `json:"in_flight"` // requests and connections, over all live workers, counted after Acks was read; absent: none
	Complete bool             `json:"complete"`  // false: some worker did not answer; what is absent is unknown
	At       time.Time        `json:"at"`
}
