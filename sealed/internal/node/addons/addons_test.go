package addons

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var params = Params{CoreDNSImage: "docker.io/coredns/coredns:v9", Domain: "cluster.local", DNSIP: "10.43.0.10",
	NodeIP: "10.88.7.2", Provisioner: "example.org/local", ObjectStorePort: 4443}

func object(t *testing.T, kind, name string) map[string]any {
	t.Helper()
	all, err := Objects(params)
	require.NoError(t, err)
	for _, o := range all {
		if o.GetKind() == kind && o.GetName() == name {
			return o.Object
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return nil
}

func field(t *testing.T, o map[string]any, path ...string) any {
	t.Helper()
	value, found, err := unstructured.NestedFieldNoCopy(o, path...)
	require.NoError(t, err)
	require.True(t, found, strings.Join(path, "."))
	return value
}

func TestDefaultStorageClassBindsWhenAPodNeedsIt(t *testing.T) {
	class := object(t, "StorageClass", "standard")
	assert.Equal(t, "true", field(t, class, "metadata", "annotations", "storageclass.kubernetes.io/is-default-class"))
	assert.Equal(t, "WaitForFirstConsumer", field(t, class, "volumeBindingMode"))
	assert.Equal(t, "example.org/local", field(t, class, "provisioner"))
}

func TestObjectStoreServiceLeadsToTheNode(t *testing.T) {
	slice := object(t, "EndpointSlice", "object-store")
	assert.Equal(t, "object-store", field(t, slice, "metadata", "labels", "kubernetes.io/service-name"))
	endpoint := field(t, slice, "endpoints").([]any)[0].(map[string]any)
	assert.Equal(t, []any{"10.88.7.2"}, endpoint["addresses"])
	_, selects, _ := unstructured.NestedFieldNoCopy(object(t, "Service", "object-store"), "spec", "selector")
	assert.False(t, selects, "a selector would make Kubernetes replace the endpoints")
}

func TestCoreDNSServesAtTheAddressPodsAreGiven(t *testing.T) {
	assert.Equal(t, "10.43.0.10", field(t, object(t, "Service", "kube-dns"), "spec", "clusterIP"))
	pod := field(t, object(t, "Deployment", "coredns"), "spec", "template", "spec").(map[string]any)
	container := pod["containers"].([]any)[0].(map[string]any)
	assert.Equal(t, params.CoreDNSImage, container["image"])
	assert.Equal(t, "Default", pod["dnsPolicy"], "cluster DNS cannot ask itself")
	assert.Equal(t, true, field(t, pod, "securityContext", "runAsNonRoot"))
	assert.Equal(t, "20m", field(t, container, "resources", "requests", "cpu"))
}

func TestNamesOutsideTheClusterAreAnsweredNotForwarded(t *testing.T) {
	corefile := field(t, object(t, "ConfigMap", "coredns"), "data", "Corefile").(string)
	assert.Contains(t, corefile, "kubernetes cluster.local in-addr.arpa ip6.arpa .\n")
	assert.NotContains(t, corefile, "forward", "there is nobody to forward to: every lookup would hang")
}
