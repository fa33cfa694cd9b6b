package verify

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/reviews"
	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// defaultParts are made once: the policies among them are compiled.
var defaultParts = sync.OnceValues(func() ([]stacks.Part, error) { return stacks.Parts(config.Default()) })

// platform is the default one on a cluster with these objects.
func platform(t *testing.T, objects ...*unstructured.Unstructured) *Platform {
	t.Helper()
	kinds := map[schema.GroupVersionResource]string{
		kube.Pods: "PodList", kube.Applications: "ApplicationList", kube.InferenceServices: "InferenceServiceList", kube.ConfigMaps: "ConfigMapList",
		kube.Deployments: "DeploymentList", kube.StatefulSets: "StatefulSetList", kube.DaemonSets: "DaemonSetList", kube.Jobs: "JobList", kube.Roles: "RoleList", kube.Nodes: "NodeList",
	}
	var all []runtime.Object
	for _, o := range objects {
		all = append(all, o)
	}
	cfg := config.Default()
	parts, err := defaultParts()
	require.NoError(t, err)
	return &Platform{
		Config: cfg, Parts: parts, Run: "test", HTTP: predict.NewClient(5*time.Second, ""),
		Outputs: &stacks.Outputs{PlatformKey: "nsk_platform_0", Endpoints: map[string]string{"demo-iris-2": ""}},
		Cluster: &kube.Cluster{Dynamic: fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, all...)},
	}
}

// service is an InferenceService of the first tenant's that is ready, or says why not.
func service(name, why string, least int64) *unstructured.Unstructured {
	condition := object{"type": "Ready", "status": "True"}
	if why != "" {
		condition = object{"type": "PredictorReady", "status": "False", "message": why}
	}
	return kubetest.Object("serving.kserve.io/v1beta1", "InferenceService", "default", name, object{
		"spec":   object{"predictor": object{"minReplicas": least}},
		"status": object{"url": "http://" + name + ".default.neuroscale.test", "conditions": []any{condition}},
	})
}

// pod of an endpoint, ready so many seconds after it was made.
func pod(of string, seconds int) *unstructured.Unstructured {
	made := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	o := kubetest.Object("v1", "Pod", "default", of+"-1", object{"status": object{
		"phase": "Running", "conditions": []any{object{
			"type": "Ready", "status": "True", "lastTransitionTime": made.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339),
		}},
	}})
	o.SetCreationTimestamp(metav1.NewTime(made))
	o.SetLabels(map[string]string{"serving.kserve.io/inferenceservice": of})
	return o
}

// gateway answers as the function says, and is that of the platform.
func (p *Platform) gateway(t *testing.T, answer func(r *http.Request) (int, string)) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, body := answer(r)
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	p.Outputs.GatewayURL = s.URL
}

func TestNoEndpointAtAllIsAFailure(t *testing.T) {
	p := platform(t)
	_, err := p.endpointsAreReady(t.Context())
	assert.EqualError(t, err, "there is no endpoint at all")
	for _, c := range p.serving() {
		if c.ID == "B1" || c.ID == "B7" {
			continue
		}
		_, err := c.Run(t.Context())
		var off *check.OffError
		assert.Error(t, err, c.ID)
		assert.NotErrorAs(t, err, &off, "%s would be green", c.ID)
	}
	_, err = platform(t, service("demo-iris-2", "", 1), service("broken", "image not found", 0)).endpointsAreReady(t.Context())
	assert.EqualError(t, err, "endpoint broken of tenant default: image not found")
}

func TestAPredictionHasToBeRightAndOfTheGateway(t *testing.T) {
	right := map[bool]string{false: `{"predictions":[1,1]}`, true: `{"outputs":[{"data":[1,1]}]}`}
	for name, test := range map[string]struct {
		code  int
		body  map[bool]string
		wrong string
	}{
		"right":          {200, right, ""},
		"wrong numbers":  {200, map[bool]string{false: `{"predictions":[1,2]}`, true: `{"outputs":[{"data":[1,2]}]}`}, "the answer has the numbers [1 2], not [1 1]"},
		"no numbers":     {200, map[bool]string{false: `{}`, true: `{}`}, "the answer has the numbers [], not [1 1]"},
		"no JSON":        {200, map[bool]string{false: `ok`, true: `ok`}, "has no numbers"},
		"nobody answers": {503, map[bool]string{}, "answered 503"},
	} {
		for _, v2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, V2 %t", name, v2), func(t *testing.T) {
				p := platform(t, service("demo-iris-2", "", 1), pod("demo-iris-2", 3), service("another", "", 1), pod("another", 3))
				p.gateway(t, func(r *http.Request) (int, string) {
					assert.Equal(t, "demo-iris-2.default.neuroscale.test", r.Host, "another endpoint was asked than the example")
					assert.Equal(t, "Bearer nsk_platform_0", r.Header.Get("Authorization"))
					assert.Equal(t, v2, strings.HasPrefix(r.URL.Path, "/v2/"))
					return test.code, test.body[v2]
				})
				_, err := p.predicts(v2)(t.Context())
				if test.wrong == "" {
					assert.NoError(t, err)
					return
				}
				assert.ErrorContains(t, err, test.wrong)
			})
		}
	}
}

