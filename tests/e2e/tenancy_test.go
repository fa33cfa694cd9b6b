package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

const (
	other           = "team-b"
	otherOwner      = "team-b-people"
	otherCostCenter = "cc-b"
	otherRepository = "models-b"
	otherFolder     = "iris-b"
	otherMember     = "bob"
)

// tenantsAreApart brings a second tenant up beside the first, has it serve a model,
// has it try what it may not, and takes it away again.
func (s *suite) tenantsAreApart(t *testing.T) {
	ctx := within(t, 25*time.Minute)
	before := s.contents(ctx, t, tenants)
	first := config.Default().Tenants[0]
	restore, err := s.project.Set(stack, "neuroscale:tenants", []any{
		map[string]any{
			"namespace": first.Namespace, "owner": first.Owner, "costCenter": first.CostCenter, "repositories": first.Repositories,
		},
		map[string]any{
			"namespace": other, "owner": otherOwner, "costCenter": otherCostCenter, "repositories": []string{otherRepository},
			"members": []string{otherMember},
			"quota":   map[string]any{"inferenceServices": 1, "limits": map[string]any{"cpu": "4000m"}, "requests": map[string]any{"cpu": 2}},
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, restore()) })
	assert.True(t, s.up(ctx, t).Changed)
	s.outputs = s.readOutputs(ctx, t)
	assert.Equal(t, before, s.contents(ctx, t, tenants), "a new tenant moved what is the first one's")
	require.NoError(t, s.awaitSynced(ctx, tenancy.Layer, ""))
	assert.False(t, s.up(ctx, t).Changed, "an up without changes changed something")

	clone := s.clone(ctx, t, s.urlOf(t, otherRepository), s.administrator())
	if t.Run("the second tenant's endpoint serves", func(t *testing.T) { s.otherServes(ctx, t, clone) }) {
		t.Run("its costs are its own", func(t *testing.T) { s.otherPays(ctx, t) })
		t.Run("neither tenant's pods reach what is not theirs", func(t *testing.T) { s.networksAreApart(ctx, t) })
		t.Run("a tenant's pods ask its own endpoints without a key and no others", func(t *testing.T) { s.podsAskTheirOwn(ctx, t) })
		t.Run("its people see and debug their own only", func(t *testing.T) { s.peopleSeeTheirOwn(ctx, t) })
	}
	t.Run("everybody signs in to Argo CD with their account and sees their own", func(t *testing.T) { s.peopleSignInToArgoCD(ctx, t) })
	t.Run("neither tenant's people write what is not theirs", func(t *testing.T) { s.peopleAreApart(ctx, t) })
	t.Run("what it merges stays within its bounds", func(t *testing.T) {
		s.mergesAreBounded(ctx, t, s.clone(ctx, t, s.urlOf(t, otherRepository), s.administrator()))
	})
	t.Run("no folder takes another's Application", func(t *testing.T) { s.namesAreReserved(ctx, t) })
	t.Run("nobody exceeds a quota", func(t *testing.T) { s.quotasHold(ctx, t) })
	t.Run("a new password is the only one", func(t *testing.T) { s.passwordsRotate(ctx, t) })
	assert.Equal(t, before, s.contents(ctx, t, tenants), "the second tenant changed what is the first one's")

	left := s.member(t, otherMember)
	require.NoError(t, restore())
	assert.True(t, s.up(ctx, t).Changed)
	s.outputs = s.readOutputs(ctx, t)
	s.otherIsGone(ctx, t)
	assert.NotContains(t, s.outputs.Members, otherMember)
	assert.Equal(t, http.StatusUnauthorized, s.askForge(ctx, t, left, http.MethodGet, "/user", "").code, "who is nobody's member any more signs in")
	assert.Equal(t, before, s.contents(ctx, t, tenants), "the end of the second tenant changed what is the first one's")
	requirePrediction(t, succeed(ctx, t, s.command("predict", example)).Stdout)
	kept := s.clone(ctx, t, s.urlOf(t, otherRepository), s.administrator())
	author, err := kept.Git(ctx, "log", "--format=%ae")
	require.NoError(t, err)
	assert.Contains(t, author, "scientist@example.com", "what people merged went with the tenant")
}

