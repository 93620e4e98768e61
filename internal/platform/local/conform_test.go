package local_test

import (
	"testing"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform"
	"github.com/glint-infra/glint/internal/platform/local"
	"github.com/glint-infra/glint/internal/platform/platformtest"
)

var (
	_ platform.Platform = (*local.Platform)(nil)
	_ platform.Watcher  = (*local.Platform)(nil)
	_ platform.Logger   = (*local.Platform)(nil)
	_ platform.Execer   = (*local.Platform)(nil)
)

func TestConformance(t *testing.T) {
	platformtest.Run(t, func(t *testing.T) platformtest.Subject {
		l := newLab(t)
		p := l.open()
		volume := l.template("serve")
		volume.Volumes = []glint.Volume{{Name: "data", Path: "/var/lib/data", Size: 1 << 20}}
		return platformtest.Subject{
			Platform: p,
			Serves:   l.template("serve"),
			Exits:    l.template("exits"),
			Missing:  glint.Template{Image: l.image, Command: []string{"/no/such/program"}},
			Stubborn: l.template("stubborn"),
			Volume:   volume,
			Settle:   settle,
			Answers:  answers,
			Reopen: func() platform.Platform {
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
				p = l.open()
				return p
			},
			Gone:  l.gone,
			Say:   []string{"/app", "say"},
			SayNo: []string{"/app", "fail"},
		}
	})
}
