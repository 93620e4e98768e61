package declare

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

	"github.com/glint-infra/glint"
)

// most returns how many instances there may be.
func (s *Service) most() int { return max(s.Instances, s.Max) }

// counted reports whether the number of instances is not written wrongly.
func (s *Service) counted() bool {
	for _, b := range s.node.blocks["instances"] {
		if !b.sound("min", "max") || b.get("max") == nil || b.get("min") == nil {
			return false
		}
	}
	return s.node.sound("instances")
}

// manyAt returns where it stands how many instances there may be.
func (s *Service) manyAt() hcl.Range {
	for _, b := range s.node.blocks["instances"] {
		return b.where("max")
	}
	return s.node.where("instances")
}

func (c *checker) scaleRules(s *Service) {
	if s.counted() && s.Max > 0 && s.Max < s.Min {
		c.fail(s.manyAt(), "max below min", "at least %d, or a smaller min", s.Min)
	}
}

func (c *checker) updateRules(s *Service) {
	n, u := s.node.one("update"), s.Update
	switch {
	case !n.sound("strategy", "surge", "unavailable"):
	case u.Strategy == glint.Recreate && u.Surge > 0:
		c.fail(n.where("surge"), "surge with strategy recreate", "recreate takes the old instance away first: leave surge out")
	case u.Strategy == glint.Recreate && u.Unavailable == 0:
		c.fail(n.where("unavailable"), "unavailable = 0 with strategy recreate", "recreate takes the old instance away first: leave unavailable out")
	case u.Strategy == glint.Rolling && u.Surge == 0 && u.Unavailable == 0:
		c.fail(n.where("surge"), "surge and unavailable are both 0", "no instance could ever be replaced: surge = 1, or unavailable = 1")
	case u.Strategy == glint.Rolling && s.counted() && s.Instances > 0 && u.Unavailable > s.most():
		c.fail(n.where("unavailable"), "unavailable beyond instances", "at most %d", s.most())
	}
}

// exclusiveRules: what needs two versions, or two instances, side by side does not go where only one may be.
func (c *checker) exclusiveRules(s *Service) {
	n := s.node.one("update")
	if s.Update.Strategy != glint.Recreate && len(s.Volumes) == 0 || !n.sound("strategy") {
		return
	}
	with, why := "strategy recreate", "recreate takes the old instance away before the new one comes"
	if len(s.Volumes) > 0 {
		with, why = "a volume", fmt.Sprintf("only one instance may hold volume %q at a time", s.Volumes[0].Name)
	}
	for _, word := range []struct {
		name string
		in   *node
	}{{"standby", s.node}, {"canary", n}, {"warm", n}} {
		if v := word.in.get(word.name); v != nil && v.number > 0 {
			c.fail(v.at, word.name+" with "+with, "%s: leave %s out", why, word.name)
		}
	}
}

func (c *checker) canaryRules(s *Service) {
	n, u := s.node.one("update"), s.Update
	if !n.sound("canary") {
		return
	}
	if u.Canary == 0 {
		for _, name := range []string{"bake", "promote"} {
			if v := n.get(name); v != nil {
				c.fail(v.at, name+" without a canary", "add canary = 1, or leave %s out", name)
			}
		}
		return
	}
	if most := s.most(); s.counted() && most > 0 && u.Canary >= most && u.Strategy != glint.Recreate && len(s.Volumes) == 0 {
		mend := fmt.Sprintf("at most %d of %d, so that others serve beside it", most-1, most)
		if most == 1 {
			mend = "with one instance none would serve beside it: instances = 2, or leave canary out"
		}
		c.fail(n.where("canary"), "canary not below instances", "%s", mend)
	}
	if half := s.MaxAge / 2; s.node.sound("max_age") && n.sound("bake") && s.MaxAge > 0 && u.Bake > half {
		mend := fmt.Sprintf("at most half of max_age, %s: the canary grows old while it bakes", half)
		if n.has("bake") {
			c.fail(n.where("bake"), "bake too long", "%s", mend)
		} else {
			c.fail(n.where("canary"), "bake too long", "it is %s if nothing is said; %s", u.Bake, mend)
		}
	}
}

func (c *checker) ageRules(s *Service) {
	n, u := s.node.one("update"), s.Update
	if !s.node.sound("max_age") || s.MaxAge == 0 {
		return
	}
	both := u.StartWithin + u.Grace
	if n.sound("start_within", "grace") && s.MaxAge <= both {
		c.fail(s.node.where("max_age"), "max_age too short",
			"longer than update.start_within and update.grace together (%s + %s = %s), or shorten those", u.StartWithin, u.Grace, both)
	}
	if v := n.get("warm"); v != nil && u.Warm >= s.MaxAge {
		c.fail(v.at, "warm not below max_age", "what is kept warm grows old as well: less than %s", s.MaxAge)
	}
}
