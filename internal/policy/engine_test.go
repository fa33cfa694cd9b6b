package policy

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

func drop(m map[string]any, keys ...string) {
	for _, k := range keys {
		delete(m, k)
	}
}

// containerFaults are what is done to a good object's container.
var containerFaults = []struct {
	name    string
	where   string
	edit    func(container, pod map[string]any)
	refused string
	says    string
}{
	{"a tag of latest", "containers", func(c, _ map[string]any) { c["image"] = "nginx:latest" }, latest, "main=nginx:latest"},
	{"no tag behind a registry's port", "initContainers", func(c, _ map[string]any) { c["image"] = "host:5000/img" }, latest, "setup=host:5000/img"},
	{"no limit of memory", "containers", func(c, _ map[string]any) { drop(at(c, "resources", "limits"), "memory") }, resources, "main (limits.memory)"},
	{"no resources in an init container", "initContainers", func(c, _ map[string]any) { drop(c, "resources") }, resources,
		"setup (requests.cpu, requests.memory, limits.cpu, limits.memory)"},
	{"root by a setuid program", "containers", func(c, _ map[string]any) { at(c, "securityContext")["allowPrivilegeEscalation"] = true }, root,
		"main (allowPrivilegeEscalation is not false): write under the container as in securityContext: {runAsNonRoot: true, runAsUser: 1000, allowPrivilegeEscalation: false}"},
	{"nothing about setuid programs in an init container", "initContainers", func(c, _ map[string]any) {
		drop(at(c, "securityContext"), "allowPrivilegeEscalation")
	}, root, "setup (allowPrivilegeEscalation is not false)"},
	{"root by number", "containers", func(c, _ map[string]any) { at(c, "securityContext")["runAsUser"] = int64(0) }, root, "main (runAsUser is not a number above 0)"},
	{"nothing about root in an init container", "initContainers", func(c, _ map[string]any) { drop(c, "securityContext") }, root,
		"setup (runAsNonRoot is not true, allowPrivilegeEscalation is not false)"},
	{"an ephemeral container that may be root", "containers", func(_, p map[string]any) {
		p["ephemeralContainers"] = []any{map[string]any{"name": "shell", "image": "busybox:1.37"}}
	}, root, "shell (runAsNonRoot is not true, allowPrivilegeEscalation is not false)"},
	{"an ephemeral container of no tag", "containers", func(_, p map[string]any) {
		p["ephemeralContainers"] = []any{map[string]any{"name": "shell", "image": "busybox", "securityContext": map[string]any{
			"runAsNonRoot": true, "allowPrivilegeEscalation": false,
		}}}
	}, latest, "shell=busybox"},
}

func TestEveryKindIsJudgedByWhatEveryContainerOfItSays(t *testing.T) {
	for shape := range shapes {
		t.Run(shape, func(t *testing.T) {
			t.Run("good", func(t *testing.T) { judged(t, Request{Object: good(t, shape)}, nil) })
			for _, f := range containerFaults {
				t.Run(f.name, func(t *testing.T) {
					o := good(t, shape)
					p := pod(o, shape)
					f.edit(at(p, f.where, map[string]string{"containers": "main", "initContainers": "setup"}[f.where]), p)
					judged(t, Request{Object: o}, []string{f.refused}, f.says)
				})
			}
		})
	}
}

