package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
)

// takeName makes this the only server of that name on the host: links, tables and control groups bear it. The lock is a
// socket in the abstract namespace of the same network namespace as those links; it ends with the process. A program
// that a server was just starting when it was killed may have inherited the socket, and keeps it until it has begun.
func (h *host) takeName(ctx context.Context) error {
	addr := &net.UnixAddr{Name: "@glint/" + h.at.name, Net: "unix"}
	l, err := net.ListenUnix("unix", addr)
	for end := time.Now().Add(farewell); errors.Is(err, syscall.EADDRINUSE) && ctx.Err() == nil; l, err = net.ListenUnix("unix", addr) {
		holder := nameHolder(addr)
		if holder != 0 && syscall.Kill(holder, 0) == nil || time.Now().After(end) {
			return fmt.Errorf("a server named %s runs on this host already (%s): stop it, or give this one others of all of --name --data --run --pool --http: %w", h.at.name, processText(holder), glint.ErrInUse)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("taking the name %s on this host: %w", h.at.name, err)
	}
	h.closers = append(h.closers, l.Close)
	return nil
}

// nameHolder returns the pid of the process that took the name; 0: it is not known.
func nameHolder(addr *net.UnixAddr) int {
	conn, err := net.DialUnix("unix", nil, addr)
	if err != nil {
		return 0
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); cerr != nil || err != nil {
		return 0
	}
	return int(cred.Pid)
}

func processText(pid int) string {
	if pid == 0 {
		return "its process is not known"
	}
	return fmt.Sprintf("process %d", pid)
}
