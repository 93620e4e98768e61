package check

import (
	"slices"

	"github.com/glint-infra/glint"
)

// places: where places are listed, nobody is put elsewhere, and many at once are not put in one basket.
func (j *judge) places(c *change) {
	if len(j.seen.Places) == 0 {
		return
	}
	at := make(map[string]glint.Place, len(j.seen.Places))
	for _, p := range j.seen.Places {
		at[p.Name] = p
	}
	zones, made := map[string]int{}, map[string]int{}
	for _, p := range c.members {
		where, listed := at[p.m.Place]
		zones[where.Zone]++
		if p.had || p.m.Place == "" {
			continue
		}
		switch {
		case !listed:
			j.bad("%s.%d: would be put in %q, which is not known", c.is.Name, p.m.N, p.m.Place)
		case where.Closed:
			j.bad("%s.%d: would be put in %q, which is closed", c.is.Name, p.m.N, p.m.Place)
		case slices.Contains(j.seen.Silent, p.m.Place):
			j.bad("%s.%d: would be put in %q, which does not answer", c.is.Name, p.m.N, p.m.Place)
		case p.m.Counts():
			made[where.Zone]++
		}
	}
	j.spread(c, zones, made)
}

// spread: whoever puts one after another where the fewest are never puts two more in one zone than an open one has in all.
func (j *judge) spread(c *change, zones, made map[string]int) {
	for _, p := range j.seen.Places {
		if p.Zone == "" || p.Closed || slices.Contains(j.seen.Silent, p.Name) {
			continue
		}
		for zone, n := range made {
			if zone != "" && zone != p.Zone && n >= zones[p.Zone]+2 {
				j.bad("%s: %d would be put in zone %q, and %d are in %q", c.is.Name, n, zone, zones[p.Zone], p.Zone)
			}
		}
	}
}
