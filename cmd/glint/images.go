package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/glint-infra/glint"
)

func (c *cli) imagesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "images",
		Short: "List the sealed images that the server holds",
		Long: `Lists every image that was sealed here, whoever uses it.

With -o json, an array of {name, digest, from}.`,
		Example: "  glint images\n  glint images -o json | jq -r '.[].digest'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			remote, err := c.remote()
			if err != nil {
				return err
			}
			all, err := remote.Images(cmd.Context())
			if err != nil {
				return err
			}
			if c.json() {
				return c.print(append([]glint.Image{}, all...))
			}
			var rows []string
			for _, i := range all {
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s", i.Name, i.From, i.Digest))
			}
			return c.table("NAME\tFROM\tDIGEST", rows)
		},
	}
}
