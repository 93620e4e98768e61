package simulate

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/conductor"
)

// promises is what users were promised, and what must be known to tell whether it is kept.
type promises struct {
	services  map[string]*held
	led       map[string]bool // host names that have led to somebody since they were declared
	templates map[glint.Digest]glint.Template
	planted   map[glint.ID]bool
	resting   bool // nothing may change any more but by age
	quiet     int  // blueprints since then of which nothing is told
}

// held is what one service was promised at the balancer.
type held struct {
	promised int               // ready instances that Glint leaves standing, as declared now
	floor    int               // what was reached of it
	hit      map[glint.ID]bool // instances that something befell, since the service was last whole
}

func newPromises() promises {
	return promises{services: map[string]*held{}, led: map[string]bool{}, templates: map[glint.Digest]glint.Template{}, planted: map[glint.ID]bool{}}
}

func (w *world) held(service string) *held {
	h := w.promises.services[service]
	if h == nil {
		h = &held{hit: map[glint.ID]bool{}}
		w.promises.services[service] = h
	}
	return h
}

// hit notes that something befalls an instance: what it does not do from now on is not Glint's doing.
func (w *world) hit(id glint.ID) {
	if _, ready, _ := w.sim.Look(id); ready {
		w.held(id.Service).hit[id] = true
	}
}

// fading notes what programs do to their instances by themselves.
func (w *world) fading() {
	b, lives := w.head()
	if !lives || w.mood.bad == 0 {
		return
	}
	for _, f := range b.Services {
		for _, id := range w.sim.Down(stack, f.Name) {
			w.held(f.Name).hit[id] = true // Glint cannot make an instance fail that is there
		}
	}
}

// declaredNow takes in what the newest blueprint promises.
func (w *world) declaredNow(b glint.Blueprint) {
	rel, _ := w.releaseOf(b.Target)
	for _, f := range b.Services {
		h := w.held(f.Name)
		s, declared := rel.Service(f.Name)
		h.promised = 0
		if declared && s.Update.Strategy == glint.Rolling && !s.Template.Exclusive() && !s.Task {
			h.promised = max(f.Wants(s)-s.Update.Unavailable, 0)
		}
		h.floor = min(h.floor, h.promised)
	}
}

// judge holds the world to what users were promised at the balancer, at this moment.
func (w *world) judge() {
	if harm := w.sim.Harm(); len(harm) > 0 {
		w.fail("harm", "users noticed: %s", harm[0])
	}
	b, lives := w.head()
	if !lives {
		return
	}
	for _, f := range b.Services {
		w.judgeFloor(b, f)
		if w.promises.resting {
			w.judgeAge(b, f)
		}
	}
	w.judgeHosts(b)
}

func (w *world) judgeFloor(b glint.Blueprint, f glint.Fleet) {
	service := f.Name
	h := w.held(service)
	up, down := w.sim.Reach(stack, service)
	if down > 0 {
		for _, id := range w.sim.Down(stack, service) {
			h.hit[id] = true
		}
	}
	if up < h.floor && up+len(h.hit) < h.floor {
		w.fail("floor", "%s: %d reachable of at least %d, and something befell only %d of them", service, up, h.floor, len(h.hit))
	}
	if up < h.promised || h.floor == h.promised && len(h.hit) == 0 || w.sim.Behind(stack) < b.Routes {
		return
	}
	if n := w.lasting(b, f); n >= h.promised { // others have been told to go already, and are only not out of the routes yet
		h.floor = h.promised
		if down == 0 {
			clear(h.hit)
		}
	}
}

// judgeAge: once nothing befalls the world any more nobody grows older than he may, but for the time that it takes to
// put others in the places of all.
func (w *world) judgeAge(b glint.Blueprint, f glint.Fleet) {
	rel, _ := w.releaseOf(b.Target)
	s, _ := rel.Service(f.Name)
	if s.MaxAge == 0 {
		return
	}
	sim := w.sim
	one := sim.Make + sim.Boot + 2*time.Second + 2*(sim.Ack+2*time.Second) + w.asking + sim.Lag + 2*s.Update.Grace.D() + 4*w.backstop
	most := s.MaxAge.D() + time.Duration(len(f.Members)+1)*one + w.jumps
	for _, m := range f.Members {
		in, _, here := sim.Look(b.ID(f.Name, m))
		if old := sim.Now().Sub(in.Created); here && !m.Held && old > most && b.Rejected == nil {
			w.fail("age", "%s is %s old, of %s, and all that it takes is %s for each", b.ID(f.Name, m).Short(), old, s.MaxAge, one)
		}
	}
}

