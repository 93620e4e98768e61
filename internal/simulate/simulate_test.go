package simulate

import (
	"fmt"
	"testing"
)

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
