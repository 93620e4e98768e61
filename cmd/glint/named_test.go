package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// named finds a command in a message: glint, a verb, and what follows on the same line up to the end of the phrase.
var named = regexp.MustCompile("\\bglint ([a-z]+)([^\n;`,()]*)")

// prose are words after "glint" in sentences about the program, not about a command.
var prose = map[string]bool{"until": true, "binary": true, "to": true, "help": true, "serves": true, "ends": true}

// TestNamedCommands: a message that tells somebody what to type tells something that exists, with its flags.
func TestNamedCommands(t *testing.T) {
	c := &cli{Main: Main{Getenv: func(string) string { return "" }}}
	root := c.root(nil)
	root.InitDefaultHelpCmd()
	seen := 0
	for _, dir := range []string{".", "../../internal"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, text := range literals(t, path) {
				for _, m := range named.FindAllStringSubmatch(text, -1) {
					if prose[m[1]] {
						continue
					}
					seen++
					if objection := exists(root, m[1], m[2]); objection != "" {
						t.Errorf("%s says %q: %s", path, strings.TrimSpace(m[0]), objection)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 100 {
		t.Errorf("only %d commands are named anywhere: the test has lost its sight", seen)
	}
	for verb, flags := range map[string]string{"nosuch": "", "apply": " --nosuch", "rollback": " --to 3"} {
		if exists(root, verb, flags) == "" {
			t.Errorf("glint %s%s was found", verb, flags)
		}
	}
}

var flag = regexp.MustCompile(`(?:^| )--([a-z-]+)`)

// exists says what is wrong with a command that somebody is told to type.
func exists(root *cobra.Command, verb, rest string) string {
	cmd, _, err := root.Find([]string{verb})
	if err != nil || cmd == root {
		return "there is no such command"
	}
	for _, end := range []string{" or glint ", "   "} { // a second command answers for itself
		rest, _, _ = strings.Cut(rest, end)
	}
	for _, m := range flag.FindAllStringSubmatch(rest, -1) {
		if cmd.Flags().Lookup(m[1]) == nil && cmd.InheritedFlags().Lookup(m[1]) == nil && m[1] != "help" {
			return "it has no flag --" + m[1]
		}
	}
	return ""
}

// literals are the texts in a file that may be printed: doc comments and struct tags are none.
func literals(t *testing.T, path string) (out []string) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				out = append(out, s)
			}
		}
		return true
	})
	return out
}
