package kubernetes

import (
	"context"
	"fmt"
	"sort"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// How much of what was found goes into an error.
const (
	maxEvents   = 3
	maxPods     = 3
	maxLogLines = 10
)

// diagnose gathers what the cluster says about an object that is not ready: its
// failed conditions, its pods' containers with their last log lines, and the
// warnings among its events. What cannot be read is left out.
func (c *cluster) diagnose(ctx context.Context, obj *unstructured.Unstructured) []string {
	var details []string
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range conditions {
		if condition, ok := item.(map[string]any); ok && condition["message"] != nil && condition["message"] != "" {
			details = append(details, fmt.Sprintf("condition %v is %v (%v): %v",
				condition["type"], condition["status"], condition["reason"], condition["message"]))
		}
	}
	details = append(details, c.warningEvents(ctx, obj)...)
	for _, pod := range c.podsOf(ctx, obj) {
		details = append(details, c.podTrouble(ctx, pod)...)
		if obj.GetKind() != "Pod" {
			details = append(details, c.warningEvents(ctx, pod)...)
		}
	}
	return details
}

// podsOf finds the pods a workload runs.
func (c *cluster) podsOf(ctx context.Context, obj *unstructured.Unstructured) []*unstructured.Unstructured {
	if obj.GetKind() == "Pod" {
		return []*unstructured.Unstructured{obj}
	}
	selector := ""
	if raw, found, _ := unstructured.NestedMap(obj.Object, "spec", "selector"); found && !isService(obj) {
		var parsed metav1.LabelSelector
		parsed.MatchLabels, _, _ = unstructured.NestedStringMap(raw, "matchLabels")
		if s, err := metav1.LabelSelectorAsSelector(&parsed); err == nil && len(parsed.MatchLabels) > 0 {
			selector = s.String()
		}
	} else if match, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "selector"); isService(obj) && len(match) > 0 {
		selector = labels.Set(match).String()
	}
	if selector == "" {
		return nil
	}
	kind, err := c.resolve(ctx, schema.GroupVersionKind{Version: "v1", Kind: "Pod"})
	if err != nil {
		return nil
	}
	list, err := c.objects(kind, obj.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: 50})
	if err != nil {
		return nil
	}
	var pods []*unstructured.Unstructured
	for i := range list.Items {
		if ready, _, err := podReady(&list.Items[i]); !ready || err != nil {
			pods = append(pods, &list.Items[i])
		}
	}
	sort.Slice(pods, func(i, j int) bool {
		return pods[j].GetCreationTimestamp().Time.Before(pods[i].GetCreationTimestamp().Time)
	})
	return pods[:min(len(pods), maxPods)]
}

// podTrouble says what is wrong with a pod's containers.
func (c *cluster) podTrouble(ctx context.Context, pod *unstructured.Unstructured) []string {
	var details []string
	if ok, found := statusCondition(pod, "PodScheduled", "True"); !ok && found != "absent" {
		details = append(details, fmt.Sprintf("pod %s is not scheduled: %s", pod.GetName(), found))
	}
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", field)
		for _, item := range statuses {
			status, ok := item.(map[string]any)
			if !ok {
				continue
			}
			name, _ := status["name"].(string)
			trouble := containerTrouble(status)
			if trouble == "" {
				continue
			}
			detail := fmt.Sprintf("pod %s, container %s: %s", pod.GetName(), name, trouble)
			if tail, err := c.podLog(ctx, pod.GetNamespace(), pod.GetName(), name, maxLogLines); err == nil && strings.TrimSpace(tail) != "" {
				detail += "; its last lines:\n" + strings.TrimRight(tail, "\n")
			}
			details = append(details, detail)
		}
	}
	return details
}

// containerTrouble describes a container that is not running well, or nothing.
func containerTrouble(status map[string]any) string {
	for _, key := range []string{"state", "lastState"} {
		reason, _, _ := unstructured.NestedString(status, key, "waiting", "reason")
		message, _, _ := unstructured.NestedString(status, key, "waiting", "message")
		if reason != "" && reason != "ContainerCreating" && reason != "PodInitializing" && reason != "CrashLoopBackOff" {
			return strings.TrimSuffix(reason+": "+message, ": ")
		}
		ended, found, _ := unstructured.NestedMap(status, key, "terminated")
		if code, _ := asInt(ended["exitCode"]); found && code != 0 {
			return fmt.Sprintf("ended with exit code %d (%v)", code, ended["reason"])
		}
	}
	if ready, _, _ := unstructured.NestedBool(status, "ready"); !ready {
		if _, running, _ := unstructured.NestedMap(status, "state", "running"); running {
			return "running, but not ready"
		}
	}
	return ""
}

// warningEvents returns the latest warnings about an object.
func (c *cluster) warningEvents(ctx context.Context, obj *unstructured.Unstructured) []string {
	kind, err := c.resolve(ctx, schema.GroupVersionKind{Version: "v1", Kind: "Event"})
	if err != nil {
		return nil
	}
	namespace := obj.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	selector := fields.Set{"involvedObject.name": obj.GetName(), "involvedObject.kind": obj.GetKind()}.AsSelector().String()
	list, err := c.objects(kind, namespace).List(ctx, metav1.ListOptions{FieldSelector: selector, Limit: 100})
	if err != nil {
		return nil
	}
	items := list.Items
	sort.SliceStable(items, func(i, j int) bool { return text(&items[i], "lastTimestamp") < text(&items[j], "lastTimestamp") })
	var events []string
	for i := range items {
		if text(&items[i], "type") == "Warning" {
			events = append(events, fmt.Sprintf("event on %s: %s: %s", describe(obj), text(&items[i], "reason"), text(&items[i], "message")))
		}
	}
	return events[max(0, len(events)-maxEvents):]
}
