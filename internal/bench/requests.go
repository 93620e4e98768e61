package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// requests asks for one path again and again. Its client does as little as can be: whatever it spent itself would make
// all ways to an instance look alike.
type requests struct {
	Address string `json:"address"` // host:port to connect to
	Host    string `json:"host"`    // Host header
	Path    string `json:"path"`
	Count   int    `json:"count"`
	Clients int    `json:"clients"` // at the same time, each one after the other
	Keep    bool   `json:"keep"`    // one connection for each client, instead of one for each request
}

const requestTimeout = 10 * time.Second

func (q *requests) send() result {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var r result
	begun := time.Now()
	for range q.Clients {
		wg.Go(func() {
			sent, failed, why := q.client(q.Count / q.Clients)
			mu.Lock()
			defer mu.Unlock()
			r.Sent, r.Failed = r.Sent+sent, r.Failed+failed
			if r.Why == "" && why != nil {
				r.Why = why.Error()
			}
		})
	}
	wg.Wait()
	r.Took = time.Since(begun)
	return r
}

func (q *requests) client(count int) (sent, failed int, why error) {
	closing := ""
	if !q.Keep {
		closing = "Connection: close\r\n"
	}
	text := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", q.Path, q.Host, closing)
	var c net.Conn
	answers := bufio.NewReaderSize(nil, 4096)
	for range count {
		var err error
		if c == nil {
			if c, err = net.DialTimeout("tcp", q.Address, requestTimeout); err == nil {
				answers.Reset(c)
			}
		}
		if err == nil {
			err = exchange(c, answers, text)
		}
		sent++
		if err != nil {
			failed++
			if why == nil {
				why = err
			}
		}
		if c != nil && (err != nil || !q.Keep) {
			_ = c.Close()
			c = nil
		}
	}
	if c != nil {
		_ = c.Close()
	}
	return sent, failed, why
}

// exchange sends a request and reads one answer of known length.
func exchange(c net.Conn, answers *bufio.Reader, text []byte) error {
	if err := c.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	if _, err := c.Write(text); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	length, first := -1, true
	for {
		line, err := answers.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			if len(line) < 12 || line[9] != '2' && line[9] != '3' {
				return fmt.Errorf("the answer is %q", line)
			}
			first = false
		}
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("the answer does not say its length: the program must answer /version with a Content-Length")
	}
	_, err := io.CopyN(io.Discard, answers, int64(length))
	return err
}

// once sends one request over a connection of its own.
func once(address, host, path string, within time.Duration) error {
	c, err := net.DialTimeout("tcp", address, within)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && (len(line) < 12 || line[9] != '2' && line[9] != '3') {
		err = fmt.Errorf("the answer is %q", line)
	}
	return err
}
