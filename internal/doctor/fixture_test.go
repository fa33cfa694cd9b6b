package doctor

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
	"github.com/neuroscale-platform/neuroscale/internal/status"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// Made once: policies are compiled.
var (
	defaultParts    = sync.OnceValues(func() ([]stacks.Part, error) { return stacks.Parts(config.Default()) })
	defaultPolicies = sync.OnceValues(func() ([]*policy.Policy, error) { return policy.Load(gitops.FS) })
)

var listKinds = map[schema.GroupVersionResource]string{
	kube.Nodes: "NodeList", kube.Namespaces: "NamespaceList", kube.Services: "ServiceList", kube.Secrets: "SecretList", kube.Quotas: "ResourceQuotaList",
	kube.Deployments: "DeploymentList", kube.StatefulSets: "StatefulSetList", kube.DaemonSets: "DaemonSetList", kube.ReplicaSets: "ReplicaSetList", kube.Jobs: "JobList",
	kube.EndpointSlices: "EndpointSliceList", kube.ApplicationSets: "ApplicationSetList", kube.NativePolicies: "ValidatingAdmissionPolicyList",
	kube.NativeBindings: "ValidatingAdmissionPolicyBindingList", kube.KyvernoPolicies: "ValidatingPolicyList", kube.ValidatingWebhooks: "ValidatingWebhookConfigurationList",
	kube.MutatingWebhooks: "MutatingWebhookConfigurationList", kube.InferenceServices: "InferenceServiceList", kube.KnativeServices: "ServiceList",
	kube.KnativeIngresses: "IngressList", kube.Pods: "PodList", kube.Applications: "ApplicationList", kube.ConfigMaps: "ConfigMapList",
}

const (
	commit = "0123456789abcdef0123456789abcdef01234567"
	boot   = "11111111-2222-3333-4444-555555555555"
)

// patient is a platform that is well until a test breaks it.
type patient struct {
	t       *testing.T
	objects map[string]*unstructured.Unstructured
	// hangs are pods that say nothing.
	hangs map[string]bool
	// deafDNS is that DNS says nothing.
	deafDNS bool
	forge   *fakeForge
	state   *fakeState
	// unreachable is that the cluster does not answer.
	unreachable error
	measured    string
	logs        string
	*Platform
}

// fakeForge answers as Gitea does.
type fakeForge struct {
	sync.Mutex
	down     bool
	password string // of all accounts
	secret   string // of the portal's client
	hooks    []webhook
}

