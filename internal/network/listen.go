package network

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
)

// CheckFree says whether a TCP address can be listened on by us. The error wraps glint.ErrInUse when it is taken, and names the
// program that listens where it can be found. What the processes in ours listen on does not count.
func CheckFree(addr netip.AddrPort, ours []int) error {
	mine := map[string]bool{}
	for _, pid := range ours {
		for _, inode := range sockets(pid) {
			mine[inode] = true
		}
	}
	var others []listener // on every IPv6 address: whether they take IPv4 too only trying tells
	for _, l := range listeners() {
		if l.addr.Port() != addr.Port() || mine[l.inode] {
			continue
		}
		if l.addr.Addr().Is6() && l.addr.Addr().IsUnspecified() {
			others = append(others, l)
		} else if l.addr.Addr() == addr.Addr() || l.addr.Addr().IsUnspecified() || l.addr.Addr().Is4() && addr.Addr().IsUnspecified() {
			return taken(addr, l)
		}
	}
	err := tryBind(addr)
	if errors.Is(err, syscall.EADDRINUSE) && len(others) > 0 {
		return taken(addr, others[0])
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is taken by another program: %w", addr, glint.ErrInUse)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be listened on: %w", addr, err)
	}
	return nil
}

func taken(addr netip.AddrPort, by listener) error {
	return fmt.Errorf("%s is taken: %s listens on %s; stop it or choose another address: %w", addr, owner(by.inode), by.addr, glint.ErrInUse)
}

// tryBind takes the address for a moment, in the manner of HAProxy. It does not listen: beside a HAProxy that does, the
// kernel would give it some of the connections that come meanwhile, and they would be lost.
func tryBind(addr netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			return err
		}
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
}

type listener struct {
	addr  netip.AddrPort
	inode string
}

// listeners reads the kernel's list of listening TCP sockets (proc_net_tcp.rst) in this network namespace.
func listeners() []listener {
	var all []listener
	for _, file := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" { // TCP_LISTEN
				continue
			}
			if addr, ok := kernelAddr(f[1]); ok {
				all = append(all, listener{addr: addr, inode: f[9]})
			}
		}
	}
	return all
}

// kernelAddr reads an address as /proc writes it: words in the order of the host, then the port.
func kernelAddr(s string) (netip.AddrPort, bool) {
	ip, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(ip)
	n, perr := strconv.ParseUint(port, 16, 16)
	if err != nil || perr != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	if nativeLittle {
		for word := range slices.Chunk(b, 4) {
			slices.Reverse(word)
		}
	}
	addr, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr, uint16(n)), ok
}

// owner names the program that holds a socket, for people.
func owner(inode string) string {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range procs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if slices.Contains(sockets(pid), inode) {
			name, _ := os.ReadFile(dir + "/comm")
			return fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(name)), pid)
		}
	}
	return "another program"
}

// sockets lists the inodes of the sockets that a process holds.
func sockets(pid int) []string {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var inodes []string
	for _, fd := range fds {
		to, _ := os.Readlink(dir + "/" + fd.Name())
		if s, ok := strings.CutPrefix(to, "socket:["); ok {
			inodes = append(inodes, strings.TrimSuffix(s, "]"))
		}
	}
	return inodes
}
