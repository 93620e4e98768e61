package etcd

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/glint-infra/glint"
)

// acquire takes the lock file, or says at once who holds it. The kernel gives it back when the holder ends, however
// it ends, so a file that is left behind means nothing.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		err = errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())+"\n"))
	} else if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s; stop it, or use another folder", glint.ErrInUse, holder(path))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// holder names the process that wrote itself into the lock file.
func holder(path string) string {
	b, err := os.ReadFile(path)
	pid, perr := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || perr != nil {
		return "another process holds " + path
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf("process %d holds %s", pid, path)
	}
	return fmt.Sprintf("process %d (%s) holds %s", pid, strings.TrimSpace(string(name)), path)
}
