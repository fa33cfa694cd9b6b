package stacks

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/cluster"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
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

// definitions of all layers of the default configuration, and what they render.
func definitions(t *testing.T) (layer.List, map[string]*render.Tree) {
	t.Helper()
	layers, err := Layers(config.Default())
	require.NoError(t, err)
	require.NotEmpty(t, layers)
	trees := map[string]*render.Tree{}
	source := Source(realRenderer(t), layers)
	for _, d := range layers {
		tree, err := d.Tree(t.Context(), source)
		require.NoError(t, err, d.Name)
		require.NotEmpty(t, tree.Objects(), d.Name)
		trees[d.Name] = tree
	}
	return layers, trees
}

// clusterScoped are kinds outside namespaces: Kubernetes' own, and those that a
// layer defines.
func clusterScoped(trees map[string]*render.Tree) map[schema.GroupKind]bool {
	kinds := map[schema.GroupKind]bool{
		{Kind: "Namespace"}: true,
		{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:                 true,
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:                         true,
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}:                  true,
		{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:     true,
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}:   true,
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"}:        true,
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding"}: true,
		{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:                               true,
		{Group: "storage.k8s.io", Kind: "StorageClass"}:                                   true,
		{Group: "apiregistration.k8s.io", Kind: "APIService"}:                             true,
	}
	for _, tree := range trees {
		for _, o := range tree.Objects() {
			if o["kind"] == "CustomResourceDefinition" && recorder.At(o, "spec.scope") == "Cluster" {
				kinds[schema.GroupKind{
					Group: recorder.At(o, "spec.group").(string), Kind: recorder.At(o, "spec.names.kind").(string),
				}] = true
			}
		}
	}
	return kinds
}

func group(object map[string]any) string {
	version, err := schema.ParseGroupVersion(object["apiVersion"].(string))
	if err != nil {
		return ""
	}
	return version.Group
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

// What a definition says of its tree is what its project permits, what tenants may
// not be called and what policies leave alone.
func TestADefinitionSaysWhatItsTreeContains(t *testing.T) {
	layers, trees := definitions(t)
	scoped := clusterScoped(trees)
	for _, d := range layers.FromGit() {
		kinds := map[schema.GroupKind]bool{}
		for _, o := range trees[d.Name].Objects() {
			kind := schema.GroupKind{Group: group(o), Kind: o["kind"].(string)}
			if scoped[kind] {
				kinds[kind] = true
				continue
			}
			namespace, _ := recorder.At(o, "metadata.namespace").(string)
			assert.Containsf(t, slices.Concat(d.Namespaces, d.Shared), namespace, "%s %v of layer %s", kind.Kind, recorder.At(o, "metadata.name"), d.Name)
		}
		assert.ElementsMatchf(t, slices.Collect(maps.Keys(kinds)), d.ClusterKinds, "layer %s", d.Name)
	}
}

// onlyFor are namespaces that not even all of the platform reaches, and who does.
var onlyFor = map[string][]any{
	"dashboards":        {"prometheus-system"},
	"opencost":          {layer.Namespace, "prometheus-system"},
	"prometheus-system": {"dashboards", "opencost"},
}

// Argo CD brings policies of its own; the probes' namespace has no pods.
func TestNoTenantsPodReachesMoreOfAPlatformsNamespaceThanIsForEverybody(t *testing.T) {
	layers, trees := definitions(t)
	open := map[string][]any{}
	for _, d := range layers.FromGit() {
		for _, o := range trees[d.Name].Objects() {
			if o["kind"] != "NetworkPolicy" || !slices.Contains(d.Namespaces, recorder.At(o, "metadata.namespace").(string)) {
				continue
			}
			if strings.HasSuffix(recorder.At(o, "metadata.name").(string), "-reaches") {
				assert.Equal(t, []any{"Egress"}, recorder.At(o, "spec.policyTypes"), "it is about what pods reach")
				continue
			}
			assert.Empty(t, recorder.At(o, "spec.podSelector"), "every pod")
			rules := recorder.At(o, "spec.ingress").([]any)
			if recorder.At(o, "metadata.name") == "neuroscale-guard" {
				to := func(namespace string, port int64) map[string]any {
					return map[string]any{
						"from":  []any{map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": namespace}}}},
						"ports": []any{map[string]any{"protocol": "TCP", "port": port}},
					}
				}
				assert.Equal(t, []any{to(forge.Namespace, 8443), to("prometheus-system", 9090)}, rules, "the forge, and who reads what it counts")
				open[reviews.Namespace] = []any{}
				continue
			}
			assert.Equal(t, []any{"Ingress"}, recorder.At(o, "spec.policyTypes"))
			namespace := recorder.At(o, "metadata.namespace").(string)
			notTenants := map[string]any{"key": policy.TenantLabel, "operator": "DoesNotExist"}
			if named := onlyFor[namespace]; named != nil {
				notTenants = map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": named}
				for _, each := range named {
					assert.Contains(t, ownNamespaces(layers), each, "%s lets in what is not the platform's", namespace)
				}
			}
			assert.Equal(t, map[string]any{"from": []any{map[string]any{"namespaceSelector": map[string]any{
				"matchExpressions": []any{notTenants},
			}}}}, rules[0], "all but tenants")
			open[namespace] = []any{}
			for _, everybody := range rules[1:] {
				assert.Nil(t, recorder.At(everybody, "from"))
				for _, port := range recorder.At(everybody, "ports").([]any) {
					open[namespace] = append(open[namespace], recorder.At(port, "port"))
				}
			}
		}
	}
	for namespace, ports := range open {
		for i, p := range ports {
			open[namespace][i] = fmt.Sprint(p)
		}
	}
	assert.Equal(t, map[string][]any{
		"knative-serving": {"8443"}, "kourier-system": {"8080", "8081", "8443", "8444"}, "kserve": {"9443"}, "kyverno": {"9443"}, "doorkeeper": {},
		"guard": {}, "dashboards": {}, "opencost": {}, "prometheus-system": {}, "portal": {"7007"},
	}, open)
	assert.ElementsMatch(t, layers.FromGit().Namespaces(), slices.Collect(maps.Keys(open)), "a namespace without a policy is open")
}

func TestEveryRenderedFolderIsALayer(t *testing.T) {
	layers, _ := definitions(t)
	for _, folder := range realRenderer(t).Layers() {
		assert.Contains(t, layers.Names(), folder, "nobody delivers gitops/platform/"+folder)
	}
}

// A target that is nobody's would be an alert on every platform.
func TestWhatPrometheusAsksIsThere(t *testing.T) {
	_, trees := definitions(t)
	ports := map[string]bool{"localhost:9090": true, "kubernetes.default.svc:443": true}
	var settings struct {
		Configs []struct {
			Static []struct{ Targets []string } `json:"static_configs"`
		} `json:"scrape_configs"`
	}
	for _, tree := range trees {
		for _, o := range tree.Objects() {
			switch {
			case o["kind"] == "Service":
				for _, port := range recorder.At(o, "spec.ports").([]any) {
					ports[fmt.Sprintf("%v.%v.svc:%v", recorder.At(o, "metadata.name"), recorder.At(o, "metadata.namespace"), recorder.At(port, "port"))] = true
				}
			case o["kind"] == "ConfigMap" && recorder.At(o, "metadata.name") == "prometheus":
				text := recorder.At(o, "data").(map[string]any)["prometheus.yml"].(string)
				require.NoError(t, yaml.Unmarshal([]byte(text), &settings))
			}
		}
	}
	asked := 0
	for _, c := range settings.Configs {
		for _, s := range c.Static {
			for _, target := range s.Targets {
				asked++
				assert.True(t, ports[target], "no Service is at %s", target)
			}
		}
	}
	assert.Greater(t, asked, 4)
}

// From the definition to the cluster: what `render` prints is what Git gets and
// what Argo CD is asked for.
func TestTheStackDeliversWhatDefinitionsRender(t *testing.T) {
	layers, trees := definitions(t)
	r := recorder.MustRun(t, programWith(t, nil, nil), recorder.Options{})
	assert.Len(t, r.Kind("Application"), len(layers.FromGit()))
	for _, d := range layers.FromGit() {
		hash := trees[d.Name].Hash()
		application := r.Get(t, "Application", d.Name)
		commit := recorder.At(application.Object(), "spec.source.targetRevision")
		assert.Regexp(t, "^[0-9a-f]{40}$", commit, "whoever moves a tag or a branch has all rights")
		assert.Equal(t, "layer/"+d.Name+"/"+hash, recorder.At(application.Object(), "spec.info.0.value"))
		for _, earlier := range d.After {
			assert.Truef(t, r.Waits(application, r.Get(t, "Application", earlier)), "%s does not wait for %s", d.Name, earlier)
		}
		push := r.Get(t, "Job", "layer-"+d.Name+"-"+hash)
		for name, value := range map[string]any{"TAG": "layer/" + d.Name + "/" + hash, "COMMIT": commit} {
			assert.Contains(t, recorder.At(push.Object(), "spec.template.spec.containers.0.env"), map[string]any{"name": name, "value": value})
		}
	}
}

// A kind that no layer defines could never be let go of.
func TestWhatALayerHoldsItDefines(t *testing.T) {
	layers, trees := definitions(t)
	held := 0
	for _, d := range layers {
		served := map[schema.GroupVersionResource]bool{}
		for _, o := range trees[d.Name].Objects() {
			if o["kind"] != "CustomResourceDefinition" {
				continue
			}
			for _, version := range recorder.At(o, "spec.versions").([]any) {
				served[schema.GroupVersionResource{
					Group: recorder.At(o, "spec.group").(string), Resource: recorder.At(o, "spec.names.plural").(string),
					Version: recorder.At(version, "name").(string),
				}] = true
			}
		}
		for _, kind := range d.Holds {
			held++
			assert.Truef(t, served[kind.GroupVersionResource], "layer %s has no %s", d.Name, kind.GroupVersionResource)
			assert.NotEmpty(t, kind.Finalizer, "layer %s would take off everybody's finalizers", d.Name)
		}
	}
	assert.NotZero(t, held)
}

func TestAPartThatIsNothingButItsLayersComesUpWithoutCode(t *testing.T) {
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		delivery, err := layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
			Repository: forge.Repository{URL: "http://forge/platform.git", Authority: pulumi.String("the authority").ToStringOutput(), Writer: forge.Account{Username: "w", Password: pulumi.String("p").ToStringOutput()}},
			GitImage:   "git:1", ProbeImage: "python:1", Project: "platform", ApplicationNamespace: "argocd",
			Source: layer.Source{Renderer: recorder.Renderer(t)},
		}, on)
		if err != nil {
			return err
		}
		cluster, err := cluster.Existing(ctx, "cluster", &cluster.Args{
			Kubeconfig: kubetest.File(t, kubetest.Kubeconfig), Reach: func(context.Context, string) error { return nil },
		})
		if err != nil {
			return err
		}
		return part{name: "extras"}.bringUp(&site{ctx: ctx, cluster: cluster, delivery: delivery}, layer.List{
			{Name: "one", Namespaces: []string{"kserve"}, Tree: layer.Rendered("kserve")},
			{Name: "two", Namespaces: []string{"kserve"}, Tree: layer.Rendered("kserve-runtimes"), After: []string{"one"}},
		})
	})
	group := r.Type(t, layer.GroupToken, "extras")
	assert.Equal(t, group.URN, r.Type(t, layer.Token, "one").Parent)
	assert.True(t, r.Waits(r.Get(t, "Application", "two"), r.Get(t, "Application", "one")))
}

