package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// A report is what is printed.
type report struct {
	Packages []count   `json:"packages"`
	Total    count     `json:"total"`
	KilledBy []killer  `json:"killed_by"`
	Mutants  []outcome `json:"mutants"`
	Stale    []string  `json:"stale"` // known survivors that are killed, or are not there
	Seed     uint64    `json:"seed"`
	Prepared float64   `json:"prepared_seconds"`
	Tried    float64   `json:"tried_seconds"`
}

// A count is of the mutants that were tried, and of those that were skipped. Percent is of killed and survived.
type count struct {
	Package    string  `json:"package"`
	Tried      int     `json:"tried"`
	Killed     int     `json:"killed"`
	Hung       int     `json:"hung"` // of the killed
	Survived   int     `json:"survived"`
	NotReached int     `json:"not_reached"` // of those that survived
	Reasoned   int     `json:"reasoned"`    // of those that survived
	Skipped    int     `json:"skipped"`
	Percent    float64 `json:"percent"`
}

// A killer is a package and how many mutants its tests killed.
type killer struct {
	Tests  string `json:"tests"`
	Killed int    `json:"killed"`
}

// An outcome is one mutant as it is told of.
type outcome struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Source  string `json:"source"`
	Key     string `json:"key"`
	Fate    fate   `json:"fate"`
	Because string `json:"because,omitempty"` // why it was skipped, which tests killed it, or why it may live
}

func summarize(pkgs []*pkg, chosen []*mutant, known map[string]string) report {
	r := report{Total: count{Package: "total"}}
	alive, by, at := map[string]bool{}, map[string]int{}, map[*pkg]int{}
	for i, p := range pkgs {
		at[p] = i
		r.Packages = append(r.Packages, count{Package: p.short()})
		for _, m := range p.mutants {
			alive[m.key()] = true
		}
	}
	for _, m := range chosen {
		if m.fate == "" {
			continue // it was interrupted before
		}
		reason := known[m.key()]
		r.Packages[at[m.pkg]].add(m.fate, reason)
		r.Total.add(m.fate, reason)
		switch m.fate {
		case killed, hung:
			by[m.because]++
			alive[m.key()] = false
		case survived, notReached:
			m.because = reason
		}
		line := strings.Split(string(m.file.source), "\n")[m.line-1]
		r.Mutants = append(r.Mutants, outcome{m.file.name, m.line, strings.TrimSpace(line), m.key(), m.fate, m.because})
	}
	for path, n := range by {
		r.KilledBy = append(r.KilledBy, killer{path, n})
	}
	slices.SortFunc(r.KilledBy, func(a, b killer) int { return cmp.Or(cmp.Compare(b.Killed, a.Killed), cmp.Compare(a.Tests, b.Tests)) })
	for key := range known {
		path, _, _ := strings.Cut(key, " ")
		if slices.ContainsFunc(pkgs, func(p *pkg) bool { return p.short() == path }) && !alive[key] {
			r.Stale = append(r.Stale, key)
		}
	}
	slices.Sort(r.Stale)
	return r
}

func (c *count) add(f fate, reason string) {
	switch f {
	case skipped:
		c.Skipped++
		return
	case hung:
		c.Hung++
		c.Killed++
	case killed:
		c.Killed++
	case notReached:
		c.NotReached++
		c.Survived++
	case survived:
		c.Survived++
	}
	if reason != "" && f != killed && f != hung {
		c.Reasoned++
	}
	c.Tried++
	c.Percent = 100 * float64(c.Killed) / float64(c.Tried)
}

func (r report) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// table prints each survivor with its key, which can be copied into the file of known ones.
func (r report) table(w io.Writer) error {
	for _, m := range r.Mutants {
		switch m.Fate {
		case survived, notReached:
			fmt.Fprintf(w, "%s:%d: %s: %s\n    %s\n", m.File, m.Line, m.Fate, m.Source, m.Key)
			if m.Because != "" {
				fmt.Fprintf(w, "    %s\n", m.Because)
			}
		case skipped:
			fmt.Fprintf(w, "%s:%d: skipped, %s: %s\n    %s\n", m.File, m.Line, m.Because, m.Source, m.Key)
		}
	}
	for _, s := range r.Stale {
		fmt.Fprintf(w, "no survivor any more: %s\n", s)
	}
	return r.counts(w)
}

func (r report) counts(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nPACKAGE\tTRIED\tKILLED\tHUNG\tSURVIVED\tNOT REACHED\tWITH REASON\tSKIPPED\tKILLED %")
	for _, c := range append(slices.Clone(r.Packages), r.Total) {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\n", c.Package, c.Tried, c.Killed, c.Hung, c.Survived, c.NotReached, c.Reasoned, c.Skipped, c.Percent)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, k := range r.KilledBy {
		fmt.Fprintf(w, "%d killed by the tests of %s\n", k.Killed, k.Tests)
	}
	_, err := fmt.Fprintf(w, "prepared in %.0f s, tried in %.0f s; seed %d\n", r.Prepared, r.Tried, r.Seed)
	return err
}
