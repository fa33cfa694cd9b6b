package endpoints

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/argocd/argoproj"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

var apps = fstest.MapFS{
	"iris/service.yaml": {Data: []byte("kind: InferenceService\nmetadata: {name: iris}\n")},
	"web/both.yaml":     {Data: []byte("kind: Service\nmetadata: {name: web}\n---\nkind: InferenceService\nmetadata: {name: alpha}\n")},
	"web/README.md":     {Data: []byte("kind: InferenceService")},
}

func repository(name string) forge.Repository {
	return forge.Repository{
		URL:       "http://forge/" + name + ".git",
		Authority: pulumi.String("the authority").ToStringOutput(),
		Writer:    forge.Account{Username: "ops", Password: pulumi.ToSecret(pulumi.String("the-password")).(pulumi.StringOutput)},
	}
}

func args() *Args {
	return &Args{
		Apps: apps, RequeueSeconds: 5, Domain: "models.example", Scheme: "https", ApplicationNamespace: "argocd",
		Tenants:      []tenancy.Tenant{{Namespace: "default", Project: "tenant-default", Repositories: []string{"endpoints"}}},
		Repositories: map[string]forge.Repository{"endpoints": repository("endpoints")},
	}
}

// two have a second tenant with two repositories.
func two() *Args {
	a := args()
	a.Tenants = append(a.Tenants, tenancy.Tenant{Namespace: "team", Project: "tenant-team", Repositories: []string{"models", "more"}})
	a.Repositories["models"], a.Repositories["more"] = repository("models"), repository("more")
	return a
}

func build(t *testing.T, a *Args) (*recorder.Recording, *Endpoints) {
	t.Helper()
	var e *Endpoints
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		ready, err := manifest.New(ctx, "ready", manifest.Namespace("ready"), on)
		if err != nil {
			return err
		}
		a.After = []pulumi.Resource{ready}
		if a.Delivery, err = layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
			Repository: repository("platform"), GitImage: "git:1", ProbeImage: "python:1",
			Project: "platform", ApplicationNamespace: "argocd",
			Source: layer.Source{Renderer: recorder.Renderer(t)},
		}, on); err != nil {
			return err
		}
		e, err = New(ctx, "endpoints", a, on)
		return err
	})
	return r, e
}

