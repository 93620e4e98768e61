package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint/internal/bench"
)

// benching is what bench is told.
type benching struct {
	program         string
	runs, instances int
}

func (c *cli) benchCommand() *cobra.Command {
	var o benching
	cmd := &cobra.Command{
		Use:        "bench plan|replace|update|route|all",
		Short:      "Measure what Glint costs on this machine, beside what it is made of",
		SuggestFor: []string{"benchmark", "measure"},
		Long: `Starts a server of its own, in a network namespace of its own and with folders of its own, measures, and takes everything
away again. It needs root, and disturbs nobody but by the CPU time it takes.

plan     decides about 10,000 and 100,000 instances, in memory
replace  kills instances and measures what replacing one costs, beside the same instance made by bare crun and conmon
update   replaces 50 instances by another version under load; a request that fails fails the command
route    sends requests directly to an instance, through the kernel (L4), through HAProxy (L7), and through a bare HAProxy
all      all of them, one after the other

CPU time is that of all processes, by the kernel's account of control groups. Compared are ratios within one run, taken in
turns; figures of two runs, or of two machines, say little about each other. With -o json: {host, figures, failed_requests, notes}.`,
		Example:   "  sudo glint bench all\n  sudo glint bench replace --runs 30 -o json",
		ValidArgs: append([]string{"all"}, bench.Kinds...),
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE:      func(cmd *cobra.Command, args []string) error { return c.bench(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.program, "program", "", "static program that serves HTTP on :8080 with /healthz and /version (default: the example's shop, after make build)")
	f.IntVar(&o.runs, "runs", 15, "how often each thing is measured; update once for every ten, at least once")
	f.IntVar(&o.instances, "instances", 50, "how many instances update replaces")
	worker := &cobra.Command{Use: "worker", Hidden: true, Args: cobra.NoArgs}
	cover := worker.Flags().Bool("cover", false, "")
	worker.RunE = func(*cobra.Command, []string) error { return bench.Work(c.Stdin, c.Stdout, *cover) }
	cmd.AddCommand(worker)
	return cmd
}

func (c *cli) bench(ctx context.Context, kind string, o benching) error {
	if o.runs < 1 || o.runs > 1000 || o.instances < 1 || o.instances > 1000 {
		return fail(exitInvalid, "--runs %d --instances %d: want 1 to 1000", o.runs, o.instances)
	}
	var program string
	if kind != "plan" { // which runs nothing
		if err := preflight(site{name: "glint"}); err != nil {
			return err
		}
		var err error
		if program, err = c.benchProgram(o.program); err != nil {
			return err
		}
	}
	if kind != "plan" && c.Getenv(bench.Inside) == "" {
		code, err := bench.Isolate(ctx, os.Args[1:])
		if err != nil {
			return fmt.Errorf("making namespaces of its own: %w", err)
		}
		return exit{code: code}
	}
	report, err := bench.Run(ctx, kind, bench.Config{
		Self: fmt.Sprintf("/proc/%d/exe", os.Getpid()), Program: program, Runs: o.runs, Instances: o.instances,
		Progress: func(format string, args ...any) { fmt.Fprintf(c.Stderr, format+"\n", args...) },
	})
	if len(report.Figures) > 0 {
		err = errors.Join(err, c.showBench(report))
	}
	if err == nil && report.Failed > 0 {
		err = fail(exitFailed, "%s failed; none may", plural(report.Failed, "request"))
	}
	return err
}

// benchProgram finds what the instances run.
func (c *cli) benchProgram(named string) (string, error) {
	path := c.path(named)
	if named == "" {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		path = filepath.Join(filepath.Dir(self), "..", "examples", "shop", "bin", "web")
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return "", fail(exitFailed, "there is no program to measure with at %s: run make build in a checkout of Glint, or name a static program that serves HTTP on :8080 with /healthz and /version: --program PATH", filepath.Clean(path))
	}
	return path, nil
}

func (c *cli) showBench(r bench.Report) error {
	if c.json() {
		return c.print(r)
	}
	h := r.Host
	c.say("%d cores, Linux %s, CPU time by cgroup %s, crun %s, HAProxy %s; %.0f%% of the CPU time went to others", h.Cores, h.Kernel, h.Cgroups, h.Crun, h.HAProxy, 100*h.Others)
	var rows []string
	for _, f := range r.Figures {
		goal := ""
		if f.Met != nil {
			goal = fmt.Sprintf("≤ %g missed", f.Goal)
			if *f.Met {
				goal = fmt.Sprintf("≤ %g met", f.Goal)
			}
		}
		digits := 1
		switch f.Unit {
		case "ratio":
			digits = 2
		case "requests":
			digits = 0
		}
		rows = append(rows, fmt.Sprintf("%s\t%.*f\t%s\t%.*f–%.*f\t%d\t%s", f.Text, digits, f.Median, strings.Replace(f.Unit, "ratio", "×", 1), digits, f.Min, digits, f.Max, f.N, goal))
	}
	err := c.table("WHAT\tMEDIAN\t\tMIN–MAX\tTIMES\tGOAL", rows)
	for _, n := range slices.Compact(r.Notes) {
		c.say("note: %s", n)
	}
	return err
}