// contents are the identities of what a tenant has: none of it may be made again
// or changed for the sake of another. Scaling is not a change.
func (s *suite) contents(ctx context.Context, t *testing.T, namespace string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, resource := range []schema.GroupVersionResource{kube.InferenceServices, kube.Deployments, kube.Quotas, kube.Roles} {
		objects, err := s.cluster.List(ctx, resource, namespace)
		require.NoError(t, err)
		for i := range objects {
			found[resource.Resource+" "+objects[i].GetName()] = string(objects[i].GetUID())
		}
	}
	for _, name := range []string{"inferenceservices " + example, "resourcequotas " + tenancy.QuotaName(tenants), "deployments nginx-test"} {
		require.Contains(t, found, name)
	}
	return found
}

// urlOf is where one of the forge's repositories is cloned from.
func (s *suite) urlOf(t *testing.T, repository string) string {
	t.Helper()
	base, found := strings.CutSuffix(s.outputs.Repository, "/"+config.Default().Tenants[0].Repositories[0]+".git")
	require.True(t, found, "%s is not the first tenant's repository", s.outputs.Repository)
	return base + "/" + repository + ".git"
}

// merge writes one manifest into a folder of a clone and pushes it.
func merge(ctx context.Context, t *testing.T, clone *git.Checkout, folder, manifest string) {
	t.Helper()
	dir := filepath.Join(clone.Dir, endpoints.Folder, folder)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest.yaml"), []byte(manifest), 0o644))
	publish(ctx, t, clone, "Add "+folder)
}

// unmerge takes folders away again.
func unmerge(ctx context.Context, t *testing.T, clone *git.Checkout, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		_, err := clone.Git(ctx, "rm", "-r", "--quiet", endpoints.Folder+"/"+folder)
		require.NoError(t, err)
	}
	publish(ctx, t, clone, "Remove "+strings.Join(folders, ", "))
}

// otherEndpoint is the example as the second tenant writes it.
func (s *suite) otherEndpoint(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.checkout, "gitops", "apps", example, "inference-service.yaml"))
	require.NoError(t, err)
	text := string(raw)
	for _, pair := range [][2]string{{example, name}, {"owner: data-science", "owner: " + otherOwner}, {"cost-center: ml-demo", "cost-center: " + otherCostCenter}} {
		require.Contains(t, text, pair[0])
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	return text
}

func (s *suite) otherServes(ctx context.Context, t *testing.T, clone *git.Checkout) {
	merge(ctx, t, clone, otherFolder, s.otherEndpoint(t, otherFolder))
	start := time.Now()
	host := strings.Replace(s.hostOf(t, example), example+"-predictor."+tenants+".", otherFolder+"-predictor."+other+".", 1)
	s.awaitAnswer(ctx, t, otherFolder, host)
	t.Logf("the second tenant's endpoint answered 200 after %s", time.Since(start).Round(100*time.Millisecond))
	require.NoError(t, s.awaitSynced(ctx, other+"-"+otherFolder, ""))
	app, err := s.cluster.Get(ctx, kube.Applications, argocd, other+"-"+otherFolder)
	require.NoError(t, err)
	assert.Equal(t, tenancy.ProjectName(other), rig.Text(app, "spec", "project"))
	service, err := s.cluster.Get(ctx, kube.InferenceServices, tenants, otherFolder)
	require.NoError(t, err)
	assert.Nil(t, service, "it is in the first tenant's namespace")
}

