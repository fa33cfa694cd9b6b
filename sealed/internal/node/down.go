package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/cgroup"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/metadb"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/netns"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/process"
)

// killTimeout bounds how long processes may take to die.
const killTimeout = 8 * time.Second

// forgotten by an instance that goes down, because it describes the cluster
// that ends. The image layers in containerd's folder are kept.
var forgotten = []string{"etcd", "kubelet", "pki", "pki.new", "state", "volumes", "pods", "kubeconfig", "passphrase", "logs", "node.json", "failure"}

// Remove ends the instance and everything of it on the machine. With purge the
// instance's folder goes too.
func Remove(ctx context.Context, o Options, purge bool) error {
	if err := CheckName(o.Name); err != nil {
		return err
	}
	if os.Getuid() != 0 {
		return errors.New("a sealed node is taken down by root: run this command as root")
	}
	begun := time.Now()
	l, err := acquire(ctx, (&Instance{Name: o.Name, cache: o.Cache}).lockPath(), func(holder string) {
		o.Say("waiting for process %s, which works on instance %s", holder, o.Name)
	})
	if err != nil {
		return err
	}
	defer l.release()
	i, err := Load(o.Cache, o.Name)
	if err != nil {
		return err
	}
	if i.State != Down {
		i.State = Stopping
		if err := i.Save(); err != nil {
			return err
		}
		if err := clear(ctx, i); err != nil {
			return err
		}
	}
	if purge {
		if err := os.RemoveAll(i.Path()); err != nil {
			return fmt.Errorf("remove instance %s: %w", i.Name, err)
		}
		if err := forgetPassphrase(i); err != nil {
			return err
		}
		o.Say("instance %s is gone %.1fs", i.Name, time.Since(begun).Seconds())
		return l.remove()
	}
	if i.Index < 0 {
		o.Say("instance %s was never up", i.Name)
		return errors.Join(os.RemoveAll(i.Path()), l.remove())
	}
	for _, name := range forgotten {
		if err := os.RemoveAll(i.Path(name)); err != nil {
			return fmt.Errorf("remove %s of instance %s: %w", name, i.Name, err)
		}
	}
	if err := forgetPassphrase(i); err != nil {
		return err
	}
	if err := metadb.DropContainers(i.Path("containerd")); err != nil {
		return err
	}
	i.State, i.PID, i.StartTime, i.Launched = Down, 0, 0, time.Time{}
	if err := i.Save(); err != nil {
		return err
	}
	o.Say("instance %s is down %.1fs", i.Name, time.Since(begun).Seconds())
	return nil
}

// forgetPassphrase comes after the state is gone: one without its passphrase would
// stop the next cluster's.
func forgetPassphrase(i *Instance) error {
	if err := os.RemoveAll(i.Passphrase()); err != nil {
		return fmt.Errorf("remove the passphrase of instance %s: %w", i.Name, err)
	}
	return nil
}

// clear ends every process of the instance and removes its interfaces,
// namespace and cgroups. Mounts end with their namespace.
func clear(ctx context.Context, i *Instance) error {
	all, err := cgroup.Hierarchies(mountinfo)
	if err != nil {
		return err
	}
	if err := kill(ctx, i, all); err != nil {
		return err
	}
	return errors.Join(disconnect(ctx, i), removeGroups(ctx, all, i.FullName()))
}

// kill ends the node's first process, and with it the kernel ends all others of
// its pid namespace; what is left in the network namespace or the cgroup, if
// anything, is ended one by one.
func kill(ctx context.Context, i *Instance, all []cgroup.Hierarchy) error {
	if i.Running() {
		if err := syscall.Kill(i.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process %d: %w", i.PID, err)
		}
	}
	var left []int
	err := poll(ctx, killTimeout, func() (bool, error) {
		if i.Running() {
			left = []int{i.PID}
			return false, nil
		}
		inside, err := netns.Processes(i.FullName())
		if err != nil {
			return false, err
		}
		left = living(append(inside, cgroup.Processes(all, i.FullName())...))
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(left) == 0, nil
	})
	if len(left) == 0 {
		return err
	}
	var names []string
	for _, pid := range left {
		names = append(names, process.Describe(pid))
	}
	return fmt.Errorf("processes of instance %s do not die, the kernel holds them: %s; run `sealed down` again when they are gone or restart the machine: %w", i.Name, strings.Join(names, ", "), err)
}

func living(pids []int) []int {
	return slices.DeleteFunc(pids, func(pid int) bool {
		_, alive := process.StartTime(pid)
		return !alive
	})
}

// removeGroups tries for a moment: a group is busy until the kernel has buried
// the last process.
func removeGroups(ctx context.Context, all []cgroup.Hierarchy, name string) error {
	var last error
	err := poll(ctx, killTimeout, func() (bool, error) {
		last = cgroup.Remove(all, name)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", last, err)
	}
	return nil
}
