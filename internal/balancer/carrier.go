package balancer

import (
	"context"
	"net/netip"

	"github.com/glint-infra/glint"
)

// A Table is all that one carrier carries, of all stacks.
type Table struct {
	Generations map[string]int    // by stack; for people
	Backends    []Backend         // sorted by name
	Hosts       map[string]string // host name → name of a backend; empty: a service that is not there
}

// A Backend is a port of a service at its stable address.
type Backend struct {
	Name    string         // STACK.SERVICE.PORT
	Listen  netip.AddrPort // the stable address and port
	Members []glint.Server // sorted by ID
}

// Seen is one look at what a carrier does.
type Seen struct {
	Generations map[string]int    // of the table that Late compares with
	Late        map[string]string // backends that are not as published, and how; "" stands for all of them
	InFlight    map[glint.ID]int  // read after Late, so that what is counted can only become less
	Complete    bool              // false: something did not answer; what is absent from InFlight is unknown
}

// A Carrier is one of the means by which a plane carries traffic.
type Carrier interface {
	// Publish puts a whole table in force. When the error wraps glint.ErrInUse or glint.ErrInvalid nothing was changed; after
	// any other error the table is wanted, and Look tells when it is in force.
	Publish(ctx context.Context, t Table) error
	// Look reads back what is in force and then what is in flight.
	Look(ctx context.Context) Seen
	// Close ends the supervision; traffic goes on. With nothing published all is taken away.
	Close() error
}
