package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
	"github.com/glint-infra/glint/internal/load"
)

// The server tells of its moments, the points between two things that outlive it, and dies at one of them: see
// cmd/glint/moment.go.
const (
	envMoments = "GLINT_TEST_MOMENTS"
	envDieAt   = "GLINT_TEST_DIE_AT"
)

const (
	envLong    = "GLINT_LONG"     // set: the server dies at every moment, and again while it recovers
	envCrashAt = "GLINT_CRASH_AT" // a number: only at that moment
)

// crashRounds is how many moments of each operation are taken, at least, in one run that is not long. Which ones depends on
// the day, so that all of them have their turn.
const crashRounds = 16

// A crashed operation, and what it needs.
type operation struct {
	name      string
	instances int
	update    string
	commands  [][]string
	version   bool // it makes another version serve
	mayGo     bool // it makes a stack, and destroys it
}

// TestCrash kills the server at the moments of an operation, which a first run enumerates. Each time the next server must
// end in the old or in the new, whole; nobody who asked meanwhile may go without an answer; and nothing may be there twice,
// or be left.
func TestCrash(t *testing.T) {
	for i, op := range []operation{
		{"update", 2, "", [][]string{{"apply", "--yes"}}, true, false},
		{"canary", 3, "canary = 1\n    bake = \"1s\"", [][]string{{"apply", "--yes"}}, true, false},
		{"rollback", 2, "", [][]string{{"rollback"}}, true, false},
		{"regenerate", 2, "", [][]string{{"regenerate", "shop/web", "--reason", "a test of crashes"}}, false, false},
	} {
		t.Run(op.name, func(t *testing.T) {
			c := newCrash(t, op, i)
			c.bootstrap()
			users := c.beUsers()
			moments := c.enumerate()
			for n := range c.chosen(len(moments)) {
				if c.round(n); t.Failed() {
					break
				}
			}
			c.judgeUsers(users)
			c.end()
		})
	}
}

// A crash is one Glint that is to suffer, and what is known of it.
type crash struct {
	*testing.T
	operation
	g       *glintUnderTest
	work    string // the folder of the declaration
	client  *api.Client
	serving int              // the version that serves
	rest    api.Status       // as of the last rest
	mounts  []string         // of any rest
	seq     int64            // the last event that was read
	last    glint.ID         // the newest instance
	alive   map[glint.ID]int // as events tell: 1 for those that were created, 2 when told to go, 3 when drained
	rounds  int
	died    bool           // in the last round
	deaths  map[string]int // by what came just before
}

