package declare

import (
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/declare/language"
)

// decode turns checked blocks into a declaration and fills in the defaults that depend on other values.
func (c *checker) decode(root *node) *Declaration {
	d := &Declaration{sources: c.sources}
	for _, n := range root.blocks["stack"] {
		d.Stack = n.label
	}
	for _, n := range root.blocks["image"] {
		d.Images = append(d.Images, c.image(n))
	}
	for _, n := range root.blocks["service"] {
		d.Services = append(d.Services, c.service(n))
	}
	for _, n := range root.blocks["task"] {
		d.Services = append(d.Services, c.task(n))
	}
	for _, n := range root.blocks["route"] {
		r := Route{Host: n.label, At: c.place(n.labelAt), node: n}
		if v := n.get("to"); v != nil {
			r.To = glint.Target{Service: v.service, Port: v.name}
		}
		d.Routes = append(d.Routes, r)
	}
	for _, n := range root.blocks["allow"] {
		a := Allow{At: c.place(n.at), node: n}
		if v := n.get("from"); v != nil {
			a.From = v.service
		}
		if v := n.get("to"); v != nil {
			a.To = glint.Target{Service: v.service, Port: v.name}
		}
		d.Allows = append(d.Allows, a)
	}
	return d
}

func (c *checker) image(n *node) Image {
	i := Image{Name: n.label, At: c.place(n.labelAt), Env: map[string]string{}, node: n}
	if v := n.get("from"); v != nil {
		i.Base = v.text()
		if v.call != "" {
			i.Base = v.call + ":" + v.items[0].text()
		}
	}
	if v := n.get("packages"); v != nil {
		i.Packages = v.texts()
	}
	if v := n.get("entrypoint"); v != nil {
		i.Entrypoint = v.texts()
	}
	if v := n.get("env"); v != nil {
		for k, name := range v.keys {
			i.Env[name] = v.items[k].text()
		}
	}
	for _, b := range n.blocks["copy"] {
		mode, _ := strconv.ParseUint(b.text("mode"), 8, 32) // its form was checked; none means 0
		copied := Copy{To: b.text("to"), Mode: uint32(mode), At: c.place(b.where("from"))}
		if from := b.text("from"); from != "" {
			copied.From = path.Clean(from)
		}
		i.Copies = append(i.Copies, copied)
	}
	return i
}

// program reads what services and tasks have in common.
func (c *checker) program(n *node) Service {
	s := Service{Name: n.label, At: c.place(n.labelAt), node: n, Env: map[string]Words{}}
	if v := n.get("image"); v != nil {
		s.Image = v.name
	}
	if v := n.get("command"); v != nil {
		for _, item := range v.items {
			s.Command = append(s.Command, item.words)
		}
	}
	if v := n.get("env"); v != nil {
		for i, name := range v.keys {
			s.Env[name] = v.items[i].words
		}
	}
	if v := n.get("writable"); v != nil {
		s.Writable = v.texts()
	}
	if v := n.get("after"); v != nil {
		for _, item := range v.items {
			s.After = append(s.After, item.service)
		}
	}
	r := n.one("resources")
	s.Resources = glint.Resources{Memory: glint.Bytes(r.number("memory")), CPU: glint.CPU(r.number("cpu")), Pids: int(r.number("pids"))}
	return s
}

func (c *checker) service(n *node) Service {
	s := c.program(n)
	s.Instances = int(n.number("instances"))
	for _, b := range n.blocks["instances"] {
		s.Min, s.Max = int(b.number("min")), int(b.number("max"))
		s.Instances = s.Min
	}
	s.Standby = int(n.number("standby"))
	s.Ports = ports(n)
	s.Health = health(n, s.Ports)
	for _, b := range n.blocks["volume"] {
		s.Volumes = append(s.Volumes, glint.Volume{Name: b.label, Path: b.text("path"), Size: glint.Bytes(b.number("size"))})
	}
	switch v := n.get("max_age"); {
	case v != nil && v.call != "":
		s.Ageless = v.items[0].text()
	case v != nil || len(s.Volumes) == 0:
		s.MaxAge = glint.Duration(n.number("max_age"))
	}
	s.Update = update(n.one("update"), len(s.Volumes) > 0)
	return s
}

// task: one instance, and never a second beside it, because its work may not bear to be done twice at a time.
func (c *checker) task(n *node) Service {
	s := c.program(n)
	s.Task, s.Instances = true, 1
	s.Update = glint.Update{
		Strategy: glint.Recreate, Unavailable: 1,
		StartWithin: glint.Duration(n.number("timeout")), Grace: glint.Duration(n.number("grace")), Tries: int(n.number("tries")),
	}
	return s
}

