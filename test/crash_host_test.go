package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/glint-infra/glint/internal/api"
)

// awaitHost waits until what stands on the host is what the instances of a stack at rest need, each once, and nothing else.
func (c *crash) awaitHost(at api.Status, server int) {
	var wrong []string
	if !within(patience, func() bool { wrong = c.wrongOnHost(at, server); return len(wrong) == 0 }) {
		c.Errorf("on the host:\n  %s\nthe server said:\n%s", strings.Join(wrong, "\n  "), c.tail())
	}
}

func (c *crash) wrongOnHost(at api.Status, server int) []string {
	var keys, links, addresses []string
	pids := map[string]int{}
	for _, in := range instances(at) {
		addr := netip.MustParseAddr(in.Member.Address)
		a := addr.As4()
		keys = append(keys, in.ID.Key())
		addresses = append(addresses, addr.String())
		links = append(links, fmt.Sprintf("%.6s-%x", c.g.name, a[:])) // as local.linkName makes them
		pids[in.ID.Key()] = in.Seen.Pid
	}
	var wrong []string
	compare := func(what string, got, want []string) {
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			wrong = append(wrong, fmt.Sprintf("%s: %v, want %v", what, got, want))
		}
	}
	compare("records", names(filepath.Join(c.g.run, "local", "i")), keys)
	compare("crun's containers", names(filepath.Join(c.g.run, "local", "crun")), keys)
	compare("trash", names(filepath.Join(c.g.run, "local", "trash")), nil)
	compare("links", c.ownLinks(), links)
	compare("mounts", c.ownMounts(), c.mounts)
	compare("members of the firewall", c.guarded(), keys)
	compare("addresses in the kernel's rules", c.ruled(), addresses)
	compare("servers of HAProxy", c.balanced(), keys)
	compare("files half written", c.halfWritten(), nil)
	compare("groups", c.ownGroups(), keys)
	return append(wrong, c.wrongProcesses(pids, server)...)
}

// wrongProcesses wants for each instance its program and its conmon, and beside them one HAProxy, a master and a worker.
func (c *crash) wrongProcesses(pids map[string]int, server int) []string {
	var wrong []string
	conmons, programs, proxies := map[string]int{}, map[string]int{}, 0
	for _, pid := range c.g.processes() {
		args := strings.Fields(cmdline(pid))
		if pid == server || len(args) == 0 { // it has ended just now
			continue
		}
		group, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		key := regexp.MustCompile("/" + c.g.name + `/(\S+)`).FindSubmatch(group)
		switch program := filepath.Base(args[0]); {
		case program == "haproxy":
			proxies++
		case program == "conmon":
			conmons[args[slices.Index(args, "-c")+1]]++
		case key != nil && pids[string(key[1])] == pid:
			programs[string(key[1])]++
		default:
			wrong = append(wrong, fmt.Sprintf("process %d belongs to nobody: %s", pid, cmdline(pid)))
		}
	}
	for key := range pids {
		if conmons[key] != 1 || programs[key] != 1 {
			wrong = append(wrong, fmt.Sprintf("%s has %d conmons and %d programs", key, conmons[key], programs[key]))
		}
	}
	if len(conmons) != len(pids) || proxies != min(2, 2*len(pids)) {
		wrong = append(wrong, fmt.Sprintf("conmons of %v, %d processes of HAProxy", conmons, proxies))
	}
	return wrong
}

// names lists a folder; one that is not there is empty.
func names(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// ownLinks lists the host's ends of the instances' wires.
func (c *crash) ownLinks() []string {
	out, err := exec.Command("ip", "-o", "link", "show", "type", "veth").Output()
	if err != nil {
		return []string{err.Error()}
	}
	var all []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 {
			name, _, _ := strings.Cut(strings.TrimSuffix(f[1], ":"), "@")
			all = append(all, name)
		}
	}
	return all
}

// ownGroups lists the groups of instances, each once: on a host with both versions not all hierarchies have one.
func (c *crash) ownGroups() []string {
	var all []string
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		groups, _ := filepath.Glob(pattern + c.g.name + "/*")
		for _, dir := range groups {
			info, err := os.Stat(dir)
			if name := filepath.Base(dir); err == nil && info.IsDir() && name != "keepers" && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// ownMounts lists the mount points of this Glint.
func (c *crash) ownMounts() []string {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	var all []string
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); strings.Contains(f[1], c.g.run) || strings.Contains(f[1], c.g.data) {
			all = append(all, f[1])
		}
	}
	return all
}

// guarded lists the instances that the firewall remembers.
func (c *crash) guarded() []string {
	var state struct {
		Members map[string]any `json:"members"`
	}
	text, err := os.ReadFile(filepath.Join(c.g.run, "firewall.json"))
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return []string{err.Error()}
	}
	var all []string
	for id := range state.Members {
		all = append(all, id)
	}
	return all
}

var instanceAddress = regexp.MustCompile(`\b10\.87\.(?:12[89]|1[3-9]\d|2\d\d)\.\d+\b(/?)`)

// ruled lists the addresses of instances of which the kernel's rules know.
func (c *crash) ruled() []string {
	out, err := exec.Command("nft", "list", "table", "inet", c.g.name).Output()
	if err != nil {
		return []string{err.Error()}
	}
	var all []string
	for _, found := range instanceAddress.FindAllStringSubmatch(string(out), -1) {
		if addr := found[0]; found[1] == "" && !slices.Contains(all, addr) {
			all = append(all, addr)
		}
	}
	return all
}

var serverLine = regexp.MustCompile(`(?m)^  server (\S+) 10\.`)

// balanced lists the instances to which HAProxy's configuration sends requests.
func (c *crash) balanced() []string {
	text, err := os.ReadFile(filepath.Join(c.g.run, "haproxy", "haproxy.cfg"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return []string{err.Error()}
	}
	var all []string
	for _, found := range serverLine.FindAllSubmatch(text, -1) {
		all = append(all, string(found[1]))
	}
	return all
}

// halfWritten lists files that were to take another's place and never did, and that nobody will ever use again.
func (c *crash) halfWritten() []string {
	var all []string
	for _, dir := range []string{c.g.run, c.g.data} {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasPrefix(d.Name(), ".") {
				all = append(all, path)
			}
			return nil // what is gone by now is not half written
		})
	}
	return all
}
