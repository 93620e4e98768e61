package haproxy

import (
	"os"
	"strings"
	"testing"

	"github.com/glint-infra/glint/internal/balancer"
)

// TestUnrecorded: a keeper that was killed right after it had started HAProxy wrote nothing down, and HAProxy may have no
// socket yet. The next keeper finds it all the same, and does not start another beside it.
func TestUnrecorded(t *testing.T) {
	var incidents []string
	first := open(t)
	publish(t, first, table(1, 1))
	more := table(2, 1)
	more.Hosts["new.localhost"] = "shop.web.http" // a reload, after which HAProxy is called with more arguments
	publish(t, first, more)
	lost := first.master.pid
	for _, name := range []string{"master.pid", "master.sock"} {
		if err := os.Remove(first.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	cfg := first.cfg
	cfg.Incident = func(text string) { incidents = append(incidents, text) }
	first.stop() // as if it had been killed
	first.keeper.Wait()
	next, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, next, more)
	if exists(lost) || next.master.pid == lost || len(incidents) != 1 || !strings.Contains(incidents[0], "did not answer") {
		t.Errorf("the unrecorded one (pid %d) lives: %v; incidents %v", lost, exists(lost), incidents)
	}
	publish(t, next, balancer.Table{Generations: map[string]int{}})
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	first.master = nil // so that its cleaning up finds what it left
}
