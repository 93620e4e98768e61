// Package declare turns source text into a typed declaration; its errors point at line and column and say how to mend.
// It does not read digests, build images or know what runs.
package declare

import (
	"bytes"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/declare/language"
)

// A Declaration is what a person wrote, checked: every reference leads somewhere, every value is in its range, defaults
// are filled in. Things stand in the order of the source.
type Declaration struct {
	Stack    string
	Images   []Image
	Services []Service // and tasks
	Routes   []Route
	Allows   []Allow

	sources *sources
}

// An Image is the recipe of a file system.
type Image struct {
	Name       string
	Base       string   // "scratch" or "debian:bookworm"
	Packages   []string // of the base's distribution
	Copies     []Copy
	Entrypoint []string // argv; empty: the services say it
	Env        map[string]string
	At         Range // its name

	node *node
}

// A Copy takes files of the declaration's folder into an image.
type Copy struct {
	From string // beneath the folder of glint.hcl: a file, a folder or a pattern of path.Match; clean
	To   string // absolute; ending in "/", or for a pattern: the folder to copy into
	Mode uint32 // permissions; 0: 0755 for what may be executed, else 0644
	At   Range  // From in the source, for errors about what is found there
}

// A Service is what should run some number of times, or a task, which runs to its end.
type Service struct {
	Name      string
	Task      bool
	Image     string
	Instances int            // at first, where Max is set
	Min, Max  int            // the numbers of instances that may be asked for; Max 0: none but Instances
	Standby   int            // instances that are held before their program
	After     []string       // services and tasks, as written
	MaxAge    glint.Duration // 0: never
	Ageless   string         // a person's reason for never
	Command   []Words        // argv; empty: the image's entrypoint
	Env       map[string]Words
	Writable  []string // absolute paths
	Ports     []glint.Port
	Health    *glint.Probe // nil: none
	Resources glint.Resources
	Volumes   []glint.Volume
	Update    glint.Update
	At        Range // its name

	node *node
}

// A Route leads requests for a host to a port.
type Route struct {
	Host string
	To   glint.Target
	At   Range // its host

	node *node
}

// An Allow lets one service or task reach a port of another.
type Allow struct {
	From string
	To   glint.Target
	At   Range

	node *node
}

// Words are a text in which references may stand.
type Words []Word

// A Word is a piece of text, or a reference in its place.
type Word struct {
	Text string
	Ref  *Address // nil: Text is meant
}

// An Address refers to a port of a service by the service's stable name.
type Address struct {
	To   glint.Target
	Part Part
	At   Range
}

// A Part says what of an address is meant.
type Part string

// The parts of an address.
const (
	HostPort Part = "address" // cache.shop.internal:6379
	Host     Part = "host"    // cache.shop.internal
	Number   Part = "number"  // 6379
)

// Service returns the named service.
func (d *Declaration) Service(name string) (*Service, bool) {
	for i := range d.Services {
		if d.Services[i].Name == name {
			return &d.Services[i], true
		}
	}
	return nil, false
}

// Port returns the named port.
func (s *Service) Port(name string) (glint.Port, bool) {
	return glint.Template{Ports: s.Ports}.Port(name)
}

// Diagnose makes an error about a place in the declaration's source that was found after Parse, such as a file to be
// copied that does not exist.
func (d *Declaration) Diagnose(at Range, summary, mend string) Diagnostic {
	if d.sources == nil {
		return (&sources{}).diagnostic(Error, at, summary, mend)
	}
	return d.sources.diagnostic(Error, at, summary, mend)
}

// Parse checks a declaration: files by name, as Read collects them. It finds all errors at once; the declaration is nil
// when there is one. Warnings alone do not stand in the way. It reads nothing else, and the same files give the same
// answer.
func Parse(files map[string][]byte) (*Declaration, Diagnostics) {
	s := &sources{files: make(map[string][]byte, len(files))}
	for name, b := range files {
		s.files[name] = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // some editors' byte order mark
	}
	d := parse(s)
	s.found.sort()
	if s.found.HasErrors() {
		return nil, s.found
	}
	return d, s.found
}

func parse(s *sources) *Declaration {
	if len(s.files) == 0 {
		s.fail(top(Main), "nothing is declared", "write one")
		return nil
	}
	bodies := s.bodies()
	if bodies == nil {
		return nil
	}
	c := &checker{sources: s, schema: language.Language(), index: newIndex()}
	for _, b := range bodies {
		c.collect(b)
	}
	root := c.root(bodies)
	d := c.decode(root)
	c.rules(d)
	return d
}

// Format lays a file out in the one way that all declarations share. Text that is not HCL comes back as it was as far
// as possible; it never fails.
func Format(src []byte) []byte { return hclwrite.Format(src) }
