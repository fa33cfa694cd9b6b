// Package netns makes named network namespaces
// and starts processes in them.
package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// The namespaces of a process are those of its first thread, and that one cannot
// be thrown away: keeping the main goroutine on it keeps ours off it.
func init() { runtime.LockOSThread() }

// Dir is where the named namespaces are. It is not the one of `ip netns`: that
// command mounts its folder over itself, which hides what was mounted before.
const Dir = "/run/neuroscale-netns"

// Path of a named namespace.
func Path(name string) string { return filepath.Join(Dir, name) }

// Exists says whether the name is taken, even by a file that is no namespace.
func Exists(name string) bool {
	_, err := os.Lstat(Path(name))
	return err == nil
}

// Create makes a new namespace under the name, which must be free.
func Create(name string) error {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return fmt.Errorf("create %s: %w", Dir, err)
	}
	f, err := os.OpenFile(Path(name), os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return fmt.Errorf("create network namespace %s: %w", name, err)
	}
	f.Close()
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		self := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		return unix.Mount(self, Path(name), "", unix.MS_BIND, "")
	})
	if err != nil {
		return errors.Join(fmt.Errorf("create network namespace %s: %w", name, err), os.Remove(Path(name)))
	}
	return nil
}

// Delete removes the name. The namespace ends with its last process.
func Delete(name string) error {
	if err := unix.Unmount(Path(name), unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount network namespace %s: %w", name, err)
	}
	if err := os.Remove(Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove network namespace %s: %w", name, err)
	}
	// Gone only if it is empty, so that nobody else's namespaces suffer.
	_ = os.Remove(Dir)
	return nil
}

// Do runs fn on a thread inside the namespace; processes that fn starts are
// in it too. The thread ends with fn.
func Do(name string, fn func() error) error {
	return onThread(func() error {
		fd, err := unix.Open(Path(name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open network namespace %s: %w", name, err)
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", name, err)
		}
		return fn()
	})
}

// onThread runs fn on a thread that is thrown away afterwards, because its
// namespaces are no longer those of the process.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- fn()
	}()
	return <-done
}

// Processes lists the processes whose network is the named namespace.
func Processes(name string) ([]int, error) {
	var want syscall.Stat_t
	if err := syscall.Stat(Path(name), &want); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("look at network namespace %s: %w", name, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		var have syscall.Stat_t
		if syscall.Stat(filepath.Join("/proc", e.Name(), "ns/net"), &have) != nil {
			continue
		}
		if have.Ino == want.Ino && have.Dev == want.Dev {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
