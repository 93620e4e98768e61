package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// A difference is a change, and of a service what exactly differs.
type difference struct {
	change
	Fields []fieldChange `json:"fields,omitempty"`
}

// A fieldChange is one thing that a service says otherwise than before. Values of env are not told: they may be nobody's business.
type fieldChange struct {
	Field    string `json:"field"`
	From     string `json:"from"` // empty: it was not there
	To       string `json:"to"`   // empty: it is there no more
	Replaces bool   `json:"replaces"`
}

// differing is what glint diff -o json prints.
type differing struct {
	Stack   string       `json:"stack"`
	From    string       `json:"from"` // r3
	To      string       `json:"to"`   // r5, or "declaration"
	Same    bool         `json:"same"`
	Changes []difference `json:"changes"`
}

func (c *cli) diffCommand() *cobra.Command {
	var code bool
	cmd := &cobra.Command{
		Use:        "diff [rN [rN]]",
		Short:      "Show how two revisions differ, field by field",
		SuggestFor: []string{"compare", "delta"},
		Long: `Shows what differs between two revisions; with one, between it and the one that is being carried out; with none,
between that one and what is declared here, whose images are built on the way. Nothing is changed. A field marked * is part
of the version: a change of it replaces instances.

Exit codes: 0, also where they differ; with --exit-code 5 where they differ.
With -o json: {stack, from, to, same, changes [{sign, kind, name, text, fields [{field, from, to, replaces}]}]}.`,
		Example: "  glint diff\n  glint diff r3 r5\n  glint diff r3 --exit-code",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := c.differing(cmd.Context(), args)
			if err != nil {
				return err
			}
			if c.json() {
				err = c.print(d)
			} else {
				c.showDiff(d)
			}
			if err == nil && code && !d.Same {
				return exit{code: exitDiffers}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&code, "exit-code", false, "end with 5 where they differ")
	return cmd
}

// differing compares what args name.
func (c *cli) differing(ctx context.Context, args []string) (d differing, err error) {
	numbers := make([]int, 2)
	for i, a := range args {
		if numbers[i], err = parseRevision(a); err != nil {
			return d, err
		}
	}
	remote, err := c.remote()
	if err != nil {
		return d, err
	}
	if d.Stack, err = c.whichStack(ctx, ""); err != nil {
		return d, err
	}
	if len(args) < 2 {
		now, err := carriedNow(ctx, remote, d.Stack)
		if err != nil {
			return d, err
		}
		numbers[len(args)] = now
	}
	var before, after glint.Release
	if numbers[0] > 0 {
		d.From = fmt.Sprintf("r%d", numbers[0])
		if before, err = remote.Release(ctx, d.Stack, numbers[0]); err != nil {
			return d, err
		}
	}
	if len(args) == 0 {
		d.To = "declaration"
		after, err = c.compiled(ctx, remote)
	} else {
		d.To = fmt.Sprintf("r%d", numbers[1])
		after, err = remote.Release(ctx, d.Stack, numbers[1])
	}
	d.Changes = differences(before, after)
	d.Same = len(d.Changes) == 0
	return d, err
}

// carriedNow is the revision that a stack is made to be now; 0: it does not live.
func carriedNow(ctx context.Context, remote *api.Client, stack string) (int, error) {
	st, err := remote.Status(ctx, stack)
	if errors.Is(err, glint.ErrNotFound) {
		return 0, nil
	}
	if st.Target == 0 {
		return st.Revision, err
	}
	return st.Target, err
}

// differences lists how two releases differ, services field by field.
func differences(before, after glint.Release) []difference {
	out := []difference{}
	for _, one := range changes(before, after, hostURL) {
		d := difference{change: one}
		if one.Kind == "service" && one.Sign == "~" {
			a, _ := before.Service(one.Name)
			b, _ := after.Service(one.Name)
			d.Fields = fieldChanges(a, b)
		}
		out = append(out, d)
	}
	return out
}

// fieldChanges compares two services by their encoding, so that no field can be forgotten. What is baked in comes first.
func fieldChanges(a, b glint.Service) []fieldChange {
	was, is := flatten(a), flatten(b)
	all := maps.Clone(was)
	maps.Copy(all, is)
	var out []fieldChange
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if was[name] == is[name] {
			continue
		}
		short, baked := strings.CutPrefix(name, "template.")
		f := fieldChange{Field: short, From: was[name], To: is[name], Replaces: baked}
		if strings.HasPrefix(name, "template.env.") {
			f.From, f.To = hide(was, name), hide(is, name)
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(x, y fieldChange) int {
		if x.Replaces != y.Replaces && x.Replaces {
			return -1
		} else if x.Replaces != y.Replaces {
			return 1
		}
		return 0
	})
	return out
}

func hide(fields map[string]string, name string) string {
	if _, has := fields[name]; has {
		return "(not shown)"
	}
	return ""
}

// flatten writes every field of a service under its path: update.surge, template.ports.http.number.
func flatten(s glint.Service) map[string]string {
	out := map[string]string{}
	b, err := json.Marshal(s)
	var v any
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber() // as it is written
		err = d.Decode(&v)
	}
	if err != nil {
		panic("glint: " + err.Error()) // only for a type that cannot be encoded at all
	}
	flattenInto(out, "", v)
	return out
}

func flattenInto(out map[string]string, path string, v any) {
	under := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			flattenInto(out, under(k), x)
		}
	case []any:
		words := make([]string, len(v))
		for i, x := range v {
			if named, ok := x.(map[string]any); ok {
				flattenInto(out, under(nameIn(named, i)), x)
			}
			words[i] = fmt.Sprint(x)
		}
		if len(v) > 0 {
			if _, named := v[0].(map[string]any); !named {
				out[path] = strings.Join(words, " ")
			}
		}
	case string:
		out[path] = v
		if d := glint.Digest(v); d.Valid() {
			out[path] = d.Short()
		}
	default:
		out[path] = fmt.Sprint(v)
	}
}

// nameIn is what people call an element of a list: its name, its path, or its number.
func nameIn(v map[string]any, i int) string {
	for _, key := range []string{"name", "path"} {
		if s, ok := v[key].(string); ok {
			return s
		}
	}
	return fmt.Sprint(i + 1)
}

// showDiff lists what differs.
func (c *cli) showDiff(d differing) {
	from := dash(d.From)
	if from == "-" {
		from = "nothing"
	}
	if d.Same {
		c.say("%s: %s and %s are the same", d.Stack, from, d.To)
		return
	}
	c.say("%s: %s → %s", d.Stack, from, d.To)
	for _, one := range d.Changes {
		c.sayDifference(one)
	}
}

func (c *cli) sayDifference(one difference) {
	if len(one.Fields) > 0 {
		one.Text = "" // the fields say it
	}
	c.say("%s", c.paint(moodOfSign(one.Sign), clean(one.String())))
	for _, f := range one.Fields {
		mark := " "
		if f.Replaces {
			mark = "*"
		}
		c.say("      %s %-24s %s → %s", mark, clean(f.Field), dash(clean(f.From)), dash(clean(f.To)))
	}
}

func moodOfSign(sign string) mood {
	switch sign {
	case "+":
		return good
	case "-":
		return bad
	}
	return aside
}
