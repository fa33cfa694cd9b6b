package kubernetes

import (
	"fmt"
	"math"
	"strings"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Keys the provider keeps in a resource's outputs beside the object.
const (
	keyFieldManager = "__fieldManager"
	keyAPIVersion   = "__initialApiVersion"
)

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// toObject turns inputs into the object to send. Unknown values are an error.
func toObject(inputs resource.PropertyMap) (*unstructured.Unstructured, error) {
	if inputs.ContainsUnknowns() {
		return nil, fmt.Errorf("some inputs are not known yet")
	}
	object := map[string]any{}
	for key, value := range server.Plain(inputs) {
		if !strings.HasPrefix(string(key), "__") && key != "id" {
			object[string(key)] = toJSON(value)
		}
	}
	return &unstructured.Unstructured{Object: object}, nil
}

func toJSON(v resource.PropertyValue) any {
	switch {
	case v.IsNumber():
		if n := v.NumberValue(); n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			return int64(n)
		}
		return v.NumberValue()
	case v.IsArray():
		items := make([]any, 0, len(v.ArrayValue()))
		for _, item := range v.ArrayValue() {
			items = append(items, toJSON(item))
		}
		return items
	case v.IsObject():
		fields := map[string]any{}
		for key, value := range v.ObjectValue() {
			fields[string(key)] = toJSON(value)
		}
		return fields
	default:
		return v.Mappable()
	}
}

// toOutputs turns a live object into a resource's outputs: what was secret in
// the inputs is secret again, and so is the content of every Secret. The
// server's book-keeping of field owners is left out.
func toOutputs(live *unstructured.Unstructured, inputs resource.PropertyMap, manager string) resource.PropertyMap {
	object := live.DeepCopy()
	object.SetManagedFields(nil)
	outputs := resource.NewPropertyMapFromMap(object.Object)
	markSecrets(outputs, inputs)
	if live.GetKind() == "Secret" {
		for _, key := range []resource.PropertyKey{"data", "stringData"} {
			if value, ok := outputs[key]; ok && !value.IsSecret() {
				outputs[key] = resource.MakeSecret(value)
			}
		}
	}
	if _, ok := live.GetAnnotations()[lastApplied]; ok && (inputs.ContainsSecrets() || live.GetKind() == "Secret") {
		secretAnnotation(outputs, lastApplied)
	}
	outputs[keyAPIVersion] = resource.NewProperty(live.GetAPIVersion())
	if manager != "" {
		outputs[keyFieldManager] = resource.NewProperty(manager)
	}
	return outputs
}

func secretAnnotation(outputs resource.PropertyMap, name string) {
	metadata, ok := objectAt(outputs, "metadata")
	if !ok {
		return
	}
	annotations, ok := objectAt(metadata, "annotations")
	if !ok {
		return
	}
	key := resource.PropertyKey(name)
	annotations[key] = resource.MakeSecret(annotations[key])
}

// markSecrets marks in props what is secret in like, wherever both have it.
func markSecrets(props, like resource.PropertyMap) {
	for key, from := range like {
		if value, ok := props[key]; ok {
			props[key] = markSecret(value, from)
		}
	}
}

func markSecret(value, like resource.PropertyValue) resource.PropertyValue {
	switch {
	case value.IsSecret() || !like.ContainsSecrets():
		return value
	case like.IsSecret():
		return resource.MakeSecret(value)
	case like.IsObject() && value.IsObject():
		markSecrets(value.ObjectValue(), like.ObjectValue())
		return value
	case like.IsArray() && value.IsArray() && len(like.ArrayValue()) == len(value.ArrayValue()):
		items := make([]resource.PropertyValue, len(value.ArrayValue()))
		for i, item := range value.ArrayValue() {
			items[i] = markSecret(item, like.ArrayValue()[i])
		}
		return resource.NewProperty(items)
	default:
		// The shapes differ: rather too much secret than too little.
		return resource.MakeSecret(value)
	}
}

// objectAt returns the object below key, looking through a secret marker.
func objectAt(props resource.PropertyMap, key resource.PropertyKey) (resource.PropertyMap, bool) {
	value := props[key]
	if value.IsSecret() {
		value = value.SecretValue().Element
	}
	if !value.IsObject() {
		return nil, false
	}
	return value.ObjectValue(), true
}

// stringAt returns the string below the keys; known is false when it, or
// something above it, is not known yet.
func stringAt(props resource.PropertyMap, keys ...resource.PropertyKey) (value string, known bool) {
	current := resource.NewProperty(props)
	for _, key := range keys {
		for current.IsSecret() {
			current = current.SecretValue().Element
		}
		if current.IsComputed() || current.IsOutput() {
			return "", false
		}
		if !current.IsObject() {
			return "", true
		}
		current = current.ObjectValue()[key]
	}
	for current.IsSecret() {
		current = current.SecretValue().Element
	}
	if current.IsComputed() || current.IsOutput() {
		return "", false
	}
	if !current.IsString() {
		return "", true
	}
	return current.StringValue(), true
}

func annotation(props resource.PropertyMap, name string) string {
	value, _ := stringAt(props, "metadata", "annotations", resource.PropertyKey(name))
	return value
}

// describe names an object to a person, e.g. "Deployment argocd/argocd-server".
func describe(obj *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s", obj.GetKind(), objectID(obj.GetNamespace(), obj.GetName()))
}
