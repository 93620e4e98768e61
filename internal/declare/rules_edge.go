package declare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glint-infra/glint"
)

func (c *checker) routeRules(d *Declaration) {
	needy := map[string]bool{}
	for _, r := range d.Routes {
		n := r.node
		if strings.HasSuffix("."+r.Host, ".internal") {
			c.fail(n.labelAt, fmt.Sprintf("%q shadows the names of services", r.Host), "services are found under .internal inside the stack; want a name outside of it")
		}
		if r.To.Service == "" {
			continue
		}
		s, _ := d.Service(r.To.Service)
		p, ok := s.Port(r.To.Port)
		if ok && p.Protocol != glint.HTTP && s.soundPort(p.Name) {
			c.fail(n.where("to"), fmt.Sprintf("port %q speaks %s", p.Name, p.Protocol), "a route carries http; %s", speakHTTP(s, p.Name))
		}
		if !s.node.has("health") && len(s.node.blocks["health"]) == 0 && !needy[s.Name] {
			needy[s.Name] = true
			c.fail(s.node.labelAt, "a routed service without a health check",
				"nobody could tell when %s may take requests; add: health = http(\"/healthz\")", s.Name)
		}
		switch none := s.counted() && s.Instances == 0; {
		case none && s.Max == 0:
			c.warn(n.where("to"), "a route to no instances", "service %q has instances = 0: every request gets 503", s.Name)
		case none:
			c.warn(n.where("to"), "a route to no instances", "service %q has min = 0: until more are asked for, every request gets 503", s.Name)
		}
	}
}

// allowRules: what a service is told to reach, it may reach; nothing is allowed twice.
func (c *checker) allowRules(d *Declaration) {
	first := map[glint.Allow]Range{}
	for _, a := range d.Allows {
		edge := glint.Allow{From: a.From, To: a.To}
		if a.From == "" || a.To.Service == "" {
			continue
		}
		if before, taken := first[edge]; taken {
			c.fail(a.node.at, "allowed twice", "first at %s", before)
			continue
		}
		first[edge] = a.At
	}
	for i := range d.Services {
		c.referenceRules(&d.Services[i], first)
	}
}

// referenceRules finds the ports that a service is told of and may not reach.
func (c *checker) referenceRules(s *Service, allowed map[glint.Allow]Range) {
	told := map[glint.Target]bool{}
	look := func(v *value) {
		for i := range v.items {
			for _, w := range v.items[i].words {
				if w.Ref == nil || w.Ref.To.Service == "" || told[w.Ref.To] {
					continue
				}
				to := w.Ref.To
				told[to] = true
				if _, ok := allowed[glint.Allow{From: s.Name, To: to}]; !ok {
					c.fail(v.items[i].at, fmt.Sprintf("%s may not reach port %q of %s", s.Name, to.Port, to.Service),
						"add:\n\nallow {\n  from = %s.%s\n  to   = service.%s.port.%s\n}", s.node.kind, s.Name, to.Service, to.Port)
				}
			}
		}
	}
	for _, name := range []string{"command", "env"} {
		if v := s.node.attrs[name]; v != nil {
			look(v)
		}
	}
}

// unusedRules warns of what is declared and does nothing.
func (c *checker) unusedRules(d *Declaration) {
	for _, i := range d.Images {
		used := slices.ContainsFunc(d.Services, func(s Service) bool { return s.Image == i.Name || s.Image == "" })
		if !used {
			c.warn(i.node.labelAt, fmt.Sprintf("image %q is not used", i.Name), "nothing has image = image.%s", i.Name)
		}
	}
	if len(d.Services) == 0 && len(c.found) == 0 {
		c.warn(top(c.names()[0]), "no service or task is declared", "nothing will run")
	}
}
