package check_test

import (
	"testing"

	"github.com/glint-infra/glint"
)

func TestPlaces(t *testing.T) {
	// spread is three in three places of two zones, and one more that joins the zone with fewer.
	spread := func() *scene {
		s := still()
		s.seen.Places = []glint.Place{{Name: "a1", Zone: "a"}, {Name: "a2", Zone: "a"}, {Name: "b1", Zone: "b"}}
		for n, place := range []string{"a1", "a2", "b1"} {
			s.each(n+1, func(m *glint.Member) { m.Place = place })
		}
		s.update().Surge = 4
		s.join().Place = "b1"
		return s
	}
	at := func(place string) func(*scene) { return func(s *scene) { s.member(4).Place = place } }
	shut := func(s *scene) { s.seen.Places[2].Closed = true }
	silent := func(s *scene) { s.seen.Silent, s.seen.Complete = []string{"b1"}, false }
	more := func(n int, place string) func(*scene) {
		return func(s *scene) {
			for range n {
				s.join().Place = place
			}
		}
	}
	play(t, spread, []test{
		{"unknown", at("c1"), `web.4: would be put in "c1", which is not known`},
		{"unknown, and none are listed", func(s *scene) { at("c1")(s); s.seen.Places = nil }, ""},
		{"unknown before", func(s *scene) { s.each(1, func(m *glint.Member) { m.Place = "c1" }) }, ""},
		{"anywhere", at(""), ""},
		{"closed", shut, `web.4: would be put in "b1", which is closed`},
		{"another is closed", func(s *scene) { s.seen.Places[0].Closed = true }, ""},
		{"silent", silent, `web.4: would be put in "b1", which does not answer`},

		{"three more there", more(2, "b1"), ""},                                            // 2 and 4: one for each of a, and another
		{"four more there", more(3, "b1"), `4 would be put in zone "b", and 2 are in "a"`}, // 2 and 5
		{"four more there, held", func(s *scene) { more(3, "b1")(s); s.member(7).Held, s.service().Standby = true, 1 }, ""},
		{"four more there, and the other is closed", func(s *scene) {
			more(3, "b1")(s)
			s.seen.Places[0].Closed, s.seen.Places[1].Closed = true, true
		}, ""},
		{"four more there, and half of the other is closed", func(s *scene) { more(3, "b1")(s); s.seen.Places[0].Closed = true }, `4 would be put in zone "b"`},
		{"four more there, and the other is silent", func(s *scene) {
			more(3, "b1")(s)
			s.seen.Silent = []string{"a1", "a2"}
		}, ""},
		{"four more there, and the other is no zone", func(s *scene) {
			more(3, "b1")(s)
			s.seen.Places[0].Zone, s.seen.Places[1].Zone = "", ""
		}, ""},
		{"four more there, which is no zone", func(s *scene) { more(3, "b1")(s); s.seen.Places[2].Zone = "" }, ""},
		{"four more here and there", func(s *scene) { more(2, "b1")(s); more(1, "a1")(s) }, ""},
	})
}
