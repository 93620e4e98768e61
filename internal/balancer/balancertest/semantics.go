package balancertest

import (
	"slices"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/balancer"
)

// A Subject is a balancer and how to wait for it.
type Subject struct {
	Balancer balancer.Balancer
	// Step lets some time pass; nil: real time.
	Step func()
	// Server returns a server that may be put into routes of service web.
	Server func(t *testing.T, id glint.ID) glint.Server
}

// Semantics holds a balancer to the promises of the door. Each case begins with a stack of its own.
func Semantics(t *testing.T, s Subject) {
	if s.Step == nil {
		s.Step = func() { time.Sleep(20 * time.Millisecond) }
	}
	routes := func(stack string, gen int, ids ...glint.ID) glint.Routes {
		b := glint.Backend{Service: "web", Port: glint.Port{Name: "http", Number: 8080, Protocol: glint.HTTP}}
		for _, id := range ids {
			b.Members = append(b.Members, s.Server(t, id))
		}
		return glint.Routes{Stack: stack, Generation: gen, Services: []glint.Backend{b}}
	}
	id := func(stack string, n int) glint.ID {
		return glint.ID{Stack: stack, Epoch: "e1", Service: "web", N: n}
	}
	t.Run("a published generation is acknowledged", func(t *testing.T) {
		s.publish(t, routes("a", 1, id("a", 1)))
		s.await(t, "a", 1)
		s.publish(t, routes("a", 2, id("a", 2)))
		s.await(t, "a", 2)
	})
	t.Run("the same generation again changes nothing", func(t *testing.T) {
		r := routes("b", 3, id("b", 1))
		s.publish(t, r)
		s.publish(t, r)
		s.await(t, "b", 3)
		s.publish(t, r)
		s.await(t, "b", 3)
	})
	t.Run("an older generation is ignored", func(t *testing.T) {
		s.publish(t, routes("c", 5, id("c", 2)))
		s.await(t, "c", 5)
		s.publish(t, routes("c", 4, id("c", 1)))
		for range 5 {
			s.Step()
			if got := s.acked(t, "c"); got != 5 {
				t.Fatalf("generation %d is in force after 4 was published on top of 5", got)
			}
		}
	})
	t.Run("stacks do not disturb each other", func(t *testing.T) {
		s.publish(t, routes("d", 7, id("d", 1)))
		s.publish(t, routes("e", 1, id("e", 1)))
		s.await(t, "e", 1)
		s.await(t, "d", 7)
		s.publish(t, glint.Routes{Stack: "e", Generation: 2})
		s.await(t, "e", 2)
		s.await(t, "d", 7)
	})
	t.Run("a stack without routes is off the plane, and says so", func(t *testing.T) {
		s.publish(t, routes("f", 1, id("f", 1)))
		s.await(t, "f", 1)
		s.publish(t, glint.Routes{Stack: "f", Generation: 2})
		s.await(t, "f", 2)
	})
	t.Run("what was overtaken does not bring a stack back", func(t *testing.T) {
		s.publish(t, routes("g", 2, id("g", 1)))
		s.await(t, "g", 2)
		s.publish(t, glint.Routes{Stack: "g", Generation: 3})
		s.await(t, "g", 3)
		s.publish(t, routes("g", 1, id("g", 1)))
		for range 5 {
			s.Step()
			if got := s.acked(t, "g"); got != 3 {
				t.Fatalf("generation %d is in force after 1 was published on top of 3", got)
			}
		}
	})
	for _, stack := range []string{"a", "b", "c", "d"} {
		s.publish(t, glint.Routes{Stack: stack, Generation: 99})
		s.await(t, stack, 99)
	}
}

func (s Subject) publish(t *testing.T, r glint.Routes) {
	t.Helper()
	if err := s.Balancer.Publish(t.Context(), r); err != nil {
		t.Fatalf("publishing generation %d of %s: %v", r.Generation, r.Stack, err)
	}
}

func (s Subject) acked(t *testing.T, stack string) int {
	t.Helper()
	st, err := s.Balancer.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return Acked(st, stack)
}

func (s Subject) await(t *testing.T, stack string, gen int) {
	t.Helper()
	got := 0
	for range 1000 {
		if got = s.acked(t, stack); got == gen {
			return
		}
		s.Step()
	}
	t.Fatalf("generation %d of %s never came into force; %d is", gen, stack, got)
}

// Acked returns the generation that all members of the plane have proven; 0: none, or unknown.
func Acked(st glint.BalancerStatus, stack string) int {
	return glint.Observation{Acks: slices.Clone(st.Acks[stack])}.Acked()
}
