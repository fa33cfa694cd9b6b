package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// TestAnEndpointThatFailsIsAnAlert asks an endpoint twice a second for what its model
// cannot answer, until Prometheus says so and `top` shows it.
func TestAnEndpointThatFailsIsAnAlert(t *testing.T) {
	t.Parallel()
	p := given(t)
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	const endpoint = "demo-iris-2"
	client := rig.Direct(p.Outputs.Authority)
	host := endpoint + "-predictor." + tenant + "." + config.Default().Serving.Domain
	fail := func() int {
		a, err := rig.Ask(ctx, client, p.Outputs.GatewayURL+"/v1/models/"+endpoint+":predict", host, p.Outputs.PlatformKey, `{"instances":[[1]]}`)
		require.NoError(t, err)
		return a.Code
	}
	require.GreaterOrEqual(t, fail(), http.StatusInternalServerError, "a model that is asked for one number of four does not fail")
	start := time.Now()
	require.NoError(t, rig.Poll(ctx, 10*time.Minute, 500*time.Millisecond, func(ctx context.Context) (string, error) {
		fail()
		firing, err := p.samples(ctx, fmt.Sprintf(`ALERTS{alertname="EndpointFails",alertstate="firing",tenant=%q,endpoint=%q}`, tenant, endpoint))
		if err != nil || len(firing) > 0 {
			return "", err
		}
		return "it is not firing", nil
	}))
	t.Logf("EndpointFails fired %s after the first request that failed; it waits for 5m", time.Since(start).Round(time.Second))
	r, err := p.Command("top", "--once").Run(ctx)
	require.NoError(t, err)
	assert.Contains(t, r.Stdout, "alert: EndpointFails tenant "+tenant+", endpoint "+endpoint)
}

// TestAnEndpointScaledToZeroCostsNearlyNothing compares two of the same model, of which
// nobody asks one.
func TestAnEndpointScaledToZeroCostsNearlyNothing(t *testing.T) {
	t.Parallel()
	p := given(t)
	const window = 5 * time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), window+12*time.Minute)
	defer cancel()
	require.NoError(t, p.awaitZero(ctx, "sklearn-iris"))
	zero := time.Now()
	costs := func() (running, idle float64) {
		r, err := p.Command("cost", "--by", string(showback.ByEndpoint), "--window", window.String(), "-o", "json").Run(ctx)
		require.NoError(t, err)
		require.Zero(t, r.Code, "%s", r)
		var report showback.Report
		require.NoError(t, decode(r.Stdout, &report))
		for _, row := range report.Rows {
			switch row.Name {
			case tenant + "/demo-iris-2":
				running = row.Cost
			case tenant + "/sklearn-iris":
				idle = row.Cost
			}
		}
		return running, idle
	}
	// The window begins after its last pod was measured last.
	require.NoError(t, rig.Poll(ctx, window+7*time.Minute, 10*time.Second, func(ctx context.Context) (string, error) {
		pods, err := p.podsOf(ctx, tenant, "sklearn-iris-predictor-")
		switch {
		case err != nil:
			return "", err
		case len(pods) > 0:
			zero = time.Now()
			return "somebody asked it: it has a pod", nil
		case time.Since(zero) < window+90*time.Second:
			return "it is at zero since " + time.Since(zero).Round(time.Second).String(), nil
		}
		return "", nil
	}))
	running, idle := costs()
	require.Positive(t, running)
	assert.Less(t, idle, running/100)
	t.Logf("in %s the one that runs cost %.9f, the other one %.9f", window, running, idle)
}

func decode(text string, to any) error { return json.Unmarshal([]byte(text), to) }
