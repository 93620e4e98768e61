package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/check"
	"github.com/glint-infra/glint/internal/compile"
	"github.com/glint-infra/glint/internal/declare"
	"github.com/glint-infra/glint/internal/image"
)

// checked is what glint check -o json prints.
type checked struct {
	Valid    bool                `json:"valid"`
	Stack    string              `json:"stack,omitempty"`
	Services int                 `json:"services"`
	Tasks    int                 `json:"tasks"`
	Images   int                 `json:"images"`
	Findings declare.Diagnostics `json:"findings"`
}

func (c *cli) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:        "check [DIR]",
		Short:      "Check the declaration; nothing is asked, nothing is started",
		SuggestFor: []string{"validate", "lint", "verify", "test"},
		Long: `Reads glint.hcl and the *.hcl files beside it and says everything that is wrong: what, where, and how to mend it. It
needs no server and no network.

Exit codes: 0 valid (there may be warnings), 2 not valid.
With -o json: {valid, stack, services, tasks, images, findings [{severity, file, line, col, end_col, summary, detail, snippet}]}.`,
		Example: "  glint check\n  glint check deploy/ -o json | jq '.findings[].summary'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				c.dir = args[0]
			}
			d, found, err := c.read()
			if err != nil {
				return err
			}
			if d != nil {
				found = append(found, c.sources(d, declare.Warning)...)
			}
			if c.json() {
				out := checked{Valid: d != nil, Findings: append(declare.Diagnostics{}, found...)}
				if d != nil {
					out.Stack, out.Images = d.Stack, len(d.Images)
					out.Services, out.Tasks = kinds(d)
				}
				if err := c.print(out); err != nil || d != nil {
					return err
				}
				return exit{code: exitInvalid}
			}
			fmt.Fprint(c.Stderr, found.Text())
			if d == nil {
				return exit{code: exitInvalid}
			}
			services, tasks := kinds(d)
			what := plural(services, "service")
			if tasks > 0 {
				what += ", " + plural(tasks, "task")
			}
			c.say("stack %s is valid: %s, %s, %s", d.Stack, what, plural(len(d.Images), "image"), plural(len(d.Routes), "route"))
			return nil
		},
	}
}

// kinds counts what runs on and what runs to its end.
func kinds(d *declare.Declaration) (services, tasks int) {
	for _, s := range d.Services {
		if s.Task {
			tasks++
		}
	}
	return len(d.Services) - tasks, tasks
}

// read reads and checks the declaration. The declaration is nil when something must be mended; the error says that it
// could not even be read.
func (c *cli) read() (*declare.Declaration, declare.Diagnostics, error) {
	files, err := declare.Read(c.path(c.dir))
	if err != nil {
		return nil, nil, exit{exitInvalid, err}
	}
	d, found := declare.Parse(files)
	if d == nil {
		return nil, found, nil
	}
	// What only the compiler or the judge of releases notices is found here too, with digests that stand for the images
	// that are not built yet.
	if _, err := c.compile(d, pretend(d)); err != nil {
		return nil, found, exit{exitInvalid, err}
	}
	return d, found, nil
}

// must reads the declaration for those who need a valid one, and says what is wrong with it.
func (c *cli) must() (*declare.Declaration, error) {
	d, found, err := c.read()
	if err != nil {
		return nil, err
	}
	if d == nil && c.json() {
		if err := c.print(checked{Findings: found}); err != nil {
			return nil, err
		}
		return nil, exit{code: exitInvalid}
	}
	fmt.Fprint(c.Stderr, found.Text())
	if d == nil {
		return nil, exit{code: exitInvalid}
	}
	return d, nil
}

// declaredStack is the name of the stack that is declared here.
func (c *cli) declaredStack() (string, error) {
	files, err := declare.Read(c.path(c.dir))
	if err != nil {
		return "", exit{exitInvalid, err}
	}
	d, found := declare.Parse(files)
	if d == nil {
		return "", fail(exitInvalid, "%s does not say of which stack to speak, for it is not valid (%s); name the stack: --stack NAME", declare.Main, first(summaries(found)))
	}
	return d.Stack, nil
}

func summaries(found declare.Diagnostics) []string {
	var out []string
	for _, d := range found {
		out = append(out, fmt.Sprintf("%s:%d: %s", d.File, d.Line, d.Summary))
	}
	return out
}

// sources finds what is to be copied and cannot be.
func (c *cli) sources(d *declare.Declaration, severity declare.Severity) declare.Diagnostics {
	var found declare.Diagnostics
	for _, i := range d.Images {
		for _, cp := range i.Copies {
			if _, err := image.Pack(io.Discard, c.path(c.dir), copies(cp)); err != nil {
				text := err.Error()
				if e := errors.Unwrap(err); e != nil {
					text = strings.TrimPrefix(e.Error(), glint.ErrInvalid.Error()+": ")
				}
				finding := d.Diagnose(cp.At, fmt.Sprintf("%q cannot be copied", cp.From), text)
				finding.Severity = severity
				found = append(found, finding)
			}
		}
	}
	return found
}

// pretend stands in for the digests of images that are not built yet.
func pretend(d *declare.Declaration) map[string]glint.Digest {
	digests := map[string]glint.Digest{}
	for _, i := range d.Images {
		digests[i.Name] = glint.DigestOf([]byte(i.Name))
	}
	return digests
}

// compile makes a release of a declaration and the digests of its images, and has it judged as the server would.
func (c *cli) compile(d *declare.Declaration, digests map[string]glint.Digest) (glint.Release, error) {
	rel, err := compile.Release(d, digests)
	if err != nil {
		return rel, err
	}
	if err := check.Release(rel); err != nil {
		return rel, fmt.Errorf("%s in %s:\n  %s", declare.Main, c.path(c.dir), strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return rel, nil
}
