package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/charmbracelet/lipgloss"

	"github.com/glint-infra/glint"
)

func (c *cli) json() bool { return c.format == "json" }

// print writes a value as indented JSON, on standard output.
func (c *cli) print(v any) error {
	e := json.NewEncoder(c.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printLine writes a value as one line of JSON.
func (c *cli) printLine(v any) error {
	e := json.NewEncoder(c.Stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// say writes a line to people: to standard error when standard output belongs to a program.
func (c *cli) say(format string, args ...any) {
	fmt.Fprintf(c.talk(), format+"\n", args...)
}

func (c *cli) talk() io.Writer {
	if c.json() {
		return c.Stderr
	}
	return c.Stdout
}

// A mood is how a line looks on a terminal. Elsewhere, and under NO_COLOR, all look the same.
type mood string

const (
	good  mood = "2" // as terminals number colours
	bad   mood = "1"
	aside mood = "8"
)

func (c *cli) paint(m mood, text string) string {
	if c.Getenv("NO_COLOR") != "" {
		return text
	}
	style := lipgloss.NewRenderer(c.talk()).NewStyle().Foreground(lipgloss.Color(m))
	return style.Bold(m != aside).Render(text)
}

// table writes rows under headings, in columns. Rows are cells separated by tabs.
func (c *cli) table(head string, rows []string) error {
	w := tabwriter.NewWriter(c.Stdout, 0, 4, 2, ' ', 0)
	for _, row := range append([]string{head}, rows...) {
		fmt.Fprintln(w, row)
	}
	return w.Flush()
}

// clean makes what an instance has written fit for a terminal: no escapes, no control characters.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// age is a length of time with one unit and as many digits as matter: 41ms, 3.2s, 12m, 5h, 3d.
func age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// seconds is how long a step took: 0.4s, 21.4s, 3m10s.
func seconds(d time.Duration) string {
	if d = max(d, 0); d < 2*time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return glint.Duration(d.Round(time.Second)).String()
}

// plural writes a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// dash stands where there is nothing to say.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
