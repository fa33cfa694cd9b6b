package bench

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// asked is a platform whose endpoint is what a handler answers.
func asked(t *testing.T, handler http.HandlerFunc) *Platform {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	service := object("serving.kserve.io/v1beta1", "InferenceService", "default", warmEndpoint, map[string]any{
		"status": map[string]any{
			"url":        "http://" + warmEndpoint + "-predictor.default.neuroscale.test",
			"conditions": []any{map[string]any{"type": "Ready", "status": "True"}},
		},
	})
	return &Platform{Dynamic: cluster(service), Gateway: server.URL, Namespace: "default"}
}

func TestALoadIsSteadyAndCountsWhatFails(t *testing.T) {
	var n, wrong atomic.Int64
	p := asked(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%10 == 0 {
			wrong.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	l, err := p.underLoad(t.Context(), 100, func(ctx context.Context) error { return pause(ctx, time.Second) })
	require.NoError(t, err)
	failed, kinds := l.failures()
	assert.EqualValues(t, wrong.Load(), failed)
	assert.Contains(t, kinds, "times 503 Service Unavailable")
	assert.EqualValues(t, n.Load(), len(l.answers)+failed, "an answer was not counted")
	assert.InDelta(t, 100, n.Load(), 10, "that is no 100 a second")
}

func TestWhoWasNotThereToAskIsLate(t *testing.T) {
	// Everybody waits for half a second: what was due meanwhile is late, too.
	stop := time.Now().Add(500 * time.Millisecond)
	p := asked(t, func(http.ResponseWriter, *http.Request) { time.Sleep(time.Until(stop)) })
	l, err := p.underLoad(t.Context(), 100, func(ctx context.Context) error { return pause(ctx, 700*time.Millisecond) })
	require.NoError(t, err)
	late := 0
	for _, each := range l.late() {
		if each > 50 {
			late++
		}
	}
	assert.Greater(t, late, 2*askers, "only those that were sent count")
}

func TestALoadEndsWithWhatItIsFor(t *testing.T) {
	p := asked(t, func(http.ResponseWriter, *http.Request) {})
	_, err := p.underLoad(t.Context(), 100, func(context.Context) error { return errors.New("it broke") })
	assert.EqualError(t, err, "it broke")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.underLoad(ctx, 100, func(ctx context.Context) error { return pause(ctx, time.Minute) })
	assert.ErrorIs(t, err, context.Canceled)
}

func TestASlowTimeIsNotHiddenByAQuickOne(t *testing.T) {
	start := time.Now()
	l := &load{}
	for i := range 200 {
		late := 1.0
		if i >= 100 && i < 150 {
			late = 90
		}
		l.answers = append(l.answers, answered{start.Add(time.Duration(i) * 100 * time.Millisecond), late})
	}
	assert.Equal(t, []float64{1, 90}, l.slowest(start, 10*time.Second))
}

func TestEveryOtherAskerSpeaksTheOldProtocol(t *testing.T) {
	var versions [3]atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { versions[r.ProtoMajor].Add(1) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	p := &Platform{Authority: string(certificate)}
	for i := range 2 {
		response, err := p.clientOf(i).Get(server.URL)
		require.NoError(t, err)
		response.Body.Close()
	}
	assert.EqualValues(t, 1, versions[1].Load())
	assert.EqualValues(t, 1, versions[2].Load())
}

func pod(namespace, name, phase string) *unstructured.Unstructured {
	o := object("v1", "Pod", namespace, name, map[string]any{"status": map[string]any{
		"phase": phase, "conditions": []any{map[string]any{"type": "Ready", "status": "True"}},
	}})
	o.SetUID(types.UID(name))
	return o
}

func TestPodsAreReplacedOneAfterAnother(t *testing.T) {
	c := cluster(pod("d", "a", "Running"), pod("d", "b", "Running"), pod("d", "job", "Succeeded"))
	client := c.Resource(kube.Pods).Namespace("d")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	fewest := 2
	go func() { // the controller
		for i := 0; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			list, err := client.List(ctx, metav1.ListOptions{})
			if err == nil && len(list.Items) < 3 {
				fewest = min(fewest, len(list.Items)-1)
				_, _ = client.Create(ctx, pod("d", []string{"c", "d", "e"}[i], "Running"), metav1.CreateOptions{})
				i++
			}
		}
	}()
	n, err := (&Platform{Dynamic: c}).replace(ctx, disturbance{"d", ""})
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	now, err := (&Platform{Dynamic: c}).running(ctx, disturbance{"d", ""})
	require.NoError(t, err)
	require.Len(t, now, 2)
	assert.Equal(t, []string{"c", "d"}, []string{now[0].GetName(), now[1].GetName()})
	assert.Equal(t, 1, fewest, "both were away at once")
	_, err = (&Platform{Dynamic: c}).replace(ctx, disturbance{"nowhere", "app=x"})
	assert.ErrorContains(t, err, `no pod with "app=x" runs in namespace nowhere`)
}

func TestAStatefulSetsNextPodIsAnotherOne(t *testing.T) {
	c := cluster(pod("d", "a-0", "Running"))
	client := c.Resource(kube.Pods).Namespace("d")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	go func() { // the controller
		for ctx.Err() == nil {
			if list, err := client.List(ctx, metav1.ListOptions{}); err == nil && len(list.Items) == 0 {
				next := pod("d", "a-0", "Running")
				next.SetUID("another")
				_, _ = client.Create(ctx, next, metav1.CreateOptions{})
				return
			}
		}
	}()
	n, err := (&Platform{Dynamic: c}).replace(ctx, disturbance{"d", ""})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}
