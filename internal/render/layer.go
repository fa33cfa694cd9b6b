package render

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// layer is what a layer's layer.yaml declares next to its kustomization.yaml.
type layer struct {
	name string
	// Version are the upstreams, or images that none names, whose versions name the
	// layer's own version.
	Version []string `json:"version"`
	// Upstreams are the files taken from upstream modules. What is left of an
	// upstream after Drop is the resource upstream/NAME.yaml of the
	// kustomization; its CustomResourceDefinitions skip kustomize, which takes
	// seconds over their megabytes of schema.
	Upstreams []source `json:"upstreams"`
	// PatchedDefinitions are the names of the CustomResourceDefinitions that go
	// through kustomize all the same, because our patches change them.
	PatchedDefinitions []string `json:"patchedDefinitions"`
	// Drop leaves upstream objects out; each rule has to match one at least.
	Drop []rule `json:"drop"`
	// Kustomization adds a kustomization.yaml to the tree, so that an Argo CD
	// Application can patch it.
	Kustomization bool `json:"kustomization"`
}

// source takes files out of one upstream module.
type source struct {
	// Name is the alias in upstream.yaml.
	Name string `json:"name"`
	// Paths inside the module; the last element may be a pattern.
	Paths []string `json:"paths"`
	// Replace is literal text and what stands in its place, where our
	// placeholders are understood. Each text has to occur.
	Replace map[string]string `json:"replace"`
}

// rule matches objects by kind and, unless empty, by a pattern of their name.
type rule struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

func (r rule) String() string {
	return strings.TrimSpace(r.Kind + " " + r.Name)
}

func (r rule) matches(kind, name string) bool {
	if r.Kind != kind {
		return false
	}
	ok, err := path.Match(cmpOr(r.Name, "*"), name)
	return err == nil && ok
}

const (
	platformFolder = "platform"
	layerFile      = "layer.yaml"
)

// readLayers reads every platform/*/layer.yaml.
func readLayers(fsys fs.FS, upstream *Upstream) (map[string]*layer, error) {
	folders, err := fs.ReadDir(fsys, platformFolder)
	if err != nil {
		return nil, fmt.Errorf("read the layers: %w", err)
	}
	layers := map[string]*layer{}
	var problems []error
	for _, f := range folders {
		file := path.Join(platformFolder, f.Name(), layerFile)
		data, err := fs.ReadFile(fsys, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		l := &layer{name: f.Name()}
		if err == nil {
			err = decodeStrict(data, l)
		}
		if err == nil {
			err = l.validate(upstream)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", file, err))
			continue
		}
		layers[l.name] = l
	}
	return layers, errors.Join(problems...)
}

func (l *layer) validate(upstream *Upstream) error {
	var problems []error
	for _, alias := range l.Version {
		if upstream.Images[alias] != "" {
			continue
		}
		_, err := upstream.Module(alias)
		problems = append(problems, err)
	}
	for _, s := range l.Upstreams {
		_, err := upstream.Module(s.Name)
		problems = append(problems, err)
		if len(s.Paths) == 0 {
			problems = append(problems, fmt.Errorf("upstreams %q has no paths", s.Name))
		}
	}
	for _, r := range l.Drop {
		if _, err := path.Match(r.Name, ""); err != nil || r.Kind == "" {
			problems = append(problems, fmt.Errorf("drop %q needs a kind and, if at all, a valid pattern as name", r))
		}
	}
	return errors.Join(problems...)
}

// version names what the layer consists of.
func (l *layer) version(upstream *Upstream) string {
	var parts []string
	for _, alias := range l.Version {
		version := upstream.Modules[alias].Version
		if image := upstream.Images[alias]; image != "" {
			_, version, _ = cutLast(image, ":")
		}
		parts = append(parts, alias+" "+version)
	}
	return strings.Join(parts, ", ")
}

// modules are the upstream modules the layer is read from, in order.
func (l *layer) modules(upstream *Upstream) []Module {
	var modules []Module
	for _, s := range l.Upstreams {
		modules = append(modules, upstream.Modules[s.Name])
	}
	return modules
}

// files are the layer's own files by path below its folder, layer.yaml aside.
func (l *layer) files(fsys fs.FS) (map[string][]byte, error) {
	folder := path.Join(platformFolder, l.name)
	files := map[string][]byte{}
	err := fs.WalkDir(fsys, folder, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, p)
		files[strings.TrimPrefix(p, folder+"/")] = data
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read layer %s: %w", l.name, err)
	}
	return files, nil
}

func layerNames(layers map[string]*layer) []string {
	return slices.Sorted(maps.Keys(layers))
}