func TestAPlatformWithoutExamplesIsAskedAnotherEndpoint(t *testing.T) {
	p := platform(t, service("ours", "", 1), pod("ours", 3))
	var asked string
	p.gateway(t, func(r *http.Request) (int, string) { asked = r.URL.Path; return 200, `{"ready":true}` })
	evidence, err := p.predicts(true)(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "/v2/models/ours/ready", asked)
	assert.Contains(t, evidence, "no example is ready")
	p.gateway(t, func(*http.Request) (int, string) { return 404, "no such model" })
	_, err = p.predicts(true)(t.Context())
	assert.EqualError(t, err, "endpoint ours answers 404: no such model")
}

func TestWhoeverGetsInWithoutAKeyIsSeen(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(r *http.Request) int
		wrong  string
	}{
		"everybody is refused": {func(*http.Request) int { return 401 }, ""},
		"without a key one is in": {func(r *http.Request) int {
			return map[bool]int{true: 401, false: 200}[r.Header.Get("Authorization") != ""]
		}, "asked without a key, answers 200"},
		"any key opens": {func(r *http.Request) int {
			return map[bool]int{true: 200, false: 401}[r.Header.Get("Authorization") != ""]
		}, "asked with a key that nobody made, answers 200"},
		"nobody is there to judge": {func(*http.Request) int { return 403 }, "answers 403, not 401"},
	} {
		t.Run(name, func(t *testing.T) {
			p := platform(t, service("demo-iris-2", "", 1))
			p.gateway(t, func(r *http.Request) (int, string) { return test.answer(r), "" })
			_, err := p.keysAreAsked(t.Context())
			if test.wrong == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, test.wrong)
		})
	}
	p := platform(t, service("demo-iris-2", "", 1))
	p.Config.Serving.Auth = config.AuthNone
	_, err := p.keysAreAsked(t.Context())
	var off *check.OffError
	assert.ErrorAs(t, err, &off)
}

func TestComingFromZeroIsTimed(t *testing.T) {
	answer := func(*http.Request) (int, string) { return 200, `{"predictions":[1,1]}` }
	p := platform(t, service("demo-iris-2", "", 0))
	p.gateway(t, answer)
	evidence, err := p.comesFromZero(t.Context())
	require.NoError(t, err)
	assert.Contains(t, evidence, "from zero after")

	p = platform(t, service("demo-iris-2", "", 0), pod("demo-iris-2", 4))
	p.gateway(t, answer)
	evidence, err = p.comesFromZero(t.Context())
	require.NoError(t, err)
	assert.Contains(t, evidence, "demo-iris-2 is awake; its pod was ready 4s after it was asked for")

	p = platform(t, service("demo-iris-2", "", 0), pod("demo-iris-2", 100))
	p.gateway(t, answer)
	_, err = p.comesFromZero(t.Context())
	assert.EqualError(t, err, "the pod of endpoint demo-iris-2 was ready 1m40s after it was asked for, later than 1m0s")

	_, err = platform(t, service("demo-iris-2", "no image", 0)).comesFromZero(t.Context())
	assert.EqualError(t, err, "the endpoints that scale to zero are not ready: demo-iris-2")
	_, err = platform(t, service("demo-iris-2", "", 1)).comesFromZero(t.Context())
	var off *check.OffError
	assert.ErrorAs(t, err, &off)
}

