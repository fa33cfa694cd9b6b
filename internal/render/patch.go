package render

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Patch changes one rendered object.
//
// Merge is merged into the object: maps key by key, nil deletes a key, and
// anything else replaces what was there. Two exceptions spare the writer of a
// patch from repeating upstream: the elements of lists that Kubernetes knows by
// a name (containers, env, volumes, ports, ...) are merged one by one, and a map
// merged into a string that holds a JSON object, as in KServe's configuration,
// is merged into that document.
type Patch struct {
	Kind, Name string
	// Namespace may be empty if only one object has that kind and name.
	Namespace string
	Merge     map[string]any
}

func (p Patch) String() string {
	if p.Namespace == "" {
		return p.Kind + " " + p.Name
	}
	return p.Kind + " " + p.Namespace + "/" + p.Name
}

// listKeys are the fields by which the elements of a list are told apart, by the
// list's own name; the first that all elements have is used.
var listKeys = map[string][]string{
	"containers":       {"name"},
	"initContainers":   {"name"},
	"env":              {"name"},
	"volumes":          {"name"},
	"volumeMounts":     {"mountPath"},
	"ports":            {"name", "containerPort", "port"},
	"imagePullSecrets": {"name"},
	"webhooks":         {"name"},
}

// apply merges the patches into entries, in order. The entries themselves are not
// changed: patched ones are replaced in the result. Every patch that matches
// nothing, or more than one object, is an error.
func apply(entries []entry, patches []Patch) ([]entry, error) {
	out := slices.Clone(entries)
	var problems []error
	for _, p := range patches {
		var found []int
		var known []string
		for i, e := range out {
			o := e.object
			if o["kind"] != p.Kind {
				continue
			}
			known = append(known, nameOf(o))
			if nameOf(o) == p.Name && (p.Namespace == "" || p.Namespace == namespaceOf(o)) {
				found = append(found, i)
			}
		}
		switch len(found) {
		case 1:
			merged, err := merge(out[found[0]].object, p)
			if err != nil {
				problems = append(problems, fmt.Errorf("patch of %s: %w", p, err))
				continue
			}
			out[found[0]] = merged
		case 0:
			err := fmt.Errorf("patch of %s matches no object of the layer", p)
			if len(known) > 0 {
				err = fmt.Errorf("patch of %s matches no object of the layer: %w", p, unknown(p.Kind, p.Name, known))
			}
			problems = append(problems, err)
		default:
			problems = append(problems, fmt.Errorf("patch of %s matches %d objects: name the namespace", p, len(found)))
		}
	}
	return out, errors.Join(problems...)
}

func merge(object map[string]any, p Patch) (entry, error) {
	patch, err := normal(p.Merge)
	if err != nil {
		return entry{}, fmt.Errorf("not a JSON document: %w", err)
	}
	merged, err := mergeMap(object, patch, "")
	if err != nil {
		return entry{}, err
	}
	if merged["kind"] != object["kind"] || nameOf(merged) != nameOf(object) || namespaceOf(merged) != namespaceOf(object) {
		return entry{}, errors.New("it may not change kind, name or namespace")
	}
	return write(merged)
}

func mergeMap(base, patch map[string]any, at string) (map[string]any, error) {
	out := make(map[string]any, len(base)+len(patch))
	for k, v := range base {
		out[k] = v
	}
	for k, v := range patch {
		if v == nil {
			delete(out, k)
			continue
		}
		merged, err := mergeValue(out[k], v, k, strings.TrimPrefix(at+"."+k, "."))
		if err != nil {
			return nil, err
		}
		out[k] = merged
	}
	return out, nil
}

func mergeValue(base, patch any, field, at string) (any, error) {
	switch patch := patch.(type) {
	case map[string]any:
		switch base := base.(type) {
		case map[string]any:
			return mergeMap(base, patch, at)
		case string:
			return mergeDocument(base, patch, at)
		}
		return mergeMap(nil, patch, at)
	case []any:
		baseList, _ := base.([]any)
		if key := listKey(field, baseList, patch); key != "" {
			return mergeList(baseList, patch, key, at)
		}
	}
	return patch, nil
}

// mergeDocument merges into the JSON object that a string holds.
func mergeDocument(base string, patch map[string]any, at string) (any, error) {
	document, err := decodeObject([]byte(base))
	if err != nil || document == nil {
		return nil, fmt.Errorf("%s is a text that holds no JSON object: replace it by a text", at)
	}
	merged, err := mergeMap(document, patch, at)
	if err != nil {
		return nil, err
	}
	return jsonText(merged)
}

// listKey is the field by which the elements of both lists can be told apart.
func listKey(field string, lists ...[]any) string {
	for _, key := range listKeys[field] {
		all := true
		for _, list := range lists {
			for _, e := range list {
				m, ok := e.(map[string]any)
				all = all && ok && m[key] != nil
			}
		}
		if all {
			return key
		}
	}
	return ""
}

func mergeList(base, patch []any, key, at string) (any, error) {
	out := append([]any(nil), base...)
next:
	for _, e := range patch {
		element := e.(map[string]any)
		for i, b := range out {
			if b.(map[string]any)[key] != element[key] {
				continue
			}
			merged, err := mergeMap(b.(map[string]any), element, fmt.Sprintf("%s[%v]", at, element[key]))
			if err != nil {
				return nil, err
			}
			out[i] = merged
			continue next
		}
		fresh, err := mergeMap(nil, element, at)
		if err != nil {
			return nil, err
		}
		out = append(out, fresh)
	}
	return out, nil
}
