package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A process is known by its pid and when it began: pids are used again, the pair is not within one life of the host.
type process struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot: field 22 of proc_pid_stat(5)
}

// processOf names the process that has this pid now; ok is false when there is none, or only its zombie.
func processOf(pid int) (p process, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil || pid <= 0 {
		return process{}, false
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // the name before it may hold anything
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return process{}, false
	}
	start, err := strconv.ParseUint(f[19], 10, 64)
	return process{pid, start}, err == nil
}

// alive reports whether this very process still runs.
func (p process) alive() bool {
	now, ok := processOf(p.Pid)
	return ok && now == p
}

// A processWatch is a handle on a process that stays right when its pid is used again.
type processWatch struct{ f *os.File }

// watch opens a handle; os.ErrProcessDone means that the process has ended.
func (p process) watch() (processWatch, error) {
	if p.Pid <= 0 {
		return processWatch{}, os.ErrProcessDone
	}
	fd, err := unix.PidfdOpen(p.Pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return processWatch{}, os.ErrProcessDone
	}
	if err != nil {
		return processWatch{}, fmt.Errorf("watching process %d: %w", p.Pid, err)
	}
	w := processWatch{os.NewFile(uintptr(fd), "pidfd")}
	if !p.alive() { // asked after the handle was opened: it may be on another process
		w.close()
		return processWatch{}, os.ErrProcessDone
	}
	return w, nil
}

func (w processWatch) close() {
	if w.f != nil {
		w.f.Close()
	}
}

// wait returns nil when the process has ended. It needs no thread while it waits.
func (w processWatch) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { w.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	c, err := w.f.SyscallConn()
	if err != nil {
		return err
	}
	err = c.Read(func(fd uintptr) bool { return ended(int(fd)) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// ended reports whether the process of a pidfd has ended: then it can be read.
func ended(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0
}

func (w processWatch) signal(s syscall.Signal) error {
	c, err := w.f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := c.Control(func(fd uintptr) { serr = unix.PidfdSendSignal(int(fd), s, nil, 0) }); err != nil {
		return err
	}
	if errors.Is(serr, unix.ESRCH) {
		return nil
	}
	return serr
}

// pidfdInfo is struct pidfd_info of linux/pidfd.h, as far as its first version goes.
type pidfdInfo struct {
	Mask, CgroupID                                                    uint64
	Pid, Tgid, Ppid, Ruid, Rgid, Euid, Egid, Suid, Sgid, Fsuid, Fsgid uint32
	ExitCode                                                          int32
}

const (
	pidfdGetInfo  = 3<<30 | 64<<16 | 0xFF<<8 | 11 // PIDFD_GET_INFO
	pidfdInfoExit = 1 << 3                        // PIDFD_INFO_EXIT
)

// status returns the wait status of a process that ended and was reaped by its parent. Kernels before 6.15 cannot tell.
func (w processWatch) status() (syscall.WaitStatus, bool) {
	info := pidfdInfo{Mask: pidfdInfoExit}
	c, err := w.f.SyscallConn()
	if err != nil {
		return 0, false
	}
	var errno syscall.Errno
	if err := c.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	}); err != nil || errno != 0 || info.Mask&pidfdInfoExit == 0 {
		return 0, false
	}
	return syscall.WaitStatus(info.ExitCode), true
}