func TestEveryKindNeedsItsLabels(t *testing.T) {
	templates := map[string]string{}
	for shape, text := range shapes {
		if strings.Contains(text, template) {
			templates[shape] = "spec.template.metadata.labels."
		}
	}
	templates["CronJob"] = "spec.jobTemplate.spec.template.metadata.labels."
	for shape := range shapes {
		if strings.HasPrefix(shape, "ServingRuntime") {
			continue
		}
		refused := []string{workloadLabels}
		if strings.HasPrefix(shape, "InferenceService") {
			refused = []string{isvcLabels}
		}
		t.Run(shape+" without labels", func(t *testing.T) {
			o := good(t, shape)
			drop(at(o, "metadata"), "labels")
			judged(t, Request{Object: o}, refused, strings.Split(shape, "/")[0]+" thing lacks metadata.labels.owner, metadata.labels.cost-center: write")
		})
		t.Run(shape+" with an empty label", func(t *testing.T) {
			o := good(t, shape)
			at(o, "metadata", "labels")["owner"] = ""
			judged(t, Request{Object: o}, refused, "thing lacks metadata.labels.owner: write")
		})
		if path, ok := templates[shape]; ok {
			t.Run(shape+" without labels on its pods", func(t *testing.T) {
				o := good(t, shape)
				keys := strings.Split(strings.TrimSuffix(path, ".metadata.labels."), ".")
				drop(at(o, keys...), "metadata")
				judged(t, Request{Object: o}, refused, path+"owner, "+path+"cost-center")
			})
		}
	}
	t.Run("a label that is a number", func(t *testing.T) {
		o := good(t, "Pod")
		at(o, "metadata", "labels")["cost-center"] = int64(7)
		judged(t, Request{Object: o}, []string{workloadLabels})
	})
	t.Run("a component that empties a label", func(t *testing.T) {
		o := good(t, "InferenceService/transformer")
		at(o, "spec", "transformer")["labels"] = map[string]any{"owner": ""}
		judged(t, Request{Object: o}, []string{isvcLabels}, "thing lacks spec.transformer.labels.owner: write")
	})
	t.Run("a component with labels of its own", func(t *testing.T) {
		o := good(t, "InferenceService/transformer")
		at(o, "spec", "predictor")["labels"] = map[string]any{"owner": "another-team", "tier": "1"}
		judged(t, Request{Object: o}, nil)
	})
}

func TestWhatKServeServesItselfIsJudgedInEveryField(t *testing.T) {
	for _, field := range []string{"model", "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle"} {
		for name, c := range map[string]struct {
			edit    func(m map[string]any)
			refused []string
			says    string
		}{
			"good":                {func(map[string]any) {}, nil, ""},
			"good with its image": {func(m map[string]any) { m["image"] = "kserve/server:v0.16.0" }, nil, ""},
			"good with a version": {func(m map[string]any) { m["runtimeVersion"] = "v0.16.0" }, nil, ""},
			"floating image":      {func(m map[string]any) { m["image"] = "kserve/server" }, []string{latest}, "predictor." + field + "=kserve/server"},
			"floating version":    {func(m map[string]any) { m["runtimeVersion"] = "Latest" }, []string{latest}, "predictor." + field + ".runtimeVersion=runtime:Latest"},
			"an empty version":    {func(m map[string]any) { m["runtimeVersion"] = "" }, []string{latest}, ""},
			"may be root":         {func(m map[string]any) { drop(at(m, "securityContext"), "runAsNonRoot") }, []string{root}, "predictor." + field + " (runAsNonRoot is not true)"},
			"no requests":         {func(m map[string]any) { drop(at(m, "resources"), "requests") }, []string{resources}, "predictor." + field + " (requests.cpu, requests.memory)"},
		} {
			t.Run(field+" "+name, func(t *testing.T) {
				o := served(t, field)
				c.edit(at(o, "spec", "predictor", field))
				judged(t, Request{Object: o}, c.refused, c.says)
			})
		}
	}
	for name, c := range map[string]struct {
		art     string
		refused []string
	}{
		"ART with an image":              {"image: kserve/art:v0.16.0", nil},
		"ART with a version":             {"runtimeVersion: v0.16.0", nil},
		"ART with neither, so a default": {"type: SquareAttack", []string{latest}},
	} {
		t.Run(name, func(t *testing.T) {
			o := served(t, "model")
			art := decode(t, model)
			maps.Copy(art, decode(t, "{"+c.art+"}"))
			at(art, "securityContext")["allowPrivilegeEscalation"] = false // ART has no runtime that says so.
			at(o, "spec")["explainer"] = map[string]any{"art": art}
			judged(t, Request{Object: o}, c.refused)
		})
	}
	t.Run("a sidecar beside the model", func(t *testing.T) {
		o := served(t, "model")
		at(o, "spec", "predictor")["containers"] = []any{decode(t, "{name: proxy, image: envoy}")}
		judged(t, Request{Object: o}, []string{latest, root, resources}, "predictor.proxy=envoy", "predictor.proxy (requests.cpu")
	})
	t.Run("a pod's security context counts for its model", func(t *testing.T) {
		o := served(t, "model")
		drop(at(o, "spec", "predictor", "model"), "securityContext")
		at(o, "spec", "predictor")["securityContext"] = map[string]any{"runAsNonRoot": true}
		judged(t, Request{Object: o}, nil)
	})
}

