package policy

import (
	"cmp"
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

// KServe merges what is written over the runtime's container, which says false.
func TestOnlyWhatHasARuntimeNeedNotSayThatItDoesNotEscalate(t *testing.T) {
	for name, c := range map[string]struct {
		shape, path string
		says        string // "" is admitted
	}{
		"a model":                        {"InferenceService/worker", "spec predictor model", ""},
		"a container called model":       {"InferenceService/custom", "spec predictor containers main", "predictor.model (allowPrivilegeEscalation is not false)"},
		"a worker":                       {"InferenceService/worker", "spec predictor workerSpec containers main", "predictor.workerSpec.main (allow"},
		"a server of one's own":          {"InferenceService/custom", "spec predictor containers main", "(allow"},
		"a runtime of the tenant's":      {"ServingRuntime", "spec containers main", "main (allow"},
		"a Deployment":                   {"Deployment", "spec template spec containers main", "main (allow"},
		"a Knative Service, made direct": {"Service", "spec template spec containers main", "main (allow"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good(t, c.shape)
			container := at(o, strings.Fields(c.path)...)
			drop(at(container, "securityContext"), "allowPrivilegeEscalation")
			if strings.HasSuffix(name, "called model") {
				container["name"] = "model"
			}
			if c.says == "" {
				judged(t, Request{Object: o}, nil)
			} else {
				judged(t, Request{Object: o}, []string{root}, c.says)
			}
			at(container, "securityContext")["allowPrivilegeEscalation"] = true
			judged(t, Request{Object: o}, []string{root}, "allowPrivilegeEscalation is not false")
		})
	}
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
			var refused []string
			if floats {
				refused = []string{latest}
			}
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
			var refused []string
			if c.root {
				refused = []string{root}
			}
			judged(t, Request{Object: o}, refused)
		})
	}
}

func TestZeroIsNoLimit(t *testing.T) {
	for value, bad := range map[string]bool{`"0"`: true, "0": true, "0Mi": true, `""`: true, "lots": true, "-1": true, "1": false, "0.5": false, `"1e3"`: false, "100m": false} {
		t.Run(value, func(t *testing.T) {
			o := good(t, "Job")
			maps.Copy(at(pod(o, "Job"), "containers", "main", "resources", "limits"), decode(t, "{cpu: "+value+"}"))
			var refused []string
			if bad {
				refused = []string{resources}
			}
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
			var refused []string
			if !c.trusted {
				refused = []string{latest}
			}
			judged(t, Request{Object: o, Username: c.user}, refused)
			if c.trusted {
				assert.False(t, evaluate(t, Request{Object: o, Username: c.user})[latest].Matched)
				judged(t, Request{Object: o}, []string{latest}, "")
			}
		})
	}
}

func TestAPodClaimsNothingThatIsTheClusters(t *testing.T) {
	for shape := range shapes {
		for name, c := range map[string]struct {
			claim string
			says  string // "" is admitted
		}{
			"a priority of its own":      {"{priorityClassName: batch}", ""},
			"no priority":                {"{priorityClassName: ''}", ""},
			"the node's priority":        {"{priorityClassName: system-node-critical}", "priorityClassName is system-node-critical, before which the platform has to go: leave it out"},
			"the cluster's own priority": {"{priorityClassName: system-cluster-critical}", "priorityClassName is system-cluster-critical"},
			"the default account":        {"{serviceAccountName: default, serviceAccount: default, automountServiceAccountToken: false}", ""},
			"no account":                 {"{serviceAccountName: ''}", ""},
			"another account":            {"{serviceAccountName: builder}", "serviceAccountName is builder: leave it out or write default"},
			"another, in the old way":    {"{serviceAccount: builder}", "serviceAccount is builder: leave it out or write default"},
			"the account's token":        {"{automountServiceAccountToken: true}", "automountServiceAccountToken is true: leave it out or write false"},
			"two at once":                {"{priorityClassName: system-node-critical, serviceAccountName: builder}", "leave it out; serviceAccountName is builder"},
		} {
			t.Run(shape+" "+name, func(t *testing.T) {
				o := good(t, shape)
				maps.Copy(pod(o, shape), decode(t, c.claim))
				var refused []string
				if c.says != "" {
					refused = []string{privileges}
				}
				judged(t, Request{Object: o}, refused, c.says)
				judged(t, Request{Operation: "UPDATE", Object: o, OldObject: good(t, shape)}, refused, c.says)
			})
		}
	}
}

const initializerUID = "serving.kserve.io/storage-initializer-uid"

