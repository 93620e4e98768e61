package haproxy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/glint-infra/glint/internal/balancer"
)

// nothing is where a backend without members sends requests: nobody listens there (tcpmux, port 1, is long dead), so that each
// try fails at once, HAProxy waits a second, and tries again with whoever is there by then.
const nothing = "127.0.0.1:1"

// retries is how often a request may be tried again: after failed connections, and, when its method is idempotent (RFC 9110,
// 9.2.2), after a connection that ended without an answer. With it, a backend without members holds requests for 2 s.
const retries = 2

// headText is the head of every configuration.
//
// A request that arrives on an old worker (on a connection which a client had kept open over a reload) is handed to
// the new one, with the client's address: HAProxy 2.6 lets nobody change the servers of a worker that stops, so old workers
// must not choose among theirs. "idle-close-on-response" keeps such connections until that request has come.
const headText = `global
  master-worker
  description %[1]s
  maxconn %[2]d
  hard-stop-after %[3]ds
  mworker-max-reloads 1000
%[4]sdefaults
  mode http
  timeout connect 2s
  timeout client 1m
  timeout client-fin 30s
  timeout server 5m
  timeout server-fin 30s
  timeout tunnel 1h
  timeout queue 5s
  timeout http-request 10s
  timeout http-keep-alive 1m
  option idle-close-on-response
  option redispatch 1
  retries %[5]d
  retry-on conn-failure empty-response
  http-error status 502 content-type text/plain string "Glint: the instance that had this request ended before it answered.\n"
  http-error status 503 content-type text/plain string "Glint: no instance of this service can take requests now.\n"
  http-error status 504 content-type text/plain string "Glint: the instance that had this request did not answer in time.\n"
frontend services
  bind unix@%[6]s/services %[7]smode 600 accept-proxy
%[8]s  http-request set-var(txn.old) stopping
  http-request set-var-fmt(txn.at) "%%[dst]:%%[dst_port]"
  http-request set-var(txn.to) var(txn.at),map(%[9]s)
  http-request add-header X-Forwarded-For %%[src] if !{ var(txn.old) -m bool }
  http-request set-header X-Forwarded-Proto http if !{ var(txn.old) -m bool } !{ req.fhdr(X-Forwarded-Proto) -m found }
  http-request return status 503 content-type text/plain string "Glint: nothing is published at this address.\n" if !{ var(txn.old) -m bool } !{ var(txn.to) -m found }
  use_backend to-services if { var(txn.old) -m bool }
  use_backend %%[var(txn.to)]
frontend public
  bind unix@%[6]s/public %[7]smode 600 accept-proxy
%[10]s  http-request set-var(txn.old) stopping
  http-request set-var(txn.to) req.hdr(host),host_only,lower,map(%[9]s)
  http-request set-header X-Forwarded-For %%[src] if !{ var(txn.old) -m bool }
  http-request set-header X-Forwarded-Proto http if !{ var(txn.old) -m bool }
  http-request return status 404 content-type text/plain lf-string "Glint: no route for the host name %%[req.hdr(host),host_only,lower]\n" if !{ var(txn.old) -m bool } !{ var(txn.to) -m found }
  use_backend to-public if { var(txn.old) -m bool }
  use_backend %%[var(txn.to)]
backend nowhere
  http-request return status 503 content-type text/plain string "Glint: the service of this host name is not there.\n"
backend to-services
  option http-server-close
  http-reuse never
  server next unix@%[11]s/services send-proxy-v2
backend to-public
  option http-server-close
  http-reuse never
  server next unix@%[11]s/public send-proxy-v2
`

// backendText begins a backend. Only an idempotent request is tried again once it has been sent; HAProxy can do that only when it
// had all of it, or as much as fits its buffer, before it sent the first byte.
const backendText = `backend %s
  balance leastconn
  acl idempotent method GET HEAD OPTIONS TRACE PUT DELETE
  http-request wait-for-body time 10s if idempotent
  http-request disable-l7-retry if !idempotent
  server none %s backup
`

// pooled lets requests share connections to an instance. A server that is added at run time shares none unless told (HAProxy
// 2.6), and then every request opens one, which doubles what it costs. Those that nobody uses are closed after 1 to 2 s,
// before instances close them by themselves (Node.js after 5 s): a request that meets the end of its connection may be lost.
const pooled = "pool-max-conn -1 pool-purge-delay 1s"

// A rendering is a table in HAProxy's language.
type rendering struct {
	mark    string // names all that only a reload can change; a worker tells its own with "show info"
	config  string
	mapName string
	mapText string
}

// render writes a table down. Members do not count for the mark: they are changed through the runtime socket.
func (p *Proxy) render(t balancer.Table) rendering {
	var routes, services, shape, body strings.Builder
	for _, b := range t.Backends {
		fmt.Fprintf(&routes, "%s %s\n", b.Listen, b.Name)
		fmt.Fprintf(&services, "  bind %s\n", b.Listen)
		section := fmt.Sprintf(backendText, b.Name, nothing)
		shape.WriteString(section)
		body.WriteString(section)
		for _, m := range b.Members {
			addr, _ := memberAddr(m) // valid has seen it
			fmt.Fprintf(&body, "  server %s %s %s\n", m.ID.Key(), addr, pooled)
		}
	}
	public := ""
	for _, host := range slices.Sorted(maps.Keys(t.Hosts)) {
		fmt.Fprintf(&routes, "%s %s\n", host, cmp.Or(t.Hosts[host], "nowhere"))
		public = fmt.Sprintf("  bind %s\n", p.cfg.Public)
	}
	r := rendering{mapText: routes.String()}
	r.mapName = "routes-" + digest(r.mapText) + ".map"
	r.mark = "glint-" + digest(p.head("", services.String(), public, r.mapName)+shape.String())
	r.config = note(t) + p.head(r.mark, services.String(), public, r.mapName) + body.String()
	return r
}

func (p *Proxy) head(mark, services, public, mapName string) string {
	owner, seen, user := "", p.jail(), "" // the jail's path, as workers see it
	if p.account != nil {
		owner, seen = "user "+p.account.user+" ", ""
		user = fmt.Sprintf("  user %s\n  group %s\n  chroot %s\n", p.account.user, p.account.group, p.jail())
	}
	return fmt.Sprintf(headText, mark, maxConn(), int(p.cfg.Linger.Seconds()), user, retries, p.jail(), owner, services, p.path(mapName), public, seen)
}

// note tells people which generations a configuration holds.
func note(t balancer.Table) string {
	var gens []string
	for _, stack := range slices.Sorted(maps.Keys(t.Generations)) {
		gens = append(gens, fmt.Sprintf("%s generation %d", stack, t.Generations[stack]))
	}
	return fmt.Sprintf("# Written by Glint; changes made here are lost. Routes: %s\n", strings.Join(gens, ", "))
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// maxConn is how many connections of clients fit under this process's hard limit of open files, which HAProxy inherits:
// each takes one more towards an instance. 512 are left for listeners and the rest.
func maxConn() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1000
	}
	return int(min(max(int64(min(limit.Max, 1<<30))-512, 200)/2, 50_000))
}

// An account is whom HAProxy's workers run as.
type account struct {
	user, group string
	uid, gid    int
}

// lookUpAccount chooses the unprivileged account for workers: the one that came with HAProxy, else nobody.
func lookUpAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"haproxy", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		g, err := user.LookupGroupId(u.Gid)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		return &account{user: name, group: g.Name, uid: uid, gid: gid}, nil
	}
	return nil, fmt.Errorf("neither account haproxy nor nobody exists to run HAProxy's workers as")
}
