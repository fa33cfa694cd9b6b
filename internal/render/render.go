// Package render turns a platform layer into the objects Argo CD or Pulumi
// applies: upstream's manifests at their pinned version and checksum, our
// kustomization over them, and the layer's Args as patches.
//
// It is a pure function of its inputs: the same gitops folder and the same
// patches give the same bytes, and the hash of those bytes names the result.
package render

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
)

// Renderer renders the layers of one gitops folder. It is safe for concurrent
// use.
type Renderer struct {
	fsys     fs.FS
	cacheDir string
	pins     []byte
	upstream *Upstream
	// name is what the cluster has for a pinned image; nil: the pinned one.
	name   func(image string) string
	layers map[string]*layer
	fetch  fetch
}

// New reads the pins and layers of a gitops folder (gitops.FS, or a changed copy
// of it). Results are kept below cacheDir by the hash of what they were made
// from; without a cacheDir everything is rendered anew.
func New(fsys fs.FS, cacheDir string) (*Renderer, error) {
	pins, err := fs.ReadFile(fsys, UpstreamFile)
	if err != nil {
		return nil, fmt.Errorf("read the pins: %w", err)
	}
	upstream, err := ReadUpstream(fsys)
	if err != nil {
		return nil, err
	}
	layers, err := readLayers(fsys, upstream)
	if err != nil {
		return nil, err
	}
	return &Renderer{fsys: fsys, cacheDir: cacheDir, pins: pins, upstream: upstream, layers: layers, fetch: goModDownload}, nil
}

// Layers are the names of the layers, sorted.
func (r *Renderer) Layers() []string { return layerNames(r.layers) }

// CacheDir is where results are kept; empty if they are not.
func (r *Renderer) CacheDir() string { return r.cacheDir }

// Upstream are the pins.
func (r *Renderer) Upstream() *Upstream { return r.upstream.named(r.name) }

// Mirrored is the same renderer with all images below registry, each under its whole
// name: registry/docker.io/kserve/agent:v1. An empty one changes nothing.
func (r *Renderer) Mirrored(registry string) *Renderer {
	if registry == "" {
		return r
	}
	out := *r
	out.name = func(image string) string { return registry + "/" + image }
	return &out
}

// Renamed is the same renderer with other names for some of the images.
func (r *Renderer) Renamed(names map[string]string) *Renderer {
	if len(names) == 0 {
		return r
	}
	out := *r
	out.name = func(image string) string {
		if other, ok := names[image]; ok {
			return other
		}
		return image
	}
	return &out
}

// Layer renders one layer. An unknown name is an error with the nearest known
// one; a patch that matches nothing is an error naming it, and so is an object
// with an image that is not pinned. It may download upstream modules with the Go
// toolchain.
func (r *Renderer) Layer(ctx context.Context, name string, patches ...Patch) (*Tree, error) {
	l, ok := r.layers[name]
	if !ok {
		return nil, unknown("layer", name, r.Layers())
	}
	entries, err := r.cachedBase(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("render layer %s: %w", name, err)
	}
	if entries, err = apply(entries, patches); err != nil {
		return nil, fmt.Errorf("render layer %s: %w", name, err)
	}
	if entries, err = r.rename(entries); err != nil {
		return nil, fmt.Errorf("render layer %s: %w", name, err)
	}
	if err := checkImages(entries); err != nil {
		return nil, fmt.Errorf("render layer %s: %w", name, err)
	}
	tree, err := newTree(l, r.Upstream(), entries)
	if err != nil {
		return nil, fmt.Errorf("render layer %s: %w", name, err)
	}
	return tree, nil
}

// cachedBase is the layer without patches, from the cache if it is there.
func (r *Renderer) cachedBase(ctx context.Context, l *layer) ([]entry, error) {
	own, err := l.files(r.fsys)
	if err != nil {
		return nil, err
	}
	if r.cacheDir == "" {
		return r.base(ctx, l, own)
	}
	key, err := inputHash(r.pins, l, own)
	if err != nil {
		return nil, fmt.Errorf("hash the inputs: %w", err)
	}
	if entries := load(r.cacheDir, key); entries != nil {
		return entries, nil
	}
	entries, err := r.base(ctx, l, own)
	if err != nil {
		return nil, err
	}
	if err := store(r.cacheDir, key, entries); err != nil {
		// The result is good; only the next run will be slower.
		slog.WarnContext(ctx, "rendered layer not cached", "layer", l.name, "error", err)
	}
	return entries, nil
}
