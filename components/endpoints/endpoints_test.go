package endpoints

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"testing"
	"testing/fstest"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

var apps = fstest.MapFS{
	"iris/service.yaml": {Data: []byte("kind: InferenceService\nmetadata: {name: iris}\n")},
	"web/both.yaml":     {Data: []byte("kind: Service\nmetadata: {name: web}\n---\nkind: InferenceService\nmetadata: {name: alpha}\n")},
	"web/README.md":     {Data: []byte("kind: InferenceService")},
}

func args() *Args {
	return &Args{
		Apps: apps, Namespace: "default", RequeueSeconds: 5, Domain: "models.example",
		Project: "tenants", ApplicationNamespace: "argocd",
		Repository: forge.Repository{
			URL:    "http://forge/endpoints.git",
			Writer: forge.Account{Username: "ops", Password: pulumi.ToSecret(pulumi.String("the-password")).(pulumi.StringOutput)},
		},
	}
}

func build(t *testing.T, a *Args) (*recorder.Recording, *Endpoints) {
	t.Helper()
	var e *Endpoints
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		ready, err := manifest.New(ctx, "ready", manifest.Namespace("ready"), on)
		if err != nil {
			return err
		}
		a.ServingReady = []pulumi.Resource{ready}
		if a.Delivery, err = layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
			Repository: a.Repository, GitImage: "git:1", ProbeImage: "python:1",
			Project: "platform", ApplicationNamespace: "argocd",
		}, on); err != nil {
			return err
		}
		e, err = New(ctx, "endpoints", a, on)
		return err
	})
	return r, e
}

func TestFoldersAreFollowedWhenTheyExistAndServingIsReady(t *testing.T) {
	r, e := build(t, args())
	r.AssertBelongs(t, "delivery", "endpoints", "kubernetes:core/v1:Namespace::ready")
	set, seed := r.Get(t, "ApplicationSet", ApplicationSet), r.Get(t, "Job", "endpoints-seed-*")
	assert.True(t, r.Waits(set, seed))
	assert.True(t, r.Waits(set, r.Get(t, "Namespace", "ready")))
	assert.False(t, r.Waits(seed, r.Get(t, "Namespace", "ready")), "the first content need not wait for serving")
	assert.Equal(t, map[string]string{
		"alpha": "http://alpha-predictor.default.models.example",
		"iris":  "http://iris-predictor.default.models.example",
	}, e.URLs)
}

func TestTheApplicationSet(t *testing.T) {
	r, _ := build(t, args())
	set := r.Get(t, "ApplicationSet", ApplicationSet).Object()
	for path, want := range map[string]any{
		"spec.generators.0.git.repoURL":                    "http://forge/endpoints.git",
		"spec.generators.0.git.revision":                   "main",
		"spec.generators.0.git.requeueAfterSeconds":        5.0,
		"spec.generators.0.git.directories.0.path":         "apps/*",
		"spec.template.metadata.name":                      "{{.path.basename}}",
		"spec.template.metadata.finalizers.0":              layer.Finalizer,
		"spec.template.spec.project":                       "tenants",
		"spec.template.spec.destination.namespace":         "default",
		"spec.template.spec.syncPolicy.automated.prune":    true,
		"spec.template.spec.syncPolicy.automated.selfHeal": true,
	} {
		assert.Equal(t, want, recorder.At(set, path), path)
	}
	assert.Equal(t, "condition=ResourcesUpToDate", recorder.At(set, "metadata.annotations").(map[string]any)["pulumi.com/waitFor"])
}

func TestANamespaceOfItsOwnIsMadeFirst(t *testing.T) {
	a := args()
	a.Namespace = "team"
	r, e := build(t, a)
	assert.True(t, r.Waits(r.Get(t, "ApplicationSet", ApplicationSet), r.Get(t, "Namespace", "team")))
	assert.Equal(t, "http://iris-predictor.team.models.example", e.URLs["iris"])

	r, _ = build(t, args())
	for _, ns := range r.Kind("Namespace") {
		assert.NotEqual(t, "default", ns.ObjectName(), "default is not ours to delete")
	}
}

func TestTheFirstContentIsTheFolderAsItIs(t *testing.T) {
	r, _ := build(t, args())
	data := r.Get(t, "ConfigMap", "endpoints-seed-*").Object()["binaryData"].(map[string]any)
	archive, err := base64.StdEncoding.DecodeString(data["tree.tgz"].(string))
	require.NoError(t, err)
	again, err := pack(apps, Folder)
	require.NoError(t, err)
	assert.Equal(t, archive, again, "the archive is not reproducible")

	zip, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	content := map[string]string{}
	for files := tar.NewReader(zip); ; {
		header, err := files.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		text, err := io.ReadAll(files)
		require.NoError(t, err)
		content[header.Name] = string(text)
	}
	want := map[string]string{}
	for name, file := range apps {
		want["apps/"+name] = string(file.Data)
	}
	assert.Equal(t, want, content)
}

func TestCredentialsAreOnlyInASecret(t *testing.T) {
	r, _ := build(t, args())
	r.Get(t, "Secret", "endpoints-seed").AssertSecret(t, "data")
	r.AssertNoSecretOutside(t, "the-password")
}

func TestBadArgs(t *testing.T) {
	for want, change := range map[string]func(*Args){
		"endpoints: Args.Repository.URL is empty":         func(a *Args) { a.Repository.URL = "" },
		"endpoints: Args.Namespace is empty":              func(a *Args) { a.Namespace = "" },
		"endpoints: Args.Domain is empty":                 func(a *Args) { a.Domain = "" },
		"endpoints: Args.Project is empty":                func(a *Args) { a.Project = "" },
		"endpoints: Args.ApplicationNamespace is empty":   func(a *Args) { a.ApplicationNamespace = "" },
		"endpoints: Args.Apps is missing":                 func(a *Args) { a.Apps = nil },
		"endpoints: Args.Delivery is missing":             func(a *Args) { a.Delivery = nil },
		"endpoints: Args.RequeueSeconds is 0: at least 1": func(a *Args) { a.RequeueSeconds = 0 },
		"endpoints: first content: a.yaml: error converting YAML to JSON": func(a *Args) {
			a.Apps = fstest.MapFS{"a.yaml": {Data: []byte("a: [")}}
		},
	} {
		a := args()
		a.Delivery = &layer.Delivery{}
		change(a)
		assert.Contains(t, recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := New(ctx, "endpoints", a)
			return err
		}), want)
	}
	assert.Equal(t, "endpoints: no Args", recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "endpoints", nil)
		return err
	}))
}
