package tenancy

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/recorder"
)

func repository(name string) forge.Repository {
	return forge.Repository{
		URL:       "http://forge/" + name + ".git",
		Authority: pulumi.String("the authority").ToStringOutput(),
		Reader:    forge.Account{Username: "reader", Password: pulumi.String(name + "-password").ToStringOutput()},
		Writer:    forge.Account{Username: "ops", Password: pulumi.String("ops-password").ToStringOutput()},
	}
}

// tenants are the default one and another with two repositories.
func tenants() []config.Tenant {
	first := config.Default().Tenants[0]
	second := first
	second.Namespace, second.Owner, second.CostCenter = "team", "the-team", "cc-team"
	second.Repositories = []string{"models", "more"}
	return []config.Tenant{first, second}
}

func layers(t *testing.T, list []config.Tenant) layer.List {
	t.Helper()
	all, err := Layers(list, config.Default().Serving, config.Default().Portal)
	require.NoError(t, err)
	return all
}

func args(t *testing.T, list ...config.Tenant) *Args {
	t.Helper()
	a := &Args{Tenants: list, Layers: layers(t, list), Repositories: map[string]forge.Repository{}, ProbeImage: "python:1"}
	for _, tenant := range list {
		for _, name := range tenant.Repositories {
			a.Repositories[name] = repository(name)
		}
	}
	return a
}

func build(t *testing.T, a *Args) (*recorder.Recording, *Tenancy) {
	t.Helper()
	var tenancy *Tenancy
	r := recorder.Component(t, func(ctx *pulumi.Context, on pulumi.ResourceOption) error {
		ready, err := manifest.New(ctx, "ready", manifest.Namespace("argocd"), on)
		if err != nil {
			return err
		}
		a.ProjectsReady = []pulumi.Resource{ready}
		if a.Delivery, err = layer.NewDelivery(ctx, "delivery", &layer.DeliveryArgs{
			Repository: repository("platform"), GitImage: "git:1", ProbeImage: "python:1",
			Project: "platform", ApplicationNamespace: "argocd", Source: layer.Source{Renderer: recorder.Renderer(t)},
		}, on); err != nil {
			return err
		}
		tenancy, err = New(ctx, "tenancy", a, on)
		return err
	})
	return r, tenancy
}

func TestTheLayerComesAfterTheNamespacesItIsFor(t *testing.T) {
	r, tenancy := build(t, args(t, tenants()...))
	r.AssertBelongs(t, "delivery", "tenancy", "kubernetes:core/v1:Namespace::ready")
	application := r.Get(t, "Application", Layer)
	assert.True(t, r.Waits(application, r.Get(t, "Namespace", "team")))
	assert.True(t, r.Waits(application, r.Get(t, "NamespacePatch", "default")))
	for _, kind := range []string{"AppProject", "Secret"} {
		for _, g := range r.Kind(kind) {
			if recorder.At(g.Object(), "metadata.namespace") == argocd.Namespace {
				assert.True(t, r.Waits(g, r.Get(t, "Namespace", "argocd")), g.URN)
			}
		}
	}
	assert.Equal(t, []Tenant{
		{Namespace: "default", Project: "tenant-default", Repositories: []string{"endpoints"}},
		{Namespace: "team", Project: "tenant-team", Repositories: []string{"models", "more"}},
	}, tenancy.Tenants)
	assert.Len(t, tenancy.Ready, 2+3+1, "projects, repositories, the layer")
}

func TestTheNamespaceEveryClusterHasIsOnlyAddedTo(t *testing.T) {
	r, _ := build(t, args(t, tenants()...))
	for _, g := range r.Kind("Namespace") {
		assert.NotEqual(t, "default", g.ObjectName(), "default is not ours to delete")
	}
	patch := r.Get(t, "NamespacePatch", "default").Object()
	assert.Equal(t, "true", recorder.At(patch, "metadata.annotations").(map[string]any)["pulumi.com/patchForce"],
		"a label that somebody gave default before would end every up")
}

