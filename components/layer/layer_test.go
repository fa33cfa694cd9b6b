package layer

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/argocd/argoproj"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
	"github.com/neuroscale-platform/neuroscale/internal/render"
)

// tree is one of objects, or of something small.
func tree(t *testing.T, objects ...map[string]any) func(context.Context, Source) (*render.Tree, error) {
	t.Helper()
	if len(objects) == 0 {
		objects = []map[string]any{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "small"}}}
	}
	made, err := render.FromObjects("first", "upstream v1", objects)
	require.NoError(t, err)
	return func(context.Context, Source) (*render.Tree, error) { return made, nil }
}

func deliveryArgs(t *testing.T, ready ...pulumi.Resource) *DeliveryArgs {
	writer := forge.Account{Username: "writer", Password: pulumi.ToSecret(pulumi.String("the-password")).(pulumi.StringOutput)}
	return &DeliveryArgs{
		Repository: forge.Repository{URL: "http://forge/platform.git", Writer: writer, Authority: pulumi.String("the authority").ToStringOutput()},
		GitImage:   "git:1", ProbeImage: "python:1", Project: "platform", ApplicationNamespace: "argocd",
		RepositoryReady: ready, ControllerReady: ready, Source: Source{Renderer: recorder.Renderer(t)},
	}
}

func deliver(t *testing.T, layers ...*Args) *recorder.Recording {
	t.Helper()
	return recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		ready, err := manifest.New(ctx, "ready", manifest.Namespace("ready"), on)
		if err != nil {
			return err
		}
		d, err := NewDelivery(ctx, "delivery", deliveryArgs(t, ready), on)
		if err != nil {
			return err
		}
		var before []string
		for _, args := range layers {
			args.Delivery, args.After = d, before
			if _, err := New(ctx, args, on); err != nil {
				return err
			}
			before = []string{args.Name}
		}
		return nil
	})
}

func args(t *testing.T, name string) *Args {
	t.Helper()
	return &Args{Definition: Definition{Name: name, Tree: tree(t), Namespaces: []string{"there", "elsewhere"}}}
}

func TestALayerGoesFromConfigMapToProbeInOrder(t *testing.T) {
	first := args(t, "first")
	first.Probe = []Probe{probe("good", Admit, "")}
	r := deliver(t, first)
	r.AssertBelongs(t, "delivery", "first", "kubernetes:core/v1:Namespace::ready")

	chain := []*recorder.Registration{
		r.Get(t, "Job", "probe-first-*"), r.Get(t, "Application", "first"),
		r.Get(t, "Job", "layer-first-*"), r.Get(t, "ConfigMap", "layer-first-*"),
		r.Get(t, "Namespace", Namespace),
	}
	for i := 1; i < len(chain); i++ {
		assert.Truef(t, r.Waits(chain[i-1], chain[i]), "%s does not wait for %s", chain[i-1].URN, chain[i].URN)
	}
	ready := r.Get(t, "Namespace", "ready")
	assert.True(t, r.Waits(chain[2], ready), "the push does not wait for the repository")
	assert.True(t, r.Waits(chain[1], ready), "the Application does not wait for its controller")
	assert.True(t, r.Waits(chain[2], r.Get(t, "Secret", "platform-writer")))

	rendered, err := first.Tree(t.Context(), Source{})
	require.NoError(t, err)
	tag := "layer/first/" + rendered.Hash()
	commit := commitOf(rendered, "Layer first "+rendered.Hash())
	require.Regexp(t, "^[0-9a-f]{40}$", commit, "a name that somebody can move")
	object := chain[1].Object()
	for path, want := range map[string]any{
		"spec.project": "platform", "spec.source.repoURL": "http://forge/platform.git",
		"spec.source.targetRevision": commit, "spec.info.0.value": tag, "spec.destination.namespace": "there",
		"spec.syncPolicy.automated.prune": true, "spec.syncPolicy.automated.selfHeal": true,
		"spec.syncPolicy.retry.limit": 26.0, "metadata.finalizers.0": argoproj.Finalizer, "spec.source.kustomize": nil,
	} {
		assert.Equal(t, want, recorder.At(object, path), path)
	}
	var waits []string
	require.NoError(t, json.Unmarshal([]byte(recorder.At(object["metadata"], "annotations").(map[string]any)["pulumi.com/waitFor"].(string)), &waits))
	assert.Equal(t, []string{
		"jsonpath={.status.sync.status}=Synced",
		"jsonpath={.status.sync.comparedTo.source.targetRevision}=" + commit,
		"jsonpath={.status.operationState.phase}=Succeeded",
		"jsonpath={.status.health.status}=Healthy",
	}, waits)
	env := recorder.At(chain[2].Object(), "spec.template.spec.containers.0.env")
	for name, value := range map[string]string{"TAG": tag, "COMMIT": commit, "MESSAGE": "Layer first " + rendered.Hash()} {
		assert.Contains(t, env, map[string]any{"name": name, "value": value})
	}
	archive, err := rendered.Archive()
	require.NoError(t, err)
	assert.Equal(t, base64.StdEncoding.EncodeToString(archive), chain[3].Object()["binaryData"].(map[string]any)["tree.tgz"])
}

