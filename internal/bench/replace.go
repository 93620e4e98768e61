package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

const programPort = "8080"

// Glint treats what fails in its first ten seconds as broken and waits before it tries again, longer each time. Nobody is
// killed here before it is older than that.
const adult = 11 * time.Second

// victims are services with one instance each, killed in turn. One for each service, so that whatever answers after the kill is
// the replacement.
const victims = 8

// window is how long CPU time is counted after a kill, and just before it without one.
const window = 1500 * time.Millisecond

const head = `stack "bench" {}
image "program" {
  from       = "scratch"
  entrypoint = ["/program"]
  copy {
    from = "program"
    to   = "/program"
  }
}
`

// service declares one with a route.
func service(name string, instances int, version string, surge int) string {
	return fmt.Sprintf(`service %[1]q {
  image     = image.program
  instances = %[2]d
  env       = { VERSION = %[3]q }
  port "http" {
    number = 8080
  }
  health {
    http {
      port = "http"
      path = "/healthz"
    }
  }
  resources {
    memory = "64MiB"
  }
  update {
    surge = %[4]d
  }
}
route "%[1]s.localhost" {
  to = service.%[1]s.port.http
}
`, name, instances, version, surge)
}

// replacing is the measuring of replacements.
type replacing struct {
	*world
	report *Report
	bare   *worker
	turn   int // who is killed next

	total, idle, net                  []float64 // CPU ms: of a window with a kill, of one without, the difference
	server, platform, haproxy, beyond []float64 // the parts of the difference; beyond: all else on the machine
	crun, conmon, start               []float64 // CPU ms of bare ones; start: of conmon's up to the first answer
	wall, bareWall, created, ready    []float64 // ms
	late                              int
}

// replace kills instances with SIGKILL and measures what it takes to replace them.
func replace(ctx context.Context, w *world, report *Report) error {
	r := &replacing{world: w, report: report}
	var text strings.Builder
	text.WriteString(head)
	for i := range victims {
		text.WriteString(service(fmt.Sprintf("web%d", i), 1, "1", 1))
	}
	w.Progress("replace: starting %d services", victims)
	if err := w.apply(ctx, text.String()); err != nil {
		return err
	}
	var err error
	if r.bare, err = w.worker(bareGroup, true); err != nil {
		return err
	}
	for round := range w.Runs + 1 { // the first warms up: the compiled filter, page caches, the worker
		if err := r.round(ctx, round); err != nil {
			return err
		}
		w.Progress("replace: round %d of %d", round, w.Runs)
	}
	for i := range 2 * w.Runs {
		if err := r.kill(ctx, true); err != nil {
			return err
		}
		w.Progress("replace: time to traffic, %d of %d", i+1, 2*w.Runs)
	}
	r.tell()
	return nil
}

// round measures one of each: A B C D A B C D …
func (r *replacing) round(ctx context.Context, round int) error {
	if err := r.kill(ctx, false); err != nil {
		return err
	}
	for _, keeper := range []bool{false, true} {
		if err := r.bareRound(ctx, round, keeper); err != nil {
			return err
		}
	}
	if round == 0 {
		r.total, r.idle, r.net, r.server, r.platform, r.haproxy, r.beyond = nil, nil, nil, nil, nil, nil, nil
		r.crun, r.conmon, r.start, r.bareWall, r.created, r.ready, r.late = nil, nil, nil, nil, nil, nil, 0
	}
	return nil
}

// A reading is CPU time so far, in ns: of the server, of the platform's group, of HAProxy, of the whole machine.
type reading [4]int64

func (w *world) reading() (n reading, err error) {
	for i, group := range []string{serverGroup, platformGroup, haproxyGroup} {
		if n[i], err = w.usage(group); err != nil {
			return n, err
		}
	}
	n[3], err = w.machine()
	return n, err
}

func (w *world) over(ctx context.Context, d time.Duration) (n reading, err error) {
	before, err := w.reading()
	if err == nil {
		err = pause(ctx, d)
	}
	if err != nil {
		return n, err
	}
	after, err := w.reading()
	for i := range n {
		n[i] = after[i] - before[i]
	}
	return n, err
}

