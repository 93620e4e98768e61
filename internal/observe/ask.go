package observe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/platform"
)

// Bounds on what an instance can make the server read. Instances are not trusted.
const (
	maxAnswer   = 64 << 10 // bytes of one HTTP answer, headers included; more is not waited for
	maxInterim  = 5        // 1xx answers before the real one
	maxSentence = 200      // bytes of what is shown to people
)

// An asker asks instances over the network of the host, and by running commands inside them.
type asker struct {
	dialer net.Dialer
	execer platform.Execer // nil: the platform cannot
}

func newAsker(p platform.Platform) *asker {
	execer, _ := p.(platform.Execer)
	return &asker{dialer: net.Dialer{KeepAlive: -1}, execer: execer} // a connection lasts for one question
}

// ask puts the question of t.probe, whose timeout is in ctx.
func (a *asker) ask(ctx context.Context, t target) answer {
	switch p := t.probe; {
	case p.HTTP != nil:
		return a.askHTTP(ctx, t, *p.HTTP)
	case p.TCP != nil:
		return a.askTCP(ctx, t, *p.TCP)
	case p.Exec != nil:
		return a.askExec(ctx, t, *p.Exec)
	}
	return answer{none, "the probe asks nothing"}
}

// askHTTP makes one request over a connection of its own. It does not use http.Transport: that dials on after a timeout,
// so that each question to an address that swallows packets would leave a socket behind, and a refused connection, which
// is what starting instances answer with, costs it three times as much.
func (a *asker) askHTTP(ctx context.Context, t target, p glint.HTTPProbe) answer {
	what := "GET " + p.Path
	conn, port, err := a.dial(ctx, t, p.Port)
	if err != nil {
		return failed(what, port, t.probe.Timeout, err)
	}
	defer conn.Close()
	// What ends the question, a timeout or the end of the prober, ends reading and writing.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	status, err := get(conn, p.Path)
	if err != nil {
		return failed(what, port, t.probe.Timeout, err)
	}
	k := bad
	if status >= 200 && status < 400 {
		k = good
	}
	return answer{k, strings.TrimSpace(fmt.Sprintf("%s: %d %s", what, status, http.StatusText(status)))}
}

// get returns the status of the answer to GET path. Redirects are an answer.
func get(conn net.Conn, path string) (int, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+conn.RemoteAddr().String()+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("User-Agent", "glint-probe")
	req.Close = true
	if err := req.Write(conn); err != nil {
		return 0, err
	}
	limited := &io.LimitedReader{R: conn, N: maxAnswer}
	r := bufio.NewReaderSize(limited, 1<<10)
	for range maxInterim {
		resp, err := http.ReadResponse(r, req)
		if errors.Is(err, io.ErrUnexpectedEOF) && limited.N == 0 {
			return 0, errors.New("more than 64 KiB of headers")
		}
		if err != nil {
			return 0, err
		}
		if resp.StatusCode >= 200 {
			// A server that is cut off in the middle of its body may log an error, and one that cannot finish a short
			// answer does not do its work.
			if _, err = io.Copy(io.Discard, resp.Body); limited.N == 0 {
				err = nil
			}
			return resp.StatusCode, err
		}
	}
	return 0, errors.New("only interim answers")
}

func (a *asker) askTCP(ctx context.Context, t target, p glint.TCPProbe) answer {
	conn, port, err := a.dial(ctx, t, p.Port)
	if err != nil {
		return failed("connect", port, t.probe.Timeout, err)
	}
	conn.Close()
	return answer{good, fmt.Sprintf("connect: accepted on %d", port)}
}

// dial connects to the named port. Nothing is looked up: an address that is no IP address is an error.
func (a *asker) dial(ctx context.Context, t target, name string) (net.Conn, int, error) {
	port, ok := t.template.Port(name)
	if !ok {
		return nil, 0, fmt.Errorf("%w: no port is named %q", errUnasked, name)
	}
	addr, err := netip.ParseAddr(t.address)
	if err != nil {
		return nil, port.Number, fmt.Errorf("%w: %w", errUnasked, err)
	}
	conn, err := a.dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, uint16(port.Number)).String())
	return conn, port.Number, err
}

func (a *asker) askExec(ctx context.Context, t target, p glint.ExecProbe) answer {
	if a.execer == nil {
		return answer{none, "this platform cannot run commands inside instances; use an http or tcp health check"}
	}
	if len(p.Command) == 0 {
		return answer{none, "the probe has no command"}
	}
	what := sentence(p.Command[0])
	status, output, err := a.execer.Exec(ctx, t.id, p.Command)
	switch {
	case ctx.Err() != nil:
		return answer{bad, fmt.Sprintf("%s: timeout after %s", what, t.probe.Timeout)}
	case err != nil:
		return answer{none, fmt.Sprintf("%s could not be run: %s", what, sentence(err.Error()))}
	case status != 0:
		return answer{bad, sentence(fmt.Sprintf("%s: exit status %d: %s", what, status, lastLine(output)))}
	}
	return answer{good, what + ": exit status 0"}
}

// ours are errors that speak of this host, not of the instance: its firewall, its descriptors, its memory, its ports.
var ours = []syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EADDRNOTAVAIL, syscall.EAGAIN}

// errUnasked says that the question could not be put; the blueprint is wrong, not the instance.
var errUnasked = errors.New("cannot be asked")

// failed puts an error in words.
func failed(what string, port int, timeout glint.Duration, err error) answer {
	var errno syscall.Errno
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return answer{bad, fmt.Sprintf("%s: timeout after %s", what, timeout)}
	case errors.Is(err, errUnasked):
		return answer{none, what + ": " + sentence(err.Error())}
	case errors.As(err, &errno) && slices.Contains(ours, errno):
		return answer{none, fmt.Sprintf("%s could not be asked on %d: %s", what, port, errno)}
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return answer{bad, fmt.Sprintf("connect: %s on %d", errno, port)}
	case errors.As(err, &errno):
		return answer{bad, fmt.Sprintf("%s: %s on %d", what, errno, port)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return answer{bad, fmt.Sprintf("%s: closed without a whole answer on %d", what, port)}
	}
	return answer{bad, what + ": " + sentence(err.Error())}
}

// lastLine returns the last line that is not empty.
func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// sentence makes what an instance or an error says fit for a line on a terminal.
func sentence(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !strconv.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSuffix(strings.TrimSpace(s), ":")
	if len(s) > maxSentence {
		s = strings.ToValidUTF8(s[:maxSentence], "") + "…"
	}
	return s
}
