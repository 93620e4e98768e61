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
			web.5: created=noon for=1 version=v2
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

// TestVerdict rejects a version that failed three times, unless it is known to have worked.
func TestVerdict(t *testing.T) {
	begin := func() *scene {
		s := rolling()
		s.fleet().Failed = 2
		s.dies(4, 1)
		return s
	}
	filled := func(n int) []glint.Digest {
		var all []glint.Digest
		for i := range n {
			all = append(all, glint.Digest(fmt.Sprint("x", i)))
		}
		return all
	}
	play(t, begin, []turn{
		{"the third time", func(s *scene) {}, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"the second time", func(s *scene) { s.fleet().Failed = 1 }, `
			stack: routes=5
			web: failed=2 retry=+1s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: 3 missing; after 2 failures the next try is at 12:00:01
			wake: +1s`},
		{"more than the third time", func(s *scene) { s.fleet().Failed = 4 }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=5 rejected=[v2] retry=+8s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"the last of those that failed is named", func(s *scene) {
			s.add(v2)
			s.dies(5, 2)
			s.leaver(v2).Because = "exited 3"
			s.leaver(v1)
			s.add(v2)
		}, `
			stack: rejected={because:"web.6 exited 3, 3 of 3 tries" instance:shop.e.web.6 revision:2 service:web version:v2} routes=5 target=1
			web: failed=4 rejected=[v2] retry=+4s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: because="exited 2" gone=5 leaving=noon reason=lost routed=-
			web.6: ending=noon out=noon
			web.7: ending=noon out=noon
			do: route
			do: destroy web.6
			do: destroy web.7`},
		{"nothing to return to", func(s *scene) { s.have.Stable = 0 }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: version v2 is rejected; to try it again: glint apply --retry`},
		{"one try, where none is said", func(s *scene) { s.fleet().Failed = 0; s.both(func(w *glint.Service) { w.Update.Tries = 0 }) }, `
			stack: rejected={because:"web.4 exited 1, 1 of 1 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=1 rejected=[v2] retry=noon
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"it is what was stable", func(s *scene) {
			s.in.Releases[1] = s.in.Releases[2]
			s.fleet().Stable = v2
		}, `
			stack: routes=5
			web: failed=3 last=5 retry=noon
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"it is what was stable, and did not run", func(s *scene) { s.in.Releases[1] = s.in.Releases[2] }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"it ran, and is not what is stable", func(s *scene) { s.fleet().Stable = v2 }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"it ran, and the stable revision knows no such service", func(s *scene) { s.fleet().Stable = v2; s.in.Releases[1] = glint.Release{} }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"at rest none is rejected", func(s *scene) { s.fleet().Phase = glint.Steady }, `
			stack: routes=5
			web: last=5
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.5: joins
			web.5: created=noon for=1 version=v2
			do: route
			do: create web.5
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic`},
		{"fifteen are remembered", func(s *scene) { s.fleet().Rejected = filled(15) }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"sixteen are remembered", func(s *scene) { s.fleet().Rejected = filled(16) }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 x15 v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"rejected before", func(s *scene) {
			s.fleet().Rejected = []glint.Digest{v2}
			s.have.Rejected = &glint.Rejection{Revision: 2}
		}, `
			stack: routes=5
			web: failed=3 retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route
			note web.1: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.2: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 3 of 3 take traffic
			note web: version v2 is rejected; to try it again: glint apply --retry`},
		{"a canary that does not work without a break", func(s *scene) {
			*s = *proving()
			s.fleet().Failed, s.fleet().Baking = 3, time.Time{}
		}, `
			stack: rejected={because:"the canary did not work for 30s without a break, 3 of 3 tries" instance: revision:2 service:web version:v2} target=1
			web: rejected=[v2]`},
		{"in the turn that rejects for one service, another begins nothing", func(s *scene) {
			rel := s.in.Releases[2]
			rel.Services = append(rel.Services, service("zoo", three, 1), service("zulu", one, 1))
			s.in.Releases[2] = rel
			s.have.Services = append(s.have.Services, glint.Fleet{Name: "zoo", Phase: glint.Steady, Since: noon, Target: v1, Stable: v1, Templates: map[glint.Digest]glint.Template{v1: one}})
			s.add(v1)
		}, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"what is rejected just now opens nothing and leads nobody", func(s *scene) {
			rel := s.in.Releases[2]
			rel.Allows = []glint.Edge{{From: "web", To: glint.Target{Service: "web", Port: "http"}}}
			rel.Routes = []glint.Route{{Host: "bank", To: glint.Target{Service: "web", Port: "http"}}}
			s.in.Releases[2] = rel
		}, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"host names that it does not declare stay in that turn", func(s *scene) {
			s.have.Hosts = []glint.Route{{Host: "shop", To: glint.Target{Service: "web", Port: "http"}}}
		}, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
		{"what is routed follows what is ready in that turn too", func(s *scene) { s.unready(1) }, `
			stack: rejected={because:"web.4 exited 1, 3 of 3 tries" instance:shop.e.web.4 revision:2 service:web version:v2} routes=5 target=1
			web: failed=3 rejected=[v2] retry=+2s
			web.1: gone=5 routed=-
			web.4: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			do: route`},
	})
}

// TestBrake: when all fail at once the fault is elsewhere, and nobody is killed for it.
func TestBrake(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.sick(1)
		s.sick(2)
		s.sick(3)
		return s
	}
	play(t, begin, []turn{
		{"all", func(s *scene) {}, `
			note web.1: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.1: is not ready: answers 500
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"all are unready", func(s *scene) { *s = *calm(); s.unready(1); s.unready(2); s.unready(3) }, `
			note web.1: is not ready: nobody can say why
			note web.2: is not ready: nobody can say why
			note web.3: is not ready: nobody can say why`},
		{"all but one that is ready", func(s *scene) { s.inst(3).Health = glint.Health{Known: true, Ready: true, Live: true} }, `
			stack: routes=5
			web: last=5
			web.1: because="answers 500" gone=5 leaving=noon reason=unhealthy routed=-
			web.2: because="answers 500" gone=5 leaving=noon reason=unhealthy routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			web.5: joins
			web.5: created=noon for=2 version=v1
			do: route
			do: create web.4
			do: create web.5`},
		{"one is dead", func(s *scene) { s.dies(1, 1) }, `
			stack: routes=5
			web: last=4
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"two are dead: one is not all", func(s *scene) { s.dies(1, 1); s.dies(2, 1) }, `
			stack: routes=5
			web: last=6
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.2: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.3: because="answers 500" gone=5 leaving=noon reason=unhealthy routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			web.5: joins
			web.5: created=noon for=2 version=v1
			web.6: joins
			web.6: created=noon for=3 version=v1
			do: route
			do: create web.4
			do: create web.5
			do: create web.6`},
		{"one was not seen", func(s *scene) { s.unsee(1); s.seen.Complete = false }, `
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"one was not asked", func(s *scene) { s.unasked(1) }, `
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.1: waits until its health is known
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"one never worked", func(s *scene) { s.member(1).Seen, s.member(1).Routed = false, false }, `
			web: failed=1 last=4 retry=noon
			web.1: because="answers 500" leaving=noon reason=unhealthy
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: create web.4
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"one leaves", func(s *scene) {
			s.member(1).Leaving, s.member(1).Routed, s.member(1).Gone = noon.Add(-time.Second), false, 4
		}, `
			web: last=4
			web.1: ending=noon out=noon
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: destroy web.1
			do: create web.4
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"nobody ages, drifts or is entered meanwhile", func(s *scene) {
			s.inst(1).Deviations, s.inst(2).Tainted = []string{"a file changed"}, "root entered it"
			s.both(func(w *glint.Service) { w.MaxAge, w.Update.Unavailable = minute, 3 })
		}, `
			web: last=4
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: create web.4
			note web.1: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.1: drifted (a file changed); waits: all fail at once, the fault is elsewhere
			note web.2: tainted (root entered it); waits: all fail at once, the fault is elsewhere
			note web.3: expired (born at 11:00:00; none may be older than 1m); waits: all fail at once, the fault is elsewhere
			note web.1: is not ready: answers 500
			note web.2: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"a person's word counts", func(s *scene) {
			s.both(func(w *glint.Service) { w.Update.Unavailable = 1 })
			s.order(glint.Order{Kind: glint.OrderReplace, Instance: s.id(2)})
		}, `
			stack: ordered=1 routes=5
			web: last=4
			web.2: because="ann asked" gone=5 leaving=noon reason=requested routed=-
			web.4: joins
			web.4: created=noon for=2 version=v1
			do: route
			do: create web.4
			note web.1: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.1: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"what takes no traffic may leave", func(s *scene) { s.member(2).Routed = false; s.inst(2).Tainted = "root entered it" }, `
			web: last=4
			web.2: because="root entered it" leaving=noon reason=tainted
			web.4: joins
			web.4: created=noon for=2 version=v1
			do: create web.4
			note web.1: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.1: is not ready: answers 500
			note web.3: is not ready: answers 500`},
		{"an update goes on within the floor", func(s *scene) { s.roll(two); s.both(func(w *glint.Service) { w.Update.Unavailable = 1 }) }, `
			stack: routes=5
			web: last=5
			web.1: because="r2 wants another version" gone=5 leaving=noon reason=superseded routed=-
			web.4: joins
			web.4: created=noon for=1 version=v2
			web.5: joins
			web.5: created=noon for=2 version=v2
			do: route
			do: create web.4
			do: create web.5
			note web.1: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.3: answers 500; so do all others at once: the fault is elsewhere, nothing is replaced
			note web.2: superseded (r2 wants another version); waits: 2 of 3 take traffic
			note web.3: superseded (r2 wants another version); waits: 2 of 3 take traffic`},
	})
}

// TestDismiss: who leaves is given over to destruction once the balancers have forgotten it and its requests have ended, and is
// forgotten once it is known to be gone.
func TestDismiss(t *testing.T) {
	begin := func() *scene {
		s := calm()
		s.leaver(v1)
		s.inst(4).InFlight = 2
		return s
	}
	play(t, begin, []turn{
		{"it drains", func(s *scene) {}, `
			web.4: out=noon
			note web.4: drains: 2 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"nobody knows how many requests it has", func(s *scene) { s.inst(4).InFlight = -1 }, `
			web.4: out=noon
			note web.4: drains: an unknown number in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"it still drains", func(s *scene) { s.member(4).Out = noon.Add(-30*time.Second + 1) }, `
			note web.4: drains: 2 in flight, until 12:00:00 at the latest
			wake: +1e-09s`},
		{"it has drained", func(s *scene) { s.inst(4).InFlight = 0 }, `
			web.4: ending=noon out=noon
			do: destroy web.4`},
		{"grace is over", func(s *scene) { s.member(4).Out = noon.Add(-30 * time.Second) }, `
			web.4: ending=noon
			do: destroy web.4`},
		{"the clock was set back", func(s *scene) { s.member(4).Out = noon.Add(time.Hour) }, `
			web.4: out=noon
			note web.4: drains: 2 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"it is dead", func(s *scene) { s.dies(4, 0) }, `
			web.4: ending=noon out=noon
			do: destroy web.4`},
		{"it was never ready nor in the routes", func(s *scene) { s.member(4).Seen, s.member(4).Gone = false, 0 }, `
			web.4: ending=noon out=noon
			do: destroy web.4`},
		{"it was never ready, but in the routes", func(s *scene) { s.member(4).Seen = false }, `
			web.4: out=noon
			note web.4: drains: 2 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"it was ready, and never in the routes", func(s *scene) { s.member(4).Gone = 0 }, `
			web.4: out=noon
			note web.4: drains: 2 in flight, until 12:00:30 at the latest
			wake: +30s`},
		{"a balancer has not forgotten it", func(s *scene) { s.member(4).Gone = 5; s.have.Routes = 5 }, `
			do: route
			note web.4: waits until the balancers have forgotten it (generation 4 of 5 in force)`},
		{"a balancer that had forgotten it comes back with old routes", func(s *scene) {
			s.member(4).Gone, s.have.Routes, s.member(4).Out = 5, 5, noon.Add(-time.Second)
		}, `
			do: route
			note web.4: drains: 2 in flight, until 12:00:29 at the latest
			wake: +29s`},
		{"it is being destroyed", func(s *scene) {
			s.member(4).Out, s.member(4).Ending = noon.Add(-3*time.Second), noon.Add(-2*time.Second)
		}, `
			do: destroy web.4`},
		{"it is gone", func(s *scene) { s.unsee(4) }, `
			web.4: is forgotten`},
		{"not all have answered", func(s *scene) { s.unsee(4); s.seen.Complete = false }, `
			note web.4: cannot be seen; waits for a look that proves that it is gone
			wake: +295s`},
		{"it is destroyed, and not all have answered", func(s *scene) { s.unsee(4); s.seen.Complete = false; s.member(4).Ending = noon.Add(-time.Second) }, ``},
		{"the look is from when it was told to go", func(s *scene) { s.unsee(4); s.member(4).Leaving = s.seen.At }, `
			web.4: is forgotten`},
		{"the look is from before it was told to go", func(s *scene) { s.unsee(4); s.member(4).Leaving = s.seen.At.Add(1) }, `
			note web.4: cannot be seen; waits for a look that proves that it is gone
			wake: +299.000000001s`},
		{"the look has been from before for five minutes", func(s *scene) {
			s.unsee(4)
			s.seen.At, s.member(4).Leaving, s.have.Seen = noon.Add(-time.Hour), noon.Add(-5*time.Minute), noon.Add(-time.Hour)
		}, `
			web.4: is forgotten`},
		{"the look has been from before for nearly five minutes", func(s *scene) {
			s.unsee(4)
			s.seen.At, s.member(4).Leaving, s.have.Seen = noon.Add(-time.Hour), noon.Add(-5*time.Minute+1), noon.Add(-time.Hour)
		}, `
			note web.4: cannot be seen; waits for a look that proves that it is gone
			wake: +1e-09s`},
	})
}

// TestLook: a look that is older than the one before it proves nothing; one that is much older comes from a clock that was set.
func TestLook(t *testing.T) {
	behind := func(d time.Duration) func(*scene) {
		return func(s *scene) { s.dies(1, 1); s.have.Seen = s.seen.At.Add(d) }
	}
	play(t, calm, []turn{
		{"as old", behind(0), `
			stack: routes=5
			web: last=4
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"older", behind(1), `
			note stack: what was seen is 1ns older than what was seen before; waits for a newer look
			wake: +1s`},
		{"five minutes older", behind(5 * time.Minute), `
			note stack: what was seen is 5m0s older than what was seen before; waits for a newer look
			wake: +1s`},
		{"much older", behind(5*time.Minute + 1), `
			stack: routes=5
			web: last=4
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"newer", behind(-time.Second), `
			stack: routes=5
			web: last=4
			web.1: because="exited 1" gone=5 leaving=noon reason=lost routed=-
			web.4: joins
			web.4: created=noon for=1 version=v1
			do: route
			do: create web.4`},
		{"of another stack", func(s *scene) {
			s.see(glint.Instance{ID: glint.ID{Stack: "zoo", Epoch: "e", Service: "web", N: 1}, State: glint.Dead})
		}, ``},
		{"of a life to come", func(s *scene) {
			s.see(glint.Instance{ID: glint.ID{Stack: "shop", Epoch: "f", Service: "web", N: 1}, State: glint.Dead})
		}, `
			note web.1: is of another life of this stack (epoch f), and is left alone; the stack cannot end while it is there`},
		{"of another life", func(s *scene) {
			s.see(glint.Instance{ID: glint.ID{Stack: "shop", Epoch: "d", Service: "web", N: 1}, State: glint.Dead})
		}, `
			note web.1: is of another life of this stack (epoch d), and is left alone; the stack cannot end while it is there`},
		{"what does not work is passed on", func(s *scene) {
			s.seen.Troubles = []glint.Trouble{{Verb: glint.Create, ID: s.id(2), Text: "no space"}, {Verb: glint.Publish, Text: "refused"}}
		}, `
			note web.2: create does not work: no space; is tried again
			note stack: route does not work: refused; is tried again`},
	})
}
