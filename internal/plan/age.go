package plan

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"github.com/glint-infra/glint"
)

// lastMoments says until when each member may stay, by number. Nobody is to be older than max_age, and members that were
// born together must not all go at the same moment: so from the last one's moment backward, each goes at least a gap before
// the next. A gap is half of an even share of max_age: after one turn of the fleet the births stand so far apart that it
// moves nobody any more, and nobody goes before half of its age. It does not depend on how many there are just now, or
// whoever joins in the place of an expired one would make that young again.
//
// Services that were born together are moved against each other, by a gap or a tenth of max_age at most.
func lastMoments(s glint.Service, f glint.Fleet, stack string) map[int]time.Time {
	if s.MaxAge <= 0 {
		return nil
	}
	var all []glint.Member
	for _, m := range f.Members {
		if m.Counts() {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b glint.Member) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.N, b.N)) })
	gap := s.MaxAge.D() / time.Duration(2*max(s.Instances, 1))
	shift := time.Duration(float64(min(gap, s.MaxAge.D()/10)) * fraction(stack+"/"+f.Name))
	moments := make(map[int]time.Time, len(all))
	var next time.Time
	for _, m := range slices.Backward(all) {
		at := m.Created.Add(s.MaxAge.D() - shift)
		if limit := next.Add(-gap); !next.IsZero() && limit.Before(at) {
			at = limit
		}
		if half := m.Created.Add(s.MaxAge.D() / 2); at.Before(half) { // more are there than are wanted
			at = half
		}
		moments[m.N], next = at, at
	}
	return moments
}

// fraction is a number from 0 to 1 that belongs to a name.
func fraction(name string) float64 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return float64(h.Sum32()) / (1 << 32)
}
