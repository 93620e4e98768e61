package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glint-infra/glint"
)

// order: every service comes after others that are declared, and none after itself, be it over others.
func order(r glint.Release) (errs []error) {
	after := make(map[string][]string, len(r.Services))
	for _, s := range r.Services {
		after[s.Name] = s.After
	}
	for _, s := range r.Services {
		last := ""
		for _, name := range s.After {
			if name <= last {
				errs = append(errs, fmt.Errorf("service %s: after must be sorted and unique (%s)", s.Name, name))
			}
			last = name
			if _, declared := after[name]; !declared {
				errs = append(errs, fmt.Errorf("service %s comes after %s, which is not declared", s.Name, name))
			}
		}
	}
	if way := circle(r.Services, after); way != nil {
		errs = append(errs, fmt.Errorf("%s: each comes after the next, and none could ever begin", strings.Join(way, " → ")))
	}
	return errs
}

// circle returns one way that leads back to where it begins, which it names twice; nil if there is none.
func circle(services []glint.Service, after map[string][]string) []string {
	var way []string
	const walking, walked = 1, 2
	state := make(map[string]int, len(after))
	var walk func(string) []string
	walk = func(name string) []string {
		switch state[name] {
		case walked:
			return nil
		case walking:
			return append(way[slices.Index(way, name):], name)
		}
		state[name], way = walking, append(way, name)
		for _, next := range after[name] {
			if found := walk(next); found != nil {
				return found
			}
		}
		state[name], way = walked, way[:len(way)-1]
		return nil
	}
	for _, s := range services {
		if found := walk(s.Name); found != nil {
			return found
		}
	}
	return nil
}
