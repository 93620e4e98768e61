package conductor_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/conductor"
	"github.com/glint-infra/glint/internal/plan"
	"github.com/glint-infra/glint/internal/platform/sim"
	"github.com/glint-infra/glint/internal/store"
	"github.com/glint-infra/glint/internal/store/mem"
)

var update = flag.Bool("update", false, "rewrite the outputs in testdata; read the diff before you commit it")

// TestScripts runs testdata/*.txt. A line that starts with > is a command, what follows is what it must print.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			in, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			s := newStage(t, &out)
			for line := range strings.Lines(string(in)) {
				if strings.HasPrefix(line, "#") {
					out.WriteString(line)
				}
				if cmd, ok := strings.CutPrefix(line, "> "); ok {
					out.WriteString(line)
					s.run(strings.Fields(cmd))
					out.WriteString("\n")
				}
			}
			for _, h := range s.world.Harm() {
				t.Errorf("users noticed: %s", h)
			}
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if out.String() != string(in) {
				t.Errorf("output differs; run with -update and read the diff. It is now:\n%s", out.String())
			}
		})
	}
}

// A stage is a world with a store and a conductor in it.
type stage struct {
	t             testing.TB
	out           *strings.Builder
	world         *sim.World
	store         store.Store
	boss          *conductor.Conductor
	notes         []string
	epoch, routes int
	skew          time.Duration // of the conductor's clock
}

const stack = "shop"

func newStage(t testing.TB, out *strings.Builder) *stage {
	s := &stage{t: t, out: out, world: sim.New(), store: paper{mem.New()}}
	s.hire()
	return s
}

// hire puts a conductor in charge that remembers nothing.
func (s *stage) hire() {
	s.boss = conductor.New(conductor.Config{Store: s.store, Platform: s.world, Balancer: s.world, Look: s.look, Now: s.now})
}

func (s *stage) now() time.Time { return s.world.Now().Add(s.skew) }

func (s *stage) look(ctx context.Context, b glint.Blueprint) glint.Observation {
	l, _ := s.world.List(ctx)
	st, _ := s.world.Status(ctx)
	o := glint.Observation{At: l.At, Complete: l.Complete, Silent: l.Silent, Places: l.Places, Acks: st.Acks[b.Stack]}
	for _, in := range l.Instances {
		if in.ID.Stack == b.Stack {
			in.InFlight = st.InFlight[in.ID]
			o.Instances = append(o.Instances, in)
		}
	}
	return o
}

func (s *stage) head() glint.Blueprint {
	b, err := s.store.Head(context.Background(), stack)
	if err != nil {
		return glint.Blueprint{Stack: stack}
	}
	return b
}

// revise makes rel the newest revision.
func (s *stage) revise(rev glint.Revision, rel glint.Release) {
	ctx := context.Background()
	old, _ := s.store.Revisions(ctx, stack)
	s.epoch++
	rev.Stack, rev.At, rev.By = stack, s.world.Now(), "ann"
	if _, err := s.store.AddRevision(ctx, rev, rel, len(old), glint.Epoch(fmt.Sprintf("e%d", s.epoch))); err != nil {
		s.t.Fatal(err)
	}
}

// turn turns the loop once and prints what is worth reading.
func (s *stage) turn() conductor.Turn {
	t, err := s.boss.Step(context.Background(), stack)
	s.boss.Settle()
	if err != nil {
		fmt.Fprintf(s.out, "%s error: %v\n", s.clock(), err)
		return t
	}
	var notes, did []string
	for _, n := range t.Notes {
		notes = append(notes, strings.TrimSpace(who(n.ID, n.Service)+" "+n.Text))
	}
	for _, a := range t.Actions {
		if a.Verb == glint.Publish {
			if s.routes != a.Routes.Generation { // once; it is published again until it is acknowledged
				did = append(did, fmt.Sprintf("route#%d", a.Routes.Generation))
			}
			s.routes = a.Routes.Generation
		} else {
			did = append(did, string(a.Verb)+" "+a.ID.Short())
		}
	}
	if t.Advanced || len(did) > 0 || t.Ended {
		fmt.Fprintf(s.out, "%s blueprint %d", s.clock(), t.Blueprint.Number)
		if len(did) > 0 {
			fmt.Fprintf(s.out, "   do: %s", strings.Join(did, ", "))
		}
		fmt.Fprintln(s.out)
	}
	for _, e := range t.Events {
		subject := who(e.ID, e.Service)
		if e.Kind == glint.EventVerdict {
			subject = ""
		}
		fmt.Fprintf(s.out, "  %s\n", strings.TrimSpace(subject+" "+e.Text))
		for _, line := range e.Tail {
			fmt.Fprintf(s.out, "      | %s\n", line)
		}
	}
	for _, n := range notes {
		if !slices.Contains(s.notes, n) {
			fmt.Fprintf(s.out, "  … %s\n", n)
		}
	}
	s.notes = notes
	return t
}

