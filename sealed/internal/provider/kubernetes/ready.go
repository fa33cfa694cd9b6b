package kubernetes

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// readiness tells whether an object is ready; if not, what it still waits for.
// An error means that it never will be.
type readiness func(obj *unstructured.Unstructured) (ready bool, waiting string, err error)

// readinessOf returns what makes an object of a kind ready, or nil when it is as
// soon as it exists.
func readinessOf(obj *unstructured.Unstructured) readiness {
	group := obj.GroupVersionKind().Group
	switch group + "/" + obj.GetKind() {
	case "apps/Deployment":
		return deploymentReady
	case "apps/StatefulSet":
		return statefulSetReady
	case "apps/DaemonSet":
		return daemonSetReady
	case "apps/ReplicaSet", "/ReplicationController":
		return replicaSetReady
	case "batch/Job":
		return jobComplete
	case "/Pod":
		return podReady
	case "/PersistentVolumeClaim":
		return phase("Bound")
	case "/PersistentVolume":
		return phase("Available", "Bound")
	case "/Namespace":
		return phase("Active")
	case "apiextensions.k8s.io/CustomResourceDefinition":
		return crdEstablished
	}
	return nil
}

// waitForAll is ready when every condition of the waitFor annotation holds.
func waitForAll(conditions []condition) readiness {
	return func(obj *unstructured.Unstructured) (bool, string, error) {
		var missing []string
		for _, c := range conditions {
			if ok, found := c.met(obj); !ok {
				missing = append(missing, fmt.Sprintf("%s (is %s)", c.text, found))
			}
		}
		return len(missing) == 0, strings.Join(missing, ", "), nil
	}
}

func number(obj *unstructured.Unstructured, fallback int64, fields ...string) int64 {
	value, found, err := unstructured.NestedFieldNoCopy(obj.Object, fields...)
	if err != nil || !found {
		return fallback
	}
	if n, ok := asInt(value); ok {
		return n
	}
	return fallback
}

func text(obj *unstructured.Unstructured, fields ...string) string {
	value, _, _ := unstructured.NestedString(obj.Object, fields...)
	return value
}

// observed tells whether the controller has seen this generation of the object.
func observed(obj *unstructured.Unstructured) bool {
	return number(obj, 0, "status", "observedGeneration") >= obj.GetGeneration()
}

const notObserved = "the controller to notice the change"

func deploymentReady(obj *unstructured.Unstructured) (bool, string, error) {
	if paused, _, _ := unstructured.NestedBool(obj.Object, "spec", "paused"); paused {
		return true, "", nil
	}
	if !observed(obj) {
		return false, notObserved, nil
	}
	want := number(obj, 1, "spec", "replicas")
	updated := number(obj, 0, "status", "updatedReplicas")
	total := number(obj, 0, "status", "replicas")
	available := number(obj, 0, "status", "availableReplicas")
	switch {
	case updated < want:
		return false, fmt.Sprintf("%d of %d replicas updated", updated, want) + deadline(obj), nil
	case total > updated:
		return false, fmt.Sprintf("%d old replicas to end", total-updated) + deadline(obj), nil
	case available < updated:
		return false, fmt.Sprintf("%d of %d replicas available", available, want) + deadline(obj), nil
	}
	return true, "", nil
}

// deadline tells when a rollout has passed its own deadline; it may still
// recover, so this does not end the wait.
func deadline(obj *unstructured.Unstructured) string {
	if ok, _ := statusCondition(obj, "Progressing", "False"); ok {
		_, found := statusCondition(obj, "Progressing", "True")
		return "; rollout: " + found
	}
	return ""
}

func statefulSetReady(obj *unstructured.Unstructured) (bool, string, error) {
	if text(obj, "spec", "updateStrategy", "type") == "OnDelete" {
		return true, "", nil
	}
	if !observed(obj) {
		return false, notObserved, nil
	}
	want := number(obj, 1, "spec", "replicas")
	partition := number(obj, 0, "spec", "updateStrategy", "rollingUpdate", "partition")
	ready := number(obj, 0, "status", "readyReplicas")
	updated := number(obj, 0, "status", "updatedReplicas")
	rolling := text(obj, "status", "updateRevision") != text(obj, "status", "currentRevision")
	switch {
	case ready < want:
		return false, fmt.Sprintf("%d of %d replicas ready", ready, want), nil
	case rolling && updated < want-partition:
		return false, fmt.Sprintf("%d of %d replicas updated", updated, want-partition), nil
	}
	return true, "", nil
}

func daemonSetReady(obj *unstructured.Unstructured) (bool, string, error) {
	if text(obj, "spec", "updateStrategy", "type") == "OnDelete" {
		return true, "", nil
	}
	if !observed(obj) {
		return false, notObserved, nil
	}
	want := number(obj, 0, "status", "desiredNumberScheduled")
	updated := number(obj, 0, "status", "updatedNumberScheduled")
	available := number(obj, 0, "status", "numberAvailable")
	switch {
	case updated < want:
		return false, fmt.Sprintf("%d of %d pods updated", updated, want), nil
	case available < want:
		return false, fmt.Sprintf("%d of %d pods available", available, want), nil
	}
	return true, "", nil
}

func replicaSetReady(obj *unstructured.Unstructured) (bool, string, error) {
	if !observed(obj) {
		return false, notObserved, nil
	}
	want, available := number(obj, 1, "spec", "replicas"), number(obj, 0, "status", "availableReplicas")
	return available >= want, fmt.Sprintf("%d of %d replicas available", available, want), nil
}

func jobComplete(obj *unstructured.Unstructured) (bool, string, error) {
	if suspended, _, _ := unstructured.NestedBool(obj.Object, "spec", "suspend"); suspended {
		return true, "", nil
	}
	if ok, _ := statusCondition(obj, "Complete", "True"); ok {
		return true, "", nil
	}
	if ok, found := statusCondition(obj, "Failed", "True"); ok {
		return false, "", fmt.Errorf("the Job failed: %s", strings.TrimPrefix(found, "True "))
	}
	want := number(obj, 1, "spec", "completions")
	return false, fmt.Sprintf("%d of %d pods to complete (%d active, %d failed)",
		number(obj, 0, "status", "succeeded"), want, number(obj, 0, "status", "active"), number(obj, 0, "status", "failed")), nil
}

func podReady(obj *unstructured.Unstructured) (bool, string, error) {
	switch text(obj, "status", "phase") {
	case "Succeeded":
		return true, "", nil
	case "Failed":
		return false, "", fmt.Errorf("the Pod failed: %s", strings.TrimSpace(text(obj, "status", "reason")+" "+text(obj, "status", "message")))
	}
	ok, found := statusCondition(obj, "Ready", "True")
	return ok, "condition Ready (is " + found + ")", nil
}

func phase(wanted ...string) readiness {
	return func(obj *unstructured.Unstructured) (bool, string, error) {
		current := text(obj, "status", "phase")
		for _, want := range wanted {
			if current == want {
				return true, "", nil
			}
		}
		if current == "" {
			current = "absent"
		}
		return false, fmt.Sprintf("phase %s (is %s)", strings.Join(wanted, " or "), current), nil
	}
}

func crdEstablished(obj *unstructured.Unstructured) (bool, string, error) {
	if refused, found := statusCondition(obj, "NamesAccepted", "False"); refused {
		return false, "", fmt.Errorf("its names were not accepted: %s", strings.TrimPrefix(found, "False "))
	}
	ok, found := statusCondition(obj, "Established", "True")
	return ok, "condition Established (is " + found + ")", nil
}
