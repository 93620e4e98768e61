// Package api is the one interface of the server: HTTP and JSON over a Unix socket, described by OpenAPI, and the client
// that speaks it. It passes on what people ask and what is known; it decides nothing and runs nothing.
package api

import (
	"strings"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/image"
	"github.com/glint-infra/glint/internal/plan"
)

// Version says what answers.
type Version struct {
	Version string `json:"version"` // of the binary
	API     int    `json:"api"`     // rises with each change that older clients cannot speak
	Release int    `json:"release"` // release format
	Planner int    `json:"planner"`
}

// A Summary is a stack in a list.
type Summary struct {
	Stack    string        `json:"stack"`
	Revision int           `json:"revision"`
	Outcome  glint.Outcome `json:"outcome"`
	Ready    int           `json:"ready"`  // instances that take traffic
	Wanted   int           `json:"wanted"` // instances that are declared
	Hosts    []string      `json:"hosts,omitempty"`
}

// A Status is all that is known of a stack: declared beside observed, and when it was looked at.
type Status struct {
	Summary
	Epoch     glint.Epoch      `json:"epoch"`
	Blueprint int              `json:"blueprint"`
	Target    int              `json:"target"`
	Stable    int              `json:"stable"`
	Rejected  *glint.Rejection `json:"rejected,omitempty"`
	Paused    *glint.Word      `json:"paused,omitempty"`  // rollouts stand still
	Ordered   int              `json:"ordered,omitempty"` // the newest order that was taken up
	Orders    []glint.Order    `json:"orders,omitempty"`  // those that are not carried out yet
	Routes    RouteStatus      `json:"routes"`
	Services  []ServiceStatus  `json:"services"`
	Notes     []glint.Note     `json:"notes,omitempty"` // for what it waits
	SeenAt    time.Time        `json:"seen_at"`
	Complete  bool             `json:"complete"` // false: some place did not answer
	Silent    []string         `json:"silent,omitempty"`
	Places    []glint.Place    `json:"places,omitempty"` // where instances may be put; none: the platform chooses
}

// RouteStatus is which generation of routes is decided, and which is in force.
type RouteStatus struct {
	Decided int           `json:"decided"`
	InForce int           `json:"in_force"`
	Hosts   []glint.Route `json:"hosts,omitempty"`
	URLs    []string      `json:"urls,omitempty"` // where hosts answer, with the port of the balancer when it is not 80
}

// A ServiceStatus is a service, declared and observed.
type ServiceStatus struct {
	Name      string           `json:"name"`
	Phase     glint.Phase      `json:"phase"`
	Version   glint.Digest     `json:"version"`
	Image     glint.Digest     `json:"image"`
	Since     time.Time        `json:"since,omitzero"` // when the phase began
	Wanted    int              `json:"wanted"`         // 0 for a task that is done
	Ready     int              `json:"ready"`
	Min       int              `json:"min,omitempty"`     // of a service that may be scaled
	Max       int              `json:"max,omitempty"`     // 0: the number is fixed
	Asked     int              `json:"asked,omitempty"`   // the number asked for last; more is taken up when those there are work
	Standby   int              `json:"standby,omitempty"` // how many are to be held before their program
	Held      int              `json:"held,omitempty"`    // how many are
	Warm      int              `json:"warm,omitempty"`    // of the version before, kept running without traffic
	Canary    *CanaryStatus    `json:"canary,omitempty"`  // only in phase canary
	Failed    int              `json:"failed,omitempty"`  // instances of this version that failed
	Tries     int              `json:"tries,omitempty"`   // how many may, before it is rejected
	Task      bool             `json:"task,omitempty"`
	Done      *glint.Result    `json:"done,omitempty"`  // how a task came out
	After     []string         `json:"after,omitempty"` // for what a new version waits
	Renew     *glint.Renewal   `json:"renew,omitempty"` // a person's word to replace everybody
	Instances []InstanceStatus `json:"instances"`
}

// A CanaryStatus is how far a canary has come.
type CanaryStatus struct {
	Wanted int       `json:"wanted"`
	Ready  int       `json:"ready"`           // those of the canary that take traffic
	Baking time.Time `json:"baking,omitzero"` // since when all of it works; zero: not all of it does
	Until  time.Time `json:"until,omitzero"`  // when it has worked long enough, if it goes on so
	Manual bool      `json:"manual"`          // then a person's word is needed
}