func TestNobodyChoosesTheUserOfTheStorageInitializer(t *testing.T) {
	places := map[string][]string{
		"Pod": {"metadata"}, "Revision": {"metadata"}, "CronJob": {"metadata", "spec.jobTemplate.spec.template.metadata"},
		"InferenceService/custom": {"metadata", "spec.predictor"}, "InferenceService/transformer": {"metadata", "spec.predictor", "spec.transformer"},
		"InferenceService/explainer": {"metadata", "spec.explainer"}, "InferenceService/worker": {"metadata", "spec.predictor"},
		"ServingRuntime": {"metadata", "spec"}, "ServingRuntime/worker": {"metadata", "spec"},
	}
	for shape := range shapes {
		for place := range strings.FieldsSeq(cmp.Or(strings.Join(places[shape], " "), "metadata spec.template.metadata")) {
			t.Run(shape+" "+place, func(t *testing.T) {
				o := good(t, shape)
				at(o, strings.Split(place, ".")...)["annotations"] = map[string]any{initializerUID: "0", "other": "1"}
				judged(t, Request{Object: o}, []string{privileges}, "annotations has "+initializerUID+": leave it out")
				judged(t, Request{Operation: "UPDATE", Object: o, OldObject: good(t, shape)}, []string{privileges})
			})
		}
	}
	t.Run("what was there before stays changeable", func(t *testing.T) {
		old, now := good(t, "InferenceService/custom"), good(t, "InferenceService/custom")
		at(old, "metadata")["annotations"] = map[string]any{initializerUID: "0"}
		at(now, "metadata")["annotations"] = map[string]any{initializerUID: "0", "other": "1"}
		judged(t, Request{Operation: "UPDATE", Object: now, OldObject: old}, nil)
		at(now, "metadata", "annotations")[initializerUID] = "1"
		judged(t, Request{Operation: "UPDATE", Object: now, OldObject: old}, []string{privileges})
	})
}

const routeOwner = "{apiVersion: serving.knative.dev/v1, kind: Route, name: o, uid: u, controller: true}"

func TestAServiceReachesNoFurtherThanTheCluster(t *testing.T) {
	for name, c := range map[string]struct {
		spec string
		says string // "" is admitted
	}{
		"nothing said":            {"{ports: [{port: 80}]}", ""},
		"no spec":                 {"null", ""},
		"a ClusterIP":             {"{type: ClusterIP, ports: [{port: 80}]}", ""},
		"a headless one":          {"{clusterIP: None, ports: [{port: 80}]}", ""},
		"empty fields":            {"{externalIPs: [], externalName: '', loadBalancerIP: ''}", ""},
		"a port of the node":      {"{type: NodePort, ports: [{port: 80, nodePort: 30082}]}", "spec.type is NodePort: write type: ClusterIP"},
		"a load balancer":         {"{type: LoadBalancer, loadBalancerIP: 10.0.0.7}", "spec.type is LoadBalancer, spec.loadBalancerIP is set"},
		"a name outside":          {"{type: ExternalName, externalName: gitea.forge.svc}", "spec.type is ExternalName, spec.externalName is set"},
		"the node's address":      {"{externalIPs: [10.88.0.2], ports: [{port: 30082}]}", "Service s reaches beyond the cluster: spec.externalIPs is set: write"},
		"an address for later":    {"{loadBalancerIP: 10.0.0.7}", "spec.loadBalancerIP is set"},
		"a type of another case":  {"{type: clusterip}", "spec.type is clusterip"},
		"a type that is a number": {"{type: 1}", "spec.type is 1"},
	} {
		t.Run(name, func(t *testing.T) {
			o := decode(t, "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: "+c.spec+"}")
			old := decode(t, "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 1}]}}")
			var refused []string
			if c.says != "" {
				refused = []string{clusterIP}
			}
			judged(t, Request{Object: o}, refused, c.says)
			judged(t, Request{Operation: "UPDATE", Object: o, OldObject: old}, refused, c.says)
		})
	}
	for name, c := range map[string]struct {
		user, owner string
		refused     []string
	}{
		"Knative's for a Route":              {knative, routeOwner, nil},
		"KServe's for an InferenceService":   {kserve, "{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, name: o, uid: u, controller: true}", nil},
		"a person's that says it is":         {"", routeOwner, []string{clusterIP}},
		"Argo CD's that says it is":          {"system:serviceaccount:argocd:argocd-application-controller", routeOwner, []string{clusterIP}},
		"Knative's for nobody":               {knative, "{apiVersion: v1, kind: Pod, name: o, uid: u, controller: true}", []string{clusterIP}},
		"Knative's for what is called Route": {knative, "{apiVersion: route.openshift.io/v1, kind: Route, name: o, uid: u, controller: true}", []string{clusterIP}},
	} {
		t.Run(name, func(t *testing.T) {
			o := decode(t, "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: ExternalName, externalName: kourier-internal.kourier-system.svc}}")
			at(o, "metadata")["ownerReferences"] = []any{decode(t, c.owner)}
			judged(t, Request{Object: o, Username: c.user}, c.refused)
		})
	}
	t.Run("a Route does not excuse a workload", func(t *testing.T) {
		o := good(t, "Deployment")
		at(pod(o, "Deployment"), "containers", "main")["image"] = "nginx"
		at(o, "metadata")["ownerReferences"] = []any{decode(t, routeOwner)}
		judged(t, Request{Object: o, Username: knative}, []string{latest})
	})
}