func TestFoldersAreFollowedWhenTheyExistAndAllBeforeIsReady(t *testing.T) {
	r, e := build(t, args())
	r.AssertBelongs(t, "delivery", "endpoints", "kubernetes:core/v1:Namespace::ready")
	set, seed := r.Get(t, "ApplicationSet", ApplicationSet), r.Get(t, "Job", "endpoints-seed-*")
	assert.True(t, r.Waits(set, seed))
	assert.True(t, r.Waits(set, r.Get(t, "Namespace", "ready")))
	assert.False(t, r.Waits(seed, r.Get(t, "Namespace", "ready")), "the first content need not wait for serving")
	assert.Equal(t, map[string]string{
		"alpha": "https://alpha-predictor.default.models.example",
		"iris":  "https://iris-predictor.default.models.example",
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
		"spec.template.metadata.finalizers.0":              argoproj.Finalizer,
		"spec.template.spec.project":                       "tenant-default",
		"spec.template.spec.destination.namespace":         "default",
		"spec.template.spec.syncPolicy.automated.prune":    true,
		"spec.template.spec.syncPolicy.automated.selfHeal": true,
	} {
		assert.Equal(t, want, recorder.At(set, path), path)
	}
	assert.Equal(t, "condition=ResourcesUpToDate", recorder.At(set, "metadata.annotations").(map[string]any)["pulumi.com/waitFor"])
}

func TestEachRepositoryOfATenantHasAnApplicationSetInItsProjectAndNamespace(t *testing.T) {
	r, e := build(t, two())
	assert.Len(t, e.Ready, 3)
	assert.Equal(t, "https://iris-predictor.default.models.example", e.URLs["iris"], "the examples are the first tenant's")
	for name, want := range map[string]struct{ url, application string }{
		ApplicationSet + "-team":      {"http://forge/models.git", "team-{{.path.basename}}"},
		ApplicationSet + "-team.more": {"http://forge/more.git", "team.more-{{.path.basename}}"},
	} {
		set := r.Get(t, "ApplicationSet", name)
		object := set.Object()
		for path, value := range map[string]any{
			"spec.generators.0.git.repoURL":            want.url,
			"spec.template.spec.source.repoURL":        want.url,
			"spec.template.metadata.name":              want.application,
			"spec.template.spec.project":               "tenant-team",
			"spec.template.spec.destination.namespace": "team",
		} {
			assert.Equal(t, value, recorder.At(object, path), "%s of %s", path, name)
		}
		assert.True(t, r.Waits(set, r.Get(t, "Namespace", "ready")))
	}
	assert.Equal(t, "{{.path.basename}}", recorder.At(r.Get(t, "ApplicationSet", ApplicationSet).Object(), "spec.template.metadata.name"))
	assert.Len(t, r.Kind("Job"), 3, "every repository needs a main branch")
}

func TestANewTenantChangesNothingOfTheFirstButItsExclusions(t *testing.T) {
	before, _ := build(t, args())
	after, _ := build(t, two())
	require.NotEmpty(t, before.Kind("ApplicationSet"))
	for _, g := range before.Registrations {
		was, is := g.Object(), after.Type(t, g.Type, g.Name).Object()
		if g.Kind() == "ApplicationSet" {
			for _, object := range []any{was, is} {
				delete(recorder.At(object, "spec.generators.0.git").(map[string]any), "directories")
			}
		}
		assert.Equal(t, was, is, g.URN)
	}
}

func TestNoFolderTakesTheNameOfAnothersApplication(t *testing.T) {
	a := two()
	a.Tenants = append(a.Tenants, tenancy.Tenant{Namespace: "team-b", Project: "tenant-team-b", Repositories: []string{"b"}})
	a.Repositories["b"] = repository("b")
	a.Reserved = []string{"knative", "team-layer"}
	r, _ := build(t, a)
	for name, want := range map[string][]string{
		ApplicationSet:                {"apps/knative", "apps/team-*", "apps/team-b-*", "apps/team-layer", "apps/team.more-*"},
		ApplicationSet + "-team":      {"apps/b-*", "apps/layer"},
		ApplicationSet + "-team-b":    nil,
		ApplicationSet + "-team.more": nil,
	} {
		directories := recorder.At(r.Get(t, "ApplicationSet", name).Object(), "spec.generators.0.git.directories").([]any)
		assert.Equal(t, map[string]any{"path": "apps/*"}, directories[0])
		var excluded []string
		for _, directory := range directories[1:] {
			assert.Equal(t, true, recorder.At(directory, "exclude"))
			excluded = append(excluded, recorder.At(directory, "path").(string))
		}
		assert.Equal(t, want, excluded, name)
	}
}

func TestARepositoryWithoutEndpointsBeginsWithTheirEmptyFolder(t *testing.T) {
	r, _ := build(t, two())
	content := unpack(t, r.Get(t, "ConfigMap", "endpoints-seed-"+manifest.Hash("models")+"-*"))
	assert.Equal(t, []string{"README.md", "apps/.gitkeep"}, slices.Sorted(maps.Keys(content)))
}

func TestTheFirstContentIsTheFolderAsItIs(t *testing.T) {
	r, _ := build(t, args())
	content := unpack(t, r.Get(t, "ConfigMap", "endpoints-seed-*"))
	want := map[string]string{}
	for name, file := range apps {
		want["apps/"+name] = string(file.Data)
	}
	assert.Equal(t, want, content)

	one, err := pack(apps, Folder)
	require.NoError(t, err)
	again, err := pack(apps, Folder)
	require.NoError(t, err)
	assert.Equal(t, one, again, "the archive is not reproducible")
}

// unpack is the content of the archive in a ConfigMap, by file name.
func unpack(t *testing.T, configMap *recorder.Registration) map[string]string {
	t.Helper()
	archive, err := base64.StdEncoding.DecodeString(recorder.At(configMap.Object(), "binaryData").(map[string]any)["tree.tgz"].(string))
	require.NoError(t, err)
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	content := map[string]string{}
	for files := tar.NewReader(zip); ; {
		header, err := files.Next()
		if err == io.EOF {
			return content
		}
		require.NoError(t, err)
		text, err := io.ReadAll(files)
		require.NoError(t, err)
		content[header.Name] = string(text)
	}
}

func TestJobsOfLongNamesAreStillLabels(t *testing.T) {
	a := two()
	long := strings.Repeat("x", 63)
	a.Tenants[1].Namespace, a.Tenants[1].Repositories = long, []string{long}
	a.Repositories[long] = repository(long)
	r, _ := build(t, a)
	require.Greater(t, len(r.Kind("Job")), 1, "one repository has a name so long")
	for _, job := range r.Kind("Job") {
		assert.LessOrEqual(t, len(job.ObjectName()), 63, job.ObjectName())
	}
}

func TestCredentialsAreOnlyInASecret(t *testing.T) {
	r, _ := build(t, args())
	r.Get(t, "Secret", "endpoints-seed").AssertSecret(t, "data")
	r.AssertNoSecretOutside(t, "the-password")
}

func TestBadArgs(t *testing.T) {
	for want, change := range map[string]func(*Args){
		"endpoints: Args.Tenants is empty":                                           func(a *Args) { a.Tenants = nil },
		"endpoints: Args.Tenants[0] needs a Namespace, a Project and Repositories":   func(a *Args) { a.Tenants[0].Project = "" },
		`endpoints: Args.Repositories has no "endpoints", which is tenant default's`: func(a *Args) { a.Repositories = nil },
		"endpoints: Args.Domain is empty":                                            func(a *Args) { a.Domain = "" },
		"endpoints: Args.ApplicationNamespace is empty":                              func(a *Args) { a.ApplicationNamespace = "" },
		"endpoints: Args.Apps is missing":                                            func(a *Args) { a.Apps = nil },
		"endpoints: Args.Delivery is missing":                                        func(a *Args) { a.Delivery = nil },
		"endpoints: Args.RequeueSeconds is 0: at least 1":                            func(a *Args) { a.RequeueSeconds = 0 },
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

func TestGuardIsToldTheFoldersThatAreLeftOut(t *testing.T) {
	tenants := []config.Tenant{{Namespace: "default", Repositories: []string{"endpoints"}}, {Namespace: "team-b", Repositories: []string{"b"}}}
	assert.Equal(t, []string{"kyverno", "team-b-*"}, Excluded(tenants, "default", []string{"kyverno"}))
	assert.Empty(t, Excluded(tenants, "team-b", []string{"kyverno"}))
	assert.Empty(t, Excluded(tenants, "nobody", nil))
}
