package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

// farewell bounds how long a server that is told to end may take. Instances and HAProxy do not wait for it.
const farewell = 5 * time.Second

// serving is what a server is told.
type serving struct {
	data, run, name, public, pool, mirror string
}

func (c *cli) serverCommand() *cobra.Command {
	var s serving
	cmd := &cobra.Command{
		Use:        "server",
		Short:      "Run the server on this host",
		SuggestFor: []string{"serve", "daemon", "agent", "dev"},
		Long: `Runs the control plane: it takes declarations in, starts and replaces instances and carries traffic to them. It needs
root and crun, conmon, haproxy and nftables.

SIGTERM or Ctrl-C ends the control plane only: instances and HAProxy go on, and the next server takes them over. To end what
runs: glint destroy.

What is written to --data outlives a reboot: history, images, volumes, stable addresses. --run holds what a reboot ends.
The first sixteenth of --pool is for the stable addresses of services, its second half for instances: of 10.87.0.0/16 these
are 10.87.0.0/20 and 10.87.128.0/17. Nothing else on the host may use the pool.

The log goes to standard error: in local time on a terminal, else in UTC; with -o json one object on each line.`,
		Example: "  sudo glint server\n  glint server --data /srv/glint --http :8080    port 80 is taken",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context(), s) },
	}
	f := cmd.Flags()
	f.StringVar(&s.data, "data", "/var/lib/glint", "folder for what outlives a reboot")
	f.StringVar(&s.run, "run", defaultRun, "folder for what a reboot ends; the socket stands in it unless --socket says else")
	f.StringVar(&s.name, "name", "glint", "what the names of cgroups, links and tables on this host begin with")
	f.StringVar(&s.public, "http", ":80", "address at which requests from outside arrive, while there are routes")
	f.StringVar(&s.pool, "pool", "10.87.0.0/16", "IPv4 addresses for services and instances, /24 or larger")
	f.StringVar(&s.mirror, "debian-mirror", "", "where Debian packages come from (default: the mirrors of the host's apt)")
	return cmd
}

// A site is where a server lives, after its flags have been checked.
type site struct {
	data, run, name, socket, mirror string
	public                          netip.AddrPort
	services, instances             netip.Prefix
	moment                          func(string) // for tests of crashes; nil
}

func (c *cli) site(s serving) (site, error) {
	at := site{data: c.path(s.data), run: c.path(s.run), name: s.name, mirror: s.mirror}
	if !namePattern.MatchString(at.name) {
		return at, fail(exitInvalid, "--name %q: want up to 12 small letters and digits, a letter first: it becomes part of the names of links", at.name)
	}
	at.socket = filepath.Join(at.run, "glint.sock")
	if named := cmp.Or(c.socket, c.Getenv("GLINT_SOCKET")); named != "" {
		at.socket = c.path(named)
	}
	var err error
	if at.public, err = parsePublic(s.public); err != nil {
		return at, err
	}
	at.services, at.instances, err = splitPool(s.pool)
	return at, err
}

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9]{0,11}$`)

// parsePublic reads ":80", "8080" or "192.0.2.1:80". Without an address it is all of the host's.
func parsePublic(s string) (netip.AddrPort, error) {
	full := s
	switch {
	case !strings.Contains(s, ":"):
		full = "0.0.0.0:" + s
	case strings.HasPrefix(s, ":"):
		full = "0.0.0.0" + s
	}
	a, err := netip.ParseAddrPort(full)
	if err != nil || a.Port() == 0 {
		return a, fail(exitInvalid, "--http %q: want an address and a port, such as :80 or 192.0.2.1:80", s)
	}
	return a, nil
}

// splitPool gives the first sixteenth of a pool to services and its second half to instances.
func splitPool(s string) (services, instances netip.Prefix, err error) {
	pool, err := netip.ParsePrefix(s)
	if err != nil || !pool.Addr().Is4() || pool.Bits() > 24 || pool.Bits() < 8 {
		return services, instances, fail(exitInvalid, "--pool %q: want a range of IPv4 addresses between /8 and /24, such as 10.87.0.0/16", s)
	}
	pool = pool.Masked()
	b := pool.Addr().As4()
	bit := pool.Bits() // of the address, counted from the left: the one that tells the halves apart
	b[bit/8] |= 0x80 >> (bit % 8)
	return netip.PrefixFrom(pool.Addr(), pool.Bits()+4), netip.PrefixFrom(netip.AddrFrom4(b), pool.Bits()+1), nil
}

func (c *cli) serve(ctx context.Context, s serving) error {
	at, err := c.site(s)
	if err != nil {
		return err
	}
	if err := preflight(at); err != nil {
		return err
	}
	if at.moment, err = moments(c.Getenv); err != nil {
		return err
	}
	slog.SetDefault(slog.New(c.logHandler()))
	h, err := open(ctx, at)
	if err != nil {
		return hint(err)
	}
	l, err := api.Listen(at.socket, 0o600)
	if err != nil {
		return errors.Join(err, h.close())
	}
	slog.Info("glint serves", "version", versionOf(), "socket", at.socket, "http", at.public, "data", at.data, "run", at.run,
		"services", at.services, "instances", at.instances)
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		err := h.run(ctx, l)
		stop()
		done <- errors.Join(err, h.close())
	}()
	<-ctx.Done()
	slog.Info("glint ends; instances and HAProxy go on without it")
	select {
	case err := <-done:
		return err
	case <-time.After(farewell): // what is left is taken over by the next server, as after a crash
		slog.Warn("not everything ended in time; the next server takes it over", "within", farewell)
		return nil
	}
}

// logHandler writes for whoever reads: people see local time, files and journals UTC.
func (c *cli) logHandler() slog.Handler {
	f, ok := c.Stderr.(*os.File)
	terminal := ok && term.IsTerminal(int(f.Fd()))
	options := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && !terminal {
			a.Value = slog.TimeValue(a.Value.Time().UTC())
		}
		return a
	}}
	if c.json() {
		return slog.NewJSONHandler(c.Stderr, options)
	}
	return slog.NewTextHandler(c.Stderr, options)
}

// hint adds how to mend what opening a server found.
func hint(err error) error {
	if errors.Is(err, glint.ErrTooNew) {
		return fmt.Errorf("%w; this Glint is older than the one that wrote it: upgrade", err)
	}
	return err
}
