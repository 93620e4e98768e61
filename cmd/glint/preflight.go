package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/glint-infra/glint"
)

// needed are the programs without which a server can do nothing, and the Debian packages that have them.
var needed = []struct{ program, pkg string }{
	{"crun", "crun"}, {"conmon", "conmon"}, {"haproxy", "haproxy"}, {"nft", "nftables"}, {"nsenter", "util-linux"},
}

// preflight refuses to start where the server could not work, before anything is touched.
func preflight(at site) error {
	if os.Geteuid() != 0 {
		return fail(exitFailed, "server needs root: it makes network namespaces, mounts and firewall rules. Start it with: sudo glint server")
	}
	var programs, packages []string
	for _, n := range needed {
		if _, err := exec.LookPath(n.program); err != nil {
			programs, packages = append(programs, n.program), append(packages, n.pkg)
		}
	}
	if len(programs) > 0 {
		return fail(exitFailed, "not found: %s. Install with: apt install %s", strings.Join(programs, ", "), strings.Join(packages, " "))
	}
	if err := room(at.data); err != nil {
		return err
	}
	return overlap(at)
}

// leastRoom is what a new store takes at once: etcd preallocates two write-ahead logs of 64 MB, and ends the process when it
// cannot.
const leastRoom = 160 << 20

// room refuses a disk that is too full to begin on. A store that is there has its room already.
func room(data string) error {
	if _, err := os.Stat(filepath.Join(data, "store")); err == nil {
		return nil
	}
	dir := data
	for {
		var fs unix.Statfs_t
		err := unix.Statfs(dir, &fs)
		if errors.Is(err, unix.ENOENT) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return fmt.Errorf("looking how much room %s has: %w", data, err)
		}
		if free := int64(fs.Bavail) * fs.Bsize; free < leastRoom {
			return fail(exitFailed, "%s has %s free; a new store needs %s: free some space, or choose another folder: --data", dir, glint.Bytes(free>>20<<20), glint.Bytes(leastRoom))
		}
		return nil
	}
}

// overlap refuses a pool that something else on this host uses.
func overlap(at site) error {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("reading the host's routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		dst, ok := netip.AddrFromSlice(r.Dst.IP.To4())
		ones, _ := r.Dst.Mask.Size()
		if !ok {
			continue
		}
		prefix := netip.PrefixFrom(dst, ones)
		// A route that is wider than the pool, such as a VPN's 10.0.0.0/8, gives way to ours.
		inside := slices.ContainsFunc([]netip.Prefix{at.services, at.instances}, func(p netip.Prefix) bool { return p.Overlaps(prefix) && prefix.Bits() >= p.Bits() })
		if !inside {
			continue
		}
		link, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil || ours(at.name, link.Attrs().Name) {
			continue
		}
		return fail(exitFailed, "addresses %s are used on this host already, by link %s; choose others: --pool, such as 10.88.0.0/16", prefix, link.Attrs().Name)
	}
	return nil
}

// linkPrefix is what the names of links to instances begin with.
func linkPrefix(name string) string { return name[:min(len(name), 6)] + "-" }

// ours reports whether a link belongs to the server of that name.
func ours(name, link string) bool {
	return link == name+"0" || strings.HasPrefix(link, linkPrefix(name))
}
