package node

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/process"
)

// Status of an instance as it is now.
type Status struct {
	Name      string    `json:"name"`
	State     string    `json:"state"` // up, degraded, starting or down
	Ready     bool      `json:"ready"`
	Reason    string    `json:"reason,omitempty"` // why it is not ready
	Node      string    `json:"node"`
	Addresses Addresses `json:"addresses"`
	Processes []Process `json:"processes"`
	Disk      []Usage   `json:"disk"`
}

// Addresses of what an instance serves; empty if it has never been up.
type Addresses struct {
	Host        string `json:"host,omitempty"`
	Node        string `json:"node,omitempty"`
	APIServer   string `json:"apiServer,omitempty"`
	Registry    string `json:"registry,omitempty"`
	ObjectStore string `json:"objectStore,omitempty"`
}

// Process of the node, by the host's numbering; PID 0 if it does not run.
type Process struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
}

// Usage of disk by one folder of the instance.
type Usage struct {
	Folder string `json:"folder"`
	Bytes  int64  `json:"bytes"`
}

// Observe looks at the instance.
func Observe(ctx context.Context, i *Instance) (Status, error) {
	s := Status{Name: i.Name, State: string(Down), Node: i.FullName(), Processes: []Process{}, Disk: []Usage{}}
	if i.Index >= 0 {
		s.Addresses = Addresses{i.HostIP().String(), i.NodeIP().String(), i.APIServer(), i.Registry(), i.ObjectStore()}
	}
	if i.Running() {
		s.State = string(Starting)
		err := healthy(ctx, i)
		s.Ready = err == nil
		if err != nil {
			s.Reason = err.Error()
		}
		if i.State == Up {
			s.State = string(Up)
			if err != nil {
				s.State = "degraded"
			}
		}
		if s.Processes, err = processes(i); err != nil {
			return s, err
		}
	} else if i.State != Down {
		s.Reason = "the node ended without `sealed down`; `sealed up` starts it again"
	}
	entries, err := os.ReadDir(i.Path())
	if err != nil {
		return s, nil
	}
	for _, e := range entries {
		if bytes := used(i.Path(e.Name())); e.IsDir() && bytes > 0 {
			s.Disk = append(s.Disk, Usage{e.Name(), bytes})
		}
	}
	return s, nil
}

// processes finds the children of the node's first process by their names.
func processes(i *Instance) ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	found := map[string]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || process.Parent(pid) != i.PID {
			continue
		}
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		program, _, _ := strings.Cut(string(command), "\x00")
		found[filepath.Base(program)] = pid
	}
	all := []Process{{"node", i.PID}}
	for _, name := range Processes {
		all = append(all, Process{name, found[name]})
	}
	return all, nil
}

// used bytes on disk below dir; a file with several names counts once.
func used(dir string) int64 {
	var total int64
	seen := map[uint64]bool{}
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && !seen[stat.Ino] {
			seen[stat.Ino] = true
			total += stat.Blocks * 512
		}
		return nil
	})
	return total
}
