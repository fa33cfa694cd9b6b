package predict

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// gateway answers like Kourier in front of one endpoint.
func gateway(t *testing.T, host string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != host:
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path != "/v1/models/iris:predict":
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"error":"Model with name x does not exist."}`)
		case r.Header.Get("Content-Type") != "application/json":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			body, _ := io.ReadAll(r.Body)
			if string(body) != Example {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			io.WriteString(w, `{"predictions":[1,1]}`)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestTheGatewayRoutesByHostAndTheBodyComesBackAsItIs(t *testing.T) {
	const host = "iris-predictor.default.neuroscale.test"
	s := gateway(t, host)
	a, err := Do(context.Background(), s.Client(), Request{Name: "iris", Gateway: s.URL + "/", Host: host, Data: []byte(Example)})
	require.NoError(t, err)
	assert.Equal(t, `{"predictions":[1,1]}`, a.Body)
	assert.Equal(t, http.StatusOK, a.Status)
	assert.Equal(t, host, a.Host)
	assert.Equal(t, s.URL+"/v1/models/iris:predict", a.URL)
	assert.Positive(t, a.LatencyMS)
}

func TestFailuresSayWhatToDo(t *testing.T) {
	const host = "iris-predictor.default.neuroscale.test"
	s := gateway(t, host)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, c := range map[string]struct {
		request Request
		want    string
	}{
		"unknown host":      {Request{Name: "iris", Gateway: s.URL, Host: "other", Data: []byte(`{}`)}, "answered 404 Not Found: the gateway does not know this host name (yet)"},
		"unknown model":     {Request{Name: "x", Gateway: s.URL, Host: host, Data: []byte(`{}`)}, `the endpoint has no such model: {"error":"Model with name x does not exist."}`},
		"not JSON":          {Request{Name: "iris", Gateway: s.URL, Host: host, Data: []byte(`[1,`)}, "--data is not valid JSON"},
		"gateway is no URL": {Request{Name: "iris", Gateway: "10.0.0.1:30080", Host: host, Data: []byte(`{}`)}, "is not a URL: use http://host:port"},
		"nobody there":      {Request{Name: "iris", Gateway: closed.URL, Host: host, Data: []byte(`{}`)}, "cannot be reached (connect: connection refused)"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Do(context.Background(), http.DefaultClient, c.request)
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func TestTheKeyIsShown(t *testing.T) {
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header["Authorization"] }))
	defer s.Close()
	for key, want := range map[string][]string{"nsk_a_b": {"Bearer nsk_a_b"}, "": nil} {
		_, err := Do(t.Context(), s.Client(), Request{Name: "iris", Gateway: s.URL, Host: "h", Key: key, Data: []byte(`{}`)})
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

// That the model takes other input is no reason; that what judges keys is not there
// yet is one to go on asking.
func TestARefusalOfTheGatewayIsNotTheModels(t *testing.T) {
	for status, model := range map[int]bool{400: true, 500: true, 401: false, 403: false, 429: false, 503: false} {
		assert.Equal(t, model, (&StatusError{Status: status, Body: "x"}).fromModel(), status)
	}
	assert.ErrorContains(t, &StatusError{Request: Request{Name: "iris"}, Status: 403}, "nothing answers that judges keys (yet)")
}

// answers is a gateway whose next answers these are, the last of them for ever.
type answers struct {
	next  []string // bodies of status 403, empty for nobody who judged; "ok" is status 200
	asked int
}

func (a *answers) RoundTrip(q *http.Request) (*http.Response, error) {
	body := a.next[min(a.asked, len(a.next)-1)]
	a.asked++
	w := httptest.NewRecorder()
	if body != "ok" {
		w.WriteHeader(http.StatusForbidden)
	}
	_, _ = w.WriteString(body)
	return w.Result(), nil
}

// A person who asks while what judges keys is replaced gets his answer; one whose key
// is refused is told at once, and so is everybody in the end if nobody judges.
func TestAQuestionThatNobodyJudgedIsAskedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		answers
		took time.Duration
		err  string
	}{
		"replaced":        {answers{next: []string{"", "", "ok"}}, 200 * time.Millisecond, ""},
		"refused":         {answers{next: []string{"the key is another tenant's"}}, 0, "the key is another tenant's"},
		"refused then":    {answers{next: []string{"", "the key is another tenant's"}}, 100 * time.Millisecond, "the key is another tenant's"},
		"nobody is there": {answers{next: []string{""}}, patience, "nothing answers that judges keys"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, err := Ask(t.Context(), &http.Client{Transport: &c.answers}, Request{Name: "iris", Gateway: "http://gateway", Host: "h", Data: []byte(`{}`)})
				if c.err == "" {
					assert.NoError(t, err)
				} else {
					assert.ErrorContains(t, err, c.err)
				}
				assert.Equal(t, c.took, time.Since(start))
				assert.InDelta(t, c.took.Milliseconds()/100+1, c.asked, 1)
			})
		})
	}
}

func TestAStatusErrorKeepsTheStatus(t *testing.T) {
	s := gateway(t, "h")
	_, err := Do(context.Background(), s.Client(), Request{Name: "iris", Gateway: s.URL, Host: "h", Data: []byte(`{"other":1}`)})
	var status *StatusError
	require.ErrorAs(t, err, &status)
	assert.Equal(t, http.StatusBadRequest, status.Status)
}

func service(name string, status map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
		"metadata": map[string]any{"name": name, "namespace": "default"}, "status": status,
	}}
}

func condition(kind, status, reason, message string) map[string]any {
	return map[string]any{"type": kind, "status": status, "reason": reason, "message": message}
}

func cluster(objects ...runtime.Object) *fake.FakeDynamicClient {
	return fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{kube.InferenceServices: "InferenceServiceList", kube.Applications: "ApplicationList"}, objects...)
}

func TestEndpointReadsTheHostFromTheStatus(t *testing.T) {
	ready := []any{condition("Ready", "True", "", "")}
	c := cluster(
		service("demo-iris-2", map[string]any{"url": "http://demo-iris-2-predictor.default.neuroscale.test", "conditions": ready}),
		service("broken", map[string]any{"conditions": []any{
			condition("PredictorReady", "False", "RevisionMissing", "image not found"), condition("Ready", "False", "", ""),
		}}),
		service("new", map[string]any{}),
		service("without-url", map[string]any{"conditions": ready}),
	)
	host, err := Endpoint(context.Background(), c, "default", "demo-iris-2")
	require.NoError(t, err)
	assert.Equal(t, "demo-iris-2-predictor.default.neuroscale.test", host)

	for name, c2 := range map[string]struct {
		kind error
		want string
	}{
		"demo-iris-3": {ErrUnknown, `no endpoint "demo-iris-3" in namespace default (did you mean "demo-iris-2"?): there are broken, demo-iris-2, new, without-url`},
		"broken":      {ErrNotReady, "endpoint broken in namespace default is not ready: PredictorReady RevisionMissing: image not found; Ready"},
		"new":         {ErrNotReady, "endpoint new in namespace default is not ready: its controller has not reported yet"},
		"without-url": {ErrNotReady, "endpoint without-url in namespace default has no URL yet: try again in a moment"},
	} {
		_, err := Endpoint(context.Background(), c, "default", name)
		assert.EqualError(t, err, c2.want)
		assert.ErrorIs(t, err, c2.kind)
	}
	_, err = Endpoint(context.Background(), cluster(), "default", "x")
	assert.ErrorContains(t, err, "there is none at all; push a folder apps/NAME")
}

func TestPollEndsAtOnceWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := Poll(ctx, time.Hour, func(context.Context) error { return errors.New("no") })
	assert.ErrorIs(t, err, context.Canceled)
}

// overdue is a context whose deadline has passed before anybody is told.
type overdue struct{ context.Context }

func (overdue) Deadline() (time.Time, bool) { return time.Unix(0, 0), true }

func TestPollTellsTheReasonNotTheDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	tries := 0
	err := Poll(overdue{ctx}, time.Millisecond, func(context.Context) error {
		if tries++; tries == 1 {
			return ErrNotReady
		}
		return errors.New("would exceed the deadline")
	})
	assert.ErrorIs(t, err, ErrNotReady)
	assert.Greater(t, tries, 1)
}
