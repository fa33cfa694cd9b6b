package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/cgroup"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/metadb"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/packages"
)

// Options of Bring and Remove.
type Options struct {
	Cache string // absolute, without symbolic links
	Repo  string // folder that holds gitops/upstream.yaml
	Name  string
	Say   func(format string, args ...any) // progress, one line a call
}

// Images is who builds what a node runs.
type Images interface {
	// Missing names what is not in the cache yet.
	Missing() ([]string, error)
	// Packages of Debian that building needs.
	Packages() []string
	// Ensure builds it.
	Ensure(ctx context.Context) error
	// Binaries is the folder of Kubernetes' programs, Objects that of buckets,
	// Registry that of images.
	Binaries() string
	// KubeRouter is the program that enforces NetworkPolicies.
	KubeRouter() string
	Objects() string
	Registry() string
	// BuildLock is the file that is locked (flock) while images are built.
	BuildLock() string
}

// Bring makes the instance run and be ready; if it is, it says so.
func Bring(ctx context.Context, o Options, images Images) (*Instance, error) {
	if err := CheckName(o.Name); err != nil {
		return nil, err
	}
	begun := time.Now()
	seconds := func() string { return fmt.Sprintf("%.1fs", time.Since(begun).Seconds()) }
	fresh := &Instance{Name: o.Name, Index: -1, State: Down, cache: o.Cache}
	if err := impossible(fresh); err != nil {
		return nil, err
	}
	l, err := acquire(ctx, fresh.lockPath(), func(holder string) {
		o.Say("waiting for process %s, which works on instance %s", holder, o.Name)
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if _, err := os.Stat(fresh.Path()); errors.Is(err, fs.ErrNotExist) {
			_ = l.remove()
		}
		l.release()
	}()
	i, err := Load(o.Cache, o.Name)
	if err != nil {
		return nil, err
	}
	missing, err := images.Missing()
	if err != nil {
		return nil, err
	}
	running := i.Running()
	if !running {
		if err := admit(i, len(missing) > 0); err != nil {
			return nil, err
		}
	}
	needed := packages.Missing(packages.Required)
	if len(missing) > 0 {
		needed = append(needed, packages.NotInstalled(ctx, images.Packages())...)
	}
	if err := install(ctx, o, needed); err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		if err := images.Ensure(ctx); err != nil {
			return nil, err
		}
	}
	if running && i.State == Up && healthy(ctx, i) == nil {
		o.Say("instance %s is up and healthy", i.Name)
		return i, nil
	}
	begun = time.Now()
	start := func() error {
		if err := loadModules(ctx, o); err != nil {
			return err
		}
		if err := prepare(ctx, o, i, images); err != nil {
			return err
		}
		if err := launch(i); err != nil {
			return err
		}
		o.Say("started, process %d, address %s %s", i.PID, i.NodeIP(), seconds())
		return becomeReady(ctx, o, i, seconds)
	}
	if running {
		o.Say("instance %s is running, process %d; waiting for it", i.Name, i.PID)
		// It may have been dying already when we looked.
		if err = becomeReady(ctx, o, i, seconds); errors.Is(err, errEnded) {
			o.Say("%s; starting it again", err)
			err = start()
		}
	} else {
		err = start()
	}
	if err != nil {
		return nil, err
	}
	i.State = Up
	if err := i.Save(); err != nil {
		return nil, err
	}
	o.Say("instance %s is up %s", i.Name, seconds())
	return i, nil
}

// impossible tells everything that is wrong with the machine if nothing can be
// written on it, not even a lock.
func impossible(i *Instance) error {
	if os.Getuid() == 0 && !isCovered(i.cache) {
		return nil
	}
	m, err := Inspect(i, false)
	if err != nil {
		return err
	}
	// Whose these are cannot be known without the cache.
	m.Ranges, m.Namespace = nil, false
	m.choose(i, nil)
	return m.Check(i)
}

// admit checks the machine and settles the instance's addresses.
func admit(i *Instance, builds bool) error {
	m, err := Inspect(i, builds)
	if err != nil {
		return err
	}
	others, err := List(i.cache)
	if err != nil {
		return err
	}
	if i.State == Down {
		m.choose(i, others)
	}
	return m.Check(i)
}

