package check_test

import (
	"testing"

	"github.com/glint-infra/glint/internal/check"
)

// BenchmarkStep judges a step of one fleet of 10,000 of which one leaves.
func BenchmarkStep(b *testing.B) {
	s := still()
	for range 9_997 {
		s.add(v1)
	}
	s.service().Instances = 10_000
	s.out(5_000)
	for b.Loop() {
		if err := check.Step(s.before, s.after, s.release, s.seen); err != nil {
			b.Fatal(err)
		}
	}
}
