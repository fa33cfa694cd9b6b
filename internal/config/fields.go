package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// field is a value of a Config that is no object and no list of objects: a text, a
// number, a truth value, a time or a list of these, or a list without elements.
type field struct {
	// at is its key without the namespace, such as tenants[0].quota.pods.
	at    string
	value reflect.Value
	tag   reflect.StructTag
}

// walk visits the fields of v in the order of their types.
func walk(v reflect.Value, visit func(field)) { field{value: v}.walk(visit) }

func (f field) walk(visit func(field)) {
	switch {
	case f.value.Kind() == reflect.Struct:
		for i := range f.value.NumField() {
			of := f.value.Type().Field(i)
			at := strings.TrimPrefix(f.at+"."+of.Tag.Get("json"), ".")
			field{at, f.value.Field(i), of.Tag}.walk(visit)
		}
	case f.value.Kind() == reflect.Slice && f.value.Type().Elem().Kind() == reflect.Struct && f.value.Len() > 0:
		for i := range f.value.Len() {
			field{fmt.Sprintf("%s[%d]", f.at, i), f.value.Index(i), f.tag}.walk(visit)
		}
	default:
		visit(f)
	}
}

// elements of a list, or f itself.
func (f field) elements() []field {
	if f.value.Kind() != reflect.Slice {
		return []field{f}
	}
	var all []field
	for i := range f.value.Len() {
		all = append(all, field{fmt.Sprintf("%s[%d]", f.at, i), f.value.Index(i), f.tag})
	}
	return all
}

// limits are what a field's tags say about it.
type limits struct {
	// enum are the words that may stand there; none: any.
	enum []string
	// min and max bound a number; nil: not at all.
	min, max *int64
	// format is "quantity" for a text that Kubernetes takes for an amount.
	format string
}

// limitsOf panics on a tag that cannot be read, which every test would see.
func limitsOf(tag reflect.StructTag) limits {
	l := limits{enum: strings.Fields(tag.Get("enum")), format: tag.Get("format")}
	for name, to := range map[string]**int64{"min": &l.min, "max": &l.max} {
		text, ok := tag.Lookup(name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			panic(fmt.Sprintf("config: the tag %s:%q is no number", name, text))
		}
		*to = &n
	}
	return l
}

// write is what to write there, "" if anything may be.
func (l limits) write() string {
	switch {
	case len(l.enum) > 0:
		return strings.Join(l.enum, " or ")
	case l.min != nil && l.max != nil:
		return fmt.Sprintf("a number from %d to %d", *l.min, *l.max)
	case l.min != nil:
		return fmt.Sprintf("a number from %d", *l.min)
	case l.max != nil:
		return fmt.Sprintf("a number up to %d", *l.max)
	}
	return ""
}
