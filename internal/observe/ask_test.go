package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/glint-infra/glint"
)

// at returns a target behind a real listener.
func at(addr string, p glint.Probe) target {
	ap := netip.MustParseAddrPort(addr)
	p.Timeout = max(p.Timeout, glint.Duration(200*time.Millisecond))
	tpl := glint.Template{Ports: []glint.Port{{Name: "http", Number: int(ap.Port()), Protocol: glint.HTTP}}}
	return target{id: id(1), address: ap.Addr().String(), template: tpl, probe: p}
}

func put(t testing.TB, a *asker, to target) answer {
	ctx, cancel := context.WithTimeout(t.Context(), to.probe.Timeout.D())
	defer cancel()
	return a.ask(ctx, to)
}

// patient is long enough that only a real hang ends it.
const patient = glint.Duration(30 * time.Second)

func TestAskHTTP(t *testing.T) {
	var got *http.Request
	hang := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { got = r; fmt.Fprintln(w, "fine") })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/busy", http.StatusFound) })
	mux.HandleFunc("/odd", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) })
	mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(204) })
	mux.HandleFunc("/hang", func(http.ResponseWriter, *http.Request) { <-hang })
	mux.HandleFunc("/trickle", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		<-hang
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/fat", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Fat", strings.Repeat("x", 1<<20)) })
	s := httptest.NewServer(mux)
	defer s.Close()
	defer close(hang)
	for _, c := range []struct {
		path    string
		timeout glint.Duration
		want    answer
	}{
		{"/healthz", patient, answer{good, "GET /healthz: 200 OK"}},
		{"/healthz?deep=1", patient, answer{good, "GET /healthz?deep=1: 200 OK"}},
		{"/busy", patient, answer{bad, "GET /busy: 503 Service Unavailable"}},
		{"/moved", patient, answer{good, "GET /moved: 302 Found"}},
		{"/odd", patient, answer{bad, "GET /odd: 599"}},
		{"/none", patient, answer{bad, "GET /none: 404 Not Found"}},
		{"/hints", patient, answer{good, "GET /hints: 204 No Content"}},
		{"/endless", patient, answer{good, "GET /endless: 200 OK"}},
		{"/fat", patient, answer{bad, "GET /fat: more than 64 KiB of headers"}},
		{"/hang", 0, answer{bad, "GET /hang: timeout after 200ms"}},
		{"/trickle", 0, answer{bad, "GET /trickle: timeout after 200ms"}},
	} {
		to := at(s.Listener.Addr().String(), glint.Probe{HTTP: &glint.HTTPProbe{Port: "http", Path: c.path}, Timeout: c.timeout})
		if got := put(t, newAsker(&world{}), to); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.path, got, c.want)
		}
	}
	if got.Host != s.Listener.Addr().String() || got.UserAgent() != "glint-probe" || !got.Close {
		t.Errorf("host %q, user agent %q, close %t", got.Host, got.UserAgent(), got.Close)
	}
}

// TestAskWhatIsNoServer asks listeners that accept and then do what says.
func TestAskWhatIsNoServer(t *testing.T) {
	for _, c := range []struct {
		name, says string
		timeout    glint.Duration
		want       string
	}{
		{"closes", "", patient, "GET /: closed without a whole answer on PORT"},
		{"is silent", "wait", 0, "GET /: timeout after 200ms"},
		{"speaks something else", "220 mail\x1b[31m ready\r\n", patient, `GET /: malformed HTTP status code "mail\x1b[31m"`},
		{"never comes to it", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9), patient, "GET /: only interim answers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t, func(conn net.Conn) {
				if c.says == "wait" {
					io.Copy(io.Discard, conn)
				}
				conn.Read(make([]byte, 4096)) // the request: closing over unread bytes would reset the connection
				io.WriteString(conn, c.says)
			})
			to := at(l.String(), glint.Probe{HTTP: &glint.HTTPProbe{Port: "http", Path: "/"}, Timeout: c.timeout})
			got := put(t, newAsker(&world{}), to)
			want := strings.Replace(c.want, "PORT", fmt.Sprint(l.Port()), 1)
			if got.kind != bad || got.detail != want {
				t.Errorf("got %+v, want %q", got, want)
			}
		})
	}
}

