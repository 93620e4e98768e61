package test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/glint-infra/glint/internal/load"
)

// tallyFile names a file to write the sum of all scripts' requests into.
const tallyFile = "GLINT_TALLY"

// tally sums up what became of all requests of all scripts.
var tally struct{ sent, failed atomic.Int64 }

// tellTally says the sum, when the last script is over.
func tellTally(t *testing.T) {
	text := fmt.Sprintf("the scripts sent %d requests, %d failed\n", tally.sent.Load(), tally.failed.Load())
	t.Log(text)
	if path := os.Getenv(tallyFile); path != "" {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// users are those who send requests while a script goes on, and what they have seen.
type users struct {
	stop   context.CancelFunc
	report chan load.Report

	mu    sync.Mutex
	sent  int
	from  time.Time            // of requests that began before, nothing is remembered
	count map[string]int       // answers, by version
	last  map[string]time.Time // when a version was last seen by somebody
	took  map[string][]time.Duration
}

func (u *users) hear(a load.Answer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent++
	if a.Begun.Before(u.from) || a.Err != nil {
		return
	}
	u.count[a.Mark]++
	at := a.Begun // an instance may finish its slow requests; what counts is to whom new ones go
	if a.Kind != "slow" {
		at = a.Begun.Add(a.Took)
	}
	if at.After(u.last[a.Mark]) {
		u.last[a.Mark] = at
	}
}

// forget begins anew to remember which versions answer.
func (u *users) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.from, u.count, u.last = time.Now(), map[string]int{}, map[string]time.Time{}
}

// seen tells which versions have answered since forget, how often, and when somebody saw each last.
func (u *users) seen() (sent int, count map[string]int, last map[string]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sent, maps.Clone(u.count), maps.Clone(u.last)
}

// end stops the users and counts their requests.
func (u *users) end() load.Report {
	u.stop()
	r := <-u.report
	tally.sent.Add(int64(r.Sent))
	tally.failed.Add(int64(r.Failed))
	return r
}

// cmdLoad: load start HOST KEEPALIVE ONESHOT SLOW [PAUSE] — users begin to send requests
//
//	load stop AT-LEAST — goes on until that many were sent; every failed request fails the script
//	load watch — remember from now on which versions answer
//	load saw VERSION… — requests since then were answered by exactly these
//	load switch NAME VERSION COMMAND… — how long from the command's start until users meet that version only
//	load within NAME DURATION — the best of these measurements is as good as that
func cmdLoad(ts *testscript.TestScript, neg bool, args []string) {
	g := under(ts)
	if args[0] == "start" {
		g.users = startUsers(ts, args[1:])
		return
	}
	if g.users == nil {
		ts.Fatalf("load %s: there is no load", args[0])
	}
	switch args[0] {
	case "stop":
		stopUsers(ts, g, atoi(ts, args[1]))
	case "watch":
		g.users.forget()
	case "saw":
		var count map[string]int
		within(patience, func() bool { _, count, _ = g.users.seen(); return sum(count) >= enough })
		want := slices.Sorted(slices.Values(args[1:]))
		ts.Logf("answers by version: %v", count)
		if !slices.Equal(slices.Sorted(maps.Keys(count)), want) {
			ts.Fatalf("want answers by exactly %v, got %v", want, count)
		}
	case "switch":
		took := g.users.change(ts, args[2], args[3:])
		g.users.took[args[1]] = append(g.users.took[args[1]], took)
		ts.Logf("%s: users met version %s only, %s after the command began", args[1], args[2], took.Round(time.Millisecond))
	case "within":
		bound, err := time.ParseDuration(args[2])
		ts.Check(err)
		if all := g.users.took[args[1]]; len(all) == 0 || slices.Min(all) > bound {
			ts.Fatalf("%s: want %s at best, took %v\nthe server says:\n%s", args[1], bound, all, g.log.String())
		}
	default:
		ts.Fatalf("load %s: no such thing", args[0])
	}
}

func startUsers(ts *testscript.TestScript, args []string) *users {
	n := func(i int) int { return atoi(ts, args[i]) }
	pause := time.Millisecond
	if len(args) > 4 {
		var err error
		pause, err = time.ParseDuration(args[4])
		ts.Check(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	u := &users{stop: cancel, report: make(chan load.Report, 1), took: map[string][]time.Duration{}}
	u.forget()
	mix := load.Mix{
		Address: "127.0.0.1:" + port, Host: args[0], Path: "/version", Slow: "/slow?ms=2000",
		KeepAlive: n(1), OneShot: n(2), SlowClients: n(3), Mark: "X-Shop-Version", Pause: pause, Hear: u.hear,
	}
	go func() { u.report <- load.Run(ctx, mix) }()
	return u
}

// stopUsers waits for as many requests as are wanted, for as long as there are more and more.
func stopUsers(ts *testscript.TestScript, g *glintUnderTest, least int) {
	for before := -1; ; {
		sent, _, _ := g.users.seen()
		if sent >= least || sent == before {
			break
		}
		before = sent
		within(patience, func() bool { sent, _, _ = g.users.seen(); return sent >= least || sent > before+1000 })
	}
	report := g.users.end()
	g.users = nil
	ts.Logf("%s", report)
	if report.Failed > 0 || report.Sent < least {
		ts.Fatalf("want no failures of at least %d: %s\nthe server says:\n%s", least, report, g.log.String())
	}
}

// settled is for how long, longer than a slow request, no other version must have answered, and to how many requests, for
// users to have changed over.
const (
	settled = 3 * time.Second
	enough  = 100
)

// change runs a command and measures how long after its start a user still met another version: was answered by it, or sent
// it a slow request.
func (u *users) change(ts *testscript.TestScript, version string, command []string) time.Duration {
	u.forget()
	u.mu.Lock()
	began := u.from
	u.mu.Unlock()
	ts.Check(ts.Exec(programOf(command[0]), command[1:]...))
	var other time.Time
	if !within(patience, func() bool {
		u.forgetCounts()
		time.Sleep(settled)
		_, count, last := u.seen()
		other = time.Time{}
		for v, at := range last {
			if v != version && at.After(other) {
				other = at
			}
		}
		return len(count) == 1 && count[version] >= enough
	}) {
		_, count, _ := u.seen()
		ts.Fatalf("users never met version %s only: %v", version, count)
	}
	return max(other.Sub(began), 0)
}

func sum(count map[string]int) int {
	n := 0
	for _, c := range count {
		n += c
	}
	return n
}

// forgetCounts forgets how often versions answered, but not when.
func (u *users) forgetCounts() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count = map[string]int{}
}

func programOf(name string) string {
	if name == "glint" {
		return bin
	}
	return name
}

func atoi(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}
