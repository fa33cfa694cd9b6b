// Package cgroup gives a node a folder of its own in every cgroup hierarchy,
// version 1 or 2, and takes it away again.
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// system is the child that holds the node's own processes, beside the pods'.
const system = "system"

// Hierarchy is one mounted cgroup tree.
type Hierarchy struct {
	Mount       string
	Controllers []string
	Unified     bool
}

// Hierarchies lists the cgroup trees named in a mountinfo file. Next to version
// 1 trees, one of version 2 has no controllers, but container runtimes make
// groups in it all the same.
func Hierarchies(mountinfo string) ([]Hierarchy, error) {
	f, err := os.Open(mountinfo)
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	defer f.Close()
	var found []Hierarchy
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		h := Hierarchy{Mount: left[4]}
		switch right[0] {
		case "cgroup":
			h.Controllers = controllers(right[2])
		case "cgroup2":
			h.Unified = true
			list, _ := os.ReadFile(filepath.Join(h.Mount, "cgroup.controllers"))
			h.Controllers = strings.Fields(string(list))
		default:
			continue
		}
		if !slices.ContainsFunc(found, func(o Hierarchy) bool { return o.Mount == h.Mount }) {
			found = append(found, h)
		}
	}
	return found, lines.Err()
}

func controllers(options string) []string {
	var names []string
	for _, o := range strings.Split(options, ",") {
		if o != "rw" && o != "ro" {
			names = append(names, o)
		}
	}
	return names
}

// Missing names the controllers that a kubelet needs and no hierarchy has.
func Missing(all []Hierarchy) []string {
	var missing []string
	for _, want := range []string{"cpu", "cpuset", "memory", "pids"} {
		if !slices.ContainsFunc(all, func(h Hierarchy) bool { return slices.Contains(h.Controllers, want) }) {
			missing = append(missing, want)
		}
	}
	return missing
}

// Create makes the group name in every hierarchy.
func Create(all []Hierarchy, name string) error {
	for _, h := range all {
		dir := filepath.Join(h.Mount, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("create cgroup %s: %w", dir, err)
		}
		if slices.Contains(h.Controllers, "cpuset") && !h.Unified {
			if err := inheritCPUs(h.Mount, dir); err != nil {
				return err
			}
		}
		if h.Unified && len(h.Controllers) > 0 {
			for _, d := range []string{h.Mount, dir} {
				enable := "+" + strings.Join(h.Controllers, " +")
				if err := os.WriteFile(filepath.Join(d, "cgroup.subtree_control"), []byte(enable), 0o644); err != nil {
					return fmt.Errorf("enable controllers of cgroup %s: %w", d, err)
				}
			}
		}
		leaf := filepath.Join(dir, system)
		if err := os.MkdirAll(leaf, 0o755); err != nil {
			return fmt.Errorf("create cgroup %s: %w", leaf, err)
		}
		if slices.Contains(h.Controllers, "cpuset") && !h.Unified {
			if err := inheritCPUs(dir, leaf); err != nil {
				return err
			}
		}
	}
	return nil
}

// inheritCPUs copies what version 1 does not: a new cpuset is empty.
func inheritCPUs(parent, child string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			return fmt.Errorf("read cpuset: %w", err)
		}
		if err := os.WriteFile(filepath.Join(child, file), value, 0o644); err != nil {
			return fmt.Errorf("write cpuset: %w", err)
		}
	}
	return nil
}

// Join moves the process into the system part of the group; what it starts
// later is in there too.
func Join(all []Hierarchy, name string, pid int) error {
	for _, h := range all {
		procs := filepath.Join(h.Mount, name, system, "cgroup.procs")
		if err := os.WriteFile(procs, []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return fmt.Errorf("join cgroup %s: %w", procs, err)
		}
	}
	return nil
}

// Processes lists the processes in the group and below, without repeats.
func Processes(all []Hierarchy, name string) []int {
	var pids []int
	for _, h := range all {
		_ = filepath.WalkDir(filepath.Join(h.Mount, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "cgroup.procs" {
				return nil
			}
			content, _ := os.ReadFile(path)
			for _, field := range strings.Fields(string(content)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 && !slices.Contains(pids, pid) {
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	return pids
}

// Exists says whether any hierarchy has the group.
func Exists(all []Hierarchy, name string) bool {
	return slices.ContainsFunc(all, func(h Hierarchy) bool {
		_, err := os.Stat(filepath.Join(h.Mount, name))
		return err == nil
	})
}

// Remove deletes the group with all groups below it. It fails with EBUSY as
// long as a process is left in one of them.
func Remove(all []Hierarchy, name string) error {
	var errs []error
	for _, h := range all {
		errs = append(errs, removeTree(filepath.Join(h.Mount, name)))
	}
	return errors.Join(errs...)
}

func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read cgroup %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove cgroup %s: %w", dir, err)
	}
	return nil
}
