// Package discovery gives every service of a stack one stable address, and keeps it for as long as the stack lives.
// It does not carry traffic to that address.
package discovery

import "net/netip"

// A Directory knows the stable addresses of services.
type Directory interface {
	// Address returns the address of a service, giving one out when it has none yet. It never changes while the
	// stack lives, also across restarts of the server.
	Address(stack, service string) (netip.Addr, error)
	// Forget takes back all addresses of a stack.
	Forget(stack string) error
}
