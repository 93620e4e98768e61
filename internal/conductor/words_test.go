package conductor_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/conductor"
	"github.com/glint-infra/glint/internal/platform/sim"
)

// diary is a world that keeps what instances write.
type diary struct{ *sim.World }

func (diary) Logs(_ context.Context, id glint.ID, tail int, _ bool) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("2030-01-01T12:00:00Z out I am " + id.Short() + "\n2030-01-01T12:00:01Z err I feel sick\n")), nil
}

// TestLastWords: what an instance wrote is told when it is sent off alive, since nobody can read it later.
func TestLastWords(t *testing.T) {
	s := newStage(t, &strings.Builder{})
	s.run(strings.Fields("apply web:v1 n=1"))
	s.pass("8s")
	s.boss = conductor.New(conductor.Config{Store: s.store, Platform: diary{s.world}, Balancer: s.world, Look: s.look, Now: s.now})
	s.run(strings.Fields("sicken web.1"))
	s.world.Advance(time.Second)
	turn := s.turn()
	for _, e := range turn.Events {
		if e.Kind == glint.EventLeave {
			if len(e.Tail) != 2 || e.Tail[0] != "I am web.1" || e.Tail[1] != "I feel sick" {
				t.Errorf("%s: last words %q", e.Text, e.Tail)
			}
			return
		}
	}
	t.Error("nobody left")
}
