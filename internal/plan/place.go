package plan

import (
	"cmp"
	"slices"

	"github.com/glint-infra/glint"
)

// A chooser spreads the members of a fleet: over what fails together first, then over places, then by how full they are.
type chooser struct {
	open  []glint.Place
	any   bool // the platform has places to choose from
	zone  map[string]int
	place map[string]int // members of this fleet
	all   map[string]int // members of all fleets
}

func (p *planner) chooser(f glint.Fleet) *chooser {
	c := &chooser{any: len(p.seen.Places) > 0, zone: map[string]int{}, place: map[string]int{}, all: map[string]int{}}
	zones := map[string]string{}
	for _, at := range p.seen.Places {
		zones[at.Name] = at.Zone
		if !at.Closed && !slices.Contains(p.seen.Silent, at.Name) {
			c.open = append(c.open, at)
		}
	}
	if !c.any {
		return c
	}
	for _, other := range p.next.Services {
		for _, m := range other.Members {
			c.all[m.Place]++
		}
	}
	for _, m := range f.Members {
		if m.Stays() && m.Warm.IsZero() {
			c.zone[zones[m.Place]]++
			c.place[m.Place]++
		}
	}
	return c
}

// next chooses a place; false: there are places, and none takes new instances.
func (c *chooser) next() (string, bool) {
	if len(c.open) == 0 {
		return "", !c.any
	}
	best := slices.MinFunc(c.open, func(a, b glint.Place) int {
		return cmp.Or(cmp.Compare(c.zone[a.Zone], c.zone[b.Zone]), cmp.Compare(c.place[a.Name], c.place[b.Name]), cmp.Compare(c.all[a.Name], c.all[b.Name]), cmp.Compare(a.Name, b.Name))
	})
	c.zone[best.Zone]++
	c.place[best.Name]++
	c.all[best.Name]++
	return best.Name, true
}
