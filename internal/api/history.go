package api

import (
	"context"
	"maps"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

// page is how many events are read at a time.
const page = 1000

// A ledger holds the verdicts and people's words of a stack, read once: a blueprint remembers only the last ones.
type ledger struct {
	mu    sync.Mutex
	after int64 // up to where the story was read
	pages
}

// The pages of a ledger.
type pages struct {
	verdicts []glint.Event
	orders   []glint.Event
	begun    map[int]int64 // the seq with which a revision was taken up
	over     map[int]int64 // the seq of its last verdict
}

// ledger returns what was ever decided and said about a stack, oldest first.
func (s *server) ledger(ctx context.Context, stack string) (pages, error) {
	s.mu.Lock()
	l := s.ledgers[stack]
	if l == nil {
		l = &ledger{pages: pages{begun: map[int]int64{}, over: map[int]int64{}}}
		s.ledgers[stack] = l
	}
	s.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		events, err := s.Store.Events(ctx, stack, l.after, page)
		if err != nil {
			return pages{}, err
		}
		for _, e := range events {
			l.add(e)
		}
		if len(events) < page {
			out := l.pages
			out.begun, out.over = maps.Clone(l.begun), maps.Clone(l.over)
			return out, nil // what is appended later is not in these slices
		}
	}
}

func (l *ledger) add(e glint.Event) {
	l.after = e.Seq
	switch e.Kind {
	case glint.EventRevision:
		l.begun[e.Revision] = e.Seq
	case glint.EventOrder:
		l.orders = append(l.orders, e)
	case glint.EventVerdict:
		if e.Service != "" && e.Reason != glint.RejectedFor {
			return // how a task came out
		}
		l.verdicts = append(l.verdicts, e)
		l.over[e.Revision] = e.Seq
	}
}

// orders tells what people have said about what runs.
func (s *server) orders(ctx context.Context, in *StackPath) ([]glint.Event, error) {
	if _, err := s.history(ctx, in.Stack); err != nil {
		return nil, err
	}
	l, err := s.ledger(ctx, in.Stack)
	return append([]glint.Event{}, l.orders...), err
}

// judged is a line of history, and what it has been.
type judged struct {
	RevisionStatus
	served, rejected bool
}

// past tells how every revision came out: from the verdicts, and for those of the life that goes on from its blueprint.
func (s *server) past(ctx context.Context, stack string, st standing) ([]judged, error) {
	l, err := s.ledger(ctx, stack)
	if err != nil {
		return nil, err
	}
	list := make([]judged, len(st.revs))
	for i, r := range st.revs {
		list[i] = judged{RevisionStatus: RevisionStatus{Revision: r, Outcome: glint.Replaced}}
	}
	ended, stable := 0, false
	for _, v := range l.verdicts {
		if v.Revision < 1 || v.Revision > len(list) {
			continue // of a revision that was made since the revisions were read
		}
		switch r := &list[v.Revision-1]; {
		case v.Reason == glint.RejectedFor:
			r.Outcome, r.Verdict, r.rejected = glint.Failed, v.Text, true
			if stable {
				r.Outcome = glint.RolledBack
			}
		case r.rejected: // everything is back; the evidence was told before
		case r.Kind == glint.KindDestroy:
			r.Outcome, r.Verdict = glint.Ended, v.Text
			ended, stable = v.Revision, false
		default:
			r.Verdict, r.served, stable = v.Text, true, true
		}
	}
	for i := range list {
		if !st.lives || list[i].Number <= ended {
			continue
		}
		if now := plan.Outcome(st.head, list[i].Number); now != glint.Replaced {
			list[i].Outcome = now
		}
	}
	return list, nil
}

// judged is where a stack stands, be it a former one, and how all of its revisions came out.
func (s *server) judged(ctx context.Context, stack string) (st standing, past []judged, err error) {
	revs, err := s.history(ctx, stack)
	if err != nil {
		return st, nil, err
	}
	if st, err = s.standing(ctx, stack); err != nil {
		return st, nil, err
	}
	st.revs = revs
	past, err = s.past(ctx, stack, st)
	return st, past, err
}

func (s *server) revisions(ctx context.Context, in *StackPath) ([]RevisionStatus, error) {
	_, past, err := s.judged(ctx, in.Stack)
	if err != nil {
		return nil, err
	}
	out := make([]RevisionStatus, len(past))
	for i, r := range past {
		out[i] = r.RevisionStatus
	}
	return out, nil
}

type releaseInput struct {
	StackPath
	Number int `path:"number" minimum:"1"`
}

func (s *server) release(ctx context.Context, in *releaseInput) (glint.Release, error) {
	revs, err := s.history(ctx, in.Stack)
	if err != nil {
		return glint.Release{}, err
	}
	if in.Number > len(revs) {
		return glint.Release{}, refuse(http.StatusNotFound, CodeNotFound, "stack %s has no revision r%d; its newest is r%d", in.Stack, in.Number, len(revs))
	}
	return s.Store.Release(ctx, revs[in.Number-1].Release)
}

type eventsInput struct {
	StackPath
	After int64 `query:"after" default:"-1" doc:"events with a seq above this; -1: the newest"`
	Limit int   `query:"limit" default:"100" minimum:"1" maximum:"10000"`
}

func (s *server) events(ctx context.Context, in *eventsInput) ([]glint.Event, error) {
	if _, err := s.history(ctx, in.Stack); err != nil {
		return nil, err
	}
	events, err := s.Store.Events(ctx, in.Stack, in.After, in.Limit)
	return append([]glint.Event{}, events...), err
}

type followInput struct {
	StackPath
	After int64 `query:"after" default:"-1" doc:"begin after this seq; -1: with what is new"`
	Last  int64 `header:"Last-Event-ID" default:"-1" doc:"what a client that reconnects has seen; goes before after"`
}

func (s *server) follow(ctx context.Context, in *followInput) (func(huma.Context), error) {
	if _, err := s.history(ctx, in.Stack); err != nil {
		return nil, err
	}
	after := in.After
	if in.Last >= 0 {
		after = in.Last
	}
	if after < 0 {
		after = 0
		newest, err := s.Store.Events(ctx, in.Stack, -1, 1)
		if err != nil {
			return nil, err
		}
		for _, e := range newest {
			after = e.Seq
		}
	}
	return func(c huma.Context) {
		ctx, cancel := untilEnd(c.Context())
		defer cancel()
		s.tell(ctx, newSender(c), in.Stack, after)
	}, nil
}

// tell sends the events of a stack as they come, until ctx ends or the client does not take them.
func (s *server) tell(ctx context.Context, out *sender, stack string, after int64) {
	news := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		defer cancel() // a store that is gone has no news; the client asks again
		_ = s.Store.Watch(ctx, func(name string) {
			if name == stack {
				select {
				case news <- struct{}{}:
				default:
				}
			}
		})
	})
	beat := newTicker()
	defer beat.Stop()
	for out.mark(after); out.err == nil; {
		events, err := s.Store.Events(ctx, stack, after, page)
		if err != nil {
			return
		}
		for _, e := range events {
			out.send(e.Seq, e)
			after = e.Seq
		}
		if len(events) == page {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-news:
		case <-beat.C: // and looks: a watch is a hint, never a source of truth
			out.beat()
		}
	}
}
