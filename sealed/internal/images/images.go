// Package images makes every container image and tool of the sealed machine
// from packages: Go modules, Debian, PyPI and npm, all checksummed. What is made
// is declared in images.yaml; results are cached by the hash of their recipe.
package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/texttheater/golang-levenshtein/levenshtein"
)

// Options say what to make and where.
type Options struct {
	Cache      string    // root of all caches
	Repo       string    // folder that holds gitops/upstream.yaml
	KeepCaches bool      // keep downloads and compiled packages after a successful build
	Only       []string  // rebuild exactly these, cached or not; empty: build what is missing
	First      bool      // of what is missing, build only what the first prediction needs
	Log        io.Writer // output of the programs that build; nil: nowhere
	Progress   Progress  // nil: not reported
}

// Progress is told what happens, from several goroutines but never at once.
type Progress func(Event)

// Phases of an entry, in order. A cached entry has no other. PhaseWaiting is of
// no entry: another process builds.
const (
	PhaseWaiting  = "waiting"
	PhaseCached   = "cached"
	PhaseDownload = "download"
	PhaseBuild    = "build"
	PhaseAssemble = "assemble"
	PhasePush     = "push"
	PhaseDone     = "done"
)

// Event is one step of one entry.
type Event struct {
	Name    string // "image argocd", "layer base", "tool pulumi"; with PhaseWaiting what is waited for
	Phase   string
	Done    int     // entries that are finished, this one included
	Total   int     // entries to finish
	Seconds float64 // since Ensure was called; of the entry's own work with PhaseDone
}

// Result is what Ensure did.
type Result struct {
	Built, Cached []string
	Digests       map[string]string // of images, by entry
	Seconds       float64
}

// Status is one entry and whether it is up to date.
type Status struct {
	Name    string  `json:"name"`
	Image   string  `json:"image,omitempty"` // upstream's name; empty for a tool
	Digest  string  `json:"digest,omitempty"`
	Size    int64   `json:"size"`    // bytes, compressed; of a tool its files
	Seconds float64 `json:"seconds"` // the last build took, downloads included
	Current bool    `json:"current"` // made by today's recipe and complete
	Later   bool    `json:"later"`   // not needed for the first prediction
	Asked   bool    `json:"asked"`   // built only when it is named
}

// ToolDir is the folder for PATH: pulumi, kubectl.
func ToolDir(cache string) string { return filepath.Join(cache, "tools", "bin") }

// KubernetesPlugin is the program of Pulumi's Kubernetes provider.
func KubernetesPlugin(cache string) string {
	return filepath.Join(cache, "tools", "pulumi-kubernetes", "pulumi-resource-kubernetes")
}

// NodeBinaries is the folder of kube-apiserver, kubelet and the others.
func NodeBinaries(cache string) (dir string) { return filepath.Join(cache, "tools", "kubernetes") }

// NetworkPolicies is the program that enforces them on a node.
func NetworkPolicies(cache string) string {
	return filepath.Join(cache, "tools", "kube-router", "kube-router")
}

// ModelDir is the object store's root: one folder a bucket.
func ModelDir(cache string) string { return filepath.Join(cache, "objects") }

// RegistryDir is the registry's root.
func RegistryDir(cache string) string { return filepath.Join(cache, "registry") }

// Ensure makes what is missing or outdated, in the platform's order, and returns
// what it did. It continues where an ended run stopped. Errors name the entry
// and end with the last lines of the program that failed.
func Ensure(ctx context.Context, o Options) (*Result, error) {
	start := time.Now()
	b, err := newBuilder(ctx, o)
	if err != nil {
		return nil, err
	}
	defer b.close()
	plan, err := b.plan(ctx)
	if err != nil {
		return nil, err
	}
	if len(plan) > 0 {
		unlock, err := b.lock(ctx)
		if err != nil {
			return nil, err
		}
		defer unlock()
		// Another process may have built while this one waited, and removed its caches.
		if err := b.makeFolders(); err != nil {
			return nil, err
		}
		if plan, err = b.plan(ctx); err != nil {
			return nil, err
		}
	}
	if err := b.execute(ctx, plan); err != nil {
		return nil, err
	}
	if o.First {
		if err := b.forgetOutdated(ctx); err != nil {
			return nil, err
		}
	}
	res := &Result{Digests: map[string]string{}}
	for _, r := range b.table.Entries {
		rec, err := b.record(r)
		if err != nil {
			continue // not asked for
		}
		if slices.Contains(plan, r) {
			res.Built = append(res.Built, r.Name)
		} else if len(o.Only) == 0 {
			res.Cached = append(res.Cached, r.Name)
			b.event(r.label(), PhaseCached, time.Since(start))
		}
		if rec.Digest != "" {
			res.Digests[r.Name] = rec.Digest
		}
	}
	res.Seconds = time.Since(start).Seconds()
	return res, nil
}

// List returns all entries in the platform's order.
func List(o Options) ([]Status, error) {
	ctx := context.Background()
	b, err := newBuilder(ctx, o)
	if err != nil {
		return nil, err
	}
	defer b.close()
	var list []Status
	for _, r := range b.table.Entries {
		s := Status{Name: r.Name, Image: r.reference, Current: b.current(ctx, r), Later: b.table.isLater(r), Asked: b.table.isAsked(r)}
		if rec, err := b.record(r); err == nil {
			s.Digest, s.Size, s.Seconds = rec.Digest, rec.Size, rec.Seconds
		}
		list = append(list, s)
	}
	return list, nil
}

