package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// How a command can end. They are part of the interface: see glint help apply.
const (
	exitDone       = 0
	exitFailed     = 1
	exitInvalid    = 2   // the declaration is not valid; nothing was started
	exitRolledBack = 3   // the new revision was rejected; the one before serves
	exitRefused    = 4   // a policy does not allow it
	exitDiffers    = 5   // glint diff --exit-code: they differ
	exitDetached   = 130 // somebody pressed Ctrl-C, as shells number it
)

// An exit is an end with a code of its own. With err nil, all has been said already.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// fail ends a command with a message that says what, where and how to mend it.
func fail(code int, format string, args ...any) error {
	return exit{code: code, err: fmt.Errorf(format, args...)}
}

// ended turns an error into an exit code, and says what has not been said yet.
func (c *cli) ended(err error) int {
	var e exit
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &e):
		if e.err != nil {
			c.complain(e.err)
		}
		return e.code
	case errors.Is(err, context.Canceled):
		return exitDetached
	}
	c.complain(err)
	return exitFailed
}

func (c *cli) complain(err error) {
	fmt.Fprintf(c.Stderr, "glint: %s\n", strings.TrimPrefix(err.Error(), "glint "))
}