func newCrash(t *testing.T, op operation, i int) *crash {
	dir := t.TempDir()
	name := fmt.Sprintf("c%dx%d", os.Getpid()%100000, i)
	g := &glintUnderTest{name: name, data: filepath.Join(dir, "data"), run: filepath.Join("/run", fmt.Sprintf("glint-crash-%d-%d", os.Getpid(), i))}
	t.Cleanup(func() { g.cleanUp(t) })
	c := &crash{T: t, operation: op, g: g, work: filepath.Join(dir, "work"), alive: map[glint.ID]int{}, deaths: map[string]int{}}
	c.client = api.NewClient(filepath.Join(g.run, "glint.sock"))
	if err := os.MkdirAll(filepath.Join(c.work, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(shop)
	if err == nil {
		err = os.WriteFile(filepath.Join(c.work, "bin", "web"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// declare writes a declaration of that version.
func (c *crash) declare(version int) {
	text := fmt.Sprintf(`stack "shop" {}

image "web" {
  from       = "scratch"
  entrypoint = ["/web"]
  copy {
    from = "bin/web"
    to   = "/web"
  }
}

service "web" {
  image     = image.web
  instances = %d
  env       = { VERSION = "%d" }

  port "http" {
    number = 8080
  }
  health {
    http {
      port = "http"
      path = "/healthz"
    }
  }
  update {
    grace = "5s"
    %s
  }
}

route "shop.localhost" {
  to = service.web.port.http
}
`, c.instances, version, c.update)
	if err := os.WriteFile(filepath.Join(c.work, "glint.hcl"), []byte(text), 0o600); err != nil {
		c.Fatal(err)
	}
}

// A server is a running one.
type serverRun struct {
	cmd  *exec.Cmd
	died chan struct{} // closed when it has ended
}

func (c *crash) start(env ...string) serverRun {
	cmd := exec.Command(bin, "server", "--name", c.g.name, "--data", c.g.data, "--run", c.g.run, "--http", ":"+port)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &c.g.log, &c.g.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	s := serverRun{cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is what the rounds are about
		close(s.died)
	}()
	c.Cleanup(s.kill)
	return s
}

func (s serverRun) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.died
}

func (s serverRun) dead() bool {
	select {
	case <-s.died:
		return true
	default:
		return false
	}
}

// answers waits until the server does; false: it died first.
func (c *crash) answers(s serverRun) bool {
	ok := within(patience, func() bool { _, err := c.client.Version(context.Background()); return err == nil || s.dead() })
	if !ok {
		c.Fatalf("the server does not answer; it said:\n%s", c.tail())
	}
	return !s.dead()
}

// awaitRest waits until the stack is as declared, or, where it may, is gone, and nothing is under way; false: the server
// died first.
func (c *crash) awaitRest(s serverRun) (api.Status, bool) {
	var st, was api.Status
	var err error
	gone := 0
	ok := within(patience, func() bool {
		if s.dead() {
			return true
		}
		was = st
		st, err = c.client.Status(context.Background(), "shop")
		if gone++; !c.mayGo || !errors.Is(err, glint.ErrNotFound) {
			gone = 0
		}
		return gone > 1 || err == nil && c.unrest(st) == "" && was.Blueprint == st.Blueprint && c.unrest(was) == ""
	})
	if !ok {
		c.Fatalf("no rest: %s, %v; status %+v; the server said:\n%s", c.unrest(st), err, st, c.tail())
	}
	return st, !s.dead()
}

// unrest says why a stack is not at rest; empty: it is.
func (c *crash) unrest(st api.Status) string {
	switch {
	case st.Outcome != glint.Serving:
		return "outcome " + string(st.Outcome)
	case !st.Complete:
		return "not all is seen"
	case len(st.Orders) > 0:
		return "open orders"
	case st.Routes.Decided != st.Routes.InForce:
		return "routes are not in force"
	case len(st.Services) != 1 || st.Services[0].Phase != glint.Steady:
		return "not steady"
	case len(st.Services[0].Instances) != c.instances:
		return fmt.Sprintf("%d instances", len(st.Services[0].Instances))
	}
	for _, in := range st.Services[0].Instances {
		if m := in.Member; !m.Counts() || !m.Routed || in.Seen == nil || in.Seen.State != glint.Running || !in.Seen.Health.Ready {
			return in.ID.Short() + " does not take traffic"
		}
	}
	return ""
}

func (c *crash) tail() string {
	lines := strings.Split(c.g.log.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// cli begins a command; what comes of it is read from the stack.
func (c *crash) cli(args ...string) (*exec.Cmd, chan error) {
	cmd := exec.Command(bin, args...)
	cmd.Dir, cmd.Env = c.work, append(os.Environ(), "GLINT_SOCKET="+filepath.Join(c.g.run, "glint.sock"))
	cmd.Stdout, cmd.Stderr = &c.g.log, &c.g.log
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	return cmd, done
}

func (c *crash) mustCLI(args ...string) {
	_, done := c.cli(args...)
	select {
	case err := <-done:
		if err != nil {
			c.Fatalf("glint %v: %v\n%s", args, err, c.tail())
		}
	case <-time.After(patience):
		c.Fatalf("glint %v does not end:\n%s", args, c.tail())
	}
}

// bootstrap brings the stack to where the operation begins.
func (c *crash) bootstrap() {
	s := c.start()
	c.answers(s)
	c.declare(1)
	c.mustCLI("apply", "--yes")
	c.serving = 1
	if c.commands[0][0] == "rollback" {
		c.declare(2)
		c.mustCLI("apply", "--yes")
		c.serving = 2
	}
	c.rest, _ = c.awaitRest(s)
	c.readEvents(c.rest)
	c.mounts = c.ownMounts()
	s.kill()
	c.awaitHost(c.rest, 0)
}

// perform starts a server that dies at moment n (0: never), and has it do the operation. It returns what the server told
// before it died, or came to rest.
func (c *crash) perform(n int) (moments []string, died bool) {
	file := filepath.Join(c.work, "moments")
	_ = os.Remove(file) // there is none the first time
	env := []string{envMoments + "=" + file}
	if n > 0 {
		env = append(env, envDieAt+"="+strconv.Itoa(n))
	}
	s := c.start(env...)
	if c.answers(s) {
		c.declare(3 - c.serving)
		for _, command := range c.commands {
			if !s.dead() {
				c.command(s, command)
			}
		}
		if !s.dead() {
			c.awaitRest(s)
		}
	}
	died = s.dead()
	s.kill()
	text, err := os.ReadFile(file)
	if err != nil {
		c.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n"), died
}

// command runs a command until it or the server ends.
func (c *crash) command(s serverRun, args []string) {
	cmd, done := c.cli(args...)
	select {
	case <-s.died:
	case err := <-done:
		if err != nil && !within(patience, s.dead) {
			c.Fatalf("glint %v: %v, and the server lives:\n%s", args, err, c.tail())
		}
		done <- nil
	case <-time.After(patience):
		c.Fatalf("glint %v does not end:\n%s", args, c.tail())
	}
	_ = cmd.Process.Kill() // it would wait for the next server
	<-done
}

// enumerate does the operation once and returns the moments that it passed.
func (c *crash) enumerate() []string {
	began := time.Now()
	moments, died := c.perform(0)
	if died {
		c.Fatalf("the server ended by itself:\n%s", c.tail())
	}
	c.recover("nothing", 0)
	c.Logf("%s passes %d moments, the server's start included (%s)", c.name, len(moments), time.Since(began).Round(time.Millisecond))
	return moments
}

// chosen yields the moments at which the server is to die.
func (c *crash) chosen(total int) func(func(int) bool) {
	first, stride := 1, 1
	if os.Getenv(envLong) == "" {
		day := int(time.Now().Unix() / 86400)
		stride = max(1, total/crashRounds)
		first = 1 + day%stride
	}
	only, _ := strconv.Atoi(os.Getenv(envCrashAt))
	if only > 0 {
		first, total, stride = only, only, 1
	}
	c.Logf("%s: the server dies at moments %d, %d … of %d; all of them with %s=1, one with %s=N", c.name, first, first+stride, total, envLong, envCrashAt)
	return func(yield func(int) bool) {
		for n := first; n <= total || stride == 1 && only == 0 && c.died; n += stride { // no two runs pass equally many
			if !yield(n) {
				return
			}
		}
	}
}

// round has the server die at moment n of the operation, and looks at what the next one makes of it.
func (c *crash) round(n int) {
	began := time.Now()
	moments, died := c.perform(n)
	what := "the end"
	if c.died = died; died {
		what = c.note(moments)
	}
	again := 0
	if os.Getenv(envLong) != "" {
		again = 1 + n%23 // most recoveries pass fewer moments
	}
	also := c.recover(what, again)
	c.rounds++
	c.Logf("%s  %s: died at %q%s, serves version %d (%s)", began.UTC().Format("15:04:05.000"), c.name, what, also, c.serving, time.Since(began).Round(time.Millisecond))
}

// note counts a death by the kind of its moment, and names the moment.
func (c *crash) note(moments []string) string {
	what := moments[len(moments)-1]
	_, kind, _ := strings.Cut(what, " ")
	c.deaths[strings.TrimRight(kind, "0123456789")]++
	return what
}

// recover starts the next server and holds what it comes to against what there was. The first of them dies at the given
// moment too, if that is not 0 and it gets there; also tells of it.
func (c *crash) recover(what string, again int) (also string) {
	if again > 0 {
		file := filepath.Join(c.work, "recovery")
		_ = os.Remove(file)
		s := c.start(envMoments+"="+file, envDieAt+"="+strconv.Itoa(again))
		if c.answers(s) {
			c.awaitRest(s)
		}
		if s.dead() {
			text, _ := os.ReadFile(file)
			also = fmt.Sprintf(", then at %q", c.note(strings.Split(strings.TrimSpace(string(text)), "\n")))
		}
		s.kill()
	}
	s := c.start()
	c.answers(s)
	after, ok := c.awaitRest(s)
	if !ok {
		c.Fatalf("after %q: the next server ended:\n%s", what, c.tail())
	}
	c.judge(what, after)
	c.awaitHost(after, s.cmd.Process.Pid)
	c.rest = after
	s.kill()
	c.g.log.Reset()
	return also
}

// judge holds a rest against the one before: all is as it was, or all is new.
func (c *crash) judge(what string, after api.Status) {
	taken := after.Revision > c.rest.Revision || after.Ordered > c.rest.Ordered
	if taken && c.version {
		c.serving = 3 - c.serving
	}
	before := map[glint.ID]api.InstanceStatus{}
	for _, in := range c.rest.Services[0].Instances {
		before[in.ID] = in
	}
	version := after.Services[0].Version
	for _, in := range after.Services[0].Instances {
		was, there := before[in.ID]
		switch {
		case in.Member.Version != version:
			c.Errorf("after %q: %s is of another version than the service", what, in.ID)
		case taken && there:
			c.Errorf("after %q: %s was to be replaced and is still there", what, in.ID)
		case !taken && (!there || was.Seen.Pid != in.Seen.Pid):
			c.Errorf("after %q: nothing was asked for, and %s is not what it was", what, in.ID)
		}
	}
	if (version != c.rest.Services[0].Version) != (taken && c.version) {
		c.Errorf("after %q: version %s after %s, taken up: %v", what, version.Short(), c.rest.Services[0].Version.Short(), taken)
	}
	all, err := c.client.Revisions(context.Background(), "shop")
	if err != nil || len(all) != after.Revision || all[len(all)-1].Outcome != glint.Serving {
		c.Errorf("after %q: the history does not say that r%d serves: %v, %+v", what, after.Revision, err, all)
	}
	for range 4 {
		if got, err := answer(); err != nil || got != strconv.Itoa(c.serving) {
			c.Errorf("after %q: version %q answers, want %d: %v", what, got, c.serving, err)
		}
	}
	c.readEvents(after)
	if c.Failed() {
		c.Errorf("the server said:\n%s", c.tail())
	}
}

// answer asks through the public entry, and returns which version answered.
func answer() (string, error) {
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+"/version", nil)
	if err != nil {
		return "", err
	}
	req.Host = "shop.localhost"
	resp, err := (&http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get("X-Shop-Version"), err
}

// readEvents holds what the story tells since it was last read against what must never be: a line that is lost or told
// twice, a number given out again, somebody who comes, leaves or goes twice.
func (c *crash) readEvents(at api.Status) {
	events, err := c.client.Events(context.Background(), "shop", c.seq, 1000)
	if err != nil {
		c.Fatal(err)
	}
	failed := c.Failed()
	for _, e := range events {
		if e.Seq != c.seq+1 {
			c.Errorf("event %d follows event %d", e.Seq, c.seq)
		}
		c.seq = e.Seq
		switch e.Kind {
		case glint.EventCreate:
			if e.ID.Epoch == c.last.Epoch && e.ID.N <= c.last.N {
				c.Errorf("%s was created after %s: %s", e.ID, c.last, e.Text)
			}
			c.last = e.ID
			c.alive[e.ID] = 1
		case glint.EventLeave:
			if c.alive[e.ID] == 0 || c.alive[e.ID] > 2 {
				c.Errorf("%s leaves again, or never came: %s", e.ID, e.Text)
			}
			c.alive[e.ID]++
		case glint.EventGone:
			if c.alive[e.ID] != 3 {
				c.Errorf("%s is gone again, or never left: %s", e.ID, e.Text)
			}
			delete(c.alive, e.ID)
		case glint.EventIncident:
			c.Errorf("an incident: %s", e.Text)
		}
	}
	members := map[glint.ID]int{}
	for _, in := range instances(at) {
		members[in.ID] = 1
	}
	if !maps.Equal(members, c.alive) {
		c.Errorf("there are %v, and the story tells of %v", members, c.alive)
	}
	if c.Failed() && !failed {
		for _, e := range events {
			c.Logf("event %d %s blueprint %d %s %s: %s", e.Seq, e.At.UTC().Format("15:04:05.000"), e.Blueprint, e.Kind, e.ID, e.Text)
		}
	}
}

// instances lists those of a stack; none when it is gone.
func instances(st api.Status) []api.InstanceStatus {
	if len(st.Services) == 0 {
		return nil
	}
	return st.Services[0].Instances
}

// end destroys the stack, and nothing is left.
func (c *crash) end() {
	s := c.start()
	c.answers(s)
	c.mustCLI("destroy", "--yes")
	c.leave(s)
}

// leave ends the server of a stack that is gone.
func (c *crash) leave(s serverRun) {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.Fatal(err)
	}
	if !within(patience, s.dead) {
		c.Fatalf("the server does not end:\n%s", c.tail())
	}
	var left []string
	if !within(patience, func() bool { left = c.g.left(); return len(left) == 0 }) {
		c.Errorf("left behind:\n  %s\nthe server said:\n%s", strings.Join(left, "\n  "), c.tail())
	}
	c.Logf("%s: %d rounds; died at moments of %d kinds: %s", c.name, c.rounds, len(c.deaths), strings.Join(slices.Sorted(maps.Keys(c.deaths)), "; "))
}

// asking are users who ask all along.
type asking struct {
	stop   context.CancelFunc
	report chan load.Report
}

func (c *crash) beUsers() asking {
	ctx, stop := context.WithCancel(context.Background())
	a := asking{stop, make(chan load.Report, 1)}
	mix := load.Mix{Address: "127.0.0.1:" + port, Host: "shop.localhost", Path: "/version", Slow: "/slow?ms=300", KeepAlive: 2, OneShot: 1, SlowClients: 2, Mark: "X-Shop-Version", Pause: 5 * time.Millisecond}
	go func() { a.report <- load.Run(ctx, mix) }()
	c.Cleanup(stop)
	return a
}

func (c *crash) judgeUsers(a asking) {
	a.stop()
	report := <-a.report
	c.Logf("%s: %s", c.name, report)
	if report.Failed > 0 {
		c.Errorf("%d of %d requests failed", report.Failed, report.Sent)
	}
}
