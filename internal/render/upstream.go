package render

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// UpstreamFile pins every upstream; it lies at the root of the file system a
// Renderer is made from.
const UpstreamFile = "upstream.yaml"

// Upstream is what upstream.yaml says.
type Upstream struct {
	// Modules by alias.
	Modules map[string]Module `json:"upstreams"`
	// Images that no module names.
	Images map[string]string `json:"images"`
}

// Module is one upstream: a Go module at a version, its checksum as in go.sum,
// and the images its manifests name.
type Module struct {
	Path    string            `json:"module"`
	Version string            `json:"version"`
	Sum     string            `json:"sum"`
	Images  map[string]string `json:"images"`
}

// ReadUpstream reads the pins at the root of a gitops folder.
func ReadUpstream(fsys fs.FS) (*Upstream, error) {
	data, err := fs.ReadFile(fsys, UpstreamFile)
	if err != nil {
		return nil, fmt.Errorf("read the pins: %w", err)
	}
	var u Upstream
	if err := decodeStrict(data, &u); err != nil {
		return nil, fmt.Errorf("%s: %w", UpstreamFile, err)
	}
	var problems []error
	for _, alias := range slices.Sorted(maps.Keys(u.Modules)) {
		m := u.Modules[alias]
		for field, value := range map[string]string{"module": m.Path, "version": m.Version, "sum": m.Sum} {
			if value == "" {
				problems = append(problems, fmt.Errorf("%s: upstreams.%s.%s is missing", UpstreamFile, alias, field))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(m.Images)) {
			if err := checkImage(m.Images[name]); err != nil {
				problems = append(problems, fmt.Errorf("%s: upstreams.%s.images.%s: %w", UpstreamFile, alias, name, err))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.Images)) {
		if err := checkImage(u.Images[name]); err != nil {
			problems = append(problems, fmt.Errorf("%s: images.%s: %w", UpstreamFile, name, err))
		}
	}
	return &u, errors.Join(problems...)
}

// Image is the reference of an upstream's image, such as
// Image("argo-cd", "redis"). The alias "" stands for the images that no upstream
// names. An unknown alias or name is an error naming the nearest known one.
func (u *Upstream) Image(alias, name string) (string, error) {
	images := u.Images
	if alias != "" {
		m, err := u.Module(alias)
		if err != nil {
			return "", err
		}
		images = m.Images
	}
	image, ok := images[name]
	if !ok {
		return "", unknown("image of "+cmpOr(alias, "no upstream"), name, slices.Sorted(maps.Keys(images)))
	}
	return image, nil
}

// Module is the pin of that alias; an unknown one is an error naming the
// nearest known one.
func (u *Upstream) Module(alias string) (Module, error) {
	m, ok := u.Modules[alias]
	if !ok {
		return Module{}, unknown("upstream", alias, slices.Sorted(maps.Keys(u.Modules)))
	}
	return m, nil
}

// named are the same pins with the names that a cluster has for the images; without
// name they are the same.
func (u *Upstream) named(name func(string) string) *Upstream {
	if name == nil {
		return u
	}
	all := func(images map[string]string) map[string]string {
		out := map[string]string{}
		for key, image := range images {
			out[key] = name(image)
		}
		return out
	}
	out := &Upstream{Modules: map[string]Module{}, Images: all(u.Images)}
	for alias, m := range u.Modules {
		m.Images = all(m.Images)
		out.Modules[alias] = m
	}
	return out
}

// references are all pinned image references, sorted.
func (u *Upstream) references() []string {
	all := slices.Collect(maps.Values(u.Images))
	for _, m := range u.Modules {
		all = slices.AppendSeq(all, maps.Values(m.Images))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// expand replaces ${image:ALIAS/NAME}, ${image:NAME} and ${version:ALIAS} in our
// own files, so that upstream.yaml is the one place where they are written.
func (u *Upstream) expand(text string) (string, error) {
	var out strings.Builder
	for {
		start := strings.Index(text, "${")
		if start < 0 {
			out.WriteString(text)
			return out.String(), nil
		}
		end := strings.Index(text[start:], "}")
		if end < 0 {
			return "", fmt.Errorf("%q is never closed", firstLine(text[start:]))
		}
		token := text[start+2 : start+end]
		kind, what, _ := strings.Cut(token, ":")
		var value string
		var err error
		switch kind {
		case "image":
			alias, name, found := strings.Cut(what, "/")
			if !found {
				alias, name = "", what
			}
			value, err = u.Image(alias, name)
		case "version":
			var m Module
			m, err = u.Module(what)
			value = m.Version
		default:
			err = unknown("placeholder", kind, []string{"image", "version"})
		}
		if err != nil {
			return "", fmt.Errorf("${%s}: %w", token, err)
		}
		out.WriteString(text[:start] + value)
		text = text[start+end+1:]
	}
}
