package platformtest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform"
)

func testWatch(b *bench) {
	w, ok := b.Platform.(platform.Watcher)
	if !ok {
		b.Skip("this platform does not watch")
	}
	ctx, cancel := context.WithCancel(b.Context())
	var hints atomic.Int64
	ended := make(chan struct{})
	go func() { _ = w.Watch(ctx, func() { hints.Add(1) }); close(ended) }()
	s := spec(id("job", 1), b.Exits)
	n := 1
	// Watch may not have begun yet when the first instance dies; a later death must be told.
	if !b.Settle(func() bool {
		if hints.Load() > 0 {
			return true
		}
		if in, ok := b.look(s.ID); !ok {
			b.create(s)
		} else if in.State == glint.Dead && n < 5 {
			n++
			s = spec(id("job", n), b.Exits)
		}
		return false
	}) {
		b.Error("no hint when an instance died")
	}
	cancel()
	if !b.Settle(func() bool { return closed(ended) }) {
		b.Error("Watch does not end with its context")
	}
}

func testLogs(b *bench) {
	l, ok := b.Platform.(platform.Logger)
	if !ok {
		b.Skip("this platform keeps no logs")
	}
	if _, err := l.Logs(b.Context(), id("nobody", 1), -1, false); !errors.Is(err, glint.ErrNotFound) {
		b.Errorf("logs of nobody: %v, want glint.ErrNotFound", err)
	}
	s := spec(id("job", 1), b.Exits)
	b.create(s)
	b.reach(s.ID, glint.Dead)
	all := []string{"one", "two", "three"}
	for tail, want := range map[int][]string{-1: all, 0: nil, 2: all[1:], 9: all} {
		r, err := l.Logs(b.Context(), s.ID, tail, false)
		if err != nil {
			b.Fatalf("logs: %v", err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			b.Fatalf("reading logs: %v", err)
		}
		if err := r.Close(); err != nil {
			b.Errorf("closing logs: %v", err)
		}
		if got := b.texts(string(raw)); !slices.Equal(got, want) {
			b.Errorf("last %d lines: %q, want %q", tail, got, want)
		}
	}
}

// texts checks the form of log lines and returns their texts.
func (b *bench) texts(raw string) []string {
	b.Helper()
	var texts []string
	for line := range strings.Lines(raw) {
		part := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if len(part) != 3 || part[1] != "out" && part[1] != "err" {
			b.Fatalf("log line %q is not TIME STREAM TEXT", line)
		}
		if at, err := time.Parse(time.RFC3339Nano, part[0]); err != nil || !strings.HasSuffix(part[0], "Z") || at.IsZero() {
			b.Fatalf("log line %q: its time is not RFC 3339 in UTC: %v", line, err)
		}
		texts = append(texts, part[2])
	}
	return texts
}

func testLogsFollow(b *bench) {
	l, ok := b.Platform.(platform.Logger)
	if !ok {
		b.Skip("this platform keeps no logs")
	}
	s := spec(id("job", 1), b.Exits)
	b.create(held(s))
	b.reach(s.ID, glint.Held)
	r, err := l.Logs(b.Context(), s.ID, -1, true)
	if err != nil {
		b.Fatalf("logs: %v", err)
	}
	var mu sync.Mutex
	var raw strings.Builder
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in := bufio.NewReader(r)
		for {
			line, err := in.ReadString('\n')
			mu.Lock()
			raw.WriteString(line)
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	b.create(s)
	b.reach(s.ID, glint.Dead)
	if !b.Settle(func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Count(raw.String(), "\n") == 3
	}) {
		b.Errorf("followed logs: %q", raw.String())
	}
	if closed(ended) {
		b.Error("following ended before the instance was destroyed")
	}
	b.destroy(s.ID, time.Second)
	if !b.Settle(func() bool { return closed(ended) }) {
		b.Error("following goes on after the instance was destroyed")
	}
	if err := r.Close(); err != nil {
		b.Errorf("closing: %v", err)
	}
}

func testExec(b *bench) {
	e, ok := b.Platform.(platform.Execer)
	if !ok || len(b.Say) == 0 {
		b.Skip("this platform runs no commands")
	}
	if _, _, err := e.Exec(b.Context(), id("nobody", 1), b.Say); !errors.Is(err, glint.ErrNotFound) {
		b.Errorf("a command beside nobody: %v, want glint.ErrNotFound", err)
	}
	s := spec(id("web", 1), b.Serves)
	b.create(s)
	was := b.reach(s.ID, glint.Running)
	for _, tt := range []struct {
		command []string
		status  int
		output  string
	}{{b.Say, 0, "said"}, {b.SayNo, 3, ""}} {
		status, out, err := e.Exec(b.Context(), s.ID, tt.command)
		if err != nil || status != tt.status || !strings.Contains(string(out), tt.output) {
			b.Errorf("%q: status %d, output %q, error %v", tt.command, status, out, err)
		}
	}
	if _, _, err := e.Exec(b.Context(), s.ID, []string{"/no/such/program"}); err == nil {
		b.Error("running a program that is not there: no error")
	}
	is := b.reach(s.ID, glint.Running)
	b.same(was, is)
	if is.Tainted != "" {
		b.Errorf("Glint's own command taints: %q", is.Tainted)
	}
}
