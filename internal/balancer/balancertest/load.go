package balancertest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Kind is a manner of asking.
type Kind struct {
	Name    string
	Clients int
	Path    string
	Post    bool          // not idempotent: may never be replayed
	OneShot bool          // a connection for each request
	Pause   time.Duration // between requests of one client
}

// AllKinds are the clients that nothing may be dropped for.
var AllKinds = []Kind{
	{Name: "keep-alive", Clients: 6, Path: "/"},
	{Name: "keep-alive, seldom", Clients: 4, Path: "/", Pause: 150 * time.Millisecond},
	{Name: "one-shot", Clients: 3, Path: "/", OneShot: true},
	{Name: "slow", Clients: 12, Path: "/slow"},
	{Name: "slow, one-shot", Clients: 6, Path: "/slow", OneShot: true},
	{Name: "post", Clients: 3, Path: "/", Post: true},
}

// A Load is traffic that runs until Stop.
type Load struct {
	stop     chan struct{}
	clients  sync.WaitGroup
	mu       sync.Mutex
	counts   map[string]int
	failures []string
}

// StartLoad asks url until Stop; every answer must be 200 and come from some instance.
func StartLoad(url, host string, kinds []Kind) *Load {
	l := &Load{stop: make(chan struct{}), counts: map[string]int{}}
	for _, k := range kinds {
		for range k.Clients {
			l.clients.Go(func() { l.client(url, host, k) })
		}
	}
	return l
}

// Stop ends the load after the requests that are under way, and returns how many of each kind were answered, and what failed.
func (l *Load) Stop() (counts map[string]int, failures []string) {
	close(l.stop)
	l.clients.Wait()
	return l.counts, l.failures
}

func (l *Load) client(url, host string, k Kind) {
	tr := &http.Transport{DisableKeepAlives: k.OneShot}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: time.Minute}
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		err := ask(c, url+k.Path, host, k.Post)
		l.mu.Lock()
		l.counts[k.Name]++
		if err != nil && len(l.failures) < 20 {
			l.failures = append(l.failures, fmt.Sprintf("%s %s: %v", time.Now().Format("05.000"), k.Name, err))
		}
		l.mu.Unlock()
		time.Sleep(k.Pause)
	}
}

func ask(c *http.Client, url, host string, post bool) error {
	method, body := "GET", io.Reader(nil)
	if post {
		// A body that can be read once only keeps Go's client from trying a second time by itself.
		method, body = "POST", io.MultiReader(strings.NewReader("order"))
	}
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return err
	}
	req.Host = host
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != 200 {
		return fmt.Errorf("status %d, %q, %w", resp.StatusCode, text, err)
	}
	return nil
}

// Report says what a load was and fails the test when anything in it failed.
func (l *Load) Report(t testing.TB) {
	t.Helper()
	counts, failures := l.Stop()
	t.Logf("answered: %v", counts)
	for _, f := range failures {
		t.Errorf("failed: %s", f)
	}
}
