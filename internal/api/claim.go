package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/glint-infra/glint"
)

// claimed objects to host names that another stack has or has asked for: a name leads to one place. Two who ask at the very
// same moment both pass; the balancers then refuse the later one, and its stack says so.
func (s *server) claimed(ctx context.Context, stack string, rel glint.Release) (items []string, err error) {
	if len(rel.Routes) == 0 {
		return nil, nil
	}
	stacks, err := s.Store.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	for _, other := range stacks {
		if other == stack {
			continue
		}
		theirs, err := s.hosts(ctx, other)
		if err != nil {
			return nil, err
		}
		for _, r := range rel.Routes {
			if slices.ContainsFunc(theirs, func(o glint.Route) bool { return strings.EqualFold(o.Host, r.Host) }) {
				items = append(items, fmt.Sprintf("route %s: stack %s has this host name; choose another, or take it from %s first", r.Host, other, other))
			}
		}
	}
	return items, nil
}

// hosts lists the routes that a stack has, or will have once its newest revision is carried out.
func (s *server) hosts(ctx context.Context, stack string) ([]glint.Route, error) {
	st, err := s.standing(ctx, stack)
	if err != nil || !st.lives {
		return nil, err
	}
	rel, err := s.Store.Release(ctx, st.newest().Release)
	if errors.Is(err, glint.ErrNotFound) { // it ended meanwhile
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what %s declares: %w", stack, err)
	}
	return append(slices.Clone(st.head.Hosts), rel.Routes...), nil
}