// RoundTrip implements http.RoundTripper.
func (f *fakeForge) RoundTrip(r *http.Request) (*http.Response, error) {
	f.Lock()
	defer f.Unlock()
	if f.down {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	_, password, _ := r.BasicAuth()
	switch at := r.URL.Path; {
	case at == "/api/healthz":
	case at == "/login/oauth/access_token":
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusBadRequest)
		said := "client is not authorized"
		if !strings.Contains(string(body), "client_secret="+f.secret) {
			said = "invalid client secret"
		}
		io.WriteString(w, `{"error":"unauthorized_client","error_description":"`+said+`"}`)
	case password != f.password:
		w.WriteHeader(http.StatusUnauthorized)
	case at == "/api/v1/user":
		io.WriteString(w, `{}`)
	case strings.HasSuffix(at, "/hooks"):
		_ = json.NewEncoder(w).Encode(f.hooks)
	case r.Method == http.MethodPatch:
		f.hooks[0].Active = true
		io.WriteString(w, `{}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	return w.Result(), nil
}

type fakeState struct {
	locks   []automation.Lock
	pending []string
	err     error
}

func (s *fakeState) Locks() ([]automation.Lock, error) { return s.locks, s.err }
func (s *fakeState) Pending() ([]string, error)        { return s.pending, nil }
func (s *fakeState) Release(context.Context) error     { s.locks = nil; return nil }
func (s *fakeState) ClearPending(context.Context) error {
	s.pending = nil
	return nil
}

// key is how an object is found in a patient.
func key(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }

func (x *patient) add(o *unstructured.Unstructured) *unstructured.Unstructured {
	x.objects[key(o.GetKind(), o.GetNamespace(), o.GetName())] = o
	return o
}

func (x *patient) the(kind, namespace, name string) *unstructured.Unstructured {
	x.t.Helper()
	o := x.objects[key(kind, namespace, name)]
	require.NotNil(x.t, o, "%s %s/%s", kind, namespace, name)
	return o
}

func (x *patient) gone(kind, namespace, name string) {
	x.the(kind, namespace, name)
	delete(x.objects, key(kind, namespace, name))
}

// set changes a field of an object.
func (x *patient) set(o *unstructured.Unstructured, value any, path ...string) {
	x.t.Helper()
	require.NoError(x.t, unstructured.SetNestedField(o.Object, value, path...))
}

// runsThere adds a Deployment with a pod that answers.
func (x *patient) runsThere(namespace, name string) {
	x.add(kubetest.Object("apps/v1", "Deployment", namespace, name, object{
		"spec": object{"replicas": int64(1), "selector": object{"matchLabels": object{"app": name}}},
		"status": object{
			"replicas": int64(1), "updatedReplicas": int64(1), "readyReplicas": int64(1), "availableReplicas": int64(1),
			"conditions": []any{object{"type": "Available", "status": "True"}},
		},
	}))
	x.pod(namespace, name+"-0", name)
}

func (x *patient) pod(namespace, name, app string) *unstructured.Unstructured {
	o := x.add(kubetest.Object("v1", "Pod", namespace, name, object{
		"spec": object{"containers": []any{object{
			"name": app, "ports": []any{object{"name": "http", "containerPort": int64(8080)}}, "livenessProbe": object{"httpGet": object{"port": "http", "path": "/healthz"}},
			"resources": object{"requests": object{"cpu": "100m"}},
		}}},
		"status": object{
			"phase": "Running", "startTime": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "conditions": []any{object{"type": "Ready", "status": "True"}},
			"containerStatuses": []any{object{"name": app, "started": true, "ready": true, "state": object{"running": object{}}}},
		},
	}))
	o.SetLabels(map[string]string{"app": app})
	return o
}

// waits has a pod's container wait for a reason.
func (x *patient) waits(namespace, pod, reason, message string, exit int64) {
	o := x.the("Pod", namespace, pod)
	status := object{"name": "c", "image": "registry.example/c:1", "state": object{"waiting": object{"reason": reason, "message": message}}}
	if exit != 0 {
		status["lastState"] = object{"terminated": object{"exitCode": exit}}
	}
	x.set(o, []any{status}, "status", "containerStatuses")
}

// unready takes a Deployment its available pod.
func (x *patient) unready(namespace, name string) {
	o := x.the("Deployment", namespace, name)
	x.set(o, int64(0), "status", "availableReplicas")
	x.set(o, int64(0), "status", "readyReplicas")
}

func secretObject(namespace, name string, labels map[string]string, data map[string]string) *unstructured.Unstructured {
	encoded := object{}
	for k, v := range data {
		encoded[k] = base64.StdEncoding.EncodeToString([]byte(v))
	}
	o := kubetest.Object("v1", "Secret", namespace, name, object{"data": encoded})
	o.SetLabels(labels)
	return o
}

func (x *patient) application(name, namespace, hash string) {
	spec := object{
		"source": object{"targetRevision": commit}, "destination": object{"namespace": namespace}, "project": "tenant-" + namespace,
		"syncPolicy": object{"automated": object{"prune": true, "selfHeal": true}},
	}
	if hash != "" {
		spec["info"] = []any{object{"name": "revision", "value": "layer/" + name + "/" + hash}}
	}
	o := x.add(kubetest.Object("argoproj.io/v1alpha1", "Application", argocd.Namespace, name, object{"spec": spec, "status": object{
		"sync":           object{"status": "Synced", "comparedTo": object{"source": object{"targetRevision": commit}}},
		"operationState": object{"phase": "Succeeded", "syncResult": object{"revision": commit}},
		"health":         object{"status": "Healthy"}, "reconciledAt": time.Now().UTC().Format(time.RFC3339),
	}}))
	if hash != "" {
		o.SetLabels(map[string]string{"neuroscale.dev/layer": name})
	}
}

// well is a platform with nothing wrong.
func well(t *testing.T) *patient {
	t.Helper()
	parts, err := defaultParts()
	require.NoError(t, err)
	policies, err := defaultPolicies()
	require.NoError(t, err)
	cfg := config.Default()
	x := &patient{
		t: t, objects: map[string]*unstructured.Unstructured{}, hangs: map[string]bool{},
		forge: &fakeForge{password: "right", secret: "known"}, state: &fakeState{}, measured: "1",
		Platform: &Platform{
			Stack: "ci", Config: cfg, Parts: parts, Policies: policies,
			Outputs: &stacks.Outputs{ForgeURL: "https://forge.example", ForgeUser: "ops", ForgePassword: "right", PortalURL: "https://portal.example"},
			Status: status.Platform{
				Stack: "ci", Applications: argocd.Namespace, Tenants: []status.Share{{Tenant: "default", Quota: "default-namespace-quota"}},
			},
		},
	}
	for _, d := range x.layers() {
		w := status.Wanted{Name: d.Name, Version: "v1", Hash: "abc"}
		if d.ByProgram {
			w.Namespace = d.Namespace()
		} else {
			x.application(d.Name, d.Namespace(), "abc")
		}
		x.Status.Layers = append(x.Status.Layers, w)
		for _, namespace := range d.Namespaces {
			if namespace != argocd.Namespace {
				x.runsThere(namespace, "server-"+d.Name)
			}
		}
	}
	for _, namespace := range x.looksAfter() {
		x.add(kubetest.Object("v1", "Namespace", "", namespace, nil))
	}
	for _, name := range []string{redis, repoName, appSets, "argocd-server"} {
		x.runsThere(argocd.Namespace, name)
	}
	x.set(x.the("Pod", argocd.Namespace, appSets+"-0"), []any{object{
		"name": appSets, "ports": []any{object{"name": "metrics", "containerPort": int64(8080)}},
	}}, "spec", "containers")
	x.runsThere(forge.Namespace, forge.Service)
	x.runsThere("kserve", kserveController)
	x.runsThere(serving.KnativeNamespace, "controller")
	x.add(kubetest.Object("apps/v1", "StatefulSet", argocd.Namespace, controller, object{
		"spec": object{"replicas": int64(1), "selector": object{"matchLabels": object{"app": controller}}},
		"status": object{
			"replicas": int64(1), "readyReplicas": int64(1), "currentReplicas": int64(1), "updatedReplicas": int64(1), "availableReplicas": int64(1),
			"currentRevision": "r", "updateRevision": "r",
		},
	}))
	x.pod(argocd.Namespace, controller+"-0", controller).SetCreationTimestamp(metav1.NewTime(time.Now().Add(-time.Hour)))
	x.add(kubetest.Object("v1", "Node", "", "sealed", object{"status": object{
		"nodeInfo": object{"bootID": boot}, "conditions": []any{object{"type": "MemoryPressure", "status": "False"}, object{"type": "Ready", "status": "True"}},
	}}))
	x.runsThere(dnsNamespace, "coredns")
	x.set(x.the("Deployment", dnsNamespace, "coredns"), "kube-dns", "spec", "template", "metadata", "labels", "k8s-app")
	x.the("Pod", dnsNamespace, "coredns-0").SetLabels(map[string]string{"k8s-app": "kube-dns"})
	for _, s := range endpoints.Sources(cfg.Tenants, x.layers().Names()) {
		x.add(kubetest.Object("argoproj.io/v1alpha1", "ApplicationSet", argocd.Namespace, s.ApplicationSet, object{
			"status": object{"conditions": []any{object{"type": "ErrorOccurred", "status": "False"}, object{"type": "ResourcesUpToDate", "status": "True"}}},
		}))
	}
	x.application("demo-iris-2", "default", "")
	x.add(kubetest.Object("serving.kserve.io/v1beta1", "InferenceService", "default", "demo-iris-2", object{"status": object{
		"url": "http://demo-iris-2.default." + cfg.Serving.Domain, "conditions": []any{object{"type": "Ready", "status": "True"}},
	}}))
	for _, one := range policies {
		x.add(kubetest.Object("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "", one.Name, nil))
		x.add(kubetest.Object("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "", one.Name, nil))
		x.add(kubetest.Object("policies.kyverno.io/v1", "ValidatingPolicy", "", one.Name, object{"status": object{"conditionStatus": object{"ready": true}}}))
	}
	x.add(kubetest.Object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", "kserve", object{"webhooks": []any{object{
		"name": "isvc.kserve", "failurePolicy": "Fail", "clientConfig": object{"service": object{"namespace": "kserve", "name": "webhook"}},
	}}}))
	slice := x.add(kubetest.Object("discovery.k8s.io/v1", "EndpointSlice", "kserve", "webhook-1", object{"endpoints": []any{object{"conditions": object{"ready": true}}}}))
	slice.SetLabels(map[string]string{"kubernetes.io/service-name": "webhook"})
	x.add(kubetest.Object("v1", "ConfigMap", "kserve", kserveConfig, object{"data": object{
		"ingress": `{"disableIstioVirtualHost":true,"ingressClassName":"kourier.ingress.networking.knative.dev","ingressDomain":"` + cfg.Serving.Domain + `"}`,
	}}))
	x.add(kubetest.Object("v1", "ConfigMap", portal.Namespace, portal.Layer, object{"data": object{"templates.yaml": "kind: Template\nspec:\n  steps: [{id: a}]\n"}}))
	x.add(secretObject(portal.Namespace, portal.ClientSecret, nil, map[string]string{"id": "portal", "secret": "known"}))
	x.add(secretObject(argocd.Namespace, "repository-platform", map[string]string{"argocd.argoproj.io/secret-type": "repository"}, map[string]string{"username": forge.Reader, "password": "right"}))
	x.add(secretObject(reviews.Namespace, "guard", nil, map[string]string{"password": "right"}))
	for i, at := range []string{reviews.HookURL, reviews.FollowerURL, argocd.WebhookURL(false)} {
		h := webhook{ID: i + 1, Active: true}
		h.Config.URL = at
		x.forge.hooks = append(x.forge.hooks, h)
	}
	for file, text := range map[string]string{
		"sys/kernel/random/boot_id": boot + "\n", "sys/fs/inotify/max_user_instances": "128\n", "sys/fs/file-max": "1000\n", "sys/fs/file-nr": "100\t0\t1000\n",
	} {
		x.procFile(file, text)
	}
	return x
}

// procFile writes a file of this machine's kernel.
func (x *patient) procFile(name, text string) {
	x.t.Helper()
	if x.Proc == "" {
		x.Proc = x.t.TempDir()
	}
	file := filepath.Join(x.Proc, name)
	require.NoError(x.t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(x.t, os.WriteFile(file, []byte(text), 0o644))
}

// on is the platform with what the test made of it.
func (x *patient) on() (*Platform, *fake.FakeDynamicClient) {
	var all []runtime.Object
	for _, o := range x.objects {
		all = append(all, o)
	}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), listKinds, all...)
	p := x.Platform
	p.Cluster = &kube.Cluster{Dynamic: client, Kubeconfig: &kube.Kubeconfig{Source: "of the outputs", Server: "https://10.88.0.2:6443", Authority: []byte("ours")}}
	if p.Chosen == nil {
		p.Chosen = &kube.Kubeconfig{Source: "chosen", Context: "c", Server: "https://10.88.0.2:6443", Authority: []byte("ours")}
	}
	p.HTTP, p.State = &http.Client{Transport: x.forge}, x.state
	p.Reachable = func(context.Context) error { return x.unreachable }
	p.Dial = x.dial
	p.Logs = func(context.Context, string, string, string, int, bool) (string, error) { return x.logs, nil }
	prometheus := doerFunc(func(*http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0,"`+x.measured+`"]}]}}`)
		return w.Result(), nil
	})
	p.Costs = showback.OpenCost{Client: prometheus, Prometheus: prometheus, Interval: 30 * time.Second}
	return p, client
}