func (s *stage) clock() string { return s.world.Now().Format(time.TimeOnly) }

func who(id glint.ID, service string) string {
	if id.IsZero() {
		return service
	}
	return id.Short()
}

func (s *stage) run(words []string) {
	on := len(words) > 1 && words[1] == "on"
	switch cmd, args := words[0], words[1:]; cmd {
	case "apply":
		s.revise(glint.Revision{Kind: glint.KindApply, Retry: args[len(args)-1] == "retry"}, parseRelease(args))
	case "rollback":
		n, _ := strconv.Atoi(args[0])
		revs, _ := s.store.Revisions(context.Background(), stack)
		rel, err := s.store.Release(context.Background(), revs[n-1].Release)
		if err != nil {
			s.t.Fatal(err)
		}
		s.revise(glint.Revision{Kind: glint.KindRollback, From: n}, rel)
	case "destroy":
		s.revise(glint.Revision{Kind: glint.KindDestroy}, glint.Release{Format: glint.ReleaseFormat, Stack: stack})
	case "replace":
		_, err := s.store.AddOrder(context.Background(), glint.Order{Stack: stack, Kind: glint.OrderReplace, Instance: s.id(args[0]), By: "ann", At: s.world.Now()})
		s.must(err)
	case "promote", "abort", "pause", "resume", "regenerate", "scale":
		s.order(cmd, args)
	case "places": // hosts and their zones: a1@a b1@b; a final ! closes one
		s.places(args)
	case "for":
		s.pass(args[0])
	case "conductor": // a new one takes over
		s.hire()
	case "kill":
		s.must(s.world.Kill(s.id(args[0])))
	case "vanish":
		s.must(s.world.Vanish(s.id(args[0])))
	case "sicken":
		for _, a := range args {
			s.must(s.world.Sicken(s.id(a), true))
		}
	case "stumble", "stand": // it runs and is not ready, but need not be replaced
		s.must(s.world.Stumble(s.id(args[0]), cmd == "stumble"))
	case "heal":
		for _, a := range args {
			s.must(s.world.Sicken(s.id(a), false))
		}
	case "drift":
		s.must(s.world.Drift(s.id(args[0]), "its memory limit was changed"))
	case "taint":
		s.must(s.world.Taint(s.id(args[0]), "entered by hand"))
	case "clock": // is set forward, or back
		d, err := time.ParseDuration(args[0])
		s.must(err)
		s.skew += d
	case "drain":
		d, err := time.ParseDuration(args[0])
		s.must(err)
		s.world.Drain = d
	case "blind":
		s.world.Blind = on
	case "deaf":
		s.world.Deaf = on
	case "unasked":
		s.world.Unasked = on
	case "refuses":
		s.world.Refuses = on
	case "show":
		s.show()
	case "outcome":
		n, _ := strconv.Atoi(args[0])
		fmt.Fprintf(s.out, "r%d: %s\n", n, plan.Outcome(s.head(), n))
	default:
		s.t.Fatalf("unknown command %q", cmd)
	}
}

// places says where instances may be put.
func (s *stage) places(args []string) {
	s.world.Places = nil
	for _, a := range args {
		closed := strings.HasSuffix(a, "!")
		name, zone, _ := strings.Cut(strings.TrimSuffix(a, "!"), "@")
		s.world.Places = append(s.world.Places, glint.Place{Name: name, Zone: zone, Closed: closed})
	}
}

// order says a person's word: its service if it concerns one, a number for scale, and why.
func (s *stage) order(kind string, args []string) {
	o := glint.Order{Stack: stack, Kind: glint.OrderKind(kind), By: "ann", At: s.world.Now()}
	if len(args) > 0 && slices.ContainsFunc(s.head().Services, func(f glint.Fleet) bool { return f.Name == args[0] }) {
		o.Service, args = args[0], args[1:]
	}
	if len(args) > 0 && kind == "scale" {
		o.Wanted, _ = strconv.Atoi(args[0])
		args = args[1:]
	}
	o.Comment = strings.Join(args, " ")
	_, err := s.store.AddOrder(context.Background(), o)
	s.must(err)
}

func (s *stage) must(err error) {
	if err != nil {
		fmt.Fprintf(s.out, "error: %v\n", err)
	}
}

// pass lets time go by a quarter of a second at a time; within each, the loop turns until it rests.
func (s *stage) pass(length string) {
	d, err := time.ParseDuration(length)
	if err != nil {
		s.t.Fatal(err)
	}
	const tick = 250 * time.Millisecond
	for end := s.world.Now().Add(d); s.world.Now().Before(end); s.world.Advance(tick) {
		s.turns()
	}
}

