// Package scaffold makes the folder of a new endpoint from the files in
// gitops/templates, which a portal renders too, writes it into a checkout, or
// proposes it to the tenant's repository as a pull request.
package scaffold

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// Files of a gitops folder.
const (
	endpointFolder = "templates/endpoint"
	sizesFile      = "templates/sizes.yaml"
	runtimeFiles   = "platform/kserve-runtimes/*.yaml"
)

// Size is what the server of a model asks for and may use at most.
type Size struct {
	Requests config.Amounts `json:"requests"`
	Limits   config.Amounts `json:"limits"`
}

// Scaffold is what endpoints are made from.
type Scaffold struct {
	// Sizes by name.
	Sizes map[string]Size
	// Formats of models that a runtime of the platform is chosen for, sorted.
	Formats   []string
	templates map[string]string
}

// Endpoint is what somebody wants to serve.
type Endpoint struct {
	// Name is the folder's and the InferenceService's.
	Name string
	// ModelFormat is one of Formats, StorageURI where the model is fetched from.
	ModelFormat, StorageURI string
	// Owner and CostCenter are labels.
	Owner, CostCenter string
	// Size is one of Sizes.
	Size string
	// MinReplicas may be 0: nothing runs until somebody asks.
	MinReplicas, MaxReplicas int
}

// Files are the text of each file of an endpoint's folder, by name.
type Files map[string]string

// Load reads a gitops folder: gitops.FS or a changed copy.
func Load(fsys fs.FS) (*Scaffold, error) {
	s := &Scaffold{templates: map[string]string{}}
	raw, err := fs.ReadFile(fsys, sizesFile)
	if err != nil {
		return nil, fmt.Errorf("read the sizes of endpoints: %w", err)
	}
	if err := yaml.UnmarshalStrict(raw, &s.Sizes); err != nil {
		return nil, fmt.Errorf("gitops/%s: %w", sizesFile, err)
	}
	if s.Formats, err = formats(fsys); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(fsys, endpointFolder)
	if err != nil {
		return nil, fmt.Errorf("read the templates of an endpoint: %w", err)
	}
	for _, entry := range entries {
		raw, err := fs.ReadFile(fsys, path.Join(endpointFolder, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the templates of an endpoint: %w", err)
		}
		s.templates[entry.Name()] = string(raw)
	}
	return s, nil
}

// formats are those that KServe chooses one of the platform's runtimes for.
func formats(fsys fs.FS) ([]string, error) {
	files, err := fs.Glob(fsys, runtimeFiles)
	if err != nil {
		return nil, fmt.Errorf("look for the runtimes: %w", err)
	}
	var names []string
	for _, file := range files {
		raw, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, fmt.Errorf("read the runtimes: %w", err)
		}
		var runtime struct {
			Kind string `json:"kind"`
			Spec struct {
				SupportedModelFormats []struct {
					Name       string `json:"name"`
					AutoSelect bool   `json:"autoSelect"`
				} `json:"supportedModelFormats"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal(raw, &runtime); err != nil {
			return nil, fmt.Errorf("gitops/%s: %w", file, err)
		}
		for _, format := range runtime.Spec.SupportedModelFormats {
			if runtime.Kind == "ClusterServingRuntime" && format.AutoSelect {
				names = append(names, format.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Of is the same with other templates, by the names of their files.
func (s *Scaffold) Of(templates map[string]string) *Scaffold {
	other := *s
	other.templates = maps.Clone(templates)
	return &other
}

// SizeNames are those of Sizes, the smallest limit of memory first.
func (s *Scaffold) SizeNames() []string {
	names := slices.Sorted(maps.Keys(s.Sizes))
	slices.SortStableFunc(names, func(a, b string) int {
		one, other := quantity(s.Sizes[a].Limits.Memory), quantity(s.Sizes[b].Limits.Memory)
		return one.Cmp(other)
	})
	return names
}

// Render makes the files of an endpoint. The error joins everything about e that the
// site does not allow, one sentence each, naming the flag, its value and what to
// write.
func (s *Scaffold) Render(e Endpoint, site Site) (Files, error) {
	if err := s.check(e, site); err != nil {
		return nil, err
	}
	return s.render(e)
}

func (s *Scaffold) render(e Endpoint) (Files, error) {
	size := s.Sizes[e.Size]
	values := map[string]any{
		"name": e.Name, "owner": e.Owner, "costCenter": e.CostCenter,
		"modelFormat": e.ModelFormat, "storageUri": e.StorageURI,
		"minReplicas": e.MinReplicas, "maxReplicas": e.MaxReplicas,
		"cpuRequest": size.Requests.CPU, "memoryRequest": size.Requests.Memory,
		"cpuLimit": size.Limits.CPU, "memoryLimit": size.Limits.Memory,
	}
	files := Files{}
	for name, template := range s.templates {
		text, err := fill(template, values)
		if err != nil {
			return nil, fmt.Errorf("gitops/%s: %w", path.Join(endpointFolder, name), err)
		}
		files[name] = text
	}
	return files, nil
}
