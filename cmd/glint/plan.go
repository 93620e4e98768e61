package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// maxSteps bounds the steps that a plan shows to people.
const maxSteps = 60

// A planned step is one line of what would be done.
type planned struct {
	Verb   glint.Verb   `json:"verb"`
	On     string       `json:"on"` // an instance, or a generation of routes
	Reason glint.Reason `json:"reason,omitempty"`
	Stage  int          `json:"stage"` // steps of one stage happen together
}

// A preview is what glint plan -o json prints.
type preview struct {
	Stack     string       `json:"stack"`
	Revision  int          `json:"revision"` // the number it would get
	Unchanged bool         `json:"unchanged"`
	Release   glint.Digest `json:"release"`
	Changes   []change     `json:"changes"`
	Steps     []planned    `json:"steps"`
	Rests     bool         `json:"rests"` // false: there are more steps than a preview holds
}

func (c *cli) planCommand() *cobra.Command {
	var all bool
	var o carrying
	cmd := &cobra.Command{
		Use:        "plan",
		Short:      "Show what apply would do, and change nothing",
		SuggestFor: []string{"preview", "dry-run"},
		Long: `Shows what would change and the steps in their order: by the planner that would decide, from what is seen now, if
all goes well. Images are built and sealed on the way, because an instance is named by its image; nothing is started.

With -o json: {stack, revision, unchanged, release, changes [{sign, kind, name, text}], steps [{verb, on, reason, stage}],
rests}. sign is + (comes), ~ (changes) or - (goes).`,
		Example: "  glint plan\n  glint plan --from r3\n  glint plan -o json | jq '.steps | length'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			remote, err := c.remote()
			if err != nil {
				return err
			}
			rel, req, err := c.asked(cmd.Context(), remote, o)
			if err != nil {
				return err
			}
			reply, err := remote.Plan(cmd.Context(), rel.Stack, req)
			if err != nil {
				return c.refused(cmd.Context(), remote, rel.Stack, err)
			}
			steps := stepsOf(reply)
			if c.json() {
				p := preview{Stack: rel.Stack, Revision: reply.Revision, Unchanged: reply.Unchanged, Release: rel.Digest(), Changes: changes(reply.Before, rel, hostURL), Steps: steps, Rests: reply.Rests}
				if p.Changes == nil {
					p.Changes = []change{}
				}
				return c.print(p)
			}
			c.showPlan(rel, reply)
			c.showSteps(steps, reply.Rests, all)
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "show every step, however many")
	cmd.Flags().BoolVar(&o.retry, "retry", false, "as in glint apply --retry")
	cmd.Flags().Var((*revisionFlag)(&o.from), "from", "as in glint apply --from: the release of an earlier revision")
	return cmd
}

// hostURL is how people write a host; where the balancer does not listen on port 80, status says so.
func hostURL(host string) string { return "http://" + host }

func stepsOf(reply api.PlanReply) []planned {
	steps := []planned{}
	for i, stage := range reply.Stages {
		for _, a := range stage.Actions {
			p := planned{Verb: a.Verb, On: a.ID.Short(), Reason: a.Reason, Stage: i + 1}
			if a.Verb == glint.Publish && a.Routes != nil {
				p.On = fmt.Sprintf("generation %d", a.Routes.Generation)
			}
			steps = append(steps, p)
		}
	}
	return steps
}

// showPlan lists what differs.
func (c *cli) showPlan(rel glint.Release, reply api.PlanReply) {
	if reply.Unchanged {
		c.say("Plan for stack %s: nothing changes, r%d is this very release", rel.Stack, reply.Revision)
		return
	}
	c.say("Plan r%d for stack %s", reply.Revision, rel.Stack)
	for _, line := range changes(reply.Before, rel, hostURL) {
		c.say("%s", c.paint(moodOfSign(line.Sign), line.String()))
	}
}

// showSteps lists what would be done, stage by stage.
func (c *cli) showSteps(steps []planned, rests, all bool) {
	if len(steps) == 0 {
		return
	}
	c.say("Steps")
	shown := 0
	for i := 0; i < len(steps); {
		same := i
		var on []string
		for ; same < len(steps) && steps[same].Stage == steps[i].Stage && steps[same].Verb == steps[i].Verb && steps[same].Reason == steps[i].Reason; same++ {
			on = append(on, steps[same].On)
		}
		if shown++; shown > maxSteps && !all {
			c.say("  … and %s more; see them with --all", plural(len(steps)-i, "step"))
			return
		}
		reason := ""
		if steps[i].Reason != "" {
			reason = "  (" + string(steps[i].Reason) + ")"
		}
		c.say("  %3d. %-8s %s%s", shown, steps[i].Verb, strings.Join(on, " "), reason)
		i = same
	}
	if !rests {
		c.say("  … and so on: a preview ends here")
	}
}
