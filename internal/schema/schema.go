// Package schema checks that a manifest is one the cluster would take: a kind it
// knows, every field one that the kind has, every value of the right type. The
// schemas are Kubernetes' own and those of the resource definitions in the
// platform's layers, at their pinned versions.
package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yannh/kubeconform/pkg/resource"
	"github.com/yannh/kubeconform/pkg/validator"
	yamlv2 "go.yaml.in/yaml/v2"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/nearest"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// Options says where schemas come from and where they are kept.
type Options struct {
	// Renderer knows the pins and renders the layers.
	Renderer *render.Renderer
	// CacheDir keeps the schemas by the hash of what they are made from. It has
	// to be given: the schemas are files.
	CacheDir string
}

// Validator checks documents. It is safe for concurrent use.
type Validator struct {
	kubeconform validator.Validator
	folder      string
	// kinds by apiVersion and name.
	kinds map[string]map[string]indexed
}

// Problem is one thing that is wrong with a document, and what to do about it.
type Problem struct {
	// Path of the field, such as spec.template.spec.containers[0].image; empty if
	// it is the document as a whole.
	Path string `json:"path"`
	// Message is a sentence that goes on after the path.
	Message string `json:"message"`
}

func (p Problem) String() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// New makes the schemas, or takes those that were made from the same upstreams
// before. The first time it may download upstream modules with the Go toolchain.
func New(ctx context.Context, o Options) (*Validator, error) {
	if o.Renderer == nil || o.CacheDir == "" {
		return nil, errors.New("schemas need a renderer and a cache folder: set Options.Renderer and Options.CacheDir")
	}
	cache, err := filepath.Abs(o.CacheDir)
	if err != nil {
		return nil, fmt.Errorf("find the cache folder of the schemas: %w", err)
	}
	kubernetes, err := o.Renderer.Upstream().Module(kubernetesModule)
	if err != nil {
		return nil, err
	}
	inputs := []string{kubernetes.Path, kubernetes.Version, kubernetes.Sum}
	for _, name := range o.Renderer.Layers() {
		layer, err := o.Renderer.Key(name)
		if err != nil {
			return nil, fmt.Errorf("make schemas: %w", err)
		}
		inputs = append(inputs, name, layer)
	}
	key, err := cacheKey(inputs...)
	if err != nil {
		return nil, fmt.Errorf("hash what schemas are made from: %w", err)
	}
	v := &Validator{folder: filepath.Join(cache, key), kinds: map[string]map[string]indexed{}}
	index := load(v.folder)
	if index == nil {
		kinds, err := generate(ctx, o.Renderer)
		if err != nil {
			return nil, err
		}
		if index, err = store(v.folder, kinds); err != nil {
			return nil, err
		}
	}
	return v, v.use(index, kubernetes.Version)
}

// Open takes schemas that another process has made: a copy of Files. The folder
// has to stay as long as the Validator is used.
func Open(folder, kubernetesVersion string) (*Validator, error) {
	index := load(folder)
	if len(index) == 0 {
		return nil, fmt.Errorf("the schemas in %s are not whole: have them made again", folder)
	}
	v := &Validator{folder: folder, kinds: map[string]map[string]indexed{}}
	return v, v.use(index, kubernetesVersion)
}

// Files are the schemas by their names in a folder that Open takes.
func (v *Validator) Files() (map[string][]byte, error) {
	names := []string{indexFile}
	for _, kinds := range v.kinds {
		for _, k := range kinds {
			names = append(names, k.File)
		}
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(v.folder, filepath.FromSlash(name)))
		if err != nil {
			return nil, fmt.Errorf("read the schemas: %w", err)
		}
		files[name] = data
	}
	return files, nil
}

