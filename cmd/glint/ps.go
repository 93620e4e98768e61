package main

import (
	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// A running is a line of glint ps.
type running struct {
	ID       string       `json:"id"`    // web.1
	Stack    string       `json:"stack"` //
	Service  string       `json:"service"`
	N        int          `json:"n"`
	Key      string       `json:"key"` // the full ID, with the epoch
	Pid      int          `json:"pid"` // of its first process on the host; 0: none
	Address  string       `json:"address"`
	State    glint.State  `json:"state"` // "unseen" when it is wanted and not seen
	Ready    bool         `json:"ready"`
	Health   string       `json:"health"` // the last answer of its health check
	Routed   bool         `json:"routed"` // it takes traffic
	InFlight int          `json:"in_flight"`
	Leaving  glint.Reason `json:"leaving,omitempty"` // why it leaves
	Version  glint.Digest `json:"version"`
	Image    glint.Digest `json:"image"`
	Created  string       `json:"created"`
	Age      string       `json:"age"`
	Seen     bool         `json:"seen"`
	Role     string       `json:"role"`
	Place    string       `json:"place,omitempty"`
}

// The roles of an instance.
const (
	roleServes  = "serves"  // it has, or waits for, a place among those that do the service's work
	roleCanary  = "canary"  // so it has, to prove a new version beside the stable one
	roleTask    = "task"    // it runs to its end
	roleStandby = "standby" // it is held before its program
	roleWarm    = "warm"    // it is kept running without traffic, should its version be wanted again
	roleLeaving = "leaving"
)

func roleOf(s api.ServiceStatus, m glint.Member) string {
	switch {
	case !m.Stays():
		return roleLeaving
	case m.Held:
		return roleStandby
	case !m.Warm.IsZero():
		return roleWarm
	case s.Task:
		return roleTask
	case s.Canary != nil && m.Version == s.Version:
		return roleCanary
	}
	return roleServes
}

// unseen is the state of what is wanted and was not seen.
const unseen glint.State = "unseen"

func process(st api.Status, s api.ServiceStatus, in api.InstanceStatus) running {
	m := in.Member
	p := running{
		ID: in.ID.Short(), Stack: in.ID.Stack, Service: in.ID.Service, N: in.ID.N, Key: in.ID.Key(), Address: m.Address,
		State: unseen, Routed: m.Routed, Leaving: m.Reason, Version: m.Version, Created: m.Created.UTC().Format("2006-01-02T15:04:05.000Z"),
		Age: age(st.SeenAt.Sub(m.Created)), Role: roleOf(s, m), Place: placeOf(in),
	}
	if m.Version == s.Version {
		p.Image = s.Image
	}
	if in.Seen != nil {
		p.Seen, p.State, p.Pid, p.InFlight, p.Health = true, in.Seen.State, in.Seen.Pid, in.Seen.InFlight, in.Seen.Health.Detail
		p.Ready = in.Seen.State == glint.Running && in.Seen.Health.Known && in.Seen.Health.Ready
		if in.Seen.Address != "" {
			p.Address = in.Seen.Address
		}
	}
	return p
}

func (c *cli) psCommand() *cobra.Command {
	return &cobra.Command{
		Use:        "ps [STACK]",
		Short:      "List instances",
		SuggestFor: []string{"list", "ls", "top", "containers", "instances"},
		Long: `Lists the instances of a stack, also those that are leaving.

With -o json, an array of {id, stack, service, n, key, pid, address, state, ready, health, routed, in_flight, leaving,
version, image, created, age, seen, role, place}, sorted by service and number. role is one of serves, canary, task, standby,
warm, leaving; image is empty for instances of an older version.`,
		Example: "  glint ps\n  glint ps -o json | jq '.[0].pid'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			remote, err := c.remote()
			if err != nil {
				return err
			}
			stack, err := c.whichStack(cmd.Context(), first(args))
			if err != nil {
				return err
			}
			st, err := remote.Status(cmd.Context(), stack)
			if err != nil {
				return err
			}
			if !c.json() {
				return c.showInstances(st)
			}
			all := []running{}
			for _, s := range st.Services {
				for _, in := range s.Instances {
					all = append(all, process(st, s, in))
				}
			}
			return c.print(all)
		},
	}
}
