package glint

// A Reason says why an instance must go.
type Reason string

// Every reason for which an instance is replaced or removed.
const (
	Superseded  Reason = "superseded" // a newer version takes its place
	RejectedFor Reason = "rejected"   // its version failed
	Drifted     Reason = "drifted"    // it is no longer what was accepted
	Lost        Reason = "lost"       // it vanished, or its program ended
	Unhealthy   Reason = "unhealthy"  // it runs and does not do its work
	Expired     Reason = "expired"    // it is older than its service allows
	Surplus     Reason = "surplus"    // fewer are wanted
	Tainted     Reason = "tainted"    // somebody entered it, or its keeper died
	Requested   Reason = "requested"  // a person asked
	Finished    Reason = "finished"   // its task is done
)

// A Note is something that a person should know: why the planner acts, or for what it waits.
type Note struct {
	Service string `json:"service,omitempty"`
	ID      ID     `json:"id,omitzero"`
	Text    string `json:"text"`
}

// An Outcome is how a revision has come out so far.
type Outcome string

// The outcomes.
const (
	Waiting     Outcome = "waiting"      // not taken up yet
	InProgress  Outcome = "in progress"  // being carried out
	Serving     Outcome = "serving"      // all of it works and takes traffic
	RollingBack Outcome = "rolling back" // rejected; the stable revision takes its place again
	RolledBack  Outcome = "rolled back"  // rejected; the stable revision serves
	Failed      Outcome = "failed"       // rejected, and there is nothing to go back to
	Replaced    Outcome = "replaced"     // a newer revision was taken up
	Ended       Outcome = "ended"        // the stack was destroyed
)
