package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// Kinds that have to be looked at in another way than kstatus does.
var (
	application      = schema.GroupKind{Group: "argoproj.io", Kind: "Application"}
	inferenceService = schema.GroupKind{Group: "serving.kserve.io", Kind: "InferenceService"}
	validatingPolicy = schema.GroupKind{Group: "policies.kyverno.io", Kind: "ValidatingPolicy"}
	// reporting are groups whose kinds say that they are ready. To kstatus one that
	// has said nothing yet is.
	reporting = []string{"serving.kserve.io", "serving.knative.dev"}
)

// NotReady says in one line why an object is not ready; "" if it is. None, nil, is
// not.
func NotReady(o *unstructured.Unstructured) string {
	switch {
	case o == nil:
		return "it is not there"
	case o.GetDeletionTimestamp() != nil:
		return "it is being deleted"
	}
	switch kind := o.GroupVersionKind().GroupKind(); {
	case kind == application:
		return outOfSync(o)
	case kind == validatingPolicy:
		return unmet(o, "status", "conditionStatus")
	case slices.Contains(reporting, kind.Group):
		if why := unmet(o, "status"); why != "" {
			return why
		}
	}
	result, err := status.Compute(ownGeneration(o))
	switch {
	case err != nil:
		return err.Error()
	case result.Status != status.CurrentStatus:
		return result.Message
	}
	return ""
}

// ownGeneration is o without a generation that is not its own: in an
// InferenceService KServe writes the one observed of the Knative Service under it.
func ownGeneration(o *unstructured.Unstructured) *unstructured.Unstructured {
	if o.GroupVersionKind().GroupKind() != inferenceService {
		return o
	}
	object := maps.Clone(o.Object)
	if reported, ok := object["status"].(map[string]any); ok {
		reported = maps.Clone(reported)
		delete(reported, "observedGeneration")
		object["status"] = reported
	}
	return &unstructured.Unstructured{Object: object}
}

// unmet are the conditions at path that keep an object from being ready. Those of
// severity Info do not.
func unmet(o *unstructured.Unstructured, path ...string) string {
	conditions, _, _ := unstructured.NestedSlice(o.Object, append(path, "conditions")...)
	ready, _, _ := unstructured.NestedBool(o.Object, append(path, "ready")...)
	var why []string
	for _, c := range conditions {
		m, ok := c.(map[string]any)
		if !ok {
			continue
		}
		if m["status"] == "True" || m["severity"] == "Info" {
			ready = ready || m["type"] == "Ready" && m["status"] == "True"
			continue
		}
		part := fmt.Sprint(m["type"])
		if reason, _ := m["reason"].(string); reason != "" {
			part += " " + reason
		}
		if message, _ := m["message"].(string); message != "" {
			part += ": " + message
		}
		why = append(why, part)
	}
	switch {
	case ready:
		return ""
	case len(why) == 0:
		return "its controller has not reported yet"
	}
	return strings.Join(why, "; ")
}

// Field is a text that an object has in its status when it is ready.
type Field struct {
	// Path has dots between its names.
	Path, Value string
}

// ApplicationReady are the fields of an Application that is synced at revision and
// healthy. Without comparedTo they could still be about the revision before.
func ApplicationReady(revision string) []Field {
	return []Field{
		{"status.sync.status", "Synced"},
		{"status.sync.comparedTo.source.targetRevision", revision},
		{"status.operationState.phase", "Succeeded"},
		{"status.health.status", "Healthy"},
	}
}

// outOfSync are the fields of an Application that are not as they have to be.
func outOfSync(o *unstructured.Unstructured) string {
	text := func(path string) string {
		s, _, _ := unstructured.NestedString(o.Object, strings.Split(path, ".")...)
		return s
	}
	var why []string
	for _, want := range ApplicationReady(text("spec.source.targetRevision")) {
		if got := text(want.Path); got != want.Value {
			why = append(why, fmt.Sprintf("%s is %q, not %s", strings.TrimPrefix(want.Path, "status."), got, want.Value))
		}
	}
	if message := text("status.operationState.message"); len(why) > 0 && message != "" {
		why = append(why, message)
	}
	return strings.Join(why, "; ")
}
