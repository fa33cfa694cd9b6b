package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/neuroscale-platform/neuroscale/internal/nearest"
	"sigs.k8s.io/yaml"
)

var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// decodeStrict decodes YAML; an unknown key is an error naming it and the
// nearest known one.
func decodeStrict(data []byte, into any) error {
	err := yaml.UnmarshalStrict(data, into)
	if err == nil {
		return nil
	}
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		path := strings.Split(m[1], ".")
		return unknown("key", path[len(path)-1], jsonFields(reflect.TypeOf(into)))
	}
	return err
}

// jsonFields are the JSON names of a struct's fields and of those below it.
func jsonFields(t reflect.Type) []string {
	var names []string
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return jsonFields(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if name != "" {
				names = append(names, name)
			}
			names = append(names, jsonFields(t.Field(i).Type)...)
		}
	}
	return names
}

// unknown says that a word is not known, and which one may have been meant.
func unknown(what, word string, known []string) error {
	if n := nearest.Word(word, known); n != "" {
		return fmt.Errorf("unknown %s %q: did you mean %q?", what, word, n)
	}
	return fmt.Errorf("unknown %s %q: known are %s", what, word, strings.Join(known, ", "))
}

// decodeObject decodes one YAML or JSON document into maps, slices, strings,
// booleans, int64 and float64, so that equal documents become equal values
// however they were written. An empty document gives nil.
func decodeObject(document []byte) (map[string]any, error) {
	data := bytes.TrimSpace(document)
	if len(data) == 0 {
		return nil, nil
	}
	if data[0] != '{' {
		var err error
		if data, err = yaml.YAMLToJSON(document); err != nil {
			return nil, err
		}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, err
	}
	if object == nil {
		return nil, nil
	}
	return numbers(object).(map[string]any), nil
}

// normal is v as it would come out of decodeObject.
func normal(v map[string]any) (map[string]any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return decodeObject(data)
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = numbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = numbers(e)
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	}
	return v
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