func TestImages(t *testing.T) {
	for image, floats := range map[string]bool{
		"nginx:1.27.5":                           false,
		"host:5000/team/img:1":                   false,
		"img:5000":                               false,
		"docker.io/library/nginx:latest-1":       false,
		"docker.io/latest/nginx:1":               false,
		"latest:1":                               false,
		"nginx@" + digest:                        false,
		"nginx:1.2@" + digest:                    false,
		"host:5000/img@" + digest:                false,
		"img@sha512:" + strings.Repeat("0f", 64): false,
		"nginx":                                  true,
		"nginx:latest":                           true,
		"nginx:LATEST":                           true,
		"nginx:Latest":                           true,
		"nginx:":                                 true,
		"host:5000/team/img":                     true,
		"host:5000/team/img:":                    true,
		"host:5000/img:latest":                   true,
		"nginx:latest@" + digest:                 true,
		"nginx:LATEST@" + digest:                 true,
		"nginx:@" + digest:                       true,
		"nginx@sha256:0123":                      true,
		"nginx@md5:" + strings.Repeat("0", 32):   true,
		"nginx@" + strings.ToUpper(digest):       true,
		"nginx@" + digest + "@" + digest:         true,
		" nginx:1":                               true,
		"nginx:1 ":                               true,
		"nginx: latest":                          true,
		"nginx:1\n":                              true,
		"ngi\nnx:1":                              true,
		"nginx:1/":                               true,
		"nginx:1/x":                              true,
		"/":                                      true,
		":1":                                     true,
		"@" + digest:                             true,
		"nginx:" + strings.Repeat("a", 129):      true,
		"":                                       true,
	} {
		t.Run(fmt.Sprintf("%q", image), func(t *testing.T) {
			o := good(t, "Deployment")
			at(pod(o, "Deployment"), "containers", "main")["image"] = image
			refused := refusedIf(floats, latest)
			judged(t, Request{Object: o}, refused)
		})
	}
	t.Run("a container without an image", func(t *testing.T) {
		o := good(t, "Pod")
		drop(at(pod(o, "Pod"), "containers", "main"), "image")
		judged(t, Request{Object: o}, []string{latest}, "main=(none)")
	})
	t.Run("a container that is nothing", func(t *testing.T) {
		o := good(t, "Pod")
		pod(o, "Pod")["containers"] = []any{nil}
		judged(t, Request{Object: o}, []string{latest, root, resources}, "(no name)=(none)")
	})
	t.Run("an image as a volume", func(t *testing.T) {
		o := good(t, "Pod")
		pod(o, "Pod")["volumes"] = []any{decode(t, "{name: model, image: {reference: team/model}}"), decode(t, "{name: tmp, emptyDir: {}}")}
		judged(t, Request{Object: o}, []string{latest}, "volumes.model=team/model")
	})
}

func TestTheContainerWinsOverThePod(t *testing.T) {
	for name, c := range map[string]struct {
		pod, container string
		root           bool
	}{
		"only the pod says so":                       {"{runAsNonRoot: true}", "", false},
		"only the container says so":                 {"", "{runAsNonRoot: true}", false},
		"nobody says so":                             {"{}", "{}", true},
		"the container takes it back":                {"{runAsNonRoot: true}", "{runAsNonRoot: false}", true},
		"the container gives it":                     {"{runAsNonRoot: false}", "{runAsNonRoot: true}", false},
		"the pod is 0, the container not":            {"{runAsUser: 0}", "{runAsNonRoot: true, runAsUser: 1000}", false},
		"the pod is 0, the container inherits":       {"{runAsUser: 0}", "{runAsNonRoot: true}", true},
		"the container is 0, the pod not":            {"{runAsNonRoot: true, runAsUser: 1000}", "{runAsUser: 0}", true},
		"the user alone is not enough":               {"{runAsUser: 1000}", "", true},
		"0 in quotes":                                {"{runAsNonRoot: true}", `{runAsUser: "0"}`, true},
		"0 as a fraction":                            {"{runAsNonRoot: true}", "{runAsUser: 0.0}", true},
		"true in quotes":                             {"", `{runAsNonRoot: "true"}`, true},
		"a key without a value leaves it to the pod": {"{runAsNonRoot: true}", "{runAsNonRoot: }", false},
		"a context without a value leaves it, too":   {"{runAsNonRoot: true}", "null", false},
		"a user as a whole number with a point":      {"{runAsNonRoot: true}", "{runAsUser: 1000.0}", false},
	} {
		t.Run(name, func(t *testing.T) {
			o := served(t, "model")
			p := at(o, "spec", "predictor")
			set := func(m map[string]any, text string) {
				drop(m, "securityContext")
				if text != "" {
					maps.Copy(m, decode(t, "{securityContext: "+text+"}"))
				}
			}
			set(p, c.pod)
			set(at(p, "model"), c.container)
			refused := refusedIf(c.root, root)
			judged(t, Request{Object: o}, refused)
		})
	}
}