func TestKnativesDryRunIsLetThroughAndNothingElseOfIt(t *testing.T) {
	probe := decode(t, "{apiVersion: v1, kind: Pod, metadata: {name: dry-run-validation}, spec: {containers: [{name: user-container, image: nginx}]}}")
	everything := []string{latest, root, resources, workloadLabels}
	judged(t, Request{Object: probe, Username: knative, DryRun: true}, nil)
	judged(t, Request{Object: probe, Username: knative}, everything)
	judged(t, Request{Object: probe, DryRun: true}, everything)
}

func TestOnlyWhatChangesIsJudged(t *testing.T) {
	bad := func(t *testing.T) map[string]any {
		o := good(t, "Deployment")
		at(pod(o, "Deployment"), "containers", "main")["image"] = "nginx"
		return o
	}
	deleted := func(o map[string]any) { at(o, "metadata")["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
	for name, c := range map[string]struct {
		old, now func(o map[string]any)
		refused  []string
	}{
		"an annotation":                   {nil, func(o map[string]any) { at(o, "metadata")["annotations"] = map[string]any{"a": "b"} }, nil},
		"a status":                        {nil, func(o map[string]any) { o["status"] = map[string]any{"replicas": 1} }, nil},
		"an owner":                        {nil, func(o map[string]any) { at(o, "metadata")["ownerReferences"] = []any{map[string]any{"uid": "u"}} }, nil},
		"a label":                         {nil, func(o map[string]any) { at(o, "metadata", "labels")["tier"] = "1" }, []string{latest}},
		"a required label":                {nil, func(o map[string]any) { drop(at(o, "metadata", "labels"), "owner") }, []string{latest, workloadLabels}},
		"the spec":                        {nil, func(o map[string]any) { at(o, "spec")["replicas"] = 3 }, []string{latest}},
		"a finalizer, while deleted":      {deleted, func(o map[string]any) { deleted(o); at(o, "spec")["paused"] = true }, nil},
		"a deletion only the writer says": {nil, func(o map[string]any) { deleted(o); at(o, "spec")["replicas"] = 3 }, []string{latest}},
	} {
		t.Run(name, func(t *testing.T) {
			old, now := bad(t), bad(t)
			if c.old != nil {
				c.old(old)
			}
			c.now(now)
			judged(t, Request{Operation: "UPDATE", Object: now, OldObject: old}, c.refused)
		})
	}
	t.Run("a new object that says it is deleted", func(t *testing.T) {
		o := bad(t)
		deleted(o)
		judged(t, Request{Object: o}, []string{latest})
	})
	t.Run("an update that makes it good", func(t *testing.T) {
		judged(t, Request{Operation: "UPDATE", Object: good(t, "Deployment"), OldObject: bad(t)}, nil)
	})
}

func TestOfADebuggedPodOnlyWhatIsAddedIsJudged(t *testing.T) {
	// As Knative makes them: neither limits nor a security context on queue-proxy.
	running := decode(t, `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [
	  {name: kserve-container, image: "kserve/sklearnserver:v0.16.0"}, {name: queue-proxy, image: "queue@sha256:bad"}]}}`)
	for name, c := range map[string]struct {
		added   string
		refused []string
		says    string
	}{
		"good":     {`{name: shell, image: "busybox:1.37", securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false}}`, nil, ""},
		"floating": {`{name: shell, image: "busybox:latest", securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false}}`, []string{latest}, "shell=busybox:latest"},
		"root":     {`{name: shell, image: "busybox:1.37"}`, []string{root}, "shell (runAsNonRoot is not true"},
		"setuid":   {`{name: shell, image: "busybox:1.37", securityContext: {runAsNonRoot: true}}`, []string{root}, "shell (allowPrivilegeEscalation is not false)"},
		"both":     {`{name: shell, image: busybox, securityContext: {runAsUser: 0}}`, []string{latest, root}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			now := Normal(running)
			at(now, "spec")["ephemeralContainers"] = []any{decode(t, c.added)}
			r := Request{Operation: "UPDATE", SubResource: "ephemeralcontainers", Object: now, OldObject: running}
			judged(t, r, c.refused, c.says)
			assert.False(t, evaluate(t, r)[resources].Matched, "they may not have any")
		})
	}
	for _, other := range []string{"status", "resize", "scale", "binding", "eviction"} {
		now := Normal(running)
		at(now, "spec")["ephemeralContainers"] = []any{}
		for _, v := range evaluate(t, Request{Operation: "UPDATE", SubResource: other, Object: now, OldObject: running}) {
			assert.False(t, v.Matched, "%s by %s", other, v.Policy)
		}
	}
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
