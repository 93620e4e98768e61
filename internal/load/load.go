// Package load sends requests as users do and counts every one that fails: keep-alive, one connection each, and slow.
// It judges nothing but the answers, and knows nothing of what serves them.
package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Mix is how many clients of each kind send requests at the same time, each one after the other.
type Mix struct {
	Address string // host:port to connect to
	Host    string // Host header
	Path    string // of quick requests
	Slow    string // path of slow requests

	KeepAlive   int           // clients that keep one connection
	OneShot     int           // clients that make a connection for each request
	SlowClients int           // clients that ask for Slow, over kept connections
	Pause       time.Duration // of each quick client between two requests
	Timeout     time.Duration // of one request; 0 means 30s
	Mark        string        // header of answers to count by value, such as a version
	Hear        func(Answer)  // hears of every answer, from many clients at once; may be nil
}

// An Answer is what came of one request.
type Answer struct {
	Kind  string        // of client
	Mark  string        // the value of Mix.Mark; empty: none, or no answer
	Begun time.Time     // when the request was sent
	Took  time.Duration // until the answer was read to its end
	Err   error         // nil: it is what a user wants
}

// A Report is what became of the requests.
type Report struct {
	Sent     int            `json:"sent"`
	Failed   int            `json:"failed"`
	ByKind   map[string]int `json:"by_kind"`             // sent, by kind of client
	Marks    map[string]int `json:"marks,omitempty"`     // answers by the value of Mix.Mark
	Failures []Failure      `json:"failures,omitempty"`  // the first ones
	Elapsed  time.Duration  `json:"elapsed"`             //
	P50, P99 time.Duration  `json:"-"`                   // of quick requests
	Slowest  time.Duration  `json:"slowest_quick_reply"` //
}

// A Failure is a request that a user would complain about.
type Failure struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	What string    `json:"what"`
}

// keptFailures bounds how many failures a report tells of in words.
const keptFailures = 20

// String sums up a report in a line, with the failures below.
func (r Report) String() string {
	s := fmt.Sprintf("%d requests in %s, %d failed; by kind %v; answers %v; quick p50 %s p99 %s", r.Sent, r.Elapsed.Round(time.Millisecond), r.Failed, r.ByKind, r.Marks, r.P50.Round(10*time.Microsecond), r.P99.Round(10*time.Microsecond))
	for _, f := range r.Failures {
		s += fmt.Sprintf("\n  %s %s: %s", f.At.UTC().Format("15:04:05.000"), f.Kind, f.What)
	}
	return s
}

// Run sends requests until ctx ends. Requests under way are then allowed to finish, and count.
func Run(ctx context.Context, m Mix) Report {
	if m.Timeout == 0 {
		m.Timeout = 30 * time.Second
	}
	t := &tally{report: Report{ByKind: map[string]int{}, Marks: map[string]int{}}}
	start := time.Now()
	var wg sync.WaitGroup
	for range m.KeepAlive {
		wg.Go(func() { m.client(ctx, t, "keep-alive", m.Path, true, m.Pause) })
	}
	for range m.OneShot {
		wg.Go(func() { m.client(ctx, t, "one-shot", m.Path, false, m.Pause) })
	}
	for range m.SlowClients {
		wg.Go(func() { m.client(ctx, t, "slow", m.Slow, true, 0) })
	}
	wg.Wait()
	return t.sum(time.Since(start))
}

// client sends one request after the other.
func (m Mix) client(ctx context.Context, t *tally, kind, path string, keep bool, wait time.Duration) {
	c := &conn{mix: m}
	defer c.drop()
	for ctx.Err() == nil {
		begun := time.Now()
		mark, err := c.request(path, keep)
		took := time.Since(begun)
		t.add(kind, mark, took, err)
		if m.Hear != nil {
			m.Hear(Answer{kind, mark, begun, took, err})
		}
		if err != nil {
			c.drop()
			time.Sleep(10 * time.Millisecond) // a dead server must not be asked a million times a second
		}
		if wait > 0 {
			time.Sleep(wait)
		}
	}
}

// A conn is one client's connection. It is stricter than a browser: Go's own client quietly repeats a request when a kept
// connection turns out to be closed; here that counts as a failure.
type conn struct {
	mix Mix
	c   net.Conn
	r   *bufio.Reader
}

func (c *conn) drop() {
	if c.c != nil {
		_ = c.c.Close() // nothing is lost with it
		c.c = nil
	}
}

func (c *conn) request(path string, keep bool) (mark string, err error) {
	if c.c == nil {
		if c.c, err = net.DialTimeout("tcp", c.mix.Address, c.mix.Timeout); err != nil {
			c.c = nil
			return "", err
		}
		c.r = bufio.NewReaderSize(c.c, 4096)
	}
	if err := c.c.SetDeadline(time.Now().Add(c.mix.Timeout)); err != nil {
		return "", err
	}
	closing := ""
	if !keep {
		closing = "Connection: close\r\n"
	}
	if _, err := fmt.Fprintf(c.c, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: glint-load\r\n%s\r\n", path, c.mix.Host, closing); err != nil {
		return "", fmt.Errorf("sending: %w", err)
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	err = errors.Join(err, resp.Body.Close())
	if resp.StatusCode >= 400 {
		err = errors.Join(err, fmt.Errorf("status %d", resp.StatusCode))
	}
	if resp.Close || !keep {
		c.drop()
	}
	return resp.Header.Get(c.mix.Mark), err
}

type tally struct {
	mu     sync.Mutex
	report Report
	quick  []time.Duration
}

func (t *tally) add(kind, mark string, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Sent++
	t.report.ByKind[kind]++
	if mark != "" {
		t.report.Marks[mark]++
	}
	if kind != "slow" {
		t.quick = append(t.quick, took)
	}
	if err == nil {
		return
	}
	t.report.Failed++
	if len(t.report.Failures) < keptFailures {
		t.report.Failures = append(t.report.Failures, Failure{At: time.Now(), Kind: kind, What: err.Error()})
	}
}

func (t *tally) sum(elapsed time.Duration) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Elapsed = elapsed
	if n := len(t.quick); n > 0 {
		slices.Sort(t.quick)
		t.report.P50, t.report.P99, t.report.Slowest = t.quick[n/2], t.quick[n*99/100], t.quick[n-1]
	}
	return t.report
}
