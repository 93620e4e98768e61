// Package bench measures what Glint costs beside what it is made of, in one run on one machine: replacing, updating, routing,
// and deciding.
// It judges speed nowhere and changes nothing of the Glint that it measures, which is a real server with real instances.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Config says what to measure, and with what.
type Config struct {
	Self      string // the glint binary: server, commands and workers are children of it
	Program   string // a static program that serves HTTP on :8080 with /healthz and /version; slow requests are sent if it answers /slow?ms=N
	Runs      int    // rounds of replace and route, each with everything that is compared
	Instances int    // how many update replaces
	Progress  func(format string, args ...any)
}

// A Figure is what was measured N times.
type Figure struct {
	Name   string  `json:"name"` // such as "replace.glint.cpu"
	Text   string  `json:"text"` // what it is, for people
	Unit   string  `json:"unit"` // "ms", "us", "ratio", "requests", "s", "MiB"
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
	Goal   float64 `json:"goal,omitempty"` // at most; 0: none
	Met    *bool   `json:"met,omitempty"`  // the median is within the goal
}

// A Report is everything that was measured in one run.
type Report struct {
	Host    Host     `json:"host"`
	Figures []Figure `json:"figures"`
	Failed  int      `json:"failed_requests"` // anywhere; more than none is a failure of the run
	Notes   []string `json:"notes,omitempty"`
}

// A Host is where it was measured, and how much others disturbed.
type Host struct {
	Cores   int     `json:"cores"`
	Kernel  string  `json:"kernel"`
	Cgroups string  `json:"cgroups"` // "v1" or "v2": which one counted CPU time
	Crun    string  `json:"crun"`
	HAProxy string  `json:"haproxy"`
	Others  float64 `json:"others"` // share of all CPU time that went to what is not part of the run, kernel threads included
}

// Kinds are what can be measured, in the order of "all".
var Kinds = []string{"plan", "replace", "update", "route"}

// Run measures one of Kinds, each in a world of its own, or "all". What was measured before an error is in the report.
func Run(ctx context.Context, kind string, c Config) (Report, error) {
	g, err := newGroups()
	if err != nil {
		return Report{}, err
	}
	r := Report{Host: host(g)}
	began, before, err := time.Now(), int64(0), error(nil)
	if before, err = g.machine(); err != nil {
		return r, err
	}
	var ours int64
	if kind == "all" || kind == "plan" {
		if err := planning(ctx, c, &r); err != nil {
			return r, err
		}
	}
	for i, measure := range []func(context.Context, *world, *Report) error{nil, replace, update, route} {
		if measure == nil || kind != "all" && kind != Kinds[i] {
			continue
		}
		used, err := inWorld(ctx, c, func(ctx context.Context, w *world) error { return measure(ctx, w, &r) })
		ours += used
		if err != nil {
			return r, fmt.Errorf("measuring %s: %w", Kinds[i], err)
		}
	}
	after, err := g.machine()
	var self unix.Rusage
	err = errors.Join(err, unix.Getrusage(unix.RUSAGE_SELF, &self))
	ours += self.Utime.Nano() + self.Stime.Nano()
	r.Host.Others = max(0, float64(after-before-ours)/float64(time.Since(began).Nanoseconds()*int64(runtime.NumCPU())))
	return r, err
}

func host(g groups) Host {
	h := Host{Cores: runtime.NumCPU(), Cgroups: g.version(), Crun: versionOf("crun", "--version"), HAProxy: versionOf("haproxy", "-v")}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return h
}

func versionOf(program string, flag string) string {
	out, _ := exec.Command(program, flag).Output()
	for _, word := range strings.Fields(string(out)) {
		if word[0] >= '0' && word[0] <= '9' {
			return word
		}
	}
	return ""
}

// add puts a figure into the report. Without values there is nothing to say.
func (r *Report) add(name, text, unit string, goal float64, values []float64) {
	if len(values) == 0 {
		return
	}
	sorted := slices.Sorted(slices.Values(values))
	f := Figure{Name: name, Text: text, Unit: unit, Median: median(sorted), Min: sorted[0], Max: sorted[len(sorted)-1], N: len(sorted), Goal: goal}
	if goal > 0 {
		met := f.Median <= goal
		f.Met = &met
	}
	r.Figures = append(r.Figures, f)
}

// addPercentiles adds p50, p90 and the greatest of wall times in ms.
func (r *Report) addPercentiles(name, text string, goal float64, values []float64) {
	if len(values) == 0 {
		return
	}
	sorted := slices.Sorted(slices.Values(values))
	r.add(name+".p50", text+", p50", "ms", goal, values)
	for _, p := range []struct {
		name  string
		value float64
	}{{"p90", sorted[len(sorted)*9/10]}, {"max", sorted[len(sorted)-1]}} {
		r.Figures = append(r.Figures, Figure{Name: name + "." + p.name, Text: text + ", " + p.name, Unit: "ms", Median: p.value, Min: p.value, Max: p.value, N: len(sorted)})
	}
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratios divides pairs that were measured next to each other.
func ratios(a, b []float64) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			out = append(out, a[i]/b[i])
		}
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// pause waits, or returns why not.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// until asks again and again until done says so, at most for a time.
func until(ctx context.Context, what string, within, every time.Duration, done func() (bool, error)) error {
	for end := time.Now().Add(within); ; {
		ok, err := done()
		if ok {
			return nil
		}
		if time.Now().After(end) {
			return errors.Join(fmt.Errorf("waited %s for %s", within, what), err)
		}
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
}

// Inside marks the process that lives in namespaces of its own.
const Inside = "GLINT_BENCH_INSIDE"

// Isolate runs this program again with the same arguments, in network and mount namespaces of its own, and returns its exit code.
// The child is asked to end when ctx does, or this process.
func Isolate(ctx context.Context, args []string) (int, error) {
	runtime.LockOSThread() // the child is told when this thread ends
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), Inside+"=1")
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Unshareflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: unix.SIGTERM}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}