// listen serves each connection with f until the test ends.
func listen(t *testing.T, f func(net.Conn)) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestAskTCP(t *testing.T) {
	up := listen(t, func(net.Conn) {})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	a, tcp := newAsker(&world{}), glint.Probe{TCP: &glint.TCPProbe{Port: "http"}, Timeout: patient}
	wrong := at(up.String(), tcp)
	wrong.address = "localhost"
	noPort := at(up.String(), glint.Probe{TCP: &glint.TCPProbe{Port: "other"}})
	for _, c := range []struct {
		name string
		to   target
		kind kind
		want string
	}{
		{"up", at(up.String(), tcp), good, fmt.Sprintf("connect: accepted on %d", up.Port())},
		{"down", at(down.String(), tcp), bad, fmt.Sprintf("connect: connection refused on %d", down.Port())},
		{"down, by http", at(down.String(), glint.Probe{HTTP: &glint.HTTPProbe{Port: "http", Path: "/"}, Timeout: patient}), bad,
			fmt.Sprintf("connect: connection refused on %d", down.Port())},
		{"a name is not looked up", wrong, none, `connect: cannot be asked: ParseAddr("localhost"): unable to parse IP`},
		{"no such port", noPort, none, `connect: cannot be asked: no port is named "other"`},
		{"asks nothing", at(up.String(), glint.Probe{}), none, "the probe asks nothing"},
	} {
		if got := put(t, a, c.to); got != (answer{c.kind, c.want}) {
			t.Errorf("%s: got %+v, want %q", c.name, got, c.want)
		}
	}
	if got := failed("connect", 80, patient, &net.OpError{Op: "dial", Err: ours[0]}); got.kind != none {
		t.Errorf("the host's own refusal speaks against the instance: %+v", got)
	}
}

// A shell is a platform whose instances are this machine.
type shell struct{ world }

func (s *shell) Exec(ctx context.Context, _ glint.ID, command []string) (int, []byte, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), out, nil
	}
	return 0, out, err
}

// A mute platform cannot run commands.
type mute struct{ w *world }

func (m mute) Create(context.Context, glint.InstanceSpec) error       { return nil }
func (m mute) Destroy(context.Context, glint.ID, time.Duration) error { return nil }
func (m mute) List(ctx context.Context) (glint.Listing, error)        { return m.w.List(ctx) }

func TestAskExec(t *testing.T) {
	for _, c := range []struct {
		command []string
		timeout glint.Duration
		kind    kind
		want    string
	}{
		{[]string{"true"}, patient, good, "true: exit status 0"},
		{[]string{"sh", "-c", "echo starting; echo 'no \x1b[1mdata' >&2; exit 3"}, patient, bad, "sh: exit status 3: no [1mdata"},
		{[]string{"false"}, patient, bad, "false: exit status 1"},
		{[]string{"sleep", "60"}, 0, bad, "sleep: timeout after 200ms"},
		{[]string{"/no/such"}, patient, none, "/no/such could not be run: fork/exec /no/such: no such file or directory"},
		{nil, patient, none, "the probe has no command"},
	} {
		to := at("127.0.0.1:1", glint.Probe{Exec: &glint.ExecProbe{Command: c.command}, Timeout: c.timeout})
		if got := put(t, newAsker(&shell{}), to); got != (answer{c.kind, c.want}) {
			t.Errorf("%q: got %+v, want %q", c.command, got, c.want)
		}
	}
	to := at("127.0.0.1:1", glint.Probe{Exec: &glint.ExecProbe{Command: []string{"true"}}})
	if got := put(t, newAsker(mute{}), to); got.kind != none || !strings.Contains(got.detail, "cannot run commands") {
		t.Errorf("got %+v", got)
	}
}

// TestProbingForReal joins all of it: a server starts late, answers, breaks and is seen through it, with its hints.
func TestProbingForReal(t *testing.T) {
	status := make(chan int, 1)
	status <- 200
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		code := <-status
		status <- code
		w.WriteHeader(code)
	}))
	defer s.Close()
	ap := s.Listener.Addr().(*net.TCPAddr).AddrPort()
	p := probe
	p.Interval, p.Timeout, p.ReplaceAfter = glint.Duration(20*time.Millisecond), patient, glint.Duration(100*time.Millisecond)
	bp := blueprint(&p, 1)
	tpl := bp.Services[0].Templates["v1"]
	tpl.Ports[0].Number = int(ap.Port())
	w := &world{listing: glint.Listing{Complete: true, Instances: running(id(1))}}
	w.listing.Instances[0].Address = ap.Addr().String()
	hints := make(chan string, 100)
	o := New(Config{Platform: w, Balancer: w, Hint: func(s string) { hints <- s }})
	defer o.Close()
	if h := health(t, o, bp, id(1)); h.Ready {
		t.Fatalf("ready before it serves: %+v", h)
	}
	s.Start()
	until := func(what string, f func(glint.Health) bool) {
		t.Helper()
		deadline := time.After(30 * time.Second)
		for {
			h := health(t, o, bp, id(1))
			if f(h) {
				return
			}
			select {
			case <-hints:
			case <-deadline:
				t.Fatalf("never %s: %+v", what, h)
			}
		}
	}
	until("ready", func(h glint.Health) bool { return h.Ready && h.Detail == "GET /healthz: 200 OK" })
	<-status
	status <- 500
	until("unready", func(h glint.Health) bool { return h.Known && !h.Ready })
	until("to be replaced", func(h glint.Health) bool {
		return !h.Live && h.Detail == "GET /healthz: 500 Internal Server Error"
	})
	<-status
	status <- 200
	until("ready again", func(h glint.Health) bool { return h.Ready && h.Live })
}
