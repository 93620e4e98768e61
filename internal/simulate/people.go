package simulate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/check"
)

// people are those who ask for things, and what they asked for last.
type people struct {
	services []glint.Service // as last declared
	version  int
	epoch    int
}

// folk have people do something.
func (w *world) folk() {
	_, lives := w.head()
	switch n := w.rng.IntN(12); {
	case lives && n == 0 && w.can[byDestroy]:
		w.revise(glint.Revision{Kind: glint.KindDestroy}, glint.Release{Format: glint.ReleaseFormat, Stack: stack})
		w.people.services = nil
		w.count("feature", "destroy")
	case lives && n <= 2 && w.can[byRollback]:
		w.rollback()
	case lives && n <= 6 && w.orders():
	default:
		w.declare()
	}
}

func (w *world) rollback() {
	all := w.revisions()
	back := all[w.rng.IntN(len(all))]
	rel, ok := w.releaseOf(back.Number)
	if !ok || back.Kind == glint.KindDestroy {
		return
	}
	w.people.services = slices.Clone(rel.Services)
	w.count("feature", "rollback")
	w.revise(glint.Revision{Kind: glint.KindRollback, From: back.Number, Retry: w.chance(20)}, rel)
}

func (w *world) say(o glint.Order) bool {
	o, err := w.store.AddOrder(context.Background(), o)
	if err != nil {
		return false
	}
	w.count("feature", "order "+string(o.Kind))
	w.tell("> order %d: %s %s%s", o.ID, o.Kind, o.Service, shortOrNothing(o.Instance))
	w.hintAll()
	return true
}

func shortOrNothing(id glint.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.Short()
}

// revise makes rel the newest revision.
func (w *world) revise(rev glint.Revision, rel glint.Release) {
	all := w.revisions()
	w.people.epoch++
	rev.Stack, rev.At, rev.By = stack, w.sim.Now(), "ann"
	rev, err := w.store.AddRevision(context.Background(), rev, rel, len(all), glint.Epoch(fmt.Sprintf("e%d", w.people.epoch)))
	if err != nil {
		w.fail("store", "adding a revision: %v", err)
	}
	for _, s := range rel.Services {
		v := s.Template.Version()
		w.promises.templates[v] = s.Template
	}
	w.tell("> r%d: %s%s%s", rev.Number, rev.Kind, retrying(rev), describe(rel))
	w.hintAll()
}

func retrying(rev glint.Revision) string {
	if rev.Retry {
		return " --retry"
	}
	return ""
}

// describe writes a release in the form of the conductor's scripts.
func describe(rel glint.Release) string {
	var b strings.Builder
	for _, s := range rel.Services {
		u := s.Update
		fmt.Fprintf(&b, "\n      %s:%s n=%d surge=%d unavailable=%d start=%s grace=%s tries=%d", s.Name, s.Template.Env["V"], s.Instances, u.Surge, u.Unavailable, u.StartWithin, u.Grace, u.Tries)
		if s.MaxAge > 0 {
			fmt.Fprintf(&b, " max_age=%s", s.MaxAge)
		}
		if len(s.Template.Command) > 0 {
			fmt.Fprintf(&b, " do=%s", strings.Join(s.Template.Command, ","))
		}
		if s.Template.Exclusive() {
			b.WriteString(" volume")
		}
		describeMore(&b, s)
		for _, r := range rel.Routes {
			if r.To.Service == s.Name {
				fmt.Fprintf(&b, " host=%s", r.Host)
			}
		}
	}
	return b.String()
}

// declare asks for a release that differs from the last one in something.
func (w *world) declare() {
	p := &w.people
	services := slices.Clone(p.services)
	for range 1 + w.rng.IntN(3) {
		switch n := w.rng.IntN(10); {
		case len(services) == 0 || n < 2 && len(services) < 5:
			services = w.join(services)
		case n < 3 && len(services) > 1:
			i := w.rng.IntN(len(services))
			services = slices.Delete(services, i, i+1)
		default:
			i := w.rng.IntN(len(services))
			services[i] = w.drawService(services[i].Name, services[i])
		}
	}
	p.services = services
	rel := glint.Release{Format: glint.ReleaseFormat, Stack: stack, Services: slices.Clone(services)}
	w.drawOrder(rel.Services)
	w.drawRoutes(&rel)
	if err := check.Release(rel); err != nil {
		w.fail("admission", "the world asks for what no server admits: %v", err)
	}
	if w.chance(10) {
		w.preview(rel)
	}
	w.revise(glint.Revision{Kind: glint.KindApply, Retry: w.chance(15)}, rel)
}