func TestWhatAKilledRunDeletedIsPutBackAndWhatItMadeGoes(t *testing.T) {
	now := time.Now()
	aged := func(o *unstructured.Unstructured, age time.Duration) *unstructured.Unstructured {
		o.SetCreationTimestamp(metav1.NewTime(now.Add(-age)))
		o.SetLabels(map[string]string{label: "another"})
		return o
	}
	text, err := json.Marshal(kubetest.Object("apps/v1", "Deployment", "default", "nginx-test", object{"spec": object{"replicas": int64(1)}}))
	require.NoError(t, err)
	keepsake := func(name string, age time.Duration) *unstructured.Unstructured {
		return aged(kubetest.Object("v1", "ConfigMap", layer.Namespace, kept+name, object{"data": object{"object": string(text)}}), age)
	}
	application := func(name string, age time.Duration) *unstructured.Unstructured {
		return aged(kubetest.Object("argoproj.io/v1alpha1", "Application", "argocd", name, nil), age)
	}
	p := platform(t, keepsake("old", time.Hour), application("left", time.Hour), application("at-work", time.Second),
		aged(kubetest.Object("batch/v1", "Job", "default", "left", nil), time.Hour))
	t.Setenv("TMPDIR", t.TempDir())
	folder := filepath.Join(os.TempDir(), folderPrefix+"left")
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, os.Chtimes(folder, now.Add(-time.Hour), now.Add(-time.Hour)))
	said, err := p.Tidy(t.Context(), now)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"Deployment default/nginx-test, which was deleted to see it come back", "Application argocd/left", "Job default/left", "folder " + folder,
	}, said)
	back, err := p.get(t.Context(), kube.Deployments, "default", "nginx-test")
	require.NoError(t, err)
	require.NotNil(t, back)
	assert.NoDirExists(t, folder)
	apps, err := p.list(t.Context(), kube.Applications, "argocd", "")
	require.NoError(t, err)
	require.Len(t, apps, 1, "what another run needs was taken from it")
	assert.Equal(t, "at-work", apps[0].GetName())
	said, err = p.Tidy(t.Context(), now)
	require.NoError(t, err)
	assert.Empty(t, said)

	// Argo CD was faster: nothing to put back.
	p = platform(t, keepsake("old", time.Hour), kubetest.Object("apps/v1", "Deployment", "default", "nginx-test", object{"spec": object{"replicas": int64(2)}}))
	_, err = p.Tidy(t.Context(), now)
	require.NoError(t, err)
	there, err := p.get(t.Context(), kube.Deployments, "default", "nginx-test")
	require.NoError(t, err)
	assert.EqualValues(t, 2, there.Object["spec"].(object)["replicas"], "an older one was put in its place")
}

