package doctor

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic/fake"
	kubetesting "k8s.io/client-go/testing"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
	"github.com/neuroscale-platform/neuroscale/internal/status"
)

var update = flag.Bool("update", false, "rewrite docs/runbook.md")

func TestTheRunbookIsTheDetectors(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "runbook.md")
	var now bytes.Buffer
	require.NoError(t, Markdown(&now))
	if *update {
		require.NoError(t, os.WriteFile(file, now.Bytes(), 0o644))
	}
	was, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, now.String(), string(was), "run `go test ./internal/doctor -update`")
}

func TestEveryDetectorSaysWhatItIsAndFollowsFromEarlierOnes(t *testing.T) {
	var ids []string
	for _, d := range Detectors() {
		assert.Regexp(t, regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`), d.ID)
		assert.NotContains(t, ids, d.ID)
		for what, text := range map[string]string{"Symptom": d.Symptom, "Cause": d.Cause, "ByHand": d.ByHand} {
			assert.Regexp(t, "^.+[.]$", text, "%s: %s", d.ID, what)
		}
		if d.Repair != "" {
			assert.True(t, strings.HasSuffix(d.Repair, "."), "%s: %s", d.ID, d.Repair)
		}
		for _, id := range d.Follows {
			assert.Contains(t, ids, id, "%s follows what does not come before it", d.ID)
		}
		assert.NotNil(t, d.Look, d.ID)
		assert.Less(t, d.Limit, 10*time.Second, d.ID)
		ids = append(ids, d.ID)
	}
}

func TestAPlatformThatIsWellHasNothingToFind(t *testing.T) {
	x := well(t)
	p, _ := x.on()
	r := Look(t.Context(), p, Detectors())
	assert.True(t, r.Well, "%+v", r)
	assert.Equal(t, len(Detectors()), r.Looked)
	var text bytes.Buffer
	require.NoError(t, r.Text(&text))
	assert.Regexp(t, `^nothing is wrong with stack ci that \d+ detectors know of \([\d.]+s\)\n$`, text.String())
}

// ago is a moment in the past as the API writes it.
func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }

// ingress is KServe's configuration of how endpoints are reached.
func (x *patient) ingress(text string) {
	x.set(x.the("ConfigMap", "kserve", kserveConfig), text, "data", "ingress")
}

func (x *patient) app(name string) *unstructured.Unstructured {
	return x.the("Application", argocd.Namespace, name)
}

func (x *patient) unknown(names ...string) {
	for _, name := range names {
		x.set(x.app(name), "Unknown", "status", "sync", "status")
	}
}

// disease is one way in which a platform goes wrong.
type disease struct {
	name     string
	breaks   func(*patient)
	detector string
	says     string
	explains []string
}

// broken are ways in which a platform goes wrong: the detector that has to name it,
// words of what it says and saw, and words of what follows from it.
var broken = []disease{
	{"the passphrase is lost", func(x *patient) { x.Outputs, x.StateError = nil, errors.New("its passphrase is not in x") }, "state-unreadable", "its passphrase is not in x", nil},
	{"a killed run's lock stays", func(x *patient) {
		x.state.locks = []automation.Lock{{Holder: "process 1", Ended: true}}
		x.state.pending = []string{"creating Secret x"}
	}, "state-locked", "process 1", []string{"1 operations pending"}},
	{"a run is at work for hours", func(x *patient) {
		x.state.locks = []automation.Lock{{Holder: "process 1", Since: time.Now().Add(-3 * time.Hour)}}
	}, "state-locked", "has been locked for 3h", nil},
	{"operations are pending", func(x *patient) { x.state.pending = []string{"creating Secret x"} }, "state-pending", "creating Secret x", nil},
	{"the kubeconfig is another cluster's", func(x *patient) {
		x.Chosen = &kube.Kubeconfig{Source: "chosen", Context: "prod", Server: "https://prod:6443"}
	}, "other-cluster", "its context prod is at https://prod:6443", nil},
	{"the cluster was made anew", func(x *patient) {
		x.Chosen = &kube.Kubeconfig{Source: "chosen", Server: "https://10.88.0.2:6443", Authority: []byte("theirs")}
		x.unreachable = errors.New("x509: certificate signed by unknown authority")
	}, "other-cluster", "another authority", []string{"does not answer"}},
	{"the kernel has no inotify left", func(x *patient) { x.procFile("sys/fs/inotify/max_user_instances", "0\n") }, "limits-too-low", "0 of 0 are taken", nil},
	{"the kernel has no files left", func(x *patient) { x.procFile("sys/fs/file-nr", "950 0 1000\n") }, "limits-too-low", "950 of 1000 are taken", nil},
	{"the cluster is gone", func(x *patient) { x.unreachable = errors.New("no answer in 5s") }, "cluster-unreachable", "no answer in 5s", nil},
	{"the platform's namespaces are gone", func(x *patient) {
		for _, name := range []string{"neuroscale-system", argocd.Namespace, forge.Namespace} {
			x.gone("Namespace", "", name)
		}
		x.gone("Deployment", argocd.Namespace, repoName)
		x.gone("Deployment", forge.Namespace, forge.Service)
	}, "platform-gone", "it has no namespace neuroscale-system, argocd, forge", []string{"argocd/argocd-repo-server is not there", "forge/gitea is not there"}},
	{"a node does not report", func(x *patient) {
		x.set(x.the("Node", "", "sealed"), []any{object{"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}}, "status", "conditions")
		x.unready("kserve", kserveController)
	}, "node-not-ready", "Kubelet stopped posting node status", []string{"kserve-controller-manager does not run"}},
	{"a node is closed", func(x *patient) { x.set(x.the("Node", "", "sealed"), true, "spec", "unschedulable") }, "node-not-ready", "takes no new pods", nil},
	{"a node has no disk left", func(x *patient) {
		x.set(x.the("Node", "", "sealed"), []any{object{"type": "Ready", "status": "True"}, object{"type": "DiskPressure", "status": "True", "message": "kubelet has disk pressure"}}, "status", "conditions")
		x.unready(forge.Namespace, forge.Service)
	}, "node-under-pressure", "kubelet has disk pressure", []string{"gitea does not run"}},
	{"DNS says nothing", func(x *patient) {
		x.deafDNS = true
		x.unknown("knative")
	}, "cluster-dns", "no answer in 5s", []string{"Application knative"}},
	{"DNS is scaled to zero", func(x *patient) {
		x.gone("Pod", dnsNamespace, "coredns-0")
		x.set(x.the("Deployment", dnsNamespace, "coredns"), int64(0), "spec", "replicas")
	}, "cluster-dns", "spec.replicas is 0", nil},
	{"a node port is taken", func(x *patient) {
		x.add(kubetest.Object("v1", "Service", "other", "web", object{"spec": object{"ports": []any{object{"nodePort": int64(30082)}}}}))
	}, "ports-taken", "Service other/web has node port 30082, which is the platform's (forge.nodePort)", nil},
	{"a namespace is stuck", func(x *patient) {
		o := x.add(kubetest.Object("v1", "Namespace", "", "old", object{"status": object{"conditions": []any{object{
			"type": "NamespaceFinalizersRemaining", "status": "True", "message": "Some content in the namespace has finalizers remaining: example.org/x in 1 resource instances",
		}}}}))
		o.SetDeletionTimestamp(&metav1.Time{Time: time.Now().Add(-time.Hour)})
	}, "namespace-stuck", "example.org/x in 1 resource instances", nil},
	{"an image of the platform's is not there", func(x *patient) {
		x.unready(portal.Namespace, "server-portal")
		x.waits(portal.Namespace, "server-portal-0", "ImagePullBackOff", "Back-off pulling image", 0)
	}, "image-not-pulled", "image registry.example/c:1 of namespace portal", []string{"portal/server-portal does not run"}},
	{"an endpoint's image is not there", func(x *patient) {
		x.pod("default", "demo-iris-2-predictor-0", "model").SetLabels(map[string]string{endpointLabel: "demo-iris-2"})
		x.waits("default", "demo-iris-2-predictor-0", "ErrImagePull", "not found", 0)
		x.set(x.the("InferenceService", "default", "demo-iris-2"), []any{object{"type": "Ready", "status": "False", "lastTransitionTime": ago(time.Hour)}}, "status", "conditions")
	}, "image-not-pulled", "Pod default/demo-iris-2-predictor-0", []string{"endpoint demo-iris-2"}},
	{"a quota is used up", func(x *patient) {
		x.add(kubetest.Object("v1", "ResourceQuota", "kserve", "q", nil))
		x.unready("kserve", kserveController)
		x.add(kubetest.Object("apps/v1", "ReplicaSet", "kserve", "rs", object{"spec": object{"replicas": int64(1)}, "status": object{"conditions": []any{object{
			"type": "ReplicaFailure", "status": "True", "message": `pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2`,
		}}}}))
	}, "quota-exhausted", "q, requested: pods=1, used: pods=2, limited: pods=2); most is used by", []string{"kserve-controller-manager does not run"}},
	{"a quota refuses what was merged", func(x *patient) {
		x.add(kubetest.Object("v1", "ResourceQuota", "default", "q", nil))
		x.pod("default", "demo-iris-2-0", "model").SetLabels(map[string]string{endpointLabel: "demo-iris-2", "owner": "data-science"})
		x.set(x.app("demo-iris-2"), object{"phase": "Failed", "message": `inferenceservices "x" is forbidden: exceeded quota: q, requested: count/inferenceservices=1`}, "status", "operationState")
	}, "quota-exhausted", "most is used by demo-iris-2 of data-science (1 pods, 100m CPU)", []string{"folder demo-iris-2"}},
	{"a certificate has ended", func(x *patient) {
		x.Status.Certificates = []status.Certificate{{Name: "forge", Ends: time.Now().Add(-time.Hour)}}
	}, "certificate-ending", "the certificate of forge has ended", nil},
	{"a certificate ends soon", func(x *patient) {
		x.Status.Certificates = []status.Certificate{{Name: "forge", Ends: time.Now().Add(48 * time.Hour), Renew: time.Now().Add(-time.Hour)}}
	}, "certificate-ending", "ends in 48h", nil},
	{"the forge has no pod", func(x *patient) {
		x.set(x.the("Deployment", forge.Namespace, forge.Service), int64(0), "spec", "replicas")
		x.forge.down = true
		x.unknown("knative", "demo-iris-2")
	}, "forge-down", "spec.replicas is 0", []string{"the forge does not answer at", "Application knative", "Application demo-iris-2"}},
	{"the forge hangs", func(x *patient) {
		x.hangs[forge.Namespace+"/gitea-0"] = true
		x.forge.down = true
	}, "forge-down", "gitea-0, asked how it is", []string{"the forge does not answer at"}},
	{"the forge's address is not reached", func(x *patient) { x.forge.down = true }, "forge-unreachable", "connection refused", nil},
	{"an account's password was changed", func(x *patient) {
		x.add(secretObject(argocd.Namespace, "repository-platform", map[string]string{"argocd.argoproj.io/secret-type": "repository"}, map[string]string{"username": forge.Reader, "password": "old"}))
		x.unknown("knative")
	}, "forge-credentials", "does not let account argocd in", []string{"Application knative"}},
	{"a hook is switched off", func(x *patient) { x.forge.hooks[0].Active = false }, "forge-hook", "endpoints does not tell the guard of its events", nil},
	{"a hook is gone", func(x *patient) { x.forge.hooks = x.forge.hooks[:2] }, "forge-hook", "does not tell Argo CD of its events", nil},
	{"the cache is gone", func(x *patient) {
		x.set(x.the("Deployment", argocd.Namespace, redis), int64(0), "spec", "replicas")
		x.unknown("knative")
		x.set(x.the("ApplicationSet", argocd.Namespace, "neuroscale-model-endpoints"), []any{object{"type": "ErrorOccurred", "status": "True", "message": "connection refused"}}, "status", "conditions")
	}, "argocd-redis", "spec.replicas is 0", []string{"Application knative", "is not followed"}},
	{"the repo-server hangs", func(x *patient) {
		x.hangs[argocd.Namespace+"/"+repoName+"-0"] = true
		x.unknown("knative", "kserve", "demo-iris-2")
	}, "argocd-repo-server", "hangs", []string{"Application knative", "Application kserve", "Application demo-iris-2"}},
	{"the repo-server ends by itself", func(x *patient) {
		x.unready(argocd.Namespace, repoName)
		x.waits(argocd.Namespace, repoName+"-0", "CrashLoopBackOff", "back-off", 1)
		x.logs = "fatal: out of\nmemory"
	}, "argocd-repo-server", "its last words: fatal: out of memory", nil},
	{"the controller hangs", func(x *patient) { x.hangs[argocd.Namespace+"/"+controller+"-0"] = true }, "argocd-application-controller", "hangs", nil},
	{"the controller compares nothing", func(x *patient) {
		for _, o := range x.objects {
			if o.GetKind() == "Application" {
				x.set(o, ago(time.Hour), "status", "reconciledAt")
			}
		}
	}, "argocd-application-controller", "has compared nothing for 1h0m0s", nil},
	{"the ApplicationSet controller hangs", func(x *patient) { x.hangs[argocd.Namespace+"/"+appSets+"-0"] = true }, "argocd-applicationset-controller", "hangs", nil},
	{"Argo CD's server is gone", func(x *patient) { x.gone("Deployment", argocd.Namespace, "argocd-server") }, "argocd-server", "argocd/argocd-server is not there", nil},
	{"a layer is paused and something of it deleted", func(x *patient) {
		unstructured.RemoveNestedField(x.app("policies").Object, "spec", "syncPolicy", "automated")
		x.set(x.app("policies"), "OutOfSync", "status", "sync", "status")
		x.gone("ValidatingPolicy", "", "require-cluster-ip-services")
	}, "layer-paused", "layer policies does not heal", []string{"policy require-cluster-ip-services", "layer policies is not as it should be"}},
	{"Applications are Unknown though all runs", func(x *patient) {
		x.unknown("knative")
		x.set(x.app("knative"), []any{object{"type": "ComparisonError", "status": "", "message": "failed to list refs"}}, "status", "conditions")
	}, "applications-unknown", "failed to list refs", []string{"layer knative"}},
	{"an ApplicationSet cannot read", func(x *patient) {
		x.set(x.the("ApplicationSet", argocd.Namespace, "neuroscale-model-endpoints"), []any{object{"type": "ErrorOccurred", "status": "True", "message": "repository not found"}}, "status", "conditions")
	}, "repository-not-followed", "repository not found", nil},
	{"an ApplicationSet is gone", func(x *patient) { x.gone("ApplicationSet", argocd.Namespace, "neuroscale-model-endpoints") }, "repository-not-followed", "it is not there", nil},
	{"the gateway has no pod", func(x *patient) {
		x.set(x.the("Deployment", serving.GatewayNamespace, "server-knative"), int64(0), "spec", "replicas")
		x.set(x.the("InferenceService", "default", "demo-iris-2"), []any{object{"type": "Ready", "status": "False", "lastTransitionTime": ago(time.Hour)}}, "status", "conditions")
	}, "serving-down", "kourier-system/server-knative is scaled to zero", []string{"endpoint demo-iris-2"}},
	{"KServe has Istio's configuration", func(x *patient) { x.ingress(`{"disableIstioVirtualHost":false,"ingressClassName":"istio"}`) }, "kserve-istio", "does not say disableIstioVirtualHost", nil},
	{"KServe's configuration is gone", func(x *patient) { x.gone("ConfigMap", "kserve", kserveConfig) }, "kserve-istio", "it is not there", nil},
	{"KServe goes by an old configuration", func(x *patient) {
		x.the("ConfigMap", "kserve", kserveConfig).SetCreationTimestamp(metav1.Now())
		x.set(x.the("InferenceService", "default", "demo-iris-2"), "http://demo-iris-2.default.old.example", "status", "url")
	}, "kserve-stale", "which is not in the domain", nil},
	{"Knative's controllers do not get on", func(x *patient) {
		o := x.add(kubetest.Object("serving.knative.dev/v1", "Service", "default", "s", object{"status": object{"observedGeneration": int64(1)}}))
		o.SetGeneration(2)
		o.SetCreationTimestamp(metav1.NewTime(time.Now().Add(-time.Hour)))
	}, "knative-stuck", "is at generation 2, and its status is about 1", nil},
	{"a tenant's Secret for its models is not there", func(x *patient) {
		x.Config.Tenants[0].ModelAccess.Secrets = []string{"model-store"}
		x.set(x.the("InferenceService", "default", "demo-iris-2"), []any{object{"type": "Ready", "status": "False", "lastTransitionTime": ago(time.Hour)}}, "status", "conditions")
	}, "model-secret-missing", "tenant default gets no models: its Secret model-store is not there", []string{"endpoint demo-iris-2"}},
	{"Kyverno is down", func(x *patient) {
		x.set(x.the("Deployment", "kyverno", "server-kyverno"), int64(0), "spec", "replicas")
		x.set(x.the("ValidatingPolicy", "", "require-cluster-ip-services"), object{"ready": false}, "status", "conditionStatus")
	}, "kyverno-down", "spec.replicas is 0", []string{"policy require-cluster-ip-services"}},
	{"a webhook is served by nobody", func(x *patient) { x.gone("EndpointSlice", "kserve", "webhook-1") }, "webhook-unanswered", "Service kserve/webhook has no endpoint", nil},
	{"a webhook's server hangs", func(x *patient) {
		x.hangs["kserve/"+kserveController+"-0"] = true
		x.gone("EndpointSlice", "kserve", "webhook-1")
	}, "serving-down", "hangs", []string{"webhook isvc.kserve blocks"}},
	{"a policy is gone", func(x *patient) { x.gone("ValidatingAdmissionPolicyBinding", "", "disallow-latest-image-tag") }, "policy-not-enforced", "ValidatingAdmissionPolicyBinding disallow-latest-image-tag", nil},
	{"the guard is down", func(x *patient) {
		x.set(x.the("Deployment", reviews.Namespace, "server-guard"), int64(0), "spec", "replicas")
	}, "guard-down", "scaled to zero", nil},
	{"the portal's Secret is gone", func(x *patient) {
		x.gone("Secret", portal.Namespace, portal.ClientSecret)
		x.unready(portal.Namespace, "server-portal")
		x.waits(portal.Namespace, "server-portal-0", "CreateContainerConfigError", `secret "forge-client" not found`, 0)
	}, "portal-secret", "it is not there", []string{"portal/server-portal does not run"}},
	{"the forge does not know the portal", func(x *patient) { x.forge.secret = "another" }, "portal-secret", "invalid client secret", nil},
	{"the portal's template is broken", func(x *patient) {
		x.set(x.the("ConfigMap", portal.Namespace, portal.Layer), "kind: Template\nspec: [", "data", "templates.yaml")
	}, "portal-template", "is no YAML", nil},
	{"the portal ends by itself", func(x *patient) {
		x.unready(portal.Namespace, "server-portal")
		x.waits(portal.Namespace, "server-portal-0", "CrashLoopBackOff", "back-off", 1)
		x.logs = "Error: missing required config value"
	}, "portal-down", "its last words: Error: missing required config value", nil},
	{"OpenCost has no Prometheus", func(x *patient) {
		x.set(x.the("Deployment", "prometheus-system", "server-prometheus"), int64(0), "spec", "replicas")
		x.measured = "0"
	}, "prometheus-down", "spec.replicas is 0", []string{"nothing is measured"}},
	{"OpenCost hangs", func(x *patient) { x.hangs["opencost/server-opencost-0"] = true }, "opencost-down", "hangs", nil},
	{"nothing is measured though all runs", func(x *patient) { x.measured = "0" }, "nothing-measured", "does not reach OpenCost or a kubelet", nil},
	{"a layer's sync failed", func(x *patient) {
		x.set(x.app("knative"), "Failed", "status", "operationState", "phase")
	}, "layer-not-synced", "layer knative", nil},
	{"a folder is refused", func(x *patient) {
		x.set(x.app("demo-iris-2"), object{"phase": "Failed", "message": "admission webhook denied the request: x"}, "status", "operationState")
	}, "folder-not-synced", "denied the request", nil},
	{"a model is not there", func(x *patient) {
		x.set(x.the("InferenceService", "default", "demo-iris-2"), []any{object{"type": "PredictorReady", "status": "False", "message": "no such model"},
			object{"type": "Ready", "status": "False", "lastTransitionTime": ago(time.Hour)}}, "status", "conditions")
	}, "endpoint-not-ready", "no such model", nil},
}

func TestEachDetectorNamesItsCauseAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			x := well(t)
			b.breaks(x)
			p, _ := x.on()
			r := Look(t.Context(), p, Detectors())
			require.Len(t, r.Findings, 1, "%+v", r)
			f := r.Findings[0]
			assert.Equal(t, b.detector, f.Detector)
			assert.Contains(t, f.Says+": "+f.Object+": "+f.Saw, b.says)
			assert.Empty(t, r.Blind)
			assert.False(t, r.Well)
			for _, words := range b.explains {
				assert.Contains(t, strings.Join(f.Explains, "\n"), words)
			}
			if len(b.explains) == 0 {
				assert.Empty(t, f.Explains)
			}
			d := Detectors()[slices.IndexFunc(Detectors(), func(d Detector) bool { return d.ID == f.Detector })]
			assert.Equal(t, f.Repair != "", f.fix != nil)
			if f.Repair != "" {
				assert.NotEmpty(t, d.Repair, "it repairs, and its entry in the runbook says that it does not")
			}
		})
	}
}

func TestEveryDetectorIsSeenFindingSomething(t *testing.T) {
	for _, d := range Detectors() {
		assert.True(t, slices.ContainsFunc(broken, func(b disease) bool { return b.detector == d.ID }), "nothing shows that %s finds anything", d.ID)
	}
}

func TestAMissingSecretDoesNotExplainWhatIsNotInTheCluster(t *testing.T) {
	x := well(t)
	x.Config.Tenants[0].ModelAccess.Secrets = []string{"model-store"}
	x.set(x.app("demo-iris-2"), object{"phase": "Failed", "message": "denied the request"}, "status", "operationState")
	x.set(x.app("demo-iris-2"), "OutOfSync", "status", "sync", "status")
	p, _ := x.on()
	r := Look(t.Context(), p, Detectors())
	require.Len(t, r.Findings, 2, "%+v", r)
	assert.Equal(t, []string{"model-secret-missing", "folder-not-synced"}, []string{r.Findings[0].Detector, r.Findings[1].Detector})
}

func TestTwoCausesAreTwoFindings(t *testing.T) {
	x := well(t)
	x.gone("EndpointSlice", "kserve", "webhook-1")
	x.set(x.the("Deployment", reviews.Namespace, "server-guard"), int64(0), "spec", "replicas")
	p, _ := x.on()
	r := Look(t.Context(), p, Detectors())
	require.Len(t, r.Findings, 2)
	assert.Equal(t, []string{"webhook-unanswered", "guard-down"}, []string{r.Findings[0].Detector, r.Findings[1].Detector})
}

func TestACauseInOneNamespaceDoesNotHideWhatIsWrongInAnother(t *testing.T) {
	x := well(t)
	x.unready(portal.Namespace, "server-portal")
	x.waits(portal.Namespace, "server-portal-0", "ImagePullBackOff", "Back-off pulling image", 0)
	x.unready(reviews.Namespace, "server-guard")
	p, _ := x.on()
	r := Look(t.Context(), p, Detectors())
	require.Len(t, r.Findings, 2)
	assert.Equal(t, []string{"image-not-pulled", "guard-down"}, []string{r.Findings[0].Detector, r.Findings[1].Detector})
}

func TestADetectorThatCannotLookIsNeverGreen(t *testing.T) {
	x := well(t)
	p, client := x.on()
	client.PrependReactor("list", "resourcequotas", func(kubetesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("forbidden")
	})
	r := Look(t.Context(), p, []Detector{quotaExhausted})
	assert.False(t, r.Well)
	assert.Equal(t, []Blind{{"quota-exhausted", "list resourcequotas: forbidden"}}, r.Blind)
	var text bytes.Buffer
	require.NoError(t, r.Text(&text))
	assert.Contains(t, text.String(), "blind   quota-exhausted could not look: list resourcequotas: forbidden")
	deaf := make(chan struct{})
	defer close(deaf)
	r = Look(t.Context(), p, []Detector{{ID: "a-b", Limit: 10 * time.Millisecond, Look: func(context.Context, *Platform) ([]Finding, error) { <-deaf; return nil, nil }}})
	assert.Equal(t, []Blind{{"a-b", "it did not end within 10ms"}}, r.Blind)
}

func TestWithoutAClusterWhatNeedsItIsNotTriedAndThatIsSaid(t *testing.T) {
	x := well(t)
	x.unreachable = errors.New("no answer in 5s")
	x.state.pending = []string{"creating Secret x"}
	p, _ := x.on()
	r := Look(t.Context(), p, Detectors())
	require.Len(t, r.Findings, 2)
	assert.Equal(t, []string{"state-pending", "cluster-unreachable"}, []string{r.Findings[0].Detector, r.Findings[1].Detector})
	assert.Contains(t, r.Untried, "argocd-repo-server")
	assert.Equal(t, len(Detectors()), r.Looked+len(r.Untried))
}

// heals has the cluster do what its controllers would.
type heals func(x *patient, p *Platform, client *fake.FakeDynamicClient)

// whenPatched changes an object right after it was patched.
func whenPatched(resource, name string, change func(*unstructured.Unstructured)) heals {
	return func(x *patient, _ *Platform, client *fake.FakeDynamicClient) {
		client.PrependReactor("patch", resource, func(action kubetesting.Action) (bool, runtime.Object, error) {
			patch := action.(kubetesting.PatchAction)
			if patch.GetName() != name {
				return false, nil, nil
			}
			o, err := client.Tracker().Get(patch.GetResource(), patch.GetNamespace(), name)
			if err != nil {
				return true, nil, err
			}
			u := o.(*unstructured.Unstructured).DeepCopy()
			change(u)
			return true, u, client.Tracker().Update(patch.GetResource(), u, patch.GetNamespace())
		})
	}
}

// whenRun does something when a Job is made.
func whenRun(do func(x *patient, client *fake.FakeDynamicClient)) heals {
	return func(x *patient, _ *Platform, client *fake.FakeDynamicClient) {
		client.PrependReactor("create", "jobs", func(kubetesting.Action) (bool, runtime.Object, error) {
			do(x, client)
			return false, nil, nil
		})
	}
}

func (x *patient) job(name string) {
	o := x.add(kubetest.Object("batch/v1", "Job", forge.Namespace, name, object{"spec": object{
		"selector": object{"matchLabels": object{"controller-uid": "u"}}, "template": object{"metadata": object{"labels": object{"batch.kubernetes.io/job-name": name, "app": "a"}}},
	}}))
	o.SetLabels(map[string]string{"app": "a"})
}

func TestWhatCanBeRepairedIs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		breaks   func(*patient)
		heals    heals
		detector string
		did      string
	}{
		"a lock":             {func(x *patient) { x.state.locks = []automation.Lock{{Holder: "process 1", Ended: true}} }, nil, "state-locked", "remove the lock of process 1"},
		"pending operations": {func(x *patient) { x.state.pending = []string{"creating x"} }, nil, "state-pending", "take them out of the state"},
		"a Deployment at zero": {func(x *patient) {
			x.set(x.the("Deployment", argocd.Namespace, repoName), int64(0), "spec", "replicas")
		}, nil, "argocd-repo-server", "give Deployment argocd/argocd-repo-server its pod back"},
		"a pod that hangs": {func(x *patient) {
			x.hangs["kyverno/server-kyverno-0"] = true
		}, nil, "kyverno-down", "start server-kyverno-0 anew"},
		"a pod whose next one is not ready at once": {func(x *patient) {
			x.hangs["kyverno/server-kyverno-0"] = true
		}, func(x *patient, _ *Platform, client *fake.FakeDynamicClient) {
			right := x.the("Deployment", "kyverno", "server-kyverno").DeepCopy()
			wrong := right.DeepCopy()
			_ = unstructured.SetNestedSlice(wrong.Object, []any{object{"type": "Available", "status": "False"}}, "status", "conditions")
			_ = unstructured.SetNestedField(wrong.Object, int64(0), "status", "availableReplicas")
			var looks atomic.Int32
			client.PrependReactor("delete", "pods", func(kubetesting.Action) (bool, runtime.Object, error) {
				looks.Store(1)
				return false, nil, nil
			})
			client.PrependReactor("list", "deployments", func(a kubetesting.Action) (bool, runtime.Object, error) {
				// What is seen first is still that of before.
				if a.GetNamespace() != "kyverno" || looks.Load() == 0 {
					return false, nil, nil
				}
				switch looks.Add(1) {
				case 3:
					return false, nil, client.Tracker().Update(kube.Deployments, wrong, "kyverno")
				case 5:
					return false, nil, client.Tracker().Update(kube.Deployments, right, "kyverno")
				}
				return false, nil, nil
			})
		}, "kyverno-down", "start server-kyverno-0 anew"},
		"DNS that hangs": {func(x *patient) { x.deafDNS = true }, func(x *patient, _ *Platform, client *fake.FakeDynamicClient) {
			client.PrependReactor("delete", "pods", func(kubetesting.Action) (bool, runtime.Object, error) {
				x.deafDNS = false
				return true, nil, nil
			})
		}, "cluster-dns", "start coredns-0 anew"},
		"a hook": {func(x *patient) { x.forge.hooks[0].Active = false }, nil, "forge-hook", "switch it on"},
		"a hook that is gone": {func(x *patient) {
			x.forge.hooks = x.forge.hooks[:2]
			x.job(bootstrapJob + "1")
		}, whenRun(func(x *patient, _ *fake.FakeDynamicClient) {
			x.forge.Lock()
			defer x.forge.Unlock()
			h := webhook{ID: 3, Active: true}
			h.Config.URL = argocd.WebhookURL(false)
			x.forge.hooks = append(x.forge.hooks, h)
		}), "forge-hook", "make the hook again"},
		"a layer that is paused": {func(x *patient) {
			unstructured.RemoveNestedField(x.app("policies").Object, "spec", "syncPolicy", "automated")
		}, nil, "layer-paused", "switch it on again"},
		"what is Unknown": {func(x *patient) { x.unknown("knative") }, whenPatched("applications", "knative", func(o *unstructured.Unstructured) {
			_ = unstructured.SetNestedField(o.Object, "Synced", "status", "sync", "status")
		}), "applications-unknown", "have it compared anew"},
		"KServe's configuration": {func(x *patient) { x.ingress(`{}`) }, func(x *patient, p *Platform, client *fake.FakeDynamicClient) {
			client.PrependReactor("patch", "applications", func(kubetesting.Action) (bool, runtime.Object, error) {
				right := well(t).the("ConfigMap", "kserve", kserveConfig)
				return false, nil, client.Tracker().Update(kube.ConfigMaps, right, "kserve")
			})
		}, "kserve-istio", "sync layer kserve and start KServe's controller anew"},
		"a layer whose sync failed": {func(x *patient) {
			x.set(x.app("knative"), "Failed", "status", "operationState", "phase")
		}, whenPatched("applications", "knative", func(o *unstructured.Unstructured) {
			_ = unstructured.SetNestedField(o.Object, "Succeeded", "status", "operationState", "phase")
		}), "layer-not-synced", "sync it once more"},
		"the portal's Secret": {func(x *patient) {
			x.gone("Secret", portal.Namespace, portal.ClientSecret)
			x.job(clientJob + "1")
		}, whenRun(func(_ *patient, client *fake.FakeDynamicClient) {
			_ = client.Tracker().Update(kube.Secrets, secretObject(portal.Namespace, portal.ClientSecret, nil, map[string]string{"id": "new", "secret": "known"}), portal.Namespace)
		}), "portal-secret", "make the Secret again and have the forge's Job fill it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := well(t)
			test.breaks(x)
			p, client := x.on()
			if test.heals != nil {
				test.heals(x, p, client)
			}
			var said []string
			r := Fix(t.Context(), p, func(what string) { said = append(said, what) })
			require.Len(t, r.Repairs, 1, "%+v", r)
			assert.Equal(t, test.detector, r.Repairs[0].Detector)
			assert.Equal(t, test.did, r.Repairs[0].Did)
			assert.Empty(t, r.Repairs[0].Error)
			assert.True(t, r.Well, "%+v", r)
			require.Len(t, said, 1)
			assert.Contains(t, said[0], test.did)
		})
	}
}

func TestAJobThatRunsAgainIsTheSameWithoutWhatItsControllerWrote(t *testing.T) {
	x := well(t)
	x.job(clientJob + "1")
	p, client := x.on()
	require.NoError(t, p.repeat(t.Context(), clientJob))
	o, err := p.get(t.Context(), kube.Jobs, forge.Namespace, clientJob+"1")
	require.NoError(t, err)
	assert.Equal(t, object{"template": object{"metadata": object{"labels": object{"app": "a"}}}}, o.Object["spec"])
	var verbs []string
	for _, a := range client.Actions() {
		if a.GetResource() == kube.Jobs && a.GetVerb() != "list" && a.GetVerb() != "get" {
			verbs = append(verbs, a.GetVerb())
		}
	}
	assert.Equal(t, []string{"delete", "create"}, verbs)
	assert.ErrorContains(t, p.repeat(t.Context(), "nothing-"), "run `neuroscale up`")
}

func TestAReportSaysWhatWasFoundAndWhatToDo(t *testing.T) {
	r := &Report{
		Stack: "ci", Looked: 2, Seconds: 1, Untried: []string{"a-b"},
		Findings: []Cause{{Detector: "x-y", Says: "it hangs", Object: "Pod a/b", Saw: "nothing", Because: "It is broken.", Repair: "start it anew", ByHand: "Start it.", Explains: []string{"one", "two"}}},
		Repairs:  []Repair{{Detector: "x-z", Did: "do it", Seconds: 3}, {Detector: "x-w", Did: "try it", Error: "no use"}},
	}
	var text bytes.Buffer
	require.NoError(t, r.Text(&text))
	assert.Equal(t, fmt.Sprint(`repair  do it
        done in 3s (x-z)
repair  try it
        this did not help: no use (x-w)

found   it hangs (x-y)
        seen: Pod a/b: nothing
        because: It is broken.
        explains: one; two
        repair: `, "`neuroscale doctor --fix`", ` will start it anew
        by hand: Start it.
untried 1 detectors, which need what is broken above

stack ci: 1 found, 1 of 3 detectors could not look (1.0s)
`), text.String())
}
