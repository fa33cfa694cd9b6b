package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
	"github.com/neuroscale-platform/neuroscale/internal/keys"
)

func TestMain(m *testing.M) {
	fakepulumi.Main()
	os.Exit(m.Run())
}

// machine is a checkout, a home and a cluster that answers, for one test.
type machine struct {
	t     *testing.T
	root  string
	env   map[string]string
	input string
	ask   bool
	// statuses of InferenceServices the cluster knows, by name or NAMESPACE/NAME.
	services map[string]string
	// answers of the cluster by path, beside those of services.
	answers map[string]string
	// verdict is what was found out about NetworkPolicies; empty if it was forgotten.
	verdict string
	api     *httptest.Server
	// keys are the fields of the Secret of people's keys; nil: there is none.
	keys map[string]string
	// stuck, if not empty, is a file that gets the patch of an Ingress which waits
	// for a controller that is gone.
	stuck string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir(), services: map[string]string{}, answers: map[string]string{}, verdict: tenancy.Enforced}
	m.write("Pulumi.yaml", "name: neuroscale\nruntime: go\n")
	m.write("Pulumi.ci.yaml", "config:\n  neuroscale:cluster:\n    provider: existing\n")
	m.write("Pulumi.dev.yaml", "config:\n  neuroscale:cluster:\n    provider: docker\n")
	m.api = httptest.NewServer(http.HandlerFunc(m.serveAPI))
	t.Cleanup(m.api.Close)
	home := t.TempDir()
	m.env = map[string]string{"HOME": home, "KUBECONFIG": filepath.Join(home, "kubeconfig")}
	require.NoError(t, os.WriteFile(m.env["KUBECONFIG"], []byte(m.kubeconfig()), 0o600))
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	require.NoError(m.t, os.WriteFile(filepath.Join(m.root, name), []byte(text), 0o644))
}

func (m *machine) kubeconfig() string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c",
"clusters":[{"name":"c","cluster":{"server":%q}}],"users":[{"name":"u","user":{}}],
"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`, m.api.URL)
}

func (m *machine) serveAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	const all = "/apis/serving.kserve.io/v1beta1/"
	path := strings.TrimPrefix(r.URL.Path, all)
	items := map[string]string{}
	for key, status := range m.services {
		namespace, name, ok := strings.Cut(key, "/")
		if !ok {
			namespace, name = "default", key
		}
		items[namespace+"/inferenceservices/"+name] = inferenceService(name, namespace, status)
	}
	list := func(namespace string) {
		var found []string
		for _, at := range slices.Sorted(maps.Keys(items)) {
			if strings.HasPrefix(at, namespace) {
				found = append(found, items[at])
			}
		}
		fmt.Fprintf(w, `{"apiVersion":"serving.kserve.io/v1beta1","kind":"InferenceServiceList","items":[%s]}`, strings.Join(found, ","))
	}
	const ingresses = "/apis/networking.internal.knative.dev/v1alpha1/"
	ingress := `{"apiVersion":"networking.internal.knative.dev/v1alpha1","kind":"Ingress","metadata":{"name":"iris","namespace":"default",
		"finalizers":["ingresses.networking.internal.knative.dev"],"deletionTimestamp":"2026-01-01T00:00:00Z"}}`
	secrets := "/api/v1/namespaces/" + keys.Namespace + "/secrets"
	namespaced, inNamespace := strings.CutPrefix(path, "namespaces/")
	switch {
	case m.answers[r.URL.Path] != "":
		io.WriteString(w, m.answers[r.URL.Path])
	case r.URL.Path == "/version":
		io.WriteString(w, `{"gitVersion":"v1.35.4"}`)
	case r.URL.Path == "/apis/storage.k8s.io/v1/storageclasses":
		io.WriteString(w, `{"apiVersion":"storage.k8s.io/v1","kind":"StorageClassList","items":[{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass",
			"metadata":{"name":"standard","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}]}`)
	case r.URL.Path == "/api/v1/namespaces/"+forge.Namespace+"/persistentvolumeclaims":
		io.WriteString(w, `{"apiVersion":"v1","kind":"PersistentVolumeClaimList","items":[]}`)
	case r.URL.Path == "/api/v1/namespaces/"+layer.Namespace+"/pods" && r.URL.Query().Get("labelSelector") == tenancy.EnforcementPods:
		fmt.Fprintf(w, `{"apiVersion":"v1","kind":"PodList","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"status":{
			"containerStatuses":[{"state":{"terminated":{"message":%q,"finishedAt":"2026-01-01T00:00:00Z"}}}]}}]}`, m.verdict)
	case r.URL.Path == "/api/v1/namespaces/"+layer.Namespace+"/configmaps/"+layer.Authority:
		fmt.Fprintf(w, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"ca.crt":%q}}`, authority)
	case r.URL.Path == secrets+"/"+keys.TokenSecret:
		fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{%q:%q}}`,
			keys.TokenField, base64.StdEncoding.EncodeToString([]byte(platformKey)))
	case strings.HasPrefix(r.URL.Path, secrets):
		m.serveKeys(w, r)
	case path == "inferenceservices":
		list("")
	case m.stuck != "" && r.URL.Path == ingresses+"ingresses":
		fmt.Fprintf(w, `{"apiVersion":"networking.internal.knative.dev/v1alpha1","kind":"IngressList","items":[%s]}`, ingress)
	case m.stuck != "" && r.Method == http.MethodPatch && r.URL.Path == ingresses+"namespaces/default/ingresses/iris":
		patch, _ := io.ReadAll(r.Body)
		_ = os.WriteFile(m.stuck+".part", patch, 0o600)
		_ = os.Rename(m.stuck+".part", m.stuck)
		io.WriteString(w, ingress)
	case inNamespace && strings.HasSuffix(namespaced, "/inferenceservices"):
		list(namespaced + "/")
	case items[namespaced] != "":
		io.WriteString(w, items[namespaced])
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	}
}

