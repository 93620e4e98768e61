package platformtest

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/glint-infra/glint"
)

func testEmpty(b *bench) {
	if l := b.list(); len(l.Instances) != 0 {
		b.Fatalf("a new platform lists %+v", l.Instances)
	}
}

func testFields(b *bench) {
	s := spec(id("web", 17), b.Serves)
	b.create(s)
	in := b.reach(s.ID, glint.Running)
	if in.Version != s.Version {
		b.Errorf("version %s, created with %s", in.Version, s.Version)
	}
	if _, err := netip.ParseAddr(in.Address); err != nil {
		b.Errorf("address of a running instance: %v", err)
	}
	if in.Created.IsZero() || in.Started.Before(in.Created) {
		b.Errorf("created %s, started %s", in.Created, in.Started)
	}
	if in.Exit != nil || in.Tainted != "" || len(in.Deviations) != 0 {
		b.Errorf("a fresh instance has an exit %v, a taint %q or deviations %v", in.Exit, in.Tainted, in.Deviations)
	}
	b.answers(in)
}

func testCreateTwice(b *bench) {
	s := spec(id("web", 1), b.Serves)
	b.create(s)
	first := b.reach(s.ID, glint.Running)
	b.create(s)
	b.same(first, b.reach(s.ID, glint.Running))
}

// same fails unless both are one life of one instance.
func (b *bench) same(was, is glint.Instance) {
	b.Helper()
	if was.Pid != is.Pid || was.Address != is.Address || !was.Created.Equal(is.Created) || !was.Started.Equal(is.Started) || was.Version != is.Version {
		b.Errorf("another life of the same ID:\nwas %+v\nis  %+v", was, is)
	}
}

func testCreateAtOnce(b *bench) {
	s := spec(id("web", 1), b.Serves)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := b.Platform.Create(b.Context(), s); err != nil {
				b.Errorf("creating %s: %v", s.ID, err)
			}
		})
	}
	wg.Wait()
	first := b.reach(s.ID, glint.Running)
	b.answers(first)
	b.same(first, b.reach(s.ID, glint.Running))
}

