package simulate

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// run runs worlds and tells of what was found.
func run(t *testing.T, first uint64, worlds int) {
	t.Helper()
	r := Run(t.Context(), Config{First: first, Worlds: worlds, Workers: 2})
	t.Logf("%d worlds from seed %d: %d decisions, %d blueprints, %s of virtual time, %d at rest", r.Worlds, first, r.Steps, r.Blueprints, r.Virtual.Round(time.Hour), r.Rested)
	for _, f := range r.Findings {
		t.Errorf("%s: %s\nreplay: glint sim --replay %d\n%s", f.Property, f.Text, f.Seed, tail(f.Story))
	}
}

func tail(s string) string {
	const most = 20_000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// TestKnown runs the same worlds every time.
func TestKnown(t *testing.T) { run(t, 1000, 300) }

// TestFresh runs other worlds every time: so many as GLINT_SIM_WORLDS says, from a seed that is printed.
func TestFresh(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("GLINT_SIM_WORLDS"))
	if err != nil {
		t.Skip("GLINT_SIM_WORLDS does not say how many; make test runs glint sim instead")
	}
	run(t, uint64(time.Now().UnixNano())>>10, n)
}

// TestSameStory: a seed tells the same story, byte for byte.
func TestSameStory(t *testing.T) {
	for seed := range uint64(40) {
		_, one := Replay(seed)
		_, two := Replay(seed)
		if one != two {
			t.Fatalf("seed %d tells two stories:\n%s", seed, difference(one, two))
		}
	}
}

func difference(a, b string) string {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] {
			return fmt.Sprintf("%s\n--- or ---\n%s", a[max(0, i-300):min(len(a), i+200)], b[max(0, i-300):min(len(b), i+200)])
		}
	}
	return "one ends before the other"
}
