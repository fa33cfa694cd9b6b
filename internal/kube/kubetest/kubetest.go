// Package kubetest has a kubeconfig for tests.
package kubetest

import (
	"os"
	"path/filepath"
	"testing"
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