func TestALaterLayerIsPushedAtOnceAndSyncedWhenTheEarlierIsReady(t *testing.T) {
	first := args(t, "first")
	first.Probe = []Probe{probe("good", Admit, "")}
	r := deliver(t, first, args(t, "second"))
	probe := r.Get(t, "Job", "probe-first-*")
	assert.True(t, r.Waits(r.Get(t, "Application", "second"), probe))
	assert.False(t, r.Waits(r.Get(t, "Job", "layer-second-*"), r.Get(t, "Application", "first")))
}

func TestTheProbesRightsComeAfterTheNamespaceOfItsProbes(t *testing.T) {
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		d, err := NewDelivery(ctx, "delivery", deliveryArgs(t), on)
		if err != nil {
			return err
		}
		here, err := manifest.New(ctx, "here", manifest.Namespace("here"), on)
		if err != nil {
			return err
		}
		a := args(t, "first")
		a.Delivery, a.DependsOn = d, []pulumi.Resource{here}
		a.Probe = []Probe{probe("good", Admit, "")}
		_, err = New(ctx, a, on)
		return err
	})
	assert.True(t, r.Waits(r.Get(t, "Role", "probe-first"), r.Get(t, "Namespace", "here")))
}

func TestTheProbeMayCreateItsProbesAndNothingElse(t *testing.T) {
	a := args(t, "first")
	a.Probe = []Probe{probe("good", Admit, ""), probe("bad", Deny, "check.example.com"), probe("better", Admit, "")}
	a.Probe[1].Object["metadata"] = map[string]any{"name": "bad", "namespace": "elsewhere"}
	r := deliver(t, a)
	assert.Empty(t, r.Kind("ClusterRole"))
	roles := r.Kind("Role")
	require.Len(t, roles, 2)
	for _, role := range roles {
		rules := role.Object()["rules"].([]any)
		assert.Equal(t, []any{map[string]any{
			"apiGroups": []any{"example.com"}, "resources": []any{"things"}, "verbs": []any{"create"},
		}}, rules)
	}
	pod := recorder.At(r.Get(t, "Job", "probe-first-*").Object(), "spec.template.spec").(map[string]any)
	assert.Equal(t, "probe-first", pod["serviceAccountName"])
	assert.Equal(t, true, pod["automountServiceAccountToken"])
	push := recorder.At(r.Get(t, "Job", "layer-first-*").Object(), "spec.template.spec").(map[string]any)
	assert.Equal(t, false, push["automountServiceAccountToken"], "a push needs no access to the API")
}