func TestZeroIsNoLimit(t *testing.T) {
	for value, bad := range map[string]bool{`"0"`: true, "0": true, "0Mi": true, `""`: true, "lots": true, "-1": true, "1": false, "0.5": false, `"1e3"`: false, "100m": false} {
		t.Run(value, func(t *testing.T) {
			o := good(t, "Job")
			maps.Copy(at(pod(o, "Job"), "containers", "main", "resources", "limits"), decode(t, "{cpu: "+value+"}"))
			refused := refusedIf(bad, resources)
			judged(t, Request{Object: o}, refused)
		})
	}
}

func TestNamespacesThatAreNoTenantsAreLeftAlone(t *testing.T) {
	bad := good(t, "Deployment")
	drop(at(bad, "metadata"), "labels")
	for name, labels := range map[string]map[string]string{
		"no labels":       {},
		"other labels":    {"kubernetes.io/metadata.name": "default", "owner": "platform"},
		"almost the name": {"neuroscale.dev/tenants": "default"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range evaluate(t, Request{Object: bad, NamespaceLabels: labels}) {
				assert.False(t, v.Matched, v.Policy)
				assert.True(t, v.Allowed, v.Policy)
			}
		})
	}
	t.Run("an empty value is a tenant's, too", func(t *testing.T) {
		judged(t, Request{Object: bad, NamespaceLabels: map[string]string{TenantLabel: ""}}, []string{workloadLabels})
	})
	t.Run("kinds without pods", func(t *testing.T) {
		for _, text := range []string{
			"{apiVersion: v1, kind: Endpoints, metadata: {name: s}, subsets: []}",
			"{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {}}",
			"{apiVersion: serving.kserve.io/v1alpha1, kind: ClusterServingRuntime, metadata: {name: r}, spec: {containers: [{name: c, image: i}]}}",
		} {
			for _, v := range evaluate(t, Request{Object: decode(t, text)}) {
				assert.False(t, v.Matched, text)
			}
		}
	})
}

const (
	deploymentController = "system:serviceaccount:kube-system:deployment-controller"
	replicaSetController = "system:serviceaccount:kube-system:replicaset-controller"
	jobController        = "system:serviceaccount:kube-system:job-controller"
	cronJobController    = "system:serviceaccount:kube-system:cronjob-controller"
	statefulController   = "system:serviceaccount:kube-system:statefulset-controller"
	rcController         = "system:serviceaccount:kube-system:replication-controller"
	kserve               = "system:serviceaccount:kserve:kserve-controller-manager"
	knative              = "system:serviceaccount:knative-serving:controller"
)

