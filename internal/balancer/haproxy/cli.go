package haproxy

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/glint-infra/glint"
)

// answerWithin bounds one question to HAProxy; it answers in well under a millisecond.
const answerWithin = 5 * time.Second

// maxAnswer bounds an answer: about 500 bytes for each server.
const maxAnswer = 64 << 20

// ask puts one command to the master, or to the worker with that pid.
func (p *Proxy) ask(ctx context.Context, worker int, command string) (string, error) {
	if worker != 0 {
		command = fmt.Sprintf("@!%d %s", worker, command)
	}
	var d net.Dialer
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	conn, err := d.DialContext(ctx, "unix", p.path("master.sock"))
	if err != nil {
		return "", fmt.Errorf("asking HAProxy: %w", err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", fmt.Errorf("asking HAProxy: %w", err)
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return "", fmt.Errorf("asking HAProxy: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("hearing HAProxy's answer: %w", err)
	}
	return string(answer), nil
}

// tell asks for a change and wants one of the answers in fine, or none.
func (p *Proxy) tell(ctx context.Context, worker int, command string, fine ...string) error {
	answer, err := p.ask(ctx, worker, command)
	if err != nil {
		return err
	}
	answer = strings.TrimSpace(answer)
	if answer == "" || slices.ContainsFunc(fine, func(s string) bool { return strings.Contains(answer, s) }) {
		return nil
	}
	return fmt.Errorf("HAProxy refused %q: %s", command, answer)
}

// procs lists the pids of all live workers.
func (p *Proxy) procs(ctx context.Context) (workers []int, err error) {
	ask := func() (err error) { _, workers, _, err = p.showProc(ctx); return err }
	if p.master == nil {
		return workers, ask()
	}
	there, err := p.patiently(ctx, p.master.pid, ask)
	if !there {
		return nil, fmt.Errorf("HAProxy's master (pid %d) is gone", p.master.pid)
	}
	return workers, err
}

// showProc asks the master for its pid, its workers' and how many reloads have failed.
func (p *Proxy) showProc(ctx context.Context) (master int, workers []int, failed int, err error) {
	answer, err := p.ask(ctx, 0, "show proc")
	if err != nil {
		return 0, nil, 0, err
	}
	for line := range strings.Lines(answer) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		pid, err := strconv.Atoi(f[0])
		if err != nil {
			continue
		}
		switch f[1] {
		case "master":
			master = pid
			if len(f) > 4 {
				failed, _ = strconv.Atoi(strings.TrimSuffix(f[4], "]")) // "1 [failed: 0]"
			}
		case "worker":
			workers = append(workers, pid)
		}
	}
	if master == 0 {
		return 0, nil, 0, fmt.Errorf("HAProxy's answer to \"show proc\" names no master: %q", answer)
	}
	return master, workers, failed, nil
}

// A server is what a worker says of one of its servers.
type server struct {
	addr     string
	ready    bool
	sessions int
}

// A worker is one look at a live worker.
type worker struct {
	pid     int
	mark    string                       // of the configuration that it runs
	old     bool                         // it takes no new connections
	servers map[string]map[string]server // by backend and name
}

var errVanished = errors.New("a worker of HAProxy ended while it was asked")

// workers looks at every live worker.
func (p *Proxy) workers(ctx context.Context) ([]worker, error) {
	pids, err := p.procs(ctx)
	if err != nil {
		return nil, err
	}
	var all []worker
	for _, pid := range pids {
		var w worker
		there, err := p.patiently(ctx, pid, func() (err error) { w, err = p.worker(ctx, pid); return err })
		if err != nil {
			return nil, err
		}
		if there {
			all = append(all, w)
		}
	}
	return all, nil
}

// patiently asks a worker again when it does not answer: it may be about to end, and the master is deaf for some milliseconds
// while it reloads. there is false when the worker is gone.
func (p *Proxy) patiently(ctx context.Context, pid int, ask func() error) (there bool, err error) {
	for range 100 {
		if err = ask(); err == nil {
			return true, nil
		}
		if !exists(pid) {
			return false, nil
		}
		if perr := pause(ctx, 10*time.Millisecond); perr != nil {
			return true, errors.Join(err, perr)
		}
	}
	return true, err
}

func (p *Proxy) worker(ctx context.Context, pid int) (worker, error) {
	info, err := p.ask(ctx, pid, "show info")
	if err != nil {
		return worker{}, err
	}
	w := worker{pid: pid}
	known := false
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "description":
			w.mark = value
		case "Stopping":
			w.old, known = value != "0", true
		}
	}
	if !known {
		return worker{}, fmt.Errorf("worker %d of HAProxy does not say whether it stops: %w", pid, errVanished)
	}
	w.servers, err = p.servers(ctx, pid)
	return w, err
}

// servers reads "show stat" of all servers of a worker.
func (p *Proxy) servers(ctx context.Context, pid int) (map[string]map[string]server, error) {
	answer, err := p.ask(ctx, pid, "show stat -1 4 -1") // all proxies, only servers, all of them
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(answer, "# ")
	if !ok {
		return nil, fmt.Errorf("worker %d of HAProxy: %w", pid, errVanished)
	}
	rows := csv.NewReader(strings.NewReader(text))
	rows.FieldsPerRecord = -1
	lines, err := rows.ReadAll()
	if err != nil || len(lines) == 0 {
		return nil, fmt.Errorf("reading the servers of HAProxy's worker %d: %w", pid, err)
	}
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	all := map[string]map[string]server{}
	for _, line := range lines[1:] {
		field := func(name string) string {
			if i, ok := column[name]; ok && i < len(line) {
				return line[i]
			}
			return ""
		}
		n, err := strconv.Atoi(field("scur"))
		if err != nil {
			return nil, fmt.Errorf("worker %d of HAProxy does not say how much is in flight to %s: %w", pid, field("svname"), err)
		}
		if all[field("pxname")] == nil {
			all[field("pxname")] = map[string]server{}
		}
		ready := field("status") == "no check" || strings.HasPrefix(field("status"), "UP")
		all[field("pxname")][field("svname")] = server{addr: field("addr"), ready: ready, sessions: n}
	}
	return all, nil
}

// settled reads the servers of a worker after all its threads have finished the piece of work they were at: deleting what does
// not exist waits for that. A request for which a server had been chosen, but not yet counted, is counted then.
func (p *Proxy) settled(ctx context.Context, pid int) (map[string]map[string]server, error) {
	if _, err := p.ask(ctx, pid, "del server none/none"); err != nil {
		return nil, err
	}
	return p.servers(ctx, pid)
}

// inFlight counts the requests to each instance over all workers.
func (p *Proxy) inFlight(ctx context.Context, workers []worker) (map[glint.ID]int, error) {
	all := map[glint.ID]int{}
	for _, w := range workers {
		var servers map[string]map[string]server
		if _, err := p.patiently(ctx, w.pid, func() (err error) { servers, err = p.settled(ctx, w.pid); return err }); err != nil {
			return nil, err
		}
		for _, backend := range servers {
			for name, s := range backend {
				if id, err := glint.ParseKey(name); err == nil && s.sessions > 0 {
					all[id] += s.sessions
				}
			}
		}
	}
	return all, nil
}
