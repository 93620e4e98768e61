package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A cli is one parsed run.
type cli struct {
	Main
	format string // "text" or "json"
	socket string // of the server
	dir    string // of the declaration
	stack  string // named by hand; empty: see which
}

const (
	groupDeclare = "declare"
	groupSee     = "see"
	groupChange  = "change"
	groupServe   = "serve"
)

// Run does what args ask for and returns the exit code.
func (m Main) Run(ctx context.Context, args []string) int {
	c := &cli{Main: m}
	root := c.root(args)
	root.SetArgs(args)
	root.SetIn(m.Stdin)
	root.SetOut(m.Stdout)
	root.SetErr(m.Stderr)
	return c.ended(root.ExecuteContext(ctx))
}

func (c *cli) root(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "glint",
		Short: "Replace, never repair",
		Long: `Declare an application once. Glint builds it, proves it, moves traffic onto it, and from then on
replaces whatever fails, drifts or ages.

The declaration is glint.hcl in the current folder, or in the one that -C names.
Exit codes: 0 done or serving, 1 failed, 2 bad declaration or command, 3 rolled back, 4 refused by policy,
5 they differ (glint diff --exit-code), 130 detached by Ctrl-C.`,
		Example:       "  glint check\n  glint apply\n  glint status",
		Args:          func(cmd *cobra.Command, words []string) error { return unknown(cmd, words) },
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if c.format != "text" && c.format != "json" {
				return fail(exitInvalid, "-o %s is not a format; want text or json", c.format)
			}
			return nil
		},
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&c.format, "output", "o", "text", "text for people, json for programs")
	flags.StringVar(&c.socket, "socket", "", "socket of the server (default $GLINT_SOCKET or "+defaultSocket+")")
	flags.StringVarP(&c.dir, "dir", "C", ".", "folder of the declaration")
	flags.StringVar(&c.stack, "stack", "", "stack to speak of (default: that of the declaration, or the only one)")
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "comment" { // one thing, two names that people reach for
			name = "reason"
		}
		return pflag.NormalizedName(name)
	})
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if cmd == root {
			if i := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") }); i >= 0 {
				if err := unknown(root, args[i:]); err != nil {
					return err
				}
			}
		}
		return fail(exitInvalid, "%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddGroup(&cobra.Group{ID: groupDeclare, Title: "Declare:"}, &cobra.Group{ID: groupChange, Title: "Change:"},
		&cobra.Group{ID: groupSee, Title: "See:"}, &cobra.Group{ID: groupServe, Title: "Serve:"})
	root.SetCompletionCommandGroupID(groupServe)
	root.SetHelpCommandGroupID(groupServe)
	for _, group := range c.commands() {
		for _, cmd := range group.all {
			cmd.GroupID = group.id
			if cmd.Args != nil {
				cmd.Args = wrongUse(cmd.Args)
			}
			root.AddCommand(cmd)
		}
	}
	return root
}

type group struct {
	id  string
	all []*cobra.Command
}

// wrongUse gives wrong arguments the exit code of a bad command.
func wrongUse(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return fail(exitInvalid, "%w; see %s --help", err, cmd.CommandPath())
		}
		return nil
	}
}

// unknown refuses a command that does not exist, and says which was meant.
func unknown(root *cobra.Command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	var likely []string
	for _, cmd := range root.Commands() {
		if cmd.Name() == words[0] {
			return nil
		}
		if slices.Contains(cmd.SuggestFor, words[0]) {
			likely = []string{cmd.Name()}
		}
	}
	if likely == nil {
		root.SuggestionsMinimumDistance = 2
		likely = root.SuggestionsFor(words[0])
	}
	hint := "see glint --help"
	if len(likely) > 0 {
		hint = fmt.Sprintf("did you mean `%s`?", strings.Join(likely, "` or `"))
	}
	return fail(exitInvalid, "unknown command `%s`; %s", words[0], hint)
}

// path makes a path that a person gave absolute.
func (c *cli) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.Dir, p)
}
