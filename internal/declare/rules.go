package declare

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/declare/language"
)

// rules judges how things fit together. Each rule stays silent about what is already known to be written wrongly.
func (c *checker) rules(d *Declaration) {
	for i := range d.Images {
		c.imageRules(&d.Images[i])
	}
	for i := range d.Services {
		s := &d.Services[i]
		c.mountRules(d, s)
		c.programRules(d, s)
		if s.Task {
			continue
		}
		c.portRules(s)
		c.healthRules(s)
		c.scaleRules(s)
		c.updateRules(s)
		c.exclusiveRules(s)
		c.canaryRules(s)
		c.ageRules(s)
		c.volumeRules(s)
	}
	c.afterRules(d)
	c.routeRules(d)
	c.allowRules(d)
	c.unusedRules(d)
}

func (c *checker) imageRules(i *Image) {
	n := i.node
	if i.Base == "scratch" && len(i.Packages) > 0 {
		c.fail(n.where("packages"), "scratch has no packages", "write from = debian(\"bookworm\")")
	}
	if v := n.get("packages"); v != nil {
		first := map[string]hcl.Range{}
		for _, item := range v.items {
			if before, taken := first[item.text()]; taken {
				c.fail(item.at, fmt.Sprintf("package %q stands here twice", item.text()), "first at %s", c.place(before))
				continue
			}
			first[item.text()] = item.at
		}
	}
	if i.Base == "scratch" && len(i.Copies) == 0 {
		c.fail(n.labelAt, "empty image", "add to it:\n\ncopy {\n  from = \"bin/%s\"\n  to   = \"/%s\"\n}", i.Name, i.Name)
	}
	first := map[string]Range{}
	for k, copied := range i.Copies {
		to := copied.To
		if to == "" || strings.HasSuffix(to, "/") || strings.ContainsAny(copied.From, "*?[") {
			continue // into a folder: others may go there too
		}
		if before, taken := first[to]; taken {
			c.fail(n.blocks["copy"][k].where("to"), fmt.Sprintf("two copies to %q", to), "the other one is at %s", before)
			continue
		}
		first[to] = copied.At
	}
	c.programText(n.get("entrypoint"))
	c.reserved(n.get("env"))
}

// programText refuses a command without a program.
func (c *checker) programText(v *value) {
	if v != nil && len(v.items) > 0 && len(v.items[0].words) == 1 && v.items[0].words[0] == (Word{}) {
		c.fail(v.items[0].at, "no program", "the first text of a command is the program to run")
	}
}

// reserved keeps the names of variables that Glint itself gives to programs.
func (c *checker) reserved(env *value) {
	if env == nil {
		return
	}
	for i, name := range env.keys {
		if strings.HasPrefix(name, "GLINT_") {
			c.fail(env.keysAt[i], fmt.Sprintf("%q is reserved", name), "names that begin with GLINT_ are given by Glint itself")
		}
	}
}

func (c *checker) portRules(s *Service) {
	first := map[int]string{}
	for _, p := range s.Ports {
		if p.Number == 0 {
			continue
		}
		if other, taken := first[p.Number]; taken && other != p.Name {
			c.fail(s.portAt(p.Name), fmt.Sprintf("port number %d is taken", p.Number), "port %q has it; every port needs its own", other)
			continue
		}
		first[p.Number] = p.Name
	}
}

// portAt returns where the number of a port stands.
func (s *Service) portAt(name string) hcl.Range {
	if v := s.node.get("ports"); v != nil {
		for i, key := range v.keys {
			if key == name {
				return v.items[i].at
			}
		}
	}
	for _, b := range s.node.blocks["port"] {
		if b.label == name {
			return b.where("number")
		}
	}
	return s.node.labelAt
}

func (c *checker) healthRules(s *Service) {
	if s.Health == nil {
		return
	}
	c.probePort(s)
	n, h := s.node.one("health"), s.Health
	if n.sound("interval", "timeout") && h.Timeout > h.Interval {
		c.fail(n.where("timeout"), "timeout longer than interval", "at most %s, or a longer interval", h.Interval)
	}
	least := h.Interval * glint.Duration(h.UnreadyAfter)
	if n.sound("interval", "unready_after", "replace_after") && h.ReplaceAfter < least {
		c.fail(n.where("replace_after"), "replaced before it is unready", "at least interval × unready_after: %s", least)
	}
	for _, b := range n.blocks["exec"] {
		c.programText(b.get("command"))
	}
	if v := s.node.get("health"); v != nil && v.call == "exec" {
		c.programText(&v.items[0])
	}
}

// probePort: the port that is asked exists and speaks what it is asked.
func (c *checker) probePort(s *Service) {
	name, at, http := "", s.node.where("health"), s.Health.HTTP != nil
	n := s.node.one("health")
	switch {
	case http:
		name = s.Health.HTTP.Port
		for _, b := range n.blocks["http"] {
			at = b.where("port")
			http = b.sound("port")
		}
	case s.Health.TCP != nil:
		name = s.Health.TCP.Port
		for _, b := range n.blocks["tcp"] {
			at = b.where("port")
		}
	default:
		return
	}
	if v := s.node.get("health"); v != nil {
		at = v.items[len(v.items)-1].at
	}
	if !s.node.sound("ports") || s.Health.TCP != nil && name == "" {
		return
	}
	p, exists := s.Port(name)
	switch {
	case name == "" && http:
		c.whichPort(s, at)
	case name != "" && !exists:
		mend := "add port \"" + name + "\" { number = 8080 }"
		if near := c.nearest(name, portNames(s)); near != "" {
			mend = fmt.Sprintf("did you mean %q?", near)
		}
		c.fail(at, fmt.Sprintf("no port is called %q", name), "%s", mend)
	case http && p.Protocol != glint.HTTP && s.soundPort(name):
		c.fail(at, fmt.Sprintf("port %q speaks %s", name, p.Protocol), "%s", speakHTTP(s, name))
	}
}

// whichPort: a probe that names no port needs a service with exactly one http port.
func (c *checker) whichPort(s *Service, at hcl.Range) {
	var names []string
	for _, p := range s.Ports {
		if p.Protocol == glint.HTTP {
			names = append(names, strconv.Quote(p.Name))
		}
	}
	if len(names) == 0 {
		c.fail(at, "no http port", "add ports = { http = 8080 }, or protocol = \"http\" to the port that speaks it")
		return
	}
	c.fail(at, "which port?", "the service has several http ports; name one: %s", language.Either(names))
}

// speakHTTP says how to make a port speak http.
func speakHTTP(s *Service, name string) string {
	p, _ := s.Port(name)
	return fmt.Sprintf("if it speaks http, write:\n\nport %q {\n  number   = %d\n  protocol = \"http\"\n}", name, p.Number)
}

func (s *Service) soundPort(name string) bool {
	for _, b := range s.node.blocks["port"] {
		if b.label == name {
			return b.sound("protocol")
		}
	}
	return true
}

func portNames(s *Service) []string {
	var names []string
	for _, p := range s.Ports {
		names = append(names, p.Name)
	}
	return names
}
