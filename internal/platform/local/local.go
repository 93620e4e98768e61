// Package local runs instances on this Linux host: crun and conmon from the distribution, one network namespace and one
// cgroup for each, and one read-only root file system for all instances of a version.
// It does not choose what runs, builds no images, carries no traffic and writes no firewall rules.
package local

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
	"github.com/glint-infra/glint/internal/discovery"
	"github.com/glint-infra/glint/internal/image"
	"github.com/glint-infra/glint/internal/platform/local/rootfs"
)

// Config says where a platform lives on the host and what it leans on.
type Config struct {
	Name    string              // prefix of all host objects: cgroups and network links; "glint" when empty
	DataDir string              // what outlives a reboot: volumes, numbers given out; 0700
	RunDir  string              // what a reboot ends: bundles, records, mounts; 0700; no ':' or ',' in it
	Pool    netip.Prefix        // IPv4 addresses for instances
	Images  image.Library       // where sealed images are found
	Names   discovery.Directory // addresses of services that instances may look up; nil: none
	Members Members             // who guards the network; nil: nobody

	Crun, Conmon string // programs; looked up in PATH when empty
	LogSize      int64  // bytes of log kept of each instance; 10 MiB when 0

	At func(moment string) `json:"-"` // is called between any two things that outlive the server, for tests of crashes; may be nil
}

// Members is told which addresses belong to which instances, before their programs run and after they are gone.
// Both calls may be repeated.
type Members interface {
	// Join puts an instance behind the firewall. link is the host's end of its wire.
	Join(ctx context.Context, id glint.ID, addr netip.Addr, link string) error
	// Leave takes it out again.
	Leave(ctx context.Context, id glint.ID) error
}

// A Platform runs instances on this host. It implements platform.Platform, Watcher, Logger and Execer.
type Platform struct {
	cfg     Config
	lock    *os.File
	keepers *keepers
	groups  cgroups
	roots   *rootfs.Store
	filter  *filter
	spent   *spent

	mu      sync.Mutex // guards what follows, and the giving out of addresses and volumes
	lives   map[glint.ID]*life
	last    netip.Addr // the address that was given out last
	hints   map[*hint]struct{}
	closing bool
	turns   sync.WaitGroup // calls under way
	watches sync.WaitGroup
	stop    context.Context
	end     context.CancelFunc
}

