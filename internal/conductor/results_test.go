package conductor_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

// TestManyTasks: a task has more versions than results are remembered, and each of them is carried out.
func TestManyTasks(t *testing.T) {
	s := newStage(t, &strings.Builder{})
	for i := 1; i <= glint.MaxResults+3; i++ {
		s.run(strings.Fields(fmt.Sprintf("apply migrate:m%d task do=work,1s,0", i)))
		s.pass("2s")
		if out := plan.Outcome(s.head(), i); out != glint.Serving {
			t.Fatalf("r%d: %s\n%s", i, out, s.out.String()[max(0, s.out.Len()-600):])
		}
	}
	if f, _ := s.head().Fleet("migrate"); len(f.Done) != glint.MaxResults {
		t.Errorf("%d results are remembered, want %d", len(f.Done), glint.MaxResults)
	}
}