func (v *Validator) use(index []indexed, kubernetesVersion string) error {
	for _, k := range index {
		if v.kinds[k.APIVersion] == nil {
			v.kinds[k.APIVersion] = map[string]indexed{}
		}
		v.kinds[k.APIVersion][k.Kind] = k
	}
	var err error
	v.kubeconform, err = validator.New(
		[]string{filepath.ToSlash(v.folder) + "/" + location},
		validator.Opts{Strict: true, KubernetesVersion: strings.TrimPrefix(kubernetesVersion, "v")})
	if err != nil {
		return fmt.Errorf("start kubeconform: %w", err)
	}
	return nil
}

// location is kind.file as a template of kubeconform's.
const location = "{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json"

// kubernetesModule is the alias of Kubernetes in the pins.
const kubernetesModule = "kubernetes"

// generate makes the schemas of all kinds, sorted.
func generate(ctx context.Context, r *render.Renderer) ([]kind, error) {
	folder, err := r.Module(ctx, kubernetesModule)
	if err != nil {
		return nil, fmt.Errorf("make schemas: %w", err)
	}
	a, err := readAPI(folder)
	if err != nil {
		return nil, err
	}
	all, err := a.kinds()
	if err != nil {
		return nil, err
	}
	for _, name := range r.Layers() {
		tree, err := r.Layer(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("make schemas: %w", err)
		}
		for _, object := range tree.Objects() {
			if object["kind"] != "CustomResourceDefinition" {
				continue
			}
			kinds, err := a.defined(object)
			if err != nil {
				metadata, _ := object["metadata"].(map[string]any)
				return nil, fmt.Errorf("make a schema of CustomResourceDefinition %v of layer %s: %w", metadata["name"], name, err)
			}
			all = append(all, kinds...)
		}
	}
	seen := map[string]bool{}
	for _, k := range all {
		if seen[k.file()] {
			return nil, fmt.Errorf("make schemas: %s %s is there twice", k.apiVersion, k.name)
		}
		seen[k.file()] = true
	}
	slices.SortFunc(all, func(a, b kind) int { return strings.Compare(a.file(), b.file()) })
	return all, nil
}

// Validate checks one document, YAML or JSON; the items of a List are checked
// one by one. No problems means that the document is valid; one without content
// is not. Line numbers count from the document's first line.
func (v *Validator) Validate(document []byte) []Problem {
	if several(document) {
		return []Problem{{Message: "there is more than one document in it: check them one by one"}}
	}
	data, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return syntax(err)
	}
	var content any
	if err := json.Unmarshal(data, &content); err != nil {
		return syntax(err)
	}
	switch content := content.(type) {
	case nil:
		return []Problem{{Message: "the document is empty: write an object or remove it"}}
	case map[string]any:
		return v.object(content, "")
	}
	return []Problem{{Message: fmt.Sprintf("the document is %s: an object with apiVersion, kind and metadata is needed", typeName(content))}}
}

// several says whether there is a second document, which a YAML decoder for one
// document would not look at.
func several(document []byte) bool {
	if !bytes.Contains(document, []byte("\n---")) && !bytes.Contains(document, []byte("\n...")) {
		return false
	}
	d := yamlv2.NewDecoder(bytes.NewReader(document))
	var content any
	if d.Decode(&content) != nil {
		return false
	}
	return !errors.Is(d.Decode(&content), io.EOF)
}

// twice is how the YAML decoder says that a key is there twice.
var twice = regexp.MustCompile(`line (\d+): key "?(.*?)"? already set in map`)

// syntax makes problems of what the decoder says.
func syntax(err error) []Problem {
	text := err.Error()
	if found := twice.FindAllStringSubmatch(text, -1); found != nil {
		var problems []Problem
		for _, f := range found {
			problems = append(problems, Problem{Message: fmt.Sprintf("line %s: key %q is written twice: keep one", f[1], f[2])})
		}
		return problems
	}
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return []Problem{{Message: "it is not valid YAML: " + strings.Join(strings.Fields(text), " ")}}
}

