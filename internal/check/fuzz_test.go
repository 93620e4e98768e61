package check_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/check"
	"pgregory.net/rapid"
)

// The judge is asked about whatever a planner, or an older Glint, or a hostile client comes up with.
var (
	someVersion = rapid.SampledFrom([]glint.Digest{v1, v2, vd, "", "sha256:x"})
	someName    = rapid.SampledFrom([]string{"db", "job", "web", ""})
	someTime    = rapid.Custom(func(t *rapid.T) time.Time {
		return rapid.SampledFrom([]time.Time{{}, noon, noon.Add(-time.Hour), noon.Add(time.Hour)}).Draw(t, "time")
	})
	someID = rapid.Custom(func(t *rapid.T) glint.ID {
		return glint.ID{Stack: "shop", Epoch: "e", Service: someName.Draw(t, "service"), N: rapid.IntRange(-1, 5).Draw(t, "n")}
	})
	someTemplate = rapid.SampledFrom([]glint.Template{one, two, disk, {}})
)

func flag(t *rapid.T) bool { return rapid.Bool().Draw(t, "flag") }

func few(t *rapid.T) int { return rapid.IntRange(-1, 5).Draw(t, "few") }

func list[T any](t *rapid.T, of func(*rapid.T) T) []T {
	return rapid.SliceOfN(rapid.Custom(of), 0, 4).Draw(t, "list")
}

func someWord(t *rapid.T) *glint.Word {
	if flag(t) {
		return nil
	}
	return &glint.Word{By: someName.Draw(t, "by"), At: someTime.Draw(t, "at")}
}

func someMember(t *rapid.T) glint.Member {
	at := func() time.Time { return someTime.Draw(t, "at") }
	return glint.Member{
		N: few(t), Version: someVersion.Draw(t, "version"), Created: at(), For: few(t), Address: someName.Draw(t, "address"),
		Place: someName.Draw(t, "place"), Held: flag(t), Let: at(), Seen: flag(t), Routed: flag(t), Warm: at(), Leaving: at(),
		Reason: rapid.SampledFrom([]glint.Reason{"", glint.Superseded, glint.RejectedFor, glint.Drifted, glint.Lost, glint.Unhealthy,
			glint.Expired, glint.Surplus, glint.Tainted, glint.Requested, glint.Finished, "bored"}).Draw(t, "reason"),
		Because: someName.Draw(t, "because"), Gone: few(t), Out: at(), Ending: at(),
	}
}

func someResult(t *rapid.T) glint.Result {
	return glint.Result{
		Version: someVersion.Draw(t, "version"), Instance: someID.Draw(t, "instance"), At: someTime.Draw(t, "at"),
		Outcome: rapid.SampledFrom([]glint.Finish{glint.Succeeded, glint.Broke, glint.UnknownFinish, ""}).Draw(t, "outcome"),
	}
}

func someFleet(t *rapid.T) glint.Fleet {
	f := glint.Fleet{
		Name: someName.Draw(t, "name"), Since: someTime.Draw(t, "since"), Stable: someVersion.Draw(t, "stable"), Target: someVersion.Draw(t, "target"),
		Phase:    rapid.SampledFrom([]glint.Phase{"", glint.Steady, glint.Awaiting, glint.Canary, glint.RollingTo, glint.Returning, glint.Emptying, glint.Empty}).Draw(t, "phase"),
		Rejected: list(t, func(t *rapid.T) glint.Digest { return someVersion.Draw(t, "version") }), Failed: few(t), Wanted: few(t), Asked: few(t),
		Baking: someTime.Draw(t, "baking"), Promoted: someWord(t), Last: few(t), Done: list(t, someResult), Members: list(t, someMember),
	}
	for _, v := range list(t, func(t *rapid.T) glint.Digest { return someVersion.Draw(t, "version") }) {
		if f.Templates == nil {
			f.Templates = map[glint.Digest]glint.Template{}
		}
		f.Templates[v] = someTemplate.Draw(t, "template")
	}
	if w := someWord(t); w != nil {
		f.Renew = &glint.Renewal{Word: *w, Upto: few(t)}
	}
	return f
}

func someTarget(t *rapid.T) glint.Target {
	return glint.Target{Service: someName.Draw(t, "service"), Port: someName.Draw(t, "port")}
}