func TestPatchesOfApplyTimeGoIntoTheApplicationOnly(t *testing.T) {
	a := args(t, "first")
	a.Tree = Rendered("kserve-runtimes")
	var first string
	a.Patches = func(objects []map[string]any) []Patch {
		first = recorder.At(objects[0], "metadata.name").(string)
		return []Patch{{Group: "g", Version: "v1", Kind: "K", Name: first, Operations: pulumi.String("[]").ToStringOutput()}}
	}
	a.Ignore = []IgnoredDifference{{Group: "g", Kind: "K", JQPaths: []string{".rules"}}}
	r := deliver(t, a)
	spec := r.Get(t, "Application", "first").Object()["spec"]
	assert.Equal(t, []any{map[string]any{
		"target": map[string]any{"group": "g", "version": "v1", "kind": "K", "name": first}, "patch": "[]",
	}}, recorder.At(spec, "source.kustomize.patches"))
	assert.Equal(t, []any{map[string]any{"group": "g", "kind": "K", "jqPathExpressions": []any{".rules"}}},
		recorder.At(spec, "ignoreDifferences"))
}

// bringing is a layer whose tree defines the kind Thing.
func bringing(t *testing.T) *Args {
	t.Helper()
	a := args(t, "first")
	a.Tree = tree(t, map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "things.example.com"},
		"spec": map[string]any{
			"group": "example.com", "scope": "Namespaced", "names": map[string]any{"kind": "Thing", "plural": "things"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{"long": "story"}}},
			}},
		},
	})
	return a
}

func TestKindsAreThereFirstAndGoLast(t *testing.T) {
	a := bringing(t)
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		delivery := deliveryArgs(t)
		k, err := NewKinds(ctx, "kinds", &KindsArgs{
			Layers: List{a.Definition, args(t, "second").Definition}, Source: delivery.Source,
			Parents: map[string]string{"first": "neuroscale:platform:Part"},
		}, on)
		if err != nil {
			return err
		}
		delivery.Kinds = k
		if a.Delivery, err = NewDelivery(ctx, "delivery", delivery, on); err != nil {
			return err
		}
		_, err = New(ctx, a, on)
		return err
	})
	r.AssertBelongs(t, "kinds", "delivery", "first")
	definition := r.Get(t, "CustomResourceDefinition", "things.example.com")
	assert.True(t, r.Waits(r.Get(t, "Application", "first"), definition), "it would be deleted while its objects are in use")
	assert.Empty(t, definition.Dependencies, "it comes before all else")
	version := recorder.At(definition.Object(), "spec.versions.0")
	assert.Equal(t, "v1", recorder.At(version, "name"))
	assert.NotNil(t, recorder.At(version, "subresources.status"))
	assert.Nil(t, recorder.At(version, "schema.openAPIV3Schema.properties"), "Argo CD brings the whole definition")
	assert.Equal(t, []string{"spec"}, definition.IgnoreChanges, "the two would take turns")
	assert.Equal(t, []string{"urn:pulumi:test::neuroscale::neuroscale:platform:Part$" + Token + "::first"}, definition.FormerParents,
		"a stack of before would delete the definition, and with it every object of the kind")
}