// lasting counts the members that take traffic and are to go on doing so.
func (w *world) lasting(b glint.Blueprint, f glint.Fleet) int {
	n := 0
	for _, m := range f.Members {
		if m.Routed && w.sim.Serves(b.ID(f.Name, m)) {
			n++
		}
	}
	return n
}

// judgeHosts: a host name that has led to somebody leads to somebody, as long as whom it leads to is declared as more than
// nothing and nothing befalls them.
func (w *world) judgeHosts(b glint.Blueprint) {
	if len(b.Hosts) == 0 && len(w.promises.led) == 0 {
		return
	}
	rel, _ := w.releaseOf(b.Target)
	declared := rel.Routes
	for _, r := range w.sim.InForce(stack).Hosts {
		up := w.sim.Led(stack, r)
		excused := up < 0 || !slices.Contains(declared, r) || w.anyHit() || w.mayBeNone(b)
		switch {
		case up > 0:
			w.promises.led[r.Host] = true
		case excused:
			delete(w.promises.led, r.Host)
		case w.promises.led[r.Host]:
			w.fail("host", "%s leads nowhere: %s has nobody", r.Host, r.To.Service)
		}
	}
}

func (w *world) anyHit() bool {
	for _, h := range w.promises.services {
		if len(h.hit) > 0 {
			return true
		}
	}
	return false
}

// mayBeNone reports whether some service with a host name may be left without anybody.
func (w *world) mayBeNone(b glint.Blueprint) bool {
	for _, r := range b.Hosts {
		if h := w.promises.services[r.To.Service]; h == nil || h.floor < 1 {
			return true
		}
	}
	return false
}

// advanced is told of every blueprint that is written down.
func (w *world) advanced(b *boss, have, next glint.Blueprint, step glint.Step) {
	w.report.Blueprints++
	w.declaredNow(next)
	if have.Epoch != next.Epoch {
		w.fail("epoch", "blueprint %d is of another life", next.Number)
	}
	for _, f := range have.Services {
		if g, ok := next.Fleet(f.Name); !ok || g.Last < f.Last {
			w.fail("numbers", "the numbers of %s start again", f.Name)
		}
	}
	w.runsOnce(have, next)
	w.inTime(have, next)
	for _, e := range step.Events {
		w.hear(e)
	}
	if w.promises.resting {
		w.undisturbed(have, next, step)
	}
	if w.loud {
		w.tellStep(b, next, step)
	}
}

// inTime: nobody is given over to destruction before the requests that he has taken had their time. Where clocks differ, or
// one is set forward, that time is what the clocks say.
func (w *world) inTime(have, next glint.Blueprint) {
	if w.mood.two || w.sim.Now().Sub(w.jumped) < 10*time.Second {
		return
	}
	for _, f := range next.Services {
		was, _ := have.Fleet(f.Name)
		for _, m := range f.Members {
			old, _ := was.Member(m.N)
			if m.Ending.IsZero() || !old.Ending.IsZero() {
				continue
			}
			id := next.ID(f.Name, m)
			if _, ready, _ := w.sim.Look(id); ready && w.sim.Busy(id, min(f.Grace.D(), was.Grace.D())) {
				w.fail("harm", "%s is given over to destruction while requests are in flight, and their time is not over", id.Short())
			}
		}
	}
}

// runsOnce: what a task has done it does not do again, and what it may have done only by a person's word.
func (w *world) runsOnce(have, next glint.Blueprint) {
	for _, f := range next.Services {
		was, _ := have.Fleet(f.Name)
		for _, m := range f.Members {
			r, ended := was.Result(m.Version)
			still, _ := f.Result(m.Version)
			if m.N > was.Last && ended && (r.Outcome == glint.Succeeded || still.Outcome == glint.UnknownFinish) {
				w.fail("task", "%s would do again what %s did: %s", next.ID(f.Name, m).Short(), r.Instance.Short(), r.Outcome)
			}
		}
	}
}