func TestOnlyAControllerThatWorksForAJudgedObjectIsTrusted(t *testing.T) {
	owner := func(version, kind, controller string) string {
		return "{apiVersion: " + version + ", kind: " + kind + ", name: o, uid: u" + controller + "}"
	}
	const isController = ", controller: true"
	for name, c := range map[string]struct {
		shape, user, owner string
		trusted            bool
	}{
		"a ReplicaSet of a Deployment":             {"ReplicaSet", deploymentController, owner("apps/v1", "Deployment", isController), true},
		"a Pod of a ReplicaSet":                    {"Pod", replicaSetController, owner("apps/v1", "ReplicaSet", isController), true},
		"a Job of a CronJob":                       {"Job", cronJobController, owner("batch/v1", "CronJob", isController), true},
		"a Knative Service of an InferenceService": {"Service", kserve, owner("serving.kserve.io/v1beta1", "InferenceService", isController), true},
		"a Deployment of an InferenceService":      {"Deployment", kserve, owner("serving.kserve.io/v1beta1", "InferenceService", isController), true},
		"a Configuration of a Knative Service":     {"Configuration", knative, owner("serving.knative.dev/v1", "Service", isController), true},
		"a Revision of a Configuration":            {"Revision", knative, owner("serving.knative.dev/v1", "Configuration", isController), true},
		"a Deployment of a Revision":               {"Deployment", knative, owner("serving.knative.dev/v1", "Revision", isController), true},

		"a person who forges the owner":                 {"Pod", "", owner("apps/v1", "ReplicaSet", isController), false},
		"a tenant who forges the owner":                 {"Pod", "oidc:somebody", owner("apps/v1", "ReplicaSet", isController), false},
		"a service account of the tenant's":             {"Pod", "system:serviceaccount:default:replicaset-controller", owner("apps/v1", "ReplicaSet", isController), false},
		"Argo CD with a forged owner":                   {"Pod", "system:serviceaccount:argocd:argocd-application-controller", owner("apps/v1", "ReplicaSet", isController), false},
		"a controller without an owner":                 {"Pod", replicaSetController, "", false},
		"an owner that is not the controller":           {"Pod", replicaSetController, owner("apps/v1", "ReplicaSet", ""), false},
		"an owner that says it is not":                  {"Pod", replicaSetController, owner("apps/v1", "ReplicaSet", ", controller: false"), false},
		"an owner of another controller":                {"Pod", replicaSetController, owner("apps/v1", "Deployment", isController), false},
		"a kind of the same name elsewhere":             {"Pod", replicaSetController, owner("example.com/v1", "ReplicaSet", isController), false},
		"a core Service posing as Knative's":            {"Deployment", knative, owner("v1", "Service", isController), false},
		"KServe for what nobody judged":                 {"Service", kserve, owner("serving.kserve.io/v1alpha1", "InferenceGraph", isController), false},
		"Knative's controller without an owner":         {"Deployment", knative, "", false},
		"a Pod of a StatefulSet, by ControllerRevision": {"Pod", statefulController, owner("apps/v1", "StatefulSet", isController), false},
		"a Pod of a Job":                                {"Pod", jobController, owner("batch/v1", "Job", isController), false},
		"a Pod of a ReplicationController":              {"Pod", rcController, owner("v1", "ReplicationController", isController), false},
	} {
		t.Run(name, func(t *testing.T) {
			o := good(t, c.shape)
			at(pod(o, c.shape), "containers", "main")["image"] = "nginx"
			if c.owner != "" {
				at(o, "metadata")["ownerReferences"] = []any{decode(t, c.owner)}
			}
			refused := refusedIf(!c.trusted, latest)
			judged(t, Request{Object: o, Username: c.user}, refused)
			if c.trusted {
				assert.False(t, evaluate(t, Request{Object: o, Username: c.user})[latest].Matched)
				judged(t, Request{Object: o}, []string{latest}, "")
			}
		})
	}
}

func TestKnativesDryRunIsLetThroughAndNothingElseOfIt(t *testing.T) {
	probe := decode(t, "{apiVersion: v1, kind: Pod, metadata: {name: dry-run-validation}, spec: {containers: [{name: user-container, image: nginx}]}}")
	everything := []string{latest, root, resources, workloadLabels}
	judged(t, Request{Object: probe, Username: knative, DryRun: true}, nil)
	judged(t, Request{Object: probe, Username: knative}, everything)
	judged(t, Request{Object: probe, DryRun: true}, everything)
}

func TestWhatCannotBeJudgedIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no template":                 "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, " + both + "}, spec: {}}",
		"containers that are no list": "{apiVersion: v1, kind: Pod, metadata: {name: p, " + both + "}, spec: {containers: {a: b}}}",
		"no spec":                     "{apiVersion: v1, kind: Pod, metadata: {name: p, " + both + "}}",
	} {
		t.Run(name, func(t *testing.T) {
			verdicts := evaluate(t, Request{Object: decode(t, text)})
			for _, p := range []string{latest, root, resources} {
				v := verdicts[p]
				assert.False(t, v.Allowed, p)
				assert.True(t, v.Matched, p)
				require.Error(t, v.Err, p)
				assert.Contains(t, v.Err.Error(), p+": ")
			}
		})
	}
}

