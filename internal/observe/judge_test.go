package observe

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
)

var probe = glint.Probe{
	HTTP:     &glint.HTTPProbe{Port: "http", Path: "/healthz"},
	Interval: glint.Duration(time.Second), Timeout: glint.Duration(time.Second),
	ReadyAfter: 2, UnreadyAfter: 3, ReplaceAfter: glint.Duration(10 * time.Second),
}

// TestJudge plays answers, one each second: + good, - bad, ? could not be asked. After each it writes the verdict:
// R ready, r not ready, X to be replaced, in brackets when not known.
func TestJudge(t *testing.T) {
	for _, c := range []struct{ name, answers, want string }{
		{"ready after two", "++", "(r)R"},
		{"one bad answer starts the count again", "+-++", "(r)(r)(r)R"},
		{"a new one is not ready after three", "---", "(r)(r)r"},
		{"two bad answers are forgiven", "++--+--+", "(r)RRRRRRR"},
		{"three are not", "++---", "(r)RRRr"},
		{"ready again after two", "++---++", "(r)RRRrrR"},
		{"replaced after ten seconds", "++-----------", "(r)RRRrrrrrrrrX"},
		{"a good answer takes that back", "++-----------+-", "(r)RRRrrrrrrrrXrr"},
		{"ten seconds on end, not in all", "++------+------", "(r)RRRrrrrrrrrrrr"},
		{"a slow starter is not replaced", "--------------", "(r)(r)rrrrrrrrrrrr"},
		{"no answer counts for nothing", "++-?-?+", "(r)RRRRRR"},
		{"three times no answer is not knowing", "++???", "(r)RRR(R)"},
		{"and the next good answer is knowing", "++???+", "(r)RRR(R)R"},
		{"but one bad answer is not", "++???---", "(r)RRR(R)(R)(R)r"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := play(newJudge(probe, false), c.answers); got != c.want {
				t.Errorf("%s: got %s, want %s", c.answers, got, c.want)
			}
		})
	}
	// A restarted server: it was ready once, so it may be replaced though this judge never saw it ready.
	if got, want := play(newJudge(probe, true), "-----------"), "(r)(r)rrrrrrrrX"; got != want {
		t.Errorf("seen before: got %s, want %s", got, want)
	}
}

func play(j judge, answers string) (out string) {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range answers {
		j.hear(at, answer{kind: map[rune]kind{'+': good, '-': bad, '?': none}[c]})
		at = at.Add(time.Second)
		out += letter(j.health)
	}
	return out
}

func letter(h glint.Health) string {
	s := "r"
	switch {
	case h.Ready:
		s = "R"
	case !h.Live:
		s = "X"
	}
	if !h.Known {
		s = "(" + s + ")"
	}
	return s
}

// TestDamping lets an instance fall again and again, and counts the good answers it needs each time.
func TestDamping(t *testing.T) {
	j, at := newJudge(probe, false), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	hear := func(k kind) {
		j.hear(at, answer{kind: k})
		at = at.Add(time.Second)
	}
	recover := func() (n int) {
		for !j.health.Ready {
			hear(good)
			n++
		}
		return n
	}
	recover()
	for i, want := range []int{2, 2, 4, 8, 16, 32, 64, 64} {
		hear(bad)
		hear(bad)
		hear(bad)
		if got := recover(); got != want {
			t.Fatalf("after fall %d: %d good answers, want %d", i+1, got, want)
		}
	}
	at = at.Add(flapWindow)
	hear(bad)
	hear(bad)
	hear(bad)
	if got := recover(); got != 2 {
		t.Errorf("after five quiet minutes: %d good answers, want 2", got)
	}
}

// A heard is an answer and when it came.
type heard struct {
	at time.Time
	kind
}

// TestJudgeAgainstModel compares each verdict with one that is worked out from the whole history anew.
func TestJudgeAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := withDefaults(glint.Probe{
			ReadyAfter:   rapid.IntRange(0, 4).Draw(t, "ready after"),
			UnreadyAfter: rapid.IntRange(0, 4).Draw(t, "unready after"),
			ReplaceAfter: glint.Duration(rapid.Int64Range(0, 30).Draw(t, "replace after")) * glint.Duration(time.Second),
		})
		seen := rapid.Bool().Draw(t, "seen")
		j, m := newJudge(p, seen), model{probe: p, was: seen, live: true}
		at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		for range rapid.IntRange(1, 60).Draw(t, "runs") {
			k := kind(rapid.SampledFrom([]int{0, 1, 1, 1, 2, 2, 2, 2}).Draw(t, "kind"))
			for range rapid.IntRange(1, 9).Draw(t, "length") {
				at = at.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond)
				before := j.health
				news := j.hear(at, answer{kind: k})
				m.hear(heard{at, k})
				h := j.health
				if h.Known != m.known || h.Ready != m.ready || h.Live != m.live {
					t.Fatalf("got known %t ready %t live %t, want %t %t %t", h.Known, h.Ready, h.Live, m.known, m.ready, m.live)
				}
				if !h.Live && h.Ready {
					t.Fatal("ready, and to be replaced")
				}
				if changed := before.Ready != h.Ready || before.Live != h.Live; changed && (!news || !h.Since.Equal(at)) {
					t.Fatalf("a change at %s was not told: news %t, since %s", at, news, h.Since)
				}
			}
		}
	})
}

// A model says the rules of the package comment as plainly as it can.
type model struct {
	probe              glint.Probe
	was                bool
	known, ready, live bool
	history            []heard
	falls              []time.Time
}

func (m *model) hear(h heard) {
	m.history = append(m.history, h)
	p := m.probe
	goods, _ := m.onEnd(good)
	bads, first := m.onEnd(bad)
	nones, _ := m.onEnd(none)
	recent := 0
	for _, f := range m.falls {
		if h.at.Sub(f) < 5*time.Minute {
			recent++
		}
	}
	need := p.ReadyAfter
	for i := 2; i < recent && i < 7; i++ {
		need *= 2
	}
	switch {
	case h.kind == good && (m.ready || goods >= need):
		m.known, m.ready, m.was, m.live = true, true, true, true
	case h.kind == good:
		m.live = true
	case h.kind == bad && bads >= p.UnreadyAfter:
		if m.ready {
			m.falls = append(m.falls, h.at)
		}
		m.known, m.ready = true, false
		m.live = m.live && !(m.was && p.ReplaceAfter > 0 && h.at.Sub(first) >= p.ReplaceAfter.D())
	case h.kind == none && nones >= p.UnreadyAfter:
		m.known = false
	}
}

// onEnd counts the newest answers that are all of kind k, and says when the first of them came. Tries that brought no
// answer do not come between answers.
func (m *model) onEnd(k kind) (n int, first time.Time) {
	for i := len(m.history) - 1; i >= 0; i-- {
		switch h := m.history[i]; {
		case h.kind == k:
			n, first = n+1, h.at
		case h.kind != none:
			return n, first
		}
	}
	return n, first
}
