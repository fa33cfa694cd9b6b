package guardrails

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Namespaces are where the manifests of a corpus say they belong.
type Namespaces struct {
	// Tenant is a tenant's, Other is nobody's.
	Tenant, Other string
}

// Cases are all manifests, always the same in the same order.
func Cases(n Namespaces) ([]Case, error) {
	var all []Case
	for _, s := range shapes() {
		for _, set := range []struct {
			mutations []mutation
			operation Operation
			namespace string
		}{
			{mutations(), Create, n.Tenant},
			{updates(), Update, n.Tenant},
			{debugs(), Debug, n.Tenant},
			{outsides(), Create, n.Other},
		} {
			for _, m := range set.mutations {
				if !m.appliesTo(s) {
					continue
				}
				c, err := newCase(s, m, form{write: asYAML}, set.namespace)
				if err != nil {
					return nil, err
				}
				c.Operation = set.operation
				all = append(all, c)
			}
		}
		if !s.deep {
			continue
		}
		for _, f := range forms() {
			m := mutation{name: f.name, says: f.says, want: f.want, change: func(t *target) {
				if c := t.container(); c["image"] == nil {
					c["image"] = goodImage
				}
				f.change(t)
			}}
			c, err := newCase(s, m, f, n.Tenant)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

func newCase(s shape, m mutation, f form, namespace string) (Case, error) {
	c := Case{
		ID: s.name + "/" + m.name, Shape: s.name, Kind: s.kind(), Mutation: m.says,
		Want: m.wants(s), Operation: Create, Namespace: namespace,
	}
	name := strings.ReplaceAll(s.name+"-"+m.name, "inferenceservice", "isvc")
	o := s.object()
	metadata := at(o, "metadata")
	metadata["name"] = name
	if !f.anonymous {
		metadata["namespace"] = namespace
	}
	m.change(&target{s, o})
	extension := f.extension
	if extension == "" {
		extension = "yaml"
	}
	c.File = name + "." + extension
	var err error
	if c.Text, err = f.write(s, o); err != nil {
		return Case{}, fmt.Errorf("%s: %w", c.ID, err)
	}
	return c, nil
}

// Base is the good manifest of a shape, which cases of Operation Update and Debug
// are about.
func Base(shape, namespace string) map[string]any {
	o := shapeNamed(shape).object()
	metadata := at(o, "metadata")
	metadata["name"], metadata["namespace"] = BaseName(shape), namespace
	return o
}

// BaseName is the name of the good object of a shape.
func BaseName(shape string) string {
	return "corpus-" + strings.ReplaceAll(shape, "inferenceservice", "isvc")
}

// Document is one object of a case's text.
type Document struct {
	// Text is how it is written, in YAML or JSON.
	Text []byte
	// Object is what it says; nil if it cannot be read.
	Object map[string]any
}

// Read takes a text apart as kubectl does: into documents, and Lists into items.
// Text that cannot be read is a document without an object.
func (c Case) Read() []Document {
	var all []Document
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(c.Text)))
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			return append(all, Document{Text: c.Text})
		}
		o := object{}
		if err := yaml.UnmarshalStrict(text, &o); err != nil {
			all = append(all, Document{Text: text})
			continue
		}
		items, _ := o["items"].([]any)
		switch {
		case len(o) == 0: // Nothing but comments.
		case o["kind"] == "List":
			for _, item := range items {
				text, err := yaml.Marshal(item)
				if err != nil {
					panic(err) // It came out of YAML.
				}
				all = append(all, Document{Text: text, Object: item.(object)})
			}
		default:
			all = append(all, Document{Text: text, Object: o})
		}
	}
}