func someEdge(t *rapid.T) glint.Edge {
	return glint.Edge{From: someName.Draw(t, "from"), To: someTarget(t)}
}

func someRoute(t *rapid.T) glint.Route {
	return glint.Route{Host: someName.Draw(t, "host"), To: someTarget(t)}
}

func someBlueprint(t *rapid.T) glint.Blueprint {
	b := glint.Blueprint{
		Stack: "shop", Epoch: "e", Number: few(t), Revision: few(t), Target: few(t), Stable: few(t), Paused: someWord(t), Ordered: few(t), Routes: few(t),
		Services: list(t, someFleet), Edges: list(t, someEdge), Hosts: list(t, someRoute),
		Volumes: list(t, func(t *rapid.T) glint.Claim {
			return glint.Claim{Service: someName.Draw(t, "service"), Volume: someName.Draw(t, "volume"), Holder: someID.Draw(t, "holder")}
		}),
	}
	if flag(t) {
		b.Rejected = &glint.Rejection{Revision: few(t), Service: someName.Draw(t, "service"), Version: someVersion.Draw(t, "version")}
	}
	return b
}

func someService(t *rapid.T) glint.Service {
	return glint.Service{
		Name: someName.Draw(t, "name"), Template: someTemplate.Draw(t, "template"), Instances: few(t), Min: few(t), Max: few(t), Standby: few(t), Task: flag(t),
		After: list(t, func(t *rapid.T) string { return someName.Draw(t, "after") }), MaxAge: glint.Duration(few(t)),
		Update: glint.Update{
			Strategy: rapid.SampledFrom([]glint.Strategy{glint.Rolling, glint.Recreate, ""}).Draw(t, "strategy"), Surge: few(t), Unavailable: few(t),
			Canary: few(t), Bake: glint.Duration(few(t)), Manual: flag(t), Warm: glint.Duration(few(t)), StartWithin: glint.Duration(few(t)),
		},
	}
}

func someRelease(t *rapid.T) glint.Release {
	return glint.Release{Stack: "shop", Services: list(t, someService), Routes: list(t, someRoute), Allows: list(t, someEdge)}
}

func someInstance(t *rapid.T) glint.Instance {
	in := glint.Instance{
		ID: someID.Draw(t, "id"), Version: someVersion.Draw(t, "version"), Tainted: someName.Draw(t, "tainted"), Place: someName.Draw(t, "place"),
		State:   rapid.SampledFrom([]glint.State{glint.Accepted, glint.Held, glint.Running, glint.Dead}).Draw(t, "state"),
		Address: someName.Draw(t, "address"), Health: glint.Health{Known: flag(t), Ready: flag(t), Live: flag(t)}, InFlight: few(t),
	}
	if flag(t) {
		in.Exit = &glint.Exit{Code: few(t), Failure: someName.Draw(t, "failure")}
	}
	return in
}

func someObservation(t *rapid.T) glint.Observation {
	return glint.Observation{
		At: someTime.Draw(t, "at"), Complete: flag(t), Instances: list(t, someInstance),
		Silent: list(t, func(t *rapid.T) string { return someName.Draw(t, "silent") }),
		Places: list(t, func(t *rapid.T) glint.Place {
			return glint.Place{Name: someName.Draw(t, "name"), Zone: someName.Draw(t, "zone"), Closed: flag(t)}
		}),
		Acks: list(t, func(t *rapid.T) glint.Ack { return glint.Ack{Generation: few(t), Kind: glint.Proven} }),
	}
}

// TestStepEndures: whatever it is asked, the judge answers, and says the same when it is asked again.
func TestStepEndures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after, release, seen := someBlueprint(t), someBlueprint(t), someRelease(t), someObservation(t)
		was, is := before.Digest(), after.Digest()
		first := check.Step(before, after, release, seen)
		if before.Digest() != was || after.Digest() != is {
			t.Fatal("what is judged was changed")
		}
		if again := check.Step(before, after, release, seen); (first == nil) != (again == nil) {
			t.Fatalf("said %v, then %v", first, again)
		}
	})
}

// TestReleaseEndures: whoever compiled it, and however.
func TestReleaseEndures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := someRelease(t)
		was := r.Digest()
		_ = check.Release(r)
		if r.Digest() != was {
			t.Fatal("what is judged was changed")
		}
	})
}
