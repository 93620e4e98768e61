package check

import (
	"errors"
	"fmt"

	"github.com/glint-infra/glint"
)

// Bounds that keep one release from harming the server, not wishes of a user. Measured goals are far below them.
const (
	maxServices  = 10_000
	maxInstances = 100_000
)

// Release reports why a release could never be carried out. It is asked at admission, whoever compiled the release.
func Release(r glint.Release) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.Format != glint.ReleaseFormat {
		bad("release format %d is not %d: use a CLI and a server of the same version", r.Format, glint.ReleaseFormat)
	}
	if !glint.ValidName(r.Stack) {
		bad("stack name %q: want a lower-case letter, then letters, digits and dashes, %d at most", r.Stack, glint.MaxName)
	}
	if len(r.Services) > maxServices {
		bad("%d services, more than %d", len(r.Services), maxServices)
	}
	total, last := 0, ""
	for _, s := range r.Services {
		if !glint.ValidName(s.Name) || s.Name <= last {
			bad("service %q: names must be valid, sorted and unique", s.Name)
		}
		last = s.Name
		total += max(s.Instances, s.Max, 0) + max(s.Standby, 0)
		errs = append(errs, service(s)...)
	}
	if total > maxInstances {
		bad("%d instances, more than %d", total, maxInstances)
	}
	errs = append(errs, references(r)...)
	errs = append(errs, order(r)...)
	return errors.Join(errs...)
}

// references: every route and edge leads to a declared port of the right kind, and every route to something proven.
func references(r glint.Release) (errs []error) {
	target := func(what string, t glint.Target) (glint.Service, glint.Port, bool) {
		s, ok := r.Service(t.Service)
		p, has := s.Template.Port(t.Port)
		if !ok || !has {
			errs = append(errs, fmt.Errorf("%s leads to %s:%s, which is not declared", what, t.Service, t.Port))
		}
		return s, p, ok && has
	}
	hosts := map[string]bool{}
	for _, route := range r.Routes {
		if hosts[route.Host] {
			errs = append(errs, fmt.Errorf("route %s is declared twice", route.Host))
		}
		hosts[route.Host] = true
		s, p, ok := target("route "+route.Host, route.To)
		if ok && p.Protocol != glint.HTTP {
			errs = append(errs, fmt.Errorf("route %s leads to %s:%s, which speaks %s, not http", route.Host, s.Name, p.Name, p.Protocol))
		}
		if ok && s.Template.Health == nil {
			errs = append(errs, fmt.Errorf("route %s leads to %s, which has no health check", route.Host, s.Name))
		}
	}
	for _, a := range r.Allows {
		target("allow from "+a.From, a.To)
		if _, ok := r.Service(a.From); !ok {
			errs = append(errs, fmt.Errorf("allow from %s, which is not declared", a.From))
		}
	}
	return errs
}
