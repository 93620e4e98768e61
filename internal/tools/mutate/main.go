// Package main is Glint's mutation tester: it makes small faults in packages and counts how many of them their tests notice.
// It changes no source file, and does not judge whether a fault that nobody noticed matters: a person writes that down.
//
// All faults are woven into one instrumented copy of the sources, each behind a switch that is set by the environment. So
// every test binary is compiled once, and trying a fault costs no more than running the tests that reach it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const usage = `mutate makes small faults in packages, one at a time, and counts how many the tests notice.

  go run ./internal/tools/mutate -packages ./internal/plan,./internal/check -tests ./internal/plan,./internal/check,./internal/conductor

Faults, by kind:
  negate    a condition of if, for or case, a side of && or ||, or a !x is turned round; == becomes !=
  boundary  < becomes <=, <= becomes <, > becomes >=, >= becomes >
  constant  a number n becomes n+1 (with a point or exponent: 2n), true becomes false; a constant of the module that has a
            name is moved where it is used, a duration by the largest unit that measures it. Texts, array sizes, x[0] and
            the capacities given to make are left alone
  drop      an assignment, ++, call, send, defer, go, continue, break or bare return is left out

A fault is killed when a test that reaches it fails or hangs. It survives when none does, or when no test reaches it. What
cannot be typed is skipped, and counted. Survivors that somebody has looked at stand in the file -known with a reason; they
count as survivors all the same.

Examples:
  mutate ... -run 'crew.go:planner.relieve'     one function
  mutate ... -sample 50 -seed 7 -slow 5s        50 of them, chosen by the seed, without tests that take longer; says which
  mutate ... -o json >report.json               for machines, with the killed
  mutate ... -again report.json                 only what survived then, after a test was added
  mutate ... -list                              what would be tried
  mutate ... -min 90                            exit status 1 when fewer than 90 % are killed

Flags:
`

// Options is what was asked for on the command line.
type options struct {
	packages, tests []string
	run             *regexp.Regexp
	sample          int
	seed            uint64
	workers, checks int
	min             float64
	timeout, slow   time.Duration
	known, output   string
	again           string
	list            bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		err = mutate(ctx, o, os.Stdout, os.Stderr)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var packages, tests, run string
	f := flag.NewFlagSet("mutate", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, usage)
		f.PrintDefaults()
	}
	f.StringVar(&packages, "packages", "", "packages to make faults in, by comma: `./internal/plan,./internal/check`")
	f.StringVar(&tests, "tests", "", "packages whose tests are run, by comma (default: those of -packages)")
	f.StringVar(&run, "run", "", "only faults whose place matches this `regexp`, such as 'crew.go:planner.relieve'")
	f.IntVar(&o.sample, "sample", 0, "try only `N` of them, chosen by -seed; 0: all")
	f.Uint64Var(&o.seed, "seed", 0, "chooses the sample, and the cases of rapid properties; 0: by the clock, and printed")
	f.IntVar(&o.workers, "workers", 1, "faults tried at the same time")
	f.IntVar(&o.checks, "checks", 0, "cases for each rapid property, such as 300; 0: rapid's own 100")
	f.Float64Var(&o.min, "min", 0, "exit with 1 when fewer `percent` are killed, such as 90")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "a run hangs when it takes this much longer than ten times what it took without a fault")
	f.DurationVar(&o.slow, "slow", 0, "leave out tests that take longer than this, such as 5s; 0: none")
	f.StringVar(&o.known, "known", "internal/tools/mutate/survivors.txt", "`file` of survivors with the reason why they may live")
	f.StringVar(&o.output, "o", "table", "`form` of the report: table or json")
	f.StringVar(&o.again, "again", "", "only what survived in this `report`, made with -o json; the percentage is of these")
	f.BoolVar(&o.list, "list", false, "only list the faults")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q is not a flag; see -h", f.Arg(0))
	case packages == "":
		return o, errors.New("say what to make faults in, such as -packages ./internal/plan; see -h")
	case o.output != "table" && o.output != "json":
		return o, fmt.Errorf("-o %s: must be table or json", o.output)
	case o.workers < 1 || o.sample < 0 || o.checks < 0:
		return o, errors.New("-workers must be at least 1, -sample and -checks not negative")
	}
	if tests == "" {
		tests = packages
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) % 1e9
	}
	o.packages, o.tests = strings.Split(packages, ","), strings.Split(tests, ",")
	var err error
	o.run, err = regexp.Compile(run)
	return o, err
}

// mutate does what was asked.
func mutate(ctx context.Context, o options, stdout, stderr io.Writer) error {
	known, err := readKnown(o.known)
	if err != nil {
		return err
	}
	pkgs, err := load(ctx, o.packages)
	if err != nil {
		return err
	}
	number(pkgs)
	work, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	overlay, err := weave(pkgs, work)
	if err != nil {
		return err
	}
	chosen, err := choose(pkgs, o)
	if err != nil {
		return err
	}
	if o.list {
		for _, m := range chosen {
			fmt.Fprintf(stdout, "%s:%d: %s\n", m.file.name, m.line, m.key())
		}
		return nil
	}
	t := &trial{options: o, work: work, overlay: overlay, log: stderr}
	for _, m := range chosen {
		if m.fate != skipped {
			t.chosen = append(t.chosen, m)
		}
	}
	begun := time.Now()
	if err := t.prepare(ctx); err != nil {
		return err
	}
	prepared := time.Now()
	stopped := t.all(ctx)
	if stopped != nil && !errors.Is(stopped, context.Canceled) {
		return stopped
	}
	r := summarize(pkgs, chosen, known)
	r.Seed, r.Prepared, r.Tried = o.seed, prepared.Sub(begun).Seconds(), time.Since(prepared).Seconds()
	return cmp.Or(conclude(r, o, stdout, stderr), stopped) // interrupted, it tells what it knows
}

// conclude prints the report, and fails when too few faults were noticed.
func conclude(r report, o options, stdout, stderr io.Writer) error {
	print := r.table
	if o.output == "json" {
		if err := r.counts(stderr); err != nil {
			return err
		}
		print = r.json
	}
	if err := print(stdout); err != nil {
		return err
	}
	if r.Total.Percent < o.min {
		return fmt.Errorf("%.1f %% killed, less than %g %%", r.Total.Percent, o.min)
	}
	return nil
}

// relative names a file as people see it: from where they stand.
func relative(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(rel, "..") {
		return filepath.ToSlash(rel)
	}
	return path
}
