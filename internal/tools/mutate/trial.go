package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// A trial runs tests against mutants.
type trial struct {
	options
	work, overlay string
	chosen        []*mutant
	log           io.Writer
	suites        []*suite
}

// A suite is the test binary of a package.
type suite struct {
	path, dir, binary string
	flags             []string
	tests             []test
}

// A test is a test function, and what it does when nothing is wrong.
type test struct {
	name    string
	took    time.Duration
	reaches map[int]bool
}

// quick is how long a test may take to be run in one process with others: to start one for each would take longer.
const quick = 200 * time.Millisecond

// memory bounds the data of a test process: a loop that never ends often allocates.
const memory = 4 << 30

// prepare builds the test binaries, runs each test without a fault, and notes which mutants it reaches.
func (t *trial) prepare(ctx context.Context) error {
	all, err := list(ctx, t.options.tests)
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.DepOnly {
			continue
		}
		s := &suite{path: l.ImportPath, dir: l.Dir, binary: filepath.Join(t.work, fmt.Sprintf("%d.test", len(t.suites)))}
		if err := t.build(ctx, s); err != nil {
			return err
		}
		if err := t.survey(ctx, s); err != nil {
			return fmt.Errorf("testing %s without a fault: %w", s.path, err)
		}
		t.suites = append(t.suites, s)
	}
	return nil
}

func (t *trial) build(ctx context.Context, s *suite) error {
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags=-w", "-overlay", t.overlay, "-o", s.binary, s.path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the tests of %s: %w\n%s", s.path, err, out)
	}
	if _, err := os.Stat(s.binary); err != nil {
		return fmt.Errorf("%s has no tests", s.path)
	}
	help, _ := exec.CommandContext(ctx, s.binary, "-h").CombinedOutput() // it fails, having told its flags
	if bytes.Contains(help, []byte("-rapid.nofailfile")) {
		s.flags = []string{"-rapid.nofailfile", "-rapid.shrinktime=0s", "-rapid.seed=" + strconv.FormatUint(max(t.seed, 1), 10)}
		if t.checks > 0 {
			s.flags = append(s.flags, "-rapid.checks="+strconv.Itoa(t.checks))
		}
	}
	return nil
}

// survey runs each test by itself, and orders them by the time they take. One that is too slow is left out.
func (t *trial) survey(ctx context.Context, s *suite) error {
	cmd := exec.CommandContext(ctx, s.binary, "-test.list", "^(Test|Fuzz|Example)")
	cmd.Dir = s.dir
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("listing tests: %w", err)
	}
	limit := cmp.Or(t.slow, time.Hour)
	for i, name := range strings.Fields(string(out)) {
		if !strings.HasPrefix(name, "Test") && !strings.HasPrefix(name, "Fuzz") && !strings.HasPrefix(name, "Example") {
			continue // a TestMain printed it
		}
		notes := filepath.Join(t.work, fmt.Sprintf("%s-%d", filepath.Base(s.binary), i))
		begun := time.Now()
		text, err := t.run(ctx, s, []string{name}, -1, notes, limit)
		if t.slow > 0 && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			fmt.Fprintf(t.log, "mutate: %s of %s takes longer than %s and is left out\n", name, s.path, t.slow)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, text)
		}
		took := test{name: name, took: time.Since(begun), reaches: map[int]bool{}}
		text, err = os.ReadFile(notes)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // it reaches nothing
			return err
		}
		for _, n := range strings.Fields(string(text)) {
			id, err := strconv.Atoi(n)
			if err != nil {
				return fmt.Errorf("reading what %s reaches: %w", name, err)
			}
			took.reaches[id] = true
		}
		s.tests = append(s.tests, took)
	}
	slices.SortFunc(s.tests, func(a, b test) int { return cmp.Compare(a.took, b.took) })
	return nil
}

// run runs tests with a mutant at work. The error says that a test failed, or hung.
func (t *trial) run(ctx context.Context, s *suite, tests []string, mutant int, notes string, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := append([]string{"-test.failfast", "-test.timeout=0", "-test.run=^(" + strings.Join(tests, "|") + ")$"}, s.flags...)
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "GLINT_MUTANT="+strconv.Itoa(mutant), "GLINT_MUTANT_REACHED="+notes, "TMPDIR="+t.work)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	_ = unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: memory, Max: memory}, nil) // it may have ended already
	err := cmd.Wait()
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // what the tests left behind
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return append(out.head, out.tail...), err
}

// An output keeps the beginning and the end of what is written to it: either may hold the reason.
type output struct{ head, tail []byte }

func (o *output) Write(p []byte) (int, error) {
	const kept = 4 << 10
	n := min(len(p), kept-len(o.head))
	o.head, o.tail = append(o.head, p[:n]...), append(o.tail, p[n:]...)
	if cut := len(o.tail) - kept; cut > 0 {
		o.tail = append([]byte("…"), o.tail[cut:]...)
	}
	return len(p), nil
}

// all tries the chosen mutants.
func (t *trial) all(ctx context.Context) error {
	var tried, dead atomic.Int64
	begun := time.Now()
	tell := func() {
		n, k, took := tried.Load(), dead.Load(), time.Since(begun)
		left := time.Duration(float64(took) / float64(max(n, 1)) * float64(int64(len(t.chosen))-n))
		fmt.Fprintf(t.log, "mutate: %d of %d tried, %d killed, %d alive; %s so far, about %s left\n",
			n, len(t.chosen), k, n-k, took.Round(time.Second), left.Round(time.Second))
	}
	ended, told := make(chan struct{}), sync.WaitGroup{}
	told.Go(func() {
		every := time.NewTicker(5 * time.Second)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				tell()
			case <-ended:
				tell()
				return
			}
		}
	})
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(t.workers)
	for _, m := range t.chosen {
		g.Go(func() error {
			if err := t.try(gctx, m); err != nil {
				return err
			}
			tried.Add(1)
			if m.fate == killed || m.fate == hung {
				dead.Add(1)
			}
			return nil
		})
	}
	err := g.Wait()
	close(ended)
	told.Wait()
	return err
}

// A batch is what is run in one process.
type batch struct {
	suite *suite
	tests []string
	took  time.Duration
}

// batches lists the runs that reach m, the short ones first.
func (t *trial) batches(m *mutant) []batch {
	var all []batch
	for _, s := range t.suites {
		short := batch{suite: s}
		for _, test := range s.tests {
			switch {
			case !test.reaches[m.id]:
			case test.took <= quick:
				short.tests, short.took = append(short.tests, test.name), short.took+test.took
			default:
				all = append(all, batch{s, []string{test.name}, test.took})
			}
		}
		if len(short.tests) > 0 {
			all = append(all, short)
		}
	}
	slices.SortStableFunc(all, func(a, b batch) int { return cmp.Compare(a.took, b.took) })
	return all
}

// try runs the tests that reach m until one notices it.
func (t *trial) try(ctx context.Context, m *mutant) error {
	fate := notReached
	for _, b := range t.batches(m) {
		fate = survived
		_, err := t.run(ctx, b.suite, b.tests, m.id, os.DevNull, t.timeout+10*b.took)
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			continue
		case errors.Is(err, context.DeadlineExceeded):
			m.fate, m.because = hung, b.suite.path
		case errors.As(err, &exit):
			m.fate, m.because = killed, b.suite.path
		default:
			return fmt.Errorf("running the tests of %s: %w", b.suite.path, err)
		}
		return nil
	}
	m.fate = fate
	return nil
}
