package faults

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/internal/check"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/verify"
	"github.com/neuroscale-platform/neuroscale/stacks"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// node is the variable with the name of a sealed node that is up, with a platform on
// it.
const node = "NEUROSCALE_FAULTS"

// given is the platform of that node.
func given(t *testing.T) *Platform {
	t.Helper()
	name := os.Getenv(node)
	if name == "" {
		t.Skipf("set %s to the name of a sealed node with a platform to break it", node)
	}
	checkout, err := rig.Checkout()
	require.NoError(t, err)
	env, err := rig.Instance{Name: name, Sealed: filepath.Join(checkout, "bin", "sealed")}.Environment(t.Context())
	require.NoError(t, err)
	command := func(verb string, more ...string) rig.Command {
		return rig.Command{
			Path: filepath.Join(checkout, "bin", "neuroscale"), Args: append([]string{verb, "-C", checkout, "-s", "ci"}, more...), Env: env, Dir: checkout,
		}
	}
	work := filepath.Join(rig.Lookup(env, "PULUMI_BACKEND_URL")[len("file://"):], "work", "neuroscale")
	r, err := rig.Command{
		Path: "/bin/sh", Args: []string{"-c", "exec pulumi stack output --json --show-secrets --stack ci --non-interactive"}, Env: env, Dir: work,
	}.Run(t.Context())
	require.NoError(t, err)
	require.Zero(t, r.Code, "%s", r.Stderr)
	var outputs stacks.Outputs
	require.NoError(t, json.Unmarshal([]byte(r.Stdout), &outputs))
	p, err := New(rig.Lookup(env, "KUBECONFIG"), &outputs, command)
	require.NoError(t, err)
	return p
}

// TestFaults breaks the platform in each way, and has verify see that way only.
func TestFaults(t *testing.T) {
	p := given(t)
	for _, f := range All {
		t.Run(f.Name, func(t *testing.T) {
			t.Run("seen", func(t *testing.T) { p.Check(t, f) })
			p.AwaitWell(t, following(slices.AppendSeq(slices.Clone(f.Also), maps.Keys(f.Fails))))
		})
	}
}

// TestBatches does what tests/e2e does.
func TestBatches(t *testing.T) {
	p := given(t)
	start := time.Now()
	p.Run(t)
	t.Logf("all of it took %s", time.Since(start).Round(time.Second))
}

// TestAKilledRunLeavesNothing kills verify while it has something in the cluster.
func TestAKilledRunLeavesNothing(t *testing.T) {
	p := given(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	const label = "neuroscale.dev/verify"
	left := func(ctx context.Context) (names []string) {
		for _, at := range []struct {
			resource  schema.GroupVersionResource
			namespace string
		}{{kube.ConfigMaps, "neuroscale-system"}, {applications, argocd}, {kube.Jobs, tenant}, {kube.Pods, tenant}} {
			found, err := p.objects.Resource(at.resource).Namespace(at.namespace).List(ctx, metav1.ListOptions{LabelSelector: label})
			require.NoError(t, err)
			for _, o := range found.Items {
				names = append(names, o.GetKind()+" "+o.GetName())
			}
		}
		folders, err := filepath.Glob(filepath.Join(os.TempDir(), "neuroscale-verify-*"))
		require.NoError(t, err)
		return append(names, folders...)
	}
	require.Empty(t, left(ctx))
	process, err := p.Command("verify").Start(ctx)
	require.NoError(t, err)
	var there []string
	require.NoError(t, rig.Poll(ctx, time.Minute, 20*time.Millisecond, func(ctx context.Context) (string, error) {
		there = left(ctx)
		if len(there) < 3 {
			return "it has too little in the cluster to leave something", nil
		}
		return "", nil
	}))
	require.NoError(t, process.KillOnly())
	t.Logf("killed while there were %v", there)
	start := time.Now()
	require.NoError(t, rig.Poll(ctx, 2*time.Minute, 5*time.Second, func(ctx context.Context) (string, error) {
		p.Verify(ctx, t, "--only", "A1")
		if still := left(ctx); len(still) > 0 {
			return strings.Join(still, ", ") + " is left", nil
		}
		return "", nil
	}))
	t.Logf("nothing was left after %s", time.Since(start).Round(time.Second))
	p.AwaitWell(t, nil)
}

func TestEveryCheckIsSeenFailing(t *testing.T) {
	for _, id := range check.IDs((&verify.Platform{}).Checks()) {
		assert.Contains(t, noticed(), id, "no fault makes %s fail: a check never seen failing does not count", id)
	}
	var names []string
	for _, f := range All {
		assert.NotContains(t, names, f.Name)
		names = append(names, f.Name)
		assert.NotEmpty(t, f.Fails, f.Name)
		assert.Positive(t, f.Batch, f.Name)
	}
}

func TestWhatFollowsFollowsAllTheWay(t *testing.T) {
	ids := following([]string{"C7"})
	for _, id := range []string{"C7", "A5", "A6", "F1", "C6"} {
		assert.Contains(t, ids, id)
	}
	assert.NotContains(t, ids, "D3")
	assert.True(t, slices.Contains(following([]string{"A1"}), "A1"))
}

// TestTheDoctorCures breaks the platform in each way that the doctor knows, and has it
// name and repair it.
func TestTheDoctorCures(t *testing.T) {
	p := given(t)
	report, took := p.Diagnose(t.Context(), t)
	require.True(t, report.Well, "a platform that is well has findings: %+v", report)
	t.Logf("a look at a platform that is well took %s", took.Round(100*time.Millisecond))
	for _, d := range Diseases {
		t.Run(d.Name, func(t *testing.T) { p.Cure(t, d) })
	}
}
