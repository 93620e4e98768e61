package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
)

// takeName makes this the only server of that name on the host: links, tables and control groups bear it. The lock is a
// socket in the abstract namespace of the same network namespace as those links; it ends with the process.
func (h *host) takeName(context.Context) error {
	addr := &net.UnixAddr{Name: "@glint/" + h.at.name, Net: "unix"}
	l, err := net.ListenUnix("unix", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("a server named %s runs on this host already (%s): stop it, or give this one others of all of --name --data --run --pool --http: %w", h.at.name, nameHolder(addr), glint.ErrInUse)
	}
	if err != nil {
		return fmt.Errorf("taking the name %s on this host: %w", h.at.name, err)
	}
	h.closers = append(h.closers, l.Close)
	return nil
}

// nameHolder names the process at the other end.
func nameHolder(addr *net.UnixAddr) string {
	conn, err := net.DialUnix("unix", nil, addr)
	if err != nil {
		return "its process is not known"
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return "its process is not known"
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); cerr != nil || err != nil {
		return "its process is not known"
	}
	return fmt.Sprintf("process %d", cred.Pid)
}
