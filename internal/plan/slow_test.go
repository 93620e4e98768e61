package plan_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

// TestSlowPlatform: an instance has all of its time to start, however many were asked for at once and however long its
// platform takes to come to it.
func TestSlowPlatform(t *testing.T) {
	in := intent(release("v1", 1, 200))
	b, now := glint.Blueprint{Stack: "shop", Epoch: "e"}, noon
	accepted := map[glint.ID]time.Time{}
	for turn := range 120 {
		seen := glint.Observation{At: now, Complete: true, Acks: []glint.Ack{{Member: "one", Generation: b.Routes, Kind: glint.Proven}}}
		room := 8
		for _, inst := range obeyed(b).Instances {
			at, here := accepted[inst.ID]
			if !here && room > 0 {
				at, here = now, true
				accepted[inst.ID] = at
				room--
			}
			if !here {
				continue
			}
			inst.Created, inst.Address = at, "10.0.0.1"
			if now.Sub(at) < 45*time.Second {
				inst.Health = glint.Health{Live: true}
			}
			seen.Instances = append(seen.Instances, inst)
		}
		b = plan.Next(in, b, seen, now).Blueprint
		if f := b.Services[0]; f.Failed > 0 || b.Rejected != nil {
			t.Fatalf("turn %d: %d failed, %+v", turn, f.Failed, b.Rejected)
		}
		if plan.Outcome(b, 1) == glint.Serving {
			return
		}
		now = now.Add(10 * time.Second)
	}
	t.Errorf("is %s after %s", plan.Outcome(b, 1), now.Sub(noon))
}