// install says which Debian packages it installs and does it.
func install(ctx context.Context, o Options, names []string) error {
	if len(names) == 0 {
		return nil
	}
	begun := time.Now()
	o.Say("installing %d Debian packages with apt-get: %s", len(names), strings.Join(names, ", "))
	path := filepath.Join(o.Cache, "apt.log")
	if err := os.MkdirAll(o.Cache, 0o755); err != nil {
		return fmt.Errorf("create cache: %w", err)
	}
	log, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	defer log.Close()
	if err := packages.Install(ctx, names, log); err != nil {
		return err
	}
	o.Say("installed %d Debian packages %.1fs", len(names), time.Since(begun).Seconds())
	return os.Remove(path)
}

// prepare clears what an instance that was killed left behind and writes all
// that the node reads.
func prepare(ctx context.Context, o Options, i *Instance, images Images) error {
	i.State, i.PID, i.StartTime, i.Launched = Starting, 0, 0, time.Now().UTC().Truncate(time.Second)
	if err := i.Save(); err != nil {
		return err
	}
	if err := clear(ctx, i); err != nil {
		return err
	}
	pause, coredns, err := nodeImages(o.Repo)
	if err != nil {
		return err
	}
	plugins, err := pluginDir()
	if err != nil {
		return err
	}
	spec := Spec{Binaries: images.Binaries(), KubeRouter: images.KubeRouter(), PluginDir: plugins,
		RegistryDir: images.Registry(), BuildLock: images.BuildLock(), ObjectDir: images.Objects(),
		PauseImage: pause, CoreDNSImage: coredns}
	if err := spec.save(i); err != nil {
		return err
	}
	if err := metadb.DropContainers(i.Path("containerd")); err != nil {
		return err
	}
	for _, dir := range []string{"kubelet", "pods"} {
		if err := os.RemoveAll(i.Path(dir)); err != nil {
			return fmt.Errorf("remove left-over %s: %w", dir, err)
		}
	}
	if err := secrets(i, ""); err != nil {
		return err
	}
	if err := os.RemoveAll(i.failure()); err != nil {
		return fmt.Errorf("forget the last failure: %w", err)
	}
	if err := connect(ctx, i); err != nil {
		return err
	}
	all, err := cgroup.Hierarchies(mountinfo)
	if err != nil {
		return err
	}
	return cgroup.Create(all, i.FullName())
}

// becomeReady waits for the API server, applies the add-ons and waits for node
// and cluster DNS.
func becomeReady(ctx context.Context, o Options, i *Instance, seconds func() string) error {
	config, err := connected(i)
	if err != nil {
		return err
	}
	alive := func(ask func() bool) func() (bool, error) {
		return func() (bool, error) {
			if !i.Running() {
				return false, i.why()
			}
			return ask(), nil
		}
	}
	if err := poll(ctx, apiTimeout, alive(func() bool { return apiReady(ctx, config) })); err != nil {
		return fmt.Errorf("API server of instance %s is not ready: %w", i.Name, err)
	}
	o.Say("API server ready %s", seconds())
	spec, err := loadSpec(i)
	if err != nil {
		return err
	}
	n, err := applyAddons(ctx, config, i, spec)
	if err != nil {
		return err
	}
	o.Say("%d add-on objects applied %s", n, seconds())
	c, err := newCluster(config, i)
	if err != nil {
		return err
	}
	if err := poll(ctx, readyTimeout, alive(func() bool { return c.nodeReady(ctx) == nil })); err != nil {
		return fmt.Errorf("node %s is not Ready: %w: %w", i.FullName(), err, c.nodeReady(ctx))
	}
	o.Say("node Ready %s", seconds())
	if err := poll(ctx, readyTimeout, alive(func() bool { return c.dnsReady(ctx) == nil })); err != nil {
		return fmt.Errorf("cluster DNS of instance %s is not ready: %w: %w", i.Name, err, c.dnsReady(ctx))
	}
	o.Say("cluster DNS ready %s", seconds())
	return nil
}

const readyTimeout = 2 * time.Minute

// errEnded is what every end of a node is.
var errEnded = errors.New("the node ended")

// why the node ended, as it said itself.
func (i *Instance) why() error {
	said, err := os.ReadFile(i.failure())
	if err != nil {
		return fmt.Errorf("%w without a word, see `sealed logs node --name %s`", errEnded, i.Name)
	}
	return fmt.Errorf("%[1]w: %[2]s, see `sealed logs --name %[3]s`; `sealed down --name %[3]s` and `up` begin anew", errEnded, strings.TrimSpace(string(said)), i.Name)
}