func TestNoTenantHasANamespaceOfThePlatform(t *testing.T) {
	layers, _ := definitions(t)
	for _, namespace := range append(layers.Namespaces(), "forge", "neuroscale-system", "kube-system") {
		_, err := Config(map[string]string{"neuroscale:tenants": `[{"namespace":"` + namespace + `","owner":"a","costCenter":"b","repositories":["c"]}]`})
		assert.EqualError(t, err, `neuroscale:tenants[0].namespace is "`+namespace+
			`": write another name, this one is the platform's or the cluster's own`)
	}
}

// realStack registers the whole stack of the layers the program delivers.
func realStack(t *testing.T) *recorder.Recording {
	t.Helper()
	return recorder.MustRun(t, programWith(t, map[string]string{
		"neuroscale:serving": `{"domain":"models.example","defaultResources":{"cpu":"75m"}}`,
	}, nil), recorder.Options{})
}

func TestTheRealLayersMakeAStack(t *testing.T) {
	r := realStack(t)
	r.AssertBelongs(t, "cluster", "certificates", "forge", "kinds", "argocd", "delivery", "serving", "guardrails", "tenancy", "endpoints", "kyverno", "reviews", "cost", "dashboards", "portal")

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

func TestWhatNobodyWaitsForBeginsWhenAnEndpointCan(t *testing.T) {
	r := realStack(t)
	runtimes := r.Get(t, "Application", serving.RuntimesLayer)
	for _, late := range []string{"kyverno", "policies", "guard", "prometheus", "opencost", "dashboards", "portal"} {
		assert.Truef(t, r.Waits(r.Get(t, "ConfigMap", "layer-"+late+"-*"), runtimes), "layer %s competes with the first prediction", late)
	}
	for _, needed := range []string{"knative", "kserve-runtimes", "admission", "tenancy", "doorkeeper"} {
		assert.Falsef(t, r.Waits(r.Get(t, "ConfigMap", "layer-"+needed+"-*"), runtimes), "layer %s is pushed late", needed)
	}
	for _, set := range r.Kind("ApplicationSet") {
		assert.Falsef(t, r.Waits(set, r.Get(t, "Application", "portal")), "%s waits for the portal", set.URN)
	}
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
		kind := schema.GroupKind{Group: group(object), Kind: object["kind"].(string)}
		assert.Contains(t, argocd.TenantKinds, kind, file)
		assert.Nil(t, recorder.At(object, "metadata.namespace"), "%s: the Application says where it goes", file)
	}
}