func TestDefinitionsAreWholeBeforeArgoCDLooks(t *testing.T) {
	a := bringing(t)
	other := args(t, "other")
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		delivery := deliveryArgs(t)
		k, err := NewKinds(ctx, "kinds", &KindsArgs{Layers: List{a.Definition, other.Definition}, Source: delivery.Source}, on)
		if err != nil {
			return err
		}
		delivery.Kinds = k
		if a.Delivery, err = NewDelivery(ctx, "delivery", delivery, on); err != nil {
			return err
		}
		other.Delivery = a.Delivery
		if _, err = New(ctx, other, on); err != nil {
			return err
		}
		_, err = New(ctx, a, on)
		return err
	})
	job, ns := r.Get(t, "Job", "definitions-first-*"), r.Get(t, "Namespace", Namespace)
	assert.True(t, r.Waits(r.Get(t, "Application", "first"), job), "Argo CD would change them itself, one by one")
	assert.True(t, r.Waits(job, r.Get(t, "CustomResourceDefinition", "things.example.com")))
	assert.Equal(t, ns.URN, job.DeletedWith)
	assert.Contains(t, recorder.At(job.Object(), "spec.template.spec.containers.0.env"), map[string]any{"name": "MANAGER", "value": "argocd-controller"},
		"Argo CD would not take them for its own")
	role := r.Get(t, "ClusterRole", "neuroscale-definitions-first")
	assert.Equal(t, []any{map[string]any{
		"apiGroups": []any{"apiextensions.k8s.io"}, "resources": []any{"customresourcedefinitions"},
		"resourceNames": []any{"things.example.com"}, "verbs": []any{"get", "patch"},
	}}, recorder.At(role.Object(), "rules"))
	assert.Empty(t, role.DeletedWith, "it would stay after a destroy")
	assert.Len(t, r.Kind("ClusterRole"), 1, "what brings no kinds has an account for them")

	packed, err := base64.StdEncoding.DecodeString(recorder.At(r.Get(t, "ConfigMap", "definitions-first-*").Object(), "binaryData").(map[string]any)[definitionsFile].(string))
	require.NoError(t, err)
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	var whole []map[string]any
	require.NoError(t, json.NewDecoder(reader).Decode(&whole))
	require.Len(t, whole, 1)
	assert.Equal(t, "story", recorder.At(recorder.At(whole[0], "spec.versions.0"), "schema.openAPIV3Schema.properties.long"))
}

func TestALayerWhoseKindsNobodyRegisteredIsRefused(t *testing.T) {
	a := bringing(t)
	a.Delivery = &Delivery{args: deliveryArgs(t)}
	assert.Equal(t, "layer first: its tree has 1 CustomResourceDefinitions and Kinds has 0", recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, a)
		return err
	}))
}

func TestBadArgsOfKinds(t *testing.T) {
	for want, a := range map[string]*KindsArgs{
		"kinds: no Args":                         nil,
		"kinds: Args.Source.Renderer is missing": {},
	} {
		assert.Equal(t, want, recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := NewKinds(ctx, "kinds", a)
			return err
		}))
	}
}

func TestJobsAreConfined(t *testing.T) {
	a := args(t, "first")
	a.Probe = []Probe{probe("good", Admit, "")}
	r := deliver(t, a)
	jobs := r.Kind("Job")
	require.Len(t, jobs, 2)
	for _, job := range jobs {
		spec := recorder.At(job.Object(), "spec.template.spec")
		container := recorder.At(spec, "containers.0")
		for path, want := range map[string]any{
			"securityContext.runAsNonRoot": true, "securityContext.readOnlyRootFilesystem": true,
			"securityContext.allowPrivilegeEscalation": false, "securityContext.capabilities.drop": []any{"ALL"},
			"resources.requests.cpu": "10m", "imagePullPolicy": "IfNotPresent", "terminationMessagePolicy": "FallbackToLogsOnError",
		} {
			assert.Equalf(t, want, recorder.At(container, path), "%s of %s", path, job.URN)
		}
		assert.Nil(t, recorder.At(job.Object(), "spec.activeDeadlineSeconds"), "once failed, no later update can go on")
	}
	r.Get(t, "Secret", "platform-writer").AssertSecret(t, "data")
	r.AssertNoSecretOutside(t, "the-password")
}

func TestWhatLivesInTheNamespaceGoesWithIt(t *testing.T) {
	r := deliver(t, args(t, "first"))
	ns := r.Get(t, "Namespace", Namespace)
	for _, g := range []*recorder.Registration{r.Get(t, "ConfigMap", "layer-first-*"), r.Get(t, "Job", "layer-first-*"), r.Get(t, "Secret", "platform-writer")} {
		assert.Equal(t, ns.URN, g.DeletedWith, g.URN)
	}
	assert.Empty(t, r.Get(t, "Application", "first").DeletedWith, "its objects would stay")
}

// incompressible is an object of two megabytes.
func incompressible() map[string]any {
	noise := make([]byte, 2<<20)
	random := rand.New(rand.NewSource(1))
	for i := range noise {
		noise[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[random.Intn(64)]
	}
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "big"},
		"data": map[string]any{"noise": string(noise)}}
}

