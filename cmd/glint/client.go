package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

const (
	defaultRun    = "/run/glint"
	defaultSocket = defaultRun + "/glint.sock"
)

func (c *cli) socketPath() string {
	return c.path(cmp.Or(c.socket, c.Getenv("GLINT_SOCKET"), defaultSocket))
}

// remote is the way to the server. Nothing is asked yet.
func (c *cli) remote() (*api.Client, error) {
	path := c.socketPath()
	if !filepath.IsAbs(path) {
		return nil, fail(exitInvalid, "socket %q: want a path", path)
	}
	return api.NewClient(path), nil
}

// whichStack says of which stack a command speaks: the one that was named, that of the declaration here, or the only one.
func (c *cli) whichStack(ctx context.Context, named string) (string, error) {
	if name := cmp.Or(named, c.stack); name != "" {
		if !glint.ValidName(name) {
			return "", fail(exitInvalid, "%q cannot be the name of a stack", name)
		}
		return name, nil
	}
	if c.declared() {
		return c.declaredStack()
	}
	remote, err := c.remote()
	if err != nil {
		return "", err
	}
	stacks, err := remote.Stacks(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for _, s := range stacks {
		names = append(names, s.Stack)
	}
	switch len(names) {
	case 0:
		return "", fail(exitFailed, "no stack runs, and there is no glint.hcl in %s", c.path(c.dir))
	case 1:
		return names[0], nil
	}
	return "", fail(exitInvalid, "which stack? Name one: --stack %s", strings.Join(names, " | "))
}

// declared reports whether there is a declaration in the folder.
func (c *cli) declared() bool {
	_, err := os.Stat(filepath.Join(c.path(c.dir), "glint.hcl"))
	return err == nil
}

// A subject is what a person named: shop/web.1, web.1, web.
type subject struct {
	stack, service string
	n              int // 0: the service
}

// parseSubject reads [STACK/]SERVICE[.N].
func parseSubject(s string) (subject, error) {
	stack, rest, named := strings.Cut(s, "/")
	if !named {
		stack, rest = "", s
	}
	service, number, numbered := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if named && !glint.ValidName(stack) || !glint.ValidName(service) || numbered && (err != nil || n < 1) {
		return subject{}, fail(exitInvalid, "%q names neither an instance (web.1, shop/web.1) nor a service (web)", s)
	}
	return subject{stack, service, n}, nil
}

func (s subject) String() string {
	if s.n == 0 {
		return s.service
	}
	return fmt.Sprintf("%s.%d", s.service, s.n)
}

// parseRevision reads r3, or 3.
func parseRevision(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "r"))
	if err != nil || n < 1 {
		return 0, fail(exitInvalid, "%q is not a revision; want r3. See them with: glint history", s)
	}
	return n, nil
}

// namesRevision reports whether somebody means a revision: r3. No service is called so, for people would not know which is meant.
func namesRevision(s string) bool {
	n, ok := strings.CutPrefix(s, "r")
	return ok && n != "" && strings.Trim(n, "0123456789") == ""
}

// A revisionFlag takes r3, or 3.
type revisionFlag int

// String writes it as people do.
func (r *revisionFlag) String() string {
	if *r == 0 {
		return ""
	}
	return fmt.Sprintf("r%d", int(*r))
}

// Set reads it.
func (r *revisionFlag) Set(s string) error {
	n, err := parseRevision(s)
	*r = revisionFlag(n)
	return err
}

// Type is what help calls it.
func (r *revisionFlag) Type() string { return "rN" }
