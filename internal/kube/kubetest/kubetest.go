// Package kubetest has a kubeconfig and objects for tests.
package kubetest

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Kubeconfig has two contexts, of which lab is the current one.
const Kubeconfig = `
apiVersion: v1
kind: Config
current-context: lab
clusters:
- {name: lab, cluster: {server: "https://10.0.0.7:6443", certificate-authority-data: Y2E=}}
- {name: other, cluster: {server: "https://other.example:6443"}}
contexts:
- {name: lab, context: {cluster: lab, user: lab}}
- {name: other, context: {cluster: other, user: lab}}
users:
- {name: lab, user: {token: the-token}}
`

// File writes a kubeconfig to a file that goes with the test.
func File(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Object is one with more fields, such as spec and status.
func Object(apiVersion, kind, namespace, name string, more map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
	o.SetNamespace(namespace)
	o.SetName(name)
	for key, value := range more {
		o.Object[key] = value
	}
	return o
}
