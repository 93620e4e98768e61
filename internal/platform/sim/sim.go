// Package sim is a world in memory: a platform and a balancing plane with a hand on the clock and on every kind of fault.
// It runs nothing real, and it decides nothing.
package sim

import (
	"context"
	"errors"
	"fmt"
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
//	fade TIME       serves, and TIME after it started it runs on without answering, for good
//	work TIME CODE  runs for TIME and ends with CODE, as tasks do
//	exit CODE …     writes the further words as lines and ends
//	missing         cannot be started
type World struct {
	Boot  time.Duration // how long a program takes to become ready
	Make  time.Duration // how long an accepted instance takes to be made, as machines do
	Ack   time.Duration // how long the plane takes to put routes in force
	Drain time.Duration // how long requests take to end once an instance is out of the routes
	Lag   time.Duration // List says what was there so long ago, and that it was then; at most Remember
	Rate  int           // changes that the platform takes in a second, beyond which it refuses; 0: any number

	Remember time.Duration // how late List may ever be; set before anything is made

	Places []glint.Place // where instances may be put; none: there is one, and nothing is said of it
	Planes []*Plane      // the members of the balancing plane; none: one, "sim", with Ack

	Blind   bool // List answers for half of the instances only
	Deaf    bool // the plane takes nothing up
	Refuses bool // Create fails before the ID is accepted
	Unasked bool // nobody knows of anyone's health, as after a restart of the server

	// Sleep lets time pass within a call, for worlds that are moved on by the goroutine that calls; nil: wait for Advance.
	Sleep func(ctx context.Context, d time.Duration) error
	// BootOf is how long one instance takes to become ready; nil: Boot.
	BootOf func(glint.ID) time.Duration

	mu        sync.Mutex
	now       time.Time
	before    time.Time // before the last Advance
	sleepers  []sleeper
	alarms    alarms
	instances map[glint.ID]*instance
	order     []*instance // sorted by ID, and some that are gone
	fresh     []*instance // not sorted in yet
	ended     map[glint.ID]bool
	silent    map[string]bool
	past      []glint.Listing // oldest first, while there is a Lag
	pub       map[string]*publication
	second    int64 // the second in which spent was spent
	spent     int
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
	boot    time.Duration
	asked   bool // Health is declared: it must be asked before it is known to be ready
	made    time.Time
	let     bool // to be started as soon as it is made
	ends    time.Time
	code    int
	sick    bool
	unready bool
	gone    bool
	force   int       // members of the plane that send to it
	left    time.Time // when the last of them stopped
}

// New returns an empty world at noon of a day.
func New() *World {
	return &World{
		Boot: 2 * time.Second, Ack: time.Second, Drain: time.Second,
		now:       time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC),
		instances: map[glint.ID]*instance{}, ended: map[glint.ID]bool{}, silent: map[string]bool{},
		pub: map[string]*publication{}, hints: map[int]func(){},
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
	w.before = w.now
	end := w.now.Add(d)
	for at := w.alarms.next(); !at.IsZero() && !at.After(end); at = w.alarms.next() {
		w.alarms.pop()
		if at.After(w.now) {
			w.now = at
		}
		w.catchUp()
	}
	w.now = end
	w.catchUp()
	w.sleepers = slices.DeleteFunc(w.sleepers, func(s sleeper) bool {
		due := !s.at.After(w.now)
		if due {
			close(s.wake)
		}
		return due
	})
}

// Next is the first moment after now at which something happens by time alone; zero: none is known.
func (w *World) Next() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at := w.alarms.next(); !at.IsZero(); at = w.alarms.next() {
		if at.After(w.now) {
			return at
		}
		w.alarms.pop()
	}
	return time.Time{}
}

// catchUp does what time has brought about. The caller holds the lock.
func (w *World) catchUp() {
	for len(w.alarms.due) > 0 && !w.alarms.due[0].at.After(w.now) {
		in := w.alarms.popDue()
		switch {
		case in.gone || in.State == glint.Dead:
		case in.State == glint.Accepted && !w.now.Before(in.made):
			in.State = glint.Held
			if in.let {
				w.start(in)
			}
		case in.State == glint.Running && !in.ends.IsZero() && !w.now.Before(in.ends):
			if word(in.program, 0) == "fade" {
				in.sick, in.ends = true, time.Time{}
			} else {
				w.die(in, glint.Exit{Code: in.code})
			}
		}
	}
	w.inForceNow()
}

var (
	errRefused   = errors.New("the platform does not answer")
	errThrottled = errors.New("the platform has been asked too often; ask again later")
)