func (s *suite) otherPays(ctx context.Context, t *testing.T) {
	for namespace, want := range map[string][2]string{
		tenants: {config.Default().Tenants[0].Owner, config.Default().Tenants[0].CostCenter},
		other:   {otherOwner, otherCostCenter},
	} {
		o, err := s.cluster.Get(ctx, kube.Namespaces, "", namespace)
		require.NoError(t, err)
		require.NotNil(t, o)
		assert.Equal(t, want, [2]string{o.GetLabels()["owner"], o.GetLabels()["cost-center"]}, "namespace %s", namespace)
	}
	pods, err := s.cluster.List(ctx, kube.Pods, "")
	require.NoError(t, err)
	payers := map[string]map[string]bool{tenants: {}, other: {}}
	for i := range pods {
		if p := &pods[i]; payers[p.GetNamespace()] != nil {
			require.NotEmpty(t, p.GetLabels()["cost-center"], "pod %s/%s is paid for by nobody", p.GetNamespace(), p.GetName())
			payers[p.GetNamespace()][p.GetLabels()["owner"]+", "+p.GetLabels()["cost-center"]] = true
		}
	}
	assert.Equal(t, map[string]bool{otherOwner + ", " + otherCostCenter: true}, payers[other])
	require.NotEmpty(t, payers[tenants])
	for payer := range payers[tenants] {
		assert.NotContains(t, payers[other], payer, "both tenants' pods are paid for by one")
	}
}

// as calls kubectl as a member of the second tenant's group.
func (s *suite) as(args ...string) rig.Command {
	return rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: append([]string{"--as=anna", "--as-group=" + tenancy.Group(other)}, args...)}
}

// runningPod is the name and image of a pod of the second tenant's endpoint.
func (s *suite) runningPod(ctx context.Context, t *testing.T) (name, image string) {
	t.Helper()
	require.NoError(t, rig.Poll(ctx, time.Minute, often, func(ctx context.Context) (string, error) {
		pods, err := s.cluster.List(ctx, kube.Pods, other)
		for i := range pods {
			if p := &pods[i]; p.GetDeletionTimestamp() == nil && rig.Text(p, "status", "phase") == "Running" {
				containers, _, _ := unstructured.NestedSlice(p.Object, "spec", "containers")
				name = p.GetName()
				image, _ = containers[0].(map[string]any)["image"].(string)
				return "", nil
			}
		}
		return "no pod runs", err
	}))
	return name, image
}

func (s *suite) peopleSeeTheirOwn(ctx context.Context, t *testing.T) {
	pod, image := s.runningPod(ctx, t)
	for _, args := range [][]string{
		{"get", "-n", other, "pods,deployments,inferenceservices,services,configmaps,events,resourcequotas,limitranges"},
		{"get", "-n", other, "services.serving.knative.dev,revisions.serving.knative.dev,policyreports.wgpolicyk8s.io"},
		{"get", "namespace", other},
		{"logs", "-n", other, pod, "-c", "kserve-container", "--tail=1"},
		{"debug", "-n", other, pod, "--quiet", "--attach=false", "--profile=restricted", "--image=" + image, "--container=look", "--", "true"},
	} {
		succeed(ctx, t, s.as(args...))
	}
	debug := run(ctx, t, s.as("debug", "-n", other, pod, "--quiet", "--attach=false", "--profile=restricted",
		"--image=busybox:latest", "--container=floating", "--", "true"))
	assert.Positive(t, debug.Code, "a debugging container is judged by nobody")
	assert.Contains(t, debug.Stderr, "disallow-latest-image-tag")

	configMap := filepath.Join(t.TempDir(), "configmap.yaml")
	require.NoError(t, os.WriteFile(configMap, []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: not-from-git}}"), 0o600))
	dry := "--dry-run=server"
	for what, args := range map[string][]string{
		"see another's endpoints":           {"get", "-n", tenants, "inferenceservices"},
		"see another's pods":                {"get", "-n", tenants, "pods"},
		"see another's logs":                {"logs", "-n", tenants, "deployment/nginx-test"},
		"see all namespaces":                {"get", "namespaces"},
		"see another's namespace":           {"get", "namespace", tenants},
		"see their Secrets":                 {"get", "-n", other, "secrets"},
		"see Argo CD's Applications":        {"get", "-n", argocd, "applications"},
		"see nodes":                         {"get", "nodes"},
		"delete another's endpoint":         {"delete", dry, "-n", tenants, "inferenceservice", example},
		"scale another's Deployment":        {"patch", dry, "-n", tenants, "deployment", "nginx-test", "--type=merge", "-p", `{"spec":{"replicas":0}}`},
		"delete their endpoint past Git":    {"delete", dry, "-n", other, "inferenceservice", otherFolder},
		"add an object past Git":            {"create", dry, "-n", other, "-f", configMap},
		"run commands in their containers":  {"exec", "-n", other, pod, "-c", "kserve-container", "--", "true"},
		"delete their pod":                  {"delete", dry, "-n", other, "pod", pod},
		"raise their quota":                 {"patch", dry, "-n", other, "resourcequota", tenancy.QuotaName(other), "--type=merge", "-p", `{"spec":{"hard":{"pods":"99"}}}`},
		"leave the guardrails by a label":   {"label", dry, "namespace", other, "neuroscale.dev/tenant-"},
		"pay with another's cost center":    {"label", dry, "--overwrite", "namespace", other, "cost-center=platform"},
		"take the API server's policy away": {"delete", dry, "validatingadmissionpolicy", "disallow-latest-image-tag"},
	} {
		r := run(ctx, t, s.as(args...))
		assert.Positive(t, r.Code, "they can %s: %s", what, r)
		assert.Contains(t, r.Stderr, "forbidden", "%s: %s", what, r)
	}
}

