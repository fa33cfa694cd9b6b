package render

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

const crdKind = "CustomResourceDefinition"

// harvest is what a layer takes from one upstream.
type harvest struct {
	// documents are YAML documents for kustomize.
	documents [][]byte
	// crds are CustomResourceDefinitions.
	crds []map[string]any
}

// take reads the files of s below folder, without what the layer drops. used
// counts the matches of each drop rule.
func (s source) take(folder string, upstream *Upstream, l *layer, used []int) (*harvest, error) {
	text, err := s.read(os.DirFS(folder))
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", s.Name, err)
	}
	for _, from := range slices.Sorted(maps.Keys(s.Replace)) {
		to, err := upstream.expand(s.Replace[from])
		if err != nil {
			return nil, fmt.Errorf("upstream %s: replace %q: %w", s.Name, from, err)
		}
		if !bytes.Contains(text, []byte(from)) {
			return nil, fmt.Errorf("upstream %s: nothing there is called %q any more: correct the replace rule", s.Name, from)
		}
		text = bytes.ReplaceAll(text, []byte(from), []byte(to))
	}
	var h harvest
	for _, document := range splitDocuments(text) {
		kind, name := peek(document)
		if dropped(l.Drop, used, kind, name) {
			continue
		}
		if kind != crdKind || slices.Contains(l.PatchedDefinitions, name) {
			h.documents = append(h.documents, document)
			continue
		}
		crd, err := decodeObject(document)
		if err != nil {
			return nil, fmt.Errorf("upstream %s: %s %s: %w", s.Name, kind, name, err)
		}
		h.crds = append(h.crds, crd)
	}
	return &h, nil
}

// read concatenates the files, one document stream in the order of the paths.
func (s source) read(module fs.FS) ([]byte, error) {
	var text bytes.Buffer
	for _, p := range s.Paths {
		files, err := fs.Glob(module, p)
		if err != nil {
			return nil, fmt.Errorf("path %q: %w", p, err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("there is no file %q: correct the paths of the layer", p)
		}
		for _, file := range files {
			if e := path.Ext(file); e != ".yaml" && e != ".yml" {
				continue
			}
			data, err := fs.ReadFile(module, file)
			if err != nil {
				return nil, err
			}
			text.WriteString("---\n")
			text.Write(data)
			text.WriteString("\n")
		}
	}
	return text.Bytes(), nil
}

func dropped(drop []rule, used []int, kind, name string) bool {
	any := false
	for i, r := range drop {
		if r.matches(kind, name) {
			used[i]++
			any = true
		}
	}
	return any
}

// unusedRules is an error for each drop rule that matched nothing: it stands for
// something upstream no longer has.
func unusedRules(drop []rule, used []int) error {
	var problems []error
	for i, r := range drop {
		if used[i] == 0 {
			problems = append(problems, fmt.Errorf("drop rule %q matches nothing upstream: remove or correct it", r))
		}
	}
	return errors.Join(problems...)
}

// splitDocuments cuts a YAML stream at its separators and leaves out documents
// without content.
func splitDocuments(text []byte) [][]byte {
	var documents [][]byte
	var current []byte
	content := false
	flush := func() {
		if content {
			documents = append(documents, current)
		}
		current, content = nil, false
	}
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("---")) {
			flush()
			continue
		}
		current = append(current, line...)
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 && trimmed[0] != '#' {
			content = true
		}
	}
	flush()
	return documents
}

// peek reads a document's kind and metadata.name without decoding it: decoding
// megabytes of schema only to drop them would be most of the work.
func peek(document []byte) (kind, name string) {
	inMetadata := false
	for line := range bytes.Lines(document) {
		text := strings.TrimRight(string(line), "\r\n ")
		switch {
		case strings.HasPrefix(text, "kind:"):
			kind = scalar(text[len("kind:"):])
		case text == "metadata:":
			inMetadata = true
			continue
		case inMetadata && strings.HasPrefix(text, "  name:"):
			name = scalar(text[len("  name:"):])
		case text != "" && text[0] != ' ' && text[0] != '#':
			inMetadata = false
		}
		if kind != "" && name != "" {
			break
		}
	}
	return kind, name
}

func scalar(s string) string {
	s, _, _ = strings.Cut(s, " #")
	return strings.Trim(strings.TrimSpace(s), `"'`)
}