func TestWhatDoesNotComeBackIsPutBack(t *testing.T) {
	nginx := kubetest.Object("apps/v1", "Deployment", "default", "nginx-test", object{"spec": object{"replicas": int64(1)}})
	nginx.SetUID("before")
	app := kubetest.Object("argoproj.io/v1alpha1", "Application", "argocd", "test-app", object{
		"spec":   object{"project": "tenant-default"},
		"status": object{"resources": []any{object{"group": "apps", "kind": "Deployment", "namespace": "default", "name": "nginx-test"}}},
	})
	p := platform(t, nginx, app)
	ctx, cancel := contextOf(t, 500*time.Millisecond)
	defer cancel()
	_, err := p.folderHeals(ctx)
	assert.ErrorContains(t, err, "Deployment default/nginx-test: it was deleted and did not come back")
	back, err := p.get(t.Context(), kube.Deployments, "default", "nginx-test")
	require.NoError(t, err)
	assert.NotNil(t, back, "it stays away")
	left, err := p.list(t.Context(), kube.ConfigMaps, layer.Namespace, label)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestOnlyWhatTheConfigurationOpensIsLeftOutOfTheNetworksTargets(t *testing.T) {
	p := platform(t)
	p.Config.Serving.ModelStores = []config.Egress{{CIDR: "0.0.0.0/0", Ports: []int{443}}, {CIDR: "10.88.0.0/16", Ports: []int{4443}}}
	tenant := p.Config.Tenants[0]
	tenant.Egress = []config.Egress{{CIDR: "10.9.0.1/32", Ports: []int{5432}}}
	for name, test := range map[string]struct {
		target
		open bool
	}{
		"Argo CD's cache":           {target{namespace: "argocd", service: "argocd-redis", address: at("10.42.0.2:6379")}, false},
		"the API server":            {target{namespace: "default", service: "kubernetes", address: at("10.88.0.2:6443")}, false},
		"one on the internet's":     {target{namespace: "default", service: "kubernetes", address: at("10.88.0.2:443")}, false},
		"its own":                   {target{namespace: "default", service: "nginx-service", address: at("10.42.0.3:8080")}, true},
		"cluster DNS":               {target{namespace: "kube-system", service: "kube-dns", address: at("10.42.0.4:53")}, true},
		"cluster DNS's health":      {target{namespace: "kube-system", service: "kube-dns", address: at("10.42.0.4:9153")}, false},
		"the gateway from inside":   {target{namespace: "kourier-system", service: "kourier-internal", address: at("10.42.0.5:8081")}, true},
		"the gateway from outside":  {target{namespace: "kourier-system", service: "kourier", address: at("10.42.0.5:8080")}, false},
		"a store of models":         {target{namespace: "kube-system", service: "object-store", address: at("10.88.0.2:4443")}, true},
		"what is its configuration": {target{namespace: "x", service: "db", address: at("10.9.0.1:5432")}, true},
		"another port of that":      {target{namespace: "x", service: "db", address: at("10.9.0.1:22")}, false},
		"a kubelet":                 {target{name: "kubelet-of-a", address: at("10.88.0.2:10250")}, false},
	} {
		assert.Equal(t, test.open, p.open(tenant, test.target), name)
	}
}

func TestThePodThatTriesSaysWhatItReached(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer open.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	verdict := filepath.Join(t.TempDir(), "verdict")
	cmd := exec.Command("python3", "-c", networkScript)
	cmd.Env = append(os.Environ(), "SECONDS=0.5", "VERDICT="+verdict, "CONTROL="+open.Addr().String(),
		"TARGETS=a/open:1="+open.Addr().String()+" a/open:1="+closed.Addr().String()+" b/closed:2="+closed.Addr().String())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	said, err := os.ReadFile(verdict)
	require.NoError(t, err)
	var v struct {
		Control        bool
		Tried          int
		Reached, Early []string
		ClosedAfter    float64
	}
	require.NoError(t, json.Unmarshal(said, &v))
	assert.True(t, v.Control)
	assert.Equal(t, 3, v.Tried)
	assert.Equal(t, []string{"a/open:1"}, v.Reached)
}

func TestASecretIsFoundAsItIsAndAsAManifestHasIt(t *testing.T) {
	const password, other = "Zk3vQ8pLm2Xw9TtRb5Yc", "hJ7dKq4WnV1sEo6AzBxU"
	secret := func(values map[string]string) *unstructured.Unstructured {
		data := object{}
		for key, value := range values {
			data[key] = base64.StdEncoding.EncodeToString([]byte(value))
		}
		return kubetest.Object("v1", "Secret", "forge", "accounts", object{"data": data})
	}
	const certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIRAKf1zQ8pLm2Xw9TtRb5YcDo0\n-----END CERTIFICATE-----\n"
	known := needles{}
	known.add(secret(map[string]string{
		"admin": password, "app.ini": "[security]\nSECRET_KEY = " + other + "\nUSER = platform-writer\n", "url": "http://gitea.forge.svc:3000/neuroscale/platform.git",
		"ca.crt": certificate,
	}))
	for name, test := range map[string]struct {
		text  string
		found bool
	}{
		"alone":                        {password, true},
		"in a line":                    {"password: \"" + password + "\"\n", true},
		"in a URL":                     {"http://ops:" + password + "@forge/", true},
		"part of a larger one":         {"key=" + other + ";", true},
		"in a manifest":                {"data:\n  admin: " + base64.StdEncoding.EncodeToString([]byte(password)), true},
		"another's":                    {"Zk3vQ8pLm2Xw9TtRb5Yd", false},
		"a name and a URL":             {"platform-writer http://gitea.forge.svc:3000/neuroscale/platform.git", false},
		"a certificate, for everybody": {certificate, false},
		"cut into pieces by Write":     {"x " + password, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &searcher{known: known}
			for i := 0; i < len(test.text); i += 7 {
				_, err := s.Write([]byte(test.text[i:min(i+7, len(test.text))]))
				require.NoError(t, err)
			}
			assert.Equal(t, test.found, len(s.end()) > 0)
		})
	}
}

