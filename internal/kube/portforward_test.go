package kube

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/apimachinery/pkg/util/httpstream/spdy"
	"k8s.io/client-go/dynamic/fake"
)

// forwarding is an API server whose pods answer at port 8080 with what they are sent,
// and refuse every other port.
func forwarding(t *testing.T) *Cluster {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/namespaces/n/pods/p/portforward" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
			return
		}
		opened := make(chan httpstream.Stream, 2)
		connection := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
			opened <- s
			return nil
		})
		if connection == nil {
			return
		}
		defer connection.Close()
		var failure, data httpstream.Stream
		for range 2 {
			s := <-opened
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				failure = s
			} else {
				data = s
			}
		}
		if data.Headers().Get(corev1.PortHeader) != "8080" {
			_, _ = io.WriteString(failure, "connection refused")
			_ = failure.Close()
			<-connection.CloseChan()
			return
		}
		sent, _ := io.ReadAll(data)
		_, _ = fmt.Fprintf(data, "got %s", sent)
		_ = data.Close()
		_ = failure.Close()
		<-connection.CloseChan()
	}))
	t.Cleanup(server.Close)
	cluster, err := Connect(Source{Text: fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c",
"clusters":[{"name":"c","cluster":{"server":%q}}],"users":[{"name":"u","user":{}}],
"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`, server.URL)})
	require.NoError(t, err)
	return cluster
}

func TestAConnectionToAPodCarriesBothWays(t *testing.T) {
	c, err := forwarding(t).Dial(t.Context(), "n", "p", 8080)
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "hello")
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, "got hello", string(answer))
}

func TestAPortThatNobodyListensOnEndsTheConnection(t *testing.T) {
	c, err := forwarding(t).Dial(t.Context(), "n", "p", 9)
	require.NoError(t, err)
	defer c.Close()
	ended := make(chan []byte, 1)
	go func() { answer, _ := io.ReadAll(c); ended <- answer }()
	select {
	case answer := <-ended:
		assert.Empty(t, answer)
	case <-time.After(5 * time.Second):
		t.Fatal("it waits for ever")
	}
}

func TestAPodThatIsNotThereIsAnError(t *testing.T) {
	_, err := forwarding(t).Dial(t.Context(), "n", "gone", 8080)
	assert.ErrorContains(t, err, "connect to pod n/gone")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = forwarding(t).Dial(ctx, "n", "p", 8080)
	assert.Error(t, err)
}

func TestThePodOfAServiceIsAReadyOneAtItsOwnPort(t *testing.T) {
	endpoint := func(name string, ready bool) any {
		return fields{"conditions": fields{"ready": ready}, "targetRef": fields{"kind": "Pod", "name": name}}
	}
	slice := func(endpoints ...any) runtime.Object {
		return &unstructured.Unstructured{Object: fields{
			"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
			"metadata":  fields{"name": "s-1", "namespace": "n", "labels": fields{"kubernetes.io/service-name": "s"}},
			"ports":     []any{fields{"name": "metrics", "port": int64(9090)}, fields{"name": "http", "port": int64(8080)}},
			"endpoints": endpoints,
		}}
	}
	service := &unstructured.Unstructured{Object: fields{
		"apiVersion": "v1", "kind": "Service", "metadata": fields{"name": "s", "namespace": "n"},
		"spec": fields{"ports": []any{fields{"name": "http", "port": int64(80)}, fields{"name": "metrics", "port": int64(9090)}}},
	}}
	for name, test := range map[string]struct {
		endpoints []any
		service   string
		port      int
		pod       string
		want      string
	}{
		"the ready one":     {endpoints: []any{endpoint("starting", false), endpoint("ready", true)}, service: "s", port: 80, pod: "ready"},
		"none is ready":     {endpoints: []any{endpoint("starting", false)}, service: "s", port: 80, want: "Service n/s has no pod that is ready"},
		"no such port":      {endpoints: []any{endpoint("ready", true)}, service: "s", port: 81, want: "Service n/s has no port 81"},
		"no such service":   {service: "t", port: 80, want: "look up Service n/t"},
		"none there at all": {service: "s", port: 80, want: "Service n/s has no pod that is ready"},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
				map[schema.GroupVersionResource]string{Services: "ServiceList", EndpointSlices: "EndpointSliceList"},
				service, slice(test.endpoints...))
			pod, port, err := PodOf(t.Context(), client, "n", test.service, test.port)
			if test.want != "" {
				assert.ErrorContains(t, err, test.want)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.pod, pod)
			assert.Equal(t, 8080, port)
		})
	}
}