// textOf is the value at path of the object kind/name among objects.
func textOf(t *testing.T, objects []map[string]any, kind, name, path string) string {
	t.Helper()
	for _, object := range objects {
		if object["kind"] == kind && recorder.At(object, "metadata.name") == name {
			text, ok := recorder.At(object, path).(string)
			require.Truef(t, ok, "%s %s has no %s", kind, name, path)
			return text
		}
	}
	require.Failf(t, "not delivered", "%s %s", kind, name)
	return ""
}

// addition is what a container that the platform adds asks for and may use.
type addition struct{ requests, limits config.Shares }

// additions are those of all of them, by name.
func additions(t *testing.T, layers map[string][]map[string]any) map[string]addition {
	t.Helper()
	queue := func(key string) string {
		return textOf(t, layers["knative"], "ConfigMap", "config-deployment", "data.queue-sidecar-"+key)
	}
	share := func(of string) config.Shares {
		return config.Shares{CPU: queue("cpu-" + of), Memory: queue("memory-" + of), EphemeralStorage: queue("ephemeral-storage-" + of)}
	}
	out := map[string]addition{"queue-proxy": {share("request"), share("limit")}}
	for _, key := range []string{"storageInitializer", "agent", "batcher", "logger"} {
		var r struct{ CPURequest, CPULimit, MemoryRequest, MemoryLimit string }
		text := textOf(t, layers["kserve"], "ConfigMap", "inferenceservice-config", "data."+key)
		require.NoError(t, json.Unmarshal([]byte(text), &r), key)
		out[key] = addition{config.Shares{CPU: r.CPURequest, Memory: r.MemoryRequest}, config.Shares{CPU: r.CPULimit, Memory: r.MemoryLimit}}
	}
	return out
}

