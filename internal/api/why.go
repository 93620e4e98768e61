package api

import (
	"context"
	"math"
	"net/http"
	"slices"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

type whyInput struct {
	StackPath
	Service string `query:"service"`
	N       int    `query:"n" minimum:"1" doc:"with a service: one of its instances"`
	Number  int    `query:"revision" minimum:"1" doc:"by itself: how this revision was carried out"`
}

const (
	recent = 100    // events in the story of a service or a stack
	memory = 20_000 // events in which one instance is looked for: some days of a busy stack
)

func (s *server) why(ctx context.Context, in *whyInput) (Why, error) {
	revs, err := s.history(ctx, in.Stack)
	if err != nil {
		return Why{}, err
	}
	if in.Number != 0 {
		return s.whyRevision(ctx, in, len(revs))
	}
	if in.N != 0 && in.Service == "" {
		return Why{}, refuse(http.StatusUnprocessableEntity, CodeInvalid, "n=%d is of which service? Ask with service=NAME", in.N)
	}
	events, err := s.Store.Events(ctx, in.Stack, -1, memory)
	if err != nil {
		return Why{}, err
	}
	st, err := s.standing(ctx, in.Stack)
	if err != nil {
		return Why{}, err
	}
	var notes []glint.Note
	if st.lives {
		notes = s.last(st.head).Notes
	}
	switch {
	case in.N != 0:
		return s.whyInstance(st, in, events, notes)
	case in.Service != "":
		events = slices.DeleteFunc(events, func(e glint.Event) bool { return e.Service != in.Service })
		notes = slices.DeleteFunc(slices.Clone(notes), func(n glint.Note) bool { return n.Service != in.Service && n.Service != "" })
		if _, known := st.head.Fleet(in.Service); !known && len(events) == 0 {
			return Why{}, missing(st.head, in.Service, 0)
		}
	}
	return Why{Events: append([]glint.Event{}, events[max(len(events)-recent, 0):]...), Notes: notes}, nil
}

// whyInstance tells the story of one instance, and of those whose places it took and gave.
func (s *server) whyInstance(st standing, in *whyInput, events []glint.Event, notes []glint.Note) (Why, error) {
	var id glint.ID // numbers begin again in a new epoch: the newest is meant
	for _, e := range slices.Backward(events) {
		if e.ID.Service == in.Service && e.ID.N == in.N {
			id = e.ID
			break
		}
	}
	if id.IsZero() {
		return Why{}, missing(st.head, in.Service, in.N)
	}
	kin := map[glint.ID]bool{id: true}
	for _, e := range events {
		if e.ID == id && !e.For.IsZero() {
			kin[e.For] = true
		}
		if e.For == id {
			kin[e.ID] = true
		}
	}
	out := Why{Events: []glint.Event{}}
	for _, e := range events {
		if !e.ID.IsZero() && kin[e.ID] {
			out.Events = append(out.Events, e)
		}
	}
	for _, n := range notes {
		if kin[n.ID] || n.ID.IsZero() && (n.Service == in.Service || n.Service == "") {
			out.Notes = append(out.Notes, n)
		}
	}
	return out, nil
}

// whyRevision tells of a revision from when it was taken up to its last verdict, the next revision, or now.
func (s *server) whyRevision(ctx context.Context, in *whyInput, newest int) (Why, error) {
	switch {
	case in.Service != "" || in.N != 0:
		return Why{}, refuse(http.StatusUnprocessableEntity, CodeInvalid, "ask for revision %d, or for a service, not for both", in.Number)
	case in.Number > newest:
		return Why{}, refuse(http.StatusNotFound, CodeNotFound, "stack %s has no revision r%d; its newest is r%d", in.Stack, in.Number, newest)
	}
	st, err := s.standing(ctx, in.Stack)
	if err != nil {
		return Why{}, err
	}
	l, err := s.ledger(ctx, in.Stack)
	if err != nil {
		return Why{}, err
	}
	out := Why{Events: []glint.Event{}}
	if st.lives && in.Number == newest && plan.Outcome(st.head, newest) != glint.Serving {
		out.Notes = s.last(st.head).Notes
	}
	from, begun := l.begun[in.Number]
	if !begun { // it waits to be taken up, or was overtaken before
		return out, nil
	}
	upto := l.over[in.Number]
	for n := in.Number + 1; upto == 0 && n <= newest; n++ {
		upto = l.begun[n]
	}
	if upto == 0 {
		upto = math.MaxInt64
	}
	events, err := s.Store.Events(ctx, in.Stack, from-1, int(min(upto-from+1, memory)))
	out.Events = append(out.Events, events...)
	return out, err
}
