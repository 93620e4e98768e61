package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
)

// A feature is something that a release or a person may ask for.
type feature string

// The features, each in about half of the worlds, so that they meet in all mixtures.
const (
	byAge        feature = "max age"
	byVolume     feature = "volumes"
	byHost       feature = "hosts"
	byReplace    feature = "replace"
	byDestroy    feature = "destroy and begin again"
	byRollback   feature = "rollback"
	byCanary     feature = "canary"
	byWarm       feature = "warm"
	byStandby    feature = "standby"
	byOrder      feature = "order between services"
	byTask       feature = "tasks"
	byScale      feature = "scaling"
	byPause      feature = "pause"
	byAbort      feature = "abort"
	byRegenerate feature = "regenerate"
	byPlace      feature = "places"
)

var features = []feature{byAge, byVolume, byHost, byReplace, byDestroy, byRollback, byCanary, byWarm, byStandby, byOrder, byTask, byScale, byPause, byAbort, byRegenerate, byPlace}

func (w *world) drawFeatures() {
	w.can = map[feature]bool{}
	for _, f := range features {
		if w.can[f] = w.chance(40); w.can[f] {
			w.count("worlds with", string(f))
		}
	}
	if w.can[byPlace] {
		for i := range 2 + w.rng.IntN(3) {
			w.sim.Places = append(w.sim.Places, glint.Place{Name: fmt.Sprintf("p%d", i), Zone: string("ab"[i%2])})
		}
	}
}

// drawMore draws what a service asks for beyond numbers.
func (w *world) drawMore(s *glint.Service) {
	u := &s.Update
	if s.Task {
		*s = glint.Service{Name: s.Name, Task: true, Instances: 1, Update: glint.Update{
			Strategy: glint.Rolling, Surge: 1, StartWithin: u.StartWithin, Grace: u.Grace, Tries: 1 + w.rng.IntN(2),
		}}
		return
	}
	if u.Strategy == glint.Recreate {
		return
	}
	if w.can[byScale] && w.chance(50) {
		s.Min, s.Max = min(s.Instances, 1), s.Instances+w.rng.IntN(4)
		if s.Max == 0 {
			s.Min = 0
		}
	}
	if most := max(s.Instances, s.Max); w.can[byCanary] && most > 1 && w.chance(70) {
		u.Canary, u.Bake, u.Manual = 1+w.rng.IntN(most-1), glint.Duration(w.time(0, 20*time.Second)), w.chance(25)
		if s.MaxAge > 0 {
			u.Bake = min(u.Bake, s.MaxAge/2)
		}
	}
	if w.can[byWarm] && w.chance(60) {
		u.Warm = glint.Duration(w.time(time.Second, time.Minute))
		if s.MaxAge > 0 {
			u.Warm = min(u.Warm, s.MaxAge/2)
		}
	}
	if w.can[byStandby] && w.chance(60) {
		s.Standby = 1 + w.rng.IntN(2)
	}
	if s.Max > 0 && s.Max < s.Instances {
		s.Max = s.Instances
	}
}

// ranks says who may come after whom, so that nobody comes after himself.
var ranks = []string{"migrate", "seed", "db", "cache", "api", "web", "front"}

// drawOrder draws who comes after whom.
func (w *world) drawOrder(all []glint.Service) {
	for i := range all {
		s := &all[i]
		s.After = slices.DeleteFunc(slices.Clone(s.After), func(name string) bool {
			return !slices.ContainsFunc(all, func(o glint.Service) bool { return o.Name == name })
		})
		if w.can[byOrder] && w.chance(50) {
			s.After = nil
			for _, o := range all {
				if slices.Index(ranks, o.Name) < slices.Index(ranks, s.Name) && w.chance(40) {
					s.After = append(s.After, o.Name)
				}
			}
		}
		slices.Sort(s.After)
		if len(s.After) == 0 {
			s.After = nil
		}
	}
}

func task(name string) bool { return name == "migrate" || name == "seed" }

func (w *world) taskNames() []string {
	if w.can[byTask] {
		return []string{"migrate", "seed"}
	}
	return nil
}

