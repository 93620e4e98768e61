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

// ask puts commands to the master, or to the worker with that pid, and returns all answers. They go over one connection: each
// costs HAProxy more than an answer does.
func (p *Proxy) ask(ctx context.Context, worker int, commands ...string) (string, error) {
	command := strings.Join(commands, ";")
	if worker != 0 {
		to := fmt.Sprintf("@!%d ", worker)
		command = to + strings.Join(commands, ";"+to)
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
	what, _, _ := strings.Cut(command, " server ")
	p.cfg.At("haproxy: it was told to " + what + " a server")
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

// worker looks at one. Its servers are read after all its threads have finished the piece of work they were at: deleting what
// does not exist waits for that. A request for which a server had been chosen, but not yet counted, is counted then.
func (p *Proxy) worker(ctx context.Context, pid int) (worker, error) {
	answer, err := p.ask(ctx, pid, "show info", "del server none/none", "show stat -1 4 -1") // of all proxies, only servers, all of them
	if err != nil {
		return worker{}, err
	}
	info, stat, ok := strings.Cut(answer, "\n# ")
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
	if !known || !ok {
		return worker{}, fmt.Errorf("worker %d of HAProxy does not say whether it stops, or what its servers do: %w", pid, errVanished)
	}
	w.servers, err = readServers(pid, stat)
	return w, err
}

// readServers reads what "show stat" says of a worker's servers.
func readServers(pid int, text string) (map[string]map[string]server, error) {
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

// inFlight counts the requests to each instance over all workers.
func inFlight(workers []worker) map[glint.ID]int {
	all := map[glint.ID]int{}
	for _, w := range workers {
		for _, backend := range w.servers {
			for name, s := range backend {
				if id, err := glint.ParseKey(name); err == nil && s.sessions > 0 {
					all[id] += s.sessions
				}
			}
		}
	}
	return all
}
