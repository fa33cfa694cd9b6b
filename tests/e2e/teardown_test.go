package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/render"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

func (s *suite) destroyLeavesNothing(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	full, err := s.cluster.Inventory(ctx)
	require.NoError(t, err)
	require.Contains(t, s.empty.Added(full), "Namespace argocd", "there is nothing to destroy")

	s.addSlowPod(ctx, t)
	r := succeed(ctx, t, s.command("destroy", "--yes"))
	assert.Less(t, r.Took, slowPodGrace, "it waited for a pod that is slow to end")
	t.Logf("it said:\n%s", r.Stderr)
	assert.Contains(t, r.Stdout, "destroyed")
	for _, namespace := range append(layers(t).Namespaces(), "forge", "neuroscale-system") {
		o, err := s.cluster.Get(ctx, kube.Namespaces, "", namespace)
		require.NoError(t, err)
		assert.Nil(t, o, "namespace %s is left", namespace)
	}
	crds, err := s.cluster.List(ctx, kube.CRDs, "")
	require.NoError(t, err)
	assert.Empty(t, crds, "CustomResourceDefinitions are left")
	assert.Empty(t, s.resources(ctx, t), "the state is not empty")
	// What is owned by what was deleted goes after it, by the garbage collector.
	require.NoError(t, rig.Poll(ctx, 30*time.Second, time.Second, func(ctx context.Context) (string, error) {
		now, err := s.cluster.Inventory(ctx)
		if err != nil {
			return "", err
		}
		return strings.Join(s.empty.Added(now), ", "), nil
	}), "objects are left")

	r = succeed(ctx, t, s.command("destroy", "--yes"))
	assert.NotContains(t, r.Stdout, "error")
}

// slowPodGrace is how long the slow pod has to end, and takes.
const slowPodGrace = 3 * time.Minute

// addSlowPod has the first process of a pod of the platform's ignore that it is to end.
func (s *suite) addSlowPod(ctx context.Context, t *testing.T) {
	t.Helper()
	upstream, err := render.ReadUpstream(gitops.FS)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "slow.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `apiVersion: v1
kind: Pod
metadata: {name: slow, namespace: kserve}
spec:
  terminationGracePeriodSeconds: %d
  containers:
    - {name: slow, image: %q, command: [bash, -c, "trap '' TERM; while true; do sleep 1; done"]}
`, int(slowPodGrace.Seconds()), upstream.Images["nginx"]), 0o600))
	for _, args := range [][]string{
		{"apply", "-f", file}, {"wait", "--for=condition=Ready", "pod/slow", "-n", "kserve", "--timeout=60s"},
	} {
		succeed(ctx, t, rig.Command{Path: s.tool("kubectl"), Env: s.env, Args: args})
	}
}

func (s *suite) downLeavesNothing(t *testing.T) {
	ctx := within(t, time.Minute)
	full, err := rig.NewHostSnapshot(ctx)
	require.NoError(t, err)
	requireNodeSeen(t, s.host.Added(full, platformInstance))
	succeed(ctx, t, s.node.Down(false))
	s.requireHostClean(ctx, t, s.host, platformInstance)
	succeed(ctx, t, s.node.Down(false))
}

// requireNodeSeen demands that a running node shows in every way that its end is
// looked for: were it not, finding nothing afterwards would mean nothing.
func requireNodeSeen(t *testing.T, lines []string) {
	t.Helper()
	for _, kind := range []string{"process ", "mount ", "network namespace ", "network interface ", "route ", "cgroup "} {
		require.True(t, slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, kind) }),
			"no %sof the running node is seen in %q", kind, lines)
	}
}

func (s *suite) requireHostClean(ctx context.Context, t *testing.T, before rig.HostSnapshot, instance string) {
	t.Helper()
	// The kernel takes a moment for the last of a network namespace.
	require.NoError(t, rig.Poll(ctx, 5*time.Second, often, func(ctx context.Context) (string, error) {
		after, err := rig.NewHostSnapshot(ctx)
		return strings.Join(before.Added(after, instance), "; "), err
	}), "left on the host")
}

// killNode ends the first process of the node by SIGKILL, and with it, as the
// kernel does, all others.
func (s *suite) killNode(ctx context.Context, t *testing.T) int {
	t.Helper()
	record, err := s.victim.Record()
	require.NoError(t, err)
	require.Positive(t, record.PID)
	require.NoError(t, syscall.Kill(record.PID, syscall.SIGKILL))
	require.NoError(t, rig.Poll(ctx, 30*time.Second, often, func(context.Context) (string, error) {
		if rig.Alive(record.PID) {
			return "the node's first process is still there", nil
		}
		return "", nil
	}))
	return record.PID
}

func TestNodeWhoseParentWasKilledComesUpAgain(t *testing.T) {
	s := begin(t)
	ctx := within(t, 5*time.Minute)
	before, err := rig.NewHostSnapshot(ctx)
	require.NoError(t, err)
	t.Cleanup(func() {
		r, err := s.victim.Down(true).Run(context.WithoutCancel(ctx))
		assert.NoError(t, err)
		assert.Zero(t, r.Code, "%s", r)
	})
	succeed(ctx, t, s.victim.Up())
	first := s.killNode(ctx, t)
	succeed(ctx, t, s.victim.Up())
	second, err := s.victim.Record()
	require.NoError(t, err)
	assert.NotEqual(t, first, second.PID)
	env, err := s.victim.Environment(ctx)
	require.NoError(t, err)
	cluster, err := rig.Connect(rig.Lookup(env, "KUBECONFIG"))
	require.NoError(t, err)
	objects, err := cluster.Inventory(ctx)
	require.NoError(t, err)
	assert.Contains(t, objects, "Namespace kube-system")

	s.killNode(ctx, t)
	succeed(ctx, t, s.victim.Down(true))
	s.requireHostClean(ctx, t, before, killedInstance)
}