// kill kills the next instance. With traffic, it measures when requests are answered again, else what the replacement costs.
func (r *replacing) kill(ctx context.Context, traffic bool) error {
	st, err := r.settled(ctx)
	if err != nil {
		return err
	}
	service := fmt.Sprintf("web%d", r.turn%victims)
	r.turn++
	victim, err := only(st, service)
	if err != nil {
		return err
	}
	if err := pause(ctx, adult-time.Since(victim.Seen.Created)); err != nil {
		return err
	}
	last, err := r.remote.Events(ctx, stackName, -1, 1)
	if err != nil {
		return err
	}
	var at time.Time
	if traffic {
		at, err = r.untilTraffic(ctx, service, victim.Seen.Pid)
	} else {
		at, err = r.counted(ctx, victim)
	}
	if err != nil {
		return err
	}
	if _, err := r.settled(ctx); err != nil {
		return err
	}
	return r.story(ctx, last, at)
}

func only(st api.Status, service string) (api.InstanceStatus, error) {
	for _, s := range st.Services {
		if s.Name == service && len(s.Instances) == 1 {
			return s.Instances[0], nil
		}
	}
	return api.InstanceStatus{}, fmt.Errorf("service %s has no single instance", service)
}

// counted counts CPU time over a window of rest and over one that begins with a kill. Nobody asks the server anything meanwhile.
func (r *replacing) counted(ctx context.Context, victim api.InstanceStatus) (time.Time, error) {
	rest, err := r.over(ctx, window)
	if err != nil {
		return time.Time{}, err
	}
	at := time.Now()
	if err := unix.Kill(victim.Seen.Pid, unix.SIGKILL); err != nil {
		return at, fmt.Errorf("killing %s: %w", victim.ID, err)
	}
	busy, err := r.over(ctx, window)
	if err != nil {
		return at, err
	}
	if _, err := os.Stat(filepath.Join(r.run, "local", "i", victim.ID.Key())); err == nil { // not destroyed in time: not all was counted
		r.late++
		return at, nil
	}
	sum := func(n reading) float64 { return float64(n[0]+n[1]+n[2]) / 1e6 }
	part := func(i int) float64 { return float64(busy[i]-rest[i]) / 1e6 }
	r.total, r.idle, r.net = append(r.total, sum(busy)), append(r.idle, sum(rest)), append(r.net, sum(busy)-sum(rest))
	r.server, r.platform, r.haproxy = append(r.server, part(0)), append(r.platform, part(1)), append(r.haproxy, part(2))
	r.beyond = append(r.beyond, part(3)-sum(busy)+sum(rest))
	return at, nil
}

// How often and for how long somebody asks while an instance is missing.
const (
	askEvery  = 5 * time.Millisecond
	askWithin = 300 * time.Millisecond
)

// untilTraffic kills and asks over new connections until one of the requests that were begun after it is answered.
func (r *replacing) untilTraffic(ctx context.Context, service string, pid int) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	at := time.Now()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return at, err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	answered := make(chan time.Time, 1)
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		wg.Go(func() {
			if once(entry, service+".localhost", "/version", askWithin) == nil {
				select {
				case answered <- time.Now():
				default:
				}
			}
		})
		select {
		case then := <-answered:
			r.wall = append(r.wall, ms(then.Sub(at)))
			return at, nil
		case <-ctx.Done():
			return at, fmt.Errorf("%s never answered again: %w", service, ctx.Err())
		case <-tick.C:
		}
	}
}

// story reads from the events when the replacement was decided and when it was found ready.
func (r *replacing) story(ctx context.Context, last []glint.Event, at time.Time) error {
	var after int64
	if len(last) > 0 {
		after = last[len(last)-1].Seq
	}
	events, err := r.remote.Events(ctx, stackName, after, 100)
	if err != nil {
		return err
	}
	first := func(kind glint.EventKind) []float64 {
		i := slices.IndexFunc(events, func(e glint.Event) bool { return e.Kind == kind })
		if i < 0 {
			return nil
		}
		return []float64{ms(events[i].At.Sub(at))}
	}
	r.created, r.ready = append(r.created, first(glint.EventCreate)...), append(r.ready, first(glint.EventReady)...)
	return nil
}

