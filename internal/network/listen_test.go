package network_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/network"
)

// shared listens as HAProxy does: others may listen on the same address.
func shared(t *testing.T) net.Listener {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(cerr, err)
	}}
	l, err := lc.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestCheckFreeTakesNothing: whoever connects to a HAProxy of ours while its address is checked, as each start of a server
// does, is answered by it.
func TestCheckFreeTakesNothing(t *testing.T) {
	l := shared(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello") // who asked will tell
			go func() {
				_, _ = io.Copy(io.Discard, c) // until the client is gone
				c.Close()
			}()
		}
	}()
	addr := netip.MustParseAddrPort(l.Addr().String())
	var checks, clients sync.WaitGroup
	var lost atomic.Int64
	ended := make(chan struct{})
	for range 4 {
		checks.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				if err := network.CheckFree(addr, []int{os.Getpid()}); err != nil {
					t.Errorf("an address of ours is not free for us: %v", err)
					return
				}
			}
		})
		clients.Go(func() {
			for range 2500 {
				c, err := net.Dial("tcp4", addr.String())
				if err == nil {
					_, err = io.ReadFull(c, make([]byte, len("hello")))
					_ = c.(*net.TCPConn).SetLinger(0) // leaves nothing in the kernel's list of connections, which CheckFree reads
					c.Close()
				}
				if err != nil {
					lost.Add(1)
				}
			}
		})
	}
	clients.Wait()
	close(ended)
	checks.Wait()
	if n := lost.Load(); n > 0 {
		t.Errorf("%d of 10000 connections were lost", n)
	}
}

// TestCheckFreeNamesTheHolder: an address on which somebody else listens is refused, whether he would share it or not.
func TestCheckFreeNamesTheHolder(t *testing.T) {
	alone, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	for what, l := range map[string]net.Listener{"alone": alone, "shared": shared(t)} {
		if err := network.CheckFree(netip.MustParseAddrPort(l.Addr().String()), nil); !errors.Is(err, glint.ErrInUse) {
			t.Errorf("%s: %v, want glint.ErrInUse", what, err)
		}
	}
	if err := network.CheckFree(netip.MustParseAddrPort(alone.Addr().String()), []int{os.Getpid()}); !errors.Is(err, glint.ErrInUse) {
		t.Errorf("held by ourselves and not to be shared: %v, want glint.ErrInUse", err)
	}
}
