package verify

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/scaffold"
)

func siteSecret() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: object{
		"apiVersion": "v1", "kind": "Secret", "metadata": object{"name": "portal-site", "namespace": "portal"},
		"data": object{"VERIFY_TOKEN": "dGhlLXRva2Vu"}, // the-token
	}}
}

func TestTheFormsOfThePortalAreExactlyThose(t *testing.T) {
	all := `[{"metadata":{"name":"remove-endpoint"}},{"metadata":{"name":"kserve-model-endpoint"}},{"metadata":{"name":"change-endpoint"}}]`
	for name, test := range map[string]struct {
		list  string
		open  bool // to everybody
		wide  bool // the token opens more
		wrong string
	}{
		"all":        {list: all},
		"none":       {list: `[]`, wrong: "the portal has the forms (none), and not"},
		"one":        {list: `[{"metadata":{"name":"change-endpoint"}}]`, wrong: "the portal has the forms change-endpoint, and not"},
		"one more":   {list: all[:len(all)-1] + `,{"metadata":{"name":"other"}}]`, wrong: "kserve-model-endpoint, other, remove-endpoint, and not"},
		"no list":    {list: `<html>`, wrong: "no list of templates"},
		"too much":   {list: all, wide: true, wrong: "answers 200 to who asks for people's tasks with VERIFY_TOKEN"},
		"to anybody": {list: all, open: true, wrong: "answers 200 to who asks for its catalog and does not say who it is"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Header.Get("Authorization") != "Bearer the-token" && !test.open:
					w.WriteHeader(http.StatusUnauthorized)
				case r.URL.Path == tasksPath && !test.wide:
					w.WriteHeader(http.StatusForbidden)
				}
				_, _ = w.Write([]byte(test.list))
			}))
			defer server.Close()
			p := platform(t, siteSecret())
			p.Outputs.PortalURL = server.URL
			said, err := p.formsAreThere(t.Context())
			if test.wrong != "" {
				require.ErrorContains(t, err, test.wrong)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "change-endpoint, kserve-model-endpoint, remove-endpoint", said)
		})
	}
	p := platform(t)
	_, err := p.formsAreThere(t.Context())
	require.ErrorContains(t, err, "Secret portal/portal-site is not there")
}

func TestWhatTheFormsMakeIsOfferedForEachSize(t *testing.T) {
	own, err := scaffold.Load(gitops.FS)
	require.NoError(t, err)
	data := object{}
	for name, text := range own.Templates() {
		data[name] = text
	}
	skeleton := &unstructured.Unstructured{Object: object{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": "portal-skeleton", "namespace": "portal"}, "data": data,
	}}
	p := platform(t, skeleton)
	var offered []string // of several at once
	var mu sync.Mutex
	p.Cluster.Dynamic.(*dynamicfake.FakeDynamicClient).PrependReactor("create", "inferenceservices", func(a clienttesting.Action) (bool, runtime.Object, error) {
		o := a.(clienttesting.CreateAction).GetObject().(*unstructured.Unstructured)
		assert.Equal(t, "default", o.GetNamespace())
		assert.NotEmpty(t, o.GetLabels()["owner"])
		mu.Lock()
		defer mu.Unlock()
		offered = append(offered, o.GetName())
		return true, o, nil
	})
	said, err := p.formsMakeWhatIsAdmitted(t.Context())
	require.NoError(t, err)
	assert.Len(t, offered, len(own.Bounds(p.siteOf(p.Config.Tenants[0])).Sizes))
	assert.Contains(t, said, "default, admitted")

	_, err = platform(t).formsMakeWhatIsAdmitted(t.Context())
	require.ErrorContains(t, err, "ConfigMap portal/portal-skeleton is not there")
}

func TestWithoutAPortalNobodyMissesItsForms(t *testing.T) {
	p := platform(t)
	p.Config.Portal.Enabled = false
	_, err := p.formsAreThere(t.Context())
	require.ErrorIs(t, err, errNoPortal)
	_, err = p.formsMakeWhatIsAdmitted(t.Context())
	require.ErrorIs(t, err, errNoPortal)
}
