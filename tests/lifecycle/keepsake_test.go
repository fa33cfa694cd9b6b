package lifecycle

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/showback"
	"github.com/neuroscale-platform/neuroscale/stacks"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
	"github.com/neuroscale-platform/neuroscale/tests/rig/outputs"
)

// keepsake is what a node keeps when it ends and begins again.
type keepsake struct {
	// endpoint is one that a person has merged.
	endpoint string
	// history is, by repository, every branch, tag and pull request.
	history map[string]string
	// costs are those of all that was measured so far.
	costs showback.Report
}

// keep merges an endpoint and writes down what there is.
func (l *life) keep(ctx context.Context, t *testing.T, endpoint string) keepsake {
	t.Helper()
	if r := rig.Logged(ctx, t, l.command("predict", endpoint)); r.Code != 0 {
		rig.Succeed(ctx, t, l.command("new", "endpoint", endpoint, "--storage-uri", "gs://kfserving-examples/models/sklearn/1.0/model", "--propose", "--merge"))
	}
	l.awaitPrediction(ctx, t, endpoint)
	k := keepsake{endpoint: endpoint, history: l.history(ctx, t)}
	k.costs = l.costs(ctx, t)
	return k
}

// requireKept demands that nothing of it was lost.
func (l *life) requireKept(ctx context.Context, t *testing.T, k keepsake) {
	t.Helper()
	l.awaitPrediction(ctx, t, k.endpoint)
	require.Equal(t, k.history, l.history(ctx, t), "what was in the forge is not what is there")
	costs := l.costs(ctx, t)
	assert.WithinDuration(t, k.costs.Start, costs.Start, time.Minute, "what was measured before is forgotten")
	assert.GreaterOrEqual(t, costs.Total.Cost, 0.95*k.costs.Total.Cost, "costs less than before")
	t.Logf("costs since %s: %.6f before, %.6f now", costs.Start.Format(time.TimeOnly), k.costs.Total.Cost, costs.Total.Cost)
}

func (l *life) awaitPrediction(ctx context.Context, t *testing.T, endpoint string) {
	t.Helper()
	start := time.Now()
	require.NoError(t, rig.Poll(ctx, 3*time.Minute, time.Second, func(ctx context.Context) (string, error) {
		r, err := l.command("predict", endpoint).Run(ctx)
		if err != nil || r.Code == 0 {
			return "", err
		}
		return r.String(), nil
	}))
	t.Logf("%s answers after %s", endpoint, time.Since(start).Round(100*time.Millisecond))
}

// history reads every repository whole: what a reference names has to be there.
func (l *life) history(ctx context.Context, t *testing.T) map[string]string {
	t.Helper()
	o := l.outputs(ctx, t)
	remote := git.Remote{URL: o.Repository, Username: o.ForgeUser, Password: o.ForgePassword, Authority: o.Authority}
	clone, err := git.Clone(ctx, remote, git.Author{Name: "Nobody", Email: "nobody@example.com"}, t.TempDir())
	require.NoError(t, err)
	found := map[string]string{}
	for _, repository := range append(config.Default().Repositories(), forge.Platform) {
		address := o.ForgeURL + "/" + config.Default().Forge.Organization + "/" + repository + ".git"
		_, err = clone.Git(ctx, "fetch", "--quiet", address, "+refs/*:refs/"+repository+"/*")
		require.NoError(t, err)
		found[repository], err = clone.Git(ctx, "ls-remote", address)
		require.NoError(t, err)
		require.NotEmpty(t, found[repository])
	}
	return found
}

func (l *life) outputs(ctx context.Context, t *testing.T) *stacks.Outputs {
	t.Helper()
	work := filepath.Join(strings.TrimPrefix(rig.Lookup(l.env, "PULUMI_BACKEND_URL"), "file://"), "work", "neuroscale")
	return outputs.Of(ctx, t, l.env, work, stack)
}

// costs are all that was measured, as soon as something is: Prometheus looks once a
// minute whom it reaches.
func (l *life) costs(ctx context.Context, t *testing.T) (report showback.Report) {
	t.Helper()
	start := time.Now()
	require.NoError(t, rig.Poll(ctx, 3*time.Minute, 2*time.Second, func(ctx context.Context) (string, error) {
		r, err := l.command("cost", "--window", "24h", "-o", "json").Run(ctx)
		if err != nil || r.Code != 0 {
			return r.Stderr, err
		}
		if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil {
			return "", err
		}
		if report.Total.Cost <= 0 {
			return "nothing has cost anything yet", nil
		}
		return "", nil
	}))
	t.Logf("costs are told after %s", time.Since(start).Round(100*time.Millisecond))
	return report
}

// endedNode ends the first process of the node by a signal, and with it all others. Its
// next start finds what was on its disk.
func (l *life) endedNode(signal syscall.Signal, endpoint string) func(context.Context, *testing.T) {
	return func(ctx context.Context, t *testing.T) {
		l.up(ctx, t)
		kept := l.keep(ctx, t, endpoint)
		l.endNode(ctx, t, signal)
		start := time.Now()
		l.nodeUp(ctx, t)
		began := time.Since(start)
		rig.Succeed(ctx, t, l.command("verify", "--wait", "5m"))
		t.Logf("the node was ready after %s, and everything right %s after it began", began.Round(100*time.Millisecond), time.Since(start).Round(time.Second))
		l.requireKept(ctx, t, kept)
		assert.False(t, l.up(ctx, t), "something was left to do")
	}
}

// endNode sends the node's first process a signal, and waits until it has ended.
func (l *life) endNode(ctx context.Context, t *testing.T, signal syscall.Signal) {
	t.Helper()
	record, err := l.node.Record()
	require.NoError(t, err)
	require.Positive(t, record.PID)
	require.NoError(t, syscall.Kill(record.PID, signal))
	require.NoError(t, rig.Poll(ctx, 30*time.Second, 100*time.Millisecond, func(context.Context) (string, error) {
		if rig.Alive(record.PID) {
			return "the node's first process is still there", nil
		}
		return "", nil
	}))
}
