package main

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint/internal/simulate"
)

// simulation is what sim is told.
type simulation struct {
	worlds, workers, instances int
	seed, replay               uint64
	keepGoing                  bool
}

func (c *cli) simCommand() *cobra.Command {
	var o simulation
	cmd := &cobra.Command{
		Use:        "sim",
		Short:      "Try Glint in simulated worlds, with people, faults and virtual time",
		SuggestFor: []string{"simulate", "chaos", "fuzz"},
		Long: `Runs whole control planes, each in a simulated world of its own: the planner, the judge, the conductor and its store are
those of a server; platform, balancers and clock are simulated, and everything befalls them that befalls real ones. Each
world is held to what users were promised, and its seed tells the same story on every machine. Nothing real is touched.

Exit codes: 0 nothing was found, 1 a promise was not kept: what, and how to see it again.
With -o json: {worlds, rested, steps, blueprints, virtual, counts, findings [{seed, property, text, story}], took}.`,
		Example: "  glint sim --worlds 2000 --seed 1\n  glint sim --replay 4711\n  glint sim --instances 100000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.worlds < 1 || o.workers < 1 || o.instances < 0 || o.instances > 100_000:
				return fail(exitInvalid, "want at least one world and one worker, and 100000 instances at most")
			case o.instances > 0:
				return c.simLarge(o.instances)
			case cmd.Flags().Changed("replay"):
				return c.simReplay(o.replay)
			case !cmd.Flags().Changed("seed"):
				o.seed = uint64(time.Now().UnixNano()) >> 20
			}
			return c.simWorlds(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.worlds, "worlds", 1000, "how many worlds")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the first world; the others follow (default: from the clock)")
	f.Uint64Var(&o.replay, "replay", 0, "tell the story of the world of this seed")
	f.IntVar(&o.workers, "workers", runtime.NumCPU(), "worlds at the same time")
	f.BoolVar(&o.keepGoing, "keep-going", false, "go on after a finding")
	f.IntVar(&o.instances, "instances", 0, "one calm world with so many instances, instead")
	return cmd
}

func (c *cli) simWorlds(ctx context.Context, o simulation) error {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // worlds are small, and there are many
	fmt.Fprintf(c.Stderr, "seeds %d to %d\n", o.seed, o.seed+uint64(o.worlds)-1)
	r := simulate.Run(ctx, simulate.Config{First: o.seed, Worlds: o.worlds, Workers: o.workers, KeepGoing: o.keepGoing, Progress: func(r simulate.Report) {
		fmt.Fprintf(c.Stderr, "%d of %d worlds, %d decisions, %s, %d found\n", r.Worlds, o.worlds, r.Steps, seconds(r.Took), len(r.Findings))
	}})
	if err := c.showSim(o.seed, r); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		return fail(exitFailed, "%s; the story of the first: glint sim --replay %d", plural(len(r.Findings), "finding"), r.Findings[0].Seed)
	}
	return ctx.Err()
}

func (c *cli) showSim(first uint64, r simulate.Report) error {
	if c.json() {
		return c.print(r)
	}
	per := time.Duration(0)
	if r.Steps > 0 {
		per = r.Took / time.Duration(r.Steps)
	}
	rows := []string{
		fmt.Sprintf("worlds\t%d\tseeds %d to %d; %d came to rest", r.Worlds, first, first+uint64(max(r.Worlds, 1))-1, r.Rested),
		fmt.Sprintf("decisions\t%d\t%d blueprints", r.Steps, r.Blueprints),
		fmt.Sprintf("virtual time\t%s\t%.0f times as fast as time", age(r.Virtual), r.Virtual.Seconds()/max(r.Took.Seconds(), 1e-9)),
		fmt.Sprintf("time\t%s\t%s for a decision", seconds(r.Took), per),
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Counts)) {
		for _, name := range slices.Sorted(maps.Keys(r.Counts[kind])) {
			rows = append(rows, fmt.Sprintf("%s\t%d\t%s", kind, r.Counts[kind][name], name))
		}
	}
	err := c.table("WHAT\tHOW MANY\t", rows)
	for _, f := range r.Findings {
		c.say("\nseed %d, %s: %s\n  to see it: glint sim --replay %d", f.Seed, f.Property, first1(f.Text), f.Seed)
	}
	return err
}

// first1 is the first line of a text.
func first1(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func (c *cli) simReplay(seed uint64) error {
	r, story := simulate.Replay(seed)
	if c.json() {
		return c.print(struct {
			simulate.Report
			Story string `json:"story"`
		}{r, story})
	}
	fmt.Fprint(c.Stdout, story)
	for _, f := range r.Findings {
		return fail(exitFailed, "%s: %s", f.Property, f.Text)
	}
	c.say("nothing was found")
	return nil
}

func (c *cli) simLarge(instances int) error {
	l := simulate.RunLarge(instances, func(format string, args ...any) { fmt.Fprintf(c.Stderr, format+"\n", args...) })
	if c.json() {
		if err := c.print(l); err != nil {
			return err
		}
	} else {
		c.say("%d instances of %s: at rest, a tenth of them updated, at rest again", l.Instances, plural(l.Services, "service"))
		c.say("%d decisions, %d blueprints, %s of virtual time in %s", l.Steps, l.Blueprints, age(l.Virtual), seconds(l.Took))
		c.say("%d MiB in use at rest, world included; %d MiB at most", l.Heap>>20, l.System>>20)
	}
	if l.Finding != nil {
		return fail(exitFailed, "%s: %s", l.Finding.Property, l.Finding.Text)
	}
	return nil
}
