package main

import "github.com/spf13/cobra"

// commands lists every command, in the order in which help shows them.
func (c *cli) commands() []group {
	return []group{
		{groupDeclare, []*cobra.Command{c.checkCommand(), c.fmtCommand()}},
		{groupChange, []*cobra.Command{c.planCommand(), c.applyCommand(), c.promoteCommand(), c.abortCommand(), c.pauseCommand(), c.resumeCommand(),
			c.rollbackCommand(), c.replaceCommand(), c.regenerateCommand(), c.scaleCommand(), c.destroyCommand()}},
		{groupSee, []*cobra.Command{c.statusCommand(), c.psCommand(), c.historyCommand(), c.diffCommand(), c.whyCommand(), c.logsCommand(), c.eventsCommand(), c.imagesCommand()}},
		{groupServe, []*cobra.Command{c.serverCommand(), c.simCommand(), c.benchCommand(), c.versionCommand()}},
	}
}
