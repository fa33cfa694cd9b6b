package node

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/cgroup"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/netns"
)

const (
	gib           = 1 << 30
	minMemory     = 6 * gib
	minDisk       = 5e9
	minDiskBuilds = 20e9
	mountinfo     = "/proc/self/mountinfo"
)

// Machine is what a node needs to know of where it would run.
type Machine struct {
	OS, Arch    string
	UID         int
	Memory      uint64 // bytes of RAM
	Disk        uint64 // bytes free at the cache
	Builds      bool   // images must be built
	Cache       string
	Controllers []string // cgroup controllers that are missing
	Ranges      []Range  // addresses of interfaces that are not the instance's
	Namespace   bool     // the network namespace's name is taken by somebody else
}

// Range is a network that an interface of the machine is in.
type Range struct {
	Interface string
	Net       *net.IPNet
}

// Check finds everything that keeps the instance from running, at once.
func (m Machine) Check(i *Instance) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if m.OS != "linux" || m.Arch != "amd64" {
		wrong("this machine is %s/%s: a sealed node runs on linux/amd64 only", m.OS, m.Arch)
	}
	if m.UID != 0 {
		wrong("a sealed node makes namespaces and mounts: run this command as root")
	}
	if m.Memory < minMemory {
		wrong("this machine has %.1f GiB of memory: give it at least %d GiB", float64(m.Memory)/gib, minMemory/gib)
	}
	need, why := uint64(minDisk), "a node"
	if m.Builds {
		need, why = minDiskBuilds, "building images"
	}
	if m.Disk < need {
		wrong("%s has %.1f GB of free disk and %s needs %.0f GB: free some or set NEUROSCALE_CACHE to a folder on a larger disk", m.Cache, float64(m.Disk)/1e9, why, float64(need)/1e9)
	}
	if isCovered(m.Cache) {
		wrong("cache %s is below one of %s, which a node covers: set NEUROSCALE_CACHE to a folder elsewhere", m.Cache, strings.Join(covered, ", "))
	}
	if len(m.Controllers) > 0 {
		wrong("cgroup controllers %s are not mounted: mount them at /sys/fs/cgroup", strings.Join(m.Controllers, ", "))
	}
	if i.Index < 0 {
		wrong("no address range 10.88.0.0/30 to 10.88.%d.0/30 is free: take down an instance or remove an interface that uses them", maxIndex)
	} else if r, taken := m.overlap(i); taken {
		wrong("address range %s is in use by interface %s (%s): remove that interface or use another instance with --name", i.Range(), r.Interface, r.Net)
	}
	if m.Namespace {
		wrong("network namespace %s is in use by something else: end its processes and remove %s, or use another instance with --name", i.FullName(), netns.Path(i.FullName()))
	}
	return errors.Join(errs...)
}

// overlap finds an interface in the instance's range.
func (m Machine) overlap(i *Instance) (Range, bool) {
	for _, r := range m.Ranges {
		if r.Net.Contains(i.HostIP()) || i.Range().Contains(r.Net.IP) {
			return r, true
		}
	}
	return Range{}, false
}

// Inspect looks at this machine for the instance.
func Inspect(i *Instance, builds bool) (Machine, error) {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, UID: os.Getuid(), Builds: builds, Cache: i.cache}
	var err error
	if m.Memory, err = memory("/proc/meminfo"); err != nil {
		return m, err
	}
	if m.Disk, err = freeDisk(i.cache); err != nil {
		return m, err
	}
	all, err := cgroup.Hierarchies(mountinfo)
	if err != nil {
		return m, err
	}
	m.Controllers = cgroup.Missing(all)
	interfaces, err := net.Interfaces()
	if err != nil {
		return m, fmt.Errorf("list network interfaces: %w", err)
	}
	for _, n := range interfaces {
		if i.State != Down && n.Name == i.Link() {
			continue // the instance's own
		}
		addresses, err := n.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if network, ok := a.(*net.IPNet); ok && network.IP.To4() != nil {
				m.Ranges = append(m.Ranges, Range{n.Name, network})
			}
		}
	}
	m.Namespace = i.State == Down && netns.Exists(i.FullName())
	return m, nil
}

func memory(meminfo string) (uint64, error) {
	f, err := os.Open(meminfo)
	if err != nil {
		return 0, fmt.Errorf("read memory size: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var kib uint64
		if n, _ := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("%s names no MemTotal", meminfo)
}

// freeDisk in bytes at a folder or the nearest one above that exists.
func freeDisk(dir string) (uint64, error) {
	for {
		var fs unix.Statfs_t
		err := unix.Statfs(dir, &fs)
		if err == nil {
			return fs.Bavail * uint64(fs.Bsize), nil
		}
		if !errors.Is(err, unix.ENOENT) || dir == filepath.Dir(dir) {
			return 0, fmt.Errorf("look at the disk of %s: %w", dir, err)
		}
		dir = filepath.Dir(dir)
	}
}

// choose gives an instance without one an address range that neither another
// instance nor an interface of the machine has; Index stays -1 if there is none.
func (m Machine) choose(i *Instance, others []*Instance) {
	taken := map[int]bool{}
	for _, o := range others {
		if o.Name != i.Name {
			taken[o.Index] = true
		}
	}
	if i.Index >= 0 && !taken[i.Index] {
		return
	}
	// The first range is kept for the default instance, whose addresses are in
	// everybody's notes.
	first := 1
	if i.Name == DefaultName {
		first = 0
	}
	for index := first; index <= maxIndex; index++ {
		i.Index = index
		if _, overlap := m.overlap(i); !taken[index] && (!overlap || i.Name == DefaultName) {
			return
		}
	}
	i.Index = -1
}
