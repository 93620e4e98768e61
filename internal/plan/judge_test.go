package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// TestJudge: who is down is sent off at once, and another takes its place.
func TestJudge(t *testing.T) {
	started := func(s *scene, after time.Duration) {
		s.inst(1).Started, s.inst(1).Exit.At = noon.Add(-time.Hour), noon.Add(-time.Hour+after)
	}
	play(t, calm, []turn{
		{"its program ended", func(s *scene) { s.dies(1, 3) }, `
			stack: routes=5
			web: last=4
			web.1: because="exited 3" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"its program ended after a while", func(s *scene) { s.dies(1, 3); started(s, 90*time.Second+400*time.Microsecond) }, `
			stack: routes=5
			web: last=4
			web.1: because="exited 3 after 1m30s" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"its program ended when it began", func(s *scene) { s.dies(1, 0); started(s, 0) }, `
			stack: routes=5
			web: last=4
			web.1: because="exited 0" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"nobody knows how it ended", func(s *scene) { s.dies(1, -1) }, `
			stack: routes=5
			web: last=4
			web.1: because="its program ended; how is not known" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"it ended, and nothing more is known", func(s *scene) { s.dies(1, 3); s.inst(1).Exit = nil }, `
			stack: routes=5
			web: last=4
			web.1: because="its program ended" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"it was killed", func(s *scene) { s.dies(1, 137); s.inst(1).Exit.Signal = "SIGKILL" }, `
			stack: routes=5
			web: last=4
			web.1: because="killed by SIGKILL" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"it was killed for its memory", func(s *scene) {
			s.dies(1, 137)
			s.inst(1).Exit.Signal, s.inst(1).Exit.OutOfMemory = "SIGKILL", true
		}, `
			stack: routes=5
			web: last=4
			web.1: because="killed by the kernel: out of memory" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"it could not be started", func(s *scene) { s.dies(1, -1); s.inst(1).Exit.Failure = "no such file" }, `
			stack: routes=5
			web: last=4
			web.1: because="no such file" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"it vanished", func(s *scene) { s.unsee(1) }, `
			stack: routes=5
			web: last=4
			web.1: because="it vanished from its platform" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"it was not seen, nor were others", func(s *scene) { s.unsee(1); s.seen.Complete = false }, ``},
		{"it does not work", func(s *scene) { s.sick(1) }, `
			stack: routes=5
			web: last=4
			web.1: because="answers 500" gone=5 leaving=noon reason=unhealthy routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"it does not work, and nobody says how", func(s *scene) { s.sick(1); s.inst(1).Health.Detail = "" }, `
			stack: routes=5
			web: last=4
			web.1: because="its probes fail" gone=5 leaving=noon reason=unhealthy routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"it is not ready", func(s *scene) { s.unready(1) }, `
			stack: routes=5
			web.1: gone=5 routed=-
			do: route
			note web.1: is not ready: nobody can say why`},
		{"nobody has asked it", func(s *scene) { s.unasked(1) }, `
			note web.1: waits until its health is known`},
		{"ready for the first time", func(s *scene) { s.member(1).Seen, s.member(1).Routed, s.member(1).Address = false, false, "" }, `
			stack: routes=5
			web.1: address=10.0.0.1 routed=true seen=true
			do: route`},
		{"its address is not known", func(s *scene) { s.member(1).Address, s.inst(1).Address = "", "" }, `
			stack: routes=5
			web.1: gone=5 routed=-
			do: route`},
	})
}

// TestStart: an instance has a minute to become ready, from when its number was given out, it was made, or it was let go.
func TestStart(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.drop(3)
		s.young(v1)
		return s
	}
	age := func(s *scene, age time.Duration) {
		s.member(4).Created, s.inst(4).Created = noon.Add(-age), noon.Add(-age)
	}
	play(t, begin, []turn{
		{"there is time", func(s *scene) {}, `
			wake: +50s`},
		{"a moment before", func(s *scene) { age(s, time.Minute-1) }, `
			wake: +1e-09s`},
		{"time is over", func(s *scene) { age(s, time.Minute); s.inst(4).Health.Detail = "refused" }, `
			web: failed=1 last=5 retry=noon
			web.4: because="not ready within 1m: refused" leaving=noon reason=unhealthy
			web.5: joins
			web.5: created=noon for=4 version=v1
			do: create web.5`},
		{"time is over, and nobody knows why", func(s *scene) { age(s, time.Minute) }, `
			web: failed=1 last=5 retry=noon
			web.4: because="not ready within 1m: nobody has asked it" leaving=noon reason=unhealthy
			web.5: joins
			web.5: created=noon for=4 version=v1
			do: create web.5`},
		{"time is over, and the platform knows why", func(s *scene) {
			age(s, time.Minute)
			s.seen.Troubles = []glint.Trouble{{Verb: glint.Destroy, ID: s.id(1), Text: "busy"}, {Verb: glint.Create, ID: s.id(4), Text: "no space"}}
		}, `
			web: failed=1 last=5 retry=noon
			web.4: because="not ready within 1m: no space" leaving=noon reason=unhealthy
			web.5: joins
			web.5: created=noon for=4 version=v1
			do: create web.5
			note web.1: destroy does not work: busy; is tried again
			note web.4: create does not work: no space; is tried again`},
		{"made later", func(s *scene) { age(s, time.Minute); s.inst(4).Created = noon.Add(-50 * time.Second) }, `
			wake: +10s`},
		{"let go later", func(s *scene) { age(s, time.Minute); s.member(4).Let = noon.Add(-20 * time.Second) }, `
			wake: +40s`},
		{"let go before it was made", func(s *scene) {
			age(s, time.Minute)
			s.inst(4).Created, s.member(4).Let = noon.Add(-10*time.Second), noon.Add(-20*time.Second)
		}, `
			wake: +50s`},
		{"never seen", func(s *scene) { s.unsee(4) }, `
			do: create web.4
			wake: +50s`},
		{"never seen, and time is over", func(s *scene) { age(s, time.Minute); s.unsee(4) }, `
			web: failed=1 last=5 retry=noon
			web.4: because="not ready within 1m: nobody has asked it" leaving=noon reason=unhealthy
			web.5: joins
			web.5: created=noon for=4 version=v1
			do: create web.5`},
		{"never seen, time is over, and not all have answered", func(s *scene) { age(s, time.Minute); s.unsee(4); s.seen.Complete = false }, ``},
		{"seen, time is over, and not all have answered", func(s *scene) { age(s, time.Minute); s.seen.Complete = false }, `
			web: failed=1 retry=noon
			web.4: because="not ready within 1m: nobody has asked it" leaving=noon reason=unhealthy
			note web: 1 missing; waits until all places answer`},
		{"no limit", func(s *scene) { age(s, time.Hour); s.both(func(w *glint.Service) { w.Update.StartWithin = 0 }) }, ``},
		{"however short the time is", func(s *scene) { s.both(func(w *glint.Service) { w.Update.StartWithin = 1 }) }, `
			web: failed=1 last=5 retry=noon
			web.4: because="not ready within 1ns: nobody has asked it" leaving=noon reason=unhealthy
			web.5: joins
			web.5: created=noon for=4 version=v1
			do: create web.5`},
		{"once it was ready, time does not matter", func(s *scene) { age(s, time.Hour); s.member(4).Seen = true }, `
			note web.4: is not ready: nobody can say why`},
		{"its probes say that it will not work", func(s *scene) { s.sick(4) }, `
			web: failed=1 last=5 retry=noon
			web.4: because="answers 500" leaving=noon reason=unhealthy
			web.5: joins
			web.5: created=noon for=4 version=v1
			do: create web.5`},
	})
}

// TestBackoff: the more often it fails, the longer the pause.
func TestBackoff(t *testing.T) {
	for before, want := range map[int]string{0: "noon", 1: "+1s", 2: "+2s", 3: "+4s", 8: "+128s", 9: "+256s", 10: "+300s", 40: "+300s", 90: "+300s"} {
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			play(t, calm, []turn{{"fails", func(s *scene) {
				s.both(func(w *glint.Service) { w.Instances = 1 })
				s.drop(2)
				s.drop(3)
				s.member(1).Created = noon.Add(-time.Second)
				s.fleet().Failed = before
				s.dies(1, 1)
			}, pause(before+1, want)}})
		})
	}
}

// pause is what follows from a failure of web.1, the only one.
func pause(failed int, until string) string {
	head := `
		stack: routes=5
		web: failed=` + fmt.Sprint(failed)
	gone := `
		web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-`
	if until == "noon" {
		return head + " last=4 retry=" + until + gone + `
		web.4: joins
		web.4: created=noon for=1 version=v1
		do: route
		do: create web.4`
	}
	var seconds int
	fmt.Sscanf(until, "+%ds", &seconds)
	return head + " retry=" + until + gone + `
		do: route
		note web: 1 missing; after ` + fmt.Sprint(failed) + ` failures the next try is at ` + noon.Add(time.Duration(seconds)*time.Second).Format(time.TimeOnly) + `
		wake: ` + until
}

// TestFail: what a failure counts.
func TestFail(t *testing.T) {
	play(t, rolling, []turn{
		{"one of the target counts, however old", func(s *scene) { s.dies(4, 1) }, `
			stack: routes=5
			web: failed=1 last=5 retry=noon
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=4 version=v2
			do: route
			do: create web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"one of the version before counts not", func(s *scene) { s.dies(1, 1) }, `
			stack: routes=5
			web: last=5
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"one of the version before that is young holds the next back", func(s *scene) {
			s.member(1).Created = noon.Add(-10*time.Second + 1)
			s.dies(1, 1)
		}, `
			stack: routes=5
			web: heal=+5s last=5
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"one of the version before that is no longer young does not", func(s *scene) {
			s.member(1).Created = noon.Add(-10 * time.Second)
			s.dies(1, 1)
		}, `
			stack: routes=5
			web: last=5
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"one of the version before that was never ready holds the next back", func(s *scene) { s.member(1).Seen = false; s.dies(1, 1) }, `
			stack: routes=5
			web: heal=+5s last=5
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"one that is kept warm says nothing", func(s *scene) { s.warm(v1).Created = noon; s.dies(5, 1) }, `
			stack: routes=5
			web: last=6
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.5: because="exited 1" leaving=noon reason=lost
			web.6: joins
			web.6: created=noon for=1 version=v2
			do: route
			do: create web.6
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"at rest an old one counts not", func(s *scene) { *s = *calm(); s.dies(1, 1) }, `
			stack: routes=5
			web: last=4
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"at rest one that is no longer young counts not", func(s *scene) { *s = *calm(); s.member(1).Created = noon.Add(-10 * time.Second); s.dies(1, 1) }, `
			stack: routes=5
			web: last=4
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"at rest a young one counts", func(s *scene) { *s = *calm(); s.member(1).Created = noon.Add(-10*time.Second + 1); s.dies(1, 1) }, `
			stack: routes=5
			web: failed=1 last=4 retry=noon
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"at rest three at once are one", func(s *scene) {
			*s = *calm()
			for n := range 3 {
				s.member(n + 1).Created = noon.Add(-time.Second)
				s.dies(n+1, 1)
			}
			s.fleet().Failed = 1
		}, `
			stack: routes=5
			web: failed=4 retry=+1s
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.3: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route
			note web: 3 missing; after 4 failures the next try is at 12:00:01
			wake: +1s`},
		{"at rest two of two are one", func(s *scene) {
			*s = *calm()
			s.both(func(w *glint.Service) { w.Instances = 2 })
			s.drop(3)
			s.member(1).Created, s.fleet().Failed = noon.Add(-time.Second), 1
			s.dies(1, 1)
		}, `
			stack: routes=5
			web: failed=2 last=4 retry=noon
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"of a version on trial each is one", func(s *scene) { s.fleet().Failed = 1; s.dies(4, 1) }, `
			stack: routes=5
			web: failed=2 retry=+1s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: 3 missing; after 2 failures the next try is at 12:00:01
			wake: +1s`},
		{"of a proven version that returns by a rollout, three are one", func(s *scene) {
			*s = *calm()
			s.fleet().Phase, s.fleet().Failed = glint.RollingTo, 2
			s.dies(1, 1)
		}, `
			stack: routes=5
			web: failed=3 last=4 retry=noon
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
	})
}

// TestHeal: the pause after an instance of the version before that failed while young is five seconds.
func TestHeal(t *testing.T) {
	begin := func() *scene {
		s := proving()
		s.drop(2)
		return s
	}
	play(t, begin, []turn{
		{"no pause", func(s *scene) {}, `
			web: last=5
			web.5: joins
			web.5: created=noon version=v1
			do: create web.5
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"it lasts", func(s *scene) { s.fleet().Heal = noon.Add(5 * time.Second) }, `
			note web: 1 missing; after 1 failures the next try is at 12:00:05
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +5s`},
		{"it ends", func(s *scene) { s.fleet().Heal = noon }, `
			web: last=5
			web.5: joins
			web.5: created=noon version=v1
			do: create web.5
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"that of the target does not matter", func(s *scene) { s.fleet().Retry = noon.Add(time.Second) }, `
			web: last=5
			web.5: joins
			web.5: created=noon version=v1
			do: create web.5
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"one that is longer than any pause is from a clock that was set back", func(s *scene) { s.fleet().Heal = noon.Add(5*time.Minute + 1) }, `
			web: last=5
			web.5: joins
			web.5: created=noon version=v1
			do: create web.5
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
		{"the longest", func(s *scene) { s.fleet().Heal = noon.Add(5 * time.Minute) }, `
			note web: 1 missing; after 1 failures the next try is at 12:05:00
			note web: canary: must work until 12:00:20; to go on now: glint promote
			wake: +20s`},
	})
}
