package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Where a value came from.
const (
	// SourceDefault is nobody having written one.
	SourceDefault = "default"
	// SourceFile is the settings file.
	SourceFile = "file"
	// SourceEnvironment is a variable the program was started with.
	SourceEnvironment = "environment"
	// SourceFlag is the command line.
	SourceFlag = "flag"
	// SourceKubeconfig is the kubeconfig that is taken.
	SourceKubeconfig = "kubeconfig"
)

// Setting is one value of a Config and where it came from.
type Setting struct {
	// Key is where it is written, such as neuroscale:tenants[0].quota.pods.
	Key string `json:"key"`
	// Value is a text, a number, a truth value or a list; a time is a text.
	Value any `json:"value"`
	// Source is one of the constants above.
	Source string `json:"source"`
	// At is the place in it: a file, if it is the settings' with the line, or the name
	// of a variable. Empty for a default.
	At string `json:"at,omitempty"`
}

// Within is whether the setting is key or below it; key may leave the namespace out.
func (s Setting) Within(key string) bool {
	rest, ok := strings.CutPrefix(s.Name(), strings.TrimPrefix(key, Namespace+":"))
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// Name is the key without its namespace.
func (s Setting) Name() string { return strings.TrimPrefix(s.Key, Namespace+":") }

// Settings are all values of c, which was loaded from a settings file, in the order
// of its types.
func Settings(c *Config, file string, content []byte) ([]Setting, error) {
	lines, err := writtenAt(content)
	if err != nil {
		return nil, fmt.Errorf("%s is not YAML: %w", file, err)
	}
	var all []Setting
	walk(reflect.ValueOf(c).Elem(), func(f field) {
		s := Setting{Key: Namespace + ":" + f.at, Value: plain(f.value), Source: SourceDefault}
		if line, ok := lines[s.Key]; ok {
			s.Source, s.At = SourceFile, fmt.Sprintf("%s:%d", file, line)
		}
		all = append(all, s)
	})
	return all, nil
}

// writtenAt is the line of every key below config in a settings file. A value that is
// JSON in a text is on the line of its key.
func writtenAt(content []byte) (map[string]int, error) {
	var file yaml.Node
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	lines := lines{}
	if len(file.Content) > 0 {
		lines.mapping(file.Content[0], func(name string, _ int, value *yaml.Node) {
			if name == "config" {
				lines.mapping(value, lines.note)
			}
		})
	}
	return lines, nil
}

type lines map[string]int

func (l lines) note(at string, line int, value *yaml.Node) {
	l[at] = line
	l.mapping(value, func(name string, line int, value *yaml.Node) { l.note(at+"."+name, line, value) })
	if value = followed(value); value.Kind == yaml.SequenceNode {
		for i, element := range value.Content {
			l.note(fmt.Sprintf("%s[%d]", at, i), element.Line, element)
		}
	}
	if value.Kind != yaml.ScalarNode || value.Tag != "!!str" {
		return
	}
	var inner yaml.Node
	if yaml.Unmarshal([]byte(value.Value), &inner) != nil || len(inner.Content) == 0 || inner.Content[0].Kind == yaml.ScalarNode {
		return
	}
	nested := lines{}
	nested.note(at, line, inner.Content[0])
	for key := range nested {
		l[key] = line
	}
}

// mapping visits the keys of a mapping, those that are merged into it by << as well.
func (l lines) mapping(node *yaml.Node, visit func(name string, line int, value *yaml.Node)) {
	type pair struct{ key, value *yaml.Node }
	pairs := map[string]pair{}
	var collect func(*yaml.Node)
	collect = func(node *yaml.Node) {
		node = followed(node)
		if node.Kind == yaml.SequenceNode { // of merged mappings: the first one wins
			for _, each := range slices.Backward(node.Content) {
				collect(each)
			}
		}
		if node.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i < len(node.Content); i += 2 {
			if node.Content[i].Tag == "!!merge" {
				collect(node.Content[i+1])
			}
		}
		for i := 0; i < len(node.Content); i += 2 {
			if key := node.Content[i]; key.Tag != "!!merge" {
				pairs[key.Value] = pair{key, node.Content[i+1]}
			}
		}
	}
	if followed(node).Kind == yaml.MappingNode {
		collect(node)
	}
	for name, p := range pairs {
		visit(name, p.key.Line, p.value)
	}
}

// followed is what an alias stands for.
func followed(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}