func TestNamespacesSayWhoseTheyAre(t *testing.T) {
	r, _ := build(t, args(t, tenants()...))
	for _, test := range []struct{ kind, namespace, owner, costCenter string }{
		{"NamespacePatch", "default", "platform-team", "platform"},
		{"Namespace", "team", "the-team", "cc-team"},
	} {
		assert.Equal(t, map[string]any{
			"neuroscale.dev/tenant": test.namespace, "owner": test.owner, "cost-center": test.costCenter,
			"pod-security.kubernetes.io/enforce": "baseline",
		}, recorder.At(r.Get(t, test.kind, test.namespace).Object(), "metadata.labels"), test.namespace)
	}
}

func TestATenantsProjectReachesItsOwnNamespaceRepositoriesAndKindsOnly(t *testing.T) {
	r, _ := build(t, args(t, tenants()...))
	for namespace, urls := range map[string][]any{
		"default": {"http://forge/endpoints.git"},
		"team":    {"http://forge/models.git", "http://forge/more.git"},
	} {
		spec := r.Get(t, "AppProject", "tenant-"+namespace).Object()["spec"]
		assert.Equal(t, urls, recorder.At(spec, "sourceRepos"))
		destinations := recorder.At(spec, "destinations").([]any)
		require.Len(t, destinations, 1)
		assert.Equal(t, namespace, recorder.At(destinations[0], "namespace"))
		assert.Empty(t, recorder.At(spec, "clusterResourceWhitelist"))
		kinds := recorder.At(spec, "namespaceResourceWhitelist").([]any)
		assert.NotEmpty(t, kinds)
		for _, kind := range kinds {
			for _, part := range []string{"group", "kind"} {
				assert.NotEqual(t, "*", recorder.At(kind, part))
			}
			assert.NotContains(t, []any{
				"Role", "RoleBinding", "ServiceAccount", "Secret", "ResourceQuota", "LimitRange", "Pod", "Application", "NetworkPolicy",
			}, recorder.At(kind, "kind"))
		}
	}
}

func TestARepositoryIsKnownToItsTenantsProjectOnly(t *testing.T) {
	r, _ := build(t, args(t, tenants()...))
	for name, project := range map[string]string{"endpoints": "tenant-default", "models": "tenant-team", "more": "tenant-team"} {
		secret := r.Get(t, "Secret", "repository-"+name)
		secret.AssertSecret(t, "data")
		for path, want := range map[string]string{
			"project": project, "url": "http://forge/" + name + ".git", "username": "reader", "password": name + "-password",
		} {
			assert.Equal(t, base64.StdEncoding.EncodeToString([]byte(want)), recorder.At(secret.Object(), "data."+path), path)
		}
	}
	r.AssertNoSecretOutside(t, "-password")
}

// rendered are the objects of the layer by kind/name.
func rendered(t *testing.T, list []config.Tenant) map[string]map[string]any {
	t.Helper()
	tree, err := layers(t, list)[0].Tree(t.Context(), layer.Source{})
	require.NoError(t, err)
	out := map[string]map[string]any{}
	for _, object := range tree.Objects() {
		out[object["kind"].(string)+"/"+recorder.At(object, "metadata.namespace").(string)+"/"+recorder.At(object, "metadata.name").(string)] = object
	}
	return out
}