// undisturbed: once everything is as declared and nothing befalls it, only age changes anything.
func (w *world) undisturbed(have, next glint.Blueprint, step glint.Step) {
	for _, e := range step.Events {
		if e.Kind == glint.EventLeave && e.Reason != glint.Expired && strings.HasPrefix(e.Text, "leaves") || e.Kind == glint.EventVerdict || e.Kind == glint.EventPhase {
			w.fail("oscillation", "blueprint %d changes what was at rest: %s %s", next.Number, e.ID.Short(), e.Text)
		}
	}
	if len(step.Events) == 0 { // that failures are forgotten, such as
		w.promises.quiet++
	}
	if (len(step.Events) > 0 || w.promises.quiet > 2*len(next.Services)+2) && !w.ages(next) {
		w.fail("oscillation", "blueprint %d follows although nothing has changed: %s", next.Number, changed(have, next))
	}
}

// changed says in which fields two blueprints differ.
func changed(a, b glint.Blueprint) string {
	var all []string
	fields := func(of string, a, b reflect.Value) {
		for i := range a.NumField() {
			if x, y := a.Field(i).Interface(), b.Field(i).Interface(); !reflect.DeepEqual(x, y) {
				all = append(all, fmt.Sprintf("%s %s %v → %v", of, a.Type().Field(i).Name, x, y))
			}
		}
	}
	for _, f := range b.Services {
		was, _ := a.Fleet(f.Name)
		fields(f.Name, reflect.ValueOf(was), reflect.ValueOf(f))
	}
	a.Services, b.Services = nil, nil
	fields("blueprint", reflect.ValueOf(a), reflect.ValueOf(b))
	return strings.Join(all, "; ")
}

func (w *world) ages(b glint.Blueprint) bool {
	rel, _ := w.releaseOf(b.Target)
	return slices.ContainsFunc(rel.Services, func(s glint.Service) bool { return s.MaxAge > 0 })
}

// turned is told of every turn that ended well.
func (w *world) turned(b *boss, t conductor.Turn) {
	for _, a := range t.Actions {
		if text := actionText(a); w.loud && !w.told[text] { // once; what is not seen to be done is done again
			w.told[text] = true
			w.tell("  %s does: %s", b.name, text)
		}
		if a.Verb == glint.Destroy && a.Reason == "" {
			w.fail("reason", "%s is destroyed without a reason", a.ID)
		}
	}
	if w.loud {
		w.tellNotes(t)
	}
	if !t.Advanced {
		w.explains(b, t)
	}
}

// explains: whoever waits says for what.
func (w *world) explains(b *boss, t conductor.Turn) {
	told := func(service string, id glint.ID) bool {
		return slices.ContainsFunc(t.Notes, func(n glint.Note) bool {
			return n.ID == id || n.ID.IsZero() && (n.Service == service || n.Service == "")
		})
	}
	rel, _ := w.releaseOf(t.Blueprint.Target)
	now := b.now()
	for _, f := range t.Blueprint.Services {
		s, _ := rel.Service(f.Name)
		starting := false
		for _, m := range f.Members {
			id := t.Blueprint.ID(f.Name, m)
			starting = starting || m.Stays() && (!m.Seen || s.Task) || !m.Ending.IsZero()
			switch {
			case !m.Stays() && m.Ending.IsZero() && !told(f.Name, id):
				w.fail("note", "%s leaves and nobody says for what it waits", id.Short())
			case m.Counts() && m.Seen && s.MaxAge > 0 && now.Sub(m.Created) > s.MaxAge.D() && !told(f.Name, id):
				w.fail("age", "%s is %s old, more than %s, and nobody says why", id.Short(), now.Sub(m.Created), s.MaxAge)
			}
		}
		if f.Phase != glint.Steady && f.Phase != glint.Empty && !starting && b.begun == 0 && len(w.steps) == 0 && !w.anyNote(t, f.Name) {
			w.fail("note", "%s is %s and nobody says for what it waits", f.Name, f.Phase)
		}
	}
}

func (w *world) anyNote(t conductor.Turn, service string) bool {
	return slices.ContainsFunc(t.Notes, func(n glint.Note) bool { return n.Service == service || n.Service == "" })
}

// ended is told when the stack's life has ended.
func (w *world) ended() {
	w.promises.services, w.promises.led = map[string]*held{}, map[string]bool{}
	for _, id := range w.sim.IDs() {
		if !w.promises.planted[id] {
			w.fail("orphan", "the stack has ended and %s is left", id.Key())
		}
	}
	if _, err := w.store.Head(context.Background(), stack); !errors.Is(err, glint.ErrNotFound) {
		w.fail("store", "ended, and yet: %v", err)
	}
}

func actionText(a glint.Action) string {
	if a.Verb == glint.Publish {
		return fmt.Sprintf("route#%d", a.Routes.Generation)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", a.Verb, a.ID.Short(), a.Reason))
}
