package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Kind is the type of a property.
type Kind int

// The types of properties.
const (
	String Kind = iota
	Int
	Bool
	StringList
	StringMap
	Object
	ObjectList
)

// Field is one property a resource takes.
type Field struct {
	Kind     Kind
	Required bool
	// Secret values stay secret in the state even if the program forgot to say so.
	Secret bool
	// Default is filled in when the property is absent; nil means none.
	Default any
}

// Fields are the properties of a resource by name.
type Fields map[string]Field

// Complete checks inputs against the fields and fills in the defaults. Unknown
// values pass.
func (f Fields) Complete(inputs resource.PropertyMap) (resource.PropertyMap, []Failure) {
	out := resource.PropertyMap{}
	var failures []Failure
	for key, value := range inputs {
		field, known := f[string(key)]
		if !known {
			if strings.HasPrefix(string(key), "__") {
				continue
			}
			failures = append(failures, Failure{Property: string(key), Reason: "is not a property of this resource; it has " + f.names()})
			continue
		}
		if value.IsNull() {
			continue
		}
		if plain := plainValue(value); !plain.ContainsUnknowns() && !field.Kind.matches(plain) {
			failures = append(failures, Failure{Property: string(key), Reason: "must be " + field.Kind.String()})
		}
		if field.Secret && !value.IsSecret() && !value.IsComputed() {
			value = resource.MakeSecret(value)
		}
		out[key] = value
	}
	for name, field := range f {
		if _, ok := out[resource.PropertyKey(name)]; ok {
			continue
		}
		if field.Required {
			failures = append(failures, Failure{Property: name, Reason: "is required"})
		}
		if field.Default != nil {
			out[resource.PropertyKey(name)] = resource.NewPropertyValue(field.Default)
		}
	}
	sort.Slice(failures, func(i, j int) bool { return failures[i].Property < failures[j].Property })
	return out, failures
}

func (f Fields) names() string {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

func (k Kind) matches(v resource.PropertyValue) bool {
	switch k {
	case String:
		return v.IsString()
	case Int:
		return v.IsNumber() && v.NumberValue() == math.Trunc(v.NumberValue())
	case Bool:
		return v.IsBool()
	case StringList:
		if !v.IsArray() {
			return false
		}
		for _, item := range v.ArrayValue() {
			if !item.IsString() {
				return false
			}
		}
		return true
	case StringMap:
		if !v.IsObject() {
			return false
		}
		for _, item := range v.ObjectValue() {
			if !item.IsString() && !item.IsNull() {
				return false
			}
		}
		return true
	case ObjectList:
		if !v.IsArray() {
			return false
		}
		for _, item := range v.ArrayValue() {
			if !item.IsObject() {
				return false
			}
		}
		return true
	default:
		return v.IsObject()
	}
}

func (k Kind) String() string {
	return [...]string{"a string", "a whole number", "true or false", "a list of strings", "a map of strings", "an object", "a list of objects"}[k]
}

// Values are inputs that passed Complete, for reading. An absent value reads as
// the zero value of its type.
type Values resource.PropertyMap

// String reads a string.
func (v Values) String(name string) string {
	if value := v[resource.PropertyKey(name)]; value.IsString() {
		return value.StringValue()
	}
	return ""
}

// Int reads a whole number.
func (v Values) Int(name string) int {
	if value := v[resource.PropertyKey(name)]; value.IsNumber() {
		return int(value.NumberValue())
	}
	return 0
}

// Bool reads a truth value.
func (v Values) Bool(name string) bool {
	value := v[resource.PropertyKey(name)]
	return value.IsBool() && value.BoolValue()
}

// Strings reads a list of strings.
func (v Values) Strings(name string) []string {
	var out []string
	if value := v[resource.PropertyKey(name)]; value.IsArray() {
		for _, item := range value.ArrayValue() {
			out = append(out, fmt.Sprint(item.Mappable()))
		}
	}
	return out
}

// Decode reads all values into a struct with JSON tags. One that has no field there
// is an error.
func (v Values) Decode(to any) error {
	text, err := json.Marshal(resource.PropertyMap(v).Mappable())
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

// Has tells whether a value is there.
func (v Values) Has(name string) bool {
	_, ok := v[resource.PropertyKey(name)]
	return ok
}

// Object reads an object.
func (v Values) Object(name string) Values {
	if value := v[resource.PropertyKey(name)]; value.IsObject() {
		return Values(value.ObjectValue())
	}
	return nil
}
