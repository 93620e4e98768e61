package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/check"
	"github.com/glint-infra/glint/internal/plan"
)

// A decision is a situation in which the planner has to decide, as big as a stack can be.
type decision struct {
	name, text string
	services   int
	instances  int // of all services together
	do         func(*situation)
}

// decisions are what a planner spends its time with: nothing to do, an update in its midst, and everything too old at once.
// The goal is design section 8's for 10,000 instances; for 100,000 there is none.
var decisions = []decision{
	{"steady", "nothing to do", 1, 10_000, func(*situation) {}},
	{"steady-many", "nothing to do, 500 services", 500, 10_000, func(*situation) {}},
	{"update", "an update, half of it done", 1, 10_000, (*situation).update},
	{"update-many", "an update, half of it done, 500 services", 500, 10_000, (*situation).update},
	{"expired", "everything has grown old", 1, 10_000, func(s *situation) { s.now = s.now.Add(100 * time.Hour) }},
	{"lost", "everything has died", 1, 10_000, (*situation).lose},
	{"steady-100000", "nothing to do, 100,000 instances", 10, 100_000, func(*situation) {}},
	{"update-100000", "an update, half of it done, 100,000 instances", 10, 100_000, (*situation).update},
}

const decisionGoal = 100 // ms, for 10,000 instances; design section 8

// A situation is what plan.Next is given.
type situation struct {
	in   plan.Intent
	have glint.Blueprint
	seen glint.Observation
	now  time.Time
}

// planning measures how long decisions take, with what the judge needs to agree, and what memory they take.
func planning(ctx context.Context, c Config, r *Report) error {
	for _, d := range decisions {
		c.Progress("plan: %s", d.text)
		s := newSituation(d.services, d.instances/d.services)
		d.do(s)
		var next, judged, memory []float64
		for range c.Runs {
			if err := ctx.Err(); err != nil {
				return err
			}
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			out := plan.Next(s.in, s.have, s.seen, s.now)
			decided := time.Now()
			if out.Blueprint.Number != s.have.Number {
				if err := check.Step(s.have, out.Blueprint, s.in.Releases[out.Blueprint.Target], s.seen); err != nil {
					return fmt.Errorf("the judge objects to what was decided in %q: %w", d.name, err)
				}
				judged = append(judged, ms(time.Since(decided)))
			}
			next = append(next, ms(decided.Sub(began)))
			runtime.ReadMemStats(&after)
			memory = append(memory, float64(after.TotalAlloc-before.TotalAlloc)/(1<<20))
		}
		goal := 0.0
		if d.instances == 10_000 {
			goal = decisionGoal
		}
		r.add("plan."+d.name, "a decision: "+d.text, "ms", goal, next)
		r.add("check."+d.name, "its judge", "ms", 0, judged)
		r.add("plan."+d.name+".memory", "memory that a decision takes", "MiB", 0, memory)
	}
	return nil
}

// newSituation is a stack at rest, a day old, every instance with its own birth.
func newSituation(services, each int) *situation {
	s := &situation{now: time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)}
	rel := glint.Release{Format: glint.ReleaseFormat, Stack: "big"}
	s.have = glint.Blueprint{Stack: "big", Epoch: "e", Number: 9, Revision: 1, Target: 1, Stable: 1, Routes: 5}
	s.seen = glint.Observation{At: s.now, Complete: true, Acks: []glint.Ack{{Member: "one", Generation: 5, Kind: glint.Proven}}}
	for i := range services {
		t := glint.Template{Image: glint.DigestOf([]byte("v1")), Ports: []glint.Port{{Name: "http", Number: 80, Protocol: glint.HTTP}}, Health: &glint.Probe{}}
		v := t.Version()
		svc := glint.Service{Name: fmt.Sprintf("s%03d", i), Instances: each, Template: t, MaxAge: glint.Duration(7 * 24 * time.Hour),
			Update: glint.Update{Strategy: glint.Rolling, Surge: max(each/10, 1), StartWithin: glint.Duration(time.Minute), Grace: glint.Duration(time.Minute), Tries: 3}}
		f := glint.Fleet{Name: svc.Name, Phase: glint.Steady, Stable: v, Target: v, Grace: svc.Update.Grace, Templates: map[glint.Digest]glint.Template{v: t}, Last: each}
		for n := 1; n <= each; n++ {
			m := glint.Member{N: n, Version: v, Created: s.now.Add(-time.Duration(n) * time.Second), Address: fmt.Sprintf("10.%d.%d.%d", i%256, n>>8, n&255), Seen: true, Routed: true}
			f.Members = append(f.Members, m)
			s.seen.Instances = append(s.seen.Instances, glint.Instance{ID: s.have.ID(f.Name, m), Version: v, State: glint.Running, Address: m.Address, Created: m.Created, Health: glint.Health{Known: true, Ready: true, Live: true}})
		}
		rel.Services, s.have.Services = append(rel.Services, svc), append(s.have.Services, f)
	}
	s.in = plan.Intent{Head: glint.Revision{Stack: "big", Number: 1, Kind: glint.KindApply}, Releases: map[int]glint.Release{1: rel}}
	return s
}

// update is the midst of a rollout to another version.
func (s *situation) update() {
	rel := s.in.Releases[1]
	two := rel
	two.Services = nil
	s.have.Services = append([]glint.Fleet(nil), s.have.Services...)
	for i, svc := range rel.Services {
		svc.Template.Image = glint.DigestOf([]byte("v2"))
		v := svc.Template.Version()
		two.Services = append(two.Services, svc)
		f := &s.have.Services[i]
		f.Phase, f.Target = glint.RollingTo, v
		f.Templates = map[glint.Digest]glint.Template{v: svc.Template, f.Stable: rel.Services[i].Template}
		for k := range len(f.Members) / 2 {
			f.Members[k].Version = v
			s.seen.Instances[i*len(f.Members)+k].Version = v
		}
	}
	s.have.Revision, s.have.Target = 2, 2
	s.in.Head.Number, s.in.Releases = 2, map[int]glint.Release{1: rel, 2: two}
}

// lose ends every program at once.
func (s *situation) lose() {
	for i := range s.seen.Instances {
		s.seen.Instances[i].State, s.seen.Instances[i].Exit = glint.Dead, &glint.Exit{Code: 137, Signal: "SIGKILL"}
	}
}
