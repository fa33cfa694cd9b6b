package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/cost"
	"github.com/neuroscale-platform/neuroscale/components/dashboards"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// reached is a service of the platform's, by the API server.
func (p *Platform) reached(f layer.Forward) *http.Client {
	return p.cluster.HTTP(f.Namespace, f.Service, f.Port)
}

// samples are the values of a query of Prometheus, by their labels.
func (p *Platform) samples(ctx context.Context, query string) ([]sample, error) {
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	address := "http://prometheus/api/v1/query?" + url.Values{"query": {query}}.Encode()
	if err := fetch(ctx, p.reached(cost.Prometheus), address, &answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s: %s", query, answer.Error)
	}
	var all []sample
	for _, r := range answer.Data.Result {
		var value float64
		if _, err := fmt.Sscan(fmt.Sprint(r.Value[1]), &value); err != nil {
			return nil, err
		}
		all = append(all, sample{r.Metric, value})
	}
	return all, nil
}

type sample struct {
	labels map[string]string
	value  float64
}

func fetch(ctx context.Context, client *http.Client, address string, to any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(to)
}

// What rules and dashboards go by is on a list; the list is held against a platform here.
// Metrics of what does not happen on every platform come when it happens.
func TestWhatIsOnTheListOfMetricsIsMeasured(t *testing.T) {
	p := given(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	checkout, err := rig.Checkout()
	require.NoError(t, err)
	list, err := os.Open(filepath.Join(checkout, "components", "cost", "testdata", "metrics.txt"))
	require.NoError(t, err)
	defer list.Close()
	n := 0
	for lines := bufio.NewScanner(list); lines.Scan(); {
		name, job, _ := strings.Cut(lines.Text(), " ")
		if name == "#" {
			continue
		}
		n++
		require.NoError(t, rig.Poll(ctx, 2*time.Minute, 2*time.Second, func(ctx context.Context) (string, error) {
			found, err := p.samples(ctx, fmt.Sprintf("count(%s{job=%q})", name, job))
			if err != nil || len(found) > 0 {
				return "", err
			}
			return "nobody measures " + name + " of " + job, nil
		}))
	}
	assert.Greater(t, n, 15)
}

// TestEveryPlotHasData asks the page as a browser does, after each of the things that
// are plotted has happened once: a refusal, a request, a check of the guard, a cold
// start. Only syncs that fail are left out, whose plot is empty as long as all is well.
func TestEveryPlotHasData(t *testing.T) {
	p := given(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var names []string
	client := p.reached(dashboards.Pages)
	require.NoError(t, fetch(ctx, client, "http://dashboards/api/boards", &names))
	require.Equal(t, []string{"endpoints", "platform"}, names)
	p.happen(ctx, t)
	start := time.Now()
	var empty []string
	err := rig.Poll(ctx, 6*time.Minute, 5*time.Second, func(ctx context.Context) (string, error) {
		empty = nil
		for _, name := range names {
			var view struct {
				Panels []struct {
					Title, Error string
					Lines        []any
				}
			}
			if err := fetch(ctx, client, "http://dashboards/api/boards/"+name+"?range=1h", &view); err != nil {
				return err.Error(), nil
			}
			for _, panel := range view.Panels {
				if len(panel.Lines) == 0 && panel.Title != "Syncs that failed" {
					empty = append(empty, name+": "+panel.Title+" "+panel.Error)
				}
			}
		}
		return strings.Join(empty, ", "), nil
	})
	require.NoError(t, err)
	t.Logf("every plot has data after %s", time.Since(start).Round(time.Second))
}

// happen has everything happen once that is plotted, and takes back what it made.
func (p *Platform) happen(ctx context.Context, t *testing.T) {
	t.Helper()
	must := func(verb string, args ...string) {
		r, err := p.Command(verb, args...).Run(ctx)
		require.NoError(t, err)
		require.Zero(t, r.Code, "%s", r)
	}
	const proposed = "plotted-iris"
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		assert.NoError(t, p.withdraw(ctx, proposed))
	})
	must("new", "endpoint", proposed, "--storage-uri", "gs://kfserving-examples/models/sklearn/1.0/model", "--propose")
	must("verify", "--only", "D3") // has every rule refuse something
	for range 20 {
		must("predict", "demo-iris-2")
	}
	require.NoError(t, p.awaitZero(ctx, "sklearn-iris"))
	must("predict", "sklearn-iris")
}

// withdraw closes the pull requests of an endpoint's branch, and removes that.
func (p *Platform) withdraw(ctx context.Context, endpoint string) error {
	at := "/repos/" + config.Default().Forge.Organization + "/" + config.Default().Tenants[0].Repositories[0]
	said, err := p.askForge(ctx, http.MethodGet, at+"/pulls?state=open", nil)
	if err != nil {
		return err
	}
	var open []struct {
		Number int
		Head   struct{ Ref string }
	}
	if err := json.Unmarshal(said, &open); err != nil {
		return err
	}
	for _, pull := range open {
		if !strings.Contains(pull.Head.Ref, endpoint) {
			continue
		}
		if err := p.forge(ctx, http.MethodPatch, fmt.Sprintf("%s/pulls/%d", at, pull.Number), object{"state": "closed"}); err != nil {
			return err
		}
		if err := p.forge(ctx, http.MethodDelete, at+"/branches/"+url.PathEscape(pull.Head.Ref), nil); err != nil {
			return err
		}
	}
	return nil
}
