package api_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/api"
)

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "glint.sock")
	first, err := api.Listen(path, 0o660)
	check(t, err)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
	if _, err := api.Listen(path, 0o600); !errors.Is(err, glint.ErrInUse) || !strings.Contains(err.Error(), "another glint server") {
		t.Errorf("a second server: %v", err)
	}
	check(t, first.Close())
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	// A server that was killed leaves its socket. The next one takes its place.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	check(t, err)
	stale.SetUnlinkOnClose(false)
	check(t, stale.Close())
	second, err := api.Listen(path, 0o600)
	check(t, err)
	conn, err := net.Dial("unix", path)
	check(t, err)
	conn.Close()
	// It does not take away what is another's by then.
	check(t, os.Remove(path))
	check(t, os.WriteFile(path, []byte("precious"), 0o600))
	check(t, second.Close())
	if _, err := api.Listen(path, 0o600); !errors.Is(err, glint.ErrInUse) || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("over a file: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("a file that is no socket was taken away")
	}
	if _, err := api.Listen(filepath.Join(dir, "nowhere", "s"), 0o600); err == nil {
		t.Error("listening in no folder")
	}
}

// TestListenRace: of many servers that start at the same time beside a stale socket, one listens.
func TestListenRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "glint.sock")
	for range 30 {
		stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		check(t, err)
		stale.SetUnlinkOnClose(false)
		check(t, stale.Close())
		var wg sync.WaitGroup
		begin, won := make(chan bool), make(chan net.Listener, 16)
		for range cap(won) {
			wg.Go(func() {
				<-begin
				l, err := api.Listen(path, 0o600)
				if err == nil {
					won <- l
				} else if !errors.Is(err, glint.ErrInUse) {
					t.Error(err)
				}
			})
		}
		close(begin)
		wg.Wait()
		if len(won) != 1 {
			t.Errorf("%d servers listen on one socket", len(won))
		}
		close(won)
		for l := range won {
			l.Close()
		}
	}
}

// TestShutdown: requests under way end well; a connection on which nothing is asked does not hold the server up.
func TestShutdown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := api.Listen(path, 0o600)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	entered, leave := make(chan bool), make(chan bool)
	done := make(chan error, 1)
	go func() {
		done <- api.Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered <- true
			<-leave
			w.Write([]byte(`{"version":"whole"}`))
		}))
	}()
	silent, err := net.Dial("unix", path)
	check(t, err)
	defer silent.Close()
	answer := make(chan string, 1)
	go func() {
		v, err := api.NewClient(path).Version(t.Context())
		answer <- v.Version + errText(err)
	}()
	<-entered
	cancel()
	if _, err := silent.Read(make([]byte, 1)); err == nil { // it is let go at once
		t.Error("an answer to nothing")
	}
	close(leave)
	if got := <-answer; got != "whole" {
		t.Errorf("the request under way: %s", got)
	}
	if err := <-done; err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestDenied: the socket's mode is who may ask.
func TestDenied(t *testing.T) {
	if os.Getenv("GLINT_TEST_SOCKET") != "" {
		_, err := api.NewClient(os.Getenv("GLINT_TEST_SOCKET")).Version(context.Background())
		refused(t, err, api.CodeDenied, os.ErrPermission, "permission denied on")
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	w := newWorld(t)
	for dir := filepath.Dir(w.socket); len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		check(t, os.Chmod(dir, 0o755))
	}
	exe, err := os.Executable()
	check(t, err)
	copied := filepath.Join(filepath.Dir(w.socket), "test") // the test binary lies where others cannot go
	b, err := os.ReadFile(exe)
	check(t, err)
	check(t, os.WriteFile(copied, b, 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, copied, "-test.run=^TestDenied$")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "GLINT_TEST_SOCKET="+w.socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
