package server

import (
	"sort"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Diff is the result of comparing old with new inputs.
type Diff struct {
	// Changes maps the path of each changed property to what happened to it.
	Changes map[string]pulumirpc.PropertyDiff_Kind
}

// Compare finds what differs between two sets of inputs, property by property.
// Whether a value is secret does not count as a difference, nor does a null
// against an absent property.
func Compare(olds, news resource.PropertyMap) Diff {
	diff := Diff{Changes: map[string]pulumirpc.PropertyDiff_Kind{}}
	detailed := plugin.NewDetailedDiffFromObjectDiff(Plain(olds).Diff(Plain(news)), true)
	for path, change := range detailed {
		switch change.Kind {
		case plugin.DiffAdd, plugin.DiffAddReplace:
			diff.Changes[path] = pulumirpc.PropertyDiff_ADD
		case plugin.DiffDelete, plugin.DiffDeleteReplace:
			diff.Changes[path] = pulumirpc.PropertyDiff_DELETE
		default:
			diff.Changes[path] = pulumirpc.PropertyDiff_UPDATE
		}
	}
	return diff
}

// Replace marks one path as forcing a replacement; a path that has not changed
// is marked as updated.
func (d *Diff) Replace(path string) {
	switch d.Changes[path] {
	case pulumirpc.PropertyDiff_ADD, pulumirpc.PropertyDiff_ADD_REPLACE:
		if _, changed := d.Changes[path]; changed {
			d.Changes[path] = pulumirpc.PropertyDiff_ADD_REPLACE
			return
		}
		d.Changes[path] = pulumirpc.PropertyDiff_UPDATE_REPLACE
	case pulumirpc.PropertyDiff_DELETE, pulumirpc.PropertyDiff_DELETE_REPLACE:
		d.Changes[path] = pulumirpc.PropertyDiff_DELETE_REPLACE
	default:
		d.Changes[path] = pulumirpc.PropertyDiff_UPDATE_REPLACE
	}
}

// Paths lists the changed properties in order.
func (d *Diff) Paths() []string {
	paths := make([]string, 0, len(d.Changes))
	for path := range d.Changes {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	return paths
}

// Replaces lists the properties that force a replacement, in order.
func (d *Diff) Replaces() []string {
	var paths []string
	for _, path := range d.Paths() {
		switch d.Changes[path] {
		case pulumirpc.PropertyDiff_ADD_REPLACE, pulumirpc.PropertyDiff_DELETE_REPLACE, pulumirpc.PropertyDiff_UPDATE_REPLACE:
			paths = append(paths, path)
		}
	}
	return paths
}

func (d *Diff) response() *pulumirpc.DiffResponse {
	resp := &pulumirpc.DiffResponse{
		Changes:         pulumirpc.DiffResponse_DIFF_NONE,
		Replaces:        d.Replaces(),
		HasDetailedDiff: true,
		DetailedDiff:    map[string]*pulumirpc.PropertyDiff{},
	}
	top := map[string]bool{}
	for _, path := range d.Paths() {
		resp.Changes = pulumirpc.DiffResponse_DIFF_SOME
		resp.DetailedDiff[path] = &pulumirpc.PropertyDiff{Kind: d.Changes[path], InputDiff: true}
		top[topKey(path)] = true
	}
	for key := range top {
		resp.Diffs = append(resp.Diffs, key)
	}
	sort.Strings(resp.Diffs)
	return resp
}

// within reports whether path is prefix itself or lies below it.
func within(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func topKey(path string) string {
	if end := strings.IndexAny(path, ".["); end > 0 {
		return path[:end]
	}
	return path
}

// Plain returns the properties without secret markers and without nulls.
func Plain(props resource.PropertyMap) resource.PropertyMap {
	out := resource.PropertyMap{}
	for key, value := range props {
		if value = plainValue(value); !value.IsNull() {
			out[key] = value
		}
	}
	return out
}

func plainValue(v resource.PropertyValue) resource.PropertyValue {
	switch {
	case v.IsSecret():
		return plainValue(v.SecretValue().Element)
	case v.IsOutput():
		if !v.OutputValue().Known {
			return resource.MakeComputed(resource.NewProperty(""))
		}
		return plainValue(v.OutputValue().Element)
	case v.IsArray():
		items := make([]resource.PropertyValue, 0, len(v.ArrayValue()))
		for _, item := range v.ArrayValue() {
			items = append(items, plainValue(item))
		}
		return resource.NewProperty(items)
	case v.IsObject():
		return resource.NewProperty(Plain(v.ObjectValue()))
	default:
		return v
	}
}