func TestRequestsTheAPIServerWouldNotJudge(t *testing.T) {
	o := good(t, "Pod")
	elsewhere := good(t, "Pod")
	at(elsewhere, "metadata")["namespace"] = "other"
	for name, c := range map[string]struct {
		r    Request
		says string
	}{
		"no namespace":         {Request{Object: o}, "Pod thing: no namespace: say which one it goes to"},
		"another namespace":    {Request{Object: elsewhere, Namespace: "default"}, `metadata.namespace is "other", the request's is "default"`},
		"update without old":   {Request{Object: o, Namespace: "default", Operation: "UPDATE"}, "an UPDATE without OldObject"},
		"create with old":      {Request{Object: o, OldObject: o, Namespace: "default"}, "a CREATE with OldObject"},
		"another operation":    {Request{Object: o, Namespace: "default", Operation: "DELETE"}, `operation "DELETE"`},
		"no kind":              {Request{Object: map[string]any{"apiVersion": "v1"}, Namespace: "default"}, "no apiVersion or kind"},
		"no object":            {Request{Namespace: "default"}, "no apiVersion or kind"},
		"no metadata":          {Request{Object: map[string]any{"apiVersion": "v1", "kind": "Pod"}, Namespace: "default"}, "no metadata"},
		"a version that is no": {Request{Object: map[string]any{"apiVersion": "a/b/c", "kind": "Pod"}, Namespace: "default"}, "a/b/c"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := engine(t).Evaluate(context.Background(), c.r)
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.says)
		})
	}
}

func TestAHugeObjectStaysInTheAPIServersBudget(t *testing.T) {
	for _, shape := range []string{"Deployment", "InferenceService/custom"} {
		o := good(t, shape)
		p := pod(o, shape)
		var many []any
		for i := range 300 {
			c := decode(t, one(fmt.Sprintf("c%d", i)))
			c["command"] = []any{strings.Repeat("x", 1000)}
			many = append(many, c)
		}
		p["containers"] = many
		judged(t, Request{Object: o}, nil)
		judged(t, Request{Operation: "UPDATE", Object: o, OldObject: good(t, shape)}, nil)
	}
}

func TestTheFirstEndpointsPass(t *testing.T) {
	passed := map[string]int{}
	require.NoError(t, fs.WalkDir(gitops.FS, "apps", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(gitops.FS, file)
		if err != nil {
			return err
		}
		for _, document := range strings.Split(string(data), "\n---") {
			var o map[string]any
			if err := yaml.Unmarshal([]byte(document), &o); err != nil {
				return err
			}
			judged(t, Request{Object: o}, nil)
			for name, v := range evaluate(t, Request{Object: o}) {
				if v.Matched {
					passed[name]++
				}
			}
		}
		return nil
	}))
	assert.Equal(t, names, slices.Sorted(maps.Keys(passed)), "every policy has judged one of them")
}

func TestAWorkloadIsAKindTheContainerPoliciesJudge(t *testing.T) {
	policies, err := Load(gitops.FS)
	require.NoError(t, err)
	for shape := range shapes {
		o := good(t, shape)
		assert.Equal(t, !strings.HasPrefix(shape, "ServingRuntime"), workload(o), shape)
		for _, p := range policies {
			judges := p.Name != workloadLabels && p.Name != isvcLabels && p.Name != clusterIP ||
				p.Name == isvcLabels && strings.HasPrefix(shape, "InferenceService") ||
				p.Name == workloadLabels && workload(o) && !strings.HasPrefix(shape, "InferenceService")
			assert.Equal(t, judges, p.Judges(o), "%s %s", p.Name, shape)
		}
	}
}

func TestTheEngineIsSafeForConcurrentUse(t *testing.T) {
	e := engine(t)
	o := good(t, "InferenceService/transformer")
	t.Run("all", func(t *testing.T) {
		for range 8 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for range 20 {
					verdicts, err := e.Evaluate(context.Background(), Request{Object: o, Namespace: "default", NamespaceLabels: tenant})
					require.NoError(t, err)
					for _, v := range verdicts {
						assert.True(t, v.Allowed, v.Message)
					}
				}
			})
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	e := engine(b)
	var objects []map[string]any
	for _, shape := range slices.Sorted(maps.Keys(shapes)) {
		objects = append(objects, good(b, shape))
	}
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for range b.N {
				for i := range n {
					_, err := e.Evaluate(context.Background(), Request{Object: objects[i%len(objects)], Namespace: "default", NamespaceLabels: tenant})
					require.NoError(b, err)
				}
			}
		})
	}
}