// preview has a person ask what would happen: the answer has an end.
func (w *world) preview(rel glint.Release) {
	b := w.bosses[len(w.bosses)-1]
	if b.turning {
		return
	}
	w.count("feature", "preview")
	stages, rests, err := b.c.Preview(context.Background(), glint.Revision{Stack: stack, Kind: glint.KindApply, By: "ann"}, rel)
	if err == nil && !rests {
		w.fail("preview", "what would happen has no end: %d stages", len(stages))
	}
}

// join adds a service that is not declared yet.
func (w *world) join(services []glint.Service) []glint.Service {
	names := []string{"web", "api", "front"}
	if w.can[byVolume] {
		names = append(names, "db", "cache")
	}
	names = append(names, w.taskNames()...)
	names = slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(services, func(s glint.Service) bool { return s.Name == name })
	})
	if len(names) == 0 {
		return services
	}
	services = append(services, w.drawService(one(w, names...), glint.Service{}))
	slices.SortFunc(services, func(a, b glint.Service) int { return strings.Compare(a.Name, b.Name) })
	return services
}

// drawService draws what a service asks for; some of it stays as it was.
func (w *world) drawService(name string, was glint.Service) glint.Service {
	s := was
	if was.Name == "" || w.chance(50) {
		s = w.drawBehaviour(name)
	}
	s.Template = was.Template
	if was.Name == "" || w.chance(70) {
		s.Template = w.drawTemplate(name)
	}
	return s
}

func (w *world) drawBehaviour(name string) glint.Service {
	start := w.time(20*time.Second, time.Minute)
	if w.mood.machine {
		start = 30 * time.Minute
	}
	s := glint.Service{Name: name, Instances: w.rng.IntN(5), Update: glint.Update{
		Strategy: glint.Rolling, Surge: w.rng.IntN(3), Unavailable: w.rng.IntN(2), StartWithin: glint.Duration(start),
		Grace: glint.Duration(w.time(0, 8*time.Second)), Tries: 1 + w.rng.IntN(3),
	}}
	if s.Update.Surge == 0 {
		s.Update.Unavailable = 1
	}
	volume := name == "db" || name == "cache"
	if volume || w.chance(5) {
		s.Update.Strategy = glint.Recreate
	}
	if volume {
		s.Instances = w.rng.IntN(2)
	} else if w.can[byAge] && w.chance(50) {
		s.MaxAge = s.Update.StartWithin + s.Update.Grace + glint.Duration(w.time(10*time.Second, 3*time.Minute))
	}
	s.Task = task(name)
	w.drawMore(&s)
	return s
}

func (w *world) drawTemplate(name string) glint.Template {
	p := &w.people
	p.version++
	version := fmt.Sprintf("v%d", p.version)
	t := glint.Template{
		Image: glint.DigestOf([]byte(version)), Env: map[string]string{"V": version},
		Ports:  []glint.Port{{Name: "http", Number: 8080, Protocol: glint.HTTP}},
		Health: &glint.Probe{HTTP: &glint.HTTPProbe{Port: "http", Path: "/"}},
	}
	if w.chance(10) {
		t.Ports[0].Number = 9090
	}
	if w.chance(5) {
		t.Ports = append([]glint.Port{{Name: "admin", Number: 7000, Protocol: glint.TCP}}, t.Ports...)
	}
	if name == "db" || name == "cache" {
		t.Volumes = []glint.Volume{{Name: "data", Path: "/data", Size: 1 << 20}}
	}
	if w.mood.bad > w.rng.IntN(100) {
		t.Command = one(w, []string{"sick"}, []string{"exit", "3", "oops"}, []string{"missing"}, []string{"fade", w.time(time.Second, 30*time.Second).String()})
	} else if w.mood.faults && w.chance(10) {
		t.Command = []string{"stubborn"}
	}
	if task(name) {
		w.drawTask(&t)
	}
	return t
}

// drawRoutes draws host names and edges.
func (w *world) drawRoutes(rel *glint.Release) {
	var open []string
	for _, s := range rel.Services {
		if !s.Task {
			open = append(open, s.Name)
		}
	}
	if len(open) == 0 {
		return
	}
	if w.can[byHost] && w.chance(80) {
		rel.Routes = []glint.Route{{Host: "shop.localhost", To: glint.Target{Service: one(w, open...), Port: "http"}}}
	}
	for i := 1; i < len(rel.Services); i++ {
		if to := rel.Services[i]; !to.Task && w.chance(30) {
			rel.Allows = append(rel.Allows, glint.Allow{From: rel.Services[0].Name, To: glint.Target{Service: to.Name, Port: "http"}})
		}
	}
}