func TestAmountsAreComparedByWhatTheyAmountTo(t *testing.T) {
	want := object{"hard": object{"limits.cpu": "8", "pods": "20"}, "limits": []any{object{"max": object{"cpu": "2"}}}}
	for name, test := range map[string]struct {
		got  any
		same bool
	}{
		"the same":           {object{"hard": object{"limits.cpu": "8", "pods": "20"}, "limits": []any{object{"max": object{"cpu": "2"}}}}, true},
		"written otherwise":  {object{"hard": object{"limits.cpu": "8000m", "pods": "20"}, "limits": []any{object{"max": object{"cpu": "2"}}}}, true},
		"with more of it":    {object{"hard": object{"limits.cpu": "8", "pods": "20", "secrets": "1"}, "limits": []any{object{"max": object{"cpu": "2"}}}}, true},
		"another amount":     {object{"hard": object{"limits.cpu": "9", "pods": "20"}, "limits": []any{object{"max": object{"cpu": "2"}}}}, false},
		"one is missing":     {object{"hard": object{"pods": "20"}, "limits": []any{object{"max": object{"cpu": "2"}}}}, false},
		"a list is shorter":  {object{"hard": object{"limits.cpu": "8", "pods": "20"}, "limits": []any{}}, false},
		"nothing is there":   {nil, false},
		"of another kind":    {"8", false},
		"in the wrong place": {object{"limits.cpu": "8"}, false},
	} {
		assert.Equal(t, test.same, sameAmounts(want, test.got), name)
	}
}

func TestMainIsForTheMembersOfItsTenant(t *testing.T) {
	tenants := []config.Tenant{
		{Namespace: "a", Members: []string{"anna", "both"}, Mergers: []string{"both"}, Repositories: []string{"models"}},
		{Namespace: "b", Members: []string{"bob", "both"}, Repositories: []string{"others"}},
	}
	for _, test := range []struct {
		member, repository string
		sees, merges       bool
	}{
		{"anna", "models", true, false}, {"anna", "others", false, false}, {"bob", "models", false, false}, {"bob", "others", true, true},
		{"both", "models", true, true}, {"both", "platform", false, false}, {"nobody", "models", false, false},
	} {
		seen, merges := sees(tenants, test.member, test.repository)
		assert.Equal(t, test.sees, seen, "%s, %s", test.member, test.repository)
		assert.Equal(t, test.merges, merges, "%s, %s", test.member, test.repository)
	}
}

// gitea answers paths of its API, after /repos/neuroscale/, with JSON.
func (p *Platform) gitea(t *testing.T, answers map[string]string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		key := strings.TrimPrefix(r.URL.Path, "/api/v1/repos/neuroscale/")
		if sudo := r.FormValue("sudo"); sudo != "" {
			user = sudo
		}
		body, there := answers[user+" "+key]
		if !there {
			body, there = answers[key]
		}
		if !there {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	p.Outputs.ForgeURL, p.Outputs.ForgeUser, p.Outputs.Members = s.URL, forge.Admin, map[string]string{"data-scientist": "p"}
}

func TestAWayAroundTheGuardIsSeen(t *testing.T) {
	const main, protection = "endpoints/branches/main", "endpoints/branch_protections/main"
	const closed = `{"enable_status_check":true,"status_check_contexts":["neuroscale/guard"],"block_admin_merge_override":true}`
	for name, test := range map[string]struct {
		answers map[string]string
		wrong   string
	}{
		"as configured":                    {nil, ""},
		"a member may push":                {map[string]string{"data-scientist " + main: `{"user_can_push":true,"user_can_merge":true}`}, "data-scientist may push to main of repository endpoints, past the guard"},
		"a merger may not merge":           {map[string]string{"data-scientist " + main: `{}`}, "may data-scientist merge into main of repository endpoints: false"},
		"a member sees the platform's own": {map[string]string{"platform": `{}`}, "data-scientist sees repository platform"},
		"Argo CD may push":                 {map[string]string{"argocd " + main: `{"user_can_push":true}`}, "account argocd may push"},
		"the guard may merge":              {map[string]string{"guard " + main: `{"user_can_merge":true}`}, "account guard may push to or merge into"},
		"nothing protects main":            {map[string]string{protection: `{}`}, "does not demand the status neuroscale/guard of everybody"},
		"another status is demanded":       {map[string]string{protection: strings.ReplaceAll(closed, "guard", "other")}, "does not demand the status"},
		"administrators are excepted":      {map[string]string{protection: strings.ReplaceAll(closed, `override":true`, `override":false`)}, "does not demand the status"},
	} {
		t.Run(name, func(t *testing.T) {
			p := platform(t)
			answers := map[string]string{"data-scientist " + main: `{"user_can_merge":true}`, main: `{}`, protection: closed}
			maps.Copy(answers, test.answers)
			p.gitea(t, answers)
			_, err := p.mainIsProtected(t.Context())
			if test.wrong == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, test.wrong)
		})
	}
}

