// Package platformtest holds every platform to the promises of the platform door: one suite, run by each of them.
// It knows nothing of how a platform keeps them, and makes no platform.
package platformtest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform"
)

// A Subject is a platform under test and what is needed to try it. It owns its Platform for one test and cleans up
// with t.Cleanup.
type Subject struct {
	Platform platform.Platform

	// Templates that the platform can run.
	Serves   glint.Template // runs until it is told to end, and then ends at once
	Exits    glint.Template // writes the lines "one", "two" and "three", then ends with status 7
	Missing  glint.Template // names a program that its image does not have
	Stubborn glint.Template // runs, and ignores the request to end
	Volume   glint.Template // like Serves, with an exclusive volume; zero where the platform has no volumes

	// Settle lets time pass until cond holds, and reports whether it came to hold. The bound is generous.
	Settle func(cond func() bool) bool
	// Answers reports whether the program at an address takes requests; nil where nobody can tell.
	Answers func(address string) bool
	// Reopen ends the platform's server as a crash would and starts another on the same state; nil where it has none.
	Reopen func() platform.Platform
	// Gone fails the test when anything of the destroyed instances is left; nil where nothing can be left.
	Gone func(t *testing.T)
	// Forgets is true where the platform cannot know that an ID was destroyed before.
	Forgets bool

	// Say is a command that an Execer runs in Serves: it writes "said" and ends with status 0. SayNo ends with status 3.
	Say, SayNo []string
}

// Run holds the platforms that open makes, a fresh one for each test, to the promises of the door.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	tests := []struct {
		name string
		run  func(*bench)
	}{
		{"Empty", testEmpty},
		{"Fields", testFields},
		{"CreateTwice", testCreateTwice},
		{"CreateAtOnce", testCreateAtOnce},
		{"Many", testMany},
		{"FirstSpecStays", testFirstSpecStays},
		{"DestroyUnknown", testDestroyUnknown},
		{"DestroyAtOnce", testDestroyAtOnce},
		{"CreateAgainstDestroy", testCreateAgainstDestroy},
		{"NoSecondLife", testNoSecondLife},
		{"Dead", testDead},
		{"NeverStartable", testNeverStartable},
		{"Held", testHeld},
		{"HeldAndDestroyed", testHeldAndDestroyed},
		{"HeldNeverStartable", testHeldNeverStartable},
		{"Stubborn", testStubborn},
		{"CutShort", testCutShort},
		{"ListIsACopy", testListIsACopy},
		{"Volume", testVolume},
		{"Reopen", testReopen},
		{"Watch", testWatch},
		{"Logs", testLogs},
		{"LogsFollow", testLogsFollow},
		{"Exec", testExec},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &bench{T: t, Subject: open(t)}
			tt.run(b)
			b.empty()
		})
	}
}

// A bench is one subject and the words that tests are written in.
type bench struct {
	*testing.T
	Subject
}

// id names an instance. Its stack and epoch are for tests only.
func id(service string, n int) glint.ID {
	return glint.ID{Stack: "suite", Epoch: "t1", Service: service, N: n}
}

func spec(id glint.ID, t glint.Template) glint.InstanceSpec {
	return glint.InstanceSpec{ID: id, Version: t.Version(), Template: t}
}

func held(s glint.InstanceSpec) glint.InstanceSpec {
	s.Held = true
	return s
}

func (b *bench) create(s glint.InstanceSpec) {
	b.Helper()
	if err := b.Platform.Create(b.Context(), s); err != nil {
		b.Fatalf("creating %s: %v", s.ID, err)
	}
}

// destroy waits beside the call, so that a platform with a clock of its own can be moved on.
func (b *bench) destroy(id glint.ID, grace time.Duration) {
	b.Helper()
	done := make(chan error, 1)
	go func() { done <- b.Platform.Destroy(context.WithoutCancel(b.Context()), id, grace) }()
	var err error
	if !b.Settle(func() bool {
		select {
		case err = <-done:
			return true
		default:
			return false
		}
	}) {
		b.Fatalf("destroying %s does not end", id)
	}
	if err != nil {
		b.Fatalf("destroying %s: %v", id, err)
	}
	if _, ok := b.look(id); ok {
		b.Fatalf("%s is listed after it was destroyed", id)
	}
}

func (b *bench) list() glint.Listing {
	b.Helper()
	l, err := b.Platform.List(b.Context())
	if err != nil {
		b.Fatalf("listing: %v", err)
	}
	if !l.Complete || len(l.Silent) > 0 {
		b.Fatalf("a listing of a healthy platform says that it is not complete: %+v", l)
	}
	if l.At.IsZero() {
		b.Fatal("a listing does not say when it looked")
	}
	if !slices.IsSortedFunc(l.Instances, func(x, y glint.Instance) int { return x.ID.Compare(y.ID) }) {
		b.Fatalf("a listing is not sorted by ID: %+v", l.Instances)
	}
	for i := 1; i < len(l.Instances); i++ {
		if l.Instances[i].ID == l.Instances[i-1].ID {
			b.Fatalf("%s is listed twice", l.Instances[i].ID)
		}
	}
	return l
}

func (b *bench) look(id glint.ID) (glint.Instance, bool) {
	b.Helper()
	l := b.list()
	i := slices.IndexFunc(l.Instances, func(in glint.Instance) bool { return in.ID == id })
	if i < 0 {
		return glint.Instance{}, false
	}
	return l.Instances[i], true
}

// reach waits until id is seen in that state.
func (b *bench) reach(id glint.ID, want glint.State) glint.Instance {
	b.Helper()
	var in glint.Instance
	if !b.Settle(func() bool {
		in, _ = b.look(id)
		return in.State == want
	}) {
		b.Fatalf("%s never became %s; it is %+v %+v", id, want, in, in.Exit)
	}
	return in
}

// answers waits until the program of in takes requests, where that can be told.
func (b *bench) answers(in glint.Instance) {
	b.Helper()
	if b.Answers != nil && !b.Settle(func() bool { return b.Answers(in.Address) }) {
		b.Fatalf("%s at %q never answers", in.ID, in.Address)
	}
}

// empty destroys what is left and checks that nothing remains.
func (b *bench) empty() {
	b.Helper()
	if b.Failed() {
		return
	}
	for _, in := range b.list().Instances {
		b.destroy(in.ID, time.Second)
	}
	if left := b.list().Instances; len(left) > 0 {
		b.Fatalf("left after everything was destroyed: %+v", left)
	}
	if b.Gone != nil {
		b.Gone(b.T)
	}
}
