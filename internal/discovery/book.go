package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/glint-infra/glint"
)

// bookFormat is the version of a book's file.
const bookFormat = 1

// A Book is a Directory that keeps its addresses in a file. One process may have it open at a time.
type Book struct {
	path string
	pool netip.Prefix

	mu    sync.Mutex
	given map[string]netip.Addr // by "stack/service"
}

type bookFile struct {
	Format    int                   `json:"format"`
	Pool      netip.Prefix          `json:"pool"`
	Addresses map[string]netip.Addr `json:"addresses"`
}

// Open reads the book at path, or begins one there. Addresses are given out of pool, an IPv4 network, its first address left
// out. A book of another pool is refused with glint.ErrInvalid: instances that run know the addresses in it.
func Open(path string, pool netip.Prefix) (*Book, error) {
	b := &Book{path: path, pool: pool.Masked(), given: map[string]netip.Addr{}}
	if !pool.IsValid() {
		return nil, fmt.Errorf("opening the addresses of services in %s: no pool is given: %w", path, glint.ErrInvalid)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the addresses of services: %w", err)
	}
	var f bookFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("reading the addresses of services in %s: %w: %w; restore it from a backup", path, glint.ErrInvalid, err)
	}
	if f.Format > bookFormat {
		return nil, fmt.Errorf("%s has format %d, this binary knows %d: %w", path, f.Format, bookFormat, glint.ErrTooNew)
	}
	if f.Pool != b.pool && len(f.Addresses) > 0 {
		return nil, fmt.Errorf("services have addresses of %s in %s, and the pool is now %s: %w: start with the pool from before, or destroy the stacks first", f.Pool, path, b.pool, glint.ErrInvalid)
	}
	taken := map[netip.Addr]bool{}
	for name, a := range f.Addresses {
		if taken[a] || !b.pool.Contains(a) {
			return nil, fmt.Errorf("reading the addresses of services in %s: %s, of %s, is there twice or not of %s: %w; restore it from a backup", path, a, name, b.pool, glint.ErrInvalid)
		}
		taken[a] = true
	}
	maps.Copy(b.given, f.Addresses)
	return b, nil
}

// Address implements Directory. The error is glint.ErrInUse when every address of the pool is given out.
func (b *Book) Address(stack, service string) (netip.Addr, error) {
	if !glint.ValidName(stack) || !glint.ValidName(service) {
		return netip.Addr{}, fmt.Errorf("giving service %q of stack %q an address: %w: not names", service, stack, glint.ErrInvalid)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	name := stack + "/" + service
	if a, ok := b.given[name]; ok {
		return a, nil
	}
	taken := map[netip.Addr]bool{}
	for _, a := range b.given {
		taken[a] = true
	}
	for a := b.pool.Addr().Next(); b.pool.Contains(a); a = a.Next() {
		if taken[a] {
			continue
		}
		b.given[name] = a
		if err := b.write(); err != nil {
			delete(b.given, name)
			return netip.Addr{}, err
		}
		return a, nil
	}
	return netip.Addr{}, fmt.Errorf("no address left for service %s of %s: all of %s is given out: %w: start the server with a larger pool", service, stack, b.pool, glint.ErrInUse)
}

// Forget implements Directory.
func (b *Book) Forget(stack string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := maps.Clone(b.given)
	maps.DeleteFunc(b.given, func(name string, _ netip.Addr) bool { return strings.HasPrefix(name, stack+"/") })
	if len(before) == len(b.given) {
		return nil
	}
	err := b.write()
	if err != nil {
		b.given = before
	}
	return err
}

// write replaces the file whole, so that a crash leaves the old or the new.
func (b *Book) write() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("keeping the addresses of services: %w", err)
		}
	}()
	text, err := json.MarshalIndent(bookFile{bookFormat, b.pool, b.given}, "", "\t")
	if err != nil {
		return err
	}
	tmp, err := os.OpenFile(b.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // what a crash leaves is used again
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // not there any more when all went well
	_, err = tmp.Write(append(text, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), b.path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(b.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
