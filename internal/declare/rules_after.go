package declare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// A wait is one entry of an after list.
type wait struct {
	from, to int // places in Declaration.Services
	at       hcl.Range
}

// afterRules: nothing waits for itself, be it by a detour, and nothing is waited for twice.
func (c *checker) afterRules(d *Declaration) {
	place := map[string]int{}
	for i := range d.Services {
		place[d.Services[i].Name] = i
	}
	waits := make([][]wait, len(d.Services))
	for i := range d.Services {
		v := d.Services[i].node.attrs["after"]
		if v == nil {
			continue
		}
		first := map[string]hcl.Range{}
		for _, item := range v.items {
			to, known := place[item.service]
			before, taken := first[item.service]
			switch {
			case !item.ok || !known:
			case taken:
				c.fail(item.at, fmt.Sprintf("%q stands here twice", item.service), "first at %s", c.place(before))
			case to == i:
				c.fail(item.at, fmt.Sprintf("%s waits for itself", item.service), "leave it out")
			default:
				first[item.service] = item.at
				waits[i] = append(waits[i], wait{i, to, item.at})
				if s := &d.Services[to]; s.counted() && s.most() == 0 {
					c.warn(item.at, "waiting for no instances", "service %q has instances = 0, and serves nobody", s.Name)
				}
			}
		}
	}
	c.circles(d, waits)
}

// circles walks along what waits for what, depth first and without recursion, for a declaration may be deep. A wait that
// leads back onto the way closes a circle.
func (c *checker) circles(d *Declaration, waits [][]wait) {
	const fresh, onWay, done = 0, 1, 2
	state := make([]int, len(waits))
	next := make([]int, len(waits)) // the wait of each that is looked at next
	for start := range waits {
		if state[start] != fresh {
			continue
		}
		var way []wait
		for at := start; ; {
			state[at] = onWay
			if next[at] == len(waits[at]) {
				state[at] = done
				if len(way) == 0 {
					break
				}
				at, way = way[len(way)-1].from, way[:len(way)-1]
				continue
			}
			w := waits[at][next[at]]
			next[at]++
			switch state[w.to] {
			case fresh:
				way = append(way, w)
				at = w.to
			case onWay:
				i := slices.IndexFunc(way, func(x wait) bool { return x.from == w.to })
				c.circle(d, append(slices.Clone(way[i:]), w))
			}
		}
	}
}

// circle tells the way round, and where each step of it stands.
func (c *checker) circle(d *Declaration, way []wait) {
	names, steps := []string{}, []string{}
	for _, w := range way {
		from, to := d.Services[w.from].Name, d.Services[w.to].Name
		names = append(names, from)
		steps = append(steps, fmt.Sprintf("%s waits for %s at %s", from, to, c.place(w.at)))
	}
	if n := len(way); n > maxListed {
		names = append(names[:maxListed-1], "…", names[n-1])
		steps = append(steps[:maxListed-1], "…", steps[n-1])
	}
	names = append(names, names[0])
	c.fail(way[0].at, "waiting in a circle", "%s: none of them could begin; leave one of these out:\n\n%s",
		strings.Join(names, " → "), strings.Join(steps, "\n"))
}
