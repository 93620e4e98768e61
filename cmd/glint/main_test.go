package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
	"github.com/glint-infra/glint/internal/artifact"
	"github.com/glint-infra/glint/internal/conductor"
	"github.com/glint-infra/glint/internal/image"
	"github.com/glint-infra/glint/internal/platform/sim"
	"github.com/glint-infra/glint/internal/store"
	"github.com/glint-infra/glint/internal/store/mem"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // scripts show local times
	os.Exit(m.Run())
}

// A world is a server over a pretend platform whose clock runs twenty times as fast as ours. All else is real.
type world struct {
	*sim.World
	store  store.Store
	socket string
	epochs int

	mu   sync.Mutex
	stop context.CancelFunc // of the API
	done chan struct{}
	api  api.Config
}

func newWorld(dir string, cleanup func(func())) (*world, error) {
	run, err := os.MkdirTemp("", "glint") // the path of a socket is short
	if err != nil {
		return nil, err
	}
	w := &world{World: sim.New(), store: mem.New(), socket: filepath.Join(run, "s")}
	w.Boot, w.Ack, w.Drain = 300*time.Millisecond, 100*time.Millisecond, 200*time.Millisecond
	blobs, err := artifact.Open(filepath.Join(dir, "artifacts"))
	if err != nil {
		return nil, err
	}
	builder, err := image.NewBuilder(image.Config{Dir: filepath.Join(dir, "images"), Artifacts: blobs})
	if err != nil {
		return nil, err
	}
	boss := conductor.New(conductor.Config{Store: w.store, Platform: w, Balancer: w, Look: w.look, Now: w.Now, Backstop: 20 * time.Millisecond})
	w.api = api.Config{
		Store: w.store, Conductor: boss, Images: builder, Blobs: blobs, Version: "test", Now: w.Now,
		URL:   func(host string) string { return "http://" + host + ":8080" },
		Epoch: func() glint.Epoch { w.epochs++; return glint.Epoch(fmt.Sprintf("e%d", w.epochs)) },
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = boss.Run(ctx) }) // its error is that of ctx
	wg.Go(func() {
		for ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
			w.Advance(100 * time.Millisecond)
		}
	})
	if err := w.listen(); err != nil {
		stop()
		return nil, err
	}
	cleanup(func() {
		w.hangUp()
		stop()
		wg.Wait()
		boss.Settle()
		w.store.Close()
		os.RemoveAll(run)
	})
	return w, nil
}

// listen makes the server answer; hangUp makes it stop, as if it were restarted.
func (w *world) listen() error {
	l, err := api.Listen(w.socket, 0o600)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	w.mu.Lock()
	defer w.mu.Unlock()
	done := make(chan struct{})
	w.stop, w.done = stop, done
	go func() {
		defer close(done)
		_ = api.Serve(ctx, l, api.NewServer(w.api)) // ends with ctx
	}()
	return nil
}

func (w *world) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop()
	<-w.done
}

func (w *world) look(ctx context.Context, b glint.Blueprint) glint.Observation {
	l, _ := w.List(ctx)
	st, _ := w.Status(ctx)
	o := glint.Observation{At: l.At, Complete: l.Complete, Silent: l.Silent, Acks: st.Acks[b.Stack]}
	for _, in := range l.Instances {
		if in.ID.Stack == b.Stack {
			in.InFlight = st.InFlight[in.ID]
			o.Instances = append(o.Instances, in)
		}
	}
	return o
}

// id finds an instance, or the oldest one of a service.
func (w *world) id(name string) (glint.ID, error) {
	for _, id := range w.IDs() {
		if id.Short() == name || id.Service == name {
			return id, nil
		}
	}
	return glint.ID{}, fmt.Errorf("%s is not there", name)
}

// TestScripts runs testdata/*.txtar: the commands as people type them, against a world of their own.
//
//	glint ARGS…        runs the command in this process; with ! it must not end with 0
//	code N             the last glint must have ended with N
//	world VERB ARG     kill, sicken or heal an instance; away: restart the server in a moment
//	until PATTERN ARGS runs glint until its output matches
//	json               what the last glint printed must be JSON, whole or line by line
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			w, err := newWorld(filepath.Join(env.WorkDir, ".world"), func(f func()) { env.Defer(f) })
			if err != nil {
				return err
			}
			env.Values["world"] = w
			env.Values["code"] = new(int)
			env.Setenv("GLINT_SOCKET", w.socket)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"glint": cmdGlint, "code": cmdCode, "world": cmdWorld, "until": cmdUntil, "json": cmdJSON,
		},
	})
}