// bareRound makes an instance by the runtime's own commands, to its first answer, and takes it away.
func (r *replacing) bareRound(ctx context.Context, round int, keeper bool) error {
	name := fmt.Sprintf("bare%d%t", round, keeper)
	b := &bareInstance{ID: r.name + "-" + name, Dir: filepath.Join(r.run, name), State: filepath.Join(r.run, "bare-crun"), Number: round % 250, Keeper: keeper}
	if keeper {
		b.Number++
	}
	from, err := newestBundle(filepath.Join(r.run, "local", "i"))
	if err != nil {
		return err
	}
	if err := b.bundle(from, "/"+r.name+bareGroup+"/"+name); err != nil {
		return err
	}
	var used [3]int64
	var up result
	for i, j := range []job{{}, {Do: "begin", Bare: b}, {Do: "end", Bare: b}} {
		if i > 0 {
			res, err := r.bare.do(j)
			if err != nil {
				return err
			}
			if i == 1 {
				up = res
			}
		}
		if used[i], err = r.usage(bareGroup); err != nil {
			return err
		}
	}
	whole := float64(used[2]-used[0]) / 1e6
	if !keeper {
		r.crun = append(r.crun, whole)
		return nil
	}
	r.conmon, r.start = append(r.conmon, whole), append(r.start, float64(used[1]-used[0])/1e6)
	r.bareWall = append(r.bareWall, ms(up.Took))
	return pause(ctx, 100*time.Millisecond)
}

// newestBundle is where the local platform keeps that of the youngest instance: it has the compiled filter, which the
// first does not.
func newestBundle(dir string) (newest string, err error) {
	entries, err := os.ReadDir(dir)
	var at time.Time
	for _, e := range entries {
		path := filepath.Join(dir, e.Name(), "config.json")
		if st, err := os.Stat(path); err == nil && st.ModTime().After(at) {
			newest, at = filepath.Dir(path), st.ModTime()
		}
	}
	if newest == "" && err == nil {
		err = fmt.Errorf("no bundle of a living instance in %s", dir)
	}
	return newest, err
}

// Goals of the design, section 8.
const (
	goalReplace = 1.5 // times bare crun+conmon+netns
	goalTraffic = 250 // ms without a standby, p50
)

func (r *replacing) tell() {
	add := r.report.add
	add("replace.ratio", "CPU of a replacement, over bare crun+conmon+netns+veth", "ratio", goalReplace, ratios(r.net, r.conmon))
	add("replace.cpu", "CPU of a replacement: kill -9 to old destroyed, without idle", "ms", 0, r.net)
	add("replace.cpu.server", "  of it: the server", "ms", 0, r.server)
	add("replace.cpu.platform", "  of it: crun, conmon, nsenter, the instances", "ms", 0, r.platform)
	add("replace.cpu.haproxy", "  of it: HAProxy", "ms", 0, r.haproxy)
	add("replace.gross", fmt.Sprintf("CPU in %s with a replacement", window), "ms", 0, r.total)
	add("replace.idle", fmt.Sprintf("CPU in %s without (%d instances, all idle)", window, victims), "ms", 0, r.idle)
	add("replace.beyond", "beside it on the machine: kernel threads, and others", "ms", 0, r.beyond)
	add("replace.bare.conmon", "bare crun+conmon+netns+veth: create, first answer, destroy", "ms", 0, r.conmon)
	add("replace.bare.start", "  of it: up to the first answer", "ms", 0, r.start)
	add("replace.bare.crun", "bare crun run -d+netns+veth: the same", "ms", 0, r.crun)
	r.report.addPercentiles("replace.traffic", "kill -9 to a replacement that answers through its route", goalTraffic, r.wall)
	add("replace.decided", "kill -9 to the decision to replace", "ms", 0, r.created)
	add("replace.ready", "kill -9 to the replacement found ready", "ms", 0, r.ready)
	add("replace.bare.answer", "bare crun+conmon+netns+veth: begin to first answer", "ms", 0, r.bareWall)
	if r.late > 0 {
		r.report.Notes = append(r.report.Notes, fmt.Sprintf("%d replacements were not over within %s; they are not counted", r.late, window))
	}
}
