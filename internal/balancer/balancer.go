// Package balancer is the door between Glint and what carries traffic to instances.
// It holds the interface; the planes behind it are in folders of their own. It does not choose who takes traffic.
package balancer

import (
	"context"

	"github.com/glint-infra/glint"
)

// A Balancer carries requests to instances. All methods may be called again after a crash or a timeout, and at the same
// time.
type Balancer interface {
	// Publish hands over one stack's routes, whole. It returns once they are durably accepted; Status tells when they
	// are in force. A generation older than the newest published one of that stack is ignored.
	// Routes without services and hosts take the stack off the plane.
	Publish(ctx context.Context, r glint.Routes) error
	// Status says which generation is in force where, and how much is in flight to each instance, counted over all
	// live workers, old ones that still finish requests included.
	Status(ctx context.Context) (glint.BalancerStatus, error)
}

// A Watcher can say that an acknowledgement or an end of drain may have happened: a hint, never a source of truth.
type Watcher interface {
	// Watch calls hint, which must not block, until ctx ends.
	Watch(ctx context.Context, hint func()) error
}