type hint struct{ fn func() }

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9]{0,11}$`)

const (
	defaultName    = "glint"
	defaultLogSize = 10 << 20
)

// New opens the platform and takes over what runs. It fails with glint.ErrInUse when another server uses RunDir, and
// names the package to install when crun or conmon is missing.
func New(cfg Config) (*Platform, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	for _, dir := range []string{cfg.RunDir, cfg.DataDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("opening the local platform: %w", err)
		}
	}
	lock, err := lockDir(cfg.RunDir)
	if err != nil {
		return nil, err
	}
	p := &Platform{cfg: cfg, lock: lock, lives: map[glint.ID]*life{}, hints: map[*hint]struct{}{}}
	p.stop, p.end = context.WithCancel(context.Background())
	if err := p.open(); err != nil {
		p.end()
		p.watches.Wait()
		return nil, errors.Join(fmt.Errorf("opening the local platform: %w", err), p.release())
	}
	return p, nil
}

func (c *Config) check() error {
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.LogSize == 0 {
		c.LogSize = defaultLogSize
	}
	switch {
	case !namePattern.MatchString(c.Name):
		return fmt.Errorf("local platform: name %q is not valid; want up to 12 small letters and digits: %w", c.Name, glint.ErrInvalid)
	case !filepath.IsAbs(c.RunDir) || !filepath.IsAbs(c.DataDir) || strings.ContainsAny(c.RunDir, ":,\\"):
		return fmt.Errorf("local platform: directories %q and %q must be absolute, the first without ':' and ',': %w", c.RunDir, c.DataDir, glint.ErrInvalid)
	case !c.Pool.IsValid() || !c.Pool.Addr().Is4() || c.Pool.Bits() > 30:
		return fmt.Errorf("local platform: address pool %q is not an IPv4 prefix of at least four addresses: %w", c.Pool, glint.ErrInvalid)
	case c.Images == nil:
		return fmt.Errorf("local platform: no image library: %w", glint.ErrInvalid)
	}
	c.Pool = c.Pool.Masked()
	return nil
}

// inheritedFor bounds how long a lock may outlive the server that took it.
const inheritedFor = 2 * time.Second

// lockDir makes sure that one server uses the directory. The lock ends with the process, however it ends; a program that
// it was just starting when it was killed may have inherited the lock, and keeps it until it has begun.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the local platform: %w", err)
	}
	for end := time.Now().Add(inheritedFor); ; time.Sleep(10 * time.Millisecond) {
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			return f, nil
		}
		if time.Now().After(end) {
			f.Close()
			return nil, fmt.Errorf("local platform: another server uses %s; stop it first: %w", dir, glint.ErrInUse)
		}
	}
}

// open makes the parts and adopts what is there.
func (p *Platform) open() error {
	if err := p.forgetBoot(); err != nil {
		return err
	}
	for _, dir := range []string{"i", "crun", "trash"} {
		if err := os.MkdirAll(filepath.Join(p.cfg.RunDir, dir), 0o700); err != nil {
			return err
		}
	}
	tools, err := probeTools(p.cfg.Crun, p.cfg.Conmon)
	if err != nil {
		return err
	}
	if p.groups, err = findCgroups(p.cfg.Name); err != nil {
		return err
	}
	if p.spent, err = openSpent(filepath.Join(p.cfg.DataDir, "spent")); err != nil {
		return err
	}
	if p.filter, err = newFilter(p.cfg.RunDir, tools.crunVersion); err != nil {
		return err
	}
	if p.keepers, err = startKeepers(tools, p.groups, filepath.Join(p.cfg.RunDir, "crun"), p.at); err != nil {
		return err
	}
	if p.roots, err = rootfs.Open(filepath.Join(p.cfg.RunDir, "fs")); err != nil {
		return err
	}
	if err := addGateway(); err != nil {
		return err
	}
	return p.adopt()
}

// forgetBoot throws away the records of a life of the host that has ended, where RunDir is on a disk.
func (p *Platform) forgetBoot() error {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	path := filepath.Join(p.cfg.RunDir, "boot")
	if was, err := os.ReadFile(path); err == nil && string(was) != string(boot) {
		for _, dir := range []string{"i", "crun", "trash"} { // the roots go when nobody is found to use them
			if err := os.RemoveAll(filepath.Join(p.cfg.RunDir, dir)); err != nil {
				return err
			}
		}
	}
	return writeFile(path, boot)
}

// Close ends the use of the platform and disturbs no instance. When none is left it takes away what it made for itself.
func (p *Platform) Close() error {
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		return nil
	}
	p.closing = true
	p.mu.Unlock()
	p.turns.Wait()
	p.end()
	p.watches.Wait()
	empty := len(p.all()) == 0
	var errs []error
	if empty {
		errs = append(errs, p.roots.Keep(nil), p.awaitLinks(), delGateway())
	}
	p.keepers.close()
	if empty {
		errs = append(errs, p.groups.removeOwn())
	}
	return errors.Join(append(errs, p.release())...)
}

func (p *Platform) release() error {
	return p.lock.Close()
}

// List says what is known, from memory: each change of an instance is noted when it happens.
func (p *Platform) List(ctx context.Context) (glint.Listing, error) {
	if err := ctx.Err(); err != nil {
		return glint.Listing{}, err
	}
	l := glint.Listing{At: time.Now().UTC(), Complete: true}
	for _, in := range p.all() {
		if seen, ok := in.seen(); ok {
			l.Instances = append(l.Instances, seen)
		}
	}
	slices.SortFunc(l.Instances, func(a, b glint.Instance) int { return a.ID.Compare(b.ID) })
	return l, nil
}

func (p *Platform) at(moment string) {
	if p.cfg.At != nil {
		p.cfg.At(moment)
	}
}

func (p *Platform) all() []*life {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*life
	for _, in := range p.lives {
		all = append(all, in)
	}
	return all
}

// Watch calls hint whenever an instance changed, until ctx ends.
func (p *Platform) Watch(ctx context.Context, fn func()) error {
	h := &hint{fn}
	p.mu.Lock()
	p.hints[h] = struct{}{}
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	delete(p.hints, h)
	p.mu.Unlock()
	return ctx.Err()
}

func (p *Platform) hint() {
	p.mu.Lock()
	var fns []func()
	for h := range p.hints {
		fns = append(fns, h.fn)
	}
	p.mu.Unlock()
	for _, fn := range fns {
		fn()
	}
}
