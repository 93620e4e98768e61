package simulate

import (
	"fmt"
	"runtime"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/check"
)

// A Large is what became of one calm world with many instances.
type Large struct {
	Instances  int           `json:"instances"`
	Services   int           `json:"services"`
	Steps      int64         `json:"steps"`      // decisions of the planner until it was at rest
	Blueprints int64         `json:"blueprints"` // that were written down
	Virtual    time.Duration `json:"virtual"`    // until it was at rest, in nanoseconds
	Took       time.Duration `json:"took"`       // in nanoseconds
	Heap       uint64        `json:"heap"`       // bytes in use at rest: the control plane and its world
	System     uint64        `json:"system"`     // bytes taken from the operating system, at most
	Finding    *Finding      `json:"finding,omitempty"`
}

// perService is how many instances a service of a large world has at most.
const perService = 1000

// RunLarge runs a calm world of so many instances until it is at rest: they are made, and then a tenth of the services get
// another version.
func RunLarge(instances int, progress func(format string, args ...any)) (l Large) {
	began := time.Now()
	w := newWorld(1, false)
	w.plain()
	w.most += 20 * instances
	defer w.release()
	defer func() {
		if trouble := recover(); trouble != nil {
			f, ok := trouble.(*Finding)
			if !ok {
				panic(trouble)
			}
			l.Finding = f
		}
		l.Took = time.Since(began)
	}()
	rel := glint.Release{Format: glint.ReleaseFormat, Stack: stack}
	for left := instances; left > 0; left -= perService {
		rel.Services = append(rel.Services, w.largeService(len(rel.Services), min(left, perService)))
	}
	if err := check.Release(rel); err != nil {
		w.fail("admission", "%v", err)
	}
	l.Instances, l.Services = instances, len(rel.Services)
	w.hire()
	w.revise(glint.Revision{Kind: glint.KindApply}, rel)
	w.settle(progress)
	progress("%d instances are at rest after %s; %d decisions", instances, time.Since(began).Round(time.Second), w.report.Steps)
	for i := 0; i < len(rel.Services); i += 10 {
		s := &rel.Services[i]
		s.Template.Env = map[string]string{"V": "v2"}
	}
	w.revise(glint.Revision{Kind: glint.KindApply}, rel)
	w.settle(progress)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	l.Steps, l.Blueprints, l.Virtual, l.Heap, l.System = w.report.Steps, w.report.Blueprints, w.report.Virtual, m.HeapAlloc, m.Sys
	return l
}

// plain makes a world in which nothing befalls anybody.
func (w *world) plain() {
	s := w.sim
	s.Boot, s.Ack, s.Drain, s.Make, s.Rate, s.Lag, s.Remember = 2*time.Second, time.Second, time.Second, 0, 0, 0, 0
	s.Places, s.Planes, s.BootOf = nil, nil, nil
	w.mood, w.evils, w.hiccup, w.slow, w.overtakes, w.hints, w.backstop, w.asking = moods[0], nil, 0, 0, false, true, time.Second, 0
	w.store = &shelf{releases: map[glint.Digest]glint.Release{}, forgets: true}
}

func (w *world) largeService(i, instances int) glint.Service {
	version := "v1"
	return glint.Service{Name: fmt.Sprintf("s%04d", i), Instances: instances, Template: glint.Template{
		Image: glint.DigestOf([]byte(version)), Env: map[string]string{"V": version},
		Ports:  []glint.Port{{Name: "http", Number: 8080, Protocol: glint.HTTP}},
		Health: &glint.Probe{HTTP: &glint.HTTPProbe{Port: "http", Path: "/"}},
	}, Update: glint.Update{
		Strategy: glint.Rolling, Surge: max(instances/10, 1), StartWithin: glint.Duration(5 * time.Minute), Grace: glint.Duration(5 * time.Second), Tries: 3,
	}}
}

// settle lets time pass until the world is what was declared.
func (w *world) settle(progress func(format string, args ...any)) {
	why := ""
	for range 3600 {
		w.pass(time.Second)
		if why = w.restless(); why == "" {
			return
		}
		progress("%s: %d decisions, %d instances; %s", w.clock(), w.report.Steps, len(w.sim.IDs()), why)
	}
	w.fail("rest", "an hour is over, and %s", why)
}
