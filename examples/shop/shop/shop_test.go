package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// A cache speaks as much RESP as the shop needs to hear.
type cache struct {
	net.Listener
	wg     sync.WaitGroup
	mu     sync.Mutex
	counts map[string]int
	conns  map[net.Conn]bool
	dials  int
	says   string // instead of an answer
	hangs  bool
}

// open listens at address and ends with the test.
func open(t *testing.T, address string) *cache {
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := &cache{Listener: l, counts: map[string]int{}, conns: map[net.Conn]bool{}}
	c.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.set(func() { c.conns[conn] = true; c.dials++ })
			c.wg.Go(func() { c.serve(conn) })
		}
	})
	t.Cleanup(c.end)
	return c
}

func (c *cache) set(f func()) { c.mu.Lock(); defer c.mu.Unlock(); f() }

func (c *cache) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		var args, size int
		var verb, key string
		if n, err := fmt.Fscanf(r, "*%d\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", &args, &size, &verb, &size, &key); n != 5 || err != nil || args != 2 || verb != "INCR" || size != len(key) {
			return
		}
		c.mu.Lock()
		c.counts[key]++
		answer, hangs := fmt.Sprintf(":%d\r\n", c.counts[key]), c.hangs
		if c.says != "" {
			answer = c.says
		}
		c.mu.Unlock()
		if !hangs {
			io.WriteString(conn, answer)
		}
	}
}

func (c *cache) end() {
	c.Close()
	c.set(func() {
		for conn := range c.conns {
			conn.Close()
		}
	})
	c.wg.Wait()
}

var quiet = slog.New(slog.DiscardHandler)

func newShop(t *testing.T, cache string) *shop {
	s := &shop{version: "7", instance: "web-3", visits: newCounter(cache, quiet), log: quiet}
	t.Cleanup(s.visits.close)
	return s
}

func get(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w
}

func TestPages(t *testing.T) {
	h := newShop(t, "").handler()
	for _, c := range []struct {
		method, target string
		status         int
		want           string
	}{
		{"GET", "/", 200, "Desk lamp"},
		{"GET", "/", 200, "The visitor counter is away"},
		{"GET", "/?bought=%3Cscript%3E", 200, "Thank you for buying: &lt;script&gt;."},
		{"GET", "/healthz", 200, "ok"},
		{"GET", "/version", 200, "7"},
		{"GET", "/slow?ms=1", 200, "answered after 1ms"},
		{"GET", "/slow?ms=30001", 400, "want a number from 0 to 30000"},
		{"GET", "/slow?ms=-1", 400, "want a number"},
		{"GET", "/slow?ms=soon", 400, "want a number"},
		{"GET", "/nothing", 404, ""},
		{"GET", "/buy?product=mug", 405, ""},
		{"POST", "/buy?product=mug", 303, ""},
		{"POST", "/buy?product=moon", 400, "no such product"},
		{"POST", "/buy", 400, "no such product"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.target, w.Code, w.Body, c.status, c.want)
		}
		if v, i := w.Header().Get("X-Shop-Version"), w.Header().Get("X-Shop-Instance"); v != "7" || i != "web-3" {
			t.Errorf("%s %s: version %q of instance %q", c.method, c.target, v, i)
		}
	}
}

func TestBuyingByForm(t *testing.T) {
	h := newShop(t, "").handler()
	buy := func(origin, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/buy", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	form := url.Values{"product": {"lamp"}}.Encode()
	if w := buy("http://example.com", form); w.Code != 303 || w.Header().Get("Location") != "/?bought=lamp" {
		t.Errorf("bought: %d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := buy("http://elsewhere.example", form); w.Code != 403 {
		t.Errorf("another site bought in a visitor's name: %d", w.Code)
	}
	if w := buy("http://example.com", "x="+strings.Repeat("y", 1<<20)+"&"+form); w.Code != 400 {
		t.Errorf("a megabyte was read: %d", w.Code)
	}
}

func TestCounting(t *testing.T) {
	c := open(t, "127.0.0.1:0")
	h := newShop(t, c.Addr().String()).handler()
	for n := 1; n <= 20; n++ {
		if w := get(h, "/"); !strings.Contains(w.Body.String(), fmt.Sprintf("You are visitor number %d.", n)) {
			t.Fatalf("visit %d: %s", n, w.Body)
		}
	}
	c.set(func() {
		if c.dials != 1 {
			t.Errorf("%d connections, want one that is used again", c.dials)
		}
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { get(h, "/") })
	}
	wg.Wait()
	if w := get(h, "/"); !strings.Contains(w.Body.String(), "number 71.") {
		t.Errorf("visit 71: %s", w.Body)
	}
}

// TestTheCacheComesAndGoes ends the cache, starts another at its address, and waits until visits are counted again. Every
// page is served throughout.
func TestTheCacheComesAndGoes(t *testing.T) {
	for _, c := range []struct {
		name  string
		sever func(c *cache)
		mend  func(t *testing.T, c *cache)
	}{
		{"it ends, and another takes its place", (*cache).end, func(t *testing.T, c *cache) { open(t, c.Addr().String()) }},
		{"it hangs", func(c *cache) { c.set(func() { c.hangs = true }) }, func(_ *testing.T, c *cache) { c.set(func() { c.hangs = false }) }},
		{"it is not ready", func(c *cache) { c.set(func() { c.says = "-LOADING Redis is loading the dataset in memory\r\n" }) },
			func(_ *testing.T, c *cache) { c.set(func() { c.says = "" }) }},
		{"it speaks without end", func(c *cache) { c.set(func() { c.says = strings.Repeat("x", 1<<16) }) },
			func(_ *testing.T, c *cache) { c.set(func() { c.says = "" }) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache := open(t, "127.0.0.1:0")
			h := newShop(t, cache.Addr().String()).handler()
			counted := func() bool {
				w := get(h, "/")
				if w.Code != 200 || !strings.Contains(w.Body.String(), "Desk lamp") {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				return strings.Contains(w.Body.String(), "You are visitor")
			}
			if !counted() {
				t.Fatal("not counted at first")
			}
			c.sever(cache)
			for range 20 {
				if counted() {
					t.Fatal("counted by a cache that is away")
				}
			}
			c.mend(t, cache)
			for end := time.Now().Add(time.Minute); !counted(); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("never counted again")
				}
			}
		})
	}
}

// TestClosing tells the shop to end while a request is under way: that one is answered, and no other is taken.
func TestClosing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("VERSION", "9")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, l, quiet) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := "product=mug"
	fmt.Fprintf(conn, "POST /buy HTTP/1.1\r\nHost: shop\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	r := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 100 {
		t.Fatalf("the shop has not begun to read the order: %v %v", resp, err)
	}
	cancel()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		other, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		other.Close()
		if time.Now().After(end) {
			t.Fatal("it still listens")
		}
	}
	io.WriteString(conn, body)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("the request under way: %v", err)
	}
	if resp.StatusCode != 303 || resp.Header.Get("X-Shop-Version") != "9" || !resp.Close {
		t.Errorf("the request under way: %s, version %q, the connection ends: %t", resp.Status, resp.Header.Get("X-Shop-Version"), resp.Close)
	}
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}
