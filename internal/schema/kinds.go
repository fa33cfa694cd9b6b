package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// kind is one kind of object the cluster accepts, with its strict schema.
type kind struct {
	apiVersion, name string
	schema           node
}

// file is where kubeconform looks for the schema, below the cache folder.
func (k kind) file() string {
	group, version, core := strings.Cut(k.apiVersion, "/")
	if !core {
		version = group
	}
	return path.Join(group, strings.ToLower(k.name)+"_"+version+".json")
}

const (
	objectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
	quantity   = "io.k8s.apimachinery.pkg.api.resource.Quantity"
)

// served matches the versions of its own API that Kubernetes serves unless told
// otherwise.
var served = regexp.MustCompile(`^v[0-9]+$`)

// api is Kubernetes' description of its own API.
type api struct {
	Definitions map[string]node `json:"definitions"`
	Paths       map[string]struct {
		Post *struct {
			Kind       groupVersionKind `json:"x-kubernetes-group-version-kind"`
			Parameters []struct {
				In     string            `json:"in"`
				Schema map[string]string `json:"schema"`
			} `json:"parameters"`
		} `json:"post"`
	} `json:"paths"`
	converted map[string]node
}

type groupVersionKind struct {
	Group, Version, Kind string
}

func (g groupVersionKind) apiVersion() string {
	return strings.TrimPrefix(g.Group+"/"+g.Version, "/")
}

// readAPI reads the description in the folder of the module k8s.io/kubernetes.
func readAPI(module string) (*api, error) {
	file := filepath.Join(module, "api", "openapi-spec", "swagger.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read Kubernetes' description of its API: %w", err)
	}
	a := &api{converted: map[string]node{}}
	if err := json.Unmarshal(data, a); err != nil {
		return nil, fmt.Errorf("read Kubernetes' description of its API: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Definitions)) {
		if _, err := a.definition(name, nil); err != nil {
			return nil, fmt.Errorf("Kubernetes' description of its API: %w", err)
		}
	}
	return a, nil
}

// kinds are those a list of can be posted to and each be read back by its name:
// everything that can lie in a Git repository.
func (a *api) kinds() ([]kind, error) {
	var all []kind
	for _, p := range slices.Sorted(maps.Keys(a.Paths)) {
		post := a.Paths[p].Post
		_, readable := a.Paths[p+"/{name}"]
		if post == nil || !readable || !served.MatchString(post.Kind.Version) {
			continue
		}
		for _, parameter := range post.Parameters {
			if parameter.In != "body" {
				continue
			}
			name := strings.TrimPrefix(parameter.Schema["$ref"], definitionsPrefix)
			schema, ok := a.converted[name]
			if !ok {
				return nil, fmt.Errorf("Kubernetes' description of its API has no %s %s", post.Kind.apiVersion(), post.Kind.Kind)
			}
			all = append(all, a.root(post.Kind, schema))
		}
	}
	if len(all) == 0 {
		return nil, errors.New("Kubernetes' description of its API has no kinds")
	}
	return all, nil
}

// root makes the schema of whole objects of a kind. What a status says is the
// cluster's business.
func (a *api) root(g groupVersionKind, schema node) kind {
	properties := node{}
	if own, ok := schema["properties"].(node); ok {
		maps.Copy(properties, own)
	}
	properties["apiVersion"] = node{"type": "string", "enum": []any{g.apiVersion()}}
	properties["kind"] = node{"type": "string", "enum": []any{g.Kind}}
	properties["metadata"] = a.converted[objectMeta]
	if _, ok := properties["status"]; ok {
		properties["status"] = node{"type": []any{"object", "null"}}
	}
	out := maps.Clone(schema)
	out["properties"] = properties
	out["required"] = []any{"apiVersion", "kind", "metadata"}
	for _, name := range requiredOf(schema) {
		if !slices.Contains(out["required"].([]any), name) {
			out["required"] = append(out["required"].([]any), name)
		}
	}
	if recursive := a.references(out, node{}); len(recursive) > 0 {
		out["definitions"] = recursive
	}
	return kind{g.apiVersion(), g.Kind, out}
}

// definition converts a definition and what it refers to; around are the names
// it is inside of. One that contains itself stays a reference.
func (a *api) definition(name string, around []string) (node, error) {
	if done, ok := a.converted[name]; ok {
		return done, nil
	}
	if name == quantity {
		a.converted[name] = node{"type": []any{"string", "number"}, "pattern": quantityPattern}
		return a.converted[name], nil
	}
	in, ok := a.Definitions[name]
	if !ok {
		return nil, fmt.Errorf("%s refers to %s, which is not there", strings.Join(around, " in "), name)
	}
	recursive := node{"$ref": definitionsPrefix + name}
	if slices.Contains(around, name) {
		return recursive, nil
	}
	around = append(slices.Clone(around), name)
	named := map[string]node{}
	for _, inner := range referred(in, nil) {
		schema, err := a.definition(inner, around)
		if err != nil {
			return nil, err
		}
		named[inner] = schema
	}
	out := converter{named: named}.convert(in, false)
	if slices.Contains(referred(out, nil), name) {
		a.Definitions[name], out = out, recursive
	}
	a.converted[name] = out
	return out, nil
}

// references collects the definitions that are still referred to below v.
func (a *api) references(v any, into node) node {
	for _, name := range referred(v, nil) {
		if _, seen := into[name]; !seen {
			into[name] = a.Definitions[name]
			a.references(a.Definitions[name], into)
		}
	}
	return into
}

// referred appends the names that v refers to.
func referred(v any, to []string) []string {
	switch v := v.(type) {
	case node:
		for key, e := range v {
			if ref, ok := e.(string); ok && key == "$ref" {
				to = append(to, strings.TrimPrefix(ref, definitionsPrefix))
				continue
			}
			to = referred(e, to)
		}
	case []any:
		for _, e := range v {
			to = referred(e, to)
		}
	}
	return to
}

// defined are the kinds a CustomResourceDefinition adds.
func (a *api) defined(crd node) ([]kind, error) {
	data, err := json.Marshal(crd["spec"])
	if err != nil {
		return nil, err
	}
	var spec struct {
		Group string
		Names struct{ Kind string }
		// Versions that are not served do not exist for anybody.
		Versions []struct {
			Name   string
			Served bool
			Schema struct {
				OpenAPIV3Schema node
			}
		}
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, err
	}
	var all []kind
	for _, version := range spec.Versions {
		if !version.Served {
			continue
		}
		if len(version.Schema.OpenAPIV3Schema) == 0 {
			return nil, fmt.Errorf("version %s has no schema", version.Name)
		}
		schema := converter{bounded: true}.convert(version.Schema.OpenAPIV3Schema, false)
		all = append(all, a.root(groupVersionKind{spec.Group, version.Name, spec.Names.Kind}, schema))
	}
	return all, nil
}
