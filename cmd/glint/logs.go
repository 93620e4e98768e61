package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// A logLine is a line of glint logs -o json.
type logLine struct {
	At       string `json:"at"` // RFC 3339, UTC
	Instance string `json:"instance"`
	Stream   string `json:"stream"` // "out" or "err"
	Text     string `json:"text"`
}

func (c *cli) logsCommand() *cobra.Command {
	var follow bool
	var tail int
	cmd := &cobra.Command{
		Use:        "logs INSTANCE|SERVICE",
		Short:      "Print what instances have written",
		SuggestFor: []string{"tail", "output"},
		Long: `Prints what an instance, or all instances of a service, have written to standard output and standard error.
Times are local. Lines of several instances are in the order of each, not of all.

With -o json, one object on each line: {at, instance, stream, text}.`,
		Example: "  glint logs web.1\n  glint logs web -f --tail 20",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := parseSubject(args[0])
			if err != nil {
				return err
			}
			remote, err := c.remote()
			if err != nil {
				return err
			}
			if s.stack, err = c.whichStack(cmd.Context(), s.stack); err != nil {
				return err
			}
			ids, err := c.loggers(cmd.Context(), remote, s)
			if err != nil {
				return err
			}
			return c.printLogs(cmd.Context(), remote, ids, tail, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written, until Ctrl-C or the end of the instance")
	cmd.Flags().IntVar(&tail, "tail", -1, "begin with so many of the last lines; -1: all that is kept")
	return cmd
}

// loggers finds the instances that are meant.
func (c *cli) loggers(ctx context.Context, remote *api.Client, s subject) ([]glint.ID, error) {
	st, err := remote.Status(ctx, s.stack)
	if err != nil {
		return nil, err
	}
	if s.n > 0 {
		return []glint.ID{{Stack: s.stack, Epoch: st.Epoch, Service: s.service, N: s.n}}, nil
	}
	for _, service := range st.Services {
		if service.Name != s.service {
			continue
		}
		var ids []glint.ID
		for _, in := range service.Instances {
			ids = append(ids, in.ID)
		}
		if len(ids) == 0 {
			return nil, fail(exitFailed, "service %s of %s has no instances now", s.service, s.stack)
		}
		return ids, nil
	}
	return nil, fail(exitFailed, "%s has no service %s", s.stack, s.service)
}

// printLogs prints one after the other, or follows all at once.
func (c *cli) printLogs(ctx context.Context, remote *api.Client, ids []glint.ID, tail int, follow bool) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	errs := make([]error, len(ids))
	for i, id := range ids {
		one := func() {
			r, err := remote.Logs(ctx, id.Stack, id.Service, id.N, tail, follow)
			if err != nil {
				errs[i] = fmt.Errorf("reading the log of %s: %w", id.Short(), err)
				return
			}
			defer r.Close()
			errs[i] = c.copyLog(r, id, len(ids) > 1, &mu)
		}
		if follow {
			wg.Go(one)
		} else {
			one()
		}
	}
	wg.Wait()
	if ctx.Err() != nil {
		return exit{code: exitDone} // Ctrl-C is how following ends
	}
	return errors.Join(errs...)
}

func (c *cli) copyLog(r io.Reader, id glint.ID, several bool, mu *sync.Mutex) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			mu.Lock()
			werr := c.printLog(strings.TrimSuffix(line, "\n"), id, several)
			mu.Unlock()
			if werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// printLog prints a line of the form "TIME STREAM TEXT".
func (c *cli) printLog(line string, id glint.ID, several bool) error {
	stamp, rest, _ := strings.Cut(line, " ")
	stream, text, _ := strings.Cut(rest, " ")
	if c.json() {
		return c.printLine(logLine{At: stamp, Instance: id.Short(), Stream: stream, Text: text})
	}
	if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
		stamp = at.Local().Format(time.DateOnly + " " + clockFormat)
	}
	if f, ok := c.Stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		text = clean(text) // what runs inside must not speak to the terminal of who reads
	}
	who := ""
	if several {
		who = id.Short() + "  "
	}
	_, err := fmt.Fprintf(c.Stdout, "%s  %s%s\n", stamp, who, text)
	return err
}
