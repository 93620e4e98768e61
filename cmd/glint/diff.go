package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/glint-infra/glint"
)

// A change is one line of a plan: what comes (+), goes (-) or becomes different (~).
type change struct {
	Sign string `json:"sign"`
	Kind string `json:"kind"` // image, service, route, allow
	Name string `json:"name"`
	Text string `json:"text"`
}

func (c change) String() string {
	return strings.TrimRight(fmt.Sprintf("  %s %-8s %-14s %s", c.Sign, c.Kind, c.Name, c.Text), " ")
}

// changes lists how two releases differ, as people read it.
func changes(before, after glint.Release, url func(host string) string) []change {
	var out []change
	out = append(out, compare("image", before.Images, after.Images, func(i glint.Image) string { return i.Name }, imageText, imageChange)...)
	out = append(out, compare("service", before.Services, after.Services, func(s glint.Service) string { return s.Name }, serviceText, serviceChange)...)
	out = append(out, compare("route", before.Routes, after.Routes, func(r glint.Route) string { return url(r.Host) }, routeText, func(a, b glint.Route) string {
		return targetText(a.To) + " → " + targetText(b.To)
	})...)
	return append(out, compare("allow", before.Allows, after.Allows, func(a glint.Allow) string { return a.From + " → " + targetText(a.To) }, func(glint.Allow) string { return "" }, nil)...)
}

// compare lists what came, changed and went, by name.
func compare[T any](kind string, before, after []T, name func(T) string, text func(T) string, differs func(a, b T) string) []change {
	old := map[string]T{}
	for _, v := range before {
		old[name(v)] = v
	}
	var out []change
	for _, v := range after {
		n := name(v)
		was, had := old[n]
		delete(old, n)
		switch {
		case !had:
			out = append(out, change{"+", kind, n, text(v)})
		case !reflect.DeepEqual(was, v):
			out = append(out, change{"~", kind, n, differs(was, v)})
		}
	}
	for _, n := range slices.Sorted(maps.Keys(old)) {
		out = append(out, change{"-", kind, n, text(old[n])})
	}
	return out
}

func targetText(t glint.Target) string { return t.Service + ":" + t.Port }

func routeText(r glint.Route) string { return "→ " + targetText(r.To) }

func imageText(i glint.Image) string { return fmt.Sprintf("%s from %s", i.Digest.Short(), i.From) }

func imageChange(a, b glint.Image) string {
	text := fmt.Sprintf("%s → %s", a.Digest.Short(), b.Digest.Short())
	if a.From != b.From {
		text += fmt.Sprintf(" (%s → %s)", a.From, b.From)
	}
	return text
}

func serviceText(s glint.Service) string {
	text := countText(s)
	if s.Standby > 0 {
		text += fmt.Sprintf(", %d on standby", s.Standby)
	}
	for _, v := range s.Template.Volumes {
		text += fmt.Sprintf(", volume %s at %s", v.Name, v.Path)
	}
	if len(s.After) > 0 {
		text += ", after " + strings.Join(s.After, ", ")
	}
	if s.MaxAge > 0 {
		text += fmt.Sprintf(", renewed within %s", ageText(s))
	}
	if s.Ageless != "" {
		text += fmt.Sprintf(", never renewed (%s)", s.Ageless)
	}
	return text
}

// countText says how many instances there are, and how many there may be.
func countText(s glint.Service) string {
	switch {
	case s.Task:
		return fmt.Sprintf("runs once, within %s", s.Update.StartWithin)
	case s.Max > 0:
		return fmt.Sprintf("%d to %s", s.Min, plural(s.Max, "instance"))
	}
	return plural(s.Instances, "instance")
}

// serviceChange says first what replaces instances, then what only changes behaviour.
func serviceChange(a, b glint.Service) string {
	var parts []string
	differs := func(what, x, y string) {
		if x != y {
			parts = append(parts, fmt.Sprintf("%s %s → %s", what, x, y))
		}
	}
	if va, vb := a.Template.Version(), b.Template.Version(); va != vb {
		parts = append(parts, fmt.Sprintf("version %s → %s (%s)", va.Short(), vb.Short(), strings.Join(templateChanges(a.Template, b.Template), ", ")))
	}
	differs("kind", kindText(a), kindText(b))
	differs("instances", rangeText(a), rangeText(b))
	differs("standby", fmt.Sprint(a.Standby), fmt.Sprint(b.Standby))
	differs("after", afterText(a), afterText(b))
	differs("max_age", ageText(a), ageText(b))
	if names := updateChanges(a.Update, b.Update); len(names) > 0 {
		parts = append(parts, "update ("+strings.Join(names, ", ")+")")
	}
	return strings.Join(parts, ", ")
}

func kindText(s glint.Service) string {
	if s.Task {
		return "task"
	}
	return "service"
}

func rangeText(s glint.Service) string {
	if s.Max > 0 {
		return fmt.Sprintf("%d…%d", s.Min, s.Max)
	}
	return fmt.Sprint(s.Instances)
}

func afterText(s glint.Service) string {
	if len(s.After) == 0 {
		return "nothing"
	}
	return strings.Join(s.After, "+")
}

// ageText writes whole days as days, as people do.
func ageText(s glint.Service) string {
	const day = glint.Duration(24 * time.Hour)
	switch {
	case s.Ageless != "":
		return fmt.Sprintf("never (%s)", s.Ageless)
	case s.MaxAge == 0:
		return "never"
	case s.MaxAge%day == 0:
		return fmt.Sprintf("%dd", s.MaxAge/day)
	}
	return s.MaxAge.String()
}

// updateChanges names what of an update differs.
func updateChanges(a, b glint.Update) []string {
	var out []string
	differs := func(name string, x, y any) {
		if x != y {
			out = append(out, fmt.Sprintf("%s %v → %v", name, x, y))
		}
	}
	differs("strategy", a.Strategy, b.Strategy)
	differs("surge", a.Surge, b.Surge)
	differs("unavailable", a.Unavailable, b.Unavailable)
	differs("canary", a.Canary, b.Canary)
	differs("bake", a.Bake, b.Bake)
	differs("promote", promoteText(a), promoteText(b))
	differs("warm", a.Warm, b.Warm)
	differs("start_within", a.StartWithin, b.StartWithin)
	differs("grace", a.Grace, b.Grace)
	differs("tries", a.Tries, b.Tries)
	return out
}

func promoteText(u glint.Update) string {
	if u.Manual {
		return "manual"
	}
	return "auto"
}

// templateChanges names what is baked in and differs; values of env are not shown, they may be nobody's business.
func templateChanges(a, b glint.Template) []string {
	var out []string
	differs := func(name string, x, y any) {
		if !reflect.DeepEqual(x, y) {
			out = append(out, name)
		}
	}
	differs("image", a.Image, b.Image)
	differs("command", a.Command, b.Command)
	differs("ports", a.Ports, b.Ports)
	differs("health", a.Health, b.Health)
	differs("resources", a.Resources, b.Resources)
	differs("volumes", a.Volumes, b.Volumes)
	differs("writable", a.Writable, b.Writable)
	keys := map[string]bool{}
	for k, v := range b.Env {
		if old, had := a.Env[k]; !had || old != v {
			keys[k] = true
		}
	}
	for k := range a.Env {
		if _, has := b.Env[k]; !has {
			keys[k] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		out = append(out, "env "+k)
	}
	return out
}