// run is one command in a script's world.
func run(ts *testscript.TestScript, stdout, stderr *bytes.Buffer, args []string) int {
	w := ts.Value("world").(*world)
	m := Main{
		Stdin: strings.NewReader(ts.Getenv("ANSWER") + "\n"), Stdout: stdout, Stderr: stderr, Getenv: ts.Getenv, Dir: ts.MkAbs("."), Now: w.Now, By: "ann@here",
		Terminal: ts.Getenv("ANSWER") != "",
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if d, err := time.ParseDuration(ts.Getenv("INTERRUPT")); err == nil {
		timer := time.AfterFunc(d, cancel)
		defer timer.Stop()
	}
	return m.Run(ctx, args)
}

func cmdGlint(ts *testscript.TestScript, neg bool, args []string) {
	var stdout, stderr bytes.Buffer
	code := run(ts, &stdout, &stderr, args)
	*ts.Value("code").(*int) = code
	fmt.Fprint(ts.Stdout(), stdout.String())
	fmt.Fprint(ts.Stderr(), stderr.String())
	if (code != 0) != neg {
		ts.Fatalf("glint %s ended with %d", strings.Join(args, " "), code)
	}
}

func cmdCode(ts *testscript.TestScript, _ bool, args []string) {
	if want, err := strconv.Atoi(args[0]); err != nil || *ts.Value("code").(*int) != want {
		ts.Fatalf("the last glint ended with %d, not %s", *ts.Value("code").(*int), args[0])
	}
}

func cmdWorld(ts *testscript.TestScript, _ bool, args []string) {
	w := ts.Value("world").(*world)
	var id glint.ID
	var err error
	if len(args) > 1 {
		id, err = w.id(args[1])
		ts.Check(err)
	}
	switch args[0] {
	case "kill":
		ts.Check(w.Kill(id))
	case "sicken":
		ts.Check(w.Sicken(id, true))
	case "heal":
		ts.Check(w.Sicken(id, false))
	case "away": // soon the server ends, and comes back after a while
		time.AfterFunc(700*time.Millisecond, func() {
			w.hangUp()
			time.Sleep(time.Second)
			if err := w.listen(); err != nil {
				ts.Logf("the server does not come back: %v", err)
			}
		})
	default:
		ts.Fatalf("unknown verb %s", args[0])
	}
}

func cmdUntil(ts *testscript.TestScript, _ bool, args []string) {
	for range 600 {
		var stdout, stderr bytes.Buffer
		if run(ts, &stdout, &stderr, args[1:]); strings.Contains(stdout.String(), args[0]) {
			fmt.Fprint(ts.Stdout(), stdout.String())
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("glint %s never said %q", strings.Join(args[1:], " "), args[0])
}

func cmdJSON(ts *testscript.TestScript, _ bool, args []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	values := 0
	for d.More() {
		var v any
		if err := d.Decode(&v); err != nil {
			ts.Fatalf("not JSON: %v", err)
		}
		values++
	}
	if values == 0 && !slices.Contains(args, "empty") {
		ts.Fatalf("nothing was printed")
	}
}

// TestHelp enumerates: every command says what it does, how it is used, and what its JSON looks like.
func TestHelp(t *testing.T) {
	c := &cli{Main: Main{Getenv: func(string) string { return "" }}}
	root := c.root(nil)
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		if cmd.Example == "" || cmd.Long == "" || cmd.Short == "" {
			t.Errorf("glint %s: want Short, Long and Example", cmd.Name())
		}
		if !strings.Contains(cmd.Long, "-o json") {
			t.Errorf("glint %s: its help does not say what -o json prints", cmd.Name())
		}
		if !strings.Contains(cmd.Example, "glint "+cmd.Name()) {
			t.Errorf("glint %s: its example does not use it", cmd.Name())
		}
		var out, errs bytes.Buffer
		m := Main{Stdout: &out, Stderr: &errs, Getenv: os.Getenv, Dir: t.TempDir(), Now: time.Now}
		if code := m.Run(t.Context(), []string{cmd.Name(), "--help"}); code != 0 || !strings.Contains(out.String(), "Examples:") {
			t.Errorf("glint %s --help ended with %d and said:\n%s%s", cmd.Name(), code, out.String(), errs.String())
		}
	}
}

func TestSubject(t *testing.T) {
	for in, want := range map[string]subject{
		"web": {"", "web", 0}, "web.1": {"", "web", 1}, "shop/web.17": {"shop", "web", 17}, "shop/web": {"shop", "web", 0},
	} {
		if got, err := parseSubject(in); err != nil || got != want {
			t.Errorf("%s: %+v %v", in, got, err)
		}
	}
	for _, in := range []string{"", "web.", "web.0", "web.x", ".1", "/web.1", "Web.1", "a/b/c", "web.1.2"} {
		var e exit
		if got, err := parseSubject(in); !errors.As(err, &e) || e.code != exitInvalid {
			t.Errorf("%q was taken for %+v (%v)", in, got, err)
		}
	}
}