func TestTheDefaultTenantHasTheOriginalsFigures(t *testing.T) {
	objects := rendered(t, config.Default().Tenants)
	assert.Equal(t, map[string]any{
		"requests.cpu": "4", "requests.memory": "8Gi", "limits.cpu": "8", "limits.memory": "16Gi",
		"pods": "20", "count/deployments.apps": "10", "count/inferenceservices.serving.kserve.io": "5",
		"requests.ephemeral-storage": "10Gi", "limits.ephemeral-storage": "100Gi",
		"services": "60", "services.nodeports": "0", "services.loadbalancers": "0",
		"configmaps": "50", "secrets": "10", "persistentvolumeclaims": "5", "requests.storage": "10Gi",
	}, recorder.At(objects["ResourceQuota/default/default-namespace-quota"], "spec.hard"))
	assert.Equal(t, []any{map[string]any{
		"type":           "Container",
		"default":        map[string]any{"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "4Gi"},
		"defaultRequest": map[string]any{"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "256Mi"},
		"max":            map[string]any{"cpu": "2", "memory": "4Gi", "ephemeral-storage": "16Gi"},
		"min":            map[string]any{"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "1Mi"},
	}}, recorder.At(objects["LimitRange/default/default-namespace-limits"], "spec.limits"))
	assert.Len(t, objects, 13)
}

func TestWhatSaysWhatBecameOfAMergeReadsThatAndNothingElse(t *testing.T) {
	objects := rendered(t, tenants())
	for _, namespace := range []string{"default", "team"} {
		assert.Equal(t, []any{
			map[string]any{"apiGroups": []any{""}, "resources": []any{"pods", "events"}, "verbs": []any{"list"}},
			map[string]any{"apiGroups": []any{"serving.kserve.io"}, "resources": []any{"inferenceservices"}, "verbs": []any{"list"}},
		}, recorder.At(objects["Role/"+namespace+"/neuroscale-follower"], "rules"))
		assert.Equal(t, []any{map[string]any{"kind": "ServiceAccount", "name": "follower", "namespace": "guard"}},
			recorder.At(objects["RoleBinding/"+namespace+"/neuroscale-follower"], "subjects"))
	}
}

func TestThePortalSeesATenantsEndpointsAndChangesNothing(t *testing.T) {
	objects := rendered(t, tenants())
	for _, namespace := range []string{"default", "team"} {
		assert.Equal(t, []any{
			map[string]any{"apiGroups": []any{"serving.kserve.io"}, "resources": []any{"inferenceservices"}, "verbs": []any{"get", "list", "watch"}},
			map[string]any{"apiGroups": []any{"serving.knative.dev"}, "resources": []any{"revisions"}, "verbs": []any{"get"}},
		}, recorder.At(objects["Role/"+namespace+"/neuroscale-portal"], "rules"))
		assert.Equal(t, []any{map[string]any{"kind": "ServiceAccount", "name": "portal", "namespace": "portal"}},
			recorder.At(objects["RoleBinding/"+namespace+"/neuroscale-portal"], "subjects"))
	}
	layers, err := Layers(tenants(), config.Default().Serving, config.Portal{})
	require.NoError(t, err)
	tree, err := layers[0].Tree(t.Context(), layer.Source{})
	require.NoError(t, err)
	for _, o := range tree.Objects() {
		assert.NotContains(t, recorder.At(o, "metadata.name"), "portal", "there is none to see anything")
	}
}

func TestWhatJudgesKeysSeesATenantsPodsAndNothingElse(t *testing.T) {
	objects := rendered(t, tenants())
	for _, namespace := range []string{"default", "team"} {
		assert.Equal(t, []any{map[string]any{
			"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"list", "watch"},
		}}, recorder.At(objects["Role/"+namespace+"/neuroscale-doorkeeper"], "rules"))
		assert.Equal(t, []any{map[string]any{"kind": "ServiceAccount", "name": "doorkeeper", "namespace": "doorkeeper"}},
			recorder.At(objects["RoleBinding/"+namespace+"/neuroscale-doorkeeper"], "subjects"))
	}
	open := config.Default().Serving
	open.Auth = config.AuthNone
	layers, err := Layers(tenants(), open, config.Default().Portal)
	require.NoError(t, err)
	tree, err := layers[0].Tree(t.Context(), layer.Source{})
	require.NoError(t, err)
	for _, o := range tree.Objects() {
		assert.NotContains(t, recorder.At(o, "metadata.name"), "doorkeeper", "nobody is there to be given rights")
	}
}

// What a tenant may merge, and what a pod makes of a volume that it describes.
func TestTheQuotaCountsEveryKindATenantCanMake(t *testing.T) {
	counted := map[string]string{
		"ConfigMap": "configmaps", "Service": "services", "apps/Deployment": "count/deployments.apps",
		"serving.kserve.io/InferenceService": "count/inferenceservices.serving.kserve.io",
	}
	for namespace, objects := range map[string]map[string]map[string]any{"default": rendered(t, tenants()), "team": rendered(t, tenants())} {
		hard := recorder.At(objects["ResourceQuota/"+namespace+"/"+namespace+"-namespace-quota"], "spec.hard").(map[string]any)
		for _, kind := range argocd.TenantKinds {
			name := strings.TrimPrefix(kind.Group+"/"+kind.Kind, "/")
			require.Contains(t, counted, name, "a tenant may merge any number of these")
			assert.Contains(t, hard, counted[name], name)
		}
		for _, name := range []string{"pods", "secrets", "persistentvolumeclaims", "requests.storage", "requests.ephemeral-storage", "limits.ephemeral-storage"} {
			assert.Contains(t, hard, name)
		}
	}
}

// A quota of a resource refuses every container that asks for none of it.
func TestAContainerThatSaysNothingGetsAShareOfAllThatTheQuotaBounds(t *testing.T) {
	objects := rendered(t, tenants())
	hard := recorder.At(objects["ResourceQuota/team/team-namespace-quota"], "spec.hard").(map[string]any)
	item := recorder.At(objects["LimitRange/team/team-namespace-limits"], "spec.limits.0")
	for key := range hard {
		for prefix, field := range map[string]string{"requests.": "defaultRequest", "limits.": "default"} {
			if name, ok := strings.CutPrefix(key, prefix); ok && name != "storage" {
				assert.Contains(t, recorder.At(item, field), name)
			}
		}
	}
}

func TestNoPodOfATenantGoesBeforeThePlatforms(t *testing.T) {
	objects := rendered(t, tenants())
	for _, namespace := range []string{"default", "team"} {
		quota := objects["ResourceQuota/"+namespace+"/"+namespace+"-no-system-priority"]
		assert.Equal(t, map[string]any{"pods": "0"}, recorder.At(quota, "spec.hard"))
		assert.Equal(t, []any{map[string]any{
			"scopeName": "PriorityClass", "operator": "In", "values": []any{"system-cluster-critical", "system-node-critical"},
		}}, recorder.At(quota, "spec.scopeSelector.matchExpressions"))
	}
}

func TestAPodOfATenantGetsNoTokenForTheAPIServer(t *testing.T) {
	objects := rendered(t, tenants())
	for _, namespace := range []string{"default", "team"} {
		assert.Equal(t, false, recorder.At(objects["ServiceAccount/"+namespace+"/default"], "automountServiceAccountToken"), namespace)
	}
}

func TestATenantsPodsHaveWhatItsModelsAreFetchedWithAndNoOthers(t *testing.T) {
	list := tenants()
	list[1].ModelAccess = config.ModelAccess{
		Secrets: []string{"s3", "hf"}, Annotations: map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/team"},
	}
	objects := rendered(t, list)
	its := objects["ServiceAccount/team/default"]
	assert.Equal(t, []any{map[string]any{"name": "s3"}, map[string]any{"name": "hf"}}, its["secrets"])
	assert.Equal(t, map[string]any{"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/team"}, recorder.At(its, "metadata.annotations"))
	assert.Equal(t, false, its["automountServiceAccountToken"])
	others := objects["ServiceAccount/default/default"]
	assert.NotContains(t, others, "secrets")
	assert.Nil(t, recorder.At(others, "metadata.annotations"))
}

func TestQuantitiesAreWrittenAsTheAPIServerWritesThem(t *testing.T) {
	list := tenants()
	list[1].Quota.Requests = config.Shares{CPU: "4000m", Memory: "8192Mi", EphemeralStorage: "10240Mi"}
	list[1].Quota.Storage = "1024Gi"
	list[1].Limits.Default = config.Shares{CPU: "0.5", Memory: "1024Ki", EphemeralStorage: "4096Mi"}
	objects := rendered(t, list)
	hard := recorder.At(objects["ResourceQuota/team/team-namespace-quota"], "spec.hard").(map[string]any)
	assert.Equal(t, "4", hard["requests.cpu"], "Argo CD would see a difference for ever")
	assert.Equal(t, "8Gi", hard["requests.memory"])
	assert.Equal(t, "10Gi", hard["requests.ephemeral-storage"])
	assert.Equal(t, "1Ti", hard["requests.storage"])
	defaults := recorder.At(objects["LimitRange/team/team-namespace-limits"], "spec.limits.0.default").(map[string]any)
	assert.Equal(t, map[string]any{"cpu": "500m", "memory": "1Mi", "ephemeral-storage": "4Gi"}, defaults)
	for name, object := range objects {
		if object["kind"] != "ResourceQuota" {
			continue
		}
		for key, value := range recorder.At(object, "spec.hard").(map[string]any) {
			q, err := resource.ParseQuantity(value.(string))
			require.NoError(t, err)
			assert.Equal(t, value, q.String(), "%s of %s", key, name)
		}
	}
}

func TestATenantsPeopleOnlyLookAndDebug(t *testing.T) {
	objects := rendered(t, tenants())
	role := objects["Role/team/neuroscale-tenant"]
	binding := objects["RoleBinding/team/neuroscale-tenant"]
	assert.Equal(t, "neuroscale:tenant:team", recorder.At(binding, "subjects.0.name"))
	assert.Equal(t, "Role", recorder.At(binding, "roleRef.kind"), "a ClusterRole could say more than this one")

	changes := []any{"pods/ephemeralcontainers", "pods/attach", "pods/portforward"}
	for _, each := range recorder.At(role, "rules").([]any) {
		resources := recorder.At(each, "resources").([]any)
		assert.NotContains(t, resources, "secrets")
		assert.NotContains(t, resources, "pods/exec")
		assert.NotContains(t, resources, "*")
		assert.NotContains(t, recorder.At(each, "apiGroups"), "*")
		for _, verb := range recorder.At(each, "verbs").([]any) {
			if slices.Contains([]any{"get", "list", "watch"}, verb) {
				continue
			}
			for _, resource := range resources {
				assert.Contains(t, changes, resource, "%s is allowed", verb)
			}
		}
	}
	assert.Equal(t, []any{"team"}, recorder.At(role, "rules.0.resourceNames"), "others' namespaces can be read")
}

func TestATenantChangesNoObjectOfAnother(t *testing.T) {
	list := tenants()
	alone, both := rendered(t, list[:1]), rendered(t, list)
	for name, object := range alone {
		assert.Equal(t, object, both[name], name)
	}
	r1, _ := build(t, args(t, list[0]))
	r2, _ := build(t, args(t, list...))
	for _, kind := range []string{"NamespacePatch", "AppProject"} {
		for _, g := range r1.Kind(kind) {
			assert.Equal(t, g.Object(), r2.Type(t, g.Type, g.Name).Object(), g.URN)
		}
	}
}

func TestBadArgs(t *testing.T) {
	for want, change := range map[string]func(*Args){
		"tenancy: Args.Tenants is empty":                                           func(a *Args) { a.Tenants = nil },
		"tenancy: Args.Tenants[0].Namespace is empty":                              func(a *Args) { a.Tenants[0].Namespace = "" },
		"tenancy: Args.Delivery is missing":                                        func(a *Args) { a.Delivery = nil },
		`tenancy: Args.Repositories has no "endpoints", which is tenant default's`: func(a *Args) { a.Repositories = nil },
		"tenancy: Args.ProbeImage is empty":                                        func(a *Args) { a.ProbeImage = "" },
		"tenancy: Args.Layers is empty":                                            func(a *Args) { a.Layers = nil },
	} {
		a := args(t, config.Default().Tenants...)
		a.Delivery = &layer.Delivery{}
		change(a)
		assert.Contains(t, recorder.Refusal(t, func(ctx *pulumi.Context) error {
			_, err := New(ctx, "tenancy", a)
			return err
		}), want)
	}
	assert.Equal(t, "tenancy: no Args", recorder.Refusal(t, func(ctx *pulumi.Context) error {
		_, err := New(ctx, "tenancy", nil)
		return err
	}))
}

func TestAnAmountThatIsNoneIsAnErrorThatNamesItsTenant(t *testing.T) {
	for want, change := range map[string]func(*config.Tenant){
		`tenancy: tenant default: quota.limits.cpu is "many": quantities must match the regular expression`:  func(t *config.Tenant) { t.Quota.Limits.CPU = "many" },
		`tenancy: tenant default: limits.max.memory is "much": quantities must match the regular expression`: func(t *config.Tenant) { t.Limits.Max.Memory = "much" },
		`tenancy: tenant default: quota.storage is "lots": quantities must match the regular expression`:     func(t *config.Tenant) { t.Quota.Storage = "lots" },
	} {
		list := config.Default().Tenants
		change(&list[0])
		_, err := Layers(list, config.Default().Serving, config.Default().Portal)
		assert.ErrorContains(t, err, want)
	}
}