// mergesAreBounded merges what the second tenant's project does not permit.
func (s *suite) mergesAreBounded(ctx context.Context, t *testing.T, clone *git.Checkout) {
	quota := func() string {
		o, err := s.cluster.Get(ctx, kube.Quotas, other, tenancy.QuotaName(other))
		require.NoError(t, err)
		require.NotNil(t, o)
		return rig.Text(o, "spec", "hard", "pods")
	}
	bound := quota()
	var folders []string
	for folder, test := range map[string]struct{ manifest, says string }{
		"elsewhere": {"{apiVersion: v1, kind: ConfigMap, metadata: {name: intruder, namespace: " + tenants + "}}",
			"namespace " + tenants + " is not permitted in project"},
		"everywhere": {"{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: intruder}, rules: []}",
			"rbac.authorization.k8s.io:ClusterRole is not permitted in project"},
		"rights": {"{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: intruder}, rules: []}",
			"rbac.authorization.k8s.io:Role is not permitted in project"},
		"riches": {"{apiVersion: v1, kind: ResourceQuota, metadata: {name: " + tenancy.QuotaName(other) + "}, spec: {hard: {pods: \"99\"}}}",
			":ResourceQuota is not permitted in project"},
	} {
		merge(ctx, t, clone, folder, test.manifest)
		folders = append(folders, folder)
		require.NoError(t, rig.Poll(ctx, time.Minute, often, func(ctx context.Context) (string, error) {
			app, err := s.cluster.Get(ctx, kube.Applications, argocd, other+"-"+folder)
			if err != nil || app == nil {
				return "there is no Application " + other + "-" + folder, err
			}
			status, err := json.Marshal(app.Object["status"])
			if err == nil && !strings.Contains(string(status), test.says) {
				return fmt.Sprintf("%s is not refused: %s", folder, status), nil
			}
			return "", err
		}))
	}
	for what, place := range map[string]struct {
		resource        schema.GroupVersionResource
		namespace, name string
	}{
		"an object in the first tenant's namespace": {kube.ConfigMaps, tenants, "intruder"},
		"an object of the cluster":                  {kube.ClusterRoles, "", "intruder"},
		"rights":                                    {kube.Roles, other, "intruder"},
	} {
		o, err := s.cluster.Get(ctx, place.resource, place.namespace, place.name)
		require.NoError(t, err)
		assert.Nil(t, o, "the second tenant made %s", what)
	}
	assert.Equal(t, bound, quota(), "the second tenant gave itself a quota")
	// What was refused is still being retried: what is merged next must not wait for it.
	merge(ctx, t, clone, "riches", "{apiVersion: v1, kind: ConfigMap, metadata: {name: modest}}")
	require.NoError(t, s.awaitSynced(ctx, other+"-riches", ""), "a refused folder that was corrected")
	unmerge(ctx, t, clone, folders...)
	s.awaitNoApplications(ctx, t, func(app *unstructured.Unstructured) bool {
		return slices.Contains(folders, strings.TrimPrefix(app.GetName(), other+"-"))
	})
}

