package stacks

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/cluster"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// realRenderer renders the layers the program delivers.
func realRenderer(t *testing.T) *render.Renderer {
	t.Helper()
	r, err := Options{}.renderer()
	require.NoError(t, err)
	return r
}

// clusterScoped are the kinds of our layers that live outside namespaces.
var clusterScoped = []string{
	"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding",
	"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingPolicy",
	"ClusterServingRuntime", "ClusterStorageContainer",
}

func group(object map[string]any) string {
	version := object["apiVersion"].(string)
	if dir := filepath.Dir(version); dir != "." {
		return dir
	}
	return ""
}

// delivered are the objects of all layers that r takes to Git, by layer.
func delivered(t *testing.T, r *recorder.Recording) map[string][]map[string]any {
	t.Helper()
	out := map[string][]map[string]any{}
	for _, g := range r.Kind("ConfigMap") {
		if !strings.HasPrefix(g.ObjectName(), "layer-") {
			continue
		}
		text := recorder.At(g.Object(), "binaryData").(map[string]any)["tree.tgz"]
		archive, err := base64.StdEncoding.DecodeString(text.(string))
		require.NoError(t, err)
		zip, err := gzip.NewReader(bytes.NewReader(archive))
		require.NoError(t, err)
		for files := tar.NewReader(zip); ; {
			header, err := files.Next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			content, err := io.ReadAll(files)
			require.NoError(t, err)
			var object map[string]any
			require.NoError(t, yaml.Unmarshal(content, &object), header.Name)
			if object["kind"] != "Kustomization" {
				out[g.Name] = append(out[g.Name], object)
			}
		}
	}
	return out
}

func TestTheProjectPermitsAllThatLayersContain(t *testing.T) {
	layers := delivered(t, realStack(t))
	require.Len(t, layers, 7)
	used := map[argocd.Kind]bool{}
	for name, objects := range layers {
		require.NotEmpty(t, objects, name)
		for _, object := range objects {
			kind := argocd.Kind{Group: group(object), Kind: object["kind"].(string)}
			if slices.Contains(clusterScoped, kind.Kind) {
				used[kind] = true
				assert.Containsf(t, argocd.PlatformClusterKinds, kind, "in layer %s", name)
				continue
			}
			namespace, _ := recorder.At(object, "metadata.namespace").(string)
			assert.Containsf(t, append([]string{"default"}, argocd.PlatformNamespaces...), namespace, "%s %v in layer %s",
				kind.Kind, recorder.At(object, "metadata.name"), name)
		}
	}
	for _, kind := range argocd.PlatformClusterKinds {
		assert.Truef(t, used[kind], "the project permits %v, which no layer contains", kind)
	}
}

// realStack registers the whole stack of the layers the program delivers.
func realStack(t *testing.T) *recorder.Recording {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, []byte(kubeconfig), 0o600))
	return recorder.MustRun(t, New(Options{
		Config: map[string]string{"neuroscale:serving": `{"domain":"models.example","defaultResources":{"cpu":"75m"}}`},
		Cluster: func(args *cluster.Args) {
			args.Kubeconfig = file
			args.Reach = func(context.Context, string) error { return nil }
		},
	}), recorder.Options{})
}

func TestTheRealLayersMakeAStack(t *testing.T) {
	r := realStack(t)
	r.AssertBelongs(t, "cluster", "forge", "argocd", "delivery", "serving", "guardrails", "tenancy", "endpoints")
	assert.Len(t, r.Kind("Application"), 7)

	tree, err := realRenderer(t).Layer(context.Background(), argocd.Layer)
	require.NoError(t, err)
	applied := map[string]bool{}
	for _, g := range r.Registrations {
		applied[g.Kind()+"/"+g.ObjectName()] = true
	}
	for _, object := range tree.Objects() {
		id := object["kind"].(string) + "/" + recorder.At(object, "metadata.name").(string)
		assert.Truef(t, applied[id], "%s of Argo CD's layer is not applied", id)
	}
}

func TestADestroyedPlatformLeavesNoDefinitionBehind(t *testing.T) {
	r := realRenderer(t)
	definitions := map[string]bool{}
	for _, name := range r.Layers() {
		tree, err := r.Layer(context.Background(), name)
		require.NoError(t, err)
		for _, object := range tree.Objects() {
			if object["kind"] == "CustomResourceDefinition" {
				definitions[recorder.At(object, "metadata.name").(string)] = true
			}
		}
	}
	require.Greater(t, len(definitions), 15)
	registered := map[string]bool{}
	for _, g := range realStack(t).Kind("CustomResourceDefinition") {
		registered[g.ObjectName()] = true
	}
	assert.Equal(t, definitions, registered)
}

func TestTheFirstContentIsWhatTenantsMayMerge(t *testing.T) {
	files, err := fs.Glob(gitops.FS, "apps/*/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := fs.ReadFile(gitops.FS, file)
		require.NoError(t, err)
		var object map[string]any
		require.NoError(t, yaml.Unmarshal(content, &object), file)
		kind := argocd.Kind{Group: group(object), Kind: object["kind"].(string)}
		assert.Contains(t, argocd.TenantKinds, kind, file)
		assert.Nil(t, recorder.At(object, "metadata.namespace"), "%s: the Application says where it goes", file)
	}
}