// record is what is known of a recipe's last build.
type record struct {
	Key     string  `json:"key"`
	Image   string  `json:"image,omitempty"`
	Digest  string  `json:"digest,omitempty"`
	Layer   *blob   `json:"layer,omitempty"`
	Size    int64   `json:"size"`
	Seconds float64 `json:"seconds"`
}

func (b *builder) recordFile(r *Recipe) string {
	name := r.Name
	if r.shared {
		name = "layer-" + name
	}
	return filepath.Join(b.cache, "images", name+".json")
}

// previousFile is the record of the image of another version that was made before:
// the way back to it is one without a build.
func (b *builder) previousFile(r *Recipe) string {
	return strings.TrimSuffix(b.recordFile(r), ".json") + ".previous.json"
}

// record is that of the recipe as it is, if that was built, else the last one.
func (b *builder) record(r *Recipe) (record, error) {
	last, err := readRecord(b.recordFile(r))
	if err == nil && last.Key == b.keys[r.Name] {
		return last, nil
	}
	if previous, err := readRecord(b.previousFile(r)); err == nil && previous.Key == b.keys[r.Name] {
		return previous, nil
	}
	return last, err
}

func readRecord(file string) (record, error) {
	var rec record
	data, err := os.ReadFile(file)
	if err != nil {
		return rec, err
	}
	return rec, json.Unmarshal(data, &rec)
}

// writeRecord keeps the record of another version's image, and forgets the image of
// the version before that.
func (b *builder) writeRecord(ctx context.Context, r *Recipe, rec record) error {
	if last, err := readRecord(b.recordFile(r)); err == nil && last.Image != rec.Image {
		if old, err := readRecord(b.previousFile(r)); err == nil && old.Image != rec.Image && old.Image != last.Image {
			if err := b.store.removeTag(ctx, old.Image); err != nil {
				return fmt.Errorf("forget the image %s: %w", old.Image, err)
			}
		}
		if err := os.Rename(b.recordFile(r), b.previousFile(r)); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	part := b.recordFile(r) + ".part"
	if err := os.WriteFile(part, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(part, b.recordFile(r))
}

// current says whether the recipe's result is that of its present key and all of
// it exists: a record alone proves nothing.
func (b *builder) current(ctx context.Context, r *Recipe) bool {
	rec, err := b.record(r)
	if err != nil || rec.Key != b.keys[r.Name] {
		return false
	}
	if v := r.Venv; v != nil && v.Train != nil && !exists(filepath.Join(ModelDir(b.cache), v.Train.Object)) {
		return false
	}
	switch {
	case r.shared:
		return rec.Layer != nil && b.store.hasLayer(ctx, rec.Layer.Digest)
	case r.Tool != nil:
		for _, f := range r.paths() {
			if !exists(filepath.Join(b.toolDir(r), f)) {
				return false
			}
		}
		target, err := os.Readlink(filepath.Join(b.cache, "tools", r.Name))
		return err == nil && target == filepath.Base(b.toolDir(r))
	}
	return b.store.hasImage(ctx, r.reference, rec.Digest)
}

// plan returns what is to be made, each after what it is made of.
func (b *builder) plan(ctx context.Context) ([]*Recipe, error) {
	var errs []error
	for _, name := range b.only {
		if b.table.entry(name) == nil {
			errs = append(errs, fmt.Errorf("there is no image %q; the nearest is %q", name, b.nearest(name)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var plan []*Recipe
	var need func(r *Recipe, force bool)
	need = func(r *Recipe, force bool) {
		if slices.Contains(plan, r) || !force && b.current(ctx, r) {
			return
		}
		for _, l := range r.Layers {
			need(b.table.layer(l), false)
		}
		for _, p := range r.paths() {
			if f, ok := r.ToolFiles[p]; ok {
				need(b.table.entry(filepath.Dir(f)), false)
			}
		}
		plan = append(plan, r)
	}
	for _, r := range b.table.Entries {
		forced := slices.Contains(b.only, r.Name)
		if forced || len(b.only) == 0 && !b.table.isAsked(r) && !(b.first && b.table.isLater(r)) {
			need(r, forced)
		}
	}
	return plan, nil
}

func (b *builder) nearest(name string) string {
	best, distance := "", 1<<30
	for _, r := range b.table.Entries {
		if d := levenshtein.DistanceForStrings([]rune(name), []rune(r.Name), levenshtein.DefaultOptions); d < distance {
			best, distance = r.Name, d
		}
	}
	return best
}

func (b *builder) toolDir(r *Recipe) string {
	return filepath.Join(b.cache, "tools", r.Name+"-"+b.keys[r.Name][:12])
}

// upstreamFile reads the repository's list of upstreams.
func upstreamFile(repo string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(repo, "gitops", "upstream.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not the repository: it has no gitops/upstream.yaml", repo)
	}
	return data, err
}

func goVersion(ctx context.Context) (string, error) {
	out, err := command{env: []string{"GOTOOLCHAIN=local"}}.run(ctx, "go", "env", "GOVERSION")
	if err != nil {
		return "", fmt.Errorf("find the Go compiler (install Go %s or newer): %w", strings.TrimPrefix(runtime.Version(), "go"), err)
	}
	return strings.TrimSpace(string(out)), nil
}