// namesAreReserved has the first tenant merge folders whose names are those of
// Applications that are somebody else's.
func (s *suite) namesAreReserved(ctx context.Context, t *testing.T) {
	clone := s.clone(ctx, t, s.outputs.Repository, s.administrator())
	taken := []string{tenancy.Layer, other + "-" + otherFolder}
	before := map[string]map[string]any{}
	spec := func(name string) map[string]any {
		app, err := s.cluster.Get(ctx, kube.Applications, argocd, name)
		require.NoError(t, err)
		require.NotNil(t, app, "there is no Application %s", name)
		return app.Object["spec"].(map[string]any)
	}
	for _, name := range taken {
		before[name] = spec(name)
		merge(ctx, t, clone, name, "{apiVersion: v1, kind: ConfigMap, metadata: {name: intruder}}")
	}
	// The folder pushed last becomes an Application: those before it were seen.
	const last = "last-of-all"
	merge(ctx, t, clone, last, "{apiVersion: v1, kind: ConfigMap, metadata: {name: last}}")
	require.NoError(t, s.awaitSynced(ctx, s.awaitFolder(ctx, t, endpoints.Folder+"/"+last), ""))
	for _, name := range taken {
		assert.Equal(t, before[name], spec(name), "a folder took the Application %s over", name)
	}
	intruder, err := s.cluster.Get(ctx, kube.ConfigMaps, tenants, "intruder")
	require.NoError(t, err)
	assert.Nil(t, intruder)
	unmerge(ctx, t, clone, append(taken, last)...)
	s.awaitNoApplications(ctx, t, func(app *unstructured.Unstructured) bool { return app.GetName() == last })
}

// awaitNoApplications waits as long as Argo CD may retry what it refuses: it deletes
// no Application before.
func (s *suite) awaitNoApplications(ctx context.Context, t *testing.T, which func(*unstructured.Unstructured) bool) {
	t.Helper()
	require.NoError(t, rig.Poll(ctx, 3*time.Minute, often, func(ctx context.Context) (string, error) {
		apps, err := s.cluster.List(ctx, kube.Applications, argocd)
		for i := range apps {
			if which(&apps[i]) {
				return "Application " + apps[i].GetName() + " is still there", err
			}
		}
		return "", err
	}))
}

// greedyPod is a pod that no policy objects to and each of whose containers is
// within the limits, but not all together within a quota.
func greedyPod(t *testing.T, containers int, cpu, memory string) string {
	t.Helper()
	var list []any
	for i := range containers {
		list = append(list, map[string]any{
			"name": fmt.Sprintf("c%d", i), "image": "registry.invalid/none:1",
			"securityContext": map[string]any{"runAsNonRoot": true, "runAsUser": 1000, "allowPrivilegeEscalation": false},
			"resources": map[string]any{
				"requests": map[string]any{"cpu": "10m", "memory": "32Mi"},
				"limits":   map[string]any{"cpu": cpu, "memory": memory},
			},
		})
	}
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": "greedy", "labels": map[string]any{"owner": "tests", "cost-center": "tests"}},
		"spec":     map[string]any{"containers": list},
	})
	require.NoError(t, err)
	return string(text)
}

func (s *suite) quotasHold(ctx context.Context, t *testing.T) {
	for _, test := range []struct{ what, namespace, manifest, says string }{
		{"pods for more CPU than the first tenant has", tenants, greedyPod(t, 5, "2", "1Gi"),
			"exceeded quota: " + tenancy.QuotaName(tenants) + ", requested: limits.cpu=10"},
		{"pods for more CPU than the second tenant has", other, greedyPod(t, 3, "2", "1Gi"),
			"exceeded quota: " + tenancy.QuotaName(other) + ", requested: limits.cpu=6"},
		{"a second InferenceService where there may be one", other, s.otherEndpoint(t, "one-more"),
			"exceeded quota: " + tenancy.QuotaName(other) + ", requested: count/inferenceservices.serving.kserve.io=1, used: count/inferenceservices.serving.kserve.io=1"},
		{"a container of more memory than any may have", other, greedyPod(t, 1, "1", "5Gi"),
			"maximum memory usage per Container is 4Gi"},
		{"a pod for more disk than the second tenant has", other, withDisk(t, greedyPod(t, 7, "100m", "64Mi"), "16Gi"),
			"exceeded quota: " + tenancy.QuotaName(other) + ", requested: limits.ephemeral-storage=112Gi"},
		{"a container of more disk than any may have", other, withDisk(t, greedyPod(t, 1, "100m", "64Mi"), "17Gi"),
			"maximum ephemeral-storage usage per Container is 16Gi"},
		{"a claim of more storage than the second tenant has", other,
			"{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: greedy}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 11Gi}}}}",
			"exceeded quota: " + tenancy.QuotaName(other) + ", requested: requests.storage=11Gi"},
	} {
		file := filepath.Join(t.TempDir(), "manifest.yaml")
		require.NoError(t, os.WriteFile(file, []byte(test.manifest), 0o600))
		r := run(ctx, t, rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: []string{"create", "--dry-run=server", "-n", test.namespace, "-f", file}})
		assert.Positive(t, r.Code, "%s: %s", test.what, r)
		assert.Contains(t, r.Stderr, test.says, test.what)
	}
	s.countsHold(ctx, t)
}

