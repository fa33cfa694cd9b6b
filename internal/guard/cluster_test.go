package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/samples"
)

// pretendCluster refuses by pretended; open is one that enforces nothing, away
// one that does not answer for documents.
type pretendCluster struct{ open, away bool }

func (c pretendCluster) dryRun(_ context.Context, d *document) (error, error) {
	if c.away && d.namespace != samples.Namespace {
		return nil, errors.New("connection refused")
	}
	if d.name == "huge" {
		return errors.New(`deployments.apps "huge" is forbidden: exceeded quota: default-namespace-quota`), nil
	}
	if d.name == "odd" {
		return errors.New(`Deployment.apps "odd" is invalid: spec.selector: field is immutable`), nil
	}
	for p := range coverage {
		if !c.open && covers(p, d) && pretended(d.name, p).outcome == refused {
			return errors.New(`deployments.apps "x" is forbidden: ValidatingAdmissionPolicy '` + p + `' with binding '` + p + `' denied request: is bad`), nil
		}
	}
	return nil, nil
}

func TestAClusterJudgesEveryDocument(t *testing.T) {
	for name, test := range map[string]struct {
		cluster pretendCluster
		object  string
		want    []string
	}{
		"admitted": {pretendCluster{}, "good", nil},
		"refused by a policy": {pretendCluster{}, "bad-" + root, []string{
			"error " + root + " apps/a/d.yaml:1 is bad",
			"error " + root + " apps/a/d.yaml:1 is refused by the cluster: deployments.apps \"x\" is forbidden: ValidatingAdmissionPolicy '" + root + "' with binding '" + root + "' denied request: is bad",
		}},
		"refused by the quota":        {pretendCluster{}, "huge", []string{`error quota apps/a/d.yaml:1 is refused by the cluster: deployments.apps "huge" is forbidden: exceeded quota: default-namespace-quota`}},
		"refused by something else":   {pretendCluster{}, "odd", []string{`error cluster apps/a/d.yaml:1 is refused by the cluster: Deployment.apps "odd" is invalid: spec.selector: field is immutable`}},
		"not answered":                {pretendCluster{away: true}, "good", []string{"error cluster apps/a/d.yaml:1 is not judged by the cluster: connection refused"}},
		"a cluster that lets all in ": {pretendCluster{open: true}, "good", probeMessages()},
	} {
		t.Run(name, func(t *testing.T) {
			r := check(t, map[string]string{"apps/a/d.yaml": deployment(test.object)}, func(e *engines) { e.cluster = test.cluster })
			assert.Equal(t, test.want, messages(r))
			assert.Equal(t, test.want == nil, r.Passed)
		})
	}
}

func probeMessages() []string {
	var all []string
	for _, p := range slices.Sorted(maps.Keys(coverage)) {
		all = append(all, "error probe - the cluster does not refuse the built-in bad-"+p+" by policy "+p+", as it has to: it admits it")
	}
	return all
}

func TestARefusalIsToldFromAClusterThatCannotJudge(t *testing.T) {
	resource := schema.GroupResource{Resource: "pods"}
	for name, test := range map[string]struct {
		err     error
		refused bool
	}{
		"policy":           {apierrors.NewForbidden(resource, "x", errors.New("denied")), true},
		"invalid":          {apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "x", nil), true},
		"webhook":          {apierrors.NewBadRequest("denied the request"), true},
		"no namespace":     {apierrors.NewNotFound(resource, "x"), false},
		"a broken webhook": {apierrors.NewInternalError(errors.New("failed calling webhook")), false},
		"not logged in":    {apierrors.NewUnauthorized("no"), false},
		"busy":             {apierrors.NewTooManyRequests("later", 1), false},
		"gone":             {&url.Error{Op: http.MethodPatch, URL: "x", Err: errors.New("connection refused")}, false},
		"cancelled":        {context.Canceled, false},
	} {
		refusal, unanswered := sort(test.err)
		assert.Equal(t, test.refused, refusal != nil, name)
		assert.Equal(t, !test.refused, unanswered != nil, name)
	}
}

// apiServerStub knows Deployments, InferenceServices and Services, and refuses by name.
func apiServerStub(t *testing.T, asked *[]string) *kube.Cluster {
	t.Helper()
	var lock sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		group := func(name, version string) string {
			return fmt.Sprintf(`{"name":%q,"versions":[{"groupVersion":"%s/%s","version":%q}]}`, name, name, version, version)
		}
		switch r.URL.Path {
		case "/api":
			io.WriteString(w, `{"kind":"APIVersions","versions":["v1"]}`)
		case "/api/v1":
			io.WriteString(w, `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"services","kind":"Service","namespaced":true}]}`)
		case "/apis":
			io.WriteString(w, `{"kind":"APIGroupList","groups":[`+group("apps", "v1")+","+group("serving.kserve.io", "v1beta1")+`]}`)
		case "/apis/apps/v1":
			io.WriteString(w, `{"kind":"APIResourceList","groupVersion":"apps/v1","resources":[{"name":"deployments","kind":"Deployment","namespaced":true}]}`)
		case "/apis/serving.kserve.io/v1beta1":
			io.WriteString(w, `{"kind":"APIResourceList","groupVersion":"serving.kserve.io/v1beta1","resources":[{"name":"inferenceservices","kind":"InferenceService","namespaced":true}]}`)
		default:
			lock.Lock()
			*asked = append(*asked, r.Method+" "+r.URL.String())
			lock.Unlock()
			name := path.Base(r.URL.Path)
			if policy, bad := strings.CutPrefix(name, "bad-"); bad {
				w.WriteHeader(http.StatusUnprocessableEntity)
				fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,"message":"x: ValidatingAdmissionPolicy '%s' with binding '%s' denied request: no"}`, policy, policy)
				return
			}
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			w.Write(body)
		}
	}))
	t.Cleanup(s.Close)
	cluster, err := kube.Connect(kube.Source{Text: fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q}}],
"users":[{"name":"u","user":{}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`, s.URL)})
	require.NoError(t, err)
	return cluster
}

func TestTheAPIServerIsAskedWithoutStoringAnything(t *testing.T) {
	const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"
	var asked []string
	server, err := newAPIServer(apiServerStub(t, &asked))
	require.NoError(t, err)
	r := check(t, map[string]string{"apps/a/d.yaml": deployment("bad-"+root) + "---\n" + configMap + "---\n" + deployment("good")},
		func(e *engines) { e.cluster = server })
	assert.Equal(t, []string{
		"error " + root + " apps/a/d.yaml:1 is bad",
		"error " + root + " apps/a/d.yaml:1 is refused by the cluster: x: ValidatingAdmissionPolicy '" + root + "' with binding '" + root + "' denied request: no",
		"error cluster apps/a/d.yaml:20 is not judged by the cluster: the cluster has no kind ConfigMap in v1",
	}, messages(r))
	assert.Equal(t, 2, *r.Cluster)
	assert.Len(t, asked, len(builtIn())+2)
	for _, line := range asked {
		assert.Regexp(t, `^PATCH /(api/v1|apis/apps/v1|apis/serving.kserve.io/v1beta1)/namespaces/(default|neuroscale-probe)/`, line)
		assert.Contains(t, line, "dryRun=All")
		assert.Contains(t, line, "fieldManager=neuroscale-guard")
	}
}