func ports(n *node) []glint.Port {
	var all []glint.Port
	if v := n.get("ports"); v != nil {
		for i, name := range v.keys {
			all = append(all, glint.Port{Name: name, Number: int(v.items[i].number), Protocol: spoken(name)})
		}
	}
	for _, b := range n.blocks["port"] {
		p := glint.Port{Name: b.label, Number: int(b.number("number")), Protocol: glint.Protocol(b.text("protocol"))}
		if p.Protocol == "" {
			p.Protocol = spoken(p.Name)
		}
		all = append(all, p)
	}
	return all
}

// spoken is what a port carries when nothing is said: its name tells.
func spoken(name string) glint.Protocol {
	if name == "http" || strings.HasPrefix(name, "http-") {
		return glint.HTTP
	}
	return glint.TCP
}

// Defaults of a probe that depend on its interval; the schema says so in words.
const (
	answerWithin = glint.Duration(time.Second)
	replaceAfter = glint.Duration(30 * time.Second)
)

func health(n *node, ports []glint.Port) *glint.Probe {
	v, b := n.get("health"), n.one("health")
	if v == nil && len(n.blocks["health"]) == 0 {
		return nil
	}
	p := &glint.Probe{
		Interval: glint.Duration(b.number("interval")), Timeout: glint.Duration(b.number("timeout")),
		ReadyAfter: int(b.number("ready_after")), UnreadyAfter: int(b.number("unready_after")),
		ReplaceAfter: glint.Duration(b.number("replace_after")),
	}
	if p.Timeout == 0 {
		p.Timeout = min(answerWithin, p.Interval)
	}
	if p.ReplaceAfter == 0 {
		p.ReplaceAfter = max(replaceAfter, p.Interval*glint.Duration(p.UnreadyAfter))
	}
	if v != nil {
		called(p, v)
	}
	for _, x := range b.blocks["http"] {
		p.HTTP = &glint.HTTPProbe{Port: x.text("port"), Path: x.text("path")}
	}
	for _, x := range b.blocks["tcp"] {
		p.TCP = &glint.TCPProbe{Port: x.text("port")}
	}
	for _, x := range b.blocks["exec"] {
		p.Exec = &glint.ExecProbe{}
		if command := x.get("command"); command != nil {
			p.Exec.Command = command.texts()
		}
	}
	if p.HTTP != nil && p.HTTP.Port == "" {
		p.HTTP.Port = onlyHTTP(ports)
	}
	return p
}

// called fills in what the short form says: http("/healthz").
func called(p *glint.Probe, v *value) {
	switch v.call {
	case "http":
		p.HTTP = &glint.HTTPProbe{Path: v.items[0].text()}
		if len(v.items) > 1 {
			p.HTTP.Port = v.items[1].text()
		}
	case "tcp":
		p.TCP = &glint.TCPProbe{Port: v.items[0].text()}
	case "exec":
		p.Exec = &glint.ExecProbe{Command: v.items[0].texts()}
	}
}

// onlyHTTP returns the name of the only http port, or "".
func onlyHTTP(ports []glint.Port) string {
	name := ""
	for _, p := range ports {
		if p.Protocol != glint.HTTP {
			continue
		}
		if name != "" {
			return ""
		}
		name = p.Name
	}
	return name
}

func update(n *node, exclusive bool) glint.Update {
	u := glint.Update{
		Strategy: glint.Strategy(n.text("strategy")),
		Surge:    int(n.number("surge")), Unavailable: int(n.number("unavailable")),
		StartWithin: glint.Duration(n.number("start_within")), Grace: glint.Duration(n.number("grace")),
		Tries: int(n.number("tries")), Canary: int(n.number("canary")), Warm: glint.Duration(n.number("warm")),
	}
	if u.Canary > 0 { // without one these say nothing, and must leave no trace in the release
		u.Bake, u.Manual = glint.Duration(n.number("bake")), n.text("promote") == language.PromoteManual
	}
	if u.Strategy == "" {
		u.Strategy = glint.Rolling
		if exclusive {
			u.Strategy = glint.Recreate
		}
	}
	if u.Strategy == glint.Recreate { // nothing runs beside the old one, which is missing meanwhile
		if !n.has("surge") {
			u.Surge = 0
		}
		if !n.has("unavailable") {
			u.Unavailable = 1
		}
	}
	return u
}
