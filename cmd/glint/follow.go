package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// How often a follower looks whether it has missed something, and after what silence it says for what Glint waits.
const (
	followTick = 250 * time.Millisecond
	lookEvery  = 4  // ticks; where something happens, each second tick
	quietAfter = 12 // ticks
)

var (
	errDetached = errors.New("detached")
	errTimeout  = errors.New("timeout")
)

// A follower tells the story of a stack until a judge says that it is over.
type follower struct {
	remote   *api.Client
	stack    string
	after    int64 // the newest event that was told
	narrator *narrator
	// judge says whether the story is over; err is what asking for the status gave.
	judge func(st api.Status, err error) bool

	waits   []string             // said already
	baking  map[string]time.Time // so are these canaries, by service
	missing bool                 // the server does not answer
	last    api.Status
}

// newest is the number of the newest event of a stack, to follow what comes after it. A stack that never was has none.
func newest(ctx context.Context, remote *api.Client, stack string) (int64, error) {
	events, err := remote.Events(ctx, stack, -1, 1)
	if errors.Is(err, glint.ErrNotFound) || err == nil && len(events) == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return events[len(events)-1].Seq, nil
}

// run follows until the judge says so, ctx ends (errDetached) or timeout has passed (errTimeout). A server that goes away
// is waited for.
func (f *follower) run(ctx context.Context, timeout time.Duration) error {
	streaming, stop := context.WithCancel(ctx)
	events, ended := make(chan glint.Event), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- f.remote.Follow(streaming, f.stack, f.after, func(e glint.Event) error {
			select {
			case events <- e:
				return nil
			case <-streaming.Done():
				return streaming.Err()
			}
		})
	}()
	defer func() { stop(); <-done }()
	tick := time.NewTicker(followTick)
	defer tick.Stop()
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	quiet, ticks := 0, 0
	for {
		look := false
		select {
		case <-ctx.Done():
			return errDetached
		case <-limit.C:
			return errTimeout
		case err := <-ended:
			if ctx.Err() == nil && !errors.Is(err, glint.ErrNotFound) { // a stack may end while it is followed
				return err
			}
			ended = nil
		case e := <-events:
			quiet = 0
			f.hear(e)
			look = slices.Contains([]glint.EventKind{glint.EventVerdict, glint.EventGone, glint.EventOrder, glint.EventPhase}, e.Kind)
		case <-tick.C:
			quiet++
			ticks++
			f.narrator.flush()
			look = ticks%lookEvery == 0 || ticks%2 == 0 && quiet <= 2
		}
		if look && f.look(ctx, quiet >= quietAfter) {
			return nil
		}
	}
}

func (f *follower) hear(e glint.Event) {
	if e.Seq > f.after {
		f.after = e.Seq
		f.narrator.hear(e)
	}
}

// look asks the judge. When the story is over, what has not been told yet is told.
func (f *follower) look(ctx context.Context, quiet bool) bool {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	st, err := f.remote.Status(ctx, f.stack)
	if f.away(err) || ctx.Err() != nil {
		return false
	}
	if err == nil {
		f.last = st
		f.sayCanaries(st)
	}
	if f.judge(st, err) {
		if rest, err := f.remote.Events(ctx, f.stack, f.after, 1000); err == nil {
			for _, e := range rest {
				f.hear(e)
			}
		}
		f.narrator.flush()
		return true
	}
	if quiet {
		f.sayWaits(st)
	}
	return false
}

// away says once that the server does not answer, and once that it does again.
func (f *follower) away(err error) bool {
	var e *api.Error
	gone := errors.As(err, &e) && e.Code == api.CodeUnreachable
	if gone != f.missing {
		text := "for the server, which does not answer; instances go on"
		if !gone {
			text = "no more: the server is back"
		}
		f.narrator.say(step("waits", text, ""))
	}
	f.missing = gone
	return gone
}

// maxWaits bounds how many reasons to wait are said at once.
const maxWaits = 6

// sayWaits says each reason to wait once.
func (f *follower) sayWaits(st api.Status) {
	var now []string
	for _, n := range waits(st) {
		now = append(now, noteText(n))
	}
	if !st.Complete && !st.SeenAt.IsZero() {
		now = append(now, "not all places answer: "+clean(strings.Join(st.Silent, "; ")))
	}
	said := 0
	for _, text := range now {
		if !slices.Contains(f.waits, text) && said < maxWaits {
			said++
			f.narrator.say(step("waits", text, ""))
			f.waits = append(f.waits, text)
		}
	}
}
