package test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// TestCrashLife kills the server at the moments of a stack's making and of its end. The next server has it whole or not at
// all; what is destroyed then leaves nothing.
func TestCrashLife(t *testing.T) {
	c := newCrash(t, operation{"life", 2, "", [][]string{{"apply", "--yes"}, {"destroy", "--yes"}}, false, true}, 9)
	c.serving = 2
	moments, died := c.perform(0)
	if died {
		t.Fatalf("the server ended by itself:\n%s", c.tail())
	}
	c.Logf("life passes %d moments, the server's start included", len(moments))
	for n := range c.chosen(len(moments)) {
		if c.lifeRound(n); t.Failed() {
			break
		}
	}
	s := c.start()
	c.answers(s)
	c.leave(s)
}

func (c *crash) lifeRound(n int) {
	began := time.Now()
	moments, died := c.perform(n)
	what := "the end"
	if died {
		what = c.note(moments)
	}
	c.rounds++
	s := c.start()
	c.answers(s)
	after, ok := c.awaitRest(s)
	if !ok {
		c.Fatalf("after %q: the next server ended:\n%s", what, c.tail())
	}
	lives := len(after.Services) > 0
	if lives {
		c.mounts = c.ownMounts() // the image's: they come with the first instance
		c.readEvents(after)
		c.awaitHost(after, s.cmd.Process.Pid)
		c.mustCLI("destroy", "--yes")
		after, _ = c.awaitRest(s)
	}
	c.mounts = nil
	all, err := c.client.Revisions(context.Background(), "shop")
	if err != nil && !errors.Is(err, glint.ErrNotFound) {
		c.Fatal(err)
	}
	if err == nil && all[len(all)-1].Kind != glint.KindDestroy {
		c.Errorf("after %q: the stack is gone, and its history ends with %+v", what, all[len(all)-1])
	}
	if err == nil {
		c.readEvents(after)
	}
	c.awaitHost(api.Status{}, s.cmd.Process.Pid)
	s.kill()
	c.Logf("%s  life: died at %q, lived on: %v (%s)", began.UTC().Format("15:04:05.000"), what, lives, time.Since(began).Round(time.Millisecond))
	c.g.log.Reset()
}
