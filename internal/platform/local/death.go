package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
)

const (
	tailLines   = 20                     // of a dead instance's log, kept as evidence
	statusAfter = time.Second            // how long a live conmon may take to write down an exit status
	unknownExit = -1                     // glint.Exit.Code when nobody could tell
	keeperDied  = "keeper (conmon) died" // its program can no longer write and its end is no longer seen
	wireCut     = "its network link was removed while no server looked"
)

// watch follows the program and the keeper of an instance to their ends, without a thread and without asking.
func (p *Platform) watch(in *life) error {
	r, _ := in.record()
	init, err := r.Init.watch()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err != nil {
		p.died(in, processWatch{})
		return nil
	}
	p.watches.Go(func() {
		if init.wait(p.stop) == nil {
			p.died(in, init)
		}
		init.close()
	})
	keeper, err := r.Keeper.watch()
	if err != nil {
		p.orphaned(in)
		return nil
	}
	p.watches.Go(func() {
		if keeper.wait(p.stop) == nil {
			p.orphaned(in)
		}
		keeper.close()
	})
	return nil
}

// orphaned taints an instance whose program outlived its keeper.
func (p *Platform) orphaned(in *life) {
	if r, known := in.record(); known && r.Init.alive() && r.Tainted == "" {
		in.noteAnyway(func(r *record) { r.Tainted = keeperDied })
		p.hint()
	}
}

// died writes down how a program ended. init is zero when nobody was watching.
func (p *Platform) died(in *life, init processWatch) {
	r, known := in.record()
	if !known || r.Exit != nil {
		return
	}
	exit := glint.Exit{At: time.Now().UTC()}
	exit.Code, exit.Signal = p.status(in, r, init)
	exit.OutOfMemory = exit.Code == 128+int(syscall.SIGKILL) && p.groups.outOfMemory(in.id.Key())
	exit.Tail = tail(in.dir, tailLines)
	if why, never := refusedByKernel(exit); never {
		exit = glint.Exit{Code: unknownExit, Failure: why, Permanent: true, At: exit.At, Tail: exit.Tail}
	}
	in.noteAnyway(func(r *record) {
		if r.Exit == nil {
			r.Exit = &exit
			if exit.Failure != "" {
				r.Started = time.Time{}
			}
		}
	})
	in.bury()
	p.hint()
}

// refusedByKernel reports whether the runtime could not begin the program after it was let go: then it is the runtime
// that wrote the only line, and ended with 1.
func refusedByKernel(e glint.Exit) (string, bool) {
	if e.Code != 1 || len(e.Tail) != 1 || !strings.HasPrefix(e.Tail[0], "exec container process") {
		return "", false
	}
	return "the program cannot run here: " + e.Tail[0], true
}

// bury tells who waits that the program has ended.
func (in *life) bury() {
	in.mu.Lock()
	defer in.mu.Unlock()
	select {
	case <-in.dead:
	default:
		close(in.dead)
	}
}

// status finds the exit status: conmon writes it down; where conmon died, new kernels can still tell.
func (p *Platform) status(in *life, r record, init processWatch) (code int, signal string) {
	path := filepath.Join(in.dir, "exit", in.id.Key())
	deadline := time.Now().Add(statusAfter)
	for wait := 100 * time.Microsecond; ; wait = min(2*wait, 10*time.Millisecond) {
		alive := r.Keeper.alive() // asked before the file is: it writes, then ends
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
				return n, p.signalName(n, init)
			}
		}
		if !alive || time.Now().After(deadline) {
			break
		}
		time.Sleep(wait)
	}
	if init.f == nil {
		return unknownExit, ""
	}
	if s, ok := init.status(); ok {
		if s.Signaled() {
			return 128 + int(s.Signal()), unix.SignalName(s.Signal())
		}
		return s.ExitStatus(), ""
	}
	return unknownExit, ""
}

// signalName tells a program that was killed from one that ended with a status above 128, where the kernel can.
func (p *Platform) signalName(code int, init processWatch) string {
	if code <= 128 || code > 128+64 {
		return ""
	}
	if init.f != nil {
		if s, ok := init.status(); ok && !s.Signaled() {
			return ""
		}
	}
	return unix.SignalName(syscall.Signal(code - 128))
}

// awaitDeath waits for the program of an instance to be written down as ended.
func (in *life) awaitDeath(ctx context.Context, within time.Duration) (bool, error) {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-in.dead:
		return true, nil
	case <-t.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
