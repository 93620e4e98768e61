package glint

import (
	"slices"
	"time"
)

// ReleaseFormat is the version of the Release and Template encodings. It is part of what is hashed: a change of the
// encoding gives every template a new version, which is said in the release notes because it replaces everything.
const ReleaseFormat = 1

// A Release is a compiled, sealed declaration: every tag in it has become a digest. It is never edited.
type Release struct {
	Format   int       `json:"format"`
	Stack    string    `json:"stack"`
	Images   []Image   `json:"images,omitempty"`   // sorted by name
	Services []Service `json:"services,omitempty"` // sorted by name; none means: nothing should run
	Routes   []Route   `json:"routes,omitempty"`   // sorted by host
	Allows   []Allow   `json:"allows,omitempty"`   // sorted
}

// An Image is a sealed file system and how to start it.
type Image struct {
	Name   string `json:"name"`
	Digest Digest `json:"digest"` // of the OCI manifest
	From   string `json:"from"`   // what it was made from, for people: "scratch", "debian:bookworm"
}

// A Service is what should run some number of times. What is outside Template is behaviour: changing it replaces nothing.
type Service struct {
	Name      string   `json:"name"`
	Template  Template `json:"template"`
	Instances int      `json:"instances"`         // how many run; where Max is set: until another number is asked for
	Min       int      `json:"min,omitempty"`     // the least that may be asked for
	Max       int      `json:"max,omitempty"`     // the most that may be asked for; 0: the number is fixed
	Standby   int      `json:"standby,omitempty"` // instances held before their program, to stand in at once for those that fail
	Task      bool     `json:"task,omitempty"`    // its one instance runs to its end; the result is written into the blueprint
	After     []string `json:"after,omitempty"`   // services that must serve, and tasks that must have succeeded, before a new version of this one begins; sorted
	Update    Update   `json:"update"`
	MaxAge    Duration `json:"max_age,omitempty"` // instances older than this are replaced; 0 means never
	Ageless   string   `json:"ageless,omitempty"` // why a person let instances grow old; only with MaxAge 0
}

// A Template is all that is baked into an instance. A change here replaces instances.
type Template struct {
	Image     Digest            `json:"image"`
	Command   []string          `json:"command,omitempty"` // argv; empty means the image's own entrypoint
	Env       map[string]string `json:"env,omitempty"`
	Ports     []Port            `json:"ports,omitempty"`    // sorted by name
	Health    *Probe            `json:"health,omitempty"`   // nil: ready as soon as its program runs
	Resources Resources         `json:"resources"`          //
	Volumes   []Volume          `json:"volumes,omitempty"`  // sorted by name
	Writable  []Tmpfs           `json:"writable,omitempty"` // sorted by path
}

// Version names the template, with the hash format's own version inside. Instances of one version are interchangeable.
func (t Template) Version() Digest {
	return digestOf(struct {
		Format   int
		Template Template
	}{ReleaseFormat, t})
}

// Exclusive reports whether the template claims something that only one instance may hold at a time.
func (t Template) Exclusive() bool { return len(t.Volumes) > 0 }

// Port returns the named port.
func (t Template) Port(name string) (Port, bool) {
	i := slices.IndexFunc(t.Ports, func(p Port) bool { return p.Name == name })
	if i < 0 {
		return Port{}, false
	}
	return t.Ports[i], true
}

// A Protocol says how a port's traffic is carried: http through the L7 balancer, tcp through the kernel.
type Protocol string

// The protocols.
const (
	HTTP Protocol = "http"
	TCP  Protocol = "tcp"
)

// A Port is where an instance listens.
type Port struct {
	Name     string   `json:"name"`
	Number   int      `json:"number"` // 1 to 65535
	Protocol Protocol `json:"protocol"`
}

// A Probe asks an instance whether it does its work. Exactly one of HTTP, TCP and Exec is set.
// Failing for a short time makes an instance unready: out of the routes, not replaced. Failing for ReplaceAfter on end
// makes it unhealthy: replaced.
type Probe struct {
	HTTP         *HTTPProbe `json:"http,omitempty"`
	TCP          *TCPProbe  `json:"tcp,omitempty"`
	Exec         *ExecProbe `json:"exec,omitempty"`
	Interval     Duration   `json:"interval"`      // between probes of a ready instance; starting ones are asked more often
	Timeout      Duration   `json:"timeout"`       // for one answer
	ReadyAfter   int        `json:"ready_after"`   // good answers on end before it is ready
	UnreadyAfter int        `json:"unready_after"` // bad answers on end before it is not ready
	ReplaceAfter Duration   `json:"replace_after"` // bad answers for this long on end before it is replaced
}

// An HTTPProbe wants a 2xx or 3xx answer to GET.
type HTTPProbe struct {
	Port string `json:"port"`
	Path string `json:"path"`
}

// A TCPProbe wants a connection to be accepted.
type TCPProbe struct {
	Port string `json:"port"`
}

