package balancertest_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer/balancertest"
	"github.com/glint-infra/glint/internal/platform/sim"
)

// TestSimulatedPlane shows that the plane that the planner is tried on makes the same promises as the real one.
func TestSimulatedPlane(t *testing.T) {
	w := sim.New()
	balancertest.Semantics(t, balancertest.Subject{
		Balancer: w,
		Step:     func() { w.Advance(100 * time.Millisecond) },
		Server: func(_ *testing.T, id glint.ID) glint.Server {
			return glint.Server{ID: id, Address: "10.0.0.1", Port: 8080}
		},
	})
}
