// Package engine runs Debian's Docker engine in namespaces of its own: what Docker does
// on a laptop can be tried where there is no Docker.
package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/cgroup"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/netns"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/process"
)

// Options of an engine.
type Options struct {
	// Name is that of its network namespace and cgroup.
	Name string
	// Dir holds its socket, images, volumes and logs. It is removed at the end.
	Dir string
	// Programs is the folder that Fetch made.
	Programs string
}

// Socket is where the engine listens.
func (o Options) Socket() string { return filepath.Join(o.Dir, "docker.sock") }

// Host is Socket as DOCKER_HOST wants it.
func (o Options) Host() string { return "unix://" + o.Socket() }

// Network is the file of the engine's network namespace, in which ports are published.
func (o Options) Network() string { return netns.Path(o.Name) }

// Run runs an engine until ctx ends, and leaves nothing of it. ready is called once
// it answers. Its first process is this program, called with args: it must call Init
// with the same options.
func Run(ctx context.Context, o Options, args []string, ready func() error) (err error) {
	if os.Getuid() != 0 {
		return errors.New("a Docker engine makes namespaces and mounts: run this command as root")
	}
	all, err := cgroup.Hierarchies("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("folder of the Docker engine: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	if err := cgroup.Create(all, o.Name); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeGroups(all, o.Name)) }()
	if err := netns.Create(o.Name); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, netns.Delete(o.Name)) }()
	if err := loopback(o); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(o.Dir, "engine.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	// The first process ends with this one, and with it the kernel ends all others.
	alive, held, err := os.Pipe()
	if err != nil {
		return err
	}
	defer held.Close()
	cmd := exec.Command(self, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = alive, log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS}
	if err := netns.Do(o.Name, cmd.Start); err != nil {
		return fmt.Errorf("start the Docker engine: %w", err)
	}
	alive.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			<-ended
		}
	}()
	if err := await(ctx, o, ended); err != nil {
		return fmt.Errorf("%w; it printed:\n%s", err, lastLines(o))
	}
	if err := ready(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return fmt.Errorf("the Docker engine ended: %w; it printed:\n%s", err, lastLines(o))
	}
}

// loopback is where ports are published.
func loopback(o Options) error {
	return netns.Do(o.Name, func() error {
		if said, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			return fmt.Errorf("set up loopback: %w: %s", err, said)
		}
		return nil
	})
}

// startTimeout is thirty times what was seen on a free machine.
const startTimeout = 30 * time.Second

func await(ctx context.Context, o Options, ended <-chan error) error {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", o.Socket())
	}}}
	defer client.CloseIdleConnections()
	late := time.After(startTimeout)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if response, err := client.Get("http://docker/_ping"); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return fmt.Errorf("the Docker engine ended at once: %w", err)
		case <-late:
			return fmt.Errorf("the Docker engine does not answer after %s", startTimeout)
		}
	}
}

func lastLines(o Options) string {
	var lines []string
	for _, name := range []string{"engine.log", "dockerd.log"} {
		f, err := os.Open(filepath.Join(o.Dir, name))
		if err != nil {
			continue
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			lines = append(lines, s.Text())
		}
	}
	text := ""
	for _, line := range lines[max(0, len(lines)-10):] {
		text += line + "\n"
	}
	return text
}

// removeGroups tries for a moment: a group is busy until the kernel has buried the
// last process.
func removeGroups(all []cgroup.Hierarchy, name string) error {
	var err error
	for range 100 {
		if err = cgroup.Remove(all, name); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// Init is the first process of an engine's namespaces.
func Init(ctx context.Context, o Options) error {
	if os.Getpid() != 1 {
		return errors.New("engine-init is started by `sealed engine` and by nobody else")
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	reaper := process.NewReaper()
	defer reaper.Close()
	for _, m := range []struct {
		what, to, kind string
		flags          uintptr
		data           string
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
	} {
		if err := unix.Mount(m.what, m.to, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.to, err)
		}
	}
	if err := unix.Sethostname([]byte(o.Name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"data-root": filepath.Join(o.Dir, "data"), "exec-root": "/run/docker", "pidfile": "/run/docker.pid",
		"hosts":         []string{o.Host()},
		"cgroup-parent": "/" + o.Name, "exec-opts": []string{"native.cgroupdriver=cgroupfs"},
		"default-runtime": "neuroscale", "oom-score-adjust": 0,
		"runtimes":            map[string]any{"neuroscale": map[string]any{"path": self, "runtimeArgs": []string{"engine-runtime"}}},
		"userland-proxy-path": filepath.Join(o.Programs, "docker-proxy"), "init-path": filepath.Join(o.Programs, "docker-init"),
	})
	if err != nil {
		return err
	}
	file := filepath.Join(o.Dir, "daemon.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return err
	}
	supervisor := process.NewSupervisor(reaper, o.Dir, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	supervisor.Run(ctx, process.Spec{
		Name: "dockerd", Path: filepath.Join(o.Programs, "dockerd"), Args: []string{"--config-file", file},
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=/root"},
	})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		// Whoever started this holds the other end.
		_, _ = os.Stdin.Read(make([]byte, 1))
	}()
	select {
	case err = <-supervisor.Failed():
	case <-gone:
	case <-ctx.Done():
	}
	return err
}
