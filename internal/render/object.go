package render

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	// Not sigs.k8s.io/yaml: it goes to JSON and back, which for the megabytes of
	// resource definitions takes most of a render.
	"go.yaml.in/yaml/v2"
)

// entry is an object and its canonical text.
type entry struct {
	object map[string]any
	text   []byte
}

// write is object as its canonical text: YAML with sorted keys.
func write(object map[string]any) (entry, error) {
	text, err := yaml.Marshal(object)
	if err != nil {
		return entry{}, fmt.Errorf("%s: %w", describe(object), err)
	}
	return entry{object, text}, nil
}

func kindOf(object map[string]any) string {
	kind, _ := object["kind"].(string)
	return kind
}

func nameOf(object map[string]any) string {
	metadata, _ := object["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	return name
}

func namespaceOf(object map[string]any) string {
	metadata, _ := object["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	return namespace
}

// describe names an object for a message.
func describe(object map[string]any) string {
	return Patch{Kind: kindOf(object), Namespace: namespaceOf(object), Name: nameOf(object)}.String()
}

// fileName is the object's file in a tree.
func fileName(object map[string]any) string {
	parts := []string{kindOf(object)}
	if ns := namespaceOf(object); ns != "" {
		parts = append(parts, ns)
	}
	return strings.ToLower(strings.Join(append(parts, nameOf(object), "yaml"), "."))
}

// applyOrder is the order in which kinds have to come into existence. A kind
// that is not here comes after the workloads; what intercepts requests to the
// API server comes last.
var applyOrder = []string{
	"Namespace", crdKind, "PriorityClass", "ServiceAccount", "ClusterRole", "Role",
	"ClusterRoleBinding", "RoleBinding", "ConfigMap", "Secret", "PersistentVolumeClaim",
	"NetworkPolicy", "Service", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob",
}

func rank(kind string) int {
	if i := slices.Index(applyOrder, kind); i >= 0 {
		return i
	}
	if isWebhook(kind) {
		return len(applyOrder) + 1
	}
	return len(applyOrder)
}

func isWebhook(kind string) bool {
	return kind == "MutatingWebhookConfiguration" || kind == "ValidatingWebhookConfiguration"
}

func sortObjects(objects []map[string]any) { slices.SortStableFunc(objects, byApplyOrder) }

func byApplyOrder(a, b map[string]any) int {
	return cmp.Or(
		cmp.Compare(rank(kindOf(a)), rank(kindOf(b))),
		cmp.Compare(kindOf(a), kindOf(b)),
		cmp.Compare(namespaceOf(a), namespaceOf(b)),
		cmp.Compare(nameOf(a), nameOf(b)),
	)
}

// jsonText is v as indented JSON with sorted keys, without a final newline.
func jsonText(v any) (string, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}
