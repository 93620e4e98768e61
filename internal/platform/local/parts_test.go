package local_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform/local"
)

func TestInsert(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var spans []local.Span
		in := map[int]bool{}
		for _, n := range rapid.SliceOfN(rapid.IntRange(1, 40), 0, 60).Draw(t, "numbers") {
			spans = local.Insert(spans, n)
			in[n] = true
			for i, s := range spans {
				if s.First > s.Last || i > 0 && spans[i-1].Last+1 >= s.First {
					t.Fatalf("after %d: %v", n, spans)
				}
			}
		}
		for n := 0; n <= 41; n++ {
			if has := slices.ContainsFunc(spans, func(s local.Span) bool { return s.First <= n && n <= s.Last }); has != in[n] {
				t.Fatalf("%d in %v: %v", n, spans, has)
			}
		}
	})
}

func TestNextFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(26, 30).Draw(t, "bits")
		pool := netip.PrefixFrom(netip.MustParseAddr("10.7.0.64"), bits).Masked()
		used := map[netip.Addr]bool{}
		var last netip.Addr
		want := 1<<(32-bits) - 2
		for range want {
			a, ok := local.NextFree(pool, last, used)
			if !ok || used[a] || !pool.Contains(a) || a == pool.Addr() || !pool.Contains(a.Next()) {
				t.Fatalf("%v %v after %v, used %v", a, ok, last, used)
			}
			used[a], last = true, a
		}
		if a, ok := local.NextFree(pool, last, used); ok {
			t.Fatalf("%v of a full pool", a)
		}
		back := last
		for range rapid.IntRange(0, want-1).Draw(t, "back") {
			back = back.Prev()
		}
		delete(used, back)
		if a, ok := local.NextFree(pool, last, used); !ok || a != back {
			t.Fatalf("%v, want the one that came back, %v", a, back)
		}
	})
}

func TestJoinLines(t *testing.T) {
	at := "2026-11-21T04:31:11.109500000+01:00 "
	for _, tt := range []struct {
		raw  []string
		want []string
	}{
		{[]string{at + "stdout F hello world"}, []string{"out:hello world"}},
		{[]string{at + "stderr F "}, []string{"err:"}},
		{[]string{at + "stdout P a", at + "stderr F b", at + "stdout F c"}, []string{"err:b", "out:ac"}},
		{[]string{at + "stdout P a"}, nil},
		{[]string{"", "x", "not a time stdout F x", at + "stdout", at + "other F x"}, nil},
	} {
		if got := local.Joined(tt.raw...); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.raw, got, tt.want)
		}
	}
}

func FuzzJoinLines(f *testing.F) {
	f.Add("2026-11-21T04:31:11.1Z stdout P a\n2026-11-21T04:31:11.1Z stdout F b")
	f.Fuzz(func(t *testing.T, raw string) {
		lines := strings.Split(raw, "\n")
		for _, text := range local.Joined(lines...) {
			if strings.Contains(text, "\n") {
				t.Errorf("%q holds an end of line", text)
			}
		}
	})
}

// guests writes down what a firewall would be told.
type guests struct {
	mu   sync.Mutex
	told []string
	fail error
}

func (g *guests) Join(_ context.Context, id glint.ID, addr netip.Addr, link string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = append(g.told, fmt.Sprintf("join %s %s %v", id.Short(), addr, link != ""))
	return g.fail
}

func (g *guests) Leave(_ context.Context, id glint.ID) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = append(g.told, "leave "+id.Short())
	return nil
}

func (g *guests) heard() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.told)
}

func TestMembers(t *testing.T) {
	l := newLab(t)
	g := &guests{}
	l.cfg.Members = g
	p := l.open()
	s := specOf("web", 1, l.template("serve"))
	s.Held = true
	create(t, p, s)
	in := reach(t, p, s.ID, glint.Held)
	want := []string{"join web.1 " + in.Address + " true"}
	if got := g.heard(); !slices.Equal(got, want) {
		t.Errorf("before the program runs: %q, want %q", got, want)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = l.open()
	want = append(want, want[0])
	if got := g.heard(); !slices.Equal(got, want) {
		t.Errorf("after a restart: %q, want %q", got, want)
	}
	destroy(t, p, s.ID)
	if got := g.heard(); !slices.Equal(got, append(want, "leave web.1")) {
		t.Errorf("after its end: %q", got)
	}
	g.fail = fmt.Errorf("no firewall today")
	open := specOf("web", 2, l.template("serve"))
	create(t, p, open)
	if in := reach(t, p, open.ID, glint.Dead); !strings.Contains(in.Exit.Failure, "no firewall today") || in.Exit.Permanent || !in.Started.IsZero() {
		t.Errorf("a program without a firewall: %+v", in.Exit)
	}
	destroy(t, p, open.ID)
	l.gone(t)
	if err := p.Create(t.Context(), open); err == nil {
		t.Error("a second life")
	}
	if err := p.Destroy(t.Context(), open.ID, time.Second); err != nil {
		t.Error(err)
	}
}
