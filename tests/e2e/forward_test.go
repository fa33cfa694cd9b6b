package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// forwardSurvivesItsPods asks the forge over loopback while the pod that answers is
// replaced.
func (s *suite) forwardSurvivesItsPods(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	at, end := s.forwarded(ctx, t, "forge")

	healthy := func(ctx context.Context) (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/api/healthz", nil)
		require.NoError(t, err)
		client := predict.NewClient(6*time.Second, s.outputs.Authority)
		defer client.CloseIdleConnections()
		response, err := client.Do(request)
		if err != nil {
			return err.Error(), nil
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return response.Status, nil
		}
		return "", nil
	}
	require.NoError(t, rig.Poll(ctx, 20*time.Second, often, healthy))
	running := func() (name string) {
		pods, err := s.cluster.List(ctx, kube.Pods, "forge")
		require.NoError(t, err)
		for i := range pods {
			if rig.Text(&pods[i], "status", "phase") == "Running" && pods[i].GetDeletionTimestamp() == nil {
				name = pods[i].GetName()
			}
		}
		return name
	}
	first := running()
	require.NotEmpty(t, first)
	start := time.Now()
	require.NoError(t, s.cluster.Delete(ctx, kube.Pods, "forge", first))
	require.NoError(t, rig.Poll(ctx, time.Minute, often, func(ctx context.Context) (string, error) {
		if now := running(); now == "" || now == first {
			return "the pod is not replaced", nil
		}
		return healthy(ctx)
	}))
	t.Logf("the forge answered again %s after its pod was deleted", time.Since(start).Round(100*time.Millisecond))
	end()
}

// forwarded has a service answer on loopback, at the URL, until end, which is ctrl-C.
func (s *suite) forwarded(ctx context.Context, t *testing.T, name string) (at string, end func()) {
	t.Helper()
	c := s.command("forward", name, "-o", "json")
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.Stderr = c.Env, c.Dir, os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	var forwards []struct{ Name, URL string }
	require.NoError(t, json.NewDecoder(out).Decode(&forwards))
	go func() { ended <- cmd.Wait() }()
	require.Len(t, forwards, 1)
	return forwards[0].URL, func() {
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		select {
		case err := <-ended:
			assert.NoError(t, err, "ctrl-C is how it ends")
		case <-time.After(10 * time.Second):
			t.Error("it does not end")
		}
	}
}
