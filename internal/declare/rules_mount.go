package declare

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/glint-infra/glint"
)

// volumeRules: only one instance may hold a volume.
func (c *checker) volumeRules(s *Service) {
	if len(s.Volumes) == 0 {
		return
	}
	if s.counted() && s.most() > 1 {
		c.fail(s.manyAt(), fmt.Sprintf("%d instances and a volume", s.most()),
			"only one instance may hold volume %q at a time, or two would write over each other: instances = 1", s.Volumes[0].Name)
	}
	n := s.node.one("update")
	if n.sound("strategy") && s.Update.Strategy != glint.Recreate {
		c.fail(n.where("strategy"), "strategy rolling and a volume",
			"a new instance cannot hold volume %q before the old one is gone: strategy = \"recreate\"", s.Volumes[0].Name)
	}
}

// A mount is a place in an instance that is not its image's.
type mount struct {
	path string
	what string
	at   hcl.Range
}

// kernels are the file systems that every instance has from the kernel (OCI runtime specification, "Default Filesystems").
var kernels = []string{"/proc", "/sys", "/dev"}

func (s *Service) mounts() []mount {
	var all []mount
	for _, b := range s.node.blocks["volume"] {
		if b.get("path") != nil {
			all = append(all, mount{b.text("path"), fmt.Sprintf("volume %q", b.label), b.where("path")})
		}
	}
	if v := s.node.get("writable"); v != nil {
		for _, item := range v.items {
			all = append(all, mount{item.text(), "writable", item.at})
		}
	}
	return all
}

func (c *checker) mountRules(d *Declaration, s *Service) {
	all := s.mounts()
	for i, m := range all {
		for _, k := range kernels {
			if within(m.path, k) {
				c.fail(m.at, fmt.Sprintf("%s belongs to the kernel", k), "want another place")
			}
		}
		for _, o := range all[:i] {
			if m.path == o.path {
				c.fail(m.at, fmt.Sprintf("%s is taken", m.path), "by %s at %s", o.what, c.place(o.at))
			} else if within(m.path, o.path) || within(o.path, m.path) {
				c.fail(m.at, fmt.Sprintf("%s and %s lie in each other", m.path, o.path), "%s is %s at %s: one would hide the other", o.path, o.what, c.place(o.at))
			}
		}
		c.hidden(d, s, m)
	}
}

// hidden warns of files that an image brings and a mount covers.
func (c *checker) hidden(d *Declaration, s *Service, m mount) {
	i := slices.IndexFunc(d.Images, func(i Image) bool { return i.Name == s.Image })
	if i < 0 {
		return
	}
	for _, copied := range d.Images[i].Copies {
		if copied.To != "" && within(path.Clean(copied.To), m.path) {
			c.warn(m.at, fmt.Sprintf("%s hides %s", m.path, copied.To), "which image %q copies there at %s", s.Image, copied.At)
			return
		}
	}
}

// within reports whether path p is dir or lies beneath it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// programRules: there is something to run, and its variables are its own.
func (c *checker) programRules(d *Declaration, s *Service) {
	c.programText(s.node.get("command"))
	c.reserved(s.node.get("env"))
	i := slices.IndexFunc(d.Images, func(i Image) bool { return i.Name == s.Image })
	if i >= 0 && !s.node.has("command") && !d.Images[i].node.has("entrypoint") {
		c.fail(s.node.labelAt, "nothing to run", "add command = [\"/%s\"], or an entrypoint to image %q", s.Name, s.Image)
	}
}
