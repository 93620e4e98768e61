package test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// port is where the public entry of the Glint under test listens, inside the tests' own network namespace.
const port = "8080"

// patience bounds every wait. It is far more than is ever needed on an idle machine.
const patience = 90 * time.Second

// TestScripts runs testdata/*.txtar against a Glint of their own, one after the other.
//
// With GLINT_LONG set, those that can be long are.
func TestScripts(t *testing.T) {
	n := 0
	t.Cleanup(func() { tellTally(t) })
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			n++
			g := &glintUnderTest{name: fmt.Sprintf("g%dt%d", os.Getpid(), n), data: filepath.Join(env.WorkDir, "data"), run: filepath.Join("/run", fmt.Sprintf("glint-test-%d-%d", os.Getpid(), n))}
			env.Values["glint"] = g
			env.Setenv("GLINT_SOCKET", filepath.Join(g.run, "glint.sock"))
			env.Setenv("PATH", filepath.Dir(bin)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("GLINT", bin)
			env.Setenv("SHOP", shop)
			env.Setenv("QUIT", quit)
			env.Setenv("MOODY", moody)
			env.Setenv("REPO", repo)
			env.Defer(func() { g.cleanUp(t) })
			if err := os.Mkdir(g.data, 0o700); err != nil {
				return err
			}
			for _, shared := range []string{"images", "artifacts"} { // sealed once, for all scripts
				if err := os.Symlink(filepath.Join(os.Getenv(imagesDir), shared), filepath.Join(g.data, shared)); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"server": cmdServer,
			"exits":  cmdExits,
			"await":  cmdAwait,
			"get":    cmdGet,
			"load":   cmdLoad,
			"census": cmdCensus,
			"hide":   cmdHide,
			"kill9":  cmdKill9,
			"clean":  cmdNothingLeft,
			"pid":    cmdPid,
			"same":   cmdSame,
		},
		Condition: func(cond string) (bool, error) {
			if cond != "long" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return os.Getenv("GLINT_LONG") != "", nil
		},
		RequireExplicitExec: true,
	})
}

// A glintUnderTest is one script's server and what it may leave behind.
type glintUnderTest struct {
	name, data, run string
	cmd             *exec.Cmd
	log             bytes.Buffer
	users           *users
	hidden          *hiding
	args            []string
}

func under(ts *testscript.TestScript) *glintUnderTest { return ts.Value("glint").(*glintUnderTest) }

// cmdServer: server start [ARG…] | stop | kill
func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	g := under(ts)
	switch {
	case len(args) >= 1 && args[0] == "start":
		if len(args) > 1 || g.args == nil {
			g.args = append([]string{"server", "--name", g.name, "--data", g.data, "--run", g.run, "--http", ":" + port}, args[1:]...)
		}
		g.cmd = exec.Command(bin, g.args...)
		g.cmd.Stdout, g.cmd.Stderr = &g.log, &g.log
		g.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		ts.Check(g.cmd.Start())
		ok := within(patience, func() bool {
			probe := exec.Command(bin, "version", "-o", "json")
			probe.Env = append(os.Environ(), "GLINT_SOCKET="+filepath.Join(g.run, "glint.sock"))
			return probe.Run() == nil
		})
		if !ok {
			ts.Fatalf("the server does not answer:\n%s", g.log.String())
		}
	case len(args) == 1 && args[0] == "stop":
		ts.Check(g.cmd.Process.Signal(syscall.SIGTERM))
		g.wait(ts)
	case len(args) == 1 && args[0] == "kill":
		ts.Check(g.cmd.Process.Kill())
		_ = g.cmd.Wait() // it was killed
		g.cmd = nil
	default:
		ts.Fatalf("usage: server start [ARG…] | stop | kill")
	}
}

func (g *glintUnderTest) wait(ts *testscript.TestScript) {
	done := make(chan error, 1)
	go func() { done <- g.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			ts.Fatalf("the server ended badly: %v\n%s", err, g.log.String())
		}
	case <-time.After(patience):
		ts.Fatalf("the server does not end:\n%s", g.log.String())
	}
	g.cmd = nil
}

// cmdExits: exits CODE COMMAND… — output goes where exec's goes.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := exec.Command(args[1], args[2:]...)
	if args[1] == "glint" {
		cmd = exec.Command(bin, args[2:]...)
	}
	cmd.Dir, cmd.Env = ts.MkAbs("."), []string{"PATH=" + ts.Getenv("PATH"), "GLINT_SOCKET=" + ts.Getenv("GLINT_SOCKET"), "HOME=" + ts.Getenv("HOME")}
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	err = cmd.Run()
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// cmdAwait: await REGEXP COMMAND… — runs the command until its output matches.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var last []byte
	if !within(patience, func() bool {
		cmd := exec.Command(args[1], args[2:]...)
		if args[1] == "glint" {
			cmd = exec.Command(bin, args[2:]...)
		}
		cmd.Dir, cmd.Env = ts.MkAbs("."), []string{"PATH=" + ts.Getenv("PATH"), "GLINT_SOCKET=" + ts.Getenv("GLINT_SOCKET")}
		last, _ = cmd.CombinedOutput()
		return re.Match(last) != neg
	}) {
		ts.Fatalf("never came (%q, negated %v); the output is now:\n%s\nthe server says:\n%s", args[0], neg, last, under(ts).log.String())
	}
}

// cmdGet: get HOST PATH [HEADER=REGEXP…] — one request through the public entry; ! get wants it to fail.
func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+args[1], nil)
	ts.Check(err)
	req.Host = args[0]
	resp, err := (&http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err == nil {
		defer resp.Body.Close()
		if resp.StatusCode >= 400 {
			err = errors.New(resp.Status)
		}
	}
	if (err != nil) != neg {
		ts.Fatalf("GET %s%s: %v\nthe server says:\n%s", args[0], args[1], err, under(ts).log.String())
	}
	if err != nil {
		return
	}
	for _, want := range args[2:] {
		header, pattern, _ := strings.Cut(want, "=")
		if ok, err := regexp.MatchString(pattern, resp.Header.Get(header)); err != nil || !ok {
			ts.Fatalf("GET %s%s: %s is %q, want %q", args[0], args[1], header, resp.Header.Get(header), pattern)
		}
	}
}

// cmdPid: pid INSTANCE NAME — puts the pid of an instance into a variable.
func cmdPid(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[1], strconv.Itoa(pidOf(ts, args[0])))
}

// cmdKill9: kill9 INSTANCE | kill9 haproxy | kill9 conmon INSTANCE
func cmdKill9(ts *testscript.TestScript, neg bool, args []string) {
	pid := 0
	switch args[0] {
	case "haproxy":
		pid = under(ts).find("haproxy")
	case "conmon":
		pid = parentOf(ts, pidOf(ts, args[1]))
	default:
		pid = pidOf(ts, args[0])
	}
	if pid <= 1 {
		ts.Fatalf("no such process: %v", args)
	}
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
}

// cmdSame: same A B
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if (args[0] == args[1]) == neg {
		ts.Fatalf("%q and %q: same is %v", args[0], args[1], args[0] == args[1])
	}
}

func pidOf(ts *testscript.TestScript, instance string) int {
	all := people(ts)
	for _, in := range all {
		if in.ID == instance {
			return in.Pid
		}
	}
	ts.Fatalf("no instance %s in %v", instance, all)
	return 0
}

func parentOf(ts *testscript.TestScript, pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	ts.Check(err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	parent, err := strconv.Atoi(fields[1])
	ts.Check(err)
	return parent
}

func within(d time.Duration, cond func() bool) bool {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if cond() {
			return true
		}
	}
	return cond()
}
