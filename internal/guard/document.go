package guard

import (
	"fmt"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// document is one object and where it is written.
type document struct {
	file string
	// line the object begins at in its file.
	line int
	// endpoint is the folder that becomes one Argo CD Application.
	endpoint string
	object   map[string]any

	apiVersion, kind, namespace, name string

	// node is the object's YAML, whose line 1 is line offset+1 of the file.
	node   *yaml.Node
	offset int
}

// identity is what the API server knows the object by. Versions of a kind are
// the same object.
func (d *document) identity() string {
	return strings.Join([]string{groupOf(d.apiVersion), d.kind, d.namespace, d.name}, "/")
}

// key names the document for engines that answer with these fields.
func (d *document) key() string {
	return strings.Join([]string{d.apiVersion, d.kind, d.namespace, d.name}, "/")
}

// String is how a message names the object.
func (d *document) String() string {
	if d.namespace == "" {
		return d.kind + " " + d.name
	}
	return d.kind + " " + d.namespace + "/" + d.name
}

// kindName is the kind with its group, such as apps/Deployment; the core group
// has none.
func (d *document) kindName() string { return kindName(d.apiVersion, d.kind) }

func kindName(apiVersion, kind string) string {
	if g := groupOf(apiVersion); g != "" {
		return g + "/" + kind
	}
	return kind
}

func groupOf(apiVersion string) string {
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		return ""
	}
	return group
}

// lineOf is the line of the value at a path of keys and indices, separated by
// slashes or dots; of what is not there, the line of the nearest value around it.
func (d *document) lineOf(path string) int {
	if d.node == nil {
		return d.line
	}
	node, line := d.node, d.line
	words := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune("/.[]", r) })
	for _, word := range words {
		for range maxAliases {
			if node.Kind != yaml.AliasNode {
				break
			}
			node = node.Alias
		}
		next, at := child(node, word)
		if next == nil {
			break
		}
		node, line = next, d.offset+at
	}
	return line
}

// maxAliases bounds how many aliases of aliases are followed.
const maxAliases = 10

// child is a key's value and the line of the key, or an element and its line.
func child(node *yaml.Node, word string) (*yaml.Node, int) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == word {
				return node.Content[i+1], node.Content[i].Line
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(word); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i].Line
		}
	}
	return nil, 0
}

// identify fills in the fields that name the object. The problems say what is
// missing.
func (d *document) identify() []string {
	var problems []string
	text := func(from map[string]any, key, path string) string {
		value, there := from[key]
		s, isText := value.(string)
		switch {
		case !there || value == nil || s == "" && isText:
			problems = append(problems, path+" is missing: every object needs one")
		case !isText:
			problems = append(problems, fmt.Sprintf("%s is %v, which YAML reads as no text: put it in quotes", path, value))
		}
		return s
	}
	d.apiVersion = text(d.object, "apiVersion", "apiVersion")
	d.kind = text(d.object, "kind", "kind")
	metadata, ok := d.object["metadata"].(map[string]any)
	if !ok {
		return append(problems, "metadata is missing or no map: write at least metadata.name")
	}
	if generate, ok := metadata["generateName"]; ok && metadata["name"] == nil {
		return append(problems, fmt.Sprintf("metadata.generateName is %v without a metadata.name: "+
			"Git needs a fixed name, or every synchronisation makes another object", generate))
	}
	d.name = text(metadata, "name", "metadata.name")
	if _, there := metadata["namespace"]; there {
		d.namespace = text(metadata, "namespace", "metadata.namespace")
	}
	return problems
}
