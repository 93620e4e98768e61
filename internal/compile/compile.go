// Package compile turns a declaration and the digests of its sealed images into a release: canonical, sorted, named by its
// content. It does not read source text, seal images or decide when anything happens.
package compile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/declare"
)

// ScratchSize bounds what one writable folder may hold. What is written counts as memory of the instance, whose limit
// holds as well; half of a small instance's 128MiB leaves its program room.
const ScratchSize = glint.Bytes(64 << 20)

// Release compiles a declaration that Parse accepted. Sealed holds the digest of each of its images, by name. The order of
// the source and its comments leave no trace in the release: the same meaning has the same digest.
// The error wraps glint.ErrInvalid and names every image without a digest.
func Release(d *declare.Declaration, sealed map[string]glint.Digest) (glint.Release, error) {
	r := glint.Release{Format: glint.ReleaseFormat, Stack: d.Stack}
	var errs []error
	for _, i := range d.Images {
		digest := sealed[i.Name]
		if !digest.Valid() {
			errs = append(errs, fmt.Errorf("%w: image %q (%s) is not sealed: digest %q", glint.ErrInvalid, i.Name, i.At, digest))
		}
		r.Images = append(r.Images, glint.Image{Name: i.Name, Digest: digest, From: i.Base})
	}
	for i := range d.Services {
		s, err := service(d, &d.Services[i], sealed)
		r.Services = append(r.Services, s)
		errs = append(errs, err)
	}
	for _, x := range d.Routes {
		r.Routes = append(r.Routes, glint.Route{Host: x.Host, To: x.To})
	}
	for _, x := range d.Allows {
		r.Allows = append(r.Allows, glint.Allow{From: x.From, To: x.To})
	}
	slices.SortFunc(r.Images, func(a, b glint.Image) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(r.Services, func(a, b glint.Service) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(r.Routes, func(a, b glint.Route) int { return strings.Compare(a.Host, b.Host) })
	slices.SortFunc(r.Allows, func(a, b glint.Allow) int {
		return cmp.Or(strings.Compare(a.From, b.From), strings.Compare(a.To.Service, b.To.Service), strings.Compare(a.To.Port, b.To.Port))
	})
	if err := errors.Join(errs...); err != nil {
		return glint.Release{}, fmt.Errorf("compiling stack %s: %w", d.Stack, err)
	}
	return r, nil
}

func service(d *declare.Declaration, s *declare.Service, sealed map[string]glint.Digest) (glint.Service, error) {
	t := glint.Template{
		Image:     sealed[s.Image],
		Ports:     sorted(s.Ports, func(p glint.Port) string { return p.Name }),
		Volumes:   sorted(s.Volumes, func(v glint.Volume) string { return v.Name }),
		Health:    s.Health,
		Resources: s.Resources,
	}
	for _, path := range slices.Sorted(slices.Values(s.Writable)) {
		t.Writable = append(t.Writable, glint.Tmpfs{Path: path, Size: ScratchSize})
	}
	var errs []error
	for _, w := range s.Command {
		text, err := text(d, w)
		t.Command = append(t.Command, text)
		errs = append(errs, err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		text, err := text(d, s.Env[name])
		if t.Env == nil {
			t.Env = map[string]string{}
		}
		t.Env[name] = text
		errs = append(errs, err)
	}
	out := glint.Service{
		Name: s.Name, Template: t, Instances: s.Instances, Min: s.Min, Max: s.Max, Standby: s.Standby, Task: s.Task,
		After: sorted(s.After, strings.Clone), Update: s.Update, MaxAge: s.MaxAge, Ageless: s.Ageless,
	}
	return out, errors.Join(errs...)
}

// sorted returns a sorted copy, nil when empty: an empty list and no list are one and the same release.
func sorted[T any](in []T, name func(T) string) []T {
	if len(in) == 0 {
		return nil
	}
	return slices.SortedFunc(slices.Values(in), func(a, b T) int { return strings.Compare(name(a), name(b)) })
}

// text puts names in the place of references: never an IP address, which would bake where a service is into another.
func text(d *declare.Declaration, words declare.Words) (string, error) {
	var b strings.Builder
	for _, w := range words {
		if w.Ref == nil {
			b.WriteString(w.Text)
			continue
		}
		s, ok := d.Service(w.Ref.To.Service)
		if !ok {
			return "", fmt.Errorf("%w: %s: no service is called %q", glint.ErrInvalid, w.Ref.At, w.Ref.To.Service)
		}
		p, ok := s.Port(w.Ref.To.Port)
		if !ok {
			return "", fmt.Errorf("%w: %s: %s has no port %q", glint.ErrInvalid, w.Ref.At, s.Name, w.Ref.To.Port)
		}
		host, number := glint.ServiceName(d.Stack, s.Name), strconv.Itoa(p.Number)
		switch w.Ref.Part {
		case declare.Host:
			b.WriteString(host)
		case declare.Number:
			b.WriteString(number)
		default:
			b.WriteString(host + ":" + number)
		}
	}
	return b.String(), nil
}