// atMost compares what both say something about.
func atMost(t *testing.T, low, high config.Shares, message string) {
	t.Helper()
	for name, pair := range map[string][2]string{
		"cpu": {low.CPU, high.CPU}, "memory": {low.Memory, high.Memory}, "disk": {low.EphemeralStorage, high.EphemeralStorage},
	} {
		if pair[0] == "" || pair[1] == "" {
			continue
		}
		a, b := resource.MustParse(pair[0]), resource.MustParse(pair[1])
		assert.LessOrEqualf(t, a.Cmp(b), 0, "%s: %s %s, %s", message, name, pair[0], pair[1])
	}
}

func TestWhatThePlatformAddsToAPodIsWithinATenantsLimits(t *testing.T) {
	added := additions(t, delivered(t, realStack(t)))
	limits := config.Default().Tenants[0].Limits
	for name, r := range added {
		atMost(t, limits.Min, r.requests, name+" asks for too little")
		atMost(t, r.limits, limits.Max, name+" may use too much")
		// What the configuration holds any tenant's limits to.
		atMost(t, config.SidecarRequest, r.requests, name+" asks for less than config.SidecarRequest")
		atMost(t, r.limits, config.Shares{
			CPU: config.InitializerLimit.CPU, Memory: config.InitializerLimit.Memory, EphemeralStorage: config.SidecarDisk,
		}, name+" may use more than config.InitializerLimit and config.SidecarDisk")
	}
}

