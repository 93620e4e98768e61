package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	patience  = 250 * time.Millisecond // for one answer of the cache: a page is worth more than its counter
	pause     = time.Second            // after a failure: nobody waits for a cache that is known to be away
	maxIdle   = 8                      // connections kept for reuse
	maxAnswer = 512                    // bytes of one answer
)

var errAway = errors.New("the cache is away")

// A counter counts in Redis, whose protocol (RESP2) it speaks just well enough for that.
type counter struct {
	address string // HOST:PORT
	log     *slog.Logger
	idle    chan *line
	mu      sync.Mutex
	retry   time.Time // the cache is away, and not asked before this
}

// A line is a connection to the cache.
type line struct {
	net.Conn
	answers *bufio.Reader
}

func newCounter(address string, log *slog.Logger) *counter {
	return &counter{address: address, log: log, idle: make(chan *line, maxIdle)}
}

// add counts one more of what and returns how many there are. When the cache does not answer it fails fast.
func (c *counter) add(ctx context.Context, what string) (int64, error) {
	c.mu.Lock()
	away := time.Now().Before(c.retry)
	c.mu.Unlock()
	if away || c.address == "" {
		return 0, errAway
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n, err := c.ask(ctx, what)
	if !errors.Is(ctx.Err(), context.Canceled) { // a visitor who left says nothing about the cache
		c.note(err)
	}
	return n, err
}

// ask uses a connection that was kept, and then a new one.
func (c *counter) ask(ctx context.Context, what string) (int64, error) {
	select {
	case l := <-c.idle:
		if n, err := c.askOn(ctx, l, what); err == nil || ctx.Err() != nil {
			return n, err
		}
	default:
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.address)
	if err != nil {
		return 0, err
	}
	return c.askOn(ctx, &line{conn, bufio.NewReaderSize(conn, maxAnswer)}, what)
}

// askOn keeps the line if it works. If not, it closes all that were kept: they led to the same cache.
func (c *counter) askOn(ctx context.Context, l *line, what string) (int64, error) {
	n, err := l.incr(ctx, what)
	if err != nil {
		l.Close()
		c.close()
		return 0, err
	}
	select {
	case c.idle <- l:
	default:
		l.Close()
	}
	return n, nil
}

func (l *line) incr(ctx context.Context, key string) (int64, error) {
	deadline, _ := ctx.Deadline()
	if err := l.SetDeadline(deadline); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(l, "*2\r\n$4\r\nINCR\r\n$%d\r\n%s\r\n", len(key), key); err != nil {
		return 0, err
	}
	answer, err := l.answers.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(answer))
	number, ok := strings.CutPrefix(text, ":")
	if !ok {
		return 0, fmt.Errorf("the cache says %q", text)
	}
	return strconv.ParseInt(number, 10, 64)
}

// note remembers whether the cache answered, and logs when that changes.
func (c *counter) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch was := !c.retry.IsZero(); {
	case err != nil:
		c.retry = time.Now().Add(pause)
		if !was {
			c.log.Warn("the cache is away", "error", err)
		}
	case was:
		c.retry = time.Time{}
		c.log.Info("the cache is back")
	}
}

// close closes the connections that were kept. The counter may still be used.
func (c *counter) close() {
	for {
		select {
		case l := <-c.idle:
			l.Close()
		default:
			return
		}
	}
}
