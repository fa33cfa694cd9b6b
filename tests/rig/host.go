package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// HostSnapshot is what a sealed node could leave behind on its host, one line of
// text each: processes outside the host's own network or inside a node's cgroup,
// mounts, network namespaces, interfaces with their addresses, routes, cgroups,
// iptables rules, and folders a kubelet or containerd makes.
type HostSnapshot map[string]bool

// NewHostSnapshot looks at the host as it is now.
func NewHostSnapshot(ctx context.Context) (HostSnapshot, error) {
	s := HostSnapshot{}
	return s, errors.Join(s.processes(), s.mounts(), s.network(), s.cgroups(), s.rules(ctx), s.folders())
}

// Added lists what later has and s has not, sorted, without what plainly belongs
// to a sealed instance whose name is not among names.
func (s HostSnapshot) Added(later HostSnapshot, names ...string) []string {
	var added []string
	for _, line := range slices.Sorted(maps.Keys(later)) {
		if !s[line] && !ofAnother(line, names) {
			added = append(added, line)
		}
	}
	return added
}

// namespaceFolder is where sealed keeps the network namespaces of its nodes.
const namespaceFolder = "/run/neuroscale-netns"

var instanceName = regexp.MustCompile(`(?:\bneuroscale-|/instances/)([a-z0-9][a-z0-9-]*)`)

// ofAnother says that a line names instances, but none of names.
func ofAnother(line string, names []string) bool {
	// The folder that all instances share is nobody's.
	line = strings.ReplaceAll(line, namespaceFolder, "")
	matches := instanceName.FindAllStringSubmatch(line, -1)
	for _, m := range matches {
		if slices.Contains(names, m[1]) {
			return false
		}
	}
	return len(matches) > 0
}

func (s HostSnapshot) add(format string, args ...any) { s[fmt.Sprintf(format, args...)] = true }

func (s HostSnapshot) processes() error {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return fmt.Errorf("look at the network namespace: %w", err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		// Processes end while they are looked at: what cannot be read is gone.
		network, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns/net"))
		if err != nil {
			continue
		}
		groups, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cgroup"))
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		group := instanceName.FindString(string(groups))
		if network != own || group != "" {
			s.add("process %s (%s) of cgroup %q", e.Name(), strings.ReplaceAll(strings.TrimRight(string(cmdline), "\x00"), "\x00", " "), group)
		}
	}
	return nil
}

func (s HostSnapshot) mounts() error {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 4 {
			s.add("mount of %s at %s", f[3], f[4])
		}
	}
	return nil
}

func (s HostSnapshot) network() error {
	owners, err := linkOwners()
	if err != nil {
		return err
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list network interfaces: %w", err)
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			continue // It went away meanwhile.
		}
		s.add("network interface %s %v%s", i.Name, addresses, owners[i.Name])
	}
	namespaces, err := os.ReadDir(namespaceFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list network namespaces: %w", err)
	}
	if err == nil && len(namespaces) == 0 {
		s.add("empty folder %s", namespaceFolder)
	}
	for _, n := range namespaces {
		s.add("network namespace %s", n.Name())
	}
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for line := range strings.Lines(string(routes)) {
		if f := strings.Fields(line); len(f) > 7 {
			s.add("route %s to %s/%s by %s%s", f[0], f[1], f[7], f[2], owners[f[0]])
		}
	}
	return nil
}

// linkOwners names the instances that interfaces belong to.
func linkOwners() (map[string]string, error) {
	cache, err := Cache()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(cache, "instances"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list sealed instances: %w", err)
	}
	owners := map[string]string{}
	for _, e := range entries {
		if record, err := (Instance{Name: e.Name()}).Record(); err == nil {
			owners[fmt.Sprintf("neuroscale%d", record.Index)] = " of neuroscale-" + e.Name()
		}
	}
	return owners, nil
}

func (s HostSnapshot) cgroups() error {
	for _, pattern := range []string{"/sys/fs/cgroup/neuroscale-*", "/sys/fs/cgroup/*/neuroscale-*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, dir := range found {
			s.add("cgroup %s", dir)
		}
	}
	return nil
}

func (s HostSnapshot) rules(ctx context.Context) error {
	tables, err := os.ReadFile("/proc/net/ip_tables_names")
	if err != nil || len(strings.TrimSpace(string(tables))) == 0 {
		return nil // No table, no rule; asking would make the tables.
	}
	r, err := Command{Path: "iptables-save"}.Run(ctx)
	if err != nil || r.Code != 0 {
		return fmt.Errorf("list iptables rules: %v %s", err, r.Stderr)
	}
	for line := range strings.Lines(r.Stdout) {
		if strings.HasPrefix(line, "-") {
			s.add("iptables rule %s", strings.TrimSpace(line))
		}
	}
	return nil
}

func (s HostSnapshot) folders() error {
	for _, pattern := range []string{"/run/containerd*", "/run/netns", "/run/flannel", "/etc/cni/net.d/*", "/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, path := range found {
			s.add("file %s", path)
		}
	}
	return nil
}