func TestTheQuotaHoldsAllEndpointsOneUpdateAndTheExample(t *testing.T) {
	layers := delivered(t, realStack(t))
	sidecar, model := additions(t, layers)["queue-proxy"], config.Default().Serving.DefaultResources
	quota, limits := config.Default().Tenants[0].Quota, config.Default().Tenants[0].Limits
	var example map[string]any
	content, err := fs.ReadFile(gitops.FS, "apps/test-app/deployment.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, &example))
	own := func(path string) string {
		return recorder.At(example, "spec.template.spec.containers.0.resources."+path).(string)
	}
	// A rolling update of a Deployment of one replica has two pods for a while.
	total := func(a, b, example string) string {
		sum := resource.MustParse("0")
		for range quota.InferenceServices + 1 {
			sum.Add(resource.MustParse(a))
			sum.Add(resource.MustParse(b))
		}
		for range 2 {
			sum.Add(resource.MustParse(example))
		}
		return sum.String()
	}
	atMost(t, config.Shares{
		CPU: total(model.CPU, sidecar.requests.CPU, own("requests.cpu")), Memory: total(model.Memory, sidecar.requests.Memory, own("requests.memory")),
		EphemeralStorage: total(limits.DefaultRequest.EphemeralStorage, sidecar.requests.EphemeralStorage, limits.DefaultRequest.EphemeralStorage),
	}, quota.Requests, "requests")
	atMost(t, config.Shares{
		CPU:              total(model.Limits.CPU, sidecar.limits.CPU, own("limits.cpu")),
		Memory:           total(model.Limits.Memory, sidecar.limits.Memory, own("limits.memory")),
		EphemeralStorage: total(limits.Default.EphemeralStorage, sidecar.limits.EphemeralStorage, limits.Default.EphemeralStorage),
	}, quota.Limits, "limits")
	assert.LessOrEqual(t, quota.InferenceServices+1+1, quota.Deployments)
	assert.LessOrEqual(t, quota.InferenceServices+1+2, quota.Pods)
	// Every Deployment the quota leaves for revisions has two Services; the rest are
	// KServe's, the Routes' and two names of a canary's Route, Kubernetes' own and the
	// example's.
	assert.LessOrEqual(t, 2*quota.Deployments+(1+1+2)*quota.InferenceServices+1+1, quota.Services)
	assert.LessOrEqual(t, quota.InferenceServices+1, quota.ConfigMaps)
	assert.Equal(t, "0", textOf(t, layers["knative"], "ConfigMap", "config-gc", "data.max-non-active-revisions"),
		"each old revision is a Deployment more")
}

func TestWithoutHighAvailabilityNobodyHasADisruptionBudget(t *testing.T) {
	_, trees := definitions(t)
	for name, tree := range trees {
		for _, o := range tree.Objects() {
			assert.NotEqual(t, "PodDisruptionBudget", o["kind"], "%s: one pod that may not be evicted keeps a node from being emptied", name)
		}
	}
}
