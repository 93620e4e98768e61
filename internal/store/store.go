// Package store is the door to what Glint remembers: releases, revisions, blueprints and their story.
// It holds the interface; mem and etcd implement it and storetest holds them to it. It decides nothing.
package store

import (
	"context"

	"github.com/glint-infra/glint"
)

// A Store remembers. All methods may be called at the same time, also from several processes on one external store.
// Errors wrap glint.ErrNotFound and glint.ErrConflict where they say so.
type Store interface {
	// Stacks returns the names of the stacks that have not ended, sorted.
	Stacks(ctx context.Context) ([]string, error)

	// AddRevision makes rel the newest revision of rev.Stack if the newest is numbered after (0: there is none), and
	// returns it with its number; otherwise glint.ErrConflict. A stack that is new or has ended begins with epoch.
	// Revision numbers, blueprint numbers and route generations rise for ever, across epochs.
	AddRevision(ctx context.Context, rev glint.Revision, rel glint.Release, after int, epoch glint.Epoch) (glint.Revision, error)
	// Revisions returns all revisions of a stack, oldest first, also of one that has ended; glint.ErrNotFound if it never was.
	Revisions(ctx context.Context, stack string) ([]glint.Revision, error)
	// Release returns the release of that digest, or glint.ErrNotFound.
	Release(ctx context.Context, d glint.Digest) (glint.Release, error)

	// Head returns the newest blueprint of a stack that has not ended, or glint.ErrNotFound. Before the first Advance
	// it has the stack's epoch, and the number and route generation that its last life ended with.
	Head(ctx context.Context, stack string) (glint.Blueprint, error)
	// Advance makes next the newest blueprint if the newest is numbered next.Number-1 and of the same epoch, and
	// keeps step beside it, in one transaction; otherwise glint.ErrConflict. It numbers step.Events.
	Advance(ctx context.Context, next glint.Blueprint, step glint.Step) error
	// Steps returns up to limit steps numbered above after, oldest first.
	Steps(ctx context.Context, stack string, after, limit int) ([]glint.Step, error)
	// End forgets the blueprint and the orders of a stack whose newest blueprint is numbered number, has no instances
	// and has taken up the newest revision; otherwise glint.ErrConflict. Its history stays.
	End(ctx context.Context, stack string, number int) error

	// Record adds events that no blueprint tells of, such as incidents, and numbers them.
	Record(ctx context.Context, stack string, events ...glint.Event) error
	// Events returns up to limit events of a stack with Seq above after, oldest first. With after < 0 it returns the
	// newest limit events.
	Events(ctx context.Context, stack string, after int64, limit int) ([]glint.Event, error)

	// AddOrder keeps a person's word and returns it with its number; glint.ErrNotFound if its stack does not live.
	AddOrder(ctx context.Context, o glint.Order) (glint.Order, error)
	// Orders returns the open orders of a stack, oldest first.
	Orders(ctx context.Context, stack string) ([]glint.Order, error)
	// CloseOrder removes an order that has been carried out. Removing what is not there is not an error.
	CloseOrder(ctx context.Context, stack string, id int) error

	// Watch calls changed, which must not block, with the name of a stack of which something may have changed,
	// until ctx ends; it begins with every stack that lives, and returns when ctx has ended (nil) or the store has.
	// It is a hint, never a source of truth.
	Watch(ctx context.Context, changed func(stack string)) error
	// Close ends the store's use.
	Close() error
}
