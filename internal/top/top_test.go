package top

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/endpoint"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
)

func sample(tenant, name string, value float64) showback.Sample {
	return showback.Sample{Labels: map[string]string{"tenant": tenant, "endpoint": name}, Value: value}
}

func sources() Sources {
	return Sources{
		Endpoints: func(context.Context) ([]endpoint.Endpoint, error) {
			return []endpoint.Endpoint{
				{Tenant: "a", Name: "iris", Ready: true, Replicas: endpoint.Replicas{Ready: 2, Total: 2}},
				{Tenant: "b", Name: "iris", Why: "its image cannot be pulled", Replicas: endpoint.Replicas{Total: 1}},
			}, nil
		},
		Samples: func(_ context.Context, query string) ([]showback.Sample, error) {
			return map[string][]showback.Sample{
				"endpoint:requests_per_second":              {sample("a", "iris", 2.5), sample("gone", "iris", 7)},
				`endpoint:latency_seconds{quantile="0.95"}`: {sample("a", "iris", 0.055), sample("b", "iris", math.NaN())},
				"endpoint:error_ratio":                      {sample("a", "iris", 0.2)},
				`ALERTS{alertstate="firing"}`:               {{Labels: map[string]string{"alertname": "EndpointFails", "tenant": "a", "endpoint": "iris", "severity": "page"}, Value: 1}},
			}[query], nil
		},
		Costs: func(context.Context) (*showback.Report, error) {
			return &showback.Report{Currency: "USD", Rows: []showback.Row{{Name: "a/iris", Monthly: 73}, {Name: "a/deployment:web", Monthly: 1}}}, nil
		},
	}
}

func text(t *testing.T, s Sources) string {
	t.Helper()
	screen, err := Look(t.Context(), s, time.Now(), 730)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, screen.Text(&b))
	return b.String()
}

func TestALineHasWhatAllSourcesSayOfItsEndpoint(t *testing.T) {
	assert.Equal(t, ""+
		"TENANT  ENDPOINT  READY  PODS    REQUESTS/S  P95    ERRORS  USD A DAY\n"+
		"a       iris      yes    2 of 2  2.50        55 ms  20.0 %  2.4000\n"+
		"b       iris      no     0 of 1  -           -      -       -\n"+
		"b/iris: its image cannot be pulled\n"+
		"alert: EndpointFails tenant a, endpoint iris\n", text(t, sources()))
}

func TestWhatIsNotKnownIsSaidAndTheRestIsShown(t *testing.T) {
	s := sources()
	s.Samples = func(context.Context, string) ([]showback.Sample, error) {
		return nil, errors.New("ask Prometheus: nobody there")
	}
	s.Costs = func(context.Context) (*showback.Report, error) { return nil, errors.New("ask OpenCost: nobody there") }
	assert.Equal(t, ""+
		"TENANT  ENDPOINT  READY  PODS    REQUESTS/S  P95  ERRORS  COST A DAY\n"+
		"a       iris      yes    2 of 2  -           -    -       -\n"+
		"b       iris      no     0 of 1  -           -    -       -\n"+
		"b/iris: its image cannot be pulled\n"+
		"not known: ask Prometheus: nobody there\n"+
		"not known: ask OpenCost: nobody there\n", text(t, s))
}

func TestWithoutEndpointsItSaysHowToMakeOne(t *testing.T) {
	s := sources()
	s.Endpoints = func(context.Context) ([]endpoint.Endpoint, error) { return nil, nil }
	assert.Contains(t, text(t, s), "there are no endpoints")
}

func TestAClusterThatDoesNotAnswerIsAnError(t *testing.T) {
	s := sources()
	s.Endpoints = func(context.Context) ([]endpoint.Endpoint, error) { return nil, errors.New("no cluster") }
	_, err := Look(t.Context(), s, time.Now(), 730)
	require.EqualError(t, err, "no cluster")
}