// object checks one object; at is where in the document it is.
func (v *Validator) object(object map[string]any, at string) []Problem {
	kind, problem := v.kind(object, at)
	if problem != nil {
		return []Problem{*problem}
	}
	if kind == nil {
		return v.list(object, at)
	}
	data, err := json.Marshal(object)
	if err != nil {
		return []Problem{{at, fmt.Sprintf("it cannot be read: %s", err)}}
	}
	problems := nameless(object, at)
	result := v.kubeconform.ValidateResource(resource.Resource{Bytes: data})
	switch result.Status {
	case validator.Valid:
	case validator.Invalid:
		problems = append(problems, v.explain(*kind, object, at, result.Err)...)
	default:
		problems = append(problems, Problem{at, fmt.Sprintf("it could not be checked (status %d): %v", result.Status, result.Err)})
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Path+"\x00"+a.Message, b.Path+"\x00"+b.Message) })
	return problems
}

// list checks the items of a v1 List.
func (v *Validator) list(list map[string]any, at string) []Problem {
	items, ok := list["items"].([]any)
	if !ok || len(items) == 0 {
		return []Problem{{join(at, "items"), "a List needs items: add them or remove the document"}}
	}
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if !slices.Contains([]string{"apiVersion", "kind", "metadata", "items"}, name) {
			problems = append(problems, Problem{join(at, name), "unknown field: a List has only items"})
		}
	}
	for i, item := range items {
		where := join(at, "items") + "[" + strconv.Itoa(i) + "]"
		object, ok := item.(map[string]any)
		if !ok {
			problems = append(problems, Problem{where, fmt.Sprintf("is %s: an object is needed", typeName(item))})
			continue
		}
		problems = append(problems, v.object(object, where)...)
	}
	return problems
}

// kind finds the kind of an object; it is nil without a problem for a List.
func (v *Validator) kind(object map[string]any, at string) (*indexed, *Problem) {
	for _, field := range []string{"apiVersion", "kind"} {
		if text, ok := object[field].(string); !ok || text == "" {
			return nil, &Problem{join(at, field), "is missing or no text: every object has to say its apiVersion and kind"}
		}
	}
	apiVersion, name := object["apiVersion"].(string), object["kind"].(string)
	if apiVersion == "v1" && name == "List" {
		return nil, nil
	}
	kinds, known := v.kinds[apiVersion]
	if k, ok := kinds[name]; ok {
		return &k, nil
	}
	var versions, names []string
	for _, version := range slices.Sorted(maps.Keys(v.kinds)) {
		names = slices.AppendSeq(names, maps.Keys(v.kinds[version]))
		if _, ok := v.kinds[version][name]; ok {
			versions = append(versions, version)
		}
	}
	slices.Sort(names)
	switch near := nearest.Word(name, names); {
	case len(versions) > 0:
		return nil, &Problem{join(at, "apiVersion"), fmt.Sprintf("%s has no kind %s: write %s", apiVersion, name, strings.Join(versions, " or "))}
	case near != "":
		return nil, &Problem{join(at, "kind"), fmt.Sprintf("%s of %s is unknown: did you mean %q?", name, apiVersion, near)}
	case known:
		return nil, &Problem{join(at, "kind"), fmt.Sprintf("%s of %s is unknown: known there are %s",
			name, apiVersion, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))}
	}
	return nil, &Problem{join(at, "kind"), fmt.Sprintf("%s of %s is unknown: use a kind of Kubernetes or of the platform's layers", name, apiVersion)}
}

// nameless says if an object has no name, which no schema requires.
func nameless(object map[string]any, at string) []Problem {
	metadata, ok := object["metadata"].(map[string]any)
	if !ok {
		return nil
	}
	for _, field := range []string{"name", "generateName"} {
		if value, there := metadata[field]; there && value != "" && value != nil {
			return nil
		}
	}
	return []Problem{{join(at, "metadata.name"), "is missing: name the object"}}
}

func join(at, field string) string {
	if at == "" {
		return field
	}
	return at + "." + field
}
