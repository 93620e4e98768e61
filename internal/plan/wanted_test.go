package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestRevision: the newest revision is taken up once, whatever came before it.
func TestRevision(t *testing.T) {
	play(t, calm, []turn{
		{"nothing is new", func(s *scene) {}, ``},
		{"the first", func(s *scene) { *s = *nothing() }, `
			stack: kind=apply revision=1 routes=1 target=1
			web: joins
			web: grace=30s last=3 phase=rolling since=noon target=v1 templates=v1
			web.1: joins
			web.1: created=noon version=v1
			web.2: joins
			web.2: created=noon version=v1
			web.3: joins
			web.3: created=noon version=v1
			do: route
			do: create web.1
			do: create web.2
			do: create web.3`},
		{"a new version", func(s *scene) { s.revise(two) }, `
			stack: revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"the same again", func(s *scene) { s.revise(one) }, `
			stack: revision=2 target=2`},
		{"one that is older", func(s *scene) { s.revise(two); s.have.Revision = 3 }, ``},
		{"it cannot be read", func(s *scene) { s.in.Head.Number = 2 }, `
			note stack: r2 cannot be read; waits`},
		{"the first cannot be read", func(s *scene) { delete(s.in.Releases, 1) }, `
			note stack: r1 cannot be read; waits`},
		{"what was rejected is forgotten", func(s *scene) { s.revise(two); s.have.Rejected = &glint.Rejection{Revision: 1} }, `
			stack: rejected=- revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"a version that failed", func(s *scene) { s.revise(two); s.fleet().Rejected = []glint.Digest{v2} }, `
			stack: rejected={because:"it failed before; to try it again: glint apply --retry" instance: revision:2 service:web version:v2} revision=2
			web: phase=rolling since=noon target=v2 templates=v1,v2`},
		{"a version that failed, to be tried again", func(s *scene) {
			s.revise(two)
			s.fleet().Rejected, s.in.Head.Retry = []glint.Digest{v2}, true
		}, `
			stack: revision=2 target=2
			web: last=4 phase=rolling rejected=- since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"one that failed, to be tried again by one that is carried out already", func(s *scene) {
			s.roll(two)
			s.fleet().Rejected, s.in.Head.Retry = []glint.Digest{v3}, true
		}, `
			web: last=4
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"a retry in the midst of a rollout begins it anew", func(s *scene) {
			s.roll(two)
			s.in.Releases[3], s.in.Head.Number, s.in.Head.Retry = s.in.Releases[2], 3, true
			s.fleet().Failed, s.fleet().Retry = 2, noon.Add(time.Minute)
		}, `
			stack: revision=3 target=3
			web: failed=0 last=4 retry=- since=noon
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r3 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r3 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r3 wants another version); waits: 3 of 3 take traffic`},
		{"no retry in the midst of a rollout goes on with it", func(s *scene) {
			s.roll(two)
			s.in.Releases[3], s.in.Head.Number = s.in.Releases[2], 3
			s.fleet().Failed, s.fleet().Retry = 2, noon.Add(time.Minute)
		}, `
			stack: revision=3 target=3
			note web.1: superseded (r3 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r3 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r3 wants another version); waits: 3 of 3 take traffic
			note web: 3 missing; after 2 failures the next try is at 12:01:00
			wake: +60s`},
		{"a retry of what serves changes nothing", func(s *scene) { s.revise(one); s.in.Head.Retry = true }, `
			stack: revision=2 target=2`},
		{"another number of instances", func(s *scene) { s.revise(one); s.in.Releases[2].Services[0].Instances = 4 }, `
			stack: revision=2 target=2
			web: last=4 phase=rolling since=noon
			web.4: joins
			web.4: created=noon version=v1
			do: create web.4`},
		{"another grace", func(s *scene) { s.revise(one); s.in.Releases[2].Services[0].Update.Grace = minute }, `
			stack: revision=2 target=2
			web: grace=1m`},
		{"the end of the stack", func(s *scene) {
			s.in.Releases[2] = glint.Release{}
			s.in.Head.Number, s.in.Head.Kind = 2, glint.KindDestroy
		}, `
			stack: kind=destroy revision=2 routes=5 stable=0 target=2
			web: phase=emptying since=noon
			web.1: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.2: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			web.3: because="0 wanted" gone=5 leaving=noon reason=surplus routed=-
			do: route`},
	})
}

