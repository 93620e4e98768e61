package declare

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/rivo/uniseg"
)

// Bounds of what is read, far above what people write, so that no input can exhaust the reader: the parser is
// recursive, and Go's stack is not endless.
const (
	MaxFile  = 1 << 20 // bytes of one file
	MaxFiles = 100     // files of one declaration

	maxNesting = 50   // brackets, braces, parentheses and ${ inside each other
	maxSigns   = 16   // signs - and ! in a row
	maxLines   = 2000 // of one text that spans lines; the parser's work grows with their square
	maxTricks  = 1000 // each of ?, * and %{ in one file; the parser is recursive in these too
)

// A Range is a place in the source, on one line.
type Range struct {
	File   string `json:"file"`
	Line   int    `json:"line"`    // from 1; 0: nowhere
	Col    int    `json:"col"`     // from 1, in grapheme clusters
	EndCol int    `json:"end_col"` // the first column after it; that of the line's end when it goes on
}

// String writes FILE:LINE:COL.
func (r Range) String() string { return fmt.Sprintf("%s:%d:%d", r.File, r.Line, r.Col) }

// sources are files by name, and what was found wrong with them.
type sources struct {
	files map[string][]byte
	found Diagnostics
}

func (s *sources) fail(at hcl.Range, summary, mend string, args ...any) {
	s.add(Error, at, summary, fmt.Sprintf(mend, args...))
}

func (s *sources) warn(at hcl.Range, summary, mend string, args ...any) {
	s.add(Warning, at, summary, fmt.Sprintf(mend, args...))
}

func (s *sources) add(severity Severity, at hcl.Range, summary, mend string) {
	if len(s.found) < maxKept {
		s.found = append(s.found, s.diagnostic(severity, s.place(at), summary, mend))
	}
}

func (s *sources) diagnostic(severity Severity, at Range, summary, mend string) Diagnostic {
	d := Diagnostic{Severity: severity, File: at.File, Line: at.Line, Col: at.Col, EndCol: at.EndCol, Summary: summary, Detail: mend}
	if text := s.line(at.File, at.Line); len(text) <= maxSnippet {
		d.Snippet = strings.ToValidUTF8(text, string(utf8.RuneError))
	}
	return d
}

// place brings a range onto one line.
func (s *sources) place(at hcl.Range) Range {
	r := Range{File: at.Filename, Line: max(at.Start.Line, 1), Col: max(at.Start.Column, 1)}
	r.EndCol = at.End.Column
	if at.End.Line != at.Start.Line {
		rest, _, _ := bytes.Cut(s.files[at.Filename][min(at.Start.Byte, len(s.files[at.Filename])):], []byte("\n"))
		r.EndCol = r.Col + uniseg.GraphemeClusterCount(string(bytes.TrimRight(rest, " \t\r")))
	}
	r.EndCol = max(r.EndCol, r.Col+1)
	return r
}

// line returns a line of a file, without its end.
func (s *sources) line(file string, n int) string {
	b := s.files[file]
	for ; n > 1; n-- {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return ""
		}
		b = b[i+1:]
	}
	b, _, _ = bytes.Cut(b, []byte("\n"))
	return string(bytes.TrimRight(b, "\r"))
}

// compareFiles puts glint.hcl before all others.
func compareFiles(a, b string) int {
	if (a == Main) != (b == Main) {
		if a == Main {
			return -1
		}
		return 1
	}
	return cmp.Compare(a, b)
}

func (s *sources) names() []string {
	names := make([]string, 0, len(s.files))
	for name := range s.files {
		names = append(names, name)
	}
	slices.SortFunc(names, compareFiles)
	return names
}

// bodies parses all files. It returns nil when a file cannot be understood as a whole: what it seems to lack may be
// in the part that could not be read.
func (s *sources) bodies() []*hclsyntax.Body {
	var all []*hclsyntax.Body
	names := s.names()
	if len(names) > MaxFiles {
		s.fail(top(names[0]), "too many files", "%d files; a declaration has at most %d", len(names), MaxFiles)
		return nil
	}
	broken := false
	for _, name := range names {
		body := s.body(name)
		broken = broken || body == nil
		all = append(all, body)
	}
	if broken {
		return nil
	}
	return all
}

func top(file string) hcl.Range {
	return hcl.Range{Filename: file, Start: hcl.InitialPos, End: hcl.InitialPos}
}

func (s *sources) body(name string) *hclsyntax.Body {
	src := s.files[name]
	if len(src) > MaxFile {
		s.fail(top(name), "file too large", "%d bytes; a file has at most %d: split it, all *.hcl of the folder are read", len(src), MaxFile)
		return nil
	}
	if !s.bounded(name, src) {
		return nil
	}
	file, found := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	body, ok := file.Body.(*hclsyntax.Body)
	for _, d := range found {
		at := top(name)
		if d.Subject != nil {
			at = *d.Subject
		}
		ok = ok && d.Summary == "Attribute redefined" // the one finding after which the rest still means what it says
		s.fail(at, lowerFirst(d.Summary), "%s", foreign.ReplaceAllString(d.Detail, "$1:$2"))
	}
	if !ok {
		return nil
	}
	return body
}

// foreign is how the parser writes a place: 14,3-12.
var foreign = regexp.MustCompile(`\b([0-9]+),([0-9]+)-[0-9,]+`)

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// bounded refuses what the recursive parser could drown in.
func (s *sources) bounded(name string, src []byte) bool {
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos) // the parser reports what is wrong with them
	depth, signs, lines, tricks := 0, 0, 0, map[hclsyntax.TokenType]int{}
	for _, t := range tokens {
		sign, text := false, false
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			depth = max(depth-1, 0)
		case hclsyntax.TokenMinus, hclsyntax.TokenBang:
			sign = true
			signs++
		case hclsyntax.TokenStringLit, hclsyntax.TokenQuotedLit:
			text = true
			lines++
		case hclsyntax.TokenQuestion, hclsyntax.TokenStar, hclsyntax.TokenTemplateControl:
			tricks[t.Type]++
		}
		if !sign {
			signs = 0
		}
		if !text {
			lines = 0
		}
		if lines > maxLines {
			s.fail(t.Range, "text too long", "at most %d lines: copy a file into the image instead", maxLines)
			return false
		}
		if depth > maxNesting || signs > maxSigns || tricks[t.Type] > maxTricks {
			s.fail(t.Range, "nested too deeply", "no declaration needs this: at most %d brackets inside each other", maxNesting)
			return false
		}
	}
	return true
}
