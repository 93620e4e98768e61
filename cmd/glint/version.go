package main

import (
	"cmp"
	"context"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/plan"
)

// version is set when a release is built: -ldflags "-X main.version=1.2.3".
var version string

// versionOf falls back to what the toolchain knows of the source.
func versionOf() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || version != "" {
		return cmp.Or(version, "unknown")
	}
	commit, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	if commit != "" {
		return "devel-" + commit + dirty
	}
	return "devel"
}

// versions is what glint version says. Server is empty when none answers.
type versions struct {
	Client  string `json:"client"`
	Release int    `json:"release"` // release format
	Planner int    `json:"planner"`
	Server  string `json:"server,omitempty"`
	API     int    `json:"api,omitempty"` // that the server speaks
	Problem string `json:"problem,omitempty"`
}

func (c *cli) versionCommand() *cobra.Command {
	var only bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this command and of the server",
		Long: `Prints the version of this command and of the server. It fails when no server answers, unless --client is said.

With -o json: {client, release, planner, server, api, problem}.`,
		Example: "  glint version\n  glint version --client -o json | jq -r .client",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := versions{Client: versionOf(), Release: glint.ReleaseFormat, Planner: plan.Version}
			var problem error
			if !only {
				problem = c.askVersion(cmd.Context(), &v)
			}
			if c.json() {
				if err := c.print(v); err != nil || problem == nil {
					return err
				}
				return exit{code: exitFailed}
			}
			c.say("glint   %s (release format %d, planner %d)", v.Client, v.Release, v.Planner)
			if v.Server != "" {
				c.say("server  %s (API %d)", v.Server, v.API)
			}
			return problem
		},
	}
	cmd.Flags().BoolVar(&only, "client", false, "of this command only")
	return cmd
}

func (c *cli) askVersion(ctx context.Context, v *versions) error {
	remote, err := c.remote()
	if err != nil {
		return err
	}
	got, err := remote.Version(ctx)
	if err != nil {
		v.Problem = err.Error()
		return err
	}
	v.Server, v.API = got.Version, got.API
	return nil
}