// An ExecProbe runs a command inside the instance and wants exit status 0.
type ExecProbe struct {
	Command []string `json:"command"`
}

// Resources bound what an instance may use. 0 means no limit of ours.
type Resources struct {
	Memory Bytes `json:"memory,omitempty"`
	CPU    CPU   `json:"cpu,omitempty"`
	Pids   int   `json:"pids,omitempty"`
}

// A Volume is data that outlives instances. Only one instance may hold it at a time: it is a claim.
type Volume struct {
	Name string `json:"name"`
	Path string `json:"path"` // where the instance sees it
	Size Bytes  `json:"size"`
}

// A Tmpfs is a place that an instance may write to and that is gone with it.
type Tmpfs struct {
	Path string `json:"path"`
	Size Bytes  `json:"size"`
}

// A Strategy says in which order old and new change places.
type Strategy string

// The strategies.
const (
	Rolling  Strategy = "rolling"  // new first, within surge and unavailable
	Recreate Strategy = "recreate" // old first: for what only one may hold
)

// Update says how instances are replaced, for whatever reason. All reasons share its budgets.
type Update struct {
	Strategy    Strategy `json:"strategy"`
	Surge       int      `json:"surge"`            // instances beyond Service.Instances
	Unavailable int      `json:"unavailable"`      // ready instances below Service.Instances that Glint may cause
	Canary      int      `json:"canary,omitempty"` // instances of a new version that must prove themselves before the others follow; 0: none
	Bake        Duration `json:"bake,omitempty"`   // how long the whole canary must work without a break
	Manual      bool     `json:"manual,omitempty"` // a baked canary waits for a person's word
	Warm        Duration `json:"warm,omitempty"`   // how long instances of the version before are kept running after an update
	StartWithin Duration `json:"start_within"`     // how long an instance may take to become ready, or a task to end
	Grace       Duration `json:"grace"`            // how long one may finish its requests, and then how long its program may take to end
	Tries       int      `json:"tries"`            // new instances of a version that may fail before the version is rejected
}

// A Target is a port of a service.
type Target struct {
	Service string `json:"service"`
	Port    string `json:"port"`
}

// A Route says how requests from outside reach a service.
type Route struct {
	Host string `json:"host"`
	To   Target `json:"to"`
}

// An Allow lets the instances of one service reach a port of another. What is not allowed is refused.
type Allow struct {
	From string `json:"from"`
	To   Target `json:"to"`
}

// Digest names the release.
func (r Release) Digest() Digest { return digestOf(r) }

// Service returns the named service.
func (r Release) Service(name string) (Service, bool) {
	i := slices.IndexFunc(r.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return Service{}, false
	}
	return r.Services[i], true
}

// ServiceName returns the stable host name of a service, by which others reach it: cache.shop.internal.
// The top-level domain is reserved for private use (ICANN resolution 2024.07.29.06).
func ServiceName(stack, service string) string { return service + "." + stack + ".internal" }

// A Revision is a number in a stack's history. Each points at one release.
type Revision struct {
	Stack   string    `json:"stack"`
	Number  int       `json:"number"`
	Release Digest    `json:"release"`
	At      time.Time `json:"at"`
	By      string    `json:"by"`                // who asked
	Kind    Kind      `json:"kind"`              // what was asked
	From    int       `json:"from,omitempty"`    // the revision whose release it takes again
	Retry   bool      `json:"retry,omitempty"`   // a person's word to try rejected versions again
	Comment string    `json:"comment,omitempty"` // why
}

// A Kind says what a person asked for when a revision was made.
type Kind string

// The kinds of revision.
const (
	KindApply    Kind = "apply"
	KindRollback Kind = "rollback"
	KindDestroy  Kind = "destroy"
)

// An Order is a person's word about what runs, beside revisions. It is kept until the planner has acted on it.
type Order struct {
	ID       int       `json:"id"` // rises within a stack
	Stack    string    `json:"stack"`
	Kind     OrderKind `json:"kind"`
	Service  string    `json:"service,omitempty"` // for Promote and Regenerate: empty means all; for Scale
	Instance ID        `json:"instance,omitzero"` // for Replace
	Wanted   int       `json:"wanted,omitempty"`  // for Scale
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Comment  string    `json:"comment,omitempty"`
}

// An OrderKind says what a person asked for.
type OrderKind string

// The kinds of order.
const (
	OrderReplace    OrderKind = "replace"    // put another in the place of one instance
	OrderRegenerate OrderKind = "regenerate" // replace every instance there is now, though nothing changed
	OrderPromote    OrderKind = "promote"    // end the bake: the others follow the canary
	OrderAbort      OrderKind = "abort"      // reject the revision that is being carried out
	OrderPause      OrderKind = "pause"      // let no rollout go on; what fails or ages is still replaced
	OrderResume     OrderKind = "resume"     // end a pause
	OrderScale      OrderKind = "scale"      // another number of instances, between Min and Max
)
