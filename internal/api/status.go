package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/conductor"
	"github.com/glint-infra/glint/internal/plan"
	"github.com/glint-infra/glint/internal/store"
)

// A StackPath is the part of a path that names a stack. Exported, because huma fills in only what it can see.
type StackPath struct {
	Stack string `path:"stack"`
}

func (s *server) version(context.Context, *struct{}) (Version, error) {
	return Version{Version: s.Version, API: APIVersion, Release: glint.ReleaseFormat, Planner: plan.Version}, nil
}

func (s *server) stacks(ctx context.Context, _ *struct{}) ([]Summary, error) {
	names, err := s.Store.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	list := []Summary{}
	for _, name := range names {
		st, err := s.look(ctx, name)
		if errors.Is(err, glint.ErrNotFound) {
			continue // it ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, st.Summary)
	}
	return list, nil
}

func (s *server) status(ctx context.Context, in *StackPath) (Status, error) {
	return s.look(ctx, in.Stack)
}

// look joins what is declared, what is decided and what was seen.
func (s *server) look(ctx context.Context, stack string) (Status, error) {
	head, err := s.head(ctx, stack)
	if err != nil {
		return Status{}, err
	}
	revs, err := s.Store.Revisions(ctx, stack)
	if err != nil {
		return Status{}, err
	}
	newest := revs[len(revs)-1]
	declared, err := s.Store.Release(ctx, runs(head, revs).Release)
	if err != nil {
		return Status{}, err
	}
	last := s.last(head)
	st := Status{
		Summary: Summary{Stack: stack, Revision: newest.Number, Outcome: plan.Outcome(head, newest.Number)},
		Epoch:   head.Epoch, Blueprint: head.Number, Target: head.Target, Stable: head.Stable, Rejected: head.Rejected,
		Paused: head.Paused, Ordered: head.Ordered, Places: last.Seen.Places,
		Routes:   RouteStatus{Decided: head.Routes, InForce: last.Seen.Acked(), Hosts: head.Hosts},
		Services: []ServiceStatus{}, Notes: last.Notes,
		SeenAt: last.Seen.At, Complete: last.Seen.Complete, Silent: last.Seen.Silent,
	}
	if st.Orders, err = s.Store.Orders(ctx, stack); err != nil {
		return Status{}, err
	}
	for _, name := range services(head, declared) {
		sv := serviceStatus(head, declared, last.Seen, name)
		st.Services = append(st.Services, sv)
		if !sv.Task { // it ends; what serves is counted
			st.Wanted, st.Ready = st.Wanted+sv.Wanted, st.Ready+sv.Ready
		}
	}
	for _, h := range head.Hosts {
		st.Hosts = append(st.Hosts, h.Host)
		if s.URL != nil {
			st.Routes.URLs = append(st.Routes.URLs, s.URL(h.Host))
		}
	}
	return st, nil
}

// carried is the revision that is being carried out: after a rejection an older one than the newest.
func carried(head glint.Blueprint, revs []glint.Revision) glint.Revision {
	newest := revs[len(revs)-1]
	if head.Revision < newest.Number || head.Target < 1 || head.Target > len(revs) {
		return newest // not taken up yet
	}
	return revs[head.Target-1]
}

// runs is the revision by which instances are judged now: while rollouts are paused, a newer one waits to be carried out.
func runs(head glint.Blueprint, revs []glint.Revision) glint.Revision {
	if head.Paused != nil && head.Target >= 1 && head.Target <= len(revs) {
		return revs[head.Target-1]
	}
	return carried(head, revs)
}

// last is what the conductor saw last of this life of the stack.
func (s *server) last(head glint.Blueprint) conductor.Turn {
	turn, ok := s.Conductor.Last(head.Stack)
	if !ok || turn.Blueprint.Epoch != head.Epoch {
		return conductor.Turn{}
	}
	return turn
}

// services lists the names that are declared or still have members, sorted.
func services(head glint.Blueprint, declared glint.Release) []string {
	set := map[string]bool{}
	for _, sv := range declared.Services {
		set[sv.Name] = true
	}
	for _, f := range head.Services {
		if len(f.Members) > 0 {
			set[f.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func serviceStatus(head glint.Blueprint, declared glint.Release, seen glint.Observation, name string) ServiceStatus {
	f, decided := head.Fleet(name)
	sv, _ := declared.Service(name)
	st := ServiceStatus{
		Name: name, Phase: f.Phase, Since: f.Since, Version: f.Target, Image: f.Templates[f.Target].Image, Wanted: f.Wants(sv), Min: sv.Min, Max: sv.Max, Asked: f.Asked,
		Standby: sv.Standby, Failed: f.Failed, Tries: sv.Update.Tries, Task: sv.Task, After: sv.After, Renew: f.Renew, Instances: []InstanceStatus{},
	}
	if !decided {
		st.Version, st.Image = sv.Template.Version(), sv.Template.Image
	}
	if done, ok := f.Result(st.Version); ok {
		st.Done, st.Wanted = &done, 0
	}
	canary := 0
	for _, m := range f.Members {
		one := InstanceStatus{Member: m, ID: head.ID(name, m)}
		if inst, here := seen.Instance(one.ID); here {
			one.Seen = &inst
		}
		switch {
		case !m.Stays():
		case m.Held:
			st.Held++
		case !m.Warm.IsZero():
			st.Warm++
		case one.takesTraffic():
			st.Ready++
			if m.Version == f.Target {
				canary++
			}
		}
		st.Instances = append(st.Instances, one)
	}
	if f.Phase == glint.Canary {
		st.Canary = canaryStatus(sv, f, canary)
	}
	return st
}

// takesTraffic reports whether requests are sent to it and it can take them.
func (i InstanceStatus) takesTraffic() bool {
	return i.Member.Routed && i.Seen != nil && i.Seen.State == glint.Running && i.Seen.Health.Known && i.Seen.Health.Ready
}

func canaryStatus(sv glint.Service, f glint.Fleet, ready int) *CanaryStatus {
	c := &CanaryStatus{Wanted: sv.Update.Canary, Ready: ready, Baking: f.Baking, Manual: sv.Update.Manual}
	if !c.Baking.IsZero() {
		c.Until = c.Baking.Add(sv.Update.Bake.D())
	}
	return c
}

// head returns a living stack's newest blueprint, or an error that says what there is instead.
func (s *server) head(ctx context.Context, stack string) (glint.Blueprint, error) {
	if err := store.CheckStack(stack); err != nil {
		return glint.Blueprint{}, err
	}
	b, err := s.Store.Head(ctx, stack)
	if errors.Is(err, glint.ErrNotFound) {
		return b, s.unknown(ctx, stack)
	}
	return b, err
}

// history returns all revisions of a stack, also of one that was destroyed.
func (s *server) history(ctx context.Context, stack string) ([]glint.Revision, error) {
	if err := store.CheckStack(stack); err != nil {
		return nil, err
	}
	revs, err := s.Store.Revisions(ctx, stack)
	if errors.Is(err, glint.ErrNotFound) {
		return nil, s.unknown(ctx, stack)
	}
	return revs, err
}

// unknown says that a stack does not live, and what does.
func (s *server) unknown(ctx context.Context, stack string) error {
	if revs, err := s.Store.Revisions(ctx, stack); err == nil {
		end := revs[len(revs)-1]
		return refuse(404, CodeNotFound, "stack %s was destroyed (r%d, by %s); what happened: glint history %s", stack, end.Number, end.By, stack)
	}
	names, err := s.Store.Stacks(ctx)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return refuse(404, CodeNotFound, "there is no stack %s, nor any other; make one: glint apply", stack)
	}
	return refuse(404, CodeNotFound, "there is no stack %s; %s", stack, instead(stack, names))
}

// missing says that a stack has no such service or instance, and what it has.
func missing(head glint.Blueprint, service string, n int) error {
	var names, members []string
	for _, f := range head.Services {
		if len(f.Members) == 0 {
			continue
		}
		names = append(names, f.Name)
		for _, m := range f.Members {
			if m.Stays() && f.Name == service {
				members = append(members, head.ID(f.Name, m).Short())
			}
		}
	}
	switch {
	case len(names) == 0:
		return refuse(404, CodeNotFound, "stack %s has no instances", head.Stack)
	case !slices.Contains(names, service):
		return refuse(404, CodeNotFound, "stack %s has no service %s; %s", head.Stack, service, instead(service, names))
	case len(members) == 0:
		return refuse(404, CodeNotFound, "stack %s has no instance %s.%d, and %s has no other now", head.Stack, service, n, service)
	}
	return refuse(404, CodeNotFound, "stack %s has no instance %s.%d; there is %s", head.Stack, service, n, enumerate(members))
}

// instead names the nearest of some names, or all of them.
func instead(name string, names []string) string {
	best, least := "", len(name)/3+2
	for _, n := range names {
		if d := levenshtein.Distance(name, n, nil); d < least {
			best, least = n, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return "there is " + enumerate(names)
}

func enumerate(names []string) string {
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
