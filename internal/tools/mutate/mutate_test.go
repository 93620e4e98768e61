package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// toy runs the tool on the package in testdata.
func toy(t *testing.T, args ...string) (string, error) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	var out, log bytes.Buffer
	o, err := parse(append([]string{"-packages", "./testdata/toy", "-seed", "1", "-timeout", "5s"}, args...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	err = mutate(t.Context(), o, &out, &log)
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("%s is left behind", left[0].Name())
	}
	t.Log(log.String())
	return out.String(), err
}

func known(t *testing.T, lines string) string {
	path := filepath.Join(t.TempDir(), "known.txt")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFates holds the fate of every mutant of the toy against the golden file. It is meant to be read.
func TestFates(t *testing.T) {
	text, err := toy(t, "-o", "json", "-known", known(t, "# none"))
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, m := range r.Mutants {
		because := ""
		if m.Fate == skipped {
			because = " (" + m.Because + ")"
		}
		got.WriteString(string(m.Fate) + because + ": " + strings.TrimPrefix(m.Key, "internal/tools/mutate/testdata/toy ") + "\n")
	}
	const golden = "testdata/fates.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
	if c := r.Total; c.Killed+c.Survived != c.Tried || c.Tried+c.Skipped != len(r.Mutants) || c.Hung != 1 || c.NotReached != 1 || r.KilledBy[0].Killed != c.Killed {
		t.Errorf("%+v, %+v of %d", c, r.KilledBy, len(r.Mutants))
	}
}

const survivor = `internal/tools/mutate/testdata/toy clamp boundary "n > limit: > becomes >=" 1`

// TestKnown keeps a reason from counting as a kill, and tells what is killed or gone.
func TestKnown(t *testing.T) {
	path := known(t, survivor+": the same at the limit: equal\n"+
		`internal/tools/mutate/testdata/toy clamp drop "n = limit" 1: not so`+"\n"+
		`internal/tools/mutate/testdata/toy gone negate "a == \"b\"" 1: not there`+"\n"+
		`internal/other clamp drop "n = limit" 1: of another package`+"\n")
	text, err := toy(t, "-run", "toy.go:clamp$", "-known", path, "-min", "90")
	if err == nil || !strings.Contains(err.Error(), "80.0 % killed, less than 90 %") {
		t.Errorf("%v", err)
	}
	for _, want := range []string{
		"testdata/toy/toy.go:22: survived: if n > limit {\n    " + survivor + "\n    the same at the limit: equal\n",
		`no survivor any more: internal/tools/mutate/testdata/toy clamp drop "n = limit" 1` + "\n",
		`no survivor any more: internal/tools/mutate/testdata/toy gone negate "a == \"b\"" 1` + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "internal/other") {
		t.Errorf("speaks of a package it was not asked about:\n%s", text)
	}
}

// TestChoose takes the same sample for the same seed, and again only what survived.
func TestChoose(t *testing.T) {
	all, err := toy(t, "-list")
	if err != nil {
		t.Fatal(err)
	}
	one, _ := toy(t, "-list", "-sample", "5")
	two, _ := toy(t, "-list", "-sample", "5")
	if one != two {
		t.Errorf("one seed, two samples:\n%s\n%s", one, two)
	}
	lines := strings.SplitAfter(all, "\n")
	for line := range strings.Lines(one) {
		if !slices.Contains(lines, line) {
			t.Errorf("%s is not one of all", line)
		}
	}
	report, err := toy(t, "-run", "toy.go:clamp$", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	again, err := toy(t, "-list", "-run", "toy.go:clamp$", "-again", known(t, report))
	if err != nil || strings.Count(again, "\n") != 1 || !strings.Contains(again, survivor) {
		t.Errorf("again: %v\n%s", err, again)
	}
}

// TestRedWithoutFault refuses to measure by tests that fail already.
func TestRedWithoutFault(t *testing.T) {
	if _, err := toy(t, "-tests", "./testdata/red"); err == nil || !strings.Contains(err.Error(), "TestRed") {
		t.Errorf("%v", err)
	}
	if _, err := toy(t, "-tests", "./testdata/none"); err == nil || !strings.Contains(err.Error(), "has no tests") {
		t.Errorf("%v", err)
	}
}

// TestInterrupted stops it while a mutant hangs. It tells what it found so far, and nothing may be left.
func TestInterrupted(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	o, err := parse([]string{"-packages", "./testdata/toy", "-timeout", "1h", "-run", "toy.go:drain$"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	if err := mutate(ctx, o, &out, onWrite(cancel)); !errors.Is(err, context.Canceled) || !strings.Contains(out.String(), "total                               3      3 ") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("%s is left behind", left[0].Name())
	}
}

type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

func TestOutput(t *testing.T) {
	var o output
	for range 1000 {
		_, _ = o.Write([]byte("0123456789"))
	}
	_, _ = o.Write([]byte("end"))
	if h, e := string(o.head), string(o.tail); len(h) != 4096 || !strings.HasPrefix(h, "0123") || len(e) > 4200 || !strings.HasSuffix(e, "789end") || !strings.HasPrefix(e, "…") {
		t.Errorf("%d bytes, then %d", len(h), len(e))
	}
}

func TestParse(t *testing.T) {
	for _, args := range [][]string{{}, {"-packages", "x", "more"}, {"-packages", "x", "-o", "xml"}, {"-packages", "x", "-workers", "0"}, {"-packages", "x", "-run", "("}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	var help bytes.Buffer
	if _, err := parse([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "go run ./internal/tools/mutate") {
		t.Errorf("-h: %v\n%s", err, help.String())
	}
}

func TestParseKnown(t *testing.T) {
	for line, want := range map[string][2]string{
		`a/b  T.m negate "x \"q\": y" 2:  why: so `: {`a/b T.m negate "x \"q\": y" 2`, "why: so"},
		`a/b m drop "x" 1:`:                         {},
		`a/b m drop "x" 1`:                          {},
		`a/b drop "x" 1: why`:                       {},
		`a/b m drop x 1: why`:                       {},
		`a/b m drop "x`:                             {},
	} {
		key, reason, ok := parseKnown(line)
		if ok != (want != [2]string{}) || ok && (key != want[0] || reason != want[1]) {
			t.Errorf("%s: %q, %q, %v", line, key, reason, ok)
		}
	}
}
