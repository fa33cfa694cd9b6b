package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// explain says what is wrong with an object that kubeconform found invalid:
// kubeconform itself names no field once two of them are wrong below the same
// parent. What is not found here is said in kubeconform's words, so that an
// invalid object never has no problems.
func (v *Validator) explain(k indexed, object map[string]any, at string, said error) []Problem {
	data, err := os.ReadFile(filepath.Join(v.folder, filepath.FromSlash(k.File)))
	if err != nil {
		return []Problem{{at, fmt.Sprintf("it is not valid, and its schema cannot be read any more: %s", err)}}
	}
	e := explainer{}
	if err := json.Unmarshal(data, &e.root); err != nil {
		return []Problem{{at, fmt.Sprintf("it is not valid, and its schema cannot be read any more: %s", err)}}
	}
	e.walk(e.root, object, at)
	if len(e.problems) == 0 {
		_, text, _ := strings.Cut(said.Error(), " - at ")
		e.add(at, "it does not fit the schema of %s: correct what is said here: at %s", k.Kind, strings.Join(strings.Fields(text), " "))
	}
	return e.problems
}

// explainer compares a value with a schema made by this package.
type explainer struct {
	root     node
	problems []Problem
}

func (e *explainer) add(at, format string, args ...any) {
	e.problems = append(e.problems, Problem{at, fmt.Sprintf(format, args...)})
}

func (e *explainer) walk(schema node, v any, at string) {
	if ref, ok := schema["$ref"].(string); ok {
		definitions, _ := e.root["definitions"].(node)
		schema, _ = definitions[strings.TrimPrefix(ref, definitionsPrefix)].(node)
	}
	if types := typesOf(schema); len(types) > 0 && !slices.ContainsFunc(types, func(t string) bool { return is(v, t) }) {
		e.add(at, "%s", mistyped(v, slices.DeleteFunc(types, func(t string) bool { return t == "null" })))
		return
	}
	if values, ok := schema["enum"].([]any); ok && !slices.ContainsFunc(values, func(value any) bool { return reflect.DeepEqual(value, v) }) {
		e.add(at, "%s", unlisted(v, values))
		return
	}
	switch v := v.(type) {
	case map[string]any:
		e.object(schema, v, at)
	case []any:
		e.array(schema, v, at)
	case string:
		e.text(schema, v, at)
	case float64:
		e.number(schema, v, at)
	}
}

func (e *explainer) object(schema node, object map[string]any, at string) {
	properties, _ := schema["properties"].(node)
	for _, name := range requiredOf(schema) {
		if _, ok := object[name.(string)]; !ok {
			e.add(field(at, name.(string)), "is missing: add it")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		where := field(at, name)
		if property, ok := properties[name].(node); ok {
			e.walk(property, object[name], where)
			continue
		}
		switch additional := schema["additionalProperties"].(type) {
		case node:
			e.walk(additional, object[name], where)
		case bool:
			if !additional {
				e.add(where, "%s", stranger(name, slices.Sorted(maps.Keys(properties))))
			}
		}
	}
}

// few is how many names fit into a message.
const few = 10

func stranger(name string, known []string) string {
	near := nearest.Word(name, known)
	switch {
	case near != "":
		return fmt.Sprintf("unknown field: did you mean %q?", near)
	case len(known) == 0:
		return "unknown field: the cluster would drop it, remove it"
	case len(known) <= few:
		return "unknown field: remove it or use one of " + strings.Join(known, ", ")
	}
	return "unknown field: correct or remove it"
}

func (e *explainer) array(schema node, list []any, at string) {
	items, _ := schema["items"].(node)
	for i, item := range list {
		e.walk(items, item, at+"["+strconv.Itoa(i)+"]")
	}
	e.bounds(schema, "Items", float64(len(list)), at, "items")
}

func (e *explainer) text(schema node, text, at string) {
	e.bounds(schema, "Length", float64(utf8.RuneCountInString(text)), at, "characters")
	pattern, ok := schema["pattern"].(string)
	if !ok {
		return
	}
	if compiled, err := regexp.Compile(pattern); err != nil || compiled.MatchString(text) {
		return
	}
	switch pattern {
	case quantityPattern:
		e.add(at, "%q is not a quantity: write for instance 500m, 2 or 512Mi", text)
	case base64Pattern:
		// Not the value: it may be a secret.
		e.add(at, "is not base64: encode it")
	default:
		e.add(at, "%q has to match %s", text, pattern)
	}
}

func (e *explainer) number(schema node, n float64, at string) {
	if least, ok := schema["minimum"].(float64); ok && n < least {
		e.add(at, "%s is too small: it has to be at least %s", decimal(n), decimal(least))
	}
	if most, ok := schema["maximum"].(float64); ok && n > most {
		e.add(at, "%s is too large: it can be at most %s", decimal(n), decimal(most))
	}
}

func decimal(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// bounds checks minItems, maxLength and the like.
func (e *explainer) bounds(schema node, what string, n float64, at, unit string) {
	if least, ok := schema["min"+what].(float64); ok && n < least {
		e.add(at, "has %v %s: at least %v are needed", n, unit, least)
	}
	if most, ok := schema["max"+what].(float64); ok && n > most {
		e.add(at, "has %v %s: at most %v are allowed", n, unit, most)
	}
}

// typesOf are the types a schema allows.
func typesOf(schema node) []string {
	switch t := schema["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var types []string
		for _, one := range t {
			types = append(types, one.(string))
		}
		return types
	}
	return nil
}

// is says whether a value from JSON has a type of JSON schema.
func is(v any, kind string) bool {
	switch v := v.(type) {
	case nil:
		return kind == "null"
	case map[string]any:
		return kind == "object"
	case []any:
		return kind == "array"
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && v == math.Trunc(v)
	}
	return false
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "empty"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "text"
	case bool:
		return "true or false"
	}
	return "a number"
}

var needed = map[string]string{
	"object": "an object", "array": "a list", "string": "text", "boolean": "true or false",
	"integer": "a whole number", "number": "a number",
}

// mistyped says what a value is and what it should be. Text and numbers where
// text belongs may be secrets and are not repeated.
func mistyped(v any, want []string) string {
	var wanted []string
	for _, t := range want {
		wanted = append(wanted, needed[t])
	}
	said := fmt.Sprintf("is %s, but has to be %s", typeName(v), strings.Join(wanted, " or "))
	switch v := v.(type) {
	case nil:
		return said + ": add what is missing or remove the field"
	case float64, bool:
		if slices.Contains(want, "string") {
			return said + ": put it in quotes"
		}
	case string:
		var unquoted any
		scalar := func(t string) bool { return t != "object" && t != "array" && is(unquoted, t) }
		if json.Unmarshal([]byte(v), &unquoted) == nil && slices.ContainsFunc(want, scalar) {
			return said + ": write " + v + " without quotes"
		}
	}
	return said + ": correct it"
}

// unlisted says which values there are.
func unlisted(v any, values []any) string {
	var known []string
	for _, value := range values {
		if value != nil {
			known = append(known, fmt.Sprint(value))
		}
	}
	if near := nearest.Word(fmt.Sprint(v), known); near != "" {
		return fmt.Sprintf("%v is not allowed: did you mean %s?", v, near)
	}
	return fmt.Sprintf("%v is not allowed: use one of %s", v, strings.Join(known, ", "))
}

// plain are field names that need no quotes in a path.
var plain = regexp.MustCompile(`^[A-Za-z0-9_$-]+$`)

func field(at, name string) string {
	if !plain.MatchString(name) {
		return at + "[" + strconv.Quote(name) + "]"
	}
	return join(at, name)
}
