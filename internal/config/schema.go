package config

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// types is the file all types of Config are in: their comments are the words of the
// schema.
//
//go:embed types.go
var types []byte

// Schema is the JSON schema (draft 7) of a Pulumi.STACK.yaml: what editors complete,
// explain and check. It allows no more than Load does by the form of a value alone;
// what depends on other values only Load knows.
func Schema() ([]byte, error) {
	words, err := readComments(types)
	if err != nil {
		return nil, fmt.Errorf("read the comments of the configuration: %w", err)
	}
	properties := map[string]any{}
	var keys []string
	defaults := reflect.ValueOf(Default()).Elem()
	for i := range defaults.NumField() {
		of := defaults.Type().Field(i)
		key := Namespace + ":" + of.Tag.Get("json")
		keys = append(keys, key)
		properties[key] = words.schema(of, defaults.Type(), defaults.Field(i))
	}
	text, err := json.MarshalIndent(map[string]any{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"title":       "Settings of a NeuroScale stack",
		"description": "A Pulumi.STACK.yaml of NeuroScale. Everything may be left out.",
		"type":        "object",
		"properties": map[string]any{"config": map[string]any{
			"type":        []string{"object", "null"},
			"description": "The values of the stack.",
			"properties":  properties,
			// Keys of other namespaces are other programs'.
			"propertyNames": map[string]any{"anyOf": []any{
				map[string]any{"enum": keys},
				map[string]any{"not": map[string]any{"pattern": "^" + Namespace + ":"}},
			}},
		}},
	}, "", "  ")
	return append(text, '\n'), err
}

// quantity is what Kubernetes takes for an amount.
const quantity = `^[+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$`

// duration is what Go takes for a time, without a sign, or whole days.
const duration = `^((([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+|[0-9]+d)$`

func (c comments) schema(of reflect.StructField, in reflect.Type, value reflect.Value) map[string]any {
	out := c.kind(of.Type, of.Tag, value)
	out["description"] = c.of(in, of)
	if k := of.Type.Kind(); k != reflect.Struct && value.IsValid() {
		out["default"] = plain(value)
	}
	return out
}

// kind is the schema of a type; value is its default, or invalid if there is none.
func (c comments) kind(t reflect.Type, tag reflect.StructTag, value reflect.Value) map[string]any {
	l := limitsOf(tag)
	switch {
	case t == reflect.TypeFor[Duration]():
		return map[string]any{"type": "string", "pattern": duration}
	case t.Kind() == reflect.Struct:
		properties := map[string]any{}
		for i := range t.NumField() {
			of := t.Field(i)
			var inside reflect.Value
			if value.IsValid() {
				inside = value.Field(i)
			}
			properties[of.Tag.Get("json")] = c.schema(of, t, inside)
		}
		return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": c.element(t.Elem(), tag)}
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.Int:
		out := map[string]any{"type": "integer"}
		if l.min != nil {
			out["minimum"] = *l.min
		}
		if l.max != nil {
			out["maximum"] = *l.max
		}
		return out
	case l.format == "quantity":
		return map[string]any{"type": []string{"string", "number"}, "pattern": quantity}
	case len(l.enum) > 0:
		return map[string]any{"type": "string", "enum": l.enum}
	}
	return map[string]any{"type": "string"}
}

// element is the schema of what a list holds. Its defaults are those of an element
// that is not the first: the first one's are those of the list.
func (c comments) element(t reflect.Type, tag reflect.StructTag) map[string]any {
	if t.Kind() != reflect.Struct {
		return c.kind(t, tag, reflect.Value{})
	}
	fresh := reflect.New(t)
	if e, ok := fresh.Interface().(defaulted); ok {
		e.setDefaults(1)
	}
	out := c.kind(t, tag, fresh.Elem())
	out["description"] = c.ofType(t)
	for _, property := range out["properties"].(map[string]any) {
		// An empty one is no value that could be left out.
		if p := property.(map[string]any); p["default"] == "" || reflect.ValueOf(p["default"]).Kind() == reflect.Slice {
			delete(p, "default")
		}
	}
	return out
}

// plain is a value the way it is written in a settings file.
func plain(v reflect.Value) any {
	switch {
	case v.Type() == reflect.TypeFor[Duration]():
		return v.Interface().(Duration).String()
	case v.Kind() == reflect.Slice:
		all := []any{}
		for i := range v.Len() {
			all = append(all, plain(v.Index(i)))
		}
		return all
	case v.Kind() == reflect.Map:
		object := map[string]any{}
		for _, key := range v.MapKeys() {
			object[key.String()] = v.MapIndex(key).Interface()
		}
		return object
	case v.Kind() == reflect.Struct:
		object := map[string]any{}
		for i := range v.NumField() {
			object[v.Type().Field(i).Tag.Get("json")] = plain(v.Field(i))
		}
		return object
	}
	return v.Interface()
}

// comments of types, and of their fields as TYPE.FIELD, with the names of people who
// write settings in place of those of people who write Go.
type comments map[string]string

func (c comments) ofType(t reflect.Type) string { return c[t.Name()] }

// of a field: its own, else that of its type or, of a plain value, of the type that
// it is in.
func (c comments) of(in reflect.Type, f reflect.StructField) string {
	if own := c[in.Name()+"."+f.Name]; own != "" {
		return own
	}
	t := f.Type
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return c.ofType(t)
	}
	return c.ofType(in)
}

func readComments(source []byte) (comments, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "types.go", source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	c, names := comments{}, map[string]string{}
	for _, d := range file.Decls {
		declaration, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range declaration.Specs {
			switch spec := s.(type) {
			case *ast.TypeSpec:
				c[spec.Name.Name] = declaration.Doc.Text()
				if object, ok := spec.Type.(*ast.StructType); ok {
					c.fields(spec.Name.Name, object, names)
				}
			case *ast.ValueSpec:
				for i, name := range spec.Names {
					if literal, ok := spec.Values[i].(*ast.BasicLit); ok {
						if names[name.Name], err = strconv.Unquote(literal.Value); err != nil {
							return nil, err
						}
					}
				}
			}
		}
	}
	for of, text := range c {
		c[of] = spoken(text, names)
	}
	return c, nil
}

// fields notes the comment of each field. One that stands over several is of all
// that it names.
func (c comments) fields(owner string, object *ast.StructType, names map[string]string) {
	above := ""
	for _, f := range object.Fields.List {
		if f.Doc != nil {
			above = f.Doc.Text()
		}
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
		for _, name := range f.Names {
			names[name.Name] = tag.Get("json")
			if slices.Contains(word.FindAllString(above, -1), name.Name) {
				c[owner+"."+name.Name] = above
			}
		}
	}
}

var word = regexp.MustCompile(`[A-Za-z0-9]+`)

// spoken is a comment on one line with names of Go replaced.
func spoken(text string, names map[string]string) string {
	text = word.ReplaceAllStringFunc(text, func(w string) string {
		if name, ok := names[w]; ok {
			return name
		}
		return w
	})
	return strings.Join(strings.Fields(text), " ")
}
