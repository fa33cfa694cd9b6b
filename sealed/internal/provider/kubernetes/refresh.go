package kubernetes

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/api/equality"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// serverMetadata are the fields of metadata that the server writes.
var serverMetadata = []string{
	"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink",
	"deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers",
}

// serverAnnotations are annotations that controllers or other tools write.
var serverAnnotations = []string{lastApplied, "deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"}

// importedInputs are the inputs that would make a live object: what kubectl last
// applied where that is recorded, else all but what the server writes.
func importedInputs(live *unstructured.Unstructured) resource.PropertyMap {
	object := live.DeepCopy()
	if applied := live.GetAnnotations()[lastApplied]; applied != "" {
		var recorded map[string]any
		if json.Unmarshal([]byte(applied), &recorded) == nil {
			object = &unstructured.Unstructured{Object: recorded}
		}
	}
	delete(object.Object, "status")
	for _, field := range serverMetadata {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	for _, name := range serverAnnotations {
		unstructured.RemoveNestedField(object.Object, "metadata", "annotations", name)
	}
	for _, field := range []string{"annotations", "labels"} {
		if m, found, _ := unstructured.NestedMap(object.Object, "metadata", field); found && len(m) == 0 {
			unstructured.RemoveNestedField(object.Object, "metadata", field)
		}
	}
	inputs := resource.NewPropertyMapFromMap(object.Object)
	if live.GetKind() == "Secret" {
		for _, key := range []resource.PropertyKey{"data", "stringData"} {
			if value, ok := inputs[key]; ok {
				inputs[key] = resource.MakeSecret(value)
			}
		}
	}
	return inputs
}

// refreshedInputs are the old inputs with the live values, so that a change made
// by somebody else shows as a difference to the program. Fields the inputs do
// not have belong to others and stay out.
func refreshedInputs(old resource.PropertyMap, live *unstructured.Unstructured) resource.PropertyMap {
	object := live.DeepCopy()
	if plain, ok := objectAt(old, "stringData"); ok && live.GetKind() == "Secret" {
		decodeStringData(object, plain)
	}
	inputs := refreshMap(old, resource.NewPropertyMapFromMap(object.Object), false)
	if status, ok := old["status"]; ok {
		// Manifests come with a status that the API ignores.
		inputs["status"] = status
	}
	return inputs
}

// decodeStringData presents the values of a Secret that the inputs give in plain
// text in plain text again.
func decodeStringData(object *unstructured.Unstructured, plain resource.PropertyMap) {
	data, _, _ := unstructured.NestedStringMap(object.Object, "data")
	decoded := map[string]any{}
	for key := range plain {
		if value, err := base64.StdEncoding.DecodeString(data[string(key)]); err == nil && data[string(key)] != "" {
			decoded[string(key)] = string(value)
		}
	}
	object.Object["stringData"] = decoded
}

// quantityFields hold amounts, which the server may write in another unit.
var quantityFields = map[resource.PropertyKey]bool{
	"limits": true, "requests": true, "hard": true, "capacity": true, "sizeLimit": true, "divisor": true,
	"min": true, "max": true, "default": true, "defaultRequest": true, "maxLimitRequestRatio": true,
	"averageValue": true, "overhead": true,
}

func refreshMap(old, live resource.PropertyMap, amounts bool) resource.PropertyMap {
	out := resource.PropertyMap{}
	for key, value := range old {
		current, ok := live[key]
		switch {
		case ok:
			out[key] = refreshValue(value, current, amounts || quantityFields[key])
		case isEmpty(value):
			// The server leaves out empty values; that is no change.
			out[key] = value
		}
	}
	return out
}

func refreshValue(old, live resource.PropertyValue, amounts bool) resource.PropertyValue {
	switch {
	case old.IsSecret():
		return resource.MakeSecret(refreshValue(old.SecretValue().Element, live, amounts))
	case old.IsObject() && live.IsObject():
		return resource.NewProperty(refreshMap(old.ObjectValue(), live.ObjectValue(), amounts))
	case old.IsArray() && live.IsArray():
		return resource.NewProperty(refreshList(old.ArrayValue(), live.ArrayValue(), amounts))
	case equality.Semantic.DeepEqual(old.Mappable(), live.Mappable()), amounts && sameAmount(old, live):
		return old
	}
	return live
}

// refreshList matches the items of lists of named things by name, others by
// position.
func refreshList(old, live []resource.PropertyValue, amounts bool) []resource.PropertyValue {
	byName, named := namesOf(live)
	if oldNames, ok := namesOf(old); ok && named && len(oldNames) == len(old) && len(byName) == len(live) {
		out := []resource.PropertyValue{}
		for _, item := range old {
			name, _ := stringAt(plainObject(item), "name")
			if current, ok := byName[name]; ok {
				out = append(out, refreshValue(item, current, amounts))
			}
		}
		return out
	}
	if len(old) != len(live) {
		return live
	}
	out := make([]resource.PropertyValue, len(old))
	for i := range old {
		out[i] = refreshValue(old[i], live[i], amounts)
	}
	return out
}

func namesOf(items []resource.PropertyValue) (map[string]resource.PropertyValue, bool) {
	names := map[string]resource.PropertyValue{}
	for _, item := range items {
		name, _ := stringAt(plainObject(item), "name")
		if name == "" {
			return nil, false
		}
		names[name] = item
	}
	return names, true
}

func plainObject(v resource.PropertyValue) resource.PropertyMap {
	for v.IsSecret() {
		v = v.SecretValue().Element
	}
	if v.IsObject() {
		return v.ObjectValue()
	}
	return nil
}

func sameAmount(a, b resource.PropertyValue) bool {
	x, errX := quantity.ParseQuantity(fmt.Sprint(a.Mappable()))
	y, errY := quantity.ParseQuantity(fmt.Sprint(b.Mappable()))
	return errX == nil && errY == nil && x.Cmp(y) == 0
}

func isEmpty(v resource.PropertyValue) bool {
	switch {
	case v.IsSecret():
		return isEmpty(v.SecretValue().Element)
	case v.IsNull():
		return true
	case v.IsString():
		return v.StringValue() == ""
	case v.IsBool():
		return !v.BoolValue()
	case v.IsNumber():
		return v.NumberValue() == 0
	case v.IsArray():
		return len(v.ArrayValue()) == 0
	case v.IsObject():
		for _, item := range v.ObjectValue() {
			if !isEmpty(item) {
				return false
			}
		}
		return true
	}
	return false
}