// withDisk is a pod each of whose containers may use as much ephemeral storage.
func withDisk(t *testing.T, pod, disk string) string {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(pod), &object))
	containers, _, err := unstructured.NestedSlice(object, "spec", "containers")
	require.NoError(t, err)
	for _, c := range containers {
		require.NoError(t, unstructured.SetNestedField(c.(map[string]any), disk, "resources", "limits", "ephemeral-storage"))
		require.NoError(t, unstructured.SetNestedField(c.(map[string]any), "1Mi", "resources", "requests", "ephemeral-storage"))
	}
	require.NoError(t, unstructured.SetNestedSlice(object, containers, "spec", "containers"))
	text, err := json.Marshal(object)
	require.NoError(t, err)
	return string(text)
}

// countsHold fills what is left of a count, and then asks for one more.
func (s *suite) countsHold(ctx context.Context, t *testing.T) {
	for _, test := range []struct {
		resource, manifest string
		most               int
	}{
		{"services", "{apiVersion: v1, kind: Service, metadata: {name: filler-%d, labels: {tests: filler}}, spec: {ports: [{port: 80}]}}\n---\n", config.Default().Tenants[0].Quota.Services},
		{"configmaps", "{apiVersion: v1, kind: ConfigMap, metadata: {name: filler-%d, labels: {tests: filler}}}\n---\n", config.Default().Tenants[0].Quota.ConfigMaps},
	} {
		kubectl := func(args ...string) rig.Command {
			return rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: append([]string{"-n", other}, args...)}
		}
		t.Cleanup(func() { succeed(context.WithoutCancel(ctx), t, kubectl("delete", test.resource, "-l", "tests=filler")) })
		var text strings.Builder
		for i := range test.most {
			fmt.Fprintf(&text, test.manifest, i)
		}
		file := filepath.Join(t.TempDir(), "manifest.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text.String()), 0o600))
		r := run(ctx, t, kubectl("create", "-f", file))
		assert.Positive(t, r.Code, "with those that were there these are too many: %s", r)
		assert.Contains(t, r.Stderr, fmt.Sprintf("exceeded quota: %s, requested: %s=1, used: %s=%d, limited: %s=%d",
			tenancy.QuotaName(other), test.resource, test.resource, test.most, test.resource, test.most))
	}
}

// otherIsGone waits for the end of all that was the second tenant's in the cluster.
func (s *suite) otherIsGone(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, gone := range []struct {
		resource        schema.GroupVersionResource
		namespace, name string
	}{
		{kube.Namespaces, "", other},
		{kube.Projects, argocd, tenancy.ProjectName(other)},
		{kube.ApplicationSets, argocd, endpoints.ApplicationSet + "-" + other},
	} {
		o, err := s.cluster.Get(ctx, gone.resource, gone.namespace, gone.name)
		require.NoError(t, err)
		assert.Nil(t, o, "%s %s is left", gone.resource.Resource, gone.name)
	}
	s.awaitNoApplications(ctx, t, func(app *unstructured.Unstructured) bool {
		return rig.Text(app, "spec", "project") == tenancy.ProjectName(other)
	})
}
