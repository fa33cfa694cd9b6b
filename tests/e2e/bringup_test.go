package e2e

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/stacks"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

func (s *suite) nodeUp(t *testing.T) {
	// Image builds are no part of these tests: make test-e2e does them before.
	ctx := within(t, 5*time.Minute)
	var err error
	s.host, err = rig.NewHostSnapshot(ctx)
	require.NoError(t, err)
	succeed(ctx, t, s.node.Up())
	s.env, err = s.node.Environment(ctx)
	require.NoError(t, err)
	s.cluster, err = rig.Connect(rig.Lookup(s.env, "KUBECONFIG"))
	require.NoError(t, err)
	s.empty = s.settledInventory(ctx, t)
}

func (s *suite) nodeUpAgain(t *testing.T) {
	ctx := within(t, time.Minute)
	before := s.settledInventory(ctx, t)
	succeed(ctx, t, s.node.Up())
	assert.Equal(t, before, s.settledInventory(ctx, t), "objects were made again")
}

// settledInventory waits until Kubernetes' own controllers have made what they
// make in every new cluster.
func (s *suite) settledInventory(ctx context.Context, t *testing.T) rig.Inventory {
	t.Helper()
	var last rig.Inventory
	require.NoError(t, rig.Poll(ctx, 30*time.Second, time.Second, func(ctx context.Context) (string, error) {
		now, err := s.cluster.Inventory(ctx)
		if err != nil {
			return "", err
		}
		before := last
		last = now
		for _, want := range []string{"Namespace kube-system", "ServiceAccount default/default", "ConfigMap default/kube-root-ca.crt"} {
			if _, ok := now[want]; !ok {
				return "there is no " + want, nil
			}
		}
		if !maps.Equal(before, now) {
			return "objects still come or go", nil
		}
		return "", nil
	}))
	return last
}

// previewReport is what the tests read of `preview -o json`.
// drift is what somebody else did to an object of the stack's.
type drift struct {
	Kind      string   `json:"kind"`
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Gone      bool     `json:"gone"`
	Fields    []string `json:"fields"`
}

