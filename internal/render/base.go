package render

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// base renders a layer without Args: upstream's objects under our kustomization,
// slimmed and in apply order.
func (r *Renderer) base(ctx context.Context, l *layer, own map[string][]byte) ([]entry, error) {
	folders, err := r.fetch(ctx, l.modules(r.upstream))
	if err != nil {
		return nil, err
	}
	files := filesys.MakeFsInMemory()
	root := "/" + l.name
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if name == layerFile {
			continue
		}
		text, err := r.upstream.expand(string(own[name]))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(platformFolder, l.name, name), err)
		}
		if err := files.WriteFile(path.Join(root, name), []byte(text)); err != nil {
			return nil, err
		}
	}
	used := make([]int, len(l.Drop))
	var objects []map[string]any
	for i, s := range l.Upstreams {
		h, err := s.take(folders[i], r.upstream, l, used)
		if err != nil {
			return nil, err
		}
		objects = append(objects, h.crds...)
		if len(h.documents) == 0 {
			continue
		}
		file := path.Join(root, "upstream", s.Name+".yaml")
		if err := files.WriteFile(file, bytes.Join(h.documents, []byte("\n---\n"))); err != nil {
			return nil, err
		}
	}
	if err := unusedRules(l.Drop, used); err != nil {
		return nil, err
	}
	built, err := kustomize(files, root)
	if err != nil {
		return nil, err
	}
	objects = append(objects, built...)
	for _, name := range l.PatchedDefinitions {
		if !slices.ContainsFunc(built, func(o map[string]any) bool { return kindOf(o) == crdKind && nameOf(o) == name }) {
			return nil, fmt.Errorf("patchedDefinitions %q is not there upstream: remove or correct it", name)
		}
	}
	for _, o := range objects {
		slim(o)
	}
	sortObjects(objects)
	entries := make([]entry, len(objects))
	for i, o := range objects {
		if entries[i], err = write(o); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// kustomize builds the kustomization at root; patches and resources may only be
// files below it.
func kustomize(files filesys.FileSystem, root string) ([]map[string]any, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionNone
	resources, err := krusty.MakeKustomizer(options).Run(files, root)
	if err != nil {
		return nil, fmt.Errorf("kustomize: %s", strings.TrimSpace(err.Error()))
	}
	var objects []map[string]any
	for _, resource := range resources.Resources() {
		data, err := resource.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", resource.CurId(), err)
		}
		object, err := decodeObject(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", resource.CurId(), err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// slim takes out what only people read, in place. The descriptions in the
// schemas are half of what the API server and Argo CD would keep in memory;
// Knative's _example keys and their checksum document the settings; a status
// belongs to the cluster.
func slim(object map[string]any) {
	metadata, _ := object["metadata"].(map[string]any)
	if metadata["creationTimestamp"] == nil {
		delete(metadata, "creationTimestamp")
	}
	// The API server drops an empty one, and Argo CD would apply it for ever.
	for _, key := range []string{"labels", "annotations"} {
		if m, ok := metadata[key].(map[string]any); ok && len(m) == 0 {
			delete(metadata, key)
		}
	}
	switch object["kind"] {
	case "Deployment", "StatefulSet":
		// Left by a patch that deletes the last one; the API server drops it, and
		// it would look like a difference for ever.
		template, _ := object["spec"].(map[string]any)["template"].(map[string]any)
		pod, _ := template["spec"].(map[string]any)
		for _, list := range []string{"initContainers", "volumes"} {
			if e, ok := pod[list].([]any); ok && len(e) == 0 {
				delete(pod, list)
			}
		}
	case crdKind:
		delete(object, "status")
		if spec, ok := object["spec"].(map[string]any); ok {
			versions, _ := spec["versions"].([]any)
			for _, v := range versions {
				if version, ok := v.(map[string]any); ok {
					dropDescriptions(version["schema"])
				}
			}
		}
	case "ConfigMap":
		if data, ok := object["data"].(map[string]any); ok {
			delete(data, "_example")
			if len(data) == 0 {
				delete(object, "data")
			}
		}
		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			delete(annotations, "knative.dev/example-checksum")
			if len(annotations) == 0 {
				delete(metadata, "annotations")
			}
		}
	}
}

// dropDescriptions deletes the description of every schema below v, but not a
// property of that name.
func dropDescriptions(v any) {
	schema, ok := v.(map[string]any)
	if !ok {
		return
	}
	if _, text := schema["description"].(string); text {
		delete(schema, "description")
	}
	for key, value := range schema {
		switch key {
		case "properties", "patternProperties", "definitions":
			if properties, ok := value.(map[string]any); ok {
				for _, p := range properties {
					dropDescriptions(p)
				}
			}
		case "allOf", "anyOf", "oneOf":
			if list, ok := value.([]any); ok {
				for _, e := range list {
					dropDescriptions(e)
				}
			}
		case "default", "enum", "example":
		default:
			dropDescriptions(value)
		}
	}
}