// throttled counts a change, and reports whether it is one too many.
func (w *World) throttled() bool {
	if s := w.now.Unix(); s != w.second {
		w.second, w.spent = s, 0
	}
	w.spent++
	return w.Rate > 0 && w.spent > w.Rate
}

// Create implements platform.Platform.
func (w *World) Create(_ context.Context, spec glint.InstanceSpec) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.hint()
	switch {
	case w.Refuses:
		return errRefused
	case w.throttled():
		return errThrottled
	case w.ended[spec.ID]:
		return fmt.Errorf("%s was destroyed: %w", spec.ID, glint.ErrConflict)
	}
	in, ok := w.instances[spec.ID]
	if !ok {
		place, err := w.place(spec)
		if err == nil {
			err = w.free(spec)
		}
		if err != nil {
			return err
		}
		in = w.accept(spec, place)
	}
	in.let = in.let || !spec.Held
	if in.State == glint.Held && in.let {
		w.start(in)
	}
	return nil
}

// accept adds an instance that nothing is known of yet.
func (w *World) accept(spec glint.InstanceSpec, place string) *instance {
	w.lastAddr++
	in := &instance{program: spec.Template.Command, volumes: spec.Template.Volumes, asked: spec.Template.Health != nil, boot: w.Boot, made: w.now.Add(w.Make), Instance: glint.Instance{
		ID: spec.ID, Version: spec.Version, State: glint.Held, Place: place, Created: w.now,
		Address: fmt.Sprintf("10.%d.%d.%d", w.lastAddr>>16&255, w.lastAddr>>8&255, w.lastAddr&255),
	}}
	if w.BootOf != nil {
		in.boot = w.BootOf(spec.ID)
	}
	if w.Make > 0 {
		in.State = glint.Accepted
		w.alarms.at(in.made, in)
	}
	w.instances[spec.ID] = in
	w.fresh = append(w.fresh, in)
	return in
}

// place finds where an instance goes.
func (w *World) place(spec glint.InstanceSpec) (string, error) {
	if len(w.Places) == 0 {
		return "sim", nil
	}
	for _, p := range w.Places {
		switch {
		case spec.Place != "" && p.Name != spec.Place, spec.Place == "" && (p.Closed || w.silent[p.Name]):
		case p.Closed:
			return "", fmt.Errorf("%s takes no new instances: %w", p.Name, errRefused)
		case w.silent[p.Name]:
			return "", fmt.Errorf("%s: %w", p.Name, errRefused)
		default:
			return p.Name, nil
		}
	}
	return "", fmt.Errorf("no place %q: %w", spec.Place, glint.ErrNotFound)
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
		in.code, _ = strconv.Atoi(word(in.program, 1))
		w.die(in, glint.Exit{Code: in.code, Tail: slices.Clone(in.program[min(2, len(in.program)):])})
	case "missing":
		in.Started = time.Time{}
		w.die(in, glint.Exit{Code: -1, Failure: "its image has no such program", Permanent: true})
	case "sick":
		in.sick = true
	case "work", "fade":
		d, _ := time.ParseDuration(word(in.program, 1))
		in.code, _ = strconv.Atoi(word(in.program, 2))
		in.ends = w.now.Add(d)
		w.alarms.at(in.ends, in)
	}
	if in.boot > 0 {
		w.alarms.at(w.now.Add(in.boot), nil)
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
	defer w.hint()
	in, ok := w.instances[id]
	if w.throttled() {
		return errThrottled
	}
	if ok && w.silent[in.Place] {
		return errRefused
	}
	if ok && in.State == glint.Running && word(in.program, 0) == "stubborn" && grace > 0 {
		if err := w.sleep(ctx, grace); err != nil {
			return err
		}
	}
	w.ended[id] = true
	if in, ok := w.instances[id]; ok {
		if in.force > 0 && w.ready(in) {
			w.harm = append(w.harm, fmt.Sprintf("%s was destroyed while it took traffic", id))
		}
		w.remove(in)
	}
	return nil
}

func (w *World) remove(in *instance) {
	in.gone = true
	w.ended[in.ID] = true
	delete(w.instances, in.ID)
}

// sleep lets go of the world until d has passed.
func (w *World) sleep(ctx context.Context, d time.Duration) error {
	if w.Sleep != nil {
		w.mu.Unlock()
		defer w.mu.Lock()
		return w.Sleep(ctx, d)
	}
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

func (w *World) ready(in *instance) bool {
	switch {
	case in.State != glint.Running || in.sick || in.unready:
		return false
	case word(in.program, 0) == "work":
		return true
	}
	return w.now.Sub(in.Started) >= in.boot
}
