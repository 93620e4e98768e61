package toy

import (
	"testing"
	"time"
)

func TestClamp(t *testing.T) {
	if clamp(2) != 2 || clamp(4) != 3 {
		t.Error(clamp(2), clamp(4))
	}
}

func TestDrain(t *testing.T) {
	if n := drain(5); n != 0 {
		t.Error(n)
	}
}

func TestBefore(t *testing.T) {
	if !before(1, 2) {
		t.Error("1 is not before 2")
	}
}

func TestRest(t *testing.T) {
	if first([]int{4}) != 4 || !both(true, true) || both(true, false) || both(false, true) {
		t.Error("first or both")
	}
	if wait(1) != 5*time.Minute || wait(2) != 2*time.Second {
		t.Error("wait")
	}
	if odd([]int{1, 2, 3}) != 5 || countdown() != 6 {
		t.Error("odd or countdown")
	}
}
