package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// Load turns raw configuration values (Pulumi's map: "neuroscale:forge" to JSON)
// into a complete, valid Config. Keys of other namespaces are not looked at. The
// error joins every problem there is, one line each: unknown keys with the
// nearest known one, values of the wrong kind, values that cannot work. No tenant
// may have one of the reserved namespaces.
func Load(raw map[string]string, reserved ...string) (*Config, error) {
	c := Default()
	d := decoder{}
	sections := fields(reflect.ValueOf(c).Elem())
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		name, ours := strings.CutPrefix(key, Namespace+":")
		if !ours {
			continue
		}
		section, known := sections[name]
		if !known {
			d.unknown(key, name, "the configuration", sections)
			continue
		}
		var value any
		decode := json.NewDecoder(strings.NewReader(raw[key]))
		decode.UseNumber()
		if err := decode.Decode(&value); err != nil {
			// Pulumi hands a plain string over as it is, without quotes.
			value = raw[key]
		}
		d.set(section, value, key)
	}
	d.problems = append(d.problems, validate(c, d.wrong, reserved)...)
	if len(d.problems) > 0 {
		return nil, errors.Join(d.problems...)
	}
	return c, nil
}

// Keys are the top-level keys with their namespace, sorted.
func Keys() []string {
	var keys []string
	for name := range fields(reflect.ValueOf(Default()).Elem()) {
		keys = append(keys, Namespace+":"+name)
	}
	slices.Sort(keys)
	return keys
}

// decoder fills structs and remembers every problem met on the way.
type decoder struct {
	problems []error
	// wrong are the fields that could not be read: validation leaves them out,
	// what it would look at is a default.
	wrong map[string]bool
}

// moved says what to write instead of keys that once were.
var moved = map[string]string{
	Namespace + ":endpoints.namespace": "endpoints run in the namespace of their tenant, write " + Namespace + ":tenants[0].namespace",
}

func (d *decoder) unknown(at, name, where string, known map[string]reflect.Value) {
	names := slices.Sorted(maps.Keys(known))
	hint := "known there: " + strings.Join(names, ", ")
	if n := nearest.Word(name, names); n != "" {
		hint = fmt.Sprintf("did you mean %s?", n)
	}
	if there, ok := moved[at]; ok {
		hint = there
	}
	d.problems = append(d.problems, fmt.Errorf("%s is not a key of %s: %s", at, where, hint))
}

func (d *decoder) refuse(at string, value any, write string) {
	if d.wrong == nil {
		d.wrong = map[string]bool{}
	}
	d.wrong[at] = true
	d.problems = append(d.problems, problem(at, show(value), write))
}

func (d *decoder) set(to reflect.Value, value any, at string) {
	if to.Type() == reflect.TypeFor[Duration]() {
		text, _ := value.(string)
		v, err := ParseDuration(text)
		if err != nil {
			d.refuse(at, value, "a time such as 30s, 5m or 7d")
			return
		}
		to.SetInt(int64(v))
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		d.setStruct(to, value, at)
	case reflect.Slice:
		d.setList(to, value, at)
	case reflect.Map:
		d.setMap(to, value, at)
	case reflect.String:
		switch v := value.(type) {
		case string:
			to.SetString(v)
		case json.Number: // a quantity such as cpu: 1
			to.SetString(v.String())
		default:
			d.refuse(at, value, "a text")
		}
	case reflect.Int:
		number, _ := value.(json.Number)
		v, err := number.Int64()
		if err != nil {
			d.refuse(at, value, "a whole number, without quotes")
			return
		}
		to.SetInt(v)
	case reflect.Bool:
		v, ok := value.(bool)
		if !ok {
			d.refuse(at, value, "true or false, without quotes")
			return
		}
		to.SetBool(v)
	default:
		panic(fmt.Sprintf("config: field %s has the unsupported kind %s", at, to.Kind()))
	}
}

// ParseDuration is time.ParseDuration, and knows whole days: 7d.
func ParseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * day, err
	}
	return time.ParseDuration(text)
}

func (d *decoder) setStruct(to reflect.Value, value any, at string) {
	object, ok := value.(map[string]any)
	known := fields(to)
	if !ok {
		d.refuse(at, value, "an object with "+strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		field, ok := known[name]
		if !ok {
			d.unknown(at+"."+name, name, at, known)
			continue
		}
		d.set(field, object[name], at+"."+name)
	}
}

func (d *decoder) setList(to reflect.Value, value any, at string) {
	list, ok := value.([]any)
	if !ok {
		d.refuse(at, value, "a list")
		return
	}
	out := reflect.MakeSlice(to.Type(), len(list), len(list))
	for i, element := range list {
		if e, ok := out.Index(i).Addr().Interface().(defaulted); ok {
			e.setDefaults(i)
		}
		d.set(out.Index(i), element, fmt.Sprintf("%s[%d]", at, i))
	}
	to.Set(out)
}

// setMap fills a map of texts.
func (d *decoder) setMap(to reflect.Value, value any, at string) {
	object, ok := value.(map[string]any)
	if !ok {
		d.refuse(at, value, "an object of texts")
		return
	}
	out := reflect.MakeMap(to.Type())
	for _, name := range slices.Sorted(maps.Keys(object)) {
		text, ok := object[name].(string)
		if !ok {
			d.refuse(at+"."+name, object[name], "a text, in quotes")
			continue
		}
		out.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(text))
	}
	to.Set(out)
}

// defaulted are list elements that begin as something else than nothing, by their
// place in the list.
type defaulted interface{ setDefaults(place int) }

// fields are the settable fields of a struct by the name they have in JSON.
func fields(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		out[v.Type().Field(i).Tag.Get("json")] = v.Field(i)
	}
	return out
}

// problem is one line: where, what is there, what to write.
func problem(at, value, write string) error {
	return fmt.Errorf("%s is %s: write %s", at, value, write)
}

func show(value any) string {
	if value == nil {
		return "empty"
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSuffix(text.String(), "\n")
}