type previewReport struct {
	Changed bool           `json:"changed"`
	Drift   []drift        `json:"drift"`
	Changes map[string]int `json:"changes"`
	Layers  []struct {
		Name      string `json:"name"`
		Resources []struct {
			Op   string `json:"op"`
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"resources"`
	} `json:"layers"`
}

func (s *suite) previewOfNothing(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	state := filepath.Join(t.TempDir(), "state")
	require.NoError(t, os.Mkdir(state, 0o700))
	kubeconfig := unreachableKubeconfig(t)
	for name, path := range map[string]string{
		"unreachable cluster": kubeconfig,
		"missing kubeconfig":  filepath.Join(t.TempDir(), "none"),
	} {
		t.Run(name, func(t *testing.T) {
			r := succeed(ctx, t, with(s.command("preview", "-o", "json"), "KUBECONFIG="+path, "PULUMI_BACKEND_URL=file://"+state))
			var report previewReport
			decode(t, r.Stdout, &report)
			assert.True(t, report.Changed)
			assert.Positive(t, report.Changes["create"])
			var named []string
			for _, l := range report.Layers {
				named = append(named, l.Name)
			}
			assert.Subset(t, named, layers(t).Names())
		})
	}
	r := succeed(ctx, t, with(s.command("preview"), "KUBECONFIG="+kubeconfig, "PULUMI_BACKEND_URL=file://"+state))
	for _, layer := range layers(t).Names() {
		assert.Regexp(t, `(?m)^`+layer+`: \d+ to create`, r.Stdout, "the layer is not named to people")
	}
	left, err := os.ReadDir(state)
	require.NoError(t, err)
	assert.Empty(t, left, "a preview wrote to the state")
}

// unreachableKubeconfig points at a port nobody listens on.
func unreachableKubeconfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := `{apiVersion: v1, kind: Config, current-context: gone, users: [{name: me, user: {token: none}}],
clusters: [{name: gone, cluster: {server: "https://127.0.0.1:1"}}],
contexts: [{name: gone, context: {cluster: gone, user: me}}]}`
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// upReport is what the tests read of `up -o json`.
type upReport struct {
	Changed    bool           `json:"changed"`
	Changes    map[string]int `json:"changes"`
	Drift      []drift        `json:"drift"`
	Seconds    float64        `json:"seconds"`
	Prediction *struct {
		Body string `json:"body"`
	} `json:"prediction"`
}

func (s *suite) up(ctx context.Context, t *testing.T) upReport {
	t.Helper()
	r := succeed(ctx, t, s.command("up", "-o", "json"))
	t.Logf("it said:\n%s", r.Stderr)
	var report upReport
	decode(t, r.Stdout, &report)
	return report
}

func (s *suite) preview(ctx context.Context, t *testing.T) previewReport {
	t.Helper()
	var report previewReport
	decode(t, succeed(ctx, t, s.command("preview", "-o", "json")).Stdout, &report)
	return report
}

// killPoint is a state of the cluster in which an up is killed.
type killPoint struct {
	name    string
	reached func(context.Context) (bool, error)
	kill    func(*rig.Process) error
}

func (s *suite) killPoints() []killPoint {
	return []killPoint{
		{"only neuroscale, while Argo CD is applied", func(ctx context.Context) (bool, error) {
			all, err := s.cluster.List(ctx, kube.Deployments, "argocd")
			return len(all) > 0, err
		}, (*rig.Process).KillOnly},
		{"its process group, while a layer is pushed", func(ctx context.Context) (bool, error) {
			jobs, err := s.cluster.List(ctx, kube.Jobs, layer.Namespace)
			for _, j := range jobs {
				if strings.HasPrefix(j.GetName(), "layer-") {
					return true, err
				}
			}
			return false, err
		}, (*rig.Process).KillGroup},
		{"all its processes, while KServe is synced", func(ctx context.Context) (bool, error) {
			kserve, err := s.cluster.Get(ctx, kube.Applications, "argocd", "kserve")
			return kserve != nil, err
		}, (*rig.Process).KillSession},
	}
}

func (s *suite) upSurvivesKills(t *testing.T) {
	ctx := within(t, 15*time.Minute)
	var left []*rig.Process
	for _, point := range s.killPoints() {
		left = append(left, s.killAt(ctx, t, point))
	}
	report := s.up(ctx, t)
	assert.True(t, report.Changed)
	require.NotNil(t, report.Prediction, "up did not end with a prediction")
	requirePrediction(t, report.Prediction.Body)
	for _, p := range left {
		assert.Empty(t, p.Session(), "processes of a killed up still run")
	}
}

func (s *suite) killAt(ctx context.Context, t *testing.T, point killPoint) *rig.Process {
	t.Helper()
	already, err := point.reached(ctx)
	require.NoError(t, err)
	require.False(t, already, "%s: the cluster is past it before up has begun, so nothing would be shown", point.name)
	p, err := s.command("up").Start(ctx)
	require.NoError(t, err)
	err = rig.Poll(ctx, 5*time.Minute, 50*time.Millisecond, func(ctx context.Context) (string, error) {
		select {
		case <-p.Done():
			return "", nil // Too early; found out below.
		default:
		}
		reached, err := point.reached(ctx)
		if err != nil || reached {
			return "", err
		}
		return "the cluster is not there yet", nil
	})
	if err != nil {
		assert.NoError(t, p.KillSession())
		r, _ := p.Wait()
		require.NoError(t, err, "%s: %s", point.name, r)
	}
	select {
	case <-p.Done():
		r, _ := p.Wait()
		require.Fail(t, "up ended before it was killed", "%s: %s", point.name, r)
	default:
	}
	require.NoError(t, point.kill(p))
	r, err := p.Wait()
	require.NoError(t, err)
	require.Equal(t, -1, r.Code, "%s: up was not killed: %s", point.name, r)
	t.Logf("killed after %s: %s; it had said:\n%s", r.Took.Round(100*time.Millisecond), point.name, r.Stderr)
	return p
}

// decode reads JSON that must be one value and nothing else.
func decode(t *testing.T, text string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	require.NoError(t, d.Decode(into), "%s", text)
	require.False(t, d.More(), "something follows the JSON: %s", text)
}

// layers of the platform as the stack's settings make them.
func layers(t *testing.T) layer.List {
	t.Helper()
	all, err := stacks.Layers(config.Default())
	require.NoError(t, err)
	return all
}

func requirePrediction(t *testing.T, body string) {
	t.Helper()
	var answer struct {
		Predictions []int `json:"predictions"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer), "%s", body)
	require.Equal(t, []int{1, 1}, answer.Predictions, "%s", body)
}