func TestAPullRequestThatNobodyJudgesIsSeen(t *testing.T) {
	const hooks, pulls, verdict = "endpoints/hooks", "endpoints/pulls", "endpoints/commits/c1/status"
	told := `[{"active":true,"config":{"url":"` + reviews.HookURL + `"}}]`
	pull := func(age time.Duration) string {
		return `[{"number":7,"base":{"ref":"main"},"head":{"sha":"c1"},"updated_at":"` + time.Now().Add(-age).Format(time.RFC3339) + `"}]`
	}
	judged := func(state string) string {
		return `{"statuses":[{"context":"neuroscale/guard","status":"` + state + `"}]}`
	}
	for name, test := range map[string]struct {
		answers map[string]string
		wrong   string
	}{
		"nothing is open":         {nil, ""},
		"all is judged":           {map[string]string{pulls: pull(time.Hour), verdict: judged("failure")}, ""},
		"one is new":              {map[string]string{pulls: pull(time.Minute), verdict: judged("pending")}, ""},
		"one waits":               {map[string]string{pulls: pull(time.Hour), verdict: judged("pending")}, "the guard says pending of pull request 7 of repository endpoints"},
		"one is not looked at":    {map[string]string{pulls: pull(time.Hour), verdict: `{}`}, "the guard says nothing of pull request 7"},
		"events go elsewhere":     {map[string]string{hooks: strings.ReplaceAll(told, "guard", "other")}, "does not tell the guard of its events"},
		"events are switched off": {map[string]string{hooks: strings.ReplaceAll(told, "true", "false")}, "does not tell the guard of its events"},
	} {
		t.Run(name, func(t *testing.T) {
			p := platform(t)
			answers := map[string]string{hooks: told, pulls: `[]`}
			maps.Copy(answers, test.answers)
			p.gitea(t, answers)
			_, err := p.guardJudges(t.Context())
			if test.wrong == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, test.wrong)
		})
	}
}

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// Measuring begins after the first endpoints have, so that a pod may have run for longer.
func TestAYoungPlatformIsNotMeasuredYetAndAMissingCostStillFails(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	running := func(tenant string, ago time.Duration) unstructured.Unstructured {
		return *kubetest.Object("v1", "Pod", tenant, "iris", object{"status": object{"phase": "Running", "startTime": now.Add(-ago).Format(time.RFC3339)}})
	}
	for name, test := range map[string]struct {
		measured time.Duration
		rows     []showback.Row
		pods     []unstructured.Unstructured
		want     string
	}{
		"billed":              {time.Hour, []showback.Row{{Name: "a", Cost: 1}}, []unstructured.Unstructured{running("a", time.Hour)}, ""},
		"young, and billed":   {70 * time.Second, []showback.Row{{Name: "a", Cost: 1}}, []unstructured.Unstructured{running("a", time.Hour)}, ""},
		"young":               {70 * time.Second, []showback.Row{{Name: "a", Cost: 1}}, []unstructured.Unstructured{running("b", time.Hour)}, "not measured yet: measuring is 1m10s old, and what something costs is known after 2m0s"},
		"young, with nothing": {70 * time.Second, nil, nil, "not measured yet: measuring is 1m10s old"},
		"missing": {121 * time.Second, []showback.Row{{Name: "a", Cost: 1}, {Name: "b"}}, []unstructured.Unstructured{running("b", 121*time.Second)},
			"tenant b costs nothing, and pod iris has run since 2026-11-26T11:57:59Z"},
		"a pod that just began": {time.Hour, []showback.Row{{Name: "a", Cost: 1}}, []unstructured.Unstructured{running("b", time.Minute)}, ""},
		"nobody":                {time.Hour, nil, nil, "no tenant costs anything"},
	} {
		start := now.Add(-min(test.measured, 15*time.Minute))
		_, err := billedFor(&showback.Report{Asked: now.Add(-15 * time.Minute), Start: start, Rows: test.rows}, test.pods, now, 30*time.Second)
		if test.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, test.want, name)
	}
}