// serveKeys has the Secret of people's keys, which the first write makes.
func (m *machine) serveKeys(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var change struct{ Data map[string]string }
	switch {
	case r.Method == http.MethodPost:
		m.keys = map[string]string{}
		fallthrough
	case r.Method == http.MethodPatch && m.keys != nil && r.Header.Get("Content-Type") == "application/merge-patch+json":
		_ = json.Unmarshal(body, &change)
		maps.Copy(m.keys, change.Data)
	case r.Method == http.MethodPatch && m.keys != nil:
		var operations []struct{ Path string }
		_ = json.Unmarshal(body, &operations)
		for _, o := range operations {
			delete(m.keys, strings.TrimPrefix(o.Path, "/data/"))
		}
	case m.keys == nil:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		return
	}
	data, _ := json.Marshal(m.keys)
	fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"keys","namespace":"doorkeeper"},"data":%s}`, data)
}

func inferenceService(name, namespace, status string) string {
	return fmt.Sprintf(`{"apiVersion":"serving.kserve.io/v1beta1","kind":"InferenceService","metadata":{"name":%q,"namespace":%q},"status":%s}`,
		name, namespace, status)
}

func readyStatus(host string) string {
	return fmt.Sprintf(`{"url":"http://%s","conditions":[{"type":"Ready","status":"True"}]}`, host)
}

// run drives the real root command.
func (m *machine) run(args ...string) (code int, out, errout string) {
	m.t.Helper()
	var o, e bytes.Buffer
	a := &app{
		in: strings.NewReader(m.input), out: &o, err: &e, askable: m.ask,
		getenv:  func(name string) string { return m.env[name] },
		program: func(*pulumi.Context) error { return nil },
	}
	code = a.main(context.Background(), append([]string{"-C", m.root}, args...))
	return code, o.String(), e.String()
}

// up marks the stack as one with state.
func (m *machine) up() { m.upStack("ci") }

func (m *machine) upStack(stack string) {
	m.t.Helper()
	dir := filepath.Join(m.env["HOME"], ".local", "state", "neuroscale", ".pulumi", "stacks", "neuroscale")
	require.NoError(m.t, os.MkdirAll(dir, 0o755))
	require.NoError(m.t, os.WriteFile(filepath.Join(dir, stack+".json"), []byte(`{}`), 0o600))
}

func (m *machine) outputs(gateway string) map[string]any {
	return map[string]any{
		"kubeconfig": m.kubeconfig(), "argocdUrl": "http://10.88.0.2:30081", "argocdAdminPassword": "secret-a",
		"gatewayUrl": gateway, "platformKey": platformKey, "certificateAuthority": authority, "certificates": map[string]any{"forge": ends.Format(time.RFC3339)},
		"forgeUrl": "https://10.88.0.2:30082", "forgeUser": "ops", "forgePassword": "secret-b",
		"members":    map[string]any{"data-scientist": "secret-c"},
		"repository": "https://10.88.0.2:30082/neuroscale/endpoints.git",
		"portalUrl":  "https://10.88.0.2:30083",
		"endpoints":  map[string]any{"demo-iris-2": "http://demo-iris-2-predictor.default.neuroscale.test"},
		"forwards":   []any{}, "layers": map[string]any{"knative": map[string]any{"version": "v1", "hash": "abc"}},
		"versions": map[string]any{"kserve": "v0.16.0"},
	}
}

// authority signed the certificate of every TLS server of these tests, and of the
// forge, which ends as ends says.
var (
	authority = func() string {
		s := httptest.NewTLSServer(nil)
		defer s.Close()
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	}()
	ends = time.Now().AddDate(0, 6, 0)
)

// platformKey is the key that opens the gateway of these tests.
var platformKey = keys.Token(keys.PlatformID, "secretsecretsecretsecretsecretse")

// iris is a gateway that answers for demo-iris-2 only, and asks for a key.
func iris(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+platformKey {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":"no key"}`)
			return
		}
		if r.Host != "demo-iris-2-predictor.default.neuroscale.test" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		io.WriteString(w, `{"predictions":[1,1]}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func events(op apitype.OpType, names ...string) []apitype.EngineEvent {
	return eventsOf("knative", op, names...)
}

func eventsOf(phase string, op apitype.OpType, names ...string) []apitype.EngineEvent {
	layer := urn + "neuroscale:platform:Layer::" + phase
	list := []apitype.EngineEvent{{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
		Op: op, URN: layer, Type: "neuroscale:platform:Layer", New: &apitype.StepEventStateMetadata{},
	}}}}
	for _, n := range names {
		m := apitype.StepEventMetadata{
			Op: op, URN: urn + "neuroscale:platform:Layer$kubernetes:batch/v1:Job::" + n, Type: "kubernetes:batch/v1:Job",
			New: &apitype.StepEventStateMetadata{Custom: true, Parent: layer},
		}
		list = append(list, apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: m}},
			apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: m}})
	}
	return append(list, apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{
		ResourceChanges: map[apitype.OpType]int{op: len(names)},
	}})
}
