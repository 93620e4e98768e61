package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/glint-infra/glint"
)

type whyInput struct {
	StackPath
	Service string `query:"service"`
	N       int    `query:"n" minimum:"1" doc:"with a service: one of its instances"`
}

const (
	recent = 100    // events in the story of a service or a stack
	memory = 20_000 // events in which one instance is looked for: some days of a busy stack
)

func (s *server) why(ctx context.Context, in *whyInput) (Why, error) {
	if _, err := s.history(ctx, in.Stack); err != nil {
		return Why{}, err
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
