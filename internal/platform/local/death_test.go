package local_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/image"
)

func TestEnds(t *testing.T) {
	l := newLab(t)
	p := l.open()
	small := l.template("eat")
	small.Resources.Memory = 32 << 20
	for n, tt := range []struct {
		name string
		t    glint.Template
		code int
		sig  string
		oom  bool
	}{
		{"ends well", l.template("say"), 0, "", false},
		{"ends badly", l.template("fail"), 3, "", false},
		{"eats too much", small, 137, "SIGKILL", true},
		{"is not a program", glint.Template{Image: l.image, Command: []string{"/app", "kill"}}, 0, "", false}, // the first process of a namespace cannot kill itself
	} {
		s := specOf("job", n+1, tt.t)
		create(t, p, s)
		in := reach(t, p, s.ID, glint.Dead)
		if in.Exit.Code != tt.code || in.Exit.Signal != tt.sig || in.Exit.OutOfMemory != tt.oom {
			t.Errorf("a program that %s: %+v", tt.name, in.Exit)
		}
		destroy(t, p, s.ID)
	}
	l.gone(t)
}

// TestKilled kills a program from outside and wants to be told at once, and how it ended.
func TestKilled(t *testing.T) {
	l := newLab(t)
	p := l.open()
	s := specOf("web", 1, l.template("serve"))
	create(t, p, s)
	in := reach(t, p, s.ID, glint.Running)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var hints atomic.Int64
	go p.Watch(ctx, func() { hints.Add(1) })
	before := hints.Load()
	if err := syscall.Kill(in.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	in = reach(t, p, s.ID, glint.Dead)
	if in.Exit.Code != 137 || in.Exit.Signal != "SIGKILL" || in.Exit.OutOfMemory {
		t.Errorf("exit %+v", in.Exit)
	}
	if !settle(func() bool { return hints.Load() > before }) {
		t.Error("nobody was told")
	}
	if err := p.Create(t.Context(), s); err != nil || look(t, p, s.ID).State != glint.Dead {
		t.Errorf("created again: %v, %s", err, look(t, p, s.ID).State)
	}
	destroy(t, p, s.ID)
	l.gone(t)
}

// TestHeldKilled ends an instance that never began.
func TestHeldKilled(t *testing.T) {
	l := newLab(t)
	p := l.open()
	s := specOf("web", 1, l.template("serve"))
	s.Held = true
	create(t, p, s)
	in := reach(t, p, s.ID, glint.Held)
	if err := syscall.Kill(in.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	in = reach(t, p, s.ID, glint.Dead)
	if !in.Started.IsZero() || in.Exit.Code != 137 {
		t.Errorf("%+v %+v", in, in.Exit)
	}
	s.Held = false
	create(t, p, s)
	if got := look(t, p, s.ID); got.State != glint.Dead {
		t.Errorf("a dead standby was let go: %+v", got)
	}
	destroy(t, p, s.ID)
	l.gone(t)
}

func TestKeeperKilled(t *testing.T) {
	l := newLab(t)
	p := l.open()
	s := specOf("web", 1, l.template("serve"))
	create(t, p, s)
	in := reach(t, p, s.ID, glint.Running)
	if err := syscall.Kill(p.KeeperOf(s.ID.Key()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !settle(func() bool { return look(t, p, s.ID).Tainted != "" }) {
		t.Fatal("an instance without its keeper is not tainted")
	}
	if !settle(func() bool { return answers(in.Address) }) {
		t.Error("the program went with its keeper")
	}
	if err := syscall.Kill(in.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	dead := reach(t, p, s.ID, glint.Dead)
	if dead.Tainted == "" || dead.Exit.Code != 137 && dead.Exit.Code != -1 {
		t.Errorf("%+v %+v", dead, dead.Exit)
	}
	t.Logf("without a keeper: %+v", dead.Exit)
	destroy(t, p, s.ID)

	other := specOf("web", 2, l.template("serve")) // and one that is destroyed as it is
	create(t, p, other)
	reach(t, p, other.ID, glint.Running)
	if err := syscall.Kill(p.KeeperOf(other.ID.Key()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	destroy(t, p, other.ID)
	l.gone(t)
}

// TestRuntimeAlone takes the way for runtimes whose layout is not known.
func TestRuntimeAlone(t *testing.T) {
	l := newLab(t)
	p := l.open()
	p.Plain()
	for n, tmpl := range []glint.Template{l.template("serve"), l.template("stubborn"), l.template("say")} {
		s := specOf("web", n+1, tmpl)
		s.Held = true
		create(t, p, s)
		reach(t, p, s.ID, glint.Held)
		s.Held = false
		create(t, p, s)
		if n < 2 {
			at := reach(t, p, s.ID, glint.Running).Address
			if !settle(func() bool { return answers(at) }) {
				t.Errorf("%s does not answer", s.ID)
			}
		} else {
			reach(t, p, s.ID, glint.Dead)
		}
		destroy(t, p, s.ID)
	}
	l.gone(t)
}

func TestLogBounds(t *testing.T) {
	l := newLab(t)
	l.cfg.LogSize = 64 << 10
	p := l.open()
	s := specOf("web", 1, l.template("flood"))
	create(t, p, s)
	path := filepath.Join(l.cfg.RunDir, "i", s.ID.Key(), "log")
	if !settle(func() bool { b, _ := os.ReadFile(path); return strings.Contains(string(b), "line 19999 ") }) {
		t.Error("the last line is not in the log")
	}
	if st, err := os.Stat(path); err != nil || st.Size() > 2*l.cfg.LogSize {
		t.Errorf("the log: %v %v", st.Size(), err)
	}
	destroy(t, p, s.ID)
	long := says(t, p, specOf("web", 2, l.template("longline")))
	if len(long) != 1 || long[0] != strings.Repeat("y", 20000) {
		t.Errorf("a long line came as %d", len(long))
	}
	destroy(t, p, specOf("web", 2, l.template("longline")).ID)
	l.gone(t)
}

// TestExecEnds cuts a command short; nothing of it may go on.
func TestExecEnds(t *testing.T) {
	l := newLab(t)
	p := l.open()
	s := specOf("web", 1, l.template("serve"))
	create(t, p, s)
	reach(t, p, s.ID, glint.Running)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := p.Exec(ctx, s.ID, []string{"/app", "sleep", "1h"}); err == nil {
		t.Error("no error from a command that was cut short")
	}
	if !settle(func() bool {
		procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range procs {
			if b, _ := os.ReadFile(f); strings.Contains(string(b), "sleep\x001h") {
				return false
			}
		}
		return true
	}) {
		t.Error("the command goes on")
	}
	if left, _ := filepath.Glob(filepath.Join(l.cfg.RunDir, "i", s.ID.Key(), "exec-*")); len(left) > 0 {
		t.Errorf("files left: %q", left)
	}
	_, out, err := p.Exec(t.Context(), s.ID, []string{"/app", "cat", "/app"})
	if err != nil || len(out) != 4<<10 {
		t.Errorf("a flood of output: %d bytes, %v", len(out), err)
	}
	destroy(t, p, s.ID)
	l.gone(t)
}

func TestManyAtOnce(t *testing.T) {
	l := newLab(t)
	p := l.open()
	const n = 20
	errs := make(chan error)
	each := func(f func(s glint.InstanceSpec) error) {
		for i := range n {
			go func() { errs <- f(specOf("web", i+1, l.template("serve"))) }()
		}
		for range n {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	}
	each(func(s glint.InstanceSpec) error { return p.Create(t.Context(), s) })
	each(func(s glint.InstanceSpec) error {
		if in := look(t, p, s.ID); !settle(func() bool { return answers(in.Address) }) {
			return fmt.Errorf("%s does not answer: %+v", s.ID, in.Exit)
		}
		return nil
	})
	each(func(s glint.InstanceSpec) error { return p.Destroy(t.Context(), s.ID, time.Second) })
	l.gone(t)
}

// TestNotAProgram starts what the kernel refuses, at the different moments at which that is noticed.
func TestNotAProgram(t *testing.T) {
	l := newLab(t)
	p := l.open()
	d := l.seal(image.Sealed{}, func(root string) {
		copyFile(t, "/bin/true", filepath.Join(root, "dynamic")) // its loader is not in the image
		for name, mode := range map[string]os.FileMode{"text": 0o755, "noexec": 0o644} {
			if err := os.WriteFile(filepath.Join(root, name), []byte("not a program"), mode); err != nil {
				t.Fatal(err)
			}
		}
	})
	for n, tt := range []struct {
		command []string
		want    string
	}{
		{[]string{"/text"}, "Exec format error"},
		{[]string{"/dynamic"}, "missing dynamic library"},
		{[]string{"/noexec"}, "Permission denied"},
		{[]string{"nowhere"}, "not found"},
		{nil, "no entrypoint"},
	} {
		s := specOf("web", n+1, glint.Template{Image: d, Command: tt.command})
		create(t, p, s)
		in := reach(t, p, s.ID, glint.Dead)
		if in.Exit.Code != -1 || !in.Exit.Permanent || !strings.Contains(in.Exit.Failure, tt.want) || !in.Started.IsZero() {
			t.Errorf("%q: %+v started %s, want %q", tt.command, in.Exit, in.Started, tt.want)
		}
		destroy(t, p, s.ID)
	}
	l.gone(t)
}
