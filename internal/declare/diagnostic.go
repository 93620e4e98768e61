package declare

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"

	"github.com/glint-infra/glint"
)

// A Severity says whether a finding stands in the way.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // nothing is started
	Warning Severity = "warning" // allowed, and probably not what was meant
)

// A Diagnostic is one finding: what, where, and how to mend it.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line"`    // from 1
	Col      int      `json:"col"`     // from 1, in characters as people count them (grapheme clusters)
	EndCol   int      `json:"end_col"` // the first column after the place, on the same line
	Summary  string   `json:"summary"`
	Detail   string   `json:"detail,omitempty"`  // how to mend it; may have several lines
	Snippet  string   `json:"snippet,omitempty"` // the source line; empty where it is too long to show
}

// Diagnostics are findings, sorted by place.
type Diagnostics []Diagnostic

const (
	maxPrinted = 50   // findings that Text shows; nobody mends more in one go
	maxKept    = 1000 // findings that are kept at all, so that a broken megabyte gives no gigabyte of findings
	maxQuoted  = 80   // bytes of a wrong text that are repeated in a summary
	maxSnippet = 240  // bytes of a source line that is still shown
)

// HasErrors reports whether there is anything that must be mended.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}

// Err returns nil when there are no errors, else an error that wraps glint.ErrInvalid and whose text is Text.
func (ds Diagnostics) Err() error {
	if !ds.HasErrors() {
		return nil
	}
	return invalid{ds}
}

type invalid struct{ found Diagnostics }

func (e invalid) Error() string { return strings.TrimSuffix(e.found.Text(), "\n") }
func (e invalid) Unwrap() error { return glint.ErrInvalid }

// Text renders the findings for people, at most fifty, and a last line that counts them all. It is empty without
// findings.
func (ds Diagnostics) Text() string {
	if len(ds) == 0 {
		return ""
	}
	var b strings.Builder
	errs := 0
	for i, d := range ds {
		if d.Severity == Error {
			errs++
		}
		if i < maxPrinted {
			b.WriteString(d.Text())
		}
	}
	if more := len(ds) - maxPrinted; more > 0 {
		fmt.Fprintf(&b, "… and %d more\n", more)
	}
	switch warnings := len(ds) - errs; {
	case errs == 0:
		fmt.Fprintf(&b, "%s.\n", count(warnings, "warning"))
	case warnings == 0:
		fmt.Fprintf(&b, "%s. Nothing was started.\n", count(errs, "error"))
	default:
		fmt.Fprintf(&b, "%s, %s. Nothing was started.\n", count(errs, "error"), count(warnings, "warning"))
	}
	return b.String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// Text renders one finding for people: place and summary, the source line, and a line of carets with the mend.
func (d Diagnostic) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s: %s\n", printable(d.File), d.Line, d.Col, d.Severity, printable(d.Summary))
	number := strconv.Itoa(d.Line)
	margin := "  " + strings.Repeat(" ", len(number)) + " │"
	mend := strings.Split(d.Detail, "\n")
	if d.Snippet != "" {
		source := printable(d.Snippet)
		fmt.Fprintf(&b, "  %s │ %s\n", number, source)
		before, under := carets(source, d.Col, d.EndCol)
		mend[0] = before + under + " " + mend[0]
	}
	for _, line := range mend {
		if line = strings.TrimRight(margin+" "+printable(line), " "); line != strings.TrimRight(margin, " ") || len(mend) > 1 {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// carets returns what stands before and below columns from to end of a line. Tabs stay tabs, wide characters count twice.
func carets(line string, from, end int) (before, under string) {
	var space strings.Builder
	width, state := 0, -1
	for col := 1; line != "" && col < end; col++ {
		var cluster string
		var w int
		cluster, line, w, state = uniseg.FirstGraphemeClusterInString(line, state)
		switch {
		case col >= from:
			width += max(w, 1)
		case cluster == "\t":
			space.WriteByte('\t')
		default:
			space.WriteString(strings.Repeat(" ", w))
		}
	}
	return space.String(), strings.Repeat("^", max(width, 1))
}

// printable keeps a declaration from playing with the terminal that its errors are shown on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}

func (ds Diagnostics) sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(compareFiles(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}