// turns turns the loop until it rests.
func (s *stage) turns() {
	for range 50 {
		if _, err := s.store.Head(context.Background(), stack); err != nil {
			return
		}
		if t := s.turn(); !t.Advanced || t.Ended {
			return
		}
	}
	s.t.Fatal("the loop does not come to rest")
}

func (s *stage) id(short string) glint.ID {
	service, n, _ := strings.Cut(short, ".")
	num, err := strconv.Atoi(n)
	if err != nil {
		s.t.Fatalf("%s is no instance", short)
	}
	return glint.ID{Stack: stack, Epoch: s.head().Epoch, Service: service, N: num}
}

func (s *stage) show() {
	b := s.head()
	for _, f := range b.Services {
		up, down := s.world.Serving(stack, f.Name)
		fmt.Fprintf(s.out, "%s %s:", f.Name, f.Phase)
		for _, m := range f.Members {
			fmt.Fprintf(s.out, " %d(%s)", m.N, f.Templates[m.Version].Env["V"])
		}
		fmt.Fprintf(s.out, "; reachable %d up %d down\n", up, down)
	}
	var ids []string
	for _, id := range s.world.IDs() {
		ids = append(ids, id.Short())
	}
	fmt.Fprintf(s.out, "world: %s\n", strings.Join(ids, " "))
}

// parseRelease reads "web:v1 n=3 surge=1 ; cache:c1 volume". The part after the colon stands for all that is baked in;
// do=exit,7,boom names the pretend program.
func parseRelease(words []string) glint.Release {
	rel := glint.Release{Format: glint.ReleaseFormat, Stack: stack}
	for part := range strings.SplitSeq(strings.Join(words, " "), ";") {
		w := strings.Fields(part)
		name, version, _ := strings.Cut(w[0], ":")
		s := glint.Service{Name: name, Instances: 1, Template: glint.Template{
			Image: glint.DigestOf([]byte(version)), Env: map[string]string{"V": version},
			Ports:  []glint.Port{{Name: "http", Number: 8080, Protocol: glint.HTTP}},
			Health: &glint.Probe{HTTP: &glint.HTTPProbe{Port: "http", Path: "/"}},
		}, Update: glint.Update{Strategy: glint.Rolling, Surge: 1, StartWithin: glint.Duration(10 * time.Second), Grace: glint.Duration(5 * time.Second), Tries: 3}}
		for _, opt := range w[1:] {
			parseOption(&rel, &s, opt)
		}
		rel.Services = append(rel.Services, s)
	}
	slices.SortFunc(rel.Services, func(a, b glint.Service) int { return strings.Compare(a.Name, b.Name) })
	return rel
}

func parseOption(rel *glint.Release, s *glint.Service, opt string) {
	k, v, _ := strings.Cut(opt, "=")
	n, _ := strconv.Atoi(v)
	d, _ := time.ParseDuration(v)
	switch k {
	case "n":
		s.Instances = n
	case "surge":
		s.Update.Surge = n
	case "unavailable":
		s.Update.Unavailable = n
	case "tries":
		s.Update.Tries = n
	case "start":
		s.Update.StartWithin = glint.Duration(d)
	case "grace":
		s.Update.Grace = glint.Duration(d)
	case "canary":
		s.Update.Canary = n
	case "bake":
		s.Update.Bake = glint.Duration(d)
	case "manual":
		s.Update.Manual = true
	case "warm":
		s.Update.Warm = glint.Duration(d)
	case "standby":
		s.Standby = n
	case "min":
		s.Min, s.Instances = n, n
	case "max":
		s.Max = n
	case "after":
		s.After = strings.Split(v, ",")
	case "task":
		s.Task, s.Template.Ports, s.Template.Health = true, nil, nil
	case "recreate":
		s.Update.Strategy = glint.Recreate
	case "bare":
		s.Template.Ports, s.Template.Health = nil, nil
	case "max_age":
		s.MaxAge = glint.Duration(d)
	case "do":
		s.Template.Command = strings.Split(v, ",")
	case "host":
		rel.Routes = append(rel.Routes, glint.Route{Host: v, To: glint.Target{Service: s.Name, Port: "http"}})
	case "from":
		rel.Allows = append(rel.Allows, glint.Allow{From: v, To: glint.Target{Service: s.Name, Port: "http"}})
	case "volume":
		s.Update.Strategy = glint.Recreate
		s.Template.Volumes = []glint.Volume{{Name: "data", Path: "/data", Size: 1 << 20}}
	}
}
