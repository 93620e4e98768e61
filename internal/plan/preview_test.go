package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

// TestPreview: what would happen if all went well, stage by stage, and where it ends.
func TestPreview(t *testing.T) {
	canary := func(s *scene) {
		s.revise(two)
		s.both(func(w *glint.Service) { w.Instances, w.Update.Canary, w.Update.Bake = 2, 1, minute/2 })
		s.drop(3)
	}
	task := func(s *scene) {
		migrate := service("migrate", chore, 1)
		migrate.Task = true
		s.in.Releases[1] = glint.Release{Services: []glint.Service{migrate}}
		s.have, s.seen.Instances = glint.Blueprint{Stack: "shop", Epoch: "e"}, nil
	}
	for _, tt := range []struct {
		name string
		do   func(*scene)
		want string
	}{
		{"nothing to do", func(s *scene) {}, `
			rests`},
		{"an update", func(s *scene) { s.revise(two) }, `
			8: create web.4, noon rolls from version v1 to v2, notes 3
			9: route 5, notes 3
			10: route 6, create web.5, notes 2
			11: route 7, destroy web.1 superseded 30s, notes 2
			12: route 8, create web.6, notes 1
			13: route 9, destroy web.2 superseded 30s, notes 1
			14: route 10, noon steady on version v2
			15: destroy web.3 superseded 30s, noon r2 serves
			16:
			rests`},
		{"an update of one that drains: in a preview every request ends", func(s *scene) {
			s.revise(two)
			for i := range s.seen.Instances {
				s.seen.Instances[i].InFlight = 5
			}
		}, `
			8: create web.4, noon rolls from version v1 to v2, notes 3
			9: route 5, notes 3
			10: route 6, create web.5, notes 2
			11: route 7, destroy web.1 superseded 30s, notes 2
			12: route 8, create web.6, notes 1
			13: route 9, destroy web.2 superseded 30s, notes 1
			14: route 10, noon steady on version v2
			15: destroy web.3 superseded 30s, noon r2 serves
			16:
			rests`},
		{"an update while one is not ready: in a preview it becomes so", func(s *scene) { s.revise(two); s.unready(1); s.sick(2) }, `
			8: route 5, create web.4, create web.5, create web.6, noon rolls from version v1 to v2, notes 1
			9: route 6, destroy web.1 superseded 30s, destroy web.2 unhealthy 30s, notes 1
			10: route 7, noon steady on version v2
			11: destroy web.3 superseded 30s, noon r2 serves
			12:
			rests`},
		{"one is dead", func(s *scene) { s.dies(1, 1) }, `
			8: route 5, create web.4
			9: route 6, destroy web.1 lost 30s
			10:
			rests`},
		{"a canary bakes in no time", canary, `
			8: create web.4, noon tries version v2 beside v1, notes 2
			9: route 5, notes 2
			10: route 6, noon canary: all of it works; it bakes, notes 1
			11: destroy web.1 superseded 30s, notes 1
			12: notes 1
			13: +30s the canary is promoted: rolls to version v2
			14: create web.5, notes 1
			15: route 7, notes 1
			16: route 8, +30s steady on version v2
			17: destroy web.2 superseded 30s, +30s r2 serves
			18:
			rests`},
		{"a canary that waits for a person", func(s *scene) { canary(s); s.both(func(w *glint.Service) { w.Update.Manual = true }) }, `
			8: create web.4, noon tries version v2 beside v1, notes 2
			9: route 5, notes 2
			10: route 6, noon canary: all of it works; it bakes, notes 1
			11: destroy web.1 superseded 30s, notes 1
			12: notes 1
			rests`},
		{"a canary that waits for a person has baked long ago", func(s *scene) {
			*s = *proving()
			s.fleet().Baking = noon.Add(-time.Minute)
			s.both(func(w *glint.Service) { w.Update.Manual = true })
		}, `
			rests`},
		{"a canary that waits for a person is not waited with until it is old", func(s *scene) {
			*s = *proving()
			s.fleet().Baking = noon.Add(-time.Minute)
			s.both(func(w *glint.Service) { w.Update.Manual, w.MaxAge = true, 1000*minute })
		}, `
			rests`},
		{"before it waits for a person, a pause is waited for", func(s *scene) {
			*s = *proving()
			s.drop(2)
			s.fleet().Heal = noon.Add(5 * time.Second)
			s.both(func(w *glint.Service) { w.Update.Manual = true })
		}, `
			8: create web.5, notes 1
			9: route 5, notes 1
			rests`},
		{"paused", func(s *scene) { s.pause(); s.revise(two) }, `
			rests`},
		{"paused in a bake", func(s *scene) { *s = *proving(); s.pause() }, `
			rests`},
		{"a task", task, `
			1: create migrate.1, noon begins with version t1
			2: noon steady on version t1, noon task succeeded: exited 0, noon r1 serves
			3: destroy migrate.1 finished 30s
			4:
			rests`},
		{"a standby", func(s *scene) { s.both(func(w *glint.Service) { w.Standby = 1 }) }, `
			8: create web.4 held
			rests`},
		{"a standby takes a place", func(s *scene) { s.both(func(w *glint.Service) { w.Standby = 1 }); s.spare(v1); s.dies(2, 1) }, `
			8: route 5, create web.4
			9: route 6, destroy web.2 lost 30s, create web.5 held
			10:
			rests`},
		{"kept warm, its time is not waited for", func(s *scene) { s.revise(two); s.both(func(w *glint.Service) { w.Update.Warm = 10 * minute }) }, `
			8: create web.4, noon rolls from version v1 to v2, notes 3
			9: route 5, notes 3
			10: route 6, create web.5, notes 2
			11: route 7, notes 2
			12: route 8, create web.6, notes 1
			13: route 9, notes 1
			14: route 10, noon steady on version v2
			15: noon r2 serves
			rests`},
		{"growing old is not waited for", func(s *scene) { s.both(func(w *glint.Service) { w.MaxAge = 1000 * minute }) }, `
			rests`},
		{"a rollback", func(s *scene) {
			*s = *rolling()
			s.have.Rejected, s.have.Target = &glint.Rejection{Revision: 2}, 1
		}, `
			8: route 5, noon steady on version v1, noon rolled back to r1
			9: destroy web.4 superseded 30s
			10:
			rests`},
		{"it waits for a pause after a failure to end", func(s *scene) {
			s.roll(two)
			s.fleet().Failed, s.fleet().Retry = 2, noon.Add(time.Second)
			s.both(func(w *glint.Service) { w.Instances = 1 })
			s.drop(2)
			s.drop(3)
		}, `
			8: create web.4, notes 1
			9: route 5, notes 1
			10: route 6, +1s steady on version v2
			11: destroy web.1 superseded 30s, +1s r2 serves
			12:
			rests`},
		{"the end of the stack", func(s *scene) {
			s.in.Releases[2] = glint.Release{}
			s.in.Head.Number, s.in.Head.Kind = 2, glint.KindDestroy
		}, `
			8: route 5, noon is no longer declared
			9: destroy web.1 surplus 30s, destroy web.2 surplus 30s, destroy web.3 surplus 30s
			10: noon has no more instances
			rests`},
		{"a revision that was rejected stays so", func(s *scene) {
			s.fleet().Phase, s.fleet().Rejected, s.fleet().Failed = glint.RollingTo, []glint.Digest{v1}, 3
			s.have.Stable, s.have.Rejected = 0, &glint.Rejection{Revision: 1}
			s.drop(1)
		}, `
			rests`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := calm()
			tt.do(s)
			args := text(s.in, s.have, s.seen)
			stages, rests := plan.Preview(s.in, s.have, s.seen, s.now)
			if after := text(s.in, s.have, s.seen); after != args {
				t.Errorf("the arguments were changed:\n%s\n%s", args, after)
			}
			if got := staged(stages, rests); got != unindent(tt.want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, unindent(tt.want))
			}
		})
	}
}

// staged writes down a preview: for each stage, its number, its steps, and what it says of phases and verdicts.
func staged(stages []plan.Stage, rests bool) string {
	var lines []string
	for _, s := range stages {
		line := strings.TrimSpace(plain(float64(s.Blueprint.Number))) + ":"
		for _, a := range s.Actions {
			line += " " + did(a) + ","
		}
		for _, e := range s.Events {
			if slices.Contains([]glint.EventKind{glint.EventPhase, glint.EventVerdict}, e.Kind) {
				line += " " + clock(e.At) + " " + e.Text + ","
			}
		}
		if len(s.Notes) > 0 {
			line += " notes " + plain(float64(len(s.Notes))) + ","
		}
		lines = append(lines, shorten.Replace(strings.TrimSuffix(line, ",")))
	}
	if rests {
		lines = append(lines, "rests")
	}
	return strings.Join(lines, "\n")
}
