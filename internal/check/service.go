package check

import (
	"fmt"

	"github.com/glint-infra/glint"
)

// A reviewer collects what is wrong with one service.
type reviewer struct {
	s    glint.Service
	errs []error
}

func (r *reviewer) bad(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("service %s: "+format, append([]any{r.s.Name}, args...)...))
}

func service(s glint.Service) []error {
	r := &reviewer{s: s}
	r.numbers()
	r.scaling()
	r.strategy()
	r.canary()
	r.age()
	if s.Task {
		r.task()
	}
	r.template()
	return r.errs
}

func (r *reviewer) numbers() {
	s, u := r.s, r.s.Update
	if s.Instances < 0 || u.Surge < 0 || u.Unavailable < 0 || u.Tries < 1 || u.Grace < 0 || u.StartWithin <= 0 {
		r.bad("instances, surge, unavailable and grace must not be negative; tries and start_within must be positive")
	}
	if s.Min < 0 || s.Max < 0 || s.Standby < 0 || u.Canary < 0 || u.Bake < 0 || u.Warm < 0 || s.MaxAge < 0 {
		r.bad("min, max, standby, canary, bake, warm and max_age must not be negative")
	}
}

// most is the number of instances that can ever be wanted.
func (r *reviewer) most() int { return max(r.s.Instances, r.s.Max) }

func (r *reviewer) scaling() {
	s := r.s
	if s.Max == 0 && s.Min != 0 {
		r.bad("has a least number of instances (%d) and no most: want min and max, or neither", s.Min)
	}
	if s.Max > 0 && (s.Instances < s.Min || s.Instances > s.Max) {
		r.bad("instances = %d is not between min = %d and max = %d", s.Instances, s.Min, s.Max)
	}
}

func (r *reviewer) strategy() {
	s, u := r.s, r.s.Update
	switch u.Strategy {
	case glint.Rolling:
		if u.Surge == 0 && u.Unavailable == 0 {
			r.bad("surge and unavailable are both 0: no instance could ever be replaced")
		}
	case glint.Recreate:
	default:
		r.bad("unknown update strategy %q", u.Strategy)
	}
	if s.Template.Exclusive() && (r.most() > 1 || u.Strategy != glint.Recreate) {
		r.bad("has a volume, which one instance holds at a time: want instances = 1 and strategy = \"recreate\"")
	}
	if s.Template.Exclusive() && s.Standby > 0 {
		r.bad("has a volume, which one instance holds at a time: no standby can be made beside it")
	}
	if (u.Strategy == glint.Recreate || s.Template.Exclusive()) && (u.Canary > 0 || u.Warm > 0) {
		r.bad("canary and warm keep two versions side by side, which recreate does not: leave them out")
	}
}

func (r *reviewer) canary() {
	u := r.s.Update
	if u.Canary <= 0 && (u.Manual || u.Bake > 0) {
		r.bad("bake and promote mean nothing without canary = 1 or more")
	}
	if most := r.most(); most > 0 && u.Canary >= most {
		r.bad("canary = %d is not less than the %d instances beside which it proves itself", u.Canary, most)
	}
}

func (r *reviewer) age() {
	s, u := r.s, r.s.Update
	if s.MaxAge > 0 && s.MaxAge <= u.StartWithin+u.Grace {
		r.bad("max_age %s must be longer than start_within and grace together (%s)", s.MaxAge, u.StartWithin+u.Grace)
	}
	if s.MaxAge > 0 && u.Bake > s.MaxAge/2 {
		r.bad("bake %s must be at most half of max_age (%s): its canary would grow too old meanwhile", u.Bake, s.MaxAge/2)
	}
	if s.MaxAge > 0 && u.Warm >= s.MaxAge {
		r.bad("warm %s must be less than max_age (%s): what is kept warm grows old as well", u.Warm, s.MaxAge)
	}
	if s.MaxAge > 0 && s.Ageless != "" {
		r.bad("has a max_age of %s and a reason to have none (%s): want one of them", s.MaxAge, s.Ageless)
	}
}

// task: its one instance runs to its end. Nobody reaches it, and nobody stands in for it.
func (r *reviewer) task() {
	s, u, t := r.s, r.s.Update, r.s.Template
	if s.Instances != 1 || s.Max != 0 {
		r.bad("is a task, of which one instance runs: want instances = 1")
	}
	if len(t.Ports) > 0 || t.Health != nil || len(t.Volumes) > 0 {
		r.bad("is a task, which has no ports, no health check and no volumes")
	}
	if u.Canary > 0 || u.Warm > 0 || s.Standby > 0 || s.MaxAge > 0 || s.Ageless != "" {
		r.bad("is a task, which has no canary, no standby, no max_age and is not kept warm")
	}
}

func (r *reviewer) template() {
	if !r.s.Template.Image.Valid() {
		r.bad("image %q is not a digest", r.s.Template.Image)
	}
	for _, p := range r.s.Template.Ports {
		if p.Number < 1 || p.Number > 65535 || p.Protocol != glint.HTTP && p.Protocol != glint.TCP {
			r.bad("port %s: want a number from 1 to 65535 and protocol http or tcp", p.Name)
		}
	}
}
