package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint/internal/declare"
)

func (c *cli) fmtCommand() *cobra.Command {
	var only bool
	cmd := &cobra.Command{
		Use:        "fmt [DIR]",
		Short:      "Lay the declaration out in the one way",
		SuggestFor: []string{"format"},
		Long: `Lays out glint.hcl and the *.hcl files beside it, and prints the names of those that were not laid out so.

With -o json: {changed [file]}.`,
		Example: "  glint fmt\n  glint fmt --check    in CI: exit code 1 when something is not laid out",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				c.dir = args[0]
			}
			return c.layOut(only)
		},
	}
	cmd.Flags().BoolVar(&only, "check", false, "change nothing; fail when something would change")
	return cmd
}

func (c *cli) layOut(only bool) error {
	dir := c.path(c.dir)
	files, err := declare.Read(dir)
	if err != nil {
		return exit{exitInvalid, err}
	}
	changed := []string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		neat := declare.Format(files[name])
		if bytes.Equal(neat, files[name]) {
			continue
		}
		changed = append(changed, name)
		if !only {
			if err := rewrite(filepath.Join(dir, name), neat); err != nil {
				return fmt.Errorf("laying out %s: %w", name, err)
			}
		}
	}
	if c.json() {
		if err := c.print(map[string][]string{"changed": changed}); err != nil {
			return err
		}
	} else {
		for _, name := range changed {
			c.say("%s", name)
		}
	}
	if only && len(changed) > 0 {
		return exit{code: exitFailed}
	}
	return nil
}

// rewrite puts a file in the place of another of the same permissions, whole or not at all.
func rewrite(path string, content []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".glint-fmt-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
