package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
)

// Listen makes the socket at path, with that file mode from its first moment: who may write to it may do everything.
// A socket that nobody answers on is replaced; one that somebody answers on is glint.ErrInUse.
func Listen(path string, mode fs.FileMode) (net.Listener, error) {
	l, err := listen(path, mode)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	return l, nil
}

func listen(path string, mode fs.FileMode) (net.Listener, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close() // and gives the lock back
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir.Name(), err)
	}
	if err := vacant(path); err != nil {
		return nil, err
	}
	// Nobody else can enter the folder in which the socket is made, so that nobody can connect before its mode is set.
	// In /proc, names are short whatever the path: a socket's name has 107 bytes at most (unix(7)).
	room, err := os.MkdirTemp(dir.Name(), ".s")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(room)
	in, err := os.Open(room)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("/proc/self/fd/%d/s", in.Fd()), Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	made := filepath.Join(room, "s")
	if err := errors.Join(os.Chmod(made, mode), os.Rename(made, path)); err != nil {
		l.Close()
		return nil, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &door{UnixListener: l, path: path, file: info}, nil
}

// vacant reports who is at path already.
func vacant(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("there is a file that is not a socket, and Glint leaves it alone: %w", glint.ErrInUse)
	}
	conn, err := net.DialTimeout("unix", path, 5*time.Second)
	if err == nil {
		conn.Close()
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil // its server is gone
	}
	return fmt.Errorf("another glint server is running there; stop it first: %w", glint.ErrInUse)
}

// A door is a socket that takes its own file away, and nobody else's.
type door struct {
	*net.UnixListener
	path string
	file fs.FileInfo
	once sync.Once
}

// Addr names the socket as people know it.
func (d *door) Addr() net.Addr { return &net.UnixAddr{Name: d.path, Net: "unix"} }

// Close stops listening.
func (d *door) Close() error {
	d.once.Do(func() {
		if now, err := os.Lstat(d.path); err == nil && os.SameFile(now, d.file) {
			_ = os.Remove(d.path) // a stale one does no harm: see vacant
		}
	})
	return d.UnixListener.Close()
}

// farewell is how long requests may take to end when the server stops. Streams end at once.
const farewell = 10 * time.Second

// Serve answers requests that come through l until ctx ends, and then lets those under way end. It closes l.
func Serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	var unused fresh
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return context.WithValue(context.Background(), endKey{}, ctx) },
		ConnContext:       withPeer,
		ConnState:         unused.note,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving the API: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	unused.close()
	err := srv.Shutdown(grace)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests did not end within %s: %w", farewell, err), srv.Close())
	}
	<-failed
	return err
}

// fresh holds the connections on which nothing was asked yet. Shutdown would wait seconds for each.
type fresh struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
	ended bool
}

func (f *fresh) note(c net.Conn, now http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now != http.StateNew {
		delete(f.conns, c)
		return
	}
	if f.ended {
		c.Close()
		return
	}
	if f.conns == nil {
		f.conns = map[net.Conn]bool{}
	}
	f.conns[c] = true
}

func (f *fresh) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	for c := range f.conns {
		c.Close()
	}
}

type endKey struct{}

// untilEnd returns a request's context that ends with the server too, for what would not end by itself.
func untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	end, ok := ctx.Value(endKey{}).(context.Context)
	if !ok {
		return ctx, cancel
	}
	stop := context.AfterFunc(end, cancel)
	return ctx, func() { stop(); cancel() }
}

type peerKey struct{}

// withPeer keeps who is at the other end of a Unix socket.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *unix.Ucred
	if raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil || err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, cred.Uid)
}

// peer names the user who asks.
func peer(ctx context.Context) string {
	uid, ok := ctx.Value(peerKey{}).(uint32)
	if !ok {
		return "unknown"
	}
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}