type doerFunc func(*http.Request) (*http.Response, error)

func (f doerFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// dial connects to a pod that answers by HTTP or as DNS does, unless it hangs.
func (x *patient) dial(_ context.Context, namespace, pod string, port int) (net.Conn, error) {
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		switch {
		case x.hangs[namespace+"/"+pod] || port == dnsPort && x.deafDNS:
			_, _ = io.Copy(io.Discard, there)
		case port == dnsPort:
			noSuchName(there)
		default:
			r, err := http.ReadRequest(bufio.NewReader(there))
			if err == nil {
				_ = r.Body.Close()
				_, _ = io.WriteString(there, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
		}
	}()
	return here, nil
}

// noSuchName answers questions as a DNS server that knows nothing.
func noSuchName(c net.Conn) {
	for {
		var size uint16
		if binary.Read(c, binary.BigEndian, &size) != nil {
			return
		}
		asked := make([]byte, size)
		if _, err := io.ReadFull(c, asked); err != nil {
			return
		}
		end := 12
		for asked[end] != 0 {
			end += int(asked[end]) + 1
		}
		end += 5
		answer := append([]byte{asked[0], asked[1], 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0}, asked[12:end]...)
		whole := binary.BigEndian.AppendUint16(nil, uint16(len(answer)))
		if _, err := c.Write(append(whole, answer...)); err != nil {
			return
		}
	}
}