// An InstanceStatus is an instance, decided and observed.
type InstanceStatus struct {
	Member glint.Member    `json:"member"`
	ID     glint.ID        `json:"id"`
	Seen   *glint.Instance `json:"seen,omitempty"` // nil: not seen
}

// ApplyRequest asks for a release to become the stack's newest revision.
type ApplyRequest struct {
	Release glint.Release `json:"release,omitzero"`
	From    int           `json:"from,omitempty" minimum:"0"`                                                      // take this revision's release again; release is left out
	By      string        `json:"by,omitempty" maxLength:"100" pattern:"^\\P{Cc}*$" patternDescription:"one line"` // empty: the user at the other end of the socket
	Comment string        `json:"comment,omitempty" maxLength:"1000" pattern:"^\\P{Cc}*$" patternDescription:"one line"`
	Retry   bool          `json:"retry,omitempty"` // try versions again that failed before
	After   int           `json:"after,omitempty"` // refuse with a conflict when the newest revision is another; 0: whatever it is
}

// An ApplyReply names the revision. Unchanged means that the newest revision is this very release already.
type ApplyReply struct {
	Revision  glint.Revision `json:"revision"`
	Unchanged bool           `json:"unchanged"`
}

// RollbackRequest asks for an earlier revision's release again. To 0 means the one before the stable one.
type RollbackRequest struct {
	To      int    `json:"to,omitempty"`
	By      string `json:"by,omitempty" maxLength:"100" pattern:"^\\P{Cc}*$" patternDescription:"one line"`
	Comment string `json:"comment,omitempty" maxLength:"1000" pattern:"^\\P{Cc}*$" patternDescription:"one line"`
}

// WordRequest is a person's word about a stack or an instance.
type WordRequest struct {
	By      string `json:"by,omitempty" maxLength:"100" pattern:"^\\P{Cc}*$" patternDescription:"one line"`
	Comment string `json:"comment,omitempty" maxLength:"1000" pattern:"^\\P{Cc}*$" patternDescription:"one line"`
}

// OrderRequest is a person's word about a service, or about all of a stack.
type OrderRequest struct {
	Service string `json:"service,omitempty"` // empty: all
	By      string `json:"by,omitempty" maxLength:"100" pattern:"^\\P{Cc}*$" patternDescription:"one line"`
	Comment string `json:"comment,omitempty" maxLength:"1000" pattern:"^\\P{Cc}*$" patternDescription:"one line"`
}

// ScaleRequest asks for another number of instances.
type ScaleRequest struct {
	Wanted  int    `json:"wanted" minimum:"0"`
	By      string `json:"by,omitempty" maxLength:"100" pattern:"^\\P{Cc}*$" patternDescription:"one line"`
	Comment string `json:"comment,omitempty" maxLength:"1000" pattern:"^\\P{Cc}*$" patternDescription:"one line"`
}

// A PlanReply is what would be done, by the planner that would do it.
type PlanReply struct {
	Stages    []plan.Stage  `json:"stages"`
	Rests     bool          `json:"rests"` // false: the preview was cut off
	Unchanged bool          `json:"unchanged"`
	Before    glint.Release `json:"before"`   // what is being carried out now: after a rejection the stable release; empty when there is none
	Revision  int           `json:"revision"` // the number that it would get; the newest one's when nothing would change
}

// A RevisionStatus is a line of history.
type RevisionStatus struct {
	glint.Revision
	Outcome glint.Outcome `json:"outcome"`
	Verdict string        `json:"verdict,omitempty"` // in words, with the evidence
}

// Because is why a revision was rejected, without what its outcome says already.
func (r RevisionStatus) Because() string {
	because := r.Verdict
	if _, rest, ok := strings.Cut(because, " is rejected: "); ok {
		because = rest
	}
	because, _, _ = strings.Cut(because, "; everything returns to ")
	return because
}

// A Why is the story of one instance, service or stack: the events that concern it, and what it waits for now.
type Why struct {
	Events []glint.Event `json:"events"`
	Notes  []glint.Note  `json:"notes,omitempty"`
}

// A SealEvent is progress of sealing an image, or its end.
type SealEvent struct {
	Progress string       `json:"progress,omitempty"`
	Digest   glint.Digest `json:"digest,omitempty"` // set in the last event
	Cached   bool         `json:"cached,omitempty"`
	Error    string       `json:"error,omitempty"` // set in the last event of a failed one
	Code     string       `json:"code,omitempty"`  // of the error
}

// SealRequest asks for an image to be sealed. The layers it names must have been put as blobs before.
type SealRequest struct {
	Recipe image.Recipe `json:"recipe"`
}
