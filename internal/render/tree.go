package render

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Tree is a rendered layer.
type Tree struct {
	name     string
	version  string
	upstream *Upstream
	objects  []map[string]any
	// files are the canonical bytes, sorted by name.
	files []file
}

type file struct {
	name string
	data []byte
}

// newTree makes files of entries, which are in apply order.
func newTree(l *layer, upstream *Upstream, entries []entry) (*Tree, error) {
	return treeFrom(l.name, l.version(upstream), upstream, l.Kustomization, entries)
}

func treeFrom(name, version string, upstream *Upstream, patched bool, entries []entry) (*Tree, error) {
	t, err := treeOf(name, version, entries)
	if err != nil {
		return nil, err
	}
	t.upstream = upstream
	if patched {
		t.files = append(t.files, file{"kustomization.yaml", kustomization(t.files)})
		t.sortFiles()
	}
	return t, nil
}

func treeOf(name, version string, entries []entry) (*Tree, error) {
	t := &Tree{name: name, version: version, upstream: &Upstream{}}
	seen := map[string]map[string]any{}
	for _, e := range entries {
		o := e.object
		name := fileName(o)
		if other, twice := seen[name]; twice {
			return nil, fmt.Errorf("%s and %s would both be the file %s", describe(other), describe(o), name)
		}
		seen[name] = o
		t.objects = append(t.objects, o)
		t.files = append(t.files, file{name, e.text})
	}
	t.sortFiles()
	return t, nil
}

func (t *Tree) sortFiles() {
	slices.SortFunc(t.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
}

// FromObjects is a tree of objects that no upstream and no file is behind, such as
// those made from configuration. Its version is what outputs call it.
func FromObjects(name, version string, objects []map[string]any) (*Tree, error) {
	ordered := make([]map[string]any, 0, len(objects))
	for _, object := range objects {
		object, err := normal(object)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", name, err)
		}
		ordered = append(ordered, object)
	}
	sortObjects(ordered)
	entries := make([]entry, 0, len(ordered))
	for _, object := range ordered {
		e, err := write(object)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", name, err)
		}
		entries = append(entries, e)
	}
	t, err := treeOf(name, version, entries)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", name, err)
	}
	return t, nil
}

func kustomization(files []file) []byte {
	var b bytes.Buffer
	b.WriteString("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n")
	for _, f := range files {
		fmt.Fprintf(&b, "- %s\n", f.name)
	}
	return b.Bytes()
}

// Name is the layer's name.
func (t *Tree) Name() string { return t.name }

// IsKustomization is whether an Argo CD Application can patch it.
func (t *Tree) IsKustomization() bool {
	return slices.ContainsFunc(t.files, func(f file) bool { return f.name == "kustomization.yaml" })
}

// Version names the upstream versions the layer is made of, for instance
// "knative-serving v0.48.0, net-kourier v0.48.0".
func (t *Tree) Version() string { return t.version }

// Hash names the tree by its content: the first 12 hexadecimal digits of the
// SHA-256 of the names and bytes of its files.
func (t *Tree) Hash() string {
	h := sha256.New()
	for _, f := range t.files {
		fmt.Fprintf(h, "%s\x00%d\x00", f.name, len(f.data))
		h.Write(f.data)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// Objects are the objects in apply order: namespaces, resource definitions,
// access rules, configuration, workloads, everything else, webhook
// configurations. They are shared: do not change them.
func (t *Tree) Objects() []map[string]any { return t.objects }

// Archive is the tree as a gzipped tar archive, one file for each object. Equal
// trees give equal archives with the same version of this program.
func (t *Tree) Archive() ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.DefaultCompression)
	if err != nil {
		return nil, fmt.Errorf("archive layer %s: %w", t.name, err)
	}
	w := tar.NewWriter(z)
	for _, f := range t.files {
		header := &tar.Header{
			Typeflag: tar.TypeReg,
			Name:     f.name,
			Size:     int64(len(f.data)),
			Mode:     0o644,
			ModTime:  time.Unix(0, 0),
			Format:   tar.FormatUSTAR,
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("archive layer %s: %s: %w", t.name, f.name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("archive layer %s: %s: %w", t.name, f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("archive layer %s: %w", t.name, err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("archive layer %s: %w", t.name, err)
	}
	return out.Bytes(), nil
}

// YAML is all objects as one stream of documents, in apply order.
func (t *Tree) YAML() ([]byte, error) {
	data := map[string][]byte{}
	for _, f := range t.files {
		data[f.name] = f.data
	}
	var out bytes.Buffer
	for _, o := range t.objects {
		out.WriteString("---\n")
		out.Write(data[fileName(o)])
	}
	return out.Bytes(), nil
}

// Images are the images the tree names, in containers or in configuration,
// sorted.
func (t *Tree) Images() []string {
	var images []string
	known := t.upstream.references()
	for _, o := range t.objects {
		if kindOf(o) == crdKind {
			continue
		}
		images = append(images, containerImages(o)...)
		texts(o, func(text string) {
			for _, image := range known {
				if strings.Contains(text, image) {
					images = append(images, image)
				}
			}
		})
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// WebhookConfiguration says how many webhooks an admission webhook
// configuration of a tree has.
type WebhookConfiguration struct {
	Kind, Name string
	Webhooks   int
}

// WebhookConfigurations are the tree's admission webhook configurations, sorted
// by kind and name.
func (t *Tree) WebhookConfigurations() []WebhookConfiguration {
	var all []WebhookConfiguration
	for _, o := range t.objects {
		if isWebhook(kindOf(o)) {
			webhooks, _ := o["webhooks"].([]any)
			all = append(all, WebhookConfiguration{Kind: kindOf(o), Name: nameOf(o), Webhooks: len(webhooks)})
		}
	}
	return all
}
