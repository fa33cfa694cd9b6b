package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/registry"
)

// gibibytesPerGo is what compiling one entry leaves in the build caches, about.
const gibibytesPerGo = 1.5

// builder holds what one call of Ensure works with.
type builder struct {
	table *Table
	keys  map[string]string
	only  []string
	repo  string // this repository
	cache string // root of all caches
	build string // downloads and compiled packages
	keep  bool
	first bool
	log   io.Writer
	store *store
	jobs  map[string]*job // what is being made, by name

	stop   context.CancelFunc
	wheels sync.Mutex
	apt    func() (*apt, error)

	start       time.Time
	events      sync.Mutex
	progress    Progress
	done, total int
}

func newBuilder(ctx context.Context, o Options) (*builder, error) {
	upstream, err := upstreamFile(o.Repo)
	if err != nil {
		return nil, err
	}
	table, err := loadTable(tableYAML, upstream)
	if err != nil {
		return nil, err
	}
	if err := table.readSources(o.Repo); err != nil {
		return nil, err
	}
	repo, err := filepath.Abs(o.Repo)
	if err != nil {
		return nil, err
	}
	version, err := goVersion(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := table.keys(version)
	if err != nil {
		return nil, err
	}
	cache, err := filepath.Abs(o.Cache)
	if err != nil {
		return nil, err
	}
	b := &builder{
		table: table, keys: keys, only: o.Only, repo: repo, cache: cache, build: filepath.Join(cache, "build"), keep: o.KeepCaches, first: o.First,
		log: &serial{w: writerOr(o.Log)}, start: time.Now(), progress: o.Progress,
	}
	if err := b.makeFolders(); err != nil {
		return nil, err
	}
	ctx, b.stop = context.WithCancel(ctx)
	b.apt = sync.OnceValues(func() (*apt, error) { return b.newApt(ctx) })
	if b.store, err = openStore(ctx, RegistryDir(cache)); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

func (b *builder) makeFolders() error {
	for _, d := range []string{"images", "tools/bin", "build/mod", "build/go", "objects"} {
		if err := os.MkdirAll(filepath.Join(b.cache, d), 0o755); err != nil {
			return fmt.Errorf("make the cache folders: %w", err)
		}
	}
	return nil
}

func (b *builder) close() {
	_ = b.store.close()
	b.stop()
}

// lock makes sure that one process builds at a time.
func (b *builder) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(LockFile(b.cache), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for told := false; ; told = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock the image cache: %w", err)
		}
		if !told {
			b.event("another build", PhaseWaiting, time.Since(b.start))
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

func (b *builder) event(name, phase string, d time.Duration) {
	b.events.Lock()
	defer b.events.Unlock()
	if phase == PhaseDone {
		b.done++
	}
	if b.progress != nil {
		b.progress(Event{Name: name, Phase: phase, Done: b.done, Total: b.total, Seconds: d.Seconds()})
	}
}

// job is one recipe on its way.
type job struct {
	*Recipe
	work    string // folder of this job
	root    string // the tree it makes
	mod     string // its module, read-only
	fetched chan struct{}
	made    chan struct{}
	done    chan struct{}
	spent   time.Duration
}

// execute makes the plan. Downloads run ahead of compiling, which is one at a
// time because a compiler uses every core; packing and storing run behind it.
func (b *builder) execute(ctx context.Context, plan []*Recipe) error {
	b.total = len(plan)
	if len(plan) == 0 {
		return nil
	}
	if err := b.checkSpace(plan); err != nil {
		return err
	}
	work := filepath.Join(b.build, "work")
	if err := errors.Join(os.RemoveAll(work), dropUploads(RegistryDir(b.cache))); err != nil {
		return fmt.Errorf("remove what an ended build left: %w", err)
	}
	jobs := make([]*job, len(plan))
	b.jobs = map[string]*job{}
	for i, r := range plan {
		name := r.Name
		if r.shared {
			name = "layer-" + name
		}
		jobs[i] = &job{Recipe: r, work: filepath.Join(work, name), root: filepath.Join(work, name, "root"), fetched: make(chan struct{}), made: make(chan struct{}), done: make(chan struct{})}
		b.jobs[r.Name] = jobs[i]
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		downloads, ctx := errgroup.WithContext(gctx)
		downloads.SetLimit(2)
		for _, j := range jobs {
			downloads.Go(func() error { return b.step(ctx, j, PhaseDownload, nil, j.fetched, b.fetch) })
		}
		return downloads.Wait()
	})
	g.Go(func() error {
		for _, j := range jobs {
			if err := b.step(gctx, j, PhaseBuild, j.fetched, j.made, b.fill); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		for _, j := range jobs {
			if err := b.step(gctx, j, PhaseAssemble, j.made, j.done, b.finish); err != nil {
				return err
			}
			b.event(j.label(), PhaseDone, j.spent)
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if err := registry.Sweep(ctx, RegistryDir(b.cache)); err != nil {
		// It only costs space, and the next build tries again.
		fmt.Fprintln(b.log, err)
	}
	if b.keep || b.anyLeft(ctx) {
		return os.RemoveAll(work)
	}
	// Modules are read-only; only the go command undoes that for everyone.
	c := command{dir: b.cache, env: []string{"GOMODCACHE=" + filepath.Join(b.build, "mod"), "GOFLAGS=", "GOTOOLCHAIN=local"}, log: b.log}
	if _, err := c.run(ctx, "go", "clean", "-modcache"); err != nil {
		return err
	}
	return os.RemoveAll(b.build)
}

// label is the recipe's name with what it makes, as people read it.
func (r *Recipe) label() string {
	switch {
	case r.shared:
		return "layer " + r.Name
	case r.Tool != nil:
		return "tool " + r.Name
	}
	return "image " + r.Name
}

// step waits for what comes before, does one phase of the job and opens the way
// for what comes after. Its error names the job.
func (b *builder) step(ctx context.Context, j *job, phase string, before, after chan struct{}, do func(context.Context, *job) error) error {
	if err := wait(ctx, before); err != nil {
		return err
	}
	b.event(j.label(), phase, time.Since(b.start))
	start := time.Now()
	if err := do(ctx, j); err != nil {
		return fmt.Errorf("%s of %s failed: %s%w", phase, j.label(), advice(err), err)
	}
	j.spent += time.Since(start)
	close(after)
	return nil
}

// wait returns when ready is closed, at once if it is nil, or when ctx ends.
func wait(ctx context.Context, ready <-chan struct{}) error {
	if ready != nil {
		select {
		case <-ready:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// unreachable is how the programs that download say that they cannot.
var unreachable = []string{
	"no such host", "Temporary failure resolving", "Temporary failure in name resolution", "Could not resolve",
	"connection refused", "Connection refused", "network is unreachable", "Network is unreachable",
	"i/o timeout", "dns error", "EAI_AGAIN", "ENOTFOUND", "ECONNREFUSED", "proxyconnect",
}

// advice is a sentence on what to do about an error that is not the recipe's.
func advice(err error) string {
	if slices.ContainsFunc(unreachable, func(s string) bool { return strings.Contains(err.Error(), s) }) {
		return "a package registry cannot be reached: check this machine's network and proxy settings and run it again, it continues where it stopped: "
	}
	return ""
}

func (b *builder) checkSpace(plan []*Recipe) error {
	need := 1.0
	for _, r := range plan {
		if r.Go != nil && r.Module != "" {
			need += gibibytesPerGo
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(b.build, &fs); err != nil {
		return fmt.Errorf("find out the free space of %s: %w", b.build, err)
	}
	if free := float64(fs.Bavail) * float64(fs.Bsize) / (1 << 30); free < need {
		return fmt.Errorf("building %d images needs about %.0f GiB free in %s, there are %.1f: free some, or set NEUROSCALE_CACHE to a larger disk", len(plan), need, b.cache, free)
	}
	return nil
}
