package artifact

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
)

// Explain says of a full disk (ENOSPC, EDQUOT) under dir what was full and how many bytes had been written; other errors stay as
// they are.
func Explain(err error, dir string, written int64) error {
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return err
	}
	return fmt.Errorf("no space left for %s%s: %w; free some space and try again", dir, after(dir, written), err)
}

func after(dir string, written int64) string {
	s := ""
	if written > 0 {
		s = fmt.Sprintf(" after %s", mebibytes(written))
	}
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) == nil {
		s += fmt.Sprintf(" (%s of %s free)", mebibytes(int64(st.Bavail)*int64(st.Bsize)), mebibytes(int64(st.Blocks)*int64(st.Bsize)))
	}
	return s
}

func mebibytes(n int64) string {
	if n < 1<<20 {
		return glint.Bytes(n).String()
	}
	return fmt.Sprintf("%.1fMiB", float64(n)/(1<<20))
}

// hold keeps other processes out of the store.
func (s *Store) hold() error {
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return Explain(err, s.dir, 0)
	}
	// A lock of the process (fcntl(2)): the kernel lets go of it when the process ends, however that happens.
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock); err == nil {
		s.held = f
		return nil
	}
	defer f.Close()
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
		return fmt.Errorf("locking it: %w", err)
	}
	return fmt.Errorf("%w: process %d works in it; is another Glint server running?", glint.ErrInUse, lock.Pid)
}

// Close lets other processes have the store. It must not be used afterwards.
func (s *Store) Close() error { return s.held.Close() }

// syncDir makes the names in dir last through a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
