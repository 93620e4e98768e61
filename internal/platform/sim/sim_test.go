package sim_test

import (
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform/platformtest"
	"github.com/glint-infra/glint/internal/platform/sim"
)

func TestPlatform(t *testing.T) {
	platformtest.Run(t, func(t *testing.T) platformtest.Subject {
		w := sim.New()
		template := func(words ...string) glint.Template { return glint.Template{Command: words} }
		volume := template("serve")
		volume.Volumes = []glint.Volume{{Name: "data", Path: "/data", Size: 1 << 20}}
		return platformtest.Subject{
			Platform: w,
			Serves:   template("serve"),
			Exits:    template("exit", "7", "one", "two", "three"),
			Missing:  template("missing"),
			Stubborn: template("stubborn"),
			Volume:   volume,
			Settle: func(cond func() bool) bool {
				for range 10_000 {
					if cond() {
						return true
					}
					w.Advance(time.Second)
					time.Sleep(10 * time.Microsecond) // let goroutines of the test run
				}
				return false
			},
		}
	})
}