// TestPause: while rollouts stand still nothing new is taken up, but for what ends or turns back.
func TestPause(t *testing.T) {
	play(t, calm, []turn{
		{"a word", func(s *scene) { s.order(glint.Order{Kind: glint.OrderPause, Comment: "a storm"}) }, `
			stack: ordered=1 paused={at:-2s by:ann comment:"a storm"}`},
		{"a word that was taken up before", func(s *scene) { s.order(glint.Order{Kind: glint.OrderPause}); s.have.Ordered = 1 }, ``},
		{"resumed", func(s *scene) { s.pause(); s.order(glint.Order{Kind: glint.OrderResume}) }, `
			stack: ordered=1 paused=-`},
		{"a new revision waits", func(s *scene) { s.pause(); s.have.Paused.Comment = "a storm"; s.revise(two) }, `
			note stack: r2 waits: paused by ann: a storm; to go on: glint resume`},
		{"a new revision and a word to go on", func(s *scene) { s.pause(); s.revise(two); s.order(glint.Order{Kind: glint.OrderResume}) }, `
			stack: ordered=1 paused=- revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"a new revision and an older word to go on", func(s *scene) {
			s.pause()
			s.revise(two)
			s.order(glint.Order{Kind: glint.OrderResume})
			s.have.Ordered = 1
		}, `
			note stack: r2 waits: paused by ann; to go on: glint resume`},
		{"a new revision and words to go on and to pause", func(s *scene) {
			s.pause()
			s.revise(two)
			s.order(glint.Order{Kind: glint.OrderResume})
			s.order(glint.Order{Kind: glint.OrderPause})
			s.order(glint.Order{Kind: glint.OrderScale})
		}, `
			stack: ordered=3 paused={at:-2s by:ann}
			note stack: r2 waits: paused by ann; to go on: glint resume`},
		{"a new revision and a word to go on, then to pause again", func(s *scene) {
			s.pause()
			s.revise(two)
			s.order(glint.Order{Kind: glint.OrderResume})
			s.order(glint.Order{Kind: glint.OrderPause})
		}, `
			stack: ordered=2 paused={at:-2s by:ann}
			note stack: r2 waits: paused by ann; to go on: glint resume`},
		{"a new revision, and a word to go on before another word", func(s *scene) {
			s.pause()
			s.revise(one)
			s.order(glint.Order{Kind: glint.OrderResume})
			s.order(glint.Order{Kind: glint.OrderScale})
		}, `
			stack: ordered=2 paused=- revision=2 target=2`},
		{"a way back is taken", func(s *scene) { s.pause(); s.revise(two); s.in.Head.Kind = glint.KindRollback }, `
			stack: kind=rollback paused=- revision=2 target=2
			web: last=4 phase=rolling since=noon target=v2 templates=v1,v2
			web.4: joins
			web.4: created=noon for=1 version=v2
			do: create web.4
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"it stands still", func(s *scene) { s.roll(two); s.pause() }, `
			note web: its rollout stands still: paused by ann; to go on: glint resume`},
		{"it stands still with both versions", func(s *scene) { *s = *rolling(); s.pause() }, `
			note web: its rollout stands still: paused by ann; to go on: glint resume`},
		{"what fails is replaced in the proven version", func(s *scene) { *s = *rolling(); s.drop(1); s.pause(); s.dies(2, 1); s.dies(4, 1) }, `
			stack: routes=5
			web: failed=1 last=6 retry=noon
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=2 version=v1
			web.6: joins
			web.6: created=noon version=v1
			do: route
			do: create web.5
			do: create web.6
			note web: its rollout stands still: paused by ann; to go on: glint resume`},
		{"what fails is replaced in the target where the proven one is not known", func(s *scene) {
			*s = *rolling()
			s.pause()
			s.drop(1)
			s.drop(2)
			s.fleet().Stable = ""
		}, `
			web: last=5
			web.5: joins
			web.5: created=noon version=v2
			do: create web.5
			note web: its rollout stands still: paused by ann; to go on: glint resume`},
		{"taken up and paused in the same turn", func(s *scene) { s.revise(two); s.order(glint.Order{Kind: glint.OrderPause}) }, `
			stack: ordered=1 paused={at:-2s by:ann} revision=2 target=2
			note web: its new version waits: paused by ann; to go on: glint resume`},
		{"a place that was left is taken by its own version", func(s *scene) {
			*s = *rolling()
			s.both(func(w *glint.Service) { w.Update.Surge = 3 })
			s.pause()
			s.inst(4).Tainted, s.inst(2).Tainted = "root entered it", "root entered it"
		}, `
			stack: routes=5
			web: last=5
			web.2: because="root entered it" gone=5 leaving=noon reason=tainted routed=-
			web.5: joins
			web.5: created=noon for=4 version=v2
			do: route
			do: create web.5
			note web: its rollout stands still: paused by ann; to go on: glint resume
			note web.4: tainted (root entered it); waits: 3 of 3 take traffic`},
	})
}

// TestAbort turns back what is being carried out.
func TestAbort(t *testing.T) {
	abort := func(s *scene) { s.order(glint.Order{Kind: glint.OrderAbort, Comment: "too slow"}) }
	play(t, rolling, []turn{
		{"a rollout", abort, `
			stack: ordered=1 rejected={because:"ann aborted it: too slow" instance: revision:2 service: version:} routes=5 target=1
			web: phase=steady since=noon target=v1
			web.4: because="r1 wants another version" gone=5 leaving=noon reason=superseded routed=-
			do: route`},
		{"a rollout that stands still", func(s *scene) { s.pause(); abort(s) }, `
			stack: ordered=1 paused=- rejected={because:"ann aborted it: too slow" instance: revision:2 service: version:} routes=5 target=1
			web: phase=steady since=noon target=v1
			web.4: because="r1 wants another version" gone=5 leaving=noon reason=superseded routed=-
			do: route`},
		{"nothing to abort", func(s *scene) { *s = *calm(); abort(s) }, `
			stack: ordered=1`},
		{"nothing to return to", func(s *scene) { s.have.Stable = 0; abort(s) }, `
			stack: ordered=1 routes=5
			web: last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"rejected already", func(s *scene) { s.have.Rejected = &glint.Rejection{Revision: 2}; abort(s) }, `
			stack: ordered=1 routes=5
			web: last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"a newer one came with it", func(s *scene) { s.in.Releases[3] = s.in.Releases[2]; s.in.Head.Number = 3; abort(s) }, `
			stack: ordered=1 revision=3 routes=5 target=3
			web: last=5
			web.1: because="r3 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r3 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r3 wants another version); waits: 3 of 3 take traffic`},
		{"in the turn after", func(s *scene) {
			s.have.Rejected = &glint.Rejection{Revision: 2}
			s.have.Target = 1
		}, `
			stack: routes=5
			web: phase=steady since=noon target=v1
			web.4: because="r1 wants another version" gone=5 leaving=noon reason=superseded routed=-
			do: route`},
	})
}