func testMany(b *bench) {
	const n = 6
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := b.Platform.Create(b.Context(), spec(id("web", i+1), b.Serves)); err != nil {
				b.Errorf("creating: %v", err)
			}
		})
	}
	wg.Wait()
	owner := map[string]glint.ID{}
	for i := range n {
		in := b.reach(id("web", i+1), glint.Running)
		if other, taken := owner[in.Address]; taken {
			b.Errorf("%s and %s share the address %s", other, in.ID, in.Address)
		}
		owner[in.Address] = in.ID
		b.answers(in)
	}
	for i := range n {
		wg.Go(func() {
			if err := b.Platform.Destroy(b.Context(), id("web", i+1), time.Second); err != nil {
				b.Errorf("destroying: %v", err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	if !b.Settle(func() bool { return closed(done) }) {
		b.Fatal("destroying several at once does not end")
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func testFirstSpecStays(b *bench) {
	s := spec(id("web", 1), b.Serves)
	b.create(s)
	first := b.reach(s.ID, glint.Running)
	b.create(spec(s.ID, b.Stubborn)) // an instance is never changed
	b.same(first, b.reach(s.ID, glint.Running))
}

func testDestroyUnknown(b *bench) {
	b.destroy(id("nobody", 1), time.Second)
	s := spec(id("web", 1), b.Serves)
	b.create(s)
	b.reach(s.ID, glint.Running)
	b.destroy(s.ID, time.Second)
	b.destroy(s.ID, time.Second)
}

func testDestroyAtOnce(b *bench) {
	s := spec(id("web", 1), b.Serves)
	b.create(s)
	b.reach(s.ID, glint.Running)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := b.Platform.Destroy(b.Context(), s.ID, time.Second); err != nil {
				b.Errorf("destroying: %v", err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	if !b.Settle(func() bool { return closed(done) }) {
		b.Fatal("destroying one from three sides does not end")
	}
	if in, ok := b.look(s.ID); ok {
		b.Fatalf("listed after it was destroyed: %+v", in)
	}
}

// testCreateAgainstDestroy lets a late Create meet the Destroy of the same ID. Who wins is open; half an instance is not.
func testCreateAgainstDestroy(b *bench) {
	for n := 1; n <= 3; n++ {
		s := spec(id("web", n), b.Serves)
		created, destroyed := make(chan struct{}), make(chan struct{})
		go func() { _ = b.Platform.Create(b.Context(), s); close(created) }()
		go func() { _ = b.Platform.Destroy(b.Context(), s.ID, time.Second); close(destroyed) }()
		if !b.Settle(func() bool { return closed(created) && closed(destroyed) }) {
			b.Fatal("create against destroy does not end")
		}
		if in, ok := b.look(s.ID); ok && in.State != glint.Dead {
			b.answers(b.reach(s.ID, glint.Running))
		}
		b.destroy(s.ID, time.Second)
	}
}

func testNoSecondLife(b *bench) {
	if b.Forgets {
		b.Skip("this platform cannot know what was destroyed")
	}
	s := spec(id("web", 1), b.Serves)
	b.create(s)
	b.reach(s.ID, glint.Running)
	b.destroy(s.ID, time.Second)
	err := b.Platform.Create(b.Context(), s)
	if err != nil && !errors.Is(err, glint.ErrConflict) {
		b.Errorf("creating what was destroyed: %v, want glint.ErrConflict", err)
	}
	if in, ok := b.look(s.ID); ok && in.State != glint.Dead {
		b.Errorf("a second life of a destroyed ID: %+v", in)
	}
}

func testDead(b *bench) {
	s := spec(id("job", 1), b.Exits)
	b.create(s)
	in := b.reach(s.ID, glint.Dead)
	if in.Exit == nil || in.Exit.Code != 7 || in.Exit.Signal != "" || in.Exit.OutOfMemory || in.Exit.Failure != "" || in.Exit.At.IsZero() {
		b.Fatalf("exit of a program that ended with 7: %+v", in.Exit)
	}
	if want := []string{"one", "two", "three"}; !slices.Equal(in.Exit.Tail, want) {
		b.Errorf("last lines %q, want %q", in.Exit.Tail, want)
	}
	if in.Started.IsZero() || in.Pid != 0 {
		b.Errorf("dead: started %s, pid %d", in.Started, in.Pid)
	}
	b.create(s) // must not start it again
	if again := b.reach(s.ID, glint.Dead); !again.Exit.At.Equal(in.Exit.At) {
		b.Errorf("died twice: %s and %s", in.Exit.At, again.Exit.At)
	}
}

func testNeverStartable(b *bench) {
	s := spec(id("web", 1), b.Missing)
	b.create(s)
	b.neverStarted(s.ID)
}

func (b *bench) neverStarted(id glint.ID) {
	b.Helper()
	in := b.reach(id, glint.Dead)
	if in.Exit == nil || in.Exit.Code != -1 || in.Exit.Failure == "" || !in.Exit.Permanent || in.Exit.At.IsZero() {
		b.Errorf("exit of a program that is not there: %+v", in.Exit)
	}
	if !in.Started.IsZero() {
		b.Errorf("never started, and yet started %s", in.Started)
	}
}

func testHeld(b *bench) {
	s := spec(id("web", 1), b.Serves)
	b.create(held(s))
	in := b.reach(s.ID, glint.Held)
	if !in.Started.IsZero() || in.Exit != nil {
		b.Errorf("held, and yet started %s, exit %v", in.Started, in.Exit)
	}
	if b.Answers != nil && b.Answers(in.Address) {
		b.Error("a held instance answers")
	}
	b.create(held(s))
	b.reach(s.ID, glint.Held)
	b.create(s)
	on := b.reach(s.ID, glint.Running)
	if on.Started.IsZero() || on.Address != in.Address || !on.Created.Equal(in.Created) {
		b.Errorf("let go:\nheld %+v\nruns %+v", in, on)
	}
	b.answers(on)
	b.create(held(s)) // a late call; what runs is never stopped before its program again
	b.same(on, b.reach(s.ID, glint.Running))
}

func testHeldAndDestroyed(b *bench) {
	s := spec(id("web", 1), b.Serves)
	b.create(held(s))
	b.reach(s.ID, glint.Held)
	b.destroy(s.ID, time.Second)
}

// testHeldNeverStartable allows both answers: dead at once, or dead when it is let go.
func testHeldNeverStartable(b *bench) {
	s := spec(id("web", 1), b.Missing)
	b.create(held(s))
	if !b.Settle(func() bool {
		in, _ := b.look(s.ID)
		return in.State == glint.Held || in.State == glint.Dead
	}) {
		b.Fatal("neither held nor dead")
	}
	b.create(s)
	b.neverStarted(s.ID)
}

func testStubborn(b *bench) {
	s := spec(id("web", 1), b.Stubborn)
	b.create(s)
	b.answers(b.reach(s.ID, glint.Running))
	b.destroy(s.ID, 200*time.Millisecond)
}

// testCutShort ends calls before they began: whatever they did, the next call finds its way.
func testCutShort(b *bench) {
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	s := spec(id("web", 1), b.Serves)
	_ = b.Platform.Create(ctx, s)
	b.create(s)
	in := b.reach(s.ID, glint.Running)
	b.answers(in)
	done := make(chan struct{})
	go func() { _ = b.Platform.Destroy(ctx, s.ID, time.Second); close(done) }()
	if !b.Settle(func() bool { return closed(done) }) {
		b.Fatal("a cancelled Destroy does not end")
	}
	b.destroy(s.ID, time.Second)
}

func testListIsACopy(b *bench) {
	s := spec(id("job", 1), b.Exits)
	b.create(s)
	in := b.reach(s.ID, glint.Dead)
	in.Exit.Code = 99
	if len(in.Exit.Tail) > 0 {
		in.Exit.Tail[0] = "scribble"
	}
	again := b.reach(s.ID, glint.Dead)
	if again.Exit.Code != 7 || len(again.Exit.Tail) > 0 && again.Exit.Tail[0] == "scribble" {
		b.Errorf("writing into a listing changed the platform: %+v", again.Exit)
	}
}

func testVolume(b *bench) {
	if len(b.Volume.Volumes) == 0 {
		b.Skip("this platform has no volumes")
	}
	first, second := spec(id("db", 1), b.Volume), spec(id("db", 2), b.Volume)
	b.create(first)
	b.answers(b.reach(first.ID, glint.Running))
	if err := b.Platform.Create(b.Context(), second); !errors.Is(err, glint.ErrInUse) {
		b.Errorf("a second holder of a volume: %v, want glint.ErrInUse", err)
	}
	if in, ok := b.look(second.ID); ok {
		b.Errorf("refused, and yet listed: %+v", in)
	}
	b.destroy(first.ID, time.Second)
	b.create(second)
	b.answers(b.reach(second.ID, glint.Running))
}

func testReopen(b *bench) {
	if b.Reopen == nil {
		b.Skip("this platform has no server to end")
	}
	running, waiting, dead, broken := spec(id("a", 1), b.Serves), spec(id("b", 1), b.Serves), spec(id("c", 1), b.Exits), spec(id("d", 1), b.Missing)
	for _, s := range []glint.InstanceSpec{running, held(waiting), dead, broken} {
		b.create(s)
	}
	was := []glint.Instance{b.reach(running.ID, glint.Running), b.reach(waiting.ID, glint.Held), b.reach(dead.ID, glint.Dead), b.reach(broken.ID, glint.Dead)}
	b.Platform = b.Reopen()
	for _, in := range was {
		now := b.reach(in.ID, in.State)
		b.same(in, now)
		if in.Exit != nil && (now.Exit.Code != in.Exit.Code || !slices.Equal(now.Exit.Tail, in.Exit.Tail) || now.Exit.Permanent != in.Exit.Permanent) {
			b.Errorf("%s: exit was %+v, is %+v", in.ID, in.Exit, now.Exit)
		}
	}
	for _, s := range []glint.InstanceSpec{running, held(waiting), dead, broken} {
		b.create(s)
	}
	for _, in := range was {
		b.same(in, b.reach(in.ID, in.State))
	}
	b.answers(was[0])
	b.create(waiting)
	b.answers(b.reach(waiting.ID, glint.Running))
	if !b.Forgets {
		b.destroy(running.ID, time.Second)
		b.Platform = b.Reopen()
		_ = b.Platform.Create(b.Context(), running)
		if in, ok := b.look(running.ID); ok && in.State != glint.Dead {
			b.Errorf("a second life after a restart: %+v", in)
		}
	}
}
