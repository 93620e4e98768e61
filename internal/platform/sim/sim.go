// Package sim is a world in memory: a platform and a balancing plane with a hand on the clock and on every kind of fault.
// It runs nothing real, and it decides nothing.
package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/glint-infra/glint"
)

// A World runs pretend instances behind a pretend balancing plane. The exported fields may be changed between calls.
//
// What a pretend program does is the first word of its template's command:
//
//	serve           becomes ready after Boot, ends at once when told (also the default)
//	stubborn        the same, and ignores the request to end
//	sick            runs and is never ready
//	exit CODE …     writes the further words as lines and ends
//	missing         cannot be started
type World struct {
	Boot  time.Duration // how long a program takes to become ready
	Ack   time.Duration // how long the plane takes to put routes in force
	Drain time.Duration // how long requests take to end once an instance is out of the routes

	Blind   bool // List answers for half of the instances only
	Deaf    bool // the plane takes nothing up
	Refuses bool // Create fails before the ID is accepted
	Unasked bool // nobody knows of anyone's health, as after a restart of the server

	mu        sync.Mutex
	now       time.Time
	sleepers  []sleeper
	instances map[glint.ID]*instance
	ended     map[glint.ID]bool
	published map[string][]published
	lastAddr  int
	harm      []string
	hints     map[int]func()
}

type sleeper struct {
	at   time.Time
	wake chan struct{}
}

type instance struct {
	glint.Instance
	program []string
	volumes []glint.Volume
	sick    bool
	left    time.Time // when it was last in the routes in force
}

// New returns an empty world at noon of a day.
func New() *World {
	return &World{
		Boot: 2 * time.Second, Ack: time.Second, Drain: time.Second,
		now:       time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC),
		instances: map[glint.ID]*instance{}, ended: map[glint.ID]bool{}, published: map[string][]published{}, hints: map[int]func(){},
	}
}

// Now is the world's time.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Advance lets time pass.
func (w *World) Advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
	w.traffic()
	w.sleepers = slices.DeleteFunc(w.sleepers, func(s sleeper) bool {
		due := !s.at.After(w.now)
		if due {
			close(s.wake)
		}
		return due
	})
}

var errRefused = errors.New("the platform does not answer")

// Create implements platform.Platform.
func (w *World) Create(_ context.Context, spec glint.InstanceSpec) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.hint()
	if w.Refuses {
		return errRefused
	}
	if w.ended[spec.ID] {
		return fmt.Errorf("%s was destroyed: %w", spec.ID, glint.ErrConflict)
	}
	in, ok := w.instances[spec.ID]
	if !ok {
		if err := w.free(spec); err != nil {
			return err
		}
		w.lastAddr++
		in = &instance{program: spec.Template.Command, volumes: spec.Template.Volumes, Instance: glint.Instance{
			ID: spec.ID, Version: spec.Version, State: glint.Held, Place: "sim", Created: w.now,
			Address: fmt.Sprintf("10.%d.%d.%d", w.lastAddr>>16&255, w.lastAddr>>8&255, w.lastAddr&255),
		}}
		w.instances[spec.ID] = in
	}
	if in.State == glint.Held && !spec.Held {
		w.start(in)
	}
	return nil
}

// free refuses a volume that somebody else holds.
func (w *World) free(spec glint.InstanceSpec) error {
	for _, v := range spec.Template.Volumes {
		for id, other := range w.instances {
			holds := slices.ContainsFunc(other.volumes, func(o glint.Volume) bool { return o.Name == v.Name })
			if holds && id.Stack == spec.ID.Stack && id.Service == spec.ID.Service {
				return fmt.Errorf("volume %s is held by %s: %w", v.Name, id, glint.ErrInUse)
			}
		}
	}
	return nil
}

func (w *World) start(in *instance) {
	in.State, in.Started = glint.Running, w.now
	switch word(in.program, 0) {
	case "exit":
		code, _ := strconv.Atoi(word(in.program, 1))
		w.die(in, glint.Exit{Code: code, Tail: slices.Clone(in.program[min(2, len(in.program)):])})
	case "missing":
		in.Started = time.Time{}
		w.die(in, glint.Exit{Code: -1, Failure: "its image has no such program", Permanent: true})
	case "sick":
		in.sick = true
	}
}

func word(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}

func (w *World) die(in *instance, how glint.Exit) {
	how.At = w.now
	in.State, in.Exit = glint.Dead, &how
}

// Destroy implements platform.Platform.
func (w *World) Destroy(ctx context.Context, id glint.ID, grace time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	in, ok := w.instances[id]
	if ok && in.State == glint.Running && word(in.program, 0) == "stubborn" && grace > 0 {
		if err := w.sleep(ctx, grace); err != nil {
			return err
		}
	}
	w.ended[id] = true
	if in, ok := w.instances[id]; ok {
		if w.inForce(id) && w.ready(in) {
			w.harm = append(w.harm, fmt.Sprintf("%s was destroyed while it took traffic", id))
		}
		delete(w.instances, id)
	}
	w.hint()
	return nil
}

// sleep lets go of the world until d has passed.
func (w *World) sleep(ctx context.Context, d time.Duration) error {
	s := sleeper{at: w.now.Add(d), wake: make(chan struct{})}
	w.sleepers = append(w.sleepers, s)
	w.mu.Unlock()
	defer w.mu.Lock()
	select {
	case <-s.wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// List implements platform.Platform.
func (w *World) List(context.Context) (glint.Listing, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := glint.Listing{At: w.now, Complete: true}
	for _, id := range w.ids() {
		in := w.instances[id]
		out := in.Instance
		out.Deviations = slices.Clone(in.Deviations)
		if in.Exit != nil {
			exit := *in.Exit
			exit.Tail = slices.Clone(exit.Tail)
			out.Exit = &exit
		}
		if in.State == glint.Running && !w.Unasked {
			out.Health = glint.Health{Known: true, Ready: w.ready(in), Live: !in.sick || word(in.program, 0) == "sick", Vantage: "sim", Detail: "answers"}
			if !out.Health.Ready {
				out.Health.Detail = "does not answer"
			}
		}
		l.Instances = append(l.Instances, out)
	}
	if w.Blind {
		l.Complete, l.Silent, l.Instances = false, []string{"sim"}, l.Instances[:len(l.Instances)/2]
	}
	return l, nil
}

func (w *World) ids() []glint.ID {
	return slices.SortedFunc(maps.Keys(w.instances), glint.ID.Compare)
}

func (w *World) ready(in *instance) bool {
	return in.State == glint.Running && !in.sick && w.now.Sub(in.Started) >= w.Boot
}

// Watch implements platform.Watcher and balancer.Watcher.
func (w *World) Watch(ctx context.Context, hint func()) error {
	w.mu.Lock()
	key := len(w.hints)
	for w.hints[key] != nil {
		key++
	}
	w.hints[key] = hint
	w.mu.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	delete(w.hints, key)
	w.mu.Unlock()
	return ctx.Err()
}

func (w *World) hint() {
	for _, h := range w.hints {
		h()
	}
}
