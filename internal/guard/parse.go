package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	jsonutil "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/kustomize/kyaml/yaml"
	// What Argo CD and the API server's own clients read YAML with.
	kubeyaml "sigs.k8s.io/yaml"
)

// problem is something wrong at a line of a file; 0 is the file itself.
type problem struct {
	line int
	text string
}

// parse splits a file into its objects the way Argo CD does, lists flattened.
// What is ambiguous, and what Argo CD would read in another way than people do,
// is a problem.
func parse(name string, data []byte) ([]*document, []problem) {
	if !utf8.Valid(data) {
		return nil, []problem{{0, "is not UTF-8 text: save it as UTF-8"}}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	chunks, problems := split(data)
	if strings.HasSuffix(name, ".json") {
		chunks, problems = []chunk{{text: data}}, nil
		if p := onlyJSON(data); p != nil {
			return nil, []problem{*p}
		}
	}
	var documents []*document
	for _, c := range chunks {
		found, wrong := c.documents()
		documents = append(documents, found...)
		problems = append(problems, wrong...)
	}
	if len(documents) == 0 && len(problems) == 0 {
		problems = append(problems, problem{0, "holds no object: write one, or delete the file"})
	}
	for _, d := range documents {
		d.file = name
	}
	return documents, problems
}

// onlyJSON refuses what Argo CD cannot read as one JSON object.
func onlyJSON(data []byte) *problem {
	d := json.NewDecoder(bytes.NewReader(data))
	var object map[string]any
	err := d.Decode(&object)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("there is more than one object in it: a JSON file holds one, or a List")
	}
	line := 1 + bytes.Count(data[:min(int(d.InputOffset()), len(data))], []byte("\n"))
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line = 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
	}
	return &problem{line, "cannot be read as one JSON object: " + err.Error()}
}

// chunk is the text between two separators.
type chunk struct {
	text []byte
	// offset is how many lines are before it in the file.
	offset int
}

// split cuts at lines that begin with ---, as the reader of Argo CD does.
func split(data []byte) ([]chunk, []problem) {
	var chunks []chunk
	var problems []problem
	current := chunk{}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		rest, separator := bytes.CutPrefix(line, []byte("---"))
		if !separator {
			current.text = append(current.text, line...)
			continue
		}
		chunks = append(chunks, current)
		current = chunk{offset: number}
		if rest = bytes.TrimSpace(rest); len(rest) > 0 && rest[0] != '#' {
			problems = append(problems, problem{number, fmt.Sprintf("%q follows the separator ---: write it on a line of its own", rest)})
		}
	}
	return append(chunks, current), problems
}

func (c chunk) documents() ([]*document, []problem) {
	node, wrong := c.decode()
	if wrong != nil || node == nil {
		return nil, wrong
	}
	raw, err := kubeyaml.YAMLToJSON(c.text)
	if err != nil {
		return nil, []problem{c.failed(err)}
	}
	var value any
	if err := jsonutil.Unmarshal(raw, &value); err != nil {
		return nil, []problem{c.failed(err)}
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, []problem{{c.offset + node.Line, "is no object: write a map with apiVersion, kind and metadata"}}
	}
	return c.flatten(object, node)
}

// decode reads the chunk as nodes; nil without a problem means there is nothing
// but comments.
func (c chunk) decode() (*yaml.Node, []problem) {
	decoder := yaml.NewDecoder(bytes.NewReader(c.text))
	var root, more yaml.Node
	err := decoder.Decode(&root)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		// After an end marker (...) the reader of Argo CD ignores what follows.
		if err = decoder.Decode(&more); errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			err = errors.New("another document begins without the separator ---")
		}
	}
	if err != nil {
		return nil, []problem{c.failed(err)}
	}
	node := root.Content[0]
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil, nil
	}
	if problems := c.keys(node); len(problems) > 0 {
		return nil, problems
	}
	return node, nil
}

var lineNumber = regexp.MustCompile(`^(?:error converting YAML to JSON: )?yaml:(?: unmarshal errors:\s*)? line (\d+): `)

// failed is a reader's error at the line of the file.
func (c chunk) failed(err error) problem {
	text, line := err.Error(), c.offset+1
	if m := lineNumber.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		text, line = text[len(m[0]):], c.offset+n
	}
	return problem{line, "cannot be read as YAML: " + strings.Join(strings.Fields(strings.TrimPrefix(text, "yaml: ")), " ")}
}

// keys refuses mappings in which it depends on the reader which value counts.
func (c chunk) keys(node *yaml.Node) []problem {
	var problems []problem
	if node.Kind == yaml.MappingNode {
		first := map[string]int{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.Kind != yaml.ScalarNode {
				problems = append(problems, problem{c.offset + key.Line, "has a key that is no text: write a plain word"})
				continue
			}
			if line, twice := first[key.Value]; twice {
				problems = append(problems, problem{c.offset + key.Line,
					fmt.Sprintf("has the key %q twice, first in line %d: remove one", key.Value, c.offset+line)})
				continue
			}
			if key.Tag == "!!merge" && i > 0 {
				problems = append(problems, problem{c.offset + key.Line, "merges (<<) after other keys, which readers resolve in two ways: put << first"})
			}
			first[key.Value] = key.Line
		}
	}
	for _, n := range node.Content {
		problems = append(problems, c.keys(n)...)
	}
	return problems
}

// flatten is the object, or the objects of a list: Argo CD takes everything
// with items for one.
func (c chunk) flatten(object map[string]any, node *yaml.Node) ([]*document, []problem) {
	line := c.offset + node.Line
	items, isList := object["items"].([]any)
	kind, _ := object["kind"].(string)
	if !isList {
		d := &document{line: line, object: object, node: node, offset: c.offset}
		var problems []problem
		for _, text := range d.identify() {
			problems = append(problems, problem{line, text})
		}
		if len(problems) > 0 {
			return nil, problems
		}
		return []*document{d}, nil
	}
	if !strings.HasSuffix(kind, "List") {
		return nil, []problem{{line, fmt.Sprintf("has items but is of kind %q: Argo CD would take it for a list", kind)}}
	}
	if len(items) == 0 {
		return nil, []problem{{line, "is a list without items: write some, or delete it"}}
	}
	nodes, _ := child(node, "items")
	for range maxAliases {
		if nodes != nil && nodes.Kind == yaml.AliasNode {
			nodes = nodes.Alias
		}
	}
	var documents []*document
	var problems []problem
	for i, item := range items {
		at := node
		if nodes != nil {
			if n, _ := child(nodes, strconv.Itoa(i)); n != nil {
				at = n
			}
		}
		o, ok := item.(map[string]any)
		if !ok {
			problems = append(problems, problem{c.offset + at.Line, fmt.Sprintf("has items[%d], which is no object", i)})
			continue
		}
		found, wrong := c.flatten(o, at)
		documents = append(documents, found...)
		problems = append(problems, wrong...)
	}
	return documents, problems
}
