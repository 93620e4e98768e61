// Package platform is the door between Glint and the places where instances live.
// It holds the interface and its optional abilities; it runs nothing and decides nothing.
package platform

import (
	"context"
	"io"
	"time"

	"github.com/glint-infra/glint"
)

// A Platform runs instances. Every method may be called again after a crash or a timeout: creating what exists and
// destroying what does not are not errors. All methods may be called at the same time.
type Platform interface {
	// Create returns once the platform has durably accepted the ID; failures after that appear in List, with their
	// reason and whether a retry can help. An error means that it is not known whether the ID was accepted.
	// Create of a held instance's ID without Held lets it go.
	Create(ctx context.Context, spec glint.InstanceSpec) error
	// Destroy asks the program to end, waits for grace at most, and takes everything of the instance away.
	// It returns when the instance is gone.
	Destroy(ctx context.Context, id glint.ID, grace time.Duration) error
	// List says what it saw, whether that is all, which places did not answer, and when it looked.
	// Dead instances stay listed, with exit status, until they are destroyed.
	List(ctx context.Context) (glint.Listing, error)
}

// A Watcher can say that something may have happened: a hint to look sooner, never a source of truth.
type Watcher interface {
	// Watch calls hint, which must not block, until ctx ends.
	Watch(ctx context.Context, hint func()) error
}

// A Logger keeps what instances write to standard output and standard error.
type Logger interface {
	// Logs returns the last tail lines (all when tail < 0) of a live or dead instance, and with follow goes on until
	// ctx ends or the instance is destroyed. Each line is "TIME STREAM TEXT\n": RFC 3339 in UTC, "out" or "err", text.
	// The error is glint.ErrNotFound when nothing is kept of id.
	Logs(ctx context.Context, id glint.ID, tail int, follow bool) (io.ReadCloser, error)
}

// An Execer can run a command beside an instance's program, in its sandbox.
type Execer interface {
	// Exec returns the exit status and at most 4 KiB of the output. An error means that it could not be run.
	Exec(ctx context.Context, id glint.ID, command []string) (status int, output []byte, err error)
}