func TestBadArgsOfALayer(t *testing.T) {
	delivery := &Delivery{args: deliveryArgs(t)}
	good := func() *Args {
		a := args(t, "first")
		a.Delivery = delivery
		return a
	}
	for name, test := range map[string]struct {
		change func(*Args)
		want   string
	}{
		"no name":      {func(a *Args) { a.Name = "" }, "layer : Name is empty"},
		"no tree":      {func(a *Args) { a.Tree = nil }, "layer first: Tree is missing"},
		"no delivery":  {func(a *Args) { a.Delivery = nil }, "layer first: Args.Delivery is missing"},
		"no namespace": {func(a *Args) { a.Namespaces = nil }, "layer first: Namespaces and Shared are empty"},
		"no target": {func(a *Args) { a.Patches = func([]map[string]any) []Patch { return []Patch{{Kind: "K"}} } },
			"layer first: Args.Patches: number 0 needs a Kind, a Name and Operations"},
		"no kustomization": {func(a *Args) {
			a.Patches = func([]map[string]any) []Patch {
				return []Patch{{Kind: "K", Name: "n", Operations: pulumi.String("[]").ToStringOutput()}}
			}
		}, "layer first: Args.Patches: Argo CD patches only a kustomization, write so in its layer.yaml"},
		"nobody before": {func(a *Args) { a.After = []string{"zeroth"} }, `layer first: After: no layer "zeroth" has been delivered yet`},
		"half a forward": {func(a *Args) { a.Forwards = []Forward{{Name: "page"}} },
			"layer first: Forwards[0] needs a Name, a Namespace, a Service, a Port and a LocalPort"},
		"broken tree": {func(a *Args) {
			a.Tree = func(context.Context, Source) (*render.Tree, error) { return nil, errors.New("no") }
		}, "layer first: no"},
		"big tree": {func(a *Args) { a.Tree = tree(t, incompressible()) },
			"layer first: its archive has 1579812 bytes, a ConfigMap holds 1048576: split the layer"},
		"anonymous denial": {func(a *Args) { a.Probe = []Probe{probe("bad", Deny, "")} },
			"layer first: Probe[0]: By is empty, a denial needs the name of its webhook or policy"},
		"no expectation": {func(a *Args) { a.Probe = []Probe{probe("bad", "", "")} },
			`layer first: Probe[0]: Expect is "": admit or deny`},
		"nameless probe": {func(a *Args) { a.Probe = []Probe{probe("", Admit, "")} },
			"layer first: Probe[0]: Object has no metadata.name"},
	} {
		t.Run(name, func(t *testing.T) {
			a := good()
			test.change(a)
			assert.Equal(t, test.want, recorder.Refusal(t, func(ctx *pulumi.Context) error {
				_, err := New(ctx, a)
				return err
			}))
		})
	}
	assert.Equal(t, "layer: no Args", recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, nil)
		return err
	}))
}

func TestBadArgsOfTheDelivery(t *testing.T) {
	for want, change := range map[string]func(*DeliveryArgs){
		"delivery: Args.Repository.URL is empty":             func(a *DeliveryArgs) { a.Repository.URL = "" },
		"delivery: Args.Repository.Writer.Username is empty": func(a *DeliveryArgs) { a.Repository.Writer.Username = "" },
		"delivery: Args.GitImage is empty":                   func(a *DeliveryArgs) { a.GitImage = "" },
		"delivery: Args.ProbeImage is empty":                 func(a *DeliveryArgs) { a.ProbeImage = "" },
		"delivery: Args.Project is empty":                    func(a *DeliveryArgs) { a.Project = "" },
		"delivery: Args.ApplicationNamespace is empty":       func(a *DeliveryArgs) { a.ApplicationNamespace = "" },
	} {
		a := deliveryArgs(t)
		change(a)
		assert.Equal(t, want, recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := NewDelivery(ctx, "delivery", a)
			return err
		}))
	}
}
