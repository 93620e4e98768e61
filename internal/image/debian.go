package image

import (
	"context"
	"errors"
	"time"

	"github.com/glint-infra/glint"
)

var suites = []string{"bookworm"}

type base struct {
	DiffID   glint.Digest
	Packages []string
	Built    time.Time
}

func (b *Builder) debian(ctx context.Context, suite string, packages []string, refresh bool, say func(string, ...any)) (base, error) {
	return base{}, errors.New("not yet")
}

func detach(string) error { return nil }