// drawTask makes a template that of a task.
func (w *world) drawTask(t *glint.Template) {
	t.Ports, t.Health = nil, nil
	t.Command = []string{"work", w.time(0, 10*time.Second).String(), "0"}
	if w.mood.bad > w.rng.IntN(100) {
		t.Command = one(w, []string{"work", w.time(0, 10*time.Second).String(), "1"}, []string{"exit", "2"}, []string{"missing"}, []string{"work", "2h0m0s", "0"})
	}
}

// orders has a person say a word about what runs; most mean something now, and some do not any more when they are heard.
func (w *world) orders() bool {
	b, _ := w.head()
	o := glint.Order{Stack: stack, By: "ann", At: w.sim.Now()}
	var kinds []glint.OrderKind
	for kind, f := range map[glint.OrderKind]feature{
		glint.OrderReplace: byReplace, glint.OrderRegenerate: byRegenerate, glint.OrderPromote: byCanary, glint.OrderAbort: byAbort,
		glint.OrderPause: byPause, glint.OrderResume: byPause, glint.OrderScale: byScale,
	} {
		if w.can[f] {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 || len(b.Services) == 0 {
		return false
	}
	slices.Sort(kinds)
	o.Kind = one(w, kinds...)
	service := one(w, b.Services...).Name
	switch o.Kind {
	case glint.OrderReplace:
		ids := w.sim.IDs()
		if len(ids) == 0 {
			return false
		}
		if o.Instance = one(w, ids...); o.Instance.Epoch != b.Epoch {
			return false
		}
	case glint.OrderScale:
		o.Service, o.Wanted = service, 1+w.rng.IntN(6)
	case glint.OrderRegenerate, glint.OrderPromote:
		if w.chance(60) {
			o.Service = service
		}
	}
	return w.say(o)
}

// agree has people say what a rollout waits for, so that it can end.
func (w *world) agree() {
	b, lives := w.head()
	if !lives {
		return
	}
	o := glint.Order{Stack: stack, By: "ann", At: w.sim.Now()}
	if b.Paused != nil {
		o.Kind = glint.OrderResume
		w.say(o)
		return
	}
	for _, f := range b.Services {
		if f.Phase == glint.Canary && f.Promoted == nil {
			o.Kind, o.Service = glint.OrderPromote, f.Name
			w.say(o)
			return
		}
	}
}

// befallPlace does something bad to a place.
func (w *world) befallPlace(name string) {
	if len(w.sim.Places) == 0 {
		return
	}
	p := one(w, w.sim.Places...).Name
	d := w.time(time.Second, time.Minute) * time.Duration(w.mood.patience)
	w.say_(name, p)
	switch name {
	case "silent place":
		w.sim.Hush(p, true)
		w.after(d, func() { w.sim.Hush(p, false); w.hintAll() })
	case "closed place":
		w.sim.Close(p, true)
		w.after(d, func() { w.sim.Close(p, false); w.hintAll() })
	case "lost place":
		for _, id := range w.sim.IDs() {
			if in, _, _ := w.sim.Look(id); in.Place == p {
				w.hit(id)
			}
		}
		w.sim.Fall(p)
	}
}

func describeMore(b *strings.Builder, s glint.Service) {
	u := s.Update
	for _, part := range []struct {
		said bool
		text string
	}{
		{u.Strategy == glint.Recreate && !s.Template.Exclusive(), " recreate"},
		{u.Canary > 0, fmt.Sprintf(" canary=%d bake=%s", u.Canary, u.Bake)},
		{u.Manual, " manual"},
		{u.Warm > 0, fmt.Sprintf(" warm=%s", u.Warm)},
		{s.Standby > 0, fmt.Sprintf(" standby=%d", s.Standby)},
		{s.Max > 0, fmt.Sprintf(" min=%d max=%d", s.Min, s.Max)},
		{s.Task, " task"},
		{len(s.After) > 0, " after=" + strings.Join(s.After, ",")},
	} {
		if part.said {
			b.WriteString(part.text)
		}
	}
}
