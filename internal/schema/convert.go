package schema

import (
	"maps"
	"math"
	"slices"
	"strings"
)

const (
	// definitionsPrefix is what local references start with, in Kubernetes'
	// description of its API and in what is made from it.
	definitionsPrefix = "#/definitions/"
	// quantityPattern is what resource.ParseQuantity accepts as text.
	quantityPattern = `^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$`
	// base64Pattern is what Go decodes as base64 in JSON, line breaks included.
	base64Pattern = `^(([\r\n]*[A-Za-z0-9+/]){4})*(([\r\n]*[A-Za-z0-9+/]){2}([\r\n]*=){2}|([\r\n]*[A-Za-z0-9+/]){3}[\r\n]*=)?[\r\n]*$`
)

// node is one JSON schema (draft 4).
type node = map[string]any

// copied are the keywords that mean the same in OpenAPI and JSON schema.
var copied = []string{
	"enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
	"minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
}

// converter turns OpenAPI schemas into strict JSON schemas.
type converter struct {
	// named are the schemas that stand in for a reference.
	named map[string]node
	// bounded closes objects that name no properties: in a resource definition
	// the API server drops what is in them, in its own API they can hold anything.
	bounded bool
}

// convert makes a strict schema: an object has only the properties that are
// named, also where the API server would keep others, because a misspelt one
// beside the right ones is never meant. Values that are only constraints on a
// value described elsewhere (loose) close nothing.
func (c converter) convert(in node, loose bool) node {
	if ref, ok := in["$ref"].(string); ok {
		return c.named[strings.TrimPrefix(ref, definitionsPrefix)]
	}
	out := node{}
	for _, keyword := range copied {
		if v, ok := in[keyword]; ok {
			out[keyword] = v
		}
	}
	if pattern, _ := in["pattern"].(string); strings.Contains(pattern, "[KMGTPE]i") {
		out["pattern"] = quantityPattern
	}
	kind, _ := in["type"].(string)
	if kind != "" {
		out["type"] = kind
	}
	if in["x-kubernetes-int-or-string"] == true || in["format"] == "int-or-string" {
		out["type"] = []any{"integer", "string"}
	} else {
		for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
			if list, ok := in[keyword].([]any); ok && len(list) > 0 {
				out[keyword] = c.convertAll(list)
			}
		}
	}
	if not, ok := in["not"].(node); ok {
		out["not"] = c.convert(not, true)
	}
	if format, ok := in["format"].(string); ok {
		setFormat(out, format)
	}
	if items, ok := in["items"].(node); ok {
		out["items"] = c.convert(items, loose)
	}
	if required := requiredOf(in); len(required) > 0 {
		out["required"] = required
	}
	c.convertObject(in, out, kind, loose)
	if in["nullable"] == true {
		return nullable(out)
	}
	return out
}

func (c converter) convertAll(list []any) []any {
	var out []any
	for _, one := range list {
		schema, _ := one.(node)
		out = append(out, c.convert(schema, true))
	}
	return out
}

func (c converter) convertObject(in, out node, kind string, loose bool) {
	properties, _ := in["properties"].(node)
	if len(properties) > 0 {
		converted := node{}
		for name, property := range properties {
			schema, _ := property.(node)
			schema = c.convert(schema, loose)
			if !loose && !slices.Contains(requiredOf(in), any(name)) {
				schema = nullable(schema)
			}
			converted[name] = schema
		}
		out["properties"] = converted
	}
	switch additional := in["additionalProperties"].(type) {
	case node:
		out["additionalProperties"] = c.convert(additional, loose)
		return
	case bool:
		out["additionalProperties"] = additional
		return
	}
	switch {
	case loose || kind != "object" || in["x-kubernetes-embedded-resource"] == true:
	case len(properties) > 0, c.bounded && in["x-kubernetes-preserve-unknown-fields"] != true:
		out["additionalProperties"] = false
	}
}

// requiredOf are the properties that have to be written: the API server fills in
// one that has a default.
func requiredOf(in node) []any {
	required, _ := in["required"].([]any)
	properties, _ := in["properties"].(node)
	return slices.DeleteFunc(slices.Clone(required), func(name any) bool {
		text, _ := name.(string)
		property, _ := properties[text].(node)
		_, has := property["default"]
		return has
	})
}

// setFormat writes a format down as what a JSON schema can check.
func setFormat(out node, format string) {
	set := func(keyword string, v any) {
		if _, given := out[keyword]; !given {
			out[keyword] = v
		}
	}
	switch format {
	case "int32":
		set("minimum", math.MinInt32)
		set("maximum", math.MaxInt32)
	case "byte":
		set("pattern", base64Pattern)
	case "date-time", "duration", "ipv4", "ipv6", "uri":
		set("format", format)
	}
}

// nullable allows null: the API server treats it as a field that is not there.
func nullable(schema node) node {
	out := maps.Clone(schema)
	if values, ok := out["enum"].([]any); ok && !slices.Contains(values, nil) {
		out["enum"] = append(slices.Clone(values), nil)
	}
	switch kind := out["type"].(type) {
	case string:
		out["type"] = []any{kind, "null"}
	case []any:
		if !slices.Contains(kind, any("null")) {
			out["type"] = append(slices.Clone(kind), "null")
		}
	}
	return out
}
